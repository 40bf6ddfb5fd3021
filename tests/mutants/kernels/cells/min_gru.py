from ... import Mutant

RECURRENT = "test_kernels.py::test_min_and_slstm_are_the_reference"

MUTANTS = [
    Mutant(
        "fma(z, hh, (broadcast(T(1)) - z) * h_prev), h_prev,",
        "fma(z, h_prev, (broadcast(T(1)) - z) * hh), h_prev,",
        RECURRENT,
    ),
    Mutant("this->hand_on(fma(dh, kept, dh_), unit, n);", "this->hand_on(dh * kept, unit, n);", RECURRENT),
    Mutant("dh * z * candidate_slope<T>(this->p, hh), n);", "dh * z, n);", RECURRENT),
]
