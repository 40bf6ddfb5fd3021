// Products of narrow numbers (products.hpp), with matrices that are packed as such before or here. The rows of the left
// ones become narrow some at a time, and stay in the second-level cache while all panels pass.
#pragma once

#include "gemm.hpp"

namespace lstmcore::LSTMCORE_ISA {

constexpr long narrow_rows = 20 * tile_rows;

template <class Product>
std::size_t narrow_b_size(long depth, long columns) {
    return std::size_t(packed_columns<float>(columns)) * panel_rows<Product>(depth);
}

// The vectors of columns from `begin` to `end`.
template <class Product>
void pack_narrow_vectors(const MatmulProblem<float>& p, float* packed, long begin, long end) {
    constexpr int L = lanes<float>;
    for (long column = begin * L; column < min(end * L, p.columns); column += L) {
        // Its panel, which may be the last and narrower.
        const long first = column - column % panel_columns<float>;
        const long width = min(panel_columns<float>, packed_columns<float>(p.columns - first));
        pack_columns<Product>(packed + first * panel_rows<Product>(p.depth) + column - first, width, p.depth,
                              [&](float* rows, long k, long count) {
                                  pack_vector(rows, L, p.b + k * p.b_row + column * p.b_column, p.b_row, p.b_column,
                                              count, int(min(L, p.columns - column)));
                              });
    }
}

template <class Product>
void pack_narrow_b(const MatmulProblem<float>& p, float* packed) {
    pack_narrow_vectors<Product>(p, packed, 0, ceil_div(p.columns, lanes<float>));
}

// Of each thread: its rows, and as many as a vector has lanes, as they are, where they do not stand in one piece.
template <class Product>
std::size_t narrow_rows_size(const MatmulProblem<float>& p) {
    return min(p.rows, narrow_rows) * row_stride<Product>(p.depth) +
           (p.a_column == 1 ? 0 : lanes<float> * packed_columns<float>(p.depth));
}
// Of a product that so many threads share.
template <class Product>
std::size_t narrow_product_workspace(const MatmulProblem<float>& p, int threads) {
    return (p.packed_b ? 0 : narrow_b_size<Product>(p.depth, p.columns)) + narrow_rows_size<Product>(p) * threads;
}
template <class Product>
std::size_t narrow_workspace(const MatmulProblem<float>& p) {
    const bool whole = takes_whole_products(p);
    return narrow_product_workspace<Product>(p, whole ? 1 : p.threads) * (whole ? p.threads : 1);
}

template <class Product>
void narrow_multiply(const MatmulProblem<float>& p, const Team& team) {
    constexpr int L = lanes<float>;
    const float* packed_b = p.packed_b ? p.packed_b : p.workspace;
    float* own = p.workspace + team.index * narrow_rows_size<Product>(p);
    if (!p.packed_b) {
        long begin, end;
        team.split(ceil_div(p.columns, L), begin, end);
        pack_narrow_vectors<Product>(p, p.workspace, begin, end);
        own += narrow_b_size<Product>(p.depth, p.columns);
        team.wait();
    }
    const ShareOfProduct share(team, tile_count(p.rows), ceil_div(p.columns, panel_columns<float>));
    const NarrowRows<Product> rows{own, p.depth};
    float* const wide = rows.row(min(p.rows, narrow_rows));
    const long wide_row = packed_columns<float>(p.depth);
    const long end = tile_begin(p.rows, share.tile1), words = ceil_div(p.depth, Product::group);
    for (long begin = tile_begin(p.rows, share.tile0), count; begin < end; begin += count) {
        count = min(narrow_rows, end - begin);
        for (long r = 0; r < count; ++r) {
            const float* from = p.a + (begin + r) * p.a_row;
            if (p.a_column != 1) {
                for (long k = 0; r % L == 0 && k < p.depth; k += L)
                    pack_vector(wide + k, wide_row, from + k * p.a_column, p.a_row, p.a_column, min(L, count - r),
                                int(min(L, p.depth - k)));
                from = wide + r % L * wide_row;
            }
            rows.read(r, from, 0, p.row_scale);
        }
        for (long j = share.panel0; j < share.panel1; ++j) {
            const long column = j * panel_columns<float>, columns = min(panel_columns<float>, p.columns - column);
            const float* panel = packed_b + column * panel_rows<Product>(p.depth);
            if (Product::scaled) panel += packed_columns<float>(columns);
            multiply_panel<float>(rows, count, 0, tile_count(count), panel, words, columns,
                                  p.bias ? p.bias + column : nullptr,
                                  RowsAt<float>(p.c + begin * p.c_row + column, p.c_row), p.accumulate);
        }
    }
}

template <class Product>
void narrow_matmul(const MatmulProblem<float>& p) {
    parallel(
        p.threads,
        [](const void* context, const Team& team) {
            const auto& p = *static_cast<const MatmulProblem<float>*>(context);
            for_each_product(p, team, narrow_product_workspace<Product>(p, 1), narrow_multiply<Product>);
        },
        &p);
}

}  // namespace lstmcore::LSTMCORE_ISA
