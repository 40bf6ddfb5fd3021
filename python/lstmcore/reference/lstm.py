"""The LSTM, equation by equation. Same names and order as src/cpp/kernels/cells/lstm.hpp."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .activations import sigmoid

Array: TypeAlias = NDArray[Any]


class Cache(NamedTuple):
    """What `lstm_backward` needs of a forward pass; steps come first in the saved arrays."""

    inputs: Array
    weights: list[Array]
    h: Array  # (steps + 1, batch, units), h[0] the initial state
    c: Array
    gates: list[tuple[Array, Array, Array, Array]]  # i, f, g, o of every step
    return_sequences: bool
    has_state: bool


def lstm(
    inputs: Array,
    weights: Sequence[Array],
    initial_state: Sequence[Array] | None = None,
    *,
    return_sequences: bool = True,
    training: bool = False,
    out: Array | None = None,
) -> Any:
    """`lstmcore.functional.lstm` in NumPy; see there for shapes."""
    kernel, recurrent_kernel, *bias = weights
    batch, steps, _ = inputs.shape
    units = recurrent_kernel.shape[0]
    h = np.zeros((steps + 1, batch, units), inputs.dtype)
    c = np.zeros_like(h)
    if initial_state is not None:
        h[0], c[0] = initial_state
    gates = []
    for t in range(steps):
        pre = inputs[:, t] @ kernel + h[t] @ recurrent_kernel
        if bias:
            pre = pre + bias[0]
        i, f, g, o = np.split(pre, 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c[t + 1] = f * c[t] + i * g
        h[t + 1] = o * np.tanh(c[t + 1])
        gates.append((i, f, g, o))
    outputs = h[1:].transpose(1, 0, 2) if return_sequences else h[-1]
    if out is not None:
        out[...] = outputs
        outputs = out
    state = (h[-1], c[-1])
    if training:
        return outputs, state, Cache(inputs, list(weights), h, c, gates, return_sequences, initial_state is not None)
    return outputs, state


def lstm_backward(
    cache: Cache,
    d_outputs: Array | None = None,
    d_state: Sequence[Array | None] | None = None,
    *,
    d_weights: Sequence[Array] | None = None,
    need_d_inputs: bool = True,
) -> Any:
    """`lstmcore.functional.lstm_backward` in NumPy.

    With dpre the gradients of the pre-activations of a step::

        do = dh tanh(c)        dc += dh o (1 - tanh(c)^2)
        di = dc g   df = dc c_prev   dg = dc i   dc_prev = dc f
        dW = x^T dpre   dR = h_prev^T dpre   db = sum dpre   dx = dpre W^T   dh_prev = dpre R^T
    """
    kernel, recurrent_kernel = cache.weights[:2]
    batch, steps, _ = cache.inputs.shape
    dtype = cache.inputs.dtype
    d_kernel, d_recurrent_kernel, *d_bias = d_weights or [np.zeros_like(w) for w in cache.weights]
    d_inputs = np.zeros(cache.inputs.shape, dtype)
    dh = np.zeros((batch, recurrent_kernel.shape[0]), dtype)
    dc = np.zeros_like(dh)
    if d_state is not None:
        dh = dh if d_state[0] is None else dh + d_state[0]
        dc = dc if d_state[1] is None else dc + d_state[1]
    if d_outputs is not None and not cache.return_sequences:
        dh = dh + d_outputs
    for t in reversed(range(steps)):
        if d_outputs is not None and cache.return_sequences:
            dh = dh + d_outputs[:, t]
        i, f, g, o = cache.gates[t]
        c_prev, tanh_c = cache.c[t], np.tanh(cache.c[t + 1])
        do = dh * tanh_c
        dc = dc + dh * o * (1 - tanh_c**2)
        di, df, dg = dc * g, dc * c_prev, dc * i
        dpre = np.concatenate([di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)], axis=1)
        dc = dc * f
        d_kernel += cache.inputs[:, t].T @ dpre
        d_recurrent_kernel += cache.h[t].T @ dpre
        for d in d_bias:
            d += dpre.sum(0)
        d_inputs[:, t] = dpre @ kernel.T
        dh = dpre @ recurrent_kernel.T
    gradients = (d_kernel, d_recurrent_kernel, *d_bias)
    return d_inputs if need_d_inputs else None, gradients, (dh, dc) if cache.has_state else None
