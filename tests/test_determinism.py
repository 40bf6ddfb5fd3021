"""The same bits, whatever the threads, the other rows, the layout in memory and who else is calling."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from problems import LAYOUTS, Problem, assert_same_bits, lay_out

from lstmcore import functional

SHAPES = [
    (1, 30, 20, 64),  # one row: threads share units, inputs projected ahead
    (3, 11, 7, 200),
    (7, 9, 12, 150),  # too few rows for three threads, enough for one
    (16, 9, 12, 150),  # threads share rows
    (70, 40, 3, 33),
    (530, 3, 4, 20),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_do_not_depend_on_threads(shape, dtype, set_threads):
    # Big enough for the work to be shared: recurrent_threads in bindings.cpp decides.
    p = Problem(*shape, dtype)
    set_threads(1)
    alone = p.run(functional)
    for threads in (2, 3, 4):
        set_threads(threads)
        assert_same_bits(p.run(functional), alone)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_of_a_row_do_not_depend_on_the_other_rows(dtype):
    p = Problem(37, 12, 9, 50, dtype)
    whole, (h, c) = functional.lstm(p.x, p.weights, p.state)
    for rows in [slice(k, k + 1) for k in range(37)] + [slice(0, 5), slice(3, 20), slice(30, 37)]:
        y, (part_h, part_c) = functional.lstm(p.x[rows], p.weights, [s[rows] for s in p.state])
        assert_same_bits({"y": y, "h": part_h, "c": part_c}, {"y": whole[rows], "h": h[rows], "c": c[rows]})


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "broadcast"])
def test_bits_do_not_depend_on_the_layout(layout):
    p, q = Problem(6, 5, 4, 30), Problem(6, 5, 4, 30)
    q.x, q.dy = lay_out(q.x, layout), lay_out(q.dy, layout)
    assert_same_bits(p.run(functional), q.run(functional))


def test_a_sequence_in_two_parts_is_the_whole():
    p = Problem(3, 20, 9, 40)
    whole, last = functional.lstm(p.x, p.weights, p.state)
    first, state = functional.lstm(p.x[:, :7], p.weights, p.state)
    second, end = functional.lstm(p.x[:, 7:], p.weights, state)
    np.testing.assert_array_equal(np.concatenate([first, second], axis=1), whole)
    np.testing.assert_array_equal(end[1], last[1])


def test_calls_from_several_threads_give_the_same_bits():
    problems = [Problem(8 + k, 15, 20, 60, seed=k) for k in range(4)]
    packed = functional.pack_lstm(problems[0].weights)
    alone = [p.run(functional) for p in problems]
    shared = [functional.lstm(p.x, packed)[0] for p in problems]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            for got, want in zip(pool.map(lambda p: p.run(functional), problems), alone, strict=True):
                assert_same_bits(got, want)
            for got, want in zip(pool.map(lambda p: functional.lstm(p.x, packed)[0], problems), shared, strict=True):
                np.testing.assert_array_equal(got, want)
