"""Tags that say where a span begins, goes on and ends: schemes, what they allow, and the spans that tags stand for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._arguments import flag, integer_array, positive_integer, string, strings, valid_steps

Array = NDArray[Any]

# What the letters of a scheme stand for, in those of BILOU: begin, inside, last, unit (a span of one step); O is
# outside. BIO is also called IOB2, BIOES also IOBES.
SCHEMES = {
    "BIO": {"B": "B", "I": "I"},
    "BILOU": {"B": "B", "I": "I", "L": "L", "U": "U"},
    "BIOES": {"B": "B", "I": "I", "E": "L", "S": "U"},
}


class Allowed(NamedTuple):
    """Which tags may stand where.

    Attributes
    ----------
    transitions : (tags, tags), True where the second tag may stand behind the first.
    start, end : (tags,), True where a tag may be the first, the last.
    """

    transitions: Array
    start: Array
    end: Array


class Span(NamedTuple):
    """Steps that belong together.

    Attributes
    ----------
    type : what is behind the letter of its tags: "PER" of "B-PER".
    first, end : its first step, and the one behind its last.
    """

    type: str
    first: int
    end: int


class Spans(NamedTuple):
    """Spans of a batch, each an element of every array, in order: row, first step, the step behind the last, type."""

    row: Array
    first: Array
    end: Array
    type: Array


class Tags:
    """Tags of a scheme, taken apart.

    Parameters
    ----------
    names : "O", "B-PER", "I-PER", …: a letter of the scheme and, behind a hyphen, a type.
    scheme : "BIO", "BILOU" or "BIOES".
    where : what errors begin with.

    Attributes
    ----------
    types : of all spans, in the order in which the tags name them.
    """

    def __init__(self, names: Iterable[str], scheme: str, where: str = "") -> None:
        names = strings(f"{where}tags", names)
        self.scheme = string(f"{where}scheme", scheme)
        if scheme not in SCHEMES:
            raise ValueError(f"{where}scheme: expected one of {', '.join(SCHEMES)}, got {scheme!r}")
        letters = SCHEMES[scheme]
        kinds, types = [], []
        for name in names:
            letter, _, kind = name.partition("-")
            if name != "O" and letter not in letters:
                expected = ", ".join(["O", *(f"{letter}-…" for letter in letters)])
                raise ValueError(f"{where}tags: expected {expected} for {scheme}, got {name!r}")
            kinds.append("O" if name == "O" else letters[letter])
            types.append("" if name == "O" else kind)
        self.names = names
        self.types = list(dict.fromkeys(t for t, kind in zip(types, kinds, strict=True) if kind != "O"))
        self._kind = np.array(kinds, dtype="U1")
        self._type = np.array([self.types.index(t) if k != "O" else -1 for t, k in zip(types, kinds, strict=True)], int)

    def allowed(self) -> Allowed:
        """Return what the scheme allows."""
        kind, types = self._kind, self._type
        continues = np.isin(kind, ["I", "L"])
        same = np.isin(kind, ["B", "I"])[:, None] & continues & (types[:, None] == types)
        if self.scheme == "BIO":  # a span may end at any step
            return Allowed(same | ~continues, ~continues, np.ones(len(kind), bool))
        opens = np.isin(kind, ["B", "I"])
        return Allowed(same | (~opens[:, None] & ~continues), ~continues, ~opens)

    def spans(self, labels: Array, counts: Array, strict: bool) -> Spans:
        """Return the spans of (batch, steps) labels, those that are for steps that count.

        A tag goes on with the span before it if it is an I or L of the same type as the B or I there; any other begins
        one. That is how CoNLL's evaluation reads them, and seqeval. With ``strict``, a span begins with B and, but for
        BIO, ends with L, or is a U; what does not is none, as in seqeval's strict mode.
        """
        kind = np.where(counts, self._kind[labels], "O")
        types = np.where(counts, self._type[labels], -1)
        goes_on = np.zeros(labels.shape, bool)
        goes_on[:, 1:] = (
            np.isin(kind[:, 1:], ["I", "L"]) & np.isin(kind[:, :-1], ["B", "I"]) & (types[:, 1:] == types[:, :-1])
        )
        inside, stays = kind != "O", np.zeros(labels.shape, bool)
        stays[:, :-1] = goes_on[:, 1:]
        row, first = np.nonzero(inside & ~goes_on)
        last = np.nonzero(inside & ~stays)[1]
        if strict:
            begins, ends = kind[row, first], kind[row, last]
            whole = begins == "B" if self.scheme == "BIO" else (begins == "U") | ((begins == "B") & (ends == "L"))
            row, first, last = row[whole], first[whole], last[whole]
        return Spans(row, first, last + 1, types[row, first])


def tag_constraints(tags: Iterable[str], scheme: str = "BIO") -> Allowed:
    """Return which tags may stand behind which, first and last: what `layers.CRF` takes as ``constraints``.

    >>> from lstmcore.utils import tag_constraints
    >>> allowed = tag_constraints(["O", "B-PER", "I-PER"])
    >>> allowed.transitions.tolist()  # I-PER behind B-PER and I-PER only
    [[True, True, False], [True, True, True], [True, True, True]]
    >>> allowed.start.tolist()
    [True, True, False]

    Parameters
    ----------
    tags : names of the tags, in the order of their integers: "O", or a letter of the scheme and a type.
    scheme : "BIO" (begin, inside, outside), "BILOU" (and last, unit) or "BIOES" (the same with end, single).
    """
    return Tags(tags, scheme).allowed()


def tag_spans(
    labels: ArrayLike,
    tags: Iterable[str],
    scheme: str = "BIO",
    mask: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
    strict: bool = False,
) -> list[list[Span]]:
    """Return the spans in each row of labels.

    >>> from lstmcore.utils import tag_spans
    >>> tag_spans([[1, 2, 0, 1]], ["O", "B-PER", "I-PER"])
    [[Span(type='PER', first=0, end=2), Span(type='PER', first=3, end=4)]]

    Parameters
    ----------
    labels : (batch, steps) integers, as `layers.CRF` returns them.
    tags, scheme : as for `tag_constraints`.
    mask, lengths : (batch, steps), True where a step counts; or (batch,), how many do.
    strict : leave out spans that do not begin and end as the scheme has it. By default a stray I begins one.
    """
    known, strict = Tags(tags, scheme), flag("strict", strict)
    array = integer_array("labels", labels)
    if array.ndim != 2:
        raise ValueError(f"labels: expected shape (batch, steps), got {array.shape}")
    counts = valid_steps("", array.shape[0], array.shape[1], mask, lengths)
    found: list[list[Span]] = [[] for _ in range(len(array))]
    spans = known.spans(in_range("labels", array, counts, len(known.names)), counts, strict)
    for row, first, end, kind in zip(*(part.tolist() for part in spans), strict=True):
        found[row].append(Span(known.types[kind], first, end))
    return found


def number_and_names(where: str, tags: Any) -> tuple[int, list[str] | None]:
    """Return how many tags there are, given that or their names, and the names if they were given."""
    if not isinstance(tags, (list, tuple, np.ndarray)):
        return positive_integer(f"{where}: tags", tags), None
    names = strings(f"{where}: tags", tags)
    if not names or len(set(names)) < len(names):
        raise ValueError(f"{where}: tags: expected different names, got {names}")
    return len(names), names


def in_range(name: str, labels: Array, counts: Array, tags: int) -> Array:
    """Return labels with 0 where they do not count, after a check of those that do."""
    labels = np.where(counts, labels, 0)
    wrong = np.argwhere((labels < 0) | (labels >= tags))
    if wrong.size:
        at = tuple(map(int, wrong[0]))
        raise ValueError(f"{name}: expected numbers from 0 to {tags - 1} (tags), got {labels[at]} at {at}")
    return labels
