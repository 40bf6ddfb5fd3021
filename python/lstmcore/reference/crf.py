"""Linear-chain conditional random fields, from the equations of Lafferty, McCallum & Pereira 2001."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .activations import Array


class CRFGradients(NamedTuple):
    """The derivatives by what scores a row's tags: one of each for every row.

    Attributes
    ----------
    emissions : (batch, steps, tags)
    transitions : (batch, tags, tags)
    start, end : (batch, tags)
    """

    emissions: Array
    transitions: Array
    start: Array
    end: Array


def _log_sum(x: Array) -> Array:
    """ln Σ e^x over the first axis, of what may be -inf"""
    largest = np.max(x, axis=0)
    shift = np.where(np.isfinite(largest), largest, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(shift + np.log(np.exp(x - shift).sum(axis=0)))


def _score(emissions: Array, path: Array, transitions: Array, start: Array, end: Array) -> float:
    """start + transitions + emissions + end along a path"""
    if not len(path):
        return 0.0
    along = emissions[np.arange(len(path)), path].sum() + transitions[path[:-1], path[1:]].sum()
    return float(start[path[0]] + along + end[path[-1]])


def _forward(emissions: Array, transitions: Array, start: Array) -> Array:
    """alpha[t, j] = ln of the sum over the paths to t that end in j, the exponential of their scores"""
    alpha = np.empty(emissions.shape)
    alpha[0] = start + emissions[0]
    for t in range(1, len(emissions)):
        alpha[t] = _log_sum(alpha[t - 1][:, None] + transitions) + emissions[t]
    return alpha


def _backward(emissions: Array, transitions: Array, end: Array) -> Array:
    """beta[t, i] = the same for the paths behind t, where they come from i"""
    beta = np.empty(emissions.shape)
    beta[-1] = end
    for t in range(len(emissions) - 2, -1, -1):
        beta[t] = _log_sum((transitions + emissions[t + 1] + beta[t + 1]).T)
    return beta


def _arrays(
    emissions: ArrayLike,
    transitions: ArrayLike,
    start: ArrayLike | None,
    end: ArrayLike | None,
    lengths: ArrayLike | None,
) -> tuple[Array, Array, Array, Array, NDArray[np.int64]]:
    x = np.asarray(emissions, np.float64)
    tags = x.shape[2]
    start, end = (np.zeros(tags) if v is None else np.asarray(v, np.float64) for v in (start, end))
    steps = np.full(len(x), x.shape[1]) if lengths is None else np.asarray(lengths)
    return x, np.asarray(transitions, np.float64), start, end, steps


def _expected(emissions: Array, transitions: Array, start: Array, end: Array) -> tuple[float, CRFGradients]:
    """Return ln Z, and its derivatives: how often each tag and each pair of tags is expected."""
    steps, tags = emissions.shape
    counts = CRFGradients(np.zeros((steps, tags)), np.zeros((tags, tags)), np.zeros(tags), np.zeros(tags))
    if not steps:
        return 0.0, counts
    alpha, beta = _forward(emissions, transitions, start), _backward(emissions, transitions, end)
    log_z = float(_log_sum(alpha[-1] + end))
    if log_z == -np.inf:
        for array in counts:
            array.fill(np.nan)
        return log_z, counts
    counts.emissions[:] = np.exp(alpha + beta - log_z)
    for t in range(1, steps):
        counts.transitions[:] += np.exp(alpha[t - 1][:, None] + transitions + emissions[t] + beta[t] - log_z)
    counts.start[:], counts.end[:] = counts.emissions[0], counts.emissions[-1]
    return log_z, counts


def crf_loss_and_gradient(
    emissions: ArrayLike,
    labels: ArrayLike,
    transitions: ArrayLike,
    start: ArrayLike | None = None,
    end: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
) -> tuple[Array, CRFGradients]:
    """Return -ln p of each row's labels (batch,), and its derivatives: expected counts minus observed ones.

    ::

        score(y) = start[y_0] + sum over t of emissions[t, y_t] + sum over t of transitions[y_t-1, y_t] + end[y_last]
        p(y) = exp(score(y)) / Z,   Z = sum over all paths of exp(score(path))

    Where the labels are impossible, p is 0: the loss is inf and has no gradient (NaN).
    """
    x, a, start, end, counts = _arrays(emissions, transitions, start, end, lengths)
    batch, _, tags = x.shape
    losses = np.zeros(batch)
    d = CRFGradients(np.zeros(x.shape), np.zeros((batch, tags, tags)), np.zeros((batch, tags)), np.zeros((batch, tags)))
    for b, steps in enumerate(counts):
        path = np.asarray(labels)[b, :steps]
        score = _score(x[b, :steps], path, a, start, end)
        log_z, expected = _expected(x[b, :steps], a, start, end)
        possible = score > -np.inf and log_z > -np.inf
        losses[b] = log_z - score if possible else np.inf
        d.emissions[b, :steps] = expected.emissions
        d.transitions[b], d.start[b], d.end[b] = expected.transitions, expected.start, expected.end
        if steps:
            d.emissions[b, np.arange(steps), path] -= 1
            np.subtract.at(d.transitions[b], (path[:-1], path[1:]), 1)
            d.start[b, path[0]] -= 1
            d.end[b, path[-1]] -= 1
        if not possible:
            for part in (d.emissions[b, :steps], d.transitions[b], d.start[b], d.end[b]):
                part.fill(np.nan)
    return losses, d


def crf_loss(
    emissions: ArrayLike,
    labels: ArrayLike,
    transitions: ArrayLike,
    start: ArrayLike | None = None,
    end: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
) -> Array:
    """Return the losses of `crf_loss_and_gradient`."""
    return crf_loss_and_gradient(emissions, labels, transitions, start, end, lengths)[0]


def crf_marginals(
    emissions: ArrayLike,
    transitions: ArrayLike,
    start: ArrayLike | None = None,
    end: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
) -> Array:
    """Return the probability of each tag at each step (batch, steps, tags); NaN where no path is possible."""
    x, a, start, end, counts = _arrays(emissions, transitions, start, end, lengths)
    marginals = np.zeros(x.shape)
    for b, steps in enumerate(counts):
        marginals[b, :steps] = _expected(x[b, :steps], a, start, end)[1].emissions
    return marginals


def crf_decode(
    emissions: ArrayLike,
    transitions: ArrayLike,
    start: ArrayLike | None = None,
    end: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
) -> tuple[NDArray[np.int64], Array]:
    """Return the path of the largest score (batch, steps), and that score (batch,): Viterbi 1967.

    Of equal ones the lower tag wins, from the end on. Steps that do not count have tag 0; where no path is possible,
    all tags are -1 and the score is -inf.
    """
    x, a, start, end, counts = _arrays(emissions, transitions, start, end, lengths)
    paths, scores = np.zeros(x.shape[:2], np.int64), np.zeros(len(x))
    for b, steps in enumerate(counts):
        if not steps:
            continue
        best = start + x[b, 0]
        before = np.zeros((steps, x.shape[2]), np.int64)
        for t in range(1, steps):
            candidates = best[:, None] + a
            before[t] = candidates.argmax(axis=0)
            best = candidates.max(axis=0) + x[b, t]
        scores[b] = (best + end).max()
        if scores[b] == -np.inf:
            paths[b, :steps] = -1
            continue
        paths[b, steps - 1] = (best + end).argmax()
        for t in range(steps - 1, 0, -1):
            paths[b, t - 1] = before[t, paths[b, t]]
    return paths, scores
