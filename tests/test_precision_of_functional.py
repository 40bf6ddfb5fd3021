"""The precision of `functional`'s recurrent networks: what is told, what is refused. test_reduced_precision.py has the
numbers.
"""

import numpy as np
import pytest
from layer_tools import numbers

from lstmcore import functional

PACKS = {"lstm": (functional.pack_lstm, 4), "gru": (functional.pack_gru, 3), "rnn": (functional.pack_rnn, 1)}
every = pytest.mark.parametrize(("pack", "gates"), PACKS.values(), ids=PACKS)
narrow = pytest.mark.parametrize("precision", ["bfloat16", "int8"])


def weights(gates, dtype="float32"):
    return [numbers(3, 5 * gates, dtype=dtype), numbers(5, 5 * gates, dtype=dtype)]


@every
@narrow
def test_weights_say_their_precision(pack, gates, precision):
    assert pack(weights(gates)).precision == "float32"
    assert pack(weights(gates), precision=precision).precision == precision
    assert pack(weights(gates, "float64"), precision=precision).precision == "float32"


@narrow
def test_what_has_no_narrow_kernel_is_computed_as_ever(precision):
    x, state = numbers(2, 4, 3, dtype="float32"), None
    w = [*weights(4), numbers(3, 5, dtype="float32")]
    options = functional.LSTMOptions(peepholes=True)
    packed = functional.pack_lstm(w, options=options, precision=precision)
    assert (packed.kernel, packed.precision) == ("staged", "float32")
    np.testing.assert_array_equal(
        functional.lstm(x, packed, state)[0], functional.lstm(x, functional.pack_lstm(w, options=options), state)[0]
    )
    softmax = functional.pack_rnn(weights(1), options=functional.RNNOptions("softmax"), precision=precision)
    assert (softmax.kernel, softmax.precision) == ("stepwise", "float32")


@every
def test_what_cannot_be_is_refused(pack, gates):
    with pytest.raises(ValueError, match=r"precision: expected 'float32', 'bfloat16' or 'int8', got 'float16'"):
        pack(weights(gates), precision="float16")
    with pytest.raises(TypeError, match=r"precision: expected 'float32', 'bfloat16' or 'int8', got 8"):
        pack(weights(gates), precision=8)
    with pytest.raises(ValueError, match=r"precision: 'int8' is for inference"):
        pack(weights(gates), precision="int8", training=True)
    with pytest.raises(ValueError, match=r"precision: packed weights have theirs"):
        pack(pack(weights(gates)), precision="int8")
    wrong = weights(gates)
    wrong[1][2, 1 % gates] = np.inf
    with pytest.raises(ValueError, match=r"recurrent_kernel: expected finite numbers, for precision 'int8', got inf"):
        pack(wrong, precision="int8")


def test_activations_of_the_users_refuse_it_too():
    with pytest.raises(ValueError, match=r"precision: expected 'float32', 'bfloat16', 'int8', got 'int4'|one of"):
        functional.pack_rnn(weights(1), options=functional.RNNOptions("softmax"), precision="int4")
