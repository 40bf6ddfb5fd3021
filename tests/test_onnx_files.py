"""Models as ONNX files: what is written runs elsewhere with our outputs, what others write runs here with theirs."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from lstmcore import Input, Model, Sequential, layers, models  # noqa: E402

pytestmark = [pytest.mark.peer, pytest.mark.once, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

# Rounding of some tens of terms, through some steps.
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}
RECURRENT = (layers.LSTM, layers.GRU, layers.SimpleRNN)
PADDED = np.array(
    [[1, 2, 0, 0], [0, 3, 0, 4], [0, 0, 0, 0], [5, 6, 7, 8], [0, 0, 0, 2]]
)  # right, holes, all, none, left


def shaken(model, seed=0):
    """The model with other weights than the zeros and ones that many begin with."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        for variable in layer.variables:
            values = variable.numpy() + 0.3 * rng.standard_normal(variable.shape)
            variable.assign(np.abs(values) if "variance" in variable.name else values)
    return model


def runtime(path, *inputs):
    session = pytest.importorskip("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])
    kinds = {"tensor(int64)": "int64", "tensor(float)": "float32", "tensor(double)": "float64", "tensor(bool)": bool}
    kinds["tensor(int32)"] = "int32"
    feeds = {i.name: x.astype(kinds[i.type]) for i, x in zip(session.get_inputs(), inputs, strict=True)}
    return session.run(None, feeds)


def reference(path, *inputs):
    evaluator = ReferenceEvaluator(path)
    return evaluator.run(None, dict(zip(evaluator.input_names, inputs, strict=True)))


def assert_equal_outputs(got, want, dtype="float32"):
    want = want if isinstance(want, (list, tuple)) else [want]
    assert len(got) == len(want)
    for a, b in zip(got, want, strict=True):
        assert a.shape == b.shape
        assert np.abs(a - b).max(initial=0) <= TOLERANCE[dtype] * max(1, np.abs(b).max(initial=0))


def exported(model, tmp_path, **options):
    path = str(tmp_path / "model.onnx")
    model.export(path, **options)
    return path


def sequences(*shape, dtype="float32"):
    return np.random.default_rng(1).standard_normal(shape).astype(dtype)


# --- out ---


@pytest.mark.parametrize("cell", RECURRENT)
@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
def test_recurrent_layers_of_masked_sequences(cell, every, backwards, tmp_path):
    chain = [layers.Embedding(9, 3, mask_zero=True), cell(5, return_sequences=every, go_backwards=backwards)]
    model = shaken(Sequential([Input((None,)), *chain]))
    assert_equal_outputs(runtime(exported(model, tmp_path), PADDED), model.predict(PADDED, verbose=0))


@pytest.mark.parametrize(
    "layer",
    [
        layers.LSTM(5, use_bias=False),
        layers.LSTM(5, peepholes=True),
        layers.LSTM(5, coupled=True),
        layers.LSTM(5, input_activation=False),
        layers.LSTM(5, output_activation=False),
        layers.LSTM(5, activation="softsign", recurrent_activation="hard_sigmoid"),
        layers.LSTM(5, activation="elu", recurrent_activation="hard_sigmoid"),
        layers.GRU(5, reset_after=False),
        layers.GRU(5, activation="relu", use_bias=False),
        layers.SimpleRNN(5, activation="leaky_relu"),
        layers.SimpleRNN(5, activation="linear"),
    ],
    ids=lambda layer: layer.name,
)
def test_options_of_recurrent_layers(layer, tmp_path):
    model, x = shaken(Sequential([Input((None, 3)), layer])), 0.3 * sequences(4, 6, 3)
    path = exported(model, tmp_path)
    want = model.predict(x, verbose=0)
    assert_equal_outputs(runtime(path, x), want)
    assert_equal_outputs([models.load_model(path).predict(x, verbose=0)], want)


@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave"])
@pytest.mark.parametrize("every", [False, True])
def test_both_directions_of_masked_sequences(merge_mode, every, tmp_path):
    both = layers.Bidirectional(layers.GRU(5, return_sequences=every), merge_mode=merge_mode)
    model = shaken(Sequential([Input((None,)), layers.Embedding(9, 3, mask_zero=True), both]))
    assert_equal_outputs(runtime(exported(model, tmp_path), PADDED), model.predict(PADDED, verbose=0))


NAMES = ("tanh", "relu", "gelu", "selu", "celu", "silu", "mish", "softmax", "log_softmax", "hard_silu", "tanh_shrink")


@pytest.mark.parametrize("name", NAMES)
def test_activations(name, tmp_path):
    model, x = shaken(Sequential([Input((3,)), layers.Dense(4, activation=name)])), sequences(5, 3)
    assert_equal_outputs(runtime(exported(model, tmp_path), x), model.predict(x, verbose=0))


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
@pytest.mark.parametrize(("strides", "dilation"), [(1, 1), (2, 1), (1, 2)])
def test_convolutions_of_masked_sequences(padding, strides, dilation, tmp_path):
    conv = layers.Conv1D(4, 3, strides=strides, padding=padding, dilation_rate=dilation, activation="relu")
    model = shaken(Sequential([Input((7,)), layers.Embedding(9, 3, mask_zero=True), conv, layers.LSTM(3)]))
    x = np.array([[1, 2, 3, 4, 0, 0, 0], [0, 3, 3, 5, 1, 2, 4]])
    assert_equal_outputs(runtime(exported(model, tmp_path), x), model.predict(x, verbose=0))


KINDS = ("sum", "mean", "max", "min", "prod", "l1", "l2", "log_sum", "log_sum_exp", "sum_square")


@pytest.mark.parametrize(
    "chain",
    [
        [layers.MaxPooling1D(2, padding="same"), layers.AveragePooling1D(2, strides=1, padding="same")],
        [layers.BatchNormalization(), layers.LayerNormalization(), layers.RMSNormalization()],
        [layers.ZeroPadding1D((1, 2)), layers.Cropping1D((2, 0)), layers.UpSampling1D(2), layers.Permute((2, 1))],
        [layers.Reshape((3, -1)), layers.Flatten(), layers.RepeatVector(3), layers.TimeDistributed(layers.Dense(2))],
        [layers.PReLU(shared_axes=[1]), layers.LeakyReLU(), layers.ELU(), layers.ReLU(0.5), layers.Softmax()],
        [layers.Masking(), layers.GlobalAveragePooling1D()],
        *([layers.Clip(-0.5, 1), layers.Clip(0.1), layers.Reduction(kind, [1, -1], True)] for kind in KINDS),
        [layers.Reduction("sum", 1), layers.ArgMax()],
        [layers.Residual([layers.LSTM(3, return_sequences=True)]), layers.Residual(layers.Dense(5), projection="auto")],
        [layers.GlobalMaxPooling1D(keepdims=True), layers.Dropout(0.5)],
    ],
    ids=lambda chain: chain[0].name,
)
def test_other_layers(chain, tmp_path):
    model, x = shaken(Sequential([Input((7, 3)), *chain])), sequences(4, 7, 3)
    x[1, 4:] = 0
    assert_equal_outputs(runtime(exported(model, tmp_path), x), model.predict(x, verbose=0))


WITHIN = {
    "lstm": lambda: [layers.LSTM(3)],
    "sequences": lambda: [layers.Bidirectional(layers.GRU(2, return_sequences=True)), layers.Flatten()],
    "convolution": lambda: [layers.Conv1D(3, 2, padding="same"), layers.MaxPooling1D(2), layers.Flatten()],
    "padding": lambda: [layers.ZeroPadding1D(1), layers.Reshape((3, -1)), layers.GlobalAveragePooling1D()],
    "residual": lambda: [layers.Residual([layers.LSTM(3, return_sequences=True)]), layers.GlobalMaxPooling1D()],
}


@pytest.mark.parametrize("name", WITHIN)
@pytest.mark.parametrize("steps", [4, None])
def test_layers_of_steps_within_steps_there_and_back(name, steps, tmp_path):
    chain = [layers.TimeDistributed(layer) for layer in WITHIN[name]()]
    model, x = shaken(Sequential([Input((steps, 5, 3)), *chain, layers.LSTM(2)])), sequences(2, 4, 5, 3)
    path, want = exported(model, tmp_path), model.predict(x, verbose=0)
    assert_equal_outputs(runtime(path, x), want)
    assert_equal_outputs([models.load_model(path).predict(x, verbose=0)], want)


def test_layers_at_every_step_of_several_axes_come_back(tmp_path):
    within = layers.TimeDistributed(layers.TimeDistributed(layers.LSTM(2)))
    model, x = shaken(Sequential([Input((None, 2, 5, 3)), within, layers.Dense(2)])), sequences(2, 4, 2, 5, 3)
    path, want = exported(model, tmp_path), model.predict(x, verbose=0)
    assert_equal_outputs([models.load_model(path).predict(x, verbose=0)], want)


# Of words within sentences within texts: some of a sentence, all of it, and a text without any.
SENTENCES = np.array([[[1, 2, 0], [0, 0, 0], [3, 0, 4]], [[0, 5, 0], [1, 1, 1], [0, 0, 0]], [[0] * 3] * 3])
WORDS = {
    "mean": lambda: [layers.GlobalAveragePooling1D()],
    "last": lambda: [layers.LSTM(3)],
    "both": lambda: [layers.Bidirectional(layers.GRU(3, return_sequences=True)), layers.LSTM(2)],
    "several": lambda: [layers.Residual(layers.Dense(3)), layers.Conv1D(2, 2), layers.LSTM(2)],
    "ended": lambda: [layers.Flatten(), layers.Dense(3)],
}


@pytest.mark.parametrize("name", WORDS)
@pytest.mark.parametrize("made_within", [False, True])
@pytest.mark.parametrize("sizes", [(3, 3), (None, None)])
def test_masks_of_words_within_sentences(name, made_within, sizes, tmp_path):
    if name == "ended" and None in sizes:
        pytest.skip("Flatten needs to know the sizes")
    words = layers.Embedding(9, 3, mask_zero=True)
    inner = WORDS[name]()
    if made_within:
        chain = [layers.TimeDistributed(Sequential([Input((sizes[1],), dtype="int64"), words, *inner]))]
    else:
        chain = [words, *(layers.TimeDistributed(layer) for layer in inner)]
    model = shaken(Sequential([Input(sizes, dtype="int64"), *chain, layers.LSTM(2)]))
    assert_equal_outputs(runtime(exported(model, tmp_path), SENTENCES), model.predict(SENTENCES, verbose=0))


@pytest.mark.parametrize("vectors", [False, True])
def test_masks_of_whole_steps_are_those_of_all_within(vectors, tmp_path):
    x = sequences(3, 4, 10)
    x[1, 2:], x[2, 0] = 0, 0
    inner = [layers.Dense(4)] if vectors else [layers.Reshape((5, 2)), layers.LSTM(3)]
    chain = [layers.Masking(), *(layers.TimeDistributed(layer) for layer in inner), layers.LSTM(2)]
    model = shaken(Sequential([Input((4, 10)), *chain]))
    assert_equal_outputs(runtime(exported(model, tmp_path), x), model.predict(x, verbose=0))


def test_masks_that_differ_in_their_axes_are_not_put_together(tmp_path):
    x = Input((3, 3), dtype="int64")
    y = layers.Embedding(9, 3, mask_zero=True)(x)
    model = Model(x, layers.Add()([y, y]))
    with pytest.raises(NotImplementedError, match="a mask of steps within steps"):
        model.export(str(tmp_path / "model.onnx"))


def two_inputs():
    a, b = Input((None, 3)), Input((3,))
    h, s = layers.LSTM(4, return_sequences=True)(a), layers.Dense(4)(b)
    y = layers.Concatenate()([h[:, -1], s * 2 - 1, -s, abs(s), 1 / (1 + s**2)])
    return Model(
        [a, b], [layers.Dense(2)(y), layers.add([h, h]), layers.average([s, s, s]), layers.maximum([s, 2 * s])]
    )


def encoder_decoder():
    a, b = Input((None, 3)), Input((None, 2))
    _, *states = layers.LSTM(4, return_state=True)(a)
    outputs, *last = layers.LSTM(4, return_sequences=True, return_state=True)(b, initial_state=states)
    return Model([a, b], [layers.Dense(2)(outputs), *last])


@pytest.mark.parametrize(
    ("make", "shapes"), [(two_inputs, [(4, 6, 3), (4, 3)]), (encoder_decoder, [(4, 6, 3), (4, 5, 2)])]
)
def test_graphs_there_and_back(make, shapes, tmp_path):
    model, inputs = shaken(make()), [sequences(*shape) for shape in shapes]
    path, want = exported(model, tmp_path), model.predict(inputs, verbose=0)
    assert_equal_outputs(runtime(path, *inputs), want)


def test_states_are_inputs_and_outputs_for_pieces(tmp_path):
    chain = [layers.LSTM(5, return_sequences=True, name="first"), layers.GRU(4, name="second"), layers.Dense(2)]
    model, x = shaken(Sequential([Input((None, 3)), *chain])), sequences(4, 7, 3)
    path = exported(model, tmp_path, states=True)
    names = [i.name for i in onnx.load(path).graph.input]
    assert names[1:] == ["first_h", "first_c", "second_h"]
    states = [np.zeros((4, n), "float32") for n in (5, 5, 4)]
    for piece in (x[:, :3], x[:, 3:4], x[:, 4:]):
        outputs, *states = runtime(path, piece, *states)
    assert_equal_outputs([outputs], model.predict(x, verbose=0))


@pytest.mark.parametrize(
    "layer", [layers.Conv1D(2, 3), layers.Bidirectional(layers.LSTM(2)), layers.LSTM(2, go_backwards=True)]
)
def test_what_sees_later_steps_has_no_states(layer, tmp_path):
    with pytest.raises(NotImplementedError, match="states"):
        exported(Sequential([Input((None, 3)), layer]), tmp_path, states=True)


def test_lengths_are_an_input(tmp_path):
    chain = [layers.Bidirectional(layers.LSTM(5, return_sequences=True)), layers.GlobalAveragePooling1D()]
    model, x, lengths = shaken(Sequential([Input((None, 3)), *chain])), sequences(4, 7, 3), np.array([7, 3, 0, 2])
    mask = np.arange(7) < lengths[:, None]
    assert_equal_outputs(runtime(exported(model, tmp_path, lengths=True), x, lengths), model(x, mask=mask))


def test_what_cannot_be_written_is_listed_at_once(tmp_path):
    chain = [layers.LSTM(5, projection=2, return_sequences=True, name="a"), layers.MinGRU(3, name="b"), layers.Dense(1)]
    with pytest.raises(NotImplementedError, match=r"a: projection; b: MinGRU$"):
        exported(Sequential([Input((None, 3)), *chain]), tmp_path)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("name", ["model.h5", "model"])
def test_names_of_other_formats_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match=r"filepath: expected a name that ends in \.onnx"):
        Sequential([Input((3,)), layers.Dense(1)]).export(tmp_path / name)


def test_a_missing_package_is_named(tmp_path):
    program = (
        "import sys; sys.modules['onnx'] = None\nfrom lstmcore import Sequential, layers, models\n"
        "m = Sequential([layers.Dense(1, input_shape=(3,))])\n"
        "for f in (lambda: m.export('x.onnx'), lambda: models.load_model('x.onnx')):\n"
        "    try: f()\n    except ImportError as e: print(e)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert ended.stdout.count("pip install 'lstmcore[onnx]'") == 2, ended.stderr


# --- there and back, generated ---


@st.composite
def chains(draw, dtype):
    """A chain over sequences of three features, in new layers."""
    made = [Input((None, 3), dtype=dtype)]
    for _ in range(draw(st.integers(1, 3))):
        units = draw(st.integers(1, 5))
        options = {"return_sequences": True, "dtype": dtype}
        kind = draw(st.sampled_from(["lstm", "gru", "before", "rnn", "both", "dense", "conv", "norm", "activation"]))
        made.append(
            {
                "lstm": lambda u, o: layers.LSTM(u, peepholes=u % 2 == 0, go_backwards=u == 3, **o),
                "gru": lambda u, o: layers.GRU(u, **o),
                "before": lambda u, o: layers.GRU(u, reset_after=False, use_bias=u % 2 == 0, **o),
                "rnn": lambda u, o: layers.SimpleRNN(u, **o),
                "both": lambda u, o: layers.Bidirectional(layers.LSTM(u, **o), dtype=o["dtype"]),
                "dense": lambda u, o: layers.Dense(u, activation="relu", dtype=o["dtype"]),
                "conv": lambda u, o: layers.Conv1D(u, 2, padding="causal", dtype=o["dtype"]),
                "norm": lambda u, o: layers.BatchNormalization(dtype=o["dtype"]),
                "activation": lambda u, o: layers.Activation("softplus", dtype=o["dtype"]),
            }[kind](units, options)
        )
    made += draw(st.sampled_from([[], [layers.LSTM(3, dtype=dtype)], [layers.GlobalMaxPooling1D(dtype=dtype)]]))
    return Sequential(made)


@given(st.data(), st.sampled_from(["float32", "float64"]), st.integers(1, 3), st.integers(1, 6))
def test_chains_run_elsewhere_and_come_back(tmp_path_factory, data, dtype, batch, steps):
    model, x = shaken(data.draw(chains(dtype))), sequences(batch, steps, 3, dtype=dtype)
    path, want = exported(model, tmp_path_factory.mktemp("onnx")), model.predict(x, verbose=0)
    assert_equal_outputs(reference(path, x), want, dtype)
    back = models.load_model(path)
    got = back.predict(x, verbose=0)
    assert got.dtype == want.dtype == dtype
    assert_equal_outputs([got], want, dtype)


# --- what PyTorch writes ---


def torch_model(cell, **options):
    torch = pytest.importorskip("torch")

    class Tagger(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(20, 6)
            self.rnn = getattr(torch.nn, cell)(6, 5, **options)
            self.linear = torch.nn.Linear(10 if options.get("bidirectional") else 5, 3)

        def forward(self, words):
            outputs, states = self.rnn(self.embedding(words))
            h = states[0] if isinstance(states, tuple) else states
            return torch.log_softmax(self.linear(outputs), -1), h[-1]

    torch.manual_seed(0)
    return torch, Tagger().eval()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cell", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("dynamic", [False, True])
def test_files_of_the_exporter_of_torch_by_tracing(cell, bidirectional, batch_first, num_layers, dynamic, tmp_path):
    pytest.importorskip("onnxscript")
    torch, module = torch_model(cell, num_layers=num_layers, batch_first=batch_first, bidirectional=bidirectional)
    path, words = str(tmp_path / "m.onnx"), torch.randint(0, 20, (4, 7) if batch_first else (7, 4))
    axes = {"dynamic_axes": {"x": {0: "a", 1: "b"}}} if dynamic else {}
    torch.onnx.export(module, (words,), path, dynamo=False, input_names=["x"], output_names=["y", "h"], **axes)
    y, h = (part.detach().numpy() for part in module(words))
    ours = words.numpy()
    if not batch_first:
        y, ours = y.swapaxes(0, 1), ours.swapaxes(0, 1)
    assert_equal_outputs(models.load_model(path).predict(ours, verbose=0), [y, h])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("dynamic", [False, True])
def test_files_of_the_exporter_of_torch_by_dynamo(cell, bidirectional, dynamic, tmp_path):
    pytest.importorskip("onnxscript")
    torch, module = torch_model(cell, num_layers=2, batch_first=True, bidirectional=bidirectional)
    path, words = str(tmp_path / "m.onnx"), torch.randint(0, 20, (4, 7))
    shapes = {"dynamic_shapes": ({0: "batch"},)} if dynamic else {}
    torch.onnx.export(module, (words,), path, dynamo=True, verbose=False, **shapes)
    want = [part.detach().numpy() for part in module(words)]
    assert_equal_outputs(models.load_model(path).predict(words.numpy(), verbose=0), want)


def test_a_loaded_model_can_be_trained_and_saved(tmp_path):
    model = shaken(Sequential([Input((None, 3)), layers.LSTM(5), layers.Dense(1)]))
    back, x = models.load_model(exported(model, tmp_path)), sequences(16, 6, 3)
    back.compile("adam", "mse")
    losses = back.fit(x, x.sum((1, 2)), epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    back.save(tmp_path / "model.safetensors")
    again = models.load_model(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.predict(x, verbose=0), back.predict(x, verbose=0))


# --- bad files ---


def lstm_file(tmp_path, change=None, nodes=(), opset=17, initial=()):
    """A file with an LSTM of two units over one feature."""
    rng = np.random.default_rng(0)
    tensors = [
        numpy_helper.from_array(rng.standard_normal((1, 8, 1)).astype("float32"), "W"),
        numpy_helper.from_array(rng.standard_normal((1, 8, 2)).astype("float32"), "R"),
        *initial,
    ]
    graph = helper.make_graph(
        [helper.make_node("LSTM", ["x", "W", "R"], ["y"], hidden_size=2), *nodes],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["steps", "batch", 1])],
        [helper.make_tensor_value_info(nodes[-1].output[0] if nodes else "y", TensorProto.FLOAT, None)],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    if change is not None:
        change(model)
    path = tmp_path / "bad.onnx"
    path.write_bytes(model.SerializeToString())
    return str(path)


def test_the_file_is_good_as_long_as_it_is_not_changed(tmp_path):
    path, x = lstm_file(tmp_path), sequences(3, 5, 1)
    (want,) = reference(path, x.swapaxes(0, 1))  # (steps, directions, batch, units)
    got = models.load_model(path).predict(x, verbose=0)  # the batch first
    assert_equal_outputs([got], np.moveaxis(want, 2, 0))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.97])
def test_files_that_are_cut_off(share, tmp_path):
    path = lstm_file(tmp_path)
    with open(path, "rb") as file:
        content = file.read()
    with open(path, "wb") as file:
        file.write(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"bad\.onnx"):
        models.load_model(path)


def circle(model):
    model.graph.node[1].input[0] = "c"


def another_shape(model):
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.zeros((1, 8, 3), "float32"), "R"))


def fewer_numbers(model):
    model.graph.initializer[1].dims[2] = 1 << 40


def nothing(model):
    model.graph.node[1].input[0] = "nowhere"


ADDS = [helper.make_node("Relu", ["y"], ["b"]), helper.make_node("Tanh", ["b"], ["c"])]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (circle, "circles, but Relu, Tanh need one another"),
        (another_shape, "W: expected shape"),
        (fewer_numbers, "R: expected the numbers of shape"),
        (nothing, "expected inputs that something makes, got .'nowhere'"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_files_that_do_not_fit_together(change, message, tmp_path):
    with pytest.raises(ValueError, match=rf"bad\.onnx: .*{message}"):
        models.load_model(lstm_file(tmp_path, change, ADDS))


@pytest.mark.parametrize("opset", [3, 99])
def test_unknown_opsets(opset, tmp_path):
    with pytest.raises(ValueError, match=f"opset: expected a version from 7 to .*, got {opset}"):
        models.load_model(lstm_file(tmp_path, opset=opset))


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", "link", "", "."])
def test_data_outside_of_the_folder_are_not_opened(location, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(64))
    (folder / "link").symlink_to(tmp_path / "secret")

    def outside(model):
        tensor = model.graph.initializer[1]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)

    with pytest.raises(ValueError, match="R: external data: expected a file in the same folder"):
        models.load_model(lstm_file(folder, outside))


def test_data_in_the_folder_are_read_and_checked(tmp_path):
    path = lstm_file(tmp_path)
    x = sequences(3, 5, 1)
    want = models.load_model(path).predict(x, verbose=0)
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="data.bin", size_threshold=0)
    np.testing.assert_array_equal(models.load_model(path).predict(x, verbose=0), want)
    os.truncate(tmp_path / "data.bin", 20)
    with pytest.raises(ValueError, match=r"external data: expected .* bytes"):
        models.load_model(path)


def test_constants_that_are_huge_are_not_made(tmp_path):
    shape = numpy_helper.from_array(np.array([1 << 20, 1 << 20]), "shape")
    nodes = [helper.make_node("ConstantOfShape", ["shape"], ["big"]), helper.make_node("Add", ["y", "big"], ["z"])]
    with pytest.raises(ValueError, match="expected a constant of at most"):
        models.load_model(lstm_file(tmp_path, nodes=nodes, initial=[shape]))


def test_operators_that_are_not_offered_are_listed_once(tmp_path):
    nodes = [
        helper.make_node("Relu", ["y"], ["a"]),
        helper.make_node("Det", ["a"], ["b"]),
        helper.make_node("NonZero", ["b"], ["c"]),
        helper.make_node("Det", ["c"], ["d"]),
        helper.make_node("Custom", ["d"], ["e"], domain="my.own"),
    ]
    with pytest.raises(NotImplementedError, match=r"not offered: Det; NonZero; my\.own\.Custom$"):
        models.load_model(lstm_file(tmp_path, nodes=nodes))


def test_conditions_that_are_constant_are_followed(tmp_path):
    def branch(name, operator):
        made = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        return helper.make_graph([helper.make_node(operator, ["y"], [name])], name, [], [made])

    condition = numpy_helper.from_array(np.array(True), "yes")
    node = helper.make_node("If", ["yes"], ["z"], then_branch=branch("t", "Neg"), else_branch=branch("e", "Det"))
    x = sequences(3, 5, 1)
    plain = models.load_model(lstm_file(tmp_path)).predict(x, verbose=0)
    got = models.load_model(lstm_file(tmp_path, nodes=[node], initial=[condition])).predict(x, verbose=0)
    np.testing.assert_array_equal(got, -plain)


def test_loading_needs_no_package_but_onnx(tmp_path):
    path = exported(Sequential([Input((None, 3)), layers.LSTM(5), layers.Dense(1)]), tmp_path)
    program = f"import sys\nfrom lstmcore import models\nmodels.load_model({path!r})\nprint('torch' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ended.stdout.strip() == "False", ended.stderr


class Otherwise(Model):
    """Something else in training."""

    def __init__(self):
        super().__init__()
        self.first, self.end = layers.GRU(4), layers.Dense(2)

    def call(self, inputs, training=False):
        outputs = self.end(self.first(inputs))
        return outputs if training else outputs * 0.5


class Around(Model):
    """One with another within."""

    def __init__(self):
        super().__init__()
        self.within = Otherwise()

    def call(self, inputs):
        return self.within(inputs) + 1.0


@pytest.mark.parametrize("make", [Otherwise, Around])
def test_a_call_is_written_as_it_is_outside_of_training(make, tmp_path):
    model, x = make(), sequences(3, 5, 2)
    want = model.predict(x, verbose=0)
    assert_equal_outputs(reference(exported(model, tmp_path), x), want)
