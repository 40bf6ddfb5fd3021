"""Anything at all as an argument: every public function takes it or raises an error of the usual kinds."""

import dis
import functools
import inspect
import linecache
import os
import re
import tempfile
import types
import warnings

import numpy as np

import lstmcore
from lstmcore import (
    Sequential,
    _core,
    decoders,
    functional,
    layers,
    losses,
    metrics,
    reference,
    tuner,
)
from lstmcore.functional import GRUOptions, LSTMOptions, MinGRUOptions, RNNOptions, SLSTMOptions
from lstmcore.preprocessing.text import Tokenizer

# What bad input may raise. AttributeError and IndexError are not among them: they come from below.
CLEAR = (ValueError, TypeError, NotImplementedError, MemoryError, OverflowError, BufferError, OSError, RuntimeError)
# Beginnings of messages that are ours where the core raises them: of what, and what is wrong with it.
NAMED = re.compile(r"[A-Za-z_][\w.]*(\[\w+\])?( \(?\w+\)?)*: ")


def is_ours(error):
    """Whether we wrote the message: it comes from a ``raise`` of the library, or begins as those of the core do.

    What NumPy says of too large an array, and the system of a file, is as clear.
    """
    if isinstance(error, MemoryError) or getattr(error, "filename", None) is not None:
        return True
    at = error.__traceback__
    while at.tb_next is not None:
        at = at.tb_next
    code = at.tb_frame.f_code
    if code.co_filename == __file__:  # Python's own word about missing arguments, or an object of ours that raises
        return True
    if "lstmcore" not in code.co_filename.replace(os.sep, "/").split("/"):
        return False
    line = linecache.getline(code.co_filename, at.tb_lineno)
    if any(name in line for name in (".fn(", ".function(", "return function(", "make(", "print_fn(")):  # the caller's
        return True
    if dis.opname[code.co_code[at.tb_lasti]] == "RAISE_VARARGS":
        return True
    return bool(NAMED.match(str(error)))


# Made to take long, or to download; or made by the library for itself, and checked where it begins.
LEFT_OUT = {"multiply_add_loop", "read_loop", "load_data", "get_word_index"}
LEFT_OUT |= {"StepwiseWeights", "StepwiseCache", "TimeseriesDataset", "combine_weights", "unique", "resolve"}


class Raises:
    """An object that is no array and says so in its own way."""

    def __array__(self, *_, **__):
        raise RuntimeError("no array of this")


class FakeOptions(LSTMOptions):
    """Options that tell lies about the cell."""

    gates = 9


def tampered(rng):
    options = [LSTMOptions(), GRUOptions(), RNNOptions(), MinGRUOptions(), SLSTMOptions()][rng.integers(5)]
    names = [
        "gates",
        "cell",
        "activation",
        "peepholes",
        "projection",
        "layer_norm",
        "reset_after",
        "heads",
        "log_space",
    ]
    name = str(rng.choice(names))
    value = [0, -1, 7, 10**30, None, "relu", b"lstm", "gru", True, 1.5][rng.integers(10)]
    object.__setattr__(options, name, value)
    return options


def strange_array(rng):
    """An array of any dtype, shape and layout, some of whose bytes are what they should not be."""
    shape = tuple(int(n) for n in rng.integers(0, 5, rng.integers(0, 5)))
    dtype = rng.choice(["f4", "f8", "f2", "i1", "i4", "i8", "u1", "u8", "?", "c8", "O", "U3", "M8[s]", ">f4", ">i8"])
    array = np.zeros(shape, str(dtype))
    if array.dtype.kind in "fiu" and array.dtype.isnative:
        array[...] = rng.choice([0, 1, 2, 3], size=shape)
        if array.dtype.kind == "f" and rng.random() < 0.3:
            array[...] = rng.choice([np.nan, np.inf, -np.inf, 1e38], size=shape)
    elif array.dtype.kind == "b" and array.size:
        array = rng.integers(0, 256, shape, dtype="uint8").view("?")
    kind = rng.integers(7)
    if kind == 0 and array.ndim:
        array = array[::-1]
    elif kind == 1:
        array = array.T
    elif kind == 2:
        array.flags.writeable = False
    elif kind == 3 and array.dtype.kind in "fiu" and array.size:
        memory = np.zeros(array.nbytes + 1, "u1")
        unaligned = memory[1:].view(array.dtype).reshape(array.shape)
        unaligned[...] = array
        array = unaligned
    elif kind == 4 and array.ndim:
        array = np.broadcast_to(array[..., :1], array.shape)
    return array


def good_array(rng):
    """An array that many functions take."""
    shapes = [(2, 3, 4), (2, 3), (3,), (2,), (4, 12), (3, 12), (12,), (2, 4), (2, 12), (1, 1, 1)]
    return rng.standard_normal(shapes[rng.integers(len(shapes))]).astype(str(rng.choice(["f4", "f8"])))


def packed(rng):
    kind = rng.integers(5)
    gates, pack = [
        (4, functional.pack_lstm),
        (3, functional.pack_gru),
        (1, functional.pack_rnn),
        (4, functional.pack_slstm),
        (2, functional.pack_min_gru),
    ][kind]
    weights = [np.ones((4, gates * 3), "f4"), np.ones((3, gates * 3), "f4")]
    return pack(weights[: 1 if kind == 4 else 2], training=bool(rng.random() < 0.5))


def cache(rng):
    x, weights = np.ones((2, 3, 4), "f4"), [np.ones((4, 12), "f4"), np.ones((3, 12), "f4")]
    return functional.lstm(x, weights, training=True)[2]


SIMPLE = (
    None, True, False, 0, 1, -1, 2, 3, 7, 2**40, 2**63, 10**30, 0.5, -0.5, 1.5, float("nan"), float("inf"), 1j, "", "a",
    "lstm", "tanh", "mse", "adam", "same", "text " * 50, b"bytes", (), [], {}, (1, 2), [1, [2, 3]], [[1.0], [1.0, 2.0]],
    {"a": 1}, {1, 2}, object, Ellipsis, slice(3), range(3), int, np.float32(2), np.int64(3), np.bool_(True), len,
)  # fmt: skip


def value_of(rng, depth=0):
    """Anything."""
    kind = rng.integers(10)
    if kind < 3:
        return SIMPLE[rng.integers(len(SIMPLE))]
    if kind < 5:
        return strange_array(rng)
    if kind < 7:
        return good_array(rng)
    if kind == 7 and depth < 2:
        return [value_of(rng, depth + 1) for _ in range(rng.integers(0, 4))]
    if kind == 8:
        return [packed, cache, tampered, lambda _: FakeOptions(), lambda _: Raises()][rng.integers(5)](rng)
    made = [_core.PackedWeights, _core.Cache, _core.Stream, _core.PackedMatrix][rng.integers(4)]
    try:
        return made.__new__(made)
    except TypeError:
        return made


def _modules(module):
    """A module and the public ones within it."""
    yield module
    for name in module.__all__:
        inner = getattr(module, name)
        if isinstance(inner, types.ModuleType) and inner not in (tuner, reference) and hasattr(inner, "__all__"):
            yield from _modules(inner)


def _functions():
    """Everything that can be called: of the core, and of every public module."""
    found = [thing for name, thing in vars(_core).items() if callable(thing) and not name.startswith("__")]
    found += [getattr(module, name) for module in _modules(lstmcore) for name in module.__all__]
    unique = {id(f): f for f in found if callable(f) and getattr(f, "__name__", "") not in LEFT_OUT}
    return list(unique.values())


FUNCTIONS = []


def call(rng, function):
    """Call it with anything in the places that it has."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError):  # of the core
        return function(*[value_of(rng) for _ in range(15 if function is _core.forward else rng.integers(0, 8))])
    needed = [p for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    others = [p for p in parameters if p.default is not p.empty and rng.random() < 0.3]
    positional = [p for p in needed if p.kind is p.POSITIONAL_ONLY]
    named = {p.name: value_of(rng) for p in needed + others if p not in positional}
    result = function(*[value_of(rng) for _ in positional], **named)
    if isinstance(result, layers.Layer) or (isinstance(function, type) and callable(result)):
        call(rng, result)
    return result


def a_layer(rng):
    kinds = [layers.LSTM(3), layers.Bidirectional(layers.GRU(2)), layers.RNN([layers.LSTMCell(2), layers.GRUCell(3)])]
    kinds += [
        layers.Dense(2),
        layers.Conv1D(2, 2),
        layers.BatchNormalization(),
        layers.TimeDistributed(layers.Dense(2)),
    ]
    kinds += [layers.MinLSTM(3), layers.SLSTM(4, 2, stateful=True), layers.CRF(4), layers.CRF(["O", "B", "I", "J"])]
    kinds += [layers.LSTM(2, stateful=True), layers.Residual(layers.Dense(4)), layers.LSTMCell(3), layers.Softmax()]
    layer = kinds[rng.integers(len(kinds))]
    if rng.random() < 0.7:
        layer.build((2, 3, 4)[-2:] if isinstance(layer, layers.Cell) else (2, 3, 4))
    return layer


def a_model(rng):
    model = Sequential([layers.LSTM(3, return_sequences=True, input_shape=(3, 4)), layers.Dense(2)])
    model.compile("adam", "mse", metrics=["mae"])
    return model


def a_metric(rng):
    names = ["mse", "accuracy", "F1Score", "AUC", "Precision", "R2Score", "TopKCategoricalAccuracy", "CosineSimilarity"]
    return metrics.get(str(rng.choice(names)))


def a_tokenizer(rng):
    tokenizer = Tokenizer()
    tokenizer.fit_on_texts(["the cat sat"])
    return tokenizer


OBJECTS = (
    a_layer, a_layer, a_model, a_metric, a_tokenizer, lambda rng: a_model(rng).stream(2, 3),
    lambda _: layers.Embedding(5, 3),
    lambda _: a_layer(np.random.default_rng(1)).add_weight(shape=(2, 3)), lambda _: decoders.NGram.from_text(["a b"]),
    lambda rng: losses.get(str(rng.choice(["mse", "ctc", "crf", "hinge", "sparse_categorical_crossentropy"]))),
)  # fmt: skip
METHODS = {"__call__", "set_weights", "load_state", "reset_states", "reset", "update_state", "assign", "compile", "add"}
METHODS |= {"train_on_batch", "test_on_batch", "predict_on_batch", "get_layer", "add_weight", "load_weights", "summary"}
METHODS |= {"build", "score", "texts_to_matrix", "texts_to_sequences", "fit_on_texts", "sequences_to_texts"}


def method_of(rng):
    """A method of something that is as it should be; those that are for the library itself check nothing."""
    thing = OBJECTS[rng.integers(len(OBJECTS))](rng)
    return getattr(thing, str(rng.choice(sorted(METHODS & set(dir(thing))))))


def recurrent_call(rng):
    """A call of a recurrent function that is right but for one argument."""
    gates, name = [(4, "lstm"), (3, "gru"), (1, "rnn")][rng.integers(3)]
    arguments = {
        "x": rng.standard_normal((2, 3, 4)).astype("f4"),
        "weights": [np.ones((4, gates * 3), "f4"), np.ones((3, gates * 3), "f4")],
    }
    function = getattr(functional, name)
    parameters = list(inspect.signature(function).parameters)
    changed = str(rng.choice(parameters))
    first, second, *_ = parameters
    named = {first: arguments["x"], second: arguments["weights"], "training": bool(rng.random() < 0.5)}
    named[changed] = value_of(rng)
    result = function(**named)
    if named["training"] is True and len(result) == 3:
        backward = getattr(functional, f"{name}_backward")
        backward(result[2], np.ones_like(result[0]))
    return result


def error_of(function, kinds=CLEAR):
    """The error of one of these kinds that a call ends in, or None."""
    try:
        function()
    except kinds as error:
        return error


def case(rng):
    if not FUNCTIONS:
        FUNCTIONS.extend(_functions())
    threads, here = _core.get_num_threads(), os.getcwd()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            os.chdir(folder)  # some of them write files
            for _ in range(20):
                one_call(rng)
        finally:
            os.chdir(here)
            _core.set_num_threads(threads)


def one_call(rng):
    """A call of anything ends well, or in an error of ours."""
    kind = rng.integers(3)
    function = method_of(rng) if kind == 0 else FUNCTIONS[rng.integers(len(FUNCTIONS))]
    once = recurrent_call if kind == 1 else functools.partial(call, function=function)
    inside = kind == 2 and function.__module__ == _core.__name__
    error = error_of(lambda: once(rng), Exception if inside else CLEAR)
    clear = error is None or inside or is_ours(error)
    assert clear, f"{function}: {type(error).__name__}: {str(error)[:500]}"
