from .. import Mutant

GRADIENTS = "test_torch_modules.py::test_outputs_states_and_gradients_are_those_of_torch"

MUTANTS = [
    Mutant(
        "load(p.from + (row + r) * p.from_row + column, width);",
        "load(p.from + row * p.from_row + column, width);",
        GRADIENTS,
    ),
    Mutant(
        "store(p.to + (column + c) * p.to_row + row, v[c], height);",
        "store(p.to + column * p.to_row + row, v[c], height);",
        GRADIENTS,
    ),
    Mutant("transpose<T>(v);", "", GRADIENTS),
]
