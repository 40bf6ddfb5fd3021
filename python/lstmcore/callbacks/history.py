"""The losses and metrics of every epoch."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import numpy as np

from .._arguments import one_of, strings
from .._html import html_table
from .callback import Callback, Logs

_SHOWN = 10  # epochs in a notebook


class History(Callback):
    """Records the loss and metrics of every epoch; `fit` returns one.

    After an interruption that `BackupAndRestore` has bridged it holds the epochs before it too.

    Attributes
    ----------
    epoch : the epochs' numbers, from 0.
    history : name -> a value for each epoch, e.g. ``history["val_loss"]``.
    """

    rank = 1  # other callbacks write into the logs

    def __init__(self) -> None:
        super().__init__()
        self.epoch: list[int] = []
        self.history: dict[str, list[Any]] = {}
        self._epochs: dict[str, list[int]] = {}  # of each name, those it has a value of

    @property
    def model(self) -> Any:
        """The model that was trained, as long as there is one; it keeps this object, so this does not keep it."""
        return None if self._model is None else self._model()

    @model.setter
    def model(self, value: Any) -> None:
        self._model = None if value is None else weakref.ref(value)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle and copy without the model."""
        return vars(self) | {"_model": None}

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start afresh."""
        self.epoch, self.history, self._epochs = [], {}, {}

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Record the epoch."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
            self._epochs.setdefault(name, []).append(epoch)

    def get_state(self) -> dict[str, Any]:
        """Return what has been recorded."""
        return {"epoch": list(self.epoch), "history": _copy(self.history), "epochs": _copy(self._epochs)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Carry on with what had been recorded."""
        self.epoch = list(state["epoch"])
        self.history = _copy(state["history"])
        self._epochs = _copy(state.get("epochs", {}))

    def _epochs_of(self, name: str) -> list[int]:
        """Return the epochs that a name has values of: those of validation may be fewer than all."""
        epochs = self._epochs.get(name, self.epoch)
        if len(epochs) != len(self.history[name]):
            raise ValueError(
                f"history: {name}: expected {len(epochs)} values, one for each epoch it was recorded in, "
                f"got {len(self.history[name])}"
            )
        return epochs

    def to_frame(self) -> Any:
        """Return a ``pandas.DataFrame`` with a row for each epoch and a column for each name.

        A metric has NaN in the epochs that it has no value of, as those of validation may.

        Raises
        ------
        ImportError
            pandas is not there: ``pip install pandas``.
        """
        try:
            import pandas as pd
        except ImportError:
            raise ImportError("History.to_frame needs pandas: pip install pandas") from None
        columns = {
            name: pd.Series(values, index=self._epochs_of(name), dtype=None if values else float)
            for name, values in self.history.items()
        }
        return pd.DataFrame(columns, index=pd.Index(self.epoch, name="epoch"))

    def plot(self, names: Iterable[str] | str | None = None, yscale: str = "linear") -> Any:
        """Draw the loss and metrics over the epochs: a picture for each, with that of the validation beside it.

        ::

            history = model.fit(x, y, validation_split=0.2, epochs=20)
            history.plot()
            history.plot("loss", yscale="log")

        Parameters
        ----------
        names : which, without "val_"; all by default.
        yscale : "linear" or "log".

        Returns
        -------
        array of matplotlib's axes, one for each name; ``axes[0].figure.savefig(...)`` keeps the picture.

        Raises
        ------
        ImportError
            matplotlib is not there: ``pip install "lstmcore[plot]"``.
        ValueError
            There is nothing of a name, or nothing at all.
        """
        known = list(dict.fromkeys(name.removeprefix("val_") for name in self.history))
        chosen = known if names is None else [names] if isinstance(names, str) else strings("names", names)
        one_of("yscale", yscale, ("linear", "log"))
        for name in chosen:
            if name not in known:
                raise ValueError(f"names: expected some of {', '.join(map(repr, known))}, got {name!r}")
        if not chosen:
            raise ValueError("names: expected at least one, got none" if known else "history: there are no epochs yet")
        try:
            from matplotlib import pyplot
        except ImportError:
            raise ImportError('History.plot needs matplotlib: pip install "lstmcore[plot]"') from None
        _, axes = pyplot.subplots(1, len(chosen), figsize=(4.5 * len(chosen), 3.2), squeeze=False, layout="constrained")
        for axis, name in zip(axes[0], chosen, strict=True):
            for drawn, label in ((name, "training"), (f"val_{name}", "validation")):
                if drawn in self.history:
                    # As on the screen, a metric that is an array is drawn as its mean. Epochs count from 1, as there.
                    values = [float(np.mean(value)) for value in self.history[drawn]]
                    marker = "o" if len(values) == 1 else None
                    axis.plot([epoch + 1 for epoch in self._epochs_of(drawn)], values, marker=marker, label=label)
            axis.set_title(name)
            axis.set_xlabel("epoch")
            axis.set_yscale(yscale)
            axis.legend()
        return axes[0]

    def _repr_html_(self) -> str:
        at = {name: dict(zip(self._epochs_of(name), self.history[name], strict=True)) for name in self.history}
        shown = self.epoch if len(self.epoch) <= _SHOWN else [*self.epoch[:2], None, *self.epoch[2 - _SHOWN :]]
        rows = [
            ["…"] * (1 + len(at)) if epoch is None else [str(epoch + 1), *(_text(v.get(epoch)) for v in at.values())]
            for epoch in shown
        ]
        caption = f"History of {len(self.epoch)} epoch{'' if len(self.epoch) == 1 else 's'}"
        return html_table(caption, ["epoch", *at], rows, right=range(1 + len(at)))

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={np.mean(values[-1]):.4g}" for name, values in self.history.items())
        return f"<History of {len(self.epoch)} epochs{': ' + last if last else ''}>"


def _copy(lists: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {name: list(values) for name, values in lists.items()}


def _text(value: Any) -> str:
    return "" if value is None else f"{np.mean(value):.4g}"
