// Products with a matrix that is packed as narrow numbers (products.hpp). The rows of the other become narrow some at a
// time, and stay in the second-level cache while all panels pass.
#pragma once

#include "gemm.hpp"

namespace lstmcore::LSTMCORE_ISA {

constexpr long narrow_rows = 20 * tile_rows;

template <class Product>
std::size_t narrow_b_size(long depth, long columns) {
    return std::size_t(packed_columns<float>(columns)) * panel_rows<Product>(depth);
}

template <class Product>
void pack_narrow_b(const MatmulProblem<float>& p, float* packed) {
    constexpr int L = lanes<float>;
    for (long column = 0; column < p.columns; column += L) {
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

// Of each thread: its rows, and as many as a vector has lanes, as they are, where they do not stand in one piece.
template <class Product>
std::size_t narrow_workspace_of_thread(const MatmulProblem<float>& p) {
    return min(p.rows, narrow_rows) * row_stride<Product>(p.depth) +
           (p.a_column == 1 ? 0 : lanes<float> * packed_columns<float>(p.depth));
}
template <class Product>
std::size_t narrow_workspace(const MatmulProblem<float>& p) {
    return narrow_workspace_of_thread<Product>(p) * p.threads;
}

template <class Product>
void narrow_multiply(const MatmulProblem<float>& p, const Team& team) {
    const ShareOfProduct share(team, tile_count(p.rows), ceil_div(p.columns, panel_columns<float>));
    const NarrowRows<Product> rows{p.workspace + team.index * narrow_workspace_of_thread<Product>(p), p.depth};
    constexpr int L = lanes<float>;
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
            const float* panel = p.packed_b + column * panel_rows<Product>(p.depth);
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
            narrow_multiply<Product>(*static_cast<const MatmulProblem<float>*>(context), team);
        },
        &p);
}

}  // namespace lstmcore::LSTMCORE_ISA
