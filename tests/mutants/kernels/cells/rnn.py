from ... import Mutant

RECURRENT = "test_kernels.py::test_forward_and_backward_are_the_reference"

MUTANTS = [
    Mutant("return p.zoneout.h > 0;", "return false;", RECURRENT),
    Mutant("const long unit = first + v * lanes<T>;", "const long unit = first + v;", RECURRENT),
    Mutant("            if (n <= 0) return;\n", "", RECURRENT, "avx512"),
    Mutant(
        "store(at(p.saved, b + r, t) + unit, y, n);", "store(at(p.saved, b + r, t) + unit, pre[r][v], n);", RECURRENT
    ),
    Mutant("p, 0, p.zoneout.h, b + r, t, unit), n);", "p, 0, p.zoneout.h, b, t, unit), n);", RECURRENT),
    Mutant("load(previous_h(p, b + r, t) + unit, n), p, 0,", "load(previous_h(p, b + r, t), n), p, 0,", RECURRENT),
    Mutant(
        "if (p.zoneout.h > 0) store(dh_prev + unit, dh, n);",
        "if (p.zoneout.h > 0) store(dh_prev + unit, dy, n);",
        RECURRENT,
    ),
    Mutant(
        "slope<T>(p.options.activation, load(y + unit, n)), n);",
        "slope<T>(p.options.activation, load(y, n)), n);",
        RECURRENT,
    ),
]
