// The C++ interface of the core: plain structs (pointers, sizes, strides, flags) and the table of
// kernels one instruction set provides. No Python, no OpenMP, no allocation. Everything here is
// shared by translation units compiled for different instruction sets, so nothing here has code.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lstmcore {

// Rows of `features` contiguous elements at (batch, step); strides count elements. `step_mask` is
// -1, or 1 for a pair of rows used in turn by even and odd steps.
template <class T>
struct Sequence {
    T* data;
    std::ptrdiff_t batch_stride, step_stride, step_mask;
};

struct RecurrentShape {
    long batch, steps, inputs, units;
};

// Weights as the tile kernel reads them, each a list of panels (see kernels/gemm.hpp).
template <class T>
struct PackedWeights {
    T* kernel;                // inputs x gates, by block of units
    T* recurrent;             // units x gates, by block of units
    T* bias;                  // gates, by block of units
    T* kernel_transposed;     // gates x inputs; this and the next only for training
    T* recurrent_transposed;  // gates x units
};

struct PackedSizes {  // elements of each array of PackedWeights
    std::size_t kernel, recurrent, bias, kernel_transposed, recurrent_transposed;
};

template <class T>
struct PackProblem {
    long inputs, units;
    const T *kernel, *recurrent, *bias;  // (inputs, gates*units), (units, gates*units), (gates*units) or null
    PackedWeights<T> packed;             // the transposed ones may be null
    int threads;
};

template <class T>
struct ForwardProblem {
    RecurrentShape shape;
    PackedWeights<T> weights;
    Sequence<const T> x;
    const T *h0, *c0;  // (batch, units) contiguous
    Sequence<T> h;     // output of every step, or a pair of rows used in turn
    Sequence<T> c;     // cell state of every step (training), or one row (step_stride 0)
    T* gates;          // (steps, batch, gates*units) activated gates, or null outside training
    T* workspace;
    int threads;
};

template <class T>
struct BackwardProblem {
    RecurrentShape shape;
    PackedWeights<T> weights;
    Sequence<const T> x, h, c;  // as left by the forward pass
    const T *h0, *c0, *gates;
    Sequence<const T> dh;             // gradient of every output (data null: none)
    const T *dh_last, *dc_last;       // (batch, units) gradients of the last h and c, or null
    Sequence<T> dx;                   // data null: not wanted
    T *dkernel, *drecurrent, *dbias;  // added to, in the layout of the unpacked weights; dbias may be null
    T* dh0;                           // (batch, units), or null
    T* dc;                            // (batch, units), leaves as the gradient of c0
    T* workspace;
    int threads;
};

template <class T>
struct MatmulProblem {  // c (+)= a b + bias, row major c
    long rows, depth, columns;
    const T* a;
    std::ptrdiff_t a_row, a_column;
    const T* b;
    std::ptrdiff_t b_row, b_column;
    const T* bias;  // (columns) or null
    T* c;
    std::ptrdiff_t c_row;
    bool accumulate;
    T* workspace;
    int threads;
};

template <class T>
struct AdamProblem {
    std::size_t size;
    T *parameters, *m, *v;
    const T* gradients;
    T alpha, beta_1, beta_2, epsilon;
    int threads;
};

// What one instruction set provides for one element type. The workspace functions give elements.
template <class T>
struct Kernels {
    PackedSizes (*lstm_packed_sizes)(long inputs, long units);
    void (*lstm_pack)(const PackProblem<T>&);
    std::size_t (*lstm_forward_workspace)(const RecurrentShape&, int threads);
    void (*lstm_forward)(const ForwardProblem<T>&);
    std::size_t (*lstm_backward_workspace)(const RecurrentShape&, int threads);
    void (*lstm_backward)(const BackwardProblem<T>&);
    std::size_t (*matmul_workspace)(const MatmulProblem<T>&);
    void (*matmul)(const MatmulProblem<T>&);
    void (*adam)(const AdamProblem<T>&);
    void (*sigmoid)(const T* x, T* y, std::size_t n);
    void (*tanh)(const T* x, T* y, std::size_t n);
    double (*multiply_add_loop)(long rounds, T* sink);  // returns the floating point operations done
    void (*read_loop)(const T* data, std::size_t n, T* sink);
};

struct InstructionSet {
    const char* name;
    int vector_bytes;
    Kernels<float> f32;
    Kernels<double> f64;
};

// dispatch.cpp: the table of this process, chosen once. Throws std::runtime_error where
// LSTMCORE_ISA names a set that is unknown, was not built or is not of this CPU.
const InstructionSet& instruction_set();
// Names of the sets this CPU can run, best first; null ends the list.
const char* const* available_instruction_sets();

}  // namespace lstmcore
