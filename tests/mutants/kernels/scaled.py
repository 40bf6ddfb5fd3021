from .. import Mutant

SURE = "test_ctc.py::test_a_network_sure_of_its_blanks_loses_nothing"
REFERENCE = "test_crf.py::test_kernel_is_the_reference"

MUTANTS = [
    Mutant(
        "    e = larger(broadcast(-1023.), smaller(broadcast(1024.), e));",
        "    e = smaller(broadcast(1024.), e);",
        SURE,
        "avx2",
    ),
    Mutant("const V e = larger(larger(a.e, b.e), c.e);", "const V e = larger(a.e, b.e);", SURE),
    Mutant(
        "{none ? V{} : broadcast(1.) + fraction,",
        "{broadcast(1.) + fraction,",
        equivalent="A number of this exponent is 0, whatever m is.",
    ),
    Mutant("none ? broadcast(zero_exponent) : e};", "e};", "test_crf.py::test_where_no_path_is_possible"),
    Mutant("v.e + (exponent - broadcast(1023.))};", "v.e + (exponent - broadcast(1022.))};", REFERENCE),
    Mutant(
        "    for (long l = 0; l < n; ++l) p[l] = half[l];",
        "    for (long l = 0; l <= n; ++l) p[l] = half[l];",
        REFERENCE,
    ),
]
