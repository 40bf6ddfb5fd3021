// A matrix's transpose, as a matrix.
#pragma once

#include "gemm.hpp"

namespace lstmcore::LSTMCORE_ISA {

// Squares of a vector by a vector; a thread has some of the columns.
template <class T>
void transpose_matrix(const TransposeProblem<T>& problem) {
    parallel(
        problem.threads,
        [](const void* context, const Team& team) {
            const TransposeProblem<T>& p = *static_cast<const TransposeProblem<T>*>(context);
            constexpr long L = lanes<T>;
            long begin, end;
            team.split(ceil_div(p.columns, L), begin, end);
            for (long column = begin * L; column < min(p.columns, end * L); column += L) {
                const int width = int(min(L, p.columns - column));
                for (long row = 0; row < p.rows; row += L) {
                    const int height = int(min(L, p.rows - row));
                    Vec<T> v[L] = {};
                    for (int r = 0; r < height; ++r) v[r] = load(p.from + (row + r) * p.from_row + column, width);
                    transpose<T>(v);
                    for (int c = 0; c < width; ++c) store(p.to + (column + c) * p.to_row + row, v[c], height);
                }
            }
        },
        &problem);
}

}  // namespace lstmcore::LSTMCORE_ISA
