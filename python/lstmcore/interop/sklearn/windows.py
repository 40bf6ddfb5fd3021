"""Windows over a table whose rows are the steps of a time series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ..._arguments import one_of, positive_integer

Array = NDArray[Any]
FIRST = ("repeat", "short", "drop")


def windows_of(table: Array, window: int) -> list[Array]:
    """Return, for each row, that row behind the ``window - 1`` before it, or those there are."""
    return [table[max(0, k + 1 - window) : k + 1] for k in range(len(table))]


@dataclass(eq=False, repr=False)
class WindowTransformer(TransformerMixin, BaseEstimator):
    """Turns the rows of a table, steps of a time series, into windows that end with them.

    >>> import numpy as np
    >>> from lstmcore.sklearn import WindowTransformer
    >>> series = np.array([[1.0], [2.0], [3.0], [4.0]])
    >>> WindowTransformer(window=3).fit_transform(series)[:, :, 0]
    array([[1., 1., 1.],
           [1., 1., 2.],
           [1., 2., 3.],
           [2., 3., 4.]])
    >>> whole = WindowTransformer(window=3, first="drop").fit(series)
    >>> whole.transform(series)[:, :, 0].tolist(), whole.align([10, 20, 30, 40]).tolist()
    ([[1.0, 2.0, 3.0], [2.0, 3.0, 4.0]], [30, 40])

    There is a window for every row, as a `Pipeline` needs it, and none sees a row that comes later. To predict what
    comes later, let the targets be those of later rows.

    Parameters
    ----------
    window : the number of rows in a window.
    first : what becomes of the first ``window - 1`` rows, before which there are not enough: "repeat" puts the first
        row before them, "short" gives a list of arrays of different lengths, "drop" leaves them out, and `align`
        leaves out their targets.

    Attributes
    ----------
    n_features_in_ : columns of the table.
    """

    window: int = 10
    first: str = "repeat"

    def fit(self, X: ArrayLike, y: Any = None) -> WindowTransformer:
        """Check the parameters, and remember how many columns there are."""
        positive_integer("window", self.window)
        one_of("first", self.first, FIRST)
        validate_data(self, X, dtype=[np.float64, np.float32])
        return self

    def transform(self, X: ArrayLike) -> Array | list[Array]:
        """Return the windows: an array (rows, window, columns), or a list if the first may be short."""
        check_is_fitted(self)
        table = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        window, first = positive_integer("window", self.window), one_of("first", self.first, FIRST)
        if first == "short":
            return windows_of(table, window)
        if first == "repeat":
            table = np.concatenate([np.repeat(table[:1], window - 1, axis=0), table])
        elif len(table) < window:
            raise ValueError(f"X: expected at least {window} rows, one window, got {len(table)}")
        return np.ascontiguousarray(sliding_window_view(table, window, axis=0).swapaxes(1, 2))

    def set_output(self, *, transform: str | None = None) -> WindowTransformer:
        """Change nothing, so that a `Pipeline` can say it of its other steps: windows are no table, but arrays."""
        return self

    def align(self, y: ArrayLike) -> Array:
        """Return the targets of the rows that `transform` gives windows for, of one for each row of the table."""
        targets = np.asarray(y)
        return targets[self.window - 1 :] if self.first == "drop" else targets
