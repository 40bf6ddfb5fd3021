"""Command line: ``python -m tests.mutants --help``."""

import argparse
import queue
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import mutants
from .build import Build
from .record import is_killed, known, update
from .trial import BAD, Trial, native_set

RECORD = Path(__file__).with_name("record.md")


def arguments():
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants",
        description="Makes the faults of the lists, one at a time, and sees whether their tests see them.",
    )
    parser.add_argument("--only", metavar="PATTERN", help="those whose file, text or test has this in it")
    parser.add_argument("--rest", action="store_true", help="those that the record has not seen killed")
    parser.add_argument("--isa", default=native_set(), help="instruction set, for all that need no other (%(default)s)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="so many at a time (default 1)")
    parser.add_argument("--list", action="store_true", help="print them and do nothing")
    parser.add_argument("--build", metavar="DIRECTORY", help="keep the builds there for the next time")
    parser.add_argument("--output", metavar="FILE", default=RECORD, help="the record (default %(default)s)")
    return parser.parse_args()


def main():
    args = arguments()
    everything = mutants()
    chosen = [m for m in everything if not args.only or args.only in str(m) or args.only in m.killed_by]
    if args.rest:
        rows = known(Path(args.output))
        chosen = [m for m in chosen if not is_killed(m, rows) or not m.applies(m.source())]
    if args.list:
        print(*chosen, sep="\n")
        return 0
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        builds = {}
        for kind in sorted({m.kind for m in chosen if not m.equivalent}):
            print(f"building {kind} as it is", flush=True)
            builds[kind] = Build(Path(args.build or work) / kind, kind)
        places = queue.Queue()
        for number in range(args.jobs):
            places.put(work / f"place{number}")
        trial = Trial(builds, places, args.isa)
        print("running the tests on the core as it is", flush=True)
        failing = trial.fails_as_it_is(chosen)
        if failing:
            print(f"fails without any fault: {failing}")
            return 1
        verdicts = {}
        try:
            with ThreadPoolExecutor(args.jobs) as pool:
                for mutant, verdict in zip(chosen, pool.map(trial.of, chosen), strict=True):
                    verdicts[mutant] = verdict
                    print(f"{verdict.word:10} {verdict.seconds:5.1f} s  {mutant}  [{verdict.by}]", flush=True)
        finally:  # also of a run that is broken off
            update(Path(args.output), everything, verdicts, args.isa, builds.values())
    words = Counter(verdict.word for verdict in verdicts.values())
    print(", ".join(f"{number} {word}" for word, number in words.items()))
    return 1 if BAD & words.keys() else 0


if __name__ == "__main__":
    sys.exit(main())
