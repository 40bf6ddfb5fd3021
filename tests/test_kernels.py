"""The kernels against the reference, over cells, options, shapes, layouts, dtypes and threads."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from problems import LAYOUTS, MIN_AND_SLSTM, OPTIONS, Problem, assert_same_bits, relative_errors

from lstmcore import _core, functional, reference
from lstmcore._options import ACTIVATION_FIELDS, ACTIVATIONS
from lstmcore.activations import piecewise, smooth
from lstmcore.functional import (
    GRUOptions,
    LSTMOptions,
    MinGRUOptions,
    MinLSTMOptions,
    RNNOptions,
    SLSTMOptions,
    Zoneout,
)

# float64: rounding of 1e-16 over a few hundred terms, carried through some tens of steps. float32: the same with 6e-8.
# Both relative to the largest value of the array, or to a hundredth of the largest of all: terms of either sign may
# leave next to nothing of an array of few numbers.
TOLERANCE, FLOOR = {"float32": 3e-5, "float64": 1e-12}, 0.01
# Layer normalisation divides by a deviation, which may be near nothing: rounding grows as much as the numbers do.
NORMALIZED_TOLERANCE = 1e-8

CELLS = {
    "lstm": LSTMOptions(),
    "gru": GRUOptions(),
    "rnn": RNNOptions(),
    "rnn, softplus": RNNOptions("softplus"),
    "gru, clip": GRUOptions(clip=0.5),
    "lstm, clip": LSTMOptions(clip=0.5, output_activation="scaled_tanh"),
    "gru, reset before": GRUOptions(reset_after=False),
    "gru, layer norm": GRUOptions(layer_norm=True),
    "lstm, peepholes, coupled": LSTMOptions(peepholes=True, coupled=True),
    "lstm, projection": LSTMOptions(projection=True),
    "lstm, layer norm": LSTMOptions(layer_norm=True),
    **MIN_AND_SLSTM,
}
# Those with a kernel that applies the gates in registers.
FUSED = [LSTMOptions(), GRUOptions(), RNNOptions(), *MIN_AND_SLSTM.values()]
BOUNDED = ("tanh", "sigmoid", "hard_sigmoid", "softsign")
SMOOTH = {"tanh", "sigmoid", "linear", "softsign", "softplus", "affine", "scaled_tanh", True, False}
every_cell = pytest.mark.parametrize("options", CELLS.values(), ids=CELLS)
every_plain_cell = pytest.mark.parametrize("cell", OPTIONS)


def kinked(options):
    """Whether slopes jump: those of an activation, of a candidate in log space at 0, of the sLSTM's m at a tie."""
    if options.cell == "slstm" or getattr(options, "log_space", False) or getattr(options, "clip", None):
        return True
    used = {getattr(options, name, "linear") for name in ACTIVATION_FIELDS}
    return not used <= SMOOTH


def make(options=LSTMOptions(), dtype="float32", padding=None, **arguments):  # noqa: B008
    """The problem of an example, its weights small where gates outside 0 to 1 or a cell without bound would explode."""
    scale = 1.0
    if getattr(options, "recurrent_activation", "sigmoid") not in ("sigmoid", "hard_sigmoid"):
        scale = 0.1
    elif getattr(options, "activation", "tanh") not in BOUNDED and options.cell != "rnn":
        scale = 0.5
    if getattr(options, "layer_norm", False):
        dtype = "float64"  # float32 has a test of its own
    return Problem(options=options, dtype=dtype, scale=scale, **(padding or {}), **arguments)


# Numbers that float32 has as float64 has them: inputs lie on the same side of a threshold in both.
numbers = st.sampled_from([-0.75, -0.5, 0.25, 0.5, 1.0, 1.25])
of_two_numbers = (piecewise.Affine, piecewise.HardSigmoid, piecewise.Threshold, smooth.ScaledTanh)
activations = st.one_of(
    st.sampled_from(["tanh", "sigmoid", "hard_sigmoid", "relu", "linear", "softsign"]),
    st.sampled_from([*ACTIVATIONS]),
    st.builds(lambda kind, *numbers: kind(*numbers), st.sampled_from(of_two_numbers), numbers, numbers),
    st.builds(smooth.ELU, numbers),
    st.builds(piecewise.LeakyReLU, st.sampled_from([0.25, 0.5])),
)
clips = st.sampled_from([None, None, None, 0.25, 1.0, 3.0])


@st.composite
def lstm_options(draw):
    one_less = ["input_gate", "forget_gate", "output_gate", "input_activation"]
    variants = [{name: False} for name in one_less]
    variants += [{}, {"coupled": True}, {"input_gate": False, "forget_gate": False, "output_gate": False}]
    return LSTMOptions(
        draw(activations),
        draw(activations),
        output_activation=draw(st.one_of(st.booleans(), activations)),
        clip=draw(clips),
        **draw(st.sampled_from(variants)),
        **{name: draw(st.booleans()) for name in ("peepholes", "projection", "layer_norm")},
    )


@st.composite
def gru_options(draw):
    reset_after = draw(st.booleans())
    norm = reset_after and draw(st.booleans())
    return GRUOptions(reset_after, draw(activations), draw(activations), norm, draw(clips))


sizes = st.one_of(st.integers(1, 9), st.integers(1, 70))
seeds = st.integers(0, 2**32 - 1)
rates = st.sampled_from([0.0, 0.1, 0.5, 1.0])
dropouts = st.sampled_from([None, "shared", "per gate"])
paddings = [{}, {"lengths": "random"}, {"mask": "random"}, {"mask": "random", "zero_output_for_mask": True}]
problems = st.fixed_dictionaries(
    {
        "batch": st.one_of(st.integers(0, 9), st.integers(1, 50)),
        "steps": st.integers(1, 14),
        "inputs": sizes,
        "units": st.one_of(sizes, st.integers(60, 140)),
        "dtype": st.sampled_from(["float32", "float64"]),
        "seed": seeds,
        "bias": st.booleans(),
        "state": st.booleans(),
        "sequences": st.booleans(),
        "layout": st.sampled_from(LAYOUTS),
        # The plain cells have kernels of their own.
        "options": st.one_of(
            st.sampled_from([LSTMOptions(), GRUOptions(), RNNOptions()]),
            st.sampled_from(list(MIN_AND_SLSTM.values())),
            st.one_of(lstm_options(), gru_options(), st.builds(RNNOptions, activations, clips)),
        ),
        "padding": st.sampled_from(paddings),
        "dropout": dropouts,
        "recurrent_dropout": dropouts,
        "go_backwards": st.booleans(),
        "zoneout": st.one_of(st.none(), st.builds(Zoneout, rates, rates, seeds)),
    }
)


def shape(batch, steps, inputs, units, **more):
    return {"batch": batch, "steps": steps, "inputs": inputs, "units": units, **more}


GRU, RNN, RESET_BEFORE = CELLS["gru"], CELLS["rnn"], CELLS["gru, reset before"]
ALL = LSTMOptions(peepholes=True, projection=True, layer_norm=True)
RAGGED, HOLES = {"lengths": "random"}, {"mask": "random"}
BOTH_PER_GATE = {"dropout": "per gate", "recurrent_dropout": "per gate"}


def assert_is_the_reference(problem, threads):
    p = make(**problem)
    before = _core.get_num_threads()
    _core.set_num_threads(threads)
    try:
        got = p.run(functional)
    finally:
        _core.set_num_threads(before)
    assert all(a.dtype == p.x.dtype for a in got.values())
    want = p.run(reference, "float64")
    tolerance = NORMALIZED_TOLERANCE if "gain" in p.weight_names else TOLERANCE[str(p.x.dtype)]
    for name, error in relative_errors(got, want, FLOOR).items():
        # Rounded to float32 a number may lie on the other side of a kink than in float64, where slopes differ.
        if p.x.dtype == "float32" and kinked(p.options) and name.startswith("d_"):
            continue
        assert error < tolerance, name


@given(problem=problems, threads=st.sampled_from([1, 2, 3]))
# inputs projected ahead, in chunks
@example(shape(1, 30, 5, 16), 1)
@example(shape(2, 30, 5, 16, options=GRU, padding=RAGGED), 1)
@example(shape(1, 30, 50, 300, options=RNN), 1)
# the same for some more rows, the weights being large; threads share them
@example(shape(20, 9, 100, 260), 1)
@example(shape(23, 9, 20, 300, options=GRU, go_backwards=True), 2)
@example(shape(10, 5, 20, 530), 2)
# the same, and then sums in pieces
@example(shape(2, 9, 20, 530), 1)
@example(shape(20, 5, 9, 530, recurrent_dropout="per gate"), 2)
@example(shape(3, 9, 20, 530, options=GRU, padding=RAGGED), 2)
@example(shape(2, 20, 20, 530, options=GRU, padding=RAGGED), 1)
@example(shape(5, 9, 20, 1100, options=RNN), 1)
# few units or inputs are left over of a vector: their gates share vectors, their columns are dot products
@example(shape(7, 5, 1, 50), 2)
@example(shape(13, 6, 36, 100, options=GRU, padding=RAGGED), 1)
@example(shape(9, 4, 2, 24, options=GRU, **BOTH_PER_GATE), 1)
@example(shape(11, 4, 18, 34, dtype="float64", recurrent_dropout="per gate"), 2)
@example(shape(1, 8, 4, 17), 1)
# threads share units
@example(shape(3, 60, 40, 260, layout="time-major"), 2)
@example(shape(3, 30, 20, 260, padding=RAGGED), 2)
@example(shape(3, 30, 40, 260, options=GRU), 3)
@example(shape(2, 30, 20, 400, options=RNN, padding=HOLES, zoneout=Zoneout(0.2, seed=5)), 2)
# more rows than a depth block
@example(shape(600, 2, 3, 7, dtype="float64", sequences=False), 2)
@example(shape(600, 2, 3, 7, options=GRU), 2)
@example(shape(600, 2, 3, 7, options=ALL), 2)
# sums in pieces, and groups of tiles
@example(shape(260, 3, 600, 50), 1)
@example(shape(260, 2, 600, 50, options=GRU, padding=RAGGED), 2)
@example(shape(20, 2, 600, 70, **BOTH_PER_GATE), 1)
@example(shape(7, 2, 600, 530, options=RNN, dropout="shared"), 1)
# several chunks backward
@example(shape(32, 40, 20, 130, dtype="float64", bias=False, layout="reversed"), 2)
@example(shape(32, 40, 20, 50, options=GRU, padding=HOLES), 2)
@example(shape(60, 30, 9, 40, options=RNN, padding=RAGGED, zoneout=Zoneout(0.1, seed=1)), 2)
@example(shape(60, 30, 9, 40, options=RESET_BEFORE, padding=RAGGED, zoneout=Zoneout(0.1, seed=1)), 2)
@example(shape(60, 30, 9, 40, options=ALL, padding=HOLES, zoneout=Zoneout(0.1, 0.2, seed=1)), 2)
# dropout masks for each gate, alone and with one for all
@example(shape(20, 12, 9, 70, **BOTH_PER_GATE), 2)
@example(shape(20, 12, 9, 70, options=GRU, **BOTH_PER_GATE), 2)
@example(shape(20, 12, 9, 70, options=GRU, dropout="shared", recurrent_dropout="per gate", padding=RAGGED), 2)
@example(shape(20, 12, 9, 70, options=RESET_BEFORE, **BOTH_PER_GATE), 2)
@example(shape(20, 12, 9, 70, options=RESET_BEFORE, dropout="per gate", recurrent_dropout="shared"), 2)
@example(shape(20, 12, 9, 70, options=ALL, **BOTH_PER_GATE, padding=RAGGED), 2)
# the same over several chunks backward, and with few rows, whose inputs would else be projected ahead
@example(shape(60, 30, 9, 40, padding=RAGGED, dropout="shared", recurrent_dropout="per gate"), 2)
@example(shape(2, 30, 5, 16, dropout="shared"), 1)
# padding
@example(shape(90, 20, 10, 64, padding=RAGGED), 2)
@example(shape(90, 20, 10, 64, options=GRU, padding=RAGGED, sequences=False), 3)
@example(shape(40, 25, 6, 50, padding=HOLES), 2)
@example(shape(4, 5, 3, 6, padding={"lengths": [0, 0, 0, 0]}), 1)
@example(shape(4, 5, 3, 6, options=GRU, padding={"mask": np.zeros((4, 5), bool)}, sequences=False), 1)
@example(shape(4, 5, 3, 6, options=ALL, padding={"lengths": [0, 0, 0, 0]}, zoneout=Zoneout(0.5, 0.5, seed=1)), 1)
@example(shape(4, 5, 3, 6, padding={"lengths": [5, 5, 5, 5]}, go_backwards=True), 1)
# no rows, and no states either
@example(shape(0, 5, 3, 6, padding=RAGGED, state=False), 1)
@example(shape(0, 5, 3, 6, go_backwards=True, zoneout=Zoneout(0.3, 0.2, seed=3), state=False), 1)
@example(shape(0, 5, 3, 6, options=GRU, go_backwards=True, zoneout=Zoneout(0.3, seed=3), state=False), 2)
# backwards: zoneout's masks belong to the steps of the arrays
@example(shape(9, 12, 4, 30, go_backwards=True, zoneout=Zoneout(0.3, 0.2, seed=3)), 1)
@example(shape(9, 12, 4, 30, padding=RAGGED, go_backwards=True, zoneout=Zoneout(0.3, 0.2, seed=3)), 2)
@example(shape(9, 12, 4, 30, options=RNN, padding=HOLES, go_backwards=True, zoneout=Zoneout(0.3, seed=3)), 2)
def test_forward_and_backward_are_the_reference(problem, threads):
    assert_is_the_reference(problem, threads)


@pytest.mark.parametrize("options", MIN_AND_SLSTM.values(), ids=MIN_AND_SLSTM)
@pytest.mark.parametrize(
    ("more", "threads"),
    [
        (shape(9, 12, 6, 36), 1),
        # threads share units, some of which are left over of a vector; rows of different length
        (shape(3, 60, 20, 268), 2),
        (shape(3, 60, 20, 268, padding=RAGGED, go_backwards=True), 2),
        # several chunks backward, masks for each gate and unit
        (shape(60, 30, 9, 36, padding=RAGGED, zoneout=Zoneout(0.2, seed=1), **BOTH_PER_GATE), 2),
        (shape(60, 30, 9, 36, padding=HOLES, dropout="shared"), 2),
        # sums in pieces
        (shape(7, 5, 600, 36), 1),
        (shape(7, 5, 600, 36, dropout="per gate"), 1),
    ],
    ids=["plain", "units", "units, lengths", "chunks, noise", "chunks, mask", "pieces", "pieces, dropout"],
)
def test_min_and_slstm_are_the_reference(options, more, threads):
    assert_is_the_reference({**more, "options": options, "dtype": "float64"}, threads)


@pytest.mark.parametrize("log_space", [False, True])
def test_a_min_lstm_whose_gates_are_all_but_shut_is_the_reference(log_space):
    # The inputs are the sums of the gates, of thousands of either sign: e^x is beyond any number.
    p = Problem(5, 6, 12, 4, "float64", options=MinLSTMOptions(log_space=log_space), bias=False)
    p.weights[0], p.x = np.eye(12), 1000 * p.x
    for name, error in relative_errors(p.run(functional), p.run(reference), FLOOR).items():
        assert error < TOLERANCE["float64"], name


@pytest.mark.parametrize("dims", [(1, 30, 5, 16), (9, 12, 4, 30), (23, 9, 20, 260), (600, 2, 3, 8)], ids=str)
@pytest.mark.parametrize("name", MIN_AND_SLSTM)
def test_gradients_of_cells_with_kinks_in_float32_are_the_reference(name, dims):
    # Of these numbers none lies so near a kink that float32 has it on the other side.
    p = Problem(*dims, options=MIN_AND_SLSTM[name], lengths="random", **BOTH_PER_GATE)
    for array, error in relative_errors(p.run(functional), p.run(reference, "float64"), FLOOR).items():
        assert error < TOLERANCE["float32"], array


@pytest.mark.parametrize("padding", paddings, ids=["none", "lengths", "mask", "zeroed mask"])
@pytest.mark.parametrize("name", ["gru, layer norm", "lstm, layer norm", "lstm, everything"])
def test_layer_normalisation_in_float32_is_the_reference(name, padding):
    # Many numbers to a norm, and a state to begin with: deviations of about 1. What is left of rounding grows a little.
    options = (CELLS | {"lstm, everything": ALL})[name]
    p = Problem(12, 6, 30, 50, options=options, **padding, **BOTH_PER_GATE, zoneout=Zoneout(0.1, 0.1, seed=4))
    for name, error in relative_errors(p.run(functional), p.run(reference, "float64")).items():
        assert error < 2 * TOLERANCE["float32"], name


NOISE = {
    "zoneout": {"zoneout": Zoneout(0.3, 0.2, seed=5)},
    "zoneout, lengths, backwards": {
        "zoneout": Zoneout(0.3, 0.2, seed=5),
        "lengths": [5, 0, 7, 3, 6],
        "go_backwards": True,
    },
    "a mask for all gates": {"dropout": "shared", "recurrent_dropout": "shared"},
    "a mask for each": BOTH_PER_GATE,
    "a mask for each of the inputs": {"dropout": "per gate", "recurrent_dropout": "shared"},
}


@every_cell
@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE)
def test_noise_is_that_of_the_reference(options, noise):
    p = Problem(5, 7, 9, 18, "float64", options=options, **noise)
    tolerance = NORMALIZED_TOLERANCE if "gain" in p.weight_names else TOLERANCE["float64"]
    for name, error in relative_errors(p.run(functional), p.run(reference), FLOOR).items():
        assert error < tolerance, name


@every_cell
@pytest.mark.parametrize("padding", [{}, RAGGED], ids=["none", "lengths"])
def test_zoneout_without_a_seed_mixes_by_its_rates(options, padding):
    p = Problem(5, 7, 4, 20, "float64", options=options, zoneout=Zoneout(0.3, 0.2), **padding)
    for name, error in relative_errors(p.infer(functional), p.infer(reference)).items():
        assert error < TOLERANCE["float64"], name


def test_zoneout_that_keeps_everything_keeps_the_state():
    for cell in OPTIONS:
        p = Problem(5, 7, 4, 20, cell=cell, zoneout=Zoneout(1.0, 1.0, seed=3))
        result = p.infer(functional)
        for name, initial in zip(p.state_names, p.state, strict=True):
            if cell != "slstm" or name == "h":
                np.testing.assert_array_equal(result[name], initial)


# --- what training and packing leave as it is ---


@every_cell
@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("padding", [{}, HOLES], ids=["none", "mask"])
def test_training_and_inference_give_the_same_bits(options, sequences, padding):
    p = Problem(9, 20, 6, 37, options=options, sequences=sequences, **padding)
    inferred, trained = p.infer(functional), p.run(functional)
    assert_same_bits(inferred, {name: trained[name] for name in inferred})
    if not padding:
        y = inferred["outputs"]
        np.testing.assert_array_equal(inferred["h"], y[:, -1] if sequences else y)


@every_cell
def test_packed_weights_are_the_weights(options):
    p = Problem(3, 4, 5, 6, options=options)
    pack = getattr(functional, f"pack_{p.cell}")
    packed = pack(p.weights, options=options)
    assert_same_bits(p.infer(functional, weights=packed), p.infer(functional))
    assert pack(packed) is packed
    assert (packed.cell, packed.inputs, packed.units, packed.outputs) == (p.cell, 5, 6, p.d_state[0].shape[1])
    assert (packed.has_bias, packed.training, packed.dtype) == (True, False, "float32")
    assert packed.kernel == ("fused" if options in FUSED else "staged")


@every_plain_cell
def test_packing_for_zoneout_and_training_changes_no_outputs(cell):
    # To rounding: zoneout takes another kernel.
    p = Problem(9, 20, 6, 37, "float64", cell=cell)
    packed = getattr(functional, f"pack_{cell}")(p.weights, training=True, zoneout=True)
    assert (packed.training, packed.kernel) == (True, "staged" if cell in ("lstm", "gru") else "fused")
    for error in relative_errors(p.infer(functional, weights=packed), p.infer(functional)).values():
        assert error < TOLERANCE["float64"]


@every_plain_cell
@pytest.mark.parametrize("padding", paddings, ids=["none", "lengths", "mask", "zeroed mask"])
def test_writes_into_out(cell, padding):
    for sequences, shape in ((True, (3, 4, 6)), (False, (3, 6))):
        p = Problem(3, 4, 5, 6, cell=cell, sequences=sequences, **padding)
        want = p.infer(functional)
        # Rows and steps may lie anywhere: every other row of a larger array, steps from the last to the first.
        larger = np.full((7, 9, 6), np.nan, "float32")
        for out in (np.full(shape, np.nan, "float32"), larger[1::2, 7::-2] if sequences else larger[1::2, 5]):
            got = p.infer(functional, out=out)
            assert got["outputs"] is out
            assert_same_bits(got, want)
        assert np.isnan(larger[::2]).all()
        assert np.isnan(larger).sum() == larger.size - want["outputs"].size


@every_cell
@pytest.mark.parametrize("padding", [{}, HOLES], ids=["none", "mask"])
def test_outputs_in_any_layout_serve_the_backward_pass(options, padding):
    p = Problem(6, 5, 4, 9, options=options, **padding)
    y, _, cache = p.forward(functional, training=True)
    out = np.empty((5, 6, y.shape[2]), "float32").swapaxes(0, 1)
    _, _, other = p.forward(functional, training=True, out=out)
    first, second = p.backward(functional, cache), p.backward(functional, other)
    assert_same_bits(p.gradients(*first), p.gradients(*second))


# --- gradients ---


@every_cell
def test_gradients_are_added_and_the_cache_can_be_used_again(options):
    p = Problem(5, 7, 3, 20, "float64", options=options)
    _, _, cache = p.forward(functional, training=True)
    first = p.backward(functional, cache)
    held = [np.ones_like(g) for g in first[1]]
    second = p.backward(functional, cache, d_weights=held)
    np.testing.assert_array_equal(first[0], second[0])
    for new, old, given_array in zip(second[1], first[1], held, strict=True):
        assert new is given_array
        # The sums of layer normalisation's gradients cancel: what is lost is lost of their terms.
        np.testing.assert_allclose(new, old + 1, rtol=1e-12, atol=1e-13 + 1e-14 * np.abs(old).max())


@every_cell
@pytest.mark.parametrize("sequences", [True, False])
def test_gradients_left_out_are_zero(options, sequences):
    p = Problem(4, 5, 3, 6, "float64", options=options, sequences=sequences, lengths=[5, 0, 2, 3])
    _, _, cache = p.forward(functional, training=True)
    backward = getattr(functional, f"{p.cell}_backward")
    zeros = [np.zeros_like(d) for d in p.d_state]
    d_state, no_d_state = p.of_cell(p.d_state), p.of_cell(zeros)

    def same(a, b):
        assert_same_bits(p.gradients(*a), p.gradients(*b))

    same(backward(cache, p.dy), backward(cache, p.dy, no_d_state))
    same(backward(cache, None, d_state), backward(cache, np.zeros_like(p.dy), d_state))
    assert backward(cache, p.dy, need_d_inputs=False)[0] is None
    same(backward(cache), backward(cache, np.zeros_like(p.dy), no_d_state))
    for k, zero in enumerate(zeros) if len(zeros) > 1 else ():
        before, after = p.d_state[:k], p.d_state[k + 1 :]
        same(backward(cache, None, (*before, None, *after)), backward(cache, None, (*before, zero, *after)))


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        (LSTMOptions(), 5 * 6),  # gates and c, and all of them h
        (GRUOptions(), 4 * 6),  # gates and the candidate's recurrent product
        (GRUOptions(reset_after=False), 3 * 6),
        (RNNOptions(), 6),
        (MinGRUOptions(), 2 * 6),
        (MinLSTMOptions(), 3 * 6),
        (SLSTMOptions(), (5 + 3) * 6),  # gates, the slope of f, and c, n, m
        (LSTMOptions(layer_norm=True), 5 * 6 + 2 * 4 * 6 + 2),  # with both products, normalised, and their scales
    ],
    ids=["lstm", "gru", "gru, reset before", "rnn", "min_gru", "min_lstm", "slstm", "lstm, layer norm"],
)
def test_the_cache_holds_what_it_says(options, numbers):
    for padding, steps_of_rows in [({}, 4 * 5), ({"lengths": [5, 0, 3, 1]}, 9)]:
        for sequences in (True, False):
            p = Problem(4, 5, 3, 6, options=options, sequences=sequences, **padding)
            _, _, cache = p.forward(functional, training=True)
            assert cache.nbytes == 4 * steps_of_rows * (numbers + 6)


# --- numbers that are not usual ---


@every_cell
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_with_nan_or_inf_spoils_only_itself(options, bad):
    p = Problem(9, 6, 4, 20, options=options)
    clean = p.infer(functional)["outputs"]
    p.x[4, 2, 1] = bad
    y = p.infer(functional)["outputs"]
    others = np.arange(9) != 4
    np.testing.assert_array_equal(y[others], clean[others])
    np.testing.assert_array_equal(y[4, :2], clean[4, :2])
    if np.isnan(bad):
        assert np.isnan(y[4, 2:]).all()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_nan_passes_through_every_activation(name):
    p = Problem(3, 4, 2, 5, options=RNNOptions(name))
    p.x[1] = np.nan
    assert np.isnan(p.infer(functional)["outputs"][1]).all()


UNBOUNDED = {
    "gru, relu": GRUOptions(activation="relu", recurrent_activation="hard_sigmoid"),
    "lstm, relu": LSTMOptions(activation="relu", recurrent_activation="hard_sigmoid"),
    "rnn, linear": RNNOptions("linear"),
}


def not_finite(arrays):
    return {name: np.where(np.isfinite(a), 0, a) for name, a in arrays.items()}


def with_numbers_of_no_use(units, dtype, where, noise, options):
    """A problem with infinities and NaN, each in a row of its own, or in one of the weights."""
    p = Problem(7, 3, 4, units, dtype, seed=units, options=options, **noise)
    if where == "rows":
        p.x[0, 1, 2], p.x[1, 0], p.x[2, 1, 1] = np.inf, -np.inf, np.nan
        p.state[0][3, 0], p.state[-1][4, -1], p.state[0][5, -1] = np.inf, -np.inf, np.nan
        p.dy[6, 1, 0], p.d_state[-1][6, -1] = np.inf, -np.inf
    else:
        weights = p.weights[p.weight_names.index(where)].reshape(-1)
        weights[units * 7919 % weights.size] = (np.inf, -np.inf, np.nan)[units % 3]
    return p


def places_of_infinity(*places):
    """Every cell with each of the places that it has."""
    return [
        pytest.param(where, name, id=f"{where}-{name}")
        for name, options in (CELLS | UNBOUNDED).items()
        for where in places
        if "rows" in where or where in options.weight_names
    ]


@pytest.mark.parametrize(("where", "name"), places_of_infinity("rows", "kernel", "recurrent_kernel", "bias"))
def test_infinity_and_nan_go_where_they_go_in_the_reference(where, name):
    # Units that fill vectors and units that do not: what stands beside them is multiplied too, and must not be seen.
    options = (CELLS | UNBOUNDED)[name]
    with np.errstate(all="ignore"):
        for units in range(1, 41) if name in OPTIONS else (1, 5, 16, 18, 35):
            for dtype in ("float32", "float64"):
                noise = (
                    {},
                    {"dropout": "per gate", "recurrent_dropout": "shared"},
                    {"zoneout": Zoneout(0.4, 0.3, seed=units)},
                )[units % 3 if units > 16 else 0]
                p = with_numbers_of_no_use(units, dtype, where, noise, options)
                assert_same_bits(not_finite(p.run(functional)), not_finite(p.run(reference)))


@pytest.mark.parametrize(("where", "name"), places_of_infinity("few rows"))
def test_infinity_among_few_rows_goes_where_it_goes_in_the_reference(where, name):
    # The products with the inputs of few rows are computed ahead, if there are more than four inputs.
    with np.errstate(all="ignore"):
        for units in (1, 5, 16, 18, 35):
            for dtype in ("float32", "float64"):
                p = Problem(2, 3, 5, units, dtype, seed=units, options=(CELLS | UNBOUNDED)[name])
                p.x[0, 1, 2], p.x[1, 0] = np.inf, -np.inf
                assert_same_bits(not_finite(p.run(functional)), not_finite(p.run(reference)))


def test_a_state_that_decays_to_nothing_stays_finite():
    # Gates shut and a tiny state: the products run into denormals, which are flushed to zero.
    units = 16
    weights = [
        np.zeros((1, 4 * units), "float32"),
        np.zeros((units, 4 * units), "float32"),
        np.full(4 * units, -5, "float32"),
    ]
    state = [np.full((2, units), 1e-37, "float32"), np.full((2, units), 1e-37, "float32")]
    _, (h, c) = functional.lstm(np.zeros((2, 50, 1), "float32"), weights, state)
    _, (want_h, want_c) = reference.lstm(
        np.zeros((2, 50, 1)), [w.astype(float) for w in weights], [s.astype(float) for s in state]
    )
    np.testing.assert_allclose(c, want_c, rtol=1e-5, atol=1e-37)
    np.testing.assert_allclose(h, want_h, rtol=1e-5, atol=1e-37)


# --- what benchmarks are held against ---


@pytest.mark.parametrize("float64", [False, True])
def test_the_probe_counts_two_operations_for_each_multiply_add(float64):
    lanes = _core.config()["vector_bytes"] // (8 if float64 else 4)
    chains = 12
    assert _core.multiply_add_loop(1000, float64) == 2 * chains * lanes * 1000
