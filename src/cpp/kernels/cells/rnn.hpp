// The simple recurrent cell (Elman 1990), pointwise and nothing else. Same names and order as
// python/lstmcore/reference/rnn.py.
#pragma once

#include "../backward.hpp"
#include "options.hpp"

namespace lstmcore::LSTMCORE_ISA {

struct RnnCell : FusedCell {
    // One gate: a panel takes four vectors of units, for enough sums in flight.
    static constexpr int gates = 1, vectors = tile_vectors, sums = tile_vectors;
    static constexpr int width = 1, saved = 1;  // saved: the activation's output, which zoneout hides
    static constexpr int saved_rounded = saved;

    static Columns columns(const RecurrentShape& s, const CellOptions&) {
        const long units = s.units;
        return {{{0, units, 0, 0, false}}, 1, width * units, 1};
    }
    template <class Problem>
    static bool carries(const Problem& p) {
        return p.zoneout.h > 0;
    }
    // y = activation(.)   h = y, or h_prev where zoneout says so
    template <class T, int R, class Keep = AsTheyAre<T>>
    static LSTMCORE_INLINE void forward(const Vec<T> (&pre)[R][sums], const ForwardProblem<T>& p, long b, long t,
                                        long first) {
        for (int v = 0; v < vectors; ++v) {
            const long unit = first + v * lanes<T>;
            const int n = int(min(lanes<T>, p.shape.units - unit));
            if (n <= 0) return;
            for (int r = 0; r < R; ++r) {
                const Vec<T> y = activate<T>(p.options.activation, pre[r][v]);
                if (p.saved.data)
                    typename Keep::template Columns<T>(at(p.saved, b + r, t), unit, p.shape.units).store(0, y, n);
                store(at(p.h, b + r, t) + unit,
                      zone_out<T>(y, load(previous_h(p, b + r, t) + unit, n), p, 0, p.zoneout.h, b + r, t, unit), n);
            }
        }
    }

    template <class T, class Keep = AsTheyAre<T>>
    struct BackwardRow : ZonedRow<T> {
        using ZonedRow<T>::ZonedRow;
        using Kept = typename Keep::template Columns<const T>;

        LSTMCORE_INLINE Kept kept(long unit) const { return Kept(this->saved, unit, this->units); }
        LSTMCORE_INLINE void prefetch(long unit) const { kept(unit).template prefetch<false>(1); }

        //   dy = dh where not zoned out, dh_prev = dh where zoned out   dpre = dy activation'(y)
        LSTMCORE_INLINE void backward(Vec<T> dh, long unit, int n) const {
            const Vec<T> dy = this->taken(dh, unit);
            if (this->p.zoneout.h > 0) this->hand_on(dh, unit, n);
            store(this->dpre + unit, dy * slope<T>(this->p.options.activation, kept(unit).load(0, n)), n);
        }
    };
};

}  // namespace lstmcore::LSTMCORE_ISA
