"""Padding, one-hot vectors, splitting: what Keras's documentation says, and clear errors."""

import numpy as np
import pytest

import lstmcore
from lstmcore import Sequential, layers, utils
from lstmcore.layers import Dense


def padded_by_hand(sequences, maxlen, padding, truncating, value):
    rows = []
    for sequence in sequences:
        kept = list(sequence)
        while len(kept) > maxlen:
            kept.pop(0 if truncating == "pre" else -1)
        while len(kept) < maxlen:
            kept.insert(0 if padding == "pre" else len(kept), value)
        rows.append(kept)
    return rows


@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("truncating", ["pre", "post"])
@pytest.mark.parametrize("maxlen", [1, 2, 3, 5])
def test_padding_is_that_of_a_loop(padding, truncating, maxlen):
    sequences = [[1], [], [2, 3], np.array([4, 5, 6]), (7, 8, 9, 10)]
    result = utils.pad_sequences(sequences, maxlen, padding=padding, truncating=truncating, value=-1)
    assert result.dtype == np.int32
    assert result.tolist() == padded_by_hand(sequences, maxlen, padding, truncating, -1)


def test_padding_takes_vectors_floats_and_strings():
    vectors = utils.pad_sequences([[[1, 2]], [[3, 4], [5, 6]]], dtype="float32", padding="post", value=0.5)
    assert vectors.dtype == np.float32
    assert vectors.tolist() == [[[1, 2], [0.5, 0.5]], [[3, 4], [5, 6]]]
    words = utils.pad_sequences([["a"], ["b", "c"]], dtype=object, value="<pad>")
    assert words.tolist() == [["<pad>", "a"], ["b", "c"]]
    assert utils.pad_sequences([[], []]).shape == (2, 0)
    # As in Keras, the default dtype cuts floats.
    assert utils.pad_sequences([[0.9, 1.9]]).tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1]], 0), "maxlen: expected a positive integer, got 0"),
        (([],), "sequences: expected at least one"),
        ((5,), "sequences: expected a list of sequences, got 5"),
        (([[1], 2],), "got 2 as number 1"),
        (([["a"]],), "sequences: expected what int32 can hold, got .*'a'"),
        (([[1], [2**40]],), "sequences: expected what int32 can hold, got .*1099511627776"),
        (([[1]], None, "int32", "both"), "padding: expected 'pre' or 'post', got 'both'"),
        (([[1]], None, "int32", "pre", "both"), "truncating: expected 'pre' or 'post', got 'both'"),
        (([[1]], None, "int32", "pre", "pre", "x"), "value: expected what int32 can hold, got 'x'"),
        (([[1]], None, "int32", "pre", "pre", 2**70), f"value: expected what int32 can hold, got {2**70}"),
        (([[1]], None, "int8", "pre", "pre", -129), "value: expected what int8 can hold, got -129"),
        (([[1]], None, "int32", "pre", "pre", float("nan")), "value: expected what int32 can hold, got nan"),
        (([[1]], None, "float32", "pre", "pre", 1e300), r"value: expected what float32 can hold, got 1e\+300"),
        (([[1]], None, "float32", "pre", "pre", None), "value: expected what float32 can hold, got None"),
        (([[1]], None, "int32", "pre", "pre", [0, 1]), "value: expected one number, got"),
        (([[1.0, None]], None, "float32"), "sequences: expected what float32 can hold, got .*None"),
        (([np.array([2**40])],), "sequences: expected what int32 can hold, .* 1099511627776"),
        (([np.array([1.0, np.inf])],), "sequences: expected what int32 can hold, .* inf"),
        (([np.array([np.nan])],), "sequences: expected what int32 can hold, .* nan"),
        (([[1]], None, "int33"), "dtype: expected a data type of NumPy's, got 'int33'"),
        ((["ab"], None, object), "expected a list of sequences, got 'ab' as number 0"),
        (([{1, 2}],), "expected a list of sequences, got {1, 2} as number 0"),
        (([np.array(3)],), "expected a list of sequences, got .* as number 0"),
        (([[1, [2]]],), "sequences: expected what int32 can hold, .* lists of different lengths"),
        (([[[1, 2]], [[1, 2, 3]]],), r"expected vectors of shape \(2,\), got \(3,\) in number 1"),
    ],
)
def test_padding_says_what_is_wrong(arguments, message):
    with pytest.raises(ValueError, match=message):
        utils.pad_sequences(*arguments)


def test_one_hot_vectors_are_rows_of_the_identity():
    labels = np.random.default_rng(0).integers(0, 4, (3, 5))
    assert np.array_equal(utils.to_categorical(labels, 4), np.eye(4)[labels])
    assert np.array_equal(utils.to_categorical(labels[..., None], 4), np.eye(4)[labels])  # a last axis of 1 goes
    assert np.array_equal(utils.to_categorical([0.0, 2.0, 1.0]), np.eye(3)[[0, 2, 1]])
    assert utils.to_categorical([1], 3).tolist() == [[0, 1, 0]]


@pytest.mark.parametrize(
    ("labels", "classes", "error", "message"),
    [
        ([0, 3], 3, ValueError, r"x: expected labels from 0 to 2 \(num_classes=3\), got 3"),
        ([0, -1], None, ValueError, "x: expected labels from 0 on, got -1"),
        ([0.5], None, ValueError, "x: expected whole numbers, got 0.5"),
        ([np.nan], 2, ValueError, "x: expected whole numbers, got nan"),
        (["a"], None, TypeError, "x: expected whole numbers, got <U1"),
        ([], None, ValueError, "x: expected at least one label"),
        ([0], 0, ValueError, "num_classes: expected a positive integer, got 0"),
    ],
)
def test_one_hot_vectors_refuse_what_is_no_class(labels, classes, error, message):
    with pytest.raises(error, match=message):
        utils.to_categorical(labels, classes)


@pytest.mark.parametrize("order", [1, 2, np.inf])
@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_normalized_vectors_have_norm_one(order, axis):
    x = np.random.default_rng(1).standard_normal((4, 5, 3))
    x[2] = 0
    norms = np.linalg.norm(utils.normalize(x, axis, order), order, axis)
    there = np.linalg.norm(x, order, axis) > 0
    # Rounding of a few sums and a division.
    assert np.allclose(norms[there], 1, rtol=1e-14)
    assert (norms[~there] == 0).all()


def test_parts_of_a_data_set_are_its_first_and_last_rows():
    x, y = np.arange(20).reshape(10, 2), np.arange(10)
    left, right = utils.split_dataset(x, left_size=0.75)
    assert np.array_equal(left, x[:8])  # round(7.5), to even
    assert np.array_equal(right, x[8:])
    assert np.shares_memory(left, x)
    (x1, y1), (x2, y2) = utils.split_dataset((x, y), left_size=3, right_size=4)
    assert y1.tolist() == [0, 1, 2]
    assert y2.tolist() == [6, 7, 8, 9]
    assert np.array_equal(x1, x[:3])
    assert np.array_equal(x2, x[6:])
    first, last = utils.split_dataset({"x": x, "y": y}, right_size=1)
    assert last["y"].tolist() == [9]
    assert len(first["x"]) == 9


def test_shuffled_parts_hold_every_row_once_and_depend_on_the_seed():
    x, y = np.arange(100), np.arange(100) * 10
    left, right = utils.split_dataset([x, y], left_size=60, shuffle=True, seed=3)
    assert sorted([*left[0], *right[0]]) == list(range(100))
    assert np.array_equal(left[1], left[0] * 10)
    again, _ = utils.split_dataset([x, y], left_size=60, shuffle=True, seed=3)
    assert np.array_equal(again[0], left[0])
    assert left[0].tolist() != list(range(60))


@pytest.mark.parametrize(
    ("sizes", "error", "message"),
    [
        ({}, ValueError, "left_size: expected a size for one of the parts"),
        ({"left_size": 10}, ValueError, "left_size: expected 1 to 9 rows or a fraction between 0 and 1, got 10"),
        ({"right_size": 1.5}, ValueError, "right_size: expected 1 to 9 rows"),
        ({"left_size": 6, "right_size": 5}, ValueError, "do not overlap, got 6 and 5"),
        ({"left_size": 0.01}, ValueError, "not empty"),
        ({"left_size": "half"}, TypeError, "left_size: expected a number of rows"),
    ],
)
def test_splitting_refuses_parts_that_are_none(sizes, error, message):
    with pytest.raises(error, match=message):
        utils.split_dataset(np.arange(10), **sizes)


def test_splitting_refuses_arrays_of_different_lengths():
    with pytest.raises(ValueError, match="dataset: expected arrays with the same number of rows"):
        utils.split_dataset((np.arange(3), np.arange(4)), left_size=1)


def test_a_data_set_without_its_methods_says_which_are_missing():
    class Nothing(utils.PyDataset):
        pass

    with pytest.raises(NotImplementedError, match=r"Nothing: __getitem__\(self, index\) is to be defined"):
        Nothing()[0]
    with pytest.raises(NotImplementedError, match="__len__"):
        _ = Nothing().num_batches
    assert utils.Sequence is utils.PyDataset


def test_equal_seeds_give_equal_weights():
    weights = []
    for _ in range(2):
        utils.set_random_seed(11)
        weights.append(Sequential([Dense(3, input_shape=(2,))]).get_weights()[0])
    assert np.array_equal(*weights)
    with pytest.raises(ValueError, match=r"seed: expected an integer from 0 to 2\*\*32 - 1, got -1"):
        utils.set_random_seed(-1)


def test_a_session_that_is_cleared_begins_with_the_names():
    for _ in range(2):
        utils.clear_session()
        model = lstmcore.Sequential([layers.LSTM(2), layers.LSTM(2)])
        assert [model.name, *(layer.name for layer in model.layers)] == ["sequential", "lstm", "lstm_1"]


def test_bases_stand_where_keras_has_them():
    assert lstmcore.Layer is layers.Layer
    assert lstmcore.Loss is lstmcore.losses.Loss
    assert lstmcore.Metric is lstmcore.metrics.Metric
    assert lstmcore.Optimizer is lstmcore.optimizers.Optimizer
    assert lstmcore.Initializer is lstmcore.initializers.Initializer
    assert lstmcore.Regularizer is lstmcore.regularizers.Regularizer


# --- a seed for a block ---


def trained(seed):
    with utils.seeded(seed):
        model = Sequential([layers.LSTM(4, dropout=0.3, input_shape=(5, 3)), layers.Dense(1)])
        model.compile("adam", "mse")
        x = np.linspace(-1, 1, 40 * 15).reshape(40, 5, 3)
        model.fit(x, x[:, 0, :1], epochs=2, batch_size=8, verbose=0)
    return np.concatenate([w.ravel() for w in model.get_weights()])


def test_a_seed_of_a_block_decides_all_within_and_nothing_outside():
    utils.set_random_seed(1)
    expected = layers.LSTM(4)
    expected.build((None, 5, 3))
    utils.set_random_seed(1)
    first = trained(7)
    got = layers.LSTM(4)
    got.build((None, 5, 3))
    np.testing.assert_array_equal(got.get_weights()[0], expected.get_weights()[0])  # nothing was drawn outside
    np.testing.assert_array_equal(trained(7), first)
    assert (trained(8) != first).any()


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, True, None])
def test_a_seed_that_is_none_is_refused(seed):
    with pytest.raises(ValueError, match="seed: expected an integer from 0"), utils.seeded(seed):
        pass
