"""What Keras has and lstmcore has not is an error at the first use of the name, and says what to use instead."""

import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys

import numpy as np
import pytest

import lstmcore
from lstmcore import datasets, layers, preprocessing
from lstmcore._not_offered import substitutes
from lstmcore._not_offered.keras_names import NAMES

ABSENT = [
    (f"lstmcore.{module}".rstrip("."), name)
    for module, names in NAMES.items()
    for name in names.split()
    if not hasattr(importlib.import_module(f"lstmcore.{module}".rstrip(".")), name)
]


def test_every_name_of_keras_is_there_or_says_what_to_use_instead():
    assert {
        ("lstmcore.layers", "GroupQueryAttention"),
        ("lstmcore", "applications"),
        ("lstmcore.utils", "get_file"),
    } <= {*ABSENT}
    for module, name in ABSENT:
        text = f"{re.escape(module)}.{name} is not offered; ..."
        with pytest.raises(AttributeError, match=text):
            getattr(sys.modules[module], name)
        with pytest.raises(ImportError, match=text):
            exec(f"from {module} import {name}")
        with pytest.raises(ImportError, match=text):
            importlib.import_module(f"{module}.{name}")
        assert name not in dir(sys.modules[module])


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("from lstmcore.layers import LSTM, GroupQueryAttention", r"layers.GroupQueryAttention is not offered; .*"),
        ("from lstmcore.layers import Conv2D", "not for images; the layers for sequences are those with 1D"),
        (
            "from lstmcore.applications import VGG16",
            "lstmcore.applications is not offered; there are no trained models",
        ),
        ("from lstmcore.applications.vgg16 import VGG16", "lstmcore.applications is not offered"),
        ("import lstmcore.ops as ops", "lstmcore.ops is not offered; use NumPy"),
        ("from lstmcore.datasets import mnist", "lstmcore.datasets.mnist is not offered; datasets.imdb"),
        ("from lstmcore.preprocessing.image import load_img", "lstmcore.preprocessing.image is not offered"),
        ("from lstmcore.optimizers.schedules import deserialize", "from_config"),
        ("from lstmcore.layers import Dense, CuDNNLSTM", "use layers.GRU and layers.LSTM"),
        ("from lstmcore.layers import ThresholdedReLU", "layers.Activation of activations.threshold"),
        ("from lstmcore.preprocessing.sequence import pad_sequences, skipgrams", "sequence.skipgrams is not offered"),
        ("from lstmcore.utils import np_utils", "utils.to_categorical and utils.normalize stand in utils itself"),
        ("from lstmcore.tuner import GridSearch", "use tuner.RandomSearch, which tries no values twice"),
        ("from lstmcore.losses import Reduction", "a reduction is given by its name"),
        ("from lstmcore.initializers import STFT", "an initializer is a function of shape and dtype"),
    ],
)
def test_an_import_says_it(line, text):
    with pytest.raises(ImportError, match=text):
        exec(line)


def test_names_that_keras_has_not_either_are_errors_as_everywhere():
    for module in ("lstmcore", "lstmcore.layers", "lstmcore.initializers"):
        for name in ("Attentoin", "_hidden", "__wrapped__"):
            with pytest.raises(AttributeError, match=f"^module '{module}' has no attribute '{name}'"):
                getattr(sys.modules[module], name)
            with pytest.raises(ImportError, match=f"^cannot import name '{name}' from '{module}'"):
                exec(f"from {module} import {name}")
        with pytest.raises(ModuleNotFoundError, match=f"^No module named '{module}.attentoin'"):
            importlib.import_module(f"{module}.attentoin")


def test_what_stands_in_for_a_name_exists():
    for text in substitutes._SUBSTITUTES.values():
        for name in re.findall("`(.*?)`", text):
            value = lstmcore
            for part in name.split("."):
                value = getattr(value, part)


def test_no_module_stands_where_keras_has_something_to_call():
    modules = [lstmcore, *(importlib.import_module(f"lstmcore.{name}") for name in NAMES if name)]
    known = {f"lstmcore.{name}" for name in NAMES} | {"lstmcore.datasets.imdb"}
    for module in modules:
        for name in NAMES[module.__name__.partition(".")[2]].split():
            value = getattr(module, name, None)
            assert not inspect.ismodule(value) or value.__name__ in known, (module, name)


def test_the_tables_are_not_read_before_they_are_needed():
    code = "import sys, lstmcore, lstmcore.datasets; hasattr(lstmcore.layers, '__wrapped__'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "lstmcore._not_offered" in loaded
    assert "lstmcore._not_offered.substitutes" not in loaded
    assert "lstmcore._not_offered.keras_names" not in loaded


def test_tools_that_look_for_attributes_find_none():
    for module in (lstmcore, layers, datasets, preprocessing, lstmcore.initializers):
        assert inspect.getmembers(module)
        assert inspect.unwrap(module) is module
        assert not hasattr(module, "__wrapped__")
        assert pkgutil.resolve_name(f"{module.__name__}") is module


@pytest.mark.peer
@pytest.mark.slow
def test_the_names_are_those_of_keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    if not keras.__version__.startswith("3.15."):
        pytest.skip("the names are those of Keras 3.15")
    for module, names in NAMES.items():
        if module == "tuner":  # which is a package of its own
            continue
        theirs = importlib.import_module(f"keras.{module}".rstrip("."))
        assert names.split() == sorted(name for name in dir(theirs) if name[0] != "_" and name != "src")


def test_the_functions_that_merge_are_their_layers():
    a, b = np.arange(6.0).reshape(2, 3), np.full((2, 3), 0.5)
    np.testing.assert_array_equal(layers.add([a, b]), a + 0.5)
    np.testing.assert_array_equal(layers.concatenate([a, b]), np.hstack([a, b]))
    np.testing.assert_array_equal(layers.concatenate([a, b], axis=0), np.vstack([a, b]))
    assert layers.add([a, b], dtype="float64").dtype == "float64"
