from ... import Mutant

RECURRENT = "test_kernels.py::test_forward_and_backward_are_the_reference"
LAYERS = "test_recurrent_layers.py::test_outputs_states_and_gradients_are_the_reference"

MUTANTS = [
    Mutant(
        "{h, units, -1, h, false}, {3 * units, units, h, -1, false}}",
        "{h, units, h, -1, false}, {3 * units, units, -1, h, false}}",
        LAYERS,
    ),
    Mutant("if (sum < 2) return", "if (sum < 3) return", LAYERS),
    Mutant("(sum == 2 ? input : recurrent) + 2 * units", "(sum == 2 ? recurrent : input) + 2 * units", LAYERS),
    Mutant("tanh<T>(fma(r, u, pre[r_][2]));", "tanh<T>(fma(z, u, pre[r_][2]));", LAYERS),
    Mutant("fma(z, h_prev - hh, hh), n);", "fma(z, hh - h_prev, h_prev), n);", LAYERS),
    Mutant("store(saved + 3 * units, u, n);", "store(saved + 3 * units, pre[r_][2], n);", LAYERS),
    Mutant("dh * (one - z) * fma(-hh, hh, one);", "dh * z * fma(-hh, hh, one);", LAYERS),
    Mutant("store(dh_prev + unit, dh * z, n);", "store(dh_prev + unit, dh, n);", LAYERS),
    Mutant(
        "(load(h_prev + unit, n) - hh) * (z * (one - z)), n);",
        "(hh - load(h_prev + unit, n)) * (z * (one - z)), n);",
        LAYERS,
    ),
    Mutant("da * u * (r * (one - r)), n);", "da * r * (r * (one - r)), n);", LAYERS),
    Mutant("store(to + 2 * units, da * r, n);", "store(to + 2 * units, da, n);", LAYERS),
    Mutant("dh_prev(p.dh0 + row_of(p, b) * units),", "dh_prev(p.dh0 + b * units),", RECURRENT),
]
