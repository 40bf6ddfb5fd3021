// The kernels of an element type, of the instruction set of this process.
#pragma once

#include <cstring>

#include "core.hpp"

namespace lstmcore {

template <class T>
const Kernels<T>& kernels() {
    if constexpr (sizeof(T) == 4)
        return instruction_set().f32;
    else
        return instruction_set().f64;
}

// Those of a cell that is there.
template <class T>
const CellKernels<T>& cell_kernels(const char* name, bool staged) {
    const NamedCell<T>* cell = kernels<T>().cells;
    while (std::strcmp(cell->name, name)) ++cell;
    return staged ? cell->staged : cell->fused;
}

// Those of narrow numbers; null where there are none of that cell.
template <class T>
const CellKernels<T>* reduced_kernels(const char* name, Precision precision) {
    if constexpr (sizeof(T) == 4) {
        for (const ReducedCell* cell = instruction_set().reduced->cells; cell->name; ++cell)
            if (!std::strcmp(cell->name, name)) return precision == Precision::int8 ? &cell->int8 : &cell->bfloat16;
    }
    return nullptr;
}

inline const ReducedProduct& reduced_product(Precision precision) {
    const Reduced& reduced = *instruction_set().reduced;
    return precision == Precision::int8 ? reduced.int8 : reduced.bfloat16;
}

}  // namespace lstmcore
