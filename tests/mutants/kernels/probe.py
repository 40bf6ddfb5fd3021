from .. import Mutant

COUNT = "test_kernels.py::test_the_probe_counts_two_operations_for_each_multiply_add"

MUTANTS = [
    Mutant(
        "return 2.0 * chains * lanes<T> * double(rounds);", "return 1.0 * chains * lanes<T> * double(rounds);", COUNT
    ),
    Mutant("return 2.0 * chains * lanes<T> * double(rounds);", "return 2.0 * lanes<T> * double(rounds);", COUNT),
    Mutant(
        "k + streams * lanes<T> <= n;",
        "k + streams * lanes<T> < n;",
        equivalent="What it reads is thrown away, and the time that it measures is that of the rest.",
    ),
]
