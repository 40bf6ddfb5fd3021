// The time loop backward, fused: a tile is a few batch rows x a panel of units; its sums become dL/dh,
// the cell turns them into the gradients of the pre-activations. Threads share rows or units as in
// the forward loop.
//
// A cell has:
//   gates         columns of its weights, in units
//   width             columns of dpre, in units; the first `gates` of them are those of the recurrent product
//   columns(units)    which columns of dpre belong to which of the weights
//   carries(p)        whether part of dL/dh goes straight to the step before, through p.dh0
#pragma once

#include "forward.hpp"
#include "gradients.hpp"

namespace lstmcore::LSTMCORE_ISA {

template <class Cell, class T>
class Backward {
    static constexpr int L = lanes<T>;
    static constexpr long partial_size = tiles_in_group * tile_rows * panel_columns<T>;
    const BackwardProblem<T>& p;
    const Team& team;
    const long gates;
    const bool by_units, carries;
    long row0, row1, panel0, panel1;  // this thread's rows and panels of units
    T* partial;                       // this thread's
    ChunkGradients<T> chunk;

 public:
    static std::size_t workspace(const BackwardProblem<T>& p) {
        return partial_size * p.threads + ChunkGradients<T>::workspace(p.shape, Cell::width * p.shape.units, p.threads);
    }

    Backward(const BackwardProblem<T>& problem, const Team& team)
        : p(problem),
          team(team),
          gates(Cell::gates * p.shape.units),
          by_units(split_by_units(p.shape.batch, team.size)),
          carries(Cell::carries(p)),
          partial(p.workspace + team.index * partial_size),
          chunk(p, team, Cell::columns(p.shape.units), gates, p.workspace + p.threads * partial_size) {
        row0 = 0, row1 = p.shape.batch, panel0 = 0, panel1 = ceil_div(p.shape.units, panel_columns<T>);
        if (by_units)
            team.split(panel1, panel0, panel1);
        else
            split_rows(p, team, row0, row1);
    }

    void run() {
        for (long t1 = p.shape.steps; t1 > 0; t1 = chunk.t0) {
            chunk.begin(t1);
            for (long t = t1 - 1; t >= chunk.t0; --t) {
                const long going_on = rows_at(p, t + 1);
                step(t, row0, min(row1, going_on), false);
                step(t, max(row0, going_on), min(row1, rows_at(p, t)), true);
                if (by_units) team.wait();
            }
            chunk.finish([] {});
        }
        if (p.need_dh0) initial_state();
    }

 private:
    void step(long t, long begin, long end, bool last) {
        const bool whole = last || p.h_dropout.factors;  // in one piece
        for (long j = panel0; j < panel1; ++j) {
            const long unit = j * panel_columns<T>, columns = min(panel_columns<T>, p.shape.units - unit);
            with_vectors(ceil_div(columns, L), [&](auto N) {
                const auto tile_of = [&](long b, long height, long slot, long k0, long k1) {
                    with_rows(height, [&](auto R) {
                        this->template tile<decltype(R)::value, decltype(N)::value>(t, b, slot, unit, k0, k1, last);
                    });
                };
                if (!whole) return for_each_piece(begin, end, 0, gates, tile_of);
                const long rows = end - begin;
                for (long tile = 0; rows > 0 && tile < tile_count(rows); ++tile)
                    tile_of(begin + tile_begin(rows, tile), tile_begin(rows, tile + 1) - tile_begin(rows, tile), 0, 0,
                            gates);
            });
        }
    }

    // The terms [k0, k1) of dL/dh, which comes from the outputs and from the gates of the next step.
    template <int R, int N>
    void tile(long t, long b, long slot, long unit, long k0, long k1, bool last) {
        const auto count = [&](int n) { return int(min(L, p.shape.units - unit - n * L)); };
        T* partial_sums = partial + slot * (N * L);
        Vec<T> dh[R][N];
        if (k0 > 0)
            load_tile<T, R, N>(dh, partial_sums, N * L);
        else
            for (int r = 0; r < R; ++r) {
                const long user_row = row_of(p, b + r) * p.shape.units + unit;
                for (int n = 0; n < N; ++n) {
                    Vec<T> sum{};
                    if (p.dh.data) sum += load(at(p.dh, b + r, t) + unit + n * L, count(n));
                    if (last && p.dh_last) sum += load(p.dh_last + user_row + n * L, count(n));
                    if (carries && !last) sum += load(p.dh0 + user_row + n * L, count(n));
                    dh[r][n] = sum;
                }
            }
        if (k1 == gates)  // what the cell will read was saved long ago: ask for it early
            for (int r = 0; r < R; ++r)
                for (int n = 0; n < N; ++n) Cell::template prefetch<T>(p, b + r, t, unit + n * L);
        if (!last) next_step<R, N>(dh, t, b, unit, k0, k1);
        if (k1 < gates) return store_tile<T, R, N>(dh, partial_sums, N * L);
        for (int r = 0; r < R; ++r)
            for (int n = 0; n < N; ++n)
                Cell::template backward<T>(dh[r][n], p, b + r, t, unit + n * L, count(n), chunk.row(b + r, t));
    }

    // dh += dpre R^T, each gate's part times its dropout factors
    template <int R, int N>
    LSTMCORE_INLINE void next_step(Vec<T> (&dh)[R][N], long t, long b, long unit, long k0, long k1) const {
        const auto dpre = rows_of<T>([&](long r) { return chunk.row(r, t + 1); });
        const T* panel = p.weights.recurrent_transposed + unit * gates;
        if (!p.h_dropout.factors)
            return accumulate<T, R, N>(dh, dpre.template tile<R>(b, k0), panel + k0 * N * L, k1 - k0);
        const long depth = gates / p.h_dropout.copies;
        for (int copy = 0; copy < p.h_dropout.copies; ++copy) {
            Vec<T> sum[R][N] = {};
            accumulate<T, R, N>(sum, dpre.template tile<R>(b, copy * depth), panel + copy * depth * N * L, depth);
            for (int r = 0; r < R; ++r) {
                const T* row = factors(p.h_dropout, p, copy, b + r, p.shape.units) + unit;
                for (int n = 0; n < N; ++n)
                    dh[r][n] = fma(sum[r][n], load(row + n * L, int(min(L, p.shape.units - unit - n * L))), dh[r][n]);
            }
        }
    }

    void initial_state() {
        const long rows = rows_at(p, 0);
        long begin, end;
        team.split(tile_count(rows), begin, end);
        chunk.back_through(
            p.weights.recurrent_transposed, p.shape.units, &Run::recurrent, p.h_dropout,
            [&](long b) { return chunk.row(b, 0); }, rows, begin, end,
            [&](long b) { return p.dh0 + row_of(p, b) * p.shape.units; }, [](long b) { return b; }, carries);
    }
};

template <class Cell, class T>
std::size_t backward_workspace(const BackwardProblem<T>& p) {
    return Backward<Cell, T>::workspace(p);
}

template <class Cell, class T>
void backward(const BackwardProblem<T>& problem) {
    parallel(
        problem.threads,
        [](const void* context, const Team& team) {
            Backward<Cell, T>(*static_cast<const BackwardProblem<T>*>(context), team).run();
        },
        &problem);
}

}  // namespace lstmcore::LSTMCORE_ISA
