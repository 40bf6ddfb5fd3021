// Connectionist temporal classification (Graves, Fernández, Gomez & Schmidhuber 2006): the loss of
// a sequence of labels that may stand anywhere in a longer sequence of steps, and its gradient.
//
// A path names a class at every step; it spells the labels once repeats are merged and blanks
// dropped. With y[t, k] the probability of class k at step t, the loss is -ln p, p the sum over all
// paths that spell the labels of the products of their y. It is summed over states: a blank before,
// between and behind the labels, B[0] l[0] B[1] l[1] … l[L-1] B[L]. Forward, for the paths up to t:
//   l[s] = y[t, label s] (l[s] + B[s] + l[s-1] if label s-1 differs from label s)
//   B[s] = y[t, blank]   (B[s] + l[s-1])                                 on the right those of t-1
// and backward the same from the other end. The gradient by the logits is y[t, k] minus the part of p
// whose paths are in a state of class k at t (equation 16); that by log-probabilities is taken to be
// the same, as in PyTorch: it is, once it has gone back through a log-softmax.
//
// The sums are products of hundreds of probabilities: of numbers with exponents of their own (scaled.hpp).
#pragma once

#include "../core.hpp"
#include "../threads.hpp"
#include "scaled.hpp"
#include "shares.hpp"

namespace lstmcore::LSTMCORE_ISA {

namespace ctc_detail {

using namespace scaled;

// The product of a few m must stay within the exponents of a double. In a step m grows by at most 6
// and shrinks by at most 2 classes, which is 2^-26 for 30 million of them.
constexpr long steps_between_normalisations = 8;

using States = ScaledArray;  // of one kind, at one step

// A thread's memory: what all steps share, then a block for each step and one for before the first.
struct Memory {
    long states, classes;                   // whole vectors of them
    double *probability_m, *probability_e;  // (classes) of one step
    double *no_skip, *no_skip_next;         // (states) exponent of what comes from the label before, to the one behind
    States backward_labels, backward_blanks;
    double* parts;  // (states) of p, of one step
    double* steps;
    long step_size;

    static long whole(long n) { return (n + width - 1) / width * width; }
    static long shared(long states, long classes) { return 2 * classes + 2 * states + 4 * (states + width) + states; }
    static long step(long states) { return 2 * (width + states) + 4 * states + whole(3); }

    Memory(double* p, long max_labels, long n_classes) : states(whole(max_labels + 1)), classes(whole(n_classes)) {
        const auto take = [&p](long n) { return p += n, p - n; };
        probability_m = take(classes), probability_e = take(classes);
        no_skip = take(states), no_skip_next = take(states);
        backward_labels.m = take(states + width), backward_labels.e = take(states + width);
        backward_blanks.m = take(states + width), backward_blanks.e = take(states + width);
        parts = take(states);
        steps = p, step_size = step(states);
    }
    // What is kept of step t (-1: before the first). A label has a neighbour before the first.
    States labels(long t) const {
        double* p = steps + (t + 1) * step_size;
        return {p + width, p + 2 * width + states};
    }
    States blanks(long t) const {
        double* p = labels(t).e + states;
        return {p, p + states};
    }
    States label_probabilities(long t) const {
        double* p = blanks(t).e + states;
        return {p, p + states};
    }
    // One over the sum of the exponentials; m and e of the blank's probability.
    double* numbers(long t) const { return label_probabilities(t).e + states; }
};

// Fills memory's probabilities for a step, short of the factor that is returned. Writes them to out.
template <class T>
double softmax(const Memory& memory, const T* x, long classes, bool logits, T* out) {
    V largest = broadcast(-__builtin_inf()), size{};
    if (logits) {
        for (long k = 0; k < classes; k += width) largest = larger(load_logits(x + k, classes - k), largest);
        double all = largest[0];
        for (int l = 1; l < width; ++l) all = largest[l] > all ? largest[l] : all;
        largest = broadcast(all);
    } else {
        largest = V{};
    }
    for (long k = 0; k < classes; k += width) {
        const Scaled y = exponential(load_logits(x + k, classes - k) - largest);
        store(memory.probability_m + k, y.m);
        store(memory.probability_e + k, y.e);
        const V plain = unscaled(y.m, y.e);
        size += plain;
        if (out) store_some(out + k, plain, classes - k);
    }
    return logits ? 1 / total(size) : 1.;
}

// Loss and gradient of row b.
template <class T>
class Row {
    const CtcProblem<T>& p;
    const Memory& memory;
    const T* x;
    const int64_t* labels;
    const long steps, count, states;  // states: as many as there are blanks, in whole vectors
    T* gradient;
    const double scale;

    // -inf, exactly, where the steps do not suffice.
    bool feasible() const {
        long needed = count;
        for (long s = 1; s < count; ++s) needed += labels[s] == labels[s - 1];
        return needed <= steps;
    }

    void fill(long first, T value) {
        if (gradient)
            for (T* g = gradient + first * p.classes; g != gradient + p.steps * p.classes; ++g) *g = value;
    }

    void start() {
        const States before = memory.labels(-1), blanks = memory.blanks(-1);
        for (long s = 0; s < states; s += width) {
            before.set(s, zero()), blanks.set(s, zero());
            memory.backward_labels.set(s, zero()), memory.backward_blanks.set(s, zero());
        }
        before.set(-width, zero());
        memory.backward_labels.set(states, zero()), memory.backward_blanks.set(states, zero());
        // The empty path leads to the first blank and the first label, as a blank before them would.
        blanks.m[0] = 1, blanks.e[0] = 0;
        memory.backward_blanks.m[count] = 1, memory.backward_blanks.e[count] = 0;
        for (long s = 0; s < states; ++s) memory.no_skip[s] = memory.no_skip_next[s] = zero_exponent;
        for (long s = 1; s < count; ++s)
            if (labels[s] != labels[s - 1]) memory.no_skip[s] = memory.no_skip_next[s - 1] = 0;
    }

    // A step forward. A probability that is NaN makes check NaN.
    void forward(long t, V& check) {
        // Without a gradient the blocks of two steps are used in turn.
        const long now = gradient ? t : t & 1, before = gradient || t == 0 ? t - 1 : (t - 1) & 1;
        const double factor =
            softmax(memory, x + t * p.x_step, p.classes, p.logits, gradient ? gradient + t * p.classes : nullptr);
        const States y = memory.label_probabilities(now);
        for (long s = 0; s < count; ++s) {
            y.m[s] = memory.probability_m[labels[s]];
            y.e[s] = memory.probability_e[labels[s]];
        }
        for (long s = count; s < states; ++s) y.m[s] = 0, y.e[s] = zero_exponent;
        double* const numbers = memory.numbers(now);
        numbers[0] = factor;
        numbers[1] = memory.probability_m[p.blank] * factor, numbers[2] = memory.probability_e[p.blank];
        const Scaled y_blank{broadcast(numbers[1]), broadcast(numbers[2])};
        check += y_blank.m;

        const States labels_before = memory.labels(before), blanks_before = memory.blanks(before);
        const States new_labels = memory.labels(now), new_blanks = memory.blanks(now);
        new_labels.set(-width, zero());
        const bool normalise = t % steps_between_normalisations == 0;
        for (long s = 0; s < states; s += width) {
            const Scaled previous = labels_before.at(s - 1), blank = blanks_before.at(s);
            const Scaled skipping{previous.m, previous.e + load(memory.no_skip + s)};
            Scaled y_label = y.at(s);
            y_label.m *= broadcast(factor);
            check += y_label.m;
            Scaled l = product(sum(labels_before.at(s), blank, skipping), y_label);
            Scaled b = product(sum(blank, previous), y_blank);
            if (normalise) l = normalised(l), b = normalised(b);
            new_labels.set(s, l), new_blanks.set(s, b);
        }
    }

    // A step backward: the part of p in every state at t, and the gradient.
    void backward(long t, double p_m, double p_e) {
        const States alpha_labels = memory.labels(t), alpha_blanks = memory.blanks(t);
        const States y = memory.label_probabilities(t), labels_behind = memory.backward_labels,
                     blanks_behind = memory.backward_blanks;
        const double* const numbers = memory.numbers(t);
        const Scaled y_blank{broadcast(numbers[1]), broadcast(numbers[2])};
        const V factor = broadcast(numbers[0]), one_over_p = broadcast(scale / p_m), exponent = broadcast(p_e);
        const bool normalise = t % steps_between_normalisations == 0;
        V blank_part{};
        for (long s = 0; s < states; s += width) {
            const Scaled next = labels_behind.at(s + 1), label = labels_behind.at(s);
            const Scaled skipping{next.m, next.e + load(memory.no_skip_next + s)};
            const Scaled l = sum(label, blanks_behind.at(s + 1), skipping), b = sum(blanks_behind.at(s), label);
            const Scaled l_part = product(alpha_labels.at(s), l), b_part = product(alpha_blanks.at(s), b);
            store(memory.parts + s, unscaled(l_part.m * one_over_p, l_part.e - exponent));
            blank_part += unscaled(b_part.m * one_over_p, b_part.e - exponent);
            Scaled y_label = y.at(s);
            y_label.m *= factor;
            Scaled new_l = product(l, y_label), new_b = product(b, y_blank);
            if (normalise) new_l = normalised(new_l), new_b = normalised(new_b);
            labels_behind.set(s, new_l), blanks_behind.set(s, new_b);
        }
        T* const g = gradient + t * p.classes;
        const T softmax_factor = T(numbers[0] * scale);
        for (long k = 0; k < p.classes; ++k) g[k] *= softmax_factor;
        g[p.blank] -= T(total(blank_part));
        for (long s = 0; s < count; ++s) g[labels[s]] -= T(memory.parts[s]);
    }

 public:
    Row(const CtcProblem<T>& p, const Memory& memory, long b)
        : p(p),
          memory(memory),
          x(p.x + b * p.x_batch),
          labels(p.labels + b * p.max_labels),
          steps(p.input_lengths[b]),
          count(p.label_lengths[b]),
          states(Memory::whole(count + 1)),
          gradient(p.gradient ? p.gradient + b * p.steps * p.classes : nullptr),
          scale(p.scale ? double(p.scale[b]) : 1.) {}

    T run() {
        const T infinity = T(__builtin_inf()), nan = T(__builtin_nan(""));
        double p_m = 0, p_e = zero_exponent;
        if (feasible()) {
            start();
            V check{};
            for (long t = 0; t < steps; ++t) forward(t, check);
            const long last = gradient || steps == 0 ? steps - 1 : (steps - 1) & 1;
            const States l = memory.labels(last), b = memory.blanks(last);
            const Scaled both = sum({broadcast(l.m[count - 1]), broadcast(l.e[count - 1])},
                                    {broadcast(b.m[count]), broadcast(b.e[count])});
            p_m = both.m[0], p_e = both.e[0];
            const double checked = total(check);
            if (checked != checked) p_m = checked;
        }
        const bool impossible_labels = p_m == p_m && p_e < zero_exponent / 2;
        const bool none = p_m != p_m || impossible_labels;
        if (gradient && (none || scale == 0)) {
            const bool zeros = scale == 0 || (impossible_labels && p.zero_infinity);
            fill(0, zeros ? T(0) : nan);
        } else if (gradient) {
            for (long t = steps - 1; t >= 0; --t) backward(t, p_m, p_e);
        }
        fill(steps, T(0));
        if (impossible_labels) return p.zero_infinity ? T(0) : infinity;
        return none ? nan : T(-(__builtin_log(p_m) + p_e * 0.693147180559945309417));
    }
};

}  // namespace ctc_detail

// Elements of the working space of one thread.
template <class T>
std::size_t ctc_workspace(const CtcProblem<T>& p) {
    using ctc_detail::Memory;
    const long states = Memory::whole(p.max_labels + 1), blocks = p.gradient ? p.steps + 1 : 3;
    return std::size_t(Memory::shared(states, Memory::whole(p.classes))) +
           std::size_t(blocks) * std::size_t(Memory::step(states));
}

template <class T>
void ctc(const CtcProblem<T>& problem) {
    parallel(
        problem.threads,
        [](const void* context, const Team& team) {
            const CtcProblem<T>& p = *static_cast<const CtcProblem<T>*>(context);
            const ctc_detail::Memory memory(p.workspace + std::size_t(team.index) * ctc_workspace(p), p.max_labels,
                                            p.classes);
            const auto work = [&p](long b) {
                return double(p.input_lengths[b]) * double(p.classes + 2 * p.label_lengths[b]) + 1;
            };
            share_rows(team, p.batch, work, [&](long b) { p.losses[b] = ctc_detail::Row<T>(p, memory, b).run(); });
        },
        &problem);
}

}  // namespace lstmcore::LSTMCORE_ISA
