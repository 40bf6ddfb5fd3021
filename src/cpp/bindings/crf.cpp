// Conditional random fields: loss, gradient, best path.
#include <algorithm>
#include <string>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/gil.hpp"
#include "bindings/register.hpp"
#include "core.hpp"
#include "runtime/kernel_table.hpp"
#include "runtime/memory.hpp"
#include "threads.hpp"

namespace lstmcore {
namespace {

// The arguments that all have, as arrays: made before the first of them is looked at, for that may run any Python.
struct Given {
    py::array emissions, transitions, start, end;
    py::object lengths;
    Given(py::handle emissions, py::handle transitions, py::handle start, py::handle end, py::handle lengths)
        : emissions(as_array("emissions", emissions)),
          transitions(as_array("transitions", transitions)),
          start(as_array("start", start)),
          end(as_array("end", end)),
          lengths(as_array_or_none("lengths", lengths)) {}
};

// The same, checked, and kept for the length of a call.
template <class T>
struct Scores {
    View emissions, transitions, start, end;
    std::vector<int64_t> lengths;

    explicit Scores(const Given& given)
        : emissions(features_contiguous<T>("emissions", given.emissions, {{"batch"}, {"steps"}, {"tags"}})) {
        const long tags = emissions.shape[2];
        if (tags == 0) throw py::value_error("emissions: expected at least one tag, got shape (batch, steps, 0)");
        transitions = contiguous<T>("transitions", given.transitions, {{"tags", tags}, {"tags", tags}});
        start = contiguous<T>("start", given.start, {{"tags", tags}});
        end = contiguous<T>("end", given.end, {{"tags", tags}});
        lengths = lengths_or_full("lengths", given.lengths, emissions.shape[0], emissions.shape[1], "steps");
    }
    // `weight` of the work for each step and pair of tags. No more threads than rows.
    CrfScores<T> problem(double weight) const {
        CrfScores<T> s{};
        s.batch = emissions.shape[0], s.steps = emissions.shape[1], s.tags = emissions.shape[2];
        s.x = pointer<T>(emissions);
        s.x_batch = emissions.strides[0] / py::ssize_t(sizeof(T));
        s.x_step = emissions.strides[1] / py::ssize_t(sizeof(T));
        s.transitions = pointer<T>(transitions), s.start = pointer<T>(start), s.end = pointer<T>(end);
        s.lengths = lengths.data();
        const double work = weight * double(s.batch) * double(s.steps) * double(s.tags) * double(s.tags + 8);
        s.threads = std::min(threads_for(work, 1e5), int(std::clamp(s.batch, 1l, long(most_threads))));
        return s;
    }
};

template <class T>
void check_labels(const std::vector<int64_t>& labels, const CrfScores<T>& s) {
    for (long b = 0; b < s.batch; ++b)
        for (long t = 0; t < s.lengths[b]; ++t) {
            const int64_t label = labels[std::size_t(b * s.steps + t)];
            if (label < 0 || label >= s.tags)
                throw py::value_error("labels: expected numbers from 0 to " + std::to_string(s.tags - 1) +
                                      " (tags), got " + std::to_string(label) + " at (" + std::to_string(b) + ", " +
                                      std::to_string(t) + ")");
        }
}

// The loss of every row, or ln Z without labels, and its gradient by (emissions, transitions, start, end), times the
// row's scale, or None.
py::tuple crf(py::handle emissions_, py::handle labels_, py::handle transitions_, py::handle start_, py::handle end_,
              py::handle lengths_, py::handle gradient, py::handle scale_) {
    const Given given(emissions_, transitions_, start_, end_, lengths_);
    const py::object labels_array = as_array_or_none("labels", labels_),
                     scale_array = as_array_or_none("scale", scale_);
    const bool wants_gradient = flag("gradient", gradient);
    return by_dtype("emissions", given.emissions, [&](auto tag) -> py::tuple {
        using T = decltype(tag);
        const Scores<T> scores(given);
        CrfProblem<T> p{};
        p.scores = scores.problem(wants_gradient ? 3 : 1);
        const long batch = p.scores.batch, steps = p.scores.steps, tags = p.scores.tags;
        std::vector<int64_t> labels;
        if (labels_array) {
            labels = integers("labels", array_of(labels_array), {{"batch", batch}, {"steps", steps}});
            check_labels(labels, p.scores);
            p.labels = labels.data();
        }
        View scale;
        if (scale_array) {
            scale = contiguous<T>("scale", array_of(scale_array), {{"batch", batch}});
            p.scale = pointer<T>(scale);
        }
        const View losses = new_array<T>({batch});
        p.losses = pointer<T>(losses);
        py::object d = py::none();
        if (wants_gradient) {
            checked_product("transitions", {std::size_t(batch), std::size_t(tags), std::size_t(tags), sizeof(T)});
            const View d_emissions = new_array<T>({batch, steps, tags}),
                       d_transitions = new_array<T>({batch, tags, tags}), d_start = new_array<T>({batch, tags}),
                       d_end = new_array<T>({batch, tags});
            p.d_emissions = pointer<T>(d_emissions), p.d_transitions = pointer<T>(d_transitions);
            p.d_start = pointer<T>(d_start), p.d_end = pointer<T>(d_end);
            d = py::make_tuple(d_emissions.owner, d_transitions.owner, d_start.owner, d_end.owner);
        }
        if (batch) {
            const Buffer<double> workspace(kernels<T>().crf_workspace(p));
            p.scores.workspace = workspace.get();
            const WithoutGil release;
            kernels<T>().crf(p);
        }
        return py::make_tuple(losses.owner, d);
    });
}

// The best path of every row, and its score.
py::tuple crf_decode(py::handle emissions_, py::handle transitions_, py::handle start_, py::handle end_,
                     py::handle lengths_) {
    const Given given(emissions_, transitions_, start_, end_, lengths_);
    return by_dtype("emissions", given.emissions, [&](auto tag) -> py::tuple {
        using T = decltype(tag);
        const Scores<T> scores(given);
        CrfDecodeProblem<T> p{};
        p.scores = scores.problem(1);
        const View paths = new_array<int64_t>({p.scores.batch, p.scores.steps}), best = new_array<T>({p.scores.batch});
        p.paths = pointer<int64_t>(paths), p.scores_of_paths = pointer<T>(best);
        if (p.scores.batch) {
            const Buffer<double> workspace(kernels<T>().crf_decode_workspace(p));
            p.scores.workspace = workspace.get();
            const WithoutGil release;
            kernels<T>().crf_decode(p);
        }
        return py::make_tuple(paths.owner, best.owner);
    });
}

}  // namespace

void register_crf(py::module_& m) {
    m.def("crf", crf, py::arg("emissions"), py::arg("labels"), py::arg("transitions"), py::arg("start"), py::arg("end"),
          py::arg("lengths"), py::arg("gradient"), py::arg("scale") = py::none());
    m.def("crf_decode", crf_decode, py::arg("emissions"), py::arg("transitions"), py::arg("start"), py::arg("end"),
          py::arg("lengths"));
}

}  // namespace lstmcore
