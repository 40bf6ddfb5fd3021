from .. import Mutant

PRODUCTS = "test_reduced_products.py::test_products_are_their_definition"
PACKED_HERE = "test_reduced_products.py::test_matrices_that_are_not_packed_before_make_the_same"
THREADS = "test_reduced_products.py::test_bits_do_not_depend_on_threads"

MUTANTS = [
    Mutant("first = column - column % panel_columns<float>;", "first = column;", PRODUCTS),
    Mutant("if (Product::scaled) panel += packed_columns<float>(columns);", "", PRODUCTS),
    Mutant("from = p.a + (begin + r) * p.a_row;", "from = p.a + r * p.a_row;", PRODUCTS),
    Mutant("p.c + begin * p.c_row + column, p.c_row", "p.c + column, p.c_row", PRODUCTS),
    Mutant("own = p.workspace + team.index * narrow", "own = p.workspace + 0 * narrow", THREADS),
    Mutant("team.split(ceil_div(p.columns, L), begin, end);", "begin = 0, end = 1;", PACKED_HERE),
    Mutant("own += narrow_b_size<Product>(p.depth, p.columns);", "", PACKED_HERE),
    Mutant("column < min(end * L, p.columns)", "column < (end - 1) * L", PRODUCTS),
]
