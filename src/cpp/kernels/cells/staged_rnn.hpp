// The simple recurrent cell with the options that the fused one does not have: activations whose slope does not follow
// from their output, and clip. Same names and order as python/lstmcore/reference/rnn.py.
#pragma once

#include "../staged.hpp"

namespace lstmcore::LSTMCORE_ISA {

struct StagedRnn {
    static long gates(const CellOptions&) { return 1; }
    static long bias_rows(const CellOptions&) { return 1; }
    static std::size_t saved(const RecurrentShape& s, const CellOptions&) { return s.units; }  // the slopes
    static Columns columns(const RecurrentShape& s, const CellOptions&) {
        return {{{0, s.units, 0, 0, false}}, 1, s.units, 1};
    }

    // y = activation(.)   h = y, or h_prev where zoneout says so
    template <class T>
    static void forward(StagedForward<T>& s, long t, long end) {
        const ForwardProblem<T>& p = s.p;
        s.multiply_x(t, end, 0, 1);
        s.multiply_h(t, end, 0, 1);
        for (long b = s.row0; b < end; ++b) {
            const RowActivations<true, T> act{p.options, p.saved.data ? at(p.saved, b, t) : nullptr};
            const T *a = s.from_x(b), *u = s.from_h(b), *h_prev = previous_h(p, b, t);
            for_each_vector_of<T>(p.shape.units, [&](long k, int n) {
                const Vec<T> sum = load(a + k, n) + load(u + k, n) + load(p.weights.bias + k, n);
                const Vec<T> y = act(p.options.activation, sum, k, n), before = load(h_prev + k, n);
                store(at(p.h, b, t) + k, zone_out<T>(y, before, p, 0, p.zoneout.h, b, t, k), n);
            });
        }
    }

    //   dy = dh where not zoned out, dh_prev = dh where zoned out   dpre = dy activation'(.)
    template <class T>
    static void backward(StagedBackward<T>& s, long t, long end) {
        const BackwardProblem<T>& p = s.p;
        for (long b = s.row0; b < end; ++b)
            for_each_vector_of<T>(p.shape.units, [&](long k, int n) {
                Vec<T> dh = load(s.dh(b) + k, n);
                const Vec<T> dy = zone_out_backward<T>(dh, p, 0, p.zoneout.h, b, t, k);
                store(s.dh(b) + k, dh, n);
                store(s.chunk.row(b, t) + k, dy * load(at(p.saved, b, t) + k, n), n);
            });
        s.to_previous_h(t, end);
    }

    template <class T>
    static void gradients(StagedBackward<T>&) {}  // of further weights: there are none
};

}  // namespace lstmcore::LSTMCORE_ISA
