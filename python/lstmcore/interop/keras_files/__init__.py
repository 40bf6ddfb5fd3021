"""Files of Keras: .keras, .h5 and .weights.h5, read and written through h5py, without Keras."""

from .files import archive_of, compile_as_told, h5_of, load_weights, model_from, model_of_json, weights_of
from .hdf5 import h5py as require_h5py
from .models_in import is_description

__all__ = [
    "archive_of",
    "compile_as_told",
    "h5_of",
    "is_description",
    "load_weights",
    "model_from",
    "model_of_json",
    "require_h5py",
    "weights_of",
]
