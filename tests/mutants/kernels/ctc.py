from .. import CHECK_CORE, Mutant

REFERENCE = "test_ctc.py::test_kernel_is_the_reference"
LONG = "test_ctc.py::test_long_sequences_lose_nothing"
NAN = "test_ctc.py::test_one_nan_on_the_way_makes_the_loss_nan"
BARELY = "test_ctc.py::test_only_just_feasible_and_only_just_not"
RACES = CHECK_CORE + "passes"

MUTANTS = [
    # what is possible
    Mutant("return needed <= steps;", "return needed < steps;", BARELY),
    Mutant("if (labels[s] != labels[s - 1]) memory.no_skip[s]", "memory.no_skip[s]", REFERENCE),
    # forward
    Mutant("        check += y_blank.m;\n", "", NAN),
    Mutant("            check += y_label.m;\n", "", NAN),
    Mutant("            if (normalise) l = normalised(l), b = normalised(b);\n", "", LONG),
    # backward
    Mutant("            if (normalise) new_l = normalised(new_l), new_b = normalised(new_b);\n", "", LONG),
    Mutant("g[p.blank] -= T(total(blank_part));", "g[p.blank] -= T(blank_part[0]);", REFERENCE),
    # a row
    Mutant(
        "gradient || steps == 0 ? steps - 1 : (steps - 1) & 1;",
        "gradient ? steps - 1 : (steps - 1) & 1;",
        "test_ctc.py::test_a_row_without_steps_spells_nothing_whatever_the_row_before",
    ),
    Mutant(
        "if (gradient && (none || scale == 0)) {",
        "if (gradient && none) {",
        equivalent="Without weight a gradient is zero as computed, too; what is not finite is none.",
    ),
    Mutant("        fill(steps, T(0));\n", "", "test_ctc.py::test_what_does_not_count_may_be_anything"),
    # rows among threads
    Mutant(
        "double(p.classes + 2 * p.label_lengths[b]) + 1;",
        "double(p.classes + 2 * p.label_lengths[b]);",
        "test_ctc.py::test_nothing_in_nothing_out",
    ),
    Mutant(
        "p.workspace + std::size_t(team.index) * ctc_workspace(p), p.max_labels", "p.workspace, p.max_labels", RACES
    ),
]
