"""Lists of arrays of different length: whatever is done with them gives what each gives alone, or is refused by name."""

import itertools

import numpy as np
import pytest
from layer_tools import numbers

import lstmcore
from lstmcore import Input, Model, Sequential, _masks, layers
from lstmcore.callbacks import Callback
from lstmcore.layers import GRU, LSTM, Dense, Embedding

pytestmark = pytest.mark.once  # what the kernels do with a mask is tested elsewhere

LENGTHS = (5, 12, 7, 9, 1, 3, 7)
XS = [numbers(n, 3) for n in LENGTHS]
YS = [numbers(n, 2) for n in LENGTHS]
ENDS = numbers(len(LENGTHS), 2)
PADDED = np.zeros((len(LENGTHS), 12, 3))
for row, one in zip(PADDED, XS, strict=True):
    row[: len(one)] = one
BOOLS = np.arange(12) < np.array(LENGTHS)[:, None]


def tagger(**options):
    lstmcore.utils.set_random_seed(3)
    model = Sequential([layers.Input((None, 3)), GRU(4, return_sequences=True), Dense(2)], **options)
    for layer in model.layers:
        assert layer.dtype == "float64"
    model.compile("sgd", "mse", metrics=["mae"])
    return model


@pytest.fixture(autouse=True)
def in_double():
    with lstmcore_float64():
        yield


class lstmcore_float64:
    def __enter__(self):
        self.before = lstmcore.config.floatx()
        lstmcore.config.set_floatx("float64")

    def __exit__(self, *_):
        lstmcore.config.set_floatx(self.before)
