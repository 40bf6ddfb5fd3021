"""Estimators of models of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..._arguments import function
from ...models import Model
from .estimator import Build, SequenceEstimator
from .tasks import Classifier, Regressor


@dataclass(eq=False, repr=False, kw_only=True)
class Built(SequenceEstimator):
    """A model that a function makes.

    Parameters
    ----------
    build : called with the shape of a sequence, (steps, features), steps None where the sequences differ in length, and
        the number of outputs; returns a model of them. If that is compiled, its optimizer and loss are used.
        When training goes on, it is not called again.
    """

    build: Build

    in_the_model: ClassVar[tuple[str, ...]] = ()  # whether another function makes another model, nobody knows

    def _network(self, shape: tuple[int | None, int], outputs: int) -> Model:
        network = function("build", self.build)(shape, outputs)
        if not isinstance(network, Model):
            raise TypeError(f"build: expected it to return a model, got {type(network).__name__}")
        return network


@dataclass(eq=False, repr=False, kw_only=True)
class SequenceClassifier(Classifier, Built):
    """Tells the class of a sequence, with a model of one's own.

    >>> import numpy as np
    >>> from lstmcore import Sequential, layers
    >>> from lstmcore.sklearn import SequenceClassifier
    >>> def build(shape, outputs):
    ...     return Sequential([layers.MinGRU(8, input_shape=shape), layers.Dense(outputs, "softmax")])
    >>> rising, falling = np.linspace(0, 1, 20)[None, :, None], np.linspace(1, 0, 20)[None, :, None]
    >>> X, y = np.concatenate([rising, falling] * 8), ["up", "down"] * 8
    >>> SequenceClassifier(build=build, learning_rate_init=0.02, random_state=0).fit(X, y).predict(X[:2]).tolist()
    ['up', 'down']

    The model ends with a softmax. Its parameters are searched through with `functools.partial`: a grid
    ``{"build": [partial(build, units=8), partial(build, units=16)]}``.

    Parameters
    ----------
    build : see `Built`.
    class_weight : see `Classifier`.
    **others : see `SequenceEstimator`.

    Attributes
    ----------
    model_ : the trained model.
    classes_ : the labels, sorted.
    loss_curve_, validation_loss_curve_ : the loss after each pass, and that of the rows held out.
    n_iter_, loss_ : the number of passes, and the last loss.
    n_features_in_ : features of a step, or columns of a table.
    """


@dataclass(eq=False, repr=False, kw_only=True)
class SequenceRegressor(Regressor, Built):
    """Predicts numbers of a sequence, with a model of one's own.

    >>> import numpy as np
    >>> from lstmcore import Sequential, layers
    >>> from lstmcore.sklearn import SequenceRegressor
    >>> def build(shape, outputs):
    ...     return Sequential([layers.GRU(4, input_shape=shape), layers.Dense(outputs)])
    >>> X = np.random.default_rng(0).standard_normal((16, 5, 2))
    >>> SequenceRegressor(build=build, max_iter=2, random_state=0).fit(X, X[:, -1]).predict(X).shape
    (16, 2)

    Parameters and attributes are those of `SequenceClassifier`, without what is about classes.
    """
