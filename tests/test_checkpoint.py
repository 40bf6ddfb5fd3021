"""Checkpoints: the same bits forward, the same gradients, in less memory."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from layer_tools import numbers, with_weights
from problems import OPTIONS, Problem, gates, has_recurrent_kernel, possible_state, whole_heads

import lstmcore
from lstmcore import Sequential, functional
from lstmcore._options import (
    GRUOptions,
    LSTMOptions,
    MinGRUOptions,
    MinLSTMOptions,
    RNNOptions,
    SLSTMOptions,
    Zoneout,
)
from lstmcore.layers import GRU, LSTM, SLSTM, Dense, MinGRU, MinLSTM, SimpleRNN

FEATURES = 3
CELLS = [
    LSTMOptions(),
    LSTMOptions(peepholes=True, coupled=True),
    LSTMOptions(projection=True),
    LSTMOptions(layer_norm=True),
    GRUOptions(),
    GRUOptions(reset_after=False),
    GRUOptions(layer_norm=True),
    RNNOptions(),
    RNNOptions(activation="relu"),
    MinGRUOptions(),
    MinLSTMOptions(log_space=True),
    SLSTMOptions(),
    SLSTMOptions(heads=2, exponential_forget=True),
]
KINDS = {"lstm": LSTM, "gru": GRU, "rnn": SimpleRNN, "min_gru": MinGRU, "min_lstm": MinLSTM, "slstm": SLSTM}
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def layer_of(cell, units, **options):
    """The layer of a cell's options, with random weights."""
    chosen = {k: v for k, v in vars(cell).items() if v != type(cell).__dataclass_fields__[k].default}
    if "projection" in chosen:
        chosen["projection"] = max(1, units // 2)
    return with_weights(KINDS[cell.cell](whole_heads(cell, units), dtype="float64", **chosen, **options), FEATURES)


def passes(layer, x, d_last, initial, d_states, **call):
    """Outputs and states, then all gradients: of inputs, weights and initial state."""
    for v in layer.variables:
        v.gradient.fill(0)
    forward = layer(x, training=True, initial_state=initial, **call)
    d_inputs = layer.backward(d_last, d_state=d_states)
    return forward, [d_inputs, *(v.gradient.copy() for v in layer.variables), *(layer.d_initial_state or ())]


@given(
    cell=st.sampled_from(CELLS),
    batch=st.integers(1, 9),
    steps=st.integers(1, 30),
    units=st.integers(1, 20),
    every=st.integers(1, 35),
    return_sequences=st.booleans(),
    go_backwards=st.booleans(),
    padding=st.sampled_from(["none", "lengths", "mask", "mask, zeros"]),
    initial=st.booleans(),
    last=st.booleans(),
    dropout=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
@example(CELLS[0], 4, 9, 5, 4, False, False, "lengths", True, True, False, 0)
@example(CELLS[0], 4, 9, 5, 4, True, True, "mask", True, False, True, 0)
@example(CELLS[4], 4, 9, 5, 4, True, False, "mask, zeros", False, True, False, 0)
@example(CELLS[7], 4, 9, 5, 4, False, True, "mask", True, True, False, 0)
def test_outputs_and_gradients_are_those_without(
    cell, batch, steps, units, every, return_sequences, go_backwards, padding, initial, last, dropout, seed
):
    rng = np.random.default_rng(seed)
    options = {
        "return_sequences": return_sequences,
        "return_state": True,
        "go_backwards": go_backwards,
        "zero_output_for_mask": padding == "mask, zeros",
    }
    if dropout:
        options |= {"dropout": 0.3, "recurrent_dropout": 0.3 * has_recurrent_kernel(cell), "seed": seed}
    call = {}
    if padding == "lengths":
        call["lengths"] = rng.integers(0, steps + 1, batch)
        call["lengths"][:1] *= batch == 1  # of several rows, one has no steps at all
    elif padding != "none":
        call["mask"] = rng.random((batch, steps)) < rng.choice([0, 0.5, 0.8, 1], (batch, 1))
    plain, kept = (layer_of(cell, units, checkpoint=n, **options) for n in (None, every))
    x = rng.standard_normal((batch, steps, FEATURES))
    widths = plain.state_size
    states = possible_state(cell, [rng.standard_normal((batch, n)) for n in widths]) if initial else None
    d_states = [rng.standard_normal((batch, n)) for n in widths] if last else None
    d = rng.standard_normal((batch, *((steps,) if return_sequences else ()), widths[0]))
    want, want_gradients = passes(plain, x, d, states, d_states, **call)
    got, got_gradients = passes(kept, x, d, states, d_states, **call)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(got_gradients, want_gradients, strict=True):
        # The gradients of the weights are summed segment by segment: 1e-16, of the size of the largest.
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12 * max(1, np.abs(b).max(initial=0)))
    for a, b in zip(kept(x, initial_state=states, **call), plain(x, initial_state=states, **call), strict=True):
        np.testing.assert_array_equal(a, b)


@each_kind
def test_the_cache_is_smaller_by_the_length_of_the_segments(kind):
    x = numbers(8, 400, FEATURES, dtype="float32")
    sizes = {}
    for every in (None, 20, 100):
        layer = kind(16, checkpoint=every)
        layer(x, training=True)
        sizes[every] = layer._cache.nbytes
    states = {LSTM: 2, SLSTM: 4}.get(kind, 1)
    assert sizes[20] == 4 * states * 8 * 16 * 400 // 20  # float32 states, one for each segment
    assert sizes[100] == sizes[20] // 5
    assert sizes[None] >= 20 * sizes[20] / states


@each_kind
def test_training_a_model_is_the_same(kind):
    x, y = numbers(20, 17, FEATURES), numbers(20, 17, 1)
    results = []
    for every in (None, 5):
        lstmcore.utils.set_random_seed(3)
        model = Sequential(
            [
                kind(4, return_sequences=True, checkpoint=every, dropout=0.2, dtype="float64"),
                kind(3, return_sequences=True, go_backwards=True, checkpoint=every, dtype="float64"),
                Dense(1, dtype="float64"),
            ]
        )
        model.compile(lstmcore.optimizers.Adam(learning_rate=0.02), "mse")
        history = model.fit(x, y, batch_size=8, epochs=3, verbose=0)
        results.append((model.get_weights(), history.history["loss"]))
    assert results[1][1] == pytest.approx(results[0][1], rel=1e-10)
    for got, want in zip(results[1][0], results[0][0], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-10)  # nine steps of Adam after 1e-16


def test_stateful_layers_go_on_from_checkpoints():
    plain, kept = (with_weights(GRU(4, stateful=True, checkpoint=n), FEATURES) for n in (None, 3))
    x = numbers(2, 16, FEATURES, dtype="float32")
    for part in (x[:, :7], x[:, 7:]):
        np.testing.assert_array_equal(kept(part, training=True), plain(part, training=True))


@pytest.mark.parametrize("cell", OPTIONS)
def test_a_function_with_checkpoints_is_the_function(cell):
    """Float32, threads, an array to write into, and arrays to add the gradients to."""
    options = OPTIONS[cell]()
    columns = gates(options) * 40
    forward, backward = getattr(functional, cell), getattr(functional, f"{cell}_backward")
    weights = [numbers(*shape, seed=4, dtype="float32") / 6 for shape in ((5, columns), (40, columns))]
    weights = weights[: 1 + has_recurrent_kernel(options)]
    packed = getattr(functional, f"pack_{cell}")(weights, training=True)
    x, d = numbers(33, 25, 5, dtype="float32"), numbers(33, 25, 40, dtype="float32")
    want, _, cache = forward(x, packed, training=True)
    want_d, want_weights, nothing = backward(cache, d)
    for threads in (1, 2):
        with lstmcore.threads(threads):
            out = np.full(want.shape, np.nan, "float32")
            got, _, kept = forward(x, packed, training=True, out=out, checkpoint=4)
            assert got is out
            np.testing.assert_array_equal(got, want)
            gradients = [np.ones_like(w) for w in weights]
            got_d, got_weights, initial = backward(kept, d, d_weights=gradients)
            assert nothing is initial is None
            for a, given_array in zip(got_weights, gradients, strict=True):
                assert a is given_array
            again = backward(kept, d)[1]
            assert backward(kept, d, need_d_inputs=False)[0] is None
            # Sums of float32 in another order: 6e-8 over 40 terms, carried through 25 steps.
            for a, b in [(got_d, want_d), *zip(again, want_weights, strict=True)]:
                np.testing.assert_allclose(a, b, atol=1e-5 * np.abs(b).max())
            for a, b in zip(got_weights, want_weights, strict=True):
                np.testing.assert_allclose(a, b + 1, atol=1e-5 * np.abs(b).max())


def test_zoneout_says_that_it_does_not_go_with_checkpoints():
    with pytest.raises(ValueError, match=r"^LSTM: checkpoint: expected None with zoneout, .*; got 3$"):
        LSTM(2, zoneout=0.1, checkpoint=3)
    x = numbers(1, 4, FEATURES, dtype="float32")
    weights = [np.zeros((3, 6), "float32"), np.zeros((2, 6), "float32")]
    with pytest.raises(ValueError, match=r"zoneout: .* not with checkpoint"):
        functional.gru(x, weights, zoneout=Zoneout(0.1, seed=1), training=True, checkpoint=2)


# --- bad input: the errors are those without checkpoints ---

SHAPE = 3, 4, 5, 6  # batch, steps, inputs, units
FUNCTIONS = {
    name: Problem(*SHAPE, cell=name, options=options)
    for name, options in (("lstm", LSTMOptions()), ("gru", GRUOptions()), ("rnn", RNNOptions()))
}
each_function = pytest.mark.parametrize("p", FUNCTIONS.values(), ids=FUNCTIONS)


def zeros(*shape, dtype="float32"):
    return np.zeros(shape, dtype)


WRONG = [
    {"x": zeros(3, 5)},
    {"x": zeros(3, 4, 5, 1)},
    {"x": zeros(3, 4, 6)},
    {"x": zeros(3, 0, 5)},
    {"x": zeros(3, 4, 5, dtype=int)},
    {"x": zeros(3, 4, 5, dtype="float64")},
    {"x": zeros()},
    {"x": 1.0},
    {"x": np.array(None)},
    {"x": "text"},
    {"x": [[1.0], [1.0, 2.0]]},
    {"mask": zeros(3, 5, dtype=bool)},
    {"mask": zeros(3, 3, dtype=bool)},
    {"mask": zeros(1, 4, dtype=bool)},
    {"mask": zeros(4, dtype=bool)},
    {"mask": zeros(3, 4, 1, dtype=bool)},
    {"mask": zeros(3, 4)},
    {"mask": zeros(3, 4, dtype=int)},
    {"mask": zeros(3, 4, dtype=bool), "lengths": [1, 2, 3]},
    {"lengths": [1, 2]},
    {"lengths": [1, 2, 5]},
    {"lengths": [1, -1, 2]},
    {"lengths": [1.0, 2.0, 3.0]},
    {"lengths": [True, False, True]},
    {"lengths": [[1, 2, 3]]},
    {"lengths": 3},
    {"lengths": "abc"},
    {"dropout_mask": zeros(3, 6)},
    {"dropout_mask": zeros(2, 5)},
    {"dropout_mask": zeros(3, 5, dtype="float64")},
    {"dropout_mask": zeros(5, 3, 5)},
    {"recurrent_dropout_mask": zeros(3, 5)},
    {"out": zeros(3, 4, 7)},
    {"out": zeros(3, 5, 6)},
    {"out": zeros(3, 7)},
    {"out": zeros(1, 6)},
    {"out": zeros(3, 4, 6, dtype="float64")},
    {"out": zeros(3, 6, dtype="float64")},
    {"out": [[1.0]]},
    {"out": zeros(3, 4, 12)[..., ::2]},
    {"out": zeros(3, 12)[..., ::2]},
    {"zoneout": 0.5},
]


def error_of(function):
    """The kind and the text of the error that the function raises; in Python a TypeError may be a ValueError too."""
    try:
        function()
    except Exception as error:
        return TypeError if isinstance(error, TypeError) else type(error), str(error)
    raise AssertionError("no error")


def run(p, every, x=None, state=None, weights=None, **arguments):
    """Outputs, state and cache of the problem, with arguments of its own or others."""
    return getattr(functional, p.cell)(
        p.x if x is None else x,
        weights or p.weights,
        p.of_cell(state or p.state),
        training=True,
        checkpoint=every,
        **arguments,
    )


def assert_same_error(call):
    """Without checkpoints, with more of them than one, and with one only."""
    plain = error_of(lambda: call(None))
    for every in (1, 2, 10):
        assert error_of(lambda every=every: call(every)) == plain


@each_function
@pytest.mark.parametrize("return_sequences", [True, False])
def test_wrong_arguments_are_named(p, return_sequences):
    for wrong in WRONG:
        assert_same_error(lambda every, wrong=wrong: run(p, every, return_sequences=return_sequences, **wrong))


@each_function
def test_wrong_states_and_weights_are_named(p):
    h = p.state[0]
    wrong = [[w, *p.state[1:]] for w in (h[:2], h[:1], h[:, :5], h[:, :1], h[0], h.astype("float64"), h.astype(int))]
    if p.cell == "lstm":
        wrong += [[h, w] for w in (h[:2], h[:1], h[:, :5], h.astype("float64"))]
    for state in wrong:
        assert_same_error(lambda every, state=state: run(p, every, state=state))
    for_inference = getattr(functional, f"pack_{p.cell}")(p.weights)
    assert_same_error(lambda every: run(p, every, weights=for_inference))
    other = FUNCTIONS["gru" if p.cell == "lstm" else "lstm"]
    of_another_cell = getattr(functional, f"pack_{other.cell}")(other.weights, training=True)
    assert_same_error(lambda every: run(p, every, weights=of_another_cell))


@each_function
@pytest.mark.parametrize("return_sequences", [True, False])
def test_outputs_that_overlap_what_is_read_are_refused(p, return_sequences):
    memory = np.ones(200, "float32")
    out = memory[:72].reshape(3, 4, 6) if return_sequences else memory[:18].reshape(3, 6)
    options = {"return_sequences": return_sequences, "out": out}
    for overlapping in (
        {"x": memory[10:70].reshape(3, 4, 5)},
        {"state": [memory[10:28].reshape(3, 6), *p.state[1:]]},
        {"dropout_mask": memory[10:25].reshape(3, 5)},
        {"recurrent_dropout_mask": memory[10:28].reshape(3, 6)},
    ):
        assert_same_error(lambda every, overlapping=overlapping: run(p, every, **options, **overlapping))
    out.flags.writeable = False
    assert_same_error(lambda every: run(p, every, **options))


@each_function
def test_a_refused_call_leaves_the_array_for_the_outputs_alone(p):
    out = np.full((3, 4, 6), 7, "float32")
    for wrong in ({"mask": zeros(3, 5, dtype=bool)}, {"lengths": [1, 2, 5]}, {"dropout_mask": zeros(3, 6)}):
        with pytest.raises(ValueError):
            run(p, 2, out=out, **wrong)
    assert (out == 7).all()


@each_function
def test_what_the_core_copies_may_share_memory_with_the_outputs(p):
    """Inputs and masks whose features are not contiguous."""
    results = []
    for every in (None, 2):
        memory = np.linspace(0, 1, 240, dtype="float32")
        x, out = memory[:120].reshape(3, 4, 10)[..., ::2], memory[:72].reshape(3, 4, 6)
        mask = memory[40:70].reshape(3, 10)[:, ::2]
        outputs, _, cache = run(p, every, x=x, out=out, dropout_mask=mask)
        d_inputs, d_weights, _ = p.backward(functional, cache)
        results.append([outputs.copy(), d_inputs, *d_weights])
    for got, want in zip(results[1], results[0], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)  # float32, segment by segment


@each_function
@pytest.mark.parametrize("return_sequences", [True, False])
def test_wrong_gradients_are_named(p, return_sequences):
    backward = getattr(functional, f"{p.cell}_backward")
    right = zeros(3, 4, 6) if return_sequences else zeros(3, 6)
    pair = (lambda h: (h, None)) if p.cell == "lstm" else (lambda h: h)
    weights = [np.zeros_like(w) for w in p.weights]

    def same_error(*arguments, **options):
        def call(every):
            _, _, cache = run(p, every, return_sequences=return_sequences)
            backward(cache, *arguments, **options)

        assert_same_error(call)

    for shape in ((3, 4, 7), (3, 5, 6), (3, 3, 6), (1, 4, 6), (3, 7), (2, 6), (1, 6), (6,), ()):
        same_error(zeros(*shape))
        same_error(right, pair(zeros(*shape)))
    same_error(right.astype("float64"))
    same_error(right.astype(int))
    same_error("text")
    same_error(right, pair(zeros(3, 6, dtype="float64")))
    same_error(right, d_weights=weights[:1])
    same_error(right, d_weights=[weights[0][:, :-1], *weights[1:]])
    same_error(right, d_weights=[weights[0].astype("float64"), *weights[1:]])


@each_function
@pytest.mark.parametrize("return_sequences", [True, False])
def test_lists_of_numbers_are_arrays(p, return_sequences):
    """Nested lists are float64 arrays, so all must be."""
    p = Problem(*SHAPE, cell=p.cell, options=p.options, dtype="float64")
    d = np.ones((3, 4, 6) if return_sequences else (3, 6)).tolist()
    state = [s.tolist() for s in p.state]
    results = []
    for every in (None, 3):
        outputs, _, cache = run(p, every, x=p.x.tolist(), state=state, return_sequences=return_sequences)
        d_state = state if p.cell == "lstm" else state[0]
        d_inputs, d_weights, _ = getattr(functional, f"{p.cell}_backward")(cache, d, d_state)
        results.append([outputs, d_inputs, *d_weights])
    for got, want in zip(results[1], results[0], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)  # float64, segment by segment


@each_kind
def test_layers_check_the_same(kind):
    x = numbers(*SHAPE[:3], dtype="float32")
    for wrong in ({"mask": zeros(3, 5, dtype=bool)}, {"lengths": [4, 4]}, {"initial_state": [zeros(2, 6)]}):
        assert_same_error(lambda every, wrong=wrong: kind(6, checkpoint=every, name="it")(x, training=True, **wrong))
    assert_same_error(lambda every: kind(6, checkpoint=every, name="it")(x[:, :0], True))

    def backward(every, d):
        layer = kind(6, checkpoint=every, name="it")
        layer(x, training=True)
        layer.backward(d)

    for d in (zeros(3, 5), zeros(1, 6), zeros(3, 4, 6), zeros(3, 6, dtype="float64")):
        assert_same_error(lambda every, d=d: backward(every, d))
