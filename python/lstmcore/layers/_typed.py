"""What has variables of a dtype, and products that may read less."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .. import _core
from .._policy import DTypePolicy, policy_of


class Typed:
    """What has a dtype policy.

    Attributes
    ----------
    dtype : of all variables.
    given_dtype : the policy that was asked for, here or of the first layer within, or None.
    """

    name: str
    variables: list[Any]
    dtype: np.dtype[Any]
    given_dtype: DTypePolicy | None
    _mixed: bool = False  # whether products are to read bfloat16
    narrow_products = False  # whether they can
    _passes_policy_on: bool = False  # whether a policy was asked for here
    quantization_mode: str | None = None  # "int8", or "int8_weights" with products of float32; None: not quantized
    input_range: float | None = None  # of "int8": what inputs are held to and scaled by, instead of row by row

    @property
    def sublayers(self) -> Sequence[Any]:
        """The layers within this one."""
        raise NotImplementedError

    def _follow(self, policy: DTypePolicy) -> None:
        """Have the dtypes of a policy."""
        self._have(np.dtype(policy.variable_dtype), policy.compute_dtype == "bfloat16")

    def _have(self, dtype: np.dtype[Any], mixed: bool) -> None:
        """Have variables of a dtype, and products that read bfloat16 or do not."""
        self.dtype, self._mixed = dtype, mixed and dtype == np.float32

    @property
    def policy_name(self) -> str:
        """The name of the policy."""
        mixed = self._mixed and self.dtype == np.float32  # a model has the dtype of its layers, whatever its policy
        return "mixed_bfloat16" if mixed else self.dtype.name

    @property
    def dtype_policy(self) -> DTypePolicy:
        """What variables are and products read; it can be set, with all layers within, to one of the same variables."""
        return DTypePolicy(self.policy_name)

    @dtype_policy.setter
    def dtype_policy(self, value: Any) -> None:
        policy = policy_of(f"{self.name}: dtype_policy", value)
        # All of them: in a copy, or in what a file has, every layer was given one.
        parts = within(self)
        for part in parts:
            if part.variables and part.dtype != policy.variable_dtype:
                raise ValueError(
                    f"{self.name}: dtype_policy: expected one of variables of {part.dtype}, as "
                    f"{'the layer' if part is self else part.name} has them, got {policy.name!r}"
                )
        for part in parts:
            part.given_dtype, part._passes_policy_on = policy, True
            part._follow(policy)

    @property
    def variable_dtype(self) -> str:
        """The dtype of the variables."""
        return self.dtype.name

    @property
    def compute_dtype(self) -> str:
        """What products read, where the layer can have them read it; outputs are of `variable_dtype`."""
        return self.dtype_policy.compute_dtype

    @property
    def _precision(self) -> str:
        """What the products are to read, as `functional` names it."""
        mode = self.quantization_mode
        if mode is not None:
            return "int8" if mode == "int8" else "float32"
        return "bfloat16" if self._mixed else "float32"

    def kernel_info(self) -> str:
        """Say what the products of the layer read, or those of the layers within.

        >>> from lstmcore.layers import Dense, Embedding
        >>> Dense(4, dtype="mixed_bfloat16").kernel_info().split(",")[0]
        'Dense: bfloat16'
        >>> Embedding(9, 4, dtype="mixed_bfloat16").kernel_info()
        'Embedding: float32 (no bfloat16 in this layer)'
        """
        within = [layer.kernel_info() for layer in self.sublayers]
        if within:
            return "; ".join(within)
        kind, wanted = type(self).__name__, self._precision
        if wanted == "float32":
            return f"{kind}: {self.dtype.name}{'' if self.quantization_mode is None else ', weights kept in int8'}"
        if wanted == "bfloat16" and not self.narrow_products:
            return f"{kind}: {self.dtype.name} (no bfloat16 in this layer)"
        return f"{kind}: {wanted}, {_core.config()['instruction_set']}"

    def take_after(self, layer: Any) -> None:
        """Have the policy that was given to a layer within, if none was given here; others within keep theirs."""
        if self.given_dtype is None and layer.given_dtype is not None:
            self.given_dtype = layer.given_dtype
            self._follow(layer.given_dtype)

    def pass_dtype_on(self, layer: Any) -> None:
        """Give a layer the dtype of what it becomes part of; and what products read, if that was said there."""
        layer.take_dtype(self.name, self.dtype, self._mixed if self._passes_policy_on else None)

    def take_dtype(self, owner: str, dtype: np.dtype[Any], mixed: bool | None = None) -> None:
        """Take the dtype of what the layer is part of, unless it was given one of its own.

        Parameters
        ----------
        owner, dtype : its name and its dtype.
        mixed : whether its products are to read bfloat16, if it was given a policy; otherwise None, and those of the
            layer read what they did.

        Raises
        ------
        ValueError
            It was given another, or has weights of another; so does a layer within.
        """
        if self.dtype != dtype and (self.given_dtype is not None or self.variables):
            raise ValueError(
                f"{owner}: layer: expected dtype {dtype}, got {self.dtype} ({self.name}); give both the same or neither"
            )
        mixed = mixed if self.given_dtype is None else None
        for layer in self.sublayers:
            layer.take_dtype(self.name, dtype, mixed)
        self._have(dtype, self._mixed if mixed is None else mixed)


def within(layer: Any) -> list[Any]:
    """Return a layer and all within it, each once."""

    def walk(one: Any) -> Iterator[Any]:
        yield one
        for inner in one.sublayers:
            yield from walk(inner)

    return list({id(one): one for one in walk(layer)}.values())
