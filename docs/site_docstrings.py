"""From docstrings as they are written here to what numpydoc reads.

Ours are plain text but for backticks, examples and indented blocks: stars, bars and a last _ mean themselves. Behind
the name of a parameter stands what it is, not its type alone.
"""

import re

ends_with_block = re.compile(r"::\s*$")
a_parameter = re.compile(r"^([\w.*\\]+(?:, [\w.*\\]+)*) : (.+)$")
explained = ("Parameters", "Attributes", "Other Parameters")


def prepare(app, what, name, obj, options, lines):
    """Change the lines of a docstring."""
    if not (getattr(obj, "__module__", None) or name).startswith("lstmcore"):
        return  # that of another library, inherited
    lines[:] = with_explanations([*plain(lines)])


def plain(lines):
    """Yield the lines with what reStructuredText would take for marks taken from it, blocks of code as they are."""
    block = None  # how far a line before is indented that ends with two colons
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if block is not None and line.strip() and indent <= block:
            block = None
        if block is None and not line.lstrip().startswith((">>>", "...")):
            parts = re.split(r"(``.*?``|`[^`]*`)", line)
            parts[::2] = [re.sub(r"([*|]|(?<=\w)_(?!\w))", r"\\\1", part) for part in parts[::2]]
            yield "".join(parts)
        else:
            yield line
        if block is None and ends_with_block.search(line):
            block = indent


def with_explanations(lines):
    """Return the lines with the explanation of each parameter below its name."""
    changed, section = [], None
    for k, line in enumerate(lines):
        if k + 1 < len(lines) and re.match(r"^-{3,}$", lines[k + 1]):
            section = line.strip()
        found = a_parameter.match(line) if section in explained else None
        changed += [found[1], "    " + found[2]] if found else [line]
    return changed
