from .. import Mutant

ULPS = "test_activations.py::test_error_in_units_of_the_last_place"
EDGES = "test_activations.py::test_edges"
PRODUCTS = "test_matmul.py::test_products"
LOG_SIGMOID = "test_kernels.py::test_min_and_slstm_are_the_reference"
RECURRENT = "test_kernels.py::test_forward_and_backward_are_the_reference"

MUTANTS = [
    # loads and stores of a part
    Mutant(
        "for (int l = 0; l < n; ++l) part[l] = p[l];", "for (int l = 0; l < lanes<T>; ++l) part[l] = p[l];", RECURRENT
    ),
    Mutant("for (int l = 0; l < n; ++l) p[l] = v[l];", "for (int l = 0; l <= n; ++l) p[l] = v[l];", PRODUCTS),
    Mutant(
        "_mm512_maskz_loadu_ps(__mmask16((1u << n) - 1u), p);",
        "_mm512_maskz_loadu_ps(__mmask16(1u << n), p);",
        PRODUCTS,
        "avx512",
    ),
    # shuffles
    Mutant("exchange<T, s>(v[i], v[i + s], std", "exchange<T, s>(v[i + s], v[i], std", PRODUCTS),
    Mutant("return rotate<T, by>(v, std", "return rotate<T, (lanes<T> - by) % lanes<T>>(v, std", RECURRENT),
    Mutant(
        "    if constexpr (s == 0)\n        return v[0];", "    if constexpr (s <= 1)\n        return v[0];", RECURRENT
    ),
    # arithmetic
    Mutant(
        "_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);",
        "_mm256_fmsub_ps((__m256)a, (__m256)b, (__m256)c);",
        PRODUCTS,
        "avx2",
    ),
    Mutant(
        "_mm512_maskz_max_ps(0xFFFF, (__m512)a, (__m512)b);",
        "_mm512_maskz_max_ps(0xFFFF, (__m512)b, (__m512)a);",
        EDGES,
        "avx512",
    ),
    Mutant(
        "return a > b ? a : b;", "return a < b ? b : a;", "test_kernels.py::test_nan_passes_through_every_activation"
    ),
    Mutant("return a < b ? a : b;", "return a > b ? b : a;", EDGES),
    # exponentials
    Mutant("    r = fma(n, broadcast(-C::ln2_low), r);\n", "", ULPS),
    Mutant("overflow = 88.3f;", "overflow = 88.7f;", ULPS),
    Mutant("underflow = -87.f;", "underflow = -89.f;", ULPS),
    Mutant("z <= broadcast(T(-1.25));", "z <= broadcast(T(-0.125));", ULPS),
    Mutant(
        "return (Vec<T>)((((Int<T>)x ^ (Int<T>)magnitude) & sign_bit) ^ (Int<T>)magnitude);",
        "return x < Vec<T>{} ? -magnitude : magnitude;",
        EDGES,
    ),
    # what the new cells take of them
    Mutant("const Vec<T> s = u / (two + u),", "const Vec<T> s = u / two,", LOG_SIGMOID),
]
