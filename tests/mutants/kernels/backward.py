from .. import CHECK_CORE, Mutant

RECURRENT = "test_kernels.py::test_forward_and_backward_are_the_reference"
RACES = CHECK_CORE + "lstm"

MUTANTS = [
    Mutant("                if (by_units) team.wait();\n", "", RACES),
    Mutant("step(t, row0, min(row1, going_on), false);", "step(t, row0, going_on, false);", RECURRENT),
    Mutant(
        "max(row0, going_on), min(row1, rows_at(p, t)), true);", "going_on, min(row1, rows_at(p, t)), true);", RECURRENT
    ),
    Mutant("const long going_on = rows_at(p, t + 1);", "const long going_on = rows_at(p, t);", RECURRENT),
    Mutant("const bool whole = last || p.h_dropout.factors;", "const bool whole = last;", RECURRENT),
    Mutant(
        "        if (k0 == 0)\n            for (long k = 0; k < height * vectors; ++k)",
        "            for (long k = 0; k < height * vectors; ++k)",
        RECURRENT,
    ),
    Mutant("        if (k1 < gates) return;\n", "", RECURRENT),
    Mutant(
        "const long state = row_of(p, b + r) * p.shape.units;", "const long state = (b + r) * p.shape.units;", RECURRENT
    ),
    Mutant("load(dh + (r * vectors + n) * L);", "load(dh + (r * tile_vectors + n) * L);", RECURRENT),
    Mutant("if (last && p.dh_last) sum +=", "if (p.dh_last) sum +=", RECURRENT),
    Mutant(
        "if (carries && !last) sum +=",
        "if (carries) sum +=",
        equivalent="At a row's last step nothing has been written there: it is zero on entry.",
    ),
    Mutant("rows[r] = chunk.row(b + r, t + 1) + begin;", "rows[r] = chunk.row(b + r, t + 1);", RECURRENT),
    Mutant("rows, copy * depth, depth, JoinedScaled", "rows, 0, depth, JoinedScaled", RECURRENT),
    Mutant(
        "factors(p.h_dropout, p, copy, b + r, p.shape.units) + unit;",
        "factors(p.h_dropout, p, copy, b + r, p.shape.units);",
        RECURRENT,
    ),
    Mutant("p.dh0 + row_of(p, b) * p.shape.units; };", "p.dh0 + b * p.shape.units; };", RECURRENT),
    Mutant("[](long b) { return b; }, carries);", "[](long b) { return b; }, false);", RECURRENT),
]
