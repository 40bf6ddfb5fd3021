from .. import Mutant

RECURRENT = "test_kernels.py::test_forward_and_backward_are_the_reference"

MUTANTS = [
    Mutant("packed(matrix + first_column * depth)", "packed(matrix + first_column)", RECURRENT),
    Mutant("return packed + k * vectors * lanes<T>; }", "return packed; }", RECURRENT),
    Mutant("(vectors * lanes<T> + dot) * depth + k; }", "(vectors * lanes<T> + dot) * depth; }", RECURRENT, "avx2"),
    Mutant("(vectors * lanes<T> + dot) * depth + k; }", "vectors * lanes<T> * depth + k; }", RECURRENT, "avx2"),
    Mutant("        to += panel.vectors * lanes<T> * columns;\n", "", RECURRENT),
    Mutant(
        "weights + (first + count - panel.dots) * columns, panel",
        "weights + (count - panel.dots) * columns, panel",
        RECURRENT,
    ),
    Mutant(
        "for (; i + lanes<T> <= depth; i += lanes<T>) add(i);", "for (; i < depth; i += lanes<T>) add(i);", RECURRENT
    ),
    Mutant("            if (i < depth) add(i, int(depth - i));\n", "", RECURRENT),
    Mutant("load(factors[r] + n * lanes<T>, int(min", "load(factors[r], int(min", RECURRENT),
    Mutant("return sum + product * factors[r][column]; }", "return sum + product * factors[r][0]; }", RECURRENT),
    Mutant("(panel.vectors + (panel.dots > 0)) * lanes<T>", "panel.vectors * lanes<T>", RECURRENT),
    Mutant("sum = join.dot(sum, product, r, first_dot + dot);", "sum = join.dot(sum, product, r, dot);", RECURRENT),
    Mutant("to = add ? to + product : product;", "to = product;", RECURRENT),
    Mutant("out(begin + r)[first_dot + dot];", "out(r)[first_dot + dot];", RECURRENT),
    Mutant("panel, k, depth, out.shifted(j), false);", "panel, k, depth, out, false);", RECURRENT),
]
