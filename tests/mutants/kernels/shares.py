from .. import Mutant

MUTANTS = [
    Mutant("before + work(b) / 2;", "before;", equivalent="Every row still is in one share; only their sizes differ."),
    Mutant(
        "if (int(middle * team.size / all) == team.index) row(b);",
        "if (int(middle * team.size / all) == 0) row(b);",
        "test_crf.py::test_bits_do_not_depend_on_threads_or_on_the_other_rows",
    ),
]
