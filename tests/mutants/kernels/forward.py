from .. import CHECK_CORE, Mutant

RECURRENT = "test_kernels.py::test_forward_and_backward_are_the_reference"
SHARED = "test_determinism.py::test_bits_do_not_depend_on_threads"
LARGE_ROWS = "test_determinism.py::test_bits_of_a_row_of_a_large_layer_do_not_depend_on_the_other_rows"
INFINITY = "test_kernels.py::test_infinity_and_nan_go_where_they_go_in_the_reference"
INFINITY_AHEAD = "test_kernels.py::test_infinity_among_few_rows_goes_where_it_goes_in_the_reference"
REDUCED = "test_reduced_precision.py::test_steps_are_their_definition"
RACES = CHECK_CORE + "lstm"
SHARED_WITH_OPTIONS = "test_determinism.py::test_bits_do_not_depend_on_threads_with_options"

MUTANTS = [
    # pieces of a sum
    Mutant(
        "const long end = min(first, k + depth_block);",
        "const long end = min(first + second, k + depth_block);",
        LARGE_ROWS,
    ),
    Mutant("begin - tile_begin(rows, group), k0, k1);", "begin, k0, k1);", RECURRENT),
    Mutant("f(row0 + begin, height, begin", "f(begin, height, begin", RECURRENT),
    # inputs projected ahead
    Mutant("                if (by_units) team.wait();\n", "", RACES),
    Mutant("at(p.x, row0 + m % own, t0 + m / own);", "at(p.x, m % own, t0 + m / own);", SHARED),
    Mutant("at(p.x, row0 + m % own, t0 + m / own);", "at(p.x, row0 + m / (t1 - t0), t0 + m % (t1 - t0));", RECURRENT),
    Mutant("x_depth, typename P::JoinX{});", "x_depth, Added{});", INFINITY_AHEAD),
    Mutant("const Place place = place_of(p, begin + m);", "const Place place = place_of(p, m);", RECURRENT),
    Mutant("s.steps == 1 || p.x_dropout.factors || by_gate(p)", "s.steps == 1 || by_gate(p)", RECURRENT),
    Mutant("number_of(p, t) - number_of(p, t0) + b : (t", "number_of(p, t) + b : (t", RECURRENT),
    Mutant("(t - t0) * (row1 - row0) + b - row0;", "(t - t0) * (row1 - row0) + b;", SHARED),
    # tails
    Mutant("(n * L + l) / group >= end;", "(n * L + l) / group > end;", RECURRENT),
    Mutant("using JoinX = AddedBut<V, last + 1, last + 1 + Cell::shift>;", "using JoinX = Added;", INFINITY),
    Mutant("using JoinH = AddedBut<V, last, last + Cell::shift>;", "using JoinH = Added;", INFINITY),
    Mutant("(sum[r][s * group / L])), ...);", "(sum[r][0])), ...);", RECURRENT),
    # tiles
    Mutant("panels.recurrent + k * V * L,", "panels.recurrent,", RECURRENT),
    Mutant("accumulate<T, R, V, Panels::shift>(sum", "accumulate<T, R, V, 0>(sum", RECURRENT),
    Mutant("        if (k0 > 0)\n            load_tile", "        if (k0 > inputs)\n            load_tile", RECURRENT),
    # narrow rows
    Mutant("narrow_x.read(m, x_row(m), 0,", "narrow_x.read(m, x_row(0), 0,", REDUCED),
    Mutant("ActivationKind::linear ? 0.f : 1.f;", "ActivationKind::linear ? 1.f : 0.f;", REDUCED),
    Mutant("if (!ahead) narrow_x.read(b, at(p.x, b, t), 0,", "if (!ahead) narrow_x.read(b, at(p.x, b, t), 1,", REDUCED),
    Mutant("(plan_ahead(p) ? plan_chunk(p) : 1) * p.shape.batch *", "p.shape.batch *", REDUCED),
    # dropout
    Mutant(
        "factors(p.h_dropout, p, 0, b, p.shape.units),",
        "factors(p.h_dropout, p, 0, b - row0, p.shape.units),",
        SHARED_WITH_OPTIONS,
    ),
    Mutant("finish(gate), start(h_sum);", "finish(gate);", RECURRENT),
    Mutant("const int copy = dropout.copies > 1 ? gate : 0;", "const int copy = gate;", RECURRENT),
    Mutant(
        "                    if (!dropout.factors) continue;\n",
        "                    if (!dropout.factors) return tile;\n",
        RECURRENT,
    ),
]
