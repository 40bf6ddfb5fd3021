from .. import Mutant

MUTANTS = [
    Mutant("map_array<T, sigmoid<T>>,", "map_array<T, tanh<T>>,", "test_activations.py::test_edges"),
    Mutant(
        '{"gru", fused<GruCell, T>(), staged<StagedGru, T>()},',
        '{"gru", fused<GruCell, T>(), fused<GruCell, T>()},',
        "test_recurrent_layers.py::test_outputs_states_and_gradients_are_the_reference",
    ),
]
