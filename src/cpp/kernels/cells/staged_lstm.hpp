// The LSTM with every option: the variants of Greff et al. 2017, projection (Sak et al. 2014), layer
// normalisation (Ba et al. 2016), zoneout (Krueger et al. 2017), any activation, clip. Same names and order as
// python/lstmcore/reference/lstm.py.
#pragma once

#include "../staged.hpp"

namespace lstmcore::LSTMCORE_ISA {

struct StagedLstm {
    // Which columns of the weights a gate has, in units; -1: the gate has no weights.
    struct Gates {
        int i, f, g, o, count;
        explicit Gates(const CellOptions& options) {
            count = 0;
            i = options.input_gate ? count++ : -1;
            f = options.forget_gate && !options.coupled ? count++ : -1;
            g = count++;
            o = options.output_gate ? count++ : -1;
        }
    };
    static long gates(const CellOptions& options) { return Gates(options).count; }
    static long bias_rows(const CellOptions&) { return 1; }

    // Saved: i, f, g, o; for layer normalisation, both normalized products and their scales; slopes, if need be.
    static std::size_t slopes(const RecurrentShape& s, const CellOptions& options) {
        return 4 * s.units + (options.layer_norm ? 2 * gates(options) * s.units + 2 : 0);
    }
    static std::size_t saved(const RecurrentShape& s, const CellOptions& options) {
        return slopes(s, options) + (saves_slopes(options) ? gates(options) * s.units : 0);
    }

    // A row of dpre: [those of the two products, where normalized], the pre-activations, then what the
    // gradients of the further weights are made of.
    struct Layout {
        long pre, c, normalized, dn, m, dh, width;
        Layout(const RecurrentShape& s, const CellOptions& options) {
            const long columns = gates(options) * s.units;
            pre = options.layer_norm ? 2 * columns : 0;
            width = pre + columns;
            const auto add = [&](bool wanted, long n) {
                const long begin = width;
                if (wanted) width += n;
                return begin;
            };
            c = add(options.peepholes, s.units);
            normalized = add(options.layer_norm, s.units), dn = add(options.layer_norm, s.units);
            m = add(options.projection, s.units), dh = add(options.projection, s.outputs);
        }
    };
    static Columns columns(const RecurrentShape& s, const CellOptions& options) {
        const long n = gates(options) * s.units, width = Layout(s, options).width;
        if (options.layer_norm) return {{{0, n, 0, -1, false}, {n, n, -1, 0, false}}, 2, width, 0};
        return {{{0, n, 0, 0, false}}, 1, width, 1};
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
        const Gates gate(options);
        s.multiply_x(t, end, 0, gate.count);
        s.multiply_h(t, end, 0, gate.count);
        for (long b = s.row0; b < end; ++b) {
            T *a = s.from_x(b), *u = s.from_h(b);
            T* saved = p.saved.data ? at(p.saved, b, t) : nullptr;
            if (options.layer_norm) {
                const T scale_a = normalize(a, a, s.gates), scale_u = normalize(u, u, s.gates);
                if (saved) {
                    std::memcpy(saved + 4 * units, a, s.gates * sizeof(T));
                    std::memcpy(saved + 4 * units + s.gates, u, s.gates * sizeof(T));
                    saved[4 * units + 2 * s.gates] = scale_a, saved[4 * units + 2 * s.gates + 1] = scale_u;
                }
            }
            const RowActivations<saves, T> act{options, saved ? saved + slopes(p.shape, options) : nullptr};
            const T *c_prev = previous_c(p, b, t), *peephole = p.weights.peephole;
            T *c_new = s.buffer(0, b), *o_row = s.buffer(1, b), *n_row = s.buffer(2, b);
            T* m = options.projection ? s.buffer(3, b) : at(p.h, b, t);
            const Vec<T> one = broadcast(T(1));
            for_each_vector_of<T>(units, [&](long k, int n) {
                const auto pre = [&](int g) {
                    const long column = g * units + k;
                    const Vec<T> bias = load(p.weights.bias + column, n);
                    if (!options.layer_norm) return load(a + column, n) + load(u + column, n) + bias;
                    return fma(load(a + column, n), load(p.weights.gain + column, n),
                               fma(load(u + column, n), load(p.weights.gain + s.gates + column, n), bias));
                };
                const auto gate_of = [&](int g, int row, Vec<T> c) {
                    Vec<T> sum = pre(g);
                    if (options.peepholes) sum = fma(load(peephole + row * units + k, n), c, sum);
                    return act(options.recurrent_activation, sum, g * units + k, n);
                };
                const Vec<T> before = load(c_prev + k, n);
                const Vec<T> i = gate.i >= 0 ? gate_of(gate.i, 0, before) : one;
                const Vec<T> f = gate.f >= 0 ? gate_of(gate.f, 1, before) : options.coupled ? one - i : one;
                const Vec<T> g = act(options.activation, pre(gate.g), gate.g * units + k, n);
                const Vec<T> c = fma(f, before, i * g);
                const Vec<T> o = gate.o >= 0 ? gate_of(gate.o, 2, c) : one;
                store(c_new + k, c, n);
                store(o_row + k, o, n);
                if (!saved) return;
                store(saved + k, i, n);
                store(saved + units + k, f, n);
                store(saved + 2 * units + k, g, n);
                store(saved + 3 * units + k, o, n);
            });
            if (options.layer_norm) normalize(c_new, n_row, units);
            for_each_vector_of<T>(units, [&](long k, int n) {
                const Vec<T> c = load(c_new + k, n);
                Vec<T> y = c;
                if (options.layer_norm)
                    y = fma(load(n_row + k, n), load(p.weights.cell_norm + k, n),
                            load(p.weights.cell_norm + units + k, n));
                y = activate_with_slope<saves, T>(options.output_activation, y).y;
                store(m + k, load(o_row + k, n) * y, n);
                store(at(p.c, b, t) + k, zone_out<T>(c, load(c_prev + k, n), p, 1, p.zoneout.c, b, t, k), n);
            });
        }
        if (options.projection) {
            const auto h_row = [&](long r) { return at(p.h, s.row0 + r, t); };
            multiply_by(RowsAt<const T>(s.buffer(3, s.row0), units), end - s.row0, p.weights.projection, units,
                        p.shape.outputs, RowsAt<T>::by(h_row));
        }
        if (p.zoneout.h > 0)
            for (long b = s.row0; b < end; ++b)
                for_each_vector_of<T>(p.shape.outputs, [&](long k, int n) {
                    T* h = at(p.h, b, t) + k;
                    store(h, zone_out<T>(load(h, n), load(previous_h(p, b, t) + k, n), p, 0, p.zoneout.h, b, t, k), n);
                });
    }

    template <class T>
    static void backward(StagedBackward<T>& s, long t, long end) {
        const BackwardProblem<T>& p = s.p;
        const CellOptions& options = p.options;
        const long units = p.shape.units, outputs = p.shape.outputs;
        const Layout layout(p.shape, options);
        // What of dh is not zoned out; the rest goes straight to the step before.
        const auto dh_new = [&](long b) { return options.projection ? s.chunk.row(b, t) + layout.dh : s.buffer(0, b); };
        for (long b = s.row0; b < end; ++b)
            for_each_vector_of<T>(outputs, [&](long k, int n) {
                Vec<T> dh = load(s.dh(b) + k, n);
                store(dh_new(b) + k, zone_out_backward<T>(dh, p, 0, p.zoneout.h, b, t, k), n);
                store(s.dh(b) + k, dh, n);
            });
        const auto dm_of = [&](long b) { return options.projection ? s.buffer(1, b) : dh_new(b); };
        if (options.projection)
            multiply_transposed(RowsAt<const T>(dh_new(s.row0), s.chunk.width), end - s.row0,
                                p.weights.projection_transposed, outputs, units, 0, outputs,
                                RowsAt<T>(dm_of(s.row0), units));
        const bool saves = saves_slopes(options);
        for (long b = s.row0; b < end; ++b)
            saves ? step_of_row<true>(s, layout, t, b, dm_of(b)) : step_of_row<false>(s, layout, t, b, dm_of(b));
        s.to_previous_h(t, end);
    }

    // dL/dm of a row, dL/dc of the step after -> dpre, dL/dc of the step before.
    //   do = dm act(n)   dn = dm o act'(n)   dc~ = dn through the normalisation + dc
    //   di = dc~ g   df = dc~ c_prev   dg = dc~ i   dc_prev = dc~ f   (coupled: di -= df)
    template <bool saves, class T>
    static void step_of_row(StagedBackward<T>& s, const Layout& layout, long t, long b, const T* dm) {
        const BackwardProblem<T>& p = s.p;
        const CellOptions& options = p.options;
        const long units = p.shape.units;
        const Gates gate(options);
        const T *saved = at(p.saved, b, t), *c_prev = previous_c(p, b, t), *peephole = p.weights.peephole;
        const RowSlopes<saves, T> slope_of{saved + slopes(p.shape, options)};
        T *row = s.chunk.row(b, t), *pre = row + layout.pre, *dc = s.dc(b);
        T* c_new = options.peepholes ? row + layout.c : s.buffer(2, b);
        T *normalized = options.layer_norm ? row + layout.normalized : c_new, *dn_row = s.buffer(3, b);
        for_each_vector_of<T>(units, [&](long k, int n) {
            store(c_new + k,
                  fma(load(saved + units + k, n), load(c_prev + k, n),
                      load(saved + k, n) * load(saved + 2 * units + k, n)),
                  n);
        });
        const T scale = options.layer_norm ? normalize(c_new, normalized, units) : T(1);
        for_each_vector_of<T>(units, [&](long k, int n) {
            Vec<T> y = load(normalized + k, n);
            if (options.layer_norm)
                y = fma(y, load(p.weights.cell_norm + k, n), load(p.weights.cell_norm + units + k, n));
            const Activated<T> out = activate_with_slope<saves, T>(options.output_activation, y);
            const Vec<T> o = load(saved + 3 * units + k, n), dm_ = load(dm + k, n);
            store(dn_row + k, dm_ * o * out.slope, n);
            const long o_column = gate.o * units + k;
            if (gate.o >= 0)
                store(pre + o_column, dm_ * out.y * slope_of(options.recurrent_activation, o, o_column, n), n);
            if (options.projection) store(row + layout.m + k, o * out.y, n);
        });
        if (options.layer_norm) {
            std::memcpy(row + layout.dn, dn_row, units * sizeof(T));
            for_each_vector_of<T>(units, [&](long k, int n) {
                store(dn_row + k, load(dn_row + k, n) * load(p.weights.cell_norm + k, n), n);
            });
            normalize_backward(dn_row, normalized, scale, units);
        }
        for_each_vector_of<T>(units, [&](long k, int n) {
            const Vec<T> i = load(saved + k, n), f = load(saved + units + k, n), g = load(saved + 2 * units + k, n);
            const Vec<T> before = load(c_prev + k, n);
            Vec<T> dc_passed = load(dc + k, n);
            Vec<T> dc_new = load(dn_row + k, n) + zone_out_backward<T>(dc_passed, p, 1, p.zoneout.c, b, t, k);
            if (options.peepholes && gate.o >= 0)
                dc_new = fma(load(pre + gate.o * units + k, n), load(peephole + 2 * units + k, n), dc_new);
            Vec<T> di = dc_new * g;
            const Vec<T> df = dc_new * before;
            if (options.coupled) di = di - df;
            Vec<T> dc_before = fma(dc_new, f, dc_passed);
            const auto gate_gradient = [&](int g_, int peephole_row, Vec<T> d, Vec<T> y) {
                const Vec<T> dpre = d * slope_of(options.recurrent_activation, y, g_ * units + k, n);
                store(pre + g_ * units + k, dpre, n);
                if (options.peepholes) dc_before = fma(dpre, load(peephole + peephole_row * units + k, n), dc_before);
            };
            if (gate.i >= 0) gate_gradient(gate.i, 0, di, i);
            if (gate.f >= 0) gate_gradient(gate.f, 1, df, f);
            const Vec<T> dg = dc_new * i;
            const long g_column = gate.g * units + k;
            store(pre + g_column, dg * slope_of(options.activation, g, g_column, n), n);
            store(dc + k, dc_before, n);
        });
        if (!options.layer_norm) return;
        const T* hats = saved + 4 * units;
        for (int product = 0; product < 2; ++product) {
            T* d = row + product * s.gates;
            multiply_rows<T>(pre, p.weights.gain + product * s.gates, d, s.gates);
            normalize_backward(d, hats + product * s.gates, hats[2 * s.gates + product], s.gates);
        }
    }

    template <class T>
    static void gradients(StagedBackward<T>& s) {
        const BackwardProblem<T>& p = s.p;
        const CellOptions& options = p.options;
        const long units = p.shape.units;
        const Layout layout(p.shape, options);
        const Gates gate(options);
        const auto column = [&](long begin) {
            return [&s, begin](long b, long t) { return s.chunk.row(b, t) + begin; };
        };
        const auto of_saved = [&](long begin) {
            return [&p, begin](long b, long t) { return at(p.saved, b, t) + begin; };
        };
        const auto nothing = [](long, long) -> const T* { return nullptr; };
        if (options.peepholes) {
            const auto c_prev = [&](long b, long t) { return previous_c(p, b, t); };
            if (gate.i >= 0)
                s.chunk.add_elementwise(units, column(layout.pre + gate.i * units), c_prev, p.gradients.peephole);
            if (gate.f >= 0)
                s.chunk.add_elementwise(units, column(layout.pre + gate.f * units), c_prev,
                                        p.gradients.peephole + units);
            if (gate.o >= 0)
                s.chunk.add_elementwise(units, column(layout.pre + gate.o * units), column(layout.c),
                                        p.gradients.peephole + 2 * units);
        }
        if (options.layer_norm) {
            for (int product = 0; product < 2; ++product)
                s.chunk.add_elementwise(s.gates, column(layout.pre), of_saved(4 * units + product * s.gates),
                                        p.gradients.gain + product * s.gates);
            if (p.gradients.bias) s.chunk.add_elementwise(s.gates, column(layout.pre), nothing, p.gradients.bias);
            s.chunk.add_elementwise(units, column(layout.dn), column(layout.normalized), p.gradients.cell_norm);
            s.chunk.add_elementwise(units, column(layout.dn), nothing, p.gradients.cell_norm + units);
        }
        if (options.projection)
            s.chunk.add_products(s.packed, units, p.shape.outputs, column(layout.m), layout.dh, p.gradients.projection);
    }
};

}  // namespace lstmcore::LSTMCORE_ISA
