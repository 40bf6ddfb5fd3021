"""What tells a model the shape of its inputs: Keras's arguments, old and new, by name and by position."""

import numpy as np
import pytest

from lstmcore import Input, Sequential
from lstmcore.layers import LSTM, Dense, Embedding, InputLayer

both = pytest.mark.parametrize("make", [Input, InputLayer])


@both
@pytest.mark.parametrize(
    ("arguments", "options", "want"),
    [
        (((5, 3),), {}, (None, 5, 3)),
        (([None, 3], 7), {}, (7, None, 3)),
        (((5, 3), 7, "float64"), {}, (7, 5, 3)),
        ((None, None, None, False, False, (7, 5, 3)), {}, (7, 5, 3)),
        ((), {"shape": (5, 3), "batch_size": None, "dtype": "float32"}, (None, 5, 3)),
        ((), {"batch_shape": (None, 5, 3), "name": "here", "optional": False}, (None, 5, 3)),
        ((), {"input_shape": (5, 3)}, (None, 5, 3)),
        ((), {"batch_input_shape": (7, 5, 3)}, (7, 5, 3)),
        (((None,),), {"dtype": "int32"}, (None, None)),
        (((4,),), {"dtype": np.int64}, (None, 4)),
    ],
)
def test_arguments_of_keras(make, arguments, options, want):
    made = make(*arguments, **options)
    layer = made if make is InputLayer else made.call.layer
    assert layer.symbol.shape == want
    assert layer.symbol.dtype == np.dtype(options.get("dtype") or layer.dtype)
    assert layer.input_shape == layer.batch_shape == want
    assert layer.name == options.get("name", layer.name)
    assert layer.dtype == ("float64" if "float64" in arguments else "float32")
    config = layer.get_config()
    assert config["batch_shape"] == list(want)
    assert InputLayer.from_config(config).get_config() == config


@pytest.mark.parametrize("first", [Input(batch_shape=(None, 6, 2)), InputLayer(input_shape=(6, 2))])
def test_a_model_knows_its_shapes_at_once(first):
    model = Sequential([first, LSTM(4), Dense(1)])
    assert (model.input_shape, model.output_shape) == ((None, 6, 2), (None, 1))
    assert model(np.zeros((3, 6, 2))).shape == (3, 1)


def test_inputs_of_whole_numbers():
    model = Sequential([Input((None,), dtype="int32"), Embedding(5, 2), LSTM(3)])
    assert model.output_shape == (None, 3)
    assert model(np.array([[1, 2, 4]])).dtype == np.float32


@both
@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({}, ValueError, "expected one of shape and batch_shape, got None and None"),
        ({"shape": (2,), "batch_shape": (1, 2)}, ValueError, "expected one of shape and batch_shape"),
        ({"batch_size": 3, "batch_shape": (1, 2)}, ValueError, "expected one of batch_size and batch_shape, got 3"),
        ({"shape": (2,), "input_shape": (2,)}, ValueError, "expected one of shape and its older name"),
        ({"shape": (2,), "batch_size": 0}, ValueError, "batch_size: expected a positive integer, got 0"),
        ({"shape": (2,), "sparse": True}, NotImplementedError, "sparse=True is not offered"),
        ({"shape": (2,), "optional": True}, NotImplementedError, "optional=True is not offered"),
        ({"shape": (2,), "dtype": "strange"}, TypeError, "dtype: expected float32 or float64, got 'strange'"),
        ({"shape": (2,), "dtype": "complex64"}, TypeError, "dtype: expected float32 or float64, got complex64"),
        ({"shape": (2,), "shap": 1}, TypeError, "unexpected argument 'shap'"),
    ],
)
def test_wrong_arguments_are_named(make, options, error, text):
    with pytest.raises(error, match=text):
        make(**options)
