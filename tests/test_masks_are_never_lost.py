"""Every layer and model takes the mask, passes it on, or ends it with a word; one that does not fit is refused by name.

What masks do to numbers is held against loops over steps, and against the same rows without their padding.
"""

import gc
import importlib.util
import pathlib
import threading
import warnings

import numpy as np
import pytest
from layer_tools import assert_gradients_by_differences, by_differences, numbers

import lstmcore
from lstmcore import Model, Sequential, layers
from lstmcore._arguments import valid_steps
from lstmcore._tree import copies, leaves, map_leaves
from lstmcore.layers import (
    GRU,
    LSTM,
    Add,
    AveragePooling1D,
    BatchNormalization,
    Bidirectional,
    Concatenate,
    Conv1D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    Identity,
    Masking,
    MaxPooling1D,
    Permute,
    RepeatVector,
    Reshape,
    Residual,
    SimpleRNN,
    Softmax,
    TimeDistributed,
)
from lstmcore.layers import _masks as masks

_PATH = pathlib.Path(__file__).parents[1] / "docs" / "masks_table.py"
_SPEC = importlib.util.spec_from_file_location("masks_table", _PATH)
table = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(table)

CASES = dict(table.cases())
each_layer = pytest.mark.parametrize("name", CASES)

# Rounding: sums of some hundred products of numbers near one, in another order.
CLOSE = {"rtol": 1e-10, "atol": 1e-12}

MASK = np.array([[True, True, True, False], [True, False, True, True]])


def quietly(call, *arguments, **options):
    """The result of a call that may not warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return call(*arguments, **options)


def bad_bytes(mask):
    """The mask, or masks, as some readers make them: True is any byte but 0."""
    return map_leaves(lambda part: np.where(part, 255, 0).astype("uint8").view(bool), mask)


def run_backward(layer, d_outputs):
    """The gradient of the inputs, and those of the weights, of one pass back."""
    for v in layer.variables:
        v.gradient.fill(0)
    d_inputs = layer.backward(d_outputs)
    return d_inputs, [v.gradient.copy() for v in layer.variables]


# --- the table of all layers ---


def test_the_page_has_the_table_of_the_code():
    assert table.page() == table.PAGE.read_text(encoding="utf-8"), "run python docs/masks_table.py"


def test_every_layer_is_in_the_table():
    kinds = {type(make()) for make in CASES.values()}
    cells = {layers.Cell, layers.LSTMCell, layers.GRUCell, layers.SimpleRNNCell, layers.StackedRNNCells, layers.Layer}
    assert {k for name in layers.__all__ if isinstance(k := getattr(layers, name), type)} - cells == kinds


@each_layer
def test_layers_take_what_the_table_says(name):
    """With the mask, outputs differ from those without, and numbers in the padding make no difference."""
    layer = CASES[name]()
    x, mask = table.inputs_for(name, layer)
    if isinstance(x, list) or x.dtype.kind == "i" or name.startswith("TimeDistributed of Masking"):
        assert layer.consumes_mask == ("Attention" in name)  # see test_attention.py
        return
    layer(x, training=True)
    weights, state = layer.get_weights(), layer.state()
    results = []
    for given in (None, mask, mask):
        layer.set_weights(weights)
        layer.load_state(state)
        results.append(layer.forward(x, True, **({"mask": given} if layer.consumes_mask else {})))
        x = np.where(mask.reshape(mask.shape + (1,) * (x.ndim - mask.ndim)), x, 9) if given is not None else x
    if not layer.consumes_mask:
        np.testing.assert_array_equal(results[1], results[0])
    elif name != "Residual of Dense":
        assert (results[1] != results[0]).any()
        counted = layer.forward_with_mask(x, False, mask)[1]
        own, other = (r if counted is None else r[counted] for r in results[1:])
        np.testing.assert_array_equal(own, other)


@each_layer
def test_the_mask_of_no_mask_is_none_unless_the_layer_makes_one(name):
    layer = CASES[name]()
    x, _ = table.inputs_for(name, layer)
    layer(x)
    made = layer.compute_mask(x)
    assert (made is not None) == (name in ("Masking", "Embedding, mask_zero", "TimeDistributed of Masking"))


# --- what fits ---


def wrong_masks(shape):
    batch, steps = shape
    ones = np.ones(shape, bool)
    return [
        (np.ones((batch + 1, steps), bool), ValueError, "got"),
        (np.ones((batch, steps + 1), bool), ValueError, "got"),
        (np.ones((steps, batch), bool), ValueError, "got"),
        (np.ones((batch, steps, 7), bool), ValueError, "got"),
        (np.ones(steps + 9, bool), ValueError, "got"),
        (np.True_, ValueError, "got"),
        (ones.astype(int), TypeError, "expected bool, got int64"),
        (ones.astype("float32"), TypeError, "expected bool, got float32"),
        ("left", TypeError, "expected bool, got <U4"),
        ([[True, False], [True]], ValueError, "lists of different lengths"),
    ]


@each_layer
def test_a_mask_that_does_not_fit_is_refused_by_the_name_of_the_layer(name):
    layer = CASES[name]()
    x, mask = table.inputs_for(name, layer)
    if isinstance(x, list):
        for wrong in (mask[0], mask[:1], [mask[0][:1], None]):
            with pytest.raises(ValueError, match=rf"^{layer.name}.*: mask: expected"):
                layer(x, mask=wrong)
        return
    if name in ("Softmax", "RepeatVector"):
        return
    for wrong, error, text in wrong_masks(mask.shape[:2]):
        for call in (lambda m: layer(x, mask=m), lambda m: layer(x, training=True, mask=m)):
            with pytest.raises(error, match=rf"^{layer.name}: mask: .*{text}"):
                call(wrong)
        if layer.consumes_mask and not isinstance(wrong, list):
            with pytest.raises(error, match=rf"(^|: )mask: .*{text}"):
                layer.forward(x, True, mask=wrong)
        if error is ValueError and isinstance(wrong, np.ndarray):
            with pytest.raises(error, match=rf"^{layer.name}\S*: mask: .*{text}"):
                layer.forward_with_mask(x, True, wrong)
    model = Sequential([CASES[name]()])
    model(x)
    for wrong, error, text in wrong_masks(mask.shape[:2]):
        for call in (model, model.run, lambda x, mask: model.forward(x, True, mask)):
            with pytest.raises(error, match=rf"^{model.name}: mask: .*{text}"):
                call(x, mask=wrong)


def test_the_mask_of_vectors_does_not_fit_sequences():
    model = Sequential([Embedding(5, 3), Conv1D(2, 2)])
    with pytest.raises(ValueError, match=r"embedding\S*: mask: expected shape \(batch=2, steps=4\), got \(2,\)"):
        model(table.INTEGERS, mask=np.array([True, False]))
    with pytest.raises(ValueError, match=r"conv1d\S*: mask: expected shape \(batch=2, steps=4\), got \(2,\)"):
        model.layers[1](table.STEPS, mask=np.array([True, False]))


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name]().consumes_mask])
def test_masks_whose_bytes_are_neither_0_nor_1(name):
    layer = CASES[name]()
    x, mask = table.inputs_for(name, layer)
    layer(x)
    weights = layer.get_weights()
    d = numbers(*layer(x).shape, dtype="float32")
    results = []
    for given in (mask, bad_bytes(mask)):
        layer.set_weights(weights)
        results.append([layer(x, training=True, mask=given), *run_backward(layer, d)])
    for got, want in zip(results[1], results[0], strict=True):
        for a, b in zip(got, want, strict=True) if isinstance(want, list) else [(got, want)]:
            np.testing.assert_array_equal(a, b)


def test_what_says_which_steps_count_has_bytes_0_and_1():
    assert valid_steps("", 2, 4, bad_bytes(MASK), None).view("uint8").tolist() == MASK.astype(int).tolist()
    assert masks.fit("", bad_bytes(MASK), (2, 4, 3)).view("uint8").tolist() == MASK.astype(int).tolist()


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name]().consumes_mask])
def test_a_mask_may_be_changed_after_the_call(name):
    layer = CASES[name]()
    x, mask = table.inputs_for(name, layer)
    layer(x)
    d = numbers(*layer(x).shape, dtype="float32")
    results = []
    for change in (False, True):
        given = copies(mask)
        layer(x, training=True, mask=given)
        if change:
            for part in leaves(given):
                np.logical_not(part, out=part)
        results.append(run_backward(layer, d))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    for got, want in zip(results[1][1], results[0][1], strict=True):
        np.testing.assert_array_equal(got, want)


# --- where a mask ends ---


@pytest.mark.parametrize(
    "make", [Flatten, GlobalMaxPooling1D, lambda: Permute((2, 1)), lambda: Reshape((12,)), lambda: Reshape((4, 3))]
)
def test_a_layer_that_ends_a_mask_says_so_once(make):
    layer = make()
    model = Sequential([Masking(), layer])
    with pytest.warns(UserWarning, match=rf"^{layer.name}: a {type(layer).__name__} ends the mask") as caught:
        model(table.STEPS)
    assert len(caught) == 1
    quietly(model, table.STEPS)
    other = make()
    with pytest.warns(UserWarning, match=other.name):  # once for each layer, not for each class
        other(table.STEPS, mask=MASK)
    quietly(make(), table.STEPS)  # there is no mask to end


def test_a_layer_that_has_used_the_mask_ends_it_without_a_word():
    for last in (LSTM(2), Bidirectional(GRU(2)), GlobalAveragePooling1D(), SimpleRNN(2, go_backwards=True)):
        model = Sequential([Masking(), last, Dense(1), RepeatVector(3), Flatten()])
        quietly(model, table.STEPS)
        outputs, mask = quietly(model.run, table.STEPS)
        assert outputs.shape == (2, 3)
        assert mask is None


# --- a layer at every step ---


def inner_layers():
    sequences = {"return_sequences": True, "dtype": "float64"}

    def chain():
        return Sequential(
            [
                Conv1D(4, 2, padding="same", dtype="float64"),
                LSTM(3, **sequences),
                GRU(3, dtype="float64"),
                Dense(2, dtype="float64"),
            ]
        )

    return {
        "lstm": lambda: LSTM(3, dtype="float64"),
        "lstm, sequences": lambda: LSTM(3, **sequences),
        "gru, backwards": lambda: GRU(3, go_backwards=True, **sequences),
        "min gru": lambda: layers.MinGRU(3, dtype="float64"),
        "slstm, sequences": lambda: layers.SLSTM(4, 2, **sequences),
        "bidirectional": lambda: Bidirectional(LSTM(2, dtype="float64")),
        "bidirectional, sequences": lambda: Bidirectional(GRU(2, **sequences)),
        "mean": lambda: GlobalAveragePooling1D(dtype="float64"),
        "convolution": lambda: Conv1D(2, 3, padding="same", dtype="float64"),
        "pooling": lambda: MaxPooling1D(2, dtype="float64"),
        "dense": lambda: Dense(2, dtype="float64"),
        "residual": lambda: Residual(LSTM(3, **sequences)),
        "chain": chain,
        "rnn": lambda: layers.RNN(layers.GRUCell(3, dtype="float64")),
    }


def document_mask():
    """Two documents of three sentences of up to five words: one sentence is padding, one has a hole, one is full."""
    lengths = np.array([[5, 2, 0], [3, 1, 4]])
    mask = np.arange(5) < lengths[..., None]
    mask[1, 2] = [True, False, True, True, False]
    return mask


@pytest.mark.parametrize("name", inner_layers())
def test_a_layer_at_every_step_is_the_loop_over_steps(name):
    layer = TimeDistributed(inner_layers()[name]())
    x, mask = numbers(2, 3, 5, 3), document_mask()
    outputs = layer(x, training=True, mask=mask)
    d = numbers(*outputs.shape, seed=4)
    d_inputs, gradients = run_backward(layer, d)
    inner = layer.layer
    want, want_d, want_gradients = [], [], [np.zeros_like(g) for g in gradients]
    for t in range(3):
        want.append(inner(x[:, t], training=True, mask=mask[:, t]))
        d_step, of_step = run_backward(inner, np.ascontiguousarray(d[:, t]))
        want_d.append(d_step)
        for total, g in zip(want_gradients, of_step, strict=True):
            total += g
    np.testing.assert_allclose(outputs, np.stack(want, 1), **CLOSE)
    np.testing.assert_allclose(d_inputs, np.stack(want_d, 1), **CLOSE)
    for got, wanted in zip(gradients, want_gradients, strict=True):
        np.testing.assert_allclose(got, wanted, **CLOSE)
    # What the masked words are does not matter where the layer takes the mask.
    if inner.consumes_mask and name != "residual":
        other = layer(np.where(mask[..., None], x, 7.0), mask=mask)
        counted = layer.compute_mask(x, mask)
        np.testing.assert_array_equal(other[counted], layer(x, mask=mask)[counted])


@pytest.mark.parametrize("name", inner_layers())
def test_the_mask_behind_a_layer_at_every_step(name):
    layer, mask = TimeDistributed(inner_layers()[name]()), document_mask()
    outputs = layer(numbers(2, 3, 5, 3), mask=mask)
    got, outer = masks.of(outputs), mask.any(axis=2)
    want = {
        "gru, backwards": mask[..., ::-1],
        "pooling": mask[..., 0:4:2] | mask[..., 1:4:2],
    }.get(name, outer if outputs.ndim == 3 else mask)
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(layer.compute_mask(numbers(2, 3, 5, 3), mask), want)
    # A mask of the outer steps only: all of a step that does not count is left out, and it goes on as it came.
    alone = np.array([[True, True, False], [True, False, True]])
    x = numbers(2, 3, 5, 3)
    outputs = layer(x, mask=alone)
    if name not in ("gru, backwards", "pooling", "convolution"):
        np.testing.assert_array_equal(masks.of(outputs), alone)
    inner = layer.layer
    for t in range(3):
        own = np.repeat(alone[:, t, None], 5, axis=1)
        np.testing.assert_allclose(outputs[:, t], inner(x[:, t], mask=own), **CLOSE)


def test_layers_at_every_step_of_every_step():
    inner = LSTM(3, dtype="float64")
    layer = TimeDistributed(TimeDistributed(inner))
    x, mask = numbers(2, 3, 4, 5, 2), np.random.default_rng(0).random((2, 3, 4, 5)) < 0.5
    mask[0, 1] = False
    outputs = layer(x, training=True, mask=mask)
    d = numbers(*outputs.shape)
    d_inputs, gradients = run_backward(layer, d)
    np.testing.assert_array_equal(masks.of(outputs), mask.any(axis=3))
    want = [np.zeros_like(g) for g in gradients]
    for t in range(3):
        for s in range(4):
            np.testing.assert_allclose(outputs[:, t, s], inner(x[:, t, s], training=True, mask=mask[:, t, s]), **CLOSE)
            d_step, of_step = run_backward(inner, np.ascontiguousarray(d[:, t, s]))
            np.testing.assert_allclose(d_inputs[:, t, s], d_step, **CLOSE)
            for total, g in zip(want, of_step, strict=True):
                total += g
    for got, wanted in zip(gradients, want, strict=True):
        np.testing.assert_allclose(got, wanted, **CLOSE)


def test_a_layer_at_every_step_may_make_the_mask():
    x = numbers(2, 3, 5, 2)
    x[~document_mask()] = 0
    np.testing.assert_array_equal(masks.of(TimeDistributed(Masking(dtype="float64"))(x)), document_mask())
    np.testing.assert_array_equal(TimeDistributed(Masking(dtype="float64")).compute_mask(x), document_mask())
    words = np.where(document_mask(), 3, 0)
    embedding = TimeDistributed(Embedding(5, 2, mask_zero=True))
    np.testing.assert_array_equal(masks.of(embedding(words)), document_mask())
    # A step that does not count keeps not counting, whatever its words are.
    alone = np.array([[True, False, True], [True, True, False]])
    want = document_mask() & alone[..., None]
    np.testing.assert_array_equal(masks.of(embedding(words, mask=alone)), want)
    np.testing.assert_array_equal(embedding.compute_mask(words, alone), want)
    # On vectors, a row is a step: the mask is that of the steps.
    flat = np.where(MASK[..., None], numbers(2, 4, 3), 0)
    np.testing.assert_array_equal(masks.of(TimeDistributed(Masking(dtype="float64"))(flat)), MASK)


DOCUMENTS = np.array(
    [
        [[4, 2, 0, 0], [3, 0, 0, 0], [0, 0, 0, 0]],
        [[1, 1, 2, 3], [2, 4, 4, 0], [3, 1, 0, 0]],
        [[2, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],
    ]
)
SIZES = [(2, 2), (3, 4), (1, 2)]  # sentences and words without the padding


def document_models():
    one = {"dtype": "float64"}

    def of_words():
        return Sequential([Embedding(5, 3, mask_zero=True, **one), LSTM(3, **one)])

    class Encoder(Model):
        def __init__(self):
            super().__init__(dtype="float64")
            self.embedding = Embedding(5, 3, mask_zero=True, **one)
            self.lstm = LSTM(3, **one)

        def forward(self, inputs, training=False):
            return self.lstm(self.embedding(inputs, training=training), training=training)

        def backward(self, d_outputs, need_d_inputs=True):
            return self.embedding.backward(self.lstm.backward(d_outputs))

    outer = [lambda: LSTM(3, **one), lambda: Dense(2, **one)]
    return {
        "embedding before": [lambda: Embedding(5, 3, mask_zero=True, **one), lambda: TimeDistributed(LSTM(3, **one))],
        "embedding within": [
            lambda: TimeDistributed(Embedding(5, 3, mask_zero=True, **one)),
            lambda: TimeDistributed(Bidirectional(GRU(2, **one))),
        ],
        "mean": [
            lambda: Embedding(5, 3, mask_zero=True, **one),
            lambda: TimeDistributed(GlobalAveragePooling1D(**one)),
        ],
        "chain": [lambda: TimeDistributed(of_words())],
        "model": [lambda: TimeDistributed(Encoder())],
        "words that look about": [
            lambda: Embedding(5, 3, mask_zero=True, **one),
            lambda: TimeDistributed(LSTM(3, return_sequences=True, **one)),
            lambda: TimeDistributed(Dense(3, **one)),
            lambda: TimeDistributed(LSTM(2, **one)),
        ],
    }, outer


@pytest.mark.parametrize("name", document_models()[0])
def test_a_padded_document_is_the_document_alone(name):
    parts, outer = document_models()
    model = Sequential([make() for make in (*parts[name], *outer)])
    model(DOCUMENTS)
    model.set_weights([numbers(*w.shape, seed=k) for k, w in enumerate(model.get_weights())])
    model.compile("adam", "mse")
    d = numbers(3, 2, seed=8)

    def passes(documents, d):
        model.parameters.gradients.fill(0)
        outputs = quietly(model.forward, documents, True)
        model.backward(d)
        return outputs, model.parameters.gradients.copy()

    outputs, gradient = passes(DOCUMENTS, d)
    total = np.zeros_like(gradient)
    for k, (sentences, words) in enumerate(SIZES):
        # A sentence of its own length: as many words as the longest of the document, the rest by the mask.
        alone, own = passes(DOCUMENTS[k : k + 1, :sentences, :words], d[k : k + 1])
        np.testing.assert_allclose(outputs[k], alone[0], **CLOSE)
        total += own
    np.testing.assert_allclose(gradient, total, **CLOSE)
    want = by_differences(lambda: (model(DOCUMENTS) * d).sum(), model.parameters)
    np.testing.assert_allclose(gradient, want, rtol=1e-6, atol=1e-8)  # what differences leave: see layer_tools


def test_normalisation_at_every_step_counts_the_words_there_are():
    layer = TimeDistributed(BatchNormalization(dtype="float64"))
    x, mask = numbers(2, 3, 5, 3), document_mask()
    got = layer(x, training=True, mask=mask)
    words = x[mask]
    want = (words - words.mean(0)) / np.sqrt(words.var(0) + 1e-3)
    np.testing.assert_allclose(got[mask], want, **CLOSE)
    # The same for sentences of which one is padding, and behind a layer that gives a vector for each sentence.
    layer = TimeDistributed(Sequential([GlobalAveragePooling1D(dtype="float64"), BatchNormalization(dtype="float64")]))
    layer(x)
    got, left = layer.forward_with_mask(x, True, mask)
    outer = mask.any(2)
    means = np.stack([x[i, j][mask[i, j]].mean(0) for i, j in np.argwhere(outer)])
    np.testing.assert_allclose(got[outer], (means - means.mean(0)) / np.sqrt(means.var(0) + 1e-3), **CLOSE)
    np.testing.assert_array_equal(left, outer)


def test_a_sentence_of_padding_stays_padding_within_a_chain():
    one = {"dtype": "float64"}
    chain = [LSTM(3, **one), RepeatVector(2, **one), LSTM(2, **one)]
    layer = TimeDistributed(Sequential(chain))
    x, mask = numbers(2, 3, 5, 3), document_mask()
    got = quietly(layer, x, mask=mask)
    for i, j in np.ndindex(2, 3):
        if mask[i, j].any():
            vector = chain[0](x[i, j][mask[i, j]][None])
            np.testing.assert_allclose(got[i, j], chain[2](chain[1](vector))[0], **CLOSE)
        else:
            assert not got[i, j].any()


def test_the_steps_of_a_model_that_keeps_its_mask_to_itself():
    class Sums(Model):
        def __init__(self):
            super().__init__(dtype="float64")
            self.dense = Dense(2, dtype="float64")

        def forward(self, inputs, training=False, mask=None):
            return self.dense(inputs.sum(1) if mask is None else (inputs * mask[..., None]).sum(1))

    layer, x, mask = TimeDistributed(Sums()), numbers(2, 3, 5, 3), document_mask()
    layer(x)
    got, left = layer.forward_with_mask(x, False, mask)
    np.testing.assert_array_equal(left, mask.any(axis=2))
    np.testing.assert_allclose(got, layer.layer.dense((x * mask[..., None]).sum(2)), **CLOSE)
    alone = np.array([[True, True, False], [True, False, True]])
    np.testing.assert_array_equal(layer.forward_with_mask(x, False, alone)[1], alone)


def test_a_layer_at_every_step_that_ends_the_mask_of_words_says_so():
    x, mask, alone = numbers(2, 3, 5, 3), document_mask(), np.array([[True, True, False], [True, False, True]])
    for make in (Flatten, lambda **o: Sequential([Dense(2, **o), Flatten(**o)])):
        layer = TimeDistributed(make(dtype="float64"))
        np.testing.assert_array_equal(masks.of(quietly(layer, x, mask=alone)), alone)  # there are no words' masks
        with pytest.warns(UserWarning, match="a Flatten ends the mask"):
            got = layer(x, mask=mask)
        np.testing.assert_array_equal(masks.of(got), mask.any(axis=2))  # that of the sentences goes on


def test_a_residual_has_the_mask_of_its_inputs():
    layer = Residual(GRU(3, return_sequences=True, go_backwards=True))
    np.testing.assert_array_equal(masks.of(layer(table.STEPS, mask=MASK)), MASK)
    assert masks.of(layer(table.STEPS)) is None


# --- models of one's own, and layers one by one ---


class Words(Model):
    """Embedding, a chain and a layer, called on one another's outputs."""

    def __init__(self, sequences):
        super().__init__()
        self.embedding = Embedding(5, 3, mask_zero=True)
        self.chain = Sequential([Bidirectional(LSTM(2, return_sequences=True)), Dropout(0.0)])
        self.lstm = LSTM(3, return_sequences=sequences)
        self.dense = Dense(2)

    def forward(self, inputs, training=False):
        hidden = self.chain(self.embedding(inputs, training=training), training)
        return self.dense(self.lstm(hidden, training=training), training)

    def backward(self, d_outputs, need_d_inputs=True):
        d_hidden = self.lstm.backward(self.dense.backward(d_outputs))
        return self.embedding.backward(self.chain.backward(d_hidden))


@pytest.mark.parametrize("sequences", [False, True])
def test_a_model_of_ones_own_is_the_chain_of_its_layers(sequences):
    """Outputs, loss, metrics and all that training makes of the weights."""
    x = np.array([[1, 2, 0, 0], [3, 0, 0, 0], [4, 4, 1, 2], [0, 0, 0, 0]])
    y = numbers(4, 4, 2, dtype="float32") if sequences else numbers(4, 2, dtype="float32")
    chain = Sequential(
        [
            Embedding(5, 3, mask_zero=True),
            Bidirectional(LSTM(2, return_sequences=True)),
            LSTM(3, return_sequences=sequences),
            Dense(2),
        ]
    )
    own = Words(sequences)
    chain(x), own(x)
    own.set_weights(chain.get_weights())
    results = []
    for model in (own, chain):
        model.compile("adam", "mse", metrics=["mae"])
        history = quietly(model.fit, x, y, epochs=3, batch_size=3, shuffle=False, verbose=0).history
        results.append(
            (history["loss"], history["mae"], model.evaluate(x, y, verbose=0), model.predict(x), model.get_weights())
        )
    for got, want in zip(*results, strict=True):
        for a, b in zip(got, want, strict=True):
            np.testing.assert_array_equal(a, b)
    # And the last numbers by hand: of the steps that count only.
    valid = x != 0 if sequences else np.ones(4, bool)
    error = (own.predict(x) - y)[valid]
    np.testing.assert_allclose(
        own.evaluate(x, y, verbose=0), [np.square(error).mean(), np.abs(error).mean()], rtol=1e-5
    )


def test_layers_called_one_by_one_have_their_masks():
    x, embedding, lstm = table.INTEGERS, Embedding(5, 3, mask_zero=True), LSTM(2, return_sequences=True)
    vectors = embedding(x)
    np.testing.assert_array_equal(lstm(vectors), lstm(np.array(vectors), mask=MASK_OF_INTEGERS))
    for layer in (Identity(), Dropout(0.5), BatchNormalization(), Dense(2), Residual(Dense(3)), Sequential([Dense(2)])):
        np.testing.assert_array_equal(masks.of(layer(vectors)), MASK_OF_INTEGERS)
    assert masks.of(LSTM(2)(vectors)) is None
    assert masks.of(np.array(vectors)) is masks.of(vectors * 2) is masks.of(vectors[:]) is None
    # Given with the call it goes before what comes with the inputs.
    other = np.eye(2, 4, dtype=bool)
    np.testing.assert_array_equal(lstm(vectors, mask=other), lstm(np.array(vectors), mask=other))
    outputs, h, c = LSTM(2, return_sequences=True, return_state=True)(vectors)
    np.testing.assert_array_equal(masks.of(outputs), MASK_OF_INTEGERS)
    assert masks.of(h) is masks.of(c) is None
    pair = Bidirectional(LSTM(2, return_sequences=True), merge_mode=None)(vectors)
    assert all((masks.of(part) == MASK_OF_INTEGERS).all() for part in pair)


MASK_OF_INTEGERS = table.INTEGERS != 0


def test_the_callers_arrays_get_no_mask():
    x = table.STEPS.copy()
    lstm = LSTM(2)
    want = lstm(x)
    for layer in (Identity(), Dropout(0.5), Sequential([Identity()])):
        passed = layer(x, mask=MASK)
        np.testing.assert_array_equal(masks.of(passed), MASK)
        assert masks.of(x) is None
        assert (lstm(passed) != want).any()
        np.testing.assert_array_equal(lstm(x), want)
    masked = Masking()(x)
    other = Identity()(masked, mask=MASK)  # two names for the same numbers, each with its mask
    np.testing.assert_array_equal(masks.of(other), MASK)
    assert masks.of(masked).all()

    class Ends(Identity):
        supports_masking = False

    with pytest.warns(UserWarning, match="ends the mask"):
        assert masks.of(Ends()(other)) is None
    np.testing.assert_array_equal(masks.of(other), MASK)


def test_masks_live_as_long_as_their_arrays():
    gc.collect()
    before = len(masks._known)
    embedding, model = Embedding(5, 3, mask_zero=True), Words(True)
    kept = embedding(table.INTEGERS)
    for _ in range(20):
        embedding(table.INTEGERS)
        model(table.INTEGERS)
    gc.collect()
    assert len(masks._known) == before + 1
    del kept
    gc.collect()
    assert len(masks._known) == before


def test_threads_do_not_mix_up_masks():
    model, x = Words(True), np.random.default_rng(0).integers(0, 5, (8, 2, 6))
    want = [model(part) for part in x]
    wrong = []

    def work(k):
        for _ in range(30):
            if not (model.predict(x[k]) == want[k]).all():
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


class Own(Model):
    """An embedding, something in NumPy, and an LSTM."""

    def __init__(self, between):
        super().__init__()
        self.embedding, self.lstm, self.between = Embedding(5, 3, mask_zero=True), LSTM(2), between

    def forward(self, inputs, training=False):
        return self.between(self, inputs, self.embedding(inputs, training=training))


def test_a_mask_that_reaches_nobody_is_told_once():
    model = Own(lambda self, x, vectors: self.lstm(vectors * 2))
    with pytest.warns(UserWarning, match=rf"own\S*: forward: .*{model.embedding.name}\S* returns") as caught:
        model(table.INTEGERS)
    assert len(caught) == 1
    quietly(model, table.INTEGERS)
    with pytest.warns(UserWarning, match="reached neither a layer nor the loss"):
        Own(lambda self, x, vectors: np.asarray(self.lstm(vectors[:, ::-1]))).predict(table.INTEGERS)

    def between(self, x, vectors):
        others = Embedding(5, 3, mask_zero=True)(x[::-1]) * 2
        return self.lstm(vectors * 2) + self.lstm(others * self.embedding(x[:, ::-1]), mask=x[::-1] != 0)

    with pytest.warns(UserWarning, match="reached neither a layer nor the loss"):  # one is handed on, and two are lost
        Own(between)(table.INTEGERS)


def test_a_mask_that_the_caller_hands_on_needs_no_word():
    quietly(Own(lambda self, x, vectors: self.lstm(vectors)), table.INTEGERS)
    backwards = table.INTEGERS[:, ::-1]
    for between, same in (
        (lambda self, x, v: self.lstm(v * 2, mask=self.embedding.compute_mask(x)), table.INTEGERS),
        (lambda self, x, v: self.lstm(v * 2, mask=x != 0), table.INTEGERS),
        (lambda self, x, v: self.lstm(v[:, ::-1] * 2, mask=x[:, ::-1] != 0), backwards),
        (lambda self, x, v: self.lstm((v + self.embedding(x)), mask=x != 0), table.INTEGERS),
        (lambda self, x, v: self.lstm(v[:, ::-1] * 2, lengths=(x != 0).sum(1)), None),
    ):
        model = Own(between)
        model(table.INTEGERS)
        got = quietly(model, table.INTEGERS)
        if same is not None:
            want = model.lstm(np.array(model.embedding(same)) * 2, mask=same != 0)
            np.testing.assert_allclose(got, want, rtol=1e-6)

    class Handled(Model):
        def __init__(self):
            super().__init__()
            self.lstm, self.dropout, self.dense = LSTM(3, return_sequences=True), Dropout(0.5), Dense(1)

        def forward(self, inputs, training=False, mask=None):
            hidden = self.dropout(self.lstm(inputs, training=training, mask=mask), training)
            return self.dense((hidden * mask[..., None]).sum(1) if mask is not None else hidden.sum(1), training)

    model = Handled()
    model(table.STEPS)
    got = quietly(model, table.STEPS, mask=MASK)
    hidden = model.lstm(table.STEPS, mask=MASK)
    np.testing.assert_array_equal(got, model.dense(np.array((hidden * MASK[..., None]).sum(1))))


def test_a_mask_of_a_call_that_reaches_nobody_is_told():
    class Deaf(Model):
        def __init__(self):
            super().__init__()
            self.dense = Dense(1)

        def forward(self, inputs, training=False):
            return self.dense(inputs.mean(1))

    model = Deaf()
    quietly(model, table.STEPS)
    with pytest.warns(UserWarning, match=rf"^{model.name}: forward: the mask of what {model.name} is given has"):
        model(table.STEPS, mask=MASK)


def test_data_sets_have_no_masks_however_they_are_cut():
    model, x = Own(lambda self, x, vectors: self.lstm(vectors)), table.INTEGERS
    model(x)

    class Chain(Model):
        def __init__(self):
            super().__init__()
            self.lstm = LSTM(2)

        def forward(self, inputs, training=False):
            return self.lstm(inputs, training=training)

    vectors, chain = model.embedding(x), Chain()
    want = chain(np.array(vectors))
    for got in (chain.predict(vectors), chain.predict(vectors, batch_size=1), chain.predict_on_batch(vectors)):
        np.testing.assert_allclose(got, want, rtol=1e-6)
    assert (chain(vectors) != want).any()  # of which a call takes the mask


def test_the_mask_of_a_call_goes_into_a_model_of_ones_own():
    class Chain(Model):
        def __init__(self):
            super().__init__()
            self.lstm, self.dense = LSTM(3, return_sequences=True), Dense(1)

        def forward(self, inputs, training=False):
            return self.dense(self.lstm(inputs, training=training), training)

        def backward(self, d_outputs, need_d_inputs=True):
            return self.lstm.backward(self.dense.backward(d_outputs), need_d_inputs)

    model, x = Chain(), table.STEPS
    want = model(x)
    got, left = model.run(x, mask=MASK)
    np.testing.assert_array_equal(got, model.dense(model.lstm(x, mask=MASK)))
    np.testing.assert_array_equal(left, MASK)
    np.testing.assert_array_equal(model(x), want)  # the next call has none
    np.testing.assert_array_equal(model(Masking()(np.where(MASK[..., None], x, 0))), got)
    # As a layer of another model.
    outer = Sequential([Masking(), Chain()])
    outer(x)
    outer.set_weights(model.get_weights())
    np.testing.assert_array_equal(outer(np.where(MASK[..., None], x, 0)), got)
    d = numbers(2, 4, 1, dtype="float32")
    model.run(x, True, MASK)
    d_inputs, _ = run_backward(model, d)
    assert not d_inputs[~MASK].any()


def test_lengths_of_a_call():
    x, lengths = table.STEPS, [3, 4]
    mask = np.arange(4) < np.array(lengths)[:, None]
    for model in (Sequential([LSTM(3, return_sequences=True), GlobalAveragePooling1D(), Dense(1)]), Words(True)):
        data = x if isinstance(model, Sequential) else np.abs(table.INTEGERS)
        model(data)
        np.testing.assert_array_equal(model(data, lengths=lengths), model(data, mask=mask))
        assert (model(data, lengths=[2, 1]) != model(data)).any()
        for wrong, error in (([3, 5], ValueError), ([3], ValueError), ([3.0, 4.0], TypeError), ("ab", TypeError)):
            with pytest.raises(error, match=rf"^{model.name}: lengths: expected"):
                model(data, lengths=wrong)
        with pytest.raises(ValueError, match="give lengths or a mask, not both"):
            model(data, lengths=lengths, mask=mask)
    outputs = LSTM(3, return_sequences=True)(x, lengths=lengths)
    assert not outputs[~mask].any()  # zeros, as that layer alone gives them
    np.testing.assert_array_equal(masks.of(outputs), mask)
    np.testing.assert_array_equal(masks.of(Dense(2)(x, lengths=lengths)), mask)
    with pytest.raises(ValueError, match=r"masking\S*: lengths: expected inputs \(batch, steps"):
        Masking()(np.zeros(3), lengths=lengths)


# --- layers of one's own ---


def test_a_layer_of_ones_own_gets_the_mask_it_asks_for():
    got = []

    class Asks(layers.Layer):
        def forward(self, inputs, training=False, mask=None):
            got.append(mask)
            return inputs

    class AsksForNothingElse(layers.Layer):
        def forward(self, inputs, mask=None):
            got.append(mask)
            return inputs

    class AsksFirst(layers.Layer):
        def forward(self, inputs, mask=None, training=False):
            assert isinstance(training, bool)
            got.append(mask)
            return inputs

    class Inherits(Asks):
        pass

    class PassesOn(AsksFirst):
        def forward(self, *arrays, mask=None, **options):
            return super().forward(*arrays, mask, **options)

    class AsksNot(Asks):
        def forward(self, inputs, training=False):
            got.append("nothing")
            return inputs

    for kind in (Asks, AsksForNothingElse, AsksFirst, Inherits, PassesOn):
        got.clear()
        model = Sequential([Masking(), kind(), LSTM(2)])
        x = np.where(MASK[..., None], table.STEPS, 0)
        want = Sequential([Masking(), LSTM(2)])
        want(x), model(x)
        want.set_weights(model.get_weights())
        np.testing.assert_array_equal(model(x), want(x))  # and it goes on
        np.testing.assert_array_equal(got[-1], MASK)
        kind()(x)
        assert got[-1] is None
        kind()(x, mask=MASK)
        np.testing.assert_array_equal(got[-1], MASK)
    AsksFirst()(x, MASK)  # second, as in Keras
    np.testing.assert_array_equal(got[-1], MASK)
    AsksFirst()(x, True)
    assert got[-1] is None
    AsksNot()(x, mask=MASK)
    assert got[-1] == "nothing"


def test_a_forward_may_take_any_number_of_arguments():
    class Any(layers.Layer):
        def forward(self, inputs, *others):
            return inputs + sum(others)

    np.testing.assert_array_equal(Any()(table.STEPS), table.STEPS)
    np.testing.assert_array_equal(Any()(table.STEPS, training=True), table.STEPS + 1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: TimeDistributed(Dense(2)),
        lambda: TimeDistributed(LSTM(2)),
        lambda: layers.Residual(Dense(3)),
        lambda: Sequential([Dense(2), LSTM(2)]),
    ],
)
def test_a_mask_can_be_asked_for_before_the_layer_has_weights(make):
    assert make().compute_mask(np.ones((2, 4, 5, 3) if isinstance(make(), TimeDistributed) else (2, 4, 3))) is None


def test_a_layer_of_ones_own_that_does_away_with_steps_ends_the_mask():
    class Sums(layers.Layer):
        def forward(self, inputs, training=False):
            return inputs.sum(1)

    class Weighs(layers.Layer):
        def forward(self, inputs, training=False, mask=None):
            return inputs.sum(1) if mask is None else (inputs * mask[..., None]).sum(1)

    class Halves(layers.Layer):
        def forward(self, inputs, training=False):
            return inputs[:, ::2]

    class HalvesBoth(Halves):
        def compute_mask(self, inputs, mask=None):
            return None if mask is None else mask[:, ::2]

    square = numbers(4, 4, 4, dtype="float32")  # where every axis could be taken for another
    for x, mask in ((table.STEPS, MASK), (square, np.ones((4, 4), bool))):
        for kind in (Sums, Halves):
            with pytest.warns(UserWarning, match=f"a {kind.__name__} ends the mask"):
                assert masks.of(kind()(x, mask=mask)) is None
        assert masks.of(quietly(Weighs(), x, mask=mask)) is None
        np.testing.assert_array_equal(masks.of(quietly(HalvesBoth(), x, mask=mask)), mask[:, ::2])

    class Wrong(layers.Layer):
        def forward(self, inputs, training=False):
            return inputs

        def compute_mask(self, inputs, mask=None):
            return np.ones((2, 9), bool)

    with pytest.raises(ValueError, match=r"wrong\S*: compute_mask: mask: expected shape \(batch=2, steps=4\), got"):
        Wrong()(table.STEPS)


# --- pooling, sums, softmax ---


@pytest.mark.parametrize("kind", [MaxPooling1D, AveragePooling1D])
@pytest.mark.parametrize("options", [(2, 2, "valid"), (3, 2, "same"), (3, 1, "same"), (2, 3, "valid"), (5, 2, "valid")])
def test_windows_leave_out_what_the_mask_does(kind, options):
    size, strides, padding = options
    layer = kind(size, strides, padding, dtype="float64")
    x = numbers(5, 9, 2)
    mask = np.random.default_rng(3).random((5, 9)) < 0.5
    mask[0], mask[1] = np.arange(9) < 5, False
    got = layer(x, mask=mask)
    steps, before = 9, 0
    count = got.shape[1]
    if padding == "same":
        before = max((count - 1) * strides + size - steps, 0) // 2
    for row in range(5):
        for w in range(count):
            window = [t for t in range(w * strides - before, w * strides - before + size) if 0 <= t < steps]
            counted = [x[row, t] for t in window if mask[row, t]]
            pool = np.max if kind is MaxPooling1D else np.mean
            want = pool(counted, axis=0) if counted else np.zeros(2)
            np.testing.assert_allclose(got[row, w], want, rtol=1e-14)
            assert masks.of(got)[row, w] == bool(counted)
    assert_gradients_by_differences(layer, x, mask=mask)
    x[~mask] = np.nan  # padding may hold anything
    np.testing.assert_array_equal(layer(x, training=True, mask=mask), got)
    assert not layer.backward(np.ones_like(got))[~mask].any()


@pytest.mark.parametrize("kind", [MaxPooling1D, AveragePooling1D])
def test_a_padded_row_is_pooled_as_it_is_alone(kind):
    layer, row = kind(2, padding="same", dtype="float64"), numbers(1, 5, 3) - 4  # all of them below the padding's zeros
    padded = np.concatenate([row, np.zeros((1, 5, 3))], axis=1)
    got = layer(padded, lengths=[5])
    np.testing.assert_array_equal(got[:, :3], layer(row))
    assert masks.of(got).tolist() == [[True, True, True, False, False]]


def test_masks_of_several_inputs():
    a, b = table.STEPS, table.STEPS + 1
    m, n = MASK, np.array([[False, True, True, True], [False, True, False, False]])
    for axis, given, want in (
        (1, [m, n], np.concatenate([m, n], axis=1)),
        (1, [m, None], np.concatenate([m, np.ones_like(m)], axis=1)),
        (-1, [m, n], m | n),
        (2, [None, n], np.ones_like(m)),
        (0, [m, n], np.concatenate([m, n])),
        (1, [None, None], None),
    ):
        got = masks.of(Concatenate(axis)([a, b], mask=given))
        assert got is want is None or (got == want).all()
        by_name = None if given[0] is given[1] is None else {"a": given[0], "b": given[1]}
        got = masks.of(Concatenate(axis)({"a": a, "b": b}, mask=by_name))
        assert got is want is None or (got == want).all()
    np.testing.assert_array_equal(masks.of(Add()([a, b], mask=[m, n])), m | n)
    assert masks.of(Add()([a, b], mask=[m, None])) is None
    # They come with the arrays, too, and go on through a model.
    x, y = Masking()(np.where(m[..., None], a, 0)), Masking()(np.where(n[..., None], b, 0))
    np.testing.assert_array_equal(masks.of(Add()([x, y])), m | n)
    model = Sequential([Concatenate(1), LSTM(2)])
    whole = np.concatenate([x, y], axis=1)
    np.testing.assert_array_equal(model([x, y]), model.layers[1](whole, mask=np.concatenate([m, n], axis=1)))
    np.testing.assert_array_equal(model([x, y]), model([np.array(x), np.array(y)], mask=[m, n]))


def test_softmax_of_what_the_mask_leaves():
    x = numbers(2, 4, 3)
    for shape in ((2, 4, 3), (1, 4, 3), (4, 1), (3,), (2, 1, 1)):
        mask = np.random.default_rng(1).random(shape) < 0.6
        for axis in (-1, 1, (1, 2)):
            layer = Softmax(axis, dtype="float64")
            whole = np.broadcast_to(mask, x.shape)
            e = np.where(whole, np.exp(x), 0)
            total = e.sum(axis=axis, keepdims=True)
            want = np.divide(e, total, out=np.zeros_like(e), where=total > 0)
            np.testing.assert_allclose(layer(x, mask), want, rtol=1e-12)  # second, as in Keras
            np.testing.assert_allclose(layer(x, mask=mask.astype("float32")), want, rtol=1e-12)
            assert_gradients_by_differences(layer, x, mask=mask)
    layer = Softmax(dtype="float64")
    np.testing.assert_array_equal(
        layer(x, training=True), layer(x)
    )  # a bool says whether it is training, as for every layer
    for wrong in (np.ones((3, 4, 3), bool), np.ones((2, 4), bool), np.ones((1, 2, 4, 3), bool)):
        with pytest.raises(ValueError, match=r"softmax\S*: mask: expected what can be broadcast to inputs \(2, 4, 3\)"):
            layer(x, wrong)
    with pytest.raises(TypeError, match="mask: expected bool or numbers"):
        layer(x, "all")


def test_softmax_takes_the_mask_of_weights_of_steps_and_passes_that_of_features_on():
    class Scores(layers.Layer):
        def forward(self, inputs, training=False):
            return inputs.sum(-1)

        def compute_mask(self, inputs, mask=None):
            return mask

    x = np.where(MASK[..., None], table.STEPS, 0)
    weights = Sequential([Masking(), Scores(), Softmax()])(x)
    assert not weights[~MASK].any()
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-6)
    e = np.where(MASK, np.exp(x.sum(-1)), 0)
    np.testing.assert_allclose(weights, e / e.sum(1, keepdims=True), rtol=1e-5)
    passed = Softmax()(Masking()(x))
    np.testing.assert_array_equal(passed, Softmax()(x))
    np.testing.assert_array_equal(masks.of(passed), MASK)


# --- calls as Keras has them ---


def test_pooling_takes_its_mask_second():
    x, layer = table.STEPS, GlobalAveragePooling1D()
    np.testing.assert_array_equal(layer(x, MASK), layer(x, mask=MASK))
    assert (layer(x, MASK) != layer(x)).any()
    np.testing.assert_array_equal(layer(x, None), layer(x))
    np.testing.assert_array_equal(layer(x, training=True), layer(x))
    with pytest.raises(TypeError, match="two values for mask"):
        layer(x, MASK, mask=MASK)
    with pytest.raises(TypeError, match="training: expected True or False"):
        Dense(2)(x, MASK)
    x = numbers(3, 4, 2, dtype="float32")
    norm, mask = BatchNormalization(), np.arange(4) < np.array([[4], [2], [1]])
    np.testing.assert_array_equal(norm(x, True, mask), norm(x, training=True, mask=mask))


def test_an_embedding_is_built_without_a_shape():
    layer = Embedding(5, 3, mask_zero=True)
    layer.build()
    layer.build()
    assert [w.shape for w in layer.get_weights()] == [(5, 3)]
    assert layer.compute_mask([[1, 0]]).tolist() == [[True, False]]
    model = Sequential([layer, LSTM(2)])
    assert model(table.INTEGERS).shape == (2, 2)
    assert layer.output_shape == (None, 4, 3)
    with pytest.raises(TypeError, match="input_shape"):
        Dense(2).build()


@pytest.mark.parametrize("wrong", [0.5, np.nan, np.inf, 1e30])
def test_floats_that_are_no_whole_numbers_have_no_embedding(wrong):
    layer = Embedding(5, 3)
    np.testing.assert_array_equal(layer(np.array([[1.0, 4.0]])), layer([[1, 4]]))
    with pytest.raises(TypeError, match=r"inputs: expected integers, got float64 with .* among them"):
        layer(np.array([[1.0, wrong]]))


def test_a_layer_called_on_a_layer_is_refused_with_what_to_do_instead():
    with pytest.raises(TypeError, match=r"is a layer, no array; call a layer on what another returns"):
        Dense(2)(Dense(3))


def test_masks_that_meet_count_where_both_do():
    x = np.where(MASK[..., None], table.STEPS, 0)
    other = np.array([[True, False, True, True], [True, True, True, True]])
    np.testing.assert_array_equal(masks.of(Masking()(x, mask=other)), MASK & other)
    np.testing.assert_array_equal(
        Embedding(5, 2, mask_zero=True).compute_mask(table.INTEGERS, other), other & MASK_OF_INTEGERS
    )
    # An embedding of padding is no zero: it is its own mask that keeps it from counting.
    model = Sequential([Embedding(5, 3, mask_zero=True), Masking(), LSTM(2)])
    plain = Sequential([Embedding(5, 3, mask_zero=True), LSTM(2)])
    model(table.INTEGERS), plain(table.INTEGERS)
    plain.set_weights(model.get_weights())
    np.testing.assert_array_equal(model(table.INTEGERS), plain(table.INTEGERS))


def test_a_mask_goes_through_an_embedding_without_one():
    model = Sequential([Embedding(5, 3), LSTM(2)])
    model(table.INTEGERS)
    embedding, lstm = model.layers
    want = lstm(embedding(table.INTEGERS), mask=MASK)
    np.testing.assert_array_equal(model(table.INTEGERS, mask=MASK), want)


def test_no_rows_have_masks_too():
    model = Sequential([Embedding(5, 3, mask_zero=True), TimeDistributed(LSTM(2)), LSTM(2, return_sequences=True)])
    model(DOCUMENTS)
    assert model(DOCUMENTS[:0]).shape == (0, 3, 2)
    assert masks.of(model(DOCUMENTS[:0])).shape == (0, 3)
    assert model(DOCUMENTS[:0], mask=np.ones((0, 3), bool)).shape == (0, 3, 2)


def test_examples_of_the_page_run():
    text = table.PAGE.read_text(encoding="utf-8")
    lstmcore.utils.set_random_seed(0)
    for block in text.split("```python\n")[1:]:
        exec(block.split("```")[0].replace("print(np", "assert (np"), {})
