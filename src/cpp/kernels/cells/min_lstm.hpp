// The minLSTM cell (Feng et al. 2024), pointwise and nothing else. Same names and order as
// python/lstmcore/reference/min_lstm.py.
#pragma once

#include "min_cell.hpp"

namespace lstmcore::LSTMCORE_ISA {

struct MinLstmCell : MinCell {
    static constexpr int gates = 3, vectors = 1, sums = gates * vectors;  // f, i, h
    static constexpr int width = 3, saved = 3;  // dpre: f, i, h; saved: the sums of f and of i, candidate

    static Columns columns(const RecurrentShape& s, const CellOptions&) { return columns_of(gates * s.units); }

    // f' = f / (f + i) and i' = i / (f + i) of f = sigmoid(a), i = sigmoid(k), by 1 / f = 1 + e^-a and 1 / i = 1 +
    // e^-k. All exponents are made smaller by the largest, so that nothing overflows and one of the terms is 1.
    template <class T>
    struct Gates {
        Vec<T> of_f, of_i;        // in proportion to 1 / f - 1 = e^-a, and e^-k
        Vec<T> f, i;              // f', i'
        Vec<T> slope_f, slope_i;  // f' i' (1 - f), f' i' (1 - i): df'/da and -df'/dk
        LSTMCORE_INLINE Gates(Vec<T> a, Vec<T> k) {
            const Vec<T> zero{}, one = broadcast(T(1)), huge = broadcast(std::numeric_limits<T>::max());
            const Vec<T> of_a = smaller(huge, -a), of_k = smaller(huge, -k);
            const Vec<T> most = larger(larger(zero, of_a), of_k), base = exp<T>(-most);
            of_f = exp<T>(of_a - most), of_i = exp<T>(of_k - most);
            const auto neither = (of_a == huge) & (of_k == huge);  // 0 / 0
            const Vec<T> per_f = base + of_f, per_i = base + of_i, sum = per_f + per_i;
            const Vec<T> per_sum = neither ? broadcast(T(__builtin_nan(""))) : one / sum;
            f = per_i * per_sum, i = per_f * per_sum;
            slope_f = f * of_f * per_sum, slope_i = i * of_i * per_sum;
        }
    };

    // h = f' h_prev + i' hh   hh = g(.)
    template <class T>
    static LSTMCORE_INLINE void forward(const Vec<T> (&pre)[gates * vectors], const ForwardProblem<T>& p, long b,
                                        long t, long first) {
        for_each_vector<T>(p, vectors, first, [&](int, long unit, int n) {
            const Gates<T> gate(pre[0], pre[1]);
            const Vec<T> hh = candidate<T>(p, pre[2]), h_prev = load(previous_h(p, b, t) + unit, n);
            store_h(p, fma(gate.f, h_prev, gate.i * hh), h_prev, b, t, unit, n);
            if (!p.saved.data) return;
            T* saved = at(p.saved, b, t) + unit;
            store(saved, pre[0], n);
            store(saved + p.shape.units, pre[1], n);
            store(saved + 2 * p.shape.units, hh, n);
        });
    }

    template <class T>
    struct BackwardRow : MinRow<T> {
        using MinRow<T>::MinRow;
        //   df' = dh (h_prev - hh)   dhh = dh i'   dh_prev = dh f'   and f' rises with f as it falls with i
        LSTMCORE_INLINE void backward(Vec<T> dh_, long unit, int n) const {
            const Vec<T> dh = this->taken(dh_, unit);
            const T* from = this->saved + unit;
            const Gates<T> gate(load(from, n), load(from + this->units, n));
            const Vec<T> hh = load(from + 2 * this->units, n), df = dh * (load(this->h_prev + unit, n) - hh);
            this->hand_on(fma(dh, gate.f, dh_), unit, n);
            T* to = this->dpre + unit;
            store(to, df * gate.slope_f, n);
            store(to + this->units, -df * gate.slope_i, n);
            store(to + 2 * this->units, dh * gate.i * candidate_slope<T>(this->p, hh), n);
        }
    };
};

}  // namespace lstmcore::LSTMCORE_ISA
