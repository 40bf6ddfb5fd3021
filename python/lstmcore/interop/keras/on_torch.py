"""Calls of layers on Keras's PyTorch backend, with autograd."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..torch.calls import is_ours, is_traced
from ..torch.gradients import WithoutDerivative, gradients_of
from .passes import Kept, Operands, Problem, backward, forward

BEGINS_WITH_STATE = False
_TWICE = (
    "lstmcore.keras: gradients of gradients are not offered (create_graph=True and a second backward pass): use "
    "Keras's own loop here, which lstmcore.keras.undo() brings back"
)


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
        ctx.others = tensors[1:]
        ctx.set_materialize_grads(False)
        return outputs, *map(torch.from_numpy, last)

    @staticmethod
    def backward(ctx: Any, *d_results: Tensor | None) -> Any:
        x, _ = ctx.saved_tensors
        compute = functools.partial(_gradients, ctx.kept, ctx.needs_input_grad[1])
        if torch.is_grad_enabled():
            gradients = WithoutDerivative.apply(compute, _TWICE, d_results, *d_results, x, *ctx.others)
        else:
            gradients = gradients_of(compute, d_results)
        return None, *gradients


@torch.compiler.disable  # else torch.compile, which looks into backward passes, warns of the core
def _gradients(kept: Kept, need_d_x: bool, d_results: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Return the gradients of a call's tensors, in their order."""
    d_outputs, *d_last = (None if d is None else d.detach().numpy() for d in d_results)
    d_x, d_first, d_weights = backward(kept, d_outputs, tuple(d_last), need_d_x)
    d_h, d_c = d_first if len(d_first) == 2 else (*d_first, None)
    gradients = d_x, d_h, d_c, None, None, None, *d_weights
    return [None if d is None else torch.from_numpy(d) for d in gradients]


def _flat(given: Operands) -> tuple[Tensor | None, ...]:
    *tensors, weights = given
    return (*tensors, *weights)


def _arrays(tensors: tuple[Tensor | None, ...]) -> Operands:
    x, h, c, mask, dropout, recurrent_dropout, *weights = (None if t is None else t.detach().numpy() for t in tensors)
    return Operands(x, h, c, mask, dropout, recurrent_dropout, tuple(weights))
