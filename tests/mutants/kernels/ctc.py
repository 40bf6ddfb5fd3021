from .. import CHECK_CORE, Mutant

REFERENCE = "test_ctc.py::test_kernel_is_the_reference"
LONG = "test_ctc.py::test_long_sequences_lose_nothing"
SURE = "test_ctc.py::test_a_network_sure_of_its_blanks_loses_nothing"
NAN = "test_ctc.py::test_one_nan_on_the_way_makes_the_loss_nan"
BARELY = "test_ctc.py::test_only_just_feasible_and_only_just_not"
SCALE = "test_ctc.py::test_core_takes_its_scale_by_row"
RACES = CHECK_CORE + "passes"

MUTANTS = [
    # numbers with exponents of their own
    Mutant(
        "    e = larger(broadcast(-1023.), smaller(broadcast(1024.), e));",
        "    e = smaller(broadcast(1024.), e);",
        SURE,
    ),
    Mutant("const V e = larger(larger(a.e, b.e), c.e);", "const V e = larger(a.e, b.e);", SURE),
    Mutant("return {a.m * b.m, a.e + b.e}; }", "return {a.m * b.m, larger(a.e, b.e)}; }", REFERENCE),
    Mutant("v.e + (exponent - broadcast(1023.))};", "v.e + (exponent - broadcast(1022.))};", LONG),
    Mutant(
        "{none ? V{} : broadcast(1.) + fraction,", "{broadcast(1.) + fraction,", "test_ctc.py::test_impossible_classes"
    ),
    Mutant("none ? broadcast(zero_exponent) : e};", "e};", "test_ctc.py::test_impossible_classes"),
    # classes
    Mutant("V v = broadcast(-__builtin_inf());", "V v{};", REFERENCE),
    Mutant("l < n ? p[l] : -__builtin_inff();", "l < n ? p[l] : 0.f;", REFERENCE),
    Mutant("return logits ? 1 / total(size) : 1.;", "return 1 / total(size);", REFERENCE),
    Mutant("for (int l = 1; l < width; ++l) sum += v[l];", "for (int l = 2; l < width; ++l) sum += v[l];", REFERENCE),
    # what is possible
    Mutant("needed += labels[s] == labels[s - 1];", "needed += labels[s] != labels[s - 1];", BARELY),
    Mutant("return needed <= steps;", "return needed < steps;", BARELY),
    Mutant("if (labels[s] != labels[s - 1]) memory.no_skip[s]", "memory.no_skip[s]", REFERENCE),
    Mutant("memory.no_skip_next[s - 1] = 0;", "memory.no_skip_next[s] = 0;", REFERENCE),
    # forward
    Mutant("        check += y_blank.m;\n", "", NAN),
    Mutant("            check += y_label.m;\n", "", NAN),
    Mutant("            if (normalise) l = normalised(l), b = normalised(b);\n", "", LONG),
    Mutant(
        "numbers[1] = memory.probability_m[p.blank] * factor,", "numbers[1] = memory.probability_m[p.blank],", REFERENCE
    ),
    Mutant("y_label.m *= broadcast(factor);", "y_label.m *= broadcast(1.);", REFERENCE),
    Mutant(
        "Scaled b = product(sum(blank, previous), y_blank);",
        "Scaled b = product(sum(blank, labels_before.at(s)), y_blank);",
        REFERENCE,
    ),
    Mutant(
        "const Scaled previous = labels_before.at(s - 1),", "const Scaled previous = labels_before.at(s),", REFERENCE
    ),
    Mutant("gradient || t == 0 ? t - 1 : (t - 1) & 1;", "gradient ? t - 1 : (t - 1) & 1;", REFERENCE),
    # backward
    Mutant("            if (normalise) new_l = normalised(new_l), new_b = normalised(new_b);\n", "", LONG),
    Mutant("const Scaled next = labels_behind.at(s + 1),", "const Scaled next = labels_behind.at(s),", REFERENCE),
    Mutant("g[p.blank] -= T(total(blank_part));", "g[p.blank] -= T(blank_part[0]);", REFERENCE),
    Mutant("g[labels[s]] -= T(memory.parts[s]);", "g[labels[s]] = T(memory.parts[s]);", REFERENCE),
    Mutant("broadcast(scale / p_m), exponent", "broadcast(1 / p_m), exponent", SCALE),
    Mutant("T(numbers[0] * scale);", "T(numbers[0]);", SCALE),
    # a row
    Mutant(
        "gradient || steps == 0 ? steps - 1 : (steps - 1) & 1;",
        "gradient ? steps - 1 : (steps - 1) & 1;",
        "test_ctc.py::test_nothing_in_nothing_out",
    ),
    Mutant("if (gradient && (none || scale == 0)) {", "if (gradient && none) {", SCALE),
    Mutant("            if (checked != checked) p_m = checked;\n", "", NAN),
    Mutant("        fill(steps, T(0));\n", "", "test_ctc.py::test_what_does_not_count_may_be_anything"),
    Mutant(
        "if (impossible_labels) return p.zero_infinity ? T(0) : infinity;",
        "if (impossible_labels) return infinity;",
        BARELY,
    ),
    Mutant(
        "(__builtin_log(p_m) + p_e * 0.693147180559945309417)", "(__builtin_log(p_m) + p_e * 0.6931471805599)", LONG
    ),
    # rows among threads
    Mutant(
        "double(p.classes + 2 * p.label_lengths[b]) + 1;",
        "double(p.classes + 2 * p.label_lengths[b]);",
        "test_ctc.py::test_nothing_in_nothing_out",
    ),
    Mutant(
        "p.workspace + std::size_t(team.index) * ctc_workspace(p), p.max_labels", "p.workspace, p.max_labels", RACES
    ),
    Mutant("before + work(b) / 2;", "before;", equivalent="Every row still is in one share; only their sizes differ."),
]
