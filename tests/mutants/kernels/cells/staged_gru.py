from ... import Mutant

RECURRENT = "test_kernels.py::test_forward_and_backward_are_the_reference"
NORMALIZED = "test_kernels.py::test_layer_normalisation_in_float32_is_the_reference"

MUTANTS = [
    # forward
    Mutant(
        "saved[10 * units] = scale_a, saved[10 * units + 1] = scale_u;",
        "saved[10 * units] = scale_u, saved[10 * units + 1] = scale_a;",
        NORMALIZED,
    ),
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
    Mutant("nullptr : s.seen_h(b, t, 2);", "nullptr : s.seen_h(b, t, 0);", RECURRENT),
    Mutant("store(rh + k, r * load(h + k, n), n);", "store(rh + k, z * load(h + k, n), n);", RECURRENT),
    Mutant(
        "p.weights.recurrent + 2 * packed_columns<T>(units) * units,",
        "p.weights.recurrent + 2 * units * units,",
        RECURRENT,
    ),
    Mutant(
        "RowsAt<T>(s.from_h(s.row0) + 2 * units, s.gates));",
        "RowsAt<T>(s.from_h(s.row0) + 2 * units, units));",
        RECURRENT,
    ),
    Mutant("u += load(bias_h + 2 * units + k, n);", "u += load(bias_h + units + k, n);", NORMALIZED),
    Mutant("h = fma(z, before, (one - z) * hh);", "h = fma(z, hh, (one - z) * before);", RECURRENT),
    Mutant(
        "if (options.reset_after) store(saved + 3 * units + k, u, n);",
        "if (options.reset_after) store(saved + 3 * units + k, sum, n);",
        NORMALIZED,
    ),
    # backward
    Mutant(
        "taken * (one - z) * slope<T>(options.activation, hh);",
        "taken * z * slope<T>(options.activation, hh);",
        RECURRENT,
    ),
    Mutant("store(dh_row + k, fma(taken, z, dh), n);", "store(dh_row + k, taken * z, n);", RECURRENT),
    Mutant(
        "multiply_rows<T>(row + u_column, gain_h + 2 * units,", "multiply_rows<T>(row + u_column, gain_h,", NORMALIZED
    ),
    Mutant(
        "normalize_backward(row + s.gates, u_hat, saved[10 * units + 1], s.gates);",
        "normalize_backward(row + s.gates, u_hat, saved[10 * units], s.gates);",
        NORMALIZED,
    ),
    Mutant("d = load(d_rh(b) + k, n) * mask;", "d = load(d_rh(b) + k, n);", RECURRENT),
    Mutant("const int copy = p.h_dropout.copies > 1 ? 2 : 0;", "const int copy = 0;", RECURRENT),
    Mutant("fma(d, r, load(s.dh(b) + k, n)), n);", "d * r, n);", RECURRENT),
    Mutant(
        "p.weights.recurrent_transposed, s.gates, units, 2 * units, units,",
        "p.weights.recurrent_transposed, s.gates, units, 0, units,",
        RECURRENT,
    ),
    # gradients of the further weights
    Mutant("column(pre), of_saved(7 * units), gain_h);", "column(pre), of_saved(4 * units), gain_h);", NORMALIZED),
    Mutant(
        "column(u), of_saved(9 * units), gain_h + 2 * units);",
        "column(u), of_saved(6 * units), gain_h + 2 * units);",
        NORMALIZED,
    ),
    Mutant("column(u), nothing, bias_h + 2 * units);", "column(u - units), nothing, bias_h + 2 * units);", NORMALIZED),
]
