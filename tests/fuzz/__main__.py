"""Command line: ``python -m tests.fuzz --help``."""

import argparse
import json
import secrets
import subprocess
import sys
import time
import traceback
from collections import Counter

import numpy as np

from . import GENERATORS, generator

HANGS_AFTER = 180  # seconds; the longest case takes a few, with sanitizers ten times that


def arguments():
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Random tests, for as long as you like.")
    parser.add_argument("--minutes", type=float, default=5.0, help="how long, in all (default 5)")
    parser.add_argument("--only", choices=GENERATORS, action="append", help="this generator; may be given again")
    parser.add_argument("--seed", type=int, help="of the first case, the next has the next; at random by default")
    parser.add_argument("--count", type=int, help="stop after so many cases of each generator")
    parser.add_argument("--worker", choices=GENERATORS, help=argparse.SUPPRESS)
    return parser.parse_args()


def work(name, seed, seconds, count):
    """Run cases of a generator and tell of each on standard output, before it begins and after it."""
    case, end = generator(name), time.monotonic() + seconds
    number = 0
    while (time.monotonic() < end or number == 0) and number != count:
        print(json.dumps({"begin": seed + number}), flush=True)
        try:
            case(np.random.default_rng(seed + number))
        except Exception:
            print(json.dumps({"failed": seed + number, "why": traceback.format_exc()}), flush=True)
        number += 1
    print(json.dumps({"end": number}), flush=True)


class Worker:
    """A process that runs cases of a generator, so that one that dies or hangs is a failure like any other."""

    def __init__(self, name, seed, seconds, count):
        command = [sys.executable, "-X", "faulthandler", "-m", "tests.fuzz", "--worker", name, "--seed", str(seed)]
        command += ["--minutes", str(seconds / 60)] + ([] if count is None else ["--count", str(count)])
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.begun, self.done = [], False

    def lines(self):
        """What it tells, until it ends or is silent for too long."""
        import selectors

        with selectors.DefaultSelector() as ready:
            ready.register(self.process.stdout, selectors.EVENT_READ)
            while ready.select(HANGS_AFTER):
                line = self.process.stdout.readline()
                if not line:
                    return
                if line.startswith("{"):
                    yield json.loads(line)
        self.process.kill()


def run(name, seed, seconds, count, report):
    """Run cases of a generator, in another process after each that ends one; return their number."""
    end, total = time.monotonic() + seconds, 0
    while True:
        worker = Worker(name, seed, max(0.0, end - time.monotonic()), count)
        current, finished = None, False
        for told in worker.lines():
            if "begin" in told:
                current, total = told["begin"], total + 1
            elif "failed" in told:
                report(name, told["failed"], told["why"])
            else:
                finished = True
        errors = worker.process.communicate()[1]
        if finished:
            return total
        report(name, current if current is not None else seed, f"ended with {worker.process.returncode}\n{errors}")
        if current is None or time.monotonic() >= end:
            return total
        done = current + 1 - seed
        seed, count = current + 1, None if count is None else count - done
        if count == 0:
            return total


def main():
    given = arguments()
    if given.worker:
        return work(given.worker, given.seed, given.minutes * 60, given.count)
    names = given.only or list(GENERATORS)
    seed = secrets.randbelow(2**31) if given.seed is None else given.seed
    cases, failures = Counter(), Counter()

    def report(name, seed, why):
        failures[name] += 1
        print(f"\nFAILED: python -m tests.fuzz --only {name} --seed {seed} --count 1\n{why}", flush=True)

    begun = time.monotonic()
    shares = sum(GENERATORS[name] for name in names)
    rounds = 1 if given.count is not None else max(1, round(given.minutes / 5))  # all are seen early
    for turn in range(rounds):
        for name in names:
            seconds = 60 * given.minutes * GENERATORS[name] / shares / rounds
            count = run(name, seed + 10_000_000 * turn, seconds, given.count, report)
            cases[name] += count
            print(f"{name:12} {cases[name]:8} cases {failures[name]:4} failures", flush=True)
    minutes = (time.monotonic() - begun) / 60
    print(f"\n{sum(cases.values())} cases, {sum(failures.values())} failures, {minutes:.1f} minutes, first seed {seed}")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
