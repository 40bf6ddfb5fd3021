from .. import Mutant

MUTANTS = [
    Mutant(
        "return Cell::saved * s.units;",
        "return Cell::gates * s.units;",
        "test_kernels.py::test_the_cache_holds_what_it_says",
    ),
    Mutant("map_array<T, sigmoid<T>>,", "map_array<T, tanh<T>>,", "test_activations.py::test_edges"),
    Mutant(
        "staged<StagedGru, T>(),\n        staged<StagedLstm, T>(),",
        "staged<StagedLstm, T>(),\n        staged<StagedGru, T>(),",
        "test_kernels.py::test_packing_for_zoneout_and_training_changes_no_outputs",
    ),
]
