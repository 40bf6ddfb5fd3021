from .. import Mutant

BOTH = "test_softmax.py::test_there_and_back"
EXTREMES = "test_softmax.py::test_rows_of_extremes"

MUTANTS = [
    Mutant("return largest_of_lanes<T, s / 2>(larger(v, rotate<T, s>(v)));", "return v[0];", EXTREMES),
    Mutant("for (int l = 0; l < n; ++l) given[l] = bytes[l];", "given[0] = bytes[0];", BOTH),
    Mutant("for (int l = n; l < lanes<T>; ++l) v[l] = other;", "", BOTH),
    Mutant("matrix / p.matrices * p.left_in_next", "matrix * p.left_in_next", BOTH),
    Mutant(" + row * p.left_in_row : nullptr", " : nullptr", BOTH),
    Mutant("load(x + k, count) * broadcast(p.scale);", "load(x + k, count);", BOTH),
    Mutant("broadcast(lowest<T>) : v;", "v : v;", BOTH),
    Mutant("most == lowest<T> && !contains(left_in, columns)", "false", BOTH),
    Mutant("load(x + k, count) - top, count", "load(x + k, count), count", EXTREMES),
    Mutant("const T* y = p.y + n * p.columns;", "const T* y = p.y;", BOTH),
    Mutant("(load(dx + k, count) - sum) * load(y + k, count)", "load(dx + k, count) * load(y + k, count)", BOTH),
    Mutant("zero_bytes<T>(left_in + k, count) ? Vec<T>{} : v;", "v;", BOTH),
]
