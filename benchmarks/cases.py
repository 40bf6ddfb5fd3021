"""What one thing costs each library: pairs of cells that differ in nothing else, interleaved.

python benchmarks/cases.py                    all, one thread and all CPUs
python benchmarks/cases.py V1 --threads 1     some
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

from cells import PAIRS
from run import OURS, add_options, prepare, save, show, start, take_turns, thread_counts


@dataclass(frozen=True)
class Case:
    """A pair of cells, with the thing and without, and the libraries that run both.

    Where ``either`` of the pair does the same job, a library is held against us by its faster one.
    """

    name: str
    what: str
    peers: tuple[str, ...]
    either: bool = False


CASES = [
    Case("V1", "rows of 10 to 200 steps, their lengths told or padding computed", (OURS, "torch"), either=True),
    Case("D1", "dropout 0.3 and recurrent dropout 0.2, masks for each gate", (OURS, "tensorflow")),
    Case("N1", "a state that fades into denormal numbers", (OURS, "torch", "onnxruntime")),
]


def measure(case: Case, threads: int, rounds: int, seconds: float) -> dict[str, Any]:
    """Print the case's table and return it."""
    pair = {cell.name.partition(":")[2]: cell for cell in PAIRS if cell.name.startswith(case.name)}
    sides = {side: start(list(case.peers), threads) for side in pair}
    with_it, without = pair
    refused, turns = {}, {}
    try:
        for side, workers in sides.items():
            ready, refused[side] = prepare(pair[side], workers)
            turns.update({(name, side): workers[name] for name in ready})
        times = take_turns(turns, rounds, seconds)
    finally:
        for workers in sides.values():
            for worker in workers.values():
                worker.close()
    print(f"\n{case.name}: {pair[with_it].description}, {threads} thread{'s'[: threads > 1]}: {case.what}")
    print(f"{'':12} {with_it:>18} {without:>18} {f'{with_it}/{without}':>20} {'time/ours':>10}")
    row: dict[str, Any] = {
        "case": case.name,
        "what": case.what,
        "description": pair[with_it].description,
        "threads": threads,
        "versions": {name: worker.greeting["version"] for name, worker in sides[with_it].items()},
        "refused": refused,
        "seconds": {},
        "ratio": {},
        "of_ours": {},
    }
    for name in sides[with_it]:
        found = {side: times[name, side] for side in pair if (name, side) in times}
        row["seconds"][name] = found
        medians = {side: summary["median"] for side, summary in found.items()}
        candidates = list(medians.values()) if case.either and name != OURS else [medians.get(with_it)]
        if len(medians) == 2:
            row["ratio"][name] = medians[with_it] / medians[without]
        if None not in candidates and (OURS, with_it) in times:
            row["of_ours"][name] = min(candidates) / times[OURS, with_it]["median"]
        ratio, of_ours = (f"{row[key][name]:.2f}" if name in row[key] else "-" for key in ("ratio", "of_ours"))
        print(f"{name:12} {show(found.get(with_it)):>18} {show(found.get(without)):>18} {ratio:>20} {of_ours:>10}")
    for side, reasons in refused.items():
        for name, reason in reasons.items():
            print(f"  {name}, {side}: {reason[:150]}")
    return row


def main() -> None:
    """Parse the command line, measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [case.name for case in CASES]
    parser.add_argument("cases", nargs="*", help=f"some of {', '.join(names)} (default: all)")
    add_options(parser)
    options = parser.parse_args()
    unknown = set(options.cases) - set(names)
    if unknown:
        parser.error(f"cases: expected some of {', '.join(names)}, got {', '.join(sorted(unknown))}")
    counts = thread_counts(parser, options.threads)
    rows = [
        measure(case, threads, options.rounds, options.seconds)
        for case in CASES
        if case.name in (options.cases or names)
        for threads in counts
    ]
    save(options.json, "-cases", rows=rows)


if __name__ == "__main__":
    main()
