"""Bad input gets an exception that names the argument, the expected and the actual; nothing crashes."""

import numpy as np
import pytest
from problems import Problem

from lstmcore import functional

P = Problem(3, 4, 5, 6)
X, W, STATE = P.x, P.weights, P.state


def call(x=X, weights=None, state=STATE, **options):
    return functional.lstm(x, W if weights is None else weights, state, **options)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"x": X[0]}, ValueError, r"inputs: expected shape \(batch, steps, inputs=5\), got \(4, 5\)"),
        ({"x": X[..., None]}, ValueError, r"got \(3, 4, 5, 1\)"),
        ({"x": X[..., :4]}, ValueError, r"inputs=5\), got \(3, 4, 4\)"),
        ({"x": X[:, :0]}, ValueError, r"steps > 0.*got \(3, 0, 5\)"),
        ({"x": X.astype(int)}, TypeError, "inputs: expected dtype float32, got int64"),
        ({"x": X.astype(complex)}, TypeError, "inputs: expected dtype float32, got complex128"),
        ({"x": X.astype(object)}, TypeError, "inputs: expected dtype float32, got object"),
        ({"x": X.astype(bool)}, TypeError, "inputs: expected dtype float32, got bool"),
        ({"x": X.astype("float64")}, TypeError, "inputs: expected dtype float32, got float64"),
        ({"x": X.astype("float16")}, TypeError, "inputs: expected dtype float32, got float16"),
        ({"x": X.astype(X.dtype.newbyteorder())}, TypeError, "inputs: expected dtype float32, got >f4"),
        ({"x": "text"}, TypeError, "inputs: expected dtype float32, got <U4"),
        ({"x": None}, TypeError, "inputs: expected dtype float32, got object"),
        ({"x": [[1.0], [1.0, 2.0]]}, (TypeError, ValueError), "inputs"),
        (
            {"state": [STATE[0][:2], STATE[1]]},
            ValueError,
            r"initial_state\[0\] \(h\): expected shape \(batch=3, units=6\), got \(2, 6\)",
        ),
        ({"state": [STATE[0], STATE[1][:, :5]]}, ValueError, r"initial_state\[1\] \(c\): .* got \(3, 5\)"),
        ({"state": [STATE[0], STATE[1].astype("float64")]}, TypeError, r"initial_state\[1\] \(c\): .*got float64"),
        ({"state": STATE[0]}, ValueError, r"initial_state: expected a pair \(h, c\), got \(3, 6\)"),
        ({"state": [*STATE, STATE[0]]}, ValueError, r"initial_state: expected a pair \(h, c\), got 3 arrays"),
        ({"weights": W[:1]}, ValueError, "weights: expected kernel, recurrent_kernel and at most a bias, got 1 arrays"),
        (
            {"weights": [W[0][:, :22], W[1]]},
            ValueError,
            r"kernel: expected shape \(inputs > 0, 4\*units > 0\), got \(5, 22\)",
        ),
        ({"weights": [W[0][:0], W[1]]}, ValueError, r"kernel: .*got \(0, 24\)"),
        ({"weights": [W[0][:, :0], W[1]]}, ValueError, r"kernel: .*got \(5, 0\)"),
        (
            {"weights": [W[0], W[1][:5]]},
            ValueError,
            r"recurrent_kernel: expected shape \(units=6, 4\*units=24\), got \(5, 24\)",
        ),
        ({"weights": [W[0], W[1], W[2][:23]]}, ValueError, r"bias: expected shape \(4\*units=24,\), got \(23,\)"),
        ({"weights": [W[0].astype(int), W[1]]}, TypeError, "kernel: expected dtype float32 or float64, got int64"),
        (
            {"weights": [W[0], W[1].astype("float64")]},
            TypeError,
            "recurrent_kernel: expected dtype float32, got float64",
        ),
        (
            {"out": np.zeros((3, 4, 7), "float32")},
            ValueError,
            r"out: expected shape \(batch=3, steps=4, units=6\), got \(3, 4, 7\)",
        ),
        ({"out": np.zeros((3, 4, 6))}, TypeError, "out: expected dtype float32, got float64"),
        ({"out": [[1.0]]}, TypeError, "out: expected an array to write into, got list"),
        ({"out": np.zeros((4, 3, 6), "float32").swapaxes(0, 1)}, ValueError, "out: expected a C-contiguous array"),
    ],
)
def test_forward_names_what_is_wrong(arguments, error, text):
    with pytest.raises(error, match=text):
        call(**arguments)


def test_read_only_and_overlapping_outputs_are_refused():
    out = np.zeros((3, 4, 6), "float32")
    out.flags.writeable = False
    with pytest.raises(ValueError, match="out: expected a writeable array, got a read-only one"):
        call(out=out)
    memory = np.zeros(3 * 4 * 6 + 3 * 4 * 5, "float32")
    with pytest.raises(ValueError, match="out: overlaps inputs in memory"):
        call(x=memory[60 - 10 : 110].reshape(3, 4, 5), out=memory[:72].reshape(3, 4, 6))
    with pytest.raises(ValueError, match="out: overlaps initial_state in memory"):
        call(out=memory[:72].reshape(3, 4, 6), state=[memory[54:72].reshape(3, 6), STATE[1]])


def test_arrays_too_large_to_copy_are_refused():
    one = np.zeros((1, 1, 1), "float32")
    weights = [np.broadcast_to(one[0], (2**44, 4)), np.zeros((1, 4), "float32")]
    with pytest.raises(MemoryError):
        call(weights=weights)


def test_products_of_sizes_that_overflow_are_refused():
    one = np.zeros((1, 1, 5), "float32")
    for batch, steps in [(2**31, 2**29), (2**20, 2**36), (2**40, 3)]:
        with pytest.raises((ValueError, MemoryError)):
            call(x=np.broadcast_to(one, (batch, steps, 5)), state=None)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (([[1.0]],), TypeError, "d_outputs: expected dtype float32, got float64"),
        ((P.dy[:, :3],), ValueError, r"d_outputs: expected shape \(batch=3, steps=4, units=6\), got \(3, 3, 6\)"),
        ((P.dy, [STATE[0]]), ValueError, r"d_state: expected a pair \(h, c\), got 1 arrays"),
        ((P.dy, [STATE[0][:1], None]), ValueError, r"d_state\[0\] \(h\): .* got \(1, 6\)"),
        ((P.dy, [None, STATE[0].astype("float64")]), TypeError, r"d_state\[1\] \(c\): .* got float64"),
    ],
)
def test_backward_names_what_is_wrong(arguments, error, text):
    _, _, cache = call(training=True)
    with pytest.raises(error, match=text):
        functional.lstm_backward(cache, *arguments)


def test_gradient_arrays_are_checked():
    _, _, cache = call(training=True)
    right = [np.zeros_like(w) for w in W]
    frozen = np.zeros_like(W[2])
    frozen.flags.writeable = False
    for wrong, error, text in [
        (right[:2], ValueError, "d_weights: expected 3 arrays, got 2"),
        ([right[0][:, :20], *right[1:]], ValueError, r"d_weights\[0\] \(kernel\): .* got \(5, 20\)"),
        ([right[0], right[1].T, right[2]], ValueError, r"d_weights\[1\] \(recurrent_kernel\): .* got \(24, 6\)"),
        ([right[0], right[1].astype("float64"), right[2]], TypeError, r"d_weights\[1\] .* got float64"),
        ([right[0], right[1], frozen], ValueError, r"d_weights\[2\] \(bias\): .* read-only"),
    ]:
        with pytest.raises(error, match=text):
            functional.lstm_backward(cache, P.dy, d_weights=wrong)


def test_training_needs_weights_packed_for_it():
    with pytest.raises(ValueError, match=r"weights: were packed for inference; pack them with training=True"):
        call(weights=functional.pack_lstm(W), training=True)


def test_lists_of_numbers_are_arrays():
    weights = [np.ones((1, 4)), np.ones((1, 4))]
    y, _ = functional.lstm([[[1.0], [2.0]]], weights)
    np.testing.assert_array_equal(y, functional.lstm(np.array([[[1.0], [2.0]]]), weights)[0])


@pytest.mark.parametrize("number", [0, -1, 5000])
def test_thread_limits_are_checked(number):
    import lstmcore

    with pytest.raises(ValueError, match=f"num_threads: expected 1 to 4096, got {number}"):
        lstmcore.set_num_threads(number)
    with pytest.raises(TypeError):
        lstmcore.set_num_threads("two")
