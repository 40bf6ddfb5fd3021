// The LSTM cell (Hochreiter & Schmidhuber 1997, forget gate of Gers et al. 2000), pointwise and
// nothing else. Same names and order as python/lstmcore/reference/lstm.py.
#pragma once

#include "../backward.hpp"

namespace lstmcore::LSTMCORE_ISA {

struct LstmCell : FusedCell {
    static constexpr int gates = 4, vectors = 1, sums = 4;  // i, f, g, o
    static constexpr int width = 4, saved = 4;              // dpre and saved: i, f, g, o
    static constexpr int saved_rounded = 5;                 // and c

    static Columns columns(const RecurrentShape& s, const CellOptions&) {
        const long units = s.units;
        return {{{0, 4 * units, 0, 0, false}}, 1, width * units, 1};
    }
    template <class Problem>
    static bool carries(const Problem&) {
        return false;
    }
    // Pre-activations of a tile, rows b to b + R and one vector of units -> h and c of this step.
    //   i = sigmoid(.)   f = sigmoid(.)   g = tanh(.)   o = sigmoid(.)
    //   c = f c_prev + i g                h = o tanh(c)
    // All c come before all h: tanh(c) would else wait for the c of its own row.
    template <class T, int R, class Keep = AsTheyAre<T>>
    static LSTMCORE_INLINE void forward(const Vec<T> (&pre)[R][sums], const ForwardProblem<T>& p, long b, long t,
                                        long unit) {
        const long units = p.shape.units;
        const int n = int(min(lanes<T>, units - unit));
        Vec<T> c[R];
        for (int r = 0; r < R; ++r) {
            const Vec<T> i = sigmoid<T>(pre[r][0]), f = sigmoid<T>(pre[r][1]), g = tanh<T>(pre[r][2]);
            c[r] = fma(f, load(previous_c(p, b + r, t) + unit, n), i * g);
            store(at(p.c, b + r, t) + unit, c[r], n);
            if (p.saved.data) {
                const typename Keep::template Columns<T> kept(at(p.saved, b + r, t), unit, units);
                kept.store(0, i, n);
                kept.store(1, f, n);
                kept.store(2, g, n);
                if (Keep::narrow) kept.store(4, c[r], n);
            }
        }
        for (int r = 0; r < R; ++r) {
            const Vec<T> o = sigmoid<T>(pre[r][3]), h = o * tanh<T>(c[r]);
            store(at(p.h, b + r, t) + unit, h, n);
            if (p.saved.data) typename Keep::template Columns<T>(at(p.saved, b + r, t), unit, units).store(3, o, n);
        }
    }

    // What a row's step back reads and writes, found once for all its units.
    template <class T, class Keep = AsTheyAre<T>>
    struct BackwardRow {
        using Kept = typename Keep::template Columns<const T>;
        const long units;
        const T *saved, *c_prev, *c;  // of c that is among what is saved: the row before, null at first; c0
        T *dc, *dpre;

        LSTMCORE_INLINE BackwardRow(const BackwardProblem<T>& p, long b, long t, T* dpre)
            : units(p.shape.units),
              saved(at(p.saved, b, t)),
              c_prev(!Keep::narrow ? previous_c(p, b, t)
                     : t > 0       ? at(p.saved, b, t - 1)
                                   : nullptr),
              c(Keep::narrow ? p.c0 + row_of(p, b) * units : at(p.c, b, t)),
              dc(p.dc0 + row_of(p, b) * units),
              dpre(dpre) {}

        LSTMCORE_INLINE void prefetch(long unit) const {
            Kept(saved, unit, units).template prefetch<false>(gates);
            prefetch_columns<true>(dpre + unit, width, units);
            if (!Keep::narrow)
                __builtin_prefetch(c_prev + unit);
            else if (c_prev)
                Kept(c_prev, unit + 4 * units, units).template prefetch<false>(1);
        }

        // dL/dh of one vector of units, dL/dc from the step after (at dc) -> gradients of the pre-activations
        // (at dpre, gate by gate) and dL/dc for the step before.
        //   do = dh tanh(c)       dc += dh o (1 - tanh(c)^2)
        //   di = dc g    df = dc c_prev    dg = dc i    dc_prev = dc f
        //   each times its activation's derivative: s (1 - s), or 1 - g^2
        LSTMCORE_INLINE void backward(Vec<T> dh, long unit, int n) const {
            const Kept from(saved, unit, units);
            const Vec<T> i = from.load(0, n), f = from.load(1, n), g = from.load(2, n), o = from.load(3, n);
            const Vec<T> one = broadcast(T(1)), tanh_c = tanh<T>(Keep::narrow ? from.load(4, n) : load(c + unit, n));
            const Vec<T> dc_ = fma(dh * o, fma(-tanh_c, tanh_c, one), load(dc + unit, n));
            store(dc + unit, dc_ * f, n);
            T* to = dpre + unit;
            store(to, dc_ * g * (i * (one - i)), n);
            store(to + units, dc_ * before(unit, n) * (f * (one - f)), n);
            store(to + 2 * units, dc_ * i * fma(-g, g, one), n);
            store(to + 3 * units, dh * tanh_c * (o * (one - o)), n);
        }

        // The step before's c.
        LSTMCORE_INLINE Vec<T> before(long unit, int n) const {
            if (!Keep::narrow) return load(c_prev + unit, n);
            return c_prev ? Kept(c_prev, unit, units).load(4, n) : load(c + unit, n);
        }
    };
};

}  // namespace lstmcore::LSTMCORE_ISA
