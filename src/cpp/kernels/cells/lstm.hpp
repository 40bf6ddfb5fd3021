// The LSTM cell (Hochreiter & Schmidhuber 1997, forget gate of Gers et al. 2000), pointwise and
// nothing else. Same names and order as python/lstmcore/reference/lstm.py.
#pragma once

#include "../backward.hpp"

namespace lstmcore::LSTMCORE_ISA {

struct LstmCell : FusedCell {
    static constexpr int gates = 4, vectors = 1, sums = 4, shift = 0;  // i, f, g, o
    static constexpr int width = 4, saved = 4;                         // dpre and saved: i, f, g, o

    static Columns columns(const RecurrentShape& s, const CellOptions&) {
        const long units = s.units;
        return {{{0, 4 * units, 0, 0, false}}, 1, width * units, 1};
    }
    template <class Problem>
    static bool carries(const Problem&) {
        return false;
    }
    template <class T>
    static Vec<T> bias(const T* bias, long units, int gate, long unit, int n) {
        return load(bias + gate * units + unit, n);
    }

    // Pre-activations of a tile, rows b to b + R and one vector of units -> h and c of this step.
    //   i = sigmoid(.)   f = sigmoid(.)   g = tanh(.)   o = sigmoid(.)
    //   c = f c_prev + i g                h = o tanh(c)
    // All c come before all h: tanh(c) would else wait for the c of its own row.
    template <class T, int R>
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
                T* saved = at(p.saved, b + r, t) + unit;
                store(saved, i, n);
                store(saved + units, f, n);
                store(saved + 2 * units, g, n);
            }
        }
        for (int r = 0; r < R; ++r) {
            const Vec<T> o = sigmoid<T>(pre[r][3]), h = o * tanh<T>(c[r]);
            store(at(p.h, b + r, t) + unit, h, n);
            if (p.saved.data) store(at(p.saved, b + r, t) + unit + 3 * units, o, n);
        }
    }

    // What a row's step back reads and writes, found once for all its units.
    template <class T>
    struct BackwardRow {
        const long units;
        const T *saved, *c_prev, *c;
        T *dc, *dpre;

        LSTMCORE_INLINE BackwardRow(const BackwardProblem<T>& p, long b, long t, T* dpre)
            : units(p.shape.units),
              saved(at(p.saved, b, t)),
              c_prev(previous_c(p, b, t)),
              c(at(p.c, b, t)),
              dc(p.dc0 + row_of(p, b) * units),
              dpre(dpre) {}

        LSTMCORE_INLINE void prefetch(long unit) const {
            prefetch_columns<false>(saved + unit, gates, units);
            prefetch_columns<true>(dpre + unit, width, units);
            __builtin_prefetch(c_prev + unit);
        }

        // dL/dh of one vector of units, dL/dc from the step after (at dc) -> gradients of the pre-activations
        // (at dpre, gate by gate) and dL/dc for the step before.
        //   do = dh tanh(c)       dc += dh o (1 - tanh(c)^2)
        //   di = dc g    df = dc c_prev    dg = dc i    dc_prev = dc f
        //   each times its activation's derivative: s (1 - s), or 1 - g^2
        LSTMCORE_INLINE void backward(Vec<T> dh, long unit, int n) const {
            const T* from = saved + unit;
            const Vec<T> i = load(from, n), f = load(from + units, n), g = load(from + 2 * units, n),
                         o = load(from + 3 * units, n);
            const Vec<T> one = broadcast(T(1)), tanh_c = tanh<T>(load(c + unit, n));
            const Vec<T> dc_ = fma(dh * o, fma(-tanh_c, tanh_c, one), load(dc + unit, n));
            store(dc + unit, dc_ * f, n);
            T* to = dpre + unit;
            store(to, dc_ * g * (i * (one - i)), n);
            store(to + units, dc_ * load(c_prev + unit, n) * (f * (one - f)), n);
            store(to + 2 * units, dc_ * i * fma(-g, g, one), n);
            store(to + 3 * units, dh * tanh_c * (o * (one - o)), n);
        }
    };
};

}  // namespace lstmcore::LSTMCORE_ISA
