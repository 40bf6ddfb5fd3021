"""Faults that somebody could make in the kernels, one line each, and the test that sees each of them.

``python -m tests.mutants`` makes every fault in a copy of the sources, builds the kernels of one instruction set and
runs the test; ``tests/test_mutants.py`` holds the lists against the sources. The faults of ``src/cpp/kernels/gemm.hpp``
are in ``kernels/gemm.py`` here, and so on.
"""

import importlib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "cpp"

# What kills a mutant beside a test in Python: a part of check_core under ThreadSanitizer, which sees a missing barrier
# where results seldom show it.
CHECK_CORE = "check_core "


@dataclass(frozen=True)
class Mutant:
    """A text of a file, its replacement, and what sees the difference.

    Parameters
    ----------
    text, replacement : a line, or a part of one; with a line beside it where it would not be alone in its file.
    killed_by : a test as pytest names it, below ``tests/``; or CHECK_CORE and a part of it.
    isa : an instruction set in which the line is live; "" where any will do.
    equivalent : why nothing can see the difference, where nothing can.
    """

    text: str
    replacement: str
    killed_by: str = ""
    isa: str = ""
    equivalent: str = ""
    file: str = ""  # below src/cpp/

    @property
    def kind(self):
        """What is built for it: the extension, or check_core with ThreadSanitizer."""
        return "check_core" if self.killed_by.startswith(CHECK_CORE) else "extension"

    def source(self):
        """The file as it is."""
        return (SOURCES / self.file).read_text()

    def applies(self, source):
        """Whether the source has the text, and has it once."""
        return source.count(self.text) == 1

    def apply(self, source):
        """Return the source with the fault."""
        return source.replace(self.text, self.replacement)

    def __str__(self):
        return f"{self.file}: {self.text.strip()} -> {self.replacement.strip() or 'nothing'}"


def kernel_files():
    """The files that mutants are made of, below ``src/cpp/``."""
    return sorted(str(path.relative_to(SOURCES)) for path in (SOURCES / "kernels").rglob("*.?pp"))


def mutants():
    """All of the list, by file."""
    here = Path(__file__).parent
    result = []
    for path in sorted((here / "kernels").rglob("*.py")):
        name = path.relative_to(here).with_suffix("")
        entries = importlib.import_module("." + ".".join(name.parts), __name__).MUTANTS
        file = next(f for f in (f"{name}.hpp", f"{name}.cpp") if (SOURCES / f).exists())
        result += [Mutant(e.text, e.replacement, e.killed_by, e.isa, e.equivalent, file) for e in entries]
    return result
