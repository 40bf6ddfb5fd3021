from .. import Mutant

ULPS = "test_activations.py::test_error_in_units_of_the_last_place"
EDGES = "test_activations.py::test_edges"
PRODUCTS = "test_matmul.py::test_products"
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
    Mutant(
        "b = __builtin_shuffle(a, b, Int<T>{(l & s ? lanes<T> + l : l + s)...});",
        "b = __builtin_shuffle(a, b, Int<T>{(l & s ? lanes<T> + l : l)...});",
        PRODUCTS,
    ),
    Mutant(
        "return __builtin_shuffle(v, Int<T>{((l + by) % lanes<T>)...});",
        "return __builtin_shuffle(v, Int<T>{((l + lanes<T> - by) % lanes<T>)...});",
        RECURRENT,
    ),
    Mutant(
        "    if constexpr (s == 0)\n        return v[0];", "    if constexpr (s <= 1)\n        return v[0];", RECURRENT
    ),
    Mutant("        transpose<T, s / 2>(v);\n", "", PRODUCTS),
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
    Mutant("tanh_saturates = 20.f;", "tanh_saturates = 5.f;", ULPS),
    Mutant("2.4801587360669884517e-5", "2.4801587e-5", ULPS),
    Mutant("z <= broadcast(T(-1.25));", "z <= broadcast(T(-0.125));", ULPS),
    Mutant(
        "return (Vec<T>)((((Int<T>)x ^ (Int<T>)magnitude) & sign_bit) ^ (Int<T>)magnitude);",
        "return x < Vec<T>{} ? -magnitude : magnitude;",
        EDGES,
    ),
]
