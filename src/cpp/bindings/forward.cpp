// The forward pass of recurrent layers.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings/calls.hpp"
#include "bindings/objects.hpp"
#include "bindings/register.hpp"

namespace lstmcore {
namespace {

// All of them arrays already, or absent: only then is the first looked at.
struct ForwardArguments {
    py::array inputs;
    States states;
    bool return_sequences, training;
    py::object out, lengths, mask;
    bool zero_output, backwards;
    py::object x_dropout, h_dropout;
    Zoneout zoneout;
    bool shared;
};

// The inputs, checked. What is of a call is made where it stays: a view that is moved after it was made, word by word,
// is waited for.
template <class T>
View inputs_of(const CellWeights& w, const ForwardArguments& a) {
    if (a.training && !w.training)
        throw py::value_error("weights: were packed for inference; pack them with training=True");
    View x = checked<T>("inputs", a.inputs, {{"batch"}, {"steps"}, {"inputs", w.shape.inputs}});
    const long batch = x.shape[0], steps = x.shape[1], inputs = w.shape.inputs;
    if (steps == 0) wrong_shape("inputs", {{"batch"}, {"steps > 0"}, {"inputs", inputs}}, x.shape, x.dimensions);
    if (batch > (1l << 31) - 1 || steps > (1l << 31) - 1)
        throw py::value_error("inputs: expected fewer than 2**31 rows and steps");
    checked_product("inputs", {std::size_t(batch), std::size_t(steps), std::size_t(16 * w.shape.units), sizeof(T)});
    make_features_contiguous<T>(x);
    return x;
}

RecurrentShape with_rows(RecurrentShape shape, const View& x) {
    shape.batch = x.shape[0], shape.steps = x.shape[1];
    return shape;
}

// Dropout factors: (batch, width) for all gates or (gates, batch, width).
template <class T>
View factors_of(const char* argument, const py::object& given, long gates, const Dim& batch, const Dim& width) {
    if (!given) return {};
    if (array_of(given).ndim() == 3) return contiguous<T>(argument, given, {{"gates", gates}, batch, width});
    return contiguous<T>(argument, given, {batch, width});
}
// Rows times their factors, as they are before they become narrow.
template <class T>
View with_factors(const View& x, const View& factors) {
    const View product = new_array<T>({x.shape[0], x.shape[1], x.shape[2]});
    constexpr py::ssize_t size = sizeof(T);
    const T* own = pointer<T>(factors);
    T* to = pointer<T>(product);
    for (long b = 0; b < x.shape[0]; ++b, own += x.shape[2])
        for (long t = 0; t < x.shape[1]; ++t, to += x.shape[2]) {
            const T* row = pointer<T>(x) + (b * x.strides[0] + t * x.strides[1]) / size;
            for (long i = 0; i < x.shape[2]; ++i) to[i] = row[i] * own[i];
        }
    return product;
}

template <class T>
Dropout<T> dropout(const View& factors) {
    if (!factors) return {};
    return {pointer<T>(factors), factors.dimensions == 3 ? int(factors.shape[0]) : 1};
}

// Lengths or a mask, checked, as a plan; null where nothing is padding.
std::shared_ptr<const Plan> padding_plan(const RecurrentShape& s, const ForwardArguments& a) {
    const long batch = s.batch, steps = s.steps;
    // Masks of zoneout belong to the steps of the arrays, so these must be known.
    const bool always = a.backwards && a.zoneout.random;
    if (!a.lengths && !a.mask && !always) return nullptr;
    if (a.lengths && a.mask) throw py::value_error("mask: give lengths or a mask, not both");
    checked_product("inputs", {std::size_t(batch), std::size_t(steps)});
    std::vector<unsigned char> valid;
    if (a.mask) {
        valid = booleans("mask", array_of(a.mask), {{"batch", batch}, {"steps", steps}});
    } else {
        valid.assign(std::size_t(batch) * steps, 1);
        if (a.lengths) {
            const std::vector<int64_t> values = integers("lengths", array_of(a.lengths), {{"batch", batch}});
            for (long b = 0; b < batch; ++b) {
                if (values[b] < 0 || values[b] > steps)
                    throw py::value_error("lengths: expected numbers from 0 to " + std::to_string(steps) +
                                          " (steps), got " + std::to_string(values[b]) + " at " + std::to_string(b));
                std::fill(valid.begin() + b * steps + values[b], valid.begin() + (b + 1) * steps, 0);
            }
        }
    }
    return make_plan(batch, steps, std::move(valid), a.backwards, a.mask && !a.zero_output, always);
}

template <class T>
class ForwardCall final : public Call {
    const bool training, shared, given_out;
    View x;
    const RecurrentShape shape;
    const Dim batch, width;
    View x_dropout, h_dropout, outputs, initial[most_states], last[most_states];  // some absent
    View factors;                                // that the inputs have been multiplied with here
    Memory memory_of_inputs, memory_of_outputs;  // of training, as it was before others ran
    Forward<T> own;

    // A state that was given, and the one that is returned.
    View given_state(const CellWeights& w, const ForwardArguments& a, int k) const {
        if (!a.states[k]) return {};
        static const StateNames name("initial_state");
        return contiguous<T>(name(*w.cell, k), array_of(a.states[k]), {batch, k ? Dim{"units", shape.units} : width});
    }
    View new_state(const CellWeights& w, int k) const {
        if (!w.cell->states[k]) return {};
        return new_array<T>({shape.batch, k ? shape.units : shape.outputs});
    }
    View outputs_of(const ForwardArguments& a) const {
        const Dim steps{"steps", shape.steps};
        if (!a.out)
            return a.return_sequences ? new_array<T>({shape.batch, shape.steps, shape.outputs})
                                      : new_array<T>({shape.batch, shape.outputs});
        return a.return_sequences ? strided_output<T>("out", a.out, {batch, steps, width})
                                  : strided_output<T>("out", a.out, {batch, width});
    }

 public:
    ForwardCall(const std::shared_ptr<CellWeights>& w, const ForwardArguments& a)
        : training(a.training),
          shared(a.training && a.shared && a.return_sequences),
          given_out(bool(a.out)),
          x(inputs_of<T>(*w, a)),
          shape(with_rows(w->shape, x)),
          batch{"batch", shape.batch},
          width{output_name(w->options), shape.outputs},
          x_dropout(factors_of<T>("dropout_mask", a.x_dropout, w->gates, batch, {"inputs", shape.inputs})),
          h_dropout(factors_of<T>("recurrent_dropout_mask", a.h_dropout, w->gates, batch, width)),
          outputs(outputs_of(a)),
          initial{given_state(*w, a, 0), given_state(*w, a, 1), given_state(*w, a, 2), given_state(*w, a, 3)},
          last{new_state(*w, 0), new_state(*w, 1), new_state(*w, 2), new_state(*w, 3)} {
        static_assert(most_states == 4, "an initializer for each");
        if (h_dropout && !w->cell->recurrent)
            throw py::value_error("recurrent_dropout_mask: " + std::string(w->cell->name) +
                                  " has no recurrent product to drop h in");
        const bool narrow = w->precision != Precision::full;
        if (narrow && h_dropout)
            throw py::value_error("recurrent_dropout_mask: expected none, for weights of reduced precision");
        if (narrow && x_dropout && x_dropout.dimensions == 3)
            throw py::value_error(
                "dropout_mask: expected one for all gates, of shape (batch, inputs), for weights of "
                "reduced precision");
        if (a.training && !a.zoneout.random && (a.zoneout.h > 0 || a.zoneout.c > 0))
            throw py::value_error("zoneout: training needs a seed");
        if (given_out) {
            must_not_overlap("out", outputs, "inputs", x);
            for (const View& state : initial)
                if (state) must_not_overlap("out", outputs, "initial_state", state);
            if (x_dropout) must_not_overlap("out", outputs, "dropout_mask", x_dropout);
            if (h_dropout) must_not_overlap("out", outputs, "recurrent_dropout_mask", h_dropout);
        }
        if (narrow && x_dropout) {
            x = with_factors<T>(x, x_dropout);
            factors = std::move(x_dropout), x_dropout = {};
        }
        Run<T>& run = own.call;
        run.weights = w, run.shape = shape;
        run.return_sequences = a.return_sequences, run.backwards = a.backwards;
        run.plan = padding_plan(shape, a);
        run.x = sequence<const T>(x);
        run.x_dropout = dropout<T>(x_dropout), run.h_dropout = dropout<T>(h_dropout);
        run.zoneout = a.zoneout;
        own.training = training, own.shared = shared;
        own.outputs =
            a.return_sequences ? sequence<T>(outputs) : Sequence<T>{pointer<T>(outputs),
                                                                    outputs.strides[0] / py::ssize_t(sizeof(T)),
                                                                    0,
                                                                    -1,
                                                                    nullptr,
                                                                    nullptr,
                                                                    nullptr};
        for (int k = 0; w->cell->states[k]; ++k) {
            run.has_state = run.has_state || initial[k];
            run.initial[k] = initial[k] ? pointer<T>(initial[k]) : nullptr, own.last[k] = pointer<T>(last[k]);
        }
        if (training) memory_of_inputs = Memory(x);
        if (shared) memory_of_outputs = Memory(outputs);
        own.start();
    }

    Pass& pass() override { return own; }

    py::tuple results() override {
        const int count = own.call.weights->cell->state_count();
        const py::tuple states(count);
        for (int k = 0; k < count; ++k) PyTuple_SET_ITEM(states.ptr(), k, last[k].owner.inc_ref().ptr());
        if (!training)
            return py::reinterpret_steal<py::tuple>(PyTuple_Pack(3, outputs.owner.ptr(), states.ptr(), Py_None));
        auto cache = std::make_shared<Cache>();
        cache->kept = own.keep();
        cache->memory_of_inputs = std::move(memory_of_inputs);
        cache->memory_of_outputs = std::move(memory_of_outputs);
        cache->inputs = std::move(x), cache->factors = std::move(factors);
        py::object handed_out = outputs.owner;
        if (shared) {
            if (!given_out) handed_out = read_only_array<T>(outputs);
            cache->outputs = std::move(outputs);
        }
        return py::make_tuple(handed_out, states, cache);
    }
};

// The arguments of a forward pass in their order, from a tuple or from CPython; `cell`, the last, says whose
// weights they must be, or is None.
constexpr Py_ssize_t forward_argument_count = 15;

template <class F>
auto with_forward_arguments(PyObject* const* a, F f) {
    const std::shared_ptr<CellWeights> w = packed_weights(a[0]);
    const py::handle cell = a[forward_argument_count - 1];
    if (!cell.is_none() &&
        !(PyUnicode_Check(cell.ptr()) && !PyUnicode_CompareWithASCIIString(cell.ptr(), w->cell->name)))
        throw py::value_error("weights: expected weights packed for " + std::string(py::str(cell)) + ", got those of " +
                              w->cell->name);
    const ForwardArguments arguments{as_array("inputs", a[1]),
                                     read_states("initial_state", a[2], *w->cell),
                                     flag("return_sequences", a[3]),
                                     flag("training", a[4]),
                                     a[5] == Py_None ? py::object() : py::reinterpret_borrow<py::object>(a[5]),
                                     as_array_or_none("lengths", a[6]),
                                     as_array_or_none("mask", a[7]),
                                     flag("zero_output_for_mask", a[8]),
                                     flag("go_backwards", a[9]),
                                     as_array_or_none("dropout_mask", a[10]),
                                     as_array_or_none("recurrent_dropout_mask", a[11]),
                                     read_zoneout(a[12], *w),
                                     flag("shared", a[13])};
    return f(w, arguments);
}

// Called by CPython's own convention: pybind11's, with so many arguments, is a tenth of a streaming step.
PyObject* forward(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    return guarded([&] {
        if (count != forward_argument_count)
            throw py::type_error("forward: expected " + std::to_string(forward_argument_count) + " arguments, got " +
                                 std::to_string(count));
        return with_forward_arguments(arguments, [](const std::shared_ptr<CellWeights>& w, const ForwardArguments& a) {
            return w->by_type([&](auto tag) {
                ForwardCall<decltype(tag)> call(w, a);
                return run_call(call).release().ptr();
            });
        });
    });
}

// The arguments of forward in a tuple, twice.
py::tuple forward_both(const py::tuple& first, const py::tuple& second) {
    const auto call_of = [](const py::tuple& tuple) {
        if (tuple.size() != forward_argument_count)
            throw py::type_error("forward_both: expected tuples of " + std::to_string(forward_argument_count));
        PyObject* arguments[forward_argument_count];
        for (Py_ssize_t k = 0; k < forward_argument_count; ++k) arguments[k] = tuple[k].ptr();
        return with_forward_arguments(
            arguments, [](const std::shared_ptr<CellWeights>& w, const ForwardArguments& a) -> std::unique_ptr<Call> {
                return w->by_type([&](auto tag) -> std::unique_ptr<Call> {
                    return std::make_unique<ForwardCall<decltype(tag)>>(w, a);
                });
            });
    };
    const std::unique_ptr<Call> a = call_of(first), b = call_of(second);
    return run_both_calls(*a, *b);
}

}  // namespace

void register_forward(py::module_& m) {
    py::class_<Cache, std::shared_ptr<Cache>> cache_class(m, "Cache", py::is_final());
    cache_class
        .def_property_readonly("nbytes",
                               [](const Cache& c) { return c.visit([](const auto& kept) { return kept.bytes; }); })
        .def_property_readonly("cell", [](const Cache& c) { return c.weights().cell->name; })
        .def_property_readonly("weight_count", [](const Cache& c) { return c.weights().weights.size(); });
    made_by_core(cache_class);
    static PyMethodDef forward_definition = {
        "forward", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(forward)), METH_FASTCALL, nullptr};
    m.attr("forward") = py::reinterpret_steal<py::object>(PyCFunction_New(&forward_definition, nullptr));
    m.def("forward_both", forward_both);
}

}  // namespace lstmcore
