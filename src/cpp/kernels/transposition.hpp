// A matrix's transpose, as a matrix.
#pragma once

#include "gemm.hpp"

namespace lstmcore::LSTMCORE_ISA {

// Of either matrix a page for each row of a block is in use: so many the first buffer of translated addresses holds.
constexpr long transposed_block = 64;

// Squares of a vector by a vector, in blocks of rows and columns; a thread has some of the columns.
template <class T>
void transpose_matrix(const TransposeProblem<T>& problem) {
    parallel(
        problem.threads,
        [](const void* context, const Team& team) {
            const TransposeProblem<T>& p = *static_cast<const TransposeProblem<T>*>(context);
            constexpr long L = lanes<T>;
            long begin, end;
            team.split(ceil_div(p.columns, L), begin, end);
            end = min(p.columns, end * L);
            const auto square = [&](long row, long column) {
                const int width = int(min(L, p.columns - column)), height = int(min(L, p.rows - row));
                Vec<T> v[L] = {};
                for (int r = 0; r < height; ++r) v[r] = load(p.from + (row + r) * p.from_row + column, width);
                transpose<T>(v);
                for (int c = 0; c < width; ++c) store(p.to + (column + c) * p.to_row + row, v[c], height);
            };
            for (long first = begin * L; first < end; first += transposed_block)
                for (long top = 0; top < p.rows; top += transposed_block)
                    for (long column = first; column < min(end, first + transposed_block); column += L)
                        for (long row = top; row < min(p.rows, top + transposed_block); row += L) square(row, column);
        },
        &problem);
}

}  // namespace lstmcore::LSTMCORE_ISA
