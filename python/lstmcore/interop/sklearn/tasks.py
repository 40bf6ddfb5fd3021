"""What is asked of the model: classes, or numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import check_array, check_consistent_length, column_or_1d, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, unique_labels

from .estimator import SequenceEstimator
from .sequences import Array


@dataclass(eq=False, repr=False, kw_only=True)
class Classifier(ClassifierMixin, SequenceEstimator):
    """Tells the class of a sequence.

    Parameters
    ----------
    class_weight : weights of the classes in the loss: a dict, by label, or "balanced" for those that make the sum of
        every class the same.
    """

    class_weight: Any = None

    loss: ClassVar[str] = "sparse_categorical_crossentropy"

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
        """Learn the classes of sequences.

        Parameters
        ----------
        X : a 3-D array (rows, steps, features), a list of arrays (steps, features) of different lengths, or a table.
        y : a label for each row: strings, integers, …
        sample_weight : of the rows, in the loss.
        """
        data = self._data(X, y, sample_weight, None, begins=not self._goes_on())
        self._train(*data, outputs=len(self.classes_))
        return self

    def partial_fit(
        self, X: Any, y: ArrayLike, classes: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Any:
        """Pass once over further data; the first call needs all ``classes`` there will be.

        Parameters
        ----------
        X, y, sample_weight : as for `fit`.
        classes : all labels; may be left out of further calls.
        """
        first = not hasattr(self, "model_")
        if first and classes is None:
            raise ValueError("classes: expected all labels there will be in the first call of partial_fit, got None")
        if isinstance(self.class_weight, str):
            raise ValueError(
                f"class_weight: expected a dict or None for partial_fit, got {self.class_weight!r}: the shares of the "
                "classes are not known; sklearn.utils.compute_class_weight works them out"
            )
        known = None if classes is None else unique_labels(classes)
        if known is not None and not first and not np.array_equal(known, self.classes_):
            raise ValueError(f"classes: expected those of the first call, {self.classes_}, got {known}")
        data = self._data(X, y, sample_weight, known, begins=first)
        self._train_once(*data, outputs=len(self.classes_))
        return self

    def predict_proba(self, X: Any) -> Array:
        """Return (rows, classes), the probability of each of ``classes_``."""
        outputs = self._outputs(X).astype(np.float64)
        outputs /= outputs.sum(axis=1, keepdims=True)  # to 1 in float64, as scikit-learn's scores ask for
        return outputs

    def predict(self, X: Any) -> Array:
        """Return the most probable label of each row."""
        codes = self._outputs(X).argmax(axis=1)
        labels: Array = self.classes_[codes]
        return labels

    def _data(
        self, X: Any, y: ArrayLike, sample_weight: Any, classes: Array | None, begins: bool
    ) -> tuple[Array, Array, Array | None]:
        """Return the sequences, the number of each one's class, and its weight; set ``classes_`` if training begins."""
        x = self._sequences(X, reset=begins)
        if y is None:
            raise ValueError(f"This {type(self).__name__} estimator requires y to be passed, but the target y is None.")
        labels = column_or_1d(y, warn=True)
        check_consistent_length(x, labels)
        check_classification_targets(labels)
        if begins:
            self.classes_ = unique_labels(labels) if classes is None else classes
        unknown = np.setdiff1d(labels, self.classes_)
        if len(unknown):
            raise ValueError(f"y: expected labels among the classes {self.classes_}, got {unknown}")
        weights = self._row_weights(sample_weight, x)
        if self.class_weight is not None:
            of_classes = compute_sample_weight(self.class_weight, labels)
            if not (np.isfinite(of_classes) & (of_classes >= 0)).all() or not of_classes.any():
                raise ValueError(
                    f"class_weight: expected finite weights from 0 on, not all of them zero, got {self.class_weight}"
                )
            weights = of_classes if weights is None else weights * of_classes
        return x, np.searchsorted(self.classes_, labels), weights

    def _strata(self, y: Array) -> Array | None:
        return y


@dataclass(eq=False, repr=False, kw_only=True)
class Regressor(RegressorMixin, SequenceEstimator):
    """Predicts one number or several for a sequence. Targets far from 0 and 1 are better scaled before."""

    loss: ClassVar[str] = "mse"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
        """Learn the numbers of sequences.

        Parameters
        ----------
        X : a 3-D array (rows, steps, features), a list of arrays (steps, features) of different lengths, or a table.
        y : a number for each row, or (rows, outputs).
        sample_weight : of the rows, in the loss.
        """
        data = self._data(X, y, sample_weight, begins=not self._goes_on())
        self._train(*data, outputs=data[1].shape[1])
        return self

    def partial_fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
        """Pass once over further data; arguments are those of `fit`."""
        data = self._data(X, y, sample_weight, begins=not hasattr(self, "model_"))
        self._train_once(*data, outputs=data[1].shape[1])
        return self

    def predict(self, X: Any) -> Array:
        """Return the numbers of each row, in the shape of those fitted to."""
        outputs = self._outputs(X).astype(np.float64)  # as scikit-learn's estimators return them
        return outputs if self._several else outputs[:, 0]

    def _data(self, X: Any, y: ArrayLike, sample_weight: Any, begins: bool) -> tuple[Array, Array, Array | None]:
        """Return the sequences, the targets (rows, outputs), and the weights of the rows."""
        x = self._sequences(X, reset=begins)
        if y is None:
            raise ValueError(f"This {type(self).__name__} estimator requires y to be passed, but the target y is None.")
        given = check_array(y, ensure_2d=False, dtype=np.float32, input_name="y")
        check_consistent_length(x, given)
        if given.ndim > 2:
            raise ValueError(f"y: expected one number a row, or (rows, outputs), got shape {given.shape}")
        targets = given if given.ndim == 2 else given[:, None]
        if begins:
            self._several = given.ndim == 2 and given.shape[1] > 1
        elif targets.shape[1] != self.model_.output_shape[1]:
            raise ValueError(f"y: expected {self.model_.output_shape[1]} outputs as before, got {targets.shape[1]}")
        return x, targets, self._row_weights(sample_weight, x)
