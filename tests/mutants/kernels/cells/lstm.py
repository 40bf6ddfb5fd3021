from ... import Mutant

ROW_ALONE = "test_determinism.py::test_a_row_with_a_length_is_the_row_alone"
LAYERS = "test_recurrent_layers.py::test_outputs_states_and_gradients_are_the_reference"

MUTANTS = [
    Mutant("load(previous_c(p, b + r, t) + unit, n), i * g);", "load(previous_c(p, b, t) + unit, n), i * g);", LAYERS),
    Mutant(
        "fma(dh * o, fma(-tanh_c, tanh_c, one), load(dc + unit, n));",
        "fma(dh * o, fma(tanh_c, tanh_c, one), load(dc + unit, n));",
        LAYERS,
    ),
    Mutant("dc_ * before(unit, n) * (f * (one - f)), n);", "dc_ * load(c + unit, n) * (f * (one - f)), n);", LAYERS),
    Mutant("dc_ * i * fma(-g, g, one), n);", "dc_ * i * (g * (one - g)), n);", LAYERS),
    Mutant("dh * tanh_c * (o * (one - o)), n);", "dc_ * tanh_c * (o * (one - o)), n);", LAYERS),
    Mutant("dc(p.dc0 + row_of(p, b) * units),", "dc(p.dc0 + b * units),", ROW_ALONE),
]
