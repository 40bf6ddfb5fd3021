from ... import Mutant

ACTIVATIONS = "test_recurrent_layers.py::test_outputs_states_and_gradients_are_the_reference"
NAN = "test_kernels.py::test_nan_passes_through_every_activation"
MIXED = "test_kernels.py::test_zoneout_without_a_seed_mixes_by_its_rates"
NOISE = "test_kernels.py::test_noise_is_that_of_the_reference"

MUTANTS = [
    Mutant(
        "fma(x, broadcast(T(activation.alpha)), broadcast(T(activation.beta)));",
        "fma(x, broadcast(T(0.2)), broadcast(T(0.5)));",
        ACTIVATIONS,
    ),
    Mutant("return smaller(one, larger(zero, line));", "return smaller(larger(line, zero), one);", NAN),
    Mutant("(y > zero) & (y < one);", "(y >= zero) & (y < one);", ACTIVATIONS),
    # slopes from inputs
    Mutant(
        "const Vec<T> below = fma(scale, fraction, scale - one);",
        "const Vec<T> below = fma(scale, fraction, scale);",
        ACTIVATIONS,
    ),
    Mutant("{low ? beta : x, low ? zero : one};", "{low ? zero : x, low ? zero : one};", ACTIVATIONS),
    Mutant("const auto low = x <= alpha;", "const auto low = x < alpha;", ACTIVATIONS),
    Mutant("alpha * beta * fma(-y, y, one)", "alpha * fma(-y, y, one)", ACTIVATIONS),
    Mutant("{positive ? x : alpha * x, positive ? one : alpha};", "{positive ? x : alpha * x, one};", ACTIVATIONS),
    # clip
    Mutant("smaller(limit, larger(-limit, sum))", "larger(-limit, sum)", ACTIVATIONS),
    Mutant("beyond ? zero : result.slope, n);", "result.slope, n);", ACTIVATIONS),
    Mutant("(sum > limit) | (sum < -limit);", "sum > limit;", ACTIVATIONS),
    # random masks
    Mutant("for (int round = 0; round < 10; ++round)", "for (int round = 0; round < 7; ++round)", NOISE),
    Mutant("x[3] = uint32_t(state);", "x[3] = 0;", NOISE),
    Mutant("takes[u - unit] = x[u % 4] < below", "takes[u - unit] = x[(u - unit) % 4] < below", NOISE),
    # zoneout
    Mutant("return share * value + (one - share) * before;", "return share * before + (one - share) * value;", MIXED),
    Mutant("    d = takes ? zero : whole;\n", "    d = takes ? zero : zero;\n", NOISE),
]
