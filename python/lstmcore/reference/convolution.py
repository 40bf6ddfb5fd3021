"""Convolution over the steps of sequences, from the equation."""

from __future__ import annotations

import numpy as np

from .activations import Array


def _padding(steps: int, kernel_size: int, strides: int, dilation_rate: int, padding: str) -> tuple[int, int]:
    """How many steps of zeros stand before and behind the sequence."""
    span = (kernel_size - 1) * dilation_rate + 1
    if padding == "causal":
        return span - 1, 0
    if padding == "same":  # TensorFlow's: ceil(steps / strides) windows; an odd step of padding goes behind
        windows = int(np.ceil(steps / strides))
        total = max((windows - 1) * strides + span - steps, 0)
        return total // 2, total - total // 2
    return 0, 0


def conv1d(
    inputs: Array,
    kernel: Array,
    bias: Array | None = None,
    *,
    strides: int = 1,
    padding: str = "valid",
    dilation_rate: int = 1,
    groups: int = 1,
) -> Array:
    """Return y (batch, windows, filters) for x (batch, steps, channels), W (kernel_size, channels, filters), b::

        y[t] = b + sum over j of x[t * strides + j * dilation_rate - before] W[j]

    with x zero outside of the sequence. With groups, each part of the filters sees its part of the channels only, and
    W is (kernel_size, channels / groups, filters).
    """
    if groups > 1:
        parts = zip(np.split(inputs, groups, axis=2), np.split(kernel, groups, axis=2), strict=True)
        y = np.concatenate(
            [conv1d(x, w, strides=strides, padding=padding, dilation_rate=dilation_rate) for x, w in parts], axis=2
        )
        return y if bias is None else np.asarray(y + bias)
    (batch, steps, _), (kernel_size, _, filters) = inputs.shape, kernel.shape
    before, behind = _padding(steps, kernel_size, strides, dilation_rate, padding)
    x = np.pad(inputs, ((0, 0), (before, behind), (0, 0)))
    windows = (x.shape[1] - (kernel_size - 1) * dilation_rate - 1) // strides + 1
    y = np.zeros((batch, windows, filters), inputs.dtype)
    for t in range(windows):
        for j in range(kernel_size):
            y[:, t] += x[:, t * strides + j * dilation_rate] @ kernel[j]
    return y if bias is None else np.asarray(y + bias)


def conv1d_backward(
    inputs: Array,
    kernel: Array,
    d_outputs: Array,
    *,
    strides: int = 1,
    padding: str = "valid",
    dilation_rate: int = 1,
    groups: int = 1,
) -> tuple[Array, Array, Array]:
    """Return the gradients of the inputs, the kernel and the bias from that of the outputs.

    ::

        dx[t * strides + j * dilation_rate - before] += dy[t] W[j]^T
        dW[j] = sum over t of x[t * strides + j * dilation_rate - before]^T dy[t]    db = sum over t of dy[t]
    """
    if groups > 1:
        each = [np.split(array, groups, axis=2) for array in (inputs, kernel, d_outputs)]
        options = {"strides": strides, "padding": padding, "dilation_rate": dilation_rate}
        gradients = [conv1d_backward(*arrays, **options) for arrays in zip(*each, strict=True)]  # type: ignore[arg-type]
        dx, d_kernel, d_bias = (np.concatenate(parts, axis=-1) for parts in zip(*gradients, strict=True))
        return dx, d_kernel, d_bias
    steps, kernel_size = inputs.shape[1], len(kernel)
    before, behind = _padding(steps, kernel_size, strides, dilation_rate, padding)
    x = np.pad(inputs, ((0, 0), (before, behind), (0, 0)))
    dx, d_kernel = np.zeros_like(x), np.zeros_like(kernel)
    for t in range(d_outputs.shape[1]):
        for j in range(kernel_size):
            place = t * strides + j * dilation_rate
            dx[:, place] += d_outputs[:, t] @ kernel[j].T
            d_kernel[j] += x[:, place].T @ d_outputs[:, t]
    return dx[:, before : before + steps], d_kernel, d_outputs.sum(axis=(0, 1))
