// Decoders, n-gram tables and edit distances, for Python. Dtypes, shapes and most arguments are checked in
// python/lstmcore/decoders/ and metrics/edit_distance.py; here whatever could reach beyond the memory.
#include <pybind11/stl.h>

#include <cmath>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/gil.hpp"
#include "bindings/objects.hpp"
#include "bindings/register.hpp"
#include "decode/ctc_decode.hpp"
#include "decode/edit_distance.hpp"
#include "decode/ngram.hpp"
#include "threads.hpp"

namespace lstmcore {
namespace {

void must_be(bool right, const char* what) {
    if (!right) throw py::value_error(what);
}

// --- CTC ------------------------------------------------------------------------------------

// The inputs as they came, and copies of the lengths.
struct Inputs {
    py::array array;
    std::vector<int64_t> lengths;
    View view;

    Inputs(py::handle inputs, py::handle lengths_) : array(as_array("inputs", inputs)) {
        const py::array given = as_array("lengths", lengths_);
        must_be_shaped("inputs", {{"batch"}, {"steps"}, {"classes"}}, array);
        lengths = integers("lengths", given, {{"batch", array.shape(0)}});
    }

    template <class T>
    CtcBatch<T> batch(py::handle blank, py::handle kind) {
        view = contiguous<T>("inputs", array, {{"batch", long(lengths.size())}, {"steps"}, {"classes"}});
        const long classes = view.shape[2];
        must_be(classes > 0 && classes < std::numeric_limits<int>::max(), "inputs: expected 1 to 2**31 - 2 classes");
        for (const int64_t length : lengths)
            must_be(length >= 0 && length <= view.shape[1], "lengths: expected 0 to steps");
        return {view.shape[0],
                view.shape[1],
                classes,
                pointer<T>(view),
                lengths.data(),
                int(integer("blank", blank, 0, classes - 1, "a class")),
                CtcInputs(integer("kind", kind, 0, int(CtcInputs::scores))),
                1};
    }
};

// About the time of a frame, in the operations that threads_for counts.
int threads_for_rows(long rows, double work) { return int(std::min<long>(threads_for(work, 5e4), std::max(rows, 1l))); }

std::string number_text(double x) { return py::str(py::float_(x)); }

void raise(const CtcFault& fault, CtcInputs kind) {
    if (fault.kind == CtcFault::none) return;
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

py::tuple greedy(py::handle inputs_, py::handle lengths, py::handle blank, py::handle kind, py::handle merge_repeated) {
    Inputs inputs(inputs_, lengths);
    const bool merges = flag("merge_repeated", merge_repeated);
    return by_dtype("inputs", inputs.array, [&](auto tag) {
        CtcBatch<decltype(tag)> batch = inputs.batch<decltype(tag)>(blank, kind);
        batch.threads = threads_for_rows(batch.batch, double(inputs.view.size()));
        std::vector<Labeling> results;
        CtcFault fault;
        {
            const WithoutGil release;
            fault = ctc_greedy(batch, merges, results);
        }
        raise(fault, batch.kind);
        py::list labels(results.size());
        const View scores = new_array<double>({py::ssize_t(results.size())});
        for (std::size_t row = 0; row < results.size(); ++row) {
            labels[row] = labels_of(results[row]);
            pointer<double>(scores)[row] = results[row].score;
        }
        return py::make_tuple(labels, scores.owner);
    });
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
        const py::int_ next(label);
        const py::object answer = py::reinterpret_steal<py::object>(
            in_python([&] { return PyObject_CallFunctionObjArgs(function.ptr(), prefix.ptr(), next.ptr(), nullptr); }));
        if (!answer) throw py::error_already_set();
        const double x = in_python([&] { return PyFloat_AsDouble(answer.ptr()); });
        if (PyErr_Occurred()) {
            if (!PyErr_ExceptionMatches(PyExc_TypeError)) throw py::error_already_set();
            PyErr_Clear();
            throw py::type_error("lm: expected a number from a call with " + std::string(py::repr(prefix)) + " and " +
                                 std::to_string(label) + ", got " + text_of(answer));
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
py::tuple beam_search(py::handle inputs_, py::handle lengths, py::handle blank, py::handle kind, py::handle beam_width_,
                      py::handle top_paths_, py::handle cutoff_, const py::object& lm, py::handle alpha_,
                      py::handle beta_, const std::vector<std::string>& labels, py::handle separator_) {
    constexpr double infinity = std::numeric_limits<double>::infinity(), most = std::numeric_limits<double>::max();
    Inputs inputs(inputs_, lengths);
    BeamOptions options{};
    options.width = integer("beam_width", beam_width_, 1, 2000000000);
    options.top_paths = integer("top_paths", top_paths_, 1, options.width);
    options.cutoff = number("cutoff", cutoff_, -infinity, infinity);
    const double alpha = number("alpha", alpha_, 0, most), beta = number("beta", beta_, -most, most);
    options.beta = beta, options.shared = true;
    return by_dtype("inputs", inputs.array, [&](auto tag) {
        CtcBatch<decltype(tag)> batch = inputs.batch<decltype(tag)>(blank, kind);
        // Nodes of the trie, and the prefixes times classes of one step, are counted in int.
        must_be(double(options.width) * double(std::max(batch.steps, batch.classes) + 1) < 2e9,
                "beam_width: times steps, or times classes, is more than 2e9");
        std::unique_ptr<Scorer> scorer;
        if (py::isinstance<NGramTable>(lm)) {
            must_be(long(labels.size()) == batch.classes, "labels: expected one for each class");
            const long separator = integer("separator", separator_, -1, batch.classes - 1);
            scorer = std::make_unique<NGramScorer>(lm.cast<const NGramTable&>(), labels, int(separator), alpha, beta);
        } else if (!lm.is_none()) {
            scorer = std::make_unique<CallableScorer>(lm, alpha, beta);
            options.shared = false;
        }
        options.scorer = scorer.get();
        batch.threads =
            threads_for_rows(batch.batch, double(inputs.view.size()) * double(std::min(options.width, 100l)));
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
        const View scores = new_array<double>({py::ssize_t(results.size()), py::ssize_t(options.top_paths)});
        std::fill_n(pointer<double>(scores), scores.size(), -infinity);
        for (std::size_t row = 0; row < results.size(); ++row) {
            py::list of_row(results[row].size());
            for (std::size_t k = 0; k < results[row].size(); ++k) {
                of_row[k] = labels_of(results[row][k]);
                pointer<double>(scores)[row * options.top_paths + k] = results[row][k].score;
            }
            paths[row] = of_row;
        }
        return py::make_tuple(paths, scores.owner);
    });
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

// Sequences end to end, and where each begins.
struct Sequences {
    std::vector<int64_t> values, first;

    Sequences(const py::array& values_, const py::array& first_)
        : values(integers("sequences", values_, {{"size"}})), first(integers("first", first_, {{"sequences + 1"}})) {
        must_be(!first.empty() && first.front() == 0 && first.back() == int64_t(values.size()),
                "first: expected 0 to the size");
        for (std::size_t k = 0; k + 1 < first.size(); ++k) {
            must_be(first[k] <= first[k + 1], "first: expected numbers in order");
            // The counts of a pair share 64 bits.
            must_be(first[k + 1] - first[k] < (int64_t(1) << 30), "a sequence has 2^30 elements or more");
        }
    }
};

py::object edit_counts(py::handle a_, py::handle a_first, py::handle b_, py::handle b_first) {
    const py::array arrays[] = {as_array("a", a_), as_array("a_first", a_first), as_array("b", b_),
                                as_array("b_first", b_first)};
    const Sequences a(arrays[0], arrays[1]), b(arrays[2], arrays[3]);
    must_be(a.first.size() == b.first.size(), "expected as many sequences in a as in b");
    const long pairs = long(a.first.size()) - 1;
    double work = 0;
    for (long k = 0; k < pairs; ++k) work += double(a.first[k + 1] - a.first[k]) * double(b.first[k + 1] - b.first[k]);
    const View counts = new_array<int64_t>({pairs, 3});
    const EditProblem problem{pairs,
                              a.values.data(),
                              a.first.data(),
                              b.values.data(),
                              b.first.data(),
                              pointer<int64_t>(counts),
                              threads_for_rows(pairs, work)};
    {
        const WithoutGil release;
        edit_distances(problem);
    }
    return counts.owner;
}

}  // namespace

void register_decode(py::module_& m) {
    m.def("ctc_greedy", greedy, py::arg("inputs"), py::arg("lengths"), py::arg("blank"), py::arg("kind"),
          py::arg("merge_repeated"));
    m.def("ctc_beam_search", beam_search, py::arg("inputs"), py::arg("lengths"), py::arg("blank"), py::arg("kind"),
          py::arg("beam_width"), py::arg("top_paths"), py::arg("cutoff"), py::arg("lm"), py::arg("alpha"),
          py::arg("beta"), py::arg("labels"), py::arg("separator"));
    py::class_<NGramTable> table_class(m, "NGramTable", py::is_final());
    table_class.def("scores", table_scores, py::arg("tokens"), py::arg("begin"), py::arg("end"));
    made_by(table_class, make_table, py::arg("tokens"), py::arg("entries"), py::arg("begin"), py::arg("end"),
            py::arg("unknown_token"), py::arg("unknown"));
    m.def("edit_counts", edit_counts, py::arg("a"), py::arg("a_first"), py::arg("b"), py::arg("b_first"));
}

}  // namespace lstmcore
