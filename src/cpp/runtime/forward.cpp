#include <algorithm>
#include <cstring>

#include "runtime/passes.hpp"
#include "runtime/states.hpp"

namespace lstmcore {

// The caller may change what it gave until the backward pass: of training, states and factors are copied. States that
// were not given are zeros.
template <class T>
void Forward<T>::own_states() {
    struct Part {
        const T** pointer;
        std::size_t size;
        bool there;
    };
    const RecurrentShape& s = call.shape;
    const std::size_t batch = std::size_t(s.batch);
    const long carried = call.weights->carried();
    call.h0 = call.initial[0], call.c0 = carried == 1 ? call.initial[1] : nullptr;
    const Part parts[] = {
        {&call.h0, batch * s.outputs, true},
        {&call.c0, batch * carried * s.units, carried > 0},
        {&call.x_dropout.factors, batch * s.inputs * call.x_dropout.copies, call.x_dropout.factors != nullptr},
        {&call.h_dropout.factors, batch * s.outputs * call.h_dropout.copies, call.h_dropout.factors != nullptr}};
    const auto owned = [&](const Part& part) { return part.there && (training || !*part.pointer); };
    std::size_t total = 0;
    for (const Part& part : parts) total += owned(part) ? part.size : 0;
    if (total == 0) return;
    small = Buffer<T>(total);
    T* next = small.get();
    for (const Part& part : parts) {
        if (!owned(part)) continue;
        if (*part.pointer)
            std::memcpy(next, *part.pointer, part.size * sizeof(T));
        else
            std::memset(next, 0, part.size * sizeof(T));
        if (part.pointer == &call.c0 && carried > 1) gather_c(next, call.initial, s, carried);
        *part.pointer = next;
        next += part.size;
    }
}

// A row of c becomes the caller's arrays.
template <class T>
void Forward<T>::hand_out_c(long row, const T* c) const {
    const long units = call.shape.units;
    for (long k = 0; k < call.weights->carried(); ++k)
        std::memcpy(last[1 + k] + row * units, c + k * units, units * sizeof(T));
}

template <class T>
void Forward<T>::start() {
    const RecurrentShape& s = call.shape;
    const long carried = call.weights->carried(), c_width = carried * s.units;
    own_states();
    if (call.plan && s.batch > 0) {  // rows without steps keep their states
        std::memcpy(last[0], call.h0, s.batch * s.outputs * sizeof(T));
        for (long b = 0; b < s.batch; ++b) hand_out_c(b, call.c0 + b * c_width);
    }
    // One block holds what training saves (gates and the like, c, and h where the outputs are not shared), or the
    // pair of rows of h.
    const std::size_t rows = call.rows(), saved_width = training ? call.kernels().saved(s, call.weights->options) : 0;
    const bool keeps_h = training && !shared;
    keeps_c = training && carried && !call.kernels().saves_c;
    saved_size = saved_width * rows, c_size = keeps_c ? rows * c_width : carried > 1 ? s.batch * c_width : 0;
    h_size = keeps_h ? rows * s.outputs : call.return_sequences ? 0 : 2 * s.batch * s.outputs;
    saved = Buffer<T>(saved_size + c_size + h_size);
    T* h_store = saved.get() + saved_size + c_size;
    empty = call.empty();
    if (empty) return;
    call.fill(p);
    threads = p.threads, brief = threads == 1 && is_brief(*call.weights, p.shape);
    p.h = keeps_h                 ? call.kept(h_store, s.outputs)
          : call.return_sequences ? call.outer(outputs)
                                  : Sequence<T>{h_store, s.outputs, s.batch * s.outputs, 1, nullptr, nullptr, nullptr};
    if (keeps_h && call.return_sequences) handed_out = call.outer(outputs);
    if (keeps_c)
        p.c = call.kept(saved.get() + saved_size, c_width);
    else if (carried)
        p.c = {carried > 1 ? saved.get() + saved_size : last[1],
               c_width,
               0,
               -1,
               p.ragged.first,
               p.ragged.row,
               p.ragged.at_step};
    if (training) p.saved = call.kept(saved.get(), saved_width);
}

template <class T>
void Forward<T>::prepare(int team) {
    p.threads = team;
    workspace = Buffer<T>(call.kernels().forward_workspace(p));
    p.workspace = workspace.get();
}

template <class T>
void Forward<T>::run(const Team& team) const {
    call.kernels().forward(p, team);
    if (!handed_out.data) return;
    team.wait();
    long begin, end;
    team.split(call.shape.batch, begin, end);
    for (long b = begin; b < end; ++b)
        for (long t = 0, steps = call.steps_of(b); t < steps; ++t)
            std::memcpy(call.place(handed_out, b, t), call.place(p.h, b, t), call.shape.outputs * sizeof(T));
}

template <class T>
void Forward<T>::finish() {
    const RecurrentShape& s = call.shape;
    const long carried = call.weights->carried();
    const std::size_t bytes = s.outputs * sizeof(T);
    const Plan* plan = call.plan.get();
    for (long b = 0; !empty && b < s.batch; ++b) {
        const long end = call.steps_of(b) - 1;
        if (end < 0) continue;
        const long row = plan ? plan->row[b] : b;
        std::memcpy(last[0] + row * s.outputs, call.place(p.h, b, end), bytes);
        if (carried > 1 || keeps_c) hand_out_c(row, call.place(p.c, b, end));
    }
    if (!call.return_sequences) {
        for (long b = 0; b < s.batch; ++b)
            std::memcpy(outputs.data + b * outputs.batch_stride, last[0] + b * s.outputs, bytes);
        for (long b = 0; plan && b < s.batch; ++b)
            if (plan->length[b] == 0) std::memset(outputs.data + plan->row[b] * outputs.batch_stride, 0, bytes);
    } else if (plan) {
        for_each_padding(*plan, s.batch, s.steps, call.backwards, [&](long b, long t, long source) {
            T* const row = outputs.data + b * outputs.batch_stride;
            if (source < 0)
                std::memset(row + t * outputs.step_stride, 0, bytes);
            else
                std::memcpy(row + t * outputs.step_stride, row + source * outputs.step_stride, bytes);
        });
    }
}

template <class T>
Kept<T> Forward<T>::keep() {
    Kept<T> kept;
    kept.run = std::move(call);
    kept.small = std::move(small), kept.saved = std::move(saved);
    kept.c_offset = saved_size, kept.h_offset = saved_size + c_size;
    kept.bytes = (saved_size + c_size + h_size) * sizeof(T);
    if (shared) kept.outputs = outputs;
    return kept;
}

template class Forward<float>;
template class Forward<double>;

}  // namespace lstmcore
