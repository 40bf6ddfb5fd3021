"""Initial values of weights, with Keras's names and definitions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core, _not_offered, _random
from ._arguments import among, integers, number, real_array
from .serialization import Configurable
from .serialization.identifiers import resolve

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "get",
]

Array = NDArray[Any]


class Initializer(Configurable):
    """Makes an array of a shape: ``initializer(shape, dtype)``. A ``seed`` makes it repeatable by itself.

    >>> from lstmcore.initializers import GlorotUniform
    >>> GlorotUniform(seed=1)((2, 3)).shape
    (2, 3)
    """

    def __init__(self, seed: int | None = None) -> None:
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0):
            raise ValueError(f"{type(self).__name__}: seed: expected an integer of at least 0 or None, got {seed!r}")
        self.seed = seed

    def __call__(self, shape: tuple[int, ...], dtype: Any = "float32") -> Array:
        """Return initial values of that shape."""
        shape = integers("shape", shape)
        if any(n < 0 for n in shape):
            raise ValueError(f"shape: expected integers from 0 on, got {shape}")
        try:
            kind = np.dtype(dtype)
        except (TypeError, ValueError):
            raise TypeError(f"dtype: expected a data type of NumPy's, got {dtype!r}") from None
        rng = _random.generator() if self.seed is None else np.random.default_rng(self.seed)
        return self.sample(shape, rng).astype(kind)

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return float64 values; to be defined by subclasses."""
        raise NotImplementedError(f"{type(self).__name__}: define sample(shape, rng)")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self._arguments.items())})"


# --- the same every time ---


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


class Constant(Initializer):
    """All ``value``: a number, or an array that is repeated where the shape has more axes or rows.

    >>> from lstmcore.initializers import Constant
    >>> Constant(0.5)((2,))
    array([0.5, 0.5], dtype=float32)
    """

    def __init__(self, value: ArrayLike = 0.0) -> None:
        super().__init__()
        given = real_array("Constant: value", value, "a number or an array of numbers")
        self.value = given.astype(np.float64)  # a copy, for the caller may change theirs

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return the value."""
        try:
            return np.full(shape, self.value)
        except ValueError:
            raise ValueError(f"Constant: value: expected an array for shape {shape}, got {self.value.shape}") from None


class Identity(Initializer):
    """``gain`` on the diagonal of a matrix (Le et al. 2015 begin recurrent kernels so)."""

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = number("Identity: gain", gain)

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return the matrix."""
        if len(shape) != 2:
            raise ValueError(f"Identity: shape: expected that of a matrix, got {shape}")
        return self.gain * np.eye(*shape)


# --- random, whatever the shape ---


class RandomNormal(Initializer):
    """Normal, with a mean and a standard deviation."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = number("RandomNormal: mean", mean), number("RandomNormal: stddev", stddev, "[0, inf)")

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return values for any shape."""
        return rng.normal(self.mean, self.stddev, shape)


class TruncatedNormal(Initializer):
    """Normal, but never further from the mean than twice ``stddev``, which is that before the cut."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean = number("TruncatedNormal: mean", mean)
        self.stddev = number("TruncatedNormal: stddev", stddev, "[0, inf)")

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return values for any shape."""
        return self.mean + self.stddev * _truncated(shape, rng)


class RandomUniform(Initializer):
    """Uniform between two values."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.minval = number("RandomUniform: minval", minval)
        self.maxval = number("RandomUniform: maxval", maxval, f"[{self.minval}, inf)")

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return values for any shape."""
        return rng.uniform(self.minval, self.maxval, shape)


def _truncated(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return normal numbers within ±2: those outside, one in 22, are drawn again."""
    values = rng.standard_normal(shape)
    while (outside := np.abs(values) > 2).any():
        values[outside] = rng.standard_normal(np.count_nonzero(outside))
    return values


# --- random, and smaller the larger the matrix ---


class VarianceScaling(Initializer):
    """Variance ``scale / fan``, the fan that of the whole matrix.

    >>> from lstmcore.initializers import VarianceScaling
    >>> bool(abs(VarianceScaling(mode="fan_out", distribution="uniform")((10, 3))).max() <= 1)
    True

    Parameters
    ----------
    scale : positive.
    mode : "fan_in", "fan_out" or "fan_avg", their mean: rows, columns of the matrix; leading axes
        (steps of a convolution) multiply both.
    distribution : "uniform", "truncated_normal" (within twice its standard deviation before the
        cut) or "untruncated_normal".
    seed : an integer, or None.
    input_axes, output_axes : axes whose sizes multiply to the fans, instead.

    Raises
    ------
    ValueError
        An argument is none of those.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(seed)
        kind = type(self).__name__
        self.scale = number(f"{kind}: scale", scale, "(0, inf)")
        if not among(mode, ("fan_in", "fan_out", "fan_avg")):
            raise ValueError(f"{kind}: mode: expected 'fan_in', 'fan_out' or 'fan_avg', got {mode!r}")
        if not among(distribution, ("uniform", "normal", "truncated_normal", "untruncated_normal")):
            raise ValueError(
                f"{kind}: distribution: expected 'uniform', 'truncated_normal' or 'untruncated_normal', "
                f"got {distribution!r}"
            )
        self.mode = mode
        self.distribution = "truncated_normal" if distribution == "normal" else distribution
        self.input_axes = None if input_axes is None else integers(f"{kind}: input_axes", input_axes)
        self.output_axes = None if output_axes is None else integers(f"{kind}: output_axes", output_axes)

    def _fans(self, shape: tuple[int, ...]) -> tuple[int, int]:
        if self.input_axes is not None and self.output_axes is not None:
            for name, axes in (("input_axes", self.input_axes), ("output_axes", self.output_axes)):
                if any(not -len(shape) <= k < len(shape) for k in axes):
                    raise ValueError(f"{type(self).__name__}: {name}: expected axes of shape {shape}, got {axes}")
            return math.prod(shape[k] for k in self.input_axes), math.prod(shape[k] for k in self.output_axes)
        if len(shape) < 2:
            return math.prod(shape), math.prod(shape)
        receptive = math.prod(shape[:-2])
        return receptive * shape[-2], receptive * shape[-1]

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return values for a matrix, or for a stack of them along the leading axes."""
        fan_in, fan_out = self._fans(shape)
        fan = max(1.0, {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode])
        if self.distribution == "uniform":
            limit = math.sqrt(3 * self.scale / fan)
            return rng.uniform(-limit, limit, shape)
        deviation = math.sqrt(self.scale / fan)
        if self.distribution == "untruncated_normal":
            return rng.normal(0, deviation, shape)
        return deviation / 0.87962566103423978 * _truncated(shape, rng)  # the standard deviation of what is left


class _Scaled(VarianceScaling):
    """`VarianceScaling` with some arguments fixed."""

    fixed: ClassVar[tuple[float, str, str]]  # scale, mode, distribution

    def __init__(
        self,
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(*self.fixed, seed, input_axes, output_axes)


class GlorotUniform(_Scaled):
    """Uniform within ±sqrt(6 / (fan_in + fan_out)), the fans those of the whole matrix (Glorot & Bengio 2010)."""

    fixed = 1.0, "fan_avg", "uniform"


class GlorotNormal(_Scaled):
    """Truncated normal of variance 2 / (fan_in + fan_out) (Glorot & Bengio 2010)."""

    fixed = 1.0, "fan_avg", "truncated_normal"


class HeUniform(_Scaled):
    """Uniform within ±sqrt(6 / fan_in), for ReLU (He et al. 2015)."""

    fixed = 2.0, "fan_in", "uniform"


class HeNormal(_Scaled):
    """Truncated normal of variance 2 / fan_in, for ReLU (He et al. 2015)."""

    fixed = 2.0, "fan_in", "truncated_normal"


class LecunUniform(_Scaled):
    """Uniform within ±sqrt(3 / fan_in) (LeCun et al. 1998)."""

    fixed = 1.0, "fan_in", "uniform"


class LecunNormal(_Scaled):
    """Truncated normal of variance 1 / fan_in (LeCun et al. 1998), for SELU."""

    fixed = 1.0, "fan_in", "truncated_normal"


class Orthogonal(Initializer):
    """A random matrix with orthonormal rows, or columns where it is tall (Saxe et al. 2014).

    The Q of a QR decomposition of normal numbers, the diagonal of R positive so that every such matrix is
    equally likely. A seed gives the same matrix whatever NumPy's linear algebra is.
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = number("Orthogonal: gain", gain)

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return values for a matrix; leading axes count as its rows."""
        if len(shape) < 2:
            raise ValueError(f"Orthogonal: shape: expected at least two axes, got {shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        normal = rng.standard_normal((max(rows, columns), min(rows, columns)))
        q = np.ascontiguousarray(normal.T)
        _orthonormalise(q)
        _orthonormalise(q)  # what rounding has left of the others in a row that was short when they were taken out
        return self.gain * (q.T if rows >= columns else q).reshape(shape)


def _orthonormalise(rows: Array) -> None:
    """Take out of each row, in place, what it has of those before it, and give it length 1 (Gram and Schmidt).

    Halves are done one after the other, and what the second has of the first is two matrix products; those of the
    core, for LAPACK's results, and when its threads stop spinning, depend on the machine.
    """
    count = len(rows)
    if count == 1:
        rows /= np.sqrt(np.add.reduce(np.square(rows), axis=1, keepdims=True))
    elif count:
        first, second = rows[: count // 2], rows[count // 2 :]
        _orthonormalise(first)
        _core.matmul(-_core.matmul(second, first.T), first, None, second, True)
        _orthonormalise(second)


# Keras's other names.
constant, identity, ones, zeros = Constant, Identity, Ones, Zeros
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
glorot_normal, glorot_uniform, he_normal, he_uniform = GlorotNormal, GlorotUniform, HeNormal, HeUniform
lecun_normal, lecun_uniform, orthogonal, variance_scaling = LecunNormal, LecunUniform, Orthogonal, VarianceScaling
IdentityInitializer, OrthogonalInitializer = Identity, Orthogonal

_KNOWN: dict[str, type[Initializer]] = {
    "glorot_uniform": GlorotUniform,
    "glorot_normal": GlorotNormal,
    "he_uniform": HeUniform,
    "he_normal": HeNormal,
    "lecun_uniform": LecunUniform,
    "lecun_normal": LecunNormal,
    "variance_scaling": VarianceScaling,
    "orthogonal": Orthogonal,
    "random_uniform": RandomUniform,
    "uniform": RandomUniform,
    "random_normal": RandomNormal,
    "normal": RandomNormal,
    "truncated_normal": TruncatedNormal,
    "identity": Identity,
    "constant": Constant,
    "zeros": Zeros,
    "zero": Zeros,
    "ones": Ones,
    "one": Ones,
    "orthogonal_initializer": Orthogonal,
    "identity_initializer": Identity,
}


def get(identifier: str | dict[str, Any] | Array | Callable[..., Array] | None) -> Callable[..., Array] | None:
    """Return the initializer of that name, or from its description, or the one given; an array is a `Constant`.

    None is None, as for regularizers and constraints: the layer's own choice.

    >>> from lstmcore import initializers
    >>> initializers.get("zeros")
    Zeros()

    Raises
    ------
    ValueError
        There is none of that name; or it is something else.
    """
    if identifier is None or (callable(identifier) and not isinstance(identifier, type)):
        return identifier
    if isinstance(identifier, np.ndarray):
        return Constant(identifier)
    return resolve("initializer", identifier, Initializer, _KNOWN)


_not_offered.answer_for(__name__)
