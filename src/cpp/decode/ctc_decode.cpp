// Greedy decoding (Graves et al. 2006, section 3.2) and prefix beam search (Graves & Jaitly 2014,
// algorithm 1; Hannun et al. 2014, algorithm 1), in double whatever the inputs are. The twin in plain
// Python is python/lstmcore/reference/ctc_decode.py; both add the same numbers in the same order.
#include "decode/ctc_decode.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "failure.hpp"
#include "threads.hpp"

namespace lstmcore {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

double log_add(double a, double b) {  // log(exp(a) + exp(b))
    if (a < b) std::swap(a, b);
    if (b == -infinity) return a;
    return a + std::log1p(std::exp(b - a));
}

// --- frames ---------------------------------------------------------------------------------

// Probabilities that came through float16 and a logarithm still add up to 1 within this; logits do not.
constexpr double tolerance = 0.05;

// Log probabilities of one frame. `is_distribution`: of logits, whether they could be probabilities.
template <class T>
CtcFault log_probabilities(const T* frame, long classes, CtcInputs kind, double* result, bool* is_distribution) {
    double largest = -infinity, smallest = infinity, sum = 0;
    std::copy(frame, frame + classes, result);  // and not looked at again: the caller may change it meanwhile
    for (long c = 0; c < classes; ++c) {
        const double x = result[c];
        if (std::isnan(x)) return {CtcFault::nan, 0, c, x};
        largest = std::max(largest, x), smallest = std::min(smallest, x);
    }
    if (largest == infinity && kind != CtcInputs::scores) return {CtcFault::infinite, 0, 0, largest};
    switch (kind) {
        case CtcInputs::scores:
            return {};
        case CtcInputs::logits: {
            if (largest == -infinity) return {CtcFault::impossible, 0, 0, largest};
            double plain = 0;
            for (long c = 0; c < classes; ++c) {
                plain += result[c];
                result[c] -= largest;
                sum += std::exp(result[c]);
            }
            const double log_sum = std::log(sum);
            for (long c = 0; c < classes; ++c) result[c] -= log_sum;
            *is_distribution = smallest >= 0 && std::abs(plain - 1) < 1e-3;
            return {};
        }
        case CtcInputs::log_probabilities:
            if (largest > tolerance) return {CtcFault::out_of_range, 0, 0, largest};
            for (long c = 0; c < classes; ++c) sum += std::exp(result[c]);
            break;
        case CtcInputs::probabilities:
            if (smallest < 0) return {CtcFault::out_of_range, 0, 0, smallest};
            if (largest > 1 + tolerance) return {CtcFault::out_of_range, 0, 0, largest};
            for (long c = 0; c < classes; ++c) {
                sum += result[c];
                result[c] = std::log(result[c]);
            }
            break;
    }
    if (std::abs(sum - 1) > tolerance) return {CtcFault::not_one, 0, 0, sum};
    return {};
}

// --- rows, in parallel ----------------------------------------------------------------------

// Calls decode(row) for each, which returns a fault; returns that of the first row that has one. Rows go
// to whichever thread is free: lengths differ, and no result depends on who found it.
template <class Make>
CtcFault each_row(long batch, int threads, const Make& make) {
    struct Shared {
        const Make* make;
        long batch;
        std::vector<CtcFault> faults;
        std::atomic<long> next{0};
        Failure failure;
    } shared{&make, batch, std::vector<CtcFault>(batch), {}, {}};
    const auto body = [](const void* context, const Team&) {
        Shared& s = *static_cast<Shared*>(const_cast<void*>(context));
        s.failure.guard([&] {
            auto decode = (*s.make)();
            for (long row; (row = s.next.fetch_add(1, std::memory_order_relaxed)) < s.batch;) {
                s.faults[row] = decode(row);
                s.faults[row].row = row;
            }
        });
    };
    if (threads > 0)
        parallel(threads, body, &shared);
    else
        body(&shared, Team{0, 1, nullptr});
    shared.failure.rethrow();
    for (const CtcFault& fault : shared.faults)
        if (fault.kind != CtcFault::none) return fault;
    return {};
}

// --- prefix beam search ---------------------------------------------------------------------

class BeamSearch {
    struct Entry {
        int node, last;       // last: label, -1 for the empty prefix
        int parent, sibling;  // in the beam: the prefix without its last label; the next with the same
        int first_child;
        long row;             // of the scorer's answers
        double blank, label;  // log probability of the paths that end in a blank, and in the last label
        double total, bonus;
        ModelState state;
    };
    struct Candidate {
        double rank;
        long order;  // of equal ranks the lower wins: a prefix of the beam before a new one, then label order
        int entry, label;
    };
    static bool before(const Candidate& a, const Candidate& b) {
        return a.rank != b.rank ? a.rank > b.rank : a.order < b.order;
    }

    const long classes;
    const int blank;
    const BeamOptions& options;
    PrefixTrie trie;
    std::vector<Entry> beam, next, kept;
    std::vector<Candidate> candidates;
    std::vector<int> allowed;      // labels above the cutoff
    std::vector<char> is_allowed;  // (classes)
    std::vector<long> taken;       // (classes) the last entry a label was taken for
    std::vector<double> answers;   // (rows, classes) of the scorer, NaN where it was not asked yet
    std::vector<long> unused_rows;
    long entries_seen = 0;

    long new_row() {
        if (!options.scorer) return -1;
        if (unused_rows.empty()) {
            unused_rows.push_back(long(answers.size()) / classes);
            answers.resize(answers.size() + classes);
        }
        const long row = unused_rows.back();
        unused_rows.pop_back();
        std::fill_n(answers.begin() + row * classes, classes, std::numeric_limits<double>::quiet_NaN());
        return row;
    }

    double gain(const Entry& e, int label) {
        if (!options.scorer) return options.beta;
        double& answer = answers[e.row * classes + label];
        if (std::isnan(answer)) answer = options.scorer->extension(e.node, e.state, label);
        return answer;
    }

    void link() {
        for (Entry& e : beam) e.first_child = -1;
        for (std::size_t i = 0; i < beam.size(); ++i) {
            Entry& e = beam[i];
            e.parent = e.node == PrefixTrie::root ? -1 : trie.slot(trie.parent(e.node));
            if (e.parent < 0) continue;
            e.sibling = beam[e.parent].first_child;
            beam[e.parent].first_child = int(i);
        }
    }

    // The prefixes of the beam as they are after this frame, without a new label; but one that stands in
    // the beam beside its parent is also what the parent becomes with its last label.
    void stay(const double* p) {
        kept = beam;
        for (std::size_t i = 0; i < beam.size(); ++i) {
            Entry& e = kept[i];
            e.blank = beam[i].total + p[blank];
            e.label = e.last < 0 ? -infinity : beam[i].label + p[e.last];
            if (e.parent >= 0 && is_allowed[e.last]) {
                const Entry& parent = beam[e.parent];
                e.label = log_add(e.label, (parent.last == e.last ? parent.blank : parent.total) + p[e.last]);
            }
            e.total = log_add(e.blank, e.label);
            const double rank = e.total + e.bonus;
            if (rank > -infinity) candidates.push_back({rank, long(i), int(i), -1});
        }
    }

    void extend(const double* p) {
        const std::size_t width = options.width;
        double threshold = -infinity;  // what does not rank above is not among the best
        const auto raise = [&] {
            std::nth_element(candidates.begin(), candidates.begin() + (width - 1), candidates.end(), before);
            candidates.resize(width);
            threshold = candidates.back().rank;
        };
        if (candidates.size() >= width) raise();
        const double most = options.scorer ? std::max(options.scorer->beta, 0.0) : options.beta;
        for (std::size_t i = 0; i < beam.size(); ++i) {
            const Entry& e = beam[i];
            ++entries_seen;
            for (int k = e.first_child; k >= 0; k = beam[k].sibling) taken[beam[k].last] = entries_seen;
            for (const int label : allowed) {
                // A label that repeats the last one is new only behind a blank.
                const double path = (label == e.last ? e.blank : e.total) + p[label];
                if (!(path + (e.bonus + most) > threshold) || taken[label] == entries_seen) continue;
                const double rank = path + (e.bonus + gain(e, label));
                if (!(rank > threshold)) continue;
                candidates.push_back({rank, long(beam.size() + i * classes + label), int(i), label});
                if (candidates.size() >= 4 * width + 64) raise();
            }
        }
        if (candidates.size() > width) raise();
        std::sort(candidates.begin(), candidates.end(), before);
    }

    void select(const double* p) {
        next.clear();
        for (const Entry& e : beam) trie.slot(e.node) = -1;
        for (const Candidate& c : candidates) {
            if (c.label < 0) {
                next.push_back(kept[c.entry]);
                kept[c.entry].row = -1;  // taken along
                continue;
            }
            const Entry& e = beam[c.entry];
            const double path = (c.label == e.last ? e.blank : e.total) + p[c.label];
            const double bonus = e.bonus + gain(e, c.label);
            const ModelState state = options.scorer ? options.scorer->advance(e.state, c.label) : e.state;
            next.push_back({trie.child(e.node, c.label), c.label, -1, -1, -1, -1, -infinity, path, path, bonus, state});
        }
        for (const Entry& e : kept)
            if (e.row >= 0) unused_rows.push_back(e.row);
        for (std::size_t i = 0; i < next.size(); ++i) {
            if (next[i].row < 0) next[i].row = new_row();
            trie.slot(next[i].node) = int(i);
        }
        std::swap(beam, next);
    }

 public:
    BeamSearch(long classes, int blank, const BeamOptions& options)
        : classes(classes), blank(blank), options(options), is_allowed(classes), taken(classes, 0) {}

    void start() {
        trie.clear();
        answers.clear(), unused_rows.clear(), beam.clear();
        if (options.scorer) options.scorer->start(trie);
        const ModelState state = options.scorer ? options.scorer->begin() : ModelState{};
        beam.push_back({PrefixTrie::root, -1, -1, -1, -1, new_row(), 0, -infinity, 0, 0, state});
        trie.slot(PrefixTrie::root) = 0;
    }

    void step(const double* p) {
        allowed.clear();
        for (int c = 0; c < classes; ++c) {
            is_allowed[c] = c != blank && p[c] > -infinity && p[c] >= options.cutoff;
            if (is_allowed[c]) allowed.push_back(c);
        }
        candidates.clear();
        link();
        stay(p);
        extend(p);
        select(p);
    }

    void finish(std::vector<Labeling>& result) {
        for (const Entry& e : beam) {
            const double score = e.total + (e.bonus + (options.scorer ? options.scorer->end(e.state) : 0));
            if (score > -infinity) result.push_back({trie.labels(e.node), score});
        }
        std::sort(result.begin(), result.end(), [](const Labeling& a, const Labeling& b) {
            return a.score != b.score ? a.score > b.score : a.labels < b.labels;
        });
        if (long(result.size()) > options.top_paths) result.resize(options.top_paths);
    }
};

}  // namespace

int PrefixTrie::child(int node, int label) {
    for (int k = nodes[node].first_child; k >= 0; k = nodes[k].sibling)
        if (nodes[k].label == label) return k;
    const int made = int(nodes.size());
    nodes.push_back({node, label, -1, nodes[node].first_child, -1});
    nodes[node].first_child = made;
    return made;
}

std::vector<int32_t> PrefixTrie::labels(int node) const {
    std::vector<int32_t> result;
    for (; node != root; node = nodes[node].parent) result.push_back(nodes[node].label);
    std::reverse(result.begin(), result.end());
    return result;
}

template <class T>
CtcFault ctc_greedy(const CtcBatch<T>& b, bool merge_repeated, std::vector<Labeling>& results) {
    results.assign(b.batch, {});
    const auto make = [&] {
        return [&, p = std::vector<double>(b.classes)](long row) mutable -> CtcFault {
            Labeling& result = results[row];
            bool unused;
            int last = -1;
            for (long t = 0; t < b.lengths[row]; ++t) {
                CtcFault fault =
                    log_probabilities(b.inputs + (row * b.steps + t) * b.classes, b.classes, b.kind, p.data(), &unused);
                fault.step = t;
                if (fault.kind != CtcFault::none) return fault;
                const int best = int(std::max_element(p.begin(), p.end()) - p.begin());
                result.score += p[best];
                if (best != b.blank && !(merge_repeated && best == last)) result.labels.push_back(best);
                last = best;
            }
            return {};
        };
    };
    return each_row(b.batch, b.threads, make);
}

template <class T>
CtcFault ctc_beam_search(const CtcBatch<T>& b, const BeamOptions& options, std::vector<std::vector<Labeling>>& results,
                         bool& all_probabilities) {
    results.assign(b.batch, {});
    std::atomic<long> frames{0}, distributions{0};
    const auto make = [&] {
        return [&, p = std::vector<double>(b.classes),
                search = BeamSearch(b.classes, b.blank, options)](long row) mutable -> CtcFault {
            search.start();
            for (long t = 0; t < b.lengths[row]; ++t) {
                bool is_distribution = false;
                CtcFault fault = log_probabilities(b.inputs + (row * b.steps + t) * b.classes, b.classes, b.kind,
                                                   p.data(), &is_distribution);
                fault.step = t;
                if (fault.kind != CtcFault::none) return fault;
                frames.fetch_add(1, std::memory_order_relaxed);
                distributions.fetch_add(is_distribution, std::memory_order_relaxed);
                search.step(p.data());
            }
            search.finish(results[row]);
            return {};
        };
    };
    // A scorer that calls Python must not do so in a thread of ours, nor in our floating-point mode.
    const int threads = options.scorer && !options.shared ? 0 : b.threads;
    const CtcFault fault = each_row(b.batch, threads, make);
    all_probabilities = frames > 0 && frames == distributions;
    return fault;
}

template CtcFault ctc_greedy<float>(const CtcBatch<float>&, bool, std::vector<Labeling>&);
template CtcFault ctc_greedy<double>(const CtcBatch<double>&, bool, std::vector<Labeling>&);
template CtcFault ctc_beam_search<float>(const CtcBatch<float>&, const BeamOptions&,
                                         std::vector<std::vector<Labeling>>&, bool&);
template CtcFault ctc_beam_search<double>(const CtcBatch<double>&, const BeamOptions&,
                                          std::vector<std::vector<Labeling>>&, bool&);

}  // namespace lstmcore
