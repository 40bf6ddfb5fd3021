"""What has been found of every mutant, and when, as Markdown."""

import datetime
import platform
import subprocess
from collections import Counter
from pathlib import Path

from .trial import KILLED

HEAD = """# Mutants of the kernels

Written by `python -m tests.mutants`. {total}. The last run: {machine}; {compilers}; {isa} where no set is named.
"""
COLUMNS = "\n## {}\n\n| text | fault | verdict | by | s | on |\n|---|---|---|---|---|---|\n"


def cpu():
    """The CPU as Linux tells it, elsewhere its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return f"{told.get('model name', platform.machine())}, family {told.get('cpu family', '?')}"


def compilers(builds):
    """What the builds were made with."""
    versions = {subprocess.getoutput(f"{build.compiler} --version").splitlines()[0] for build in builds}
    return ", ".join(sorted(versions))


def code(text):
    return f"`{' '.join(text.split())}`".replace("|", "\\|") if text.strip() else "nothing"


def name(mutant):
    """The cells by which a row is found again."""
    return f"| {code(mutant.text)} | {code(mutant.replacement)} | "


def row(mutant, verdict):
    set_ = f" ({mutant.isa})" if mutant.isa else ""
    by = mutant.equivalent or verdict.by.replace("|", "\\|")
    return f"{name(mutant)}{verdict.word}{set_} | {by} | {verdict.seconds:.0f} | {datetime.date.today()} |\n"


def known(path):
    """The rows of a record by file."""
    sections = path.read_text().split("\n## ")[1:] if path.exists() else []
    return {section.split("\n")[0]: section.splitlines(keepends=True) for section in sections}


def row_of(mutant, rows):
    """The row of a mutant among those of `known`, or "" where there is none."""
    return next((line for line in rows.get(mutant.file, []) if line.startswith(name(mutant))), "")


def is_killed(mutant, rows):
    return row_of(mutant, rows).startswith(name(mutant) + KILLED)


def update(path, mutants, verdicts, isa, builds):
    """Write what was found into the record. Of what was not tried this time it keeps what it knows."""
    before = known(path)
    text, file, words = "", None, Counter()
    for mutant in mutants:
        if mutant.file != file:
            file = mutant.file
            text += COLUMNS.format(file)
        line = row(mutant, verdicts[mutant]) if mutant in verdicts else row_of(mutant, before)
        line = line or f"{name(mutant)}not tried | | | |\n"
        words[line.removeprefix(name(mutant)).split(" |")[0].split(" (")[0]] += 1
        text += line
    total = ", ".join(f"{number} {word}" for word, number in words.most_common())
    path.write_text(HEAD.format(total=total, machine=cpu(), compilers=compilers(builds), isa=isa) + text)
