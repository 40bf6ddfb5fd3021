"""Peak memory of one forward and backward pass, above that of the process before it, in fresh processes.

python benchmarks/memory.py                   T2, T4 and long sequences
python benchmarks/memory.py T3 --threads 1    some cells
"""

from __future__ import annotations

import argparse
import os
import pathlib
from typing import Any

from cells import LONG, NAMED, select
from run import OURS, Worker, save

PEER = "torch"


def measure(name: str, peer: str, threads: int) -> dict[str, Any]:
    """Return bytes and version, or why there are none."""
    worker = Worker(peer, threads)
    try:
        return worker.greeting if "version" not in worker.greeting else {**worker.greeting, **worker.ask(cell=name)}
    finally:
        worker.close()


def main() -> None:
    """Parse the command line, measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", nargs="*", help="names or descriptions as for run.py")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: all CPUs")
    parser.add_argument("--json", type=pathlib.Path, help="where to write the results (default benchmarks/results)")
    options = parser.parse_args()
    cells = select(options.cells) or [NAMED["T2"], NAMED["T4"], *LONG]

    print(f"{'cell':4} {'what':50} {OURS:>12} {PEER:>12} {PEER + '/ours':>12}")
    rows = []
    for cell in cells:
        found = {peer: measure(cell.name, peer, options.threads) for peer in (OURS, PEER)}
        sizes = {peer: reply["bytes"] for peer, reply in found.items() if "bytes" in reply}
        ratio = sizes[PEER] / sizes[OURS] if len(sizes) == 2 else None
        what = cell.description + (f", {cell.variant}" if cell.variant else "")
        columns = "".join(f" {f'{sizes[peer] / 2**20:.1f} MiB' if peer in sizes else '-':>12}" for peer in (OURS, PEER))
        label = cell.name if len(cell.name) <= 4 else "-"
        print(f"{label:4} {what:50}{columns} {f'{ratio:.2f}' if ratio else '-':>12}", flush=True)
        unable = {peer: reply.get("unable", reply.get("error")) for peer, reply in found.items() if peer not in sizes}
        for peer, reason in unable.items():
            print(f"     {peer}: {reason[:150]}")
        rows.append(
            {
                "cell": cell.name,
                "description": what,
                "threads": options.threads,
                "bytes": sizes,
                "ratio": ratio,
                "unable": unable,
                "versions": {peer: reply["version"] for peer, reply in found.items() if "version" in reply},
            }
        )
    save(options.json, "-memory", rows=rows)


if __name__ == "__main__":
    main()
