"""What docs/layouts.md says of gates and shapes is what PyTorch and ONNX do."""

import os
import pathlib
import re

import numpy as np
import pytest

from lstmcore import layers

os.environ.setdefault("KERAS_BACKEND", "torch")
pytestmark = [pytest.mark.peer, pytest.mark.once]
page = (pathlib.Path(__file__).parents[1] / "docs/layouts.md").read_text("utf-8")
UNITS, FEATURES = 4, 3
X = np.random.default_rng(0).normal(size=(2, 5, FEATURES)).astype("float32")


def orders(kind):
    """The gates of each library as the table has them, by the name of its column."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:1] == "|"]
    (cells,) = [row for row in rows if row[0] == f"order in {kind}"]
    return dict(zip(rows[0][1:], (re.sub(r"\W", "", cell) for cell in cells[1:]), strict=True))


def layer_of(kind, **options):
    layer = getattr(layers, kind)(UNITS, return_sequences=True, **options)
    layer(X)
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    return layer


def rows(matrix, kind, library):
    """A matrix of ours (anything, gates) as one of that library (gates, anything)."""
    table = orders(kind)
    blocks = dict(zip(table["here"], np.split(matrix, len(table["here"]), axis=-1), strict=True))
    return np.concatenate([blocks[gate] for gate in table[library]], axis=-1).T


def test_the_table_is_read():
    assert orders("LSTM") == {"here": "ifgo", "Keras": "ifgo", "PyTorch": "ifgo", "ONNX": "iofg"}
    assert set(map(len, orders("GRU").values())) == {3}


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_pytorch(kind):
    torch = pytest.importorskip("torch")
    layer = layer_of(kind)
    kernel, recurrent, bias = layer.get_weights()
    inner, outer = bias if kind == "GRU" else (bias, np.zeros_like(bias))
    module = getattr(torch.nn, kind)(FEATURES, UNITS, batch_first=True)
    values = {"weight_ih_l0": kernel, "weight_hh_l0": recurrent, "bias_ih_l0": inner, "bias_hh_l0": outer}
    module.load_state_dict({k: torch.from_numpy(rows(v, kind, "PyTorch").copy()) for k, v in values.items()})
    np.testing.assert_allclose(layer(X), module(torch.from_numpy(X))[0].detach().numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("LSTM", {}), ("LSTM", {"peepholes": True}), ("GRU", {}), ("GRU", {"reset_after": False})],
)
def test_onnx(kind, options):
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    layer = layer_of(kind, **options)
    own = {v.name.rpartition("/")[2]: v.numpy() for v in layer.variables}
    inner, outer = own["bias"] if own["bias"].ndim == 2 else (own["bias"], np.zeros_like(own["bias"]))
    values = {"W": rows(own["kernel"], kind, "ONNX"), "R": rows(own["recurrent_kernel"], kind, "ONNX")}
    values["B"] = np.concatenate([rows(inner, kind, "ONNX"), rows(outer, kind, "ONNX")])
    if options.get("peepholes"):
        i, f, o = own["peephole"]
        values["P"] = np.concatenate([i, o, f])
    attributes = {"linear_before_reset": int(options.get("reset_after", True))} if kind == "GRU" else {}
    inputs = ["X", "W", "R", "B", *(["", "", "", "P"] if "P" in values else [])]
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    node = helper.make_node(kind, inputs, ["Y"], hidden_size=UNITS, **attributes)
    graph = helper.make_graph(
        [node],
        "layer",
        [helper.make_tensor_value_info("X", float32, [5, 2, FEATURES])],
        [helper.make_tensor_value_info("Y", float32, [5, 1, 2, UNITS])],
        [onnx.numpy_helper.from_array(v[None].astype("float32"), name) for name, v in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (outputs,) = session.run(None, {"X": X.transpose(1, 0, 2)})
    np.testing.assert_allclose(layer(X), outputs[:, 0].transpose(1, 0, 2), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_keras_has_what_we_have(kind):
    keras = pytest.importorskip("keras")
    layer = layer_of(kind)
    theirs = getattr(keras.layers, kind)(UNITS, return_sequences=True)
    theirs.build(X.shape)
    theirs.set_weights(layer.get_weights())
    np.testing.assert_allclose(layer(X), keras.ops.convert_to_numpy(theirs(X)), rtol=1e-4, atol=1e-5)
