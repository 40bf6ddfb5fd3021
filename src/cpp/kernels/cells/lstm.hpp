// The LSTM cell (Hochreiter & Schmidhuber 1997, forget gate of Gers et al. 2000), pointwise and
// nothing else. Same names and order as python/lstmcore/reference/lstm.py.
#pragma once

#include "../recurrent.hpp"

namespace lstmcore::LSTMCORE_ISA {

struct LstmCell {
    static constexpr int gates = 4;  // i, f, g, o

    // Pre-activations of one vector of units -> h and c of this step.
    //   i = sigmoid(.)   f = sigmoid(.)   g = tanh(.)   o = sigmoid(.)
    //   c = f c_prev + i g                h = o tanh(c)
    template <class T>
    static LSTMCORE_INLINE void forward(const Vec<T> (&pre)[gates], const ForwardProblem<T>& p, long b, long t,
                                        long unit, int n) {
        const Vec<T> i = sigmoid<T>(pre[0]), f = sigmoid<T>(pre[1]), g = tanh<T>(pre[2]), o = sigmoid<T>(pre[3]);
        const Vec<T> c = fma(f, load(previous_c(p, b, t) + unit, n), i * g);
        const Vec<T> h = o * tanh<T>(c);
        store(at(p.c, b, t) + unit, c, n);
        store(at(p.h, b, t) + unit, h, n);
        if (p.gates) {
            const long units = p.shape.units;
            T* saved = p.gates + (t * p.shape.batch + b) * gates * units + unit;
            store(saved, i, n);
            store(saved + units, f, n);
            store(saved + 2 * units, g, n);
            store(saved + 3 * units, o, n);
        }
    }

    template <class T>
    static LSTMCORE_INLINE void prefetch(const BackwardProblem<T>& p, long b, long t, long unit) {
        const T* saved = p.gates + (t * p.shape.batch + b) * gates * p.shape.units + unit;
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
        const T* saved = p.gates + (t * p.shape.batch + b) * gates * units + unit;
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
