// A recurrent layer that keeps its state between calls.
#pragma once

#include <memory>

#include "runtime/cost.hpp"
#include "runtime/memory.hpp"

namespace lstmcore {

template <class T>
class StreamOf {
    std::shared_ptr<const CellWeights> weights;
    RecurrentShape shape;  // steps: the most in a chunk
    Zoneout zoneout;
    Buffer<T> states, workspace;  // h, then c as the kernels have it
    long steps = 0;               // of the last chunk: what follows is for so many
    int threads = 1;
    std::size_t workspace_size = 0;

    T* h() const { return states.get(); }
    T* c() const { return states.get() + shape.batch * shape.outputs; }
    ForwardProblem<T> problem(long steps_of_chunk) const;
    void prepare(long steps_of_chunk);

 public:
    using Element = T;
    StreamOf(std::shared_ptr<const CellWeights> weights, long batch, long steps, const Zoneout& zoneout);

    int state_count() const { return weights->cell->state_count(); }
    long state_width(int k) const { return k ? shape.units : shape.outputs; }
    void read_states(T* const* to) const;  // (batch, width) each
    void write_states(const T* const* from);
    void reset();
    // Whether a chunk is over in the time it takes to let others run; takes the working space for it.
    bool is_brief(long steps_of_chunk);
    // Outputs of every step; of a chunk that `is_brief` was asked about.
    void run(const Sequence<const T>& inputs, const Sequence<T>& outputs);
    const RecurrentShape& most() const { return shape; }
};

}  // namespace lstmcore
