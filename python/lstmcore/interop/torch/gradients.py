"""What autograd is told of a layer: its forward pass, and its backward pass from what the forward pass has kept."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .batched import Compute, are_batched, one_by_one
from .passes import Layer, go_back, run

_TWICE = (
    "lstmcore.torch: gradients of gradients are not offered (create_graph=True and a second backward pass): use "
    "torch.nn's module here, which lstmcore.torch.restore(model) brings back"
)


class LayerFunction(torch.autograd.Function):
    """One layer of a module."""

    @staticmethod
    def forward(ctx: Any, layer: Layer, packed: Any, x: Tensor, h: Tensor, c: Tensor, *weights: Tensor) -> Any:
        """Return outputs and the last states, and keep what the backward pass needs."""
        results, ctx.caches = run(layer, packed, x, h, c, True)
        ctx.layer, ctx.others = layer, (h, c, *weights)
        # So that a write to them is noticed. Of a step the core has its own copies, and of weights it has packed ones,
        # but PyTorch's modules refuse gradients of what is not there any more.
        ctx.save_for_backward(
            x, *(() if layer.is_step else results[:1]), *_looked_into(layer, weights, *ctx.needs_input_grad[2:4])
        )
        ctx.set_materialize_grads(False)
        return results

    @staticmethod
    def backward(ctx: Any, *d_results: Any) -> Any:
        """Return the gradients of the tensors that `forward` has taken, in their order."""
        x, *_ = ctx.saved_tensors
        compute = functools.partial(_in_order, ctx.layer, ctx.caches, ctx.needs_input_grad[2])
        if torch.is_grad_enabled():
            given = *d_results, x, *ctx.others  # all that the gradients depend on
            gradients = WithoutDerivative.apply(compute, _TWICE, d_results, *given)  # type: ignore[no-untyped-call]
            return None, None, *gradients
        if not torch._C._autograd._get_current_graph_task_keep_graph():
            ctx.caches = None  # a loss that is kept keeps the graph, which must not keep these
        return None, None, *gradients_of(compute, d_results)


def gradients_of(compute: Compute, d_results: Sequence[Tensor | None]) -> Sequence[Tensor | None]:
    """Return what ``compute`` does, or if it cannot since tensors stand for several vectors, what it does for each."""
    try:
        return compute(d_results)
    except RuntimeError:
        if not are_batched(d_results):
            raise
    return one_by_one(compute, d_results)


class WithoutDerivative(torch.autograd.Function):
    """What a backward pass computes, of which there is no derivative, and all that it depends on."""

    @staticmethod
    def forward(ctx: Any, compute: Compute, why: str, d_results: Sequence[Tensor | None], *given: Any) -> Any:
        """Return what ``compute`` does; ``why`` is the error of a second backward pass."""
        ctx.why = why
        return tuple(gradients_of(compute, d_results))

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        """Refuse."""
        raise RuntimeError(ctx.why)


def _looked_into(layer: Layer, weights: Sequence[Tensor], need_d_x: bool, need_d_h: bool) -> list[Tensor]:
    """Return the weights that gradients depend on; no bias is."""
    count = layer.mode.weights
    found: list[Tensor] = []
    if need_d_x:
        found += weights[::count]
    if need_d_h or not layer.is_step:
        found += weights[1::count]
    if layer.mode.name == "LSTM_PROJECTED":
        found += weights[count - 1 :: count]
    return found


def _in_order(layer: Layer, caches: Any, need_d_x: bool, d_results: Sequence[Tensor | None]) -> list[Tensor | None]:
    d_outputs, *d_last = (None, *d_results) if layer.is_step else d_results
    d_x, d_initial, d_weights = go_back(layer, caches, d_outputs, d_last, need_d_x)
    return [d_x, d_initial[0], d_initial[1] if len(d_initial) == 2 else None, *d_weights]
