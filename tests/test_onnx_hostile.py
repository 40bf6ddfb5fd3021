"""Files of ONNX that are damaged or mean harm: refused by name, soon, and without memory that they do not stand for."""

import itertools
import random
import sys
import time
import tracemalloc

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from test_onnx_files import lstm_file  # noqa: E402

from lstmcore import Input, Model, layers, models  # noqa: E402
from lstmcore.interop.onnx.importing import reading  # noqa: E402

pytestmark = [pytest.mark.once, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def const(name, value):
    return numpy_helper.from_array(np.asarray(value), name)


def node(operator, inputs, output, **attributes):
    return helper.make_node(operator, inputs.split(), [output], **attributes)


def doubled(times):
    """Constants that are put side by side with themselves again and again."""
    return [node("Concat", f"c{k} c{k}", f"c{k + 1}", axis=0) for k in range(times)]


LARGE = 1 << 21
BOMBS = {
    "Expand": ([node("Expand", "one shape", "big")], {"shape": [1 << 40]}),
    "Tile": ([node("Tile", "one shape", "big")], {"shape": [1 << 40]}),
    "ConstantOfShape": ([node("ConstantOfShape", "shape", "big")], {"shape": [1 << 20, 1 << 20]}),
    "Range": ([node("Range", "zero shape step", "big")], {"zero": 0, "shape": 1 << 40, "step": 1}),
    "Concat": ([node("Identity", "one", "c0"), *doubled(40), node("Identity", "c40", "big")], {}),
    "many": (
        [*(node("Expand", "one shape", f"e{k}") for k in range(100)), node("Expand", "one shape", "big")],
        {"shape": [LARGE]},
    ),
    "Pad": ([node("Pad", "y pads", "z", mode="edge")], {"pads": [1 << 20, 0, 0, 0] + [0] * 4}),
    "MatMul": ([node("MatMul", "tall wide", "big")], {"tall": np.ones((1 << 16, 1)), "wide": np.ones((1, 1 << 16))}),
    "Add": ([node("Add", "tall wide", "big")], {"tall": np.ones((1 << 16, 1)), "wide": np.ones((1, 1 << 16))}),
}


@pytest.mark.parametrize("name", BOMBS)
def test_small_files_do_not_make_large_arrays(name, tmp_path):
    nodes, constants = BOMBS[name]
    nodes = nodes if nodes[-1].output[0] == "z" else [*nodes, node("Add", "y big", "z")]
    path = lstm_file(
        tmp_path, nodes=nodes, initial=[const("one", np.ones(1, "float32"))] + [const(*c) for c in constants.items()]
    )
    tracemalloc.start()
    try:
        with pytest.raises((ValueError, NotImplementedError), match=r"bad\.onnx: "):
            models.load_model(path)
        assert tracemalloc.get_traced_memory()[1] < 150e6
    finally:
        tracemalloc.stop()


def test_axes_that_cannot_be_the_batch_end_the_search(tmp_path):
    """Of an LSTM without a batch, whose steps are asked to be both."""
    nodes = [node("Unsqueeze", "x axes", "wide"), helper.make_node("LSTM", ["wide", "W", "R"], ["y"])]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["steps", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [const("axes", [1]), const("W", np.ones((1, 8, 3), "float32")), const("R", np.ones((1, 8, 2), "float32"))],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), str(tmp_path / "bad.onnx"))
    with pytest.raises(NotImplementedError, match="not the same axis for all"):
        models.load_model(tmp_path / "bad.onnx")


def test_conditions_that_are_computed_are_refused(tmp_path):
    made = helper.make_tensor_value_info("t", TensorProto.FLOAT, None)
    branch = helper.make_graph([node("Neg", "y", "t")], "b", [], [made])
    nodes = [
        *(node("ReduceMax", "y", "most", keepdims=0), node("Greater", "most zero", "is")),
        node("If", "is", "z", then_branch=branch, else_branch=branch),
    ]
    with pytest.raises(NotImplementedError, match=r"bad\.onnx: .*If|along the batch"):
        models.load_model(lstm_file(tmp_path, nodes=nodes, initial=[const("zero", np.float32(0))]))


@pytest.mark.parametrize("name", ["y", "W", "x"])
def test_names_that_stand_for_two_things(name, tmp_path):
    nodes = [node("Neg", "y", name), node("Neg", name, "z")]
    with pytest.raises(ValueError, match=rf"bad\.onnx: {name}: expected one node that makes it"):
        models.load_model(lstm_file(tmp_path, nodes=nodes))


@pytest.mark.parametrize("kind", [0, TensorProto.STRING, TensorProto.FLOAT16, TensorProto.COMPLEX64, 99])
def test_inputs_of_other_numbers(kind, tmp_path):
    def change(model):
        model.graph.input[0].type.tensor_type.elem_type = kind

    with pytest.raises((ValueError, NotImplementedError), match=r"bad\.onnx: x: "):
        models.load_model(lstm_file(tmp_path, change))


def good_file(tmp_path):
    x, n = Input((6, 3)), Input(batch_shape=(None,), dtype="int64")
    h = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(x)
    h = layers.LayerNormalization()(layers.Conv1D(4, 3, padding="same", activation="gelu")(h))
    y = layers.Where(otherwise=0)([layers.Compare("greater", 0)(h), h])
    path = str(tmp_path / "bad.onnx")
    Model([x, n], [layers.TakeStep()([h, n]), layers.GRU(2)(layers.Reshape((12, 2))(y))]).export(path)
    return path


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (node("MatMul", "y", "z"), "MatMul: expected an input 1, got none"),
        (helper.make_node("Add", ["y", ""], ["z"]), "Add: expected an input 1, got none"),
        (helper.make_node("Concat", ["y", ""], ["z"], axis=0), "Concat: expected an input 0, got none"),
        (node("MatMul", "y y one", "z"), "MatMul: expected at most 2 inputs, got 3"),
    ],
)
def test_operators_without_an_input_that_they_need(made, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        models.load_model(lstm_file(tmp_path, nodes=[made], initial=[const("one", np.ones(1, "float32"))]))


@pytest.mark.parametrize("name", ["strides", "dilations", "pads"])
@pytest.mark.parametrize("size", [-1, 1 << 31])
def test_windows_that_no_sequence_has(name, size, tmp_path):
    def change(model):
        conv = next(n for n in model.graph.node if n.op_type == "Conv")
        next(a for a in conv.attribute if a.name == name).ints[0] = size

    path = good_file(tmp_path)
    model = onnx.load(path)
    change(model)
    onnx.save(model, path)
    with pytest.raises(ValueError, match=f"{name}: expected numbers from . to "):
        models.load_model(path)


def mutated(content, rng):
    """A file with some bytes, or something that it says, changed."""
    if rng.random() < 0.4:
        other = bytearray(content)
        for _ in range(rng.choice([1, 3, 9])):
            other[rng.randrange(len(other))] = rng.randrange(256)
        return bytes(other)
    model = onnx.load_from_string(content)
    one, another = rng.choice(model.graph.node), rng.choice(model.graph.node)
    tensor = rng.choice(model.graph.initializer)
    change = rng.randrange(6)
    if change == 0:
        one.op_type = rng.choice([another.op_type, "Loop", "TopK", "Expand", "GatherND", "SequenceAt", "Pad", "If"])
    elif change == 1:
        one.input[:] = rng.sample(list(one.input), rng.randrange(len(one.input) + 1))
    elif change == 2:
        one.input.append(another.output[0])
    elif change == 3 and one.attribute:
        attribute = rng.choice(one.attribute)
        attribute.i = rng.choice([-1, 0, 3, 1 << 40])
        attribute.ints[:] = [rng.choice([-1, 0, 2, 1 << 40]) for _ in attribute.ints]
    elif change == 4:
        tensor.dims[:] = [rng.choice([0, 1, n, 1 << 40]) for n in tensor.dims]
    else:
        values = numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array(np.array(values[..., :-1] if values.ndim else -values), tensor.name))
    return model.SerializeToString()


@pytest.mark.parametrize("seed", range(4))
def test_mutated_files_load_or_are_refused_by_name(seed, tmp_path):
    path, rng = good_file(tmp_path), random.Random(seed)
    with open(path, "rb") as file:
        content = file.read()
    said = []
    for _ in range(100):
        with open(path, "wb") as file:
            file.write(mutated(content, rng))
        try:
            models.load_model(path)
        except (ValueError, NotImplementedError) as error:
            said.append(str(error))
    assert all("bad.onnx" in text for text in said)
    assert len(said) > 40  # what is left has other weights, or names that nothing asks for


def chain(count, last="c"):
    names = ["y", *(f"v{k}" for k in range(count - 1)), last]
    return [node("Relu", a, b) for a, b in itertools.pairwise(names)]


def test_nodes_from_the_last_to_the_first_take_no_longer(tmp_path):
    path = lstm_file(tmp_path, nodes=[*chain(3000, "b")[::-1], node("Identity", "b", "c")])
    started = time.perf_counter()
    reading.in_order(path, list(onnx.load(path).graph.node), {"x", "W", "R"})
    assert time.perf_counter() - started < 5  # a pass for each node took a minute


def test_a_long_way_is_no_deep_recursion(tmp_path):
    nodes = [*chain(600, "b"), node("Shape", "b", "s"), node("Reshape", "b s", "c")]
    path = lstm_file(tmp_path, nodes=nodes)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(500)
    try:
        models.load_model(path)
    finally:
        sys.setrecursionlimit(limit)


def test_tables_of_one_hot_vectors_are_counted(tmp_path):
    words = helper.make_tensor_value_info("n", TensorProto.INT64, ["batch", 2])
    nodes = [node("OneHot", f"n d{k} v", f"o{k}") for k in range(6)]
    nodes += [node("ReduceSum", f"o{k}", f"s{k}", axes=[-1, -2]) for k in range(6)]
    constants = [const(f"d{k}", 2040 - k) for k in range(6)] + [const("v", np.array([0, 1], "float32"))]

    def change(model):
        model.graph.input.append(words)

    path = lstm_file(tmp_path, change, [*nodes, node("Sum", " ".join(f"s{k}" for k in range(6)), "z")], 11, constants)
    with pytest.raises(ValueError, match=r"OneHot: expected constants of at most 64 MB to be computed"):
        models.load_model(path)


@pytest.mark.parametrize(
    ("operator", "inputs", "message"),
    [
        ("Tile", "y huge", r"copies other than 1 to 1000"),
        ("Tile", "y few", r"repeats: expected 4 numbers, got \[1\]"),
        ("Mod", "one nothing", "expected no division of integers by zero"),
        ("OneHot", "y one v", "OneHot of other than integers"),
    ],
)
def test_operators_that_do_not_fit(operator, inputs, message, tmp_path):
    constants = {"huge": [1, 1, 1, 1 << 40], "few": [1], "one": [1], "nothing": [0], "v": np.zeros(2, "float32")}
    path = lstm_file(tmp_path, nodes=[node(operator, inputs, "z")], initial=[const(*c) for c in constants.items()])
    with pytest.raises((ValueError, NotImplementedError), match=message):
        models.load_model(path)
