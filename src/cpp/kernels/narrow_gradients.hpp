// ChunkGradients (gradients.hpp) with products of words (products.hpp), for the cells that are fused: no dropout, no
// heads. The gradients of the pre-activations are kept as words, pairs of columns, as the products with the weights
// want them; for the gradients of the weights, sums over rows, pairs of rows become words.
//
// Every gate's columns are of a whole number of words: with odd units there is a column of zeros behind them.
#pragma once

#include "gradients.hpp"

namespace lstmcore::LSTMCORE_ISA {

template <class Product>
class NarrowGradients {
    using T = float;
    static constexpr int L = lanes<T>, group = Product::group;
    static constexpr long strip = 2 * pack_run;  // rows that pack_tiles asks for before it has used the first
    static constexpr long row_block = 32;        // of words, in the sums that are no products
    const BackwardProblem<T>& p;
    const Team& team;
    const Columns layout;
    const long units, of_gate, gates;  // of_gate: words of a gate's columns; gates: columns of the weights
    const long limit;                  // rows of a chunk
    const NarrowRows<Product> dpre;    // [step of chunk + 1][batch]
    T *x, *h, *panel, *scratch;        // left-hand sides, packed by tiles; the others are this thread's

    static std::size_t aligned(std::size_t n) { return (n + 63) / 64 * 64; }
    static long words(long terms) { return ceil_div(terms, group); }
    static long columns_of(const RecurrentShape& s, const Columns& layout) {
        return layout.width / s.units * words(s.units) * group;
    }
    static std::size_t dpre_size(const RecurrentShape& s, const Columns& layout) {
        return aligned((rows_of_chunk(s) + s.batch) * row_stride<Product>(columns_of(s, layout)));
    }
    static std::size_t left_size(const RecurrentShape& s, long width) {
        return aligned(words(rows_of_chunk(s)) * width);
    }
    static std::size_t panel_size(const RecurrentShape& s) {
        return aligned(words(rows_of_chunk(s)) * panel_columns<T>);
    }
    static long scratch_row(const RecurrentShape& s) { return packed_columns<T>(max(s.inputs, s.units)); }
    static std::size_t scratch_size(const RecurrentShape& s, const Columns& layout) {
        return aligned(max(strip * scratch_row(s), tile_rows * layout.width));
    }
    static std::size_t size_of_thread(const RecurrentShape& s, const Columns& layout) {
        return panel_size(s) + scratch_size(s, layout);
    }

 public:
    long t0 = 0, t1 = 0;  // the chunk: steps [t0, t1)

    static std::size_t workspace(const BackwardProblem<T>& p, const Columns& layout) {
        const RecurrentShape& s = p.shape;
        return dpre_size(s, layout) + left_size(s, s.inputs) + left_size(s, s.units) +
               p.threads * size_of_thread(s, layout);
    }

    NarrowGradients(const BackwardProblem<T>& problem, const Team& team, const Columns& layout, long gates,
                    T* workspace)
        : p(problem),
          team(team),
          layout(layout),
          units(p.shape.units),
          of_gate(words(units)),
          gates(gates),
          limit(rows_of_chunk(p.shape)),
          dpre{workspace, columns_of(p.shape, layout)} {
        x = workspace + dpre_size(p.shape, layout);
        h = x + left_size(p.shape, p.shape.inputs);
        panel = h + left_size(p.shape, units) + team.index * size_of_thread(p.shape, layout);
        scratch = panel + panel_size(p.shape);
    }

    // The chunk that ends before step `end`.
    void begin(long end) { t1 = end, t0 = first_step_of_chunk(p, end, limit); }

    // Words of the recurrent product.
    long depth() const { return gates / units * of_gate; }

    // Where the gradients of row r of a tile are written, as they are,
    LSTMCORE_INLINE T* row_of_tile(long r) const { return scratch + r * layout.width; }
    // and from where `count` units of each become words of row b, step t.
    LSTMCORE_INLINE void take_row_of_tile(long r, long b, long t, long unit, long count) const {
        auto* const to = reinterpret_cast<uint16_t*>(dpre.row(place(b, t)));
        for (long part = 0; part < layout.width / units; ++part)
            for (long n = 0; n < count; n += L) {
                const int some = int(min(L, count - n)), all = unit + n + some == units ? some + units % group : some;
                Product::store_some(to + part * of_gate * group + unit + n,
                                    load(row_of_tile(r) + part * units + unit + n, some), all);
            }
    }

    // sums += dpre R^T for `count` units and the words [k0, k1); sums are [height][vector][lane].
    void through_recurrent(T* sums, long b, long height, long t, long first, long count, long k0, long k1) const {
        const long vectors = ceil_div(count, L);
        const T* const packed = p.weights.recurrent_transposed + first * depth() + k0 * vectors * L;
        with_rows(height, [&](auto R_) {
            with_vectors(vectors, [&](auto N_) {
                constexpr int R = decltype(R_)::value, N = decltype(N_)::value;
                Vec<T> sum[R][N];
                load_tile<T, R, N>(sum, sums, N * L);
                accumulate<T, R, N>(sum, dpre.template tile<R, N>(place(b, t), k0, packed), packed, k1 - k0);
                store_tile<T, R, N>(sum, sums, N * L);
            });
        });
    }

    // dh0 (+)= the first step's dpre R^T
    void initial_state(bool accumulate_dh0) const {
        const long rows = rows_at(p, 0);
        long begin, end;
        team.split(tile_count(rows), begin, end);
        const auto dh0_row = [&](long b) { return p.dh0 + row_of(p, b) * units; };
        multiply(0, depth(), p.weights.recurrent_transposed, 0, depth(), units, rows, begin, end,
                 RowsAt<T>::by(dh0_row), accumulate_dh0);
    }

    // Adds the chunk's share to the gradients; all threads of the team.
    template <class F>
    void finish(F) {
        pack_left();
        team.wait();
        weights();
        if (p.dx.data) inputs();
        team.wait();
        if (t0 == 0) return;
        // The earliest step's dpre goes where the next chunk looks for it.
        long begin, end;
        team.split(rows_at(p, t0), begin, end);
        const long to = number_of(p, t0) - number_of(p, first_step_of_chunk(p, t0, limit));
        if (begin < end)
            std::memcpy(dpre.row(to + begin), dpre.row(begin), (dpre.row(end) - dpre.row(begin)) * sizeof(T));
        team.wait();
    }

 private:
    LSTMCORE_INLINE long place(long b, long t) const { return number_of(p, t) - number_of(p, t0) + b; }
    long rows() const { return number_of(p, t1) - number_of(p, t0); }

    // Words of the columns from `first` on.
    struct Left {
        const NarrowRows<Product> rows;
        const long first;
        template <int R>
        LSTMCORE_INLINE auto tile(long begin, long k) const {
            return rows.template tile<R, 0>(begin, first + k, rows.data);
        }
    };

    // out (+)= `depth` words of dpre from `first` on, times those of a transposed matrix of `all` words from k on, for
    // the tiles [tile0, tile1) of `count` rows.
    void multiply(long first, long depth, const T* packed, long k, long all, long columns, long count, long tile0,
                  long tile1, const RowsAt<T>& out, bool add) const {
        for (long j = 0; j < columns; j += panel_columns<T>) {
            const long some = min(panel_columns<T>, columns - j);
            multiply_panel<T>(Left{dpre, first}, count, tile0, tile1, packed + j * all + k * packed_columns<T>(some),
                              depth, some, nullptr, out.shifted(j), add);
        }
    }

    void inputs() const {
        long begin, end;
        team.split(tile_count(rows()), begin, end);
        const auto dx_row = [&](long m) {
            const Place place = place_of(p, number_of(p, t0) + m);
            return at(p.dx, place.b, place.t);
        };
        bool add = false;
        for (int r = 0; r < layout.runs; ++r) {
            const Run& run = layout.run[r];
            if (run.kernel < 0) continue;
            multiply(run.begin / units * of_gate, run.count / units * of_gate, p.weights.kernel_transposed,
                     run.kernel / units * of_gate, depth(), p.shape.inputs, rows(), begin, end, RowsAt<T>::by(dx_row),
                     add);
            add = true;
        }
    }

    // Pairs of rows of x and of h.
    void pack_left() {
        const long first = number_of(p, t0), count = rows(), width = scratch_row(p.shape);
        long begin, end;
        team.split(words(count), begin, end);
        const auto pack = [&](T* packed, long columns, auto row) {
            const auto pair = [&](long k) -> const T* {
                T* const to = scratch + (k - begin) % strip * width;
                const auto row_at = [&](long m) -> const T* {
                    const Place place = place_of(p, first + m);
                    return row(place.b, place.t);
                };
                const T *a = row_at(k * group), *b = k * group + 1 < count ? row_at(k * group + 1) : nullptr;
                for_each_vector_of<T>(columns, [&](long v, int n) {
                    store_words(to + v, Product::word(load(a + v, n), b ? load(b + v, n) : Vec<T>{}));
                });
                return to;
            };
            pack_tiles(packed, pair, columns, words(count), begin, end);
        };
        pack(x, p.shape.inputs, [&](long b, long t) { return at(p.x, b, t); });
        pack(h, units, [&](long b, long t) { return previous_h(p, b, t); });
    }

    // Calls f(run) for the runs, cut between gates where there are columns of zeros.
    template <class F>
    void for_each_run(F f) const {
        for (int r = 0; r < layout.runs; ++r) {
            const Run& run = layout.run[r];
            const long part = units % group ? units : run.count;
            for (long k = 0; k < run.count; k += part)
                f(Run{run.begin + k, part, run.kernel < 0 ? -1 : run.kernel + k,
                      run.recurrent < 0 ? -1 : run.recurrent + k, false});
        }
    }

    // The products of this thread's share of the panels.
    void weights() {
        long total = 0, begin, end;
        for_each_run([&](const Run& run) { total += ceil_div(run.count, panel_columns<T>); });
        // Few panels are shared by the rows of the products: each thread then packs every one for itself.
        const bool by_rows = total < 2 * team.size;
        begin = 0, end = total;
        if (!by_rows) team.split(total, begin, end);
        long first = 0;
        for_each_run([&](const Run& run) {
            const long count = ceil_div(run.count, panel_columns<T>);
            for (long j = max(begin, first); j < min(end, first + count); ++j)
                one_panel(run, (j - first) * panel_columns<T>, by_rows);
            first += count;
        });
    }

    void one_panel(const Run& run, long offset, bool by_rows) {
        const long columns = min(panel_columns<T>, run.count - offset), vectors = ceil_div(columns, L);
        const long pairs = words(rows()), column = run.begin / units * of_gate * group + offset;
        const auto halves = [&](long m) { return reinterpret_cast<const uint16_t*>(dpre.row(m)) + column; };
        for (long k = 0; k < pairs; ++k) {
            const bool both = k * group + 1 < rows();
            const uint16_t *a = halves(k * group), *b = both ? halves(k * group + 1) : nullptr;
            for (long n = 0; n < vectors; ++n)
                store_words(panel + (k * vectors + n) * L, Product::pairs(a + n * L, b ? b + n * L : nullptr));
        }
        const auto product = [&](const T* packed, long height, T* out) {
            long begin = 0, end = tile_count(height);
            if (by_rows) team.split(end, begin, end);
            multiply_panel<T>(PackedWords<Product>{packed, pairs}, height, begin, end, panel, pairs, columns, nullptr,
                              RowsAt<T>(out, gates), !p.new_gradients || t1 < p.shape.steps);
        };
        const Weights<T>& to = p.gradients;
        const bool biases = to.bias && (!by_rows || team.index == 0);
        if (run.kernel >= 0) {
            product(x, p.shape.inputs, to.kernel + run.kernel + offset);
            if (biases && layout.bias_rows) add_rows(pairs, columns, to.bias + run.kernel + offset);
        }
        if (run.recurrent >= 0) {
            product(h, units, to.recurrent + run.recurrent + offset);
            if (biases && layout.bias_rows == 2) add_rows(pairs, columns, to.bias + gates + run.recurrent + offset);
        }
    }

    // out += the sum of the rows of the panel
    void add_rows(long pairs, long columns, T* out) const {
        const long vectors = ceil_div(columns, L);
        for (long n = 0; n < vectors; ++n) {
            Vec<T> sum{};
            for (long k0 = 0; k0 < pairs; k0 += row_block) {
                Vec<T> block{};
                for (long k = k0; k < min(pairs, k0 + row_block); ++k) {
                    const Words w = load_words(panel + (k * vectors + n) * L);
                    block = block + Product::widened(w, 1) + Product::widened(w, 0);
                }
                sum += block;
            }
            const int count = int(min(L, columns - n * L));
            store(out + n * L, load(out + n * L, count) + sum, count);
        }
    }
};

}  // namespace lstmcore::LSTMCORE_ISA
