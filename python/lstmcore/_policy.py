"""Dtype policies: what variables are, and what products read; and the policy of layers that are given none."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from ._arguments import ArgumentTypeError, float_dtype, mapping, shown

_MIXED = "mixed_bfloat16"
_EXPECTED = "float32, float64 or mixed_bfloat16"
_REFUSED = {
    "bfloat16": "variables and arrays between layers are float32 in any case, as NumPy has no bfloat16; with "
    "'mixed_bfloat16' products read bfloat16",
    "float16": "its range would need a scaled loss, and CPUs hardly multiply it faster than float32; use "
    "'mixed_bfloat16'",
}


class DTypePolicy:
    """What the variables of a layer are, and what its products read.

    >>> import lstmcore
    >>> policy = lstmcore.DTypePolicy("mixed_bfloat16")
    >>> policy.variable_dtype, policy.compute_dtype
    ('float32', 'bfloat16')
    >>> lstmcore.layers.LSTM(8, dtype=policy).dtype_policy == policy
    True

    Parameters
    ----------
    name : "float32", "float64", or "mixed_bfloat16": variables, sums and arrays between layers are float32, but the
        layers that can have their products read bfloat16. None is the name of the global policy.

    Raises
    ------
    ValueError, TypeError
        There is no such policy here; the message says why where Keras has it.
    """

    def __init__(self, name: str | None = None) -> None:
        if name is not None and not isinstance(name, str):
            raise ArgumentTypeError(f"name: expected {_EXPECTED}, got {shown(name)}")
        self._name = dtype_policy().name if name is None else _checked("name", name)

    @property
    def name(self) -> str:
        """The name of the policy."""
        return self._name

    @property
    def variable_dtype(self) -> str:
        """The dtype of variables."""
        return "float32" if self._name == _MIXED else self._name

    @property
    def compute_dtype(self) -> str:
        """What products read; arrays between layers are of `variable_dtype` all the same."""
        return "bfloat16" if self._name == _MIXED else self._name

    @property
    def quantization_mode(self) -> None:
        """None: a policy does not quantize."""
        return None

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal policy."""
        return {"name": self._name}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> DTypePolicy:
        """Make a policy from what `get_config` returned."""
        return cls(**mapping("config", config))

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self._name}">'

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and other._name == self._name

    def __hash__(self) -> int:
        return hash(self._name)


def _checked(argument: str, value: Any) -> str:
    """Return the name of the policy that a name, or what NumPy takes for a dtype, stands for."""
    if isinstance(value, str) and value == _MIXED:
        return _MIXED
    got = repr(value) if isinstance(value, str) else getattr(value, "__name__", str(value))
    if (why := _REFUSED.get(got.strip("'").removeprefix("mixed_"))) is not None:
        raise ValueError(f"{argument}: expected {_EXPECTED}, got {got}: {why}")
    try:
        return float_dtype(argument, value).name
    except ArgumentTypeError as error:
        raise ArgumentTypeError(str(error).replace("float32 or float64", _EXPECTED, 1)) from None


# --- as arguments and in configurations ---


def policy_of(argument: str, value: Any) -> DTypePolicy:
    """Return the policy that an argument stands for: a policy, its name or configuration, a dtype; None the global."""
    if value is None:
        return dtype_policy()
    if isinstance(value, DTypePolicy):
        return value
    if isinstance(value, Mapping):
        return _deserialized(argument, value)
    return DTypePolicy(_checked(argument, value))


def _deserialized(argument: str, config: Mapping[str, Any]) -> DTypePolicy:
    name, own = config.get("class_name"), config.get("config")
    if name not in ("DTypePolicy", "FloatDTypePolicy", "Policy") or not isinstance(own, Mapping):
        raise ValueError(f"{argument}: expected the configuration of a DTypePolicy, got {shown(dict(config))}")
    return DTypePolicy(_checked(argument, own.get("name")))


def get(identifier: Any) -> DTypePolicy:
    """Return the policy of a name, a dtype or a configuration; None is the global one, and a policy itself.

    >>> from lstmcore import dtype_policies
    >>> dtype_policies.get("mixed_bfloat16")
    <DTypePolicy "mixed_bfloat16">
    """
    return policy_of("identifier", identifier)


def serialize(dtype_policy: DTypePolicy) -> dict[str, Any]:
    """Return the configuration of a policy, as Keras has it, for `deserialize`.

    >>> from lstmcore import DTypePolicy, dtype_policies
    >>> dtype_policies.deserialize(dtype_policies.serialize(DTypePolicy("float64")))
    <DTypePolicy "float64">
    """
    if not isinstance(dtype_policy, DTypePolicy):
        raise ArgumentTypeError(f"dtype_policy: expected a DTypePolicy, got {shown(dtype_policy)}")
    return {
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": dtype_policy.get_config(),
        "registered_name": None,
    }


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> DTypePolicy:
    """Return the policy of a configuration.

    Parameters
    ----------
    config : as `serialize` returns it.
    custom_objects : accepted for Keras's sake, without effect.
    """
    return _deserialized("config", mapping("config", config))


# --- the global one ---


class _OfThread(threading.local):
    policy: DTypePolicy | None = None


_of_thread = _OfThread()  # as in Keras: a new thread has that of `floatx`
_floatx = "float32"


def floatx() -> str:
    """Return what the global policy is where none has been set, "float32" or "float64".

    >>> import lstmcore
    >>> lstmcore.config.floatx()
    'float32'
    """
    return _floatx


def set_floatx(value: str) -> None:
    """Set what the global policy is where none has been set or used: as in Keras, before any layer is made.

    Parameters
    ----------
    value : "float32" or "float64".
    """
    global _floatx
    if not isinstance(value, str):
        raise ArgumentTypeError(f"value: expected 'float32' or 'float64', got {shown(value)}")
    if value not in ("float32", "float64"):
        why = _REFUSED.get(value)
        raise ValueError(f"value: expected 'float32' or 'float64', got {value!r}" + (f": {why}" if why else ""))
    _floatx = value


def dtype_policy() -> DTypePolicy:
    """Return the policy of layers that are given none; each thread has its own.

    >>> import lstmcore
    >>> lstmcore.config.dtype_policy()
    <DTypePolicy "float32">
    """
    if (policy := _of_thread.policy) is None:
        policy = _of_thread.policy = DTypePolicy(_floatx)
    return policy


def set_dtype_policy(policy: str | DTypePolicy) -> None:
    """Set the policy of layers that this thread makes from now on, where they are given none.

    >>> import lstmcore
    >>> lstmcore.config.set_dtype_policy("mixed_bfloat16")
    >>> lstmcore.layers.LSTM(8).compute_dtype
    'bfloat16'
    >>> lstmcore.config.set_dtype_policy("float32")

    Parameters
    ----------
    policy : a `DTypePolicy` or its name: "float32", "float64" or "mixed_bfloat16".
    """
    if not isinstance(policy, (str, DTypePolicy)):
        raise ArgumentTypeError(f"policy: expected {_EXPECTED} or a DTypePolicy, got {shown(policy)}")
    _of_thread.policy = policy_of("policy", policy)


def begin_anew() -> None:
    """Forget the policies that have been set, but not `floatx`: in all threads, as in Keras."""
    global _of_thread
    _of_thread = _OfThread()
