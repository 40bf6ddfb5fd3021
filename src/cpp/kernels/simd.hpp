// The vector vocabulary every kernel is written in: one vector type per element type, a handful of
// operations, and the activation functions built from them. Included once per instruction set,
// inside that set's namespace; only `fma` and the partial loads and stores differ between sets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#define LSTMCORE_INLINE inline __attribute__((always_inline))

namespace lstmcore::LSTMCORE_ISA {

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
#elif defined(__AVX2__)
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;
#endif

template <class T>
struct Simd;

template <>
struct Simd<float> {
    typedef float Vec __attribute__((vector_size(vector_bytes)));
    typedef int32_t Int __attribute__((vector_size(vector_bytes)));
    typedef float Unaligned __attribute__((vector_size(vector_bytes), aligned(4), may_alias));
};

template <>
struct Simd<double> {
    typedef double Vec __attribute__((vector_size(vector_bytes)));
    typedef int64_t Int __attribute__((vector_size(vector_bytes)));
    typedef double Unaligned __attribute__((vector_size(vector_bytes), aligned(8), may_alias));
};

template <class T>
using Vec = typename Simd<T>::Vec;
template <class T>
using Int = typename Simd<T>::Int;
template <class T>
constexpr int lanes = vector_bytes / int(sizeof(T));

// --- loads, stores, broadcast ---------------------------------------------------------------

template <class T>
LSTMCORE_INLINE Vec<T> load(const T* p) {
    return *reinterpret_cast<const typename Simd<T>::Unaligned*>(p);
}

template <class T>
LSTMCORE_INLINE void store(T* p, Vec<T> v) {
    *reinterpret_cast<typename Simd<T>::Unaligned*>(p) = v;
}

// Subtracting +0 is exact for every x, including -0, so this compiles to a bare broadcast.
template <class T>
LSTMCORE_INLINE Vec<T> broadcast(T x) {
    return x - Vec<T>{};
}

#if defined(__AVX512F__)
LSTMCORE_INLINE Vec<float> load(const float* p, int n) {
    return (Vec<float>)_mm512_maskz_loadu_ps(__mmask16((1u << n) - 1u), p);
}
LSTMCORE_INLINE Vec<double> load(const double* p, int n) {
    return (Vec<double>)_mm512_maskz_loadu_pd(__mmask8((1u << n) - 1u), p);
}
LSTMCORE_INLINE void store(float* p, Vec<float> v, int n) {
    _mm512_mask_storeu_ps(p, __mmask16((1u << n) - 1u), (__m512)v);
}
LSTMCORE_INLINE void store(double* p, Vec<double> v, int n) {
    _mm512_mask_storeu_pd(p, __mmask8((1u << n) - 1u), (__m512d)v);
}
#else
// The first n lanes (1 <= n <= lanes); the others read as zero and are not written.
template <class T>
LSTMCORE_INLINE Vec<T> load(const T* p, int n) {
    if (n == lanes<T>) return load(p);
    T part[lanes<T>] = {};
    for (int l = 0; l < n; ++l) part[l] = p[l];
    return load(part);
}
template <class T>
LSTMCORE_INLINE void store(T* p, Vec<T> v, int n) {
    if (n == lanes<T>) return store(p, v);
    for (int l = 0; l < n; ++l) p[l] = v[l];
}
#endif

// --- shuffles -------------------------------------------------------------------------------

// Exchanges the lanes of a where bit s of their number is set with those of b where it is not.
template <class T, int s, int... l>
LSTMCORE_INLINE void exchange(Vec<T>& a, Vec<T>& b, std::integer_sequence<int, l...>) {
#ifdef __clang__
    const Vec<T> first = __builtin_shufflevector(a, b, (l & s ? lanes<T> + l - s : l)...);
    b = __builtin_shufflevector(a, b, (l & s ? lanes<T> + l : l + s)...);
#else
    const Vec<T> first = __builtin_shuffle(a, b, Int<T>{(l & s ? lanes<T> + l - s : l)...});
    b = __builtin_shuffle(a, b, Int<T>{(l & s ? lanes<T> + l : l + s)...});
#endif
    a = first;
}

// Lane l becomes lane l + by, counted round.
template <class T, int by, int... l>
LSTMCORE_INLINE Vec<T> rotate(Vec<T> v, std::integer_sequence<int, l...>) {
#ifdef __clang__
    return __builtin_shufflevector(v, v, ((l + by) % lanes<T>)...);
#else
    return __builtin_shuffle(v, Int<T>{((l + by) % lanes<T>)...});
#endif
}
template <class T, int by>
LSTMCORE_INLINE Vec<T> rotate(Vec<T> v) {
    return rotate<T, by>(v, std::make_integer_sequence<int, lanes<T>>{});
}

template <class T, int s = lanes<T> / 2>
LSTMCORE_INLINE T sum_of_lanes(Vec<T> v) {
    if constexpr (s == 0)
        return v[0];
    else
        return sum_of_lanes<T, s / 2>(v + rotate<T, s>(v));
}

// A square matrix of vectors becomes its transpose: blocks of s x s change places, s halving.
template <class T, int s = lanes<T> / 2>
LSTMCORE_INLINE void transpose(Vec<T> (&v)[lanes<T>]) {
    if constexpr (s > 0) {
#pragma GCC unroll 16
        for (int i = 0; i < lanes<T>; ++i)
            if (!(i & s)) exchange<T, s>(v[i], v[i + s], std::make_integer_sequence<int, lanes<T>>{});
        transpose<T, s / 2>(v);
    }
}

// --- arithmetic -----------------------------------------------------------------------------

// a * b + c, rounded once where the instruction set can. The compiler may not contract on its own
// (-ffp-contract=off): every code path that adds the same terms in the same order then gives the
// same bits.
#if defined(__AVX512F__)
LSTMCORE_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
    return (Vec<float>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
LSTMCORE_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
    return (Vec<double>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
#elif defined(__AVX2__)
LSTMCORE_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
    return (Vec<float>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
LSTMCORE_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
    return (Vec<double>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
#elif defined(__ARM_NEON)
LSTMCORE_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
    return (Vec<float>)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
LSTMCORE_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
    return (Vec<double>)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
}
#else
template <class V>
LSTMCORE_INLINE V fma(V a, V b, V c) {
    return a * b + c;
}
#endif

// The larger, the smaller of two; b where either is NaN.
#if defined(__AVX512F__)
LSTMCORE_INLINE Vec<float> larger(Vec<float> a, Vec<float> b) {
    return (Vec<float>)_mm512_maskz_max_ps(0xFFFF, (__m512)a, (__m512)b);
}
LSTMCORE_INLINE Vec<double> larger(Vec<double> a, Vec<double> b) {
    return (Vec<double>)_mm512_maskz_max_pd(0xFF, (__m512d)a, (__m512d)b);
}
LSTMCORE_INLINE Vec<float> smaller(Vec<float> a, Vec<float> b) {
    return (Vec<float>)_mm512_maskz_min_ps(0xFFFF, (__m512)a, (__m512)b);
}
LSTMCORE_INLINE Vec<double> smaller(Vec<double> a, Vec<double> b) {
    return (Vec<double>)_mm512_maskz_min_pd(0xFF, (__m512d)a, (__m512d)b);
}
#else
template <class V>
LSTMCORE_INLINE V larger(V a, V b) {
    return a > b ? a : b;
}
template <class V>
LSTMCORE_INLINE V smaller(V a, V b) {
    return a < b ? a : b;
}
#endif

// --- exponentials ---------------------------------------------------------------------------

// expm1 on [-ln2/2, ln2/2] is r + r^2 q(r); q is the minimax polynomial of lowest degree whose
// relative error stays well below the rounding of the type (1.3e-8 and 2.6e-19), computed with a
// Remez exchange at 50 digits. ln2 is split so that n * ln2_high is exact.
template <class T>
struct ExpConstants;

template <>
struct ExpConstants<float> {
    static constexpr float log2e = 1.44269504088896341f;
    static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440054690583e-4f;
    static constexpr float round = 12582912.f;  // 1.5 * 2^23: adding it leaves x rounded in the low bits
    static constexpr int mantissa_bits = 23;
    static constexpr int32_t one_bits = 0x3F800000;
    static constexpr float overflow = 88.3f;   // e^x still has a finite scale; its inverse is denormal
    static constexpr float underflow = -87.f;  // e^x is still normal
    static constexpr float tanh_saturates = 20.f;
    static constexpr float q[] = {0.5000000062f, 0.1666654279f, 0.04166628141f, 0.008366610587f, 0.001394649624f};
};

template <>
struct ExpConstants<double> {
    static constexpr double log2e = 1.44269504088896340736;
    static constexpr double ln2_high = 0.693145751953125, ln2_low = 1.42860682030941723212e-6;
    static constexpr double round = 6755399441055744.;  // 1.5 * 2^52
    static constexpr int mantissa_bits = 52;
    static constexpr int64_t one_bits = 0x3FF0000000000000;
    static constexpr double overflow = 709.;
    static constexpr double underflow = -708.;
    static constexpr double tanh_saturates = 40.;
    static constexpr double q[] = {0.49999999999999999986,   0.16666666666666676639,   0.041666666666666701485,
                                   0.0083333333333215782753, 0.0013888888888866779297, 0.00019841269886266293788,
                                   2.4801587360669884517e-5, 2.7557244061898388868e-6, 2.7557242663845035166e-7,
                                   2.5109090412948642663e-8, 2.0924472598333800049e-9};
};

// Splits e^x into 2^n and fraction = e^(x - n ln2) - 1, |x - n ln2| <= ln2/2; returns n + round.
template <class T>
LSTMCORE_INLINE Vec<T> exp_fraction(Vec<T> x, Vec<T>& fraction) {
    using C = ExpConstants<T>;
    const Vec<T> shifted = fma(x, broadcast(C::log2e), broadcast(C::round));
    const Vec<T> n = shifted - broadcast(C::round);
    Vec<T> r = fma(n, broadcast(-C::ln2_high), x);
    r = fma(n, broadcast(-C::ln2_low), r);
    constexpr int degree = int(sizeof(C::q) / sizeof(T)) - 1;
    Vec<T> q = broadcast(C::q[degree]);
#pragma GCC unroll 16
    for (int d = degree - 1; d >= 0; --d) q = fma(q, r, broadcast(C::q[d]));
    fraction = fma(q, r * r, r);
    return shifted;
}

// The same with scale = 2^n, for x between underflow and overflow.
template <class T>
LSTMCORE_INLINE void exp_parts(Vec<T> x, Vec<T>& scale, Vec<T>& fraction) {
    using C = ExpConstants<T>;
    const Vec<T> shifted = exp_fraction<T>(x, fraction);
    scale = (Vec<T>)(((Int<T>)shifted << C::mantissa_bits) + C::one_bits);
}

// e^x for x up to overflow; zero below underflow, as denormals are.
template <class T>
LSTMCORE_INLINE Vec<T> exp(Vec<T> x) {
    const Vec<T> low = broadcast(ExpConstants<T>::underflow), zero{};
    Vec<T> scale, fraction;
    exp_parts<T>(larger(low, x), scale, fraction);
    return x < low ? zero : fma(scale, fraction, scale);
}

// 1 / (1 + e^-x). 1 + scale is exact where it matters, so the denominator is rounded once. Below
// -overflow the result is denormal and so flushed to zero.
template <class T>
LSTMCORE_INLINE Vec<T> sigmoid(Vec<T> x) {
    using C = ExpConstants<T>;
    const Vec<T> high = broadcast(C::overflow), low = broadcast(C::underflow);
    const Vec<T> z = larger(low, smaller(high, -x));
    Vec<T> scale, fraction;
    exp_parts<T>(z, scale, fraction);
    const Vec<T> one = broadcast(T(1));
    return one / fma(scale, fraction, one + scale);
}

// With e = e^(-2|x|): tanh|x| = (1 - e) / (1 + e) below 5/8, where 1 - e is taken as -expm1 and so
// loses nothing near zero, and 1 - 2 e / (1 + e) above, where the rounding of the quotient is lost
// in the subtraction.
template <class T>
LSTMCORE_INLINE Vec<T> tanh(Vec<T> x) {
    using C = ExpConstants<T>;
    const Int<T> sign_bit = (Int<T>)broadcast(T(-0.0));
    const Vec<T> one = broadcast(T(1)), low = broadcast(-C::tanh_saturates);
    const Vec<T> negative = (Vec<T>)((Int<T>)x | sign_bit);
    const Vec<T> z = larger(low, negative + negative);
    Vec<T> scale, fraction;
    exp_parts<T>(z, scale, fraction);
    const auto large = z <= broadcast(T(-1.25));
    const Vec<T> numerator = fma(scale, fraction, large ? scale : scale - one);
    const Vec<T> quotient = numerator / fma(scale, fraction, one + scale);
    const Vec<T> magnitude = large ? fma(broadcast(T(-2)), quotient, one) : quotient;
    return (Vec<T>)((((Int<T>)x ^ (Int<T>)magnitude) & sign_bit) ^ (Int<T>)magnitude);  // with the sign of x
}

// log(1 + u) for u in [0, 1] is 2 s + 2 s w p(w) with s = u / (2 + u) and w = s^2 (it is 2 atanh(s)); p is found as q
// above is, with errors of 4.5e-9 and 1.3e-18.
template <class T>
struct LogConstants;

template <>
struct LogConstants<float> {
    static constexpr float p[] = {0.3333320657f, 0.2001084952f, 0.139995706f, 0.1401222915f};
};

template <>
struct LogConstants<double> {
    static constexpr double p[] = {0.33333333333333151891,  0.20000000000078624549,  0.1428571427392660831,
                                   0.11111111984883454929,  0.090908719619056644319, 0.07693279972193509008,
                                   0.066504866662174238586, 0.060530440418283208233, 0.041700470933118427321,
                                   0.085092938939451246967};
};

// log(1 / (1 + e^-x)) = min(x, 0) - log(1 + e^-|x|)
template <class T>
LSTMCORE_INLINE Vec<T> log_sigmoid(Vec<T> x) {
    using C = LogConstants<T>;
    const Vec<T> zero{}, two = broadcast(T(2));
    const Vec<T> u = exp<T>((Vec<T>)((Int<T>)x | (Int<T>)broadcast(T(-0.0))));
    const Vec<T> s = u / (two + u), w = s * s, twice = s + s;
    constexpr int degree = int(sizeof(C::p) / sizeof(T)) - 1;
    Vec<T> p = broadcast(C::p[degree]);
#pragma GCC unroll 16
    for (int d = degree - 1; d >= 0; --d) p = fma(p, w, broadcast(C::p[d]));
    return smaller(zero, x) - fma(twice * w, p, twice);
}

}  // namespace lstmcore::LSTMCORE_ISA
