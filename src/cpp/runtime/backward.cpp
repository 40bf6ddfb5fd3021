#include <algorithm>
#include <cstring>

#include "runtime/passes.hpp"
#include "runtime/states.hpp"

namespace lstmcore {

// Gradients of every step with those of repeated outputs added to those of the outputs they repeat.
template <class T>
Sequence<const T> Backward<T>::fold_repeated(const Sequence<const T>& from) {
    const RecurrentShape& s = kept.run.shape;
    folded = Buffer<T>(std::size_t(s.batch) * s.steps * s.outputs);
    T* const to = folded.get();
    for (long b = 0; b < s.batch; ++b)
        for (long t = 0; t < s.steps; ++t)
            std::memcpy(to + (b * s.steps + t) * s.outputs, from.data + b * from.batch_stride + t * from.step_stride,
                        s.outputs * sizeof(T));
    for_each_padding(*kept.run.plan, s.batch, s.steps, kept.run.backwards, [&](long b, long t, long source) {
        for (long k = 0; source >= 0 && k < s.outputs; ++k)
            to[(b * s.steps + source) * s.outputs + k] += to[(b * s.steps + t) * s.outputs + k];
    });
    return {to, s.steps * s.outputs, s.outputs, -1, nullptr, nullptr, nullptr};
}

template <class T>
void Backward<T>::start() {
    const Run<T>& run = kept.run;
    const CellWeights& w = *run.weights;
    const RecurrentShape& s = run.shape;
    const long carried = w.carried(), c_width = carried * s.units;
    const std::size_t h_elements = std::size_t(s.batch) * s.outputs, c_elements = std::size_t(s.batch) * c_width;
    const T* const d_h = d_last[0];
    empty = run.empty();
    if (new_gradients)  // those of the large matrices are written as they come
        for (const WeightInfo& weight : w.weights)
            if (empty || (weight.role != WeightRole::kernel && weight.role != WeightRole::recurrent))
                std::memset(pointer_of(gradients, weight.role), 0, weight.size() * sizeof(T));
    std::memset(d_initial[0], 0, h_elements * sizeof(T));
    if (carried > 1) d_c = Buffer<T>(c_elements);
    T* const d_c0 = carried > 1 ? d_c.get() : d_initial[1];
    gather_c(d_c0, d_last, s, carried);
    if (d_inputs && run.plan) std::memset(d_inputs, 0, std::size_t(s.batch) * s.steps * s.inputs * sizeof(T));
    if (empty) return;

    run.fill(p);
    threads = p.threads;
    p.saved = read_only(run.kept(kept.saved.get(), run.kernels().saved(s, w.options)));
    p.h =
        read_only(kept.outputs.data ? run.outer(kept.outputs) : run.kept(kept.saved.get() + kept.h_offset, s.outputs));
    if (carried && !run.kernels().saves_c) p.c = read_only(run.kept(kept.saved.get() + kept.c_offset, c_width));
    p.dh_last = d_h;
    if (d_outputs.data && run.return_sequences) {
        const bool repeated = run.plan && run.plan->repeat;
        p.dh = run.outer(repeated ? fold_repeated(d_outputs) : d_outputs);
    } else if (d_outputs.data && d_h) {
        summed = Buffer<T>(h_elements);
        for (std::size_t k = 0; k < h_elements; ++k) summed.get()[k] = d_h[k] + d_outputs.data[k];
        p.dh_last = summed.get();
    } else if (d_outputs.data) {
        p.dh_last = d_outputs.data;
    }
    if (d_inputs) p.dx = run.outer(Sequence<T>{d_inputs, s.steps * s.inputs, s.inputs, -1, nullptr, nullptr, nullptr});
    p.gradients = gradients, p.new_gradients = new_gradients;
    p.dh0 = d_initial[0], p.dc0 = d_c0, p.need_dh0 = run.has_state;
}

template <class T>
void Backward<T>::prepare(int team) {
    p.threads = team;
    workspace = Buffer<T>(kept.run.kernels().backward_workspace(p));
    p.workspace = workspace.get();
}

template <class T>
void Backward<T>::run(const Team& team) const {
    kept.run.kernels().backward(p, team);
}

template <class T>
void Backward<T>::finish() {
    const Run<T>& run = kept.run;
    const long outputs = run.shape.outputs, carried = run.weights->carried();
    const T* const d_h = d_last[0];
    T* const d_h0 = d_initial[0];
    if (carried > 1) scatter_c<T>(d_c.get(), d_initial, run.shape, carried);
    for (long b = 0; run.plan && d_h && b < run.shape.batch; ++b)  // rows without steps pass the gradient on
        if (run.plan->length[b] == 0) {
            const long row = run.plan->row[b];
            std::memcpy(d_h0 + row * outputs, d_h + row * outputs, outputs * sizeof(T));
        }
}

template class Backward<float>;
template class Backward<double>;

}  // namespace lstmcore
