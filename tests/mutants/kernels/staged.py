from .. import Mutant

NORMALIZED_IN_FLOAT32 = "test_kernels.py::test_layer_normalisation_in_float32_is_the_reference"
SHARED = "test_determinism.py::test_bits_do_not_depend_on_threads_with_options"
NOISE = "test_kernels.py::test_noise_is_that_of_the_reference"
LAYERS = "test_recurrent_layers.py::test_outputs_states_and_gradients_are_the_reference"

MUTANTS = [
    # packing
    Mutant("p.packed.recurrent + width * outputs, p.weights", "p.packed.recurrent + width * units, p.weights", LAYERS),
    Mutant(
        "copy(p.packed.bias, p.weights.bias, Cell::bias_rows(p.options) * columns);",
        "copy(p.packed.bias, p.weights.bias, columns);",
        NORMALIZED_IN_FLOAT32,
    ),
    Mutant("std::memset(p.packed.bias, 0, Cell::bias_rows(p.options) * columns * sizeof(T));", "(void)team;", LAYERS),
    # layer normalisation
    Mutant("double(variance / T(n) + T(1e-5))", "double(variance / T(n - 1) + T(1e-5))", LAYERS),
    Mutant(
        "d[k] = scale * (d[k] - mean - normalized[k] * slope);",
        "d[k] = scale * (d[k] - normalized[k] * slope);",
        NORMALIZED_IN_FLOAT32,
    ),
    # forward
    Mutant("return x_products + (b - row0) * gates; }", "return x_products + b * gates; }", SHARED),
    Mutant(
        "const int copy = p.h_dropout.copies > 1 ? gate : 0;\n        return",
        "const int copy = 0;\n        return",
        NOISE,
    ),
    Mutant(
        "dropped_h + (copy * p.shape.batch + b - row0) * p.shape.outputs;",
        "dropped_h + (copy * p.shape.batch + b) * p.shape.outputs;",
        SHARED,
    ),
    Mutant("dropped + (dropout.copies > 1 ? g : 0) * copy_size", "dropped + g * copy_size", NOISE),
    # backward
    Mutant("if (b >= going_on && p.dh_last) sum", "if (p.dh_last) sum", LAYERS),
    Mutant("[&](long m) { return row0 + m; }, true);", "[&](long m) { return m; }, true);", SHARED),
]
