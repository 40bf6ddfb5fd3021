// A recurrent layer, forward and backward, through the table of kernels as the bindings use it.
#pragma once

#include <algorithm>
#include <numeric>

#include "check.hpp"

// What a call is, but for its numbers.
struct Setup {
    const char* name;
    long batch, steps, inputs, units;
    lstmcore::CellOptions options;
    long gates;              // of the weights
    int x_copies, h_copies;  // masks of dropout: 0 none, 1, or one for each gate
    bool ragged, sequences;  // rows of different length; whether all outputs have gradients, or the last alone
    lstmcore::Zoneout zoneout;
    long carried = 1;  // arrays of the units' width beside h

    bool lstm() const { return options.output_gate; }
    long c_width() const { return carried * units; }
    long outputs() const { return options.projection ? (units + 1) / 2 : units; }
    lstmcore::RecurrentShape shape() const { return {batch, steps, inputs, units, outputs()}; }
};

inline lstmcore::CellOptions lstm_options() {
    lstmcore::CellOptions options{};
    options.activation = options.output_activation = {lstmcore::ActivationKind::tanh, 0, 0};
    options.recurrent_activation = {lstmcore::ActivationKind::sigmoid, 0, 0};
    options.input_gate = options.forget_gate = options.output_gate = true;
    return options;
}

template <class T>
struct Numbers {
    std::vector<T> x, kernel, recurrent, bias, peephole, projection, gain, cell_norm, h0, c0, x_factors, h_factors, dh,
        dh_last, dc_last;

    explicit Numbers(const Setup& s, unsigned seed) {
        Random random(seed);
        const long columns = s.gates * s.units, outputs = s.outputs();
        const auto factors = [&](long n) {
            std::vector<T> values(n);
            for (T& v : values) v = random.below(4) ? T(1.25) : T(0);
            return values;
        };
        x = random.normal<T>(s.batch * s.steps * s.inputs, 1);
        kernel = random.normal<T>(s.inputs * columns, 0.2),
        recurrent = random.normal<T>(outputs / s.options.heads * columns, 0.2);
        bias = random.normal<T>(2 * columns, 1);  // the second row is that of a GRU
        peephole = random.normal<T>(3 * s.units, 0.3), projection = random.normal<T>(s.units * outputs, 0.2);
        gain = random.normal<T>(2 * columns, 1), cell_norm = random.normal<T>(2 * s.units, 1);
        h0 = random.normal<T>(s.batch * outputs, 1), c0 = random.normal<T>(s.batch * s.c_width(), 1);
        dh = random.normal<T>(s.batch * s.steps * outputs, 1), dh_last = random.normal<T>(s.batch * outputs, 1);
        dc_last = random.normal<T>(s.batch * s.c_width(), 1);
        x_factors = factors(s.x_copies * s.batch * s.inputs), h_factors = factors(s.h_copies * s.batch * outputs);
    }
};

// Rows of different lengths, one of them 0, as runtime/padding.cpp plans them.
struct Rows {
    std::vector<long> first, length;
    std::vector<int> step, row, at_step;

    Rows(long batch, long steps) : length(batch), row(batch) {
        const auto length_of = [&](long b) { return b == 1 ? 0 : steps - b * 7 % steps; };
        std::iota(row.begin(), row.end(), 0);
        std::stable_sort(row.begin(), row.end(), [&](int a, int b) { return length_of(a) > length_of(b); });
        for (long b = 0; b < batch; ++b) length[b] = length_of(row[b]);
        first.push_back(0);
        for (long t = 0; t < length[0]; ++t) {
            const long active = std::count_if(length.begin(), length.end(), [&](long n) { return n > t; });
            first.push_back(first.back() + active);
            step.insert(step.end(), active, int(t)), at_step.insert(at_step.end(), active, int(t));
        }
    }
    lstmcore::Ragged view() const { return {first.data(), step.data(), row.data(), at_step.data(), length.data()}; }
};

// The results of both passes.
template <class T>
struct Results {
    std::vector<T> h, c, dx, kernel, recurrent, bias, peephole, projection, gain, cell_norm, dh0, dc0;

    std::vector<T> all() const {
        std::vector<T> values;
        for (const auto* part :
             {&h, &c, &dx, &kernel, &recurrent, &bias, &peephole, &projection, &gain, &cell_norm, &dh0, &dc0})
            values.insert(values.end(), part->begin(), part->end());
        return values;
    }
};

template <class T>
Results<T> run_cell(const lstmcore::CellKernels<T>& cell, const Setup& s, const Numbers<T>& in, int threads) {
    using namespace lstmcore;
    const RecurrentShape shape = s.shape();
    const PackedSizes sizes = cell.packed_sizes(shape, s.options);
    std::vector<std::vector<T>> memory;
    const auto take = [&memory](std::size_t n) { return memory.emplace_back(n).data(); };
    PackProblem<T> pack{};
    pack.shape = shape, pack.options = s.options, pack.threads = threads;
    pack.weights = {in.kernel.data(),     in.recurrent.data(), in.bias.data(),     in.peephole.data(),
                    in.projection.data(), in.gain.data(),      in.cell_norm.data()};
    const long columns = long(in.bias.size()) / 2;
    pack.kernel = pack.recurrent = {columns, 1}, pack.projection = {shape.outputs, 1};
    if (!s.options.projection) pack.weights.projection = nullptr;
    if (!s.options.peepholes) pack.weights.peephole = nullptr;
    if (!s.options.layer_norm) pack.weights.gain = pack.weights.cell_norm = nullptr;
    if (!s.lstm()) pack.weights.cell_norm = nullptr;
    pack.packed = {take(sizes.kernel),
                   take(sizes.recurrent),
                   take(sizes.bias),
                   take(sizes.peephole),
                   take(sizes.projection),
                   take(sizes.gain),
                   take(sizes.cell_norm),
                   take(sizes.kernel_transposed),
                   take(sizes.recurrent_transposed),
                   take(sizes.projection_transposed)};
    cell.pack(pack);

    const Rows rows(s.batch, s.steps);
    const auto array = [&](auto* data, long width) {  // (batch, steps, width) of the caller
        Sequence<std::remove_pointer_t<decltype(data)>> sequence{data,    s.steps * width, width,  -1,
                                                                 nullptr, nullptr,         nullptr};
        if (s.ragged)
            sequence.first = rows.first.data(), sequence.row = rows.row.data(), sequence.at_step = rows.at_step.data();
        return sequence;
    };
    const auto kept = [&](auto* data, long width) {  // (steps, batch, width)
        return Sequence<std::remove_pointer_t<decltype(data)>>{
            data, width, s.batch * width, -1, s.ragged ? rows.first.data() : nullptr, nullptr, nullptr};
    };
    const long outputs = s.outputs(), of_step = s.batch * s.steps, saved_width = long(cell.saved(shape, s.options));
    Results<T> out;
    out.h.resize(of_step * outputs), out.c.resize(of_step * s.c_width());
    std::vector<T> saved(of_step * saved_width);

    ForwardProblem<T> forward{};
    forward.shape = shape, forward.options = s.options, forward.weights = pack.packed, forward.threads = threads;
    if (s.ragged) forward.ragged = rows.view(), forward.shape.steps = long(rows.first.size()) - 1;
    forward.x = array(in.x.data(), s.inputs), forward.h0 = in.h0.data(), forward.c0 = in.c0.data();
    forward.h = array(out.h.data(), outputs), forward.c = kept(out.c.data(), s.c_width());
    forward.saved = kept(saved.data(), saved_width);
    if (s.x_copies) forward.x_dropout = {in.x_factors.data(), s.x_copies};
    if (s.h_copies) forward.h_dropout = {in.h_factors.data(), s.h_copies};
    forward.zoneout = s.zoneout;
    std::vector<T> workspace(cell.forward_workspace(forward));
    forward.workspace = workspace.data();
    run(cell.forward, forward);

    out.dx.resize(in.x.size()), out.kernel.resize(in.kernel.size()), out.recurrent.resize(in.recurrent.size());
    out.bias.resize(in.bias.size()), out.peephole.resize(in.peephole.size());
    out.projection.resize(in.projection.size()), out.gain.resize(in.gain.size());
    out.cell_norm.resize(in.cell_norm.size()), out.dh0.resize(in.h0.size()), out.dc0 = in.dc_last;
    BackwardProblem<T> backward{};
    backward.shape = forward.shape, backward.options = s.options, backward.weights = pack.packed;
    backward.threads = threads, backward.ragged = forward.ragged, backward.x = forward.x;
    backward.h0 = forward.h0, backward.c0 = forward.c0;
    backward.x_dropout = forward.x_dropout, backward.h_dropout = forward.h_dropout, backward.zoneout = s.zoneout;
    backward.h = array(static_cast<const T*>(out.h.data()), outputs);
    backward.c = kept(static_cast<const T*>(out.c.data()), s.c_width());
    backward.saved = kept(static_cast<const T*>(saved.data()), saved_width);
    if (s.sequences) backward.dh = array(in.dh.data(), outputs);
    backward.dh_last = in.dh_last.data();
    backward.dx = array(out.dx.data(), s.inputs);
    backward.gradients = {out.kernel.data(),     out.recurrent.data(), out.bias.data(),     out.peephole.data(),
                          out.projection.data(), out.gain.data(),      out.cell_norm.data()};
    backward.dh0 = out.dh0.data(), backward.dc0 = out.dc0.data(), backward.need_dh0 = true;
    workspace.assign(cell.backward_workspace(backward), T(0));
    backward.workspace = workspace.data();
    run(cell.backward, backward);
    return out;
}
