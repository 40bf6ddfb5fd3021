"""`torch.nn.Linear` with the core's products of matrices, where these are large."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ... import _core
from .calls import is_ours, is_traced
from .keeping import StandsIn

# Multiplications from which on a faster product repays what a call of ours costs beside PyTorch's.
_LEAST_WORK = 1 << 22


class Linear(StandsIn, torch.nn.Linear):
    """`torch.nn.Linear`, whose large products, as those of a language model's scores, are ours.

    >>> import torch
    >>> from lstmcore.torch import Linear
    >>> Linear(200, 10000)(torch.zeros(35, 20, 200)).shape
    torch.Size([35, 20, 10000])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return what PyTorch's module does: ``input @ weight.T + bias``."""
        # Traced first: a graph that knows no sizes must not be bound to some.
        if is_traced() or not isinstance(input, Tensor) or input.numel() * self.out_features < _LEAST_WORK:
            return self.left_to_torch(input)  # type: ignore[no-any-return]
        weight, bias = self.weight, self.bias
        fits = input.shape[-1] == self.in_features and weight.shape == (self.out_features, self.in_features)
        if not fits or not is_ours(False, (input, weight, bias)):
            return self.left_to_torch(input)  # type: ignore[no-any-return]
        tensors = input, weight, bias
        if torch.is_grad_enabled() and any([t is not None and t.requires_grad for t in tensors]):  # noqa: C419
            return _LinearFunction.apply(*tensors)  # type: ignore[no-any-return, no-untyped-call]
        return _product(*tensors)


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return x weight^T + bias."""
    rows = _rows(x).numpy()
    y = _core.matmul(rows, weight.detach().numpy().T, None if bias is None else bias.detach().numpy())
    return torch.from_numpy(y).view(*x.shape[:-1], -1)


def _rows(x: Tensor) -> Tensor:
    return x.detach().reshape(-1, x.shape[-1])


class _LinearFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, d_y: Tensor) -> Any:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        need_d_x, need_d_weight, need_d_bias = ctx.needs_input_grad
        d_x = d_weight = d_bias = None
        d_rows = d_y.reshape(-1, d_y.shape[-1])
        if need_d_bias:
            d_bias = d_rows.sum(0)
        rows = None if torch.is_grad_enabled() else _numbers(d_rows)
        if rows is None:  # a derivative of these may be asked for: PyTorch's own operators have one
            d_x = d_y @ weight if need_d_x else None
            d_weight = d_rows.t() @ x.reshape(-1, x.shape[-1]) if need_d_weight else None
            return d_x, d_weight, d_bias
        if need_d_x:
            d_x = torch.from_numpy(_core.matmul(rows, weight.detach().numpy())).view(x.shape)
        if need_d_weight:
            d_weight = torch.from_numpy(_gradient_of_weight(rows, _rows(x).numpy()))
        return d_x, d_weight, d_bias


def _numbers(t: Tensor) -> Any:
    """Return a tensor as an array, or None where it stands for several; see `batched`."""
    try:
        return t.numpy()
    except RuntimeError:
        return None


def _gradient_of_weight(d_y: Any, x: Any) -> Any:
    """Return d_y^T x. Of a product the left side takes longer to arrange, so that it should not be the larger one."""
    if d_y.shape[1] >= 8 * x.shape[1]:
        return _core.transpose(_core.matmul(x.T, d_y))
    return _core.matmul(d_y.T, x)
