from .. import Mutant

MUTANTS = [
    Mutant(
        "narrow<Cell, Bfloat16>(), narrow<Cell, Int8>()",
        "narrow<Cell, Int8>(), narrow<Cell, Bfloat16>()",
        "test_reduced_precision.py::test_steps_are_their_definition",
    ),
]
