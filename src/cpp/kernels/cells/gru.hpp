// The GRU cell (Cho et al. 2014) with the reset gate after the recurrent product, pointwise and
// nothing else. Same names and order as python/lstmcore/reference/gru.py.
#pragma once

#include "../backward.hpp"

namespace lstmcore::LSTMCORE_ISA {

struct GruCell : FusedCell {
    // Weights z, r, h. The sums are those of z, r, the candidate's share of x (a) and of h (u).
    static constexpr int gates = 3, vectors = 1, sums = 4, shift = 1;
    static constexpr int width = 4, saved = 4;  // dpre: z, r, u, a; saved: z, r, candidate, u
    static constexpr int saved_rounded = saved;

    static Columns columns(const RecurrentShape& s, const CellOptions&) {
        const long units = s.units;
        const long h = 2 * units;
        return {{{0, h, 0, 0, false}, {h, units, -1, h, false}, {3 * units, units, h, -1, false}}, 3, width * units, 2};
    }
    template <class Problem>
    static bool carries(const Problem&) {
        return true;
    }
    // Two rows of biases: those of the input and those of the recurrent product.
    template <class T>
    static Vec<T> bias(const T* bias, long units, int sum, long unit, int n) {
        const T *input = bias + unit, *recurrent = input + gates * units;
        if (sum < 2) return load(input + sum * units, n) + load(recurrent + sum * units, n);
        return load((sum == 2 ? input : recurrent) + 2 * units, n);
    }

    // z = sigmoid(.)   r = sigmoid(.)   hh = tanh(a + r u)   h = z h_prev + (1 - z) hh
    template <class T, int R, class Keep = AsTheyAre<T>>
    static LSTMCORE_INLINE void forward(const Vec<T> (&pre)[R][sums], const ForwardProblem<T>& p, long b, long t,
                                        long unit) {
        const long units = p.shape.units;
        const int n = int(min(lanes<T>, units - unit));
        for (int r_ = 0; r_ < R; ++r_) {
            const Vec<T> z = sigmoid<T>(pre[r_][0]), r = sigmoid<T>(pre[r_][1]), u = pre[r_][3];
            const Vec<T> hh = tanh<T>(fma(r, u, pre[r_][2]));
            const Vec<T> h_prev = load(previous_h(p, b + r_, t) + unit, n);
            store(at(p.h, b + r_, t) + unit, fma(z, h_prev - hh, hh), n);
            if (p.saved.data) {
                const typename Keep::template Columns<T> kept(at(p.saved, b + r_, t), unit, units);
                kept.store(0, z, n);
                kept.store(1, r, n);
                kept.store(2, hh, n);
                kept.store(3, u, n);
            }
        }
    }

    // What a row's step back reads and writes, found once for all its units.
    template <class T, class Keep = AsTheyAre<T>>
    struct BackwardRow {
        using Kept = typename Keep::template Columns<const T>;
        const long units;
        const T *saved_, *h_prev;
        T *dh_prev, *dpre;

        LSTMCORE_INLINE BackwardRow(const BackwardProblem<T>& p, long b, long t, T* dpre)
            : units(p.shape.units),
              saved_(at(p.saved, b, t)),
              h_prev(previous_h(p, b, t)),
              dh_prev(p.dh0 + row_of(p, b) * units),
              dpre(dpre) {}

        LSTMCORE_INLINE void prefetch(long unit) const {
            Kept(saved_, unit, units).template prefetch<false>(saved);
            prefetch_columns<true>(dpre + unit, width, units);
            __builtin_prefetch(h_prev + unit);
        }

        //   dz = dh (h_prev - hh)   dhh = dh (1 - z)   dh_prev = dh z (the rest through the products)
        //   da = dhh (1 - hh^2)     du = da r          dr = da u
        LSTMCORE_INLINE void backward(Vec<T> dh, long unit, int n) const {
            const Kept from(saved_, unit, units);
            const Vec<T> z = from.load(0, n), r = from.load(1, n), hh = from.load(2, n), u = from.load(3, n),
                         one = broadcast(T(1));
            const Vec<T> da = dh * (one - z) * fma(-hh, hh, one);
            store(dh_prev + unit, dh * z, n);
            T* to = dpre + unit;
            store(to, dh * (load(h_prev + unit, n) - hh) * (z * (one - z)), n);
            store(to + units, da * u * (r * (one - r)), n);
            store(to + 2 * units, da * r, n);
            store(to + 3 * units, da, n);
        }
    };
};

}  // namespace lstmcore::LSTMCORE_ISA
