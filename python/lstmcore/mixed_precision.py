"""The policy of layers that are given none, under Keras's older names.

>>> from lstmcore import layers, mixed_precision
>>> mixed_precision.set_global_policy("mixed_bfloat16")
>>> layers.GRU(8).dtype_policy
<DTypePolicy "mixed_bfloat16">
>>> mixed_precision.set_global_policy("float32")
"""

from . import _not_offered
from ._policy import DTypePolicy, dtype_policy, set_dtype_policy

Policy = DTypePolicy
global_policy = dtype_policy
set_global_policy = set_dtype_policy

__all__ = ["DTypePolicy", "Policy", "dtype_policy", "global_policy", "set_dtype_policy", "set_global_policy"]

_not_offered.answer_for(__name__)
