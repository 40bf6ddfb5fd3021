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

// Threads share rows where each gets at least a tile's worth of them.
LSTMCORE_INLINE bool split_by_units(long batch, int threads) { return batch < 4l * threads; }

// --- forward --------------------------------------------------------------------------------

// With few rows the input weights are better read once for many steps: their product with the
// inputs of a chunk of steps is computed ahead. With many rows, or a narrow input, the tile runs
// over the input itself. Both add the same terms in the same order.
struct ForwardPlan {
    bool by_units, ahead;
    long rows, chunk;  // rows of one thread; steps computed ahead
};

template <class Cell, class T>
ForwardPlan plan_forward(const RecurrentShape& s, int threads) {
    ForwardPlan plan;
    plan.by_units = split_by_units(s.batch, threads);
    plan.rows = plan.by_units ? s.batch : ceil_div(s.batch, threads);
    plan.ahead = plan.rows < tile_rows && s.inputs > 4 && s.steps > 1;
    const long row_bytes = Cell::gates * packed_columns<T>(s.units) * long(sizeof(T));
    plan.chunk = plan.ahead ? min(s.steps, max(2 * tile_rows, (128l << 10) / row_bytes) / plan.rows + 1) : s.steps;
    return plan;
}

template <class Cell, class T>
std::size_t forward_workspace(const RecurrentShape& s, int threads) {
    const ForwardPlan plan = plan_forward<Cell, T>(s, threads);
    return plan.ahead ? std::size_t(threads) * plan.chunk * plan.rows * Cell::gates * packed_columns<T>(s.units) : 0;
}

template <class Cell, class T>
class Forward {
    static constexpr int G = Cell::gates, L = lanes<T>;
    const ForwardProblem<T>& p;
    const Team& team;
    const ForwardPlan plan;
    long row0, row1, block0, block1;  // this thread's rows and blocks of units
    T* ahead;                         // [step of chunk][row][block][gate][lane]
    long ahead_row;

 public:
    Forward(const ForwardProblem<T>& problem, const Team& team)
        : p(problem), team(team), plan(plan_forward<Cell, T>(p.shape, team.size)) {
        row0 = 0, row1 = p.shape.batch, block0 = 0, block1 = ceil_div(p.shape.units, L);
        if (plan.by_units)
            team.split(block1, block0, block1);
        else
            team.split(row1, row0, row1);
        ahead_row = G * packed_columns<T>(p.shape.units);
        ahead = p.workspace + team.index * plan.chunk * plan.rows * ahead_row;
    }

    void run() {
        for (long t0 = 0; t0 < p.shape.steps; t0 += plan.chunk) {
            const long t1 = min(p.shape.steps, t0 + plan.chunk);
            if (plan.ahead) project(t0, t1);
            for (long t = t0; t < t1; ++t) {
                step(t, t0);
                if (plan.by_units) team.wait();
            }
        }
    }

 private:
    // ahead = bias + x W for the steps [t0, t1)
    void project(long t0, long t1) {
        const long rows = row1 - row0, count = (t1 - t0) * rows;
        const auto x_row = [&](long m) { return at(p.x, row0 + m % rows, t0 + m / rows); };
        for (long block = block0; block < block1; ++block)
            for (long tile = 0; tile < tile_count(count); ++tile) {
                const long begin = tile_begin(count, tile);
                with_rows(tile_begin(count, tile + 1) - begin, [&](auto height) {
                    constexpr int R = decltype(height)::value;
                    Vec<T> sum[R][G];
                    start_from_bias<R>(sum, block);
                    accumulate<T, R, G>(sum, rows_of<T>(x_row).template tile<R>(begin, 0),
                                        p.weights.kernel + block * L * G * p.shape.inputs, p.shape.inputs);
                    for (int r = 0; r < R; ++r)
                        for (int g = 0; g < G; ++g)
                            store(ahead + (begin + r) * ahead_row + (block * G + g) * L, sum[r][g]);
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
        const long rows = row1 - row0;
        for (long block = block0; block < block1; ++block)
            for (long tile = 0; tile < tile_count(rows); ++tile) {
                const long begin = row0 + tile_begin(rows, tile);
                with_rows(row0 + tile_begin(rows, tile + 1) - begin,
                          [&](auto height) { this->template tile<decltype(height)::value>(t, t0, begin, block); });
            }
    }

    template <int R>
    void tile(long t, long t0, long b, long block) {
        Vec<T> sum[R][G];
        if (plan.ahead) {
            const T* from = ahead + ((t - t0) * (row1 - row0) + b - row0) * ahead_row + block * G * L;
            for (int r = 0; r < R; ++r)
                for (int g = 0; g < G; ++g) sum[r][g] = load(from + r * ahead_row + g * L);
        } else {
            start_from_bias<R>(sum, block);
            accumulate<T, R, G>(sum, rows_of<T>([&](long r) { return at(p.x, r, t); }).template tile<R>(b, 0),
                                p.weights.kernel + block * L * G * p.shape.inputs, p.shape.inputs);
        }
        accumulate<T, R, G>(sum, rows_of<T>([&](long r) { return previous_h(p, r, t); }).template tile<R>(b, 0),
                            p.weights.recurrent + block * L * G * p.shape.units, p.shape.units);
        const long unit = block * L;
        const int n = int(min(L, p.shape.units - unit));
        for (int r = 0; r < R; ++r) Cell::template forward<T>(sum[r], p, b + r, t, unit, n);
    }
};

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
    std::size_t dpre, left, panels, panel, size;
    BackwardWorkspace(const RecurrentShape& s, int threads) {
        const std::size_t rows = std::size_t(backward_chunk(s)) * s.batch, gates = Cell::gates * s.units;
        const auto aligned = [](std::size_t n) { return (n + 63) / 64 * 64; };
        dpre = 0;
        left = aligned((rows + s.batch) * gates);
        panels = left + aligned(rows * (s.inputs + s.units));
        panel = aligned(rows * panel_columns<T>);
        size = panels + panel * threads;
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
    T *dpre, *left, *panel;           // [step of chunk + 1][batch][gate][unit]; packed inputs; own panel

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
                std::memmove(to + begin, dpre + begin, (end - begin) * sizeof(T));
                team.wait();
            }
            t1 = t0;
        }
        if (p.dh0) initial_state();
    }

 private:
    T* dpre_row(long b, long t, long t0) const { return dpre + ((t - t0) * batch + b) * gates; }

    void step(long t, long t0) {
        const long rows = row1 - row0;
        for (long j = panel0; j < panel1; ++j) {
            const long unit = j * panel_columns<T>, columns = min(panel_columns<T>, p.shape.units - unit);
            with_vectors(ceil_div(columns, L), [&](auto width) {
                for (long tile = 0; tile < tile_count(rows); ++tile) {
                    const long begin = row0 + tile_begin(rows, tile);
                    with_rows(row0 + tile_begin(rows, tile + 1) - begin, [&](auto height) {
                        this->template tile<decltype(height)::value, decltype(width)::value>(t, t0, begin, unit);
                    });
                }
            });
        }
    }

    template <int R, int N>
    void tile(long t, long t0, long b, long unit) {
        const bool last = t + 1 == p.shape.steps;
        const auto count = [&](int n) { return int(min(L, p.shape.units - unit - n * L)); };
        Vec<T> dh[R][N];
        for (int r = 0; r < R; ++r)
            for (int n = 0; n < N; ++n) {
                Vec<T> sum{};
                if (p.dh.data) sum += load(at(p.dh, b + r, t) + unit + n * L, count(n));
                if (last && p.dh_last) sum += load(p.dh_last + (b + r) * p.shape.units + unit + n * L, count(n));
                dh[r][n] = sum;
            }
        if (!last)
            accumulate<T, R, N>(dh, rows_of<T>([&](long r) { return dpre_row(r, t + 1, t0); }).template tile<R>(b, 0),
                                p.weights.recurrent_transposed + unit * gates, gates);
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
            for (long k = 0; k < rows; ++k) sum += load(packed + (k * vectors + n) * L);
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
