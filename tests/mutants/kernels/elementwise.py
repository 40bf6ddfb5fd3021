from .. import Mutant

SUMS = "test_add_rows.py::test_sums_are_numpys"

MUTANTS = [
    Mutant("f(k, int(end - k < std::size_t(lanes<T>) ? end - k : std::size_t(lanes<T>)));", "f(k, lanes<T>);", SUMS),
    Mutant("T* sum = p.sums + p.index[r] * p.width;", "T* sum = p.sums + p.index[r] * line;", SUMS),
    Mutant("team.split((p.width + line - 1) / line, begin, end);", "team.split(p.width / line, begin, end);", SUMS),
    Mutant(
        "begin *= line, end = end * line < p.width",
        "end = end * line < p.width",
        "test_add_rows.py::test_bits_do_not_depend_on_threads",
    ),
]
