"""Whatever comes in place of an argument is taken, or is an error of the usual kinds that names it; nothing crashes."""

import contextlib
import inspect
import math
import random
import re
import warnings

import numpy as np
import pytest

from lstmcore import (
    Sequential,
    _core,
    activations,
    audio,
    callbacks,
    constraints,
    decoders,
    functional,
    initializers,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    regularizers,
    saving,
    set_num_threads,
    streaming,
    utils,
)
from lstmcore.callbacks import CSVLogger, EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from lstmcore.datasets import imdb
from lstmcore.optimizers import schedules
from lstmcore.preprocessing import sequence, text
from lstmcore.tuner import HyperParameters

within_itself = []
within_itself.append(within_itself)

VALUES = {
    "None": None,
    "text": "text",
    "no text": "",
    "a lone surrogate": "\ud800",
    "a NUL": "a\0b",
    "bytes": b"by",
    "NaN": math.nan,
    "infinity": -math.inf,
    "negative": -1,
    "zero": 0,
    "a large integer": 2**70,
    "an integer that no float holds": 10**400,
    "a fraction": 1.5,
    "a large float": 1e300,
    "a flag": True,
    "complex": 1j,
    "no list": [],
    "a tuple": (),
    "a dict": {"a": 1},
    "a set": {1},
    "a list of None": [None],
    "a list of negatives": [-1],
    "a list of large integers": [2**70],
    "lists of different lengths": [1, [2]],
    "a list within itself": within_itself,
    "no dimensions": np.array(3),
    "no elements": np.array([]),
    "a matrix": np.zeros((2, 2)),
    "NaNs": np.full(3, np.nan),
    "strings": np.array(["a"]),
    "complex numbers": np.array([1j]),
    "dates": np.array(["2020"], "M8[D]"),
    "objects": np.array([None]),
    "an object": object(),
    "a function": lambda *arguments, **options: 0,
}

X, Y, P = np.ones((2, 4, 3), "float32"), np.eye(2), np.array([[0.2, 0.8], [0.6, 0.4]])
LSTM = [np.zeros((3, 8), "float32"), np.zeros((2, 8), "float32"), np.zeros(8, "float32")]
GRU = [np.zeros((3, 6), "float32"), np.zeros((2, 6), "float32"), np.zeros((2, 6), "float32")]


# Layers that have their weights, and so do not look at the inputs as they do where they make them.
BUILT = {
    "Dense": layers.Dense(2),
    "Residual": layers.Residual(layers.Dense(3)),
    "RNN": layers.RNN([layers.LSTMCell(2), layers.GRUCell(2)]),
    "Conv1D": layers.Conv1D(2, 2),
}
for layer in BUILT.values():
    layer(X)


def model():
    made = Sequential([layers.LSTM(2, input_shape=(4, 3)), layers.Dense(1)])
    made.compile("sgd", "mse")
    return made


def new_model():
    made = Sequential([layers.LSTM(2), layers.Dense(1)])
    made.compile("sgd", "mse")
    return made


def adam_with(**changed):
    made = Sequential([layers.Dense(1, input_shape=(3,))])
    made.compile("adam", "mse")
    made.fit(np.ones((2, 3)), np.ones((2, 1)), verbose=0)
    made.optimizer.load_state(made.optimizer.state() | changed, made.parameters)


def tokenizer(**options):
    made = text.Tokenizer(**options)
    made.fit_on_texts(["a b"])
    return made.texts_to_matrix(["a c"])


def backward(**options):
    *_, cache = functional.lstm(X, LSTM, training=True)
    return functional.lstm_backward(cache, **options)


# Calls, each with arguments by name that are right.
CALLS = {
    "pad_sequences": (utils.pad_sequences, {"sequences": [[1], [2, 3]], "maxlen": 3}),
    "to_categorical": (utils.to_categorical, {"x": [0, 1], "num_classes": 3}),
    "normalize": (utils.normalize, {"x": [[1.0, 2.0]]}),
    "split_dataset": (utils.split_dataset, {"dataset": np.arange(10), "left_size": 0.5, "shuffle": True, "seed": 1}),
    "windows": (
        lambda **o: list(utils.timeseries_dataset_from_array(**o)),
        {"data": np.arange(20.0), "targets": None, "sequence_length": 3}
        | {"sequence_stride": 1, "sampling_rate": 1, "batch_size": 2, "shuffle": False, "seed": 1}
        | {"start_index": 0, "end_index": 10},
    ),
    "set_random_seed": (utils.set_random_seed, {"seed": 1}),
    "PyDataset": (utils.PyDataset, {}),
    "custom_object_scope": (
        lambda custom_objects: utils.custom_object_scope(custom_objects).__enter__(),
        {"custom_objects": {}},
    ),
    "register": (
        lambda **o: utils.register_keras_serializable(**o)(type("Own", (layers.Layer,), {})),
        {"package": "a", "name": "b"},
    ),
    "words": (text.text_to_word_sequence, {"input_text": "a b"}),
    "hashing_trick": (text.hashing_trick, {"text": "a b", "n": 5}),
    "one_hot": (text.one_hot, {"input_text": "a b", "n": 5}),
    "Tokenizer": (tokenizer, {k: p.default for k, p in inspect.signature(text.Tokenizer).parameters.items()}),
    "fit_on_texts": (text.Tokenizer().fit_on_texts, {"texts": ["a"]}),
    "fit_on_sequences": (text.Tokenizer().fit_on_sequences, {"sequences": [[1]]}),
    "a sequence": (lambda s: text.Tokenizer(5).sequences_to_matrix([s]), {"s": [1]}),
    "a number of a sequence": (lambda s: text.Tokenizer(5).sequences_to_matrix([[s]]), {"s": 1}),
    "sequences_to_matrix": (text.Tokenizer(5).sequences_to_matrix, {"sequences": [[1]], "mode": "count"}),
    "sequences_to_texts": (text.Tokenizer(5).sequences_to_texts, {"sequences": [[1]]}),
    "tokenizer_from_json": (text.tokenizer_from_json, {"json_string": text.Tokenizer().to_json()}),
    "TimeseriesGenerator": (
        sequence.TimeseriesGenerator,
        {"data": np.arange(20.0), "targets": np.arange(20.0), "length": 3},
    ),
    "imdb": (imdb.load_data, {k: p.default for k, p in inspect.signature(imdb.load_data).parameters.items()}),
    "NGram": (decoders.NGram, {"entries": {("a",): (-1.0, 0.0)}}),
    "numbers of an NGram": (lambda entries: decoders.NGram({("a",): entries}), {"entries": (-1.0, 0.0)}),
    "from_text": (decoders.NGram.from_text, {"texts": ["ab"], "order": 2}),
    "a text": (lambda texts: decoders.NGram.from_text([texts]), {"texts": "ab"}),
    "from_arpa": (decoders.NGram.from_arpa, {"source": ["\\data\\", "ngram 1=1", "\\1-grams:", "-0.3 a", "\\end\\"]}),
    "score": (decoders.NGram.from_text(["ab"]).score, {"tokens": "ab", "begin": True, "end": True}),
    "greedy": (decoders.greedy, {"inputs": P[None], "lengths": [2]}),
    "beam_search": (decoders.beam_search, {"inputs": P[None], "lengths": [2]}),
    "ctc_decode": (decoders.ctc_decode, {"inputs": P[None], "sequence_lengths": [2]}),
    "lstm": (functional.lstm, {"inputs": X, "weights": LSTM}),
    "gru": (functional.gru, {"inputs": X, "weights": GRU}),
    "min_gru": (functional.min_gru, {"inputs": X, "weights": [np.zeros((3, 4), "float32")]}),
    "slstm": (functional.slstm, {"inputs": X, "weights": LSTM}),
    "pack_min_lstm": (functional.pack_min_lstm, {"weights": [np.zeros((3, 6), "float32")]}),
    "lstm_backward": (backward, {"d_outputs": np.zeros((2, 4, 2), "float32"), "d_state": None, "d_weights": None}),
    "pack_lstm": (functional.pack_lstm, {"weights": LSTM}),
    "ctc_loss": (
        functional.ctc_loss,
        {"inputs": np.full((2, 5, 4), 0.25), "labels": [[1, 2], [1, 0]], "label_lengths": [2, 1]},
    ),
    "ctc_loss, the mean": (
        lambda **o: functional.ctc_loss(**o, reduction="mean"),
        {"inputs": np.full((2, 5, 4), 0.25), "labels": [[1, 2], [1, 0]], "label_lengths": [2, 1]},
    ),
    "crf_loss": (
        functional.crf_loss,
        {"emissions": P[None], "labels": [[1, 0]], "transitions": np.zeros((2, 2)), "start": None, "lengths": [2]},
    ),
    "crf_decode": (functional.crf_decode, {"emissions": P[None], "transitions": np.zeros((2, 2)), "end": None}),
    "CRF": (layers.CRF, {"tags": ["O", "B-X"], "constraints": None, "transitions_initializer": "zeros"}),
    "tag_constraints": (utils.tag_constraints, {"tags": ["O", "B-X"], "scheme": "BIO"}),
    "tag_spans": (utils.tag_spans, {"labels": [[0, 1]], "tags": ["O", "B-X"], "lengths": [2], "strict": False}),
    "TagPrecision": (
        metrics.TagPrecision,
        {"tags": ["O", "B-X"], "scheme": "BIO", "average": None, "outside": "O", "ignore_class": -1, "strict": True},
    ),
    "a metric of tags": (
        lambda **o: metrics.TagF1Score(3)(**o),
        {"y_true": [[0, 1]], "y_pred": [[0, 2]], "sample_weight": None},
    ),
    "set_num_threads": (set_num_threads, {"num_threads": 1}),
    "LSTM": (lambda **o: layers.LSTM(**o)(X), {"units": 2}),
    "LSTM, called": (layers.LSTM(2), {"sequences": X, "training": False, "initial_state": None}),
    "MinGRU": (lambda **o: layers.MinGRU(**o)(X), {"units": 2}),
    "SLSTM": (lambda **o: layers.SLSTM(**o)(X), {"units": 2, "heads": 2}),
    "SLSTM, called": (layers.SLSTM(2), {"sequences": X, "training": False, "initial_state": None}),
    "GRU, called": (layers.GRU(2), {"sequences": X, "training": False, "initial_state": None}),
    "RNN, called": (layers.RNN(layers.GRUCell(2)), {"sequences": X, "training": False, "initial_state": None}),
    "Bidirectional, called": (layers.Bidirectional(layers.GRU(2)), {"sequences": X, "initial_state": None}),
    "Dense": (lambda **o: layers.Dense(**o)(X), {"units": 2}),
    "Dense, called": (BUILT["Dense"], {"inputs": X, "training": False}),
    "Residual, called": (BUILT["Residual"], {"inputs": X, "training": False}),
    "RNN with weights, called": (BUILT["RNN"], {"sequences": X, "training": False}),
    "Conv1D, called": (BUILT["Conv1D"], {"inputs": X, "training": False}),
    "Sparsemax, called": (layers.Activation("sparsemax"), {"inputs": X, "training": False}),
    "Conv1D": (lambda **o: layers.Conv1D(**o)(X), {"filters": 2, "kernel_size": 2}),
    "Embedding": (lambda **o: layers.Embedding(**o)(np.array([[1]])), {"input_dim": 4, "output_dim": 2}),
    "Softmax": (lambda axis: layers.Softmax(axis)(X), {"axis": -1}),
    "UnitNormalization": (lambda axis: layers.UnitNormalization(axis)(X), {"axis": -1}),
    "Residual": (lambda **o: layers.Residual(**o), {"layer": layers.Dense(3), "projection": None}),
    "Flatten": (lambda **o: layers.Flatten(**o)(X), {"data_format": None}),
    "add": (layers.add, {"inputs": [X, X]}),
    "concatenate": (layers.concatenate, {"inputs": [X, X], "axis": -1}),
    "add_weight": (
        layers.Layer().add_weight,
        {"name": "a", "shape": (1,), "initializer": "zeros", "dtype": "float32", "trainable": True},
    ),
    "set_weights": (model().set_weights, {"weights": model().get_weights()}),
    "a weight": (lambda w: model().set_weights([w, *model().get_weights()[1:]]), {"w": np.zeros((3, 8))}),
    "from_config": (layers.Dense.from_config, {"config": {"units": 2}}),
    "build": (lambda input_shape: layers.Dense(2).build(input_shape), {"input_shape": (None, 3)}),
    "load_state": (layers.LSTM(2).load_state, {"state": {}}),
    "a layer's random numbers": (lambda random: layers.LSTM(2).load_state({"random": random}), {"random": [1, 2]}),
    "states that a layer keeps": (
        lambda state: layers.GRU(2, stateful=True).load_state({"state/0": state}),
        {"state": np.zeros((2, 2))},
    ),
    "an optimizer's state": (adam_with, {"iterations": 1, "momentum": np.zeros(4), "learning_rate": 0.1}),
    "a rate that is a function": (
        lambda rate: optimizers.SGD(lambda: rate).learning_rate,
        {"rate": 0.1},
    ),
    "Sequential": (Sequential, {"layers": None, "trainable": True, "name": "a"}),
    "Sequential.from_config": (Sequential.from_config, {"config": {"name": "a", "layers": []}}),
    "layers of a config": (lambda layers: Sequential.from_config({"name": "a", "layers": layers}), {"layers": []}),
    "get_layer": (model().get_layer, {"name": "lstm", "index": 0}),
    "summary": (
        model().summary,
        {"line_length": None, "print_fn": print, "expand_nested": False, "show_trainable": False},
    ),
    "model_from_json": (models.model_from_json, {"json_string": model().to_json(), "custom_objects": None}),
    "load_model": (models.load_model, {"filepath": "/nowhere/m", "custom_objects": None}),
    "save": (model().save, {"filepath": "/nowhere/m"}),
    "clone_model": (models.clone_model, {"model": model(), "clone_function": None}),
    "fit": (
        lambda **o: model().fit(**o),
        {"x": X, "y": Y[:, :1], "batch_size": 2, "verbose": 0, "callbacks": None, "validation_split": 0.0}
        | {"shuffle": True, "class_weight": None, "sample_weight": None},
    ),
    "evaluate": (
        lambda **o: model().evaluate(**o),
        {"x": X, "y": Y[:, :1], "verbose": 0, "callbacks": None, "return_dict": False, "sample_weight": None},
    ),
    "predict": (lambda **o: model().predict(**o), {"x": X, "verbose": 0, "callbacks": None}),
    "train_on_batch": (
        lambda **o: model().train_on_batch(**o),
        {"x": X, "y": Y[:, :1], "sample_weight": None, "return_dict": False},
    ),
    "train_step": (
        lambda **o: new_model().train_step(tuple(o.values())),
        {"x": X, "y": Y[:, :1], "sample_weight": None},
    ),
    "test_step": (
        lambda **o: new_model().test_step(tuple(o.values())),
        {"x": X, "y": Y[:, :1], "sample_weight": None},
    ),
    "predict_step": (lambda x: new_model().predict_step((x,)), {"x": X}),
    "a loss": (losses.MeanSquaredError(), {"y_true": Y, "y_pred": P, "sample_weight": None}),
    "a sparse loss": (losses.SparseCategoricalCrossentropy(), {"y_true": [0, 1], "y_pred": P, "sample_weight": None}),
    "Loss": (losses.MeanSquaredError, {"reduction": "sum", "name": "a", "dtype": None}),
    "focal": (lambda alpha: losses.CategoricalFocalCrossentropy(alpha)(Y, P), {"alpha": 0.25}),
    "Quantile": (losses.Quantile, {"q": 0.5}),
    "CTC": (
        losses.CTC(),
        {"y_true": [[1]], "y_pred": np.full((1, 3, 3), 1 / 3), "input_lengths": [3], "label_lengths": [1]},
    ),
    "losses.get": (losses.get, {"identifier": "mse"}),
    "the class of a loss": (lambda name: losses.get({"class_name": name, "config": {}}), {"name": "Huber"}),
    "metrics.get": (metrics.get, {"identifier": "mse"}),
    "the class of a metric": (lambda name: metrics.get({"class_name": name, "config": {}}), {"name": "AUC"}),
    "a metric": (lambda **o: metrics.MeanSquaredError()(**o), {"y_true": Y, "y_pred": P, "sample_weight": None}),
    "precision": (lambda **o: metrics.Precision()(**o), {"y_true": Y, "y_pred": P, "sample_weight": None}),
    "the mean": (lambda **o: metrics.Mean()(**o), {"values": P, "sample_weight": None}),
    "Precision": (metrics.Precision, {"thresholds": 0.5, "top_k": 1, "class_id": 0, "name": "a", "dtype": None}),
    "FBetaScore": (lambda **o: metrics.FBetaScore(**o)(Y, P), {"average": None, "beta": 1.0, "threshold": 0.5}),
    "a metric's state": (lambda state: metrics.AUC().load_state(state), {"state": metrics.AUC().state()}),
    "binary_accuracy": (metrics.binary_accuracy, {"y_true": Y, "y_pred": P, "threshold": 0.5}),
    "top_k": (metrics.top_k_categorical_accuracy, {"y_true": Y, "y_pred": P, "k": 1}),
    "word_error_rate": (metrics.word_error_rate, {"references": ["a"], "hypotheses": ["a"]}),
    "Adam": (optimizers.Adam, {"learning_rate": 0.1, "name": "a", "clipnorm": None, "use_ema": False}),
    "ExponentialDecay": (lambda **o: schedules.ExponentialDecay(0.1, 10, **o)(10**6), {"decay_rate": 0.9}),
    "a schedule": (schedules.CosineDecayRestarts(0.1, 10), {"step": 3}),
    "another schedule": (schedules.PiecewiseConstantDecay([1, 2], [0.1, 0.2, 0.3]), {"step": 3}),
    "PiecewiseConstantDecay": (schedules.PiecewiseConstantDecay, {"boundaries": [1], "values": [0.1, 0.2]}),
    "an initializer": (initializers.Orthogonal(), {"shape": (2, 2), "dtype": "float32"}),
    "VarianceScaling": (initializers.VarianceScaling, {"mode": "fan_in", "distribution": "uniform"}),
    "Constant": (initializers.Constant, {"value": 1.0}),
    "a constraint": (constraints.MaxNorm(), {"w": np.ones((2, 2))}),
    "NonNeg": (constraints.NonNeg(), {"w": np.ones((2, 2))}),
    "UnitNorm": (constraints.UnitNorm, {"axis": 0}),
    "a regularizer": (regularizers.L2(), {"x": np.ones((2, 2))}),
    "softmax": (activations.softmax, {"x": P, "axis": -1}),
    "sparsemax": (activations.sparsemax, {"x": P, "axis": -1}),
    "glu": (activations.glu, {"x": P, "axis": -1}),
    "gelu": (activations.gelu, {"x": P}),
    "Int": (HyperParameters().Int, {"name": "a", "min_value": 1, "max_value": 5, "step": None, "sampling": "log"}),
    "Float": (HyperParameters().Float, {"name": "a", "min_value": 0.1, "max_value": 5.0, "step": None}),
    "Choice": (HyperParameters().Choice, {"name": "a", "values": [1, 2], "ordered": None, "default": None}),
    "HyperParameters.from_config": (HyperParameters.from_config, {"config": HyperParameters().get_config()}),
    "write_wav": (audio.write_wav, {"path_or_file": "/nowhere/a.wav", "samples": np.zeros(9), "sample_rate": 8000}),
    "read_wav": (audio.read_wav, {"path_or_file": "/nowhere/a.wav"}),
    "pad_features": (audio.pad_features, {"features": [np.zeros((3, 2))], "value": 0.0, "multiple": 1}),
    "a feature": (lambda features: audio.pad_features([features]), {"features": np.zeros((3, 2))}),
    "ModelCheckpoint": (ModelCheckpoint, {"filepath": "m", "save_freq": "epoch", "mode": "auto"}),
    "CSVLogger": (CSVLogger, {"filename": "/nowhere/m", "separator": ","}),
    "EarlyStopping": (EarlyStopping, {"min_delta": 0, "patience": 0, "mode": "auto", "baseline": None}),
    "ReduceLROnPlateau": (ReduceLROnPlateau, {"factor": 0.1, "patience": 10, "cooldown": 0, "min_lr": 0.0}),
}  # fmt: skip

# What Python, NumPy and pybind11 say where nobody has looked at an argument.
BELOW = (
    "unsized|inhomogeneous|incompatible function|has no attribute|not subscriptable|not iterable|unpack|"
    "unsupported operand|object is not callable|cannot be interpreted|too large to convert|could not convert|"
    "ufunc|broadcast|reshape|truth value|bad operand|not supported between|unhashable|invalid literal|not understood|"
    "codec|embedded null|zero-size|negative dimensions|Maximum allowed"
)


@pytest.mark.parametrize("name", CALLS)
def test_an_argument_is_taken_or_named(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # for some of the values are names of files
    monkeypatch.setenv("LSTMCORE_DATA", "/nowhere")
    monkeypatch.setenv("LSTMCORE_CACHE", "/nowhere")
    function, arguments = CALLS[name]
    with contextlib.suppress(FileNotFoundError):
        function(**arguments)  # is right
    wrong = []
    for argument in arguments:
        for kind, value in VALUES.items():
            try:
                with warnings.catch_warnings(), np.errstate(all="ignore"):
                    warnings.simplefilter("ignore")
                    function(**{**arguments, argument: value})
            except (FileNotFoundError, IsADirectoryError):
                pass
            except (TypeError, ValueError, NotImplementedError, MemoryError) as error:
                message = str(error)
                # An error of NumPy's may follow in brackets.
                if ":" not in message or re.search(BELOW, message.partition("(")[0]):
                    wrong.append(f"{argument}, {kind}: {type(error).__name__}: {message[:150]}")
            except Exception as error:
                wrong.append(f"{argument}, {kind}: {type(error).__name__}: {error!s:.150}")
    assert not wrong, "\n".join(wrong)


# --- the ones that came from below ---


def error_of(call):
    """Return the message of the error, if there is one."""
    try:
        call()
    except (TypeError, ValueError) as error:
        return str(error)


def test_probabilities_of_counts_add_up_with_hardly_any_smoothing():
    for smoothing in (1e-300, 1e-12, 0.5):
        model = decoders.NGram.from_text(["abab", "ab", "cab"], 3, smoothing)
        for context in ("", "a", "b", "c", "ab", "ba", "ca", "bc"):
            after = [math.exp(model.scores(context + c, begin=False, end=False)[-1]) for c in "abc?"]
            end = math.exp(model.scores(context, begin=False, end=True)[-1])
            assert sum(after) + end == pytest.approx(1, abs=1e-9)
    with pytest.raises(ValueError, match=r"smoothing: expected a number in \[1e-300, 1\), got 1e-301"):
        decoders.NGram.from_text(["ab"], smoothing=1e-301)
    with pytest.raises(ValueError, match="order: expected at most 100, got 101"):
        decoders.NGram.from_text(["ab"], order=101)


def test_damaged_language_models_are_read_or_refused(tmp_path):
    lines = ["\\data\\", "ngram 1=3", "ngram 2=1", "", "\\1-grams:", "-0.3\tä\t-0.1", "-0.3\tb", "-1\t</s>", ""]
    whole = "\n".join([*lines, "\\2-grams:", "-0.2\tä b", "", "\\end\\"])
    path = tmp_path / "model.arpa"
    path.write_text(whole, encoding="utf-8")
    assert decoders.NGram.from_arpa(path).order == 2
    path.write_text(whole, encoding="utf-8-sig")  # as some editors write it
    assert decoders.NGram.from_arpa(path).order == 2
    for encoding in ("latin-1", "utf-16", "cp037"):
        path.write_text(whole, encoding=encoding)
        with pytest.raises(ValueError, match=r"^source: expected a file in UTF-8, got .*model\.arpa"):
            decoders.NGram.from_arpa(path)
    rng = random.Random(1)
    for _ in range(300):
        content = bytearray(whole.encode())
        for _ in range(rng.randint(1, 4)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        path.write_bytes(content)
        message = error_of(lambda: decoders.NGram.from_arpa(path))
        assert message is None or message.startswith(("source: ", "entries: "))


@pytest.mark.parametrize(
    "wrong",
    [
        "[" * 100_000,
        '{"config": ' * 100_000,
        "5",
        '{"config": 5}',
        '{"config": {"word_counts": 5}}',
        text.Tokenizer().to_json().replace('"word_counts": "{}"', '"word_counts": "5"'),
        text.Tokenizer().to_json().replace('"word_docs": "{}"', '"word_docs": "{\\"a\\": \\"b\\"}"'),
        text.Tokenizer().to_json().replace('"index_word": "{}"', '"index_word": "{\\"a\\": \\"b\\"}"'),
        text.Tokenizer().to_json().replace('"split": " "', '"split": 5'),
        text.Tokenizer().to_json().replace('"document_count": 0', '"document_count": null'),
    ],
    ids=lambda wrong: wrong[:30],
)
def test_descriptions_of_tokenizers_that_are_none(wrong):
    with pytest.raises(ValueError, match=r"json_string: expected what Tokenizer.to_json returns, got "):
        text.tokenizer_from_json(wrong)


def test_numbers_of_sequences_do_not_count_from_the_end():
    with pytest.raises(ValueError, match="sequences: expected numbers from 0 on, got -1"):
        text.Tokenizer(5).sequences_to_matrix([[1], [2, -1]])


def test_a_seed_is_a_number():
    for seed in (within_itself, [1, 2], "a", -1, 1.5):  # within_itself makes NumPy's own generator crash
        with pytest.raises(ValueError, match="seed: expected an integer from 0 on"):
            utils.split_dataset(np.arange(4), 0.5, shuffle=True, seed=seed)


def test_numbers_may_have_no_dimensions():
    assert layers.Dropout(np.array(0.25)).rate == 0.25
    assert schedules.ExponentialDecay(0.1, 10, 0.5)(np.array(20)) == 0.025
    assert losses.Quantile(np.array(0.25)).q == 0.25
    with np.errstate(all="ignore"):
        for x in (math.inf, np.array(30.0)):
            assert activations.gelu(x) == x
        for softmax in (activations.softmax, activations.log_softmax):
            assert softmax(np.zeros((2, 0))).shape == (2, 0)


def built_rnn():
    layer = layers.RNN(layers.GRUCell(2))
    layer.build((None, None, 3))
    return layer


EMPTY, NUMBER = np.zeros((2, 0)), np.float32(1)
CLEARLY = {
    "losses without outputs": (lambda: losses.CategoricalHinge()(EMPTY, EMPTY), "y_pred: expected at least one"),
    "metrics without outputs": (lambda: metrics.F1Score()(EMPTY, EMPTY), "y_pred: expected at least one"),
    "metrics of a number": (lambda: metrics.R2Score()(NUMBER, NUMBER), "y_pred: expected at least one"),
    "accuracy of a number": (lambda: metrics.sparse_categorical_accuracy(1, NUMBER), "y_pred: expected at least one"),
    "labels": (lambda: metrics.AUC(multi_label=True, num_labels=np.ones(3)), "AUC: num_labels: expected a positive"),
    "k": (lambda: metrics.SparseTopKCategoricalAccuracy("a", from_sorted_ids=True)([1], [[1, 2]]), "k: expected"),
    "a number's axis": (lambda: activations.sparsemax(NUMBER), "sparsemax: axis: expected one of the axes"),
    "an axis twice": (lambda: activations.softmax(np.ones((2, 3)), (1, -1)), "softmax: axis: expected different axes"),
    "a number's mask": (lambda: layers.Activation("relu")(NUMBER, mask=np.ones(3, bool)), "mask: expected none"),
    "a cell of nothing": (
        lambda: layers.RNN(layers.Cell())(np.ones((1, 2, 3))),
        "cell.*: state_size: expected the width",
    ),
    "inputs of Dense": (lambda: layers.Dense(2, input_shape=(3,))(NUMBER), r"expected shape \(batch, .*features\)"),
    "inputs of RNN": (lambda: built_rnn()(NUMBER), r"inputs: expected shape \(batch, steps, features\), got \(\)"),
    "a shape": (lambda: layers.LSTM(2).build([1, [2, 3]]), "input_shape: expected a tuple of integers and None"),
    "a shape of arrays": (lambda: layers.Dense(2).build((None, np.ones(3))), "input_shape: expected a tuple"),
    "a shape of Embedding": (lambda: layers.Embedding(5, 3).build(((), 1)), "input_shape: expected a tuple"),
    "a cell's shape": (lambda: layers.GRUCell(2).build(()), r"input_shape: expected \(batch, features\), got \(\)"),
    "loss_weights": (
        lambda: Sequential().compile("sgd", "mse", np.ones(2)),
        "loss_weights: expected a number",
    ),
    "no states": (
        lambda: layers.LSTM(2, stateful=True).reset_states(np.zeros((0, 2, 2))),
        "states: expected the states",
    ),
    "infinite labels": (
        lambda: losses.SparseCategoricalCrossentropy()([np.inf], [[0.5, 0.5]]),
        r"y_true: expected whole numbers \(class labels\), got inf",
    ),
    "sorted ids": (
        lambda: metrics.sparse_top_k_categorical_accuracy([1], [[1, 2]], 1, np.ones(2)),
        "from_sorted_ids: expected True or False",
    ),
    "a name": (lambda: losses.LossFunctionWrapper(len, name=np.ones(2)), "name: expected a string"),
    "save_model": (lambda: models.save_model(3, "m.safetensors"), "model: expected a model, got 3"),
    "backup_training": (lambda: saving.backup_training([], "m"), r"model: expected a model, got \[\]"),
    "restore_training": (lambda: saving.restore_training(models.Sequential(), 3), "path: expected a path, got 3"),
    "stages": (lambda: streaming.Chain(7, 1, 1), "stages: expected a list of stages, got 7"),
    "no stages": (lambda: streaming.Chain([], 1, 1), "stages: expected at least one"),
    "a stage": (lambda: streaming.Stream([3], 1, 1, 1, None), r"stages\[0\]: expected a Stage, got 3"),
    "callbacks": (lambda: callbacks.CallbackList(7, None, {}), "callbacks: expected a list of Callback objects"),
    "custom_objects": (lambda: losses.deserialize("mse", np.ones(2)), "custom_objects: expected a dict"),
}


@pytest.mark.parametrize("name", CLEARLY)
def test_errors_come_from_us_not_from_below(name):
    call, message = CLEARLY[name]
    with pytest.raises((TypeError, ValueError, NotImplementedError), match=message):
        call()


def test_one_input_in_a_list_or_dict_is_that_input_in_all_methods():
    model = Sequential([layers.Dense(1, input_shape=(3,))])
    model.compile("sgd", "mse")
    x = np.ones((2, 3), "f4")
    for given in ([x], {"x": x}, x.tolist()):
        np.testing.assert_array_equal(model.predict_on_batch(given), model(x))
        assert model.test_on_batch(given, [[1.0], [2.0]]) == model.test_on_batch(x, [[1.0], [2.0]])
    y, weight = np.array([[1.0], [2.0]], "f4"), np.array([1.0, 3.0], "f4")
    model.set_weights([np.ones((3, 1)), np.zeros(1)])
    error = (3 - y[:, 0]) ** 2 * weight
    for evaluated in (
        model.test_on_batch([x], [y], [weight]),
        model.evaluate([x], [y], sample_weight=[weight], verbose=0),
        model.train_on_batch([x], [y], [weight]),
    ):
        assert evaluated == error.mean()


def test_options_that_were_tampered_with_are_refused():
    options = functional.GRUOptions()
    weights = [np.ones((2, 9), "f4"), np.ones((3, 9), "f4")]
    object.__setattr__(options, "activation", 1.5)
    with pytest.raises(TypeError, match=r"options: activation: expected the name of an activation, got 1.5"):
        functional.pack_gru(weights, options=options)
    for cell in ("lstm", 7, np.ones(2)):
        options = functional.GRUOptions()
        object.__setattr__(options, "cell", cell)
        with pytest.raises(TypeError, match="options: cell: expected 'gru', got"):
            functional.pack_gru(weights, options=options)


def test_the_loss_of_a_single_sample_has_a_weight():
    for reduction, want in (
        ("sum_over_batch_size", 6.0),
        ("sum", 6.0),
        ("mean_with_sample_weight", 2.0),
        ("none", 6.0),
    ):
        assert losses.MeanSquaredError(reduction)([1.0, 2.0], [1.0, 4.0], sample_weight=3.0) == want


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.LSTM(3, return_sequence=True), "argument 'return_sequence'; did you mean 'return_sequences'?"),
        (lambda: layers.Dense(3, activaton="relu"), "unexpected argument 'activaton'; did you mean 'activation'?"),
        (lambda: layers.GRU(3, recurent_dropout=0.1), "'recurent_dropout'; did you mean 'recurrent_dropout'?"),
        (lambda: optimizers.Adam(lr=0.1), "Adam got an unexpected argument 'lr'; did you mean 'learning_rate'?"),
        (lambda: optimizers.SGD(momentun=0.1), "SGD got an unexpected argument 'momentun'; did you mean 'momentum'?"),
        (lambda: layers.Dense(3, colour=1), "Dense got an unexpected argument 'colour'"),
    ],
)  # fmt: skip
def test_a_misspelt_argument_is_asked_about(make, message):
    with pytest.raises(TypeError) as caught:
        make()
    assert str(caught.value).endswith(message)


@pytest.mark.parametrize(
    "layer",
    [
        layers.LSTM(2),
        layers.RNN(layers.GRUCell(2)),
        layers.Bidirectional(layers.SimpleRNN(2)),
        layers.MaxPooling1D(2),
        layers.UpSampling1D(2),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_vectors_given_for_sequences_are_told_how_they_become_some(layer):
    with pytest.raises(ValueError, match=r"expected shape \(batch, steps, features\), got \(None, 3\)") as caught:
        Sequential([layers.LSTM(3), layer])(np.ones((4, 5, 2), "float32"))
    assert "let that have return_sequences=True" in str(caught.value)
    with pytest.raises(ValueError, match=r"got \(4, 3, 2, 2\)$"):
        layer(np.ones((4, 3, 2, 2), "float32"))


# --- the kinds of errors ---


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Dense("8"),
        lambda: layers.LSTM(1.5),
        lambda: layers.LSTM(None),
        lambda: layers.LSTM(4, foo=3),
        lambda: layers.LSTM(4, name=3),
        lambda: layers.LSTM(4, dtype="foo"),
        lambda: layers.LSTM(4, trainable="yes"),
        lambda: layers.SimpleRNN(4, recurrent_activation="tanh"),
        lambda: layers.Embedding("a", 2),
        lambda: layers.Conv1D(2, 1.5),
        lambda: layers.ZeroPadding1D("a"),
        lambda: layers.Permute("a"),
        lambda: layers.TimeDistributed(3),
        lambda: layers.Dense(2, input_shape=3),
        lambda: layers.Input("a"),
        lambda: optimizers.SGD(lr=0.1),
        lambda: optimizers.SGD(momentum="a"),
        lambda: optimizers.Adam(name=3),
        lambda: losses.MeanSquaredError(dtype="foo"),
        lambda: metrics.F1Score(threshold="a"),
        lambda: regularizers.L1("a"),
        lambda: utils.to_categorical(["a"]),
        lambda: utils.normalize("a"),
        lambda: schedules.CosineDecay("a", 3),
        lambda: Sequential([3]),
        lambda: model().fit(np.array([["a"]]), np.ones(1), verbose=0),
        lambda: model().fit(X, np.array(["a", "b"]), verbose=0),
        lambda: model().fit(X, Y, sample_weight="a", verbose=0),
    ],
)
def test_what_is_a_value_error_in_keras_is_one_here(make):
    """It may be a TypeError too, which Python has for arguments of another type or name."""
    with pytest.raises(ValueError, match=r":|unexpected argument"):
        make()


def test_an_argument_of_a_wrong_type_is_both_errors():
    for kind in (TypeError, ValueError):
        with pytest.raises(kind, match="Dense: units: expected a positive integer, got '8'"):
            layers.Dense("8")
        with pytest.raises(kind, match="LSTM got an unexpected argument 'foo'"):
            layers.LSTM(4, foo=3)


def within_itself():
    inner = {}
    inner["a"] = inner
    outer = []
    outer.append([outer])
    return inner, outer


@pytest.mark.parametrize("value", within_itself(), ids=["dict", "list"])
def test_what_is_within_itself_is_refused(value):
    model = Sequential([layers.Dense(1, input_shape=(3,))])
    with pytest.raises(ValueError, match=r"metrics: .* within itself"):
        model.compile("sgd", "mse", metrics=value)
    with pytest.raises(ValueError, match=r"loss: .* within itself"):
        model.compile("sgd", loss=value)
    model.compile("sgd", "mse")
    x, y = np.ones((2, 3)), np.ones((2, 1))
    calls = [lambda: model.fit(x, value, verbose=0), lambda: model.train_on_batch(x, y, value)]
    for call in [*calls, lambda: model.fit(value, y, verbose=0), lambda: model.predict(value), lambda: model(value)]:
        with pytest.raises(ValueError, match=r"(x|y|inputs|sample_weight)\b.*: expected"):
            call()
    model.note = value  # has no layers
    assert len(model.layers) == 1


def test_optimizers_are_told_what_is_wrong():
    optimizer = optimizers.SGD()
    for config in (3, None):
        with pytest.raises(TypeError, match="SGD: config: expected a dict, got"):
            optimizers.SGD.from_config(config)
    for variables in (3, ["kernel"]):
        with pytest.raises(TypeError, match="var_list: expected a list of variables, got"):
            optimizer.exclude_from_weight_decay(variables)
    with pytest.raises(TypeError, match="SGD: state: expected a dict, got b'x'"):
        optimizer.load_state(b"x", None)


def test_integers_of_numpy_number_words_too():
    assert text.hashing_trick("the cat", np.int8(100), "md5") == [51, 3]


def test_a_zoneout_and_options_that_are_none_are_named():
    weights = functional.pack_lstm([np.ones((1, 4)), np.ones((1, 4))], zoneout=True)
    with pytest.raises(TypeError, match=r"zoneout: expected a Zoneout, got 0\.5"):
        _core.forward(
            weights,
            np.ones((1, 1, 1)),
            None,
            True,
            False,
            *[None] * 3,
            *[False] * 2,
            *[None] * 2,
            0.5,
            False,
            None,
        )
    with pytest.raises(TypeError, match=r"options: expected those of a cell, got 1\.5"):
        _core.pack(1.5, [], False, False)
