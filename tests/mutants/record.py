"""What runs have found, as Markdown: a section for each file, from the last run that tried all of its mutants."""

import datetime
import platform
import subprocess
from collections import Counter
from pathlib import Path

HEAD = """# Mutants of the kernels

Written by `python -m tests.mutants`, a section for each file whose mutants were all tried. In all: """


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


def section(verdicts, isa, built_by):
    """The table of a file's mutants."""
    counts = Counter(verdict.word for verdict in verdicts.values())
    total = ", ".join(f"{number} {word}" for word, number in sorted(counts.items(), key=lambda item: item[0].lower()))
    minutes = sum(verdict.seconds for verdict in verdicts.values()) / 60
    lines = [
        f"{total}; {datetime.date.today()}, {minutes:.0f} minutes, {cpu()}, {built_by}, {isa} unless said otherwise.",
        "",
        "| text | fault | verdict | by | s |",
        "|---|---|---|---|---|",
    ]
    for mutant, verdict in verdicts.items():
        word = f"{verdict.word} ({mutant.isa})" if mutant.isa else verdict.word
        by = mutant.equivalent or verdict.by.replace("|", "\\|")
        lines.append(f"| {code(mutant.text)} | {code(mutant.replacement)} | {word} | {by} | {verdict.seconds:.0f} |")
    return "\n".join(lines) + "\n"


def update(path, sections, files):
    """Write sections into a record; keep what it has of other files, and nothing of files that are no more."""
    old = path.read_text().split("\n## ")[1:] if path.exists() else []
    kept = dict(part.split("\n\n", 1) for part in old) | sections
    kept = {file: text.strip() + "\n" for file, text in sorted(kept.items()) if file in files}
    totals = Counter()
    for text in kept.values():
        for count in text.split(";")[0].split(", "):
            number, word = count.split(" ", 1)
            totals[word] += int(number)
    head = HEAD + ", ".join(f"{number} {word}" for word, number in totals.items()) + ".\n"
    path.write_text(head + "".join(f"\n## {file}\n\n{text}" for file, text in kept.items()))
