from .. import CHECK_CORE, Mutant

REFERENCE = "test_crf.py::test_kernel_is_the_reference"
FAR = "test_crf.py::test_scores_far_apart_lose_nothing"
LONG = "test_crf.py::test_long_sequences_lose_nothing"
NAN = "test_crf.py::test_one_score_that_is_no_number_makes_the_loss_nan"
NOWHERE = "test_crf.py::test_where_no_path_is_possible"
PADDING = "test_crf.py::test_what_does_not_count_may_be_anything"
EQUAL = "test_crf.py::test_equal_scores_take_the_lower_tag"
RACES = CHECK_CORE + "passes"

MUTANTS = [
    # tables
    Mutant("return x < broadcast(-impossible) ? V{}", "return x <= x ? V{}", NAN),
    Mutant("                check += unusable(x);\n", "", NAN),
    Mutant(
        "        checks[team.index] = total(check);\n        team.wait();\n",
        "        checks[team.index] = total(check);\n",
        RACES,
    ),
    Mutant(
        "to(j).e[i] = i < tags ? from(i).e[j] : zero_exponent;",
        "to(j).e[i] = i < tags ? from(i).e[j] : 0;",
        equivalent="The lanes behind the tags are looked at by no one: m is 0 there, and they are not stored.",
    ),
    # sums
    Mutant("e[k] = larger(own + load(p + k * width), e[k]);", "e[k] = own + load(p + k * width);", FAR),
    Mutant("to.set(j, normalised(w ? product(v, w->at(j)) : v));", "to.set(j, w ? product(v, w->at(j)) : v);", LONG),
    Mutant("e = largest[l] > e ? largest[l] : e;", "e = largest[l] < e ? largest[l] : e;", FAR),
    # forward
    Mutant("            check += unusable(scores);\n", "", NAN),
    Mutant("return p.d_emissions ? t : t & 1;", "return t & 1;", REFERENCE),
    # backward
    Mutant(
        "if (t == steps - 1) std::copy_n(d, tags, d_end());",
        "if (t == s.steps - 1) std::copy_n(d, tags, d_end());",
        REFERENCE,
    ),
    Mutant("        std::fill_n(memory.counts, tags * padded, 0.);\n", "", REFERENCE),
    Mutant(
        "step(tables, behind, tables.before, nullptr, beta);",
        "step(tables, behind, tables.after, nullptr, beta);",
        REFERENCE,
    ),
    Mutant("        d_end()[labels[steps - 1]] -= one;\n", "", REFERENCE),
    # a row
    Mutant("std::fill_n(d_emissions() + steps * tags, (s.steps - steps) * tags, T(0));", "(void)0;", PADDING),
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
    Mutant("        std::fill_n(path + steps, s.steps - steps, int64_t(0));\n", "", PADDING),
    Mutant("            std::fill_n(path, steps, int64_t(-1));\n", "", NOWHERE),
    # rows among threads
    Mutant(
        "return [&s](long b) { return double(s.lengths[b]) + 1; };",
        "return [&s](long b) { return double(s.lengths[b]); };",
        PADDING,
    ),
    Mutant("std::size_t(team.index) * Memory::size(s.tags, p.d_emissions ? s.steps : 2);", "0;", RACES),
]
