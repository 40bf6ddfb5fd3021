// The kernels of a fused cell, as the core's tables have them.
#pragma once

#include "forward.hpp"

namespace lstmcore::LSTMCORE_ISA {

template <class Cell, class Keep>
std::size_t saved_of_fused(const RecurrentShape& s, const CellOptions&) {
    return Keep::elements(saved_columns<Cell, Keep>(), s.units);
}

template <class Loop, class Problem>
void run(const Problem& problem, const Team& team) {
    Loop(problem, team).run();
}

// kernels/reduced.cpp
const Reduced* reduced();

}  // namespace lstmcore::LSTMCORE_ISA
