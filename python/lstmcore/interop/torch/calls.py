"""One layer of a call: on which of three ways it goes, or that PyTorch has to do it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter

from . import operator  # noqa: F401  registers the operator
from .gradients import LayerFunction
from .passes import Layer, run
from .weights import Packed

# `Function.apply` without what it does for the transforms of torch.func, which `is_ours` has left to PyTorch.
_apply = super(torch.autograd.Function, LayerFunction).apply  # type: ignore[misc]

DTYPES = (torch.float32, torch.float64)
_PLAIN = (Tensor, Parameter)


def is_traced() -> bool:
    """Whether calls are recorded rather than run: then a layer is its operator."""
    return torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack() > 0


def is_ours(traced: bool, tensors: Sequence[Tensor | None]) -> bool:
    """Whether our kernels can be given these tensors here: PyTorch's own module runs where not.

    Not on other devices or in other types, under autocast, in forward mode or the transforms of torch.func, nor for
    exporters that know PyTorch's own operators only.
    """
    dtype = tensors[0].dtype  # type: ignore[union-attr]
    if dtype not in DTYPES or torch.is_autocast_enabled("cpu"):
        return False
    plain = True
    for t in tensors:
        if t is not None:
            if t.dtype is not dtype or not t.is_cpu:
                return False
            plain = plain and type(t) in _PLAIN and t.layout is torch.strided and (traced or not t.is_neg())
    if traced:
        return not torch.onnx.is_in_onnx_export()
    return (
        plain
        and forward_ad._current_level < 0
        and torch._C._functorch.peek_interpreter_stack() is None
        and torch._C._get_tracing_state() is None
    )


def run_layer(
    layer: Layer,
    packed: Packed,
    number: int,
    given: Sequence[Any],
    weights: Sequence[Tensor],
    traced: bool,
) -> tuple[Tensor, ...]:
    """Return the outputs of inputs, h and c (or None) and the last states, each (directions, batch, width).

    Of a step only its states, (batch, width).
    """
    x, h, c = given
    if traced:
        flags = layer.mode.name, layer.mode.bias, layer.batch_first, layer.outputs_batch_first
        results: tuple[Tensor, ...] = torch.ops.lstmcore.recurrent(x, h, c, list(weights), *flags)
        return results if layer.mode.has_c else results[:2]
    training = False
    if torch.is_grad_enabled():
        training = any([t is not None and t.requires_grad for t in (x, h, c, *weights)])  # noqa: C419  a list is faster
    ready = packed.get(number, layer.mode, weights, training, x.numel() // x.shape[-1])
    if training:
        return _apply(layer, ready, x, h, c, *weights)  # type: ignore[no-any-return]
    return run(layer, ready, x, h, c, False)[0]
