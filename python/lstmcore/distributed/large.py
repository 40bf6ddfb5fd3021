"""Prediction over data that is larger than one memory."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arguments import positive_integer, shown


def predict(model: Any, data: Any, batch_size: int | None = None) -> Any:
    """Return what a model predicts for a Dask array or data frame: lazily, block by block, in the same partitions.

    ``compute()`` of the result makes Dask's workers predict, each with a copy of the model for inference; Dask shows
    the progress as it does that of anything else.

    Parameters
    ----------
    model : a model with one input and one output, or an estimator of `lstmcore.sklearn`.
    data : ``dask.array.Array``, whose blocks are whole along all axes but the first; or ``dask.dataframe.DataFrame``,
        a row each a sample.
    batch_size : of `predict` in a worker; by default the model's.

    Returns
    -------
    A Dask array; its chunks along the first axis are those of the data.

    Raises
    ------
    TypeError, ValueError
        The data are of another kind, or cut along another axis; or the model has no weights, or several outputs.
    """
    size = None if batch_size is None else positive_integer("batch_size", batch_size)
    if not callable(getattr(model, "predict", None)):
        raise TypeError(f"model: expected a model or an estimator, got {shown(model)}")
    if hasattr(data, "__dask_graph__"):  # then there is Dask
        import dask.array

        if hasattr(data, "to_dask_array"):  # a data frame
            data = data.to_dask_array()
    if "dask.array" not in sys.modules or not isinstance(data, sys.modules["dask.array"].Array):
        raise TypeError(
            "data: expected a dask.array.Array or a dask.dataframe.DataFrame (pip install 'lstmcore[dask]'), got "
            f"{shown(data)}"
        )
    if data.ndim == 0 or any(len(chunks) > 1 for chunks in data.chunks[1:]):
        raise ValueError(
            f"data: expected blocks that are whole along all axes but the first, got chunks {data.chunks}; "
            "data.rechunk({0: 'auto', 1: -1, …}) makes them so"
        )
    tail, dtype = _output(model, data)
    worker = model.for_inference() if hasattr(model, "for_inference") else model
    return dask.array.map_blocks(
        _predicted,
        data,
        worker=dask.delayed(worker, pure=False, traverse=False),
        batch_size=size,
        dtype=dtype,
        drop_axis=list(range(1, data.ndim)),
        new_axis=list(range(1, 1 + len(tail))) or None,
        chunks=(data.chunks[0], *((n,) for n in tail)),
        meta=np.empty((0,) * (1 + len(tail)), dtype),
    )


def _output(model: Any, data: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape of a row of the outputs, and their dtype: what the model gives for one row of zeros."""
    if getattr(model, "several_outputs", None) is not None:
        raise ValueError(f"model: expected one output, got those of {model.name}; make a Model of each")
    if hasattr(model, "built") and not model.built:
        raise ValueError(f"model: expected one with weights; build {model.name} or train it first")
    row = _predicted(np.zeros((1, *map(int, data.shape[1:])), data.dtype), model, None)
    if not isinstance(row, np.ndarray):
        raise ValueError(f"model: expected one output, got {shown(row)}")
    return row.shape[1:], row.dtype


def _predicted(block: NDArray[Any], worker: Any, batch_size: int | None) -> Any:
    options = {"verbose": 0, "batch_size": batch_size} if hasattr(worker, "several_outputs") else {}
    return worker.predict(block, **options)
