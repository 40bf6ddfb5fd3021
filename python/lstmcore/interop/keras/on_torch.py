"""Calls of layers on Keras's PyTorch backend, with autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..torch.calls import is_ours, is_traced
from .passes import Operands, Problem, backward, forward

BEGINS_WITH_STATE = False


def outside_graphs(attempt: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that torch.compile breaks its graph at and runs as it is.

    Exports, and what only works out shapes, are left to Keras.
    """
    apart: Callable[..., Any] = torch.compiler.disable(attempt)

    def guarded(layer: Any, sequences: Tensor, *others: Any) -> Any:
        if torch.compiler.is_exporting() or sequences.is_meta:
            return None
        return apart(layer, sequences, *others)

    return guarded


def refusal(given: Operands) -> str | None:
    """Return why our kernels cannot be given these tensors, or None."""
    tensors = [t for t in _flat(given) if t is not None]
    devices = sorted({str(t.device) for t in tensors} - {"cpu"})
    if devices:
        return f"tensors on {', '.join(devices)}: the kernels are for CPUs"
    if is_traced():
        return "recorded by a compiler or an exporter, not run"
    if not is_ours(False, [t for t in tensors if t is not given.mask]):
        return "autocast, a tensor of a class or layout of its own, a transform of torch.func or torch.jit.trace"
    return None


def run(problem: Problem, given: Operands) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return outputs and last states."""
    tensors = _flat(given)
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors):
        outputs, *states = _LayerFunction.apply(problem, *tensors)  # type: ignore[no-untyped-call]
        return outputs, tuple(states)
    results, last, _ = forward(problem, _arrays(tensors), False)
    return torch.from_numpy(results), tuple(map(torch.from_numpy, last))


class _LayerFunction(torch.autograd.Function):
    """One call of a layer; `forward` keeps what `backward` needs."""

    @staticmethod
    def forward(ctx: Any, problem: Problem, *tensors: Tensor | None) -> Any:
        # Arrays of tensors without a gradient, which do not hold the node of the graph that holds them.
        results, last, ctx.kept = forward(problem, _arrays(tensors), True)
        outputs = torch.from_numpy(results)
        ctx.save_for_backward(tensors[0], outputs)  # so that a write to them is noticed
        ctx.set_materialize_grads(False)
        return outputs, *map(torch.from_numpy, last)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, *d_last: Tensor | None) -> Any:
        _ = ctx.saved_tensors
        d_y, *d_states = (None if d is None else d.numpy() for d in (d_outputs, *d_last))
        d_x, d_first, d_weights = backward(ctx.kept, d_y, tuple(d_states), ctx.needs_input_grad[1])
        d_h, d_c = d_first if len(d_first) == 2 else (*d_first, None)
        gradients = d_x, d_h, d_c, None, None, None, *d_weights
        return None, *(None if d is None else torch.from_numpy(d) for d in gradients)


def _flat(given: Operands) -> tuple[Tensor | None, ...]:
    *tensors, weights = given
    return (*tensors, *weights)


def _arrays(tensors: tuple[Tensor | None, ...]) -> Operands:
    x, h, c, mask, dropout, recurrent_dropout, *weights = (None if t is None else t.detach().numpy() for t in tensors)
    return Operands(x, h, c, mask, dropout, recurrent_dropout, tuple(weights))
