"""Prediction in blocks, by Dask and joblib: what `predict` gives for all rows at once, to the bit."""

import sys

import numpy as np
import pytest

import lstmcore
from lstmcore import Input, Model, Sequential, layers
from lstmcore.distributed import MPI, predict

pytestmark = pytest.mark.once

X = np.random.default_rng(0).normal(size=(20, 5, 3)).astype("f4")


@pytest.fixture(scope="module")
def model():
    return Sequential([layers.LSTM(4, input_shape=(None, 3)), layers.Dense(2)])


def test_blocks_of_an_array(model):
    array = pytest.importorskip("dask.array")
    data = array.from_array(X, chunks=(7, 5, 3))
    found = predict(model, data, batch_size=4)
    assert (found.shape, found.chunks, found.dtype) == ((20, 2), ((7, 7, 6), (2,)), np.float32)
    np.testing.assert_array_equal(found.compute(scheduler="threads", num_workers=2), model.predict(X, verbose=0))


def test_steps_in_the_outputs_and_whole_numbers_in(model):
    array = pytest.importorskip("dask.array")
    tags = Sequential([layers.Embedding(9, 3, input_shape=(6,)), layers.GRU(2, return_sequences=True)])
    x = np.random.default_rng(0).integers(0, 9, (10, 6))
    found = predict(tags, array.from_array(x, chunks=(4, 6)))
    assert found.shape == (10, 6, 2)
    np.testing.assert_array_equal(found.compute(scheduler="sync"), tags.predict(x, verbose=0))


def test_an_estimator(model):
    pytest.importorskip("sklearn")
    array = pytest.importorskip("dask.array")
    from lstmcore.sklearn import LSTMRegressor

    estimator = LSTMRegressor(units=2, max_iter=1).fit(X, X[:, 0, 0])
    found = predict(estimator, array.from_array(X, chunks=(9, 5, 3))).compute(scheduler="sync")
    np.testing.assert_array_equal(found, estimator.predict(X))


def test_what_cannot_be_mapped_is_refused(model):
    array = pytest.importorskip("dask.array")
    with pytest.raises(ValueError, match="whole along all axes but the first"):
        predict(model, array.from_array(X, chunks=(20, 2, 3)))
    with pytest.raises(TypeError, match="data: expected a dask"):
        predict(model, X)
    data = array.from_array(X, chunks=(7, 5, 3))
    with pytest.raises(ValueError, match="expected one with weights"):
        predict(Sequential([layers.LSTM(2)]), data)
    x = Input((5, 3))
    two = Model(x, [layers.LSTM(2)(x), layers.GRU(2)(x)])
    with pytest.raises(ValueError, match="expected one output"):
        predict(two, data)
    with pytest.raises(ValueError, match="batch_size"):
        predict(model, data, batch_size=0)


def test_joblib(model):
    joblib = pytest.importorskip("joblib")
    small = model.for_inference()
    parts = joblib.Parallel(2, backend="threading")(
        joblib.delayed(small.predict)(part, verbose=0) for part in np.array_split(X, 3)
    )
    np.testing.assert_array_equal(np.concatenate(parts), model.predict(X, verbose=0))


def test_what_is_missing_is_said(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(TypeError, match=r"lstmcore\[dask\]"):
        predict(model, X)
    assert MPI(4).communicator.size == 1  # alone, nothing is needed
    monkeypatch.setenv("PMI_SIZE", "2")
    with pytest.raises(ImportError, match=r"lstmcore\[mpi\]"):
        model.distribute(shards=4)


def test_processes_are_part_of_the_configuration(monkeypatch, capsys):
    from lstmcore.distributed import mpi

    class Two:
        size, local_size, rank = 2, 2, 1

    monkeypatch.setitem(mpi._connections, 1.0, Two())
    lstmcore.show_config()
    assert "processes" in capsys.readouterr().out
