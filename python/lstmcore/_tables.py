"""Tables of other libraries, by the protocols that they share: none of these is imported unless a table asks for it."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

_STREAM, _INTERCHANGE = "__arrow_c_stream__", "__dataframe__"
_READERS = {
    _STREAM: (("pyarrow", "table"), ("polars", "DataFrame")),
    _INTERCHANGE: (("pyarrow.interchange", "from_dataframe"), ("pandas.api.interchange", "from_dataframe")),
}


def is_table(value: Any) -> bool:
    """Whether it gives its columns by Arrow's protocol or the interchange of data frames."""
    return hasattr(value, _STREAM) or hasattr(value, _INTERCHANGE)


def readable(name: str, value: Any) -> Any:
    """Return a table that NumPy can read: as it is, or by one of the libraries that read such."""
    if hasattr(value, "collect") and type(value).__name__ == "LazyFrame":
        raise TypeError(f"{name}: expected a table with its numbers, got a LazyFrame; use its collect()")
    if hasattr(value, "__array__") or not is_table(value):
        return value
    for package, function in _READERS[_STREAM if hasattr(value, _STREAM) else _INTERCHANGE]:
        try:
            reader = getattr(importlib.import_module(package), function)
        except ImportError:
            continue
        return reader(value)
    raise TypeError(
        f"{name}: expected an array, got the table {type(value).__name__}, which pyarrow can read: pip install pyarrow"
    )


def names_of(value: Any) -> Any:
    """Return the names of the columns of a table; None if it has none."""
    names = getattr(value, "column_names", None)  # of Arrow's, whose columns are no names
    return getattr(value, "columns", None) if names is None else names


def nulls(value: Any) -> NDArray[np.bool_] | None:
    """Return where a column or a table of Arrow's or Polars' has nothing, which NumPy reads as NaN; None for others."""
    if hasattr(value, "is_null"):
        return np.asarray(value.is_null(), bool)
    columns = getattr(value, "get_columns", None) or getattr(value, "itercolumns", None)
    if columns is None or not is_table(value):
        return None
    return np.stack([np.asarray(column.is_null(), bool) for column in columns()], axis=1)
