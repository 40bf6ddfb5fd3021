"""Features of sequences brought to one scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, clone
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.validation import check_is_fitted, validate_data

from ..._arguments import one_of
from .sequences import Array, Sequences, are_sequences, checked

_KINDS = {"standard": StandardScaler, "min-max": MinMaxScaler}
_OUTPUTS = ("default", "pandas", "polars")
_FLOATS = [np.float64, np.float32]


@dataclass(eq=False, repr=False)
class SequenceScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Scales every feature of sequences, over all steps of all of them.

    >>> import numpy as np
    >>> from lstmcore.sklearn import SequenceScaler
    >>> sequences = [np.array([[0.0, 5.0], [4.0, 6.0]]), np.array([[8.0, 7.0]])]
    >>> [scaled.tolist() for scaled in SequenceScaler("min-max").fit_transform(sequences)]
    [[[0.0, 0.0], [0.5, 0.5]], [[1.0, 1.0]]]

    Sequences are a 3-D array (sequences, steps, features), or a list of arrays (steps, features) of different lengths.
    The columns of a 2-D table are scaled as scikit-learn does, and come as data frames if `set_output` says so;
    sequences are no tables, and stay what they are.

    Parameters
    ----------
    scaler : "standard" (mean 0, standard deviation 1), "min-max" (from 0 to 1), or a transformer of tables that keeps
        their columns, such as `sklearn.preprocessing.RobustScaler`.

    Attributes
    ----------
    scaler_ : the transformer, fitted to the table of all steps.
    n_features_in_ : features of a step.
    """

    scaler: Any = "standard"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def fit(self, X: ArrayLike | Sequences, y: Any = None) -> SequenceScaler:
        """Learn the scale of each feature."""
        if hasattr(self.scaler, "transform") and not isinstance(self.scaler, type):
            self.scaler_ = clone(self.scaler)
        elif isinstance(self.scaler, str) and self.scaler in _KINDS:
            self.scaler_ = _KINDS[self.scaler]()
        else:
            raise ValueError(f"scaler: expected 'standard', 'min-max' or a transformer, got {self.scaler!r}")
        if hasattr(self.scaler_, "set_output"):  # whatever scikit-learn is configured to
            self.scaler_.set_output(transform="default")
        self.scaler_.fit(_table(self._checked(X, reset=True)))
        return self

    def partial_fit(self, X: ArrayLike | Sequences, y: Any = None) -> SequenceScaler:
        """Go on learning the scales from further sequences."""
        if not hasattr(self, "scaler_"):
            return self.fit(X)
        self.scaler_.partial_fit(_table(self._checked(X, reset=False)))
        return self

    def transform(self, X: ArrayLike | Sequences) -> Any:
        """Return the sequences scaled, in the form that they came in."""
        check_is_fitted(self)
        scaled = self._applied("transform", X)
        return scaled if are_sequences(X) else _Framed(self, scaled).transform(X)

    def set_output(self, *, transform: str | None = None) -> SequenceScaler:
        """Say what tables are returned as: "default", "pandas" or "polars"; None leaves it as it is."""
        if transform is not None:
            self._sklearn_output_config = {"transform": one_of("transform", transform, _OUTPUTS)}
        return self

    def inverse_transform(self, X: ArrayLike | Sequences) -> Sequences:
        """Return the sequences as they were before `transform`."""
        check_is_fitted(self)
        return self._applied("inverse_transform", X)

    def _applied(self, method: str, X: ArrayLike | Sequences) -> Sequences:
        given = self._checked(X, reset=False)
        table = _table(given)
        scaled: Array = getattr(self.scaler_, method)(table)
        if not isinstance(scaled, np.ndarray) or scaled.shape != table.shape:
            what = f"{type(scaled).__name__} of shape {np.shape(scaled)}"
            raise ValueError(
                f"scaler: expected a transformer that keeps the columns of a table, of shape {table.shape}, got {what} "
                f"from {type(self.scaler_).__name__}"
            )
        if isinstance(given, list):
            return np.split(scaled, np.cumsum([len(sequence) for sequence in given])[:-1])
        return scaled.reshape(given.shape)

    def _checked(self, X: Any, reset: bool) -> Sequences:
        if are_sequences(X):
            return checked(self, X, reset, _FLOATS)
        table: Array = validate_data(self, X, dtype=_FLOATS, reset=reset)
        return table


class _Framed(TransformerMixin, BaseEstimator):
    """Returns a table as `SequenceScaler.set_output`, or scikit-learn's configuration, says."""

    def __init__(self, owner: SequenceScaler, table: Any) -> None:
        self.owner, self.table = owner, table
        self.set_output(transform=getattr(owner, "_sklearn_output_config", {}).get("transform"))

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """Return the names of the columns."""
        return self.owner.get_feature_names_out(input_features)

    def transform(self, X: Any) -> Any:
        """Return the table."""
        return self.table


def _table(sequences: Sequences) -> Array:
    """Return all steps below each other."""
    if isinstance(sequences, list):
        return np.concatenate(sequences)
    return sequences.reshape(-1, sequences.shape[-1])
