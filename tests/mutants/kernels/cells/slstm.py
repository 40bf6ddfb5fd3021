from ... import Mutant

RECURRENT = "test_kernels.py::test_min_and_slstm_are_the_reference"

MUTANTS = [
    Mutant("if (options.heads == 1) return", "if (options.heads >= 1) return", RECURRENT),
    Mutant("of_head - unit % of_head));", "units - unit));", RECURRENT),
    Mutant("keeps ? log_i - kept : kept - log_i);", "log_i - kept);", RECURRENT),
    Mutant("const Vec<T> lesser = nothing ? zero : least;", "const Vec<T> lesser = least;", RECURRENT),
    Mutant(
        "exponential_forget ? one : sigmoid<T>(-pre[r][1]), n_);",
        "exponential_forget ? one : sigmoid<T>(pre[r][1]), n_);",
        RECURRENT,
    ),
    Mutant("dn = fma(-by_n, y, load(d + units, count));", "dn = fma(by_n, y, load(d + units, count));", RECURRENT),
    Mutant("store(to, keeps ? v : dm - u, count);", "store(to, keeps ? v : dm, count);", RECURRENT),
    Mutant("dstate(p.dc0 + row_of(p, b) * carried * units),", "dstate(p.dc0 + b * carried * units),", RECURRENT),
]
