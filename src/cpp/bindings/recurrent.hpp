// What the two doors to recurrent layers share.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "bindings/arrays.hpp"
#include "runtime/weights.hpp"

namespace lstmcore {

std::shared_ptr<CellWeights> packed_weights(py::handle given);
// States, or their gradients: an array or none for each that the cell has. None: none at all.
using States = std::array<py::object, most_states>;
States read_states(const char* argument, py::handle given, const CellInfo& cell);
// What one of them is called.
std::string state_name(const char* argument, const CellInfo& cell, int k);
// Rates and a seed, or None.
Zoneout read_zoneout(py::handle given, const CellWeights& w);

}  // namespace lstmcore
