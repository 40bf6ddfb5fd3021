// What a backward pass does besides its time loop: the gradients of the pre-activations ("dpre") of
// a chunk of steps are kept, and the gradients of weights and inputs are matrix multiplications over
// the chunk at once.
#pragma once

#include "sequence.hpp"
#include "transposed.hpp"

namespace lstmcore::LSTMCORE_ISA {

// A range of columns of dpre and the columns of kernel and recurrent kernel (or -1) they belong to.
struct Run {
    long begin, count, kernel, recurrent;
    bool reset;     // the recurrent product is that of r * h (GRU, reset before)
    long head = 0;  // whose h it is; set where runs are cut
};

constexpr int most_runs = 3;
// The columns of dpre.
struct Columns {
    Run run[most_runs];
    int runs;
    long width;     // of a row; there may be columns that belong to no run
    int bias_rows;  // rows of biases that get the sums of the runs: 0, 1, or 2 (kernel's, recurrent kernel's)
};

// Rows of a chunk: enough for the matrix products.
inline long rows_of_chunk(const RecurrentShape& s) {
    return max(1, min(s.steps, depth_block / max(1, s.batch))) * s.batch;
}
// The first step of the chunk of at most `limit` rows that ends before step `end`.
template <class Problem>
long first_step_of_chunk(const Problem& p, long end, long limit) {
    long t = end - 1;
    while (t > 0 && number_of(p, end) - number_of(p, t - 1) <= limit) --t;
    return t;
}

template <class T>
class ChunkGradients {
    static constexpr int L = lanes<T>;
    static constexpr long row_block = 64;        // of the sums over rows that are no products
    static constexpr long strip = 2 * pack_run;  // rows that pack_tiles asks for before it has used the first
    const BackwardProblem<T>& p;
    const Team& team;
    const Columns layout;
    const long gates, limit;  // columns of the weights; rows of a chunk
    const long heads, head;   // of the recurrent matrix, and the units of one
    const bool recurrent;     // whether there is such a matrix
    T* dpre;                  // [step of chunk + 1][batch][column]
    // Left-hand sides, packed by tiles: x or h of the chunk, the same with dropout, dropout's factors by row b.
    struct Left {
        T *plain, *dropped, *factors;
    } x, h{};
    T *panel, *scratch;  // this thread's
    bool factors_packed = false;

    static std::size_t aligned(std::size_t n) { return (n + 63) / 64 * 64; }
    static std::size_t scratch_size(const RecurrentShape& s) { return aligned(strip * max(s.inputs, s.outputs)); }
    static std::size_t panel_size(const RecurrentShape& s) { return aligned(rows_of_chunk(s) * panel_columns<T>); }
    static std::size_t dpre_size(const RecurrentShape& s, long width) {
        return aligned(std::size_t(rows_of_chunk(s) + s.batch) * width);
    }

    static bool is_recurrent(const Columns& layout) {
        bool found = false;
        for (int r = 0; r < layout.runs; ++r) found = found || layout.run[r].recurrent >= 0;
        return found;
    }
    static std::size_t left_size(const BackwardProblem<T>& p, const Dropout<T>& dropout, long width) {
        const std::size_t plain = aligned(rows_of_chunk(p.shape) * width);
        return dropout.factors ? 2 * plain + aligned(dropout.copies * p.shape.batch * width) : plain;
    }
    Left left_at(T* memory, const Dropout<T>& dropout, long columns) const {
        const std::size_t plain = aligned(limit * columns);
        return dropout.factors ? Left{memory, memory + plain, memory + 2 * plain} : Left{memory, memory, nullptr};
    }

 public:
    const long width;     // columns of dpre
    long t0 = 0, t1 = 0;  // the chunk: steps [t0, t1)

    static std::size_t workspace(const BackwardProblem<T>& p, const Columns& layout) {
        const RecurrentShape& s = p.shape;
        return dpre_size(s, layout.width) + left_size(p, p.x_dropout, s.inputs) +
               (is_recurrent(layout) ? left_size(p, p.h_dropout, s.outputs) : 0) +
               p.threads * (panel_size(s) + scratch_size(s));
    }

    ChunkGradients(const BackwardProblem<T>& problem, const Team& team, const Columns& layout, long gates, T* workspace)
        : p(problem),
          team(team),
          layout(layout),
          gates(gates),
          limit(rows_of_chunk(p.shape)),
          heads(p.options.heads),
          head(p.shape.outputs / heads),
          recurrent(is_recurrent(layout)),
          width(layout.width) {
        dpre = workspace;
        T* next = dpre + dpre_size(p.shape, width);
        x = left_at(next, p.x_dropout, p.shape.inputs);
        next += left_size(p, p.x_dropout, p.shape.inputs);
        if (recurrent) {
            h = left_at(next, p.h_dropout, p.shape.outputs);
            next += left_size(p, p.h_dropout, p.shape.outputs);
        }
        panel = next + team.index * (panel_size(p.shape) + scratch_size(p.shape));
        scratch = panel + panel_size(p.shape);
    }

    // The chunk that ends before step `end`.
    void begin(long end) { t1 = end, t0 = first_step_of_chunk(p, end, limit); }

    // dpre of a step of the chunk, or of the one after it.
    LSTMCORE_INLINE T* row(long b, long t) const { return dpre + (number_of(p, t) - number_of(p, t0) + b) * width; }

    // Adds the chunk's share to the gradients, further() to those of further weights; all threads of the team.
    template <class F>
    void finish(F further) {
        weights();  // which waits before it reads what the others have computed
        if (p.dx.data) inputs();
        further();
        team.wait();
        if (t0 == 0) return;
        // The earliest step's dpre goes where the next chunk looks for it.
        long begin, end;
        team.split(rows_at(p, t0) * width, begin, end);
        T* to = dpre + (number_of(p, t0) - number_of(p, first_step_of_chunk(p, t0, limit))) * width;
        std::memcpy(to + begin, dpre + begin, (end - begin) * sizeof(T));
        team.wait();
    }

    // out (height, columns) += the sum over the chunk of left(b, t)^T times dpre's columns from `right` on. Once a
    // chunk: `packed` is free when `finish` has waited.
    template <class Left>
    void add_products(T* packed, long height, long columns, Left left, long right, T* out) {
        const long first = number_of(p, t0), rows = number_of(p, t1) - first;
        long begin, end;
        team.split(rows, begin, end);
        pack_tiles(
            packed,
            [&](long k) {
                const Place place = place_of(p, first + k);
                return static_cast<const T*>(left(place.b, place.t));
            },
            height, rows, begin, end);
        team.wait();
        team.split(ceil_div(columns, panel_columns<T>), begin, end);
        for (long j = begin; j < end; ++j) {
            const long column = j * panel_columns<T>, count = min(panel_columns<T>, columns - column);
            pack_panel(panel, dpre + right + column, width, 1, rows, count);
            multiply_panel<T>(PackedRows<T>{packed, rows}, height, 0, tile_count(height), panel, rows, count, nullptr,
                              RowsAt<T>(out + column, columns), true);
        }
    }

    // out += the sum over the chunk of left(b, t) right(b, t), element by element; right null: of left.
    template <class Left, class Right>
    void add_elementwise(long columns, Left left, Right right, T* out) {
        const long first = number_of(p, t0), rows = number_of(p, t1) - first;
        long begin, end;
        team.split(ceil_div(columns, L), begin, end);
        for (long v = begin; v < end; ++v) {
            const int count = int(min(L, columns - v * L));
            Vec<T> sum{};
            for (long m0 = 0; m0 < rows; m0 += row_block) {
                Vec<T> block{};
                for (long m = m0; m < min(rows, m0 + row_block); ++m) {
                    const Place place = place_of(p, first + m);
                    const Vec<T> value = load(left(place.b, place.t) + v * L, count);
                    const T* other = right(place.b, place.t);
                    block += other ? value * load(other + v * L, count) : value;
                }
                sum += block;
            }
            store(out + v * L, load(out + v * L, count) + sum, count);
        }
    }

    // out (+)= the sum over the runs of dpre_run W^T, each gate's part times its dropout factors, for the
    // tiles [tile0, tile1) of `rows` rows. `column` says which columns of the runs, `packed` is the
    // transposed W, batch_row(m) says which row b row m belongs to. The recurrent matrix has a part for each head.
    template <class BatchRow>
    void back_through(const T* packed, long columns, long Run::* column, const Dropout<T>& dropout,
                      const RowsAt<const T>& dpre_rows, long rows, long tile0, long tile1, const RowsAt<T>& out,
                      BatchRow batch_row, bool accumulate) const {
        const long parts = column == &Run::recurrent ? heads : 1;
        for (long part = 0; part < parts; ++part)
            back_through_head(part, packed, columns / parts, columns, column, dropout, dpre_rows, rows, tile0, tile1,
                              out.shifted(part * (columns / parts)), batch_row, accumulate);
    }

 private:
    // `width_of_factors` is that of the rows of dropout factors, of which a head has some.
    template <class BatchRow>
    void back_through_head(long of_head, const T* packed, long columns, long width_of_factors, long Run::* column,
                           const Dropout<T>& dropout, const RowsAt<const T>& dpre_rows, long rows, long tile0,
                           long tile1, const RowsAt<T>& out, BatchRow batch_row, bool accumulate) const {
        for (long j = 0; j < columns; j += panel_columns<T>) {
            const long count = min(panel_columns<T>, columns - j), width = ceil_div(count, L) * L;
            const TransposedPanel<T> panel(packed, gates, j, count);
            const auto belongs = [&](const Run& run) {
                return run.*column >= 0 && !(column == &Run::recurrent && (run.reset || run.head != of_head));
            };
            bool add = accumulate;
            if (!dropout.factors)
                for_each_part(1, [&](const Run& run, int) {
                    if (!belongs(run)) return;
                    multiply_transposed(dpre_rows.shifted(run.begin), rows, tile0, tile1, panel, run.*column, run.count,
                                        out.shifted(j), add);
                    add = true;
                });
            for (long tile = tile0; dropout.factors && tile < tile1; ++tile) {
                const long begin = tile_begin(rows, tile), height = tile_begin(rows, tile + 1) - begin;
                T total[tile_rows * panel_columns<T>] = {};
                long of_batch[tile_rows];
                for (long r = 0; r < height; ++r) of_batch[r] = batch_row(begin + r);
                for_each_part(dropout.copies, [&](const Run& run, int copy) {
                    if (!belongs(run)) return;
                    const T *left[tile_rows], *factors_of[tile_rows];
                    for (long r = 0; r < height; ++r) {
                        left[r] = dpre_rows(begin + r) + run.begin;
                        factors_of[r] =
                            factors(dropout, p, copy, of_batch[r], width_of_factors) + of_head * columns + j;
                    }
                    accumulate_in_memory(total, panel, height, left, run.*column, run.count,
                                         JoinedScaled<T>{factors_of, count});
                });
                for (long r = 0; r < height; ++r) {
                    T* to = out(begin + r) + j;
                    for_each_vector_of<T>(count, [&](long k, int n) {
                        const Vec<T> sum = load(total + r * width + k);
                        store(to + k, accumulate ? load(to + k, n) + sum : sum, n);
                    });
                }
            }
        }
    }

    // Calls f(run, copy) for the runs, cut between gates where each has dropout factors of its own, and between heads.
    template <class F>
    void for_each_part(int copies, F f) const {
        for (int r = 0; r < layout.runs; ++r) {
            const Run& run = layout.run[r];
            const bool by_head = heads > 1 && run.recurrent >= 0;
            if (copies == 1 && !by_head) {
                f(run, 0);
                continue;
            }
            const long units = p.shape.units, gate = (run.kernel < 0 ? run.recurrent : run.kernel) / units;
            const long part = by_head ? head : units;
            for (long k = 0; k < run.count; k += part)
                f(Run{run.begin + k, part, run.kernel < 0 ? -1 : run.kernel + k,
                      run.recurrent < 0 ? -1 : run.recurrent + k, run.reset, k % units / part},
                  copies == 1 ? 0 : int(gate + k / units));
        }
    }

    // Calls f(first, count) for the columns of h that are packed together: those of a head.
    template <class F>
    void for_each_head(F f) const {
        for (long k = 0; recurrent && k < heads; ++k) f(k * head, head);
    }

    static int copies_of(const Dropout<T>& dropout) { return dropout.factors ? dropout.copies : 1; }

    void weights() {
        const int copies = int(max(copies_of(p.x_dropout), copies_of(p.h_dropout)));
        bool any_reset = false;
        for (int r = 0; r < layout.runs; ++r) any_reset = any_reset || layout.run[r].reset;
        pack(false);
        for (int pass = 0; pass < copies; ++pass) {
            if (pass > 0) team.wait();
            drop(x, p.x_dropout, p.shape.inputs, 0, p.shape.inputs, pass);
            drop_h(pass);
            team.wait();
            panels(copies, pass, false);
        }
        if (!any_reset) return;
        team.wait();
        pack(true);
        if (p.h_dropout.factors) drop_h(copies - 1, true);  // the candidate is the last gate
        team.wait();
        panels(copies, copies - 1, true);
    }

    // Packs x and h of the chunk, or r * h.
    void pack(bool reset) {
        const long first = number_of(p, t0), rows = number_of(p, t1) - first;
        long begin, end;
        team.split(rows, begin, end);
        const auto h_row = [&](long k) -> const T* {
            const Place place = place_of(p, first + k);
            const T* row = previous_h(p, place.b, place.t);
            if (!reset) return row;
            T* to = scratch + (k - begin) % strip * p.shape.outputs;
            multiply_rows(row, static_cast<const T*>(at(p.saved, place.b, place.t)) + p.shape.units, to,
                          p.shape.outputs);
            return to;
        };
        const auto x_row = [&](long k) -> const T* {
            const Place place = place_of(p, first + k);
            return at(p.x, place.b, place.t);
        };
        if (!reset) pack_tiles(x.plain, x_row, p.shape.inputs, rows, begin, end);
        for_each_head([&](long unit, long count) {
            pack_tiles(h.plain + unit * rows, [&](long k) { return h_row(k) + unit; }, count, rows, begin, end);
        });
        if (!factors_packed) {
            team.split(p.shape.batch, begin, end);
            const auto pack_factors = [&](const Left& left, const Dropout<T>& dropout, long width, long column,
                                          long count) {
                for (int copy = 0; dropout.factors && copy < dropout.copies; ++copy)
                    pack_tiles(
                        left.factors + (copy * width + column) * p.shape.batch,
                        [&](long b) { return factors(dropout, p, copy, b, width) + column; }, count, p.shape.batch,
                        begin, end);
            };
            pack_factors(x, p.x_dropout, p.shape.inputs, 0, p.shape.inputs);
            for_each_head([&](long unit, long count) { pack_factors(h, p.h_dropout, p.shape.outputs, unit, count); });
            factors_packed = true;
        }
        if (p.x_dropout.factors || p.h_dropout.factors) team.wait();
    }

    // Multiplies what is packed by the factors of a pass: in both, the rows b of a step stand side by side.
    void drop_h(int pass, bool again = false) {
        for_each_head([&](long unit, long count) { drop(h, p.h_dropout, p.shape.outputs, unit, count, pass, again); });
    }
    void drop(const Left& left, const Dropout<T>& dropout, long width, long column, long count, int pass,
              bool again = false) {
        if (!dropout.factors || (pass > 0 && dropout.copies == 1 && !again)) return;
        const long first = number_of(p, t0), rows = number_of(p, t1) - first;
        const T* factors_of_pass = left.factors + (dropout.copies > 1 ? pass : 0) * p.shape.batch * width;
        long begin, end;
        team.split(tile_count(count), begin, end);
        for (long tile = begin; tile < end; ++tile) {
            const long row = column + tile_begin(count, tile), height = column + tile_begin(count, tile + 1) - row;
            for (long t = t0; t < t1; ++t) {
                const long place = row * rows + (number_of(p, t) - first) * height;
                multiply_rows(left.plain + place, factors_of_pass + row * p.shape.batch, left.dropped + place,
                              rows_at(p, t) * height);
            }
        }
    }

    // The products of this thread's share of the panels that belong to one pass.
    void panels(int copies, int pass, bool reset) {
        const auto belongs = [&](const Run& run, int copy) { return copy == pass && run.reset == reset; };
        long total = 0, begin, end;
        for_each_part(copies, [&](const Run& run, int copy) {
            if (belongs(run, copy)) total += ceil_div(run.count, panel_columns<T>);
        });
        // Few panels are shared by the rows of the products: each thread then packs every one for itself.
        const bool by_rows = total < 2 * team.size;
        begin = 0, end = total;
        if (!by_rows) team.split(total, begin, end);
        long first = 0;
        for_each_part(copies, [&](const Run& run, int copy) {
            if (!belongs(run, copy)) return;
            const long count = ceil_div(run.count, panel_columns<T>);
            for (long j = max(begin, first); j < min(end, first + count); ++j)
                one_panel(run, (j - first) * panel_columns<T>, by_rows);
            first += count;
        });
    }

    void one_panel(const Run& run, long offset, bool by_rows) {
        const long rows = number_of(p, t1) - number_of(p, t0), columns = min(panel_columns<T>, run.count - offset);
        pack_panel(panel, dpre + run.begin + offset, width, 1, rows, columns);
        const auto product = [&](const T* packed, long height, T* out) {
            long begin = 0, end = tile_count(height);
            if (by_rows) team.split(end, begin, end);
            multiply_panel<T>(PackedRows<T>{packed, rows}, height, begin, end, panel, rows, columns, nullptr,
                              RowsAt<T>(out, gates), !p.new_gradients || t1 < p.shape.steps);
        };
        const Weights<T>& to = p.gradients;
        const bool biases = to.bias && (!by_rows || team.index == 0);
        if (run.kernel >= 0) {
            product(x.dropped, p.shape.inputs, to.kernel + run.kernel + offset);
            if (biases && layout.bias_rows) add_rows(panel, rows, columns, to.bias + run.kernel + offset);
        }
        if (run.recurrent >= 0) {
            product(h.dropped + run.head * head * rows, head, to.recurrent + run.recurrent + offset);
            if (biases && layout.bias_rows == 2)
                add_rows(panel, rows, columns, to.bias + gates + run.recurrent + offset);
        }
    }

    void inputs() {
        const long first = number_of(p, t0), rows = number_of(p, t1) - first;
        long begin, end;
        team.split(tile_count(rows), begin, end);
        const auto dx_row = [&](long m) {
            const Place place = place_of(p, first + m);
            return at(p.dx, place.b, place.t);
        };
        back_through(
            p.weights.kernel_transposed, p.shape.inputs, &Run::kernel, p.x_dropout, RowsAt<const T>(dpre, width), rows,
            begin, end, RowsAt<T>::by(dx_row), [&](long m) { return place_of(p, first + m).b; }, false);
    }

    // out += the sum of the rows of a packed panel
    static void add_rows(const T* packed, long rows, long columns, T* out) {
        const long vectors = ceil_div(columns, L);
        for (long n = 0; n < vectors; ++n) {
            Vec<T> sum{};
            for (long k0 = 0; k0 < rows; k0 += row_block) {
                Vec<T> block{};
                for (long k = k0; k < min(rows, k0 + row_block); ++k) block += load(packed + (k * vectors + n) * L);
                sum += block;
            }
            const int count = int(min(L, columns - n * L));
            store(out + n * L, load(out + n * L, count) + sum, count);
        }
    }
};

}  // namespace lstmcore::LSTMCORE_ISA
