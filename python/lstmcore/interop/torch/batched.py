"""Gradients of several vectors at once, of which the core takes one after the other.

PyTorch's ``is_grads_batched`` and what is built on it (``jacobian(vectorize=True)``) call a backward pass once, with
tensors that stand for all vectors and hide their numbers. Of an operator they run a loop, so there has to be one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Compute = Callable[[Sequence[Any]], Sequence[Tensor | None]]
_calls: dict[int, Callable[..., Tensor]] = {}  # those that go on, which an operator can be given as numbers only


def are_batched(tensors: Sequence[Tensor | None]) -> bool:
    """Whether some of these stand for several."""
    return any(t is not None and "Batched" in repr(torch._C._dispatch_keys(t)) for t in tensors)


@torch.library.custom_op(
    "lstmcore::gradients_of_one",
    mutates_args=(),
    device_types="cpu",
    schema="(int call, Tensor? d_first, Tensor? d_second, Tensor? d_third) -> Tensor",
)
def gradients_of_one(call: int, *given: Any) -> Tensor:
    """Return all gradients of a call, one after the other."""
    return _calls[call](*given)


def one_by_one(compute: Compute, d_results: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Return what ``compute`` does for each of the vectors that ``d_results``, three at most, stand for."""
    found: list[Any] = []

    def in_a_row(*given: Any) -> Tensor:
        found[:] = compute(given[: len(d_results)])
        return torch.cat([d.reshape(-1) for d in found if d is not None])

    _calls[id(in_a_row)] = in_a_row
    try:
        rest = torch.ops.lstmcore.gradients_of_one(id(in_a_row), *(*d_results, None, None)[:3])
    finally:
        del _calls[id(in_a_row)]
    gradients: list[Tensor | None] = []
    for d in found:
        gradients.append(None if d is None else rest[: d.numel()].view(d.shape))
        rest = rest if d is None else rest[d.numel() :]
    return gradients
