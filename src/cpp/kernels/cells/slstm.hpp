// The sLSTM cell (Beck et al. 2024), pointwise and nothing else: exponential gates, kept in range by their stabiliser
// m, and a normaliser n. Same names and order as python/lstmcore/reference/slstm.py.
#pragma once

#include "../backward.hpp"
#include "options.hpp"

namespace lstmcore::LSTMCORE_ISA {

struct SlstmCell : FusedCell {
    static constexpr bool has_heads = true;
    static constexpr int gates = 4, vectors = 1, sums = 4, shift = 0;  // i, f, z, o
    // dpre: i, f, z, o; saved: i', f', z, o and the slope of log f. c: c, n, m.
    static constexpr int width = 4, saved = 5, carried = 3;

    static Columns columns(const RecurrentShape& s, const CellOptions& options) {
        const long n = 4 * s.units;
        if (options.heads == 1) return {{{0, n, 0, 0, false}}, 1, n, 1};
        return {{{0, n, 0, -1, false}, {0, n, -1, 0, false}}, 2, n, 1};
    }
    template <class Problem>
    static bool carries(const Problem& p) {
        return p.zoneout.h > 0;
    }
    template <class T>
    static Vec<T> bias(const T* bias, long units, int gate, long unit, int n) {
        return load(bias + gate * units + unit, n);
    }
    // What c begins a step with.
    template <class Problem>
    static LSTMCORE_INLINE auto state_before(const Problem& p, long b, long t) {
        return t > 0 ? at(p.c, b, t - 1) : p.c0 + row_of(p, b) * carried * p.shape.units;
    }

    //   z = tanh(.)   o = sigmoid(.)   log f = log(sigmoid(.)), or the sum itself   log i = the sum
    //   m = max(log f + m_prev, log i)   i' = exp(log i - m)   f' = exp(log f + m_prev - m)
    //   c = f' c_prev + i' z   n = f' n_prev + i'   h = o c / n
    // The larger of the two exponents is 0. Where c_prev and n_prev are 0, nothing is remembered: m = log i, f' = 0.
    template <class T, int R>
    static LSTMCORE_INLINE void forward(const Vec<T> (&pre)[R][sums], const ForwardProblem<T>& p, long b, long t,
                                        long unit) {
        const long units = p.shape.units, of_head = units / p.options.heads;
        const int n_ = int(min(lanes<T>, of_head - unit % of_head));
        const Vec<T> zero{}, one = broadcast(T(1));
        for (int r = 0; r < R; ++r) {
            const T* before = state_before(p, b + r, t) + unit;
            const Vec<T> c_prev = load(before, n_), n_prev = load(before + units, n_);
            const Vec<T> z = tanh<T>(pre[r][2]), o = sigmoid<T>(pre[r][3]);
            const Vec<T> log_f = p.options.exponential_forget ? pre[r][1] : log_sigmoid<T>(pre[r][1]);
            const Vec<T> log_i = pre[r][0], kept = log_f + load(before + 2 * units, n_);
            const auto nothing = (c_prev == zero) & (n_prev == zero);
            const auto keeps = (kept >= log_i) & ~nothing;
            // NaN of either is in both.
            const Vec<T> least = exp<T>(keeps ? log_i - kept : kept - log_i);
            const Vec<T> lesser = nothing ? zero : least;
            const Vec<T> i = keeps ? least : one, f = keeps ? one : lesser;
            const Vec<T> m = keeps ? kept : nothing ? log_i : larger(kept, log_i);
            const Vec<T> c = fma(f, c_prev, i * z), n = fma(f, n_prev, i);
            T* state = at(p.c, b + r, t) + unit;
            store(state, c, n_);
            store(state + units, n, n_);
            store(state + 2 * units, m, n_);
            const Vec<T> h = o * (c / n);
            store(at(p.h, b + r, t) + unit,
                  zone_out<T>(h, load(previous_h(p, b + r, t) + unit, n_), p, 0, p.zoneout.h, b + r, t, unit), n_);
            if (!p.saved.data) continue;
            T* saved = at(p.saved, b + r, t) + unit;
            store(saved, i, n_);
            store(saved + units, f, n_);
            store(saved + 2 * units, z, n_);
            store(saved + 3 * units, o, n_);
            store(saved + 4 * units, p.options.exponential_forget ? one : sigmoid<T>(-pre[r][1]), n_);
        }
    }

    template <class T>
    struct BackwardRow : ZonedRow<T> {
        const T *before, *after;
        T* dstate;

        LSTMCORE_INLINE BackwardRow(const BackwardProblem<T>& p, long b, long t, T* dpre)
            : ZonedRow<T>(p, b, t, dpre),
              before(state_before(p, b, t)),
              after(at(p.c, b, t)),
              dstate(p.dc0 + row_of(p, b) * carried * this->units) {}

        LSTMCORE_INLINE void prefetch(long unit) const {
            prefetch_columns<false>(this->saved + unit, SlstmCell::saved, this->units);
            prefetch_columns<true>(this->dpre + unit, width, this->units);
            prefetch_columns<false>(before + unit, 2, this->units);
        }

        // dL/dh of one vector of units, dL/d(c, n, m) from the step after (at dstate) -> gradients of the
        // pre-activations (at dpre, gate by gate) and dL/d(c, n, m) for the step before.
        //   do = dh c/n   dc += dh o/n   dn -= dh o c/n^2
        //   u = (dc c_prev + dn n_prev) f'   v = (dc z + dn) i'   dz = dc i'   dc_prev = dc f'   dn_prev = dn f'
        //   where f' is the 1:   d(log f + m_prev) = dm - v   d(log i) = v      (m is the larger exponent)
        //   elsewhere:           d(log f + m_prev) = u        d(log i) = dm - u
        LSTMCORE_INLINE void backward(Vec<T> dh_, long unit, int count) const {
            const Vec<T> dh = this->taken(dh_, unit);
            if (this->p.zoneout.h > 0) this->hand_on(dh_, unit, count);
            const long units = this->units;
            const T *from = this->saved + unit, *old = before + unit;
            const Vec<T> i = load(from, count), f = load(from + units, count), z = load(from + 2 * units, count),
                         o = load(from + 3 * units, count), slope_f = load(from + 4 * units, count);
            const Vec<T> one = broadcast(T(1));
            const Vec<T> per_n = one / load(after + units + unit, count), y = load(after + unit, count) * per_n;
            T* d = dstate + unit;
            const Vec<T> by_n = dh * o * per_n;
            const Vec<T> dc = load(d, count) + by_n, dn = fma(-by_n, y, load(d + units, count));
            const Vec<T> dm = load(d + 2 * units, count);
            const Vec<T> u = fma(dc, load(old, count), dn * load(old + units, count)) * f;
            const Vec<T> v = fma(dc, z, dn) * i;
            const auto keeps = f == one;
            const Vec<T> d_kept = keeps ? dm - v : u;
            store(d, dc * f, count);
            store(d + units, dn * f, count);
            store(d + 2 * units, d_kept, count);
            T* to = this->dpre + unit;
            store(to, keeps ? v : dm - u, count);
            store(to + units, d_kept * slope_f, count);
            store(to + 2 * units, dc * i * fma(-z, z, one), count);
            store(to + 3 * units, dh * y * (o * (one - o)), count);
        }
    };
};

}  // namespace lstmcore::LSTMCORE_ISA
