// Matrix multiplication as three jobs, each in one place: packing knows layouts, the micro-kernel
// knows registers, the loops around it know caches.
//
// The right-hand matrix is packed into panels of `tile_vectors` vectors of columns, each panel
// depth-major: [panel][k][vector][lane]; the last panel has as many vectors as it needs. A tile is a
// few rows times one panel, and its accumulators stay in registers over a block of the depth. Every
// element of a product is the sum, in order, of the sums of these blocks (which keeps rounding
// small), whatever the tile or the thread.
#pragma once

#include "../core.hpp"
#include "../threads.hpp"
#include "products.hpp"

namespace lstmcore::LSTMCORE_ISA {

// Rows of a tile: 6 x 4 accumulators + 4 operands + a broadcast fit 32 registers, 3 x 4 fit 16.
#if (defined(__AVX512F__) || defined(__ARM_NEON)) && !defined(LSTMCORE_FLOAT64)
constexpr int tile_rows = 6;
#else
constexpr int tile_rows = 3;
#endif
constexpr int tile_vectors = 4;
// A panel of this depth is 128 KB on AVX-512: it stays in the second-level cache while all rows pass.
constexpr long depth_block = 512;
static_assert(depth_block % sum_block == 0 && depth_block % row_sum_block == 0,
              "a sum is cut at the same places wherever it is interrupted");

template <class T>
constexpr long panel_columns = long(tile_vectors) * lanes<T>;

template <int N>
struct Const {
    static constexpr int value = N;
};

// Calls f with the compile-time constant that equals n.
template <class F>
LSTMCORE_INLINE void with_rows(long n, F f) {
    static_assert(tile_rows == 3 || tile_rows == 6, "one case per tile height");
    switch (n) {
        case 1:
            return f(Const<1>{});
        case 2:
            return f(Const<2>{});
        case 3:
            return f(Const<3>{});
    }
    if constexpr (tile_rows > 3) switch (n) {
            case 4:
                return f(Const<4>{});
            case 5:
                return f(Const<5>{});
            case 6:
                return f(Const<6>{});
        }
}

template <class F>
LSTMCORE_INLINE void with_vectors(long n, F f) {
    switch (n) {
        case 1:
            return f(Const<1>{});
        case 2:
            return f(Const<2>{});
        case 3:
            return f(Const<3>{});
        case 4:
            return f(Const<4>{});
    }
}

// --- packing --------------------------------------------------------------------------------

// Packs `depth` rows of one vector of columns: element (k, l), l < count, is source[k * row + l *
// column], one of the strides 1; the lanes beyond count become zero. `stride` is the length of a
// packed row.
template <class T>
void pack_vector(T* packed, long stride, const T* source, std::ptrdiff_t row, std::ptrdiff_t column, long depth,
                 int count) {
    constexpr int L = lanes<T>;
    if (column == 1) {
        for (long k = 0; k < depth; ++k) store(packed + k * stride, load(source + k * row, count));
        return;
    }
    for (long k = 0; k < depth; k += L) {
        const int rows = int(min(L, depth - k));
        Vec<T> v[L] = {};
        if (rows == L) {
#pragma GCC unroll 16
            for (int l = 0; l < L; ++l)
                if (l < count) v[l] = load(source + l * column + k);
        } else {
            for (int l = 0; l < count; ++l) v[l] = load(source + l * column + k, rows);
        }
        transpose<T>(v);
        for (int i = 0; i < rows; ++i) store(packed + (k + i) * stride, v[i]);
    }
}

// Vectors of a panel for each of its columns' vectors: its scales and its words.
template <class Product>
LSTMCORE_INLINE long panel_rows(long terms) {
    return Product::scaled + ceil_div(terms, Product::group);
}

// Packs one vector of columns of a panel from rows of a vector each, which read(to, k, count) gives, some at a time.
template <class Product, class T, class Read>
void pack_columns(T* packed, long stride, long depth, const Read& read) {
    constexpr int L = lanes<T>;
    constexpr long some = 64;
    T rows[some * L];
    const auto for_some = [&](auto f) {
        for (long k = 0; k < depth; k += some) {
            const long count = min(some, depth - k), whole = ceil_div(count, Product::group) * Product::group;
            read(rows, k, count);
            std::memset(rows + count * L, 0, (whole - count) * L * sizeof(T));
            f(k, count);
        }
    };
    if constexpr (!Product::narrow) {
        for_some([&](long k0, long count) {
            for (long k = 0; k < count; ++k) store(packed + (k0 + k) * stride, load(rows + k * L));
        });
    } else {
        typename Product::PackColumns columns;
        if constexpr (Product::scaled) {
            for_some([&](long, long count) { columns.look(rows, count); });
            store(packed, columns.scales());
            packed += stride;
        }
        for_some([&](long k0, long count) {
            for (long k = 0; k < count; k += Product::group)
                store_words(packed + (k0 + k) / Product::group * stride, columns.word(rows + k * L));
        });
    }
}

// Copies n elements that stand so far apart.
template <class T>
void copy_elements(T* to, const T* from, std::ptrdiff_t stride, long n) {
    if (stride == 1)
        std::memcpy(to, from, n * sizeof(T));
    else
        for (long k = 0; k < n; ++k) to[k] = from[k * stride];
}

// Packs `columns` (at most one panel's) columns.
template <class T>
void pack_panel(T* packed, const T* source, std::ptrdiff_t row, std::ptrdiff_t column, long depth, long columns) {
    const long vectors = ceil_div(columns, lanes<T>);
    for (long n = 0; n < vectors; ++n)
        pack_vector(packed + n * lanes<T>, vectors * lanes<T>, source + n * lanes<T> * column, row, column, depth,
                    int(min(lanes<T>, columns - n * lanes<T>)));
}

template <class T>
long packed_columns(long columns) {
    return ceil_div(columns, lanes<T>) * lanes<T>;
}

// Tiles of rows: row r of the matrix belongs to tile i when tile_begin(i) <= r < tile_begin(i + 1);
// heights differ by one at most.
LSTMCORE_INLINE long tile_count(long rows) { return ceil_div(rows, tile_rows); }
LSTMCORE_INLINE long tile_begin(long rows, long tile) { return tile == 0 ? 0 : rows * tile / tile_count(rows); }

// Packs the transpose of `depth` rows (row(k) points to `rows` contiguous elements) by tiles:
// element (r, k) of a tile of height R that begins at row b stands at packed[b * depth + k * R + r].
// Rows are asked for a run ahead, to have them fetched.
constexpr long pack_run = 8;
template <class T, class Row>
void pack_tiles(T* packed, Row row, long rows, long depth, long k_begin, long k_end) {
    const T *sources[pack_run], *next[pack_run];
    const auto find = [&](const T** to, long begin) {
        for (long k = 0; k < min(pack_run, k_end - begin); ++k) to[k] = row(begin + k);
    };
    find(next, k_begin);
    for (long k0 = k_begin; k0 < k_end; k0 += pack_run) {
        const long count = min(pack_run, k_end - k0);
        for (long k = 0; k < count; ++k) sources[k] = next[k];
        find(next, k0 + pack_run);
        for (long tile = 0, begin = 0; tile < tile_count(rows); ++tile) {
            const long end = tile_begin(rows, tile + 1);
            with_rows(end - begin, [&](auto height) {
                constexpr int R = decltype(height)::value;
                T* to = packed + begin * depth + k0 * R;
                for (long k = 0; k < count; ++k) {
                    __builtin_prefetch(next[k] + begin);
                    std::memcpy(to + k * R, sources[k] + begin, R * sizeof(T));
                }
            });
            begin = end;
        }
    }
}

// --- micro-kernel ---------------------------------------------------------------------------

template <class T, int R>
struct RowTile : PlainTile<T> {  // rows anywhere, each contiguous in k
    static constexpr long block = sum_block;
    const T* row[R];
    LSTMCORE_INLINE T operator()(int r, long k) const { return row[r][k]; }
};

template <class T, int R>
struct PackedTile : PlainTile<T> {  // from pack_tiles
    static constexpr long block = row_sum_block;
    const T* packed;
    LSTMCORE_INLINE T operator()(int r, long k) const { return packed[k * R + r]; }
};

// One gate's vectors out of panels that hold a vector of every gate.
template <class T, int N>
struct GatePanel {
    const T* vector[N];
    std::ptrdiff_t stride;
    LSTMCORE_INLINE const T* operator()(long k, int n) const { return vector[n] + k * stride; }
};

template <class T, int N>
struct Panel {
    const T* packed;
    LSTMCORE_INLINE const T* operator()(long k, int n) const { return packed + (k * N + n) * lanes<T>; }
};

// How the sums of a block join the rest.
struct Added {
    template <class V>
    LSTMCORE_INLINE V operator()(V sum, V block, int, int) const {
        return sum + block;
    }
};
// sum += a * panel over `depth` terms, block by block. The panel's last vector belongs to the sums
// `shift` further on.
template <class T, int R, int N, int shift = 0, int A, class Tile, class Source, class Join = Added>
LSTMCORE_INLINE void accumulate_from(Vec<T> (&sum)[R][A], const Tile& a, const Source& panel, long depth,
                                     const Join& join = {}) {
    static_assert(N + shift <= A, "a sum for every vector of the panel");
    using Product = typename Tile::Product;
    for (long k0 = 0; k0 < depth; k0 += Tile::block) {
        typename Product::Sum block[R][N];
#pragma GCC unroll 6
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
            for (int n = 0; n < N; ++n) block[r][n] = a.start(r, k0);
        const long k1 = min(depth, k0 + Tile::block);
        for (long k = k0; k < k1; ++k) {
#pragma GCC unroll 4
            for (int part = 0; part < Product::parts; ++part) {
                decltype(Product::words(panel(k, 0), 0)) b[N];
#pragma GCC unroll 4
                for (int n = 0; n < N; ++n) b[n] = Product::words(panel(k, n), part);
#pragma GCC unroll 6
                for (int r = 0; r < R; ++r) {
                    const auto x = Product::row(a(r, k), part);
#pragma GCC unroll 4
                    for (int n = 0; n < N; ++n) block[r][n] = Product::multiply_add(x, b[n], block[r][n]);
                }
            }
        }
#pragma GCC unroll 6
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
            for (int n = 0; n < N; ++n) {
                Vec<T>& total = sum[r][n == N - 1 ? n + shift : n];
                total = join(total, a.value(block[r][n], r, n), r, n);
            }
    }
}
template <class T, int R, int N, int shift = 0, int A, class Tile, class Join = Added>
LSTMCORE_INLINE void accumulate(Vec<T> (&sum)[R][A], const Tile& a, const T* panel, long depth, const Join& join = {}) {
    accumulate_from<T, R, N, shift>(sum, a, Panel<T, N>{panel}, depth, join);
}

template <class T, int R, int N>
LSTMCORE_INLINE void load_tile(Vec<T> (&sum)[R][N], const T* from, long row) {
    for (int r = 0; r < R; ++r)
        for (int n = 0; n < N; ++n) sum[r][n] = load(from + r * row + n * lanes<T>);
}
template <class T, int R, int N>
LSTMCORE_INLINE void store_tile(const Vec<T> (&sum)[R][N], T* to, long row) {
    for (int r = 0; r < R; ++r)
        for (int n = 0; n < N; ++n) store(to + r * row + n * lanes<T>, sum[r][n]);
}

// --- loops ----------------------------------------------------------------------------------

// Left-hand matrices, as sources of tiles.
template <class T, class Row>
struct Rows {
    Row row;  // row(r): pointer to row r, contiguous
    template <int R>
    LSTMCORE_INLINE RowTile<T, R> tile(long begin, long k) const {
        RowTile<T, R> tile;
        for (int r = 0; r < R; ++r) tile.row[r] = row(begin + r) + k;
        return tile;
    }
};
template <class T, class Row>
Rows<T, Row> rows_of(Row row) {
    return {row};
}

template <class T>
struct PackedRows {
    const T* packed;
    long depth;
    template <int R>
    LSTMCORE_INLINE PackedTile<T, R> tile(long begin, long k) const {
        return {{}, packed + begin * depth + k * R};
    }
};

// Where the rows of a matrix are: a stride apart, or wherever a function says. One type for all, so
// that the loops below are compiled once.
template <class T>
class RowsAt {
    T* base = nullptr;
    std::ptrdiff_t stride = 0, shift = 0;
    T* (*find)(const void* context, long row) = nullptr;
    const void* context = nullptr;

 public:
    RowsAt() = default;
    RowsAt(T* base, std::ptrdiff_t stride) : base(base), stride(stride) {}
    // f(row) gives the row's address; f must outlive this.
    template <class F>
    static RowsAt by(const F& f) {
        RowsAt rows;
        rows.context = &f;
        rows.find = [](const void* context, long row) -> T* { return (*static_cast<const F*>(context))(row); };
        return rows;
    }
    // The same rows, `columns` further on.
    RowsAt shifted(std::ptrdiff_t columns) const {
        RowsAt rows = *this;
        rows.shift += columns;
        return rows;
    }
    explicit operator bool() const { return base || find; }
    LSTMCORE_INLINE T* operator()(long row) const { return (find ? find(context, row) : base + row * stride) + shift; }
};

// R rows of a matrix, to be multiplied with a panel of N vectors.
template <int R, int N, class Left, class T>
LSTMCORE_INLINE auto tile_of(const Left& a, long begin, long k, const T*) {
    return a.template tile<R>(begin, k);
}
template <int R, int N, class Product>
LSTMCORE_INLINE auto tile_of(const NarrowRows<Product>& a, long begin, long k, const float* panel) {
    return a.template tile<R, N>(begin, k, panel);
}

// One panel of a product: c = [c +] a panel [+ bias] for the tiles [tile0, tile1) of `rows` rows. c's
// rows begin at the first of the panel's `columns` columns.
template <class T, class Left>
void multiply_panel(const Left& a, long rows, long tile0, long tile1, const T* panel, long depth, long columns,
                    const T* bias, const RowsAt<T>& c, bool accumulate_c) {
    with_vectors(ceil_div(columns, lanes<T>), [&](auto width) {
        constexpr int N = decltype(width)::value;
        const auto lanes_of = [&](int n) { return int(min(lanes<T>, columns - n * lanes<T>)); };
        for (long k0 = 0; k0 == 0 || k0 < depth; k0 += depth_block) {
            const long block = min(depth_block, depth - k0);
            const bool add = accumulate_c || k0 > 0;
            for (long tile = tile0; tile < tile1; ++tile) {
                const long begin = tile_begin(rows, tile);
                with_rows(tile_begin(rows, tile + 1) - begin, [&](auto height) {
                    constexpr int R = decltype(height)::value;
                    Vec<T> sum[R][N];
                    T* out[R];
                    for (int r = 0; r < R; ++r) {
                        out[r] = c(begin + r);
                        // The rows of c lie far apart: ask for them early.
                        for (int n = 0; n < N; ++n) __builtin_prefetch(out[r] + n * lanes<T>, 1);
                    }
                    for (int r = 0; r < R; ++r)
                        for (int n = 0; n < N; ++n)
                            sum[r][n] = bias && k0 == 0 ? load(bias + n * lanes<T>, lanes_of(n)) : Vec<T>{};
                    accumulate<T, R, N>(sum, tile_of<R, N>(a, begin, k0, panel), panel + k0 * N * lanes<T>, block);
                    for (int r = 0; r < R; ++r)
                        for (int n = 0; n < N; ++n) {
                            const int count = lanes_of(n);
                            T* p = out[r] + n * lanes<T>;
                            store(p, add ? load(p, count) + sum[r][n] : sum[r][n], count);
                        }
                });
            }
        }
    });
}

template <class T>
std::size_t packed_b_size(long depth, long columns) {
    return std::size_t(packed_columns<T>(columns)) * depth;
}

// Packs the panels [begin, end) of b.
template <class T>
void pack_panels(const MatmulProblem<T>& p, T* packed, long begin, long end) {
    for (long j = begin * panel_columns<T>; j < min(p.columns, end * panel_columns<T>); j += panel_columns<T>)
        pack_panel(packed + j * p.depth, p.b + j * p.b_column, p.b_row, p.b_column, p.depth,
                   min(panel_columns<T>, p.columns - j));
}
template <class T>
void pack_b(const MatmulProblem<T>& p, T* packed) {
    pack_panels(p, packed, 0, ceil_div(p.columns, panel_columns<T>));
}

// The transpose of a row-major left side is packed a block of the depth at a time, so that it stays in
// the cache while all panels pass.
template <class T>
std::size_t product_workspace(const MatmulProblem<T>& p) {
    const std::size_t left = p.a_column == 1 ? 0 : std::size_t(p.rows) * min(p.depth, depth_block);
    return (p.packed_b ? 0 : packed_b_size<T>(p.depth, p.columns)) + left;
}

// A thread's share of a product: tiles of rows where there are enough of them, else panels of columns.
struct ShareOfProduct {
    long tile0 = 0, tile1, panel0 = 0, panel1;

    ShareOfProduct(const Team& team, long tiles, long panels) : tile1(tiles), panel1(panels) {
        if (tiles >= 2 * team.size || tiles >= panels)
            team.split(tiles, tile0, tile1);
        else
            team.split(panels, panel0, panel1);
    }
};

// A thread's share of one product.
template <class T>
void multiply(const MatmulProblem<T>& p, const Team& team) {
    const long panels = ceil_div(p.columns, panel_columns<T>), tiles = tile_count(p.rows);
    const T* packed_b = p.packed_b ? p.packed_b : p.workspace;
    if (!p.packed_b) {
        long begin, end;
        team.split(panels, begin, end);
        pack_panels(p, p.workspace, begin, end);
    }

    const ShareOfProduct share(team, tiles, panels);
    // The terms [k, k + depth) of the thread's share of the product.
    const auto multiply = [&](const auto& left, long k, long depth) {
        for (long j = share.panel0; j < share.panel1; ++j) {
            const long column = j * panel_columns<T>, columns = min(panel_columns<T>, p.columns - column);
            multiply_panel<T>(left, p.rows, share.tile0, share.tile1,
                              packed_b + column * p.depth + k * packed_columns<T>(columns), depth, columns,
                              p.bias && k == 0 ? p.bias + column : nullptr, RowsAt<T>(p.c + column, p.c_row),
                              p.accumulate || k > 0);
        }
    };
    if (p.a_column == 1) {
        team.wait();
        return multiply(rows_of<T>(RowsAt<const T>(p.a, p.a_row)), 0, p.depth);
    }
    T* packed_a = p.workspace + (p.packed_b ? 0 : packed_b_size<T>(p.depth, p.columns));  // a_row == 1
    for (long k = 0; k == 0 || k < p.depth; k += depth_block) {
        const long depth = min(depth_block, p.depth - k);
        long begin, end;
        team.split(depth, begin, end);
        pack_tiles(packed_a, [&](long i) { return p.a + (k + i) * p.a_column; }, p.rows, depth, begin, end);
        team.wait();
        multiply(PackedRows<T>{packed_a, depth}, k, depth);
        team.wait();
    }
}

// Threads take whole products where there are enough of them, each with a workspace of its own; else they share each.
template <class T>
bool takes_whole_products(const MatmulProblem<T>& p) {
    return p.count >= 4 * p.threads || (p.count > 1 && p.count % p.threads == 0);
}

template <class T>
std::size_t matmul_workspace(const MatmulProblem<T>& p) {
    return product_workspace(p) * (takes_whole_products(p) ? p.threads : 1);
}

// Calls multiply(problem, team) for this thread's products, or for its share of all; `workspace` is that of a thread
// which takes whole ones.
template <class T, class F>
void for_each_product(MatmulProblem<T> p, const Team& team, std::size_t workspace, F multiply) {
    const bool whole = takes_whole_products(p);
    const Team own = whole ? team.part(team.index, 1) : team;
    long begin = 0, end = p.count;
    if (whole) {
        team.split(p.count, begin, end);
        p.workspace += team.index * workspace;
    }
    p.a += begin * p.a_next, p.c += begin * p.c_next;
    if (p.b) p.b += begin * p.b_next;
    for (long n = begin; n < end; ++n) {
        if (n > begin) own.wait();  // for those who still read the workspace
        multiply(p, own);
        p.a += p.a_next, p.c += p.c_next;
        if (p.b) p.b += p.b_next;
    }
}

template <class T>
void matmul(const MatmulProblem<T>& p) {
    parallel(
        p.threads,
        [](const void* context, const Team& team) {
            const auto& p = *static_cast<const MatmulProblem<T>*>(context);
            for_each_product(p, team, product_workspace(p), multiply<T>);
        },
        &p);
}

}  // namespace lstmcore::LSTMCORE_ISA
