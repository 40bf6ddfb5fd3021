// The time loop forward, fused: written once for the cells whose gates can be applied to the sums in
// registers. A tile is a few batch rows x all gates x a vector of units; the cell turns its sums
// into h and c without a round trip to memory.
//
// Work is divided among threads by batch rows (no barrier between steps) or, where rows are few,
// by units (a barrier each step; each thread's share of the weights then stays in its own cache).
// Either way every sum keeps its order.
//
// With narrow products (products.hpp) the rows of x and h become narrow first; what they are multiplied with is packed
// so, and there is no dropout.
//
// A cell has what packing.hpp says, and forward(sums, problem, row, step, unit).
#pragma once

#include "kept.hpp"
#include "packing.hpp"

namespace lstmcore::LSTMCORE_ISA {

// --- pieces of a sum ------------------------------------------------------------------------

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
    const long rows = row1 - row0, tiles = rows > 0 ? tile_count(rows) : 0;
    for (long group = 0; group < tiles; group += tiles_in_group)
        for (long k0 = 0, k1; k0 < first + second; k0 = k1) {
            k1 = piece_end(k0, first, second);
            for (long tile = group; tile < min(tiles, group + tiles_in_group); ++tile) {
                const long begin = tile_begin(rows, tile), height = tile_begin(rows, tile + 1) - begin;
                f(row0 + begin, height, begin - tile_begin(rows, group), k0, k1);
            }
        }
}

// Gates that see rows of their own. One copy of this serves every cell; the sums are in memory before and after.
template <class T>
__attribute__((noinline)) void drop_row(const T* row, const T* factors, T* dropped, long n) {
    multiply_rows(row, factors, dropped, n);
}
template <class T, int R, int B>
__attribute__((noinline)) void accumulate_gate(Vec<T> (&sum)[R][B], const RowTile<T, R>& rows,
                                               const GatePanel<T, B>& panel, long depth) {
    accumulate_from<T, R, B>(sum, rows, panel, depth);
}

// --- the loop -------------------------------------------------------------------------------

template <class Cell, class T, class Product = Plain<T>>
class Forward {
    static constexpr int N = Cell::gates * Cell::vectors, S = Cell::sums, L = lanes<T>;
    const ForwardProblem<T>& p;
    const Team& team;
    const Blocks<Cell, T> blocks;
    const bool by_units, ahead;
    const long chunk;
    long row0, row1, block0, block1;  // this thread's rows and blocks of units
    const long tail, tail_block;      // vectors of the tail, and its block, or 0 and none
    T* projected;                     // [step of chunk][row][block][sum][lane]
    const long projected_row;
    T* partial_sums;                         // [row of group][sum][lane]
    T *dropped_x, *dropped_h;                // [row][unit]: rows times their dropout factors; this step's, or a tile's
    NarrowRows<Product> narrow_x, narrow_h;  // this step's rows; of x the chunk's, where they are ahead
    const long x_depth, h_depth;             // terms of the two products, or words of them

    // With few rows the input weights are better read once for many steps: their product with the
    // inputs of a chunk of steps is computed ahead. So it is with some more rows where the weights are
    // too large for the second-level cache. With many, or a narrow input, or dropout that differs between
    // gates, the tile runs over the input itself. Both add the same terms in the same order.
    static bool plan_ahead(const ForwardProblem<T>& p) {
        const RecurrentShape& s = p.shape;
        if (s.inputs <= 4 || s.steps == 1 || p.x_dropout.factors || by_gate(p)) return false;
        const Blocks<Cell, T> blocks(s, p.options);
        const long bytes = N * L * (words(s.inputs) + words(blocks.depth)) * blocks.count() * long(sizeof(T));
        return s.batch < tile_rows || (s.batch <= 4 * tile_rows && bytes > large_weights && !p.ragged.first);
    }
    static constexpr long large_weights = 768l << 10, projected_bytes = 128l << 10;
    static long sums_of(const ForwardProblem<T>& p) { return Blocks<Cell, T>(p.shape, p.options).count() * S * L; }
    static long plan_chunk(const ForwardProblem<T>& p) {
        if (!plan_ahead(p)) return p.shape.steps;
        const long rows = (p.shape.batch < tile_rows ? 1 : 4) * projected_bytes / (sums_of(p) * long(sizeof(T)));
        return min(p.shape.steps, ceil_div(max(2 * tile_rows, rows), p.shape.batch));
    }
    static long projected_size(const ForwardProblem<T>& p) {
        return plan_ahead(p) ? plan_chunk(p) * p.shape.batch * sums_of(p) : 0;
    }
    static long partial_size(const ForwardProblem<T>& p) {
        const long inputs = plan_ahead(p) ? 0 : words(p.shape.inputs);
        const long depth = words(Blocks<Cell, T>(p.shape, p.options).depth);
        return piece_end(0, inputs, depth) == inputs + depth ? 0
                                                             : min(p.shape.batch, tiles_in_group * tile_rows) * S * L;
    }
    // Whether the factors differ between gates.
    static bool by_gate(const ForwardProblem<T>& p) {
        return (p.x_dropout.factors && p.x_dropout.copies > 1) || (p.h_dropout.factors && p.h_dropout.copies > 1);
    }
    static long dropped_size(const ForwardProblem<T>& p, const Dropout<T>& dropout, long width) {
        return dropout.factors ? (by_gate(p) ? tile_rows : p.shape.batch) * width : 0;
    }
    static long words(long terms) { return ceil_div(terms, Product::group); }
    static long narrow_x_size(const ForwardProblem<T>& p) {
        if constexpr (!Product::narrow)
            return 0;
        else
            return (plan_ahead(p) ? plan_chunk(p) : 1) * p.shape.batch * row_stride<Product>(p.shape.inputs);
    }
    static long narrow_h_size(const ForwardProblem<T>& p) {
        if constexpr (!Product::narrow)
            return 0;
        else
            return p.shape.batch * row_stride<Product>(p.shape.units);
    }
    static long workspace_of_thread(const ForwardProblem<T>& p) {
        return projected_size(p) + partial_size(p) + dropped_size(p, p.x_dropout, p.shape.inputs) +
               dropped_size(p, p.h_dropout, p.shape.units) + narrow_x_size(p) + narrow_h_size(p);
    }

 public:
    static std::size_t workspace(const ForwardProblem<T>& p) { return std::size_t(workspace_of_thread(p)) * p.threads; }

    Forward(const ForwardProblem<T>& problem, const Team& team)
        : p(problem),
          team(team),
          blocks(p.shape, p.options),
          by_units(split_by_units(p.shape.batch, team.size)),
          ahead(plan_ahead(p)),
          chunk(plan_chunk(p)),
          tail(tail_vectors<Cell, T>(p.shape.units)),
          tail_block(tail ? p.shape.units / L : -1),
          projected(p.workspace + team.index * workspace_of_thread(p)),
          projected_row(sums_of(p)),
          partial_sums(projected + projected_size(p)),
          dropped_x(partial_sums + partial_size(p)),
          dropped_h(dropped_x + dropped_size(p, p.x_dropout, p.shape.inputs)),
          narrow_x{dropped_h + dropped_size(p, p.h_dropout, p.shape.units), p.shape.inputs},
          narrow_h{narrow_x.data + narrow_x_size(p), p.shape.units},
          x_depth(words(p.shape.inputs)),
          h_depth(words(blocks.depth)) {
        row0 = 0, row1 = p.shape.batch, block0 = 0, block1 = blocks.count();
        if (by_units)
            team.split(block1, block0, block1);
        else
            split_rows(p, team, row0, row1);
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
        // A thread that shares rows has some of each step's; sequences of different length are not shared.
        const long begin = number_of(p, t0), own = row1 - row0;
        const long rows = p.ragged.first ? number_of(p, t1) - begin : (t1 - t0) * own;
        const auto x_row = [&](long m) {
            if (!p.ragged.first) return at(p.x, row0 + m % own, t0 + m / own);
            const Place place = place_of(p, begin + m);
            return at(p.x, place.b, place.t);
        };
        if constexpr (Product::narrow)
            for (long m = 0; m < rows; ++m) narrow_x.read(m, x_row(m), 0, p.weights.x_scale);
        for (long block = block0; block < block1; ++block)
            for (long tile = 0; tile < tile_count(rows); ++tile) {
                const long row = tile_begin(rows, tile);
                with_rows(tile_begin(rows, tile + 1) - row, [&](auto height) {
                    constexpr int R = decltype(height)::value;
                    with_panels(block, [&](auto panels) {
                        using P = decltype(panels);
                        Vec<T> sum[R][P::sums];
                        start_from_bias<R>(sum, panels);
                        const auto multiply = [&](const auto& tile) {
                            accumulate<T, R, P::vectors>(sum, tile, panels.kernel, x_depth, typename P::JoinX{});
                        };
                        if constexpr (Product::narrow)
                            multiply(narrow_x.template tile<R, P::vectors>(row, 0, panels.kernel));
                        else
                            multiply(rows_of<T>(x_row).template tile<R>(row, 0));
                        store_tile<T, R>(sum, projected + row * projected_row + block * S * L, projected_row);
                    });
                });
            }
    }

    // The panels of a block, and of the tail.
    struct Block {
        static constexpr int vectors = N, sums = S, shift = Cell::shift;
        using JoinX = Added;
        using JoinH = Added;
        const T *kernel, *recurrent, *bias;
    };
    // A tail has a product's zeros in the lanes of the sums that the product has no part in (the last gate's other
    // one), and zero times infinity is not zero: those lanes stay as they are.
    template <int V, int begin, int end>
    struct AddedBut {
        LSTMCORE_INLINE Vec<T> operator()(Vec<T> sum, Vec<T> block, int, int n) const {
            constexpr long group = tail_group<Cell, T>(V);
            if constexpr (begin == end || group == 0) {  // 0: there are no tails of V vectors
                return sum + block;
            } else {
                Int<T> takes_part;
                for (int l = 0; l < L; ++l) takes_part[l] = (n * L + l) / group < begin || (n * L + l) / group >= end;
                return takes_part != 0 ? sum + block : sum;
            }
        }
    };
    template <int V>
    struct Tail {
        static constexpr int vectors = V, sums = V, shift = 0, last = Cell::gates - 1;
        using JoinX = AddedBut<V, last + 1, last + 1 + Cell::shift>;
        using JoinH = AddedBut<V, last, last + Cell::shift>;
        const T *kernel, *recurrent, *bias;
    };
    template <class F>
    LSTMCORE_INLINE void with_panels(long block, F f) const {
        constexpr int scales = Product::scaled;  // before the words
        const long units = p.shape.units, x_rows = scales + x_depth, h_rows = scales + h_depth;
        if (block != tail_block)
            return f(Block{p.weights.kernel + (block * x_rows + scales) * N * L,
                           p.weights.recurrent + (block * h_rows + scales) * N * L, p.weights.bias + block * S * L});
        if constexpr (Cell::vectors == 1) {
            const T *kernel = tail_of<Cell>(p.weights.kernel, units, x_rows) + scales * tail * L,
                    *recurrent = tail_of<Cell>(p.weights.recurrent, units, h_rows) + scales * tail * L,
                    *bias = p.weights.bias + (block + 1) * S * L;
            return tail == 1 ? f(Tail<1>{kernel, recurrent, bias}) : f(Tail<2>{kernel, recurrent, bias});
        }
    }

    // A block's sums as the cell takes them. What is left in the other lanes is no unit's.
    template <int R, int V>
    static LSTMCORE_INLINE void spread(const Vec<T> (&sum)[R][V], Vec<T> (&out)[R][S]) {
        spread(sum, out, std::make_integer_sequence<int, S>{});
    }
    template <int R, int V, int... s>
    static LSTMCORE_INLINE void spread(const Vec<T> (&sum)[R][V], Vec<T> (&out)[R][S],
                                       std::integer_sequence<int, s...>) {
        constexpr int group = int(tail_group<Cell, T>(V));
        for (int r = 0; r < R; ++r) ((out[r][s] = rotate<T, s * group % L>(sum[r][s * group / L])), ...);
    }

    template <int R, class Panels>
    LSTMCORE_INLINE void start_from_bias(Vec<T> (&sum)[R][Panels::sums], const Panels& panels) const {
        for (int s = 0; s < Panels::sums; ++s) {
            const Vec<T> bias = load(panels.bias + s * L);
            for (int r = 0; r < R; ++r) sum[r][s] = bias;
        }
    }

    void step(long t, long t0) {
        const long end = min(row1, rows_at(p, t));
        if constexpr (Cell::gates > 1 && !Product::narrow)
            if (by_gate(p)) return step_by_gate(t, end);
        prepare_rows(t, end);
        for (long block = block0; block < block1; ++block)
            for_each_piece(row0, end, ahead ? 0 : x_depth, h_depth,
                           [&](long b, long height, long slot, long k0, long k1) {
                               with_rows(height, [&](auto R) {
                                   with_panels(block, [&](auto panels) {
                                       this->template tile<decltype(R)::value>(panels, t, t0, b, slot, block, k0, k1);
                                   });
                               });
                           });
    }

    // This step's rows of x and h, as the products see them: R of them, from term k on. Their panel of N vectors begins
    // at `panel`.
    template <int R, int N>
    LSTMCORE_INLINE auto x_tile(long t, long b, long k, const T* panel) const {
        if constexpr (Product::narrow)
            return narrow_x.template tile<R, N>(b, k, panel);
        else
            return rows_of<T>([this, t](long r) -> const T* {
                       return p.x_dropout.factors ? dropped_x + r * p.shape.inputs : at(p.x, r, t);
                   })
                .template tile<R>(b, k);
    }
    template <int R, int N>
    LSTMCORE_INLINE auto h_tile(long t, long b, long k, long unit, const T* panel) const {
        if constexpr (Product::narrow)
            return narrow_h.template tile<R, N>(b, k, panel);
        else
            return rows_of<T>([this, t, unit](long r) -> const T* {
                       return (p.h_dropout.factors ? dropped_h + r * p.shape.units : previous_h(p, r, t)) + unit;
                   })
                .template tile<R>(b, k);
    }

    long projected_place(long t, long t0, long b) const {
        return p.ragged.first ? number_of(p, t) - number_of(p, t0) + b : (t - t0) * (row1 - row0) + b - row0;
    }

    // The terms [k0, k1) of the inputs and the previous h, one after the other.
    template <int R, class Panels>
    void tile(const Panels& panels, long t, long t0, long b, long slot, long block, long k0, long k1) {
        const long inputs = ahead ? 0 : x_depth, depth = h_depth;
        T* partial = partial_sums + slot * (S * L);
        if (k1 == inputs + depth)
            for (int r = 0; r < R; ++r) {
                const long unit = blocks.unit_of(block);
                __builtin_prefetch(at(p.h, b + r, t) + unit, 1);
                if (p.saved.data) {
                    using Kept = Keep<T, Product>;
                    const typename Kept::template Columns<T> kept(at(p.saved, b + r, t), unit, p.shape.units);
                    kept.template prefetch<true>(saved_columns<Cell, Kept>());
                }
            }
        constexpr long line = 64 / sizeof(T);
        if (k0 == 0 && block == block0 && inputs >= line && t + 1 < p.shape.steps)
            for (int r = 0; r < R && b + r < rows_at(p, t + 1); ++r) {
                const T* x = at(p.x, b + r, t + 1);
                for (long k = 0; k < p.shape.inputs; k += line) __builtin_prefetch(x + k);
            }
        Vec<T> sum[R][Panels::sums];
        if (k0 > 0)
            load_tile<T, R>(sum, partial, S * L);
        else if (ahead)
            load_tile<T, R>(sum, projected + projected_place(t, t0, b) * projected_row + block * S * L, projected_row);
        else
            start_from_bias<R>(sum, panels);
        constexpr int V = Panels::vectors;
        if (k0 < inputs)
            accumulate<T, R, V>(sum, x_tile<R, V>(t, b, k0, panels.kernel), panels.kernel + k0 * V * L,
                                min(k1, inputs) - k0, typename Panels::JoinX{});
        if (k1 > inputs) {
            const long k = max(0, k0 - inputs);
            accumulate<T, R, V, Panels::shift>(sum, h_tile<R, V>(t, b, k, blocks.begin_of(block), panels.recurrent),
                                               panels.recurrent + k * V * L, k1 - inputs - k, typename Panels::JoinH{});
        }
        if (k1 < inputs + depth) return store_tile<T, R>(sum, partial, S * L);
        if constexpr (Panels::sums == S) {
            activate(sum, t, b, block);
        } else {
            Vec<T> out[R][S];
            spread(sum, out);
            activate(out, t, b, block);
        }
    }

    // The sums are in memory by then; one copy of this code serves all who come to it.
    template <int R>
    __attribute__((noinline)) void activate(const Vec<T> (&sum)[R][S], long t, long b, long block) const {
        if constexpr (Keep<T, Product>::narrow)
            Cell::template forward<T, R, Keep<T, Product>>(sum, p, b, t, blocks.unit_of(block));
        else
            Cell::template forward<T, R>(sum, p, b, t, blocks.unit_of(block));
    }

    // --- rows that are not used as they are ---

    // h is no larger than 1 where the cell's activation is not and the first h was not; a scale of its own has only a
    // row that is.
    static float least_of_h(const ForwardProblem<T>& p) {
        const ActivationKind kind = p.options.activation.kind;
        return kind == ActivationKind::relu || kind == ActivationKind::linear ? 0.f : 1.f;
    }

    // This step's rows become narrow, or are multiplied by their dropout factors.
    void prepare_rows(long t, long end) {
        if constexpr (Product::narrow) {
            for (long b = row0; b < end; ++b) {
                if (!ahead) narrow_x.read(b, at(p.x, b, t), 0, p.weights.x_scale);
                narrow_h.read(b, previous_h(p, b, t), least_of_h(p));
            }
            return;
        }
        for (long b = row0; p.x_dropout.factors && b < end; ++b)
            multiply_rows(at(p.x, b, t), factors(p.x_dropout, p, 0, b, p.shape.inputs), dropped_x + b * p.shape.inputs,
                          p.shape.inputs);
        for (long b = row0; p.h_dropout.factors && b < end; ++b)
            multiply_rows(previous_h(p, b, t), factors(p.h_dropout, p, 0, b, p.shape.units),
                          dropped_h + b * p.shape.units, p.shape.units);
    }

    // Where each gate sees rows of its own: a few blocks of units at a time, gate after gate, so that an
    // element of a row still serves as many vectors as in a tile of all gates. The sums wait in memory; a
    // tile's rows are multiplied by a gate's factors just before they are used, while they are in the
    // first-level cache.
    void step_by_gate(long t, long end) {
        const long rows = end - row0;
        for (long block = block0, count; block < block1; block += count) {
            count = min(tile_vectors, min(block1 - block, blocks.of_head - block % blocks.of_head));
            for (long i = 0; rows > 0 && i < tile_count(rows); ++i)
                with_rows(tile_begin(rows, i + 1) - tile_begin(rows, i), [&](auto R) {
                    with_vectors(count, [&](auto together) {
                        this->template tile_by_gate<decltype(R)::value, decltype(together)::value>(
                            t, row0 + tile_begin(rows, i), block);
                    });
                });
        }
    }

    template <int R, int B>
    void tile_by_gate(long t, long b, long block) {
        T sums[B][R * S * L];
        const auto panel_of = [&](const T* weights, long depth, int gate) {
            GatePanel<T, B> panel;
            panel.stride = N * L;
            for (int n = 0; n < B; ++n) panel.vector[n] = weights + ((block + n) * depth * N + gate) * L;
            return panel;
        };
        for (int gate = 0; gate < N; ++gate) {
            Vec<T> sum[R][B];
            const auto start = [&](int s) {
                for (int n = 0; n < B; ++n)
                    for (int r = 0; r < R; ++r) sum[r][n] = load(p.weights.bias + ((block + n) * S + s) * L);
            };
            const auto finish = [&](int s) {
                for (int n = 0; n < B; ++n)
                    for (int r = 0; r < R; ++r) store(sums[n] + (r * S + s) * L, sum[r][n]);
            };
            // `count` columns of rows of `width`, from `first` on
            const auto rows = [&](const Dropout<T>& dropout, T* dropped, long width, long first, long count, auto row) {
                RowTile<T, R> tile;
                for (int r = 0; r < R; ++r) {
                    tile.row[r] = row(b + r) + first;
                    if (!dropout.factors) continue;
                    const int copy = dropout.copies > 1 ? gate : 0;
                    drop_row(tile.row[r], factors(dropout, p, copy, b + r, width) + first, dropped + r * width, count);
                    tile.row[r] = dropped + r * width;
                }
                return tile;
            };
            start(gate);
            accumulate_gate(
                sum,
                rows(p.x_dropout, dropped_x, p.shape.inputs, 0, p.shape.inputs, [&](long r) { return at(p.x, r, t); }),
                panel_of(p.weights.kernel, p.shape.inputs, gate), p.shape.inputs);
            const int h_sum = gate == N - 1 ? gate + Cell::shift : gate;
            if (h_sum != gate) finish(gate), start(h_sum);
            accumulate_gate(sum,
                            rows(p.h_dropout, dropped_h, p.shape.units, blocks.begin_of(block), blocks.depth,
                                 [&](long r) { return previous_h(p, r, t); }),
                            panel_of(p.weights.recurrent, blocks.depth, gate), blocks.depth);
            finish(h_sum);
        }
        for (int n = 0; n < B; ++n) {
            Vec<T> sum[R][S];
            load_tile<T, R, S>(sum, sums[n], S * L);
            activate(sum, t, b, block + n);
        }
    }
};

}  // namespace lstmcore::LSTMCORE_ISA
