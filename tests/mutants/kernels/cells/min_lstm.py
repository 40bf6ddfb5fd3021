from ... import Mutant

RECURRENT = "test_kernels.py::test_min_and_slstm_are_the_reference"
SHUT = "test_kernels.py::test_a_min_lstm_whose_gates_are_all_but_shut_is_the_reference"

MUTANTS = [
    Mutant("f = per_i * per_sum, i = per_f * per_sum;", "f = per_f * per_sum, i = per_i * per_sum;", RECURRENT),
    Mutant("most = larger(larger(zero, of_a), of_k),", "most = larger(zero, of_a),", SHUT),
    Mutant("slope_f = f * of_f * per_sum,", "slope_f = f * of_i * per_sum,", RECURRENT),
    Mutant(
        "store(to + this->units, -df * gate.slope_i, n);", "store(to + this->units, df * gate.slope_i, n);", RECURRENT
    ),
]
