"""RNN: cells of ours run as their layers, cells of the user's step by step, with the same semantics."""

import itertools

import numpy as np
import pytest
from layer_tools import Elman, by_differences, numbers, with_weights

import lstmcore
from lstmcore import Sequential
from lstmcore.layers import (
    GRU,
    LSTM,
    RNN,
    Cell,
    Dense,
    GRUCell,
    Layer,
    LSTMCell,
    SimpleRNN,
    SimpleRNNCell,
    StackedRNNCells,
)

BATCH, STEPS, FEATURES = 4, 6, 3
MASK = np.array([[1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 1], [0, 1, 0, 1, 1, 0], [0] * 6], bool)


class Counter(Cell):
    """Two states of different widths, and an output of one: the sum of the inputs so far, times their number."""

    output_size = 1

    def __init__(self, **options):
        super().__init__(**options)
        self.state_size = [FEATURES, 1]

    def forward(self, inputs, states):
        total, count = states[0] + inputs, states[1] + 1
        return total.sum(1, keepdims=True) * count, [total, count], (total, count)

    def backward(self, saved, d_output, d_states):
        total, count = saved
        d_total = d_states[0] + d_output * count
        return d_total, [d_total, d_states[1] + d_output * total.sum(1, keepdims=True)]


def same_weights(*layers):
    """The layers, all with the random weights of the first."""
    with_weights(layers[0], FEATURES)
    for layer in layers[1:]:
        layer.ensure_built((None, None, FEATURES))
        layer.set_weights(layers[0].get_weights())
    return layers


# --- cells of ours ---


@pytest.mark.parametrize(
    ("cell", "layer", "options"),
    [
        (LSTMCell, LSTM, {}),
        (LSTMCell, LSTM, {"projection": 2, "peepholes": True}),
        (LSTMCell, LSTM, {"activation": "relu", "use_bias": False}),
        (GRUCell, GRU, {}),
        (GRUCell, GRU, {"reset_after": False}),
        (SimpleRNNCell, SimpleRNN, {}),
    ],
)
@pytest.mark.parametrize("call", [{}, {"mask": MASK}, {"lengths": [3, 6, 0, 1]}], ids=["all", "mask", "lengths"])
@pytest.mark.parametrize(
    "how",
    [{}, {"return_sequences": True}, {"return_sequences": True, "go_backwards": True}, {"zero_output_for_mask": True}],
    ids=str,
)
def test_a_cell_of_ours_is_its_layer_bit_for_bit(cell, layer, options, call, how):
    one, other = same_weights(
        layer(5, return_state=True, dtype="float64", **options, **how),
        RNN(cell(5, dtype="float64", **options), return_state=True, **how),
    )
    x = numbers(BATCH, STEPS, FEATURES)
    initial = [numbers(BATCH, n, seed=6) for n in one.state_size]
    for start in (None, initial):
        results = [list(each(x, training=True, initial_state=start, **call)) for each in (one, other)]
        d = numbers(*results[0][0].shape, seed=1)
        for each, result in zip((one, other), results, strict=True):
            result.append(each.backward(d))
        for got, want in zip(results[1], results[0], strict=True):
            np.testing.assert_array_equal(got, want)
    for got, want in zip(other.variables, one.variables, strict=True):
        np.testing.assert_array_equal(got.gradient, want.gradient)
    shape = (None, STEPS, FEATURES)
    assert other.compute_output_shape(shape) == one.compute_output_shape(shape)


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("mask", [None, MASK], ids=["all", "mask"])
def test_stacked_cells_are_stacked_layers_bit_for_bit(mask, return_sequences, go_backwards):
    cells = [LSTMCell(5, dtype="float64"), GRUCell(4, dtype="float64"), SimpleRNNCell(2, dtype="float64")]
    stacked = RNN(
        StackedRNNCells(cells), return_sequences=return_sequences, return_state=True, go_backwards=go_backwards
    )
    with_weights(stacked, FEATURES)
    layers = [
        LSTM(5, return_sequences=True, return_state=True, go_backwards=go_backwards, dtype="float64"),
        GRU(4, return_sequences=True, return_state=True, dtype="float64"),
        SimpleRNN(2, return_sequences=return_sequences, return_state=True, dtype="float64"),
    ]
    x = numbers(BATCH, STEPS, FEATURES)
    weights, at, want_states = stacked.get_weights(), x, []
    for k, layer in enumerate(layers):
        layer.ensure_built(at.shape)
        layer.set_weights(weights[3 * k : 3 * k + 3])
        here = (
            None if mask is None else mask[:, ::-1] if go_backwards and k else mask
        )  # the first has turned them round
        at, *states = layer(at, training=True, mask=here)
        want_states += states
    outputs, *got_states = stacked(x, training=True, mask=mask)
    np.testing.assert_array_equal(outputs, at)
    assert [len(group) for group in got_states] == [2, 1, 1]  # [h, c], [h], [h]
    for got, want in zip([s for group in got_states for s in group], want_states, strict=True):
        np.testing.assert_array_equal(got, want)

    d = d_stack = numbers(*outputs.shape, seed=1)
    for layer in reversed(layers):
        d = layer.backward(d)
    np.testing.assert_array_equal(stacked.backward(d_stack), d)
    gradients = [v.gradient for layer in layers for v in layer.variables]
    for variable, want in zip(stacked.variables, gradients, strict=True):
        np.testing.assert_array_equal(variable.gradient, want)
        variable.gradient[...] = 0
    # Where nobody wants the gradient of the inputs, the cells below the last still get theirs.
    stacked(x, training=True, mask=mask)
    assert stacked.backward(d_stack, need_d_inputs=False) is None
    for variable, want in zip(stacked.variables, gradients, strict=True):
        np.testing.assert_array_equal(variable.gradient, want)


def test_the_mask_goes_on_in_the_order_of_processing():
    x = numbers(BATCH, STEPS, FEATURES)
    assert RNN(GRUCell(2)).compute_mask(x, MASK) is None
    assert RNN(GRUCell(2), return_sequences=True).compute_mask(x, MASK) is MASK
    turned = RNN(GRUCell(2), return_sequences=True, go_backwards=True).compute_mask(x, MASK)
    np.testing.assert_array_equal(turned, MASK[:, ::-1])


def test_states_of_stacked_cells_flat_or_by_cell():
    layer = RNN([LSTMCell(5), GRUCell(4)], return_state=True)
    x = numbers(BATCH, STEPS, FEATURES, dtype="float32")
    assert layer.state_sizes == [5, 5, 4]
    assert StackedRNNCells(layer.cells).state_size == [[5, 5], 4]
    first, [h, c], [h2] = layer(x[:, :2])
    want = layer(x)
    for initial in ([h, c, h2], [[h, c], h2], [[h, c], [h2]], ([h.tolist(), c], (h2,))):
        outputs, (got_h, got_c), (got_h2,) = layer(x[:, 2:], initial)
        for got, expected in zip((outputs, got_h, got_c, got_h2), (want[0], *want[1], *want[2]), strict=True):
            np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(first, h2)


@pytest.mark.parametrize(
    ("cell", "layer"),
    [(LSTMCell(5), LSTM(5)), (GRUCell(5), GRU(5)), (SimpleRNNCell(5), SimpleRNN(5))],
    ids=lambda v: v.name,
)
def test_a_cell_called_step_by_step_is_the_layer(cell, layer):
    x = numbers(BATCH, STEPS, FEATURES, dtype="float32")
    layer.return_sequences = True
    cell.ensure_built(x[:, 0].shape)
    layer.ensure_built(x.shape)
    layer.set_weights(cell.get_weights())
    want = layer(x)
    states = [np.zeros((BATCH, n), "float32") for n in cell.state_sizes]
    for t in range(STEPS):
        output, states = cell(x[:, t], states)
        np.testing.assert_array_equal(output, want[:, t])
        assert output.shape == cell.compute_output_shape((BATCH, FEATURES))


def test_dropout_belongs_to_the_cell():
    cell = GRUCell(5, dropout=0.3, recurrent_dropout=0.2, seed=4)
    one, other = same_weights(GRU(5, dropout=0.3, recurrent_dropout=0.2, seed=4), RNN(cell))
    x = numbers(BATCH, STEPS, FEATURES, dtype="float32")
    np.testing.assert_array_equal(other(x, training=True), one(x, training=True))
    np.testing.assert_array_equal(other(x), one(x))


# --- cells of ours, called by themselves in training ---


def steps_of(cell, x, training=True):
    """The outputs of a cell called step by step, from states of zeros."""
    states = [np.zeros((len(x), n), x.dtype) for n in cell.state_sizes]
    outputs = []
    for t in range(x.shape[1]):
        output, states = cell(x[:, t], states, training=training)
        outputs.append(output)
    return np.stack(outputs, axis=1)


@pytest.mark.parametrize(
    "rates", [{"dropout": 0.4}, {"recurrent_dropout": 0.4}, {"dropout": 0.4, "recurrent_dropout": 0.3}]
)
@pytest.mark.parametrize(
    ("kind", "layer"),
    [
        (LSTMCell, LSTM),
        (GRUCell, GRU),
        (SimpleRNNCell, SimpleRNN),
        (lambda n, **o: LSTMCell(n, projection=3, **o), lambda n, **o: LSTM(n, projection=3, **o)),
    ],
)
def test_a_cell_in_training_drops_what_the_layer_drops(kind, layer, rates):
    """The masks are drawn once, as for a batch of the layer."""
    one = with_weights(layer(5, return_sequences=True, seed=4, **rates), FEATURES)
    cell = kind(5, seed=4, **rates)
    cell.ensure_built((None, FEATURES))
    cell.set_weights(one.get_weights())
    x = numbers(BATCH, STEPS, FEATURES, dtype="float32")
    plain = one(x)
    np.testing.assert_array_equal(steps_of(cell, x, training=False), plain)
    first = one(x, training=True)
    assert (first != plain).any()
    for _ in range(2):  # the masks stay
        np.testing.assert_array_equal(steps_of(cell, x), first)
    np.testing.assert_array_equal(steps_of(cell, x, training=False), plain)
    cell.reset_dropout_mask()
    cell.reset_recurrent_dropout_mask()
    np.testing.assert_array_equal(steps_of(cell, x), one(x, training=True))  # those of the second batch


def test_each_mask_is_drawn_again_by_itself():
    """A cell without activation that adds up inputs and state shows the masks of both."""
    cell = SimpleRNNCell(8, None, dropout=0.5, recurrent_dropout=0.5, seed=2)
    ones = np.ones((BATCH, 8), "float32")
    cell.ensure_built(ones.shape)
    cell.set_weights([np.eye(8), 10 * np.eye(8), np.zeros(8)])

    def masks():
        shown, _ = cell(ones, [ones], training=True)
        return shown % 10, shown // 10

    before = masks()
    assert set(np.unique(before)) == {0, 2}
    cell.reset_dropout_mask()
    of_inputs, of_state = masks()
    assert (of_inputs != before[0]).any()
    np.testing.assert_array_equal(of_state, before[1])
    cell.reset_recurrent_dropout_mask()
    again = masks()
    np.testing.assert_array_equal(again[0], of_inputs)
    assert (again[1] != of_state).any()
    for other in (ones[:2], np.ones((BATCH + 1, 8), "float32")):
        with pytest.raises(ValueError, match=rf"expected {BATCH} rows, for which .* reset_dropout_mask\(\)"):
            cell(other, [other], training=True)
        cell(other, [other])  # only training has masks
    cell.reset_dropout_mask()
    cell.reset_recurrent_dropout_mask()
    cell(ones[:2], [ones[:2]], training=True)


def test_zoneout_of_a_cell_is_drawn_at_every_step():
    cell = GRUCell(200, zoneout=0.5, seed=3)
    x, h = numbers(1, FEATURES, dtype="float32"), numbers(1, 200, dtype="float32")
    kept = [cell(x, [h], training=True)[0] == h for _ in range(2)]
    for share in kept:
        assert abs(share.mean() - 0.5) < 3 * np.sqrt(0.25 / 200)  # three standard deviations
    assert (kept[0] != kept[1]).any()
    assert not (cell(x, [h])[0] == h).any()  # mixed


def test_the_masks_of_a_cell_are_not_those_of_its_rnn():
    cell = GRUCell(5, dropout=0.3, seed=4)
    one, other = same_weights(GRU(5, dropout=0.3, seed=4), RNN(cell, return_sequences=True))
    x = numbers(BATCH, STEPS, FEATURES, dtype="float32")
    np.testing.assert_array_equal(other(x, training=True)[:, -1], one(x, training=True))
    h = np.zeros((BATCH, 5), "float32")
    output, _ = cell(x[:, 0], [h], training=True)
    assert output.shape == h.shape  # whatever the RNN returns
    one(x, training=True)
    np.testing.assert_array_equal(other(x, training=True)[:, -1], one(x, training=True))


# --- cells of the user's ---


def test_a_cell_of_the_users_is_told_of_training_if_it_asks():
    class Told(Cell):
        state_size = FEATURES

        def forward(self, inputs, states, training=False):
            h = inputs + (1 if training else 2)
            return h, [h], None

    x = np.zeros((BATCH, STEPS, FEATURES), "float32")
    cell, layer = Told(), RNN(Told())
    for training, want in ((True, 1), (False, 2), (None, 2)):
        assert (cell(x[:, 0], [x[:, 0]], training=training)[0] == want).all()
        assert (layer(x, training=training) == want).all()
    # One that does not ask is run all the same.
    np.testing.assert_array_equal(
        *(Counter(dtype="float64")(numbers(2, 3), [numbers(2, 3), numbers(2, 1)], training=t)[0] for t in (True, False))
    )


@pytest.mark.parametrize("call", [{}, {"mask": MASK}, {"lengths": [3, 6, 0, 1]}], ids=["all", "mask", "lengths"])
@pytest.mark.parametrize(
    "how",
    [
        dict(zip(("return_sequences", "go_backwards", "zero_output_for_mask"), flags, strict=True))
        for flags in itertools.product([False, True], repeat=3)
    ],
    ids=str,
)
def test_simple_rnn_as_a_cell_of_the_users(call, how):
    layer, users = same_weights(
        SimpleRNN(5, return_state=True, dtype="float64", **how),
        RNN(Elman(5, dtype="float64"), return_state=True, **how),
    )
    x = numbers(BATCH, STEPS, FEATURES)
    if "mask" in call:
        x[~MASK] = np.nan  # never looked at
    for initial in (None, [numbers(BATCH, 5, seed=9)]):
        want, got = (each(x, training=True, initial_state=initial, **call) for each in (layer, users))
        # float64: 1e-16 over some ten terms and the 6 steps.
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
        d = numbers(*want[0].shape, seed=1)
        np.testing.assert_allclose(users.backward(d), layer.backward(d), rtol=1e-11, atol=1e-13)
    for a, b in zip(users.variables, layer.variables, strict=True):
        np.testing.assert_allclose(a.gradient, b.gradient, rtol=1e-11, atol=1e-13, err_msg=b.path)


def test_states_and_outputs_of_different_widths():
    layer = RNN(Counter(dtype="float64"), return_sequences=True, return_state=True)
    x = numbers(BATCH, STEPS, FEATURES)
    outputs, total, count = layer(x)
    np.testing.assert_allclose(outputs[..., 0], x.cumsum(1).sum(2) * np.arange(1, STEPS + 1), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(total, x.sum(1), rtol=1e-12, atol=1e-14)
    assert (count == STEPS).all()
    assert layer.compute_output_shape((None, STEPS, FEATURES)) == ((None, STEPS, 1), (None, FEATURES), (None, 1))
    masked, _, count = layer(x, mask=MASK)
    assert count.ravel().tolist() == MASK.sum(1).tolist()
    assert (masked[0, 3:] == masked[0, 2]).all()
    d = numbers(BATCH, STEPS, 1)
    layer(x, training=True, mask=MASK)
    got = layer.backward(d)
    want = by_differences(lambda: (layer(x, mask=MASK)[0] * d).sum(), x)
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-8)


def test_a_model_of_mixed_cells_by_differences():
    model = Sequential(
        [
            RNN(
                [LSTMCell(3, dtype="float64"), Elman(2, dtype="float64"), GRUCell(3, dtype="float64")],
                return_sequences=True,
                input_shape=(None, FEATURES),
            ),
            RNN(Elman(2, dtype="float64"), go_backwards=True),
            Dense(1, dtype="float64"),
        ]
    )
    assert model.output_shape == (None, 1)
    x, d = numbers(BATCH, STEPS, FEATURES), numbers(BATCH, 1)
    model.run(x, True, MASK)
    model.backward(d)

    def loss():
        return (model.run(x, mask=MASK)[0] * d).sum()

    np.testing.assert_allclose(model.parameters.gradients, by_differences(loss, model.parameters), rtol=1e-6, atol=1e-9)


def test_training_with_a_cell_of_the_users_is_training_with_the_layer():
    x, y = numbers(20, STEPS, FEATURES), numbers(20, 1)
    results = []
    for layer in (SimpleRNN(5, dtype="float64"), RNN(Elman(5, dtype="float64"))):
        lstmcore.utils.set_random_seed(2)
        model = Sequential([layer, Dense(1, dtype="float64")])
        model.compile("adam", "mse")
        model.fit(x, y, epochs=3, batch_size=8, verbose=0)
        results.append(model.get_weights())
    for got, want in zip(*results, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)  # nine steps of Adam after 1e-16


def test_a_cell_without_backward_runs_but_does_not_train():
    class Sum(Cell):
        state_size = FEATURES

        def forward(self, inputs, states):
            h = states[0] + inputs
            return h, [h], None

    layer, x = RNN(Sum()), numbers(BATCH, STEPS, FEATURES, dtype="float32")
    np.testing.assert_allclose(layer(x), x.sum(1), rtol=1e-5, atol=1e-6)
    layer(x, training=True)
    with pytest.raises(NotImplementedError, match="to train with this cell, define its backward"):
        layer.backward(x[:, 0])
    with pytest.raises(NotImplementedError, match="a cell defines forward"):
        RNN(type("Empty", (Cell,), {"state_size": 1})())(x)


# --- bad input ---


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: RNN([]), ValueError, "cells: expected at least one"),
        (lambda: RNN([LSTMCell(2), LSTM(2)]), ValueError, "cells: expected cells, got <LSTM"),
        (lambda: StackedRNNCells(["gru"]), ValueError, "cells: expected cells, got 'gru'"),
        (lambda: LSTMCell(2, return_sequences=True), TypeError, "'return_sequences'; it belongs to RNN"),
        (lambda: GRUCell(2, stateful=False), TypeError, "'stateful'; it belongs to RNN"),
        (lambda: SimpleRNNCell(2, go_backwards=True), TypeError, "'go_backwards'; it belongs to RNN"),
        (lambda: LSTMCell(2, zero_output_for_mask=True), TypeError, "'zero_output_for_mask'; it belongs to RNN"),
        (lambda: GRUCell(2, use_bias="no"), TypeError, "use_bias: expected True or False, got 'no'"),
        (
            lambda: RNN(GRUCell(2), go_backwards="yes"),
            TypeError,
            "RNN: go_backwards: expected True or False, got 'yes'",
        ),
        (
            lambda: RNN(GRUCell(2), return_sequences=1),
            TypeError,
            "RNN: return_sequences: expected True or False, got 1",
        ),
        (lambda: RNN(GRUCell(2), return_state=None), TypeError, "RNN: return_state: expected True or False, got None"),
        (lambda: RNN(GRUCell(2), stateful="a"), TypeError, "RNN: stateful: expected True or False, got 'a'"),
        (lambda: RNN(GRUCell(2), zero_output_for_mask=0), TypeError, "RNN: zero_output_for_mask: expected True or"),
        (lambda: LSTMCell(0), ValueError, "units: expected a positive integer, got 0"),
        (lambda: GRUCell(2, no_such_thing=1), TypeError, "no_such_thing"),
        (lambda: RNN(GRUCell(2), no_such_thing=1), TypeError, "no_such_thing"),
        (lambda: RNN(GRUCell(2), time_major=True), NotImplementedError, "time_major=True"),
        (
            lambda: RNN([GRUCell(2), GRUCell(2, dtype="float64")]),
            ValueError,
            "layer: expected dtype float32, got float64",
        ),
    ],
)
def test_wrong_arguments_are_named(make, error, text):
    with pytest.raises(error, match=text):
        make()


@pytest.mark.parametrize("cell", [lambda: GRUCell(2), lambda: Elman(2)], ids=["ours", "the user's"])
def test_wrong_calls_are_named(cell):
    layer = RNN(cell())
    x, h = numbers(3, 4, 5, dtype="float32"), np.zeros((3, 2), "float32")
    with pytest.raises(ValueError, match=r"expected shape \(batch, steps, features\), got \(3, 5\)"):
        layer(x[:, 0])
    with pytest.raises(ValueError, match=r"initial_state: expected the states .*, got 2 arrays"):
        layer(x, initial_state=[h, h])
    for mask in (np.ones((3, 5), bool), np.ones((3, 4), int)):
        with pytest.raises((ValueError, TypeError), match="mask: expected"):
            layer(x, mask=mask)
    for lengths in ([1, 2], [1, 2, 5], [1, 2, -1]):
        with pytest.raises(ValueError, match="lengths: expected"):
            layer(x, lengths=lengths)
    layer(x)
    with pytest.raises(RuntimeError, match="training=True"):
        layer.backward(h)


@pytest.mark.parametrize("kind", [GRUCell, Elman])
def test_calls_of_a_cell_itself_are_checked(kind):
    cell = kind(2, name="it")
    x, h = numbers(3, 5, dtype="float32"), np.zeros((3, 2), "float32")
    with pytest.raises(ValueError, match=r"it: inputs: expected shape \(batch, features\), got \(3, 5, 1\)"):
        cell(x[..., None], [h])
    assert not cell.built
    cell(x, [h])
    with pytest.raises(ValueError, match=r"it: inputs: expected 5 features, .* got shape \(3, 4\)"):
        cell(x[:, :4], [h])
    with pytest.raises(TypeError, match="it: training: expected True or False, got 'yes'"):
        cell(x, [h], training="yes")
    with pytest.raises(TypeError, match="unexpected keyword argument 'mask'"):
        cell(x, [h], mask=None)


# --- what a cell begins with ---


class Learned(Elman):
    """Begins with a state that is a weight."""

    def build(self, input_shape):
        super().build(input_shape)
        self.first = self.add_weight("first", (1, self.units), "ones")

    def get_initial_state(self, batch_size=None):
        return np.repeat(self.first.value, batch_size, axis=0)

    def backward_initial_state(self, d_states):
        self.first.gradient += d_states[0].sum(0, keepdims=True)


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("call", [{}, {"mask": MASK}], ids=["all", "mask"])
def test_a_cell_says_what_its_states_begin_with(call, go_backwards):
    layer = RNN(Learned(5, dtype="float64"), go_backwards=go_backwards)
    plain = RNN(Elman(5, dtype="float64"), go_backwards=go_backwards)
    with_weights(layer, FEATURES)
    plain.ensure_built((None, None, FEATURES))
    *weights, first = layer.get_weights()
    plain.set_weights(weights)
    x = numbers(BATCH, STEPS, FEATURES)
    start = np.repeat(first, BATCH, axis=0)
    np.testing.assert_array_equal(layer.get_initial_state(BATCH), [start])
    np.testing.assert_array_equal(layer(x, **call), plain(x, start, **call))
    given = numbers(BATCH, 5, seed=3)
    np.testing.assert_array_equal(layer(x, given, **call), plain(x, given, **call))
    # What was given is no weight.
    layer(x, given, training=True)
    layer.backward(np.ones((BATCH, 5)))
    assert not layer.variables[-1].gradient.any()
    for variable in layer.variables:
        variable.gradient.fill(0)

    def loss():
        return layer(x, **call).sum()

    layer(x, training=True, **call)
    d_inputs = layer.backward(np.ones((BATCH, 5)))
    np.testing.assert_allclose(d_inputs, by_differences(loss, x), rtol=1e-6, atol=1e-8)
    for variable in layer.variables:
        want = by_differences(loss, variable)
        np.testing.assert_allclose(variable.gradient, want, rtol=1e-6, atol=1e-8, err_msg=variable.path)


def test_so_do_cells_and_layers_of_ours_that_a_user_has_changed():
    def ones(self, batch_size=None):
        return [np.ones((batch_size, 5), "float32")] * len(self.state_sizes)

    x = numbers(BATCH, STEPS, FEATURES, dtype="float32")
    for cell, layer in ((LSTMCell, LSTM), (GRUCell, GRU), (SimpleRNNCell, SimpleRNN)):
        changed_cell = RNN(type("Changed", (cell,), {"get_initial_state": ones})(5), return_sequences=True)
        changed_layer = type("Changed", (layer,), {"get_initial_state": ones})(5, return_sequences=True)
        changed_rnn = type("Changed", (RNN,), {"get_initial_state": ones})(cell(5), return_sequences=True)
        plain = layer(5, return_sequences=True)
        same_weights(plain, changed_cell, changed_layer, changed_rnn)
        want = plain(x, ones(plain, BATCH))
        np.testing.assert_array_equal(changed_cell(x), want)
        np.testing.assert_array_equal(changed_layer(x), want)
        np.testing.assert_array_equal(changed_rnn(x), want)
        np.testing.assert_array_equal(changed_rnn(x, training=True), want)
        np.testing.assert_array_equal(
            changed_rnn.backward(np.ones_like(want)),
            (plain(x, ones(plain, BATCH), training=True), plain.backward(np.ones_like(want)))[1],
        )
        for changed in (changed_cell, changed_layer, changed_rnn):
            stream = Sequential([lstmcore.Input(shape=(None, FEATURES)), changed]).stream(BATCH)
            for _ in range(2):
                np.testing.assert_array_equal(stream(x[:, 0]), want[:, 0])
                np.testing.assert_array_equal(stream(x[:, 1]), want[:, 1])
                stream.reset()


def test_a_stack_begins_with_what_each_of_its_cells_says():
    layer = RNN([Elman(2, dtype="float64"), Learned(3, dtype="float64"), LSTMCell(2, dtype="float64")])
    with_weights(layer, FEATURES)
    first = layer.cells[1].first.value
    states = layer.get_initial_state(BATCH)
    assert [np.shape(s) for s in states] == [(BATCH, 2), (BATCH, 3), (2, BATCH, 2)]
    x = numbers(BATCH, STEPS, FEATURES)
    start = [np.zeros((BATCH, 2)), np.repeat(first, BATCH, axis=0), [np.zeros((BATCH, 2))] * 2]
    np.testing.assert_array_equal(layer(x), layer(x, start))
    assert (layer(x) != layer(x, [start[0], 0 * start[1], start[2]])).any()


def test_a_wrong_initial_state_of_a_cell_is_named():
    for wrong, text in (
        (np.zeros((BATCH, 4)), r"get_initial_state: expected state 0 of shape \(4, 5\), got \(4, 4\)"),
        ([np.zeros((BATCH, 5))] * 2, "get_initial_state: expected the states 0, got 2 arrays"),
    ):
        cell = type("Wrong", (Elman,), {"get_initial_state": lambda self, batch_size, wrong=wrong: wrong})(5)
        with pytest.raises(ValueError, match=text):
            RNN(cell)(numbers(BATCH, STEPS, FEATURES, dtype="float32"))


def test_a_step_that_a_user_has_changed_is_the_one_that_runs():
    class Doubled(GRUCell):
        def forward(self, inputs, states, training=False):
            h, states, saved = super().forward(inputs, states, training)
            return 2 * h, states, saved

    plain, doubled = same_weights(RNN(GRUCell(5), return_sequences=True), RNN(Doubled(5), return_sequences=True))
    x = numbers(BATCH, STEPS, FEATURES, dtype="float32")
    # The step by itself and within the layer may add up in another order: 6e-8 over ten terms and 6 steps.
    np.testing.assert_allclose(doubled(x), 2 * plain(x), rtol=1e-5, atol=1e-6)


# --- states as Keras has them ---


@pytest.mark.parametrize("cell", [lambda: GRUCell(5), lambda: Elman(5)], ids=["ours", "the user's"])
def test_a_single_state_may_come_bare(cell):
    layer = RNN(cell())
    x, h = numbers(BATCH, STEPS, FEATURES, dtype="float32"), numbers(BATCH, 5, dtype="float32")
    want = layer(x, initial_state=[h])
    assert (want != layer(x)).any()
    for given in (h, (h,), [[h]], h[None], h.tolist(), h.astype("float64")):
        np.testing.assert_array_equal(layer(x, initial_state=given), want)


@pytest.mark.parametrize(
    ("cell", "shapes", "size"),
    [
        (lambda: LSTMCell(5), [(None, 5), (None, 5)], [5, 5]),
        (lambda: GRUCell(5), [(None, 5)], [5]),
        (lambda: Elman(5), [(None, 5)], [5]),
        (lambda: Counter(), [(None, FEATURES), (None, 1)], [FEATURES, 1]),
        (lambda: [LSTMCell(5)], [[(None, 5), (None, 5)]], [[5, 5]]),
        (lambda: [LSTMCell(5), GRUCell(4)], [[(None, 5), (None, 5)], [(None, 4)]], [[5, 5], 4]),
        (lambda: [Elman(FEATURES), Counter()], [(None, FEATURES), [(None, FEATURES), (None, 1)]], [3, [3, 1]]),
    ],
)
def test_states_are_nested_as_keras_nests_them(cell, shapes, size):
    def shapes_of(states):
        return [shapes_of(s) if isinstance(s, list) else (None, *s.shape[1:]) for s in states]

    for return_sequences in (False, True):
        layer = RNN(cell(), return_state=True, return_sequences=return_sequences)
        outputs, *states = layer(numbers(BATCH, STEPS, FEATURES, dtype="float32"))
        assert shapes_of(states) == shapes
        assert shapes_of(layer.get_initial_state(BATCH)) == shapes
        assert layer.state_size == size
        shape = layer.compute_output_shape((None, STEPS, FEATURES))
        assert shape == ((None, *outputs.shape[1:]), *shapes)


def test_inputs_of_another_width_than_a_cell_was_built_for_are_named():
    layer = RNN([Elman(2, name="low"), Elman(3, name="high")])
    x = numbers(3, 4, 5, dtype="float32")
    layer(x)
    for wrong in (x[..., :4], np.concatenate([x, x], axis=-1)):
        with pytest.raises(
            ValueError, match=rf"low: inputs: expected 5 features, .* got shape \(3, 4, {wrong.shape[2]}\)"
        ):
            layer(wrong)
    with pytest.raises(ValueError, match=r"expected shape \(batch, steps, features\), got \(3, 5\)"):
        layer(x[:, 0])


def test_a_cell_that_returns_too_few_states_is_named():
    class Forgetful(Cell):
        state_size = (2, 2)

        def forward(self, inputs, states):
            return states[0], states[:1], None

    with pytest.raises(ValueError, match="forgetful: forward: expected 2 new states, got 1"):
        RNN(Forgetful(name="forgetful"))(numbers(3, 4, 5, dtype="float32"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda x, h: h[0], r"expected to return \(output, new_states, saved\), got ndarray"),
        (lambda x, h: (h[0], h), r"expected to return \(output, new_states, saved\), got 2 values"),
        (lambda x, h: (h[0], h[0], None), r".*, the second a list of arrays, got ndarray"),
        (lambda x, h: (h[0][:, :1], h, None), r"output: expected shape \(3, 2\), got \(3, 1\)"),
        (lambda x, h: (h[0], [h[0], h[1][:, :1]], None), r"new state 1: expected shape \(3, 2\), got \(3, 1\)"),
        (lambda x, h: (h[0], [h[0], 0.0], None), r"new state 1: expected shape \(3, 2\), got \(\)"),
    ],
)
def test_a_step_that_returns_something_else_is_named(given, message):
    class Wrong(Cell):
        state_size = (2, 2)

        def forward(self, inputs, states):
            return given(inputs, states)

    x = numbers(3, 4, 5, dtype="float32")
    with pytest.raises(ValueError, match="^wrong: forward: " + message):
        RNN(Wrong(name="wrong"))(x)
    with pytest.raises(ValueError, match="^wrong: forward: " + message):
        Wrong(name="wrong")(x[:, 0], [np.zeros((3, 2)), np.zeros((3, 2))])
    model = Sequential([RNN(Wrong(name="wrong"), input_shape=(None, 5))])
    with pytest.raises(ValueError, match="^wrong: forward: " + message.replace("(3,", "(1,")):
        model.stream()(x[:1, 0])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda d, ds: d, r"expected to return \(d_inputs, d_prior_states\), got ndarray"),
        (lambda d, ds: (d, ds[0]), r".*, the second a list of arrays, got ndarray"),
        (lambda d, ds: (d, []), "expected 1 gradients of prior states, got 0"),
        (lambda d, ds: (d[:, :1], ds), r"d_inputs: expected shape \(3, 2\), got \(3, 1\)"),
        (lambda d, ds: (d, [ds[0].sum(0)]), r"gradient of prior state 0: expected shape \(3, 2\), got \(2,\)"),
    ],
)
def test_a_backward_step_that_returns_something_else_is_named(given, message):
    class Wrong(Cell):
        state_size = 2

        def forward(self, inputs, states):
            return inputs, [inputs], None

        def backward(self, saved, d_output, d_states):
            return given(d_output, d_states)

    layer = RNN(Wrong(name="wrong"))
    with pytest.raises(ValueError, match="^wrong: backward: " + message):
        layer.backward(layer(numbers(3, 4, 2, dtype="float32"), training=True))


def test_widths_of_the_states_are_asked_for_where_the_cell_is_given():
    class Plain(Cell):
        def forward(self, inputs, states):
            return inputs, [inputs], None

    with pytest.raises(ValueError, match=r"^plain: state_size: expected the width of the states, or a list"):
        RNN(Plain(name="plain"))
    for wrong in (0, -1, [3, 0]):
        cell = Plain(name="plain")
        cell.state_size = wrong
        with pytest.raises(ValueError, match=r"^plain: state_size: expected a positive integer"):
            RNN(cell)
    cell = Plain(name="plain")
    cell.state_size = np.int64(5)
    assert RNN(cell)(numbers(3, 4, 5)).shape == (3, 5)


def test_a_cell_as_keras_has_it_is_told_what_a_cell_is_here():
    with pytest.raises(TypeError, match=r"Mine: make it a layers.Cell, whose call\(inputs, states\) an RNN runs"):
        type("Mine", (Layer,), {"call": lambda self, inputs, states: None})


def test_unroll_is_accepted_and_has_no_effect():
    one, other = same_weights(RNN(GRUCell(3)), RNN(GRUCell(3), unroll=True))
    x = numbers(BATCH, STEPS, FEATURES, dtype="float32")
    np.testing.assert_array_equal(one(x), other(x))


def test_a_stateful_layer_begins_anew_with_what_its_cell_says():
    layer = with_weights(RNN(Learned(5), stateful=True), FEATURES)
    x = numbers(BATCH, STEPS, FEATURES, dtype="float32")
    first, second = layer(x), layer(x)
    assert (first != second).any()
    layer.reset_state()
    np.testing.assert_array_equal(layer(x), first)
    np.testing.assert_array_equal(layer(x), second)
