// Linear-chain conditional random fields (Lafferty, McCallum & Pereira 2001): the loss of a row's labels and its
// gradient, and the best path.
//
// A path y has a tag at every step, and the score
//   start[y 0] + sum over t of emissions[t, y t] + sum over t of transitions[y t-1, y t] + end[y last]
// Its probability is the exponential of that over Z, the sum over all paths. With w the exponential of emissions and A
// that of transitions, forward and backward are
//   alpha[t, j] = w[t, j] sum over i of alpha[t-1, i] A[i, j]             alpha[0] = exp(start) w[0]
//   beta[t, i]  = sum over j of A[i, j] w[t+1, j] beta[t+1, j]            beta[last] = exp(end)
// Z is the sum of alpha[last] exp(end). The gradient of ln Z is how often a thing is expected:
//   tag j at t: alpha[t, j] beta[t, j] / Z,   i before j: sum over t of alpha[t-1, i] A[i, j] w[t, j] beta[t, j] / Z
// and that of the loss, ln Z minus the score of the labels, is less what is observed.
//
// The sums are of numbers with exponents of their own (scaled.hpp): what constraints forbid is exp(-inf), exactly 0,
// and what is left may be as unlikely as it likes. Mostly it is not: then sums are of plain doubles, relative to the
// largest of a step, and those of exponents are only for the tags where that would lose something.
#pragma once

#include "../core.hpp"
#include "../threads.hpp"
#include "scaled.hpp"
#include "shares.hpp"

namespace lstmcore::LSTMCORE_ISA {

namespace crf_detail {

using namespace scaled;

template <class T>
LSTMCORE_INLINE void fill_some(T* p, long n, T value) {
    for (long k = 0; k < n; ++k) p[k] = value;
}

inline long whole(long n) { return (n + width - 1) / width * width; }

LSTMCORE_INLINE double largest_of(V v) {
    double largest = v[0];
    for (int l = 1; l < width; ++l) largest = v[l] > largest ? v[l] : largest;
    return largest;
}

// NaN where a score is NaN or too large for its exponential; else 0.
LSTMCORE_INLINE V unusable(V x) { return x < broadcast(-impossible) ? V{} : broadcast(__builtin_nan("")); }

// Plain numbers are up to 2^100, and a sum of them is looked at again where it is below 2^-500: what has been lost,
// each below 2^-1022 of the largest, is then nothing beside it. Parts of Z are plain where they could be 2^500 at most.
constexpr double plain_exponent = 100, least_plain = 0x1p-500, plain_part = 500;

// e^scores, (tags, padded): exact, and plain, with ones behind the tags. A row for each tag that is summed over.
struct Matrix {
    ScaledArray exact;
    double* plain;
    Matrix from(long k) const { return {{exact.m + k, exact.e + k}, plain + k}; }
};

// What all rows share.
struct Tables {
    long tags, padded;       // padded: whole vectors
    Matrix after, before;    // A, by the tag that comes first, and by the one behind
    ScaledArray start, end;  // (padded)
    double* checks;          // of each thread: NaN where a score cannot be used; the largest exponent in A

    static std::size_t size(long tags, int threads) {
        const std::size_t p = std::size_t(whole(tags));
        return 6 * std::size_t(tags) * p + 4 * p + 2 * std::size_t(threads);
    }
    Tables(double* p, long tags) : tags(tags), padded(whole(tags)) {
        const auto take = [&p](long n) { return p += n, p - n; };
        for (Matrix* each : {&after, &before}) {
            each->exact.m = take(tags * padded), each->exact.e = take(tags * padded);
            each->plain = take(tags * padded);
        }
        for (ScaledArray* each : {&start, &end}) each->m = take(padded), each->e = take(padded);
        checks = p;
    }

    // A thread's share.
    template <class T>
    void fill(const CrfScores<T>& p, const Team& team) const {
        V check{}, largest = broadcast(zero_exponent);
        const auto fill_row = [&](ScaledArray out, const T* scores) {
            for (long j = 0; j < padded; j += width) {
                const V x = load_logits(scores + j, tags - j);
                check += unusable(x);
                out.set(j, exponential(x));
            }
        };
        long first, last;
        team.split(tags, first, last);
        for (long i = first; i < last; ++i) {
            const Matrix row = after.from(i * padded);
            fill_row(row.exact, p.transitions + i * tags);
            for (long j = 0; j < padded; j += width) {
                const Scaled a = row.exact.at(j);
                largest = larger(a.e, largest);
                store(row.plain + j, unscaled(a.m, a.e));
            }
            fill_some(row.plain + tags, padded - tags, 1.);
        }
        if (team.index == 0) fill_row(start, p.start), fill_row(end, p.end);
        checks[2 * team.index] = total(check);
        checks[2 * team.index + 1] = largest_of(largest);
        team.wait();
        for (long j = first; j < last; ++j) {
            const Matrix row = before.from(j * padded);
            for (long i = 0; i < padded; ++i) {
                row.exact.m[i] = i < tags ? after.exact.m[i * padded + j] : 0;
                row.exact.e[i] = i < tags ? after.exact.e[i * padded + j] : zero_exponent;
                row.plain[i] = i < tags ? after.plain[i * padded + j] : 1;
            }
        }
        team.wait();
    }
};

// A thread's memory.
struct Memory {
    long padded, step_size;
    ScaledArray beta, behind;         // (padded): at t, and w[t] beta[t]
    double *relative, *relative_too;  // (padded): plain, what is summed over, relative to the largest
    double* counts;                   // (tags, padded): how often each pair of tags is expected
    double* steps;

    static std::size_t size(long tags, long blocks) {
        const std::size_t p = std::size_t(whole(tags));
        return 6 * p + std::size_t(tags) * p + std::size_t(blocks) * 4 * p;
    }
    Memory(double* p, long tags) : padded(whole(tags)), step_size(4 * padded) {
        const auto take = [&p](long n) { return p += n, p - n; };
        beta.m = take(padded), beta.e = take(padded);
        behind.m = take(padded), behind.e = take(padded);
        relative = take(padded), relative_too = take(padded);
        counts = take(tags * padded);
        steps = p;
    }
    ScaledArray weights(long t) const { return {steps + t * step_size, steps + t * step_size + padded}; }
    ScaledArray alpha(long t) const { return {weights(t).e + padded, weights(t).e + 2 * padded}; }
};

// n vectors of them.
template <int n>
struct Sums {
    static constexpr long count = n;
    Scaled each[n];
};

// out[j] = sum over i of given[i] rows[i, j], of n vectors of j; rows (tags, padded).
template <int n>
LSTMCORE_INLINE void sums_of(long tags, long padded, ScaledArray given, ScaledArray rows, Sums<n>& out) {
    V e[n];
    for (int k = 0; k < n; ++k) e[k] = broadcast(given.e[0]) + load(rows.e + k * width);
    for (long i = 1; i < tags; ++i) {
        const V own = broadcast(given.e[i]);
        const double* const p = rows.e + i * padded;
        for (int k = 0; k < n; ++k) e[k] = larger(own + load(p + k * width), e[k]);
    }
    V m[n] = {};
    for (long i = 0; i < tags; ++i) {
        const V own_m = broadcast(given.m[i]), own_e = broadcast(given.e[i]);
        const double *const pm = rows.m + i * padded, *const pe = rows.e + i * padded;
        for (int k = 0; k < n; ++k)
            m[k] += unscaled(own_m * load(pm + k * width), (own_e + load(pe + k * width)) - e[k]);
    }
    for (int k = 0; k < n; ++k) out.each[k] = {m[k], e[k]};
}

// Writes plain numbers relative to 2^e, the largest of what is given, and returns e.
inline double relative_to_largest(ScaledArray given, long padded, double* out) {
    V largest = load(given.e);
    for (long j = width; j < padded; j += width) largest = larger(load(given.e + j), largest);
    const double e = largest_of(largest);
    for (long j = 0; j < padded; j += width)
        store(out + j, unscaled(load(given.m + j), load(given.e + j) - broadcast(e)));
    return e;
}

// The same as sums_of in plain doubles; false if they are not enough.
template <int n>
LSTMCORE_INLINE bool plain_sums_of(long tags, long padded, const double* relative, double e, const double* rows,
                                   Sums<n>& out) {
    V m[n] = {};
    for (long i = 0; i < tags; ++i) {
        const V own = broadcast(relative[i]);
        for (int k = 0; k < n; ++k) m[k] = fma(own, load(rows + i * padded + k * width), m[k]);
    }
    V least = m[0];
    for (int k = 1; k < n; ++k) least = smaller(least, m[k]);
    for (int k = 0; k < n; ++k) out.each[k] = {m[k], broadcast(e)};
    return largest_of(-least) <= -least_plain;
}

// to = given times rows, times w if there is one; m in [1, 2). relative, e: given in plain doubles; null: do without.
inline void step(const Tables& tables, ScaledArray given, const double* relative, double e, Matrix rows,
                 const ScaledArray* w, ScaledArray to) {
    const auto block = [&](long j, auto v) {
        const Matrix from_j = rows.from(j);
        if (!relative || !plain_sums_of(tables.tags, tables.padded, relative, e, from_j.plain, v))
            sums_of(tables.tags, tables.padded, given, from_j.exact, v);
        for (long k = 0; k < v.count; ++k) {
            const long at = j + k * width;
            to.set(at, normalised(w ? product(v.each[k], w->at(at)) : v.each[k]));
        }
        return v.count * width;
    };
    for (long j = 0; j < tables.padded;) {  // sums that do not wait for each other
        const long left = (tables.padded - j) / width;
        if (left >= 4)
            j += block(j, Sums<4>());
        else if (left == 3)
            j += block(j, Sums<3>());
        else if (left == 2)
            j += block(j, Sums<2>());
        else
            j += block(j, Sums<1>());
    }
}

// The sum of a b.
inline void inner_product(ScaledArray a, ScaledArray b, long padded, double& m, double& e) {
    V largest = a.at(0).e + b.at(0).e, sum{};
    for (long j = width; j < padded; j += width) largest = larger(load(a.e + j) + load(b.e + j), largest);
    e = largest_of(largest);
    for (long j = 0; j < padded; j += width) {
        const Scaled both = product(a.at(j), b.at(j));
        sum += unscaled(both.m, both.e - broadcast(e));
    }
    m = total(sum);
}

// Loss and gradient of row b.
template <class T>
class Row {
    const CrfProblem<T>& p;
    const CrfScores<T>& s;
    const Tables& tables;
    const Memory& memory;
    const long b, steps, tags, padded;
    const T* x;
    const int64_t* labels;
    const double scale;
    const bool plain;  // whether A can be plain doubles

    double score_of_labels() const {
        double score = double(s.start[labels[0]]) + double(s.end[labels[steps - 1]]);
        for (long t = 0; t < steps; ++t) score += double(x[t * s.x_step + labels[t]]);
        for (long t = 1; t < steps; ++t) score += double(s.transitions[labels[t - 1] * tags + labels[t]]);
        return score;
    }

    T* d_emissions() const { return p.d_emissions + b * s.steps * tags; }
    T* d_transitions() const { return p.d_transitions + b * tags * tags; }
    T* d_start() const { return p.d_start + b * tags; }
    T* d_end() const { return p.d_end + b * tags; }

    void fill(T value) const {
        fill_some(d_emissions(), steps * tags, value);
        fill_some(d_transitions(), tags * tags, value);
        fill_some(d_start(), tags, value);
        fill_some(d_end(), tags, value);
    }

    // What is kept of step t: without a gradient the blocks of two steps are used in turn.
    long block(long t) const { return p.d_emissions ? t : t & 1; }

    void forward(long t, V& check) const {
        const ScaledArray w = memory.weights(block(t)), alpha = memory.alpha(block(t));
        for (long j = 0; j < padded; j += width) {
            const V scores = load_logits(x + t * s.x_step + j, tags - j);
            check += unusable(scores);
            w.set(j, exponential(scores));
        }
        if (t > 0) {
            const ScaledArray before = memory.alpha(block(t - 1));
            const double e = relative_to_largest(before, padded, memory.relative);
            return step(tables, before, plain ? memory.relative : nullptr, e, tables.after, &w, alpha);
        }
        for (long j = 0; j < padded; j += width) alpha.set(j, normalised(product(tables.start.at(j), w.at(j))));
    }

    // The expected counts at t, and what is needed of it a step before.
    void backward(long t, double z_m, double z_e) const {
        const ScaledArray alpha = memory.alpha(t), w = memory.weights(t), beta = memory.beta, behind = memory.behind;
        const V one_over_z = broadcast(scale / z_m), exponent = broadcast(z_e);
        T* const d = d_emissions() + t * tags;
        for (long j = 0; j < padded; j += width) {
            const Scaled both = product(alpha.at(j), beta.at(j));
            store_some(d + j, unscaled(both.m * one_over_z, both.e - exponent), tags - j);
        }
        if (t == steps - 1) std::memcpy(d_end(), d, std::size_t(tags) * sizeof(T));
        if (t == 0) return void(std::memcpy(d_start(), d, std::size_t(tags) * sizeof(T)));
        for (long j = 0; j < padded; j += width) behind.set(j, product(w.at(j), beta.at(j)));
        const double e = relative_to_largest(behind, padded, memory.relative);
        count_pairs(memory.alpha(t - 1), e, z_m, z_e);
        step(tables, behind, plain ? memory.relative : nullptr, e, tables.before, nullptr, beta);
    }

    // Adds how often i is expected at a step, before, and j at the next; memory.relative is memory.behind over 2^e.
    void count_pairs(ScaledArray before, double e, double z_m, double z_e) const {
        const double e_before = relative_to_largest(before, padded, memory.relative_too);
        const double exponent = e + e_before - z_e, factor = scale / z_m;
        if (plain && exponent <= plain_part) {
            const double part = exponent < -2000 ? 0 : __builtin_ldexp(factor, int(exponent));
            for (long i = 0; i < tags; ++i) {
                const V own = broadcast(memory.relative_too[i] * part);
                const double* const row = tables.after.plain + i * padded;
                double* const counts = memory.counts + i * padded;
                for (long j = 0; j < padded; j += width)
                    store(counts + j, fma(own * load(row + j), load(memory.relative + j), load(counts + j)));
            }
            return;
        }
        for (long i = 0; i < tags; ++i) {
            const V own_m = broadcast(before.m[i] * factor), own_e = broadcast(before.e[i] - z_e);
            const ScaledArray row = tables.after.from(i * padded).exact;
            double* const counts = memory.counts + i * padded;
            for (long j = 0; j < padded; j += width) {
                const Scaled pair = product(row.at(j), memory.behind.at(j));
                store(counts + j, load(counts + j) + unscaled(own_m * pair.m, own_e + pair.e));
            }
        }
    }

    // Takes what is observed from what is expected.
    void subtract_labels() const {
        const T one = T(scale);
        for (long t = 0; t < steps; ++t) d_emissions()[t * tags + labels[t]] -= one;
        for (long t = 1; t < steps; ++t) d_transitions()[labels[t - 1] * tags + labels[t]] -= one;
        d_start()[labels[0]] -= one;
        d_end()[labels[steps - 1]] -= one;
    }

    void gradient(double z_m, double z_e) const {
        fill_some(memory.counts, tags * padded, 0.);
        for (long j = 0; j < padded; j += width) memory.beta.set(j, tables.end.at(j));
        for (long t = steps - 1; t >= 0; --t) backward(t, z_m, z_e);
        for (long i = 0; i < tags; ++i)
            for (long j = 0; j < padded; j += width)
                store_some(d_transitions() + i * tags + j, load(memory.counts + i * padded + j), tags - j);
        if (labels) subtract_labels();
    }

 public:
    Row(const CrfProblem<T>& p, const Tables& tables, const Memory& memory, bool plain, long b)
        : p(p),
          s(p.scores),
          tables(tables),
          memory(memory),
          b(b),
          steps(s.lengths[b]),
          tags(s.tags),
          padded(tables.padded),
          x(s.x + b * s.x_batch),
          labels(p.labels ? p.labels + b * s.steps : nullptr),
          scale(p.scale ? double(p.scale[b]) : 1.),
          plain(plain) {}

    T run(double table_check) const {
        const T infinity = T(__builtin_inf()), nan = T(__builtin_nan(""));
        if (p.d_emissions) fill_some(d_emissions() + steps * tags, (s.steps - steps) * tags, T(0));
        if (steps == 0) {
            if (p.d_emissions) fill(T(0));
            return T(0);
        }
        V check{};
        for (long t = 0; t < steps; ++t) forward(t, check);
        double z_m, z_e;
        inner_product(memory.alpha(block(steps - 1)), tables.end, padded, z_m, z_e);
        const double checked = total(check) + table_check;
        const double score = labels ? score_of_labels() : 0;
        const bool is_nan = checked != checked || score != score;
        const bool no_path = z_e < zero_exponent / 2, impossible_labels = no_path || score == -__builtin_inf();
        if (p.d_emissions) {
            if (scale == 0)
                fill(T(0));
            else if (is_nan || impossible_labels)
                fill(nan);
            else
                gradient(z_m, z_e);
        }
        if (is_nan) return nan;
        if (impossible_labels) return labels ? infinity : -infinity;
        return T(__builtin_log(z_m) + z_e * 0.693147180559945309417 - score);
    }
};

// The best path of row b.
template <class T>
class BestPath {
    const CrfDecodeProblem<T>& p;
    const CrfScores<T>& s;
    const double* transitions;  // (tags, padded)
    double *best, *next, *from;
    const long b, steps, tags, padded;

    // The best way to each tag at t, by way of which tag before. NaN is never the best.
    void advance(long t) const {
        const T* const x = s.x + b * s.x_batch + t * s.x_step;
        double* const before = from + t * padded;
        for (long j = 0; j < padded; j += width) {
            V largest = broadcast(-__builtin_inf()), at{};
            for (long i = 0; i < tags; ++i) {
                const V candidate = broadcast(best[i]) + load(transitions + i * padded + j);
                const auto better = candidate > largest;
                largest = better ? candidate : largest;
                at = better ? broadcast(double(i)) : at;
            }
            store(next + j, largest + load_logits(x + j, tags - j));
            store(before + j, at);
        }
    }

 public:
    // Doubles that are a thread's; the transitions stand before those of all.
    static std::size_t memory(long tags, long steps) { return std::size_t(whole(tags)) * (std::size_t(steps) + 2); }

    BestPath(const CrfDecodeProblem<T>& p, const double* transitions, double* memory, long b)
        : p(p),
          s(p.scores),
          transitions(transitions),
          best(memory),
          next(memory + whole(s.tags)),
          from(memory + 2 * whole(s.tags)),
          b(b),
          steps(s.lengths[b]),
          tags(s.tags),
          padded(whole(s.tags)) {}

    T run() {
        int64_t* const path = p.paths + b * s.steps;
        fill_some(path + steps, s.steps - steps, int64_t(0));
        if (steps == 0) return T(0);
        for (long j = 0; j < tags; ++j) best[j] = double(s.start[j]) + double(s.x[b * s.x_batch + j]);
        for (long t = 1; t < steps; ++t) {
            advance(t);
            double* const before = best;
            best = next, next = before;
        }
        double largest = -__builtin_inf();
        long tag = -1;
        for (long j = 0; j < tags; ++j) {
            const double score = best[j] + double(s.end[j]);
            if (score > largest) largest = score, tag = j;
        }
        if (tag < 0) {
            fill_some(path, steps, int64_t(-1));
            return T(largest);
        }
        for (long t = steps - 1; t >= 0; --t) {
            path[t] = tag;
            if (t > 0) tag = long(from[t * padded + tag]);
        }
        return T(largest);
    }
};

// A row's work for sharing, and one that no row is without.
template <class T>
auto work_of(const CrfScores<T>& s) {
    return [&s](long b) { return double(s.lengths[b]) + 1; };
}

}  // namespace crf_detail

// Doubles of working space of the tables, and of each thread.
template <class T>
std::size_t crf_workspace(const CrfProblem<T>& p) {
    const CrfScores<T>& s = p.scores;
    return crf_detail::Tables::size(s.tags, s.threads) +
           std::size_t(s.threads) * crf_detail::Memory::size(s.tags, p.d_emissions ? s.steps : 2);
}

template <class T>
void crf(const CrfProblem<T>& problem) {
    parallel(
        problem.scores.threads,
        [](const void* context, const Team& team) {
            const CrfProblem<T>& p = *static_cast<const CrfProblem<T>*>(context);
            const CrfScores<T>& s = p.scores;
            using namespace crf_detail;
            const Tables tables(s.workspace, s.tags);
            tables.fill(s, team);
            double check = 0, largest = zero_exponent;
            for (int t = 0; t < team.size; ++t) {
                check += tables.checks[2 * t];
                largest = tables.checks[2 * t + 1] > largest ? tables.checks[2 * t + 1] : largest;
            }
            const bool plain = largest <= plain_exponent;
            double* const own = s.workspace + Tables::size(s.tags, s.threads) +
                                std::size_t(team.index) * Memory::size(s.tags, p.d_emissions ? s.steps : 2);
            const Memory memory(own, s.tags);
            share_rows(team, s.batch, work_of(s),
                       [&](long b) { p.losses[b] = Row<T>(p, tables, memory, plain, b).run(check); });
        },
        &problem);
}

template <class T>
std::size_t crf_decode_workspace(const CrfDecodeProblem<T>& p) {
    const CrfScores<T>& s = p.scores;
    return std::size_t(s.tags) * std::size_t(crf_detail::whole(s.tags)) +
           std::size_t(s.threads) * crf_detail::BestPath<T>::memory(s.tags, s.steps);
}

template <class T>
void crf_decode(const CrfDecodeProblem<T>& problem) {
    parallel(
        problem.scores.threads,
        [](const void* context, const Team& team) {
            const CrfDecodeProblem<T>& p = *static_cast<const CrfDecodeProblem<T>*>(context);
            const CrfScores<T>& s = p.scores;
            using namespace crf_detail;
            const long padded = whole(s.tags);
            long first, last;
            team.split(s.tags, first, last);
            for (long i = first; i < last; ++i)
                for (long j = 0; j < padded; j += width)
                    store(s.workspace + i * padded + j, load_logits(s.transitions + i * s.tags + j, s.tags - j));
            team.wait();
            double* const own = s.workspace + std::size_t(s.tags * padded) +
                                std::size_t(team.index) * BestPath<T>::memory(s.tags, s.steps);
            share_rows(team, s.batch, work_of(s),
                       [&](long b) { p.scores_of_paths[b] = BestPath<T>(p, s.workspace, own, b).run(); });
        },
        &problem);
}

}  // namespace lstmcore::LSTMCORE_ISA
