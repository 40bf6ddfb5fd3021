"""A layer as one operator of `torch.library`: what torch.compile, torch.export and dispatch modes see.

An operator's results are tensors, so what the core keeps for the backward pass has no way from one operator to the
other: the backward operator runs the forward pass again. Eager calls do not come here; see `gradients`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .passes import Layer, go_back, run
from .weights import MODES, pack_directions

_FLAGS = "str mode, bool bias, bool batch_first, bool outputs_batch_first"
_INPUTS = f"Tensor x, Tensor? h, Tensor? c, Tensor[] weights, {_FLAGS}"


def _layer(weights: list[Tensor], mode: str, bias: bool, batch_first: bool, outputs_batch_first: bool) -> Layer:
    if (mode, bias) not in MODES:
        names = ", ".join(dict.fromkeys(name for name, _ in MODES))
        raise ValueError(f"mode: expected one of {names}, got {mode!r}")
    layer = Layer(MODES[mode, bias], batch_first, outputs_batch_first)
    count = layer.mode.weights
    if len(weights) not in (count, 2 * count):
        raise ValueError(
            f"weights: expected {count} tensors for each of one or two directions, for {mode} with bias={bias}, "
            f"got {len(weights)}"
        )
    return layer


def _sizes(x: Tensor, weights: list[Tensor], layer: Layer) -> tuple[Any, Any, int, int, int]:
    """Return batch, steps, directions, and the widths of h and c."""
    batch, steps = x.shape[:2] if layer.batch_first else (x.shape[1], x.shape[0])
    recurrent = weights[1]
    units = recurrent.shape[0] // (1 if layer.mode.name.startswith("RNN") else 3 if layer.mode.name == "GRU" else 4)
    return batch, steps, len(weights) // layer.mode.weights, recurrent.shape[1], units


@torch.library.custom_op(
    "lstmcore::recurrent", mutates_args=(), device_types="cpu", schema=f"({_INPUTS}) -> (Tensor, Tensor, Tensor)"
)
def recurrent(x: Tensor, h: Any, c: Any, weights: list[Tensor], *flags: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Return outputs, the last h and the last c, which is empty where the cell has none."""
    layer = _layer(weights, *flags)
    (outputs, *last), _ = run(layer, pack_directions(layer.mode, weights, False), x, h, c, False)
    return outputs, last[0], last[1] if len(last) == 2 else x.new_empty(0)


@recurrent.register_fake
def _(x: Tensor, h: Any, c: Any, weights: list[Tensor], *flags: Any) -> tuple[Tensor, Tensor, Tensor]:
    layer = _layer(weights, *flags)
    batch, steps, directions, width, units = _sizes(x, weights, layer)
    shape = (batch, steps) if layer.outputs_batch_first else (steps, batch)
    last_c = x.new_empty((directions, batch, units) if layer.mode.has_c else 0)
    return x.new_empty((*shape, directions * width)), x.new_empty((directions, batch, width)), last_c


@torch.library.custom_op(
    "lstmcore::recurrent_backward",
    mutates_args=(),
    device_types="cpu",
    schema=f"(Tensor? d_outputs, Tensor? d_h, Tensor? d_c, {_INPUTS}) -> Tensor[]",
)
def recurrent_backward(
    d_outputs: Any, d_h: Any, d_c: Any, x: Tensor, h: Any, c: Any, weights: list[Tensor], *flags: Any
) -> list[Tensor]:
    """Return the gradients of x, h, c (empty where these are absent) and of the weights."""
    layer = _layer(weights, *flags)
    _, caches = run(layer, pack_directions(layer.mode, weights, True), x, h, c, True)
    d_last = (d_h, d_c) if layer.mode.has_c else (d_h,)
    d_x, d_initial, d_weights = go_back(layer, caches, d_outputs, d_last, True)
    d_states = [x.new_empty(0) if d is None else d for d in (*d_initial, None)[:2]]
    return [d.contiguous() for d in (d_x, *d_states, *d_weights) if d is not None]


@recurrent_backward.register_fake
def _(
    d_outputs: Any, d_h: Any, d_c: Any, x: Tensor, h: Any, c: Any, weights: list[Tensor], *flags: Any
) -> list[Tensor]:
    states = [x.new_empty(0 if s is None else s.shape) for s in (h, c)]
    return [x.new_empty(x.shape), *states, *(w.new_empty(w.shape) for w in weights)]


def _keep(ctx: Any, inputs: Any, output: Any) -> None:
    x, h, c, weights, *ctx.flags = inputs
    ctx.has_h, ctx.has_c = h is not None, c is not None
    ctx.save_for_backward(x, *(s for s in (h, c) if s is not None), *weights)


def _backward(ctx: Any, d_outputs: Any, d_h: Any, d_c: Any) -> Any:
    x, *rest = ctx.saved_tensors
    h = rest.pop(0) if ctx.has_h else None
    c = rest.pop(0) if ctx.has_c else None
    d_x, d_first_h, d_first_c, *d_weights = torch.ops.lstmcore.recurrent_backward(
        d_outputs, d_h, d_c, x, h, c, rest, *ctx.flags
    )
    d_states = d_first_h if ctx.has_h else None, d_first_c if ctx.has_c else None
    return d_x, *d_states, d_weights, None, None, None, None


recurrent.register_autograd(_backward, setup_context=_keep)
