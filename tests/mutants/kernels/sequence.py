from .. import Mutant

NO_ROWS = "What it leaves out are rows without steps, of which there is nothing to compute."
ROW_ALONE = "test_determinism.py::test_a_row_with_a_length_is_the_row_alone"
LAYERS = "test_recurrent_layers.py::test_outputs_states_and_gradients_are_the_reference"

MUTANTS = [
    Mutant("s.row[b] * s.batch_stride + s.at_step[n]", "b * s.batch_stride + s.at_step[n]", ROW_ALONE),
    Mutant(
        "s.at_step[n] * s.step_stride",
        "t * s.step_stride",
        "test_determinism.py::test_a_row_with_a_mask_is_the_row_without_the_steps_left_out",
    ),
    Mutant("(t & s.step_mask) * s.step_stride", "t * s.step_stride", LAYERS),
    Mutant("p.h0 + row_of(p, b) * p.shape.outputs;", "p.h0 + b * p.shape.outputs;", ROW_ALONE),
    Mutant("    if (t >= p.shape.steps) return 0;\n", "", LAYERS),
    Mutant("return {number - number_of(p, t), t};", "return {number % p.shape.batch, t};", ROW_ALONE),
    Mutant("return index == team.size ? p.shape.batch : row;", "return row;", equivalent=NO_ROWS),
    Mutant(
        "for (; k + lanes<T> <= n; k += lanes<T>) f(k, lanes<T>);",
        "for (; k + lanes<T> < n; k += lanes<T>) f(k, lanes<T>);",
        equivalent="The last whole vector then is a part that is all of it.",
    ),
]
