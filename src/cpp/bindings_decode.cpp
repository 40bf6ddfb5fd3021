// Decoders, n-gram tables and edit distances, for Python. Dtypes, shapes and most arguments are checked in
// python/lstmcore/decoders/ and metrics/edit_distance.py; here whatever could reach beyond the memory.
#include "bindings_decode.hpp"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <cmath>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

#include "ctc_decode.hpp"
#include "edit_distance.hpp"
#include "gil.hpp"
#include "ngram.hpp"
#include "threads.hpp"

namespace py = pybind11;

namespace lstmcore {
namespace {

template <class T>
using Array = py::array_t<T, py::array::c_style | py::array::forcecast>;

void must_be(bool right, const char* what) {
    if (!right) throw py::value_error(what);
}

// --- CTC ------------------------------------------------------------------------------------

template <class T>
CtcBatch<T> batch_of(const Array<T>& inputs, const Array<int64_t>& lengths, long blank, int kind) {
    must_be(inputs.ndim() == 3 && inputs.shape(2) > 0, "inputs: expected shape (batch, steps, classes)");
    must_be(inputs.shape(2) < std::numeric_limits<int>::max(), "inputs: too many classes");
    must_be(lengths.ndim() == 1 && lengths.shape(0) == inputs.shape(0), "lengths: expected shape (batch,)");
    for (py::ssize_t row = 0; row < lengths.shape(0); ++row)
        must_be(lengths.data()[row] >= 0 && lengths.data()[row] <= inputs.shape(1), "lengths: expected 0 to steps");
    must_be(blank >= 0 && blank < inputs.shape(2), "blank: expected one of the classes");
    must_be(kind >= 0 && kind <= int(CtcInputs::scores), "kind: unknown");
    return {inputs.shape(0), inputs.shape(1), inputs.shape(2), inputs.data(),
            lengths.data(),  int(blank),      CtcInputs(kind), 1};
}

// About the time of a frame, in the operations that threads_for counts.
int threads_for_rows(long rows, double work) { return int(std::min<long>(threads_for(work, 5e4), std::max(rows, 1l))); }

std::string number_text(double x) { return py::str(py::float_(x)); }

void raise(const CtcFault& fault, CtcInputs kind) {
    if (fault.kind == CtcFault::none) return;
    if (fault.kind == CtcFault::no_memory) throw std::bad_alloc();
    const std::string where = " at row " + std::to_string(fault.row) + ", step " + std::to_string(fault.step);
    const bool logarithms = kind == CtcInputs::log_probabilities;
    const std::string expected = kind == CtcInputs::logits          ? "logits"
                                 : logarithms                       ? "log probabilities"
                                 : kind == CtcInputs::probabilities ? "probabilities"
                                                                    : "numbers";
    const std::string start = "inputs: expected " + expected;
    const char* const hint = "; for outputs that are not normalised, kind is \"logits\"";
    switch (fault.kind) {
        case CtcFault::nan:
            throw py::value_error(start + ", got nan" + where);
        case CtcFault::infinite:
            throw py::value_error(start + ", got inf" + where);
        case CtcFault::impossible:
            throw py::value_error(start + ", got -inf for every class" + where);
        case CtcFault::out_of_range:
            throw py::value_error(start + (logarithms ? ", at most 0" : ", from 0 to 1") + ", got " +
                                  number_text(fault.value) + where + hint);
        default:
            throw py::value_error(start + (logarithms ? " whose exponentials add up to 1" : " that add up to 1") +
                                  ", got a sum of " + number_text(fault.value) + where + hint);
    }
}

py::list labels_of(const Labeling& labeling) {
    py::list labels(labeling.labels.size());
    for (std::size_t k = 0; k < labeling.labels.size(); ++k) labels[k] = py::int_(labeling.labels[k]);
    return labels;
}

template <class T>
py::tuple greedy(const Array<T>& inputs, const Array<int64_t>& lengths, long blank, int kind, bool merge_repeated) {
    CtcBatch<T> batch = batch_of(inputs, lengths, blank, kind);
    batch.threads = threads_for_rows(batch.batch, double(inputs.size()));
    std::vector<Labeling> results;
    CtcFault fault;
    {
        const WithoutGil release;
        fault = ctc_greedy(batch, merge_repeated, results);
    }
    raise(fault, batch.kind);
    py::list labels(results.size());
    py::array_t<double> scores(py::ssize_t(results.size()));
    for (std::size_t row = 0; row < results.size(); ++row) {
        labels[row] = labels_of(results[row]);
        scores.mutable_data()[row] = results[row].score;
    }
    return py::make_tuple(labels, scores);
}

// A language model of the user's. Runs under the GIL, on the thread that called. Answers are kept for as
// long as the utterance is decoded, also those of prefixes that left the beam.
class CallableScorer : public Scorer {
    const py::object function;
    const PrefixTrie* prefixes = nullptr;
    std::unordered_map<uint64_t, double> known;  // (node, label)

    double ask(int node, int label) {
        const std::vector<int32_t> labels = prefixes->labels(node);
        py::tuple prefix(labels.size());
        for (std::size_t k = 0; k < labels.size(); ++k) prefix[k] = py::int_(labels[k]);
        const py::object answer = function(prefix, label);
        const double x = PyFloat_AsDouble(answer.ptr());
        if (PyErr_Occurred()) {
            PyErr_Clear();
            throw py::type_error("lm: expected a number from a call with " + std::string(py::repr(prefix)) + " and " +
                                 std::to_string(label) + ", got " + std::string(py::repr(answer)));
        }
        if (!(x <= 1e-6))  // rounding
            throw py::value_error("lm: expected a log probability, at most 0, from a call with " +
                                  std::string(py::repr(prefix)) + " and " + std::to_string(label) + ", got " +
                                  number_text(x));
        return std::min(x, 0.0);
    }

 public:
    CallableScorer(py::object function, double alpha, double beta)
        : Scorer(alpha, beta), function(std::move(function)) {}
    void start(const PrefixTrie& trie) override { prefixes = &trie, known.clear(); }
    ModelState begin() override { return {}; }
    double extension(int node, const ModelState&, int label) override {
        const auto [at, made] = known.try_emplace(uint64_t(node) << 32 | uint32_t(label), 0.0);
        if (made) {
            try {
                at->second = ask(node, label);
            } catch (...) {
                known.erase(at);
                throw;
            }
        }
        return weighted(at->second) + beta;
    }
    ModelState advance(const ModelState& state, int) override { return state; }
};

// `lm`: None, a callable, or an NGramTable.
template <class T>
py::tuple beam_search(const Array<T>& inputs, const Array<int64_t>& lengths, long blank, int kind, long beam_width,
                      long top_paths, double cutoff, const py::object& lm, double alpha, double beta,
                      const std::vector<std::string>& labels, long separator) {
    CtcBatch<T> batch = batch_of(inputs, lengths, blank, kind);
    must_be(beam_width > 0, "beam_width: expected a positive integer");
    // Nodes of the trie, and the prefixes times classes of one step, are counted in int.
    must_be(double(beam_width) * double(std::max(batch.steps, batch.classes) + 1) < 2e9,
            "beam_width: times steps, or times classes, is more than 2e9");
    must_be(top_paths > 0 && top_paths <= beam_width, "top_paths: expected 1 to beam_width");
    must_be(!std::isnan(cutoff) && alpha >= 0 && std::isfinite(alpha) && std::isfinite(beta),
            "cutoff, alpha, beta: expected numbers");
    BeamOptions options{beam_width, top_paths, cutoff, beta, nullptr, true};
    std::unique_ptr<Scorer> scorer;
    if (py::isinstance<NGramTable>(lm)) {
        must_be(long(labels.size()) == batch.classes, "labels: expected one for each class");
        must_be(separator >= -1 && separator < batch.classes, "separator: expected one of the classes");
        scorer = std::make_unique<NGramScorer>(lm.cast<const NGramTable&>(), labels, int(separator), alpha, beta);
    } else if (!lm.is_none()) {
        scorer = std::make_unique<CallableScorer>(lm, alpha, beta);
        options.shared = false;
    }
    options.scorer = scorer.get();
    batch.threads = threads_for_rows(batch.batch, double(inputs.size()) * double(std::min(beam_width, 100l)));
    std::vector<std::vector<Labeling>> results;
    bool all_probabilities = false;
    CtcFault fault;
    if (options.shared) {
        const WithoutGil release;
        fault = ctc_beam_search(batch, options, results, all_probabilities);
    } else {
        fault = ctc_beam_search(batch, options, results, all_probabilities);
    }
    raise(fault, batch.kind);
    if (all_probabilities &&
        PyErr_WarnEx(
            PyExc_UserWarning,
            "inputs: expected logits, got numbers from 0 to 1 that add up to 1 at every step; for probabilities, "
            "kind is \"probabilities\"",
            2))
        throw py::error_already_set();
    py::list paths(results.size());
    py::array_t<double> scores({py::ssize_t(results.size()), py::ssize_t(top_paths)});
    std::fill_n(scores.mutable_data(), scores.size(), -std::numeric_limits<double>::infinity());
    for (std::size_t row = 0; row < results.size(); ++row) {
        py::list of_row(results[row].size());
        for (std::size_t k = 0; k < results[row].size(); ++k) {
            of_row[k] = labels_of(results[row][k]);
            scores.mutable_data()[row * top_paths + k] = results[row][k].score;
        }
        paths[row] = of_row;
    }
    return py::make_tuple(paths, scores);
}

// --- n-grams --------------------------------------------------------------------------------

using Entry = std::tuple<std::vector<int>, double, double>;  // tokens, log probability, log backoff

std::unique_ptr<NGramTable> make_table(const std::vector<std::string>& tokens, const std::vector<Entry>& entries,
                                       int begin, int end, int unknown_token, double unknown) {
    const int count = int(tokens.size());
    for (const int token : {begin, end, unknown_token}) must_be(token >= -1 && token < count, "no such token");
    auto table = std::make_unique<NGramTable>(tokens, begin, end, unknown_token, unknown);
    for (const auto& [sequence, log_probability, backoff] : entries) {
        must_be(!sequence.empty() && !std::isnan(log_probability) && std::abs(backoff) < 1e9, "not an n-gram");
        for (const int token : sequence) must_be(token >= 0 && token < count, "no such token");
        table->add(sequence, log_probability, backoff);
    }
    table->finish();
    return table;
}

// Log probabilities of tokens one after the other.
std::vector<double> table_scores(const NGramTable& table, const std::vector<std::string>& tokens, bool begin,
                                 bool end) {
    uint32_t context = begin ? table.start() : NGramTable::empty;
    std::vector<double> scores;
    for (const std::string& token : tokens)
        scores.push_back(table.score(context, table.token(table.spell(0, token)), context));
    if (end && table.end >= 0) scores.push_back(table.score(context, table.end, context));
    return scores;
}

// --- edit distance --------------------------------------------------------------------------

py::array_t<int64_t> edit_counts(const Array<int64_t>& a, const Array<int64_t>& a_first, const Array<int64_t>& b,
                                 const Array<int64_t>& b_first) {
    const py::ssize_t pairs = a_first.size() - 1;
    must_be(pairs >= 0 && b_first.size() == pairs + 1, "expected as many sequences in a as in b");
    double work = 0;
    for (const auto& [data, first] : {std::pair(&a, &a_first), std::pair(&b, &b_first)}) {
        must_be(first->data()[0] == 0 && first->data()[pairs] == data->size(), "first: expected 0 to the size");
        for (py::ssize_t k = 0; k < pairs; ++k) {
            must_be(first->data()[k] <= first->data()[k + 1], "first: expected numbers in order");
            // The counts of a pair share 64 bits.
            must_be(first->data()[k + 1] - first->data()[k] < (int64_t(1) << 30),
                    "a sequence has 2^30 elements or more");
        }
    }
    for (py::ssize_t k = 0; k < pairs; ++k)
        work += double(a_first.data()[k + 1] - a_first.data()[k]) * double(b_first.data()[k + 1] - b_first.data()[k]);
    py::array_t<int64_t> counts({pairs, py::ssize_t(3)});
    const EditProblem problem{long(pairs),
                              a.data(),
                              a_first.data(),
                              b.data(),
                              b_first.data(),
                              counts.mutable_data(),
                              threads_for_rows(long(pairs), work)};
    bool done;
    {
        const WithoutGil release;
        done = edit_distances(problem);
    }
    if (!done) throw std::bad_alloc();
    return counts;
}

}  // namespace

void register_decoders(py::module_& m) {
    m.def("ctc_greedy", greedy<float>, py::arg("inputs").noconvert(), py::arg("lengths"), py::arg("blank"),
          py::arg("kind"), py::arg("merge_repeated"));
    m.def("ctc_greedy", greedy<double>, py::arg("inputs").noconvert(), py::arg("lengths"), py::arg("blank"),
          py::arg("kind"), py::arg("merge_repeated"));
    m.def("ctc_beam_search", beam_search<float>, py::arg("inputs").noconvert(), py::arg("lengths"), py::arg("blank"),
          py::arg("kind"), py::arg("beam_width"), py::arg("top_paths"), py::arg("cutoff"), py::arg("lm"),
          py::arg("alpha"), py::arg("beta"), py::arg("labels"), py::arg("separator"));
    m.def("ctc_beam_search", beam_search<double>, py::arg("inputs").noconvert(), py::arg("lengths"), py::arg("blank"),
          py::arg("kind"), py::arg("beam_width"), py::arg("top_paths"), py::arg("cutoff"), py::arg("lm"),
          py::arg("alpha"), py::arg("beta"), py::arg("labels"), py::arg("separator"));
    py::class_<NGramTable>(m, "NGramTable")
        .def(py::init(&make_table), py::arg("tokens"), py::arg("entries"), py::arg("begin"), py::arg("end"),
             py::arg("unknown_token"), py::arg("unknown"))
        .def("scores", table_scores, py::arg("tokens"), py::arg("begin"), py::arg("end"));
    m.def("edit_counts", edit_counts, py::arg("a"), py::arg("a_first"), py::arg("b"), py::arg("b_first"));
}

}  // namespace lstmcore
