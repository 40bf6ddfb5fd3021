from ... import Mutant

ROW_ALONE = "test_determinism.py::test_a_row_with_a_length_is_the_row_alone"
LAYERS = "test_recurrent_layers.py::test_outputs_states_and_gradients_are_the_reference"

MUTANTS = [
    Mutant("if (sum < 2) return", "if (sum < 3) return", LAYERS),
    Mutant("fma(z, h_prev - hh, hh), n);", "fma(z, hh - h_prev, h_prev), n);", LAYERS),
    Mutant("store(dh_prev + unit, dh * z, n);", "store(dh_prev + unit, dh, n);", LAYERS),
    Mutant("store(to + 2 * units, da * r, n);", "store(to + 2 * units, da, n);", LAYERS),
    Mutant("dh_prev(p.dh0 + row_of(p, b) * units),", "dh_prev(p.dh0 + b * units),", ROW_ALONE),
]
