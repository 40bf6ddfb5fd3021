// The time loop, forward and backward, written once for every cell.
//
// Forward, a tile is a few batch rows x all gates x one vector of units; the cell turns its
// accumulators into h and c without a round trip to memory. Backward, a tile is a few batch rows x
// a panel of units; its accumulators become dL/dh, the cell turns them into the gradients of the
// pre-activations. Those of a chunk of steps are kept, and what remains (gradients of weights and
// inputs) is matrix multiplication over the chunk at once.
//
// Work is divided among threads by batch rows (no barrier between steps) or, where rows are few,
// by units (a barrier each step; each thread's share of the weights then stays in its own cache).
// Either way every sum keeps its order.
#pragma once

#include "gemm.hpp"

namespace lstmcore::LSTMCORE_ISA {

// --- helpers of the cells -------------------------------------------------------------------

template <class T>
LSTMCORE_INLINE T* at(const Sequence<T>& s, long b, long t) {
    return s.data + b * s.batch_stride + (t & s.step_mask) * s.step_stride;
}

template <class Problem>
LSTMCORE_INLINE auto previous_h(const Problem& p, long b, long t) {
    return t > 0 ? at(p.h, b, t - 1) : p.h0 + b * p.shape.units;
}
template <class Problem>
LSTMCORE_INLINE auto previous_c(const Problem& p, long b, long t) {
    return t > 0 ? at(p.c, b, t - 1) : p.c0 + b * p.shape.units;
}

// --- packing --------------------------------------------------------------------------------

// Forward panels hold one block of units (a vector) of every gate; transposed panels are ordinary.
template <class Cell, class T>
PackedSizes packed_sizes(long inputs, long units) {
    const std::size_t width = std::size_t(packed_columns<T>(units)) * Cell::gates, gates = Cell::gates * units;
    return {width * inputs, width * units, width, gates * packed_columns<T>(inputs), gates * packed_columns<T>(units)};
}

template <class Cell, class T>
void pack(const PackProblem<T>& problem) {
    parallel(
        problem.threads,
        [](const void* context, const Team& team) {
            const PackProblem<T>& p = *static_cast<const PackProblem<T>*>(context);
            constexpr int G = Cell::gates, L = lanes<T>;
            const long gates = G * p.units;
            long begin, end;
            team.split(ceil_div(p.units, L), begin, end);
            for (long block = begin; block < end; ++block) {
                const long unit = block * L;
                const int n = int(min(L, p.units - unit));
                for (int g = 0; g < G; ++g) {
                    const long column = g * p.units + unit;
                    pack_vector(p.packed.kernel + unit * G * p.inputs + g * L, G * L, p.kernel + column, gates, 1,
                                p.inputs, n);
                    pack_vector(p.packed.recurrent + unit * G * p.units + g * L, G * L, p.recurrent + column, gates, 1,
                                p.units, n);
                    store(p.packed.bias + unit * G + g * L, p.bias ? load(p.bias + column, n) : Vec<T>{});
                }
            }
            const auto pack_transposed = [&](T* packed, const T* weights, long rows) {
                if (!packed) return;
                team.split(ceil_div(rows, panel_columns<T>), begin, end);
                for (long panel = begin; panel < end; ++panel) {
                    const long row = panel * panel_columns<T>;
                    pack_panel(packed + row * gates, weights + row * gates, 1, gates, gates,
                               min(panel_columns<T>, rows - row));
                }
            };
            pack_transposed(p.packed.kernel_transposed, p.kernel, p.inputs);
            pack_transposed(p.packed.recurrent_transposed, p.recurrent, p.units);
        },
        &problem);
}

// Threads share rows where each gets about a tile of them, else units.
LSTMCORE_INLINE bool split_by_units(long batch, int threads) { return batch < 4l * threads; }

// A step's sums run over the inputs and over the units (or the gates). Where that is deep they are
// taken in pieces, each for many tiles of rows while its part of the panel stays in the second-level
// cache; the partial sums of a group of tiles wait in `partial`. Pieces begin at multiples of
// depth_block in each of the two.
constexpr long tiles_in_group = 40;

LSTMCORE_INLINE long piece_end(long k, long first, long second) {
    if (k >= first) return min(first + second, k + depth_block);
    const long end = min(first, k + depth_block);
    return end == first && end - k + second <= depth_block ? first + second : end;
}

// Calls f(row, height, slot, k0, k1) for the tiles of rows [row0, row1), piece by piece; slot is the
// row's number within its group.
template <class F>
LSTMCORE_INLINE void for_each_piece(long row0, long row1, long first, long second, F f) {
    const long rows = row1 - row0, tiles = tile_count(rows);
    for (long group = 0; group < tiles; group += tiles_in_group)
        for (long k0 = 0, k1; k0 < first + second; k0 = k1) {
            k1 = piece_end(k0, first, second);
            for (long tile = group; tile < min(tiles, group + tiles_in_group); ++tile) {
                const long begin = tile_begin(rows, tile), height = tile_begin(rows, tile + 1) - begin;
                f(row0 + begin, height, begin - tile_begin(rows, group), k0, k1);
            }
        }
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

// --- forward --------------------------------------------------------------------------------

template <class Cell, class T>
class Forward {
    static constexpr int G = Cell::gates, L = lanes<T>;
    const ForwardProblem<T>& p;
    const Team& team;
    const bool by_units, ahead;
    const long chunk;
    long row0, row1, block0, block1;  // this thread's rows and blocks of units
    T* projected;                     // [step of chunk][row][block][gate][lane]
    const long projected_row;

    // With few rows the input weights are better read once for many steps: their product with the
    // inputs of a chunk of steps is computed ahead. With more rows, or a narrow input, the tile runs
    // over the input itself. Both add the same terms in the same order. (So few rows are never
    // shared among threads: each thread has all of them.)
    static bool plan_ahead(const RecurrentShape& s) { return s.batch < tile_rows && s.inputs > 4 && s.steps > 1; }
    static long gates_of(const RecurrentShape& s) { return G * packed_columns<T>(s.units); }
    static long plan_chunk(const RecurrentShape& s) {
        if (!plan_ahead(s)) return s.steps;
        const long rows = (128l << 10) / (gates_of(s) * long(sizeof(T)));
        return min(s.steps, ceil_div(max(2 * tile_rows, rows), s.batch));
    }
    static long workspace_of_thread(const RecurrentShape& s) {
        return plan_ahead(s) ? plan_chunk(s) * s.batch * gates_of(s) : tiles_in_group * tile_rows * G * L;
    }

 public:
    static std::size_t workspace(const RecurrentShape& s, int threads) {
        return std::size_t(workspace_of_thread(s)) * threads;
    }

    Forward(const ForwardProblem<T>& problem, const Team& team)
        : p(problem),
          team(team),
          by_units(split_by_units(p.shape.batch, team.size)),
          ahead(plan_ahead(p.shape)),
          chunk(plan_chunk(p.shape)),
          projected(p.workspace + team.index * workspace_of_thread(p.shape)),
          projected_row(gates_of(p.shape)) {
        row0 = 0, row1 = p.shape.batch, block0 = 0, block1 = ceil_div(p.shape.units, L);
        if (by_units)
            team.split(block1, block0, block1);
        else
            team.split(row1, row0, row1);
    }

    void run() {
        for (long t0 = 0; t0 < p.shape.steps; t0 += chunk) {
            const long t1 = min(p.shape.steps, t0 + chunk);
            if (ahead) project(t0, t1);
            for (long t = t0; t < t1; ++t) {
                step(t, t0);
                if (by_units) team.wait();
            }
        }
    }

 private:
    // projected = bias + x W for the steps [t0, t1)
    void project(long t0, long t1) {
        const long batch = p.shape.batch, rows = (t1 - t0) * batch;
        const auto x_rows = rows_of<T>([&](long m) { return at(p.x, m % batch, t0 + m / batch); });
        for (long block = block0; block < block1; ++block)
            for (long tile = 0; tile < tile_count(rows); ++tile) {
                const long begin = tile_begin(rows, tile);
                with_rows(tile_begin(rows, tile + 1) - begin, [&](auto height) {
                    constexpr int R = decltype(height)::value;
                    Vec<T> sum[R][G];
                    start_from_bias<R>(sum, block);
                    accumulate<T, R, G>(sum, x_rows.template tile<R>(begin, 0),
                                        p.weights.kernel + block * L * G * p.shape.inputs, p.shape.inputs);
                    store_tile<T, R, G>(sum, projected + begin * projected_row + block * G * L, projected_row);
                });
            }
    }

    template <int R>
    LSTMCORE_INLINE void start_from_bias(Vec<T> (&sum)[R][G], long block) const {
        for (int g = 0; g < G; ++g) {
            const Vec<T> bias = load(p.weights.bias + (block * G + g) * L);
            for (int r = 0; r < R; ++r) sum[r][g] = bias;
        }
    }

    void step(long t, long t0) {
        for (long block = block0; block < block1; ++block)
            for_each_piece(row0, row1, ahead ? 0 : p.shape.inputs, p.shape.units,
                           [&](long b, long height, long slot, long k0, long k1) {
                               with_rows(height, [&](auto R) {
                                   this->template tile<decltype(R)::value>(t, t0, b, slot, block, k0, k1);
                               });
                           });
    }

    // The terms [k0, k1) of the inputs and the previous h, one after the other.
    template <int R>
    void tile(long t, long t0, long b, long slot, long block, long k0, long k1) {
        const long inputs = ahead ? 0 : p.shape.inputs, units = p.shape.units, unit = block * L;
        T* partial = projected + slot * (G * L);
        Vec<T> sum[R][G];
        if (k0 > 0)
            load_tile<T, R, G>(sum, partial, G * L);
        else if (ahead)
            load_tile<T, R, G>(sum, projected + ((t - t0) * p.shape.batch + b) * projected_row + unit * G,
                               projected_row);
        else
            start_from_bias<R>(sum, block);
        if (k0 < inputs)
            accumulate<T, R, G>(sum, rows_of<T>([&](long r) { return at(p.x, r, t); }).template tile<R>(b, k0),
                                p.weights.kernel + unit * G * inputs + k0 * G * L, min(k1, inputs) - k0);
        if (k1 > inputs) {
            const long k = max(0, k0 - inputs);
            accumulate<T, R, G>(sum, rows_of<T>([&](long r) { return previous_h(p, r, t); }).template tile<R>(b, k),
                                p.weights.recurrent + unit * G * units + k * G * L, k1 - inputs - k);
        }
        if (k1 < inputs + units) return store_tile<T, R, G>(sum, partial, G * L);
        const int n = int(min(L, units - unit));
        Cell::template forward<T, R>(sum, p, b, t, unit, n);
    }
};

template <class Cell, class T>
std::size_t forward_workspace(const RecurrentShape& s, int threads) {
    return Forward<Cell, T>::workspace(s, threads);
}

template <class Cell, class T>
void forward(const ForwardProblem<T>& problem) {
    parallel(
        problem.threads,
        [](const void* context, const Team& team) {
            Forward<Cell, T>(*static_cast<const ForwardProblem<T>*>(context), team).run();
        },
        &problem);
}

// --- backward -------------------------------------------------------------------------------

// Steps whose pre-activation gradients are kept: enough rows for the matrix products that follow.
LSTMCORE_INLINE long backward_chunk(const RecurrentShape& s) {
    return max(1, min(s.steps, depth_block / max(1, s.batch)));
}

template <class Cell, class T>
struct BackwardWorkspace {  // offsets in elements
    std::size_t dpre, left, panels, panel, partials, partial, size;
    BackwardWorkspace(const RecurrentShape& s, int threads) {
        const std::size_t rows = std::size_t(backward_chunk(s)) * s.batch, gates = Cell::gates * s.units;
        const auto aligned = [](std::size_t n) { return (n + 63) / 64 * 64; };
        dpre = 0;
        left = aligned((rows + s.batch) * gates);
        panels = left + aligned(rows * (s.inputs + s.units));
        panel = aligned(rows * panel_columns<T>);
        partials = panels + panel * threads;
        partial = tiles_in_group * tile_rows * panel_columns<T>;
        size = partials + partial * threads;
    }
};

template <class Cell, class T>
std::size_t backward_workspace(const RecurrentShape& s, int threads) {
    return BackwardWorkspace<Cell, T>(s, threads).size;
}

template <class Cell, class T>
class Backward {
    static constexpr int L = lanes<T>;
    const BackwardProblem<T>& p;
    const Team& team;
    const long batch, gates, chunk;
    const bool by_units;
    long row0, row1, panel0, panel1;  // this thread's rows and panels of units
    T *dpre, *left;                   // [step of chunk + 1][batch][gate][unit]; packed inputs
    T *panel, *partial;               // this thread's

 public:
    Backward(const BackwardProblem<T>& problem, const Team& team)
        : p(problem),
          team(team),
          batch(p.shape.batch),
          gates(Cell::gates * p.shape.units),
          chunk(backward_chunk(p.shape)),
          by_units(split_by_units(batch, team.size)) {
        row0 = 0, row1 = batch, panel0 = 0, panel1 = ceil_div(p.shape.units, panel_columns<T>);
        if (by_units)
            team.split(panel1, panel0, panel1);
        else
            team.split(row1, row0, row1);
        const BackwardWorkspace<Cell, T> offsets(p.shape, team.size);
        dpre = p.workspace + offsets.dpre;
        left = p.workspace + offsets.left;
        panel = p.workspace + offsets.panels + team.index * offsets.panel;
        partial = p.workspace + offsets.partials + team.index * offsets.partial;
    }

    void run() {
        for (long t1 = p.shape.steps; t1 > 0;) {
            const long t0 = max(0, t1 - chunk);
            for (long t = t1 - 1; t >= t0; --t) {
                step(t, t0);
                if (by_units) team.wait();
            }
            team.wait();
            gradients(t0, t1);
            team.wait();
            if (t0 > 0) {  // the earliest step's gradients go where the next chunk looks for them
                long begin, end;
                team.split(batch * gates, begin, end);
                T* to = dpre + (t0 - max(0, t0 - chunk)) * batch * gates;
                std::memcpy(to + begin, dpre + begin, (end - begin) * sizeof(T));
                team.wait();
            }
            t1 = t0;
        }
        if (p.dh0) initial_state();
    }

 private:
    T* dpre_row(long b, long t, long t0) const { return dpre + ((t - t0) * batch + b) * gates; }

    void step(long t, long t0) {
        for (long j = panel0; j < panel1; ++j) {
            const long unit = j * panel_columns<T>, columns = min(panel_columns<T>, p.shape.units - unit);
            with_vectors(ceil_div(columns, L), [&](auto N) {
                for_each_piece(row0, row1, 0, gates, [&](long b, long height, long slot, long k0, long k1) {
                    with_rows(height, [&](auto R) {
                        this->template tile<decltype(R)::value, decltype(N)::value>(t, t0, b, slot, unit, k0, k1);
                    });
                });
            });
        }
    }

    // The terms [k0, k1) of dL/dh, which comes from the outputs and from the gates of the next step.
    template <int R, int N>
    void tile(long t, long t0, long b, long slot, long unit, long k0, long k1) {
        const bool last = t + 1 == p.shape.steps;
        if (last && k1 < gates) return;
        const auto count = [&](int n) { return int(min(L, p.shape.units - unit - n * L)); };
        T* partial_sums = partial + slot * (N * L);
        Vec<T> dh[R][N];
        if (k0 > 0 && !last)
            load_tile<T, R, N>(dh, partial_sums, N * L);
        else
            for (int r = 0; r < R; ++r)
                for (int n = 0; n < N; ++n) {
                    Vec<T> sum{};
                    if (p.dh.data) sum += load(at(p.dh, b + r, t) + unit + n * L, count(n));
                    if (last && p.dh_last) sum += load(p.dh_last + (b + r) * p.shape.units + unit + n * L, count(n));
                    dh[r][n] = sum;
                }
        if (k1 == gates)  // what the cell will read was saved long ago: ask for it early
            for (int r = 0; r < R; ++r)
                for (int n = 0; n < N; ++n) Cell::template prefetch<T>(p, b + r, t, unit + n * L);
        if (!last)
            accumulate<T, R, N>(dh, rows_of<T>([&](long r) { return dpre_row(r, t + 1, t0); }).template tile<R>(b, k0),
                                p.weights.recurrent_transposed + unit * gates + k0 * N * L, k1 - k0);
        if (k1 < gates) return store_tile<T, R, N>(dh, partial_sums, N * L);
        for (int r = 0; r < R; ++r)
            for (int n = 0; n < N; ++n)
                Cell::template backward<T>(dh[r][n], p, b + r, t, unit + n * L, count(n), dpre_row(b + r, t, t0));
    }

    // Gradients of the weights and of the inputs from the steps [t0, t1).
    void gradients(long t0, long t1) {
        const long rows = (t1 - t0) * batch, inputs = p.shape.inputs, units = p.shape.units;
        long begin, end;
        team.split(rows, begin, end);
        T* left_h = left + rows * inputs;
        pack_tiles(left, [&](long k) { return at(p.x, k % batch, t0 + k / batch); }, inputs, rows, begin, end);
        pack_tiles(left_h, [&](long k) { return previous_h(p, k % batch, t0 + k / batch); }, units, rows, begin, end);
        team.wait();

        team.split(ceil_div(gates, panel_columns<T>), begin, end);
        for (long j = begin; j < end; ++j) {
            const long column = j * panel_columns<T>, columns = min(panel_columns<T>, gates - column);
            pack_panel(panel, dpre + column, gates, 1, rows, columns);
            const auto product = [&](const T* packed, long height, T* out) {
                multiply_panel<T>(
                    PackedRows<T>{packed, rows}, height, 0, tile_count(height), panel, rows, columns, nullptr,
                    [&](long r) { return out + r * gates + column; }, true);
            };
            product(left, inputs, p.dkernel);
            product(left_h, units, p.drecurrent);
            if (p.dbias) add_rows(panel, rows, columns, p.dbias + column);
        }

        if (p.dx.data) {
            const auto dpre_of = rows_of<T>([&](long m) { return dpre + m * gates; });
            team.split(tile_count(rows), begin, end);
            for (long column = 0; column < inputs; column += panel_columns<T>)
                multiply_panel<T>(
                    dpre_of, rows, begin, end, p.weights.kernel_transposed + column * gates, gates,
                    min(panel_columns<T>, inputs - column), nullptr,
                    [&](long m) { return at(p.dx, m % batch, t0 + m / batch) + column; }, false);
        }
    }

    // out += the sum of the rows of a packed panel
    static void add_rows(const T* packed, long rows, long columns, T* out) {
        const long vectors = ceil_div(columns, L);
        for (long n = 0; n < vectors; ++n) {
            Vec<T> sum{};
            for (long k0 = 0; k0 < rows; k0 += sum_block) {
                Vec<T> block{};
                for (long k = k0; k < min(rows, k0 + sum_block); ++k) block += load(packed + (k * vectors + n) * L);
                sum += block;
            }
            const int count = int(min(L, columns - n * L));
            store(out + n * L, load(out + n * L, count) + sum, count);
        }
    }

    void initial_state() {
        const auto dpre_of = rows_of<T>([&](long b) { return dpre_row(b, 0, 0); });
        const long units = p.shape.units;
        long begin, end;
        team.split(tile_count(batch), begin, end);
        for (long unit = 0; unit < units; unit += panel_columns<T>)
            multiply_panel<T>(
                dpre_of, batch, begin, end, p.weights.recurrent_transposed + unit * gates, gates,
                min(panel_columns<T>, units - unit), nullptr, [&](long b) { return p.dh0 + b * units + unit; }, false);
    }
};

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
