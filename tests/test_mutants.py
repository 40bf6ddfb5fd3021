"""The lists of ``python -m tests.mutants`` fit the kernels and the tests as they are. Nothing is built here."""

import re
import subprocess
import sys

import pytest
from mutants import CHECK_CORE, ROOT, SOURCES, kernel_files, mutants

MUTANTS = mutants()
KILLED = [m for m in MUTANTS if not m.equivalent]


@pytest.mark.parametrize("file", kernel_files())
def test_every_text_stands_once_in_its_file(file):
    source = (SOURCES / file).read_text()
    mutants_of_file = [m for m in MUTANTS if m.file == file]
    assert mutants_of_file, "no mutant of this file"
    assert [m.text for m in mutants_of_file if not m.applies(source)] == []
    assert [m.text for m in mutants_of_file if m.apply(source) == source] == []


def test_there_are_many_and_no_two_are_the_same():
    assert len(KILLED) >= 100
    assert len({(m.file, m.text, m.replacement) for m in MUTANTS}) == len(MUTANTS)
    assert {m.file for m in MUTANTS} <= set(kernel_files())


def test_every_mutant_has_what_kills_it_or_a_reason_why_nothing_does():
    assert [str(m) for m in MUTANTS if bool(m.killed_by) == bool(m.equivalent)] == []


def test_what_kills_them_exists():
    parts = {m.killed_by.removeprefix(CHECK_CORE) for m in KILLED if m.kind == "check_core"}
    assert parts <= set(re.findall(r'\{"(\w+)", check_\w+\}', (ROOT / "tests/cpp/check_core.cpp").read_text()))
    tests = sorted({f"tests/{m.killed_by}" for m in KILLED if m.kind == "extension"})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *tests]
    collected = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert collected.returncode == 0, collected.stdout[-2000:] + collected.stderr[-2000:]
