from .. import Mutant

PRODUCTS = "test_matmul.py::test_products"
STEPS = "test_reduced_precision.py::test_steps_are_their_definition"
ROUNDING = "test_reduced_precision.py::test_rounding_to_bfloat16"
NOT_FINITE = "test_reduced_precision.py::test_what_is_no_finite_number_stays_in_its_row"
ZEROS = "test_reduced_precision.py::test_columns_and_rows_of_zeros"
SETS = "test_reduced_precision.py::test_bits_do_not_depend_on_the_instruction_set_where_there_is_fma"
VNNI = "avx512_bf16"

MUTANTS = [
    Mutant("return (a + b - 1) / b; }", "return a / b + 1; }", PRODUCTS),
    # bfloat16
    Mutant("(bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16,", "(bits + 0x8000u) >> 16,", ROUNDING),
    Mutant("quiet = (bits >> 16) | 0x40u;", "quiet = bits >> 16;", ROUNDING),
    Mutant("part == 0 ? Words((Bits)w & 0xFFFF0000u)", "part == 1 ? Words((Bits)w & 0xFFFF0000u)", SETS, "avx2"),
    Mutant("Bfloat16::word(load(rows), load(rows + lanes<float>));", "Bfloat16::word(load(rows), load(rows));", STEPS),
    # int8
    Mutant("if (!(x <= most_of_row)) most_of_row = x;", "if (x > most_of_row) most_of_row = x;", NOT_FINITE),
    Mutant("most_of_row / most) + (most_of_row - most_of_row);", "most_of_row / most);", NOT_FINITE),
    Mutant("if (scale < smallest) scale = 0;", "", equivalent="Smaller scales are denormal, and so zero."),
    Mutant("broadcast(scale > 0 ? scale : 1.f);", "broadcast(scale);", ZEROS),
    Mutant("int32_t(0u - offset * all);", "int32_t(offset * all);", STEPS, VNNI),
    Mutant("divisor = scale >= broadcast(smallest) ? scale : broadcast(1.f);", "divisor = scale;", ZEROS),
    Mutant("& 0xFFu) << (8 * i);", ") << (8 * i);", STEPS),
    # tiles
    Mutant("(first + k) / sum_block]);", "k / sum_block]);", STEPS, VNNI),
    Mutant("load(scales + n * lanes<float>));", "load(scales));", STEPS),
    Mutant("Product::scaled ? panel - N * lanes<float>", "Product::scaled ? panel - lanes<float>", STEPS),
]
