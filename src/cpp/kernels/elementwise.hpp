// Element by element: the activations by themselves, and rows added to rows.
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

// Threads share the columns: every sum keeps its order.
template <class T>
void add_rows(const AddRowsProblem<T>& problem) {
    parallel(
        problem.threads,
        [](const void* context, const Team& team) {
            const AddRowsProblem<T>& p = *static_cast<const AddRowsProblem<T>*>(context);
            constexpr long line = 64 / long(sizeof(T)), ahead = 8;
            long begin, end;
            team.split((p.width + line - 1) / line, begin, end);
            begin *= line, end = end * line < p.width ? end * line : p.width;
            for (long r = 0; r < p.rows; ++r) {
                if (r + ahead < p.rows)  // rows of sums stand anywhere
                    for (long k = begin; k < end; k += line)
                        __builtin_prefetch(p.sums + p.index[r + ahead] * p.width + k, 1);
                T* sum = p.sums + p.index[r] * p.width;
                const T* row = p.from + r * p.width;
                for_each_vector<T>(std::size_t(begin), std::size_t(end), [&](std::size_t k, int count) {
                    store(sum + k, load(sum + k, count) + load(row + k, count), count);
                });
            }
        },
        &problem);
}

}  // namespace lstmcore::LSTMCORE_ISA
