from ... import Mutant

RECURRENT = "test_kernels.py::test_min_and_slstm_are_the_reference"
KINK = "test_min_and_slstm.py::test_candidates_a_little_below_zero_have_the_slope_of_the_sigmoid"

MUTANTS = [
    Mutant("return x >= zero ? x + half : below;", "return x >= zero ? x : below;", RECURRENT),
    Mutant("return x >= zero ? x + half : below;", "return x >= zero ? x + half : sigmoid<T>(x);", KINK),
    Mutant("return y >= broadcast(T(0.5)) ? one : y * (one - y);", "return y >= one ? one : y * (one - y);", RECURRENT),
    Mutant("h_prev, p, 0, p.zoneout.h, b, t, unit), n);", "h_prev, p, 0, p.zoneout.h, b, t, 0), n);", RECURRENT),
]
