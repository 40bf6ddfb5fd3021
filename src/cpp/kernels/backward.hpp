// The time loop backward, fused: a tile is a few batch rows x a panel of units; its sums become dL/dh,
// the cell turns them into the gradients of the pre-activations. Threads share rows or units as in
// the forward loop.
//
// With narrow products (products.hpp) what a cell writes becomes words, row by row; there is no dropout then.
//
// A cell has:
//   gates             columns of its weights, in units
//   width             columns of dpre, in units; the first `gates` of them are those of the recurrent product
//   columns(shape, options)   which columns of dpre belong to which of the weights
//   carries(p)        whether part of dL/dh goes straight to the step before, through p.dh0
//   saved, saved_rounded    what the forward pass saved (kept.hpp), in units
//   BackwardRow       a row's step: what it reads and writes (prefetch asks for it), the gradients of a vector of units
#pragma once

#include <type_traits>

#include "forward.hpp"
#include "gradients.hpp"
#include "kept.hpp"
#include "narrow_gradients.hpp"

namespace lstmcore::LSTMCORE_ISA {

template <class Cell, class T, class Product = Plain<T>>
class Backward {
    using Chunk = std::conditional_t<Product::narrow, NarrowGradients<Product>, ChunkGradients<T>>;
    static constexpr int L = lanes<T>;
    static constexpr long partial_size = tiles_in_group * tile_rows * panel_columns<T>;
    const BackwardProblem<T>& p;
    const Team& team;
    const long gates;
    const Blocks<Cell, T> blocks;  // their heads and terms: panels are wider
    const bool by_units, carries;
    const bool far;                   // what the forward pass left is not in the second-level cache
    long row0, row1, panel0, panel1;  // this thread's rows and panels of units
    T* partial;                       // this thread's
    Chunk chunk;
    const long depth;  // terms of the recurrent product, or words of them

 public:
    static std::size_t workspace(const BackwardProblem<T>& p) {
        return partial_size * p.threads + Chunk::workspace(p, Cell::columns(p.shape, p.options));
    }

    Backward(const BackwardProblem<T>& problem, const Team& team)
        : p(problem),
          team(team),
          gates(Cell::gates * p.shape.units),
          blocks(p.shape, p.options),
          by_units(split_by_units(p.shape.batch, team.size)),
          carries(Cell::carries(p)),
          far(number_of(p, p.shape.steps) * Cell::saved * p.shape.units * long(sizeof(T)) > 512l << 10),
          partial(p.workspace + team.index * partial_size),
          chunk(p, team, Cell::columns(p.shape, p.options), gates, p.workspace + p.threads * partial_size),
          depth(depth_of(chunk, gates)) {
        row0 = 0, row1 = p.shape.batch, panel0 = 0, panel1 = PanelOfUnits::count_of(blocks);
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
    // The units of a panel: none of them is of two heads.
    struct PanelOfUnits {
        long head_begin, first, count;  // the head's first unit; the panel's, counted from there

        static long of_head(const Blocks<Cell, T>& blocks) { return ceil_div(blocks.depth, panel_columns<T>); }
        static long count_of(const Blocks<Cell, T>& blocks) { return blocks.heads * of_head(blocks); }
        PanelOfUnits(const Blocks<Cell, T>& blocks, long panel) {
            const long of_head = PanelOfUnits::of_head(blocks);
            head_begin = panel / of_head * blocks.depth, first = panel % of_head * panel_columns<T>;
            count = min(panel_columns<T>, blocks.depth - first);
        }
        long unit() const { return head_begin + first; }
    };

    // Those of cells that have no narrow products take no way of keeping.
    template <bool narrow, class = void>
    struct RowOf {
        using type = typename Cell::template BackwardRow<T>;
    };
    template <class Unused>
    struct RowOf<true, Unused> {
        using type = typename Cell::template BackwardRow<T, Keep<T, Product>>;
    };

    static long depth_of(const Chunk& chunk, long gates) {
        if constexpr (Product::narrow)
            return chunk.depth();
        else
            return gates;
    }
    // Where the cell writes for row r of a tile that begins at row b.
    LSTMCORE_INLINE T* dpre_row(long b, long r, long t) const {
        if constexpr (Product::narrow)
            return chunk.row_of_tile(r);
        else
            return chunk.row(b + r, t);
    }

    void step(long t, long begin, long end, bool last) {
        const bool whole = last || p.h_dropout.factors || blocks.heads > 1;  // in one piece
        for (long j = panel0; j < panel1; ++j) {
            const PanelOfUnits panel(blocks, j);
            const auto tile_of = [&](long b, long height, long slot, long k0, long k1) {
                tile(t, b, height, slot, panel, k0, k1, last);
            };
            if (!whole) {
                for_each_piece(begin, end, 0, depth, tile_of);
                continue;
            }
            const long rows = end - begin;
            for (long i = 0; rows > 0 && i < tile_count(rows); ++i)
                tile_of(begin + tile_begin(rows, i), tile_begin(rows, i + 1) - tile_begin(rows, i), 0, 0, depth);
        }
    }

    // dL/dh comes from the gates of the next step, here their terms [k0, k1), and from the outputs.
    void tile(long t, long b, long height, long slot, const PanelOfUnits& panel, long k0, long k1, bool last) {
        const long vectors = ceil_div(panel.count, L);
        T* dh = partial + slot * (vectors * L);
        const auto unit_of = [&](long n) { return panel.unit() + n * L; };
        const auto count = [&](long n) { return int(min(L, panel.count - n * L)); };
        if (k0 == 0)
            for (long k = 0; k < height * vectors; ++k) store(dh + k * L, Vec<T>{});
        using Row = typename RowOf<Product::narrow>::type;
        const auto from_outputs = [&](long r) { return p.dh.data ? at(p.dh, b + r, t) : nullptr; };
        if (far && k1 == depth)  // ask early for what the rows will read and write
            for (long r = 0; r < height; ++r) {
                const Row row(p, b + r, t, dpre_row(b, r, t));
                const T* d_outputs = from_outputs(r);
                for (long n = 0; n < vectors; ++n) {
                    row.prefetch(unit_of(n));
                    if (d_outputs) __builtin_prefetch(d_outputs + unit_of(n));
                }
            }
        if (!last) next_step(dh, t, b, height, panel, k0, k1);
        if (k1 < depth) return;
        for (long r = 0; r < height; ++r) {
            const Row row(p, b + r, t, dpre_row(b, r, t));
            const T* d_outputs = from_outputs(r);
            const long state = row_of(p, b + r) * p.shape.units;
            for (long n = 0; n < vectors; ++n) {
                const long u = unit_of(n);
                Vec<T> sum = load(dh + (r * vectors + n) * L);
                if (d_outputs) sum += load(d_outputs + u, count(n));
                if (last && p.dh_last) sum += load(p.dh_last + state + u, count(n));
                if (carries && !last) sum += load(p.dh0 + state + u, count(n));
                row.backward(sum, u, count(n));
            }
            if constexpr (Product::narrow) chunk.take_row_of_tile(r, b + r, t, panel.unit(), panel.count);
        }
    }

    // dh += dpre R^T, each gate's part times its dropout factors
    void next_step(T* dh, long t, long b, long height, const PanelOfUnits& of, long k0, long k1) const {
        if constexpr (Product::narrow)
            chunk.through_recurrent(dh, b, height, t + 1, of.first, of.count, k0, k1);
        else
            next_step_in_full(dh, t, b, height, of, k0, k1);
    }
    void next_step_in_full(T* dh, long t, long b, long height, const PanelOfUnits& of, long k0, long k1) const {
        const TransposedPanel<T> panel(p.weights.recurrent_transposed, gates, of.first, of.count);
        const T *rows[tile_rows], *factors_of[tile_rows];
        const auto find_rows = [&](long begin) {
            for (long r = 0; r < height; ++r) rows[r] = chunk.row(b + r, t + 1) + begin;
        };
        if (!p.h_dropout.factors && blocks.heads == 1) {
            find_rows(k0);
            return accumulate_in_memory(dh, panel, height, rows, k0, k1 - k0);
        }
        // A head has some of every gate's columns.
        const long copies = p.h_dropout.factors ? p.h_dropout.copies : 1;
        const long parts = blocks.heads > 1 ? Cell::gates : copies, stride = gates / parts;
        const long depth = blocks.heads > 1 ? blocks.depth : stride;
        for (long part = 0; part < parts; ++part) {
            const long k = part * stride + of.head_begin;
            find_rows(k);
            if (!p.h_dropout.factors) {
                accumulate_in_memory(dh, panel, height, rows, k, depth);
                continue;
            }
            for (long r = 0; r < height; ++r)
                factors_of[r] = factors(p.h_dropout, p, int(copies > 1 ? part : 0), b + r, p.shape.units) + of.unit();
            accumulate_in_memory(dh, panel, height, rows, k, depth, JoinedScaled<T>{factors_of, of.count});
        }
    }

    void initial_state() {
        if constexpr (Product::narrow)
            chunk.initial_state(carries);
        else
            initial_state_in_full();
    }
    void initial_state_in_full() {
        const long rows = rows_at(p, 0);
        long begin, end;
        team.split(tile_count(rows), begin, end);
        const auto dh0_row = [&](long b) { return p.dh0 + row_of(p, b) * p.shape.units; };
        chunk.back_through(
            p.weights.recurrent_transposed, p.shape.units, &Run::recurrent, p.h_dropout,
            RowsAt<const T>(chunk.row(0, 0), chunk.width), rows, begin, end, RowsAt<T>::by(dh0_row),
            [](long b) { return b; }, carries);
    }
};

}  // namespace lstmcore::LSTMCORE_ISA
