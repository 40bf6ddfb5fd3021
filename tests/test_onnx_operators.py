"""Single operators of ONNX files: what a model loaded from one returns is what ONNX's own evaluator returns."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from lstmcore import models  # noqa: E402

pytestmark = [pytest.mark.peer, pytest.mark.once, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

RNG = np.random.default_rng(0)
X = RNG.standard_normal((4, 5, 3)).astype("float32")
STEPS_LAST = np.ascontiguousarray(X.swapaxes(1, 2))  # (batch, channels, steps)
V = RNG.standard_normal((4, 6)).astype("float32")


def node(operator, inputs="x", outputs="y", **attributes):
    return helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


def load(tmp_path, nodes, inputs, opset=18, outputs=("y",), **constants):
    """A file of some nodes, whose inputs have any number of rows; its path and what our model of it is."""
    constants = {name: np.asarray(value) for name, value in constants.items()}
    shapes = {name: ["batch", *x.shape[1:]] for name, x in inputs.items()}
    graph = helper.make_graph(
        nodes,
        "g",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), shapes[name])
            for name, x in inputs.items()
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    path = str(tmp_path / "one.onnx")
    onnx.save(model, path)
    return path, models.load_model(path)


def check(tmp_path, nodes, x=X, opset=18, **constants):
    nodes = nodes if isinstance(nodes, list) else [nodes]
    inputs = x if isinstance(x, dict) else {"x": x}
    path, model = load(tmp_path, nodes, inputs, opset, **constants)
    got = model.predict(list(inputs.values()) if len(inputs) > 1 else x, verbose=0)
    (want,) = ReferenceEvaluator(path).run(None, inputs)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-6)
    assert np.issubdtype(got.dtype, np.integer) == np.issubdtype(want.dtype, np.integer)


REDUCTIONS = ("Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare")


@pytest.mark.parametrize("kind", REDUCTIONS)
@pytest.mark.parametrize(("axes", "keepdims"), [([1], 0), ([2], 1), ([-1], 0), ([-1, 1], 1), ([1, 2], 0)])
def test_reductions(kind, axes, keepdims, tmp_path):
    x = np.abs(X) if kind == "LogSum" else X
    given = {"axes": np.array(axes)} if kind == "Sum" else {}
    attributes = {} if given else {"axes": axes}
    made = node(f"Reduce{kind}", "x axes" if given else "x", keepdims=keepdims, **attributes)
    check(tmp_path, made, x, opset=13, **given)
    check(tmp_path, node(f"Reduce{kind}", "x axes", keepdims=keepdims), x, axes=np.array(axes))


@pytest.mark.parametrize("kind", REDUCTIONS)
def test_reductions_along_the_batch_are_refused(kind, tmp_path):
    for nodes, constants in [
        ([node(f"Reduce{kind}", "x axes")], {"axes": np.array([0])}),
        ([node(f"Reduce{kind}")], {}),
    ]:
        with pytest.raises(NotImplementedError, match=f"Reduce{kind} .*along the batch"):
            load(tmp_path, nodes, {"x": X}, **constants)


def test_a_reduction_along_no_axis_changes_nothing(tmp_path):
    nodes = [node("ReduceSum", outputs="a", noop_with_empty_axes=1), node("Neg", "a")]
    check(tmp_path, nodes)


@pytest.mark.parametrize(("axis", "keepdims"), [(1, 0), (2, 1), (-1, 0), (-2, 1)])
def test_arg_max(axis, keepdims, tmp_path):
    check(tmp_path, node("ArgMax", axis=axis, keepdims=keepdims))
    check(tmp_path, node("ArgMax", axis=axis, keepdims=keepdims), np.round(X))  # of equal ones the first


@pytest.mark.parametrize("limits", [(-0.5, 0.25), (0.0, 6.0), (-1.0, 1.0), (None, 0.3), (0.2, None), (None, None)])
def test_clip(limits, tmp_path):
    given = {name: np.float32(n) for name, n in zip(("low", "high"), limits, strict=True) if n is not None}
    names = ["x", *("" if n is None else name for name, n in zip(("low", "high"), limits, strict=True))]
    check(tmp_path, helper.make_node("Clip", names, ["y"]), **given)


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Div", "Pow"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("shape", [(), (1,), (3,), (5, 1), (5, 3), (1, 1, 3), (4, 5, 3)], ids=str)
def test_sums_and_their_kind_with_constants(operator, reverse, shape, tmp_path):
    c = (0.5 + np.arange(np.prod(shape, dtype=int)) / 8).reshape(shape).astype("float32")
    names, x = ("c x" if reverse else "x c"), 0.5 + np.abs(X)
    if shape == (4, 5, 3):  # another constant for each row
        with pytest.raises(NotImplementedError, match="each row of the batch"):
            load(tmp_path, [node(operator, names)], {"x": x}, c=c)
    else:
        check(tmp_path, node(operator, names), x, c=c)


@pytest.mark.parametrize("operator", ["Max", "Min"])
def test_the_larger_and_the_smaller_of_a_constant(operator, tmp_path):
    check(tmp_path, node(operator, "x c"), c=np.float32(0.25))
    check(tmp_path, node(operator, "c x"), c=np.full((1, 1), 0.25, "float32"))
    with pytest.raises(NotImplementedError, match=f"{operator} .*several constants"):
        load(tmp_path, [node(operator, "x c")], {"x": X}, c=np.arange(3, dtype="float32"))


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Div", "Max", "Min", "Mean", "Sum"])
def test_sums_and_their_kind_of_two_arrays(operator, tmp_path):
    check(tmp_path, node(operator, "x z"), {"x": X, "z": np.abs(X[:, ::-1]) + 0.5})
    check(tmp_path, node(operator, "x z"), {"x": X, "z": np.abs(X[:, :, :1]) + 0.5})


@pytest.mark.parametrize("operator", ["Max", "Min", "Mean", "Sum"])
def test_of_three_arrays(operator, tmp_path):
    check(tmp_path, node(operator, "x z w"), {"x": X, "z": X[:, ::-1], "w": X**2})


@pytest.mark.parametrize("operator", ["Div", "Pow", "Mean"])
def test_quotients_of_integers_are_refused(operator, tmp_path):
    whole = np.arange(1, 13).reshape(4, 3)
    with pytest.raises((NotImplementedError, ValueError), match=operator):
        load(tmp_path, [node(operator, "x z")], {"x": whole, "z": whole})


ACTIVATIONS = [
    ("Relu", {}),
    ("Tanh", {}),
    ("Sigmoid", {}),
    ("Softplus", {}),
    ("Softsign", {}),
    ("Exp", {}),
    ("HardSwish", {}),
    ("Mish", {}),
    ("Selu", {}),
    ("LeakyRelu", {}),
    ("LeakyRelu", {"alpha": 0.3}),
    ("Elu", {}),
    ("Elu", {"alpha": 0.5}),
    ("Celu", {"alpha": 2.0}),
    ("ThresholdedRelu", {"alpha": 0.4}),
    ("HardSigmoid", {}),
    ("HardSigmoid", {"alpha": 1 / 6}),
    ("HardSigmoid", {"alpha": 0.5, "beta": 0.1}),
    ("Softmax", {"axis": 1}),
    ("Softmax", {"axis": -1}),
    ("LogSoftmax", {"axis": 1}),
    ("Neg", {}),
    ("Abs", {}),
    ("Identity", {}),
]


@pytest.mark.parametrize(("operator", "attributes"), ACTIVATIONS, ids=str)
def test_activations(operator, attributes, tmp_path):
    check(tmp_path, node(operator, **attributes))


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu(approximate, tmp_path):
    check(tmp_path, node("Gelu", approximate=approximate), opset=20)


@pytest.mark.parametrize("beside", ["C", "row", "one", "none"])
@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm(beside, transposed, tmp_path):
    kernel = RNG.standard_normal((6, 6)).astype("float32")
    c = {"C": np.arange(6.0), "row": np.arange(6.0)[None], "one": np.array([2.0]), "none": None}[beside]
    given = {} if c is None else {"c": c.astype("float32")}
    names = "x b" if c is None else "x b c"
    check(tmp_path, node("Gemm", names, transB=transposed, alpha=0.5, beta=2.0), V, b=kernel, **given)


def test_gemm_with_a_sum_for_each_row_is_refused(tmp_path):
    for c in (np.ones((6, 1), "float32"), np.ones((4, 6), "float32")):
        with pytest.raises(NotImplementedError, match="C with rows"):
            load(tmp_path, [node("Gemm", "x b c")], {"x": V}, b=np.ones((6, 6), "float32"), c=c)


def test_products_with_matrices(tmp_path):
    b = RNG.standard_normal((3, 2)).astype("float32")
    check(tmp_path, node("MatMul", "x b"), b=b)
    check(tmp_path, [node("MatMul", "x b", "a"), node("Add", "a c")], b=b, c=np.array([1, 2], "float32"))
    # What is read before the sum, too, has no sum.
    nodes = [node("MatMul", "x b", "a"), node("Add", "a c", "d"), node("Mul", "a d")]
    check(tmp_path, nodes, b=b, c=np.array([1, 2], "float32"))
    check(tmp_path, node("MatMul", "x z"), {"x": X, "z": STEPS_LAST})


def test_products_along_the_batch_are_refused(tmp_path):
    for x, z in ((V, V.T.copy()), (X, V[:3])):
        with pytest.raises((NotImplementedError, ValueError), match="MatMul"):
            load(tmp_path, [node("MatMul", "x z")], {"x": x, "z": z})


@pytest.mark.parametrize(
    "attributes", [{}, {"pads": [1, 2]}, {"strides": [2]}, {"dilations": [2], "auto_pad": "VALID"}]
)
@pytest.mark.parametrize("group", [1, 3])
def test_convolutions(attributes, group, tmp_path):
    w = RNG.standard_normal((6, 3 // group, 2)).astype("float32")
    made = node("Conv", "x w b", group=group, kernel_shape=[2], **attributes)
    check(tmp_path, made, STEPS_LAST, w=w, b=np.arange(6, dtype="float32"))


@pytest.mark.parametrize("pad", ["SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("stride", [1, 2])
def test_convolutions_with_as_many_steps(pad, stride, tmp_path):
    w = RNG.standard_normal((2, 3, 4)).astype("float32")
    made = node("Conv", "x w", kernel_shape=[4], auto_pad=pad, strides=[stride])
    check(tmp_path, made, STEPS_LAST, w=w)


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("attributes", [{}, {"strides": [2]}])
def test_pooling(kind, attributes, tmp_path):
    check(tmp_path, node(kind, kernel_shape=[2], **attributes), STEPS_LAST)


# ONNX's own evaluator forgets padding behind the steps, and axes of what it pools whole.
@pytest.mark.parametrize(("kind", "pooled"), [("MaxPool", np.maximum), ("AveragePool", lambda a, b: (a + b) / 2)])
def test_pooling_with_padding(kind, pooled, tmp_path):
    _, model = load(tmp_path, [node(kind, kernel_shape=[2], pads=[0, 1], strides=[1])], {"x": STEPS_LAST})
    inner = pooled(STEPS_LAST[..., :-1], STEPS_LAST[..., 1:])
    want = np.concatenate([inner, STEPS_LAST[..., -1:]], -1)
    np.testing.assert_allclose(model.predict(STEPS_LAST, verbose=0), want, rtol=1e-6)


@pytest.mark.parametrize(("kind", "pooled"), [("GlobalMaxPool", np.max), ("GlobalAveragePool", np.mean)])
def test_pooling_of_all_steps(kind, pooled, tmp_path):
    _, model = load(tmp_path, [node(kind)], {"x": STEPS_LAST})
    want = pooled(STEPS_LAST, -1, keepdims=True)
    np.testing.assert_allclose(model.predict(STEPS_LAST, verbose=0), want, rtol=1e-6)


def test_normalisations(tmp_path):
    vectors = {name: np.abs(RNG.standard_normal(3)).astype("float32") + 0.1 for name in ("s", "b", "m", "v")}
    check(tmp_path, node("BatchNormalization", "x s b m v", epsilon=1e-3), STEPS_LAST, **vectors)
    for axis, shape in ((-1, (3,)), (1, (5, 3))):
        scale = RNG.standard_normal(shape).astype("float32")
        check(tmp_path, node("LayerNormalization", "x s b", axis=axis), s=scale, b=scale + 1)


def test_batch_normalisation_in_training_is_refused(tmp_path):
    vectors = {name: np.ones(3, "float32") for name in ("s", "b", "m", "v")}
    made = node("BatchNormalization", "x s b m v", "y o p", training_mode=1)
    with pytest.raises(NotImplementedError, match="training_mode"):
        load(tmp_path, [made], {"x": STEPS_LAST}, **vectors)


@pytest.mark.parametrize(
    ("nodes", "constants", "error", "message"),
    [
        ([node("Selu", alpha=2.0)], {}, NotImplementedError, "numbers of its own"),
        ([node("Dropout", "x r t")], {"r": np.float32(0.5), "t": np.array(True)}, NotImplementedError, "training_mode"),
        ([node("Reshape", "x k", allowzero=1)], {"k": np.array([0, -1])}, NotImplementedError, "sizes of 0"),
        ([node("Pad", "x k")], {"k": np.array([0, 2**40, 0, 0, 0, 0])}, ValueError, "at most"),
        ([node("Conv", "x w", kernel_shape=[9])], {"w": np.ones((2, 5, 2), "float32")}, ValueError, "kernel_shape"),
    ],
)
def test_what_a_file_asks_for_is_not_overlooked(nodes, constants, error, message, tmp_path):
    with pytest.raises(error, match=message):
        load(tmp_path, nodes, {"x": X}, **constants)


@pytest.mark.parametrize(("name", "value"), [("direction", "sideways"), ("layout", 7)])
def test_attributes_of_no_meaning_are_refused(name, value, tmp_path):
    w, r = np.ones((1, 8, 3), "float32"), np.ones((1, 8, 2), "float32")
    with pytest.raises(ValueError, match=f"{name}: expected"):
        load(tmp_path, [node("LSTM", "x w r", hidden_size=2, **{name: value})], {"x": X}, w=w, r=r)


def test_a_dropout_that_is_off_is_nothing(tmp_path):
    check(tmp_path, node("Dropout", "x r t"), r=np.float32(0.5), t=np.array(False))


def test_products_of_constants(tmp_path):
    nodes = [node("Gemm", "a b c", "d", transB=1, alpha=0.5, beta=2.0), node("Add", "x d")]
    check(tmp_path, nodes, a=X[0, :1], b=X[1, :3], c=X[2, 0])


def test_names_that_are_no_texts(tmp_path):
    path, _ = load(tmp_path, [node("Relu")], {"x": X})
    with open(path, "rb") as file:
        content = file.read()
    with open(path, "wb") as file:
        file.write(content.replace(b"Relu", b"Rel\xff"))
    with pytest.raises(ValueError, match=r"one\.onnx: expected an ONNX file"):
        models.load_model(path)


def test_outputs_that_are_not_made_are_refused(tmp_path):
    with pytest.raises(NotImplementedError, match=r"MaxPool \(output 1\)"):
        load(tmp_path, [node("MaxPool", "x", "a y", kernel_shape=[2])], {"x": STEPS_LAST})


MOVES = [
    ([node("Transpose", perm=[0, 2, 1])], {}),
    ([node("Transpose", "x", "a", perm=[1, 0, 2]), node("Transpose", "a", perm=[1, 2, 0])], {}),
    ([node("Unsqueeze", "x k", "a"), node("Squeeze", "a k")], {"k": np.array([2])}),
    ([node("Reshape", "x k")], {"k": np.array([0, -1])}),
    ([node("Reshape", "x k")], {"k": np.array([-1, 3, 5])}),
    ([node("Flatten")], {}),
    ([node("Slice", "x s e a")], {"s": np.array([1, 0]), "e": np.array([-1, 2]), "a": np.array([1, 2])}),
    ([node("Slice", "x s e a t")], {k: np.array([n]) for k, n in (("s", -1), ("e", -9), ("a", 1), ("t", -1))}),
    ([node("Gather", "x k", axis=1)], {"k": np.array(-1)}),
    ([node("Gather", "x k", axis=1)], {"k": np.array([1, 3])}),
    ([node("Gather", "x k", axis=2)], {"k": np.array([2, 1, 0])}),
    ([node("Split", "x k", "a y", axis=1)], {"k": np.array([2, 3])}),
    ([node("Split", "x", "y b", axis=1, num_outputs=2)], {}),
    ([node("Concat", "x x", axis=1)], {}),
    ([node("Concat", "x x", axis=2)], {}),
    ([node("Pad", "x k")], {"k": np.array([0, 2, 0, 0, 1, 0])}),
    ([node("Shape", "x", "k"), node("Expand", "x k")], {}),
    ([node("Shape", "x", "k"), node("Reshape", "x k")], {}),
]


@pytest.mark.parametrize(("nodes", "constants"), MOVES, ids=["-".join(n.op_type for n in m) for m, _ in MOVES])
def test_moves(nodes, constants, tmp_path):
    check(tmp_path, nodes, **constants)


def test_rows_of_a_table(tmp_path):
    ids = RNG.integers(0, 7, (4, 5))
    check(tmp_path, node("Gather", "t x"), ids, t=RNG.standard_normal((7, 3)).astype("float32"))


@pytest.mark.parametrize(
    ("nodes", "constants", "message"),
    [
        ([node("Squeeze", "x k")], {"k": np.array([1])}, "Squeeze: axes: expected axes of size 1"),
        ([node("Gather", "x k", axis=1)], {"k": np.array(7)}, "index"),
        ([node("Concat", "x x", axis=7)], {}, "axis: expected one of 3 axes, got 7"),
        ([node("Transpose", perm=[0, 1])], {}, "perm: expected 3 axes"),
        ([node("MatMul", "x b")], {"b": np.ones((4, 2), "float32")}, "rows of weights"),
        ([node("Div", "k l", "d"), node("Gather", "x d", axis=1)], {"k": np.array(1), "l": np.array(0)}, "by zero"),
    ],
)
def test_what_does_not_fit_is_refused(nodes, constants, message, tmp_path):
    with pytest.raises((ValueError, NotImplementedError), match=message):
        load(tmp_path, nodes, {"x": X}, **constants)


@pytest.mark.parametrize("operator", ["Add", "Mul", "MatMul", "Equal", "Where", "Gather"])
def test_constants_that_grow_are_not_made(operator, tmp_path):
    column, row = np.ones((1 << 15, 1), "float32"), np.ones((1, 1 << 15), "float32")
    names, given = "a b", {"a": column, "b": row}
    if operator == "Where":
        names, given = "c a b", given | {"c": np.array(True)}
    if operator == "Gather":
        names, given = "b a", {"a": np.zeros((1 << 15, 1), "int64"), "b": row}
    with pytest.raises(ValueError, match=f"{operator}: expected a constant of at most"):
        load(tmp_path, [node(operator, names, "z"), node("Mul", "x z")], {"x": X}, **given)


def test_constants_that_double_are_not_made(tmp_path):
    nodes = [node("Concat", f"a{k} a{k}", f"a{k + 1}", axis=0) for k in range(40)]
    with pytest.raises(ValueError, match="Concat: expected a constant of at most"):
        load(tmp_path, [*nodes, node("Mul", "x a40")], {"x": X}, a0=np.ones(2, "float32"))


@pytest.mark.parametrize("signs", [(7, 2), (-7, 2), (7, -2), (-7, -2)])
def test_integers_are_divided_towards_zero(signs, tmp_path):
    nodes = [node("Div", "k l", "d"), node("Add", "d m", "e"), node("Gather", "x e", axis=1)]
    check(
        tmp_path, nodes, **dict(zip("klm", map(np.array, (*signs, 3 if signs[0] * signs[1] < 0 else -1)), strict=True))
    )


def test_conditions_read_what_is_outside(tmp_path):
    # The product is read by a branch, so that it must not have the sum; the branch returns what an LSTM makes.
    w, r = (RNG.standard_normal((1, 8, n)).astype("float32") for n in (2, 2))
    inner = helper.make_graph(
        [node("Transpose", "a", "s", perm=[1, 0, 2]), node("LSTM", "s w r", "h", hidden_size=2)],
        "then",
        [],
        [helper.make_tensor_value_info("h", TensorProto.FLOAT, None)],
    )
    other = helper.make_graph(
        [node("Identity", "a", "o")], "else", [], [helper.make_tensor_value_info("o", TensorProto.FLOAT, None)]
    )
    nodes = [
        node("MatMul", "x b", "a"),
        node("Add", "a c", "d"),
        helper.make_node("If", ["yes"], ["z"], then_branch=inner, else_branch=other),
        node("Squeeze", "z one", "q"),
        node("Transpose", "q", "p", perm=[1, 0, 2]),
        node("Add", "p d"),
    ]
    given = {"b": np.ones((3, 2), "float32"), "c": np.array([5, 6], "float32"), "yes": np.array(True)}
    check(tmp_path, nodes, one=np.array([1]), w=w, r=r, **given)


def test_many_inputs_of_one_operator(tmp_path):
    nodes = [node("Slice", f"x {a} {b} axis", f"s{a}") for a, b in zip("abc", "bcd", strict=True)]
    ends = {name: np.array([k]) for k, name in enumerate("abcd")}
    names = " ".join(f"s{'abc'[k % 3]}" for k in range(300))  # as of the steps of a loop that is unrolled
    check(tmp_path, [*nodes, node("Concat", names, axis=1)], axis=np.array([1]), **ends)
