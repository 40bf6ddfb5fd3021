from .. import CHECK_CORE, Mutant

PRODUCTS = "test_matmul.py::test_products"
DEEP = "test_matmul.py::test_deep_products_with_either_side_transposed_on_threads"
STACKS = "test_matmul.py::test_stacks_of_products_are_the_products_of_each"
RECURRENT = "test_kernels.py::test_forward_and_backward_are_the_reference"
REDUCED = "test_reduced_precision.py::test_steps_are_their_definition"
RACES = CHECK_CORE + "products"

MUTANTS = [
    # packing
    Mutant("        transpose<T>(v);\n", "", PRODUCTS),
    Mutant("find(next, k0 + pack_run);", "find(next, k0);", PRODUCTS),
    Mutant("std::memcpy(to + k * R, sources[k] + begin,", "std::memcpy(to + k * R, sources[k],", PRODUCTS),
    # words
    Mutant("std::memset(rows + count * L, 0, (whole - count) * L * sizeof(T));", "", REDUCED),
    Mutant("(k0 + k) / Product::group * stride, columns", "k / Product::group * stride, columns", REDUCED),
    Mutant("            packed += stride;\n", "", REDUCED),
    # micro-kernel
    Mutant("const long k1 = min(depth, k0 + Tile::block);", "const long k1 = k0 + Tile::block;", PRODUCTS),
    Mutant(
        "total = join(total, a.value(block[r][n], r, n), r, n);",
        "total = total + a.value(block[r][n], r, n);",
        RECURRENT,
    ),
    # loops
    Mutant("base + row * stride) + shift; }", "base + row * stride); }", RECURRENT),
    Mutant(
        "k0 == 0 || k0 < depth; k0 += depth_block) {\n            const long block",
        "k0 < depth; k0 += depth_block) {\n            const long block",
        "test_matmul.py::test_a_product_of_no_terms_is_what_is_added_to_it",
    ),
    Mutant("const bool add = accumulate_c || k0 > 0;", "const bool add = accumulate_c;", DEEP),
    Mutant("panel + k0 * N * lanes<T>, block);", "panel, block);", DEEP),
    Mutant(
        "packed_b + column * p.depth + k * packed_columns<T>(columns)",
        "packed_b + column * p.depth + k * columns",
        DEEP,
    ),
    Mutant("p.bias && k == 0 ? p.bias + column", "p.bias ? p.bias + column", DEEP),
    # Without it a thread multiplies with panels that the other has not packed yet.
    Mutant("        team.wait();\n        return multiply(", "        return multiply(", RACES),
    Mutant("        team.wait();\n        multiply(", "        multiply(", RACES),
    # Without it a thread packs the next block of the depth over the one that the other still reads.
    Mutant(
        "multiply(PackedRows<T>{packed_a, depth}, k, depth);\n        team.wait();",
        "multiply(PackedRows<T>{packed_a, depth}, k, depth);",
        RACES,
    ),
    Mutant(
        "if (tiles >= 2 * team.size || tiles >= panels)",
        "if (tiles > 2 * team.size || tiles >= panels)",
        equivalent="Who computes what changes no sum.",
    ),
    # stacks of products
    Mutant("if (n > begin) own.wait();", "", RACES),
    Mutant("p.workspace += team.index * workspace;", "", RACES),
    Mutant("p.a += begin * p.a_next, p.c", "p.c", STACKS),
    Mutant("if (p.b) p.b += p.b_next;", "", STACKS),
    Mutant(
        "return p.count >= 4 * p.threads ||",
        "return p.count > 4 * p.threads ||",
        equivalent="Who computes what changes no sum.",
    ),
]
