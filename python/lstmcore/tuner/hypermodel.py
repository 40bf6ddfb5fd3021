"""What is searched over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .hyperparameters import HyperParameters


class HyperModel:
    """Makes, and trains, a model from hyper-parameters. A function that makes one will often do.

    >>> from lstmcore import Sequential, layers
    >>> from lstmcore.tuner import HyperModel, HyperParameters
    >>> class MyModel(HyperModel):
    ...     def build(self, hp):
    ...         model = Sequential([layers.LSTM(hp.Int("units", 4, 16), input_shape=(5, 1)), layers.Dense(1)])
    ...         model.compile("adam", "mse")
    ...         return model
    ...     def fit(self, hp, model, *args, **kwargs):
    ...         return model.fit(*args, batch_size=hp.Choice("batch_size", [16, 32]), **kwargs)
    >>> MyModel().build(HyperParameters()).count_params()
    101

    Parameters
    ----------
    name : of your choice.
    tunable : False to search over nothing and take the defaults.
    """

    name: str | None = None
    tunable = True

    def __init__(self, name: str | None = None, tunable: bool = True) -> None:
        self.name, self.tunable = name, tunable

    def build(self, hp: HyperParameters) -> Any:
        """Return a compiled model."""
        raise NotImplementedError(f"{type(self).__name__}: build(self, hp) is to be defined")

    def fit(self, hp: HyperParameters, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Train the model; the arguments are those of ``search``, and callbacks that must be passed on.

        Return what ``model.fit`` does, or a number, or a dict of numbers with the objective among them.
        """
        return model.fit(*args, **kwargs)


class _Function(HyperModel):
    def __init__(self, build: Callable[[HyperParameters], Any]) -> None:
        super().__init__(getattr(build, "__name__", None))
        self._build = build

    def build(self, hp: HyperParameters) -> Any:
        return self._build(hp)


def get(hypermodel: Any) -> HyperModel:
    """Return a `HyperModel` for one, or for a function that makes a model."""
    if isinstance(hypermodel, HyperModel):
        return hypermodel
    if not callable(hypermodel):
        raise TypeError(f"hypermodel: expected a HyperModel or a function build(hp), got {hypermodel!r}")
    return _Function(hypermodel)
