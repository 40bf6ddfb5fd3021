"""The dtype and the policy of layers that are given none, under Keras's names."""

from . import _not_offered
from ._policy import dtype_policy, floatx, set_dtype_policy, set_floatx

__all__ = ["dtype_policy", "floatx", "set_dtype_policy", "set_floatx"]

_not_offered.answer_for(__name__)
