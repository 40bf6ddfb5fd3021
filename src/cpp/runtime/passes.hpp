// The two passes of a recurrent layer: from arrays to arrays, with what the second needs of the first.
#pragma once

#include <cstddef>
#include <memory>

#include "runtime/cost.hpp"
#include "runtime/memory.hpp"
#include "runtime/padding.hpp"
#include "threads.hpp"

namespace lstmcore {

template <class T>
Sequence<const T> read_only(const Sequence<T>& s) {
    return {s.data, s.batch_stride, s.step_stride, s.step_mask, s.first, s.row, s.at_step};
}

// Everything of a call that the two passes share. Arrays of the caller stay where they are.
template <class T>
struct Run {
    std::shared_ptr<const CellWeights> weights;
    RecurrentShape shape{};  // of the arrays
    bool return_sequences = false, backwards = false;
    bool has_state = false;  // whether its gradient is wanted
    std::shared_ptr<const Plan> plan;
    Sequence<const T> x{};
    const T* initial[most_states] = {};    // by state, contiguous; null: zeros
    const T *h0 = nullptr, *c0 = nullptr;  // the same as the kernels have them
    Dropout<T> x_dropout{}, h_dropout{};
    Zoneout zoneout{};

    RecurrentShape kernel_shape() const {
        RecurrentShape s = shape;
        if (plan) s.steps = plan->steps;
        return s;
    }
    long rows() const { return plan ? plan->total() : shape.batch * shape.steps; }  // steps of all rows
    bool empty() const { return rows() == 0; }
    const CellKernels<T>& kernels() const { return weights->template kernels<T>(); }

    // An array of the caller, its steps in the order of processing.
    template <class E>
    Sequence<E> outer(Sequence<E> s) const {
        if (plan) {
            const Ragged view = plan->view();
            s.first = view.first, s.row = view.row, s.at_step = view.at_step;
        } else if (backwards) {
            s.data += (shape.steps - 1) * s.step_stride;
            s.step_stride = -s.step_stride;
        }
        return s;
    }
    // What is kept of every step.
    Sequence<T> kept(T* data, long width) const {
        return {data, width, shape.batch * width, -1, plan ? plan->first.data() : nullptr, nullptr, nullptr};
    }
    // The steps of a row, and where one of them is: as `at` of the kernels, whose code is not for every CPU.
    long steps_of(long b) const { return plan ? plan->length[b] : shape.steps; }
    static T* place(const Sequence<T>& s, long b, long t) {
        if (s.first) {
            const long n = s.first[t] + b;
            return s.data + (s.row ? s.row[b] * s.batch_stride + s.at_step[n] * s.step_stride : n * s.batch_stride);
        }
        return s.data + b * s.batch_stride + (t & s.step_mask) * s.step_stride;
    }

    // What of a kernel's problem is the same in both passes.
    template <class Problem>
    void fill(Problem& p) const {
        p.shape = kernel_shape(), p.options = weights->options, p.weights = weights->template packed_as<T>();
        if (plan) p.ragged = plan->view();
        p.x = outer(x);
        p.h0 = h0, p.c0 = c0;
        p.x_dropout = x_dropout, p.h_dropout = h_dropout;
        p.zoneout = zoneout;
        p.threads = pass_threads(*weights, p.shape);
    }
};

// A pass: made, then run by the threads of a team, and finished by one. Nothing of it throws but making it and
// `prepare`, which take memory.
class Pass {
 public:
    int threads = 1;     // that it repays
    bool empty = false;  // nothing to compute
    bool brief = false;  // over in the time it takes to let others run
    virtual ~Pass() = default;
    virtual void prepare(int team) = 0;  // takes the working space
    virtual void run(const Team& team) const = 0;
    virtual void finish() = 0;
};

void run(Pass& pass);
// Two passes that have nothing to do with each other. With threads enough each gets half of them: it then
// meets fewer others on its way.
void run_both(Pass& first, Pass& second);

// What the backward pass needs of a forward pass. The inputs, and outputs that are shared, stay the caller's: they
// must be there, and as they were, until it is over.
template <class T>
struct Kept {
    Run<T> run;
    Buffer<T> small;  // copies of states and dropout factors
    Buffer<T> saved;  // gates and the like, then c, then h
    std::size_t c_offset = 0, h_offset = 0, bytes = 0;
    Sequence<T> outputs{};  // shared; data null: h is kept
};

template <class T>
class Forward final : public Pass {
    std::size_t saved_size = 0, c_size = 0, h_size = 0;
    bool keeps_c = false;  // of every step, as it is
    Buffer<T> small, saved, workspace;
    ForwardProblem<T> p{};
    Sequence<T> handed_out{};  // of training: the outputs that become the caller's, who may write to them

    void own_states();
    void hand_out_c(long row, const T* c) const;

 public:
    // To be set before `start`.
    Run<T> call;
    bool training = false;
    bool shared = false;        // of training with return_sequences: the outputs are kept, not a copy of them
    Sequence<T> outputs{};      // of every step, or (step_stride 0) of the last
    T* last[most_states] = {};  // the last states, contiguous

    void start();
    void prepare(int team) override;
    void run(const Team& team) const override;
    void finish() override;
    // What the backward pass needs; once, when it is over.
    Kept<T> keep();
};

template <class T>
class Backward final : public Pass {
    const Kept<T>& kept;
    Buffer<T> workspace, folded, summed, d_c;
    BackwardProblem<T> p{};

    Sequence<const T> fold_repeated(const Sequence<const T>& d_outputs);

 public:
    // To be set before `start`. Gradients of outputs may be absent (null).
    Sequence<const T> d_outputs{};      // of every step, or (step_stride 0) of the last, contiguous
    const T* d_last[most_states] = {};  // of the last states, contiguous
    Weights<T> gradients{};             // added to, or
    bool new_gradients = false;         // written to
    T* d_inputs = nullptr;              // contiguous; null: not wanted
    T* d_initial[most_states] = {};     // of the first states, contiguous

    explicit Backward(const Kept<T>& kept) : kept(kept) {}
    void start();
    void prepare(int team) override;
    void run(const Team& team) const override;
    void finish() override;
};

}  // namespace lstmcore
