#pragma once

#include <pybind11/pybind11.h>

namespace lstmcore {
void register_decoders(pybind11::module_&);
}
