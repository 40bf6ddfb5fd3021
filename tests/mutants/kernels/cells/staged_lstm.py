from ... import Mutant

RECURRENT = "test_kernels.py::test_forward_and_backward_are_the_reference"
NORMALIZED = "test_kernels.py::test_layer_normalisation_in_float32_is_the_reference"
VARIANTS = "test_recurrent_layers.py::test_outputs_states_and_gradients_are_the_reference"

MUTANTS = [
    # gates and columns
    Mutant(
        "f = options.forget_gate && !options.coupled ? count++ : -1;",
        "f = options.forget_gate ? count++ : -1;",
        "test_door.py::test_what_options_say_of_their_gates_is_not_believed",
    ),
    Mutant(
        "2 * gates(options) * s.units + 2 : 0);",
        "2 * gates(options) * s.units : 0);",
        "test_kernels.py::test_the_cache_holds_what_it_says",
    ),
    # forward
    Mutant(
        "scale_a, saved[4 * units + 2 * s.gates + 1] = scale_u;",
        "scale_u, saved[4 * units + 2 * s.gates + 1] = scale_a;",
        NORMALIZED,
    ),
    Mutant(
        "load(p.weights.gain + s.gates + column, n), bias));", "load(p.weights.gain + column, n), bias));", NORMALIZED
    ),
    Mutant("load(peephole + row * units + k, n), c, sum);", "load(peephole + g * units + k, n), c, sum);", VARIANTS),
    Mutant("options.coupled ? one - i : one;", "one;", VARIANTS),
    Mutant("gate_of(gate.o, 2, c) : one;", "gate_of(gate.o, 2, before) : one;", NORMALIZED),
    Mutant(
        "options.input_activation ? activate<T>(options.activation, pre(gate.g)) : pre(gate.g);",
        "activate<T>(options.activation, pre(gate.g));",
        VARIANTS,
    ),
    Mutant(
        "if (options.layer_norm) normalize(c_new, n_row, units);",
        "if (options.layer_norm) normalize(c_new, n_row, s.gates);",
        NORMALIZED,
    ),
    Mutant("zone_out<T>(c, load(c_prev + k, n), p, 1,", "zone_out<T>(c, load(c_prev + k, n), p, 0,", RECURRENT),
    Mutant(
        "p, 1, p.zoneout.c, b, t, k), n);\n            });",
        "p, 1, p.zoneout.h, b, t, k), n);\n            });",
        RECURRENT,
    ),
    Mutant(
        "RowsAt<const T>(s.buffer(3, s.row0), units), end - s.row0, p.weights.projection,",
        "RowsAt<const T>(s.buffer(0, s.row0), units), end - s.row0, p.weights.projection,",
        VARIANTS,
    ),
    # backward
    Mutant("                store(s.dh(b) + k, dh, n);\n", "", RECURRENT),
    Mutant("outputs, units, 0, outputs,", "outputs, units, 0, outputs - 1,", VARIANTS),
    Mutant(
        "if (options.output_activation) dn = dn * slope<T>(options.activation, y);",
        "dn = dn * slope<T>(options.activation, y);",
        VARIANTS,
    ),
    Mutant(
        "dm_ * y * slope<T>(options.recurrent_activation, o), n);",
        "dm_ * slope<T>(options.recurrent_activation, o), n);",
        VARIANTS,
    ),
    Mutant(
        "if (options.projection) store(row + layout.m + k, o * y, n);",
        "if (options.projection) store(row + layout.m + k, y, n);",
        VARIANTS,
    ),
    Mutant("            normalize_backward(dn_row, normalized, scale, units);\n", "", NORMALIZED),
    Mutant("load(peephole + 2 * units + k, n), dc_new);", "load(peephole + units + k, n), dc_new);", NORMALIZED),
    Mutant("if (options.coupled) di = di - df;", "if (options.coupled) di = di + df;", VARIANTS),
    Mutant("Vec<T> dc_before = fma(dc_new, f, dc_passed);", "Vec<T> dc_before = dc_new * f;", RECURRENT),
    Mutant("load(peephole + peephole_row * units + k, n), dc_before);", "load(peephole + k, n), dc_before);", VARIANTS),
    Mutant(
        "if (gate.f >= 0) gate_gradient(gate.f, 1, df, f);",
        "if (gate.f >= 0) gate_gradient(gate.f, 1, df, i);",
        VARIANTS,
    ),
    Mutant(
        "options.input_activation ? dg * slope<T>(options.activation, g) : dg, n);",
        "dg * slope<T>(options.activation, g), n);",
        VARIANTS,
    ),
    Mutant("p.weights.gain + product * s.gates, d, s.gates);", "p.weights.gain, d, s.gates);", NORMALIZED),
    Mutant("hats[2 * s.gates + product], s.gates);", "hats[2 * s.gates], s.gates);", NORMALIZED),
    # gradients of the further weights
    Mutant(
        "column(layout.pre + gate.o * units), column(layout.c),",
        "column(layout.pre + gate.o * units), c_prev,",
        VARIANTS,
    ),
    Mutant("of_saved(4 * units + product * s.gates),", "of_saved(4 * units),", NORMALIZED),
    Mutant(
        "column(layout.dn), column(layout.normalized), p.gradients.cell_norm);",
        "column(layout.dn), column(layout.c), p.gradients.cell_norm);",
        NORMALIZED,
    ),
    Mutant(
        "column(layout.m), layout.dh, p.gradients.projection);",
        "column(layout.c), layout.dh, p.gradients.projection);",
        VARIANTS,
    ),
]
