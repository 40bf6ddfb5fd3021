from .. import CHECK_CORE, Mutant

RECURRENT = "test_kernels.py::test_forward_and_backward_are_the_reference"
ADDED = "test_kernels.py::test_gradients_are_added_and_the_cache_can_be_used_again"
RACES = CHECK_CORE + "cells"

MUTANTS = [
    Mutant("number_of(p, t - 1) <= limit) --t;", "number_of(p, t) <= limit) --t;", RECURRENT),
    Mutant(
        "number_of(p, t) - number_of(p, t0) + b) * width; }",
        "number_of(p, t) - number_of(p, t0) + row_of(p, b)) * width; }",
        RECURRENT,
    ),
    # barriers
    Mutant("        further();\n        team.wait();", "        further();", RACES),
    Mutant("(end - begin) * sizeof(T));\n        team.wait();", "(end - begin) * sizeof(T));", RACES),
    Mutant("height, rows, begin, end);\n        team.wait();", "height, rows, begin, end);", RACES),
    Mutant("            if (pass > 0) team.wait();\n", "", RACES),
    Mutant(
        "            team.wait();\n            panels(copies, pass, false);",
        "            panels(copies, pass, false);",
        RACES,
    ),
    Mutant("        if (!any_reset) return;\n        team.wait();", "        if (!any_reset) return;", RACES),
    Mutant(
        "        team.wait();\n        panels(copies, copies - 1, true);",
        "        panels(copies, copies - 1, true);",
        RACES,
    ),
    Mutant("        if (p.x_dropout.factors || p.h_dropout.factors) team.wait();\n", "", RACES),
    # chunks
    Mutant(
        "dpre + (number_of(p, t0) - number_of(p, first_step(t0))) * width;",
        "dpre + (number_of(p, t0) - number_of(p, t0 - 1)) * width;",
        RECURRENT,
    ),
    Mutant("RowsAt<T>(out + column, columns), true);", "RowsAt<T>(out + column, columns), false);", RECURRENT),
    Mutant("m < min(rows, m0 + row_block); ++m)", "m < m0 + row_block; ++m)", RECURRENT),
    Mutant("value * load(other + v * L, count) : value;", "value * load(other, count) : value;", RECURRENT),
    Mutant("store(out + v * L, load(out + v * L, count) + sum, count);", "store(out + v * L, sum, count);", ADDED),
    # back through the weights
    Mutant("!(run.reset && column == &Run::recurrent);", "!run.reset;", RECURRENT),
    Mutant("                    add = true;\n", "", RECURRENT),
    Mutant(
        "factors(dropout, p, copy, of_batch[r], columns) + j;",
        "factors(dropout, p, copy, of_batch[r], columns);",
        RECURRENT,
    ),
    Mutant("of_batch[r] = batch_row(begin + r);", "of_batch[r] = begin + r;", RECURRENT),
    Mutant("store(to + k, accumulate ? load(to + k, n) + sum : sum, n);", "store(to + k, sum, n);", RECURRENT),
    Mutant("int(gate + k / units));", "int(k / units));", RECURRENT),
    Mutant("run.kernel < 0 ? -1 : run.kernel + k,", "run.kernel + k,", RECURRENT),
    Mutant("[&](long m) { return place_of(p, first + m).b; }", "[&](long m) { return place_of(p, m).b; }", RECURRENT),
    # gradients of weights
    Mutant("strip = 2 * pack_run;", "strip = pack_run;", RECURRENT),
    Mutant(
        "static_cast<const T*>(at(p.saved, place.b, place.t)) + p.shape.units,",
        "static_cast<const T*>(at(p.saved, place.b, place.t)),",
        RECURRENT,
    ),
    Mutant("const T* row = previous_h(p, place.b, place.t);", "const T* row = at(p.h, place.b, place.t);", RECURRENT),
    Mutant("left.factors + copy * p.shape.batch * columns,", "left.factors,", RECURRENT),
    Mutant("(pass > 0 && dropout.copies == 1 && !again)", "(pass > 0 && dropout.copies == 1)", RECURRENT),
    Mutant("(dropout.copies > 1 ? pass : 0) * p.shape.batch", "pass * p.shape.batch", RECURRENT),
    Mutant("factors_of_pass + row * p.shape.batch, left.dropped", "factors_of_pass + row, left.dropped", RECURRENT),
    Mutant("copies - 1, true);  // the candidate is the last gate", "0, true);", RECURRENT),
    Mutant("            first += count;\n", "", RECURRENT),
    Mutant("panel, dpre + run.begin + offset, width", "panel, dpre + offset, width", RECURRENT),
    Mutant("!p.new_gradients || t1 < p.shape.steps);", "!p.new_gradients);", RECURRENT),
    Mutant("!p.new_gradients || t1 < p.shape.steps);", "t1 < p.shape.steps);", ADDED),
    Mutant("to.bias && (!by_rows || team.index == 0);", "to.bias;", RECURRENT),
    Mutant(
        "add_rows(panel, rows, columns, to.bias + gates + run.recurrent + offset);",
        "add_rows(panel, rows, columns, to.bias + run.recurrent + offset);",
        RECURRENT,
    ),
    Mutant(
        "k < min(rows, k0 + row_block); ++k) block += load(packed + (k * vectors + n) * L);",
        "k < min(rows, k0 + row_block); ++k) block += load(packed + (k * tile_vectors + n) * L);",
        RECURRENT,
    ),
]
