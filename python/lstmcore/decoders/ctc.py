"""Decoders of CTC outputs, run in the core; `lstmcore.reference` has them in plain Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from .._arguments import as_array, flag, integer, integer_array, number, one_of, positive_integer
from .ngram import NGram, texts

Array: TypeAlias = NDArray[Any]
LanguageModel: TypeAlias = Callable[[tuple[int, ...], int], float] | NGram

KINDS = ("log_probabilities", "logits", "probabilities")
SCORES = 3  # taken as they are


def greedy(
    inputs: ArrayLike,
    lengths: ArrayLike | None = None,
    *,
    blank: int = 0,
    kind: str = "logits",
    merge_repeated: bool = True,
) -> tuple[list[list[int]], Array]:
    """Take the most probable class of every step, merge repeats and drop blanks.

    >>> import numpy as np
    >>> from lstmcore import decoders
    >>> probabilities = np.array([[[0.1, 0.8, 0.1], [0.1, 0.8, 0.1], [0.8, 0.1, 0.1], [0.1, 0.8, 0.1]]])
    >>> labels, scores = decoders.greedy(probabilities, kind="probabilities")
    >>> labels, scores.round(3)
    ([[1, 1]], array([-0.893]))

    Parameters
    ----------
    inputs : (batch, steps, classes), float32 or float64, of any strides.
    lengths : (batch,), the steps of each row; what is behind is not looked at. None: all of them.
    blank : the class that stands for no label; negative ones count from the end.
    kind : what the inputs are: "logits", normalised here; "log_probabilities"; or "probabilities".
    merge_repeated : False keeps every label that is not a blank.

    Returns
    -------
    labels : a list for each row.
    scores : (batch,) float64, the log probability of the path: the sum over steps of the largest one.

    Raises
    ------
    ValueError, TypeError
        A shape, a length or a dtype does not fit; inputs are NaN or infinite, or not what ``kind`` says. The message
        names the argument, and of inputs the row and the step.

    References
    ----------
    Graves, Fernández, Gomez & Schmidhuber 2006, "Connectionist temporal classification", section 3.2.
    """
    x, n, blank = _checked(inputs, lengths, blank)
    merge_repeated = flag("merge_repeated", merge_repeated)
    return _core.ctc_greedy(x, n, blank, KINDS.index(one_of("kind", kind, KINDS)), merge_repeated)


def beam_search(
    inputs: ArrayLike,
    lengths: ArrayLike | None = None,
    *,
    blank: int = 0,
    kind: str = "logits",
    beam_width: int = 100,
    top_paths: int = 1,
    cutoff: float = -np.inf,
    lm: LanguageModel | None = None,
    alpha: float = 1.0,
    beta: float = 0.0,
    labels: Sequence[str] | None = None,
    separator: int | None = None,
) -> tuple[list[list[list[int]]], Array]:
    """Find the most probable labelings: each is the sum of all the paths that spell it.

    >>> import numpy as np
    >>> from lstmcore import decoders
    >>> probabilities = np.array([[[0.6, 0.4], [0.6, 0.4]]])  # blank, "a"
    >>> decoders.greedy(probabilities, kind="probabilities")[0]  # two blanks: 0.36
    [[]]
    >>> paths, scores = decoders.beam_search(probabilities, kind="probabilities", top_paths=2)
    >>> paths, np.exp(scores).round(2)
    ([[[1], []]], array([[0.64, 0.36]]))

    Parameters
    ----------
    inputs, lengths, blank, kind : as for `greedy`.
    beam_width : prefixes kept at every step. With as many as there are, scores are exact; with fewer, they lack the
        paths through prefixes that were dropped.
    top_paths : labelings returned for each row, at most beam_width.
    cutoff : classes whose log probability at a step is lower do not extend any prefix there, which saves time and
        calls of ``lm``. None are left out by default.
    lm : what adds ``alpha * log p(label | labels before) + beta`` to the score of a labeling for each of its labels:

        - a function of the labels before, a tuple of ints, and a label, that returns the log probability, at most 0.
          It is called once for each prefix and label of a row, and only for those that could enter the beam. Rows are
          then decoded one after the other on the calling thread.
        - an `NGram`, which needs no calls of Python. Each of ``labels`` is a token; or, with ``separator``, what stands
          between two separators is, and is scored when the second comes, or with the end. An end token that the model
          knows is scored last, without beta.
    alpha : from 0 to 1e6.
    beta : added for each label, or for each word where there is a separator: longer results. From -1e6 to 1e6. Works
        without ``lm`` too.
    labels : with an `NGram`, what each class spells: a string of classes, or a sequence of strings. That of the blank
        is not used.
    separator : with an `NGram` of words, the class that ends a word.

    Returns
    -------
    paths : for each row, a list of labelings, the best first; fewer than top_paths where there are no more.
    scores : (batch, top_paths) float64: log probability, and what ``lm`` and ``beta`` add. -inf where there is no
        path. Of equal scores, the lower labels come first.

    Raises
    ------
    ValueError, TypeError
        As for `greedy`; ``lm`` returns something else. What it raises is passed on.

    Warns
    -----
    UserWarning
        ``kind`` is "logits" and all the inputs look like probabilities.

    Notes
    -----
    The result does not depend on the number of threads.

    References
    ----------
    Graves & Jaitly 2014, "Towards end-to-end speech recognition with recurrent neural networks"; Hannun, Maas,
    Jurafsky & Ng 2014, "First-pass large vocabulary continuous speech recognition using bi-directional recurrent
    DNNs". The equations are in `lstmcore.reference.ctc_beam_search`.
    """
    x, n, blank = _checked(inputs, lengths, blank)
    classes = x.shape[2]
    kind = one_of("kind", kind, KINDS)
    beam_width, top_paths = _widths(beam_width, top_paths, x)
    cutoff = number("cutoff", cutoff, "[-inf, 0]")
    alpha, beta = number("alpha", alpha, "[0, 1e6]"), number("beta", beta, "[-1e6, 1e6]")
    table: Any = lm
    spelled: list[str] = []
    if isinstance(lm, NGram):
        table, spelled = lm._table, _spelled(labels, classes)
    elif lm is not None and not callable(lm):
        raise TypeError(f"lm: expected a function, an NGram or None, got {lm!r}")
    elif labels is not None or separator is not None:
        given = "labels" if labels is not None else "separator"
        raise ValueError(f"{given}: is for an NGram as lm, got lm={lm!r}")
    if separator is not None:
        separator = _class("separator", separator, classes)
        if separator == blank:
            raise ValueError(f"separator: expected another class than the blank, got {separator}")
    at = -1 if separator is None else separator
    return _core.ctc_beam_search(
        x, n, blank, KINDS.index(kind), beam_width, top_paths, cutoff, table, alpha, beta, spelled, at
    )


def ctc_decode(
    inputs: ArrayLike,
    sequence_lengths: ArrayLike,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int | None = 0,
) -> tuple[Array, Array]:
    """Decode as ``keras.ops.ctc_decode`` does, into arrays.

    >>> import numpy as np
    >>> from lstmcore import decoders
    >>> decoded, scores = decoders.ctc_decode(np.log([[[0.2, 0.8], [0.7, 0.3], [0.1, 0.9]]]), [3])
    >>> decoded, decoded.shape, scores.shape
    (array([[[ 1,  1, -1]]], dtype=int32), (1, 1, 3), (1, 1))

    Parameters
    ----------
    inputs : (batch, steps, classes) logits, float32 or float64.
    sequence_lengths : (batch,)
    strategy : "greedy" or "beam_search".
    beam_width, top_paths : for "beam_search"; see `beam_search`.
    merge_repeated : for "greedy", as in Keras: a beam search always merges.
    mask_index : the blank; None is the last class, as negative numbers count from the end.

    Returns
    -------
    decoded : (top_paths, batch, steps) int32, padded with -1; top_paths is 1 for "greedy".
    scores : of ``inputs``' dtype. For "greedy" (batch, 1), minus the sum of the largest logits, not normalised, as in
        Keras. For "beam_search" (batch, top_paths), log probabilities; -inf where there are fewer labelings.

    Raises
    ------
    ValueError, TypeError
        As for `beam_search`.
    """
    x, n, blank = _checked(inputs, sequence_lengths, -1 if mask_index is None else mask_index, "sequence_lengths")
    merge_repeated = flag("merge_repeated", merge_repeated)
    batch, steps = x.shape[:2]
    if one_of("strategy", strategy, ("greedy", "beam_search")) == "greedy":
        labels, sums = _core.ctc_greedy(x, n, blank, SCORES, merge_repeated)
        paths, scores = [[row] for row in labels], 0.0 - sums[:, None]
        top_paths = 1
    else:
        beam_width, top_paths = _widths(beam_width, top_paths, x)
        logits = KINDS.index("logits")
        paths, scores = _core.ctc_beam_search(
            x, n, blank, logits, beam_width, top_paths, -np.inf, None, 0.0, 0.0, [], -1
        )
    decoded = np.full((top_paths, batch, steps), -1, np.int32)
    for b, found in enumerate(paths):
        for k, path in enumerate(found):
            decoded[k, b, : len(path)] = path
    return decoded, scores.astype(x.dtype)


# --- arguments ---


def _checked(
    inputs: ArrayLike, lengths: ArrayLike | None, blank: int, name: str = "lengths"
) -> tuple[Array, Array, int]:
    """Return contiguous inputs, lengths as int64, and the blank from 0 on."""
    x = as_array("inputs", inputs)
    native = x.dtype.newbyteorder("=")
    if native not in (np.float32, np.float64):
        raise TypeError(f"inputs: expected dtype float32 or float64, got {x.dtype}")
    if x.ndim != 3 or x.shape[2] == 0:
        raise ValueError(f"inputs: expected shape (batch, steps, classes), got {x.shape}")
    batch, steps, classes = x.shape
    n = np.full(batch, steps) if lengths is None else integer_array(name, lengths)
    if n.shape != (batch,):
        raise ValueError(f"{name}: expected shape (batch={batch},), got {n.shape}")
    wrong = np.flatnonzero((n < 0) | (n > steps))
    if wrong.size:
        raise ValueError(f"{name}: expected numbers from 0 to {steps} (steps), got {n[wrong[0]]} at {wrong[0]}")
    return np.ascontiguousarray(x, native), n.astype(np.int64), _class("blank", blank, classes)


def _class(name: str, value: Any, classes: int) -> int:
    """Return the index of a class from 0 on."""
    given = integer(name, value)
    if not -classes <= given < classes:
        raise ValueError(f"{name}: expected a class from {-classes} to {classes - 1}, got {given}")
    return given % classes


def _widths(beam_width: Any, top_paths: Any, inputs: Array) -> tuple[int, int]:
    beam_width, top_paths = positive_integer("beam_width", beam_width), positive_integer("top_paths", top_paths)
    if top_paths > beam_width:
        raise ValueError(f"top_paths: expected at most {beam_width} (beam_width), got {top_paths}")
    most = int(2e9) // (max(inputs.shape[1:]) + 1)
    if beam_width > most:
        raise ValueError(f"beam_width: expected at most {most} for inputs of shape {inputs.shape}, got {beam_width}")
    return beam_width, top_paths


def _spelled(labels: Any, classes: int) -> list[str]:
    if labels is None:
        raise ValueError(f"labels: an NGram needs them: what each of the {classes} classes spells")
    if not isinstance(labels, Iterable):
        raise TypeError(f"labels: expected a sequence of strings, got {labels!r}")
    found = texts("labels", labels)
    if len(found) != classes:
        raise ValueError(f"labels: expected {classes}, one for each class, got {len(found)}")
    return found
