from .. import Mutant

RECURRENT = "test_kernels.py::test_forward_and_backward_are_the_reference"
NOISE = "test_kernels.py::test_noise_is_that_of_the_reference"

MUTANTS = [
    Mutant("return packed + k * vectors * lanes<T>; }", "return packed; }", RECURRENT),
    Mutant("(vectors * lanes<T> + dot) * depth + k; }", "vectors * lanes<T> * depth + k; }", RECURRENT, "avx2"),
    Mutant("            if (i < depth) add(i, int(depth - i));\n", "", RECURRENT),
    Mutant("load(factors[r] + n * lanes<T>, int(min", "load(factors[r], int(min", NOISE),
    Mutant("return sum + product * factors[r][column]; }", "return sum + product * factors[r][0]; }", RECURRENT),
    Mutant("to = add ? to + product : product;", "to = product;", RECURRENT),
]
