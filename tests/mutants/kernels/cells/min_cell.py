from ... import Mutant

RECURRENT = "test_kernels.py::test_min_and_slstm_are_the_reference"

MUTANTS = [
    Mutant(
        "return x >= zero ? x + broadcast(T(0.5)) : sigmoid<T>(x);", "return x >= zero ? x : sigmoid<T>(x);", RECURRENT
    ),
    Mutant("return y >= broadcast(T(0.5)) ? one : y * (one - y);", "return y >= one ? one : y * (one - y);", RECURRENT),
    Mutant("h_prev, p, 0, p.zoneout.h, b, t, unit), n);", "h_prev, p, 0, p.zoneout.h, b, t, 0), n);", RECURRENT),
]
