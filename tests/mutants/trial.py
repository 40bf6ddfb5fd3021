"""One mutant: made, built, and given to its test."""

import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass

from . import CHECK_CORE, ROOT, SOURCES

KILLED, SURVIVED, EQUIVALENT, ELSEWHERE = "killed", "SURVIVED", "equivalent", "elsewhere"
UNFIT, UNBUILT, UNTESTED = "DOES NOT FIT", "DOES NOT COMPILE", "HAS NO TEST"
BAD = {SURVIVED, UNFIT, UNBUILT, UNTESTED}

HANGS_AFTER = 300  # seconds; the longest test takes a tenth of that

# The extension that was made comes before an installed package, editable or not, and it is that which is tested.
PYTEST = """
import importlib.machinery, os, sys
sys.meta_path.insert(0, importlib.machinery.PathFinder)
from lstmcore import _core
assert os.path.samefile(os.path.dirname(_core.__file__), os.path.join(os.environ["PYTHONPATH"], "lstmcore"))
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""


@dataclass(frozen=True)
class Verdict:
    word: str
    by: str = ""
    seconds: float = 0.0


def native_set():
    """The set that compiles fastest: the one of every CPU of this kind."""
    return "neon" if platform.machine() in ("aarch64", "arm64") else "baseline"


def available_sets():
    from lstmcore import _core

    return _core.config()["available_instruction_sets"]


class Trial:
    """Tries mutants, each in one of the places."""

    def __init__(self, builds, places, isa):
        self.builds, self.places, self.isa, self.sets = builds, places, isa, available_sets()
        for place in list(places.queue):
            for kind, build in builds.items():
                build.prepare(place / kind)

    def fails_as_it_is(self, mutants):
        """Which tests fail without a fault: none of them, as it should be."""
        wanted = {(m.kind, m.isa or self.isa, m.killed_by) for m in mutants if not m.equivalent}
        place, failing = self.places.get(), []
        for kind, isa in sorted({(kind, isa) for kind, isa, _ in wanted if isa in self.sets}):
            made = self.builds[kind].make(place / kind, isa)
            verdict = check(made, sorted(test for *of, test in wanted if of == [kind, isa]), isa)
            failing += [verdict.by] if verdict.word != SURVIVED else []
        self.places.put(place)
        return ", ".join(failing)

    def of(self, mutant):
        """The verdict on a mutant."""
        isa, source = mutant.isa or self.isa, mutant.source()
        if not mutant.applies(source):
            return Verdict(UNFIT)
        if mutant.equivalent:
            return Verdict(EQUIVALENT)
        if isa not in self.sets:
            return Verdict(ELSEWHERE)
        start, place = time.monotonic(), self.places.get()
        changed = place / mutant.kind / "src" / "cpp" / mutant.file
        try:
            changed.write_text(mutant.apply(source))
            made = self.builds[mutant.kind].make(place / mutant.kind, isa)
            verdict = check(made, [mutant.killed_by], isa)
        except RuntimeError as error:  # of the compiler
            verdict = Verdict(UNBUILT, next((line for line in str(error).splitlines() if "error:" in line), ""))
        finally:
            shutil.copy(SOURCES / mutant.file, changed)
            self.places.put(place)
        return Verdict(verdict.word, verdict.by, time.monotonic() - start)


def check(made, tests, isa):
    """Run tests on what was made."""
    # Hypothesis without chance, so that a mutant is killed today as it was yesterday.
    environment = {**os.environ, "LSTMCORE_ISA": isa, "HYPOTHESIS_PROFILE": "mutants", "CI": "1"}
    if made.name == "check_core":
        environment["TSAN_OPTIONS"] = "ignore_noninstrumented_modules=1 exitcode=66 halt_on_error=1"
        command = [*fixed_addresses(), made, *(test.removeprefix(CHECK_CORE) for test in tests)]
    else:
        environment["PYTHONPATH"] = str(made.parents[1])
        command = [sys.executable, "-c", PYTEST, "-x", "-q", "--tb=no", "-p", "no:cacheprovider"]
        command += [f"tests/{test}" for test in tests]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=HANGS_AFTER * len(tests)
        )
    except subprocess.TimeoutExpired:
        return Verdict(KILLED, "it hangs")
    if done.returncode == 0:
        return Verdict(SURVIVED)
    if done.returncode < 0:
        return Verdict(KILLED, f"{tests[0]}: it crashes (signal {-done.returncode})")
    if made.name == "check_core":
        return Verdict(KILLED, f"{tests[0]}: {'a data race' if done.returncode == 66 else 'wrong results'}")
    failed = [
        line.removeprefix("FAILED tests/").split(" - ")[0]
        for line in done.stdout.splitlines()
        if line.startswith("FAILED tests/")
    ]
    if done.returncode != 1 or not failed:
        return Verdict(UNTESTED, done.stdout[-300:] + done.stderr[-300:])
    return Verdict(KILLED, failed[0])


def fixed_addresses():
    """What ThreadSanitizer needs where addresses are more random than it can do with."""
    return ["setarch", "-R"] if shutil.which("setarch") else []
