// The C++ interface of the core: plain structs (pointers, sizes, strides, flags) and the table of
// kernels one instruction set provides. No Python, no OpenMP, no allocation. Everything here is
// shared by translation units compiled for different instruction sets, so nothing here has code.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

namespace lstmcore {

enum class ActivationKind : int {
    // those whose slope follows from their output
    tanh,
    sigmoid,
    hard_sigmoid,
    relu,
    linear,
    softsign,
    // those whose slope is found where the input is at hand
    softplus,
    elu,
    leaky_relu,
    threshold,
    affine,
    scaled_tanh,
};

// A function of a number, and the two numbers that some are told; kernels/cells/options.hpp has the formulas.
struct Activation {
    ActivationKind kind;
    double alpha, beta;
};

// What a cell is told to do otherwise; see python/lstmcore/_options.py.
struct CellOptions {
    Activation activation, recurrent_activation;                    // of the candidate, of the gates
    Activation output_activation;                                   // LSTM: of c on its way to h
    double clip = std::numeric_limits<double>::infinity();          // what goes into the first two is no further from 0
    bool reset_after;                                               // GRU
    bool peepholes, input_gate, forget_gate, output_gate, coupled;  // LSTM
    bool projection, layer_norm;
    bool log_space;           // minGRU, minLSTM
    bool exponential_forget;  // sLSTM
    int heads = 1;            // sLSTM: blocks of the recurrent matrix
};

struct RecurrentShape {
    long batch, steps;            // steps of the longest row
    long inputs, units, outputs;  // outputs: width of h, units but for a projected LSTM
};

// Sequences of different lengths: padding is left out, the rows are sorted with the longest first
// and row b, step t of the kernels is number first[t] + b of all that are left. All null where every
// row has every step, which is then number t * batch + b.
struct Ragged {
    const long* first;   // (steps + 1); first[t + 1] - first[t] rows have a step t
    const int* step;     // t by number
    const int* row;      // (batch) row of the arrays
    const int* at_step;  // by number: step of the arrays
    const long* length;  // (batch)
};

// Rows of contiguous elements at (batch, step); strides count elements. Four kinds: an array of the
// caller (ragged: rows and steps are looked up), what is kept of every step (ragged: without the
// padding), one row (step_stride 0), a pair of rows used in turn (step_mask 1, otherwise -1).
template <class T>
struct Sequence {
    T* data;
    std::ptrdiff_t batch_stride, step_stride, step_mask;
    const long* first;
    const int *row, *at_step;
};

// Weights, or their gradients, as the caller has them.
template <class T>
struct Weights {
    T* kernel;      // (inputs, gates*units)
    T* recurrent;   // (outputs / heads, gates*units); null: the cell has none
    T* bias;        // (gates*units), or two such rows; null: none. The next are null where not asked for.
    T* peephole;    // (3, units): i, f, o
    T* projection;  // (units, outputs)
    T* gain;        // (2, gates*units)
    T* cell_norm;   // (2, units)
};

// Weights as the kernels read them, each matrix a list of panels (see kernels/gemm.hpp).
template <class T>
struct PackedWeights {
    T *kernel, *recurrent, *bias;
    T *peephole, *projection, *gain, *cell_norm;
    T *kernel_transposed, *recurrent_transposed, *projection_transposed;  // null: packed for inference
    float x_scale = 0;  // of int8: that of every row of x; 0: each has its own
};

struct PackedSizes {  // elements of each array of PackedWeights
    std::size_t kernel, recurrent, bias;
    std::size_t peephole, projection, gain, cell_norm;
    std::size_t kernel_transposed, recurrent_transposed, projection_transposed;
};

// Of a matrix, in elements: one of them is 1.
struct MatrixStrides {
    std::ptrdiff_t row, column;
};

template <class T>
struct PackProblem {
    RecurrentShape shape;  // of the weights
    CellOptions options;
    Weights<const T> weights;
    MatrixStrides kernel, recurrent, projection;  // of these three
    PackedWeights<T> packed;
    int threads;
};

// Factors for the inputs, or for h before the recurrent product: (copies, batch, width) with one
// copy for all gates or one for each. Fixed over the steps (Gal & Ghahramani 2016).
template <class T>
struct Dropout {
    const T* factors;  // null: none
    int copies;
};

struct Zoneout {
    double h, c;  // rates; 0, 0: none
    bool random;  // masks from the seed, or mixing by the rates
    uint32_t seed;
};

template <class T>
struct ForwardProblem {
    RecurrentShape shape;
    CellOptions options;
    PackedWeights<T> weights;
    Ragged ragged;
    Sequence<const T> x;
    // What is carried from step to step beside h is "c": one array of the units' width or several, side by side.
    const T *h0, *c0;   // (batch, outputs), (batch, carried*units) contiguous, rows of the arrays
    Sequence<T> h;      // output of every step, or a pair of rows used in turn
    Sequence<T> c;      // c of every step (training), or one row
    Sequence<T> saved;  // what the backward pass needs besides; data null outside training
    Dropout<T> x_dropout, h_dropout;
    Zoneout zoneout;
    T* workspace;
    int threads;
};

template <class T>
struct BackwardProblem {
    RecurrentShape shape;
    CellOptions options;
    PackedWeights<T> weights;
    Ragged ragged;
    Sequence<const T> x, h, c, saved;  // as left by the forward pass
    const T *h0, *c0;
    Dropout<T> x_dropout, h_dropout;
    Zoneout zoneout;
    Sequence<const T> dh;  // gradient of every output (data null: none)
    const T* dh_last;      // (batch, outputs) gradient of the last h, or null
    Sequence<T> dx;        // data null: not wanted; not written where there is padding
    Weights<T> gradients;  // added to, or
    bool new_gradients;    // kernel and recurrent kernel written to; then there is at least one step
    T* dh0;                // (batch, outputs), zero on entry, leaves as the gradient of h0
    T* dc0;                // (batch, carried*units), enters as the gradient of the last c, leaves as that of c0
    bool need_dh0;
    T* workspace;
    int threads;
};

template <class T>
struct MatmulProblem {  // c (+)= a b + bias, row major c
    long rows, depth, columns;
    long count = 1;                         // of such products,
    std::ptrdiff_t a_next, b_next, c_next;  // each so far behind the one before it
    const T* a;
    std::ptrdiff_t a_row, a_column;
    const T* b;
    std::ptrdiff_t b_row, b_column;
    const T* packed_b;  // b packed before, or null
    const T* bias;      // (columns) or null
    T* c;
    std::ptrdiff_t c_row;
    bool accumulate;
    T* workspace;
    int threads;
    float row_scale = 0;  // of int8: that of every row of a; 0: each has its own
};

template <class T>
struct TransposeProblem {  // from (rows, columns) to (columns, rows)
    const T* from;
    std::ptrdiff_t from_row;
    T* to;
    std::ptrdiff_t to_row;
    long rows, columns;
    int threads;
};

// A softmax of each row, of the numbers times `scale`, and the way back.
template <class T>
struct SoftmaxProblem {
    long rows, columns;  // of each of `count` matrices, one behind the other
    long count;
    T scale;
    const uint8_t* left_in;  // 0 where a number is left out, where it is not all of its row; null: none is
    std::ptrdiff_t left_in_next, left_in_row;
    long matrices;  // that one of left_in's is for
    const T* y;     // the way back: what the softmax gave
    T* x;           // written over
    int threads;
};

constexpr int max_optimizer_slots = 3, max_optimizer_numbers = 6;

template <class T>
struct AddRowsProblem {  // sums[index[r]] += rows[r], in order
    long rows, width;
    const int64_t* index;
    const T* from;  // (rows, width)
    T* sums;        // (.., width)
    int threads;
};

// One step of an optimizer on flat vectors.
template <class T>
struct OptimizerProblem {
    std::size_t size;
    T* parameters;
    const T* gradients;
    T* slots[max_optimizer_slots];          // what the rule keeps from step to step
    double numbers[max_optimizer_numbers];  // and its numbers; see kernels/optimizers.hpp
    double scale;                           // the gradients are multiplied with this first,
    double limit;                           // then clipped to +-limit (infinity: they are not);
    double decay;                           // parameters lose this part of themselves before they are moved
    int threads;
};

template <class T>
struct OptimizerRule {
    const char* name;  // null after the last
    int slots, numbers;
    void (*step)(const OptimizerProblem<T>&);
};

// Connectionist temporal classification: the loss of every row and its gradient; see kernels/ctc.hpp.
template <class T>
struct CtcProblem {
    long batch, steps, classes, max_labels;
    const T* x;  // (batch, steps, classes), the classes contiguous: logits, or else log-probabilities
    std::ptrdiff_t x_batch, x_step;
    const int64_t* labels;                         // (batch, max_labels)
    const int64_t *input_lengths, *label_lengths;  // (batch)
    long blank;
    bool logits, zero_infinity;
    const T* scale;  // (batch) what a row's gradient is multiplied with, or null; zero takes out even NaN
    T* losses;       // (batch)
    T* gradient;     // (batch, steps, classes), or null
    double* workspace;
    int threads;
};

// What scores the tags of a batch in a conditional random field; see kernels/crf.hpp. -inf: impossible.
template <class T>
struct CrfScores {
    long batch, steps, tags;
    const T* x;  // (batch, steps, tags), the tags contiguous: emissions
    std::ptrdiff_t x_batch, x_step;
    const T *transitions, *start, *end;  // (tags, tags), from the row's tag to the column's; (tags); (tags)
    const int64_t* lengths;              // (batch)
    double* workspace;
    int threads;
};

// The loss of every row and its gradient.
template <class T>
struct CrfProblem {
    CrfScores<T> scores;
    const int64_t*
        labels;      // (batch, steps), or null: the loss is then ln Z, and its gradient how often all is expected
    const T* scale;  // (batch) what a row's gradient is multiplied with, or null; zero takes out even NaN
    T* losses;       // (batch)
    T* d_emissions;  // (batch, steps, tags), or null: no gradient at all
    T *d_transitions, *d_start, *d_end;  // (batch, tags, tags), (batch, tags), (batch, tags)
};

// The best path of every row.
template <class T>
struct CrfDecodeProblem {
    CrfScores<T> scores;
    int64_t* paths;      // (batch, steps)
    T* scores_of_paths;  // (batch)
};

struct Team;

// One cell's passes. The workspaces and what is saved for each row and step are in elements.
template <class T>
struct CellKernels {
    PackedSizes (*packed_sizes)(const RecurrentShape&, const CellOptions&);
    void (*pack)(const PackProblem<T>&);
    std::size_t (*saved)(const RecurrentShape&, const CellOptions&);
    std::size_t (*forward_workspace)(const ForwardProblem<T>&);
    void (*forward)(const ForwardProblem<T>&, const Team&);  // a thread's share; the team has at most
                                                             // problem.threads
    std::size_t (*backward_workspace)(const BackwardProblem<T>&);
    void (*backward)(const BackwardProblem<T>&, const Team&);
    bool saves_c = false;  // c is among what is saved, and not kept beside it
};

// What computes a cell. Fused: the gates are applied to the sums in registers. Staged: any option, sums go through
// memory; the same where the fused kernel can do them all.
template <class T>
struct NamedCell {
    const char* name;
    CellKernels<T> fused, staged;
};

// What the products of a cell's passes read: its numbers as they are, or narrow ones. Everything else stays as it is.
enum class Precision { full, bfloat16, int8 };

// The fused kernels of narrow numbers, those of int8 for inference. What is packed stands in arrays of float, and is
// none.
struct ReducedCell {
    const char* name;
    CellKernels<float> bfloat16, int8;
};

// Products of narrow numbers; as in Kernels.
struct ReducedProduct {
    std::size_t (*packed_b_size)(long depth, long columns);
    void (*pack_b)(const MatmulProblem<float>&, float* packed);
    std::size_t (*matmul_workspace)(const MatmulProblem<float>&);
    void (*matmul)(const MatmulProblem<float>&);
};

struct Reduced {
    const ReducedCell* cells;  // a null name ends the list
    ReducedProduct bfloat16, int8;
};

// What one instruction set provides for one element type.
template <class T>
struct Kernels {
    const NamedCell<T>* cells;  // a null name ends the list
    std::size_t (*packed_b_size)(long depth, long columns);
    void (*pack_b)(const MatmulProblem<T>&, T* packed);
    std::size_t (*matmul_workspace)(const MatmulProblem<T>&);
    void (*matmul)(const MatmulProblem<T>&);
    void (*transpose)(const TransposeProblem<T>&);
    void (*softmax)(const SoftmaxProblem<T>&);
    void (*softmax_backward)(const SoftmaxProblem<T>&);
    const OptimizerRule<T>* optimizer_rules;
    void (*add_rows)(const AddRowsProblem<T>&);
    double (*sum_of_squares)(const T* x, std::size_t n);
    std::size_t (*ctc_workspace)(const CtcProblem<T>&);
    void (*ctc)(const CtcProblem<T>&);
    std::size_t (*crf_workspace)(const CrfProblem<T>&);
    void (*crf)(const CrfProblem<T>&);
    std::size_t (*crf_decode_workspace)(const CrfDecodeProblem<T>&);
    void (*crf_decode)(const CrfDecodeProblem<T>&);
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
    const Reduced* reduced;
};

// dispatch.cpp: the table of this process, chosen once. Throws std::runtime_error where
// LSTMCORE_ISA names a set that is unknown, was not built or is not of this CPU.
const InstructionSet& instruction_set();
// Names of the sets this CPU can run, best first; null ends the list.
const char* const* available_instruction_sets();

}  // namespace lstmcore
