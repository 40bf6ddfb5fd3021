// Loops that do nothing but reach a limit of the machine, for the benchmarks to hold against.
#pragma once

#include "simd.hpp"

namespace lstmcore::LSTMCORE_ISA {

// Independent multiply-adds in registers; twelve chains cover the latency of any core we know.
template <class T>
double multiply_add_loop(long rounds, T* sink) {
    constexpr int chains = 12;
    Vec<T> sum[chains];
    for (int n = 0; n < chains; ++n) sum[n] = broadcast(T(n));
    Vec<T> a = broadcast(T(0.999)), b = broadcast(T(0.001));
    for (long k = 0; k < rounds; ++k) {
#pragma GCC unroll 12
        for (int n = 0; n < chains; ++n) sum[n] = fma(sum[n], a, b);
    }
    Vec<T> total{};
    for (int n = 0; n < chains; ++n) total += sum[n];
    store(sink, total);
    return 2.0 * chains * lanes<T> * double(rounds);
}

template <class T>
void read_loop(const T* data, std::size_t n, T* sink) {
    constexpr int streams = 8;
    Vec<T> sum[streams] = {};
    for (std::size_t k = 0; k + streams * lanes<T> <= n; k += streams * lanes<T>) {
#pragma GCC unroll 8
        for (int s = 0; s < streams; ++s) sum[s] += load(data + k + s * lanes<T>);
    }
    Vec<T> total{};
    for (int s = 0; s < streams; ++s) total += sum[s];
    store(sink, total);
}

}  // namespace lstmcore::LSTMCORE_ISA
