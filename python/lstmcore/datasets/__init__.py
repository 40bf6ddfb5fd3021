"""Data sets to try things on."""

from . import air_passengers, imdb

__all__ = ["air_passengers", "imdb"]
