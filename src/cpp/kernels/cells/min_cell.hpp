// What minGRU and minLSTM share: the candidate, the way of h from step to step, zoneout.
#pragma once

#include <limits>

#include "../linear_recurrence.hpp"
#include "options.hpp"

namespace lstmcore::LSTMCORE_ISA {

struct MinCell : FusedCell {
    static constexpr bool recurrent = false;

    static Columns columns_of(long columns) { return {{{0, columns, 0, -1, false}}, 1, columns, 1}; }

    // f(v, unit, count) for the vectors of a block that are there.
    template <class T, class F>
    static LSTMCORE_INLINE void for_each_vector(const ForwardProblem<T>& p, int vectors, long first, F f) {
        for (int v = 0; v < vectors; ++v) {
            const long unit = first + v * lanes<T>;
            if (unit >= p.shape.units) return;
            f(v, unit, int(min(lanes<T>, p.shape.units - unit)));
        }
    }

    // g(x) = x, or in the form whose states stay positive x + 1/2 where x >= 0 and sigmoid(x) elsewhere, which is never
    // rounded to 1/2: the value tells its slope.
    template <class T>
    static LSTMCORE_INLINE Vec<T> candidate(const ForwardProblem<T>& p, Vec<T> x) {
        const Vec<T> zero{}, half = broadcast(T(0.5));
        if (!p.options.log_space) return x;
        const Vec<T> below = smaller(broadcast(T(0.5) - std::numeric_limits<T>::epsilon() / 4), sigmoid<T>(x));
        return x >= zero ? x + half : below;
    }
    // Its derivative, from its value.
    template <class T>
    static LSTMCORE_INLINE Vec<T> candidate_slope(const BackwardProblem<T>& p, Vec<T> y) {
        const Vec<T> one = broadcast(T(1));
        if (!p.options.log_space) return one;
        return y >= broadcast(T(0.5)) ? one : y * (one - y);
    }

    template <class T>
    static LSTMCORE_INLINE void store_h(const ForwardProblem<T>& p, Vec<T> h, Vec<T> h_prev, long b, long t, long unit,
                                        int n) {
        store(at(p.h, b, t) + unit, zone_out<T>(h, h_prev, p, 0, p.zoneout.h, b, t, unit), n);
    }

    template <class T>
    struct MinRow : ZonedRow<T> {
        const T* h_prev;
        LSTMCORE_INLINE MinRow(const BackwardProblem<T>& p, long b, long t, T* dpre)
            : ZonedRow<T>(p, b, t, dpre), h_prev(previous_h(p, b, t)) {}
    };
};

}  // namespace lstmcore::LSTMCORE_ISA
