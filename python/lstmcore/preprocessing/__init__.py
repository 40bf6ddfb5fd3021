"""Preparation of text and sequences, under the names of Keras 2."""

from .. import _not_offered
from ..utils.windows import timeseries_dataset_from_array
from . import sequence, text

__all__ = ["sequence", "text", "timeseries_dataset_from_array"]

_not_offered.answer_for(__name__, sequence.__name__)
