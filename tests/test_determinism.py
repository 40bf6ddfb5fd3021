"""The same bits, whatever the threads, the other rows, the padding, the layout in memory and who else is calling."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from problems import LAYOUTS, MIN_AND_SLSTM, OPTIONS, Problem, assert_same_bits, lay_out

from lstmcore import functional
from lstmcore.functional import GRUOptions, LSTMOptions, RNNOptions, Zoneout

SHAPES = [
    (1, 30, 20, 64),  # one row: threads share units, inputs projected ahead
    (3, 11, 7, 200),
    (3, 5, 20, 530),  # and then sums in pieces
    (20, 5, 20, 530),  # threads share rows, inputs projected ahead: the weights are large
    (10, 5, 20, 530),  # the same with the tiles of instruction sets that have half the registers
    (7, 9, 12, 150),  # too few rows for three threads, enough for one
    (16, 9, 12, 150),  # threads share rows
    (70, 40, 3, 33),
    (530, 3, 4, 20),
]
# Their sums go through memory: a loop of its own.
STAGED = {
    "gru, reset before": GRUOptions(reset_after=False),
    "gru, layer norm": GRUOptions(layer_norm=True),
    "lstm, peepholes": LSTMOptions(peepholes=True),
    "lstm, projection": LSTMOptions(projection=True),
    "lstm, layer norm": LSTMOptions(layer_norm=True),
    "lstm, clip": LSTMOptions(clip=0.5, output_activation="softplus"),
    "gru, elu": GRUOptions(activation="elu", clip=0.5),
    "rnn, scaled tanh": RNNOptions("scaled_tanh"),
}
CELLS = {cell: options() for cell, options in OPTIONS.items()} | MIN_AND_SLSTM | STAGED
every_cell = pytest.mark.parametrize("options", CELLS.values(), ids=CELLS)
every_plain_cell = pytest.mark.parametrize("cell", OPTIONS)

CALLS = {
    "plain": {},
    "dropout": {"dropout": "shared", "recurrent_dropout": "shared"},
    "dropout per gate": {"dropout": "per gate", "recurrent_dropout": "per gate"},
    "lengths": {"lengths": "random"},
    "mask": {"mask": "random"},
    "lengths, backwards, last output": {"lengths": "random", "go_backwards": True, "sequences": False},
    "all": {"mask": "random", "go_backwards": True, "dropout": "per gate", "recurrent_dropout": "shared"},
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


# --- threads ---


def same_bits_from_any_threads(p, set_threads):
    set_threads(1)
    alone = p.run(functional)
    for threads in (2, 3, 4):
        set_threads(threads)
        assert_same_bits(p.run(functional), alone)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every_plain_cell
def test_bits_do_not_depend_on_threads(cell, shape, dtype, set_threads):
    # Big enough for the work to be shared: pass_threads in runtime/cost.cpp decides.
    same_bits_from_any_threads(Problem(*shape, dtype, cell=cell), set_threads)


@every_cell
@every_call
def test_bits_do_not_depend_on_threads_with_options(options, call, set_threads):
    same_bits_from_any_threads(Problem(50, 9, 12, 70, options=options, **call), set_threads)


@every_plain_cell
@every_call
def test_bits_do_not_depend_on_threads_that_share_units(cell, call, set_threads):
    same_bits_from_any_threads(Problem(3, 11, 30, 260, cell=cell, **call), set_threads)


@every_cell
def test_bits_do_not_depend_on_threads_with_zoneout(options, set_threads):
    p = Problem(40, 9, 12, 70, options=options, lengths="random", zoneout=Zoneout(0.2, 0.1, seed=9))
    same_bits_from_any_threads(p, set_threads)


@every_plain_cell
def test_calls_from_several_threads_give_the_same_bits(cell):
    problems = [Problem(8 + k, 15, 20, 60, seed=k, cell=cell, lengths=None if k < 3 else "random") for k in range(4)]
    packed = getattr(functional, f"pack_{cell}")(problems[0].weights)
    alone = [p.run(functional) for p in problems]
    shared = [p.infer(functional, weights=packed) for p in problems]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            for got, want in zip(pool.map(lambda p: p.run(functional), problems), alone, strict=True):
                assert_same_bits(got, want)
            for got, want in zip(
                pool.map(lambda p: p.infer(functional, weights=packed), problems), shared, strict=True
            ):
                assert_same_bits(got, want)


def test_a_cache_serves_several_threads_at_once():
    p = Problem(9, 15, 20, 60, "float64", lengths="random")
    _, _, cache = p.forward(functional, training=True)
    want = p.gradients(*p.backward(functional, cache))
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(lambda _: p.backward(functional, cache), range(12)):
            assert_same_bits(p.gradients(*got), want)


# --- rows ---


def rows_of(result, rows):
    return {name: array[rows] for name, array in result.items()}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every_cell
def test_bits_of_a_row_do_not_depend_on_the_other_rows(options, dtype):
    p = Problem(37, 12, 9, 50, dtype, options=options)
    whole = p.infer(functional)
    for rows in [slice(k, k + 1) for k in range(37)] + [slice(0, 5), slice(3, 20), slice(30, 37)]:
        assert_same_bits(p.rows(rows).infer(functional), rows_of(whole, rows))


@every_plain_cell
@pytest.mark.parametrize("call", [{}, {"lengths": "random"}], ids=["plain", "lengths"])
def test_bits_of_a_row_of_a_large_layer_do_not_depend_on_the_other_rows(cell, call):
    # Inputs projected ahead or not, by the number of rows, and sums in pieces.
    p = Problem(30, 5, 20, 530, cell=cell, **call)
    whole = p.infer(functional)
    for rows in (slice(7, 8), slice(3, 6), slice(4, 9), slice(2, 22)):
        assert_same_bits(p.rows(rows).infer(functional), rows_of(whole, rows))


@every_cell
@every_call
def test_bits_of_a_row_do_not_depend_on_the_other_rows_with_options(options, call):
    p = Problem(13, 8, 9, 50, options=options, **call)
    whole = p.infer(functional)
    for rows in [slice(k, k + 1) for k in range(13)] + [slice(3, 10)]:
        assert_same_bits(p.rows(rows).infer(functional), rows_of(whole, rows))


@every_cell
@pytest.mark.parametrize("go_backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("units", [40, 150])  # few gates, and so many that their sums are taken in pieces
def test_a_row_with_a_length_is_the_row_alone(options, units, go_backwards):
    # The row without its padding, without lengths, without other rows: outputs, states and the gradient of its inputs.
    lengths = [5, 1, 0, 8, 3, 8, 2, 7, 4]
    p = Problem(9, 8, 6, units, options=options, lengths=lengths, go_backwards=go_backwards)
    got = p.run(functional)
    for k, length in enumerate(lengths):
        np.testing.assert_array_equal(got["outputs"][k, length:], 0)
        np.testing.assert_array_equal(got["d_inputs"][k, length:], 0)
        row = p.rows(slice(k, k + 1))
        if length == 0:  # keeps its state and hands its gradient on
            for name, state, gradient in zip(p.state_names, p.state, p.d_state, strict=True):
                np.testing.assert_array_equal(got[name][k], state[k])
                np.testing.assert_array_equal(got[f"d_{name}"][k], gradient[k])
            continue
        row.x, row.dy, row.lengths = row.x[:, :length], row.dy[:, :length], None
        alone = row.run(functional)
        for name in ("outputs", "d_inputs"):
            np.testing.assert_array_equal(got[name][k, :length], alone[name][0], err_msg=name)
        for name in p.state_names:
            np.testing.assert_array_equal(got[name][k], alone[name][0], err_msg=name)
            np.testing.assert_array_equal(got[f"d_{name}"][k], alone[f"d_{name}"][0], err_msg=f"d_{name}")


@every_cell
def test_a_row_with_a_mask_is_the_row_without_the_steps_left_out(options):
    p = Problem(9, 8, 6, 40, options=options, mask="random")
    got = p.run(functional)
    for k, valid in enumerate(p.mask):
        if not valid.any():
            continue
        row = p.rows(slice(k, k + 1))
        row.x, row.mask = row.x[:, valid], None
        alone = row.infer(functional)
        np.testing.assert_array_equal(got["outputs"][k, valid], alone["outputs"][0])
        for name in p.state_names:
            np.testing.assert_array_equal(got[name][k], alone[name][0], err_msg=name)


# --- padding ---


@every_cell
@pytest.mark.parametrize("go_backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("padding", ["lengths", "mask"])
def test_padding_is_never_looked_at(options, padding, go_backwards):
    p = Problem(9, 8, 6, 40, options=options, go_backwards=go_backwards, **{padding: "random"})
    valid = p.mask if padding == "mask" else np.arange(8) < p.lengths[:, np.newaxis]
    p.x[~valid] = 0
    want = p.run(functional)
    for garbage in (np.nan, np.inf, 1e30):
        p.x[~valid] = garbage
        assert_same_bits(p.run(functional), want)
    if padding == "lengths":  # nor are the gradients of outputs that are zero
        p.dy[~valid] = np.nan
        assert_same_bits(p.run(functional), want)


@every_plain_cell
@pytest.mark.parametrize("zeroed", [False, True])
def test_lengths_are_a_mask(cell, zeroed):
    p = Problem(9, 8, 6, 40, cell=cell, lengths="random", zero_output_for_mask=zeroed)
    q = Problem(9, 8, 6, 40, cell=cell, mask=np.arange(8) < p.lengths[:, np.newaxis], zero_output_for_mask=True)
    assert_same_bits(p.run(functional), q.run(functional))


@every_plain_cell
def test_full_lengths_and_masks_change_nothing(cell):
    want = Problem(9, 8, 6, 40, cell=cell).run(functional)
    for padding in ({"lengths": np.full(9, 8)}, {"mask": np.ones((9, 8), bool)}):
        assert_same_bits(Problem(9, 8, 6, 40, cell=cell, **padding).run(functional), want)


# --- layouts and parts ---


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "broadcast"])
@pytest.mark.parametrize("call", [{}, {"mask": "random"}], ids=["plain", "mask"])
@every_plain_cell
def test_bits_do_not_depend_on_the_layout(cell, call, layout):
    p, q = Problem(6, 5, 4, 30, cell=cell, **call), Problem(6, 5, 4, 30, cell=cell, **call)
    q.x, q.dy = lay_out(q.x, layout), lay_out(q.dy, layout)
    assert_same_bits(p.run(functional), q.run(functional))


@every_plain_cell
def test_bits_do_not_depend_on_the_layout_of_weights_states_and_masks(cell):
    call = {"mask": "random", "dropout": "per gate", "recurrent_dropout": "shared"}
    p, q = Problem(6, 5, 4, 30, cell=cell, **call), Problem(6, 5, 4, 30, cell=cell, **call)
    q.weights = [np.asfortranarray(w) for w in q.weights]
    q.state, q.d_state = ([np.repeat(v, 2, axis=1)[:, ::2] for v in states] for states in (q.state, q.d_state))
    q.mask, q.dropout_mask = np.asfortranarray(q.mask), np.asfortranarray(q.dropout_mask)
    q.recurrent_dropout_mask = q.recurrent_dropout_mask[::-1].copy()[::-1]
    assert_same_bits(p.run(functional), q.run(functional))
    for integers in ("int8", "uint64", ">i4"):
        p.mask, p.lengths, q.mask = None, [0, 1, 2, 5, 4, 3], None
        q.lengths = np.array([0, 1, 2, 5, 4, 3], integers)
        assert_same_bits(p.run(functional), q.run(functional))


@every_cell
def test_one_dropout_mask_is_that_of_every_gate(options):
    # Forward to the bit; gradients are then added up in another order.
    p = Problem(9, 8, 6, 40, options=options, dropout="shared", recurrent_dropout="shared")
    want = p.infer(functional)
    for name in ("dropout_mask", "recurrent_dropout_mask"):
        setattr(p, name, np.broadcast_to(getattr(p, name), (options.gates, *getattr(p, name).shape)))
        assert_same_bits(p.infer(functional), want)


@every_cell
def test_a_sequence_in_two_parts_is_the_whole(options):
    p = Problem(3, 20, 9, 40, options=options)
    x, whole = p.x, p.infer(functional)
    p.x = x[:, :7]
    first = p.infer(functional)
    p.x, p.state = x[:, 7:], [first[name] for name in p.state_names]
    second = p.infer(functional)
    np.testing.assert_array_equal(np.concatenate([first["outputs"], second["outputs"]], axis=1), whole["outputs"])
    for name in p.state_names:
        np.testing.assert_array_equal(second[name], whole[name], err_msg=name)


@every_cell
def test_backwards_is_forwards_over_the_reversed_steps(options):
    p = Problem(6, 9, 5, 30, options=options, go_backwards=True)
    q = Problem(6, 9, 5, 30, options=options)
    q.x, q.dy = q.x[:, ::-1], q.dy[:, ::-1]
    got, want = p.run(functional), q.run(functional)
    for name in ("outputs", "d_inputs"):
        want[name] = want[name][:, ::-1]
    assert_same_bits(got, want)
