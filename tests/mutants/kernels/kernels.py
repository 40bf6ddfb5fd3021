from .. import Mutant

MUTANTS = [
    Mutant(
        "return Cell::saved * s.units;",
        "return Cell::gates * s.units;",
        "test_kernels.py::test_the_cache_holds_what_it_says",
    ),
    Mutant("map_array<T, sigmoid<T>>,", "map_array<T, tanh<T>>,", "test_activations.py::test_edges"),
    Mutant(
        '{"gru", fused<GruCell, T>(), staged<StagedGru, T>()},',
        '{"gru", fused<GruCell, T>(), fused<GruCell, T>()},',
        "test_recurrent_layers.py::test_outputs_states_and_gradients_are_the_reference",
    ),
]
