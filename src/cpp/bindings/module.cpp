// The door to Python: arguments are checked, arrays found or made, the GIL released, and the core is called.
#include "bindings/register.hpp"
#include "core.hpp"

PYBIND11_MODULE(_core, m) {
    m.attr("__version__") = LSTMCORE_VERSION;
    lstmcore::instruction_set();  // a wrong LSTMCORE_ISA is an error of the import
    lstmcore::register_weights(m);
    lstmcore::register_snapshot(m);
    lstmcore::register_forward(m);
    lstmcore::register_backward(m);
    lstmcore::register_stream(m);
    lstmcore::register_matrix(m);
    lstmcore::register_training(m);
    lstmcore::register_crf(m);
    lstmcore::register_decode(m);
    lstmcore::register_system(m);
}
