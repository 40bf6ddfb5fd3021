// What the options of a cell ask for, pointwise: activations chosen at run time, with their slopes
// from their outputs, and zoneout. Same as python/lstmcore/reference/activations.py and sequences.py.
#pragma once

#include "../sequence.hpp"

namespace lstmcore::LSTMCORE_ISA {

template <class T>
LSTMCORE_INLINE Vec<T> activate(Activation activation, Vec<T> x) {
    const Vec<T> zero{}, one = broadcast(T(1));
    switch (activation) {
        case Activation::tanh:
            return tanh<T>(x);
        case Activation::sigmoid:
            return sigmoid<T>(x);
        case Activation::hard_sigmoid: {  // larger and smaller give their second argument for NaN
            const Vec<T> line = fma(x, broadcast(T(1) / 6), broadcast(T(0.5)));
            return smaller(one, larger(zero, line));
        }
        case Activation::relu:
            return larger(zero, x);
        case Activation::softsign:
            return x / (one + larger(-x, x));
        case Activation::linear:
            break;
    }
    return x;
}

// The derivative, from the output y.
template <class T>
LSTMCORE_INLINE Vec<T> slope(Activation activation, Vec<T> y) {
    const Vec<T> zero{}, one = broadcast(T(1));
    switch (activation) {
        case Activation::tanh:
            return fma(-y, y, one);
        case Activation::sigmoid:
            return y * (one - y);
        case Activation::hard_sigmoid: {
            const auto inside = (y > zero) & (y < one);
            return inside ? broadcast(T(1) / 6) : zero;
        }
        case Activation::relu: {
            const auto positive = y > zero;
            return positive ? one : zero;
        }
        case Activation::softsign: {
            const Vec<T> rest = one - larger(-y, y);
            return rest * rest;
        }
        case Activation::linear:
            break;
    }
    return one;
}

// A hash of 32 bits (C. Wellons' lowbias32).
LSTMCORE_INLINE uint32_t mix(uint32_t x) {
    x = (x ^ (x >> 16)) * 0x7feb352du;
    x = (x ^ (x >> 15)) * 0x846ca68bu;
    return x ^ (x >> 16);
}

// The share of the new value that a step takes: 0 or 1 by the mask, or 1 - rate.
template <class T, class Problem>
LSTMCORE_INLINE Vec<T> kept(const Problem& p, int state, double rate, long b, long t, long unit) {
    if (!p.zoneout.random) return broadcast(T(1 - rate));
    const long step = p.ragged.at_step ? p.ragged.at_step[number_of(p, t) + b] : t;
    const uint32_t key = mix(p.zoneout.seed + mix(2 * uint32_t(step) + uint32_t(state) + mix(uint32_t(row_of(p, b)))));
    const uint64_t below = uint64_t(rate * 4294967296.0);
    T share[lanes<T>];
    for (int l = 0; l < lanes<T>; ++l) share[l] = mix(key + 0x9e3779b9u * uint32_t(unit + l + 1)) < below ? T(0) : T(1);
    return load(share);
}

// state: 0 for h, 1 for c
template <class T, class Problem>
LSTMCORE_INLINE Vec<T> zone_out(Vec<T> value, Vec<T> before, const Problem& p, int state, double rate, long b, long t,
                                long unit) {
    if (rate == 0) return value;
    const Vec<T> share = kept<T>(p, state, rate, b, t, unit), one = broadcast(T(1));
    const auto taken = share > Vec<T>{};
    if (p.zoneout.random) return taken ? value : before;
    return share * value + (one - share) * before;
}

}  // namespace lstmcore::LSTMCORE_ISA
