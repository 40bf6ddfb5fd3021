// The GRU with every option: reset gate before or after the recurrent product, layer normalisation,
// zoneout, any activation, clip. Same names and order as python/lstmcore/reference/gru.py.
#pragma once

#include "../staged.hpp"

namespace lstmcore::LSTMCORE_ISA {

struct StagedGru {
    static long gates(const CellOptions&) { return 3; }
    static long bias_rows(const CellOptions& options) { return options.reset_after ? 2 : 1; }

    // Saved: z, r, candidate; reset after: its share of h (u); normalized: both products and their scales; slopes, if
    // need be.
    static std::size_t slopes(const RecurrentShape& s, const CellOptions& options) {
        return (options.reset_after ? 4 : 3) * s.units + (options.layer_norm ? 6 * s.units + 2 : 0);
    }
    static std::size_t saved(const RecurrentShape& s, const CellOptions& options) {
        return slopes(s, options) + (saves_slopes(options) ? 3 * s.units : 0);
    }
    // dpre: z, r, h (reset before); z, r, u, a (reset after), as the fused cell has them; those of the two
    // products and then z, r, a, u (normalized).
    static Columns columns(const RecurrentShape& s, const CellOptions& options) {
        const long n = s.units;
        if (options.layer_norm) return {{{0, 3 * n, 0, -1, false}, {3 * n, 3 * n, -1, 0, false}}, 2, 10 * n, 0};
        if (options.reset_after)
            return {{{0, 2 * n, 0, 0, false}, {2 * n, n, -1, 2 * n, false}, {3 * n, n, 2 * n, -1, false}}, 3, 4 * n, 2};
        return {{{0, 2 * n, 0, 0, false}, {2 * n, n, 2 * n, 2 * n, true}}, 2, 3 * n, 1};
    }

    template <class T>
    static void forward(StagedForward<T>& s, long t, long end) {
        return saves_slopes(s.p.options) ? forward_step<true>(s, t, end) : forward_step<false>(s, t, end);
    }
    template <bool saves, class T>
    static void forward_step(StagedForward<T>& s, long t, long end) {
        const ForwardProblem<T>& p = s.p;
        const CellOptions& options = p.options;
        const long units = p.shape.units;
        s.multiply_x(t, end, 0, 3);
        s.multiply_h(t, end, 0, options.reset_after ? 3 : 2);
        const T *bias_x = p.weights.bias, *bias_h = bias_x + s.gates;
        const Vec<T> one = broadcast(T(1));
        const auto saved_of = [&](long b) -> T* { return p.saved.data ? at(p.saved, b, t) : nullptr; };
        const auto activations_of = [&](T* saved) {
            return RowActivations<saves, T>{options, saved ? saved + slopes(p.shape, options) : nullptr};
        };
        for (long b = s.row0; b < end; ++b) {
            T *a = s.from_x(b), *u = s.from_h(b), *saved = saved_of(b);
            if (options.layer_norm) {
                const T scale_a = normalize(a, a, s.gates), scale_u = normalize(u, u, s.gates);
                if (saved) {
                    std::memcpy(saved + 4 * units, a, s.gates * sizeof(T));
                    std::memcpy(saved + 7 * units, u, s.gates * sizeof(T));
                    saved[10 * units] = scale_a, saved[10 * units + 1] = scale_u;
                }
                multiply_rows<T>(a, p.weights.gain, a, s.gates);
                multiply_rows<T>(u, p.weights.gain + s.gates, u, s.gates);
            }
            const RowActivations<saves, T> act = activations_of(saved);
            const T* h = options.reset_after ? nullptr : s.seen_h(b, t, 2);
            T *z_row = s.buffer(0, b), *r_row = s.buffer(1, b), *rh = s.buffer(2, b);
            for_each_vector_of<T>(units, [&](long k, int n) {
                const auto gate = [&](long column) {
                    Vec<T> sum = load(a + column, n) + load(u + column, n) + load(bias_x + column, n);
                    if (options.reset_after) sum += load(bias_h + column, n);
                    return act(options.recurrent_activation, sum, column, n);
                };
                const Vec<T> z = gate(k), r = gate(units + k);
                store(z_row + k, z, n);
                store(r_row + k, r, n);
                if (!options.reset_after) store(rh + k, r * load(h + k, n), n);
                if (!saved) return;
                store(saved + k, z, n);
                store(saved + units + k, r, n);
            });
        }
        if (!options.reset_after)
            multiply_by(RowsAt<const T>(s.buffer(2, s.row0), units), end - s.row0,
                        p.weights.recurrent + 2 * packed_columns<T>(units) * units, units, units,
                        RowsAt<T>(s.from_h(s.row0) + 2 * units, s.gates));
        for (long b = s.row0; b < end; ++b) {
            const T *a = s.from_x(b) + 2 * units, *u_row = s.from_h(b) + 2 * units;
            const T *z_row = s.buffer(0, b), *r_row = s.buffer(1, b), *h_prev = previous_h(p, b, t);
            T* saved = saved_of(b);
            const RowActivations<saves, T> act = activations_of(saved);
            for_each_vector_of<T>(units, [&](long k, int n) {
                Vec<T> u = load(u_row + k, n), sum = load(a + k, n) + load(bias_x + 2 * units + k, n);
                if (options.reset_after) {
                    u += load(bias_h + 2 * units + k, n);
                    sum = fma(load(r_row + k, n), u, sum);
                } else {
                    sum += u;
                }
                const Vec<T> hh = act(options.activation, sum, 2 * units + k, n), before = load(h_prev + k, n);
                const Vec<T> z = load(z_row + k, n), h = fma(z, before, (one - z) * hh);
                store(at(p.h, b, t) + k, zone_out<T>(h, before, p, 0, p.zoneout.h, b, t, k), n);
                if (!saved) return;
                store(saved + 2 * units + k, hh, n);
                if (options.reset_after) store(saved + 3 * units + k, u, n);
            });
        }
    }

    //   dz = dh (h_prev - hh)   dhh = dh (1 - z)   dh_prev = dh z + what the products pass on
    // reset after:  da = dhh act'(hh)   du = da r    dr = da u
    // reset before: d(r h) = da R_h^T                dr = d(r h) h    dh += d(r h) r
    template <class T>
    static void backward(StagedBackward<T>& s, long t, long end) {
        return saves_slopes(s.p.options) ? backward_step<true>(s, t, end) : backward_step<false>(s, t, end);
    }
    template <bool saves, class T>
    static void backward_step(StagedBackward<T>& s, long t, long end) {
        const BackwardProblem<T>& p = s.p;
        const CellOptions& options = p.options;
        const long units = p.shape.units, pre = options.layer_norm ? 6 * units : 0;
        const auto u_column = options.layer_norm ? pre + 3 * units : 2 * units;
        const auto a_column = options.reset_after && !options.layer_norm ? 3 * units : pre + 2 * units;
        const Vec<T> one = broadcast(T(1));
        for (long b = s.row0; b < end; ++b) {
            const T *saved = at(p.saved, b, t), *h_prev = previous_h(p, b, t);
            const RowSlopes<saves, T> slope_of{saved + slopes(p.shape, options)};
            T *row = s.chunk.row(b, t), *dh_row = s.dh(b);
            for_each_vector_of<T>(units, [&](long k, int n) {
                const Vec<T> z = load(saved + k, n), hh = load(saved + 2 * units + k, n);
                Vec<T> dh = load(dh_row + k, n);
                const Vec<T> taken = zone_out_backward<T>(dh, p, 0, p.zoneout.h, b, t, k);
                const Vec<T> da = taken * (one - z) * slope_of(options.activation, hh, 2 * units + k, n);
                store(dh_row + k, fma(taken, z, dh), n);
                const Vec<T> z_slope = slope_of(options.recurrent_activation, z, k, n);
                store(row + pre + k, taken * (load(h_prev + k, n) - hh) * z_slope, n);
                store(row + a_column + k, da, n);
                if (!options.reset_after) return;
                const Vec<T> r = load(saved + units + k, n), u = load(saved + 3 * units + k, n);
                store(row + pre + units + k, da * u * slope_of(options.recurrent_activation, r, units + k, n), n);
                store(row + u_column + k, da * r, n);
            });
            if (!options.layer_norm) continue;
            const T *a_hat = saved + 4 * units, *u_hat = saved + 7 * units, *gain_h = p.weights.gain + s.gates;
            multiply_rows<T>(row + pre, p.weights.gain, row, s.gates);
            normalize_backward(row, a_hat, saved[10 * units], s.gates);
            multiply_rows<T>(row + pre, gain_h, row + s.gates, 2 * units);
            multiply_rows<T>(row + u_column, gain_h + 2 * units, row + s.gates + 2 * units, units);
            normalize_backward(row + s.gates, u_hat, saved[10 * units + 1], s.gates);
        }
        if (!options.reset_after) {
            // The candidate's rows stand behind those of z and r in the transposed recurrent kernel.
            const auto d_rh = [&](long b) { return s.buffer(0, b); };
            const long rows = end - s.row0;
            multiply_transposed(RowsAt<const T>(s.chunk.row(s.row0, t) + 2 * units, s.chunk.width), rows,
                                p.weights.recurrent_transposed, s.gates, units, 2 * units, units,
                                RowsAt<T>(d_rh(s.row0), units));
            const int copy = p.h_dropout.copies > 1 ? 2 : 0;
            for (long b = s.row0; b < end; ++b) {
                const T *saved = at(p.saved, b, t), *h_prev = previous_h(p, b, t);
                const RowSlopes<saves, T> slope_of{saved + slopes(p.shape, options)};
                for_each_vector_of<T>(units, [&](long k, int n) {
                    const Vec<T> mask =
                        p.h_dropout.factors ? load(factors(p.h_dropout, p, copy, b, units) + k, n) : one;
                    const Vec<T> r = load(saved + units + k, n), d = load(d_rh(b) + k, n) * mask;
                    store(s.dh(b) + k, fma(d, r, load(s.dh(b) + k, n)), n);
                    store(s.chunk.row(b, t) + units + k,
                          d * load(h_prev + k, n) * slope_of(options.recurrent_activation, r, units + k, n), n);
                });
            }
        }
        s.to_previous_h(t, end);
    }

    template <class T>
    static void gradients(StagedBackward<T>& s) {
        const BackwardProblem<T>& p = s.p;
        if (!p.options.layer_norm) return;
        const long units = p.shape.units, pre = 6 * units, u = 9 * units;
        const auto column = [&](long begin) {
            return [&s, begin](long b, long t) { return s.chunk.row(b, t) + begin; };
        };
        const auto of_saved = [&](long begin) {
            return [&p, begin](long b, long t) { return at(p.saved, b, t) + begin; };
        };
        const auto nothing = [](long, long) -> const T* { return nullptr; };
        T *gain_h = p.gradients.gain + s.gates, *bias_h = p.gradients.bias + s.gates;
        s.chunk.add_elementwise(s.gates, column(pre), of_saved(4 * units), p.gradients.gain);
        s.chunk.add_elementwise(2 * units, column(pre), of_saved(7 * units), gain_h);
        s.chunk.add_elementwise(units, column(u), of_saved(9 * units), gain_h + 2 * units);
        if (!p.gradients.bias) return;
        s.chunk.add_elementwise(s.gates, column(pre), nothing, p.gradients.bias);
        s.chunk.add_elementwise(2 * units, column(pre), nothing, bias_h);
        s.chunk.add_elementwise(units, column(u), nothing, bias_h + 2 * units);
    }
};

}  // namespace lstmcore::LSTMCORE_ISA
