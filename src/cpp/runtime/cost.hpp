// How many threads a call repays.
#pragma once

#include "runtime/weights.hpp"

namespace lstmcore {

int pack_threads(const CellDescription& w);
// For one pass over a recurrent layer.
int pass_threads(const CellDescription& w, const RecurrentShape& s);
// A few microseconds at most: not worth letting others run meanwhile.
bool is_brief(const CellDescription& w, const RecurrentShape& s);

}  // namespace lstmcore
