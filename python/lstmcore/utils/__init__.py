"""Utilities under Keras's names."""

from .. import _not_offered
from .._tagging import tag_constraints, tag_spans
from ..serialization import custom_object_scope
from ..serialization import register as register_keras_serializable
from .categorical import to_categorical
from .gradients import check_gradients
from .normalization import normalize
from .padding import pad_sequences
from .plotting import model_to_dot, plot_model
from .py_dataset import PyDataset, Sequence
from .seeding import seeded, set_random_seed
from .session import clear_session
from .splitting import split_dataset
from .windows import TimeseriesDataset, timeseries_dataset_from_array

CustomObjectScope = custom_object_scope

__all__ = [
    "CustomObjectScope",
    "PyDataset",
    "Sequence",
    "TimeseriesDataset",
    "check_gradients",
    "clear_session",
    "custom_object_scope",
    "model_to_dot",
    "normalize",
    "pad_sequences",
    "plot_model",
    "register_keras_serializable",
    "seeded",
    "set_random_seed",
    "split_dataset",
    "tag_constraints",
    "tag_spans",
    "timeseries_dataset_from_array",
    "to_categorical",
]

_not_offered.answer_for(__name__)
