"""Sequences as scikit-learn's users have them: a 3-D array, or a list of arrays of different lengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from ..._arguments import ArgumentTypeError
from .padding import PADDING

Array = NDArray[Any]
Sequences = Array | list[Array]


def are_sequences(X: Any) -> bool:
    """Whether this is a 3-D array, or a list of arrays; if not, it is a table or nothing that we know.

    A list of lists of numbers is a table, as it is for all of scikit-learn; one of lists of lists are sequences.

    Raises
    ------
    ValueError, TypeError
        It can be neither.
    """
    # A sparse array, which scikit-learn refuses in its own words, may be a dict.
    unfit = isinstance(X, (str, bytes, dict, set)) and not hasattr(X, "shape")
    if X is None or unfit or hasattr(X, "__next__"):
        raise ArgumentTypeError(
            f"X: expected a 3-D array, a list of arrays (steps, features) or a table, got {type(X).__name__}"
        )
    if isinstance(X, (list, tuple)) and not X:
        raise ValueError("X: expected at least one sequence, got none")
    if isinstance(X, (list, tuple)) or (isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1):
        first = X[0] if len(X) else None
        if isinstance(first, (list, tuple)):
            return len(first) > 0 and np.ndim(first[0]) > 0
        return len(getattr(first, "shape", ())) > 0
    return getattr(X, "ndim", 0) == 3


def checked(estimator: Any, X: Any, reset: bool, dtype: Any = np.float32) -> Sequences:
    """Return sequences of a dtype, (steps, features) each, or raise ValueError with the one that does not fit.

    With ``reset``, the estimator's ``n_features_in_`` is set, otherwise it is compared with that of the sequences; and
    so are its ``feature_names_in_`` where each sequence is a data frame.
    """
    if reset and hasattr(estimator, "feature_names_in_"):  # of what it was fitted to before
        del estimator.feature_names_in_
    if isinstance(X, np.ndarray) and X.dtype != object:
        found: Sequences = check_array(X, dtype=dtype, ensure_2d=False, allow_nd=True, input_name="X")
        features, steps = X.shape[2], X.shape[1]
        if not steps or not features:
            raise ValueError(f"X: expected sequences of at least one step and one feature, got shape {X.shape}")
    else:
        found = []
        for k, sequence in enumerate(X):
            if hasattr(sequence, "columns"):
                new = reset and not k
                found.append(np.asarray(validate_data(estimator, sequence, dtype=dtype, reset=new)))
            else:
                found.append(_one(k, sequence, dtype))
            if reset:
                estimator.n_features_in_ = found[0].shape[1]
        features = found[0].shape[1]
        for k, sequence in enumerate(found):
            if sequence.shape[1] != features:
                raise ValueError(
                    f"X: expected sequences of {features} features as X[0] has, got {sequence.shape[1]} in X[{k}]"
                )
    if reset:
        estimator.n_features_in_ = features
    elif features != estimator.n_features_in_:
        raise ValueError(
            f"X has {features} features, but {type(estimator).__name__} is expecting {estimator.n_features_in_} "
            "features as input"
        )
    return found


def _one(k: int, sequence: Any, dtype: Any) -> Array:
    try:
        array = np.asarray(sequence)
    except ValueError:  # lists of different lengths
        raise ValueError(
            f"X: expected arrays of shape (steps, features), got steps unlike each other at X[{k}]"
        ) from None
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or not array.size:
        raise ValueError(
            f"X: expected arrays of shape (steps, features) with at least one step, got shape {np.shape(sequence)} "
            f"at X[{k}]"
        )
    return np.asarray(check_array(array, dtype=dtype, input_name=f"X[{k}]"))


def padded(sequences: Sequence[Array] | Array) -> Array:
    """Return (rows, steps, features) with `PADDING` behind the shorter sequences."""
    if isinstance(sequences, np.ndarray):
        return sequences
    steps = max(map(len, sequences))
    result = np.full((len(sequences), steps, sequences[0].shape[1]), PADDING, sequences[0].dtype)
    for row, sequence in zip(result, sequences, strict=True):
        row[: len(sequence)] = sequence
    return result
