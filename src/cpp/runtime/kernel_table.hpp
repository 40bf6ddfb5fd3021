// The kernels of an element type, of the instruction set of this process.
#pragma once

#include "core.hpp"

namespace lstmcore {

template <class T>
const Kernels<T>& kernels() {
    if constexpr (sizeof(T) == 4)
        return instruction_set().f32;
    else
        return instruction_set().f64;
}

}  // namespace lstmcore
