"""ONNX's LSTM, GRU and RNN with every attribute: what ONNX Runtime makes of a node is what we make of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from lstmcore import Input, Sequential, activations, layers, models  # noqa: E402
from lstmcore.activations import piecewise, smooth  # noqa: E402

pytestmark = [pytest.mark.peer, pytest.mark.once]

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
FUNCTIONS = {"LSTM": 3, "GRU": 2, "RNN": 1}
TOLERANCE = 2e-5  # of float32: rounding of 6e-8 over some tens of terms and 5 steps, that grow a little
# Every name, with how many numbers of its own it has.
PLAIN = ["Tanh", "Sigmoid", "Relu", "Softsign", "Softplus"]
WITH_ALPHA, WITH_BOTH = ["LeakyRelu", "ThresholdedRelu", "Elu"], ["Affine", "ScaledTanh", "HardSigmoid"]
positive = st.floats(0.0625, 1.25, width=32)
any_number = st.floats(-0.5, 0.5, width=32)


@st.composite
def functions(draw, count):
    """The attributes of so many activations, the numbers of each in their order."""
    names = [draw(st.sampled_from(PLAIN + WITH_ALPHA + WITH_BOTH)) for _ in range(count)]
    alphas = [draw(positive) for name in names if name in WITH_ALPHA + WITH_BOTH]
    betas = [draw(any_number) for name in names if name in WITH_BOTH]
    given = {"activations": names, "activation_alpha": alphas, "activation_beta": betas}
    return {key: value for key, value in given.items() if value}


@st.composite
def nodes(draw):
    """A node's operator, attributes and arrays."""
    operator = draw(st.sampled_from(list(GATES)))
    direction = draw(st.sampled_from(["forward", "reverse", "bidirectional"]))
    count = 2 if direction == "bidirectional" else 1
    attributes = {"direction": direction}
    if draw(st.booleans()):
        attributes |= draw(functions(FUNCTIONS[operator] * count))
    if draw(st.booleans()):
        attributes["clip"] = draw(st.sampled_from([0.125, 0.5, 1.0, 4.0]))
    if operator == "LSTM":
        attributes["input_forget"] = draw(st.integers(0, 1))
    if operator == "GRU":
        attributes["linear_before_reset"] = draw(st.integers(0, 1))
    features, units = draw(st.integers(1, 6)), draw(st.integers(1, 19))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, bias = GATES[operator] * units, draw(st.booleans())
    shapes = {"W": (count, rows, features), "R": (count, rows, units)}
    if bias:
        shapes["B"] = (count, 2 * rows)
    if operator == "LSTM" and draw(st.booleans()):
        shapes["P"] = (count, 3 * units)
    # Small, for activations without bounds would let the numbers grow from step to step.
    arrays = {name: (0.4 * rng.standard_normal(shape)).astype("f") for name, shape in shapes.items()}
    x = rng.standard_normal((draw(st.integers(1, 5)), draw(st.integers(1, 4)), features)).astype("f")
    return operator, units, attributes, arrays, x


def model_of(operator, units, attributes, arrays, features, path):
    places = [name if name in arrays else "" for name in ("W", "R", "B", "", "", "", "P")]
    while not places[-1]:
        places.pop()
    outputs = ["Y", "Y_h"] + ["Y_c"] * (operator == "LSTM")
    node = helper.make_node(operator, ["x", *places], outputs, hidden_size=units, **attributes)
    graph = helper.make_graph(
        [node],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["steps", "batch", features])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def of_runtime(path, x):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})


def outputs_of_ours(path, x):
    """What the model as loaded makes of a sequence (steps, batch, features), in the axes that ONNX has: its own begin
    with the batch.
    """
    y, *states = models.load_model(path).predict(x.transpose(1, 0, 2), verbose=0)
    return [y.transpose(1, 2, 0, 3), *(state.transpose(1, 0, 2) for state in states)]


def assert_close(got, want):
    assert len(got) == len(want)
    for a, b in zip(got, want, strict=True):
        assert a.shape == b.shape
        assert np.abs(a - b).max(initial=0) <= TOLERANCE * max(1, np.abs(b).max(initial=0))


@given(node=nodes())
def test_nodes_of_any_attributes_give_what_onnx_runtime_gives(node, tmp_path_factory):
    operator, units, attributes, arrays, x = node
    path = str(tmp_path_factory.mktemp("operators") / "node.onnx")
    model_of(operator, units, attributes, arrays, x.shape[-1], path)
    want = of_runtime(path, x)
    assert all(np.isfinite(value).all() for value in want)
    assert_close(outputs_of_ours(path, x), want)


def test_a_default_number_is_that_of_onnx_runtime(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 2, 2)).astype("f")
    arrays = {"W": rng.standard_normal((1, 4, 2)).astype("f"), "R": 0.3 * rng.standard_normal((1, 4, 4)).astype("f")}
    # That of ThresholdedRelu is 1 in the specification, which we follow, and not in ONNX Runtime.
    for name in [*PLAIN, "LeakyRelu", "Elu", "HardSigmoid"]:
        path = model_of("RNN", 4, {"activations": [name]}, arrays, 2, str(tmp_path / f"{name}.onnx"))
        assert_close(outputs_of_ours(path, x), of_runtime(path, x))


def test_without_activations_it_is_what_the_specification_runs(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 2, 2)).astype("f")
    for operator, gates in GATES.items():
        arrays = {
            "W": rng.standard_normal((1, gates * 5, 2)).astype("f"),
            "R": rng.standard_normal((1, gates * 5, 5)).astype("f"),
            "B": rng.standard_normal((1, gates * 10)).astype("f"),
        }
        path = model_of(operator, 5, {}, arrays, 2, str(tmp_path / f"{operator}.onnx"))
        assert_close(outputs_of_ours(path, x), ReferenceEvaluator(path).run(None, {"x": x}))


LAYERS = {
    "clip": lambda: layers.LSTM(5, clip=0.5),
    "clip, peepholes, coupled": lambda: layers.LSTM(5, clip=0.5, peepholes=True, coupled=True),
    "three activations": lambda: layers.LSTM(
        5, piecewise.LeakyReLU(0.3), piecewise.HardSigmoid(0.3, 0.4), output_activation=smooth.ScaledTanh(1.5, 0.5)
    ),
    "output activation": lambda: layers.LSTM(5, output_activation="softplus"),
    "affine gates": lambda: layers.LSTM(5, recurrent_activation=piecewise.Affine(0.3, 0.4)),
    "gru": lambda: layers.GRU(5, smooth.ELU(0.6), "softplus", clip=1.0),
    "gru, reset before": lambda: layers.GRU(5, "scaled_tanh", clip=0.5, reset_after=False),
    "gru, threshold": lambda: layers.GRU(5, piecewise.Threshold(0.25)),
    "rnn": lambda: layers.SimpleRNN(5, "affine", clip=0.5),
    "both directions": lambda: layers.Bidirectional(layers.GRU(5, smooth.ELU(0.6), clip=0.5)),
}


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_layers_run_there_and_come_back_as_they_are(make, tmp_path):
    model = Sequential([Input((None, 3)), make()])
    rng = np.random.default_rng(3)
    model.set_weights([0.5 * rng.standard_normal(w.shape).astype("f") for w in model.get_weights()])
    x, path = rng.standard_normal((4, 6, 3)).astype("f"), str(tmp_path / "model.onnx")
    want = model.predict(x, verbose=0)
    model.export(path)
    assert_close(of_runtime(path, x), [want])
    again = models.load_model(path)
    assert_close([again.predict(x, verbose=0)], [want])
    if not isinstance(model.layers[-1], layers.Bidirectional):
        (loaded,) = [layer for layer in again.layers if isinstance(layer, type(model.layers[-1]))]
        assert loaded.options.clip == model.layers[-1].options.clip
        assert loaded.kernel_info() == model.layers[-1].kernel_info()


@pytest.mark.parametrize("name", ["hard_sigmoid", "affine", "scaled_tanh", "threshold"])
def test_activations_by_themselves(name, tmp_path):
    kinds = {
        "hard_sigmoid": piecewise.HardSigmoid(0.3, 0.4),
        "affine": piecewise.Affine(0.5, -0.25),
        "scaled_tanh": smooth.ScaledTanh(1.5, 0.5),
        "threshold": piecewise.Threshold(0.5, -1.0),
    }
    x = np.random.default_rng(0).standard_normal((6, 3)).astype("f")
    for number, one in enumerate((activations.get(name), kinds[name])):
        model = Sequential([Input((3,)), layers.Activation(one)])
        path = str(tmp_path / f"{number}.onnx")
        model.export(path)
        assert_close(of_runtime(path, x), [model.predict(x, verbose=0)])


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: layers.LSTM(3, "mish"), "activation 'mish'"),
        (lambda: layers.LSTM(3, output_activation="selu"), "activation 'selu'"),
        (lambda: layers.SimpleRNN(3, piecewise.Threshold(0.5, 1.0)), "default_value=1.0"),
    ],
)
def test_what_onnx_cannot_say_is_refused(make, what, tmp_path):
    model = Sequential([Input((None, 2)), make()])
    with pytest.raises(NotImplementedError, match=what):
        model.export(str(tmp_path / "model.onnx"))
