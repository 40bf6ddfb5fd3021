"""The NumPy reference: its gradients are those of its forward pass, in float64, and its numbers those of the papers."""

import inspect
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from problems import (
    MIN_AND_SLSTM,
    OPTIONS,
    gates,
    has_recurrent_kernel,
    possible_state,
    possible_zoneout,
    state_names,
    weight_shapes,
    whole_heads,
)

from lstmcore import functional, reference
from lstmcore._options import ACTIVATIONS, GRUOptions, LSTMOptions, RNNOptions, SLSTMOptions, Zoneout
from lstmcore.activations import piecewise, smooth
from lstmcore.reference import activations, sequences

NAMES = [cell + direction for cell in OPTIONS for direction in ("", "_backward")]
CELLS = [LSTMOptions(), GRUOptions(), GRUOptions(reset_after=False), RNNOptions(), *MIN_AND_SLSTM.values()]
CELL_IDS = ["lstm", "gru", "gru reset before", "rnn", *MIN_AND_SLSTM]
OF_ONE_STATE = [options for options in CELLS if len(state_names(options)) == 1]

BATCH, STEPS, INPUTS, UNITS, PROJECTED = 4, 5, 2, 3, 2
LENGTHS = np.array([3, 0, 5, 1])
MASK = np.array([[0, 1, 0, 0, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [1, 0, 1, 1, 0]], bool)


@dataclass
class Case:
    """A call of a cell's function: random weights, inputs and gradients from outside, float64, from a seed."""

    options: object
    bias: bool = True
    state: bool = True
    sequences: bool = True
    dropout: str = ""  # or "shared" or "per gate"
    recurrent_dropout: str = ""
    scale: float = 1.0  # of the weights
    seed: int = 0
    arguments: dict = field(default_factory=dict)

    def __post_init__(self):
        rng = np.random.default_rng(self.seed)

        def normal(*shape):
            return rng.standard_normal(shape)

        def mask(kind, width):
            shape = {"shared": (BATCH, width), "per gate": (gates(self.options), BATCH, width)}[kind]
            return (rng.random(shape) < 0.6) / 0.6

        units = whole_heads(self.options, UNITS)
        outputs = PROJECTED if getattr(self.options, "projection", False) else units
        shapes = weight_shapes(self.options, INPUTS, units, outputs)
        self.weights = [self.scale * normal(*shape) for name, shape in shapes.items() if self.bias or name != "bias"]
        self.widths = (outputs, units, units, units)[: len(state_names(self.options))]
        self.x = normal(BATCH, STEPS, INPUTS)
        self.initial = None
        if self.state:
            self.initial = possible_state(self.options, [normal(BATCH, width) for width in self.widths])
        self.dy = normal(BATCH, STEPS, outputs) if self.sequences else normal(BATCH, outputs)
        self.d_state = [normal(BATCH, width) for width in self.widths]
        self.keywords = {"options": self.options, "return_sequences": self.sequences, **self.arguments}
        if self.dropout:
            self.keywords["dropout_mask"] = mask(self.dropout, INPUTS)
        if self.recurrent_dropout and has_recurrent_kernel(self.options):
            self.keywords["recurrent_dropout_mask"] = mask(self.recurrent_dropout, outputs)

    def forward(self, **more):
        """Outputs, the arrays of the state, whatever follows."""
        initial = self.initial
        if initial is not None and len(self.widths) == 1:
            (initial,) = initial
        forward = getattr(reference, self.options.cell)
        y, state, *cache = forward(self.x, self.weights, initial, **(self.keywords | more))
        return y, state if len(self.widths) > 1 else (state,), *cache

    def backward(self, cache, **more):
        """The gradients of inputs, weights and, if there is one, initial state."""
        backward = getattr(reference, f"{self.options.cell}_backward")
        d_state = self.d_state if len(self.widths) > 1 else self.d_state[0]
        dx, d_weights, d_initial = backward(cache, self.dy, d_state, **more)
        if d_initial is not None and len(self.widths) == 1:
            d_initial = (d_initial,)
        return dx, d_weights, d_initial

    def loss(self):
        y, state = self.forward()
        return (y * self.dy).sum() + sum((s * d).sum() for s, d in zip(state, self.d_state, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_reference_and_functional_take_the_same_arguments(name):
    ours, theirs = (inspect.signature(getattr(m, name)).parameters for m in (functional, reference))
    assert [(p.name, p.kind, p.default) for p in ours.values()] == [
        (p.name, p.kind, p.default)
        for p in theirs.values()
        if p.name != "precision"  # `functional`'s weights have it
    ]


@pytest.mark.parametrize("name", NAMES)
def test_all_cells_take_the_same_arguments(name):
    several_states, backward = "lstm" in name and "min" not in name, "_backward" * name.endswith("_backward")
    like = getattr(reference, ("lstm" if several_states else "gru") + backward)
    ours, theirs = (
        [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]
        for function in (getattr(reference, name), like)
    )
    absent = ("recurrent_dropout_mask", "precision") if "min" in name else ("precision",) if "slstm" in name else ()
    assert ours == [p for p in theirs if p[0] not in absent]


# Gradients


def every_way_to_call(options):
    """The arguments that all cells share, one or two at a time."""
    zoned = {"zoneout": possible_zoneout(options, Zoneout(0.4, 0.3, seed=7))}
    return {
        "plain": Case(options),
        "last output": Case(options, sequences=False),
        "no bias": Case(options, bias=False),
        "no state": Case(options, state=False),
        "neither": Case(options, bias=False, state=False, sequences=False),
        "dropout": Case(options, dropout="shared", recurrent_dropout="shared"),
        "dropout per gate": Case(options, dropout="per gate"),
        "recurrent dropout per gate": Case(options, recurrent_dropout="per gate"),
        "zoneout": Case(options, arguments=zoned),
        "lengths": Case(options, arguments={"lengths": LENGTHS}),
        "lengths, last output": Case(options, sequences=False, arguments={"lengths": LENGTHS}),
        "mask": Case(options, arguments={"mask": MASK}),
        "mask, last output": Case(options, sequences=False, arguments={"mask": MASK}),
        "mask, zero outputs": Case(options, arguments={"mask": MASK, "zero_output_for_mask": True}),
        "backwards": Case(options, arguments={"go_backwards": True}),
        "backwards, lengths": Case(options, arguments={"go_backwards": True, "lengths": LENGTHS}),
        "backwards, mask": Case(options, arguments={"go_backwards": True, "mask": MASK}),
        "backwards, mask, last output": Case(
            options, sequences=False, arguments={"go_backwards": True, "mask": MASK, **zoned}
        ),
        "everything": Case(
            options,
            dropout="per gate",
            recurrent_dropout="per gate",
            arguments={"go_backwards": True, "mask": MASK, **zoned},
        ),
    }


def cases():
    for options, name in zip(CELLS, CELL_IDS, strict=True):
        for way, case in every_way_to_call(options).items():
            yield f"{name}, {way}", case
    variants = {
        "peepholes": {"peepholes": True},
        "no input gate": {"input_gate": False},
        "no forget gate": {"forget_gate": False},
        "no output gate": {"output_gate": False},
        "coupled": {"coupled": True},
        "no input activation": {"input_activation": False},
        "no output activation": {"output_activation": False},
        "projection": {"projection": True},
        "layer norm": {"layer_norm": True},
        "no gates": {"input_gate": False, "forget_gate": False, "output_gate": False},
        "peepholes, no input gate": {"peepholes": True, "input_gate": False},
        "peepholes, no forget gate": {"peepholes": True, "forget_gate": False},
        "peepholes, no output gate": {"peepholes": True, "output_gate": False},
        "peepholes, coupled": {"peepholes": True, "coupled": True},
        "all": {"peepholes": True, "projection": True, "layer_norm": True},
        "all, coupled": {"peepholes": True, "projection": True, "layer_norm": True, "coupled": True},
    }
    for name, flags in variants.items():
        yield f"lstm, {name}", Case(LSTMOptions(**flags))
    everything = LSTMOptions(peepholes=True, projection=True, layer_norm=True)
    for way, case in every_way_to_call(everything).items():
        yield f"lstm, all, {way}", case
    for way, case in every_way_to_call(GRUOptions(layer_norm=True)).items():
        yield f"gru, layer norm, {way}", case
    # Weights large enough for the flat parts of hard_sigmoid and relu. Of these seeds no value lies within a step
    # of a kink.
    yield "lstm, all, silu", Case(replace(everything, activation="silu", recurrent_activation="silu"))
    # silu's derivative needs its input, softmax's the whole row.
    for name in (*ACTIVATIONS, "silu", "softmax"):
        yield f"lstm, activation {name}", Case(LSTMOptions(activation=name))
        yield f"lstm, recurrent {name}", Case(LSTMOptions(recurrent_activation=name), scale=1.5)
        yield f"gru, activation {name}", Case(GRUOptions(activation=name))
        yield f"gru, recurrent {name}", Case(GRUOptions(recurrent_activation=name), scale=1.5)
        yield f"gru reset before, activation {name}", Case(GRUOptions(reset_after=False, activation=name))
        yield f"rnn, activation {name}", Case(RNNOptions(activation=name), scale=1.5 if name == "hard_sigmoid" else 1)

    # Of these seeds some sums lie beyond the limit, and none within a step of it.
    for name, options in {
        "lstm, clip": LSTMOptions(clip=0.7, peepholes=True),
        "lstm, clip, coupled": LSTMOptions(clip=0.7, coupled=True),
        "lstm, clip, all": replace(everything, clip=0.5, activation="softplus"),
        "lstm, clip, no input activation": LSTMOptions(clip=0.7, input_activation=False),
        "gru, clip": GRUOptions(clip=0.5),
        "gru reset before, clip": GRUOptions(reset_after=False, clip=0.5),
        "rnn, clip": RNNOptions(clip=0.7),
        "lstm, three activations": LSTMOptions(
            piecewise.LeakyReLU(0.3), smooth.ScaledTanh(1.2, 0.6), output_activation="elu"
        ),
        "lstm, no activation of the candidate": LSTMOptions(smooth.ELU(0.6), input_activation=False),
        "gru, two activations": GRUOptions(True, piecewise.Threshold(0.1, 0.2), piecewise.HardSigmoid(0.3, 0.4)),
        "rnn, affine": RNNOptions(piecewise.Affine(0.8, -0.1)),
    }.items():
        yield name, Case(options, scale=1.5)


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in cases()])
def test_gradients_by_finite_differences(case):
    dx, d_weights, d_initial = case.backward(case.forward(training=True)[2])
    assert (d_initial is None) == (case.initial is None)
    arrays = [case.x, *case.weights, *(case.initial or [])]
    step = 2e-6
    for array, gradient in zip(arrays, [dx, *d_weights, *(d_initial or [])], strict=True):
        want = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            old, losses = array[index], []
            for sign in (1, -1):
                array[index] = old + sign * step
                losses.append(case.loss())
            array[index] = old
            want[index] = (losses[0] - losses[1]) / (2 * step)
        # Central differences: step^2 from the cubic term, which layer normalisation of nearly equal values makes large
        # (3e-7 of the largest gradient, where the other cases have 1e-8), and 1e-16 / step from rounding.
        np.testing.assert_allclose(gradient, want, rtol=0, atol=1e-6 * max(1, np.abs(want).max()))


@pytest.mark.parametrize("name", activations.ACTIVATIONS)
def test_derivatives_of_activations_by_finite_differences(name):
    act = activations.ACTIVATIONS[name]
    # In rows, for those of whole rows; no kink (0, ±1/2, ±1, ±3, 6) within a step.
    x, step = np.linspace(-5.03, 7.05, 100).reshape(20, 5), 1e-6
    dy = np.random.default_rng(0).standard_normal(x.shape)
    want = np.empty_like(x)
    for k in range(x.shape[1]):
        moved = step * (np.arange(x.shape[1]) == k)
        want[:, k] = ((act(x + moved) - act(x - moved)) * dy).sum(axis=1) / (2 * step)
    np.testing.assert_allclose(act.backward(x, act(x), dy), want, rtol=1e-6, atol=2e-9)


@pytest.mark.parametrize("options", CELLS, ids=CELL_IDS)
def test_gradients_are_added_to_arrays_given(options):
    case = Case(options)
    cache = case.forward(training=True)[2]
    dx, want, _ = case.backward(cache)
    given = [np.ones_like(w) for w in case.weights]
    none, got, _ = case.backward(cache, d_weights=given, need_d_inputs=False)
    assert none is None
    assert dx.shape == case.x.shape
    for array, returned, gradient in zip(given, got, want, strict=True):
        assert array is returned
        np.testing.assert_allclose(array, 1 + gradient, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("options", [LSTMOptions(), SLSTMOptions()])
def test_no_gradient_from_outside_is_zero(options):
    case = Case(options)
    cache = case.forward(training=True)[2]
    backward = getattr(reference, f"{options.cell}_backward")
    for d_state in (None, [None] * len(case.widths)):
        dx, d_weights, d_initial = backward(cache, None, d_state)
        assert not any(v.any() for v in (dx, *d_weights, *d_initial))


# Arguments


@pytest.mark.parametrize("options", CELLS, ids=CELL_IDS)
def test_no_state_is_a_zero_state(options):
    case = Case(options, state=False)
    y, state = case.forward()
    case.initial = [np.zeros_like(v) for v in state]
    z, expected = case.forward()
    np.testing.assert_array_equal(y, z)
    np.testing.assert_array_equal(np.hstack(state), np.hstack(expected))


@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("options", CELLS, ids=CELL_IDS)
def test_outputs_are_written_where_asked(options, sequences):
    case = Case(options, sequences=sequences)
    out = np.full_like(case.dy, np.nan)
    y, _ = case.forward(out=out)
    assert y is out
    np.testing.assert_array_equal(out, case.forward()[0])


@pytest.mark.parametrize("options", [*CELLS, LSTMOptions(peepholes=True, projection=True, layer_norm=True)])
def test_float32_stays_float32(options):
    padded = {"lengths": LENGTHS, "zoneout": possible_zoneout(options, Zoneout(0.5, 0.5, 1))}
    case = Case(options, dropout="shared", recurrent_dropout="per gate", arguments=padded)
    case.x, case.dy = case.x.astype("float32"), case.dy.astype("float32")
    case.weights = [w.astype("float32") for w in case.weights]
    case.initial = [v.astype("float32") for v in case.initial]
    y, state, cache = case.forward(training=True)
    dx, d_weights, d_initial = case.backward(cache)
    mixed, _ = case.forward(zoneout=possible_zoneout(options, Zoneout(np.float64(0.5), 0.5)))
    assert {v.dtype for v in (y, *state, dx, *d_weights, *d_initial, mixed)} == {np.dtype("float32")}


@pytest.mark.parametrize("name", activations.ACTIVATIONS)
def test_activations_keep_the_dtype(name):
    act = activations.ACTIVATIONS[name]
    x = np.ones(2, "float32")
    y = act(x)
    assert y.dtype == act.backward(x, y, x).dtype == np.float32


@pytest.mark.parametrize("options", CELLS, ids=CELL_IDS)
def test_empty_batch(options):
    case = Case(options, arguments={"lengths": LENGTHS[:0]})
    case.x, case.dy = case.x[:0], case.dy[:0]
    case.initial, case.d_state = [v[:0] for v in case.initial], [v[:0] for v in case.d_state]
    y, _, cache = case.forward(training=True, zoneout=possible_zoneout(options, Zoneout(0.5, 0.5, 1)))
    dx, d_weights, _ = case.backward(cache)
    assert y.shape == (0, STEPS, case.widths[0])
    assert dx.shape == case.x.shape
    assert not any(d.any() for d in d_weights)


@pytest.mark.parametrize("options", CELLS, ids=CELL_IDS)
def test_bad_arguments_are_refused(options):
    case = Case(options)
    with pytest.raises(ValueError, match="lengths, mask"):
        case.forward(lengths=LENGTHS, mask=MASK)
    with pytest.raises(ValueError, match="zoneout"):
        case.forward(training=True, zoneout=Zoneout(0.5))
    case.weights = case.weights[:0]
    with pytest.raises(ValueError, match="weights"):
        case.forward()


@pytest.mark.parametrize("options", CELLS, ids=CELL_IDS)
def test_dropout_masks_scale_inputs_and_weights(options):
    case = Case(options, dropout="shared")
    y, _ = case.forward()
    mask = case.keywords.pop("dropout_mask")
    np.testing.assert_array_equal(case.forward(dropout_mask=np.stack([mask] * gates(options)))[0], y)
    case.x = case.x * mask[:, np.newaxis]
    np.testing.assert_allclose(case.forward()[0], y, rtol=1e-12, atol=1e-12)
    if not has_recurrent_kernel(options):
        return
    # A mask that leaves a gate's state alone but doubles it for the last gate doubles that gate's weights.
    units = case.widths[0]
    masks = np.ones((gates(options), BATCH, units))
    masks[-1] = 2
    y, _ = case.forward(recurrent_dropout_mask=masks)
    case.weights[1][:, -units:] *= 2
    np.testing.assert_allclose(case.forward()[0], y, rtol=1e-12, atol=1e-12)


# Padding


def run_alone(case, valid, backwards):
    """The rows one by one on their valid steps alone: outputs (NaN at padding), states, dx, d_weights and d_initial."""
    y = np.full((*valid.shape, case.widths[0]), np.nan)
    state, d_initial = [v.copy() for v in case.initial], [v.copy() for v in case.d_state]
    dx, d_weights = np.zeros_like(case.x), [np.zeros_like(w) for w in case.weights]
    for row in range(len(valid)):
        steps = np.flatnonzero(valid[row])[:: -1 if backwards else 1]
        if not len(steps):
            continue
        alone = replace(case, arguments={})
        alone.weights = case.weights
        alone.x, alone.dy = case.x[row : row + 1, steps], case.dy[row : row + 1, steps]
        alone.initial = [v[row : row + 1] for v in case.initial]
        alone.d_state = [v[row : row + 1] for v in case.d_state]
        y_row, state_row, cache = alone.forward(training=True)
        y[row, steps] = y_row[0]
        dx_row, _, d_initial_row = alone.backward(cache, d_weights=d_weights)
        dx[row, steps] = dx_row[0]
        for array, values in zip([*state, *d_initial], [*state_row, *d_initial_row], strict=True):
            array[row] = values[0]
    return y, state, dx, d_weights, d_initial


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("padding", ["lengths", "mask"])
@pytest.mark.parametrize("options", CELLS, ids=CELL_IDS)
def test_padded_rows_are_rows_alone(options, padding, backwards):
    case = Case(options)
    valid = np.arange(STEPS) < LENGTHS[:, np.newaxis] if padding == "lengths" else MASK
    argument = {"lengths": LENGTHS} if padding == "lengths" else {"mask": MASK}
    case.dy = np.where(valid[:, :, np.newaxis], case.dy, 0)
    want_y, want_state, want_dx, want_weights, want_initial = run_alone(case, valid, backwards)

    case.x[~valid] = np.nan  # never looked at
    y, state, cache = case.forward(training=True, go_backwards=backwards, **argument)
    dx, d_weights, d_initial = case.backward(cache)
    close = {"rtol": 1e-12, "atol": 1e-12}
    np.testing.assert_allclose(y[valid], want_y[valid], **close)
    np.testing.assert_allclose(dx, want_dx, **close)
    for got, want in zip([*state, *d_weights, *d_initial], [*want_state, *want_weights, *want_initial], strict=True):
        np.testing.assert_allclose(got, want, **close)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("options", CELLS, ids=CELL_IDS)
def test_outputs_of_padding(options, backwards):
    case = Case(options)
    y, state = case.forward(mask=MASK, go_backwards=backwards)
    want = y.copy()
    for row in range(BATCH):
        last = 0
        for t in reversed(range(STEPS)) if backwards else range(STEPS):
            last = want[row, t] if MASK[row, t] else last
            want[row, t] = last
    np.testing.assert_array_equal(y, want)
    assert not y[1].any()  # not the initial state
    np.testing.assert_array_equal(state[0][1], case.initial[0][1])
    last = y[:, 0 if backwards else -1]
    np.testing.assert_array_equal(
        case.forward(mask=MASK, go_backwards=backwards, return_sequences=False)[0],
        last,
    )
    np.testing.assert_array_equal(state[0][[0, 2, 3]], last[[0, 2, 3]])

    zero, _ = case.forward(mask=MASK, go_backwards=backwards, zero_output_for_mask=True)
    np.testing.assert_array_equal(zero, np.where(MASK[:, :, np.newaxis], y, 0))
    valid = np.arange(STEPS) < LENGTHS[:, np.newaxis]
    assert not case.forward(lengths=LENGTHS, go_backwards=backwards)[0][~valid].any()


@pytest.mark.parametrize("options", CELLS, ids=CELL_IDS)
def test_lengths_are_a_mask_with_zero_outputs(options):
    case = Case(options)
    valid = np.arange(STEPS) < LENGTHS[:, np.newaxis]
    y, state, cache = case.forward(training=True, lengths=LENGTHS)
    z, expected, mask_cache = case.forward(training=True, mask=valid, zero_output_for_mask=True)
    np.testing.assert_array_equal(y, z)
    np.testing.assert_array_equal(np.hstack(state), np.hstack(expected))
    np.testing.assert_array_equal(case.backward(cache)[0], case.backward(mask_cache)[0])


@pytest.mark.parametrize("options", CELLS, ids=CELL_IDS)
def test_backwards_is_forwards_on_flipped_sequences(options):
    case = Case(options)
    y, state, cache = case.forward(training=True, go_backwards=True)
    dx, _, _ = case.backward(cache)
    case.x, case.dy = case.x[:, ::-1], case.dy[:, ::-1]
    flipped, expected, cache = case.forward(training=True)
    np.testing.assert_array_equal(y[:, ::-1], flipped)
    np.testing.assert_array_equal(np.hstack(state), np.hstack(expected))
    np.testing.assert_array_equal(dx[:, ::-1], case.backward(cache)[0])


# Zoneout


@pytest.mark.parametrize("seed", [None, 0, 2**32 - 1])
@pytest.mark.parametrize("options", CELLS, ids=CELL_IDS)
def test_zoneout_of_all_or_nothing(options, seed):
    case = Case(options)
    y, state = case.forward(zoneout=possible_zoneout(options, Zoneout(1.0, 1.0, seed)))
    np.testing.assert_array_equal(y, np.repeat(case.initial[0][:, np.newaxis], STEPS, axis=1))
    kept = 1 if options.cell == "slstm" else len(state)
    np.testing.assert_array_equal(np.hstack(state[:kept]), np.hstack(case.initial[:kept]))
    np.testing.assert_array_equal(case.forward(zoneout=Zoneout(0.0, 0.0, seed))[0], case.forward()[0])


@pytest.mark.parametrize("seed", [None, 5])
def test_zoneout_of_one_step(seed):
    case = Case(LSTMOptions())
    case.x = case.x[:, :1]
    _, new = case.forward()
    _, (h, c) = case.forward(zoneout=Zoneout(0.25, 0.5, seed))
    if seed is None:
        share_h, share_c = 0.25, 0.5
    else:
        share_h = sequences.zoned_units(0.25, seed, 0, 0, h.shape)
        share_c = sequences.zoned_units(0.5, seed, 0, 1, c.shape)
        assert 0 < share_h.sum() < h.size
    np.testing.assert_allclose(h, share_h * case.initial[0] + (1 - share_h) * new[0], rtol=1e-14)
    np.testing.assert_allclose(c, share_c * case.initial[1] + (1 - share_c) * new[1], rtol=1e-14)


@pytest.mark.parametrize("rate", [0.05, 0.5, 0.9])
def test_zoneout_masks_have_their_rate_and_nothing_in_common(rate):
    batch, width = 100, 200
    masks = {}
    for seed, step, which in [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), (2**32 - 1, 999, 1)]:
        mask = sequences.zoned_units(rate, seed, step, which, (batch, width))
        # 20 000 draws: five standard deviations of their mean; per row and unit likewise.
        assert abs(mask.mean() - rate) < 5 * np.sqrt(rate * (1 - rate) / mask.size)
        assert np.abs(mask.mean(axis=1) - rate).max() < 5 * np.sqrt(rate * (1 - rate) / width)
        assert np.abs(mask.mean(axis=0) - rate).max() < 5 * np.sqrt(rate * (1 - rate) / batch)
        masks[seed, step, which] = mask
    first, *others = masks.values()
    for other in others:
        assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 5 / np.sqrt(first.size)


# Known answers of the authors of Philox (Random123, kat_vectors): counter, key, words.
@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ([0, 0, 0, 0], (0, 0), [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([2**32 - 1] * 4, (2**32 - 1, 2**32 - 1), [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            (0xA4093822, 0x299F31D0),
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_philox_gives_the_known_answers(counter, key, words):
    np.testing.assert_array_equal(sequences.philox(counter, key), words)


def test_zoneout_counts_units_rows_steps_and_states():
    rate, seed = 0.3, 2**32 - 5
    for step in (0, 3):
        for which in (0, 1):
            got = sequences.zoned_units(rate, seed, step, which, (6, 7))
            for row, unit in np.ndindex(6, 7):
                words = sequences.philox((unit // 4, row, step, which), (seed, 0))
                assert got[row, unit] == (words[unit % 4] < int(rate * 2**32))


def test_no_two_zoneout_masks_are_shifts_of_one_another():
    # 64 units in a row are 64 bits: among some million such windows none should be there twice.
    bits = np.concatenate([sequences.zoned_units(0.5, 7, t, which, (200, 150)) for t in range(30) for which in (0, 1)])
    width = bits.shape[1] - 63
    windows = np.zeros((len(bits), width), np.uint64)
    for k in range(64):
        windows = windows << np.uint64(1) | bits[:, k : k + width].astype(np.uint64)
    assert len(np.unique(windows)) == windows.size


@pytest.mark.parametrize("seed", [None, 5])
def test_zoneout_of_an_slstm_leaves_the_other_states_alone(seed):
    case = Case(SLSTMOptions())
    case.x = case.x[:, :1]
    _, (h, *others) = case.forward()
    _, (zoned, *same) = case.forward(zoneout=Zoneout(0.5, seed=seed))
    assert (h != zoned).any()
    np.testing.assert_array_equal(np.hstack(same), np.hstack(others))
    with pytest.raises(ValueError, match=r"zoneout: c: expected 0.*got 0\.1"):
        case.forward(zoneout=Zoneout(0.5, 0.1, seed))


@pytest.mark.parametrize("options", OF_ONE_STATE)
def test_zoneout_of_c_is_the_lstms_alone(options):
    case = Case(options)
    for seed in (None, 3):
        want, _ = case.forward(zoneout=Zoneout(0.5, 0.0, seed))
        np.testing.assert_array_equal(case.forward(zoneout=Zoneout(0.5, 0.9, seed))[0], want)


# By hand: one unit, one input, one step, numbers one can follow. sigmoid(LN3) = 3/4, tanh(HALF) = 1/2.

LN3, HALF = np.log(3), np.arctanh(0.5)
ONE = np.ones((1, 1, 1))


def test_one_step_by_hand():
    # i = f = o = 3/4, g = 1/2.
    kernel = np.array([[LN3, LN3, HALF, LN3]])
    y, (h, c) = reference.lstm(ONE, [kernel, np.zeros((1, 4))], [np.zeros((1, 1)), np.full((1, 1), 2.0)])
    assert c.item() == pytest.approx(0.75 * 2 + 0.75 * 0.5, rel=1e-15)
    assert y.item() == h.item() == pytest.approx(0.75 * np.tanh(1.875), rel=1e-15)


def test_one_step_of_the_variants_by_hand():
    h0, c0, R = np.zeros((1, 1)), np.full((1, 1), 2.0), np.zeros((1, 4))

    def run(kernel, *more, **flags):
        columns = len(kernel)
        weights = [np.array([kernel]), R[:, :columns], *more]
        _, (h, c) = reference.lstm(ONE, weights, [h0, c0], options=LSTMOptions(**flags))
        return h.item(), c.item()

    # Without a gate: 1 in its place. Coupled: f = 1 - 3/4.
    c = 2 * 0.75 + 0.5
    assert run([LN3, HALF, LN3], input_gate=False) == pytest.approx((0.75 * np.tanh(c), c))
    c = 2 + 0.5 * 0.75
    assert run([LN3, HALF, LN3], forget_gate=False) == pytest.approx((0.75 * np.tanh(c), c))
    c = 2 * 0.75 + 0.5 * 0.75
    assert run([LN3, LN3, HALF], output_gate=False) == pytest.approx((np.tanh(c), c))
    c = 2 * 0.25 + 0.5 * 0.75
    assert run([LN3, HALF, LN3], coupled=True) == pytest.approx((0.75 * np.tanh(c), c))
    # Without an activation.
    c = 2 * 0.75 + 0.5 * 0.75
    assert run([LN3, LN3, 0.5, LN3], input_activation=False) == pytest.approx((0.75 * np.tanh(c), c))
    assert run([LN3, LN3, HALF, LN3], output_activation=False) == pytest.approx((0.75 * c, c))
    # Peepholes: i and f see the 2 before, o the c after.
    peephole = np.array([[LN3 / 2], [-LN3 / 2], [LN3]])
    c = 2 * 0.25 + 0.5 * 0.75
    h = np.tanh(c) / (1 + 3**-c)
    assert run([0.0, 0.0, HALF, 0.0], peephole, peepholes=True) == pytest.approx((h, c))
    # Projection.
    c = 2 * 0.75 + 0.5 * 0.75
    assert run([LN3, LN3, HALF, LN3], np.array([[10.0]]), projection=True) == pytest.approx((7.5 * np.tanh(c), c))


def test_one_layer_norm_step_by_hand():
    # Products of (1, -1, 1, -1) have mean 0 and variance 1; those of the zero state stay 0. A cell of one unit is its
    # own mean: n = cell_norm[1].
    gain = np.array([[LN3, -LN3, HALF, -LN3], [7.0, 7, 7, 7]]) * np.sqrt(1 + 1e-5)
    weights = [np.array([[1.0, -1, 1, -1]]), np.zeros((1, 4)), gain, np.array([[5.0], [HALF]])]
    _, (h, c) = reference.lstm(
        ONE, weights, [np.zeros((1, 1)), np.full((1, 1), 2.0)], options=LSTMOptions(layer_norm=True)
    )
    assert c.item() == pytest.approx(0.75 * 2 + 0.75 * 0.5)
    assert h.item() == pytest.approx(0.75 * 0.5)


def test_one_gru_step_by_hand():
    # z = r = 3/4, of h = 2.
    h0 = np.full((1, 1), 2.0)
    kernel, recurrent_kernel = np.array([[LN3, LN3, 0.1]]), np.array([[0.0, 0, 0.2]])
    after, before = GRUOptions(), GRUOptions(reset_after=False)

    bias = np.array([[0.0, 0, 0.3], [0.0, 0, 0.4]])
    y, h = reference.gru(ONE, [kernel, recurrent_kernel, bias], h0, options=after)
    want = 0.75 * 2 + 0.25 * np.tanh(0.1 + 0.3 + 0.75 * (2 * 0.2 + 0.4))
    assert y.item() == h.item() == pytest.approx(want, rel=1e-15)

    y, h = reference.gru(ONE, [kernel, recurrent_kernel, bias[0]], h0, options=before)
    want = 0.75 * 2 + 0.25 * np.tanh(0.1 + 0.3 + 0.75 * 2 * 0.2)
    assert y.item() == h.item() == pytest.approx(want, rel=1e-15)


def test_one_rnn_step_by_hand():
    h0 = np.full((1, 1), 2.0)
    weights = [np.array([[0.1]]), np.array([[0.2]]), np.array([0.3])]
    y, h = reference.rnn(ONE, weights, h0)
    assert y.item() == h.item() == pytest.approx(np.tanh(0.1 + 2 * 0.2 + 0.3), rel=1e-15)
    assert reference.rnn(-20 * ONE, weights, h0, options=RNNOptions("relu"))[0].item() == 0


def test_layer_norm_of_known_values():
    v = np.array([[1.0, 3], [5, 5], [-2e3, 2e3]])
    n, deviation = sequences.layer_norm(v)
    np.testing.assert_allclose(deviation[:, 0], np.sqrt([1 + 1e-5, 1e-5, 4e6 + 1e-5]))
    np.testing.assert_allclose(n, np.array([[-1, 1], [0, 0], [-2e3, 2e3]]) / deviation)


def test_sigmoid_tails():
    np.testing.assert_allclose(
        reference.sigmoid(np.array([-1000.0, -700, 0, 700])), [0, np.exp(-700.0), 0.5, 1], rtol=1e-15
    )


def test_known_values_of_activations():
    x = np.array([-4.0, -1, 0, 1, 4])
    for name, want in {
        "tanh": np.tanh(x),
        "hard_sigmoid": [0, 1 / 3, 1 / 2, 2 / 3, 1],
        "relu": [0, 0, 0, 1, 4],
        "linear": x,
        "softsign": [-4 / 5, -1 / 2, 0, 1 / 2, 4 / 5],
    }.items():
        np.testing.assert_allclose(activations.ACTIVATIONS[name](x), want, rtol=1e-15)
    assert tuple(activations.ACTIVATIONS)[: len(ACTIVATIONS)] == ACTIVATIONS
