// What a cell carries from step to step beside h: an array for each state at the door, side by side in one for the
// kernels.
#pragma once

#include <cstring>

#include "core.hpp"

namespace lstmcore {

// c (batch, carried * units), from the arrays of the states after h; null: zeros.
template <class T>
void gather_c(T* c, const T* const* states, const RecurrentShape& s, long carried) {
    for (long b = 0; b < s.batch; ++b)
        for (long k = 0; k < carried; ++k) {
            T* const to = c + (b * carried + k) * s.units;
            if (states[1 + k])
                std::memcpy(to, states[1 + k] + b * s.units, s.units * sizeof(T));
            else
                std::memset(to, 0, s.units * sizeof(T));
        }
}

template <class T>
void scatter_c(const T* c, T* const* states, const RecurrentShape& s, long carried) {
    for (long b = 0; b < s.batch; ++b)
        for (long k = 0; k < carried; ++k)
            std::memcpy(states[1 + k] + b * s.units, c + (b * carried + k) * s.units, s.units * sizeof(T));
}

}  // namespace lstmcore
