// Steps of optimizers, and connectionist temporal classification.
#include <pybind11/stl.h>

#include <algorithm>
#include <limits>
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

template <class T>
const OptimizerRule<T>& optimizer_rule(const std::string& name) {
    std::string known;
    for (const OptimizerRule<T>* rule = kernels<T>().optimizer_rules; rule->name; ++rule) {
        if (name == rule->name) return *rule;
        known += (known.empty() ? "" : ", ") + std::string(rule->name);
    }
    throw py::value_error("rule: expected one of " + known + ", got '" + name + "'");
}

void must_be_of_number(const char* argument, const std::string& rule, int expected, std::size_t got) {
    if (got != std::size_t(expected))
        throw py::value_error(std::string(argument) + ": " + rule + " takes " + std::to_string(expected) + ", got " +
                              std::to_string(got));
}

void optimizer_step(const std::string& rule_name, py::handle parameters_, py::handle gradients_,
                    const std::vector<py::object>& slots_, const std::vector<double>& numbers, double scale,
                    double limit, double decay) {
    const py::array parameters_array = as_array("parameters", parameters_),
                    gradients_array = as_array("gradients", gradients_);
    by_dtype("parameters", parameters_array, [&](auto tag) {
        using T = decltype(tag);
        const OptimizerRule<T>& rule = optimizer_rule<T>(rule_name);
        must_be_of_number("slots", rule_name, rule.slots, slots_.size());
        must_be_of_number("numbers", rule_name, rule.numbers, numbers.size());
        const View parameters = output<T>("parameters", parameters_, {{"size"}});
        const long n = parameters.shape[0];
        const View gradients = contiguous<T>("gradients", gradients_array, {{"size", n}});
        must_not_overlap("parameters", parameters, "gradients", gradients);
        OptimizerProblem<T> p{};
        p.size = std::size_t(n), p.parameters = pointer<T>(parameters), p.gradients = pointer<T>(gradients);
        std::vector<View> slots;
        for (const py::object& object : slots_) {
            const View slot = output<T>("slots", object, {{"size", n}});
            must_not_overlap("slots", slot, "parameters", parameters);
            must_not_overlap("slots", slot, "gradients", gradients);
            for (const View& other : slots) must_not_overlap("slots", slot, "another of them", other);
            p.slots[slots.size()] = pointer<T>(slot);
            slots.push_back(slot);
        }
        std::copy(numbers.begin(), numbers.end(), p.numbers);
        p.scale = scale, p.limit = limit, p.decay = decay;
        p.threads = threads_for(double(n), 5e4);
        const WithoutGil release;
        rule.step(p);
    });
}

double sum_of_squares(py::handle x_) {
    const py::array x = as_array("x", x_);
    return by_dtype("x", x, [&](auto tag) {
        using T = decltype(tag);
        const View values = flat<T>(x);
        const WithoutGil release;
        return kernels<T>().sum_of_squares(pointer<T>(values), std::size_t(values.shape[0]));
    });
}

// --- connectionist temporal classification --------------------------------------------------

void check_labels(const int64_t* labels, const std::vector<int64_t>& lengths, long width, long classes, long blank) {
    for (std::size_t b = 0; b < lengths.size(); ++b)
        for (long s = 0; s < lengths[b]; ++s) {
            const int64_t label = labels[b * width + s];
            if (label >= 0 && label < classes && label != blank) continue;
            const std::string where = " at (" + std::to_string(b) + ", " + std::to_string(s) + ")";
            if (label < 0 || label >= classes)
                throw py::value_error("labels: expected numbers from 0 to " + std::to_string(classes - 1) +
                                      " (classes), got " + std::to_string(label) + where);
            throw py::value_error("labels: expected no blank (" + std::to_string(blank) + ") among them, got one" +
                                  where);
        }
}

// The loss of every row, and its gradient (times the row's scale) or None.
py::tuple ctc(py::handle inputs_, py::handle labels_, py::handle input_lengths_, py::handle label_lengths_,
              py::handle blank, py::handle from_logits, py::handle zero_infinity, py::handle gradient,
              py::handle scale_) {
    const py::array inputs_array = as_array("inputs", inputs_), labels_array = as_array("labels", labels_);
    const py::object input_lengths_array = as_array_or_none("input_lengths", input_lengths_),
                     label_lengths_array = as_array_or_none("label_lengths", label_lengths_),
                     scale_array = as_array_or_none("scale", scale_);
    const bool logits = flag("from_logits", from_logits), zeros_for_infinity = flag("zero_infinity", zero_infinity),
               wants_gradient = flag("gradient", gradient);
    return by_dtype("inputs", inputs_array, [&](auto tag) -> py::tuple {
        using T = decltype(tag);
        const View inputs = features_contiguous<T>("inputs", inputs_array, {{"batch"}, {"steps"}, {"classes"}});
        CtcProblem<T> p{};
        const long batch = p.batch = inputs.shape[0], steps = p.steps = inputs.shape[1];
        const long classes = p.classes = inputs.shape[2];
        p.blank = integer("blank", blank, 0, classes - 1, "a class");
        const std::vector<int64_t> labels = integers("labels", labels_array, {{"batch", batch}, {"max_labels"}});
        p.max_labels = batch ? long(labels.size()) / batch : 0;
        const auto input_lengths = lengths_or_full("input_lengths", input_lengths_array, batch, steps, "steps");
        const auto label_lengths =
            lengths_or_full("label_lengths", label_lengths_array, batch, p.max_labels, "max_labels");
        check_labels(labels.data(), label_lengths, p.max_labels, classes, p.blank);
        p.x = pointer<T>(inputs);
        p.x_batch = inputs.strides[0] / py::ssize_t(sizeof(T)), p.x_step = inputs.strides[1] / py::ssize_t(sizeof(T));
        p.labels = labels.data(), p.input_lengths = input_lengths.data(), p.label_lengths = label_lengths.data();
        p.logits = logits, p.zero_infinity = zeros_for_infinity;
        View scale;
        if (scale_array) {
            scale = contiguous<T>("scale", scale_array, {{"batch", batch}});
            p.scale = pointer<T>(scale);
        }
        const View losses = new_array<T>({batch});
        p.losses = pointer<T>(losses);
        py::object d_inputs = py::none();
        if (wants_gradient) {
            const View made = new_array<T>({batch, steps, classes});
            p.gradient = pointer<T>(made);
            d_inputs = made.owner;
        }
        if (batch) {
            // Longer labels than any row has cost nothing.
            const long longest = long(*std::max_element(label_lengths.begin(), label_lengths.end()));
            const double work = double(batch) * double(steps) * double(classes + 4 * longest);
            p.threads = std::min(threads_for(work, 2e4), int(std::min(batch, 4096l)));
            const Buffer<double> workspace(
                checked_product("inputs", {kernels<T>().ctc_workspace(p), std::size_t(p.threads)}));
            p.workspace = workspace.get();
            const WithoutGil release;
            kernels<T>().ctc(p);
        }
        return py::make_tuple(losses.owner, d_inputs);
    });
}

}  // namespace

void register_training(py::module_& m) {
    m.def("optimizer_step", optimizer_step, py::arg("rule"), py::arg("parameters"), py::arg("gradients"),
          py::arg("slots"), py::arg("numbers"), py::arg("scale") = 1.0,
          py::arg("limit") = std::numeric_limits<double>::infinity(), py::arg("decay") = 0.0);
    m.def("sum_of_squares", sum_of_squares, py::arg("x"));
    m.def("ctc", ctc, py::arg("inputs"), py::arg("labels"), py::arg("input_lengths"), py::arg("label_lengths"),
          py::arg("blank"), py::arg("from_logits"), py::arg("zero_infinity"), py::arg("gradient"),
          py::arg("scale") = py::none());
}

}  // namespace lstmcore
