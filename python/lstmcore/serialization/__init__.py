"""Objects, states and models as plain data, as bytes and as files; read without running any code."""

from .objects import Configurable, defaults_of, deserialize, register, serialize
from .registry import UnknownClassError, collected_objects, custom_object_scope

__all__ = [
    "Configurable",
    "UnknownClassError",
    "collected_objects",
    "custom_object_scope",
    "defaults_of",
    "deserialize",
    "register",
    "serialize",
]
