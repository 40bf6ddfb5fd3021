"""Bidirectional: two layers, one of them backwards, and nothing else."""

import numpy as np
import pytest
from layer_tools import Elman, assert_gradients_by_differences, by_differences, numbers, with_weights

import lstmcore
from lstmcore import Sequential, utils
from lstmcore.layers import (
    GRU,
    LSTM,
    RNN,
    SLSTM,
    Bidirectional,
    Dense,
    GRUCell,
    LSTMCell,
    Masking,
    MinGRU,
    MinLSTM,
    SimpleRNN,
    SimpleRNNCell,
)

BATCH, STEPS, FEATURES, UNITS = 3, 5, 2, 4

MERGES = {
    "concat": lambda a, b: np.concatenate([a, b], axis=-1),
    "sum": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "ave": lambda a, b: (a + b) / 2,
    None: lambda a, b: [a, b],
}
KINDS = {
    "lstm": lambda **o: LSTM(UNITS, **o),
    "gru": lambda **o: GRU(UNITS, **o),
    "rnn": lambda **o: SimpleRNN(UNITS, **o),
    "lstm projection": lambda **o: LSTM(UNITS, projection=3, **o),
    "min gru": lambda **o: MinGRU(UNITS, **o),
    "min lstm": lambda **o: MinLSTM(UNITS, log_space=True, **o),
    "slstm": lambda **o: SLSTM(UNITS, 2, **o),
}
each_kind = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
each_merge = pytest.mark.parametrize("merge_mode", MERGES)


def wrapped(make, merge_mode="concat", **options):
    """A Bidirectional with random weights, and the two layers that it should be."""
    options = {"dtype": "float64", **options}
    layer = with_weights(Bidirectional(make(**options), merge_mode), FEATURES)
    one, two = make(**options), make(go_backwards=True, **options)
    weights = layer.get_weights()
    for part, values in ((one, weights[: len(weights) // 2]), (two, weights[len(weights) // 2 :])):
        part.ensure_built((None, None, FEATURES))
        part.set_weights(values)
    return layer, one, two


def at_its_own_steps(outputs, layer):
    """The outputs of a layer that goes backwards, each at the step it belongs to."""
    return outputs[:, ::-1] if layer.return_sequences else outputs


# --- forward and backward ---


@each_kind
@each_merge
@pytest.mark.parametrize("return_sequences", [True, False])
def test_outputs_are_those_of_two_layers(make, merge_mode, return_sequences):
    layer, one, two = wrapped(make, merge_mode, return_sequences=return_sequences)
    x = numbers(BATCH, STEPS, FEATURES)
    want = MERGES[merge_mode](one(x), at_its_own_steps(two(x), two))
    for training in (False, True):
        got = layer(x, training=training)
        for a, b in zip(*((got, want) if merge_mode is None else ([got], [want])), strict=True):
            np.testing.assert_array_equal(a, b)
    shapes = [a.shape for a in want] if merge_mode is None else want.shape
    assert layer.compute_output_shape(x.shape) == shapes


@each_kind
@each_merge
@pytest.mark.parametrize("return_sequences", [True, False])
def test_gradients_by_differences(make, merge_mode, return_sequences):
    layer, _, _ = wrapped(make, merge_mode, return_sequences=return_sequences)
    assert_gradients_by_differences(layer, numbers(2, 4, FEATURES))


@pytest.mark.parametrize("merge_mode", ["concat", "mul"])
def test_gradients_with_a_mask_by_differences(merge_mode):
    layer, _, _ = wrapped(KINDS["lstm"], merge_mode, return_sequences=True)
    mask = np.array([[True, True, False, False], [False, True, False, True], [False] * 4])
    assert_gradients_by_differences(layer, numbers(3, 4, FEATURES), mask=mask)


def test_the_gradient_of_a_model_by_differences():
    model = Sequential(
        [
            Bidirectional(LSTM(3, return_sequences=True, dtype="float64"), input_shape=(None, FEATURES)),
            Bidirectional(GRU(2, dtype="float64"), merge_mode="mul"),
            Dense(1, dtype="float64"),
        ]
    )
    x, d = numbers(3, 4, FEATURES), numbers(3, 1)
    model.forward(x, training=True)
    model.backward(d)

    def loss():
        return (model.forward(x) * d).sum()

    np.testing.assert_allclose(model.parameters.gradients, by_differences(loss, model.parameters), rtol=1e-6, atol=1e-9)


def test_it_learns_what_takes_both_directions():
    """Each step is told whether the first of the sequence equals the last: one direction alone cannot know."""
    utils.set_random_seed(0)
    x = np.sign(numbers(512, 6, 1, dtype="float32"))
    y = np.broadcast_to(x[:, :1] * x[:, -1:], x.shape)
    model = Sequential([Bidirectional(LSTM(16, return_sequences=True), input_shape=(6, 1)), Dense(8, "tanh"), Dense(1)])
    model.compile(lstmcore.optimizers.Adam(learning_rate=0.02), "mse")
    model.fit(x, y, epochs=60, verbose=0)
    assert model.evaluate(x, y, verbose=0) < 0.1  # a constant guess has 1


@pytest.mark.parametrize("batch", [1, 5, 40])
@pytest.mark.parametrize("kind", [LSTM, GRU, MinGRU, SLSTM])
def test_bits_do_not_depend_on_threads(kind, batch, set_threads):
    """Large enough for the directions to run side by side, or for the threads to share each."""
    layer = Bidirectional(kind(150, return_sequences=True))
    x, d = numbers(batch, 12, 30, dtype="float32"), numbers(batch, 12, 300, dtype="float32")
    layer(x)
    results = []
    for threads in (1, 2, 3, 4):
        set_threads(threads)
        for v in layer.variables:
            v.gradient.fill(0)
        result = [layer(x), layer(x, training=True), layer.backward(d)]
        results.append([*result, *(v.gradient.copy() for v in layer.variables)])
    for result in results[1:]:
        for got, want in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(got, want)


# --- weights ---


def test_weights_are_the_forward_layers_then_the_backward_layers():
    layer = Bidirectional(GRU(UNITS, name="inner"), name="outer")
    layer(numbers(1, 2, FEATURES, dtype="float32"))
    names = ["kernel", "recurrent_kernel", "bias"]
    assert [v.path for v in layer.weights] == [
        f"outer/{direction}_inner/{name}" for direction in ("forward", "backward") for name in names
    ]
    first, second = layer.get_weights()[:3], layer.get_weights()[3:]
    assert [w.shape for w in first] == [w.shape for w in second] == [(2, 12), (4, 12), (2, 12)]
    assert all((a != b).any() for a, b in zip(first[:2], second[:2], strict=True))  # drawn separately
    assert layer.count_params() == 2 * 3 * UNITS * (FEATURES + UNITS + 2)
    assert layer.forward_layer.weights == layer.weights[:3]
    assert layer.backward_layer.go_backwards is True


def test_initial_weights_can_be_given():
    given = [numbers(*w.shape, seed=k) for k, w in enumerate(wrapped(KINDS["gru"])[0].get_weights())]
    layer = Bidirectional(GRU(UNITS, dtype="float64"), weights=given)
    layer(numbers(1, 2, FEATURES))
    for got, want in zip(layer.get_weights(), given, strict=True):
        np.testing.assert_array_equal(got, want)


def test_the_input_shape_may_stand_in_the_wrapped_layer():
    model = Sequential([Bidirectional(LSTM(UNITS, return_sequences=True, input_shape=(7, FEATURES))), Dense(1)])
    assert model.input_shape == (None, 7, FEATURES)
    assert model.output_shape == (None, 7, 1)


def test_a_backward_layer_of_its_own():
    x = numbers(BATCH, STEPS, FEATURES, dtype="float32")
    backward = GRU(3, return_sequences=True, go_backwards=True)
    layer = Bidirectional(LSTM(UNITS, return_sequences=True), backward_layer=backward)
    got = layer(x)
    assert layer.backward_layer is backward
    one, two = LSTM(UNITS, return_sequences=True), GRU(3, return_sequences=True)
    for part, weights in ((one, layer.get_weights()[:3]), (two, layer.get_weights()[3:])):
        part.ensure_built(x.shape)
        part.set_weights(weights)
    np.testing.assert_array_equal(got, np.concatenate([one(x), two(x[:, ::-1])[:, ::-1]], axis=-1))
    assert layer.compute_output_shape(x.shape) == (BATCH, STEPS, UNITS + 3)


@each_merge
@pytest.mark.parametrize("return_sequences", [True, False])
def test_a_forward_layer_that_goes_backwards_gives_all_outputs_in_its_order(merge_mode, return_sequences):
    """As in Keras: what the forward layer returns, and what the other returns turned round."""
    options = {"return_sequences": return_sequences, "dtype": "float64"}
    layer = Bidirectional(LSTM(UNITS, go_backwards=True, **options), merge_mode, backward_layer=GRU(UNITS, **options))
    with_weights(layer, FEATURES)
    one, two = LSTM(UNITS, go_backwards=True, **options), GRU(UNITS, **options)
    for part, weights in ((one, layer.get_weights()[:3]), (two, layer.get_weights()[3:])):
        part.ensure_built((None, None, FEATURES))
        part.set_weights(weights)
    x = numbers(BATCH, STEPS, FEATURES)
    want = MERGES[merge_mode](one(x), at_its_own_steps(two(x), two))
    for training in (False, True):
        got = layer(x, training=training)
        for a, b in zip(*((got, want) if merge_mode is None else ([got], [want])), strict=True):
            np.testing.assert_array_equal(a, b)
    assert_gradients_by_differences(layer, numbers(2, 4, FEATURES))
    mask = np.array([[True, True, False, False], [False, True, False, True]])
    assert_gradients_by_differences(layer, numbers(2, 4, FEATURES), mask=mask)
    passed_on = layer.compute_mask(x, mask)
    assert passed_on is None if not return_sequences else (passed_on == mask[:, ::-1]).all()


# --- states ---


@pytest.mark.parametrize("merge_mode", ["concat", None])
@pytest.mark.parametrize("make", [KINDS["lstm"], KINDS["gru"]], ids=["lstm", "gru"])
def test_states_go_in_and_come_out_forward_first(make, merge_mode):
    layer, one, two = wrapped(make, merge_mode, return_sequences=True, return_state=True)
    x = numbers(BATCH, STEPS, FEATURES)
    count = len(one.state_names)
    initial = [numbers(BATCH, UNITS, seed=k) for k in range(2 * count)]
    outputs, *states = one(x, initial_state=initial[:count])
    more_outputs, *more_states = two(x, initial_state=initial[count:])
    merged = MERGES[merge_mode](outputs, more_outputs[:, ::-1])
    want = [*(merged if merge_mode is None else [merged]), *states, *more_states]
    got = layer(x, initial_state=initial)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match=rf"initial_state: expected {2 * count} arrays.* got {count}"):
        layer(x, initial_state=initial[:count])


def test_stateful_layers_each_go_on_in_their_direction():
    layer, one, two = wrapped(KINDS["lstm"], stateful=True)
    x = numbers(BATCH, 2 * STEPS, FEATURES)
    first, second = x[:, :STEPS], x[:, STEPS:]
    begin = layer(first)
    np.testing.assert_array_equal(begin, MERGES["concat"](one(first), two(first)))
    # one and two are stateful themselves: they too go on from where they ended.
    np.testing.assert_array_equal(layer(second), MERGES["concat"](one(second), two(second)))
    with pytest.raises(ValueError, match="expected a batch of 3 rows"):
        layer(x[:1])
    layer.reset_states()
    np.testing.assert_array_equal(layer(first), begin)
    layer.reset_state()
    np.testing.assert_array_equal(layer(first), begin)


def test_stateful_layers_can_be_told_their_states():
    layer = Bidirectional(
        LSTM(UNITS, stateful=True), backward_layer=GRU(2, stateful=True, go_backwards=True), name="it"
    )
    plain = Bidirectional(LSTM(UNITS), backward_layer=GRU(2, go_backwards=True))
    x = numbers(BATCH, STEPS, FEATURES, dtype="float32")
    begin = layer(x)
    plain.ensure_built(x.shape)
    plain.set_weights(layer.get_weights())
    states = [numbers(BATCH, width, seed=k) for k, width in enumerate((UNITS, UNITS, 2))]
    want = plain(x, initial_state=[s.astype("float32") for s in states])
    layer.reset_states(states)
    np.testing.assert_array_equal(layer(x), want)
    layer.reset_states(states)
    for wrong, text in (
        (states[:2], "it: states: expected 3 arrays, those of the forward .* got 2"),
        ([*states[:2], states[0]], rf"states\[0\]: expected shape \(batch, 2\), got \({BATCH}, {UNITS}\)"),
        ([*states[:2], states[2][:1]], f"it: states: expected as many rows for both directions, got {BATCH} and 1"),
    ):
        with pytest.raises(ValueError, match=text):
            layer.reset_states(wrong)
    np.testing.assert_array_equal(layer(x), want)  # none of them has changed anything
    layer.reset_state()
    np.testing.assert_array_equal(layer(x), begin)
    with pytest.raises(ValueError, match="states: expected a layer with stateful=True"):
        plain.reset_states(states)


# --- masks ---


@each_kind
@each_merge
@pytest.mark.parametrize("return_sequences", [True, False])
def test_a_padded_row_is_the_row_alone_and_padding_gives_zeros(make, merge_mode, return_sequences):
    layer, _, _ = wrapped(make, merge_mode, return_sequences=return_sequences, return_state=True)
    x = numbers(4, 6, FEATURES)
    mask = np.array([[1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 1], [0, 1, 0, 1, 1, 0], [0] * 6], bool)
    x[~mask] = np.nan
    parts = 2 if merge_mode is None else 1
    whole = layer(x, mask=mask)
    for k in range(4):
        alone = layer(x[k : k + 1, mask[k]]) if mask[k].any() else None
        for n, array in enumerate(whole):
            if return_sequences and n < parts:
                assert not array[k, ~mask[k]].any()
                array = array[:, mask[k]]
            if alone is None:
                assert not array[k].any()
            else:
                np.testing.assert_array_equal(array[k], alone[n][0])


@pytest.mark.parametrize("return_sequences", [True, False])
def test_training_does_not_depend_on_where_the_padding_stands(return_sequences):
    x, y = numbers(6, 4, FEATURES), numbers(6, 4, 1) if return_sequences else numbers(6, 1)
    results = []
    for steps in (range(4), range(3, 7), range(4), (0, 2, 3, 5)):
        padded = np.full((6, 4 if not results else 7, FEATURES), -9.0)
        padded[:, list(steps)] = x
        targets = y
        if return_sequences:
            targets = np.full((6, padded.shape[1], 1), np.nan)
            targets[:, list(steps)] = y
        utils.set_random_seed(4)
        model = Sequential(
            [
                Masking(-9.0, dtype="float64"),
                Bidirectional(LSTM(3, return_sequences=True, dtype="float64")),
                Bidirectional(GRU(3, return_sequences=return_sequences, dtype="float64"), "sum"),
                Dense(1, dtype="float64"),
            ]
        )
        model.compile(lstmcore.optimizers.Adam(learning_rate=0.05), "mse")
        model.fit(padded, targets, batch_size=4, epochs=4, shuffle=False, verbose=0)
        results.append(model.get_weights())
    for weights in results[1:]:
        # Sums in another order: 1e-16, which eight steps of Adam let grow.
        for got, want in zip(weights, results[0], strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-10)


def test_the_mask_goes_on_with_the_steps():
    x, mask = numbers(1, 3, FEATURES), np.array([[True, False, True]])
    assert Bidirectional(LSTM(2, return_sequences=True)).compute_mask(x, mask) is mask
    assert Bidirectional(LSTM(2)).compute_mask(x, mask) is None


def test_lengths_are_a_mask_on_the_right():
    layer, _, _ = wrapped(KINDS["lstm"], return_sequences=True)
    x, lengths = numbers(3, 5, FEATURES), np.array([2, 0, 5])
    np.testing.assert_array_equal(layer(x, lengths=lengths), layer(x, mask=np.arange(5) < lengths[:, None]))


# --- dropout ---


def test_the_directions_draw_masks_of_their_own():
    """With weights that pass the inputs on, the outputs show the masks."""
    layer = Bidirectional(SimpleRNN(50, activation=None, dropout=0.5, seed=3))
    x = np.ones((2, 1, 50), "float32")
    layer.ensure_built(x.shape)
    layer.set_weights(2 * [np.eye(50), np.zeros((50, 50)), np.zeros(50)])
    first = layer(x, training=True)
    assert set(np.unique(first)) == {0, 2}
    assert (first[:, :50] != first[:, 50:]).any()
    again = Bidirectional(SimpleRNN(50, activation=None, dropout=0.5, seed=3))
    again.ensure_built(x.shape)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(x, training=True), first)


# --- bad input ---


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: Bidirectional(LSTM(2), merge_mode="max"), ValueError, "merge_mode: expected one of .* got 'max'"),
        (lambda: Bidirectional(Dense(2)), ValueError, "layer: expected a recurrent layer, got <Dense"),
        (lambda: Bidirectional("lstm"), ValueError, "layer: expected a recurrent layer, got 'lstm'"),
        (lambda: Bidirectional(LSTM(2), backward_layer=Dense(2)), ValueError, "backward_layer: expected a recurrent"),
        (
            lambda: Bidirectional(LSTM(2, go_backwards=True)),
            ValueError,
            "layer: expected go_backwards=False, got True; only with a backward_layer",
        ),
        (
            lambda: Bidirectional(LSTM(2), backward_layer=LSTM(2)),
            ValueError,
            "backward_layer: expected go_backwards=True, got False as in layer",
        ),
        (
            lambda: Bidirectional(LSTM(2, return_sequences=True), backward_layer=LSTM(2, go_backwards=True)),
            ValueError,
            "backward_layer: expected return_sequences=True as in layer, got False",
        ),
        (
            lambda: Bidirectional(LSTM(2), backward_layer=LSTM(2, return_state=True, go_backwards=True)),
            ValueError,
            "expected return_state=False as in layer, got True",
        ),
        (
            lambda: Bidirectional(LSTM(2, stateful=True), backward_layer=LSTM(2, go_backwards=True)),
            ValueError,
            "expected stateful=True as in layer, got False",
        ),
        (
            lambda: Bidirectional(LSTM(2), backward_layer=LSTM(2, go_backwards=True, dtype="float64")),
            ValueError,
            "expected dtype=float32 as in layer, got float64",
        ),
        (
            lambda: Bidirectional(LSTM(2), "sum", backward_layer=LSTM(3, go_backwards=True)),
            ValueError,
            "merge_mode: 'sum' needs outputs of one width, got 2 and 3",
        ),
        (lambda: Bidirectional(LSTM(2, checkpoint=5)), ValueError, "layer: checkpoint is not offered in both"),
        (
            lambda: Bidirectional(LSTM(2, dtype="float32"), dtype="float64"),
            ValueError,
            "layer: expected dtype float64, got float32",
        ),
        (lambda: Bidirectional(LSTM(2), no_such_thing=1), TypeError, "no_such_thing"),
    ],
)
def test_wrong_arguments_are_named(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_a_layer_in_use_is_refused():
    used, x = LSTM(2, name="used"), numbers(1, 2, 3, dtype="float32")
    used(x)
    with pytest.raises(ValueError, match="layer: expected a new layer, got used, which is in use"):
        Bidirectional(used)
    chain = Sequential([LSTM(2, name="member")])
    Bidirectional(chain.layers[0])
    with pytest.raises(ValueError, match="member belongs to bidirectional"):
        chain(x)
    backward = LSTM(2, name="back", go_backwards=True)
    backward(x)
    with pytest.raises(ValueError, match="backward_layer: expected a new layer, got back, which is in use"):
        Bidirectional(LSTM(2), backward_layer=backward)


@each_merge
def test_backward_needs_a_training_forward(merge_mode):
    layer = Bidirectional(LSTM(2), merge_mode)
    x, d = numbers(1, 2, 3, dtype="float32"), numbers(1, 4 if merge_mode == "concat" else 2, dtype="float32")
    layer(x)
    with pytest.raises(RuntimeError, match="training=True"):
        layer.backward([d, d] if merge_mode is None else d)


def test_kernel_info_names_both():
    layer = Bidirectional(LSTM(2), backward_layer=GRU(2, go_backwards=True, reset_after=False))
    layer(numbers(1, 2, 3, dtype="float32"))
    first, second = layer.kernel_info().split("; backwards ")
    assert first.startswith("lstm: fused kernel")
    assert second.startswith("gru: staged kernel")


# --- RNN in both directions ---


@each_merge
@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize(
    ("cell", "layer"),
    [(LSTMCell, LSTM), (GRUCell, GRU), (SimpleRNNCell, SimpleRNN), (Elman, SimpleRNN)],
    ids=["lstm", "gru", "rnn", "the user's"],
)
def test_cells_in_both_directions_are_their_layers(cell, layer, merge_mode, return_sequences):
    how = {"return_sequences": return_sequences, "return_state": True}
    of_cells = Bidirectional(RNN(cell(UNITS, dtype="float64"), **how), merge_mode)
    of_layers = with_weights(Bidirectional(layer(UNITS, dtype="float64", **how), merge_mode), FEATURES)
    of_cells.ensure_built((None, None, FEATURES))
    of_cells.set_weights(of_layers.get_weights())
    x = numbers(BATCH, STEPS, FEATURES)
    mask = np.array([[1, 1, 1, 0, 0], [0, 0, 1, 0, 1], [0] * 5], bool)
    count = 4 if cell is LSTMCell else 2
    shape = (None, STEPS, FEATURES)
    assert of_cells.compute_output_shape(shape) == of_layers.compute_output_shape(shape)
    for call in ({}, {"mask": mask}, {"lengths": [2, 5, 0]}):
        for initial in (None, [numbers(BATCH, UNITS, seed=k) for k in range(count)]):
            results = []
            for both in (of_cells, of_layers):
                for variable in both.variables:
                    variable.gradient.fill(0)
                (*outputs,) = both(x, initial, training=True, **call)
                d = [np.ones_like(o) for o in outputs[:2]] if merge_mode is None else np.ones_like(outputs[0])
                results.append([*outputs, both.backward(d), *(v.gradient.copy() for v in both.variables)])
            for got, want in zip(*results, strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-12)  # of the user's, rounding; else the bits
                if cell is not Elman:
                    np.testing.assert_array_equal(got, want)


def test_a_stack_of_cells_in_both_directions():
    def stack(**options):
        cells = [LSTMCell(3, dtype="float64"), Elman(UNITS, dtype="float64")]
        return RNN(cells, return_sequences=True, return_state=True, **options)

    layer = with_weights(Bidirectional(stack()), FEATURES)
    one, two = stack(), stack(go_backwards=True)
    weights = layer.get_weights()
    for part, values in ((one, weights[:6]), (two, weights[6:])):
        part.ensure_built((None, None, FEATURES))
        part.set_weights(values)
    x = numbers(BATCH, STEPS, FEATURES)
    states = [[numbers(BATCH, 3, seed=1), numbers(BATCH, 3, seed=2)], numbers(BATCH, UNITS, seed=3)]
    more = [[numbers(BATCH, 3, seed=4), numbers(BATCH, 3, seed=5)], numbers(BATCH, UNITS, seed=6)]
    a, *a_states = one(x, states)
    b, *b_states = two(x, more)
    flat = [*states[0], states[1], *more[0], more[1]]
    for initial in ([*states, *more], flat):
        outputs, *last = layer(x, initial)
        np.testing.assert_array_equal(outputs, np.concatenate([a, b[:, ::-1]], axis=-1))
        for got, want in zip(last, [*a_states, *b_states], strict=True):
            for g, w in zip(*((got, want) if isinstance(got, list) else ([got], [want])), strict=True):
                np.testing.assert_array_equal(g, w)
    with pytest.raises(ValueError, match=r"initial_state: expected 6 arrays, .*, got 5"):
        layer(x, flat[:5])
    with pytest.raises(TypeError, match=r"initial_state: expected a list of arrays, got 3"):
        layer(x, 3)


def test_cells_in_both_directions_keep_their_states_and_train_and_are_saved(tmp_path):
    layer = Bidirectional(RNN(Elman(UNITS), stateful=True))
    plain = Bidirectional(SimpleRNN(UNITS, stateful=True))
    with_weights(plain, FEATURES)
    layer.ensure_built((None, None, FEATURES))
    layer.set_weights(plain.get_weights())
    x = numbers(BATCH, STEPS, FEATURES, dtype="float32")
    given = [numbers(BATCH, UNITS, seed=k, dtype="float32") for k in range(2)]
    for states in (None, given):
        layer.reset_states(states)
        plain.reset_states(states)
        for _ in range(2):
            np.testing.assert_allclose(layer(x), plain(x), rtol=1e-5, atol=1e-6)

    model = Sequential([Bidirectional(RNN([GRUCell(4, seed=3, dropout=0.2), Elman(3)])), Dense(1)])
    model.compile("adam", "mse")
    model.fit(x, x[:, 0, 0], epochs=2, verbose=0)
    path = tmp_path / "model.safetensors"
    model.save(path)
    again = lstmcore.models.load_model(path, custom_objects={"Elman": Elman})
    np.testing.assert_array_equal(again(x), model(x))
    # Each direction draws masks of its own.
    seeds = [direction.cells[0].layer.seed for direction in again.layers[0].sublayers]
    assert seeds == [3, 4]


def test_a_cell_that_cannot_be_made_again_needs_a_backward_layer():
    class Odd(Elman):
        def __init__(self, function):
            super().__init__(UNITS)

    odd = Odd(object())
    with pytest.raises(TypeError, match=r"cannot be made again: .* give a backward_layer"):
        Bidirectional(RNN(odd))
    layer = Bidirectional(RNN(Odd(object())), backward_layer=RNN(Odd(object()), go_backwards=True))
    assert layer(numbers(BATCH, STEPS, FEATURES, dtype="float32")).shape == (BATCH, 2 * UNITS)


def test_kernel_info_of_cells():
    layer = Bidirectional(RNN([GRUCell(2), Elman(3, name="mine")]))
    layer.build((None, None, FEATURES))
    assert layer.kernel_info().count("gru: fused kernel") == 2
    assert layer.kernel_info().count("mine: step by step in Python, float32") == 2
