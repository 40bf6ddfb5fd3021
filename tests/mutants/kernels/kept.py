from .. import Mutant

DEFINITION = "test_reduced_training.py::test_gradients_are_their_definition"
CACHE = "test_kernels.py::test_the_cache_holds_what_it_says"

MUTANTS = [
    Mutant("return columns * units; }", "return columns * units + units; }", CACHE),
    Mutant("Bfloat16::load_some(first + k * units, n); }", "Bfloat16::load_some(first, n); }", DEFINITION),
]
