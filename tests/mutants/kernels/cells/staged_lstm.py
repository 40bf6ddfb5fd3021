from ... import Mutant

NORMALIZED = "test_kernels.py::test_layer_normalisation_in_float32_is_the_reference"
VARIANTS = "test_recurrent_layers.py::test_outputs_states_and_gradients_are_the_reference"
NOISE = "test_kernels.py::test_noise_is_that_of_the_reference"

MUTANTS = [
    # gates and columns
    Mutant(
        "f = options.forget_gate && !options.coupled ? count++ : -1;",
        "f = options.forget_gate ? count++ : -1;",
        VARIANTS,
    ),
    # slopes stand behind what layer normalisation saves
    Mutant(
        "return slopes(s, options) + (saves_slopes(options)", "return slopes(s, options) + (options.peepholes", VARIANTS
    ),
    # forward
    Mutant("load(peephole + row * units + k, n), c, sum);", "load(peephole + g * units + k, n), c, sum);", VARIANTS),
    Mutant("options.coupled ? one - i : one;", "one;", VARIANTS),
    Mutant("gate_of(gate.o, 2, c) : one;", "gate_of(gate.o, 2, before) : one;", NORMALIZED),
    Mutant(
        "p, 1, p.zoneout.c, b, t, k), n);\n            });",
        "p, 1, p.zoneout.h, b, t, k), n);\n            });",
        NOISE,
    ),
    # backward
    Mutant("if (options.coupled) di = di - df;", "if (options.coupled) di = di + df;", VARIANTS),
    Mutant("Vec<T> dc_before = fma(dc_new, f, dc_passed);", "Vec<T> dc_before = dc_new * f;", NOISE),
    Mutant(
        "slope_of(options.recurrent_activation, y, g_ * units + k, n);",
        "slope_of(options.recurrent_activation, y, k, n);",
        VARIANTS,
    ),
    Mutant("dm_ * o * out.slope, n);", "dm_ * o, n);", VARIANTS),
    # gradients of the further weights
    Mutant(
        "column(layout.pre + gate.o * units), column(layout.c),",
        "column(layout.pre + gate.o * units), c_prev,",
        VARIANTS,
    ),
    Mutant("of_saved(4 * units + product * s.gates),", "of_saved(4 * units),", NORMALIZED),
]
