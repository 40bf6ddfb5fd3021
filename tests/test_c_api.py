"""Models without Python: the C API, which the compiled core offers too, beside Python's own predictions."""

from __future__ import annotations

import ctypes
import json
import os
import pathlib
import random
import shutil
import subprocess
import tempfile
from typing import Any

import numpy as np
import pytest

from lstmcore import Sequential, _core, layers

pytestmark = pytest.mark.once

OK, ARGUMENT, FILE, FORMAT, UNSUPPORTED, MEMORY, BUSY = range(7)
DTYPES = {"float32": 0, "float64": 1}


class Port(ctypes.Structure):
    _fields_ = (
        ("dtype", ctypes.c_int),
        ("is_sequence", ctypes.c_int),
        ("steps", ctypes.c_size_t),
        ("features", ctypes.c_size_t),
    )


def _library() -> Any:
    library = ctypes.CDLL(_core.__file__)
    size, pointer = ctypes.c_size_t, ctypes.c_void_p
    library.lstmcore_last_error.restype = ctypes.c_char_p
    library.lstmcore_model_load.argtypes = [ctypes.c_char_p, pointer]
    library.lstmcore_model_load_memory.argtypes = [ctypes.c_char_p, size, pointer]
    library.lstmcore_model_free.argtypes = library.lstmcore_stream_free.argtypes = [pointer]
    library.lstmcore_model_free.restype = library.lstmcore_stream_free.restype = None
    library.lstmcore_model_input.argtypes = library.lstmcore_model_output.argtypes = [pointer, pointer]
    library.lstmcore_model_run.argtypes = [pointer, size, size, pointer, pointer, size, pointer, size]
    library.lstmcore_model_output_steps.argtypes = [pointer, size, pointer]
    library.lstmcore_stream_new.argtypes = [pointer, size, size, pointer]
    library.lstmcore_stream_run.argtypes = [pointer, size, pointer, size, pointer, size]
    library.lstmcore_stream_reset.argtypes = [pointer]
    library.lstmcore_stream_snapshot_size.argtypes = [pointer, pointer]
    library.lstmcore_stream_snapshot.argtypes = library.lstmcore_stream_restore.argtypes = [pointer, pointer, size]
    return library


C = _library()


class RefusedError(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(C.lstmcore_last_error().decode())
        self.code = code


def check(code: int) -> None:
    if code:
        raise RefusedError(code)


def _saved(model: Any) -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "model.safetensors")
        model.save(path)
        with open(path, "rb") as file:
            return file.read()


class Loaded:
    """A model that the C API has loaded."""

    def __init__(self, content: bytes) -> None:
        self.handle = ctypes.c_void_p()
        check(C.lstmcore_model_load_memory(content, len(content), ctypes.byref(self.handle)))
        self.input, self.output = Port(), Port()
        check(C.lstmcore_model_input(self.handle, ctypes.byref(self.input)))
        check(C.lstmcore_model_output(self.handle, ctypes.byref(self.output)))
        self.dtype = "float64" if self.output.dtype else "float32"

    def __del__(self) -> None:
        C.lstmcore_model_free(self.handle)

    def array(self, x: Any) -> Any:
        return np.ascontiguousarray(x, "int64" if self.input.dtype == 2 else self.dtype)

    def run(self, x: Any, lengths: Any = None) -> Any:
        x = self.array(x)
        steps = x.shape[1] if self.input.is_sequence else 1
        count = ctypes.c_size_t()
        check(C.lstmcore_model_output_steps(self.handle, steps, ctypes.byref(count)))
        rows = (len(x), count.value) if self.output.is_sequence else (len(x),)
        y = np.full((*rows, self.output.features), np.nan, self.dtype)
        given = None if lengths is None else np.ascontiguousarray(lengths, np.uintp)
        check(
            C.lstmcore_model_run(
                self.handle, len(x), steps, None if given is None else given.ctypes.data, x.ctypes.data, x.nbytes,
                y.ctypes.data, y.nbytes,
            )
        )  # fmt: skip
        return y

    def stream(self, batch: int = 1, steps: int = 1) -> Streamed:
        return Streamed(self, batch, steps)


class Streamed:
    """A stream of one."""

    def __init__(self, model: Loaded, batch: int, steps: int) -> None:
        self.handle, self.model = ctypes.c_void_p(), model
        check(C.lstmcore_stream_new(model.handle, batch, steps, ctypes.byref(self.handle)))

    def __del__(self) -> None:
        C.lstmcore_stream_free(self.handle)

    def run(self, x: Any) -> Any:
        x = self.model.array(x)
        y = np.full((*x.shape[:2], self.model.output.features), np.nan, self.model.dtype)
        check(C.lstmcore_stream_run(self.handle, x.shape[1], x.ctypes.data, x.nbytes, y.ctypes.data, y.nbytes))
        return y

    def snapshot(self) -> bytes:
        size = ctypes.c_size_t()
        check(C.lstmcore_stream_snapshot_size(self.handle, ctypes.byref(size)))
        buffer = ctypes.create_string_buffer(size.value)
        check(C.lstmcore_stream_snapshot(self.handle, buffer, size.value))
        return buffer.raw

    def restore(self, content: bytes) -> None:
        check(C.lstmcore_stream_restore(self.handle, content, len(content)))


@pytest.mark.parametrize(("compiler", "file"), [("cc", "lstmcore.h"), ("c++", "lstmcore.hpp")])
def test_headers_are_of_the_standard(compiler: str, file: str) -> None:
    """C99 and C++17, by themselves and without a warning."""
    if shutil.which(compiler) is None:
        pytest.skip(f"needs {compiler}")
    include = pathlib.Path(__file__).parents[1] / "include"
    language = ["-xc", "-std=c99"] if compiler == "cc" else ["-xc++", "-std=c++17"]
    command = [compiler, *language, "-pedantic-errors", "-Wall", "-Wextra", "-Werror", f"-I{include}", "-fsyntax-only"]
    text = f"#include <{file}>\nint main({'void' if compiler == 'cc' else ''}) {{ return 0; }}\n"
    subprocess.run([*command, "-"], input=text, text=True, check=True)


def randomized(model: Any, seed: int = 0) -> Any:
    """All weights other than zeros and ones, so that each of them matters."""
    rng = np.random.default_rng(seed)
    model.set_weights([w + rng.normal(scale=0.2, size=w.shape).astype(w.dtype) for w in model.get_weights()])
    return model


L = layers
RECURRENT = {
    "rnn": lambda **o: L.SimpleRNN(5, **o),
    "rnn relu, clipped": lambda **o: L.SimpleRNN(5, activation="relu", clip=0.5, **o),
    "rnn elu": lambda **o: L.SimpleRNN(5, activation="elu", zoneout=0.2, **o),
    "gru": lambda **o: L.GRU(5, **o),
    "gru before": lambda **o: L.GRU(5, reset_after=False, use_bias=False, **o),
    "gru normalised": lambda **o: L.GRU(5, layer_norm=True, recurrent_activation="hard_sigmoid", zoneout=0.1, **o),
    "lstm": lambda **o: L.LSTM(5, **o),
    "lstm peepholes, projection": lambda **o: L.LSTM(5, peepholes=True, projection=3, layer_norm=True, **o),
    "lstm coupled": lambda **o: L.LSTM(5, coupled=True, output_activation=False, zoneout=[0.1, 0.3], **o),
    "lstm no gates": lambda **o: L.LSTM(
        5, output_gate=False, input_activation=False, output_activation="softsign", clip=1.5, zoneout=0.2, **o
    ),
    "minGRU": lambda **o: L.MinGRU(5, **o),
    "minGRU log": lambda **o: L.MinGRU(5, log_space=True, **o),
    "minLSTM": lambda **o: L.MinLSTM(5, use_bias=False, zoneout=0.2, **o),
    "sLSTM": lambda **o: L.SLSTM(4, **o),
    "sLSTM heads": lambda **o: L.SLSTM(4, heads=2, exponential_forget=True, zoneout=0.3, **o),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", RECURRENT)
def test_every_cell_with_its_options(name: str, dtype: str) -> None:
    """Whole sequences, with lengths and without, and streams have the bits of Python's."""
    make = RECURRENT[name]
    model = Sequential([make(return_sequences=True, input_shape=(None, 3), dtype=dtype), L.Dense(2, dtype=dtype)])
    loaded = Loaded(_saved(randomized(model)))
    assert (loaded.input.features, loaded.output.features, loaded.input.steps) == (3, 2, 0)
    x = np.random.default_rng(1).normal(size=(4, 7, 3)).astype(dtype)
    expected = model.predict(x, verbose=0)
    np.testing.assert_array_equal(loaded.run(x), expected)
    lengths = np.array([7, 3, 0, 5])
    mask = np.arange(7) < lengths[:, None]
    np.testing.assert_array_equal(loaded.run(x, lengths), model(x, mask=mask))
    stream, pieces = loaded.stream(4, 3), [x[:, :1], x[:, 1:4], x[:, 4:6], x[:, 6:]]
    np.testing.assert_array_equal(np.concatenate([stream.run(p) for p in pieces], axis=1), expected)


CHAINS: dict[str, Any] = {
    "stack": lambda: [L.LSTM(6, return_sequences=True, input_shape=(9, 3)), L.GRU(4), L.Dense(2, "relu")],
    "backwards": lambda: [
        L.GRU(4, go_backwards=True, return_sequences=True, zero_output_for_mask=True, input_shape=(None, 3)),
        L.LSTM(3, go_backwards=True),
    ],
    "bidirectional": lambda: [
        L.Masking(0.0, input_shape=(None, 3)),
        L.Bidirectional(L.LSTM(4, return_sequences=True)),
        L.Bidirectional(L.GRU(4, return_sequences=True), merge_mode="ave"),
        L.Bidirectional(L.GRU(4, return_sequences=True), merge_mode="mul"),
        L.Bidirectional(L.LSTM(3), backward_layer=L.GRU(3, go_backwards=True), merge_mode="sum"),
    ],
    "two directions, first backwards": lambda: [
        L.Bidirectional(
            L.LSTM(4, go_backwards=True, return_sequences=True),
            backward_layer=L.SimpleRNN(2, return_sequences=True),
            input_shape=(None, 3),
        ),
        L.Activation("tanh"),
    ],
    "of all kinds": lambda: [
        L.Dropout(0.5, input_shape=(9, 3)),
        L.TimeDistributed(L.Dense(4, "softsign")),
        L.GaussianNoise(0.1),
        L.MinGRU(4, return_sequences=True),
        L.Dense(4, "leaky_relu"),
        L.SpatialDropout1D(0.2),
        L.Flatten(),
        L.Dense(3, "hard_sigmoid", use_bias=False),
    ],
    "convolutions": lambda: [
        L.Conv1D(6, 3, padding="same", strides=2, activation="relu", input_shape=(None, 3)),
        L.Conv1D(4, 2, padding="valid", dilation_rate=2, groups=2),
        L.LSTM(4),
    ],
    "padding": lambda: [
        L.Masking(0.0, input_shape=(None, 3)),
        L.Conv1D(4, 2, use_bias=False),
        L.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="tanh"),
        L.MaxPooling1D(2, 1, padding="same"),
        L.AveragePooling1D(3, 2, padding="same"),
        L.GRU(4, return_sequences=True),
    ],
    "pooling": lambda: [
        L.MaxPooling1D(2, input_shape=(9, 3)),
        L.AveragePooling1D(2, 1),
        L.BatchNormalization(),
        L.Flatten(),
        L.BatchNormalization(scale=False, renorm=True),
    ],
    "largest": lambda: [L.GRU(4, return_sequences=True, input_shape=(None, 3)), L.GlobalMaxPooling1D(), L.Dense(1)],
}


@pytest.mark.parametrize("name", CHAINS)
def test_chains(name: str) -> None:
    """The layers by themselves are right; here they meet."""
    model = randomized(Sequential(CHAINS[name]()))
    loaded = Loaded(_saved(model))
    x = np.random.default_rng(2).normal(size=(3, 9, 3)).astype("float32")
    x[1, 4:] = 0
    expected = model.predict(x, verbose=0)
    np.testing.assert_array_equal(loaded.run(x), expected)
    assert loaded.run(x[:0]).shape == (0, *expected.shape[1:])


@pytest.mark.parametrize("width", [3, 8, 21, 150, 300])
@pytest.mark.parametrize("dtype", DTYPES)
def test_normalizations(width: int, dtype: str) -> None:
    """Of rows of any width: the order of NumPy's sums depends on it."""
    normalized = [
        L.LayerNormalization(input_shape=(None, width), dtype=dtype),
        L.RMSNormalization(epsilon=0.1, dtype=dtype),
        L.LayerNormalization(scale=False, dtype=dtype),
        L.LayerNormalization(center=False, axis=[-1], dtype=dtype),
        L.LayerNormalization(rms_scaling=True, dtype=dtype),
    ]
    model = randomized(Sequential(normalized))
    x = np.random.default_rng(5).normal(1, 2, (2, 5, width)).astype(dtype)
    np.testing.assert_array_equal(Loaded(_saved(model)).run(x), model.predict(x, verbose=0))


def test_streams_of_all_that_stream() -> None:
    """In pieces of any size, the bits of the whole; and they go on from a snapshot."""
    model = Sequential(
        [
            L.Conv1D(6, 3, padding="causal", dilation_rate=2, groups=3, activation="relu", input_shape=(None, 3)),
            L.BatchNormalization(),
            L.LSTM(5, return_sequences=True),
            L.LayerNormalization(),
            L.Conv1D(4, 1, padding="causal"),
            L.TimeDistributed(L.Dense(4, "sigmoid")),
            L.Dropout(0.5),
            L.SLSTM(4),
        ]
    )
    model = randomized(model)
    loaded, x = Loaded(_saved(model)), np.random.default_rng(6).normal(size=(2, 13, 3)).astype("float32")
    own = model.stream(2, 13)
    expected = own(x)
    np.testing.assert_array_equal(expected[:, -1], model.predict(x, verbose=0))
    stream, pieces = loaded.stream(2, 5), [x[:, :1], x[:, 1:6], x[:, 6:7], x[:, 7:9], x[:, 9:]]
    first = [stream.run(p) for p in pieces[:3]]
    other = loaded.stream(2, 5)
    other.restore(stream.snapshot())
    for further in (stream, other):
        got = np.concatenate(first + [further.run(p) for p in pieces[3:]], axis=1)
        np.testing.assert_array_equal(got, expected)
    check(C.lstmcore_stream_reset(stream.handle))
    np.testing.assert_array_equal(stream.run(x[:, :5]), expected[:, :5])


@pytest.mark.parametrize(
    "last",
    [
        lambda: L.Bidirectional(L.LSTM(2)),
        lambda: L.Conv1D(2, 2, padding="same"),
        lambda: L.MaxPooling1D(),
        lambda: L.GlobalMaxPooling1D(),
        lambda: L.GRU(2, go_backwards=True),
        lambda: L.Masking(),
    ],
)
def test_what_cannot_stream(last: Any) -> None:
    """Refused, and the model still runs."""
    model = Sequential([L.Dense(3, input_shape=(None, 3)), last()])
    model.build((None, None, 3))
    loaded = Loaded(_saved(model))
    with pytest.raises(RefusedError, match="layer 2 of the model needs the whole sequence") as refused:
        loaded.stream()
    assert refused.value.code == UNSUPPORTED


@pytest.mark.parametrize("function", ["tanh", "sigmoid", "relu", "relu6", "hard_tanh", "hard_sigmoid", "leaky_relu"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_activations(function: str, dtype: str) -> None:
    """Of vectors, NaN and infinity among them."""
    model = Sequential([L.Activation(function, input_shape=(7,), dtype=dtype)])
    model.build((None, 7))
    x = np.array([[-8, -1.3, 0, 0.7, 7, np.inf, np.nan]], dtype)
    np.testing.assert_array_equal(Loaded(_saved(model)).run(x), model.predict(x, verbose=0))


def test_integers_masks_and_softmax() -> None:
    """A classifier of texts; a stream of it without a mask."""
    model = randomized(
        Sequential(
            [L.Embedding(11, 4, mask_zero=True, input_shape=(None,)), L.Bidirectional(L.LSTM(5)), L.Dense(3, "softmax")]
        )
    )
    loaded = Loaded(_saved(model))
    assert (loaded.input.dtype, loaded.input.features, loaded.output.dtype) == (2, 0, 0)
    x = np.random.default_rng(3).integers(1, 11, (4, 6))
    x[1, 2:], x[2] = 0, 0
    # The exponential of Python's softmax is NumPy's, which rounds otherwise.
    np.testing.assert_allclose(loaded.run(x), model.predict(x, verbose=0), rtol=3e-6)
    with pytest.raises(RefusedError, match="expected integers from 0 to 10, got 11") as refused:
        loaded.run(np.array([[11]]))
    assert refused.value.code == ARGUMENT
    model = randomized(Sequential([L.Embedding(11, 4, input_shape=(None,)), L.GRU(5, return_sequences=True)]))
    stream, x = Loaded(_saved(model)).stream(1, 4), np.array([[3, 1, 10, 0, 2]])
    got = np.concatenate([stream.run(x[:, :4]), stream.run(x[:, 4:])], axis=1)
    np.testing.assert_array_equal(got, model.predict(x, verbose=0))


@pytest.fixture(scope="module")
def content() -> bytes:
    return _saved(randomized(Sequential([L.LSTM(4, return_sequences=True, input_shape=(None, 2)), L.Dense(1)])))


def test_snapshots(content: bytes) -> None:
    """Another stream goes on from them; of another model, batch or version they are refused."""
    model, x = Loaded(content), np.random.default_rng(4).normal(size=(2, 6, 2)).astype("float32")
    first, other = model.stream(2, 6), model.stream(2, 6)
    first.run(x)
    kept = first.snapshot()
    expected = first.run(x)
    other.restore(kept)
    np.testing.assert_array_equal(other.run(x), expected)
    assert not np.array_equal(first.run(x), expected)
    check(C.lstmcore_stream_reset(first.handle))
    np.testing.assert_array_equal(first.run(x), model.run(x))
    changed = Loaded(_saved(randomized(Sequential([L.LSTM(4, input_shape=(None, 2)), L.Dense(1)]))))
    told = Loaded(edited(content, lambda d: _layer(d, 0)["config"].update(activation="relu")))
    for stream, snapshot, code, match in [
        (changed.stream(2), kept, ARGUMENT, "another model"),
        (told.stream(2), kept, ARGUMENT, "another model"),
        (model.stream(3), kept, ARGUMENT, "batch of 3, got 2"),
        (other, kept[:-1], ARGUMENT, "bytes, got"),
        (other, b"", ARGUMENT, "bytes, got 0"),
        (other, b"x" + kept[1:], FORMAT, "none of a stream"),
        (other, kept[:8] + b"\2" + kept[9:], UNSUPPORTED, "version 1, got 2"),
    ]:
        with pytest.raises(RefusedError, match=match) as refused:
            stream.restore(snapshot)
        assert refused.value.code == code
    other.restore(kept)
    np.testing.assert_array_equal(other.run(x), expected)


def test_wrong_arguments(content: bytes, tmp_path: Any) -> None:
    """A code and a message that names the argument."""
    model = Loaded(content)
    x, y = np.zeros((1, 3, 2), "float32"), np.zeros((1, 3, 1), "float32")
    handle, out = model.handle, ctypes.byref(ctypes.c_void_p())
    args = [handle, 1, 3, None, x.ctypes.data, x.nbytes, y.ctypes.data, y.nbytes]
    long = np.array([4], np.uintp)

    def run(**changed: Any) -> int:
        names = ["model", "batch", "steps", "lengths", "inputs", "input_bytes", "outputs", "output_bytes"]
        return int(C.lstmcore_model_run(*[changed.get(n, a) for n, a in zip(names, args, strict=True)]))

    stream = model.stream(1, 2)
    missing = os.fsencode(tmp_path / "none.safetensors")
    cases = [
        (lambda: run(model=None), ARGUMENT, "model: expected a pointer, got null"),
        (lambda: run(inputs=None), ARGUMENT, "inputs: expected a pointer, got null"),
        (lambda: run(outputs=None), ARGUMENT, "outputs: expected a pointer, got null"),
        (lambda: run(steps=0), ARGUMENT, "steps: expected 1 to 2147483647, got 0"),
        (lambda: run(steps=4), ARGUMENT, "inputs: expected 32 bytes, got 24"),
        (lambda: run(batch=2**31), ARGUMENT, "batch: expected 0 to"),
        (lambda: run(batch=2**30, steps=2**30), ARGUMENT, "too large"),
        (lambda: run(output_bytes=8), ARGUMENT, "outputs: expected 12 bytes, got 8"),
        (lambda: run(outputs=x.ctypes.data + 8), ARGUMENT, "overlap"),
        (lambda: run(inputs=x.ctypes.data + 1), ARGUMENT, "address"),
        (lambda: run(lengths=long.ctypes.data), ARGUMENT, "lengths: expected numbers from 0 to 3"),
        (lambda: C.lstmcore_model_load(None, out), ARGUMENT, "path"),
        (lambda: C.lstmcore_model_load(missing, out), FILE, "none.safetensors: cannot be opened"),
        (lambda: C.lstmcore_model_load(os.fsencode(tmp_path), out), FILE, "cannot be read"),
        (lambda: C.lstmcore_model_load_memory(content, len(content), None), ARGUMENT, "model"),
        (lambda: C.lstmcore_model_input(handle, None), ARGUMENT, "port"),
        (lambda: C.lstmcore_model_output_steps(handle, 0, out), ARGUMENT, "steps: expected 1"),
        (lambda: C.lstmcore_stream_new(None, 1, 1, out), ARGUMENT, "model"),
        (lambda: C.lstmcore_stream_new(handle, 0, 1, out), ARGUMENT, "batch: expected 1 to"),
        (lambda: C.lstmcore_stream_new(handle, 1, 0, out), ARGUMENT, "most_steps"),
        (lambda: C.lstmcore_stream_run(None, 1, None, 0, None, 0), ARGUMENT, "stream"),
        (lambda: C.lstmcore_stream_run(stream.handle, 3, None, 0, None, 0), ARGUMENT, "steps: expected 1 to 2, got 3"),
        (lambda: C.lstmcore_stream_reset(None), ARGUMENT, "stream"),
        (lambda: C.lstmcore_stream_restore(stream.handle, None, 9), ARGUMENT, "snapshot"),
    ]
    for call, code, match in cases:
        with pytest.raises(RefusedError, match=match) as refused:
            check(call())
        assert refused.value.code == code, match
    C.lstmcore_model_free(None)
    C.lstmcore_stream_free(None)
    assert run() == OK


def edited(content: bytes, edit: Any, text_there: str = "") -> bytes:
    """The file with another configuration, and text in the place of a layer {"here": "there"}."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    data = json.loads(header["__metadata__"]["lstmcore"])
    edit(data)
    header["__metadata__"]["lstmcore"] = json.dumps(data).replace('{"here": "there"}', text_there)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def _layer(data: Any, k: int) -> Any:
    return data["model"]["config"]["layers"][k]


@pytest.mark.parametrize(
    ("edit", "code", "match"),
    [
        (lambda d: d.update(format=2), UNSUPPORTED, "expected format 1, got 2"),
        (lambda d: d.pop("format"), UNSUPPORTED, "got none"),
        (lambda d: d.update(kind="weights"), FORMAT, "kind: expected a model, got .weights"),
        (lambda d: d["model"].update(class_name="Model"), UNSUPPORTED, "a model of class Model"),
        (
            lambda d: _layer(d, 0).update(class_name="Quantum"),
            UNSUPPORTED,
            r"lstm.* \(Quantum\): a layer of this class",
        ),
        (lambda d: _layer(d, 0).update(module="mine"), UNSUPPORTED, "a layer of your own"),
        (lambda d: _layer(d, 0).update(config=3), FORMAT, "config: expected an object, got 3"),
        (lambda d: _layer(d, 0)["config"].update(units=10**18), FORMAT, "units: expected an integer from 1"),
        (lambda d: _layer(d, 0)["config"].update(units=-4), FORMAT, "units: expected an integer from 1"),
        (lambda d: _layer(d, 0)["config"].update(units=2**31 - 1), FORMAT, r"lstm/kernel: expected shape \(2, "),
        (lambda d: _layer(d, 0)["config"].update(units=5), FORMAT, r"kernel: expected shape \(2, 20\), got \(2, 16\)"),
        (lambda d: _layer(d, 0)["config"].pop("units"), FORMAT, "units is missing"),
        (lambda d: _layer(d, 0)["config"].update(activation="gelu"), UNSUPPORTED, "activation: .?gelu"),
        (lambda d: _layer(d, 0)["config"].update(activation={"a": 1}), UNSUPPORTED, "activation: an object"),
        (lambda d: _layer(d, 0)["config"].update(stateful=True), UNSUPPORTED, "stateful=True"),
        (lambda d: _layer(d, 0)["config"].update(dtype="mixed_bfloat16"), UNSUPPORTED, "dtype"),
        (lambda d: _layer(d, 1)["config"].update(dtype="float64"), UNSUPPORTED, "dtype .float64. in a model of"),
        (lambda d: _layer(d, 0)["config"].update(use_bias=False), FORMAT, "lstm/bias: there is no layer for it"),
        (lambda d: _layer(d, 1)["config"].update(activation="gelu"), UNSUPPORTED, "activation: .?gelu"),
        (lambda d: d["model"]["config"].update(layers=[]), FORMAT, "layers: expected at least one"),
        (lambda d: d["model"]["build_config"].update(input_shape=[None, None]), FORMAT, "features"),
        (lambda d: d["model"]["build_config"].update(input_shape=[None, None, 2, 2]), UNSUPPORTED, "4 axes"),
        (lambda d: d["model"]["build_config"].update(input_shape="no"), FORMAT, "input_shape: expected a list"),
        (lambda d: d.update(quantized={}), UNSUPPORTED, "quantized"),
    ],
)
def test_what_cannot_be_run(content: bytes, edit: Any, code: int, match: str) -> None:
    """RefusedError by name."""
    with pytest.raises(RefusedError, match=match) as refused:
        Loaded(edited(content, edit))
    assert refused.value.code == code


def outcome(content: bytes) -> tuple[int, Any]:
    """The code that loading gives, and the model, or None."""
    try:
        return OK, Loaded(content)
    except RefusedError as refused:
        return refused.code, None


def test_hostile_files(content: bytes) -> None:
    """Nothing that is done to a file brings the process down, and no end of it may be missing."""
    for size in [*range(40), len(content) // 2, len(content) - 1]:
        with pytest.raises(RefusedError) as refused:
            Loaded(content[:size])
        assert refused.value.code == FORMAT
    length = int.from_bytes(content[:8], "little")
    deep = b'{"a":' + b"[" * 200_000
    for text in [
        deep,
        b"[]",
        b"{}",
        b"\xff",
        b'{"a": {"dtype": "F32", "shape": [4611686018427387904, 4], "data_offsets": [0, 0]}}',
    ]:
        with pytest.raises(RefusedError) as refused:
            Loaded(len(text).to_bytes(8, "little") + text)
        assert refused.value.code == FORMAT
    nested = {"module": "lstmcore.layers", "class_name": "TimeDistributed", "config": 0}
    for depth, match in [(2, "expected sequences"), (1000, "nested too deeply")]:
        # Built as text: Python's own parser gives up earlier.
        layer = json.dumps(nested).replace("0}", '{"name": "n", "dtype": "float32", "layer": ')
        text = layer * depth + "0" + "}}" * depth
        changed = edited(content, lambda d: _layer(d, 0).clear() or _layer(d, 0).update(here="there"), text)
        with pytest.raises(RefusedError, match=match):
            Loaded(changed)
    rng = random.Random(0)
    survived = 0
    for _ in range(1500):
        changed = bytearray(content)
        for _ in range(rng.choice([1, 1, 2, 5])):
            at = rng.randrange(8 + length) if rng.random() < 0.9 else rng.randrange(len(content))
            if rng.random() < 0.5:
                changed[at] = rng.choice(b'0123456789-.[]{}",:\\eE\x00\xff truefalsnl')
            elif rng.random() < 0.5:
                del changed[at : at + rng.randrange(1, 9)]
            else:
                changed[at:at] = bytes(rng.choice(b"0123456789,[]{}") for _ in range(rng.randrange(1, 9)))
        if rng.random() < 0.5:  # the rest has a chance
            changed[:8] = (length + len(changed) - len(content)).to_bytes(8, "little")
        code, loaded = outcome(bytes(changed))
        assert code in (OK, FORMAT, UNSUPPORTED)
        if loaded is None:
            continue
        survived += 1
        if loaded.input.dtype != 2 and loaded.input.is_sequence:
            loaded.run(np.ones((1, loaded.input.steps or 2, loaded.input.features)))
    assert survived  # names of layers and such are free
