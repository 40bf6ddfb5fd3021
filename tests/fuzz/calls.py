"""Recurrent layers as functions of arrays: any cell, option, shape, padding and layout, against the reference."""

import numpy as np
from problems import LAYOUTS, MIN_AND_SLSTM, OPTIONS, Problem, assert_same_bits, relative_errors

from lstmcore import _core, functional, reference
from lstmcore._options import ACTIVATION_FIELDS, ACTIVATIONS
from lstmcore.functional import GRUOptions, LSTMOptions, RNNOptions, SLSTMOptions, Zoneout

# Rounding over a few hundred terms, relative to the largest number of an array or to a hundredth of that of all; the
# same as in test_kernels.py, with some room, since there are so many more cases.
TOLERANCE, FLOOR = {"float32": 1e-4, "float64": 1e-11}, 0.01
BOUNDED = ("sigmoid", "hard_sigmoid")  # gates between 0 and 1


def options_of(rng):
    """Options of a cell; the plain ones, which have kernels of their own, half of the time."""
    plain = [kind() for kind in OPTIONS.values()]
    if rng.random() < 0.5:
        return plain[rng.integers(len(plain))]
    activation, recurrent = (str(rng.choice(ACTIVATIONS)) for _ in range(2))
    kind = rng.integers(5)
    clip = None if rng.random() < 0.7 else float(rng.uniform(0.1, 4))
    if kind == 0:
        names = ("peepholes", "projection", "layer_norm", "coupled")
        flags = {name: bool(rng.random() < 0.4) for name in names}
        flags["output_activation"] = [True, False, str(rng.choice(ACTIVATIONS))][rng.integers(3)]
        flags["clip"] = clip
        less = ("input_activation", "output_gate")
        less += () if flags["coupled"] else ("input_gate", "forget_gate")
        flags |= {name: bool(rng.random() < 0.8) for name in less}
        return LSTMOptions(activation, recurrent, **flags)
    if kind == 1:
        after = bool(rng.random() < 0.5)
        return GRUOptions(after, activation, recurrent, after and bool(rng.random() < 0.4), clip)
    if kind == 2:
        return RNNOptions(activation, clip)
    if kind == 3:
        return SLSTMOptions(int(rng.integers(1, 9)), bool(rng.random() < 0.5))
    return list(MIN_AND_SLSTM.values())[rng.integers(4)]


def size_of(rng, most):
    """A size: small ones, and those around a multiple of a vector, are the likelier."""
    near = int(rng.choice([8, 16, 32, 64])) + int(rng.integers(-1, 2))
    return int(rng.choice([1, int(rng.integers(1, 10)), min(near, most), int(rng.integers(1, most + 1))]))


def problem_of(rng):
    """A problem, and the number of its threads."""
    options = options_of(rng)
    norm = getattr(options, "layer_norm", False)
    # Layer normalisation may divide by next to nothing, which float32 does not survive.
    dtype = "float64" if norm else str(rng.choice(["float32", "float64"]))
    wild = getattr(options, "recurrent_activation", "sigmoid") not in BOUNDED
    unbounded = getattr(options, "activation", "tanh") not in ("tanh", "sigmoid", "hard_sigmoid", "softsign")
    padding = [{}, {"lengths": "random"}, {"mask": "random"}, {"mask": "random", "zero_output_for_mask": True}]
    zoneout = Zoneout(*rng.choice([0.0, 0.1, 0.5, 1.0], 2).tolist(), seed=int(rng.integers(2**32)))
    problem = Problem(
        int(rng.choice([0, 1, 2, 3, int(rng.integers(1, 40))])),
        int(rng.integers(1, 14)),
        size_of(rng, 70),
        size_of(rng, 140),
        dtype,
        seed=int(rng.integers(2**32)),
        bias=bool(rng.random() < 0.8),
        state=bool(rng.random() < 0.5),
        sequences=bool(rng.random() < 0.5),
        layout=str(rng.choice(LAYOUTS)),
        options=options,
        scale=0.1 if wild else 0.4 if unbounded else 1.0,
        dropout=[None, "shared", "per gate"][rng.integers(3)],
        recurrent_dropout=[None, "shared", "per gate"][rng.integers(3)],
        go_backwards=bool(rng.random() < 0.5),
        zoneout=zoneout if rng.random() < 0.3 else None,
        **padding[rng.integers(4)],
    )
    return problem, int(rng.integers(1, 4))


def smooth(options):
    """Whether a number that is rounded to float32 cannot come to lie on the other side of a kink."""
    if options.cell == "slstm" or getattr(options, "log_space", False):  # m is a maximum; the candidate has a kink at 0
        return False
    used = {getattr(options, name, True) for name in ACTIVATION_FIELDS}
    plain = {True, False, "tanh", "sigmoid", "linear", "softsign", "softplus", "affine", "scaled_tanh"}
    return not getattr(options, "clip", None) and used <= plain


def case(rng):
    problem, threads = problem_of(rng)
    before = _core.get_num_threads()
    try:
        _core.set_num_threads(threads)
        with np.errstate(all="ignore"):
            got = problem.run(functional)
            want = problem.run(reference, "float64")
            _core.set_num_threads(threads % 3 + 1)
            again = problem.run(functional)
    finally:
        _core.set_num_threads(before)
    assert_same_bits(got, again)
    tolerance = 1e-7 if "gain" in problem.weight_names else TOLERANCE[str(problem.x.dtype)]
    finite = all(np.isfinite(a).all() for a in want.values())
    assert finite == all(np.isfinite(a).all() for a in got.values())
    if not finite:
        return
    for name, error in relative_errors(got, want, FLOOR).items():
        if str(problem.x.dtype) == "float64" or smooth(problem.options) or not name.startswith("d_"):
            assert error < tolerance, f"{name}: {error:.3g} {problem.options} {vars(problem)}"
