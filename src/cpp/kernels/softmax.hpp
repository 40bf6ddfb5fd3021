// The softmax of rows, as of the scores of attention: scaled, masked and turned into weights while a row is in the
// first cache.
#pragma once

#include <algorithm>
#include <cstring>

#include "../core.hpp"
#include "../threads.hpp"
#include "elementwise.hpp"
#include "simd.hpp"

namespace lstmcore::LSTMCORE_ISA {

template <class T>
constexpr T lowest = -T(__builtin_inf());

template <class T, int s = lanes<T> / 2>
LSTMCORE_INLINE T largest_of_lanes(Vec<T> v) {
    if constexpr (s == 0)
        return v[0];
    else
        return largest_of_lanes<T, s / 2>(larger(v, rotate<T, s>(v)));
}

// A byte for each lane.
template <class T>
struct Bytes;
template <>
struct Bytes<float> {
    typedef uint8_t Vec __attribute__((vector_size(lanes<float>)));
};
template <>
struct Bytes<double> {
    typedef uint8_t Vec __attribute__((vector_size(lanes<double>)));
};

// Where the first n of bytes are 0; the lanes behind them are as if they were.
template <class T>
LSTMCORE_INLINE Int<T> zero_bytes(const uint8_t* bytes, int n) {
    typename Bytes<T>::Vec given{};
    if (n == lanes<T>)
        std::memcpy(&given, bytes, sizeof given);
    else
        for (int l = 0; l < n; ++l) given[l] = bytes[l];
    return __builtin_convertvector(given, Int<T>) == Int<T>{};
}

// Lanes from the n-th on take `other`.
template <class T>
LSTMCORE_INLINE Vec<T> first_lanes(Vec<T> v, int n, T other) {
    for (int l = n; l < lanes<T>; ++l) v[l] = other;
    return v;
}

// Whether any of the bytes is not 0.
inline bool contains(const uint8_t* bytes, std::size_t count) {
    return std::any_of(bytes, bytes + count, [](uint8_t byte) { return byte != 0; });
}

// Calls f(row, its number, where its mask is or null) for the rows of a thread's share.
template <class T, class F>
void for_each_row(const SoftmaxProblem<T>& p, const Team& team, F f) {
    long begin, end;
    team.split(p.count * p.rows, begin, end);
    for (long n = begin; n < end; ++n) {
        const long matrix = n / p.rows, row = n % p.rows;
        f(p.x + n * p.columns, n,
          p.left_in ? p.left_in + matrix / p.matrices * p.left_in_next + row * p.left_in_row : nullptr);
    }
}

// y = e^(scale x - greatest) / sum, over what is left in; where nothing is, all are the same.
template <class T>
void softmax(const SoftmaxProblem<T>& problem) {
    parallel(
        problem.threads,
        [](const void* context, const Team& team) {
            const SoftmaxProblem<T>& p = *static_cast<const SoftmaxProblem<T>*>(context);
            const std::size_t columns = std::size_t(p.columns);
            for_each_row(p, team, [&](T* x, long, const uint8_t* left_in) {
                Vec<T> greatest = broadcast(lowest<T>);
                for_each_vector<T>(0, columns, [&](std::size_t k, int count) {
                    Vec<T> v = load(x + k, count) * broadcast(p.scale);
                    if (left_in) v = zero_bytes<T>(left_in + k, count) ? broadcast(lowest<T>) : v;
                    store(x + k, v, count);
                    greatest = larger(greatest, first_lanes(v, count, lowest<T>));
                });
                T most = largest_of_lanes<T>(greatest);
                if (left_in && most == lowest<T> && !contains(left_in, columns)) {
                    std::fill(x, x + columns, T(0));  // nobody is left: all have the same
                    most = 0;
                }
                const Vec<T> top = broadcast(most);
                Vec<T> sums{};
                for_each_vector<T>(0, columns, [&](std::size_t k, int count) {
                    const Vec<T> e = exp<T>(first_lanes(load(x + k, count) - top, count, lowest<T>));  // 0 beyond
                    store(x + k, e, count);
                    sums += e;
                });
                const Vec<T> sum = broadcast(sum_of_lanes<T>(sums));
                for_each_vector<T>(0, columns,
                                   [&](std::size_t k, int count) { store(x + k, load(x + k, count) / sum, count); });
            });
        },
        &problem);
}

// x, the gradient of y, becomes that of what y is the softmax of: dx = scale y (dy - sum(dy y)); 0 in a row of which
// all is left out.
template <class T>
void softmax_backward(const SoftmaxProblem<T>& problem) {
    parallel(
        problem.threads,
        [](const void* context, const Team& team) {
            const SoftmaxProblem<T>& p = *static_cast<const SoftmaxProblem<T>*>(context);
            const std::size_t columns = std::size_t(p.columns);
            for_each_row(p, team, [&](T* dx, long n, const uint8_t* left_in) {
                const T* y = p.y + n * p.columns;
                Vec<T> sums{};
                for_each_vector<T>(0, columns, [&](std::size_t k, int count) {
                    sums = fma(load(dx + k, count), load(y + k, count), sums);  // lanes beyond are zero
                });
                const Vec<T> sum = broadcast(sum_of_lanes<T>(sums));
                for_each_vector<T>(0, columns, [&](std::size_t k, int count) {
                    Vec<T> v = (load(dx + k, count) - sum) * load(y + k, count) * broadcast(p.scale);
                    if (left_in) v = zero_bytes<T>(left_in + k, count) ? Vec<T>{} : v;
                    store(dx + k, v, count);
                });
            });
        },
        &problem);
}

}  // namespace lstmcore::LSTMCORE_ISA
