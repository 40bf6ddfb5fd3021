from .. import Mutant

EQUATIONS = "test_optimizers.py::test_steps_are_those_of_the_equations_with_kerass_defaults"
NAN = "test_optimizers.py::test_a_gradient_that_is_not_a_number_reaches_the_weight"
CLIPPING = "test_optimizers.py::test_clipping_is_of_elements_of_variables_or_of_all"
DECAY = "test_optimizers.py::test_weight_decay_comes_before_the_step_and_leaves_out_what_is_excluded"
NORM = "test_optimizers.py::test_the_norm_of_float32_is_summed_in_float64"

MUTANTS = [
    # rules
    Mutant("return w + (nesterov ? fma(momentum, m, -rate * g) : m);", "return w + m;", EQUATIONS),
    Mutant("return w - alpha * m / (sqrt<T>(u) + epsilon);", "return w - alpha * m / sqrt<T>(u + epsilon);", EQUATIONS),
    Mutant("        if (amsgrad) u = larger(u, v);\n", "        if (amsgrad) u = v;\n", EQUATIONS),
    Mutant("u = larger(beta_2 * u, larger(-g, g));", "u = larger(beta_2 * u, g);", EQUATIONS),
    Mutant(
        "fma(a, m, b * g) / (sqrt<T>(correction * v) + epsilon);",
        "fma(b, m, a * g) / (sqrt<T>(correction * v) + epsilon);",
        EQUATIONS,
    ),
    Mutant("up ? one : (down ? -one : direction), w);", "up ? one : (down ? -one : zero), w);", NAN),
    # the pass
    Mutant(
        "team.split(long((p.size + 63) / 64), begin, end);", "team.split(long(p.size / 64), begin, end);", EQUATIONS
    ),
    Mutant(
        "larger(-limit, smaller(limit, scale * load(p.gradients + k, n)));",
        "smaller(larger(scale * load(p.gradients + k, n), -limit), limit);",
        NAN,
    ),
    Mutant("Rule::step(fma(-decay, w, w), g, slots, numbers)", "Rule::step(w, g, slots, numbers)", DECAY),
    Mutant("    for (int l = 0; k < n; ++k, ++l) sums[l] += double(x[k]) * double(x[k]);\n", "", CLIPPING),
    Mutant("double(x[k + l]) * double(x[k + l]);", "double(x[k + l] * x[k + l]);", NORM),
]
