"""The names that layers have where they are given none: "lstm", "lstm_1", …"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

_counts: dict[str, Iterator[int]] = {}  # the layers of each class so far


def automatic_name(class_name: str) -> str:
    """Return the name of the next layer of a class."""
    base = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", class_name)
    base = re.sub(r"([a-z])([A-Z])", r"\1_\2", base).lower()
    number = next(_counts.setdefault(base, itertools.count()))
    return f"{base}_{number}" if number else base


def begin_anew() -> None:
    """Give the next layers the names they would have in a new program."""
    _counts.clear()
