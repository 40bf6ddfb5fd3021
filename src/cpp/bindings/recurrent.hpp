// What the two doors to recurrent layers share.
#pragma once

#include <memory>

#include "bindings/arrays.hpp"
#include "runtime/weights.hpp"

namespace lstmcore {

std::shared_ptr<CellWeights> packed_weights(py::handle given);
// Rates and a seed, or None.
Zoneout read_zoneout(py::handle given, const CellWeights& w);

}  // namespace lstmcore
