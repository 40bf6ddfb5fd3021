from .. import Mutant

RECURRENT = "test_kernels.py::test_forward_and_backward_are_the_reference"

MUTANTS = [
    Mutant("const int sum = gate == Cell::gates - 1 ? gate + shift : gate;", "const int sum = gate;", RECURRENT),
    Mutant("strides.row + (gate * units + first) *", "strides.row + gate * units *", RECURRENT),
    Mutant("to + k * width + sum * group,", "to + k * width + sum * lanes<T>,", RECURRENT),
    Mutant("store(bias + sum * group,", "store(bias + sum * lanes<T>,", RECURRENT),
    Mutant("units, Cell::shift);", "units, 0);", RECURRENT),
    Mutant(
        "return packed + ceil_div(units, block_units<Cell, T>) * Cell::gates",
        "return packed + units / block_units<Cell, T> * Cell::gates",
        RECURRENT,
    ),
    Mutant("column = n / V * units + unit_of(n % V);", "column = n * units + unit_of(n % V);", RECURRENT),
    Mutant("sum / V, unit_of(sum % V),", "sum / V, unit_of(0),", RECURRENT),
    Mutant(
        "p.packed.recurrent + (block * blocks.depth * N + n) * L, N * L,",
        "p.packed.recurrent + (block * blocks.depth * N + n) * L, L,",
        RECURRENT,
    ),
]
