"""Connectionist temporal classification, from the equations of Graves, Fernández, Gomez & Schmidhuber 2006."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .activations import Array


def _log_sum(*terms: float) -> float:
    """ln Σ e^term, of terms that may be -inf"""
    largest = max(terms)
    if largest == -np.inf:
        return -np.inf
    return float(largest + np.log(sum(np.exp(term - largest) for term in terms)))


def _forward(y: Array, states: list[int], blank: int) -> Array:
    """ln α[t, s]: paths up to t that end in state s (equations 5 to 7), y[t, k] = ln of the probability of k."""
    alpha = np.full((len(y), len(states)), -np.inf)
    for t in range(len(y)):
        for s, k in enumerate(states):
            if t == 0:
                before = 0.0 if s < 2 else -np.inf
            else:
                before = _log_sum(alpha[t - 1, s], alpha[t - 1, s - 1] if s > 0 else -np.inf)
                if s > 1 and k not in (blank, states[s - 2]):  # a blank may be left out between two different labels
                    before = _log_sum(before, alpha[t - 1, s - 2])
            alpha[t, s] = before + y[t, k]
    return alpha


def _row(y: Array, labels: list[int], blank: int) -> tuple[float, Array]:
    """Return ln p of the labels, and the part of p that is in class k at step t (equation 14 over p)."""
    states = [blank]
    for label in labels:
        states += [label, blank]
    if len(y) == 0:
        return (0.0 if not labels else -np.inf), np.zeros(y.shape)
    alpha = _forward(y, states, blank)
    beta = _forward(y[::-1], states[::-1], blank)[::-1, ::-1]  # equations 9 to 11 are the same from the other end
    log_p = _log_sum(*alpha[-1, -2:])
    part = np.zeros(y.shape)
    if log_p > -np.inf:
        for t in range(len(y)):
            for s, k in enumerate(states):
                if alpha[t, s] > -np.inf and beta[t, s] > -np.inf:  # both count y[t, k], which is once too many
                    part[t, k] += np.exp(alpha[t, s] + beta[t, s] - y[t, k] - log_p)
    return log_p, part


def ctc_loss_and_gradient(
    inputs: ArrayLike,
    labels: ArrayLike,
    input_lengths: ArrayLike,
    label_lengths: ArrayLike,
    *,
    blank: int = 0,
    from_logits: bool = True,
    zero_infinity: bool = False,
) -> tuple[Array, Array]:
    """Return -ln p of each row's labels (batch,), and its derivatives by the inputs (batch, steps, classes)::

        y = softmax(inputs), or exp(inputs) of log-probabilities
        p = sum over the paths that spell the labels of prod over t of y[t, path[t]]
        d -ln p / d inputs[t, k] = y[t, k] - (part of p whose paths are in k at t) / p

    By log-probabilities it is the same, as in PyTorch: that of the logits which they are the log-softmax of. Where no
    path is long enough, p is 0: the loss is inf and has no gradient (NaN), or both are zero with ``zero_infinity``.
    """
    x, every_label = np.asarray(inputs, np.float64), np.asarray(labels)
    losses, gradient = np.zeros(len(x)), np.zeros(x.shape)
    for b, (steps, count) in enumerate(zip(np.asarray(input_lengths), np.asarray(label_lengths), strict=True)):
        y = x[b, :steps]
        if from_logits:
            y = y - y.max(-1, keepdims=True)
            y = y - np.log(np.exp(y).sum(-1, keepdims=True))
        log_p, part = _row(y, [int(label) for label in every_label[b, :count]], blank)
        if log_p == -np.inf:
            losses[b] = 0 if zero_infinity else np.inf
            gradient[b, :steps] = 0 if zero_infinity else np.nan
        else:
            losses[b] = -log_p
            gradient[b, :steps] = np.exp(y) - part
    return losses, gradient


def ctc_loss(
    inputs: ArrayLike,
    labels: ArrayLike,
    input_lengths: ArrayLike,
    label_lengths: ArrayLike,
    *,
    blank: int = 0,
    from_logits: bool = True,
    zero_infinity: bool = False,
) -> Array:
    """Return the losses of `ctc_loss_and_gradient`."""
    return ctc_loss_and_gradient(
        inputs,
        labels,
        input_lengths,
        label_lengths,
        blank=blank,
        from_logits=from_logits,
        zero_infinity=zero_infinity,
    )[0]
