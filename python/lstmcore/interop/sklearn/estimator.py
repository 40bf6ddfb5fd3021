"""What all estimators share: how sequences come in, and how their models are trained."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from ... import _random, optimizers
from ..._arguments import flag, number, positive_integer
from ...callbacks import EarlyStopping
from ...models import Model, Sequential
from .padding import PADDING, Padding
from .sequences import Array, are_sequences, checked, padded
from .windows import windows_of

Build = Callable[[tuple[int | None, int], int], Model]


@dataclass(eq=False, repr=False, kw_only=True)
class SequenceEstimator(BaseEstimator):
    """A model of sequences with scikit-learn's manners; `built` and `recurrent` say which model.

    Parameters
    ----------
    window : of a table whose rows are the steps of a time series, how many rows are looked at for each answer: a row
        and those before it, as far as there are any. By default each row of a table is a sequence of its own, of one
        feature a step. Not for 3-D arrays and lists, which are sequences already.
    optimizer, learning_rate_init : a name and the learning rate, or an `optimizers.Optimizer`, which has its own.
    max_iter : the most passes over the data.
    batch_size : rows in a step.
    tol, n_iter_no_change : training ends when the loss has not become better by more than ``tol`` in so many passes.
    early_stopping, validation_fraction : with True, this part of the rows is not trained on, the loss is that of these,
        and the weights of the best pass are those kept. They are drawn at random, in the shares of the classes where
        there are any; with ``window``, they are the last ones.
    warm_start : a further `fit` goes on from the weights that the last one has left, with the learning rate there is
        then; parameters that its model is made of cannot be others.
    random_state : of initial weights, dropout, the order of rows and those held out; with an integer, the same bits.
    verbose : what `Model.fit` shows.
    """

    window: int | None = None
    optimizer: Any = "adam"
    learning_rate_init: float = 0.001
    max_iter: int = 200
    batch_size: int = 32
    tol: float = 1e-4
    n_iter_no_change: int = 10
    early_stopping: bool = False
    validation_fraction: float = 0.1
    warm_start: bool = False
    random_state: Any = None
    verbose: int = 0

    # --- provided by those below ---

    loss: ClassVar[str]
    in_the_model: ClassVar[tuple[str, ...]]  # names of parameters that the model is made of

    def _network(self, shape: tuple[int | None, int], outputs: int) -> Model:
        """Return a model of sequences (steps, features) with so many outputs."""
        raise NotImplementedError

    def _strata(self, y: Array) -> Array | None:
        """Return what the rows held out shall have in the same shares as the others."""
        return None

    # --- in ---

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _sequences(self, X: Any, reset: bool = False) -> Array:
        """Return (rows, steps, features), padded; with ``reset``, they may have other features than those before."""
        x = self._padded(X, reset)
        if not reset and x.shape[2] != self.model_.input_shape[2]:
            raise ValueError(
                f"X: expected {self.model_.input_shape[2]} features a step as in those fitted to, got {x.shape[2]}: "
                "without window, the columns of a table are steps of one feature"
            )
        return x

    def _padded(self, X: Any, reset: bool) -> Array:
        if are_sequences(X):
            if self.window is not None:
                raise ValueError(f"window: expected None for sequences, got {self.window!r}; it is for tables")
            return padded(checked(self, X, reset))
        table = validate_data(self, X, dtype=np.float32, reset=reset)
        if self.window is None:
            return np.asarray(table[:, :, None])
        return padded(windows_of(table, positive_integer("window", self.window)))

    def _row_weights(self, sample_weight: Any, x: Array) -> Array | None:
        if sample_weight is None:
            return None
        weights: Array = check_array(sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
        if weights.shape != (len(x),):
            raise ValueError(f"sample_weight: expected a weight for each of {len(x)} rows, got shape {weights.shape}")
        if weights.min() < 0 or not weights.any():
            raise ValueError(f"sample_weight: expected weights from 0 on, not all of them zero, got {weights}")
        return weights

    # --- training ---

    def _train(self, x: Array, y: Array, weights: Array | None, outputs: int) -> None:
        """Train for as long as the parameters say, on a new model or, with ``warm_start``, on."""
        max_iter = positive_integer("max_iter", self.max_iter)
        early_stopping = flag("early_stopping", self.early_stopping)
        patience = positive_integer("n_iter_no_change", self.n_iter_no_change)
        stop = EarlyStopping(
            "val_loss" if early_stopping else "loss",
            min_delta=number("tol", self.tol, "[0, inf)"),
            patience=patience,
            restore_best_weights=early_stopping,
        )
        chance = check_random_state(self.random_state)
        with _random.drawing_from(chance.randint(2**31)):
            if self._goes_on():
                self._go_on()
            else:
                self._begin(x, outputs)
            data: dict[str, Any] = {"x": x, "y": y, "sample_weight": weights}
            if self.early_stopping:
                data = self._held_out(x, y, weights, chance)
            self._epochs(max_iter, callbacks=[stop], **data)

    def _train_once(self, x: Array, y: Array, weights: Array | None, outputs: int) -> None:
        """Pass over the data once, from the weights there are."""
        with _random.drawing_from(check_random_state(self.random_state).randint(2**31)):
            if hasattr(self, "model_"):
                self._go_on()
            else:
                self._begin(x, outputs)
            self._epochs(1, x=x, y=y, sample_weight=weights)

    def _begin(self, x: Array, outputs: int) -> None:
        """Make the model."""
        lengths = np.unique(np.isfinite(x[:, :, 0]).sum(axis=1))
        network = self._network((int(lengths[0]) if len(lengths) == 1 else None, x.shape[2]), outputs)
        model = Sequential([Padding(PADDING, input_shape=(None, x.shape[2])), network])
        if model.output_shape != (None, outputs):
            raise ValueError(
                f"build: expected a model with outputs of shape (None, {outputs}), got {model.output_shape}; "
                f"end it with Dense({outputs})"
            )
        optimizer, self._rate = network.optimizer, None
        if optimizer is None and isinstance(self.optimizer, str):
            optimizer = optimizers.get(self.optimizer)
            optimizer.learning_rate = self._rate = number("learning_rate_init", self.learning_rate_init, "(0, inf)")
        model.compile(
            copy.deepcopy(self.optimizer) if optimizer is None else optimizer,
            self.loss if network.loss is None else network.loss,
        )
        self.model_ = model
        made_of = {name: getattr(self, name) for name in ("optimizer", *self.in_the_model)}
        self._made_of = {name: tuple(of) if isinstance(of, list) else of for name, of in made_of.items()}
        self.loss_curve_: list[float] = []
        self.validation_loss_curve_: list[float] = []

    def _goes_on(self) -> bool:
        """Whether `fit` goes on with the model that there is."""
        return flag("warm_start", self.warm_start) and hasattr(self, "model_")

    def _go_on(self) -> None:
        """Refuse parameters that ask for another model than there is, and take a learning rate that is another."""
        for name, was in self._made_of.items():
            now = getattr(self, name)
            if not np.array_equal(now, was):
                raise ValueError(
                    f"{name}: expected {was!r}, of which the model that training goes on with is made, got {now!r}; "
                    "use fit with warm_start=False, or a new estimator"
                )
        optimizer = self.model_.optimizer
        if optimizer is not None and self._rate not in (None, self.learning_rate_init):
            self._rate = number("learning_rate_init", self.learning_rate_init, "(0, inf)")
            optimizer.learning_rate = self._rate

    def _epochs(self, epochs: int, **data: Any) -> None:
        batch_size = positive_integer("batch_size", self.batch_size)
        history = self.model_.fit(epochs=epochs, batch_size=batch_size, verbose=int(self.verbose), **data).history
        self.loss_curve_ += history["loss"]
        self.validation_loss_curve_ += history.get("val_loss", [])
        self.n_iter_ = len(self.loss_curve_)
        self.loss_ = self.loss_curve_[-1]

    def _held_out(self, x: Array, y: Array, weights: Array | None, chance: Any) -> dict[str, Any]:
        """Return the arguments of `Model.fit` with some of the rows held out to validate on."""
        share = number("validation_fraction", self.validation_fraction, "(0, 1)")
        rows = np.arange(len(x))
        split: dict[str, Any] = {"shuffle": False}  # windows overlap: those drawn from between would have been seen
        if self.window is None:
            split = {"random_state": chance, "stratify": self._strata(y)}
        train, held = train_test_split(rows, test_size=share, **split)
        parts = [(x[k], y[k], None if weights is None else weights[k]) for k in (train, held)]
        return {**dict(zip(("x", "y", "sample_weight"), parts[0], strict=True)), "validation_data": parts[1]}

    # --- out ---

    def _outputs(self, X: Any) -> Array:
        """Return what the model says of each row."""
        check_is_fitted(self, "model_")
        outputs: Array = self.model_.predict(self._sequences(X), verbose=0)
        return outputs
