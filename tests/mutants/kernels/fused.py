from .. import Mutant

MUTANTS = [
    Mutant(
        "return Cell::saved * s.units;",
        "return Cell::gates * s.units;",
        "test_kernels.py::test_the_cache_holds_what_it_says",
    ),
]
