"""Operators of ONNX of conditions, places, windows and functions, held against ONNX's evaluator and ONNX Runtime."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from test_onnx_files import assert_equal_outputs, exported, reference, runtime, shaken  # noqa: E402
from test_onnx_operators import STEPS_LAST, V, X, check, load, node  # noqa: E402

from lstmcore import Input, Model, Sequential, layers, models  # noqa: E402

pytestmark = [pytest.mark.peer, pytest.mark.once, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.mark.parametrize("operator", ["Erf", "Sin", "Cos", "Sign", "Floor", "Ceil", "Round", "Reciprocal"])
def test_functions(operator, tmp_path):
    check(tmp_path, node(operator))


@pytest.mark.parametrize("operator", ["Sqrt", "Log"])
def test_functions_of_positive_numbers(operator, tmp_path):
    check(tmp_path, node(operator), np.abs(X))


@pytest.mark.parametrize("attributes", [{}, {"lambd": 0.3}, {"lambd": 0.3, "bias": 0.3}])
def test_shrink(attributes, tmp_path):
    check(tmp_path, node("Shrink", **attributes))


OPERATORS = ["Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal"]


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("reverse", [False, True])
def test_comparisons_with_constants(operator, reverse, tmp_path):
    x = np.round(2 * X) / 2
    for c in (np.float32(0.5), np.array([-0.5, 0, 0.5], "float32"), np.full((5, 1), 0.5, "float32")):
        nodes = [node(operator, "c x" if reverse else "x c", "m"), node("Cast", "m", to=TensorProto.FLOAT)]
        check(tmp_path, nodes, x, c=c)


@pytest.mark.parametrize("operator", OPERATORS)
def test_comparisons_of_two_arrays(operator, tmp_path):
    x = {"a": np.round(X), "b": np.round(X[..., :1] - 0.5)}
    nodes = [node(operator, "a b", "m"), node("Not", "m", "n"), node("Cast", "n", to=TensorProto.FLOAT)]
    check(tmp_path, nodes, x)


@pytest.mark.parametrize("operator", ["And", "Or"])
def test_conditions_together(operator, tmp_path):
    nodes = [
        *(node("Less", "x c", "m"), node("Greater", "x d", "n"), node(operator, "m n", "o")),
        node("Cast", "o", to=TensorProto.FLOAT),
    ]
    check(tmp_path, nodes, c=np.float32(0.5), d=np.float32(-0.5))


@pytest.mark.parametrize("sides", ["x c", "c x", "x x2", "c d"])
@pytest.mark.parametrize("shape", [(), (3,), (5, 1)])
def test_where(sides, shape, tmp_path):
    nodes = [node("Neg", outputs="x2"), node("Less", "x c", "m"), node("Where", f"m {sides}")]
    c = np.linspace(-0.5, 0.5, int(np.prod(shape))).reshape(shape).astype("float32")
    check(tmp_path, nodes, c=c, d=np.full(shape, -np.inf, "float32"))


@pytest.mark.parametrize("shape", [(1, 5, 3), (5, 3), (4, 5, 3), (1, 1, 1)])
def test_expand(shape, tmp_path):
    x = X[:, :1] if shape != (1, 1, 1) else X
    if shape[0] == 4:
        with pytest.raises(NotImplementedError, match="several batches"):
            load(tmp_path, [node("Expand", "x s")], {"x": x}, s=np.array(shape))
    else:
        check(tmp_path, [node("Expand", "x s", "a"), node("Neg", "a")], x, s=np.array(shape))


@pytest.mark.parametrize("times", [(1, 1, 1), (1, 3, 2), (1, 4, 1)])
@pytest.mark.parametrize("steps", [1, 5])
def test_tile(times, steps, tmp_path):
    check(tmp_path, [node("Tile", "x s", "a"), node("Neg", "a")], X[:, :steps].copy(), s=np.array(times))


def test_copies_of_the_batch_are_refused(tmp_path):
    with pytest.raises(NotImplementedError, match=r"Tile \(copies along the batch\)"):
        load(tmp_path, [node("Tile", "x s", "a"), node("Neg", "a")], {"x": X}, s=np.array([2, 1, 1]))


@pytest.mark.parametrize("shape", [(5, 3), (1, 5, 1), (5, 1)])
def test_where_a_constant_says(shape, tmp_path):
    m = np.arange(np.prod(shape)).reshape(shape) % 2 == 0
    check(tmp_path, [node("Neg", outputs="x2"), node("Where", "m x2 c")], m=m, c=np.float32(-7))
    check(tmp_path, [node("Neg", outputs="x2"), node("Where", "m x x2")], m=m)


@pytest.mark.parametrize("axis", [-1, 1, 2])
def test_one_hot(axis, tmp_path):
    nodes = [node("OneHot", "x depth values", "a", axis=axis), node("Neg", "a")]
    words = np.array([[1, 2, 0], [4, 4, 3]])
    check(tmp_path, nodes, words, depth=np.array(5), values=np.array([0.25, 2], "float32"))
    nodes = [node("OneHot", "x depth values", "a", axis=axis), node("Cast", "a", to=TensorProto.FLOAT)]
    check(tmp_path, nodes, words, depth=np.array(5), values=np.array([0, 1]))
    _, model = load(tmp_path, nodes, {"x": words}, depth=np.array(5), values=np.array([0, 1]))
    assert not model.trainable_weights
    with pytest.raises(ValueError, match="expected integers from 0 to 4"):
        model.predict(np.array([[1, -1, 5]]), verbose=0)  # zeros there


@pytest.mark.parametrize("kind", ["IsNaN", "IsInf"])
def test_what_is_no_number(kind, tmp_path):
    x = np.array([[1, np.nan, np.inf], [-np.inf, 0, np.nan]], "float32")
    check(tmp_path, [node(kind, outputs="m"), node("Where", "m c x")], x, c=np.float32(7))


def test_channels_by_themselves(tmp_path):
    c = {"g": np.array([1, 2, 0.5], "float32"), "b": np.array([0, 1, -1], "float32")}
    check(tmp_path, node("InstanceNormalization", "x g b", epsilon=1e-3), STEPS_LAST, **c)


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_groups_of_channels(groups, tmp_path):
    x = np.concatenate([STEPS_LAST, 2 * STEPS_LAST + 1], 1)
    c = {"g": np.linspace(1, 2, 6, dtype="float32"), "b": np.linspace(0, 1, 6, dtype="float32")}
    check(tmp_path, node("GroupNormalization", "x g b", num_groups=groups, epsilon=1e-3), x, 21, **c)


def test_root_mean_squares(tmp_path):
    made = node("RMSNormalization", "x g", epsilon=1e-3)
    check(tmp_path, made, opset=23, g=np.array([1, 2, 0.5], "float32"))


@pytest.mark.parametrize("heads", [0, 1, 3])
@pytest.mark.parametrize("mask", ["", "seen", "added"])
@pytest.mark.parametrize("causal", [0, 1])
def test_attention_as_an_operator(heads, mask, causal, tmp_path):
    options = {"q_num_heads": heads, "kv_num_heads": heads} if heads else {}
    rng = np.random.default_rng(0)
    shape = (2, 5, 6) if heads else (2, 3, 5, 4)
    inputs = {name: rng.standard_normal(shape).astype("float32") for name in "qkv"}
    constants = {"": {}, "seen": {"m": rng.random((5, 5)) > 0.3}, "added": {"m": rng.random((5, 5)).astype("float32")}}
    if mask == "seen":
        constants["seen"]["m"][:, 0] = True  # a row that sees nothing has no numbers there
    nodes = [node("Attention", "q k v" + (" m" if mask else ""), "a", is_causal=causal, scale=0.3, **options)]
    check(tmp_path, [*nodes, node("Neg", "a")], inputs, 23, **constants[mask])


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_lengths_that_are_a_constant(kind, direction, tmp_path):
    rng, count = np.random.default_rng(0), 1 + (direction == "bidirectional")
    gates = {"LSTM": 8, "GRU": 6, "RNN": 2}[kind]
    W, R = (rng.standard_normal((count, gates, n)).astype("float32") for n in (3, 2))
    recurrent = helper.make_node(kind, ["t", "W", "R", "", "n"], ["a", "h"], hidden_size=2, direction=direction)
    nodes = [
        *(node("Transpose", "x", "t", perm=[1, 0, 2]), recurrent),
        *(node("Transpose", "a", perm=[2, 0, 1, 3]), node("Transpose", "h", "z", perm=[1, 0, 2])),
    ]
    options = {"outputs": ("y", "z"), "W": W, "R": R, "n": np.full(4, 3, "int32")}
    path, model = load(tmp_path, nodes, {"x": X}, **options)
    assert_equal_outputs(model.predict(X, verbose=0), runtime(path, X))
    for wrong, error in ((np.full(4, 6, "int32"), ValueError), (np.array([1, 2, 3, 4], "int32"), NotImplementedError)):
        with pytest.raises(error, match="sequence_lens"):
            load(tmp_path, nodes, {"x": X}, **options | {"n": wrong})


@pytest.mark.parametrize("mode", ["edge", "reflect", "wrap", "constant"])
@pytest.mark.parametrize("pads", [(2, 1), (0, 3), (4, 0), (0, 0)])
def test_padding(mode, pads, tmp_path):
    check(
        tmp_path,
        [node("Pad", "x p", "a", mode=mode), node("Neg", "a")],
        STEPS_LAST,
        opset=19,
        p=np.array([0, 0, pads[0], 0, 0, pads[1]]),
    )


@pytest.mark.parametrize("operator", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("pads", [(0, 0), (1, 0), (1, 1)])
@pytest.mark.parametrize("ceil", [0, 1])
def test_pooling(operator, size, stride, pads, ceil, tmp_path):
    options = {"count_include_pad": 1} if operator == "AveragePool" else {}
    made = node(operator, kernel_shape=[size], strides=[stride], pads=list(pads), ceil_mode=ceil, **options)
    try:
        path, model = load(tmp_path, [made], {"x": STEPS_LAST}, 19)
    except NotImplementedError as error:
        assert (operator, "ceil_mode" in str(error)) == ("AveragePool", True)  # noqa: PT017
        return
    assert_equal_outputs([model.predict(STEPS_LAST, verbose=0)], runtime(path, STEPS_LAST))


@pytest.mark.parametrize(("size", "stride", "pads"), [(2, 2, (0, 0)), (3, 2, (1, 1)), (4, 3, (1, 0)), (3, 3, (0, 0))])
def test_windows_that_are_not_whole_of_any_number_of_steps(size, stride, pads, tmp_path):
    made = node("MaxPool", "x", "y", kernel_shape=[size], strides=[stride], pads=list(pads), ceil_mode=1)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2, name]) for name in "xy"]
    graph = helper.make_graph([made], "g", ends[:1], ends[1:])
    path = str(tmp_path / "model.onnx")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    model = models.load_model(path)
    for steps in range(4, 9):
        x = np.random.default_rng(steps).standard_normal((3, 2, steps)).astype("float32") - 5
        assert_equal_outputs([model.predict(x, verbose=0)], runtime(path, x))


def test_windows_that_may_begin_behind_the_last_step_are_refused(tmp_path):
    made = node("MaxPool", "x", "y", kernel_shape=[2], strides=[3], ceil_mode=1)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2, name]) for name in "xy"]
    graph = helper.make_graph([made], "g", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), str(tmp_path / "model.onnx"))
    with pytest.raises(NotImplementedError, match="ceil_mode of a number of steps that is not known"):
        models.load_model(tmp_path / "model.onnx")


def test_windows_over_two_axes_of_which_one_is_a_single_element(tmp_path):
    w = np.random.default_rng(0).standard_normal((4, 3, 1, 2)).astype("float32")
    nodes = [
        node("Unsqueeze", "x axes", "a"),
        node("Conv", "a w", "b", kernel_shape=[1, 2], pads=[0, 1, 0, 0], strides=[1, 2], dilations=[1, 1]),
        node("MaxPool", "b", "c", kernel_shape=[1, 2], strides=[1, 1]),
        node("Squeeze", "c axes"),
    ]
    check(tmp_path, nodes, STEPS_LAST, w=w, axes=np.array([2]))


@pytest.mark.parametrize(
    ("shape", "target"),
    [((4, 6), (0, 2, 3)), ((4, 6), (-1, 3, 2)), ((4, 5, 3), (0, -1)), ((4, 5, 3), (-1, 3, 5)), ((4, 6), (-1, 1, 6, 1))],
)
def test_shapes_behind_the_batch(shape, target, tmp_path):
    x = np.arange(np.prod(shape), dtype="float32").reshape(shape)
    check(tmp_path, [node("Reshape", "x s", "a"), node("Neg", "a")], x, s=np.array(target))


@pytest.mark.parametrize("target", [(2, -1), (-1, 4), (5, 4, 3), (3, 4, 5), (-1, 5, 4, 1)])
def test_shapes_across_the_batch_are_refused(target, tmp_path):
    with pytest.raises(NotImplementedError, match="Reshape"):
        load(tmp_path, [node("Reshape", "x s", "a"), node("Neg", "a")], {"x": X}, s=np.array(target))


def test_the_place_of_each_row(tmp_path):
    x, n = X, np.array([4, 0, 2, 1])
    unsqueezed = [node("Unsqueeze", "n axes", "i"), node("GatherND", "x i", batch_dims=1)]
    check(tmp_path, unsqueezed, {"x": x, "n": n}, axes=np.array([1]))
    wide = [node("Reshape", "n s", "a"), node("Expand", "a t", "b"), node("GatherElements", "x b", axis=1)]
    check(tmp_path, wide, {"x": x, "n": n}, s=np.array([-1, 1, 1]), t=np.array([1, 1, 3]))


@pytest.mark.parametrize("operator", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("begins", [False, True])
def test_lengths_and_constant_states(operator, direction, begins, tmp_path):
    gates, count = {"LSTM": 4, "GRU": 3, "RNN": 1}[operator], 2 if direction == "bidirectional" else 1
    rng = np.random.default_rng(0)
    W, R = (rng.standard_normal((count, gates * 2, n)).astype("float32") for n in (3, 2))
    h = np.repeat(rng.standard_normal((count, 1, 2)).astype("float32"), 4, axis=1)
    states = (" h c" if operator == "LSTM" else " h") if begins else ""
    made = node(operator, f"t W R B n{states}", "y h_n", hidden_size=2, direction=direction)
    shaped = [node("Transpose", "x", "t", perm=[1, 0, 2]), made, node("Relu", "y", "out"), node("Neg", "h_n", "last")]
    inputs, lengths = {"x": X, "n": np.array([5, 2, 3, 1], "int32")}, np.array([5, 2, 3, 1])
    constants = {"W": W, "R": R, "B": np.zeros((count, 2 * gates * 2), "float32"), "h": h, "c": 2 * h}
    path, model = load(tmp_path, shaped, inputs, outputs=("out", "last"), **constants)
    got = model.predict([X, lengths], verbose=0)
    want = runtime(path, X, lengths)
    assert_equal_outputs(got, [np.moveaxis(want[0], 2, 0), np.moveaxis(want[1], 1, 0)])


def test_states_that_do_not_fit_are_refused(tmp_path):
    W, R = np.zeros((1, 8, 3), "float32"), np.zeros((1, 8, 2), "float32")
    nodes = [
        node("Transpose", "x", "t", perm=[1, 0, 2]),
        helper.make_node("LSTM", ["t", "W", "R", "", "", "h", "h"], ["y"]),
    ]
    with pytest.raises(ValueError, match=r"initial states of \(1, 4, 5\), which do not fit R"):
        load(tmp_path, nodes, {"x": X}, W=W, R=R, h=np.zeros((1, 4, 5), "float32"))
    rows = np.arange(8, dtype="float32").reshape(1, 4, 2)
    with pytest.raises(NotImplementedError, match="another constant for each row"):
        load(tmp_path, nodes, {"x": X}, W=W, R=R, h=rows)


def test_a_product_of_constants_keeps_what_is_added(tmp_path):
    nodes = [node("MatMul", "a b", "m"), node("Add", "m c", "s"), node("Add", "x s")]
    check(
        tmp_path, nodes, V, a=np.ones((1, 2), "float32"), b=np.ones((2, 6), "float32"), c=np.arange(6, dtype="float32")
    )


def loop(rounds, goes_on=None):
    """x, then x + 1, x + 2, …: all of them, side by side."""
    one = numpy_helper.from_array(np.float32(1), "one")
    body = helper.make_graph(
        [
            node("Identity", "go" if goes_on is None else goes_on, "go_on"),
            node("Add", "s one", "t"),
            node("Neg", "t", "u"),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("s", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info(n, TensorProto.BOOL if n == "go_on" else TensorProto.FLOAT, None)
            for n in ("go_on", "t", "u")
        ],
        [one],
    )
    return [
        helper.make_node("Loop", ["rounds", "yes", "x"], ["last", "each"], body=body),
        node("Transpose", "each", "first", perm=[1, 0, 2]),
        node("Unsqueeze", "last axes", "wide"),
        node("Concat", "first wide", axis=1),
    ], {"rounds": np.array(rounds), "yes": np.array(True), "axes": np.array([1])}


def test_loops_of_a_number_of_rounds_that_is_known(tmp_path):
    nodes, constants = loop(3)
    path, model = load(tmp_path, nodes, {"x": V}, **constants)
    assert_equal_outputs([model.predict(V, verbose=0)], runtime(path, V))


def test_endless_loops_are_refused(tmp_path):
    nodes, constants = loop(2**62)
    with pytest.raises(ValueError, match="Loop: expected at most 100000 operators in all rounds"):
        load(tmp_path, nodes, {"x": V}, **constants)


# --- our own layers, out and back ---


def test_layers_of_conditions_and_places_there_and_back(tmp_path):
    x, n = Input((None, 3)), Input(batch_shape=(None,), dtype="int64")
    h = layers.LSTM(4, return_sequences=True)(x)
    begin = layers.Parameter([4], initializer="glorot_uniform")(x)
    mask = layers.SequenceMask()([x, n])
    model = Model(
        [x, n],
        [
            layers.TakeStep()([h, n - 1]),
            layers.GRU(4)(x, initial_state=begin),
            layers.Where(otherwise=-1)([layers.Compare("greater", 0.1, invert=True)(h), h]),
            layers.Where()(
                [layers.Compare("less")([h, layers.Elementwise("erf")(h)]), h, layers.Elementwise("cos")(h)]
            ),
            layers.Cast()(mask),
        ],
    )
    inputs = [X, np.array([5, 1, 3, 2])]
    path, want = exported(shaken(model), tmp_path), model.predict(inputs, verbose=0)
    assert_equal_outputs(runtime(path, *inputs), want)
    assert_equal_outputs(reference(path, *inputs), want)
    assert_equal_outputs(models.load_model(path).predict(inputs, verbose=0), want)


NAMES = ("gelu", "hard_shrink", "soft_shrink", "squareplus", "threshold", "mish", "log_sigmoid", "tanh_shrink", "celu")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activations_come_back(name, dtype, tmp_path):
    model = shaken(Sequential([Input((6,), dtype=dtype), layers.Dense(4, activation=name, dtype=dtype)]))
    path, x = exported(model, tmp_path), V.astype(dtype)
    want = model.predict(x, verbose=0)
    if name != "gelu":  # whose Erf is one of float32 there
        assert_equal_outputs(reference(path, x), want, dtype)
    assert_equal_outputs([models.load_model(path).predict(x, verbose=0)], want, dtype)


def gaps():
    """Rows of the inputs whose steps that count stand anywhere, or nowhere."""
    counts = np.array([[1, 1, 0, 0, 0], [0, 1, 0, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], bool)
    return np.where(counts[:, :, None], X, 0).astype("float32")


MASKED = {
    "mean": lambda: [layers.GlobalAveragePooling1D()],
    "max": lambda: [layers.GlobalMaxPooling1D()],
    "last": lambda: [layers.LSTM(2)],
    "backwards": lambda: [layers.GRU(2, go_backwards=True, return_sequences=True)],
    "zeros": lambda: [layers.SimpleRNN(2, return_sequences=True, zero_output_for_mask=True)],
    "two": lambda: [layers.LSTM(3, return_sequences=True), layers.Dropout(0.5), layers.GRU(2), layers.Dense(1)],
    "both": lambda: [layers.Bidirectional(layers.LSTM(2, return_sequences=True)), layers.GlobalAveragePooling1D()],
    "both, last": lambda: [layers.Bidirectional(layers.GRU(2), merge_mode="mul")],
    "convolution": lambda: [layers.Conv1D(3, 2, padding="causal"), layers.LSTM(2)],
}


@pytest.mark.parametrize("name", MASKED)
@pytest.mark.parametrize("steps", [5, None])
def test_masks_come_back(name, steps, tmp_path):
    model = shaken(Sequential([Input((steps, 3)), layers.Masking(), *MASKED[name]()]))
    x, path = gaps(), exported(model, tmp_path)
    want = model.predict(x, verbose=0)
    assert_equal_outputs([models.load_model(path).predict(x, verbose=0)], want)
    assert_equal_outputs(runtime(path, x), want)


@pytest.mark.parametrize("kind", [layers.LSTM, layers.GRU])
def test_masks_and_states_come_back(kind, tmp_path):
    x = Input((None, 3))
    masked = layers.Masking()(x)
    _, *states = kind(2, return_state=True)(masked)
    outputs, *last = kind(2, return_sequences=True, return_state=True)(masked, initial_state=states)
    model = shaken(Model(x, [outputs, *last, kind(2)(masked, initial_state=states)]))
    x, path = gaps(), exported(model, tmp_path)
    want = model.predict(x, verbose=0)
    assert_equal_outputs(models.load_model(path).predict(x, verbose=0), want)


def test_lengths_come_back(tmp_path):
    chain = [layers.Bidirectional(layers.LSTM(3, return_sequences=True)), layers.LSTM(2)]
    model, lengths = shaken(Sequential([Input((None, 3)), *chain])), np.array([5, 3, 0, 2])
    back = models.load_model(exported(model, tmp_path, lengths=True))
    want = np.asarray(model(X, mask=np.arange(5) < lengths[:, None]))
    assert_equal_outputs([back.predict([X, lengths], verbose=0)], want)


def test_steps_that_are_moved_are_put_to_no_other_use(tmp_path):
    path = exported(shaken(Sequential([Input((None, 3)), layers.Masking(), layers.LSTM(2)])), tmp_path)
    model = onnx.load(path)
    (moved,) = (n for n in model.graph.node if n.op_type == "GatherElements")
    model.graph.node.append(node("Relu", moved.output[0], "other"))
    model.graph.output.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, None))
    onnx.save(model, path)
    with pytest.raises(
        NotImplementedError, match=r"Relu \(steps that are moved\) \(lstmcore wrote this file; was it changed"
    ):
        models.load_model(path)


def test_lengths_of_one_operator_say_nothing_to_the_next(tmp_path):
    rng = np.random.default_rng(0)
    W, R, V2 = (rng.standard_normal((1, 6, n)).astype("float32") for n in (3, 2, 2))
    nodes = [
        node("Transpose", "x", "t", perm=[1, 0, 2]),
        helper.make_node("GRU", ["t", "W", "R", "", "n"], ["a"], hidden_size=2),
        node("Squeeze", "a axes", "b"),
        helper.make_node("GRU", ["b", "V", "R"], ["", "h"], hidden_size=2),
        node("Squeeze", "h first"),
    ]
    inputs = {"x": X, "n": np.array([5, 2, 3, 1], "int32")}
    path, model = load(tmp_path, nodes, inputs, W=W, R=R, V=V2, axes=np.array([1]), first=np.array([0]))
    lengths = np.array([5, 2, 3, 1])
    assert_equal_outputs([model.predict([X, lengths], verbose=0)], runtime(path, X, lengths))


def test_steps_that_are_moved_go_back_the_way_of_the_layer(tmp_path):
    chain = [layers.Masking(), layers.GRU(2, return_sequences=True)]
    path = exported(shaken(Sequential([Input((None, 3)), *chain])), tmp_path)
    model = onnx.load(path)
    (cell,) = (n for n in model.graph.node if n.op_type == "GRU")
    (direction,) = (a for a in cell.attribute if a.name == "direction")
    direction.s = b"reverse"
    onnx.save(model, path)
    with pytest.raises(NotImplementedError, match="steps that are moved otherwise"):
        models.load_model(path)
