from .. import Mutant

RECURRENT = "test_kernels.py::test_min_and_slstm_are_the_reference"
ROW_ALONE = "test_determinism.py::test_a_row_with_a_length_is_the_row_alone"

MUTANTS = [
    # steps
    Mutant("while (b < end && t >= steps_of(p, b)) ++b, t = 0;", "if (t >= steps_of(p, b)) ++b, t = 0;", ROW_ALONE),
    Mutant("return p.ragged.first ? p.ragged.length[b] : p.shape.steps; }", "return p.shape.steps; }", ROW_ALONE),
    # forward
    Mutant("places + begin, partial + begin * N * L, block, k0);", "places + begin, partial, block, k0);", RECURRENT),
    Mutant(
        "p.weights.kernel + (block * inputs + k0) * N * L;", "p.weights.kernel + block * inputs * N * L;", RECURRENT
    ),
    Mutant(
        "rows<R>(places, k0, depth, decltype(g)::value), of_gate", "rows<R>(places, k0, depth, 0), of_gate", RECURRENT
    ),
    # backward
    Mutant("unit0 *= L, unit1 = min(p.shape.units, unit1 * L);", "unit1 = min(p.shape.units, unit1 * L);", RECURRENT),
    Mutant(
        "for (long t = min(t1, end) - 1; t >= chunk.t0; --t) step",
        "for (long t = t1 - 1; t >= chunk.t0; --t) step",
        ROW_ALONE,
    ),
    Mutant("step(b, t, t == end - 1);", "step(b, t, t == t1 - 1);", RECURRENT),
]
