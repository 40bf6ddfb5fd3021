// The optimizers: what each does to a vector of parameters, and the one pass that does it to all.
// As Keras defines them; whatever depends on the step alone is computed by the caller
// (python/lstmcore/optimizers/) and comes as one of the rule's numbers.
#pragma once

#include "elementwise.hpp"

namespace lstmcore::LSTMCORE_ISA {

// A loop over lanes that compilers turn into one instruction (-fno-math-errno).
template <class T>
LSTMCORE_INLINE Vec<T> sqrt(Vec<T> x) {
    for (int l = 0; l < lanes<T>; ++l) x[l] = sizeof(T) == 4 ? __builtin_sqrtf(x[l]) : __builtin_sqrt(x[l]);
    return x;
}

// average += rate (x - average), and the same with x^2
template <class V>
LSTMCORE_INLINE void follow(V& average, V x, V rate) {
    average = fma(rate, x - average, average);
}
template <class V>
LSTMCORE_INLINE void follow_square(V& average, V x, V rate) {
    average = fma(rate, fma(x, x, -average), average);
}

// A rule returns the new parameters from w, the gradients g, vectors s of its own that it keeps
// from step to step, and numbers n.

// w -= rate g
template <class T>
struct Sgd {
    static constexpr const char* name = "sgd";
    static constexpr int slots = 0, numbers = 1;
    LSTMCORE_INLINE static Vec<T> step(Vec<T> w, Vec<T> g, Vec<T>*, const Vec<T>* n) { return fma(-n[0], g, w); }
};

// m = momentum m - rate g   w += m, or with a look ahead (Nesterov 1983) w += momentum m - rate g
template <class T, bool nesterov>
struct Momentum {
    static constexpr const char* name = nesterov ? "nesterov" : "momentum";
    static constexpr int slots = 1, numbers = 2;
    LSTMCORE_INLINE static Vec<T> step(Vec<T> w, Vec<T> g, Vec<T>* s, const Vec<T>* n) {
        const Vec<T> rate = n[0], momentum = n[1];
        Vec<T>& m = s[0];
        m = fma(momentum, m, -rate * g);
        return w + (nesterov ? fma(momentum, m, -rate * g) : m);
    }
};

// Kingma & Ba 2015; alpha holds the corrections of both averages, epsilon is not corrected.
//   m += rate_1 (g - m)   v += rate_2 (g^2 - v)   w -= alpha m / (sqrt(v) + epsilon)
// and with amsgrad (Reddi et al. 2018), u = max(u, v) in the place of v.
template <class T, bool amsgrad>
struct Adam {
    static constexpr const char* name = amsgrad ? "amsgrad" : "adam";
    static constexpr int slots = amsgrad ? 3 : 2, numbers = 4;
    LSTMCORE_INLINE static Vec<T> step(Vec<T> w, Vec<T> g, Vec<T>* s, const Vec<T>* n) {
        const Vec<T> alpha = n[0], rate_1 = n[1], rate_2 = n[2], epsilon = n[3];
        Vec<T>&m = s[0], &v = s[1], &u = s[slots - 1];  // without amsgrad, u is v
        follow(m, g, rate_1);
        follow_square(v, g, rate_2);
        if (amsgrad) u = larger(u, v);
        return w - alpha * m / (sqrt<T>(u) + epsilon);
    }
};

// Kingma & Ba 2015, section 7.1.
//   m += rate_1 (g - m)   u = max(beta_2 u, |g|)   w -= alpha m / (u + epsilon)
template <class T>
struct Adamax {
    static constexpr const char* name = "adamax";
    static constexpr int slots = 2, numbers = 4;
    LSTMCORE_INLINE static Vec<T> step(Vec<T> w, Vec<T> g, Vec<T>* s, const Vec<T>* n) {
        const Vec<T> alpha = n[0], rate_1 = n[1], beta_2 = n[2], epsilon = n[3];
        Vec<T>&m = s[0], &u = s[1];
        follow(m, g, rate_1);
        u = larger(beta_2 * u, larger(-g, g));
        return w - alpha * m / (u + epsilon);
    }
};

// Dozat 2016; a and b hold the learning rate, the momenta of this step and the next, and their corrections.
//   m += rate_1 (g - m)   v += rate_2 (g^2 - v)   w -= (a m + b g) / (sqrt(correction v) + epsilon)
template <class T>
struct Nadam {
    static constexpr const char* name = "nadam";
    static constexpr int slots = 2, numbers = 6;
    LSTMCORE_INLINE static Vec<T> step(Vec<T> w, Vec<T> g, Vec<T>* s, const Vec<T>* n) {
        const Vec<T> a = n[0], b = n[1], rate_1 = n[2], rate_2 = n[3], correction = n[4], epsilon = n[5];
        Vec<T>&m = s[0], &v = s[1];
        follow(m, g, rate_1);
        follow_square(v, g, rate_2);
        return w - fma(a, m, b * g) / (sqrt<T>(correction * v) + epsilon);
    }
};

// Tieleman & Hinton 2012.
//   v += rate_2 (g^2 - v)   d = rate g / sqrt(v + epsilon)   w -= d
// centered: the variance v - a^2 in the place of v, where a += rate_2 (g - a)
// momentum: m = momentum m + d   w -= m
template <class T, bool centered, bool momentum>
struct RmsProp {
    static constexpr const char* name = centered ? (momentum ? "rmsprop_centered_momentum" : "rmsprop_centered")
                                                 : (momentum ? "rmsprop_momentum" : "rmsprop");
    static constexpr int slots = 1 + centered + momentum, numbers = 4;
    LSTMCORE_INLINE static Vec<T> step(Vec<T> w, Vec<T> g, Vec<T>* s, const Vec<T>* n) {
        const Vec<T> rate = n[0], rate_2 = n[1], epsilon = n[2];
        Vec<T>&v = s[0], &a = s[centered], &m = s[slots - 1];  // those there are none of stand for another
        follow_square(v, g, rate_2);
        Vec<T> square = v;
        if (centered) {
            follow(a, g, rate_2);
            square = fma(-a, a, v);
        }
        const Vec<T> d = rate * g / sqrt<T>(square + epsilon);
        if (!momentum) return w - d;
        m = fma(n[3], m, d);
        return w - m;
    }
};

// Duchi et al. 2011.
//   v += g^2   w -= rate g / sqrt(v + epsilon)
template <class T>
struct Adagrad {
    static constexpr const char* name = "adagrad";
    static constexpr int slots = 1, numbers = 2;
    LSTMCORE_INLINE static Vec<T> step(Vec<T> w, Vec<T> g, Vec<T>* s, const Vec<T>* n) {
        const Vec<T> rate = n[0], epsilon = n[1];
        Vec<T>& v = s[0];
        v = fma(g, g, v);
        return w - rate * g / sqrt<T>(v + epsilon);
    }
};

// Zeiler 2012.
//   v += rate_2 (g^2 - v)   d = sqrt(u + epsilon) g / sqrt(v + epsilon)   u += rate_2 (d^2 - u)   w -= rate d
template <class T>
struct Adadelta {
    static constexpr const char* name = "adadelta";
    static constexpr int slots = 2, numbers = 3;
    LSTMCORE_INLINE static Vec<T> step(Vec<T> w, Vec<T> g, Vec<T>* s, const Vec<T>* n) {
        const Vec<T> rate = n[0], rate_2 = n[1], epsilon = n[2];
        Vec<T>&v = s[0], &u = s[1];
        follow_square(v, g, rate_2);
        const Vec<T> d = sqrt<T>(u + epsilon) * g / sqrt<T>(v + epsilon);
        follow_square(u, d, rate_2);
        return fma(-rate, d, w);
    }
};

// Chen et al. 2023.
//   w -= rate sign(m + rate_1 (g - m))   m += rate_2 (g - m)
template <class T>
struct Lion {
    static constexpr const char* name = "lion";
    static constexpr int slots = 1, numbers = 3;
    LSTMCORE_INLINE static Vec<T> step(Vec<T> w, Vec<T> g, Vec<T>* s, const Vec<T>* n) {
        const Vec<T> rate = n[0], rate_1 = n[1], rate_2 = n[2], zero{}, one = broadcast(T(1));
        Vec<T>& m = s[0];
        Vec<T> direction = m;
        follow(direction, g, rate_1);
        const auto up = direction > zero, down = direction < zero;
        follow(m, g, rate_2);
        return fma(-rate, up ? one : (down ? -one : direction), w);  // 0 and NaN are their own signs
    }
};

// One step: gradients scaled and clipped, parameters decayed and moved, in a single pass.
template <class T, class Rule>
void optimizer_step(const OptimizerProblem<T>& problem) {
    parallel(
        problem.threads,
        [](const void* context, const Team& team) {
            const OptimizerProblem<T>& p = *static_cast<const OptimizerProblem<T>*>(context);
            long begin, end;
            team.split(long((p.size + 63) / 64), begin, end);
            const std::size_t stop = std::size_t(end) * 64;
            const Vec<T> scale = broadcast(T(p.scale)), limit = broadcast(T(p.limit)), decay = broadcast(T(p.decay));
            Vec<T> numbers[Rule::numbers];
            for (int k = 0; k < Rule::numbers; ++k) numbers[k] = broadcast(T(p.numbers[k]));
            for_each_vector<T>(std::size_t(begin) * 64, stop < p.size ? stop : p.size, [&](std::size_t k, int n) {
                // smaller and larger give their second argument for NaN, so that it is not lost
                const Vec<T> g = larger(-limit, smaller(limit, scale * load(p.gradients + k, n)));
                const Vec<T> w = load(p.parameters + k, n);
                Vec<T> slots[Rule::slots + 1];  // + 1: there are no arrays of none
                for (int s = 0; s < Rule::slots; ++s) slots[s] = load(p.slots[s] + k, n);
                store(p.parameters + k, Rule::step(fma(-decay, w, w), g, slots, numbers), n);
                for (int s = 0; s < Rule::slots; ++s) store(p.slots[s] + k, slots[s], n);
            });
        },
        &problem);
}

template <class T, class Rule>
constexpr OptimizerRule<T> rule() {
    static_assert(Rule::slots <= max_optimizer_slots && Rule::numbers <= max_optimizer_numbers);
    return {Rule::name, Rule::slots, Rule::numbers, optimizer_step<T, Rule>};
}

template <class T>
constexpr OptimizerRule<T> optimizer_rules[] = {
    rule<T, Sgd<T>>(),
    rule<T, Momentum<T, false>>(),
    rule<T, Momentum<T, true>>(),
    rule<T, Adam<T, false>>(),
    rule<T, Adam<T, true>>(),
    rule<T, Adamax<T>>(),
    rule<T, Nadam<T>>(),
    rule<T, RmsProp<T, false, false>>(),
    rule<T, RmsProp<T, false, true>>(),
    rule<T, RmsProp<T, true, false>>(),
    rule<T, RmsProp<T, true, true>>(),
    rule<T, Adagrad<T>>(),
    rule<T, Adadelta<T>>(),
    rule<T, Lion<T>>(),
    {},
};

// In double, for the norms that gradients are clipped by. Eight sums side by side, in an order that
// depends on nothing but the size; a single thread, for the pass is but a part of the step's.
template <class T>
double sum_of_squares(const T* x, std::size_t n) {
    double sums[8] = {};
    std::size_t k = 0;
    for (; k + 8 <= n; k += 8)
        for (int l = 0; l < 8; ++l) sums[l] += double(x[k + l]) * double(x[k + l]);
    for (int l = 0; k < n; ++k, ++l) sums[l] += double(x[k]) * double(x[k]);
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

}  // namespace lstmcore::LSTMCORE_ISA
