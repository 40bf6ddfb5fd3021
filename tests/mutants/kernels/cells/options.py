from ... import Mutant

RECURRENT = "test_kernels.py::test_forward_and_backward_are_the_reference"
ACTIVATIONS = "test_recurrent_layers.py::test_outputs_states_and_gradients_are_the_reference"
NAN = "test_kernels.py::test_nan_passes_through_every_activation"
MIXED = "test_kernels.py::test_zoneout_without_a_seed_mixes_by_its_rates"

MUTANTS = [
    Mutant(
        "fma(x, broadcast(T(1) / 6), broadcast(T(0.5)));", "fma(x, broadcast(T(0.2)), broadcast(T(0.5)));", ACTIVATIONS
    ),
    Mutant("return smaller(one, larger(zero, line));", "return smaller(larger(line, zero), one);", NAN),
    Mutant("(y > zero) & (y < one);", "(y >= zero) & (y < one);", ACTIVATIONS),
    Mutant("const auto positive = y > zero;", "const auto positive = y >= zero;", ACTIVATIONS),
    # random masks
    Mutant("key_0 += 0x9E3779B9, key_1", "key_1", RECURRENT),
    Mutant("for (int round = 0; round < 10; ++round)", "for (int round = 0; round < 7; ++round)", RECURRENT),
    Mutant("uint32_t(row), uint32_t(step), uint32_t(state)};", "uint32_t(row), uint32_t(step), 0};", RECURRENT),
    Mutant("of_word < 4 ? (unit + l) % 4 : 0;", "0;", RECURRENT),
    Mutant("p.ragged.at_step ? p.ragged.at_step[number_of(p, t) + b] : t,", "t,", RECURRENT),
    # zoneout
    Mutant("return share * value + (one - share) * before;", "return share * before + (one - share) * value;", MIXED),
    Mutant("    d = takes ? zero : whole;\n", "    d = takes ? zero : zero;\n", RECURRENT),
]
