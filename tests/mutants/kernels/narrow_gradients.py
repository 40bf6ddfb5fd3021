from .. import Mutant

DEFINITION = "test_reduced_training.py::test_gradients_are_their_definition"
THREADS = "test_reduced_training.py::test_bits_do_not_depend_on_threads"
ADDED = "test_reduced_training.py::test_what_is_left_out_and_what_is_added_to"

MUTANTS = [
    Mutant("unit + n + some == units ? some + units % group : some;", "some;", DEFINITION),
    Mutant(
        "dpre.template tile<R, N>(place(b, t), k0, packed)",
        "dpre.template tile<R, N>(place(b, t), 0, packed)",
        DEFINITION,
    ),
    Mutant("p.dh0 + row_of(p, b) * units; };", "p.dh0 + b * units; };", DEFINITION),
    Mutant("first_step_of_chunk(p, t0, limit));", "t0 - 1);", DEFINITION),
    Mutant("add = true;", "", DEFINITION),
    Mutant("b ? load(b + v, n) : Vec<T>{}", "load(a + v, n)", DEFINITION),
    Mutant("units % group ? units : run.count;", "run.count;", DEFINITION),
    Mutant("if (by_rows) team.split(end, begin, end);", "", THREADS),
    Mutant("to.bias && (!by_rows || team.index == 0);", "to.bias;", THREADS),
    Mutant("Product::widened(w, 1) + Product::widened(w, 0);", "Product::widened(w, 1);", DEFINITION),
    Mutant("store(out + n * L, load(out + n * L, count) + sum, count);", "store(out + n * L, sum, count);", ADDED),
]
