// The minGRU cell (Feng et al. 2024), pointwise and nothing else. Same names and order as
// python/lstmcore/reference/min_gru.py.
#pragma once

#include "min_cell.hpp"

namespace lstmcore::LSTMCORE_ISA {

struct MinGruCell : MinCell {
    static constexpr int gates = 2, vectors = 2, sums = gates * vectors;  // z, h
    static constexpr int width = 2, saved = 2;                            // dpre: z, h; saved: z, candidate

    static Columns columns(const RecurrentShape& s, const CellOptions&) {
        return {{{0, gates * s.units, 0, -1, false}}, 1, width * s.units, 1};
    }

    // z = sigmoid(.)   hh = g(.)   h = (1 - z) h_prev + z hh
    template <class T>
    static LSTMCORE_INLINE void forward(const Vec<T> (&pre)[gates * vectors], const ForwardProblem<T>& p, long b,
                                        long t, long first) {
        for_each_vector<T>(p, vectors, first, [&](int v, long unit, int n) {
            const Vec<T> z = sigmoid<T>(pre[v]), hh = candidate<T>(p, pre[vectors + v]);
            const Vec<T> h_prev = load(previous_h(p, b, t) + unit, n);
            store_h(p, fma(z, hh, (broadcast(T(1)) - z) * h_prev), h_prev, b, t, unit, n);
            if (!p.saved.data) return;
            T* saved = at(p.saved, b, t) + unit;
            store(saved, z, n);
            store(saved + p.shape.units, hh, n);
        });
    }

    template <class T>
    struct BackwardRow : MinRow<T> {
        using MinRow<T>::MinRow;
        //   dz = dh (hh - h_prev)   dhh = dh z   dh_prev = dh (1 - z)
        LSTMCORE_INLINE void backward(Vec<T> dh_, long unit, int n) const {
            const Vec<T> dh = this->taken(dh_, unit);
            const Vec<T> z = load(this->saved + unit, n), hh = load(this->saved + this->units + unit, n);
            const Vec<T> kept = broadcast(T(1)) - z;
            this->hand_on(fma(dh, kept, dh_), unit, n);
            store(this->dpre + unit, dh * (hh - load(this->h_prev + unit, n)) * (z * kept), n);
            store(this->dpre + this->units + unit, dh * z * candidate_slope<T>(this->p, hh), n);
        }
    };
};

}  // namespace lstmcore::LSTMCORE_ISA
