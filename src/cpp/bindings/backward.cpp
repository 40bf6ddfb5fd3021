// The backward pass of recurrent layers.
#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <vector>

#include "bindings/calls.hpp"
#include "bindings/register.hpp"

namespace lstmcore {
namespace {

struct BackwardArguments {
    py::object d_outputs;  // an array, or absent
    States d_states;
    bool need_d_inputs;
    std::vector<py::object> d_weights;
};

template <class T>
class BackwardCall final : public Call {
    const Kept<T>& kept;
    View d_inputs, d_outputs, d_last[most_states], d_initial[most_states];  // some absent
    py::list d_weights;
    std::vector<View> held;
    Backward<T> own;
    const View& factors;

    void multiply_inputs() const {
        const RecurrentShape& s = kept.run.shape;
        const T* row = pointer<T>(factors);
        T* to = pointer<T>(d_inputs);
        for (long b = 0; b < s.batch; ++b, row += s.inputs)
            for (long t = 0; t < s.steps; ++t, to += s.inputs)
                for (long i = 0; i < s.inputs; ++i) to[i] *= row[i];
    }

    // Gradients of the weights: added to those given, or new.
    void set_gradients(const BackwardArguments& a, const Cache& cache) {
        const std::vector<WeightInfo>& weights = kept.run.weights->weights;
        const bool given = !a.d_weights.empty();
        if (given && a.d_weights.size() != weights.size())
            throw py::value_error("d_weights: expected " + std::to_string(weights.size()) + " arrays, got " +
                                  std::to_string(a.d_weights.size()));
        own.new_gradients = !given;
        held.reserve(weights.size());
        for (const WeightInfo& weight : weights) {
            View array;
            if (given) {
                const std::size_t index = held.size();
                const std::string argument = "d_weights[" + std::to_string(index) + "] (" + weight.name + ")";
                array = output<T>(argument.c_str(), a.d_weights[index], weight.dims);
                for (const View& other : held) must_not_overlap(argument.c_str(), array, "another of them", other);
                if (d_outputs) must_not_overlap(argument.c_str(), array, "d_outputs", d_outputs);
                for (const View& state : d_last)
                    if (state) must_not_overlap(argument.c_str(), array, "d_state", state);
                must_not_overlap(argument.c_str(), array, "inputs", cache.inputs);
                if (cache.outputs) must_not_overlap(argument.c_str(), array, "outputs", cache.outputs);
            } else {
                std::vector<py::ssize_t> shape;
                for (const Dim& d : weight.dims) shape.push_back(d.size);
                array = new_array<T>(shape.data(), shape.size());
            }
            pointer_of(own.gradients, weight.role) = pointer<T>(array);
            d_weights.append(array.owner);
            held.push_back(array);
        }
    }

 public:
    BackwardCall(const Cache& cache, const Kept<T>& kept, const BackwardArguments& a)
        : kept(kept), own(kept), factors(cache.factors) {
        const Run<T>& run = kept.run;
        const RecurrentShape& s = run.shape;
        const CellInfo& cell = *run.weights->cell;
        const Dim batch{"batch", s.batch}, steps{"steps", s.steps},
            outputs{output_name(run.weights->options), s.outputs}, units{"units", s.units};
        cache.memory_of_inputs.must_be_there("inputs");
        cache.memory_of_outputs.must_be_there("outputs");
        static const StateNames name("d_state");
        for (int k = 0; cell.states[k]; ++k)
            if (a.d_states[k]) d_last[k] = contiguous<T>(name(cell, k), a.d_states[k], {batch, k ? units : outputs});
        if (a.d_outputs && run.return_sequences)
            d_outputs = features_contiguous<T>("d_outputs", array_of(a.d_outputs), {batch, steps, outputs});
        else if (a.d_outputs)
            d_outputs = contiguous<T>("d_outputs", a.d_outputs, {batch, outputs});
        set_gradients(a, cache);
        for (int k = 0; cell.states[k]; ++k) {
            d_initial[k] = new_array<T>({s.batch, k ? s.units : s.outputs});
            own.d_initial[k] = pointer<T>(d_initial[k]);
            own.d_last[k] = d_last[k] ? pointer<T>(d_last[k]) : nullptr;
        }
        if (a.need_d_inputs) d_inputs = new_array<T>({s.batch, s.steps, s.inputs});

        if (d_outputs && run.return_sequences)
            own.d_outputs = sequence<const T>(d_outputs);
        else if (d_outputs)
            own.d_outputs = {pointer<T>(d_outputs), s.outputs, 0, -1, nullptr, nullptr, nullptr};
        own.d_inputs = d_inputs ? pointer<T>(d_inputs) : nullptr;
        own.start();
    }

    Pass& pass() override { return own; }

    py::tuple results() override {
        if (d_inputs && factors) multiply_inputs();
        const py::object of_inputs = d_inputs ? d_inputs.owner : py::none();
        if (!kept.run.has_state) return py::make_tuple(of_inputs, d_weights, py::none());
        const py::tuple states(kept.run.weights->cell->state_count());
        for (std::size_t k = 0; k < states.size(); ++k)
            PyTuple_SET_ITEM(states.ptr(), py::ssize_t(k), d_initial[k].owner.inc_ref().ptr());
        return py::make_tuple(of_inputs, d_weights, states);
    }
};

const Cache& cache_of(py::handle given) {
    if (!py::isinstance<Cache>(given))
        throw py::type_error("cache: expected what a forward pass with training=True returns, got " + text_of(given));
    return given.cast<const Cache&>();
}

std::unique_ptr<Call> backward_call(py::handle cache_, py::handle d_outputs, py::handle d_states,
                                    py::handle need_d_inputs, py::handle d_weights) {
    const Cache& cache = cache_of(cache_);
    if (!PyList_Check(d_weights.ptr()) && !PyTuple_Check(d_weights.ptr()))
        throw py::type_error("d_weights: expected a list of arrays, got " + text_of(d_weights));
    const BackwardArguments arguments{as_array_or_none("d_outputs", d_outputs),
                                      read_states("d_state", d_states, *cache.weights().cell),
                                      flag("need_d_inputs", need_d_inputs), d_weights.cast<std::vector<py::object>>()};
    return cache.visit([&](const auto& kept) -> std::unique_ptr<Call> {
        return std::make_unique<BackwardCall<std::decay_t<decltype(*kept.saved.get())>>>(cache, kept, arguments);
    });
}

py::tuple backward(py::handle cache, py::handle d_outputs, py::handle d_states, py::handle need_d_inputs,
                   py::handle d_weights) {
    const std::unique_ptr<Call> call = backward_call(cache, d_outputs, d_states, need_d_inputs, d_weights);
    return run_call(*call);
}

// The arguments of backward in a tuple, twice.
py::tuple backward_both(const py::tuple& first, const py::tuple& second) {
    const auto call_of = [](const py::tuple& a) {
        if (a.size() != 5) throw py::type_error("backward_both: expected tuples of 5");
        return backward_call(a[0], a[1], a[2], a[3], a[4]);
    };
    const std::unique_ptr<Call> a = call_of(first), b = call_of(second);
    return run_both_calls(*a, *b);
}

}  // namespace

void register_backward(py::module_& m) {
    m.def("backward", backward);
    m.def("backward_both", backward_both);
}

}  // namespace lstmcore
