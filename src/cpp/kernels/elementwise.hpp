// Passes over flat vectors, and the activations by themselves.
#pragma once

#include "../core.hpp"
#include "../threads.hpp"
#include "simd.hpp"

namespace lstmcore::LSTMCORE_ISA {

template <class T, class F>
LSTMCORE_INLINE void for_each_vector(std::size_t begin, std::size_t end, F f) {
    for (std::size_t k = begin; k < end; k += lanes<T>)
        f(k, int(end - k < std::size_t(lanes<T>) ? end - k : std::size_t(lanes<T>)));
}

template <class T, Vec<T> (*function)(Vec<T>)>
void map_array(const T* x, T* y, std::size_t n) {
    struct Arrays {
        const T* x;
        T* y;
        std::size_t n;
    } const arrays{x, y, n};
    parallel(
        1,  // for the floating-point mode; dense layers are too small to share
        [](const void* context, const Team&) {
            const Arrays& a = *static_cast<const Arrays*>(context);
            for_each_vector<T>(
                0, a.n, [&](std::size_t k, int count) { store(a.y + k, function(load(a.x + k, count)), count); });
        },
        &arrays);
}

}  // namespace lstmcore::LSTMCORE_ISA
