"""minGRU, minLSTM and sLSTM in PyTorch, from their papers; weights in lstmcore's layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear, logsigmoid, softplus

States = tuple[Tensor, ...]


def min_gru(x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """The parallel form of Feng et al. 2024, appendix B, from a state of zeros."""
    z, hh = linear(x, kernel.T, bias).chunk(2, -1)
    return scan(-softplus(z), -softplus(-z) + log_g(hh))


def min_lstm(x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """The same of the minLSTM."""
    f, i, hh = linear(x, kernel.T, bias).chunk(3, -1)
    difference = softplus(-f) - softplus(-i)
    return scan(-softplus(difference), -softplus(-difference) + log_g(hh))


def log_g(v: Tensor) -> Tensor:
    """The logarithm of v + 1/2 where v is positive, of sigmoid(v) elsewhere."""
    return torch.where(v >= 0, (torch.relu(v) + 0.5).log(), -softplus(-v))


def scan(log_coefficients: Tensor, log_values: Tensor) -> Tensor:
    """h = a h + b for all steps at once, from the logarithms of a and b (Heinsen 2023)."""
    sums = log_coefficients.cumsum(1)
    return (sums + (log_values - sums).logcumsumexp(1)).exp()


def slstm_steps(sums: Tensor, states: States, recurrent: Tensor) -> tuple[list[Tensor], States]:
    """Some steps of Beck et al. 2024, with sums (steps, heads, batch, 4 width); m changes no h and has no gradient."""
    (h, c, n, m), outputs = states, []
    for a in sums:
        i, f, z, o = (a + torch.bmm(h, recurrent)).chunk(4, -1)
        kept = logsigmoid(f) + m
        m = torch.maximum(kept, i).detach()
        i, f = torch.exp(i - m), torch.exp(kept - m)
        c, n = f * c + i * torch.tanh(z), f * n + i
        h = torch.sigmoid(o) * c / n
        outputs.append(h)
    return outputs, (h, c, n, m)


def slstm(
    x: Tensor, kernel: Tensor, recurrent: Tensor, bias: Tensor, heads: int, steps: Callable[..., Any], at_once: int
) -> Tensor:
    """The loop over steps, so many in a call of ``steps``; the products with the inputs are one."""
    (batch, length, _), width = x.shape, len(recurrent)
    sums = linear(x, kernel.T, bias)
    sums = sums.view(batch, length, 4, heads, width).permute(1, 3, 0, 2, 4).reshape(length, heads, batch, 4 * width)
    recurrent = recurrent.view(width, 4, heads, width).permute(2, 0, 1, 3).reshape(heads, width, 4 * width)
    # Ours has the gradients of the initial states, too. (And so the first part compiles to what the others do.)
    h, c, n = (sums.new_zeros(heads, batch, width).requires_grad_() for _ in range(3))
    states: States = (h, c, n, torch.full_like(h, -torch.inf))
    outputs: list[Tensor] = []
    for part in sums.split(at_once):
        more, states = steps(part, states, recurrent)
        outputs += more
    return torch.stack(outputs).permute(2, 0, 1, 3).reshape(batch, length, heads * width)
