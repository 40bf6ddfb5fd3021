"""What the layers have in common that disturb their inputs in training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._arguments import positive_integer
from .._arguments import seed as seed_or_none
from .identity import Identity
from .layer import Array, Shape


class Noise(Identity):
    """Disturbs its inputs in training, anew in every call, and passes them on otherwise.

    A subclass defines `disturb`, and sets ``silent`` where there is nothing to be done.

    Parameters
    ----------
    seed : of the random numbers; drawn from the global seed by default.
    """

    silent = False

    def __init__(self, seed: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.seed = seed_or_none(f"{type(self).__name__}: seed", seed)

    def disturb(self, inputs: Array, rng: np.random.Generator) -> tuple[Array, Array | None]:
        """Return the outputs, and what they are the inputs times, or None if the derivative is 1."""
        raise NotImplementedError

    def forward(self, inputs: Array, training: bool = False) -> Array:
        """Return the inputs, disturbed in training."""
        if not training:
            return inputs
        outputs, factors = (inputs, None) if self.silent else self.disturb(inputs, self.next_random(self.seed))
        self._cache = (factors,)
        return outputs

    def backward(self, d_outputs: Array, need_d_inputs: bool = True) -> Array | None:
        """Return the gradient of the inputs."""
        (factors,) = self.kept()
        return d_outputs if factors is None else d_outputs * factors


def checked_noise_shape(name: str, shape: Any) -> tuple[int | None, ...] | None:
    """Return the argument ``noise_shape`` as a tuple of positive integers and None."""
    if shape is None:
        return None
    if isinstance(shape, str) or not isinstance(shape, Sequence):
        raise TypeError(f"{name}: noise_shape: expected a list of integers and None, got {shape!r}")
    return tuple(None if n is None else positive_integer(f"{name}: noise_shape", n) for n in shape)


def drawn_shape(name: str, noise_shape: tuple[int | None, ...] | None, shape: Shape) -> tuple[int, ...]:
    """Return the shape of random numbers for inputs of a shape: theirs, or 1 where all share one."""
    if noise_shape is None:
        return shape  # type: ignore[return-value]
    drawn = tuple(n if given is None else given for given, n in zip(noise_shape, shape, strict=False))
    if len(noise_shape) != len(shape) or any(d not in (1, n) for d, n in zip(drawn, shape, strict=True)):
        raise ValueError(f"{name}: noise_shape: expected 1, None or the size of the inputs {shape}, got {noise_shape}")
    return drawn  # type: ignore[return-value]
