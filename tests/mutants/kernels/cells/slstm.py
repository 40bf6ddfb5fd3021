from ... import Mutant

RECURRENT = "test_kernels.py::test_min_and_slstm_are_the_reference"
INFERENCE = "test_kernels.py::test_training_and_inference_give_the_same_bits"
NOTHING = "test_min_and_slstm.py::test_states_of_zeros_have_gradients_too"

MUTANTS = [
    Mutant(
        "if (options.heads == 1) return",
        "if (options.heads >= 1) return",
        equivalent="What is cut between heads is the same run: the products with the inputs are cut too, for nothing.",
    ),
    Mutant("of_head - unit % of_head));", "units - unit));", INFERENCE),
    Mutant("keeps ? log_i - kept : kept - log_i));", "log_i - kept));", RECURRENT),
    Mutant("(kept < log_i) | nothing ? log_i", "(kept < log_i) ? log_i", NOTHING),
    Mutant("store(saved + units, f, n_);", "store(saved + units, used, n_);", NOTHING),
    Mutant(
        "exponential_forget ? one : sigmoid<T>(-pre[r][1]), n_);",
        "exponential_forget ? one : sigmoid<T>(pre[r][1]), n_);",
        RECURRENT,
    ),
    Mutant("dn = fma(-by_n, y, load(d + units, count));", "dn = fma(by_n, y, load(d + units, count));", RECURRENT),
    Mutant("store(to, keeps ? v : dm - u, count);", "store(to, keeps ? v : dm, count);", RECURRENT),
    Mutant(
        "dstate(p.dc0 + row_of(p, b) * carried * this->units)", "dstate(p.dc0 + b * carried * this->units)", RECURRENT
    ),
]
