"""Data sets to try things on."""

from . import air_passengers

__all__ = ["air_passengers"]
