"""Edits between what was said and what was understood: Levenshtein's distance, and the error rates made of it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .. import _core
from .._arguments import integer, items, real_array
from ..decoders.ctc import SCORES
from .metric import Metric

Array: TypeAlias = NDArray[Any]
Tokens: TypeAlias = str | Sequence[Hashable] | Array


class Edits(NamedTuple):
    """The fewest edits that make one sequence of another, and of which kinds they are."""

    distance: int
    substitutions: int
    insertions: int
    deletions: int


def edit_distance(a: Tokens, b: Tokens) -> Edits:
    """Return the fewest substitutions, insertions and deletions that make ``b`` of ``a`` (Levenshtein 1966).

    >>> from lstmcore.metrics import edit_distance
    >>> edit_distance("kitten", "sitting")
    Edits(distance=3, substitutions=2, insertions=1, deletions=0)
    >>> edit_distance([1, 2, 3], [1, 3]).distance
    1

    Parameters
    ----------
    a, b : strings, or sequences of anything that can be a key of a dict: integers, words. Time grows with the product
        of their lengths, memory with the length of ``b``.

    Notes
    -----
    Of ways with equally few edits, those with the most substitutions are counted.
    """
    counts = _counts([_tokens("a", a)], [_tokens("b", b)])[0].tolist()
    return Edits(sum(counts), *counts)


def character_error_rate(references: Any, hypotheses: Any) -> float:
    """Return the edits that make the hypotheses of the references, over the characters of the references.

    >>> from lstmcore.metrics import character_error_rate
    >>> character_error_rate(["four", "nine"], ["for", "nine"])
    0.125

    Parameters
    ----------
    references, hypotheses : equally many strings or sequences of labels; or a string each.

    Returns
    -------
    Over all of them together, and so not the mean of their rates; more than 1 if there are more edits than
    characters. Without any characters 0, or infinity if the hypotheses have some.
    """
    return _rate(*_both(references, hypotheses, words=False))


def word_error_rate(references: Any, hypotheses: Any) -> float:
    """Return the same for words: strings are split at white space, other sequences are of words already.

    >>> from lstmcore.metrics import word_error_rate
    >>> word_error_rate(["one two three"], ["one tow three"])
    0.3333333333333333
    """
    return _rate(*_both(references, hypotheses, words=True))


class CharacterErrorRate(Metric):
    """The character error rate of a network trained with CTC, decoded greedily.

    >>> import numpy as np
    >>> from lstmcore.metrics import CharacterErrorRate
    >>> metric = CharacterErrorRate()
    >>> outputs = np.eye(4)[[[1, 1, 0, 2, 2]]]  # (batch, steps, classes); says 1 2
    >>> metric([[1, 2, 3, 0]], outputs)  # (batch, labels); 1 2 3, and padding
    0.3333333333333333

    ``y_true`` is (batch, labels), whole numbers; ``y_pred`` (batch, steps, classes) logits, log probabilities or
    probabilities, whose order alone counts; NaN counts as the least.

    A metric is told of padded frames by ``sample_weight`` alone. One of shape (batch, steps) is the frames' mask: those
    of weight 0 are left out as if they were not there, and the row weighs as much as its largest weight, so that a row
    without frames does not count. Otherwise it is (batch,), a weight for each row, and all its frames count. While a
    model is trained, the mask of its last layer comes so.

    Parameters
    ----------
    blank : the class that stands for no label; negative ones count from the end.
    padding : what ``y_true`` is filled up with; the blank by default, as in Keras. Negative numbers are padding too.
    name, dtype : as for `Metric`.
    """

    direction = "down"
    edits: float
    length: float

    def __init__(
        self, blank: int = 0, padding: int | None = None, name: str | None = None, dtype: DTypeLike | None = None
    ) -> None:
        self.blank = integer("CharacterErrorRate: blank", blank)
        self.padding = None if padding is None else integer("CharacterErrorRate: padding", padding)
        super().__init__(name=name, dtype=dtype)

    def initial_state(self) -> dict[str, Any]:
        """Return no edits of nothing."""
        return {"edits": 0.0, "length": 0.0}

    def update_state(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Take in a batch."""
        pred = real_array("y_pred", y_pred)
        if pred.ndim != 3 or pred.shape[2] == 0:
            raise ValueError(f"y_pred: expected shape (batch, steps, classes), got {pred.shape}")
        batch, steps, classes = pred.shape
        if not -classes <= self.blank < classes:
            raise ValueError(f"blank: expected a class from {-classes} to {classes - 1}, got {self.blank}")
        blank = self.blank % classes
        references = self._references(y_true, batch, classes, blank)
        pred = np.ascontiguousarray(pred, np.float32 if pred.dtype == np.float32 else np.float64)
        if np.isnan(pred).any():
            pred = np.where(np.isnan(pred), pred.dtype.type(-np.inf), pred)
        lengths, weights = np.full(batch, steps), np.ones(batch)
        if sample_weight is not None:
            given = real_array("sample_weight", sample_weight)
            if given.shape == (batch, steps):
                counts = given != 0
                lengths = counts.sum(1)
                if (counts != (np.arange(steps) < lengths[:, None])).any():  # frames that count to the front
                    order = np.argsort(~counts, axis=1, kind="stable")
                    pred = np.take_along_axis(pred, order[..., None], 1)
                weights = given.max(1, initial=0.0).astype(np.float64)
            elif given.shape in ((batch,), (batch, 1)):
                weights = given.reshape(batch).astype(np.float64)
            else:
                raise ValueError(
                    f"sample_weight: expected shape (batch={batch},) or (batch={batch}, steps={steps}), "
                    f"got {given.shape}"
                )
        hypotheses, _ = _core.ctc_greedy(pred, lengths, blank, SCORES, True)
        edits = _counts(references, [np.array(h, np.int64) for h in hypotheses]).sum(1)
        self.edits += float((weights * edits).sum())
        self.length += float((weights * [len(r) for r in references]).sum())

    def _references(self, y_true: ArrayLike, batch: int, classes: int, blank: int) -> list[Array]:
        true = real_array("y_true", y_true, "integers")
        if true.dtype.kind == "b":
            raise TypeError(f"y_true: expected integers, got {true.dtype}")
        if true.ndim != 2 or len(true) != batch:
            raise ValueError(f"y_true: expected shape (batch={batch}, labels), got {true.shape}")
        if true.dtype.kind == "f" and not (np.isfinite(true) & (true == np.floor(true))).all():
            raise ValueError("y_true: expected whole numbers")
        labels = (true >= 0) & (true != (blank if self.padding is None else self.padding))
        wrong = labels & ((true >= classes) | (true == blank))
        if wrong.any():
            raise ValueError(
                f"y_true: expected labels from 0 to {classes - 1} other than the blank, {blank}, got {true[wrong][0]}"
            )
        return [row[counts].astype(np.int64) for row, counts in zip(true, labels, strict=True)]

    def result(self) -> float:
        """Return edits over labels; see `character_error_rate`."""
        return _ratio(self.edits, self.length)


# --- what they share ---


def _tokens(name: str, value: Any) -> list[Hashable]:
    if isinstance(value, np.ndarray):
        value = value.tolist() if value.ndim == 1 else None
    if not isinstance(value, Sequence) or isinstance(value, bytes):
        raise TypeError(f"{name}: expected a string or a sequence, got {value!r}")
    tokens = list(value)
    try:
        hash(tuple(tokens))
    except TypeError:
        raise TypeError(f"{name}: expected tokens that can be keys of a dict, got {value!r}") from None
    return tokens


def _both(references: Any, hypotheses: Any, words: bool) -> tuple[list[list[Hashable]], list[list[Hashable]]]:
    found = []
    for name, given in (("references", references), ("hypotheses", hypotheses)):
        if isinstance(given, str):
            given = [given]
        given = items(name, given, "strings or sequences")
        found.append([_tokens(name, one.split() if words and isinstance(one, str) else one) for one in given])
    if len(found[0]) != len(found[1]):
        raise ValueError(f"hypotheses: expected {len(found[0])}, as many as references, got {len(found[1])}")
    return found[0], found[1]


def _counts(references: Sequence[Any], hypotheses: Sequence[Any]) -> Array:
    """Return (pairs, 3): substitutions, insertions, deletions. Equal tokens get equal numbers."""
    numbers: dict[Hashable, int] = {}
    flat = []
    for side in (references, hypotheses):
        first = np.cumsum([0, *map(len, side)], dtype=np.int64)
        if side and isinstance(side[0], np.ndarray):
            flat += [np.concatenate(side), first]
        else:
            ids = [numbers.setdefault(token, len(numbers)) for tokens in side for token in tokens]
            flat += [np.array(ids, np.int64), first]
    return _core.edit_counts(*flat)


def _ratio(edits: float, length: float) -> float:
    if length == 0:
        return float("inf") if edits else 0.0
    return edits / length


def _rate(references: list[list[Hashable]], hypotheses: list[list[Hashable]]) -> float:
    return _ratio(float(_counts(references, hypotheses).sum()), float(sum(map(len, references))))
