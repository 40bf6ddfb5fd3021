"""Windows over a time series: the same as a loop with Keras's index arithmetic, and without copies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmcore import Sequential, _random, layers, models, utils
from lstmcore.preprocessing.sequence import TimeseriesGenerator
from lstmcore.utils import timeseries_dataset_from_array


def windows_by_a_loop(data, targets, length, stride, rate, start, end):
    """What Keras documents: window i begins at ``start + i * stride``, its target is that of its beginning."""
    start, end = start or 0, len(data) if end is None else end
    number = end - start - (length - 1) * rate
    if targets is not None:
        number = min(number, len(targets))
    x, y = [], []
    for position in range(0, number, stride):
        x.append([data[start + position + k * rate] for k in range(length)])
        if targets is not None:
            y.append(targets[start + position])
    return np.array(x), np.array(y)


@given(st.data())
def test_windows_are_those_of_a_loop(data):
    size = data.draw(st.integers(4, 40), "size")
    shape = data.draw(st.sampled_from([(), (2,), (2, 3)]), "shape")
    series = np.arange(size * int(np.prod(shape)), dtype=np.float32).reshape(size, *shape)
    start = data.draw(st.none() | st.integers(0, size // 2), "start")
    end = data.draw(st.none() | st.integers((start or 0) + 1, size - 1), "end")
    arguments = [
        data.draw(st.integers(1, 6), "length"),
        data.draw(st.integers(1, 3), "stride"),
        data.draw(st.integers(1, 3), "rate"),
    ]
    targets = -np.arange(size) if data.draw(st.booleans(), "targets") else None
    x, y = windows_by_a_loop(series, targets, *arguments, start, end)
    batch_size = data.draw(st.sampled_from([None, 1, 3, 128]), "batch_size")
    options = {"start_index": start, "end_index": end, "batch_size": batch_size}
    if not len(x):
        with pytest.raises(ValueError, match="sequence_length: no window of"):
            timeseries_dataset_from_array(series, targets, *arguments, **options)
        return
    dataset = timeseries_dataset_from_array(series, targets, *arguments, **options)
    batches = list(dataset)
    assert len(batches) == len(dataset) == dataset.steps == -(-len(x) // (batch_size or 1))
    join = np.stack if batch_size is None else np.concatenate
    if targets is None:
        assert np.array_equal(join(batches), x)
    else:
        assert np.array_equal(join([b[0] for b in batches]), x)
        assert np.array_equal(join([b[1] for b in batches]), y)
        assert all(len(b[0]) <= batch_size for b in batches if batch_size)


def test_windows_are_views_that_cannot_be_written_to():
    series = np.zeros((1000, 3))
    for x, y in timeseries_dataset_from_array(series, series, 50, batch_size=16):
        assert np.shares_memory(x, series)
        assert np.shares_memory(y, series)
        with pytest.raises(ValueError, match="read-only"):
            x[0] = 1


def test_a_file_mapped_into_memory_stays_there(tmp_path):
    np.save(tmp_path / "series.npy", np.arange(100.0))
    series = np.load(tmp_path / "series.npy", mmap_mode="r")
    x = next(iter(timeseries_dataset_from_array(series, None, 10)))
    assert np.shares_memory(x, series)


def order(dataset):
    return [int(v) for _, y in dataset for v in y]


def shuffled(seed=5):
    return timeseries_dataset_from_array(np.arange(30.0), np.arange(30), 4, batch_size=7, shuffle=True, seed=seed)


def test_every_epoch_has_another_order_which_the_seed_decides():
    dataset = shuffled()
    first, second = order(dataset), order(dataset)
    assert first != second
    assert sorted(first) == sorted(second) == list(range(27))
    assert [order(d) for d in [shuffled()] * 2] == [first, second]
    assert order(shuffled(6)) != first
    for x, y in dataset:
        assert np.array_equal(x[:, 0], y)  # windows and targets stay together


def test_an_epoch_can_be_given_again():
    dataset = shuffled()
    orders = [order(dataset) for _ in range(3)]
    dataset.epochs = 1
    assert order(dataset) == orders[1]
    assert dataset.epochs == 2


def test_without_a_seed_the_global_one_decides():
    orders = []
    for _ in range(2):
        utils.set_random_seed(4)
        orders.append(order(shuffled(None)))
    assert orders[0] == orders[1]


@pytest.mark.parametrize("seed", [None, 5])
def test_the_stream_of_a_model_tells_the_epoch(seed):
    dataset, stream = shuffled(seed), _random.Stream(9)
    orders = [order(dataset.epoch(stream)) for _ in range(3)]
    assert stream.calls == 3
    again = _random.Stream(9)
    again.calls = 1  # as a model that was saved after one epoch
    assert [order(shuffled(seed).epoch(again)) for _ in range(2)] == orders[1:]
    assert order(dataset.epoch(None)) == list(range(27))  # evaluation: in time's order
    if seed is not None:
        assert [order(dataset) for _ in range(3)] == orders  # a loop and `fit` see the same


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sequence_length": 0}, "sequence_length: expected a positive integer, got 0"),
        ({"sequence_length": 11}, "sequence_length: no window of 11 values, 1 apart, fits into 10 values"),
        ({"sequence_stride": 0}, "sequence_stride: expected a positive integer, got 0"),
        ({"sequence_stride": 10}, "sequence_stride: expected less than the 10 values of the data, got 10"),
        ({"sampling_rate": 10}, "sampling_rate: expected less than the 10 values of the data, got 10"),
        ({"batch_size": 0}, "batch_size: expected a positive integer, got 0"),
        ({"start_index": 10}, r"start_index: expected 0 to 9 \(data has 10\), got 10"),
        ({"start_index": -1}, "start_index: expected 0 to 9"),
        ({"end_index": 10}, r"end_index: expected 1 to 9 \(start_index=0, data has 10\), got 10"),
        ({"start_index": 4, "end_index": 4}, "end_index: expected 5 to 9"),
        ({"targets": np.arange(6), "start_index": 2}, r"targets: expected 8 \(start_index=2\), got 6"),
        ({"targets": np.arange(0)}, "fits into 10 values and 0 targets"),
        ({"seed": -1}, "seed: expected an integer from 0"),
    ],
)
def test_windows_say_what_is_wrong(options, message):
    arguments = {"data": np.arange(10.0), "targets": None, "sequence_length": 3, **options}
    with pytest.raises(ValueError, match=message):
        timeseries_dataset_from_array(**arguments)


@pytest.mark.parametrize(("stride", "rate", "batch", "reverse"), [(1, 1, 4, False), (3, 2, 2, False), (2, 1, 5, True)])
def test_the_older_generator_gives_the_values_before_each_time(stride, rate, batch, reverse):
    series, targets, length = np.arange(40.0), np.arange(40) * 10, 6
    generator = TimeseriesGenerator(series, targets, length, rate, stride, 2, 35, batch_size=batch, reverse=reverse)
    x = np.concatenate([generator[k][0] for k in range(len(generator))])
    y = np.concatenate([generator[k][1] for k in range(len(generator))])
    times = range(2 + length, 36, stride)
    assert y.tolist() == [10 * t for t in times]
    for row, t in zip(x, times, strict=True):
        values = list(series[t - length : t : rate])
        assert row.tolist() == (values[::-1] if reverse else values)
    with pytest.raises(IndexError, match="index: expected 0 to"):
        generator[len(generator)]


def test_the_older_generator_says_what_is_wrong():
    with pytest.raises(ValueError, match="targets: expected 5, as many as data, got 4"):
        TimeseriesGenerator(np.arange(5), np.arange(4), 2)
    with pytest.raises(ValueError, match="start_index, end_index: expected a target between 5"):
        TimeseriesGenerator(np.arange(5), np.arange(5), 5)


def forecaster(dropout=0.0):
    utils.set_random_seed(2)
    model = Sequential([layers.LSTM(4, input_shape=(8, 1), dropout=dropout), layers.Dense(1)])
    model.compile("adam", "mse")
    return model


SERIES = np.sin(np.arange(120) / 5).astype("float32")[:, None]


def forecast_data(**options):
    return timeseries_dataset_from_array(SERIES, SERIES[8:], 8, batch_size=16, **options)


def test_training_on_windows_is_training_on_their_copies():
    x, y = (np.concatenate(parts) for parts in zip(*forecast_data(), strict=True))
    one, other = forecaster(), forecaster()
    losses = one.fit(forecast_data(), epochs=2, validation_data=forecast_data(), verbose=0).history
    assert other.fit(x, y, batch_size=16, epochs=2, shuffle=False, validation_data=(x, y), verbose=0).history == {
        name: pytest.approx(values, rel=1e-6) for name, values in losses.items()
    }
    assert all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))
    assert one.evaluate(forecast_data(), verbose=0) == pytest.approx(other.evaluate(x, y, 16, verbose=0), rel=1e-6)
    inputs = timeseries_dataset_from_array(SERIES[:-1], None, 8, batch_size=16, shuffle=True)
    assert np.array_equal(one.predict(inputs, verbose=0), other.predict(x, verbose=0))  # in time's order


@pytest.mark.parametrize("seed", [None, 6])
def test_training_that_was_saved_goes_on_with_the_order_it_would_have_had(tmp_path, seed):
    whole = forecaster(dropout=0.2)
    whole.fit(forecast_data(shuffle=True, seed=seed), epochs=4, verbose=0)
    half = forecaster(dropout=0.2)
    half.fit(forecast_data(shuffle=True, seed=seed), epochs=2, verbose=0)
    half.save(tmp_path / "half.safetensors")
    utils.set_random_seed(99)  # what a new process has
    again = models.load_model(tmp_path / "half.safetensors")
    again.fit(forecast_data(shuffle=True, seed=seed), initial_epoch=2, epochs=4, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(whole.get_weights(), again.get_weights(), strict=True))
