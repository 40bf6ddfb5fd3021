"""Bad input gets an exception that names the argument, the expected and the actual; nothing crashes."""

import itertools

import numpy as np
import pytest
from problems import Problem

from lstmcore import _core, functional
from lstmcore.functional import GRUOptions, LSTMOptions, MinGRUOptions, RNNOptions, SLSTMOptions, Zoneout

P = Problem(3, 4, 5, 6)
X, W, STATE = P.x, P.weights, P.state
GRU, RNN = Problem(3, 4, 5, 6, cell="gru"), Problem(3, 4, 5, 6, cell="rnn")
MIN_GRU, MIN_LSTM = Problem(3, 4, 5, 6, cell="min_gru"), Problem(3, 4, 5, 6, cell="min_lstm")
SLSTM = Problem(3, 4, 5, 6, options=SLSTMOptions(heads=2))
ALL_CELLS = [P, GRU, RNN, MIN_GRU, MIN_LSTM, SLSTM]
each_cell = pytest.mark.parametrize("p", ALL_CELLS, ids=[p.cell for p in ALL_CELLS])
ALL = Problem(3, 4, 5, 6, options=LSTMOptions(peepholes=True, projection=True, layer_norm=True))


def zeros(*shape, dtype="float32"):
    return np.zeros(shape, dtype)


def windows(*strides):
    """An array of the shape of the outputs whose elements share memory, or have other strides than usual."""
    return np.lib.stride_tricks.as_strided(zeros(300), (3, 4, 6), strides)


def call(x=X, weights=None, state=STATE, **options):
    return functional.lstm(x, W if weights is None else weights, state, **options)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"x": X[0]}, ValueError, r"inputs: expected shape \(batch, steps, inputs=5\), got \(4, 5\)"),
        ({"x": X[..., None]}, ValueError, r"got \(3, 4, 5, 1\)"),
        ({"x": X[..., :4]}, ValueError, r"inputs=5\), got \(3, 4, 4\)"),
        ({"x": X[:, :0]}, ValueError, r"steps > 0.*got \(3, 0, 5\)"),
        ({"x": X.astype(int)}, TypeError, "inputs: expected dtype float32, got int64"),
        ({"x": X.astype(complex)}, TypeError, "inputs: expected dtype float32, got complex128"),
        ({"x": X.astype(object)}, TypeError, "inputs: expected dtype float32, got object"),
        ({"x": X.astype(bool)}, TypeError, "inputs: expected dtype float32, got bool"),
        ({"x": X.astype("float64")}, TypeError, "inputs: expected dtype float32, got float64"),
        ({"x": X.astype("float16")}, TypeError, "inputs: expected dtype float32, got float16"),
        ({"x": X.astype(X.dtype.newbyteorder())}, TypeError, "inputs: expected dtype float32, got >f4"),
        ({"x": "text"}, TypeError, "inputs: expected dtype float32, got <U4"),
        ({"x": None}, TypeError, "inputs: expected dtype float32, got object"),
        ({"x": [[1.0], [1.0, 2.0]]}, (TypeError, ValueError), "inputs"),
        (
            {"state": [STATE[0][:2], STATE[1]]},
            ValueError,
            r"initial_state\[0\] \(h\): expected shape \(batch=3, units=6\), got \(2, 6\)",
        ),
        ({"state": [STATE[0], STATE[1][:, :5]]}, ValueError, r"initial_state\[1\] \(c\): .* got \(3, 5\)"),
        ({"state": [STATE[0], STATE[1].astype("float64")]}, TypeError, r"initial_state\[1\] \(c\): .*got float64"),
        ({"state": STATE[0]}, ValueError, r"initial_state: expected a pair \(h, c\), got \(3, 6\)"),
        ({"state": [*STATE, STATE[0]]}, ValueError, r"initial_state: expected a pair \(h, c\), got 3 arrays"),
        ({"weights": W[:1]}, ValueError, "weights: expected kernel, recurrent_kernel and at most a bias, got 1 arrays"),
        (
            {"weights": [W[0][:, :22], W[1]]},
            ValueError,
            r"kernel: expected shape \(inputs > 0, 4\*units > 0\), got \(5, 22\)",
        ),
        ({"weights": [W[0][:0], W[1]]}, ValueError, r"kernel: .*got \(0, 24\)"),
        ({"weights": [W[0][:, :0], W[1]]}, ValueError, r"kernel: .*got \(5, 0\)"),
        (
            {"weights": [W[0], W[1][:5]]},
            ValueError,
            r"recurrent_kernel: expected shape \(units=6, 4\*units=24\), got \(5, 24\)",
        ),
        ({"weights": [W[0], W[1], W[2][:23]]}, ValueError, r"bias: expected shape \(4\*units=24,\), got \(23,\)"),
        ({"weights": [W[0].astype(int), W[1]]}, TypeError, "kernel: expected dtype float32 or float64, got int64"),
        (
            {"weights": [W[0], W[1].astype("float64")]},
            TypeError,
            "recurrent_kernel: expected dtype float32, got float64",
        ),
        (
            {"out": np.zeros((3, 4, 7), "float32")},
            ValueError,
            r"out: expected shape \(batch=3, steps=4, units=6\), got \(3, 4, 7\)",
        ),
        ({"out": np.zeros((3, 4, 6))}, TypeError, "out: expected dtype float32, got float64"),
        ({"out": [[1.0]]}, TypeError, "out: expected an array to write into, got list"),
        ({"out": zeros(3, 4, 12)[..., ::2]}, ValueError, r"out: expected contiguous features .* \(192, 48, 8\)"),
        ({"out": zeros(3, 4, 6)[..., ::-1]}, ValueError, r"out: expected contiguous features .* \(96, 24, -4\)"),
        ({"out": windows(0, 24, 4)}, ValueError, r"out: expected .* no overlap, got strides in bytes \(0, 24, 4\)"),
        ({"out": windows(24, 0, 4)}, ValueError, r"out: expected .* no overlap, got strides in bytes \(24, 0, 4\)"),
        ({"out": windows(24, 24, 4)}, ValueError, r"out: expected .* no overlap, got strides in bytes \(24, 24, 4\)"),
        ({"out": windows(96, 20, 4)}, ValueError, r"out: expected .* no overlap, got strides in bytes \(96, 20, 4\)"),
    ],
)
def test_forward_names_what_is_wrong(arguments, error, text):
    with pytest.raises(error, match=text):
        call(**arguments)


def test_read_only_and_overlapping_outputs_are_refused():
    out = np.zeros((3, 4, 6), "float32")
    out.flags.writeable = False
    with pytest.raises(ValueError, match="out: expected a writeable array, got a read-only one"):
        call(out=out)
    memory = np.zeros(3 * 4 * 6 + 3 * 4 * 5, "float32")
    with pytest.raises(ValueError, match="out: overlaps inputs in memory"):
        call(x=memory[60 - 10 : 110].reshape(3, 4, 5), out=memory[:72].reshape(3, 4, 6))
    with pytest.raises(ValueError, match="out: overlaps initial_state in memory"):
        call(out=memory[:72].reshape(3, 4, 6), state=[memory[54:72].reshape(3, 6), STATE[1]])


@pytest.mark.parametrize(("name", "width"), [("dropout_mask", 5), ("recurrent_dropout_mask", 6)])
def test_outputs_that_overlap_dropout_masks_are_refused(name, width):
    memory = np.ones(100, "float32")
    with pytest.raises(ValueError, match=f"out: overlaps {name} in memory"):
        call(out=memory[:72].reshape(3, 4, 6), **{name: memory[60 : 60 + 3 * width].reshape(3, width)})


def test_padding_is_checked():
    for padding, error, text in [
        ({"lengths": [1, -1, 2]}, ValueError, r"lengths: expected numbers from 0 to 4 \(steps\), got -1 at 1"),
        ({"lengths": [1, 2, 5]}, ValueError, r"lengths: expected numbers from 0 to 4 \(steps\), got 5 at 2"),
        ({"lengths": np.array([2**63 + 1, 1, 1], "uint64")}, ValueError, "lengths: expected numbers from 0 to 4"),
        ({"lengths": [1.0, 2.0, 3.0]}, TypeError, "lengths: expected integers, got float64"),
        ({"lengths": [True, False, True]}, TypeError, "lengths: expected integers, got bool"),
        ({"lengths": [1, None, 3]}, TypeError, "lengths: expected integers, got object"),
        ({"lengths": "random"}, TypeError, "lengths: expected integers, got <U6"),
        ({"lengths": [1, 2]}, ValueError, r"lengths: expected shape \(batch=3,\), got \(2,\)"),
        ({"lengths": [[1, 2, 3]]}, ValueError, r"lengths: expected shape \(batch=3,\), got \(1, 3\)"),
        ({"lengths": 3}, ValueError, r"lengths: expected shape \(batch=3,\), got \(\)"),
        ({"mask": np.ones((4, 3), bool)}, ValueError, r"mask: expected shape \(batch=3, steps=4\), got \(4, 3\)"),
        ({"mask": np.ones((3, 4, 1), bool)}, ValueError, r"mask: .* got \(3, 4, 1\)"),
        ({"mask": np.ones(3, bool)}, ValueError, r"mask: .* got \(3,\)"),
        ({"mask": np.ones((3, 4))}, TypeError, "mask: expected bool, got float64"),
        ({"mask": np.ones((3, 4), int)}, TypeError, "mask: expected bool, got int64"),
        ({"mask": np.ones((3, 4), bool), "lengths": [1, 2, 3]}, ValueError, "mask: give lengths or a mask, not both"),
    ]:
        with pytest.raises(error, match=text):
            call(**padding)


@pytest.mark.parametrize(
    ("name", "width", "axis"), [("dropout_mask", 5, "inputs"), ("recurrent_dropout_mask", 6, "units")]
)
def test_dropout_masks_are_checked(name, width, axis):
    one = rf"{name}: expected shape \(batch=3, {axis}={width}\), "
    for mask, error, text in [
        (zeros(3, width + 1), ValueError, rf"{one}got \(3, {width + 1}\)"),
        (zeros(2, width), ValueError, rf"{one}got \(2, {width}\)"),
        (zeros(width), ValueError, rf"{one}got \({width},\)"),
        (zeros(3, 3, width), ValueError, rf"{name}: expected shape \(gates=4, batch=3, {axis}={width}\), got \(3, 3,"),
        (zeros(4, 2, width), ValueError, rf"{name}: expected shape \(gates=4, batch=3, {axis}={width}\), got \(4, 2,"),
        (zeros(3, width, dtype="float64"), TypeError, f"{name}: expected dtype float32, got float64"),
        (zeros(3, width, dtype=bool), TypeError, f"{name}: expected dtype float32, got bool"),
        ("half", TypeError, f"{name}: expected dtype float32, got <U4"),
    ]:
        with pytest.raises(error, match=text):
            call(**{name: mask})


def test_dropout_masks_have_the_gates_of_their_cell():
    for p, gates in ((GRU, 3), (RNN, 1), (Problem(3, 4, 5, 6, options=LSTMOptions(coupled=True)), 3)):
        with pytest.raises(ValueError, match=rf"^dropout_mask: expected shape \(gates={gates}, .* got \(4, 3, 5\)"):
            p.forward(functional, dropout_mask=zeros(4, 3, 5))
    with pytest.raises(
        ValueError, match=r"recurrent_dropout_mask: expected shape \(batch=3, outputs=3\), got \(3, 6\)"
    ):
        ALL.forward(functional, recurrent_dropout_mask=zeros(3, 6))


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: LSTMOptions(coupled=True, input_gate=False), ValueError, "coupled: .* needs input_gate=True"),
        (lambda: LSTMOptions(coupled=True, forget_gate=False), ValueError, "coupled: .* forget_gate=True"),
        (lambda: GRUOptions(layer_norm=True, reset_after=False), ValueError, "layer_norm: needs reset_after=True"),
        (lambda: LSTMOptions(activation="swash"), ValueError, "^activation: expected one of .*tanh, .*, got 'swash'"),
        (lambda: GRUOptions(recurrent_activation="Tanh"), ValueError, "recurrent_activation: .* got 'Tanh'"),
        (lambda: RNNOptions(3), ValueError, "activation: expected a name, a function or None, got 3"),
        (lambda: LSTMOptions(peepholes=1), TypeError, "peepholes: expected True or False, got 1"),
        (lambda: GRUOptions(reset_after="no"), TypeError, "reset_after: expected True or False, got 'no'"),
        (lambda: MinGRUOptions("yes"), TypeError, "log_space: expected True or False, got 'yes'"),
        (lambda: SLSTMOptions(0), ValueError, "heads: expected a positive integer, got 0"),
        (lambda: SLSTMOptions(1, None), TypeError, "exponential_forget: expected True or False, got None"),
        (lambda: Zoneout(-0.1), ValueError, "zoneout: h: expected a number from 0 to 1, got -0.1"),
        (lambda: Zoneout(0.1, 1.1), ValueError, "zoneout: c: expected a number from 0 to 1, got 1.1"),
        (lambda: Zoneout(float("nan")), ValueError, "zoneout: h: .* got nan"),
        (lambda: Zoneout("half"), ValueError, "zoneout: h: .* got 'half'"),
        (lambda: Zoneout(None), ValueError, "zoneout: h: .* got None"),
        (lambda: Zoneout(True), ValueError, "zoneout: h: .* got True"),
        (
            lambda: Zoneout(0.1, seed=-1),
            ValueError,
            r"zoneout: seed: expected an integer from 0 to 2\*\*32 - 1, got -1",
        ),
        (lambda: Zoneout(0.1, seed=2**32), ValueError, "zoneout: seed: .* got 4294967296"),
        (lambda: Zoneout(0.1, seed=1.5), (TypeError, ValueError), "zoneout: seed: .* got 1.5"),
        (lambda: Zoneout(0.1, seed="a"), (TypeError, ValueError), "zoneout: seed: .* got 'a'"),
        (lambda: Zoneout(0.1, seed=True), (TypeError, ValueError), "zoneout: seed: .* got True"),
    ],
)
def test_options_are_checked_where_they_are_made(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_options_are_those_of_the_cell():
    pairs = [(P, GRUOptions()), (GRU, RNNOptions()), (RNN, LSTMOptions()), (P, {"peepholes": True})]
    for p, wrong in (*pairs, (MIN_GRU, GRUOptions()), (MIN_LSTM, MinGRUOptions()), (SLSTM, LSTMOptions())):
        kind = type(p.options).__name__
        with pytest.raises(TypeError, match=rf"options: expected {kind}, got "):
            p.forward(functional, options=wrong)
        with pytest.raises(TypeError, match=rf"options: expected {kind}, got "):
            getattr(functional, f"pack_{p.cell}")(p.weights, options=wrong)
    with pytest.raises(ValueError, match="options: packed weights have theirs"):
        call(weights=functional.pack_lstm(W), options=LSTMOptions())


@each_cell
def test_zoneout_is_checked(p):
    packed = getattr(functional, f"pack_{p.cell}")(p.weights, options=p.options)
    for wrong in (0.5, (0.5, 0.5), {"h": 0.5}):
        with pytest.raises(TypeError, match="zoneout: expected a Zoneout, got "):
            p.forward(functional, zoneout=wrong)
        with pytest.raises(TypeError, match="zoneout: expected a Zoneout, got "):
            p.forward(functional, weights=packed, zoneout=wrong)
    with pytest.raises(ValueError, match="zoneout: training needs a seed"):
        p.forward(functional, zoneout=Zoneout(0.5), training=True)
    if p.cell not in ("lstm", "gru"):  # have one kernel for both
        p.forward(functional, weights=packed, zoneout=Zoneout(0.5, seed=1))
    else:
        with pytest.raises(
            ValueError, match="zoneout: the weights were packed without it; pack them with zoneout=True"
        ):
            p.forward(functional, weights=packed, zoneout=Zoneout(0.5, seed=1))


def test_zoneout_of_c_is_refused_where_it_belongs_together_with_others():
    with pytest.raises(ValueError, match="zoneout: c: slstm has zoneout of h only"):
        functional.slstm(SLSTM.x, SLSTM.weights, options=SLSTM.options, zoneout=Zoneout(0.1, 0.1))


@each_cell
def test_flags_are_true_or_false(p):
    pack = getattr(functional, f"pack_{p.cell}")
    packed = pack(p.weights, options=p.options, training=True)
    for wrong in ("yes", 1, None, np.array([True])):
        for name in ("return_sequences", "training", "zero_output_for_mask", "go_backwards"):
            for weights in (None, packed):
                with pytest.raises(TypeError, match=f"^{name}: expected True or False, got "):
                    p.forward(functional, weights=weights, **{name: wrong})
        for name in ("training", "zoneout"):
            with pytest.raises(TypeError, match=f"^{name}: expected True or False, got "):
                pack(p.weights, options=p.options, **{name: wrong})
        _, _, cache = p.forward(functional, training=True)
        with pytest.raises(TypeError, match=r"^need_d_inputs: expected True or False, got "):
            p.backward(functional, cache, need_d_inputs=wrong)
    want, got = (p.forward(functional, go_backwards=backwards) for backwards in (True, np.bool_(True)))
    np.testing.assert_array_equal(got[0], want[0])


def test_packed_weights_and_caches_are_those_of_the_cell():
    for p, other in itertools.pairwise([*ALL_CELLS, P]):
        packed = getattr(functional, f"pack_{other.cell}")(other.weights, options=other.options)
        text = f"weights: expected weights packed for {p.cell}, got those of {other.cell}"
        with pytest.raises(ValueError, match=text):
            p.forward(functional, weights=packed)
        with pytest.raises(ValueError, match=text):
            getattr(functional, f"pack_{p.cell}")(packed)
        _, _, cache = other.forward(functional, training=True)
        with pytest.raises(ValueError, match=f"cache: expected one of {p.cell}, got one of {other.cell}"):
            p.backward(functional, cache)


def test_weights_are_counted_by_the_options():
    names = "peephole, projection, gain, cell_norm"
    for count in (0, 1, 2, 3, 5, 8):
        weights = (ALL.weights + ALL.weights)[:count]
        with pytest.raises(ValueError, match=f"weights: expected .* at most a bias, then {names}, got {count} arrays"):
            functional.lstm(X, weights, options=ALL.options)
    with pytest.raises(ValueError, match="at most a bias, got 4 arrays"):
        call(weights=[*W, zeros(3, 6)])
    for p, names in ((MIN_GRU, "kernel"), (MIN_LSTM, "kernel"), (SLSTM, "kernel, recurrent_kernel")):
        for weights in ([], [*p.weights, p.weights[0]]):
            text = f"weights: expected {names} and at most a bias, got {len(weights)} arrays"
            with pytest.raises(ValueError, match=text):
                getattr(functional, p.cell)(p.x, weights, options=p.options)
    with pytest.raises(ValueError, match="at most a bias, then gain, got 2 arrays"):
        functional.gru(X, GRU.weights[:2], options=GRUOptions(layer_norm=True))


@pytest.mark.parametrize("index", range(7))
def test_every_weight_is_checked(index):
    name = ALL.weight_names[index]
    for change, error in (
        (lambda w: w.astype("float64"), TypeError),
        (lambda w: w.astype("int32"), TypeError),
        (lambda w: w[:, :-1] if w.ndim > 1 else w[:-1], ValueError),
        (lambda w: w[..., None], ValueError),
        (lambda w: None, TypeError),
    ):
        weights = list(ALL.weights)
        weights[index] = change(weights[index])
        # The first weight says what the others are expected to be; the width of h comes from the recurrent kernel.
        at_fault = "recurrent_kernel" if name == "kernel" and getattr(weights[0], "dtype", None) == "float64" else name
        with pytest.raises(error, match=f"^{at_fault}: expected .* got "):
            functional.lstm(X, weights, options=ALL.options)


@pytest.mark.parametrize(
    ("shapes", "text"),
    [
        ([(5, 24), (7, 24), (6, 7)], r"recurrent_kernel: expected 1 to units=6 rows.* got shape \(7, 24\)"),
        ([(5, 24), (0, 24), (6, 0)], r"recurrent_kernel: expected 1 to units=6 rows.* got shape \(0, 24\)"),
        ([(5, 24), (24,), (6, 3)], r"recurrent_kernel: .* got \(24,\)"),
        ([(5, 24), (3, 20), (6, 3)], r"recurrent_kernel: expected shape \(outputs=3, 4\*units=24\), got \(3, 20\)"),
        ([(5, 24), (3, 24), (3, 6)], r"projection: expected shape \(units=6, outputs=3\), got \(3, 6\)"),
    ],
)
def test_projections_are_checked(shapes, text):
    with pytest.raises(ValueError, match=text):
        functional.lstm(X, [zeros(*shape) for shape in shapes], options=LSTMOptions(projection=True))


@pytest.mark.parametrize(
    ("p", "change", "error", "text"),
    [
        (GRU, {0: zeros(5, 20)}, ValueError, r"kernel: expected shape \(inputs > 0, 3\*units > 0\), got \(5, 20\)"),
        (
            GRU,
            {1: zeros(5, 18)},
            ValueError,
            r"recurrent_kernel: expected shape \(units=6, 3\*units=18\), got \(5, 18\)",
        ),
        (GRU, {2: zeros(18)}, ValueError, r"bias: expected shape \(rows=2, 3\*units=18\), got \(18,\)"),
        (GRU, {0: zeros(5, 18, dtype="float16")}, TypeError, "kernel: expected dtype float32 or float64, got float16"),
        (GRU, {1: zeros(6, 18, dtype="float64")}, TypeError, "recurrent_kernel: expected dtype float32, got float64"),
        (GRU, {2: zeros(2, 18, dtype="int32")}, TypeError, "bias: expected dtype float32, got int32"),
        (RNN, {1: zeros(5, 6)}, ValueError, r"recurrent_kernel: expected shape \(units=6, units=6\), got \(5, 6\)"),
        (RNN, {2: zeros(1, 6)}, ValueError, r"bias: expected shape \(units=6,\), got \(1, 6\)"),
        (RNN, {0: zeros(5, 6, dtype=complex)}, TypeError, "kernel: expected dtype float32 or float64, got complex128"),
        (MIN_GRU, {0: zeros(5, 11)}, ValueError, r"kernel: expected shape \(inputs > 0, 2\*units > 0\), got \(5, 11\)"),
        (MIN_GRU, {1: zeros(2, 12)}, ValueError, r"bias: expected shape \(2\*units=12,\), got \(2, 12\)"),
        (MIN_LSTM, {1: zeros(18, dtype="float64")}, TypeError, "bias: expected dtype float32, got float64"),
        (SLSTM, {0: zeros(5, 22)}, ValueError, r"kernel: expected shape \(inputs > 0, 4\*units > 0\), got \(5, 22\)"),
        (
            SLSTM,
            {1: zeros(6, 24)},
            ValueError,
            r"recurrent_kernel: expected shape \(units/heads=3, 4\*units=24\), got \(6, 24\)",
        ),
    ],
)
def test_weights_of_the_other_cells_are_checked(p, change, error, text):
    weights = [change.get(k, w) for k, w in enumerate(p.weights)]
    with pytest.raises(error, match=text):
        getattr(functional, p.cell)(p.x, weights, options=p.options)


def test_a_gru_that_resets_before_has_one_row_of_biases():
    with pytest.raises(ValueError, match=r"bias: expected shape \(3\*units=18,\), got \(2, 18\)"):
        functional.gru(X, GRU.weights, options=GRUOptions(reset_after=False))


@pytest.mark.parametrize("p", [GRU, RNN, MIN_GRU, MIN_LSTM], ids=["gru", "rnn", "min_gru", "min_lstm"])
def test_states_of_the_other_cells_are_checked(p):
    (h,) = p.state
    function, backward = getattr(functional, p.cell), getattr(functional, f"{p.cell}_backward")
    _, _, cache = p.forward(functional, training=True)
    for wrong, error, got in [
        (h[:2], ValueError, r"\(2, 6\)"),
        ([h, h], ValueError, r"\(2, 3, 6\)"),
        (h.astype("float64"), TypeError, "float64"),
    ]:
        with pytest.raises(error, match=f"^initial_state: expected .* got {got}"):
            function(p.x, p.weights, wrong)
        with pytest.raises(error, match=f"^d_state: expected .* got {got}"):
            backward(cache, p.dy, wrong)
    with pytest.raises(ValueError, match=f"d_weights: expected {len(p.weights)} arrays, got 1"):
        backward(cache, p.dy, d_weights=[np.zeros_like(p.weights[0])])
    with pytest.raises(ValueError, match=r"^d_outputs: expected shape \(batch=3, steps=4, units=6\), got \(3, 4, 5\)"):
        backward(cache, p.dy[..., :5])


def test_the_states_of_an_slstm_are_four():
    h, c, n, m = SLSTM.state
    _, _, cache = SLSTM.forward(functional, training=True)
    for wrong, error, got in [
        ([h, c], ValueError, r"a sequence \(h, c, n, m\), got 2 arrays"),
        (h, ValueError, r"a sequence \(h, c, n, m\), got \(3, 6\)"),
        (3, TypeError, r"a sequence \(h, c, n, m\), got 3"),
    ]:
        with pytest.raises(error, match=f"^initial_state: expected {got}"):
            functional.slstm(SLSTM.x, SLSTM.weights, wrong, options=SLSTM.options)
        with pytest.raises(error, match=f"^d_state: expected {got}"):
            functional.slstm_backward(cache, SLSTM.dy, wrong)
    for k, name in enumerate("hcnm"):
        states = [h, c, n, m]
        states[k] = states[k][:2]
        with pytest.raises(ValueError, match=rf"^initial_state\[{k}\] \({name}\): expected shape .* got \(2, 6\)"):
            functional.slstm(SLSTM.x, SLSTM.weights, states, options=SLSTM.options)
        with pytest.raises(ValueError, match=rf"^d_state\[{k}\] \({name}\): expected shape .* got \(2, 6\)"):
            functional.slstm_backward(cache, SLSTM.dy, states)


def test_there_is_no_h_to_drop_where_there_is_no_recurrent_product():
    packed = functional.pack_min_gru(MIN_GRU.weights)
    with pytest.raises(TypeError, match="recurrent_dropout_mask"):
        functional.min_gru(X, packed, recurrent_dropout_mask=zeros(3, 6))
    call = [packed, X, None, True, False, None, None, None, False, False, None, zeros(3, 6), None, False, None]
    with pytest.raises(ValueError, match="recurrent_dropout_mask: min_gru has no recurrent product to drop h in"):
        _core.forward(*call)


def test_arrays_too_large_to_copy_are_refused():
    one = np.zeros((1, 1, 1), "float32")
    weights = [np.broadcast_to(one[0], (2**44, 4)), np.zeros((1, 4), "float32")]
    with pytest.raises(MemoryError):
        call(weights=weights)


def test_products_of_sizes_that_overflow_are_refused():
    one = np.zeros((1, 1, 5), "float32")
    for batch, steps in [(2**31, 2**29), (2**20, 2**36), (2**40, 3)]:
        with pytest.raises((ValueError, MemoryError)):
            call(x=np.broadcast_to(one, (batch, steps, 5)), state=None)


@pytest.mark.parametrize(("dtype", "depth"), [("float32", 2**59), ("float32", 2**60), ("float64", 2**58)])
def test_matrices_that_overflow_when_they_are_packed_are_refused(dtype, depth):
    column = np.broadcast_to(np.ones(1, dtype), (depth, 1))
    for call in (lambda: _core.PackedMatrix(column), lambda: _core.matmul(column.T, column)):
        with pytest.raises(ValueError, match=r"^[ab]: the sizes asked for overflow the address space"):
            call()


def test_a_stream_of_very_many_steps_costs_no_more_than_others():
    weights = functional.pack_rnn([np.ones((2, 3), "float32"), np.ones((3, 3), "float32")])
    assert _core.Stream(weights, 1, 2**31 - 1, None).run(np.ones((1, 2, 2), "float32"), None).shape == (1, 2, 3)


@pytest.mark.parametrize("sequences", [True, False])
def test_gradients_that_overlap_what_they_are_made_of_are_refused(sequences):
    p = Problem(2, 3, 4, 5, sequences=sequences)
    _, _, cache = p.forward(functional, training=True)
    memory, states = np.zeros(2000, "float32"), [np.zeros((2, 5), "float32")] * 2
    bias = memory[:20]
    arrays = [memory[: p.dy.size].reshape(p.dy.shape), *[memory[:10].reshape(2, 5)] * 2]
    for k, name in enumerate(["d_outputs", "d_state", "d_state"]):
        d_outputs, *d_state = (arrays[n] if n == k else a for n, a in enumerate([np.zeros_like(p.dy), *states]))
        with pytest.raises(ValueError, match=rf"^d_weights\[2\] \(bias\): overlaps {name} in memory"):
            _core.backward(cache, d_outputs, d_state, False, [*map(np.zeros_like, p.weights[:2]), bias])
    with pytest.raises(ValueError, match=r"^d_weights\[2\] \(bias\): overlaps d_outputs in memory"):
        _core.backward(cache, arrays[0], None, False, [*map(np.zeros_like, p.weights[:2]), bias])


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (([[1.0]],), TypeError, "d_outputs: expected dtype float32, got float64"),
        ((P.dy[:, :3],), ValueError, r"d_outputs: expected shape \(batch=3, steps=4, units=6\), got \(3, 3, 6\)"),
        ((P.dy, [STATE[0]]), ValueError, r"d_state: expected a pair \(h, c\), got 1 arrays"),
        ((P.dy, [STATE[0][:1], None]), ValueError, r"d_state\[0\] \(h\): .* got \(1, 6\)"),
        ((P.dy, [None, STATE[0].astype("float64")]), TypeError, r"d_state\[1\] \(c\): .* got float64"),
    ],
)
def test_backward_names_what_is_wrong(arguments, error, text):
    _, _, cache = call(training=True)
    with pytest.raises(error, match=text):
        functional.lstm_backward(cache, *arguments)


def test_gradient_arrays_are_checked():
    _, _, cache = call(training=True)
    right = [np.zeros_like(w) for w in W]
    frozen = np.zeros_like(W[2])
    frozen.flags.writeable = False
    for wrong, error, text in [
        (right[:2], ValueError, "d_weights: expected 3 arrays, got 2"),
        ([right[0][:, :20], *right[1:]], ValueError, r"d_weights\[0\] \(kernel\): .* got \(5, 20\)"),
        ([right[0], right[1].T, right[2]], ValueError, r"d_weights\[1\] \(recurrent_kernel\): .* got \(24, 6\)"),
        ([right[0], right[1].astype("float64"), right[2]], TypeError, r"d_weights\[1\] .* got float64"),
        ([right[0], right[1], frozen], ValueError, r"d_weights\[2\] \(bias\): .* read-only"),
    ]:
        with pytest.raises(error, match=text):
            functional.lstm_backward(cache, P.dy, d_weights=wrong)


def test_backward_takes_a_cache_and_nothing_else():
    for p in ALL_CELLS:
        for wrong in (None, p.dy, p.forward(functional)):
            with pytest.raises(TypeError, match="cache: expected "):
                p.backward(functional, wrong)


def test_training_needs_weights_packed_for_it():
    for p in ALL_CELLS:
        packed = getattr(functional, f"pack_{p.cell}")(p.weights, options=p.options)
        with pytest.raises(ValueError, match=r"weights: were packed for inference; pack them with training=True"):
            p.forward(functional, weights=packed, training=True)


def test_lists_of_numbers_are_arrays():
    weights = [np.ones((1, 4)), np.ones((1, 4))]
    y, _ = functional.lstm([[[1.0], [2.0]]], weights)
    np.testing.assert_array_equal(y, functional.lstm(np.array([[[1.0], [2.0]]]), weights)[0])


@pytest.mark.parametrize("number", [0, -1, 5000])
def test_thread_limits_are_checked(number):
    import lstmcore

    with pytest.raises(ValueError, match=f"num_threads: expected an integer from 1 to 4096, got {number}"):
        lstmcore.set_num_threads(number)
    with pytest.raises(TypeError):
        lstmcore.set_num_threads("two")
