// The time loop for cells whose gates cannot be applied to the sums in registers: those that look at
// a whole row first (layer normalisation) or multiply twice in a step (projection, reset before), and
// every other option. The sums go through memory; each thread takes its rows through all steps.
//
// A cell has:
//   gates(options), saved(shape, options), columns(shape, options)
//   forward(StagedForward&, t, end), backward(StagedBackward&, t, end): one step of the rows up to end
//   gradients(StagedBackward&): what a chunk of steps adds to the gradients of the further weights
#pragma once

#include "cells/options.hpp"
#include "forward.hpp"
#include "gradients.hpp"

namespace lstmcore::LSTMCORE_ISA {

// --- packing --------------------------------------------------------------------------------

// The panels of kernel and recurrent kernel begin anew at each gate.
template <class Cell, class T>
PackedSizes staged_packed_sizes(const RecurrentShape& s, const CellOptions& options) {
    const std::size_t gates = Cell::gates(options), units = s.units, width = gates * packed_columns<T>(units);
    PackedSizes sizes{};
    sizes.kernel = width * s.inputs, sizes.recurrent = width * s.outputs;
    sizes.bias = Cell::bias_rows(options) * gates * units;
    sizes.kernel_transposed = gates * units * packed_columns<T>(s.inputs);
    sizes.recurrent_transposed = gates * units * packed_columns<T>(s.outputs);
    if (options.peepholes) sizes.peephole = 3 * units;
    if (options.projection) {
        sizes.projection = units * packed_columns<T>(s.outputs);
        sizes.projection_transposed = s.outputs * packed_columns<T>(units);
    }
    if (options.layer_norm) sizes.gain = 2 * gates * units, sizes.cell_norm = 2 * units;
    return sizes;
}

template <class T>
void pack_matrix(T* packed, const T* weights, const MatrixStrides& strides, long depth, long columns) {
    for (long j = 0; j < columns; j += panel_columns<T>)
        pack_panel(packed + j * depth, weights + j * strides.column, strides.row, strides.column, depth,
                   min(panel_columns<T>, columns - j));
}

template <class Cell, class T>
void staged_pack(const PackProblem<T>& problem) {
    parallel(
        1,
        [](const void* context, const Team& team) {
            const PackProblem<T>& p = *static_cast<const PackProblem<T>*>(context);
            const long gates = Cell::gates(p.options), inputs = p.shape.inputs, units = p.shape.units,
                       outputs = p.shape.outputs, columns = gates * units;
            for (long g = 0; g < gates; ++g) {
                const long width = g * packed_columns<T>(units);
                pack_matrix(p.packed.kernel + width * inputs, p.weights.kernel + g * units * p.kernel.column, p.kernel,
                            inputs, units);
                pack_matrix(p.packed.recurrent + width * outputs, p.weights.recurrent + g * units * p.recurrent.column,
                            p.recurrent, outputs, units);
            }
            const auto copy = [](T* to, const T* from, long n) {
                if (from) std::memcpy(to, from, n * sizeof(T));
            };
            if (p.weights.bias)
                copy(p.packed.bias, p.weights.bias, Cell::bias_rows(p.options) * columns);
            else
                std::memset(p.packed.bias, 0, Cell::bias_rows(p.options) * columns * sizeof(T));
            copy(p.packed.peephole, p.weights.peephole, 3 * units);
            copy(p.packed.gain, p.weights.gain, 2 * columns);
            copy(p.packed.cell_norm, p.weights.cell_norm, 2 * units);
            if (p.weights.projection)
                pack_matrix(p.packed.projection, p.weights.projection, p.projection, units, outputs);
            if (!p.packed.kernel_transposed) return;
            pack_transposed(team, p.packed.kernel_transposed, p.weights.kernel, p.kernel, inputs, columns);
            pack_transposed(team, p.packed.recurrent_transposed, p.weights.recurrent, p.recurrent, outputs, columns);
            if (p.weights.projection)
                pack_transposed(team, p.packed.projection_transposed, p.weights.projection, p.projection, units,
                                outputs);
        },
        &problem);
}

// --- rows -----------------------------------------------------------------------------------

// Layer normalisation (Ba et al. 2016): (x - mean) / sqrt(variance + 1e-5). Returns the divisor's inverse.
template <class T>
T normalize(const T* x, T* normalized, long n) {
    Vec<T> sums{};
    for_each_vector_of<T>(n, [&](long k, int count) { sums += load(x + k, count); });
    const T mean = sum_of_lanes<T>(sums) / T(n);
    T variance = 0;
    for (long k = 0; k < n; ++k) variance += (x[k] - mean) * (x[k] - mean);
    const T scale = T(1) / (sizeof(T) == 4 ? T(__builtin_sqrtf(float(variance / T(n) + T(1e-5))))
                                           : T(__builtin_sqrt(double(variance / T(n) + T(1e-5)))));
    for (long k = 0; k < n; ++k) normalized[k] = (x[k] - mean) * scale;
    return scale;
}

// d, the gradient of the normalized row, becomes that of x: scale (d - mean(d) - normalized mean(d normalized)).
template <class T>
void normalize_backward(T* d, const T* normalized, T scale, long n) {
    T mean = 0, slope = 0;
    for (long k = 0; k < n; ++k) mean += d[k], slope += d[k] * normalized[k];
    mean /= T(n), slope /= T(n);
    for (long k = 0; k < n; ++k) d[k] = scale * (d[k] - mean - normalized[k] * slope);
}

// c = a times a packed matrix of `columns` columns, for `rows` rows.
template <class T>
void multiply_by(const RowsAt<const T>& a, long rows, const T* packed, long depth, long columns, const RowsAt<T>& c) {
    for (long j = 0; j < columns; j += panel_columns<T>)
        multiply_panel<T>(rows_of<T>(a), rows, 0, tile_count(rows), packed + j * depth, depth,
                          min(panel_columns<T>, columns - j), nullptr, c.shifted(j), false);
}

// --- forward --------------------------------------------------------------------------------

template <class T>
class StagedForward {
 public:
    const ForwardProblem<T>& p;
    const long gates;  // columns of the weights
    long row0, row1;   // this thread's rows

    static std::size_t workspace_of_thread(const ForwardProblem<T>& p, long gates) {
        const RecurrentShape& s = p.shape;
        return std::size_t(s.batch) *
               (2 * gates + 6 * s.units + copies(p.x_dropout) * s.inputs + copies(p.h_dropout) * s.outputs);
    }

    StagedForward(const ForwardProblem<T>& problem, const Team& team, long gates) : p(problem), gates(gates) {
        const RecurrentShape& s = p.shape;
        split_rows(p, team, row0, row1);
        x_products = p.workspace + team.index * workspace_of_thread(p, gates);
        h_products = x_products + s.batch * gates;
        buffers = h_products + s.batch * gates;
        dropped_x = buffers + s.batch * 6 * s.units;
        dropped_h = dropped_x + s.batch * copies(p.x_dropout) * s.inputs;
    }

    // Rows of this step: sums of the inputs and of h, by gate; six buffers of the width of the units.
    T* from_x(long b) const { return x_products + (b - row0) * gates; }
    T* from_h(long b) const { return h_products + (b - row0) * gates; }
    T* buffer(int which, long b) const { return buffers + (which * p.shape.batch + b - row0) * p.shape.units; }

    // The products of the inputs, or of h, with the columns of the gates [gate0, gate1).
    void multiply_x(long t, long end, long gate0, long gate1) const {
        const auto row = [&](long r) { return static_cast<const T*>(at(p.x, row0 + r, t)); };
        products(p.x_dropout, dropped_x, p.shape.inputs, RowsAt<const T>::by(row), p.weights.kernel, end, gate0, gate1,
                 x_products);
    }
    void multiply_h(long t, long end, long gate0, long gate1) const {
        const auto row = [&](long r) { return static_cast<const T*>(previous_h(p, row0 + r, t)); };
        products(p.h_dropout, dropped_h, p.shape.outputs, RowsAt<const T>::by(row), p.weights.recurrent, end, gate0,
                 gate1, h_products);
    }
    // h as a gate's product sees it.
    const T* seen_h(long b, long t, int gate) const {
        if (!p.h_dropout.factors) return previous_h(p, b, t);
        const int copy = p.h_dropout.copies > 1 ? gate : 0;
        return dropped_h + (copy * p.shape.batch + b - row0) * p.shape.outputs;
    }

 private:
    T *x_products, *h_products, *buffers, *dropped_x, *dropped_h;

    static long copies(const Dropout<T>& dropout) { return dropout.factors ? dropout.copies : 0; }

    void products(const Dropout<T>& dropout, T* dropped, long width, const RowsAt<const T>& row, const T* packed,
                  long end, long gate0, long gate1, T* out) const {
        const long units = p.shape.units, rows = end - row0, copy_size = p.shape.batch * width;
        for (int copy = 0; gate0 == 0 && copy < copies(dropout); ++copy)
            for (long r = 0; r < rows; ++r)
                multiply_rows(row(r), factors(dropout, p, copy, row0 + r, width),
                              dropped + copy * copy_size + r * width, width);
        for (long g = gate0; g < gate1; ++g) {
            const RowsAt<const T> kept(dropped + (dropout.copies > 1 ? g : 0) * copy_size, width);
            multiply_by(dropout.factors ? kept : row, rows, packed + g * packed_columns<T>(units) * width, width, units,
                        RowsAt<T>(out + g * units, gates));
        }
    }
};

template <class Cell, class T>
std::size_t staged_forward_workspace(const ForwardProblem<T>& p) {
    return p.threads * StagedForward<T>::workspace_of_thread(p, Cell::gates(p.options) * p.shape.units);
}

template <class Cell, class T>
void staged_forward(const ForwardProblem<T>& p, const Team& team) {
    StagedForward<T> loop(p, team, Cell::gates(p.options) * p.shape.units);
    for (long t = 0; t < p.shape.steps; ++t) {
        const long end = min(loop.row1, rows_at(p, t));
        if (end > loop.row0) Cell::template forward<T>(loop, t, end);
    }
}

// --- backward -------------------------------------------------------------------------------

// dL/dh of the step at hand stands in p.dh0, dL/dc in p.dc0.
template <class T>
class StagedBackward {
 public:
    const BackwardProblem<T>& p;
    const long gates;
    long row0, row1;
    ChunkGradients<T> chunk;
    T* packed;  // room for the left side of a product over the chunk, shared by the team

    static std::size_t packed_size(const RecurrentShape& s) { return std::size_t(depth_block + s.batch) * s.units; }
    static std::size_t workspace_of_thread(const BackwardProblem<T>& p) {
        return std::size_t(p.shape.batch) * 6 * p.shape.units;
    }
    static std::size_t workspace(const BackwardProblem<T>& p, const Columns& layout) {
        return p.threads * workspace_of_thread(p) + packed_size(p.shape) + ChunkGradients<T>::workspace(p, layout);
    }

    StagedBackward(const BackwardProblem<T>& problem, const Team& team, const Columns& layout, long gates)
        : p(problem),
          gates(gates),
          chunk(p, team, layout, gates, p.workspace + p.threads * workspace_of_thread(p) + packed_size(p.shape)),
          packed(p.workspace + p.threads * workspace_of_thread(p)),
          buffers(p.workspace + team.index * workspace_of_thread(p)) {
        split_rows(p, team, row0, row1);
    }

    T* buffer(int which, long b) const { return buffers + (which * p.shape.batch + b - row0) * p.shape.units; }
    T* dh(long b) const { return p.dh0 + row_of(p, b) * p.shape.outputs; }
    T* dc(long b) const { return p.dc0 + row_of(p, b) * p.shape.units; }

    // Adds what comes from outside: the output's gradient and, at a row's last step, that of its last h.
    void add_outer(long t, long end) const {
        const long going_on = rows_at(p, t + 1), outputs = p.shape.outputs;
        for (long b = row0; b < end; ++b)
            for_each_vector_of<T>(outputs, [&](long k, int n) {
                Vec<T> sum = load(dh(b) + k, n);
                if (p.dh.data) sum += load(at(p.dh, b, t) + k, n);
                if (b >= going_on && p.dh_last) sum += load(p.dh_last + row_of(p, b) * outputs + k, n);
                store(dh(b) + k, sum, n);
            });
    }

    // dh of the step before += dpre R^T, but for the runs that see r * h.
    void to_previous_h(long t, long end) const {
        const long rows = end - row0;
        const auto dh_row = [&](long m) { return dh(row0 + m); };
        chunk.back_through(
            p.weights.recurrent_transposed, p.shape.outputs, &Run::recurrent, p.h_dropout,
            RowsAt<const T>(chunk.row(row0, t), chunk.width), rows, 0, tile_count(rows), RowsAt<T>::by(dh_row),
            [&](long m) { return row0 + m; }, true);
    }

 private:
    T* buffers;
};

template <class Cell, class T>
std::size_t staged_backward_workspace(const BackwardProblem<T>& p) {
    return StagedBackward<T>::workspace(p, Cell::columns(p.shape, p.options));
}

template <class Cell, class T>
void staged_backward(const BackwardProblem<T>& p, const Team& team) {
    StagedBackward<T> loop(p, team, Cell::columns(p.shape, p.options), Cell::gates(p.options) * p.shape.units);
    for (long t1 = p.shape.steps; t1 > 0; t1 = loop.chunk.t0) {
        loop.chunk.begin(t1);
        for (long t = t1 - 1; t >= loop.chunk.t0; --t) {
            const long end = min(loop.row1, rows_at(p, t));
            if (end <= loop.row0) continue;
            loop.add_outer(t, end);
            Cell::template backward<T>(loop, t, end);
        }
        loop.chunk.finish([&] { Cell::template gradients<T>(loop); });
    }
}

}  // namespace lstmcore::LSTMCORE_ISA
