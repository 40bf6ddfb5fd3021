// What a product multiplies: the numbers as they are, or narrow ones, two bfloat16 or four int8 of consecutive k in a
// word of 32 bits. A vector of a panel is a vector of such words, so that the loops over panels, tiles and blocks are
// the same for all: `depth` counts words. Words stand in arrays of T and are never read as numbers.
//
// A product has:
//   narrow, group       whether its operands are narrow, and how many stand in a word
//   scaled              whether panels begin with a vector of scales for each of theirs
//   Element             of the arrays
//   Sum, parts          what a block is added up in, and in how many goes
//   words, row          part of a panel's vector, and the same part of a row's word for all lanes
//   multiply_add        sum + row * words
// and a narrow one
//   head                elements that a row of words has before them
//   read_row            turns a row of numbers into such a row
//   PackColumns         turns a vector of columns into words
#pragma once

#include "../core.hpp"
#include "simd.hpp"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace lstmcore::LSTMCORE_ISA {

LSTMCORE_INLINE long ceil_div(long a, long b) { return (a + b - 1) / b; }
LSTMCORE_INLINE long min(long a, long b) { return a < b ? a : b; }
LSTMCORE_INLINE long max(long a, long b) { return a > b ? a : b; }

// Terms added up in registers before they join the rest: long sums lose less this way. The fewer, the less, and
// the longer it takes: 1 % of the time for half as many. Sums over rows, the gradients of weights, are the longest.
// With these numbers the rounding errors of an LSTM are about PyTorch's or less (tests/test_peers.py).
constexpr long sum_block = 256, row_sum_block = 128;

template <class T>
struct Plain {
    static constexpr bool narrow = false, scaled = false;
    static constexpr int group = 1, parts = 1;
    using Element = T;
    using Sum = Vec<T>;
    static LSTMCORE_INLINE Vec<T> words(const T* p, int) { return load(p); }
    static LSTMCORE_INLINE Vec<T> row(T x, int) { return broadcast(x); }
    static LSTMCORE_INLINE Vec<T> multiply_add(Vec<T> x, Vec<T> b, Vec<T> sum) { return fma(x, b, sum); }
};

// --- words ----------------------------------------------------------------------------------

typedef int32_t Word __attribute__((may_alias));
typedef int32_t UnalignedWords __attribute__((vector_size(vector_bytes), aligned(4), may_alias));
typedef uint32_t Bits __attribute__((vector_size(vector_bytes)));
using Words = Int<float>;

LSTMCORE_INLINE Words load_words(const float* p) { return *reinterpret_cast<const UnalignedWords*>(p); }
LSTMCORE_INLINE void store_words(float* p, Words v) { *reinterpret_cast<UnalignedWords*>(p) = v; }
LSTMCORE_INLINE Words all_lanes(int32_t word) { return word - Words{}; }

// Rows of `words` words in memory, with room for whole vectors.
template <class Product>
LSTMCORE_INLINE long row_stride(long terms) {
    const long words = ceil_div(terms, Product::group);
    return Product::head(words) + ceil_div(words, lanes<float>) * lanes<float>;
}

// Words as an instruction takes them, or in parts, each of which `Product` widens.
struct WholeWords {
    static constexpr int parts = 1;
    static LSTMCORE_INLINE Words words(const float* p, int) { return load_words(p); }
    static LSTMCORE_INLINE Words row(int32_t word, int) { return all_lanes(word); }
};
template <class Product, int n>
struct WidenedWords {
    static constexpr int parts = n;
    static LSTMCORE_INLINE auto words(const float* p, int part) { return Product::widened(load_words(p), part); }
    static LSTMCORE_INLINE auto row(int32_t word, int part) { return Product::widened(all_lanes(word), part); }
};

// --- bfloat16 -------------------------------------------------------------------------------

// The upper half of a float32, rounded to nearest even; what is no number stays none.
LSTMCORE_INLINE Bits bfloat16_bits(Vec<float> x) {
    const Bits bits = (Bits)x;
    const Bits rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16, quiet = (bits >> 16) | 0x40u;
    return (Bits)((Int<float>)(bits & 0x7FFFFFFFu) > 0x7F800000 ? (Words)quiet : (Words)rounded);
}

#if defined(__AVX512BF16__)
using Bfloat16Words = WholeWords;
#else
using Bfloat16Words = WidenedWords<struct Bfloat16, 2>;
#endif

struct Bfloat16 : Bfloat16Words {
    static constexpr bool narrow = true, scaled = false;
    static constexpr int group = 2, offset = 0;
    using Element = float;
    using Sum = Vec<float>;
    static long head(long) { return 0; }
    static LSTMCORE_INLINE Vec<float> widened(Words w, int part) {
        return (Vec<float>)(part == 0 ? Words((Bits)w & 0xFFFF0000u) : Words((Bits)w << 16));
    }

#if defined(__AVX512BF16__)
    static LSTMCORE_INLINE Vec<float> multiply_add(Words x, Words b, Vec<float> sum) {
        return (Vec<float>)_mm512_dpbf16_ps((__m512)sum, (__m512bh)x, (__m512bh)b);
    }
#else
    // In the order of the instruction above: the second number of a pair before the first. A product of two bfloat16
    // is exact in float32, so there is one rounding with and without fma.
    static LSTMCORE_INLINE Vec<float> multiply_add(Vec<float> x, Vec<float> b, Vec<float> sum) {
        return fma(x, b, sum);
    }
#endif

    typedef uint16_t Halves __attribute__((vector_size(vector_bytes / 2)));
    static LSTMCORE_INLINE Halves halves(Vec<float> x) { return __builtin_convertvector(bfloat16_bits(x), Halves); }
    static LSTMCORE_INLINE void store_some(uint16_t* to, Vec<float> x, int n) {
        const Halves all = halves(x);
        if (n == lanes<float>)
            std::memcpy(to, &all, sizeof all);
        else
            std::memcpy(to, &all, n * sizeof *to);
    }
    static LSTMCORE_INLINE Vec<float> load_some(const uint16_t* from, int n) {
        Halves all{};
        if (n == lanes<float>)
            std::memcpy(&all, from, sizeof all);
        else
            std::memcpy(&all, from, n * sizeof *from);
        return (Vec<float>)(__builtin_convertvector(all, Bits) << 16);
    }
    static void read_row(float* to, const float* from, long n, float, float) {
        char* out = reinterpret_cast<char*>(to);
        for (long k = 0; k < n; k += lanes<float>) {
            const Halves all = halves(load(from + k, int(min(lanes<float>, n - k))));
            std::memcpy(out + k * 2, &all, sizeof all);
        }
    }

    // Words of two rows' numbers of the same columns, as they are or narrow; a second row of null is zeros.
    static LSTMCORE_INLINE Words word(Vec<float> first, Vec<float> second) {
        return Words(bfloat16_bits(first) | bfloat16_bits(second) << 16);
    }
    static LSTMCORE_INLINE Words pairs(const uint16_t* first, const uint16_t* second) {
        Halves a, b{};
        std::memcpy(&a, first, sizeof a);
        if (second) std::memcpy(&b, second, sizeof b);
        return Words(__builtin_convertvector(a, Bits) | __builtin_convertvector(b, Bits) << 16);
    }

    struct PackColumns {
        Words word(const float* rows) const { return Bfloat16::word(load(rows), load(rows + lanes<float>)); }
    };
};

// --- int8 -----------------------------------------------------------------------------------

// x is nearly scale * q, with whole numbers q from -127 to 127 and scale the largest |x| over 127.
#if defined(__AVX512VNNI__) || defined(__ARM_FEATURE_DOTPROD)
using Int8Words = WholeWords;
#elif defined(__SSE2__)
using Int8Words = WidenedWords<struct Int8, 2>;
#else
using Int8Words = WidenedWords<struct Int8, 4>;
#endif

struct Int8 : Int8Words {
    static constexpr bool narrow = true, scaled = true;
    static constexpr int group = 4;
    static constexpr float most = 127.f, smallest = 1.17549435e-38f;  // below it scales are 0, as denormals are
    using Element = float;
    using Sum = Words;

#if defined(__AVX512VNNI__)
    // The instruction wants its first operand unsigned: weights stand as q + 128. What that is too much, 128 times the
    // sum of the row's numbers, each block of a sum begins with; rows have it before their words.
    static constexpr int offset = 128;
    static LSTMCORE_INLINE Words multiply_add(Words x, Words b, Words sum) {
        return (Words)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)b, (__m512i)x);
    }
#elif defined(__ARM_FEATURE_DOTPROD)
    static constexpr int offset = 0;
    static LSTMCORE_INLINE Words multiply_add(Words x, Words b, Words sum) {
        return (Words)vdotq_s32((int32x4_t)sum, (int8x16_t)b, (int8x16_t)x);
    }
#elif defined(__SSE2__)
    // Every other byte, as numbers of 16 bits.
    static constexpr int offset = 0;
    static LSTMCORE_INLINE Words widened(Words w, int part) {
        typedef int16_t Shorts __attribute__((vector_size(vector_bytes)));
        typedef uint16_t ShortBits __attribute__((vector_size(vector_bytes)));
        return (Words)((part == 0 ? (Shorts)((ShortBits)w << 8) : (Shorts)w) >> 8);
    }
    static LSTMCORE_INLINE Words multiply_add(Words x, Words b, Words sum) {
#if defined(__AVX512F__)
        return sum + (Words)_mm512_madd_epi16((__m512i)x, (__m512i)b);
#elif defined(__AVX2__)
        return sum + (Words)_mm256_madd_epi16((__m256i)x, (__m256i)b);
#else
        return sum + (Words)_mm_madd_epi16((__m128i)x, (__m128i)b);
#endif
    }
#else
    static constexpr int offset = 0;
    static LSTMCORE_INLINE Words widened(Words w, int part) { return Words((Bits)w << (24 - 8 * part)) >> 24; }
    static LSTMCORE_INLINE Words multiply_add(Words x, Words b, Words sum) { return sum + x * b; }
#endif

    // Rounded to nearest even, as whole numbers.
    static LSTMCORE_INLINE Words whole(Vec<float> x) {
        const Vec<float> shift = broadcast(ExpConstants<float>::round);
        return Words((Bits)(x + shift) - (Bits)shift);
    }
    // |x| as bits, whose order is that of the numbers, with NaN above all.
    static LSTMCORE_INLINE Words magnitude(Vec<float> x) { return (Words)x & 0x7FFFFFFF; }
    static LSTMCORE_INLINE Words largest(Words a, Words b) { return a > b ? a : b; }

    // A row: its scale, what each block of a sum begins with, then its words.
    static long head(long words) { return 1 + ceil_div(words, sum_block); }

    // The scale is that of `least` or more, or the one that is given (not 0), beyond which numbers are cut off. A row
    // with what is no finite number has none, and so has all that it is multiplied with.
    static void read_row(float* to, const float* from, long n, float least, float given) {
        typedef int8_t Bytes __attribute__((vector_size(vector_bytes / 4)));
        constexpr long of_block = sum_block * group;
        Words top{};
        for (long k = 0; k < n; k += lanes<float>)
            top = largest(magnitude(load(from + k, int(min(lanes<float>, n - k)))), top);
        float most_of_row = least;
        for (int l = 0; l < lanes<float>; ++l) {
            const float x = ((Vec<float>)top)[l];
            if (!(x <= most_of_row)) most_of_row = x;
            if (x != x) break;
        }
        float scale = (given > 0 ? given : most_of_row / most) + (most_of_row - most_of_row);
        if (scale < smallest) scale = 0;
        const Vec<float> divisor = broadcast(scale > 0 ? scale : 1.f);
        to[0] = scale;
        char* out = reinterpret_cast<char*>(to + head(ceil_div(n, group)));
        for (long block = 0, k = 0; k < n; ++block) {
            Bits sum{};  // unsigned: a row without a scale has anything for its numbers
            for (const long end = min(n, k + of_block); k < end; k += lanes<float>) {
                const Vec<float> x = load(from + k, int(min(lanes<float>, n - k))) / divisor;
                const Words q = whole(larger(broadcast(-most), smaller(broadcast(most), x)));
                const Bytes bytes = __builtin_convertvector(q, Bytes);
                std::memcpy(out + k, &bytes, sizeof bytes);
                sum += (Bits)q;
            }
            if constexpr (offset > 0) {
                uint32_t all = 0;
                for (int l = 0; l < lanes<float>; ++l) all += sum[l];
                reinterpret_cast<Word*>(to + 1)[block] = int32_t(0u - offset * all);
            }
        }
    }

    struct PackColumns {
        Words top{};
        Vec<float> divisor{};
        void look(const float* rows, long count) {
            for (long k = 0; k < count; ++k) top = largest(magnitude(load(rows + k * lanes<float>)), top);
        }
        Vec<float> scales() {
            const Vec<float> scale = (Vec<float>)top / broadcast(most), none{};
            divisor = scale >= broadcast(smallest) ? scale : broadcast(1.f);
            return scale >= broadcast(smallest) ? scale : none;
        }
        Words word(const float* rows) const {
            Bits word{};
            for (int i = 0; i < group; ++i)
                word |= ((Bits)whole(load(rows + i * lanes<float>) / divisor) & 0xFFu) << (8 * i);
            return Words(offset ? word ^ 0x80808080u : word);
        }
    };
};

// --- tiles ----------------------------------------------------------------------------------

// Rows of a tile are a product's left operands; they also say what a block of a sum begins with and what it comes to.
template <class T>
struct PlainTile {
    using Product = Plain<T>;
    static LSTMCORE_INLINE Vec<T> start(int, long) { return Vec<T>{}; }
    static LSTMCORE_INLINE Vec<T> value(Vec<T> block, int, int) { return block; }
};

// R rows of words, `first` words on; scales: of the panel.
template <class Product_, int R>
struct NarrowTile {
    using Product = Product_;
    static constexpr long block = sum_block;
    const Word* row[R];
    const float *head[R], *scales;
    long first;
    LSTMCORE_INLINE int32_t operator()(int r, long k) const { return row[r][k]; }
    LSTMCORE_INLINE typename Product::Sum start(int r, long k) const {
        if constexpr (Product::offset > 0)
            return all_lanes(reinterpret_cast<const Word*>(head[r] + 1)[(first + k) / sum_block]);
        return typename Product::Sum{};
    }
    LSTMCORE_INLINE Vec<float> value(typename Product::Sum block, int r, int n) const {
        if constexpr (Product::scaled)
            return __builtin_convertvector(block, Vec<float>) *
                   (broadcast(head[r][0]) * load(scales + n * lanes<float>));
        else
            return block;
    }
};

// Rows of words one after the other.
template <class Product>
struct NarrowRows {
    typename Product::Element* data;
    long terms;
    LSTMCORE_INLINE float* row(long b) const { return data + b * row_stride<Product>(terms); }
    LSTMCORE_INLINE void read(long b, const float* from, float least, float scale = 0) const {
        Product::read_row(row(b), from, terms, least, scale);
    }
    // The panel begins at `panel`; N vectors are a word of it.
    template <int R, int N>
    LSTMCORE_INLINE NarrowTile<Product, R> tile(long begin, long k, const float* panel) const {
        NarrowTile<Product, R> tile;
        const long head = Product::head(ceil_div(terms, Product::group));
        for (int r = 0; r < R; ++r) {
            tile.head[r] = row(begin + r);
            tile.row[r] = reinterpret_cast<const Word*>(tile.head[r] + head) + k;
        }
        // Without scales the panel may be null: where there are no words.
        tile.scales = Product::scaled ? panel - N * lanes<float> : nullptr;
        tile.first = k;
        return tile;
    }
};

// Columns of words one after the other, from pack_tiles: words of two rows.
template <class Product_, int R>
struct PackedWordTile {
    using Product = Product_;
    static constexpr long block = row_sum_block;
    const Word* packed;
    LSTMCORE_INLINE int32_t operator()(int r, long k) const { return packed[k * R + r]; }
    LSTMCORE_INLINE typename Product::Sum start(int, long) const { return typename Product::Sum{}; }
    LSTMCORE_INLINE Vec<float> value(typename Product::Sum block, int, int) const { return block; }
};
template <class Product>
struct PackedWords {
    const float* packed;
    long depth;
    template <int R>
    LSTMCORE_INLINE PackedWordTile<Product, R> tile(long begin, long k) const {
        return {reinterpret_cast<const Word*>(packed + begin * depth + k * R)};
    }
};

}  // namespace lstmcore::LSTMCORE_ISA
