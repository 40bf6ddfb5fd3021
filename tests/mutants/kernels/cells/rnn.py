from ... import Mutant

RECURRENT = "test_kernels.py::test_forward_and_backward_are_the_reference"
NOISE = "test_kernels.py::test_noise_is_that_of_the_reference"

MUTANTS = [
    Mutant("return p.zoneout.h > 0;", "return false;", NOISE),
    Mutant("            if (n <= 0) return;\n", "", RECURRENT, "avx512"),
    Mutant("p, 0, p.zoneout.h, b + r, t, unit), n);", "p, 0, p.zoneout.h, b, t, unit), n);", NOISE),
    Mutant(
        "if (this->p.zoneout.h > 0) this->hand_on(dh, unit, n);",
        "if (this->p.zoneout.h > 0) this->hand_on(dy, unit, n);",
        NOISE,
    ),
]
