// What the options of a cell ask for, pointwise: activations chosen at run time, with their slopes, clip, and zoneout.
// Same as python/lstmcore/reference/activations.py and sequences.py.
#pragma once

#include "../sequence.hpp"

namespace lstmcore::LSTMCORE_ISA {

// For the kinds whose slope follows from their output.
template <class T>
LSTMCORE_INLINE Vec<T> activate(const Activation& activation, Vec<T> x) {
    const Vec<T> zero{}, one = broadcast(T(1));
    switch (activation.kind) {
        case ActivationKind::tanh:
            return tanh<T>(x);
        case ActivationKind::sigmoid:
            return sigmoid<T>(x);
        case ActivationKind::hard_sigmoid: {  // larger and smaller give their second argument for NaN
            const Vec<T> line = fma(x, broadcast(T(activation.alpha)), broadcast(T(activation.beta)));
            return smaller(one, larger(zero, line));
        }
        case ActivationKind::relu:
            return larger(zero, x);
        case ActivationKind::softsign:
            return x / (one + larger(-x, x));
        default:
            break;
    }
    return x;
}

// Their derivative, from the output y.
template <class T>
LSTMCORE_INLINE Vec<T> slope(const Activation& activation, Vec<T> y) {
    const Vec<T> zero{}, one = broadcast(T(1));
    switch (activation.kind) {
        case ActivationKind::tanh:
            return fma(-y, y, one);
        case ActivationKind::sigmoid:
            return y * (one - y);
        case ActivationKind::hard_sigmoid: {
            const auto inside = (y > zero) & (y < one);
            return inside ? broadcast(T(activation.alpha)) : zero;
        }
        case ActivationKind::relu: {
            const auto positive = y > zero;
            return positive ? one : zero;
        }
        case ActivationKind::softsign: {
            const Vec<T> rest = one - larger(-y, y);
            return rest * rest;
        }
        default:
            break;
    }
    return one;
}

template <class T>
struct Activated {
    Vec<T> y, slope;
};

// The other kinds, where alpha and beta are what each has them for. One copy for all who call.
template <class T>
__attribute__((noinline)) Activated<T> activate_from_input(const Activation& activation, Vec<T> x) {
    const Vec<T> zero{}, one = broadcast(T(1)), alpha = broadcast(T(activation.alpha)),
                         beta = broadcast(T(activation.beta));
    switch (activation.kind) {
        case ActivationKind::softplus:  // log(1 + e^x)
            return {-log_sigmoid<T>(-x), sigmoid<T>(x)};
        case ActivationKind::elu: {  // x, or alpha (e^x - 1) below zero
            Vec<T> scale, fraction;
            exp_parts<T>(larger(broadcast(ExpConstants<T>::underflow), smaller(zero, x)), scale, fraction);
            const Vec<T> below = fma(scale, fraction, scale - one);
            const auto positive = x > zero;
            return {positive ? x : alpha * below, positive ? one : alpha * (below + one)};
        }
        case ActivationKind::leaky_relu: {  // x, or alpha x below zero
            const auto positive = x > zero;
            return {positive ? x : alpha * x, positive ? one : alpha};
        }
        case ActivationKind::threshold: {  // x, or beta up to alpha
            const auto low = x <= alpha;
            return {low ? beta : x, low ? zero : one};
        }
        case ActivationKind::scaled_tanh: {  // alpha tanh(beta x)
            const Vec<T> y = tanh<T>(beta * x);
            return {alpha * y, alpha * beta * fma(-y, y, one)};
        }
        default:  // affine: alpha x + beta
            return {fma(alpha, x, beta), alpha};
    }
}

LSTMCORE_INLINE bool slope_follows_from_output(const Activation& activation) {
    return activation.kind <= ActivationKind::softsign;
}

// Any kind, if that is asked for; else those whose slope follows from their output.
template <bool any, class T>
LSTMCORE_INLINE Activated<T> activate_with_slope(const Activation& activation, Vec<T> x) {
    if (any && !slope_follows_from_output(activation)) return activate_from_input<T>(activation, x);
    const Vec<T> y = activate<T>(activation, x);
    return {y, slope<T>(activation, y)};
}

// Whether the slopes of gates and candidate are saved, for they, or that of the output, do not follow from the outputs.
// Of what is clipped they are zero beyond. The loops are compiled for both, so that this costs the others nothing.
LSTMCORE_INLINE bool saves_slopes(const CellOptions& options) {
    return options.clip <= std::numeric_limits<double>::max() || !slope_follows_from_output(options.activation) ||
           !slope_follows_from_output(options.recurrent_activation) ||
           !slope_follows_from_output(options.output_activation);
}

// The activations of a row's gates and candidate in a step; a gate's units begin at its `column`.
template <bool saves, class T>
struct RowActivations {
    const CellOptions& options;
    T* slopes;  // by column, if they are saved; null: no backward pass follows

    LSTMCORE_INLINE Vec<T> operator()(const Activation& activation, Vec<T> sum, long column, int n) const {
        if (!saves) return activate<T>(activation, sum);
        const Vec<T> zero{}, limit = broadcast(T(options.clip));
        const Activated<T> result = activate_with_slope<true, T>(activation, smaller(limit, larger(-limit, sum)));
        const auto beyond = (sum > limit) | (sum < -limit);
        if (slopes) store(slopes + column, beyond ? zero : result.slope, n);
        return result.y;
    }
};

// Their slopes on the way back.
template <bool saved, class T>
struct RowSlopes {
    const T* slopes;

    LSTMCORE_INLINE Vec<T> operator()(const Activation& activation, Vec<T> y, long column, int n) const {
        return saved ? load(slopes + column, n) : slope<T>(activation, y);
    }
};

// --- zoneout --------------------------------------------------------------------------------

// Philox 4x32-10 (Salmon et al. 2011): four random words for a counter of four, which they replace, and a key of two.
LSTMCORE_INLINE void philox(uint32_t (&x)[4], uint32_t key_0, uint32_t key_1) {
#pragma GCC unroll 10
    for (int round = 0; round < 10; ++round) {
        const uint64_t a = uint64_t(0xD2511F53) * x[0], b = uint64_t(0xCD9E8D57) * x[2];
        x[0] = uint32_t(b >> 32) ^ x[1] ^ key_0, x[1] = uint32_t(b);
        x[2] = uint32_t(a >> 32) ^ x[3] ^ key_1, x[3] = uint32_t(a);
        key_0 += 0x9E3779B9, key_1 += 0xBB67AE85;
    }
}

// Which of the units [unit, unit + lanes) keep their old value in a step: 0, those that take the new one 1. Words of
// the counter (units by fours, row, step, state), so that no two masks have any in common. One copy for all who call.
template <class T>
__attribute__((noinline)) void draw(T* takes, const Zoneout& zoneout, int state, double rate, long row, long step,
                                    long unit) {
    const uint64_t below = uint64_t(rate * 4294967296.0);
    uint32_t x[4];
    for (long u = unit; u < unit + lanes<T>; ++u) {
        if (u == unit || u % 4 == 0) {
            x[0] = uint32_t(u / 4), x[1] = uint32_t(row), x[2] = uint32_t(step), x[3] = uint32_t(state);
            philox(x, zoneout.seed, 0);
        }
        takes[u - unit] = x[u % 4] < below ? T(0) : T(1);
    }
}

// The same by the arrays' rows and steps, as a vector of comparisons. state: 0 for h, 1 for c
template <class T, class Problem>
LSTMCORE_INLINE auto takes_new(const Problem& p, int state, double rate, long b, long t, long unit) {
    T takes[lanes<T>];
    draw(takes, p.zoneout, state, rate, row_of(p, b), p.ragged.at_step ? p.ragged.at_step[number_of(p, t) + b] : t,
         unit);
    return load(takes) > Vec<T>{};
}

template <class T, class Problem>
LSTMCORE_INLINE Vec<T> zone_out(Vec<T> value, Vec<T> before, const Problem& p, int state, double rate, long b, long t,
                                long unit) {
    if (rate == 0) return value;
    const Vec<T> share = broadcast(T(1 - rate)), one = broadcast(T(1));
    if (!p.zoneout.random) return share * value + (one - share) * before;
    const auto takes = takes_new<T>(p, state, rate, b, t, unit);
    return takes ? value : before;
}

// The part of the gradient d that belongs to the new value; what is left in d belongs to the old one. Training draws
// masks.
template <class T>
LSTMCORE_INLINE Vec<T> zone_out_backward(Vec<T>& d, const BackwardProblem<T>& p, int state, double rate, long b, long t,
                                         long unit) {
    const Vec<T> whole = d, zero{};
    d = zero;
    if (rate == 0) return whole;
    const auto takes = takes_new<T>(p, state, rate, b, t, unit);
    d = takes ? zero : whole;
    return takes ? whole : zero;
}

// What the step back of a row reads and writes, found once for all its units, in a cell with zoneout of h.
template <class T>
struct ZonedRow {
    const BackwardProblem<T>& p;
    const long b, t, units;
    const T* saved;
    T *dh_prev, *dpre;

    LSTMCORE_INLINE ZonedRow(const BackwardProblem<T>& p, long b, long t, T* dpre)
        : p(p),
          b(b),
          t(t),
          units(p.shape.units),
          saved(at(p.saved, b, t)),
          dh_prev(p.dh0 + row_of(p, b) * units),
          dpre(dpre) {}

    // What of dh the new value gets; what is left in dh belongs to the one before.
    LSTMCORE_INLINE Vec<T> taken(Vec<T>& dh, long unit) const {
        return zone_out_backward<T>(dh, p, 0, p.zoneout.h, b, t, unit);
    }
    LSTMCORE_INLINE void hand_on(Vec<T> dh, long unit, int n) const { store(dh_prev + unit, dh, n); }
};

}  // namespace lstmcore::LSTMCORE_ISA
