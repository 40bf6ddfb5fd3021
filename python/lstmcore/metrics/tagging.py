"""Precision and recall of tags, and of the spans that they stand for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .._arguments import among, flag, integer, real_array, whole_array
from .._tagging import Tags, in_range, number_and_names
from .metric import Metric

Array = NDArray[Any]

_AVERAGES = (None, "micro", "macro", "weighted")


class _TagCounts(Metric):
    """Base of what is made of three counts: those found that are right, all that are found, all that are there."""

    direction = "up"
    correct: Array
    found: Array
    there: Array

    def __init__(
        self,
        tags: int | Iterable[str],
        scheme: str | None = None,
        average: str | None = "micro",
        outside: int | str | None = None,
        ignore_class: int | None = None,
        strict: bool = False,
        name: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        kind = type(self).__name__
        self.tags, names = number_and_names(kind, tags)
        if scheme is not None and names is None:
            raise ValueError(f"{kind}: tags: expected names for the scheme {scheme!r}, got {tags!r}")
        self.scheme = None if scheme is None or names is None else Tags(names, scheme, f"{kind}: ")
        if not among(average, _AVERAGES):
            raise ValueError(f"{kind}: average: expected 'micro', 'macro', 'weighted' or None, got {average!r}")
        self.average = average
        self.outside = self._outside(kind, outside, names)
        self.ignore_class = None if ignore_class is None else integer(f"{kind}: ignore_class", ignore_class)
        self.strict = flag(f"{kind}: strict", strict)
        if self.scheme is not None:
            self.classes: list[Any] = self.scheme.types
        else:
            self.classes = list(range(self.tags)) if names is None else names
        super().__init__(name=name, dtype=dtype)

    def _outside(self, kind: str, outside: Any, names: list[str] | None) -> int | None:
        """Return the tag that is no finding."""
        if outside is None:
            return None if names is None or "O" not in names else names.index("O")
        if isinstance(outside, str):
            if names is None or outside not in names:
                raise ValueError(f"{kind}: outside: expected one of the tags, got {outside!r}")
            return names.index(outside)
        if not 0 <= integer(f"{kind}: outside", outside) < self.tags:
            raise ValueError(f"{kind}: outside: expected a tag from 0 to {self.tags - 1}, got {outside!r}")
        return int(outside)

    def initial_state(self) -> dict[str, Any]:
        """Return zeros, one for each class."""
        return {name: np.zeros(len(self.classes)) for name in ("correct", "found", "there")}

    def update_state(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Take in a batch: labels (batch, steps), tags of the same shape or a score of each, weights."""
        scores = real_array("y_pred", y_pred, "integers, or scores of tags")
        if scores.ndim == 3:
            if scores.shape[2] != self.tags:
                raise ValueError(f"y_pred: expected a score for each of {self.tags} tags, got shape {scores.shape}")
            scores = scores.argmax(-1)
        pred = whole_array("y_pred", scores)
        true = whole_array("y_true", y_true)
        if true.ndim == 3 and true.shape[2] == 1:
            true = true[..., 0]
        if true.ndim != 2 or true.shape != pred.shape:
            raise ValueError(
                f"y_true: expected shape (batch, steps), and the same of y_pred, got {np.shape(y_true)} and "
                f"{np.shape(y_pred)}"
            )
        counts, weights = self._weights(true.shape, sample_weight)
        if self.ignore_class is not None:
            counts &= true != self.ignore_class
        true = in_range("y_true", true, counts, self.tags)
        # What no path leads to has tags of -1: they are wrong, and find nothing.
        lost = counts & (pred == -1)
        pred = in_range("y_pred", pred, counts & ~lost, self.tags)
        if self.scheme is None:
            self._count_tags(true, pred, counts, counts & ~lost, weights)
        else:
            self._count_spans(self.scheme, true, pred, counts, counts & ~lost, weights)

    def _weights(self, shape: tuple[int, ...], sample_weight: ArrayLike | None) -> tuple[Array, Array]:
        """Return which steps count, and the weight of each; of spans, that of the row is that of its steps' largest."""
        counts, weights = np.ones(shape, bool), np.ones(shape)
        if sample_weight is None:
            return counts, weights
        given = real_array("sample_weight", sample_weight).astype(np.float64)
        if given.shape == shape:
            counts = given != 0
            return counts, given if self.scheme is None else np.repeat(given.max(1, initial=0.0)[:, None], shape[1], 1)
        if given.shape not in (shape[:1], (shape[0], 1)):
            raise ValueError(
                f"sample_weight: expected shape (batch={shape[0]},) or (batch={shape[0]}, steps={shape[1]}), got "
                f"{given.shape}"
            )
        return counts, np.repeat(given.reshape(-1, 1), shape[1], 1)

    def _count_tags(self, true: Array, pred: Array, counts: Array, tagged: Array, weights: Array) -> None:
        def sums(labels: Array, which: Array) -> Array:
            return np.bincount(labels[which], weights[which], minlength=self.tags).astype(np.float64)

        new = sums(true, tagged & (true == pred)), sums(pred, tagged), sums(true, counts)
        for name, part in zip(("correct", "found", "there"), new, strict=True):
            if self.outside is not None:
                part[self.outside] = 0
            setattr(self, name, getattr(self, name) + part)

    def _count_spans(
        self, scheme: Tags, true: Array, pred: Array, counts: Array, tagged: Array, weights: Array
    ) -> None:
        there, found = scheme.spans(true, counts, self.strict), scheme.spans(pred, tagged, self.strict)
        # Spans of a row do not overlap: no two begin at a step.
        end, kind = np.full(true.shape, -1), np.full(true.shape, -1)
        end[there.row, there.first], kind[there.row, there.first] = there.end, there.type
        at = found.row, found.first
        right = (end[at] == found.end) & (kind[at] == found.type)

        def sums(types: Array, rows: Array, firsts: Array) -> Array:
            return np.bincount(types, weights[rows, firsts], minlength=len(self.classes)).astype(np.float64)

        self.correct = self.correct + sums(found.type[right], found.row[right], found.first[right])
        self.found = self.found + sums(found.type, found.row, found.first)
        self.there = self.there + sums(there.type, there.row, there.first)

    def score(self, correct: Array, found: Array, there: Array) -> Array:
        """Return the metric of counts; 0 where it would be 0 / 0."""
        raise NotImplementedError

    def result(self) -> Any:
        """Return the metric: a float, or an array of one for each of `classes` if there is no average."""
        if self.average == "micro":
            return float(self.score(*(np.atleast_1d(n.sum()) for n in (self.correct, self.found, self.there)))[0])
        each = self.score(self.correct, self.found, self.there)
        if self.average is None:
            return each
        if self.average == "weighted":
            return float(_ratio((each * self.there).sum(), self.there.sum()))
        occurs = self.found + self.there > 0
        return float(each[occurs].mean()) if occurs.any() else 0.0


class TagPrecision(_TagCounts):
    """How many of the tags found, or of the spans, are right.

    >>> from lstmcore.metrics import TagPrecision
    >>> tags = ["O", "B-PER", "I-PER"]
    >>> truth, found = [[1, 2, 0, 1]], [[1, 2, 2, 1]]
    >>> TagPrecision(tags)(truth, found)  # of four tags that are not O, three are right
    0.75
    >>> TagPrecision(tags, scheme="BIO")(truth, found)  # of two spans, one
    0.5

    Batches are counted together, as if they were one. Targets are (batch, steps) integers, outputs the same, as
    `layers.CRF` returns them, or (batch, steps, tags) scores, the largest of which is taken.

    Steps are left out where a weight of shape (batch, steps) is 0, as that of a mask is while a model is trained, and
    where the target is ``ignore_class``. A weight of shape (batch,) is that of all of a row; a row of spans with
    weights for its steps weighs as much as the largest. Where a layer has found no path, its tags of -1 find nothing.

    Parameters
    ----------
    tags : how many there are, or their names in the order of their integers.
    scheme : None to look at the tags one by one; or "BIO", "BILOU" or "BIOES" to look at the spans of such names: one
        is right if its type, its first and its last step are.
    average : "micro" counts all together; "macro" is the mean over the classes that occur, "weighted" the mean by how
        often each is there; None for an array of one for each class, listed in ``classes``: tags, or types of spans.
    outside : without scheme, the tag that is no finding, by number or name; "O" by default where it is among the names.
    ignore_class : a target whose step is left out, such as -100.
    strict : leave out spans that do not begin and end as the scheme has it. By default they are read as by CoNLL's
        evaluation, and seqeval: an I that continues nothing begins a span, and any tag but its own I, or L, ends one.
    name, dtype : as for `Metric`.
    """

    def score(self, correct: Array, found: Array, there: Array) -> Array:
        """Return correct / found."""
        return _ratio(correct, found)


class TagRecall(_TagCounts):
    """How many of the tags that are there, or of the spans, are found.

    >>> from lstmcore.metrics import TagRecall
    >>> tags = ["O", "B-PER", "I-PER"]
    >>> TagRecall(tags)([[1, 2, 0, 1]], [[1, 2, 2, 1]])
    1.0
    >>> TagRecall(tags, scheme="BIO")([[1, 2, 0, 1]], [[1, 2, 2, 1]])
    0.5

    Parameters
    ----------
    tags, scheme, average, outside, ignore_class, strict, name, dtype : as for `TagPrecision`.
    """

    def score(self, correct: Array, found: Array, there: Array) -> Array:
        """Return correct / there."""
        return _ratio(correct, there)


class TagF1Score(_TagCounts):
    """2 precision recall / (precision + recall) of tags, or of spans.

    >>> from lstmcore.metrics import TagF1Score
    >>> tags = ["O", "B-PER", "I-PER"]
    >>> round(TagF1Score(tags)([[1, 2, 0, 1]], [[1, 2, 2, 1]]), 4)
    0.8571
    >>> TagF1Score(tags, scheme="BIO")([[1, 2, 0, 1]], [[1, 2, 2, 1]])
    0.5

    Parameters
    ----------
    tags, scheme, average, outside, ignore_class, strict, name, dtype : as for `TagPrecision`.
    """

    def score(self, correct: Array, found: Array, there: Array) -> Array:
        """Return 2 correct / (found + there)."""
        return _ratio(2 * correct, found + there)


def _ratio(part: Any, whole: Any) -> Array:
    return np.asarray(np.divide(part, whole, out=np.zeros(np.shape(whole)), where=np.asarray(whole) > 0))
