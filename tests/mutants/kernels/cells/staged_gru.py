from ... import Mutant

NORMALIZED = "test_kernels.py::test_layer_normalisation_in_float32_is_the_reference"
VARIANTS = "test_recurrent_layers.py::test_outputs_states_and_gradients_are_the_reference"
NOISE = "test_kernels.py::test_noise_is_that_of_the_reference"

MUTANTS = [
    # forward
    Mutant(
        "multiply_rows<T>(u, p.weights.gain + s.gates, u, s.gates);",
        "multiply_rows<T>(u, p.weights.gain, u, s.gates);",
        NORMALIZED,
    ),
    Mutant(
        "if (options.reset_after) sum += load(bias_h + column, n);",
        "if (options.layer_norm) sum += load(bias_x + column, n);",
        NORMALIZED,
    ),
    Mutant("nullptr : s.seen_h(b, t, 2);", "nullptr : s.seen_h(b, t, 0);", NOISE),
    Mutant(
        "act(options.activation, sum, 2 * units + k, n), before", "act(options.activation, sum, k, n), before", VARIANTS
    ),
    # backward
    Mutant(
        "slope_of(options.recurrent_activation, z, k, n);",
        "slope_of(options.recurrent_activation, z, units + k, n);",
        VARIANTS,
    ),
    Mutant("store(dh_row + k, fma(taken, z, dh), n);", "store(dh_row + k, taken * z, n);", NOISE),
    Mutant(
        "normalize_backward(row + s.gates, u_hat, saved[10 * units + 1], s.gates);",
        "normalize_backward(row + s.gates, u_hat, saved[10 * units], s.gates);",
        NORMALIZED,
    ),
    Mutant("d = load(d_rh(b) + k, n) * mask;", "d = load(d_rh(b) + k, n);", NOISE),
    # gradients of the further weights
    Mutant("column(pre), of_saved(7 * units), gain_h);", "column(pre), of_saved(4 * units), gain_h);", NORMALIZED),
]
