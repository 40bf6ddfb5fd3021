// The LSTM cell (Hochreiter & Schmidhuber 1997, forget gate of Gers et al. 2000), pointwise and
// nothing else. Same names and order as python/lstmcore/reference/lstm.py.
#pragma once

#include "../recurrent.hpp"

namespace lstmcore::LSTMCORE_ISA {

struct LstmCell {
    static constexpr int gates = 4;  // i, f, g, o

    // Pre-activations of a tile, rows b to b + R and one vector of units -> h and c of this step.
    //   i = sigmoid(.)   f = sigmoid(.)   g = tanh(.)   o = sigmoid(.)
    //   c = f c_prev + i g                h = o tanh(c)
    // All c come before all h: tanh(c) would else wait for the c of its own row.
    template <class T, int R>
    static LSTMCORE_INLINE void forward(const Vec<T> (&pre)[R][gates], const ForwardProblem<T>& p, long b, long t,
                                        long unit, int n) {
        const long units = p.shape.units;
        Vec<T> c[R];
        for (int r = 0; r < R; ++r) {
            const Vec<T> i = sigmoid<T>(pre[r][0]), f = sigmoid<T>(pre[r][1]), g = tanh<T>(pre[r][2]);
            c[r] = fma(f, load(previous_c(p, b + r, t) + unit, n), i * g);
            store(at(p.c, b + r, t) + unit, c[r], n);
            if (p.gates) {
                T* saved = saved_gates(p, b + r, t) + unit;
                store(saved, i, n);
                store(saved + units, f, n);
                store(saved + 2 * units, g, n);
            }
        }
        for (int r = 0; r < R; ++r) {
            const Vec<T> o = sigmoid<T>(pre[r][3]), h = o * tanh<T>(c[r]);
            store(at(p.h, b + r, t) + unit, h, n);
            if (p.gates) store(saved_gates(p, b + r, t) + unit + 3 * units, o, n);
        }
    }

    // i, f, g, o of a row and step, `units` of each.
    template <class Problem>
    static LSTMCORE_INLINE auto saved_gates(const Problem& p, long b, long t) {
        return p.gates + (t * p.shape.batch + b) * gates * p.shape.units;
    }

    template <class T>
    static LSTMCORE_INLINE void prefetch(const BackwardProblem<T>& p, long b, long t, long unit) {
        const T* saved = saved_gates(p, b, t) + unit;
        for (int gate = 0; gate < gates; ++gate) __builtin_prefetch(saved + gate * p.shape.units);
        __builtin_prefetch(previous_c(p, b, t) + unit);
    }

    // dL/dh of one vector of units, dL/dc from the step after (in p.dc) -> gradients of the
    // pre-activations (at dpre, gate by gate) and dL/dc for the step before.
    //   do = dh tanh(c)       dc += dh o (1 - tanh(c)^2)
    //   di = dc g    df = dc c_prev    dg = dc i    dc_prev = dc f
    //   each times its activation's derivative: s (1 - s), or 1 - g^2
    template <class T>
    static LSTMCORE_INLINE void backward(Vec<T> dh, const BackwardProblem<T>& p, long b, long t, long unit, int n,
                                         T* dpre) {
        const long units = p.shape.units;
        const T* saved = saved_gates(p, b, t) + unit;
        const Vec<T> i = load(saved, n), f = load(saved + units, n), g = load(saved + 2 * units, n),
                     o = load(saved + 3 * units, n);
        const Vec<T> c_prev = load(previous_c(p, b, t) + unit, n), c = load(at(p.c, b, t) + unit, n);
        const Vec<T> one = broadcast(T(1)), tanh_c = tanh<T>(c);
        T* dc_row = p.dc + b * units + unit;
        const Vec<T> dc = fma(dh * o, fma(-tanh_c, tanh_c, one), load(dc_row, n));
        store(dc_row, dc * f, n);
        dpre += unit;
        store(dpre, dc * g * (i * (one - i)), n);
        store(dpre + units, dc * c_prev * (f * (one - f)), n);
        store(dpre + 2 * units, dc * i * fma(-g, g, one), n);
        store(dpre + 3 * units, dh * tanh_c * (o * (one - o)), n);
    }
};

}  // namespace lstmcore::LSTMCORE_ISA
