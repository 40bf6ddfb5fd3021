from ... import Mutant

VARIANTS = "test_recurrent_layers.py::test_outputs_states_and_gradients_are_the_reference"
NOISE = "test_kernels.py::test_noise_is_that_of_the_reference"

MUTANTS = [
    Mutant("load(u + k, n) + load(p.weights.bias + k, n);", "load(u + k, n);", VARIANTS),
    Mutant(
        "p.zoneout.h, b, t, k), n);\n            });\n        }",
        "0.0, b, t, k), n);\n            });\n        }",
        NOISE,
    ),
    Mutant("store(s.dh(b) + k, dh, n);", "store(s.dh(b) + k, dy, n);", NOISE),
    Mutant("dy * load(at(p.saved, b, t) + k, n), n);", "dy, n);", VARIANTS),
    Mutant("        s.to_previous_h(t, end);\n", "", VARIANTS),
]
