"""What comes from Python is looked at once, as it is, whoever holds it: no array, flag or object is taken on trust."""

import contextlib
import copy
import itertools
import operator
import pickle
import sys
import threading
import time
import warnings

import numpy as np
import pytest
from problems import Problem

import lstmcore
from lstmcore import Sequential, _core, decoders, functional
from lstmcore.functional import (
    GRUOptions,
    LSTMOptions,
    MinGRUOptions,
    MinLSTMOptions,
    RNNOptions,
    SLSTMOptions,
    Zoneout,
)
from lstmcore.layers import GRU, LSTM, SLSTM, Bidirectional, Conv1D, Dense, MinGRU, MinLSTM, SimpleRNN

OPTIONS = {
    "lstm": LSTMOptions(),
    "gru": GRUOptions(),
    "rnn": RNNOptions(),
    "reset before": GRUOptions(reset_after=False),
    "min_gru": MinGRUOptions(),
    "min_lstm": MinLSTMOptions(log_space=True),
    "slstm": SLSTMOptions(heads=5),
}
each_cell = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


def same(a, b):
    np.testing.assert_array_equal(a, b)


def reshape(array, shape):
    """Give the very array another shape."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy, that this is deprecated
        array.shape = shape


def states(p, state):
    return list(state) if len(p.state_names) > 1 else [state]


def gradients(p, cache):
    d_inputs, d_weights, d_state = p.backward(functional, cache)
    return [d_inputs, *d_weights, *states(p, d_state)]


def everything(p, **more):
    """Outputs, last states and all gradients."""
    y, state, cache = p.forward(functional, training=True, **more)
    return [y, *states(p, state), *gradients(p, cache)]


def everything_packed(p, weights):
    """The same with weights packed before."""
    y, state, cache = p.forward(functional, training=True, weights=weights)
    return [y, *states(p, state), *gradients(p, cache)]


# --- masks ---

MASK = np.random.default_rng(0).random((4, 9)) < 0.6


def with_bytes(mask, seed=0):
    """The same mask, its true bytes anything but 0."""
    values = np.random.default_rng(seed).integers(1, 256, mask.shape, np.uint8)
    return np.where(mask, values, 0).astype(np.uint8).view(bool)


@each_cell
@pytest.mark.parametrize(
    "more", [{}, {"checkpoint": 3}, {"go_backwards": True}, {"zero_output_for_mask": True}], ids=str
)
def test_a_mask_is_true_whatever_its_bytes(options, more):
    results = []
    for mask in (MASK, with_bytes(MASK), np.asfortranarray(with_bytes(MASK, 1)), with_bytes(MASK[::-1], 2)[::-1]):
        results.append(everything(Problem(4, 9, 3, 5, options=options, mask=mask), **more))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            same(a, b)


def test_a_mask_of_255s_is_all_true():
    ones = np.full((4, 9), 255, "uint8").view(bool)
    for more in ({}, {"checkpoint": 2}):
        masked, plain = (everything(Problem(4, 9, 3, 5, **options), **more) for options in ({"mask": ones}, {}))
        for a, b in zip(masked, plain, strict=True):
            same(a, b)


@pytest.mark.parametrize(
    "make",
    [
        lambda: [LSTM(4, return_sequences=True), Dense(2)],
        lambda: [Bidirectional(GRU(4)), Dense(2)],
        lambda: [Conv1D(4, 3, padding="same"), SimpleRNN(3)],
    ],
)
def test_models_take_masks_of_any_bytes(make):
    x = np.random.default_rng(0).standard_normal((4, 9, 3)).astype("float32")
    results = []
    for mask in (MASK, with_bytes(MASK)):
        lstmcore.utils.set_random_seed(0)
        model = Sequential(make())
        y = model(x, training=True, mask=mask)
        results.append([y, model.backward(np.ones_like(y)), *(v.gradient for v in model.variables)])
    for a, b in zip(*results, strict=True):
        same(a, b)


def test_boolean_inputs_are_zeros_and_ones_whatever_their_bytes():
    dense = Dense(3)
    same(dense(with_bytes(MASK)), dense(MASK.astype("float32")))


# --- arrays that are changed ---


@each_cell
def test_arrays_may_be_reshaped_in_place_between_the_passes(options):
    p, q = Problem(4, 9, 3, 5, options=options), Problem(4, 9, 3, 5, options=options)
    want = everything(q)[1 + len(q.state) :]
    out = np.empty((4, 9, 5), "float32")
    y, state, cache = p.forward(functional, training=True, out=out)
    assert y is out
    for array in (y, p.x, *states(p, state), *p.state):
        reshape(array, (array.size,))
    for a, b in zip(gradients(p, cache), want, strict=True):
        same(a, b)


@each_cell
@pytest.mark.parametrize("more", [{}, {"checkpoint": 3}, {"go_backwards": True}], ids=str)
@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("padding", ["none", "mask", "lengths"])
def test_whatever_is_changed_between_the_passes_but_the_inputs_changes_nothing(options, more, sequences, padding):
    def problem():
        padded = {"none": {}, "mask": {"mask": MASK.copy()}, "lengths": {"lengths": np.array([9, 2, 0, 5])}}[padding]
        dropout = {"dropout": "shared", "recurrent_dropout": "per gate"}
        return Problem(4, 9, 3, 5, options=options, sequences=sequences, **dropout, **padded)

    want = everything(problem(), **more)[1 + len(problem().state) :]
    for place in (None, np.empty((4, 9, 10) if sequences else (4, 10), "float32")[..., :5]):
        p = problem()
        y, state, cache = p.forward(functional, training=True, out=place, **more)
        for array in (y, *states(p, state), *p.state, p.dropout_mask, p.recurrent_dropout_mask):
            array.fill(np.nan)
        for array in (p.mask, p.lengths):
            if array is not None:
                array.fill(1)
        for a, b in zip(gradients(p, cache), want, strict=True):
            same(a, b)


@pytest.mark.parametrize("kind", [LSTM, GRU, SimpleRNN, MinGRU, MinLSTM, SLSTM])
@pytest.mark.parametrize("wrap", [lambda layer: layer, Bidirectional], ids=["one way", "both"])
def test_the_outputs_of_a_layer_may_be_written_to_before_the_way_back(kind, wrap):
    x = np.random.default_rng(0).standard_normal((4, 9, 3)).astype("float32")
    results = []
    for write in (False, True):
        lstmcore.utils.set_random_seed(0)
        layer = wrap(kind(5, return_sequences=True))
        y = layer(x, training=True)
        dy = np.ones_like(y)
        if write:
            y *= 2
        results.append([layer.backward(dy), *(v.gradient for v in layer.variables)])
    for a, b in zip(*results, strict=True):
        same(a, b)


def test_inputs_whose_memory_is_given_up_before_the_way_back_are_named():
    other = np.ones((500, 500), "float32")
    for change in (
        lambda a: a.resize((1000, 1000), refcheck=False),
        lambda a: a.resize((1, 9, 3), refcheck=False),  # in place
        lambda a: a.__setstate__(other.__reduce__()[2]),
    ):
        p = Problem(4, 9, 3, 5)
        x = p.x.copy()
        _, _, cache = functional.lstm(x[::-1], p.weights, training=True)
        change(x)
        with pytest.raises(ValueError, match="inputs: their memory was given up between forward and backward"):
            functional.lstm_backward(cache, p.dy)


@contextlib.contextmanager
def toggled(array, index, values):
    """Another thread writes the values by turns, as fast as it can."""
    stop, before = threading.Event(), sys.getswitchinterval()

    def toggle():
        for value in itertools.cycle(values):
            array[index] = value
            if stop.is_set():
                break

    sys.setswitchinterval(1e-6)
    other = threading.Thread(target=toggle)
    other.start()
    try:
        yield
    finally:
        stop.set()
        other.join()
        sys.setswitchinterval(before)
        array[index] = values[0]


def of_many_calls(call, times):
    """What so many calls return; those that find a wrong value are refused and tried again."""
    for _ in range(100 * times):
        try:
            yield call()
            times -= 1
        except ValueError as error:
            assert "expected" in str(error)  # noqa: PT017
            time.sleep(1e-6)  # gives way to the other thread
        if times == 0:
            return
    pytest.fail("nothing but wrong values")


def test_indices_that_another_thread_changes_reach_nothing_else():
    memory = np.zeros((300, 1), "float32")
    sums, indices, rows = memory[100:200], np.zeros(200000, np.int64), np.ones((200000, 1), "float32")
    with toggled(indices, -1, [0, 150]):
        calls = of_many_calls(lambda: _core.add_rows(sums, indices, rows), 100_000)
        assert len(list(itertools.islice(calls, 30))) == 30
    assert not memory[:100].any()
    assert not memory[200:].any()


@each_cell
def test_lengths_that_another_thread_changes_are_those_of_one_moment(options):
    p = Problem(400, 3, 2, 5, options=options)
    lengths = np.full(400, 3)
    want = p.forward(functional)[0]
    with toggled(lengths, slice(1, None), [3, 10**9]):
        for got, _ in of_many_calls(lambda: p.forward(functional, lengths=lengths), 20):
            same(got, want)


@each_cell
def test_numbers_that_another_thread_changes_stay_numbers(options):
    # A value may be that of before or after, even within a call; what they are not is read from elsewhere.
    p = Problem(50, 4, 3, 5, options=options, scale=0.1)
    packed = getattr(functional, f"pack_{p.cell}")(p.weights, options=options)
    with toggled(p.x, slice(None), [p.x.copy(), np.float32(0.5)]):
        for _ in range(20):
            y, _ = p.forward(functional, weights=packed)
            assert np.abs(y).max() < 50


def test_labels_that_another_thread_changes_are_those_of_one_moment():
    x = np.random.default_rng(0).standard_normal((8, 400, 6))
    labels = np.tile(np.array([1, 2, 3, 4]), (8, 20))
    want = functional.ctc_loss(x, labels)
    with toggled(labels, (slice(None), slice(40, None)), [labels[:, 40:].copy(), 10**9]):
        for got in of_many_calls(lambda: functional.ctc_loss(x, labels), 40):
            same(got, want)


def test_sequences_that_another_thread_changes_are_those_of_one_moment():
    first = np.arange(0, 40001, 20)
    values = np.zeros(40000, np.int64)
    with toggled(first, slice(1, -1), [first[1:-1].copy(), 10**9]):
        for got in of_many_calls(lambda: _core.edit_counts(values, first, values, np.arange(0, 40001, 20)), 40):
            assert not got.any()


# --- alignment ---


def off_by_one(array):
    """The same array, at an address that suits no number."""
    memory = np.empty(array.nbytes + 1, np.uint8)
    result = np.frombuffer(memory, array.dtype, array.size, offset=1).reshape(array.shape)
    result[...] = array
    assert not result.flags.aligned
    return result


@each_cell
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_misaligned_arrays_give_what_others_do(options, dtype):
    p = Problem(4, 9, 3, 5, dtype, options=options, lengths=np.array([9, 4, 0, 2]), dropout="per gate")
    want = everything(p)
    for name in ("x", "dy", "lengths", "dropout_mask"):
        setattr(p, name, off_by_one(getattr(p, name)))
    for name in ("weights", "state", "d_state"):
        setattr(p, name, [off_by_one(a) for a in getattr(p, name)])
    for a, b in zip(everything(p), want, strict=True):
        same(a, b)


def test_misaligned_arrays_of_other_functions_give_what_others_do():
    rng = np.random.default_rng(0)
    a, b, bias = rng.standard_normal((5, 4)), rng.standard_normal((4, 3)), rng.standard_normal(3)
    same(_core.matmul(*map(off_by_one, (a, b, bias))), _core.matmul(a, b, bias))
    same(_core.matmul(*(off_by_one(np.stack([m, m])) for m in (a, b))), np.stack([_core.matmul(a, b)] * 2))
    same(_core.matmul(a, _core.PackedMatrix(off_by_one(b))), _core.matmul(a, b))
    same(_core.tanh(off_by_one(a)), _core.tanh(a))
    assert _core.sum_of_squares(off_by_one(a)) == _core.sum_of_squares(a)
    sums = np.zeros((2, 5, 4))
    indices = np.array([4, 0, 0, 2, 1])
    _core.add_rows(sums[0], indices, a)
    _core.add_rows(sums[1], off_by_one(indices), off_by_one(a))
    same(sums[0], sums[1])

    x, labels, steps, counts = (
        rng.standard_normal((2, 6, 5)),
        np.array([[1, 2], [3, 3]]),
        np.array([6, 5]),
        np.array([2, 2]),
    )
    for name in ("ctc_loss", "ctc_loss_and_gradient"):
        function = getattr(functional, name)
        for got, want in zip(
            function(*map(off_by_one, (x, labels, steps, counts))), function(x, labels, steps, counts), strict=True
        ):
            same(got, want)
    for decode in (decoders.greedy, decoders.beam_search):
        got, want = decode(off_by_one(x), off_by_one(steps)), decode(x, steps)
        assert got[0] == want[0]
        same(got[1], want[1])
    sequences = np.arange(10), np.array([0, 3, 10]), np.arange(9), np.array([0, 5, 9])
    same(_core.edit_counts(*map(off_by_one, sequences)), _core.edit_counts(*sequences))


def test_misaligned_places_for_results_are_refused():
    a, place = np.ones((2, 2)), off_by_one(np.zeros((2, 2)))
    for call in (
        lambda: _core.matmul(a, a, None, place),
        lambda: _core.tanh(a, place),
        lambda: _core.softmax(place[None], 1.0, None),
        lambda: _core.softmax_backward(place[None], a[None], 1.0, None),
        lambda: _core.add_rows(place, np.array([0]), a[:1]),
    ):
        with pytest.raises(ValueError, match="expected an aligned array"):
            call()


# --- options ---


class Liar(LSTMOptions):
    gates = 1


class Longer(GRUOptions):
    gates = 10**9


def tampered(options, **changes):
    options = copy.copy(options)
    for name, value in changes.items():
        object.__setattr__(options, name, value)
    return options


@pytest.mark.parametrize("gates", [0, -1, 1, 2, 3, 5, 2**40, 1e300, None, "four"], ids=str)
@each_cell
def test_what_options_say_of_their_gates_is_not_believed(options, gates):
    p = Problem(2, 3, 4, 5, options=options)
    weights = [_core.pack(o, list(p.weights), True, False) for o in (options, tampered(options, gates=gates))]
    results = [getattr(functional, p.cell)(p.x, w) for w in weights]
    same(results[0][0], results[1][0])


@pytest.mark.parametrize("liar", [Liar(), Longer()])
def test_nor_what_a_subclass_says(liar):
    p = Problem(2, 3, 4, 5, cell=liar.cell)
    run = getattr(functional, p.cell)
    same(run(p.x, p.weights, options=liar)[0], run(p.x, p.weights)[0])


BAD = [None, 0, 7, -1, 1.5, float("nan"), "", "tanh", "text", b"lstm", [], {}, object(), 10**30, np.ones(3), "\udc80"]


@each_cell
def test_options_of_any_kind_are_read_or_refused(options):
    p = Problem(2, 3, 4, 5, options=options)
    for name in ("cell", *(field for kind in OPTIONS.values() for field in vars(kind))):
        for value in BAD:
            try:
                packed = _core.pack(tampered(options, **{name: value}), list(p.weights), True, False)
            except (TypeError, ValueError):
                continue
            assert getattr(functional, p.cell)(p.x, packed)[0].shape == (2, 3, 5)
    for bad in BAD:
        with pytest.raises((TypeError, ValueError, AttributeError)):
            _core.pack(bad, list(p.weights), True, False)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"cell": "mlp"}, f"cell: expected one of {', '.join(map(repr, _core.cells))}, got 'mlp'"),
        ({"cell": 3}, "cell: expected a string, got 3"),
        ({"cell": "slstm"}, "options: expected those of a cell, got one of type LSTMOptions"),  # without heads
        ({"activation": "swash"}, "activation: unknown activation swash"),
        ({"activation": 3}, "activation: expected a string, got 3"),
        ({"peepholes": 1}, "peepholes: expected True or False, got 1"),
        ({"coupled": True, "input_gate": False}, "coupled: needs input_gate=True"),
    ],
    ids=str,
)
def test_wrong_options_are_named(changes, text):
    p = Problem(2, 3, 4, 5)
    with pytest.raises((TypeError, ValueError), match=text):
        _core.pack(tampered(LSTMOptions(), **changes), list(p.weights), True, False)


# Of 5 units. (A float or a name is refused where options are made; a divisor, where the units are known.)
BAD_HEADS = [0, -1, -5, 2, 3, 4, 10, 2**31, 2**40, 2**63, 10**30, True, False, 5.0, float("nan"), "5", None, [5]]


@pytest.mark.parametrize("heads", BAD_HEADS, ids=str)
def test_heads_that_cannot_be_are_named_at_every_door(heads):
    p = Problem(2, 3, 4, 5, cell="slstm")
    for call in (
        lambda: functional.slstm(p.x, p.weights, options=SLSTMOptions(heads=heads)),
        lambda: functional.pack_slstm(p.weights, options=tampered(SLSTMOptions(), heads=heads)),
        lambda: _core.pack(tampered(SLSTMOptions(), heads=heads), p.weights, True, False),
        lambda: SLSTM(5, heads),
    ):
        with pytest.raises((TypeError, ValueError), match=r"^(SLSTM: )?heads: expected .*, got "):
            call()


@pytest.mark.parametrize("heads", [2, 3, 7])
def test_heads_are_divisors_of_the_units(heads):
    p = Problem(2, 3, 4, 5, cell="slstm")
    with pytest.raises(ValueError, match=f"^heads: expected a divisor of units=5, got {heads}$"):
        functional.slstm(p.x, p.weights, options=SLSTMOptions(heads=heads))
    with pytest.raises(ValueError, match=f"^SLSTM: heads: expected a divisor of units=5, got {heads}$"):
        SLSTM(5, heads)


class Fickle(SLSTMOptions):
    """Options that say another number of heads each time they are asked."""

    said = itertools.cycle([1, 5, 3, 10**6, 5, 2, 7])
    heads = property(lambda self: next(Fickle.said), lambda self, value: None)


def test_heads_that_change_are_those_of_one_moment():
    p = Problem(2, 3, 4, 5, options=SLSTMOptions(heads=5))
    want, taken = everything(p), 0
    for _ in range(70):
        try:
            packed = _core.pack(Fickle(), p.weights, True, False)
        except ValueError:
            continue
        taken += 1
        for got, expected in zip(everything_packed(p, packed), want, strict=True):
            same(got, expected)
    assert taken


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"h": "much"}, "zoneout: h: expected a number from 0.0 to 1.0, got 'much'"),
        ({"h": float("nan")}, "zoneout: h: expected a number from 0.0 to 1.0, got nan"),
        ({"c": 2}, "zoneout: c: expected a number from 0.0 to 1.0, got 2"),
        ({"seed": -1}, "zoneout: seed: expected an integer from 0 to 4294967295, got -1"),
        ({"seed": 1.5}, "zoneout: seed: expected an integer from 0 to 4294967295, got 1.5"),
    ],
    ids=str,
)
def test_wrong_rates_are_named(changes, text):
    p = Problem(2, 3, 4, 5)
    with pytest.raises((TypeError, ValueError), match=text):
        functional.lstm(p.x, p.weights, zoneout=tampered(Zoneout(0.1, 0.1, 3), **changes), training=True)


# --- objects ---

PLAIN = Problem(2, 3, 4, 5)
PACKED = functional.pack_lstm(PLAIN.weights, training=True)
CACHE = functional.lstm(PLAIN.x, PACKED, training=True)[2]
SLSTM_PLAIN = Problem(2, 3, 4, 6, options=SLSTMOptions(heads=2))
SLSTM_PACKED = functional.pack_slstm(SLSTM_PLAIN.weights, options=SLSTM_PLAIN.options, training=True)
SLSTM_CACHE = functional.slstm(SLSTM_PLAIN.x, SLSTM_PACKED, training=True)[2]
MIN_PLAIN = Problem(2, 3, 4, 5, cell="min_lstm")
MIN_PACKED = functional.pack_min_lstm(MIN_PLAIN.weights, training=True)
OBJECTS = {
    "PackedWeights": PACKED,
    "Cache": CACHE,
    "Stream": _core.Stream(PACKED, 1, 1, None),
    "PackedMatrix": _core.PackedMatrix(np.ones((2, 2))),
    "Snapshot": _core.Snapshot([np.ones((2, 2))]),
    "NGramTable": _core.NGramTable(["a"], [([0], -1.0, 0.0)], -1, -1, -1, -9.0),
}


def test_these_are_all_the_classes_of_the_core():
    assert {name for name, value in vars(_core).items() if isinstance(value, type)} == OBJECTS.keys()


@pytest.mark.parametrize("name", OBJECTS)
def test_no_object_of_the_core_is_without_a_value(name):
    kind, base = type(OBJECTS[name]), type(OBJECTS[name]).__mro__[1]
    for make in (
        lambda: kind.__new__(kind),
        lambda: base.__new__(kind),
        lambda: object.__new__(kind),
        lambda: copy.copy(OBJECTS[name]),
        lambda: copy.deepcopy(OBJECTS[name]),
        lambda: pickle.loads(pickle.dumps(OBJECTS[name])),
        lambda: type("Sub", (kind,), {}),
        lambda: kind(),
    ):
        with pytest.raises(TypeError):
            make()


def zoneout_of(h):
    return tampered(Zoneout(0.1, 0.1, 3), h=h)


CALLS = {  # every function of the core and every method, with arguments that are right
    "pack": (_core.pack, LSTMOptions(), list(PLAIN.weights), True, False),
    "describe": (_core.describe, SLSTMOptions()),
    "forward": (
        *(_core.forward, PACKED, PLAIN.x, list(PLAIN.state), True, True, None, None, np.ones((2, 3), bool), False),
        *(False, np.ones((2, 4), "float32"), np.ones((2, 5), "float32"), None, False, "lstm"),
    ),
    "forward of lengths": (
        *(_core.forward, PACKED, PLAIN.x, None, True, False, np.zeros((2, 3, 5), "float32"), np.array([3, 1])),
        *(None, False, True, None, None, None, False, None),
    ),
    "forward of minLSTM": (
        *(_core.forward, MIN_PACKED, MIN_PLAIN.x, list(MIN_PLAIN.state), True, True, None, np.array([3, 1]), None),
        *(False, True, np.ones((3, 2, 4), "float32"), None, Zoneout(0.1, seed=3), False, "min_lstm"),
    ),
    "forward of sLSTM": (
        *(_core.forward, SLSTM_PACKED, SLSTM_PLAIN.x, list(SLSTM_PLAIN.state), False, True, None, None, None),
        *(False, True, None, np.ones((4, 2, 6), "float32"), Zoneout(0.1, seed=3), False, "slstm"),
    ),
    "backward of sLSTM": (
        *(_core.backward, SLSTM_CACHE, SLSTM_PLAIN.dy, list(SLSTM_PLAIN.state), True),
        [np.zeros_like(w) for w in SLSTM_PLAIN.weights],
    ),
    "backward": (_core.backward, CACHE, PLAIN.dy, list(PLAIN.state), True, [np.zeros_like(w) for w in PLAIN.weights]),
    "cpu_quota": (_core.cpu_quota, ""),
    "Stream": (_core.Stream, PACKED, 1, 1, None),
    "Stream.run": (_core.Stream(PACKED, 2, 3, None).run, PLAIN.x, None),
    "Stream.run of sLSTM": (_core.Stream(SLSTM_PACKED, 2, 3, Zoneout(0.1)).run, SLSTM_PLAIN.x, None),
    "Stream.set_state of sLSTM": (_core.Stream(SLSTM_PACKED, 2, 3, None).set_state, list(SLSTM_PLAIN.state)),
    "Stream.set_state": (_core.Stream(PACKED, 2, 3, None).set_state, list(PLAIN.state)),
    "exclusive": (_core.exclusive, "name"),
    "an exclusive function": (_core.exclusive("name"), abs, 1),
    "PackedMatrix": (_core.PackedMatrix, np.ones((2, 3))),
    "matmul": (_core.matmul, np.ones((2, 3)), np.ones((3, 2)), np.ones(2), np.ones((2, 2)), True),
    "matmul of several": (_core.matmul, np.ones((4, 2, 3)), np.ones((4, 3, 2)), np.ones(2), np.ones((4, 2, 2)), True),
    "transpose": (_core.transpose, np.ones((2, 3)), 1),
    "Snapshot": (_core.Snapshot, [np.ones((2, 3)), np.ones(2)]),
    "softmax": (_core.softmax, np.ones((4, 2, 3)), 0.5, np.ones((2, 2, 3), bool)),
    "softmax_backward": (
        *(_core.softmax_backward, np.ones((4, 2, 3)), np.ones((4, 2, 3)), 0.5, np.ones((2, 2, 3), bool)),
    ),
    "add_rows": (_core.add_rows, np.zeros((3, 2)), np.array([0, 2]), np.ones((2, 2))),
    "sigmoid": (_core.sigmoid, np.ones(3), np.ones(3)),
    "tanh": (_core.tanh, np.ones(3), np.ones(3)),
    "optimizer_step": (_core.optimizer_step, "sgd", np.ones(3), np.ones(3), [], [0.1], 1.0, 1.0, 0.0),
    "sum_of_squares": (_core.sum_of_squares, np.ones(3)),
    "ctc": (
        *(_core.ctc, np.zeros((2, 4, 3)), np.array([[1, 2], [2, 1]]), np.array([4, 4]), np.array([2, 1]), 0),
        *(True, False, True, np.ones(2)),
    ),
    "crf": (
        *(_core.crf, np.zeros((2, 4, 3)), np.array([[1, 2, 0, 0], [2, 1, 0, 0]]), np.zeros((3, 3)), np.zeros(3)),
        *(np.zeros(3), np.array([4, 3]), True, np.ones(2)),
    ),
    "crf_decode": (
        *(_core.crf_decode, np.zeros((2, 4, 3)), np.zeros((3, 3)), np.zeros(3), np.zeros(3), np.array([4, 3])),
    ),
    "ctc_greedy": (_core.ctc_greedy, np.zeros((2, 4, 3)), np.array([4, 3]), 0, 1, True),
    "ctc_beam_search": (
        *(_core.ctc_beam_search, np.ones((2, 4, 3)), np.array([4, 3]), 0, 1, 5, 2, -9.0, None, 1.0, 0.0),
        *(["", "a", "b"], -1),
    ),
    "NGramTable": (_core.NGramTable, ["a"], [([0], -1.0, 0.0)], -1, -1, -1, -9.0),
    "NGramTable.scores": (OBJECTS["NGramTable"].scores, ["a"], True, True),
    "edit_counts": (_core.edit_counts, np.arange(5), np.array([0, 2, 5]), np.arange(4), np.array([0, 2, 4])),
    "set_num_threads": (_core.set_num_threads, _core.get_num_threads()),
}
WRONG = [
    *BAD,
    True,
    -(2**70),
    10**400,
    np.zeros(0),
    np.zeros((0, 3, 3), "float32"),
    np.zeros((2, 3, 4), "float32")[:, ::2, ::-1],
    np.full((2, 3), 255, "uint8").view(bool),
    np.full((2, 2), 10**12),
    np.array("text"),
    np.array([None, {}], object),
    np.zeros((1,) * 20),
    [[1.0], [1.0, 2.0]],
    [None] * 3,
    ["a", 3],
    LSTMOptions(),
    zoneout_of("x"),
    *OBJECTS.values(),
    _core.Cache,
]


def test_these_are_all_the_functions_of_the_core():
    names = {n for n, v in vars(_core).items() if callable(v) and not n.startswith("_")} - {"PackedWeights", "Cache"}
    pairs = {"forward_both", "backward_both"}  # which take the arguments of forward and backward
    asking = {"config", "get_num_threads", "multiply_add_loop", "read_loop"}
    assert names - pairs - asking <= CALLS.keys()


@pytest.mark.parametrize("name", CALLS)
def test_wrong_arguments_of_the_core_are_exceptions(name, set_threads):
    function, *right = CALLS[name]
    function(*right)
    pair = getattr(_core, f"{name}_both", None)
    for k in range(len(right)):
        for wrong in WRONG:
            arguments = [*right[:k], wrong, *right[k + 1 :]]
            calls = [lambda a=arguments: function(*a)]
            if pair is not None:
                calls.append(lambda a=arguments: pair(tuple(right), tuple(a)))
            for call in calls:
                with contextlib.suppress(TypeError, ValueError, AttributeError, IndexError):
                    call()
    function(*right)  # nothing was broken on the way


# --- what an argument's own code changes ---


class Meanwhile:
    """A number or an array that changes something when it is asked which."""

    def __init__(self, value, change):
        self.value, self.change = value, change

    def __index__(self):
        self.change()
        return operator.index(self.value)

    def __float__(self):
        self.change()
        return float(self.value)

    def __array__(self, dtype=None, copy=None):
        self.change()
        return np.array(self.value)


def turn(arguments):
    for a in arguments:
        if isinstance(a, list):
            turn(a)
        elif isinstance(a, np.ndarray) and a.ndim > 1:
            reshape(a, a.shape[::-1])


def numbers_in(result):
    if isinstance(result, np.ndarray | int | float):
        return [np.array(result)]
    return [a for part in result for a in numbers_in(part)] if isinstance(result, list | tuple) else []


def outcome(function, arguments):
    try:
        return numbers_in(function(*arguments))
    except (TypeError, ValueError):
        return None


def fresh(arguments):
    return [fresh(a) if isinstance(a, list) else a.copy() if isinstance(a, np.ndarray) else a for a in arguments]


def places(arguments):
    """Where numbers and arrays stand, also in lists: (number, ...) for each."""
    for k, value in enumerate(arguments):
        if isinstance(value, list):
            yield from ((k, *place) for place in places(value))
        elif isinstance(value, int | float | np.ndarray) and not isinstance(value, bool):
            yield (k,)


def exchange(arguments, place, value):
    """Put a value where another stands, and return that."""
    for k in place[:-1]:
        arguments = arguments[k]
    before, arguments[place[-1]] = arguments[place[-1]], value
    return before


@pytest.mark.parametrize(
    "name", [n for n in CALLS if not n.startswith(("Stream", "set_", "exclusive", "an exclusive"))]
)
def test_arrays_that_another_argument_turns_are_those_of_before_or_after(name):
    function, *right = CALLS[name]
    for place in places(right):
        before, after, arguments = fresh(right), fresh(right), fresh(right)
        own = exchange(after, place, None)
        turn(after)
        exchange(after, place, own)
        exchange(arguments, place, Meanwhile(own, lambda a=arguments: turn(a)))
        got = outcome(function, arguments)
        if got is not None:
            possible = [outcome(function, before), outcome(function, after)]
            assert any(p is not None and all(map(np.array_equal, got, p)) for p in possible), (name, place)


# --- what an argument's own code raises ---


class Raises:
    def __init__(self, error):
        self.error = error

    def __array__(self, dtype=None, copy=None):
        raise self.error


ARRAYS = [
    *((name, k) for name in ("forward", "forward of lengths") for k in (1, 6, 7, 10, 11)),
    *((name, k) for name in ("forward of minLSTM", "forward of sLSTM") for k in (1, 6, 7, 10, 11)),
    *(("forward", (2, k)) for k in (0, 1)),
    *((name, (2, k)) for name in ("forward of sLSTM", "backward of sLSTM") for k in range(4)),
    ("backward", 1),
    *(("backward", (2, k)) for k in (0, 1)),
    ("Stream.run", 0),
    ("PackedMatrix", 0),
    ("transpose", 0),
    *(("matmul", k) for k in (0, 1, 2)),
    *(("matmul of several", k) for k in (0, 1, 2)),
    ("softmax", 2),
    *(("softmax_backward", k) for k in (1, 3)),
    *(("add_rows", k) for k in (1, 2)),
    ("tanh", 0),
    ("optimizer_step", 2),
    ("sum_of_squares", 0),
    *(("ctc", k) for k in (0, 1, 2, 3, 8)),
    *(("crf", k) for k in (0, 1, 2, 3, 4, 5, 7)),
    *(("crf_decode", k) for k in range(5)),
    *(("ctc_greedy", k) for k in (0, 1)),
    *(("ctc_beam_search", k) for k in (0, 1)),
    *(("edit_counts", k) for k in range(4)),
]


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt, MemoryError, ZeroDivisionError, ValueError, TypeError, SystemExit]
)
def test_what_an_array_raises_is_passed_on(error):
    for name, k in ARRAYS:
        function, *arguments = fresh(CALLS[name])
        raised = error("its own")
        exchange(arguments, k if isinstance(k, tuple) else (k,), Raises(raised))
        with pytest.raises(error) as caught:
            function(*arguments)
        assert caught.value is raised


def test_what_is_no_array_is_named():
    for name, k in ARRAYS:
        function, *arguments = fresh(CALLS[name])
        exchange(arguments, k if isinstance(k, tuple) else (k,), [[1.0], [1.0, 2.0]])
        with pytest.raises(ValueError, match=r"^\w+.*: expected an array, got lists of different lengths; pad them$"):
            function(*arguments)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, ZeroDivisionError, RuntimeError])
def test_what_a_language_model_raises_is_passed_on(error):
    class Number:
        def __float__(self):
            raise error("its own")

    def model(prefix, label):
        raise error("its own")

    for lm in (model, lambda prefix, label: Number()):
        with pytest.raises(error, match="its own"):
            decoders.beam_search(np.zeros((2, 4, 3)), lm=lm)


# --- integers ---


@pytest.mark.parametrize(
    ("value", "error"), [(2.5, TypeError), ("2", TypeError), (None, TypeError), (True, TypeError), (10**30, ValueError)]
)
def test_integers_are_checked_by_name(value, error, set_threads):
    with pytest.raises(error, match="num_threads: expected an integer from 1 to 4096, got "):
        lstmcore.set_num_threads(value)
    x, labels = np.zeros((1, 4, 3)), [[1]]
    for function in (functional.ctc_loss, functional.ctc_loss_and_gradient):
        with pytest.raises(error, match=r"blank: expected an? (class from 0 to 2|integer|integer of 64 bits), got "):
            function(x, labels, blank=value)


def test_integers_of_any_kind_are_taken(set_threads):
    class Index:
        def __index__(self):
            return 2

    for value in (np.int8(2), np.uint64(2), Index()):
        lstmcore.set_num_threads(value)
        assert _core.get_num_threads() == (1 if _core.config()["threading"] == "none" else 2)
        x = np.random.default_rng(0).standard_normal((1, 4, 3))
        same(functional.ctc_loss(x, [[1]], blank=value), functional.ctc_loss(x, [[1]], blank=2))


def test_huge_numbers_do_not_make_huge_messages():
    with pytest.raises(ValueError, match=r"num_threads: .* got a huge number"):
        lstmcore.set_num_threads(10**5000)
