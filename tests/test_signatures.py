"""Constructors show what they take, in Keras's order, and take it so."""

import inspect
import operator
import pydoc
import re

import numpy as np
import pytest
from layer_tools import numbers

import lstmcore
from lstmcore import Sequential, activations, callbacks, layers, losses, metrics, optimizers
from lstmcore.layers import LSTM

# As in Keras 3.15: keras.layers.LSTM and so on, without **kwargs.
WEIGHTS = "use_bias kernel_initializer recurrent_initializer bias_initializer"
PENALTIES = "kernel_regularizer recurrent_regularizer bias_regularizer"
LIMITS = "kernel_constraint recurrent_constraint bias_constraint dropout recurrent_dropout"
RETURNS = "return_sequences return_state go_backwards stateful unroll"
SHARED = (
    "clipnorm clipvalue global_clipnorm use_ema ema_momentum ema_overwrite_frequency loss_scale_factor "
    "gradient_accumulation_steps name"
)
ORDERS = {
    layers.LSTM: f"units activation recurrent_activation {WEIGHTS} unit_forget_bias {PENALTIES} activity_regularizer "
    f"{LIMITS} seed {RETURNS} use_cudnn",
    layers.GRU: f"units activation recurrent_activation {WEIGHTS} {PENALTIES} activity_regularizer {LIMITS} seed "
    f"{RETURNS} reset_after use_cudnn",
    layers.SimpleRNN: f"units activation {WEIGHTS} {PENALTIES} activity_regularizer {LIMITS} {RETURNS} seed",
    layers.LSTMCell: f"units activation recurrent_activation {WEIGHTS} unit_forget_bias {PENALTIES} {LIMITS} seed",
    layers.GRUCell: f"units activation recurrent_activation {WEIGHTS} {PENALTIES} {LIMITS} reset_after seed",
    layers.SimpleRNNCell: f"units activation {WEIGHTS} {PENALTIES} {LIMITS} seed",
    layers.MaxPooling1D: "pool_size strides padding data_format name",
    layers.SpatialDropout1D: "rate seed name dtype",
    losses.Loss: "name reduction dtype",
    losses.MeanSquaredError: "reduction name dtype",
    optimizers.Adam: f"learning_rate beta_1 beta_2 epsilon amsgrad weight_decay {SHARED}",
    optimizers.AdamW: f"learning_rate weight_decay beta_1 beta_2 epsilon amsgrad {SHARED}",
    optimizers.SGD: f"learning_rate momentum nesterov weight_decay {SHARED}",
    optimizers.RMSprop: f"learning_rate rho momentum epsilon centered weight_decay {SHARED}",
}


def by_position(cls):
    parameters = inspect.signature(cls).parameters.values()
    return [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]


@pytest.mark.parametrize("cls", ORDERS, ids=lambda cls: cls.__name__)
def test_arguments_stand_in_keras_order(cls):
    assert by_position(cls) == ORDERS[cls].split()


def public(module):
    classes = [getattr(module, name) for name in module.__all__]
    return [cls for cls in classes if inspect.isclass(cls) and hasattr(cls, "get_config")]


OF_A_FUNCTION = (losses.LossFunctionWrapper, metrics.MeanMetricWrapper)  # whose further arguments are the function's
ALL = [cls for module in (layers, losses, metrics, optimizers) for cls in public(module)]
NEEDED = {
    "units": 4, "rate": 0.5, "n": 2, "pool_size": 2, "kernel_size": 3, "filters": 2, "input_dim": 5, "output_dim": 2,
    "activation": "relu", "layer": LSTM(2, return_sequences=True), "cell": layers.LSTMCell(2), "stddev": 0.1,
    "dims": (1, 2), "target_shape": (2, 2), "axes": -1, "num_heads": 2, "key_dim": 2, "tags": 3, "function": np.sin,
    "cells": [layers.LSTMCell(2)], "fn": losses.mean_squared_error, "recall": 0.5, "precision": 0.5,
    "sensitivity": 0.5, "specificity": 0.5, "num_classes": 3, "learning_rate": 0.1, "operation": "sum",
    "decay_steps": 2, "boundaries": [1], "values": [0.1, 0.2], "hidden": 2, "size": 2, "steps": 2, "shape": (2, 3),
    "metric": metrics.MeanSquaredError(),
}  # fmt: skip


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: f"{cls.__module__.split('.')[1]}.{cls.__name__}")
def test_what_is_shown_is_taken(cls):
    signature = inspect.signature(cls)
    kinds = {p.kind for p in signature.parameters.values()}
    assert (inspect.Parameter.VAR_KEYWORD in kinds) == (cls in OF_A_FUNCTION)
    needed = {name: NEEDED[name] for name, p in signature.parameters.items() if p.default is p.empty and name in NEEDED}
    named = {n: p for n, p in signature.parameters.items() if p.kind is not p.VAR_KEYWORD}
    missing = [n for n, p in named.items() if p.default is p.empty and n not in NEEDED]
    if missing:
        pytest.skip(f"{missing} have no value here")
    defaults = {name: p.default for name, p in signature.parameters.items() if p.default is not p.empty}
    message = ""
    try:
        cls(**needed, **defaults)
    except (ValueError, NotImplementedError):
        pass  # a combination that is refused for itself
    except TypeError as error:
        message = str(error)
    # Given to a base twice, or not known.
    assert not re.search("unexpected|multiple values|by position and by name", message)


def test_arguments_by_position_are_those_by_name():
    lstmcore.utils.set_random_seed(0)
    x = numbers(2, 4, 5, dtype="float32")
    first = LSTM(3, "tanh", "sigmoid", True, "glorot_uniform", "orthogonal", "zeros", False)
    outputs = first(x)
    lstmcore.utils.set_random_seed(0)
    second = LSTM(3, unit_forget_bias=False)
    np.testing.assert_array_equal(outputs, second(x))
    assert first.get_config() == second.get_config() | {"name": first.name}


def test_what_was_given_by_position_comes_back_from_a_configuration():
    layer = layers.GRU(3, "relu", "sigmoid", False)
    config = layer.get_config()
    assert (config["activation"], config["use_bias"]) == ("relu", False)
    assert layers.GRU.from_config(config).get_config() == config
    optimizer = optimizers.Adam(0.01, 0.9, 0.999, 1e-7, False, 0.1, 2.0)
    assert (optimizer.weight_decay, optimizer.clipnorm) == (0.1, 2.0)
    assert optimizers.Adam.from_config(optimizer.get_config()).get_config() == optimizer.get_config()


def test_too_many_and_twice():
    with pytest.raises(TypeError, match=r"SimpleRNN: expected at most 21 arguments by position, got 22"):
        layers.SimpleRNN(3, *range(21))
    with pytest.raises(TypeError, match=r"LSTM got 'use_bias' by position and by name"):
        LSTM(3, "tanh", "sigmoid", True, use_bias=True)


def test_a_class_of_the_users_shows_its_own():
    class Mine(LSTM):
        def __init__(self, units, flavour="sweet", **options):
            super().__init__(units, "tanh", "sigmoid", False, **options)

    class Closed(LSTM):
        def __init__(self, units):
            super().__init__(units)

    class Same(LSTM):
        pass

    assert by_position(Mine) == ["units", "flavour"]
    assert "return_sequences" in inspect.signature(Mine).parameters
    assert not Mine(2).use_bias
    assert list(inspect.signature(Closed).parameters) == ["units"]
    assert by_position(Same) == by_position(LSTM)
    model = Sequential([Mine(2, input_shape=(3, 1))])
    assert model(np.ones((1, 3, 1))).shape == (1, 2)


def test_a_class_without_a_constructor_takes_nothing():
    assert str(inspect.signature(lstmcore.constraints.NonNeg)) == "()"
    assert "NonNeg()" in pydoc.render_doc(lstmcore.constraints.NonNeg, renderer=pydoc.plaintext)


def test_an_object_that_is_called_has_the_signature_of_its_call():
    assert list(inspect.signature(LSTM(2)).parameters)[:2] == ["sequences", "initial_state"]


def test_the_base_of_losses_takes_its_name_first():
    class Own(losses.Loss):
        def __init__(self):
            super().__init__("own")

        def call(self, y_true, y_pred):
            return ((y_true - y_pred) ** 2).mean(-1)

        def gradient(self, y_true, y_pred):
            return 2 * (y_pred - y_true) / y_pred.shape[-1]

    assert (Own().name, Own().reduction) == ("own", "sum_over_batch_size")


def test_what_a_class_decides_itself_is_no_argument_of_it():
    assert "score_mode" not in inspect.signature(layers.AdditiveAttention).parameters
    with pytest.raises(TypeError, match="score_mode"):
        layers.AdditiveAttention(score_mode="concat")
    assert not [p for p in inspect.signature(layers.MinGRU).parameters if p.startswith("recurrent_")]


def test_a_configuration_has_the_defaults_that_are_shown():
    of_all = {"name", "dtype", "trainable", "activity_regularizer", "input_shape", "batch_input_shape", "input_dim"}
    of_all |= {"use_cudnn", "unroll"}  # accepted, without effect
    for cls in (layers.LSTM, layers.MinGRU, layers.SLSTM, layers.LSTMCell, layers.AdditiveAttention, layers.Add):
        shown = inspect.signature(cls).parameters
        made = cls(4) if "units" in shown else cls()
        assert shown.keys() - of_all <= made.get_config().keys()
        assert made.get_config().keys() - of_all <= shown.keys()


# --- those of Keras, all of them ---

MODULES = [
    "layers", "losses", "metrics", "optimizers", "optimizers.schedules", "initializers", "regularizers", "constraints",
    "callbacks", "utils", "activations", "models", "saving", "preprocessing.sequence", "dtype_policies", "config",
]  # fmt: skip
# What is not there, or stands elsewhere, and is refused by name: ours end where Keras's go on.
SHORTER = {
    "layers.Dense", "layers.Embedding", "callbacks.CallbackList", "utils.split_dataset",
    "utils.timeseries_dataset_from_array", "losses.deserialize", "Model.compile", "Model.compute_mask",
    "Model.quantize", "Model.save_weights", "Optimizer.from_config", "Layer.compute_mask", "Layer.quantize",
}  # fmt: skip


def pairs_with(keras):
    """Yield what both have under the same name: functions, constructors, the ``call`` of layers, methods."""
    for module in MODULES:
        ours, theirs = (operator.attrgetter(module)(package) for package in (lstmcore, keras))
        for name in sorted({*dir(ours)} & {*dir(theirs)}):
            a, b = getattr(ours, name), getattr(theirs, name)
            if name.startswith("_") or not (callable(a) and callable(b)):
                continue
            yield f"{module}.{name}", a, b
            if module == "layers" and hasattr(a, "call") and hasattr(b, "call"):
                yield f"layers.{name}.call", a.call, b.call
    for name in (
        "Model",
        "callbacks.Callback",
        "metrics.Metric",
        "optimizers.Optimizer",
        "losses.Loss",
        "layers.Layer",
    ):
        ours, theirs = (operator.attrgetter(name)(package) for package in (lstmcore, keras))
        for method in {*dir(ours)} & {*dir(theirs)}:
            if not method.startswith("_") and callable(getattr(theirs, method)):
                yield f"{name.split('.')[-1]}.{method}", getattr(ours, method), getattr(theirs, method)


@pytest.mark.once
def test_all_arguments_of_keras_stand_where_they_do_there():
    keras = pytest.importorskip("keras")
    checked, wrong = 0, []
    for name, ours, theirs in pairs_with(keras):
        try:
            mine, other = by_position(ours), by_position(theirs)
        except (TypeError, ValueError):
            continue  # one of NumPy's or Python's
        if name in SHORTER or not mine:  # or one of those that are refused altogether
            continue
        checked += 1
        mine, other = ([n for n in names if n != "self"] for names in (mine, other))
        if mine[: len(other)] != other:
            wrong.append((name, mine, other))
    assert not wrong
    assert checked > 350


def test_an_object_that_is_called_shows_what_its_class_may_be_told():
    assert str(inspect.signature(activations.elu)) == "(x: 'ArrayLike', alpha: 'float' = 1.0)"
    assert by_position(activations.relu) == ["x", "negative_slope", "max_value", "threshold"]
    assert by_position(losses.binary_crossentropy) == ["y_true", "y_pred", "from_logits", "label_smoothing", "axis"]
    assert by_position(losses.mean_squared_error) == ["y_true", "y_pred"]
    assert by_position(activations.Activation) == []
    np.testing.assert_allclose(losses.huber([[0.0]], [[3.0]], 2.0), [4.0])


def test_a_loss_that_is_a_function_refuses_what_would_mean_nothing():
    for given, named in ((("sum",), {}), ((), {"reduction": "sum"}), ((), {"name": "a"}), ((), {"dtype": "float64"})):
        with pytest.raises(TypeError, match="mean_squared_error: expected y_true, y_pred; got"):
            losses.mean_squared_error([[0.0]], [[1.0]], *given, **named)
    with pytest.raises(TypeError, match="did you mean 'delta'"):
        losses.huber([[0.0]], [[1.0]], delat=1.0)


def test_a_metric_and_its_weights_take_their_arguments_in_keras_order():
    class Own(metrics.Metric):
        def __init__(self):
            super().__init__("float64", "own")
            self.total = self.add_weight((), "zeros", "float32", "total")

    made = Own()
    assert (made.name, made.dtype, made.total.name) == ("own", np.float64, "total")
    assert (metrics.Mean("a").name, metrics.Sum("b", "float64").dtype) == ("a", np.float64)


def test_export_takes_what_keras_takes(tmp_path):
    model = Sequential([layers.Dense(1, input_shape=(2,))])
    with pytest.raises(ValueError, match="format: expected one of 'onnx', got 'tf_saved_model'"):
        model.export(tmp_path / "m", "tf_saved_model")
    with pytest.raises(NotImplementedError, match="input_signature: expected None"):
        model.export(tmp_path / "m.onnx", format="onnx", verbose=True, input_signature=[1])
    pytest.importorskip("onnx")
    model.export(tmp_path / "m.onnx", "onnx", False)
    assert (tmp_path / "m.onnx").stat().st_size > 100


# --- misspelt ---


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        (lambda: LSTM(8, return_sequence=True), "return_sequences"),
        (lambda: LSTM(unit=8), "units"),  # which is missing then
        (lambda: layers.MinGRU(8, lop_space=True), "log_space"),
        (lambda: layers.Dense(8, activatoin="relu"), "activation"),
        (lambda: losses.Huber(delta_=1.0), "delta"),
        (lambda: metrics.AUC(num_threshold=10), "num_thresholds"),
        (lambda: optimizers.Adam(lr=0.1), "learning_rate"),
        (lambda: optimizers.schedules.CosineDecay(0.1, decay_step=10), "decay_steps"),
        (lambda: lstmcore.initializers.RandomNormal(std_dev=1.0), "stddev"),
        (lambda: lstmcore.regularizers.L1L2(l_1=1.0), "l1"),
        (lambda: callbacks.EarlyStopping(patient=3), "patience"),
        (lambda: callbacks.LambdaCallback(on_epoch_ends=print), "on_epoch_end"),
        (lambda: Sequential(layer=[]), "layers"),
        (lambda: Sequential().compile("sgd", metric=["mae"]), "metrics"),
        (lambda: Sequential().fit(np.ones(1), np.ones(1), epoch=3), "epochs"),
        (lambda: Sequential().evaluate(np.ones(1), np.ones(1), batchsize=3), "batch_size"),
        (lambda: Sequential().predict(np.ones(1), verbos=3), "verbose"),
    ],
)
def test_a_misspelt_argument_is_told_what_may_have_been_meant(call, meant):
    with pytest.raises(TypeError, match=rf"unexpected argument '\w+'; did you mean '{meant}'\?$"):
        call()


def test_nothing_is_suggested_for_what_is_like_nothing():
    for call in (lambda: losses.Huber(zzzz=1), lambda: LSTM(8, zzzz=1), lambda: callbacks.EarlyStopping(zzzz=1)):
        with pytest.raises(TypeError, match=r"unexpected (keyword )?argument 'zzzz'$"):
            call()
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'units'"):
        LSTM(zzzz=1)


def test_classes_of_the_users_are_called_as_they_are_written():
    class Own(callbacks.Callback):
        def __init__(self, period, **anything):
            super().__init__()
            self.period, self.anything = period, anything

    assert Own(3, perio=4).anything == {"perio": 4}
    assert str(inspect.signature(Own)) == "(period, **anything)"
    assert str(inspect.signature(callbacks.EarlyStopping)).startswith("(monitor")
    assert str(inspect.signature(optimizers.schedules.LearningRateSchedule)) == "()"


def test_an_error_of_the_callers_own_stays_what_it_is():
    model = Sequential([layers.Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse")

    class Failing(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise TypeError("mine")

    with pytest.raises(TypeError, match=r"^mine$"):
        model.fit(np.ones((2, 2)), np.ones((2, 1)), epochs=1, verbose=0, callbacks=[Failing()])


# --- help ---


@pytest.mark.parametrize("module", [lstmcore, layers], ids=lambda module: module.__name__)
def test_help_begins_with_a_table_of_all_there_is(module):
    head = re.split(r"^=[= ]+$", module.__doc__, flags=re.M)
    assert len(head) == 3  # a table and nothing behind it
    assert len(head[0].splitlines()) <= 5
    named = {*re.findall(r"\w+", head[1])}
    missing = {name for name in module.__all__ if name not in named and not name.startswith("__")}
    assert not missing
    for name in re.findall(r"`(\w[\w.]*)`(?!`)", head[1]):
        assert pydoc.locate(f"lstmcore.{name}".replace("lstmcore.lstmcore", "lstmcore")) is not None, name
