"""Dtype policies, under Keras's names: what the variables of a layer are, and what its products read."""

from . import _not_offered
from ._policy import DTypePolicy, deserialize, get, serialize

FloatDTypePolicy = DTypePolicy

__all__ = ["DTypePolicy", "FloatDTypePolicy", "deserialize", "get", "serialize"]

_not_offered.answer_for(__name__)
