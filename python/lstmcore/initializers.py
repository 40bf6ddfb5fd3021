"""Initial values of weights, with Keras's definitions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _random
from ._serialization import Configurable

__all__ = ["GlorotUniform", "Initializer", "Ones", "Orthogonal", "RandomUniform", "Zeros", "get"]

Array = NDArray[Any]


class Initializer(Configurable):
    """Makes an array of a shape: ``initializer(shape, dtype)``. A ``seed`` makes it repeatable by itself."""

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed

    def __call__(self, shape: tuple[int, ...], dtype: Any = "float32") -> Array:
        """Return initial values of that shape."""
        rng = _random.generator() if self.seed is None else np.random.default_rng(self.seed)
        return self.sample(shape, rng).astype(dtype)

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return float64 values; to be defined by subclasses."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'' if self.seed is None else f'seed={self.seed}'})"


class GlorotUniform(Initializer):
    """Uniform within ±sqrt(6 / (fan_in + fan_out)), the fans those of the whole matrix (Glorot & Bengio 2010)."""

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return values for a matrix, or for a stack of them along the leading axes."""
        receptive = math.prod(shape[:-2])
        limit = math.sqrt(6 / (receptive * (shape[-2] + shape[-1])))
        return rng.uniform(-limit, limit, shape)


class Orthogonal(Initializer):
    """A random matrix with orthonormal rows, or columns where it is tall (Saxe et al. 2014).

    The Q of a QR decomposition of normal numbers, its signs fixed by the diagonal of R so that
    every such matrix is equally likely.
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return values for a matrix; leading axes count as its rows."""
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
        q = q * np.sign(np.diag(r))
        return self.gain * (q if rows >= columns else q.T).reshape(shape)


class RandomUniform(Initializer):
    """Uniform between two values."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.minval, self.maxval = minval, maxval

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return values for any shape."""
        return rng.uniform(self.minval, self.maxval, shape)


class Zeros(Initializer):
    """All zeros."""

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return zeros."""
        return np.zeros(shape)


class Ones(Initializer):
    """All ones."""

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return ones."""
        return np.ones(shape)


_BY_NAME: dict[str, Callable[[], Initializer]] = {
    "glorot_uniform": GlorotUniform,
    "orthogonal": Orthogonal,
    "random_uniform": RandomUniform,
    "uniform": RandomUniform,
    "zeros": Zeros,
    "ones": Ones,
}


def get(identifier: str | Callable[..., Array]) -> Callable[..., Array]:
    """Return the initializer of that name, or the one given.

    >>> from lstmcore import initializers
    >>> initializers.get("zeros")
    Zeros()
    """
    if callable(identifier):
        return identifier
    if identifier not in _BY_NAME:
        raise ValueError(f"initializer: expected one of {', '.join(_BY_NAME)} or a callable, got {identifier!r}")
    return _BY_NAME[identifier]()
