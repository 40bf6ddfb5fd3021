// Where the rows, steps and masks of a recurrent layer are found. `Problem` is a ForwardProblem or a
// BackwardProblem throughout.
#pragma once

#include "gemm.hpp"

namespace lstmcore::LSTMCORE_ISA {

template <class T>
LSTMCORE_INLINE T* at(const Sequence<T>& s, long b, long t) {
    if (s.first) {
        const long n = s.first[t] + b;
        return s.data + (s.row ? s.row[b] * s.batch_stride + s.at_step[n] * s.step_stride : n * s.batch_stride);
    }
    return s.data + b * s.batch_stride + (t & s.step_mask) * s.step_stride;
}

// Row b's place in arrays of the caller.
template <class Problem>
LSTMCORE_INLINE long row_of(const Problem& p, long b) {
    return p.ragged.row ? p.ragged.row[b] : b;
}

// The h and c that a step begins with.
template <class Problem>
LSTMCORE_INLINE auto previous_h(const Problem& p, long b, long t) {
    return t > 0 ? at(p.h, b, t - 1) : p.h0 + row_of(p, b) * p.shape.outputs;
}
template <int carried = 1, class Problem>
LSTMCORE_INLINE auto previous_c(const Problem& p, long b, long t) {
    return t > 0 ? at(p.c, b, t - 1) : p.c0 + row_of(p, b) * carried * p.shape.units;
}

// Rows that have a step t, and the number of step t of row 0 among all steps of all rows.
template <class Problem>
LSTMCORE_INLINE long rows_at(const Problem& p, long t) {
    if (t >= p.shape.steps) return 0;
    return p.ragged.first ? p.ragged.first[t + 1] - p.ragged.first[t] : p.shape.batch;
}
template <class Problem>
LSTMCORE_INLINE long number_of(const Problem& p, long t) {
    return p.ragged.first ? p.ragged.first[t] : t * p.shape.batch;
}

struct Place {
    long b, t;
};
template <class Problem>
LSTMCORE_INLINE Place place_of(const Problem& p, long number) {
    const long t = p.ragged.first ? p.ragged.step[number] : number / p.shape.batch;
    return {number - number_of(p, t), t};
}

// Threads share rows where each gets about a tile of them, else units.
LSTMCORE_INLINE bool split_by_units(long batch, int threads) { return batch < 4l * threads; }

// Asks for a vector of units of each of a row's `count` columns of units, to write to it or to read.
template <bool write, class T>
LSTMCORE_INLINE void prefetch_columns(const T* row, int count, long units) {
    for (int k = 0; k < count; ++k) __builtin_prefetch(row + k * units, write);
}

// This thread's rows: about as many steps for each thread.
template <class Problem>
void split_rows(const Problem& p, const Team& team, long& begin, long& end) {
    if (!p.ragged.first) return team.split(p.shape.batch, begin, end);
    const long total = p.ragged.first[p.shape.steps];
    const auto boundary = [&](int index) {
        long row = 0;
        for (long steps = 0; row < p.shape.batch && steps < total * index / team.size; ++row)
            steps += p.ragged.length[row];
        return index == team.size ? p.shape.batch : row;
    };
    begin = boundary(team.index), end = boundary(team.index + 1);
}

// --- dropout --------------------------------------------------------------------------------

// A copy's factors for row b.
template <class T, class Problem>
LSTMCORE_INLINE const T* factors(const Dropout<T>& dropout, const Problem& p, int copy, long b, long width) {
    return dropout.factors + (copy * p.shape.batch + row_of(p, b)) * width;
}

// Calls f(k, count) for the vectors of n elements.
template <class T, class F>
LSTMCORE_INLINE void for_each_vector_of(long n, F f) {
    long k = 0;
    for (; k + lanes<T> <= n; k += lanes<T>) f(k, lanes<T>);
    if (k < n) f(k, int(n - k));
}

template <class T>
LSTMCORE_INLINE void multiply_rows(const T* a, const T* b, T* product, long n) {
    for_each_vector_of<T>(
        n, [&](long k, int count) { store(product + k, load(a + k, count) * load(b + k, count), count); });
}

}  // namespace lstmcore::LSTMCORE_ISA
