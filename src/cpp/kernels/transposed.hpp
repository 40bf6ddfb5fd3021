// Products with a transposed matrix of weights, on the way back: its columns are units or inputs, its rows
// the gates' columns, and often the columns are no whole number of vectors (50 units, one input). What
// is left over of the last vector is, if it is little, taken as dot products along the depth.
//
// A panel is packed as its vectors, [k][vector][lane], then its dots, a column after the other.
#pragma once

#include "gemm.hpp"

namespace lstmcore::LSTMCORE_ISA {

// A dot product costs about depth / lanes multiply-adds and as much again to add the lanes up, at the depths
// of small layers; a vector of columns costs depth.
template <class T>
constexpr long most_dots = lanes<T> / 4;

// A panel of a packed transposed matrix.
template <class T>
struct TransposedPanel {
    const T* packed;
    long depth, columns, vectors, dots;

    TransposedPanel(const T* matrix, long depth, long first_column, long columns)
        : packed(matrix + first_column * depth), depth(depth), columns(columns) {
        const long rest = columns % lanes<T>;
        dots = rest <= most_dots<T> ? rest : 0;
        vectors = ceil_div(columns - dots, lanes<T>);
    }
    const T* vectors_from(long k) const { return packed + k * vectors * lanes<T>; }
    const T* dot_from(long dot, long k) const { return packed + (vectors * lanes<T> + dot) * depth + k; }
};

// Packs the transpose of a matrix of `rows` rows in panels of this thread's share of the rows.
template <class T>
void pack_transposed(const Team& team, T* packed, const T* weights, const MatrixStrides& strides, long rows,
                     long columns) {
    long begin, end;
    team.split(ceil_div(rows, panel_columns<T>), begin, end);
    for (long first = begin * panel_columns<T>; first < min(rows, end * panel_columns<T>); first += panel_columns<T>) {
        const long count = min(panel_columns<T>, rows - first);
        const TransposedPanel<T> panel(packed, columns, first, count);
        T* to = packed + first * columns;
        pack_panel(to, weights + first * strides.row, strides.column, strides.row, columns, count - panel.dots);
        to += panel.vectors * lanes<T> * columns;
        for (long dot = count - panel.dots; dot < count; ++dot, to += columns)
            copy_elements(to, weights + (first + dot) * strides.row, strides.column, columns);
    }
}

// The same as words (products.hpp), without dots. The columns of a gate are a whole number of words, the gates of each
// vector one after the other.
template <class Product>
void pack_narrow_transposed(const Team& team, float* packed, const float* weights, const MatrixStrides& strides,
                            long rows, long gates, long units) {
    constexpr int L = lanes<float>;
    const long of_gate = ceil_div(units, Product::group);
    long begin, end;
    team.split(ceil_div(rows, L), begin, end);
    for (long row = begin * L; row < min(rows, end * L); row += L) {
        const long first = row - row % panel_columns<float>;
        const long width = min(panel_columns<float>, packed_columns<float>(rows - first));
        for (long gate = 0; gate < gates; ++gate) {
            const float* from = weights + row * strides.row + gate * units * strides.column;
            float* to = packed + (first * gates + gate * width) * of_gate + row - first;
            pack_columns<Product>(to, width, units, [&](float* vectors, long k, long count) {
                pack_vector(vectors, L, from + k * strides.column, strides.column, strides.row, count,
                            int(min(L, rows - row)));
            });
        }
    }
}

// f(row, dot, product) for `height` rows and the dots of a panel, over `depth` terms from its row k on.
template <class T, class F>
LSTMCORE_INLINE void for_each_dot(const TransposedPanel<T>& panel, long height, const T* const* rows, long k,
                                  long depth, F f) {
    for (long dot = 0; dot < panel.dots; ++dot) {
        const T* column = panel.dot_from(dot, k);
        with_rows(height, [&](auto R_) {
            constexpr int R = decltype(R_)::value;
            Vec<T> sum[R] = {};
            const auto add = [&](long i, auto... count) {
                const Vec<T> b = load(column + i, count...);
#pragma GCC unroll 6
                for (int r = 0; r < R; ++r) sum[r] = fma(load(rows[r] + i, count...), b, sum[r]);
            };
            long i = 0;
            for (; i + lanes<T> <= depth; i += lanes<T>) add(i);
            if (i < depth) add(i, int(depth - i));
            for (int r = 0; r < R; ++r) f(r, dot, sum_of_lanes<T>(sum[r]));
        });
    }
}

// How a product joins what is there: as it is, or times factors of its own.
template <class T>
struct Joined : Added {
    LSTMCORE_INLINE T dot(T sum, T product, long, long) const { return sum + product; }
};
template <class T>
struct JoinedScaled {
    const T* const* factors;  // by row, contiguous in columns
    long columns;
    LSTMCORE_INLINE Vec<T> operator()(Vec<T> sum, Vec<T> block, int r, int n) const {
        return fma(block, load(factors[r] + n * lanes<T>, int(min(lanes<T>, columns - n * lanes<T>))), sum);
    }
    LSTMCORE_INLINE T dot(T sum, T product, long r, long column) const { return sum + product * factors[r][column]; }
};

// sums += rows times `depth` rows of the panel from k on, for sums in memory, [height][vector][lane], dots
// in the last vector: one function for all who do something else with the sums.
template <class T, class Join = Joined<T>>
void accumulate_in_memory(T* sums, const TransposedPanel<T>& panel, long height, const T* const* rows, long k,
                          long depth, const Join& join = {}) {
    const long width = (panel.vectors + (panel.dots > 0)) * lanes<T>, first_dot = panel.vectors * lanes<T>;
    if (panel.vectors)
        with_rows(height, [&](auto R_) {
            with_vectors(panel.vectors, [&](auto N_) {
                constexpr int R = decltype(R_)::value, N = decltype(N_)::value;
                RowTile<T, R> tile;
                for (int r = 0; r < R; ++r) tile.row[r] = rows[r];
                Vec<T> sum[R][N];
                load_tile<T, R, N>(sum, sums, width);
                accumulate_from<T, R, N>(sum, tile, Panel<T, N>{panel.vectors_from(k)}, depth, join);
                store_tile<T, R, N>(sum, sums, width);
            });
        });
    for_each_dot(panel, height, rows, k, depth, [&](long r, long dot, T product) {
        T& sum = sums[r * width + first_dot + dot];
        sum = join.dot(sum, product, r, first_dot + dot);
    });
}

// out (+)= a times `depth` rows of the panel from k on, for the tiles [tile0, tile1) of `rows` rows; out's
// rows begin at the first of the panel's columns.
template <class T>
void multiply_transposed(const RowsAt<const T>& a, long rows, long tile0, long tile1, const TransposedPanel<T>& panel,
                         long k, long depth, const RowsAt<T>& out, bool add) {
    const long first_dot = panel.columns - panel.dots;
    if (panel.vectors)
        multiply_panel<T>(rows_of<T>(a), rows, tile0, tile1, panel.vectors_from(k), depth, first_dot, nullptr, out,
                          add);
    for (long tile = tile0; panel.dots && tile < tile1; ++tile) {
        const long begin = tile_begin(rows, tile), height = tile_begin(rows, tile + 1) - begin;
        const T* left[tile_rows];
        for (long r = 0; r < height; ++r) left[r] = a(begin + r);
        for_each_dot(panel, height, left, k, depth, [&](long r, long dot, T product) {
            T& to = out(begin + r)[first_dot + dot];
            to = add ? to + product : product;
        });
    }
}

// The same with all columns of a matrix of `all` rows.
template <class T>
void multiply_transposed(const RowsAt<const T>& a, long rows, const T* packed, long all, long columns, long k,
                         long depth, const RowsAt<T>& out) {
    for (long j = 0; j < columns; j += panel_columns<T>) {
        const TransposedPanel<T> panel(packed, all, j, min(panel_columns<T>, columns - j));
        multiply_transposed(a, rows, 0, tile_count(rows), panel, k, depth, out.shifted(j), false);
    }
}

}  // namespace lstmcore::LSTMCORE_ISA
