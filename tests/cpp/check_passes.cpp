// The passes that threads share besides: optimizers, sums of rows, softmaxes, CTC, CRF, decoders. Their bits do not
// depend on them.
#include <iterator>
#include <limits>

#include "check.hpp"
#include "decode/ctc_decode.hpp"
#include "decode/edit_distance.hpp"
#include "decode/ngram.hpp"

using namespace lstmcore;

namespace {

// f(threads) returns all that it has computed.
template <class F>
int same_with_threads(const char* name, int& cases, F f) {
    const auto alone = f(1);
    int failures = 0;
    for (const int threads : {2, 3, 4}) {
        ++cases;
        if (same_bits(f(threads), alone)) continue;
        ++failures;
        std::printf("%s: other bits with %d threads\n", name, threads);
    }
    return failures;
}

template <class T>
int check_optimizers(int& cases) {
    int failures = 0;
    for (const long n : {1, 64, 1000, 20001})
        for (const OptimizerRule<T>* rule = kernels<T>().optimizer_rules; rule->name; ++rule)
            failures += same_with_threads(rule->name, cases, [&](int threads) {
                Random random(7);
                const std::vector<T> gradients = random.normal<T>(n, 1);
                std::vector<T> all = random.normal<T>((1 + rule->slots) * n, 1);
                for (long k = n; k < long(all.size()); ++k) all[k] = std::abs(all[k]);  // squares and their roots
                OptimizerProblem<T> p{};
                p.size = std::size_t(n), p.parameters = all.data(), p.gradients = gradients.data();
                for (int s = 0; s < rule->slots; ++s) p.slots[s] = all.data() + (1 + s) * n;
                std::fill(std::begin(p.numbers), std::end(p.numbers), 0.1);
                p.scale = 0.5, p.limit = 0.8, p.decay = 0.01, p.threads = threads;
                rule->step(p);
                return all;
            });
    return failures;
}

template <class T>
int check_add_rows(int& cases) {
    int failures = 0;
    for (const long width : {1, 17, 100, 333})
        failures += same_with_threads("sums of rows", cases, [&](int threads) {
            Random random(3);
            const long rows = 200, sums = 10;
            std::vector<int64_t> index(rows);
            for (int64_t& i : index) i = random.below(sums);
            const std::vector<T> from = random.normal<T>(rows * width, 1);
            std::vector<T> to = random.normal<T>(sums * width, 1);
            kernels<T>().add_rows({rows, width, index.data(), from.data(), to.data(), threads});
            return to;
        });
    return failures;
}

template <class T>
int check_softmax(int& cases) {
    int failures = 0;
    for (const long columns : {1, 16, 37})
        failures += same_with_threads("softmax", cases, [&](int threads) {
            Random random(4);
            const long rows = 5, count = 6, size = count * rows * columns;
            std::vector<T> y = random.normal<T>(size, 1), dy = random.normal<T>(size, 1);
            std::vector<uint8_t> left_in(3 * rows * columns);
            for (uint8_t& one : left_in) one = uint8_t(random.below(2));
            SoftmaxProblem<T> p{};
            p.rows = rows, p.columns = columns, p.count = count, p.scale = T(0.5), p.threads = threads;
            p.left_in = left_in.data(), p.left_in_next = rows * columns, p.left_in_row = columns, p.matrices = 2;
            p.x = y.data();
            kernels<T>().softmax(p);
            p.x = dy.data(), p.y = y.data();
            kernels<T>().softmax_backward(p);
            y.insert(y.end(), dy.begin(), dy.end());
            return y;
        });
    return failures;
}

template <class T>
int check_ctc(int& cases) {
    int failures = 0;
    for (const bool with_gradient : {false, true})
        failures += same_with_threads("ctc", cases, [&](int threads) {
            Random random(5);
            const long batch = 7, steps = 60, classes = 9, most = 20;
            const std::vector<T> x = random.normal<T>(batch * steps * classes, 3);
            std::vector<int64_t> labels(batch * most), steps_of, labels_of;
            for (int64_t& label : labels) label = 1 + random.below(classes - 1);
            for (long b = 0; b < batch; ++b) steps_of.push_back(steps - 8 * b), labels_of.push_back(3 * b % most);
            std::vector<T> out(batch + batch * steps * classes);
            CtcProblem<T> p{};
            p.batch = batch, p.steps = steps, p.classes = classes, p.max_labels = most, p.x = x.data();
            p.x_batch = steps * classes, p.x_step = classes, p.labels = labels.data();
            p.input_lengths = steps_of.data(), p.label_lengths = labels_of.data(), p.logits = true;
            p.losses = out.data(), p.gradient = with_gradient ? out.data() + batch : nullptr, p.threads = threads;
            std::vector<double> workspace(kernels<T>().ctc_workspace(p) * std::size_t(threads));
            p.workspace = workspace.data();
            kernels<T>().ctc(p);
            return out;
        });
    return failures;
}

template <class T>
int check_crf(int& cases) {
    const long batch = 7, steps = 30, tags = 9;
    Random random(6);
    const std::vector<T> x = random.normal<T>(batch * steps * tags, 3), a = random.normal<T>(tags * tags, 1);
    std::vector<int64_t> labels(batch * steps), lengths;
    for (int64_t& label : labels) label = random.below(tags);
    for (long b = 0; b < batch; ++b) lengths.push_back(steps - 5 * b);
    const auto scores = [&](int threads) {
        CrfScores<T> s{};
        s.batch = batch, s.steps = steps, s.tags = tags, s.x = x.data(), s.x_batch = steps * tags, s.x_step = tags;
        s.transitions = a.data(), s.start = a.data(), s.end = a.data() + tags, s.lengths = lengths.data();
        s.threads = threads;
        return s;
    };
    int failures = 0;
    for (const bool with_gradient : {false, true})
        failures += same_with_threads("crf", cases, [&](int threads) {
            std::vector<T> out(batch * (1 + steps * tags + tags * tags + 2 * tags));
            CrfProblem<T> p{};
            p.scores = scores(threads), p.labels = labels.data(), p.losses = out.data();
            if (with_gradient) {
                p.d_emissions = out.data() + batch, p.d_transitions = p.d_emissions + batch * steps * tags;
                p.d_start = p.d_transitions + batch * tags * tags, p.d_end = p.d_start + batch * tags;
            }
            std::vector<double> workspace(kernels<T>().crf_workspace(p));
            p.scores.workspace = workspace.data();
            kernels<T>().crf(p);
            return out;
        });
    failures += same_with_threads("crf_decode", cases, [&](int threads) {
        std::vector<T> out(batch);
        std::vector<int64_t> paths(batch * steps);
        CrfDecodeProblem<T> p{};
        p.scores = scores(threads), p.paths = paths.data(), p.scores_of_paths = out.data();
        std::vector<double> workspace(kernels<T>().crf_decode_workspace(p));
        p.scores.workspace = workspace.data();
        kernels<T>().crf_decode(p);
        out.insert(out.end(), paths.begin(), paths.end());
        return out;
    });
    return failures;
}

// What the decoders find does not depend on threads, with a language model and without.
int check_decoders(int& cases) {
    const long batch = 13, steps = 40, classes = 4;
    std::mt19937 random(1);
    std::vector<double> inputs(batch * steps * classes);
    for (double& x : inputs) x = std::normal_distribution<double>()(random);
    std::vector<int64_t> lengths, labels, first{0};
    for (long b = 0; b < batch; ++b) lengths.push_back(steps - 3 * b);
    NGramTable table({"a", "b", "c"}, -1, -1, -1, -20);
    for (int a = 0; a < 3; ++a) {
        table.add({a}, -1 - 0.1 * a, -0.5);
        table.add({a, 2 - a}, -0.7, 0);
    }
    table.finish();
    NGramScorer scorer(table, {"", "a", "b", "c"}, -1, 0.8, 0.5);
    bool right = true;
    for (Scorer* lm : {static_cast<Scorer*>(nullptr), static_cast<Scorer*>(&scorer)}) {
        const BeamOptions options{8, 3, -std::numeric_limits<double>::infinity(), 0.5, lm, true};
        std::vector<std::vector<Labeling>> found[2];
        for (int k = 0; k < 2; ++k) {
            bool unused;
            const CtcBatch<double> problem{batch,          steps, classes,           inputs.data(),
                                           lengths.data(), 0,     CtcInputs::logits, 1 + 2 * k};
            right &= ctc_beam_search(problem, options, found[k], unused).kind == CtcFault::none;
        }
        for (long b = 0; b < batch; ++b)
            for (std::size_t k = 0; k < found[0][b].size(); ++k) {
                right &= found[0][b][k].labels == found[1][b][k].labels && found[0][b][k].score == found[1][b][k].score;
                labels.insert(labels.end(), found[0][b][k].labels.begin(), found[0][b][k].labels.end());
                first.push_back(int64_t(labels.size()));
            }
    }
    const long pairs = long(first.size()) - 2;
    std::vector<int64_t> counts(3 * pairs), again(3 * pairs);
    edit_distances({pairs, labels.data(), first.data(), labels.data(), first.data() + 1, counts.data(), 1});
    edit_distances({pairs, labels.data(), first.data(), labels.data(), first.data() + 1, again.data(), 3});
    right &= counts == again;
    if (!right) std::printf("decoders: the result depends on threads\n");
    ++cases;
    return !right;
}

}  // namespace

int check_passes(int& cases) {
    return check_optimizers<float>(cases) + check_optimizers<double>(cases) + check_add_rows<float>(cases) +
           check_add_rows<double>(cases) + check_softmax<float>(cases) + check_softmax<double>(cases) +
           check_ctc<float>(cases) + check_ctc<double>(cases) + check_crf<float>(cases) + check_crf<double>(cases) +
           check_decoders(cases);
}
