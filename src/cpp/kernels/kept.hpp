// What a fused cell keeps of each row and step for the backward pass beside h: columns of units, as they are or rounded
// to bfloat16, two in the place of one. Those that are rounded have c among them, which is kept nowhere else.
#pragma once

#include <type_traits>

#include "sequence.hpp"

namespace lstmcore::LSTMCORE_ISA {

// A vector of units of each column of a row; E: T or const T.
template <class T>
struct AsTheyAre {
    static constexpr bool narrow = false;
    static long elements(long columns, long units) { return columns * units; }

    template <class E>
    struct Columns {
        E* first;
        long units;
        LSTMCORE_INLINE Columns(E* row, long unit, long units) : first(row + unit), units(units) {}
        LSTMCORE_INLINE Vec<T> load(int k, int n) const { return LSTMCORE_ISA::load(first + k * units, n); }
        LSTMCORE_INLINE void store(int k, Vec<T> v, int n) const { LSTMCORE_ISA::store(first + k * units, v, n); }
        template <bool write>
        LSTMCORE_INLINE void prefetch(int count) const {
            prefetch_columns<write>(first, count, units);
        }
    };
};

struct Rounded {
    static constexpr bool narrow = true;
    static long elements(long columns, long units) { return ceil_div(columns * units, Bfloat16::group); }

    template <class E>
    struct Columns {
        using Half = std::conditional_t<std::is_const_v<E>, const uint16_t, uint16_t>;
        Half* first;
        long units;
        LSTMCORE_INLINE Columns(E* row, long unit, long units)
            : first(reinterpret_cast<Half*>(row) + unit), units(units) {}
        LSTMCORE_INLINE Vec<float> load(int k, int n) const { return Bfloat16::load_some(first + k * units, n); }
        LSTMCORE_INLINE void store(int k, Vec<float> v, int n) const { Bfloat16::store_some(first + k * units, v, n); }
        template <bool write>
        LSTMCORE_INLINE void prefetch(int count) const {
            prefetch_columns<write>(first, count, units);
        }
    };
};

template <class Cell, class Keep>
constexpr int saved_columns() {
    if constexpr (Keep::narrow)
        return Cell::saved_rounded;
    else
        return Cell::saved;
}

// With narrow products that are for training, what is kept is narrow too.
template <class T, class Product>
using Keep = std::conditional_t<Product::narrow && !Product::scaled, Rounded, AsTheyAre<T>>;

}  // namespace lstmcore::LSTMCORE_ISA
