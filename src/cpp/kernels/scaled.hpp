// Numbers m 2^e, with e a whole number in a double: what sums of products of thousands of probabilities are made of.
// Those of one sum may differ by far more than the exponents of a double hold, in a network sure of its blanks for
// instance, or behind tags that cannot follow one another: scaling a step as a whole (Rabiner 1989) would lose them. So
// every number has an exponent of its own. To add some is to shift them to the largest e: no exponential, no logarithm,
// and nothing is lost but what is 2^-1000 of its neighbour.
#pragma once

#include "simd.hpp"

namespace lstmcore::LSTMCORE_ISA::scaled {

using V = Vec<double>;
constexpr long width = lanes<double>;

constexpr double zero_exponent = -1e200;  // that of 0, whatever m is: added to often, still far below all others
constexpr double impossible = -1e12;      // log-probabilities below are -inf: e is a whole number in a double

struct Scaled {
    V m, e;
};

struct ScaledArray {
    double *m, *e;
    LSTMCORE_INLINE Scaled at(long s) const { return {load(m + s), load(e + s)}; }
    LSTMCORE_INLINE void set(long s, Scaled v) const {
        store(m + s, v.m);
        store(e + s, v.e);
    }
};

LSTMCORE_INLINE Scaled zero() { return {V{}, broadcast(zero_exponent)}; }

// m 2^e; below the range of a double, 0.
LSTMCORE_INLINE V unscaled(V m, V e) {
#if defined(__AVX512F__)
    return (V)_mm512_maskz_scalef_pd(0xFF, (__m512d)m, (__m512d)e);
#else
    using C = ExpConstants<double>;
    e = larger(broadcast(-1023.), smaller(broadcast(1024.), e));  // 2^e is 0 and infinity in bits
    return m * (V)(((Int<double>)(e + broadcast(C::round)) << C::mantissa_bits) + C::one_bits);
#endif
}

LSTMCORE_INLINE Scaled sum(Scaled a, Scaled b) {
    const V e = larger(a.e, b.e);
    return {unscaled(a.m, a.e - e) + unscaled(b.m, b.e - e), e};
}

LSTMCORE_INLINE Scaled sum(Scaled a, Scaled b, Scaled c) {
    const V e = larger(larger(a.e, b.e), c.e);
    return {unscaled(a.m, a.e - e) + unscaled(b.m, b.e - e) + unscaled(c.m, c.e - e), e};
}

LSTMCORE_INLINE Scaled product(Scaled a, Scaled b) { return {a.m * b.m, a.e + b.e}; }

// The same number with m in [1, 2).
LSTMCORE_INLINE Scaled normalised(Scaled v) {
    using C = ExpConstants<double>;
    const Int<double> bits = (Int<double>)v.m;
    const V two_52 = broadcast(4503599627370496.);  // whose last bits are whole numbers
    const V exponent = (V)((bits >> C::mantissa_bits) | (Int<double>)two_52) - two_52;
    const Int<double> digits = bits & ((int64_t(1) << C::mantissa_bits) - 1);
    return {(V)(digits | C::one_bits), v.e + (exponent - broadcast(1023.))};
}

// e^x
LSTMCORE_INLINE Scaled exponential(V x) {
    const auto none = x < broadcast(impossible);
    const V bounded = larger(broadcast(impossible), smaller(broadcast(-impossible), x));
    V fraction;
    const V e = exp_fraction<double>(bounded, fraction) - broadcast(ExpConstants<double>::round);
    return {none ? V{} : broadcast(1.) + fraction, none ? broadcast(zero_exponent) : e};
}

LSTMCORE_INLINE double total(V v) {
    double sum = v[0];
    for (int l = 1; l < width; ++l) sum += v[l];
    return sum;
}

// The first n of as many numbers as a vector has lanes, and -inf for the others.
LSTMCORE_INLINE V load_logits(const double* p, long n) {
    if (n >= width) return load(p);
    V v = broadcast(-__builtin_inf());
    for (long l = 0; l < n; ++l) v[l] = p[l];
    return v;
}
LSTMCORE_INLINE V load_logits(const float* p, long n) {
    typedef float Half __attribute__((vector_size(vector_bytes / 2)));
    Half v{};
    if (n >= width)
        std::memcpy(&v, p, sizeof v);
    else
        for (long l = 0; l < width; ++l) v[l] = l < n ? p[l] : -__builtin_inff();
    return __builtin_convertvector(v, V);
}

LSTMCORE_INLINE void store_some(double* p, V v, long n) {
    if (n >= width) return store(p, v);
    for (long l = 0; l < n; ++l) p[l] = v[l];
}
LSTMCORE_INLINE void store_some(float* p, V v, long n) {
    typedef float Half __attribute__((vector_size(vector_bytes / 2)));
    const Half half = __builtin_convertvector(v, Half);
    if (n >= width)
        std::memcpy(p, &half, sizeof half);
    else
        for (long l = 0; l < n; ++l) p[l] = half[l];
}

}  // namespace lstmcore::LSTMCORE_ISA::scaled
