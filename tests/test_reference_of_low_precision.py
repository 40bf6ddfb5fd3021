"""The reference's bfloat16 and int8: rounding by other means than its own, and what follows for the cells."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from layer_tools import numbers
from problems import weight_shapes

from lstmcore import reference
from lstmcore._options import GRUOptions, LSTMOptions, RNNOptions

CELLS = {
    "lstm": LSTMOptions(),
    "lstm with all": LSTMOptions(peepholes=True, projection=True, layer_norm=True),
    "gru": GRUOptions(),
    "gru reset before": GRUOptions(reset_after=False),
    "rnn": RNNOptions(),
}
every_cell = pytest.mark.parametrize("cell", CELLS)


def made(cell, batch=3, steps=4, inputs=5, units=6):
    """A function of x and a state, weights, and what it is called with, all of numbers that bfloat16 has."""
    options = CELLS[cell]
    weights = [
        reference.bfloat16(0.5 * numbers(*shape, seed=k))
        for k, shape in enumerate(weight_shapes(options, inputs, units, units).values())
    ]
    return getattr(reference, options.cell), reference.bfloat16(numbers(batch, steps, inputs)), weights, options


@given(st.integers(0, 2**32 - 1))
@example(0x3F808000)  # halfway, to the even one below
@example(0x3F818000)  # and above
@example(0x3F80FFFF)
@example(0x7F7FFFFF)  # no finite bfloat16 is so large
@example(0x7F800000)
@example(0xFF800000)
@example(0x7F800001)  # no number, though its upper half alone is infinity
@example(0xFFFFFFFF)
@example(0x00008000)
@example(0x80000001)
def test_rounding_to_bfloat16(bits):
    x = np.array(bits, "u4").view("f4")
    if not np.isfinite(x):
        np.testing.assert_array_equal(reference.bfloat16(x), x)
        return
    mantissa, exponent = np.frexp(x.astype("f8"))  # 8 bits of significand, fewer where the exponent ends
    step = np.ldexp(1.0, max(int(exponent) - 8, -133))
    with np.errstate(over="ignore"):
        want = (np.rint(np.ldexp(mantissa, int(exponent)) / step) * step).astype("f4")
    got = reference.bfloat16(x)
    np.testing.assert_array_equal(got, want)
    assert (got.dtype, np.signbit(got)) == (np.float32, np.signbit(x))


def test_rounding_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).integers(0, 2**32, 4096, "u4").view("f4")
    np.testing.assert_array_equal(reference.bfloat16(x), torch.from_numpy(x).bfloat16().float().numpy())
    assert reference.bfloat16(np.float64(1.5)).dtype == np.float64


@given(st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=9), st.sampled_from([0.0, 1.0, 1e-3]))
@example([0.0, 0.0], 0.0)
@example([1e-40, -1e-42], 0.0)  # as good as zero
@example([127.0, 63.5, 62.5, -0.5], 0.0)  # halfway, to the even one
def test_whole_numbers_and_their_scale(x, least):
    q, scale = reference.int8([x], 1, least)
    largest = max([least, *map(abs, x)])
    if largest / 127 < np.finfo("f4").tiny:
        assert (scale, q.any()) == (0, False)
        return
    np.testing.assert_allclose(scale, largest / 127, rtol=1e-6)
    assert np.abs(q).max() <= 127
    np.testing.assert_array_equal(q, np.rint(q))
    assert np.abs(q * scale - x).max() <= scale * (0.5 + 2e-5)
    assert largest == least or np.abs(q).max() == 127


def test_what_is_no_finite_number_has_no_scale():
    q, scale = reference.int8([[1.0, np.inf], [np.nan, 1.0], [1.0, 2.0]], 1)
    assert np.isnan(q[:2]).all()
    assert np.isnan(scale[:2]).all()
    assert np.isfinite(q[2]).all()
    with pytest.raises(ValueError, match="weights: expected finite numbers, for precision 'int8'"):
        reference.rnn(np.ones((1, 1, 2)), [np.full((2, 3), np.inf), np.ones((3, 3))], precision="int8")


@every_cell
@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_a_step_from_zeros_is_that_of_rounded_weights_and_inputs(cell, precision):
    """There is no h yet: what is left are operands, which may as well be rounded before."""
    function, x, weights, options = made(cell)
    x, weights = 1.001 * x[:, :1], [1.001 * w for w in weights]
    got, _ = function(x, weights, None, options, precision=precision)
    names = list(weight_shapes(options, 5, 6, 6))

    def rounded(values, axis):
        if precision == "bfloat16":
            return reference.bfloat16(values)
        q, scale = reference.int8(values, axis)
        return q * scale

    matrices = {"kernel", "recurrent_kernel"} | ({"projection"} if precision == "bfloat16" else set())
    same = [rounded(w, 0) if name in matrices else w for name, w in zip(names, weights, strict=True)]
    want, _ = function(rounded(x[:, 0], 1)[:, None], same, None, options)
    if "projection" in names:  # whose operand is of this step
        assert np.abs(got - want).max() < 0.02
    else:
        # of int8 two scales are multiplied first, in float32
        np.testing.assert_allclose(got, want, atol=1e-12 if precision == "bfloat16" else 1e-6)


@every_cell
def test_products_see_h_rounded(cell):
    function, x, weights, options = made(cell)
    lowered = function(x, weights, None, options, precision="bfloat16")[0]
    exact = function(x, weights, None, options)[0]
    if cell != "lstm with all":
        np.testing.assert_allclose(lowered[:, 0], exact[:, 0], atol=1e-12)  # all is of bfloat16 but h
    apart = np.abs(lowered - exact)[:, 1:].max()
    assert 1e-5 < apart < 0.05


@every_cell
def test_gradients_are_near_those_of_full_precision(cell):
    function, x, weights, options = made(cell)
    backward = getattr(reference, f"{options.cell}_backward")
    results = []
    for precision in ("float32", "bfloat16"):
        y, _, cache = function(x, weights, None, options, training=True, precision=precision)
        dx, dw, _ = backward(cache, np.ones_like(y))
        results.append([dx, *dw])
    for exact, lowered in zip(*results, strict=True):
        apart = np.abs(lowered - exact).max() / np.abs(exact).max()
        assert 1e-6 < apart < 0.05


def test_gradients_of_a_step_are_sums_of_rounded_ones():
    function, x, weights, options = made("rnn", steps=1)
    y, _, cache = function(x, weights, None, options, training=True, precision="bfloat16")
    dx, (d_kernel, d_recurrent, d_bias), _ = reference.rnn_backward(cache, np.ones_like(y))
    h = reference.bfloat16(np.tanh(x[:, 0] @ weights[0] + weights[2]))
    dpre = reference.bfloat16(1 - h**2)
    for got, want in ((dx[:, 0], dpre @ weights[0].T), (d_kernel, x[:, 0].T @ dpre), (d_bias, dpre.sum(0))):
        np.testing.assert_allclose(got, want, atol=1e-12)
    assert not d_recurrent.any()


def test_int8_is_for_inference_and_others_are_unknown():
    function, x, weights, options = made("gru")
    with pytest.raises(ValueError, match="precision: 'int8' is for inference, got training=True"):
        function(x, weights, None, options, training=True, precision="int8")
    with pytest.raises(ValueError, match="precision: expected 'float32', 'bfloat16' or 'int8', got 'float16'"):
        function(x, weights, None, options, precision="float16")
