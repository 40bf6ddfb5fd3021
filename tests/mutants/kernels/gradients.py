from .. import CHECK_CORE, Mutant

RECURRENT = "test_kernels.py::test_forward_and_backward_are_the_reference"
ADDED = "test_kernels.py::test_gradients_are_added_and_the_cache_can_be_used_again"
RACES = CHECK_CORE + "cells"
NOISE = "test_kernels.py::test_noise_is_that_of_the_reference"
LAYERS = "test_recurrent_layers.py::test_outputs_states_and_gradients_are_the_reference"

MUTANTS = [
    # barriers
    Mutant("        further();\n        team.wait();", "        further();", RACES),
    Mutant("(end - begin) * sizeof(T));\n        team.wait();", "(end - begin) * sizeof(T));", RACES),
    Mutant("height, rows, begin, end);\n        team.wait();", "height, rows, begin, end);", RACES),
    Mutant(
        "            team.wait();\n            panels(copies, pass, false);",
        "            panels(copies, pass, false);",
        RACES,
    ),
    Mutant("        if (p.x_dropout.factors || p.h_dropout.factors) team.wait();\n", "", RACES),
    # chunks
    Mutant(
        "dpre + (number_of(p, t0) - number_of(p, first_step_of_chunk(p, t0, limit))) * width;",
        "dpre + (number_of(p, t0) - number_of(p, t0 - 1)) * width;",
        RECURRENT,
    ),
    Mutant("store(out + v * L, load(out + v * L, count) + sum, count);", "store(out + v * L, sum, count);", ADDED),
    # back through the weights
    Mutant(
        "!(column == &Run::recurrent && (run.reset || run.head != of_head));",
        "!(run.reset || (column == &Run::recurrent && run.head != of_head));",
        LAYERS,
    ),
    Mutant("                    add = true;\n", "", LAYERS),
    Mutant(
        "width_of_factors) + of_head * columns + j;",
        "width_of_factors) + of_head * columns;",
        NOISE,
    ),
    Mutant("store(to + k, accumulate ? load(to + k, n) + sum : sum, n);", "store(to + k, sum, n);", NOISE),
    Mutant("int(gate + k / units));", "int(k / units));", NOISE),
    Mutant("[&](long m) { return place_of(p, first + m).b; }", "[&](long m) { return place_of(p, m).b; }", RECURRENT),
    # gradients of weights
    Mutant("(pass > 0 && dropout.copies == 1 && !again)", "(pass > 0 && dropout.copies == 1)", NOISE),
    Mutant("(dropout.copies > 1 ? pass : 0) * p.shape.batch", "pass * p.shape.batch", NOISE),
    Mutant("!p.new_gradients || t1 < p.shape.steps);", "!p.new_gradients);", RECURRENT),
    Mutant("!p.new_gradients || t1 < p.shape.steps);", "t1 < p.shape.steps);", ADDED),
    Mutant("to.bias && (!by_rows || team.index == 0);", "to.bias;", RECURRENT),
    Mutant(
        "add_rows(panel, rows, columns, to.bias + gates + run.recurrent + offset);",
        "add_rows(panel, rows, columns, to.bias + run.recurrent + offset);",
        RECURRENT,
    ),
]
