"""The dtype and the policy of layers that are given none, under Keras's names."""

from ._policy import dtype_policy, floatx, set_dtype_policy, set_floatx

__all__ = ["dtype_policy", "floatx", "set_dtype_policy", "set_floatx"]
