"""Models, under Keras's names."""

from .model import Model
from .sequential import Sequential

__all__ = ["Model", "Sequential"]
