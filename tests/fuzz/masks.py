"""Masks of any form given to any layer: taken, passed on, or refused by name; against loops, rows and layers alone."""

import importlib.util
import pathlib
import warnings

import numpy as np

from lstmcore import Sequential, _masks, layers

from .doors import error_of

_SPEC = importlib.util.spec_from_file_location(
    "masks_table", pathlib.Path(__file__).parents[2] / "docs" / "masks_table.py"
)
table = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(table)
LAYERS = [item for item in table.cases() if item[0] != "Softmax"]  # which takes masks of its own

F64 = {"dtype": "float64"}
CLOSE = {"rtol": 1e-9, "atol": 1e-11}  # rounding: sums of some tens of products, in another order


def odd(rng, mask):
    """The same mask, True being any byte but 0, and laid out otherwise."""
    odd = np.where(mask, rng.integers(1, 256, mask.shape), 0).astype("uint8").view(bool)
    return [odd, odd.copy(order="F"), np.repeat(odd, 2, axis=0)[::2], odd.tolist()][rng.integers(4)]


def recurrent(rng, **options):
    """A recurrent layer of any kind, some with activations that the core has not, some of cells."""
    units = int(rng.integers(1, 5))
    activation = {"activation": str(rng.choice(["tanh", "relu", "gelu", "mish", "leaky_relu"]))}
    kind = rng.integers(5)
    if kind == 4:
        minimal = [layers.MinGRU, layers.MinLSTM][rng.integers(2)](
            units, log_space=bool(rng.integers(2)), **options, **F64
        )
        return minimal if rng.random() < 0.5 else layers.SLSTM(2 * units, 2, **options, **F64)
    if kind == 3:
        cells = [layers.LSTMCell(units, **F64), layers.GRUCell(2, **F64)]
        return layers.RNN(cells[0] if rng.random() < 0.5 else cells, **options, **F64)
    return [layers.LSTM, layers.GRU, layers.SimpleRNN][kind](units, **activation, **options, **F64)


def built(layer, rng, x, **call):
    """The layer with random numbers in its weights."""
    layer(x, **call)
    layer.set_weights([0.5 * rng.standard_normal(w.shape) for w in layer.get_weights()])
    return layer


def any_layer(rng):
    """A wrong mask is refused by the name of the argument; one of odd bytes is as good as any."""
    name, make = LAYERS[rng.integers(len(LAYERS))]
    layer = make()
    x, mask = table.inputs_for(name, layer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        several = isinstance(mask, list)
        layer(x, mask=mask)
        marked = layer.forward_with_mask(x, False, mask)
        own = odd(rng, mask[0] if several else mask)
        given = layer(x, mask=[own, *mask[1:]] if several else own)
        np.testing.assert_array_equal(given, layer(x, mask=mask))
        np.testing.assert_array_equal(given, marked[0])
        left = _masks.of(given)
        assert (left is None) == (marked[1] is None)
        if left is not None:
            np.testing.assert_array_equal(np.ascontiguousarray(left).view("u1"), marked[1])
        shape = [int(n) for n in rng.integers(0, 6, rng.integers(0, 5))]
        wrong = np.ones(shape, str(rng.choice(["?", "f4", "i8", "O", "U1"])))
        first = x[0] if several else x
        least = 2 if first.ndim > 2 else 1
        if wrong.dtype == bool and wrong.ndim >= least and wrong.shape == first.shape[: wrong.ndim]:
            return
        error = error_of(lambda: layer(x, mask=[wrong, None] if several else wrong), (ValueError, TypeError))
        assert "mask" in str(error), (name, wrong.shape, wrong.dtype, error)
        np.testing.assert_array_equal(layer(x, mask=mask), given)


def documents(rng):
    """A layer at every sentence of documents is that of each sentence alone; the documents' mask is that of both."""
    batch, sentences, words = (int(n) for n in rng.integers(1, 5, 3))
    x = rng.standard_normal((batch, sentences, words, 3))
    mask = rng.random((batch, sentences, words)) < rng.choice([0.2, 0.7, 1.0])
    kind = rng.integers(4)
    sequences = bool(rng.random() < 0.4)
    inner = recurrent(rng, return_sequences=sequences)
    if kind == 1:
        inner = layers.Bidirectional(inner, merge_mode=str(rng.choice(["concat", "sum", "mul", "ave"])))
    elif kind == 2:
        inner, sequences = layers.GlobalAveragePooling1D(**F64), False
    elif kind == 3:
        inner = Sequential([layers.Conv1D(3, 2, padding="causal", **F64), inner])
    outer = built(layers.TimeDistributed(inner), rng, x)
    given = odd(rng, mask)
    got, left = outer.forward_with_mask(x, False, mask)
    np.testing.assert_array_equal(outer(x, mask=given), got)
    for k in range(sentences):
        np.testing.assert_allclose(got[:, k], inner(x[:, k], mask=mask[:, k]), **CLOSE)
    np.testing.assert_array_equal(left, mask if sequences else mask.any(2))
    if sequences:
        return
    # The sentences that have no words are as good as not there.
    whole = Sequential([outer, built(recurrent(rng), rng, got)])
    y = whole(x, mask=mask)
    for row in range(batch):
        there = mask[row].any(1)
        if there.any():
            alone = whole(x[row : row + 1, there], mask=mask[row : row + 1, there])
            np.testing.assert_allclose(y[row], alone[0], **CLOSE)


def both_ways(rng):
    """A bidirectional layer is one layer over the steps that count, and one over them in reverse."""
    batch, steps = int(rng.integers(1, 4)), int(rng.integers(1, 7))
    x = rng.standard_normal((batch, steps, 3))
    mask = rng.random((batch, steps)) < 0.7
    merge = [None, "concat", "sum", "mul", "ave"][rng.integers(5)]
    layer = built(layers.Bidirectional(recurrent(rng, return_sequences=True), merge_mode=merge), rng, x)
    got = layer(x, mask=mask)
    for part in got if merge is None else [got]:
        assert not part[~mask].any()
    for row in range(batch):
        there = np.flatnonzero(mask[row])
        if not there.size:
            continue
        a = layer.forward_layer(x[row : row + 1, there])[0]
        # Layers that go backwards return their outputs in the order in which they were made.
        b = layer.backward_layer(x[row : row + 1, there])[0, ::-1]
        if merge is None:
            want, own = [a, b], [part[row, there] for part in got]
        else:
            want = {"concat": np.hstack([a, b]), "sum": a + b, "mul": a * b, "ave": (a + b) / 2}[merge]
            own = got[row, there]
        np.testing.assert_allclose(own, want, **CLOSE)


def statistics(rng):
    """Batch normalisation of padded rows is that of their steps in one long row: outputs, gradients, averages."""
    renorm = bool(rng.random() < 0.5)
    options = {"renorm": renorm, "renorm_clipping": {"rmin": 0.5, "rmax": 2.0, "dmax": 1.0}} if renorm else {}
    one, other = (layers.BatchNormalization(momentum=0.7, **options, **F64) for _ in range(2))
    for layer in (one, other):
        layer.build((None, None, 3))
    other.set_weights(one.get_weights())
    for _ in range(3):
        batch, steps = int(rng.integers(1, 4)), int(rng.integers(1, 6))
        x, d = rng.standard_normal((2, batch, steps, 3))
        mask = rng.random((batch, steps)) < 0.7
        mask[0, 0] = True
        x[~mask] = np.nan if rng.random() < 0.5 else 9.0
        d[~mask] = 0
        got = one(x, training=True, mask=odd(rng, mask))
        want = other(x[mask][None], training=True)
        np.testing.assert_allclose(got[mask], want[0], **CLOSE)
        np.testing.assert_allclose(one.backward(d)[mask], other.backward(d[mask][None])[0], **CLOSE)
        for a, b in zip(one.variables, other.variables, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), **CLOSE, err_msg=a.path)
            np.testing.assert_allclose(a.gradient, b.gradient, **CLOSE, err_msg=a.path)


CASES = (any_layer, documents, documents, both_ways, statistics)


def case(rng):
    CASES[rng.integers(len(CASES))](rng)
