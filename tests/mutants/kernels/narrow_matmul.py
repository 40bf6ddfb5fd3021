from .. import Mutant

PRODUCTS = "test_reduced_products.py::test_products_are_their_definition"
THREADS = "test_reduced_products.py::test_bits_do_not_depend_on_threads"

MUTANTS = [
    Mutant("first = column - column % panel_columns<float>;", "first = column;", PRODUCTS),
    Mutant("if (Product::scaled) panel += packed_columns<float>(columns);", "", PRODUCTS),
    Mutant("from = p.a + (begin + r) * p.a_row;", "from = p.a + r * p.a_row;", PRODUCTS),
    Mutant("p.c + begin * p.c_row + column, p.c_row", "p.c + column, p.c_row", PRODUCTS),
    Mutant("p.workspace + team.index * narrow", "p.workspace + 0 * narrow", THREADS),
]
