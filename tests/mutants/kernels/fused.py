from .. import Mutant

MUTANTS = [
    Mutant(
        "(saved_columns<Cell, Keep>(), s.units);",
        "(Cell::gates, s.units);",
        "test_kernels.py::test_the_cache_holds_what_it_says",
    ),
]
