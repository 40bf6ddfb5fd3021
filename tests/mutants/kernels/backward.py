from .. import CHECK_CORE, Mutant

RECURRENT = "test_kernels.py::test_forward_and_backward_are_the_reference"
RACES = CHECK_CORE + "lstm"

MUTANTS = [
    Mutant("                if (by_units) team.wait();\n", "", RACES),
    Mutant("step(t, row0, min(row1, going_on), false);", "step(t, row0, going_on, false);", RECURRENT),
    Mutant(
        "max(row0, going_on), min(row1, rows_at(p, t)), true);", "going_on, min(row1, rows_at(p, t)), true);", RECURRENT
    ),
    Mutant("const bool whole = last || p.h_dropout.factors || blocks", "const bool whole = last || blocks", RECURRENT),
    Mutant(
        "        if (k0 == 0)\n            for (long k = 0; k < height * vectors; ++k)",
        "            for (long k = 0; k < height * vectors; ++k)",
        RECURRENT,
    ),
    Mutant(
        "const long state = row_of(p, b + r) * p.shape.units;", "const long state = (b + r) * p.shape.units;", RECURRENT
    ),
    Mutant("if (last && p.dh_last) sum +=", "if (p.dh_last) sum +=", RECURRENT),
    Mutant(
        "if (carries && !last) sum +=",
        "if (carries) sum +=",
        equivalent="At a row's last step nothing has been written there: it is zero on entry.",
    ),
    Mutant(
        "b + r, p.shape.units) + of.unit();",
        "b + r, p.shape.units) + of.head_begin;",
        RECURRENT,
    ),
]
