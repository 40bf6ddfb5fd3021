// What the two doors to recurrent layers share.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "bindings/arrays.hpp"
#include "runtime/weights.hpp"

namespace lstmcore {

std::shared_ptr<CellWeights> packed_weights(py::handle given);
// States, or their gradients: an array or none for each that the cell has. None: none at all.
using States = std::array<py::object, most_states>;
States read_states(const char* argument, py::handle given, const CellInfo& cell);
// What each of them is called, put together once: a call has no time for that.
class StateNames {
    std::vector<std::array<std::string, most_states>> names;  // by cell

 public:
    explicit StateNames(const char* argument);
    const char* operator()(const CellInfo& cell, int k) const { return names[std::size_t(&cell - cells)][k].c_str(); }
};
// Rates and a seed, or None.
Zoneout read_zoneout(py::handle given, const CellWeights& w);

}  // namespace lstmcore
