from .. import CHECK_CORE, Mutant

REFERENCE = "test_crf.py::test_kernel_is_the_reference"
FAR = "test_crf.py::test_scores_far_apart_lose_nothing"
LONG = "test_crf.py::test_long_sequences_lose_nothing"
NAN = "test_crf.py::test_one_score_that_is_no_number_makes_the_loss_nan"
NOWHERE = "test_crf.py::test_where_no_path_is_possible"
PADDING = "test_crf.py::test_what_does_not_count_may_be_anything"
SIZES = "test_crf.py::test_scores_of_any_size_are_the_reference"
PARTS = "test_crf.py::test_pairs_that_are_best_and_forbidden"
NOTHING = "test_crf.py::test_nothing_in_nothing_out"
EQUAL = "test_crf.py::test_equal_scores_take_the_lower_tag"
RACES = CHECK_CORE + "passes"

MUTANTS = [
    # tables
    Mutant("return x < broadcast(-impossible) ? V{}", "return x <= x ? V{}", NAN),
    Mutant("                check += unusable(x);\n", "", NAN),
    Mutant(
        "        checks[2 * team.index + 1] = largest_of(largest);\n        team.wait();\n",
        "        checks[2 * team.index + 1] = largest_of(largest);\n",
        RACES,
    ),
    Mutant("                largest = larger(a.e, largest);\n", "", SIZES),
    Mutant(
        "fill_some(row.plain + tags, padded - tags, 1.);",
        "fill_some(row.plain + tags, padded - tags, 0.);",
        equivalent="With zeros there the sums of the last vector are done in numbers with exponents, every time.",
    ),
    # sums
    Mutant("e[k] = larger(own + load(p + k * width), e[k]);", "e[k] = own + load(p + k * width);", SIZES),
    Mutant("return largest_of(-least) <= -least_plain;", "return true;", FAR),
    Mutant(
        "for (int k = 1; k < n; ++k) least = smaller(least, m[k]);", "", "test_crf.py::test_far_apart_in_a_later_vector"
    ),
    Mutant(
        "normalised(w ? product(v.each[k], w->at(at)) : v.each[k])",
        "(w ? product(v.each[k], w->at(at)) : v.each[k])",
        LONG,
    ),
    Mutant("largest = v[l] > largest ? v[l] : largest;", "largest = v[l] < largest ? v[l] : largest;", FAR),
    # forward
    Mutant("            check += unusable(scores);\n", "", NAN),
    Mutant("return p.d_emissions ? t : t & 1;", "return t & 1;", REFERENCE),
    # backward
    Mutant("if (t == steps - 1) std::memcpy", "if (t == s.steps - 1) std::memcpy", REFERENCE),
    Mutant("if (plain && exponent <= plain_part) {", "if (plain) {", PARTS),
    Mutant("        fill_some(memory.counts, tags * padded, 0.);\n", "", REFERENCE),
    Mutant("e, tables.before, nullptr, beta);", "e, tables.after, nullptr, beta);", REFERENCE),
    Mutant("        d_end()[labels[steps - 1]] -= one;\n", "", REFERENCE),
    # a row
    Mutant("fill_some(d_emissions() + steps * tags, (s.steps - steps) * tags, T(0));", "(void)0;", PADDING),
    Mutant("no_path = z_e < zero_exponent / 2,", "no_path = false,", NOWHERE),
    Mutant(
        "score == -__builtin_inf();", "false;", "test_crf.py::test_labels_that_are_impossible_where_other_paths_are_not"
    ),
    Mutant(
        "            if (scale == 0)\n",
        "            if (false)\n",
        "test_crf_layer.py::test_a_row_of_weight_0_may_have_any_labels",
    ),
    # the best path
    Mutant("const auto better = candidate > largest;", "const auto better = candidate >= largest;", EQUAL),
    Mutant("if (score > largest) largest = score, tag = j;", "if (score >= largest) largest = score, tag = j;", EQUAL),
    Mutant("        fill_some(path + steps, s.steps - steps, int64_t(0));\n", "", PADDING),
    Mutant("            fill_some(path, steps, int64_t(-1));\n", "", NOWHERE),
    # rows among threads
    Mutant(
        "return [&s](long b) { return double(s.lengths[b]) + 1; };",
        "return [&s](long b) { return double(s.lengths[b]); };",
        NOTHING,
    ),
    Mutant("const bool plain = largest <= plain_exponent;", "const bool plain = true;", SIZES),
    Mutant("std::size_t(team.index) * Memory::size(s.tags, p.d_emissions ? s.steps : 2);", "0;", RACES),
]
