"""Data sets to try things on."""

from .. import _not_offered
from . import air_passengers, imdb

__all__ = ["air_passengers", "imdb"]

_not_offered.answer_for(__name__)
