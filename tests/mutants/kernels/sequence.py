from .. import Mutant

RECURRENT = "test_kernels.py::test_forward_and_backward_are_the_reference"
ROW_ALONE = "test_determinism.py::test_a_row_with_a_length_is_the_row_alone"
NO_ROWS = "What it leaves out are rows without steps, of which there is nothing to compute."

MUTANTS = [
    Mutant("s.row[b] * s.batch_stride + s.at_step[n]", "b * s.batch_stride + s.at_step[n]", ROW_ALONE),
    Mutant(
        "s.at_step[n] * s.step_stride",
        "t * s.step_stride",
        "test_determinism.py::test_a_row_with_a_mask_is_the_row_without_the_steps_left_out",
    ),
    Mutant("(t & s.step_mask) * s.step_stride", "t * s.step_stride", RECURRENT),
    Mutant("p.h0 + row_of(p, b) * p.shape.outputs;", "p.h0 + b * p.shape.outputs;", RECURRENT),
    Mutant("    if (t >= p.shape.steps) return 0;\n", "", RECURRENT),
    Mutant("return {number - number_of(p, t), t};", "return {number % p.shape.batch, t};", RECURRENT),
    Mutant("return index == team.size ? p.shape.batch : row;", "return row;", equivalent=NO_ROWS),
    Mutant(
        "for (; k + lanes<T> <= n; k += lanes<T>) f(k, lanes<T>);",
        "for (; k + lanes<T> < n; k += lanes<T>) f(k, lanes<T>);",
        equivalent="The last whole vector then is a part that is all of it.",
    ),
]
