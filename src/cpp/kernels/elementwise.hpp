// Passes over flat vectors: the activations by themselves and the optimizers' updates.
#pragma once

#include "../core.hpp"
#include "../threads.hpp"
#include "simd.hpp"

namespace lstmcore::LSTMCORE_ISA {

template <class T, class F>
LSTMCORE_INLINE void for_each_vector(std::size_t begin, std::size_t end, F f) {
    for (std::size_t k = begin; k < end; k += lanes<T>)
        f(k, int(end - k < std::size_t(lanes<T>) ? end - k : std::size_t(lanes<T>)));
}

template <class T, Vec<T> (*function)(Vec<T>)>
void map_array(const T* x, T* y, std::size_t n) {
    struct Arrays {
        const T* x;
        T* y;
        std::size_t n;
    } const arrays{x, y, n};
    parallel(
        1,  // for the floating-point mode; dense layers are too small to share
        [](const void* context, const Team&) {
            const Arrays& a = *static_cast<const Arrays*>(context);
            for_each_vector<T>(
                0, a.n, [&](std::size_t k, int count) { store(a.y + k, function(load(a.x + k, count)), count); });
        },
        &arrays);
}

// A loop over lanes that compilers turn into one instruction (-fno-math-errno).
template <class T>
LSTMCORE_INLINE Vec<T> sqrt(Vec<T> x) {
    for (int l = 0; l < lanes<T>; ++l) x[l] = sizeof(T) == 4 ? __builtin_sqrtf(x[l]) : __builtin_sqrt(x[l]);
    return x;
}

// Adam (Kingma & Ba 2015) as Keras writes it: the bias corrections are folded into alpha and
// epsilon is not corrected.
//   m += (1 - beta_1) (g - m)   v += (1 - beta_2) (g^2 - v)   w -= alpha m / (sqrt(v) + epsilon)
template <class T>
void adam(const AdamProblem<T>& problem) {
    parallel(
        problem.threads,
        [](const void* context, const Team& team) {
            const AdamProblem<T>& p = *static_cast<const AdamProblem<T>*>(context);
            long begin, end;
            team.split(long((p.size + 63) / 64), begin, end);
            const Vec<T> rate_1 = broadcast(T(1) - p.beta_1), rate_2 = broadcast(T(1) - p.beta_2);
            const Vec<T> alpha = broadcast(p.alpha), epsilon = broadcast(p.epsilon);
            const std::size_t stop = std::size_t(end) * 64;
            for_each_vector<T>(std::size_t(begin) * 64, stop < p.size ? stop : p.size, [&](std::size_t k, int n) {
                const Vec<T> g = load(p.gradients + k, n);
                Vec<T> m = load(p.m + k, n), v = load(p.v + k, n);
                m = fma(rate_1, g - m, m);
                v = fma(rate_2, fma(g, g, -v), v);
                store(p.m + k, m, n);
                store(p.v + k, v, n);
                store(p.parameters + k, load(p.parameters + k, n) - alpha * m / (sqrt<T>(v) + epsilon), n);
            });
        },
        &problem);
}

}  // namespace lstmcore::LSTMCORE_ISA
