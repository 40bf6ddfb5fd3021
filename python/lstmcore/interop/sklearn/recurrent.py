"""Estimators of LSTM and GRU layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..._arguments import flag, integers
from ...layers import GRU, LSTM, Bidirectional, Dense
from ...models import Model, Sequential
from .estimator import SequenceEstimator
from .tasks import Classifier, Regressor


@dataclass(eq=False, repr=False, kw_only=True)
class Recurrent(SequenceEstimator):
    """Recurrent layers, and one that gives the outputs.

    Parameters
    ----------
    units : how wide the recurrent layer is, or, of several, each.
    bidirectional : whether the layers run through the steps both ways.
    dropout, recurrent_dropout : of the layers' inputs and states.
    """

    units: int | tuple[int, ...] = 32
    bidirectional: bool = False
    dropout: float = 0.0
    recurrent_dropout: float = 0.0

    cell: ClassVar[Any]
    activation: ClassVar[str]

    in_the_model: ClassVar[tuple[str, ...]] = ("units", "bidirectional", "dropout", "recurrent_dropout")

    def _network(self, shape: tuple[int | None, int], outputs: int) -> Model:
        widths = integers("units", self.units)
        if not widths:
            raise ValueError("units: expected at least one layer's, got none")
        bidirectional = flag("bidirectional", self.bidirectional)
        network = Sequential()
        for k, units in enumerate(widths):
            layer = self.cell(
                units,
                return_sequences=k < len(widths) - 1,
                dropout=self.dropout,
                recurrent_dropout=self.recurrent_dropout,
            )
            network.add(Bidirectional(layer) if bidirectional else layer)
        network.add(Dense(outputs, activation=self.activation))
        return network


@dataclass(eq=False, repr=False, kw_only=True)
class LSTMClassifier(Classifier, Recurrent):
    """Tells the class of a sequence with LSTM layers.

    >>> import numpy as np
    >>> from lstmcore.sklearn import LSTMClassifier
    >>> rising, falling = [np.linspace(0, 1, n)[:, None] for n in (5, 9)], [np.linspace(1, 0, 7)[:, None]] * 2
    >>> X, y = 8 * (rising + falling), 8 * ["up", "up", "down", "down"]
    >>> model = LSTMClassifier(units=8, learning_rate_init=0.02, random_state=0).fit(X, y)
    >>> model.predict([np.linspace(0, 2, 12)[:, None]]).tolist(), model.score(X, y)
    (['up'], 1.0)

    Parameters
    ----------
    units, bidirectional, dropout, recurrent_dropout : the network; see `Recurrent`.
    class_weight : see `Classifier`.
    **others : see `SequenceEstimator`.

    Attributes
    ----------
    model_, classes_, loss_curve_, validation_loss_curve_, n_iter_, loss_, n_features_in_ : see `SequenceClassifier`.
    """

    cell = LSTM
    activation = "softmax"


@dataclass(eq=False, repr=False, kw_only=True)
class GRUClassifier(Classifier, Recurrent):
    """Tells the class of a sequence with GRU layers; else as `LSTMClassifier`."""

    cell = GRU
    activation = "softmax"


@dataclass(eq=False, repr=False, kw_only=True)
class LSTMRegressor(Regressor, Recurrent):
    """Predicts numbers of a sequence with LSTM layers.

    >>> import numpy as np
    >>> from lstmcore.sklearn import LSTMRegressor
    >>> table = np.sin(np.arange(100) / 3)[:, None]
    >>> model = LSTMRegressor(window=8, units=16, learning_rate_init=0.01, random_state=0)
    >>> bool(model.fit(table[:-1], table[1:, 0]).score(table[:-1], table[1:, 0]) > 0.9)
    True

    Parameters and attributes are those of `LSTMClassifier`, without what is about classes.
    """

    cell = LSTM
    activation = "linear"


@dataclass(eq=False, repr=False, kw_only=True)
class GRURegressor(Regressor, Recurrent):
    """Predicts numbers of a sequence with GRU layers; else as `LSTMRegressor`."""

    cell = GRU
    activation = "linear"
