// The time loops of cells without a recurrent matrix, h = a h_prev + b with a and b of the inputs alone. A tile is a
// few steps of a row (or, where its steps end, of the next row) x all gates x a vector of units: the products of its
// steps, nearly all there is to do, are taken side by side. The recurrence itself then goes through the sums in
// registers step by step, one multiply-add beside the gates x inputs of a step's products. A scan, which takes steps
// side by side there too, does about log2(steps) as many of them and has only their latency to gain, which other units
// hide already where there is more than a vector of them. So the results are those of the plain loop, bit for bit.
//
// Threads share rows, or units where rows are few; either way they never meet.
//
// A cell has what the fused cells have (forward.hpp, backward.hpp); its steps come one after the other.
#pragma once

#include "gradients.hpp"
#include "packing.hpp"

namespace lstmcore::LSTMCORE_ISA {

// The steps of rows, row after row.
template <class Problem>
class StepsOfRows {
    const Problem& p;
    long b, end, t = 0;

    void skip_finished() {
        while (b < end && t >= steps_of(p, b)) ++b, t = 0;
    }

 public:
    static long steps_of(const Problem& p, long b) { return p.ragged.first ? p.ragged.length[b] : p.shape.steps; }
    StepsOfRows(const Problem& problem, long begin, long end) : p(problem), b(begin), end(end) { skip_finished(); }
    // Puts the next places there; returns how many.
    long take(Place* places, long most) {
        long count = 0;
        for (; count < most && b < end; ++count) {
            places[count] = {b, t++};
            skip_finished();
        }
        return count;
    }
};

// --- forward --------------------------------------------------------------------------------

template <class Cell, class T>
class LinearForward {
    static constexpr int V = Cell::vectors, N = Cell::gates * V, L = lanes<T>;
    // Steps that pass a panel before the next comes: their inputs stay in the second-level cache beside it.
    static constexpr long most_steps = 20 * tile_rows, input_bytes = 256l << 10;
    const ForwardProblem<T>& p;
    long row0, row1, block0, block1;  // this thread's rows and blocks of units
    T *partial, *dropped;             // [step][sum][lane]: sums of the inputs so far; rows times their dropout factors

    static long partial_size(const ForwardProblem<T>& p) {
        return p.shape.inputs > depth_block ? most_steps * N * L : 0;
    }
    static long workspace_of_thread(const ForwardProblem<T>& p) {
        return partial_size(p) + (p.x_dropout.factors ? tile_rows * p.shape.inputs : 0);
    }
    static long blocks_of(const ForwardProblem<T>& p) { return Blocks<Cell, T>(p.shape, p.options).count(); }

 public:
    static std::size_t workspace(const ForwardProblem<T>& p) { return std::size_t(workspace_of_thread(p)) * p.threads; }

    LinearForward(const ForwardProblem<T>& problem, const Team& team)
        : p(problem), partial(p.workspace + team.index * workspace_of_thread(p)), dropped(partial + partial_size(p)) {
        row0 = 0, row1 = p.shape.batch, block0 = 0, block1 = blocks_of(p);
        if (split_by_units(p.shape.batch, team.size))
            team.split(block1, block0, block1);
        else
            split_rows(p, team, row0, row1);
    }

    void run() {
        Place places[most_steps];
        const long most = max(tile_rows, min(most_steps, input_bytes / (p.shape.inputs * long(sizeof(T)))));
        StepsOfRows<ForwardProblem<T>> steps(p, row0, row1);
        while (const long count = steps.take(places, most))
            for (long block = block0; block < block1; ++block)
                for (long k0 = 0; k0 < p.shape.inputs; k0 += depth_block)
                    for (long i = 0; i < tile_count(count); ++i) {
                        const long begin = tile_begin(count, i);
                        with_rows(tile_begin(count, i + 1) - begin, [&](auto R) {
                            this->template tile<decltype(R)::value>(places + begin, partial + begin * N * L, block, k0);
                        });
                    }
    }

 private:
    // The terms of the inputs from k0 on, a block of the depth.
    template <int R>
    void tile(const Place* places, T* sums, long block, long k0) {
        const long inputs = p.shape.inputs, depth = min(depth_block, inputs - k0);
        const T* panel = p.weights.kernel + (block * inputs + k0) * N * L;
        if (k0 + depth == inputs)  // ask early for what the steps will write
            for (int r = 0; r < R; ++r)
                for (int v = 0; v < V; ++v) {
                    const long unit = block * block_units<Cell, T> + v * L;
                    __builtin_prefetch(at(p.h, places[r].b, places[r].t) + unit, 1);
                    if (p.saved.data)
                        prefetch_columns<true>(at(p.saved, places[r].b, places[r].t) + unit, Cell::saved,
                                               p.shape.units);
                }
        Vec<T> sum[R][N];
        if (k0 == 0)
            for (int n = 0; n < N; ++n)
                for (int r = 0; r < R; ++r) sum[r][n] = load(p.weights.bias + (block * N + n) * L);
        else
            load_tile<T, R, N>(sum, sums, N * L);
        if (!p.x_dropout.factors)
            accumulate<T, R, N>(sum, rows<R>(places, k0, depth, -1), panel, depth);
        else if (p.x_dropout.copies == 1)
            accumulate<T, R, N>(sum, rows<R>(places, k0, depth, 0), panel, depth);
        else
            by_gate<R>(sum, places, panel, k0, depth, std::make_integer_sequence<int, Cell::gates>{});
        if (k0 + depth < inputs) return store_tile<T, R, N>(sum, sums, N * L);
        activate(sum, places, block * block_units<Cell, T>);
    }

    // Rows of the inputs, times a copy of the dropout factors if there is one.
    template <int R>
    RowTile<T, R> rows(const Place* places, long k0, long depth, int copy) {
        RowTile<T, R> tile;
        for (int r = 0; r < R; ++r) {
            tile.row[r] = at(p.x, places[r].b, places[r].t) + k0;
            if (copy < 0) continue;
            T* to = dropped + r * p.shape.inputs;
            multiply_rows(tile.row[r], factors(p.x_dropout, p, copy, places[r].b, p.shape.inputs) + k0, to, depth);
            tile.row[r] = to;
        }
        return tile;
    }
    template <int R, int... gate>
    void by_gate(Vec<T> (&sum)[R][N], const Place* places, const T* panel, long k0, long depth,
                 std::integer_sequence<int, gate...>) {
        const auto one = [&](auto g) {
            constexpr int first = decltype(g)::value * V;
            GatePanel<T, V> of_gate;
            of_gate.stride = N * L;
            for (int v = 0; v < V; ++v) of_gate.vector[v] = panel + (first + v) * L;
            Vec<T> part[R][V];
            for (int r = 0; r < R; ++r)
                for (int v = 0; v < V; ++v) part[r][v] = sum[r][first + v];
            accumulate_from<T, R, V>(part, rows<R>(places, k0, depth, decltype(g)::value), of_gate, depth);
            for (int r = 0; r < R; ++r)
                for (int v = 0; v < V; ++v) sum[r][first + v] = part[r][v];
        };
        (one(Const<gate>{}), ...);
    }

    // The sums of a step are in memory by then; one copy of this code serves all tiles.
    template <int R>
    void activate(const Vec<T> (&sum)[R][N], const Place* places, long unit) const {
        for (int r = 0; r < R; ++r) step(sum[r], places[r], unit);
    }
    __attribute__((noinline)) void step(const Vec<T> (&sum)[N], Place place, long unit) const {
        Cell::template forward<T>(sum, p, place.b, place.t, unit);
    }
};

// --- backward -------------------------------------------------------------------------------

// dL/dh of the step at hand stands in p.dh0.
template <class Cell, class T>
class LinearBackward {
    static constexpr int L = lanes<T>;
    const BackwardProblem<T>& p;
    ChunkGradients<T> chunk;
    long row0, row1, unit0, unit1;  // this thread's rows and units

 public:
    static std::size_t workspace(const BackwardProblem<T>& p) {
        return ChunkGradients<T>::workspace(p, Cell::columns(p.shape, p.options));
    }

    LinearBackward(const BackwardProblem<T>& problem, const Team& team)
        : p(problem),
          chunk(p, team, Cell::columns(p.shape, p.options), Cell::gates * p.shape.units, p.workspace),
          row0(0),
          row1(p.shape.batch),
          unit0(0),
          unit1(p.shape.units) {
        if (split_by_units(p.shape.batch, team.size)) {
            team.split(ceil_div(p.shape.units, L), unit0, unit1);
            unit0 *= L, unit1 = min(p.shape.units, unit1 * L);
        } else {
            split_rows(p, team, row0, row1);
        }
    }

    void run() {
        for (long t1 = p.shape.steps; t1 > 0; t1 = chunk.t0) {
            chunk.begin(t1);
            for (long b = row0; b < row1; ++b) {
                const long end = StepsOfRows<BackwardProblem<T>>::steps_of(p, b);
                for (long t = min(t1, end) - 1; t >= chunk.t0; --t) step(b, t, t == end - 1);
            }
            chunk.finish([] {});
        }
    }

 private:
    void step(long b, long t, bool last) {
        const typename Cell::template BackwardRow<T> row(p, b, t, chunk.row(b, t));
        const long of_row = row_of(p, b) * p.shape.units;
        const T* d_outputs = p.dh.data ? at(p.dh, b, t) : nullptr;
        const T* d_last = last && p.dh_last ? p.dh_last + of_row : nullptr;
        for (long unit = unit0; unit < unit1; unit += L) {
            const int count = int(min(L, unit1 - unit));
            Vec<T> dh = load(p.dh0 + of_row + unit, count);
            if (d_outputs) dh += load(d_outputs + unit, count);
            if (d_last) dh += load(d_last + unit, count);
            row.backward(dh, unit, count);
        }
    }
};

}  // namespace lstmcore::LSTMCORE_ISA
