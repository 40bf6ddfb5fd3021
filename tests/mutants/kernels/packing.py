from .. import Mutant

RECURRENT = "test_kernels.py::test_forward_and_backward_are_the_reference"
REDUCED = "test_reduced_precision.py::test_steps_are_their_definition"

MUTANTS = [
    Mutant("lane = (gate == Cell::gates - 1 ? gate + shift : gate) * group;", "lane = gate * group;", RECURRENT),
    Mutant("from + (gate * units + first) *", "from + gate * units *", RECURRENT),
    Mutant("copy_elements(rows + k * L + lane % L,", "copy_elements(rows + k * L + gate,", RECURRENT),
    Mutant("if (lane / L != v) continue;", "", RECURRENT, "avx2"),
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
        "pack_vector(to, N * L, from, strides.row",
        "pack_vector(to, L, from, strides.row",
        RECURRENT,
    ),
    # words
    Mutant("pack_vector(rows, L, from + k * strides.row,", "pack_vector(rows, L, from,", REDUCED),
]
