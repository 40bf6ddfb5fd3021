#include "runtime/stream.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "runtime/states.hpp"
#include "threads.hpp"

namespace lstmcore {

template <class T>
StreamOf<T>::StreamOf(std::shared_ptr<const CellWeights> given, long batch, long steps_, const Zoneout& zoneout_)
    : weights(std::move(given)), shape(weights->shape), zoneout(zoneout_) {
    shape.batch = batch, shape.steps = steps_;
    zoneout.random = false;  // inference mixes by the rates
    states = Buffer<T>(std::size_t(batch) * (shape.outputs + weights->carried() * shape.units));
    reset();
    prepare(steps_);
}

template <class T>
ForwardProblem<T> StreamOf<T>::problem(long steps_of_chunk) const {
    ForwardProblem<T> p{};
    p.shape = shape, p.shape.steps = steps_of_chunk;
    p.options = weights->options, p.weights = weights->template packed_as<T>();
    p.h0 = h();
    if (const long carried = weights->carried()) {
        p.c0 = c();
        p.c = {c(), carried * shape.units, 0, -1, nullptr, nullptr, nullptr};
    }
    p.zoneout = zoneout;
    return p;
}

template <class T>
void StreamOf<T>::prepare(long steps_of_chunk) {
    ForwardProblem<T> p = problem(steps_of_chunk);
    p.threads = pass_threads(*weights, p.shape);
    const std::size_t size = weights->template kernels<T>().forward_workspace(p);
    if (size > workspace_size) workspace = Buffer<T>(size), workspace_size = size;
    threads = p.threads, steps = steps_of_chunk;
}

template <class T>
void StreamOf<T>::reset() {
    const T* nothing[most_states] = {};
    write_states(nothing);
}

template <class T>
void StreamOf<T>::read_states(T* const* to) const {
    std::memcpy(to[0], h(), std::size_t(shape.batch) * shape.outputs * sizeof(T));
    scatter_c<T>(c(), to, shape, weights->carried());
}

template <class T>
void StreamOf<T>::write_states(const T* const* from) {
    const std::size_t bytes = std::size_t(shape.batch) * shape.outputs * sizeof(T);
    if (from[0])
        std::memcpy(h(), from[0], bytes);
    else
        std::memset(h(), 0, bytes);
    gather_c(c(), from, shape, weights->carried());
}

template <class T>
bool StreamOf<T>::is_brief(long steps_of_chunk) {
    if (steps_of_chunk != steps) prepare(steps_of_chunk);
    RecurrentShape chunk = shape;
    chunk.steps = steps;
    return std::min(threads, max_threads()) == 1 && lstmcore::is_brief(*weights, chunk);
}

template <class T>
void StreamOf<T>::run(const Sequence<const T>& inputs, const Sequence<T>& outputs) {
    ForwardProblem<T> p = problem(steps);
    p.x = inputs, p.h = outputs;
    p.threads = std::min(threads, max_threads());
    p.workspace = workspace.get();
    const struct Context {
        const CellKernels<T>* kernels;
        const ForwardProblem<T>* problem;
    } context{&weights->template kernels<T>(), &p};
    parallel(
        p.threads,
        [](const void* pointer, const Team& team) {
            const Context& c = *static_cast<const Context*>(pointer);
            c.kernels->forward(*c.problem, team);
        },
        &context);
    for (long b = 0; b < shape.batch; ++b)
        std::memcpy(h() + b * shape.outputs, p.h.data + b * p.h.batch_stride + (steps - 1) * p.h.step_stride,
                    shape.outputs * sizeof(T));
}

template class StreamOf<float>;
template class StreamOf<double>;

}  // namespace lstmcore
