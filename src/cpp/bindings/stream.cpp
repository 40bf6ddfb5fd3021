// A recurrent layer that keeps its state between calls, and what one call at a time may have.
#include "runtime/stream.hpp"

#include <pybind11/stl.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "bindings/gil.hpp"
#include "bindings/objects.hpp"
#include "bindings/recurrent.hpp"
#include "bindings/register.hpp"

namespace lstmcore {
namespace {

// What one call at a time may have. Taken and given back here, where no signal's exception can come between: in Python
// it could, between any two instructions.
struct Exclusive {
    std::string name;
    std::atomic<bool> taken{false};
};

class Taken {
    Exclusive& what;

 public:
    explicit Taken(Exclusive& what) : what(what) {
        if (what.taken.exchange(true))
            throw std::runtime_error(what.name + ": is in use by another thread; make a stream for each thread");
    }
    Taken(const Taken&) = delete;
    ~Taken() { what.taken = false; }
};

// Makes f(function, *arguments), which calls the function unless another call of f is under way.
py::object exclusive(py::handle name) {
    static constexpr const char* kind = "lstmcore exclusive";
    static PyMethodDef definition = {
        "exclusive",
        reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(
            +[](PyObject* self, PyObject* const* arguments, Py_ssize_t count) -> PyObject* {
                return guarded([&] {
                    if (count < 1) throw py::type_error("expected a function and its arguments");
                    const Taken taken(*static_cast<Exclusive*>(PyCapsule_GetPointer(self, kind)));
                    return PyObject_Vectorcall(arguments[0], arguments + 1, std::size_t(count) - 1, nullptr);
                });
            })),
        METH_FASTCALL, nullptr};
    auto owned = std::make_unique<Exclusive>();
    owned->name = string("name", name);
    const py::capsule capsule(owned.release(), kind,
                              [](PyObject* self) { delete static_cast<Exclusive*>(PyCapsule_GetPointer(self, kind)); });
    return py::reinterpret_steal<py::object>(PyCFunction_New(&definition, capsule.ptr()));
}

class Stream {
    std::shared_ptr<CellWeights> weights;
    std::variant<StreamOf<float>, StreamOf<double>> stream;
    mutable Exclusive use{"RecurrentStream", {false}};

    static std::variant<StreamOf<float>, StreamOf<double>> made(const std::shared_ptr<CellWeights>& w,
                                                                py::handle batch_, py::handle steps_,
                                                                py::handle zoneout_) {
        constexpr long most = (1l << 31) - 1;
        const long batch = integer("batch_size", batch_, 1, most), steps = integer("steps", steps_, 1, most);
        checked_product("steps", {std::size_t(batch), std::size_t(steps), std::size_t(16 * w->shape.units)});
        const Zoneout zoneout = read_zoneout(zoneout_, *w);
        return w->by_type([&](auto tag) -> std::variant<StreamOf<float>, StreamOf<double>> {
            return StreamOf<decltype(tag)>(w, batch, steps, zoneout);
        });
    }

    template <class T>
    py::object run_typed(StreamOf<T>& own, const py::array& inputs, py::handle out) {
        const RecurrentShape& most = own.most();
        const View x =
            features_contiguous<T>("inputs", inputs, {{"batch", most.batch}, {"steps"}, {"inputs", most.inputs}});
        const long steps = x.shape[1];
        if (steps < 1 || steps > most.steps)
            throw py::value_error("inputs: expected 1 to " + std::to_string(most.steps) + " steps, got " +
                                  std::to_string(steps));
        const bool brief = own.is_brief(steps);
        const Dim width{output_name(weights->options), most.outputs};
        const View outputs = out.is_none()
                                 ? new_array<T>({most.batch, steps, most.outputs})
                                 : strided_output<T>("out", out, {{"batch", most.batch}, {"steps", steps}, width});
        if (!out.is_none()) must_not_overlap("out", outputs, "inputs", x);
        {
            const WithoutGil release(!brief);
            own.run(sequence<const T>(x), sequence<T>(outputs));
        }
        return outputs.owner;
    }

 public:
    Stream(py::handle weights_, py::handle batch, py::handle steps, py::handle zoneout)
        : weights(packed_weights(weights_)), stream(made(weights, batch, steps, zoneout)) {}

    py::object run(py::handle inputs, py::handle out) {
        const Taken taken(use);
        const py::array x = as_array("inputs", inputs);
        return std::visit([&](auto& own) { return run_typed(own, x, out); }, stream);
    }
    py::list state() const {
        const Taken taken(use);
        return std::visit(
            [&](const auto& own) {
                using T = typename std::decay_t<decltype(own)>::Element;
                py::list copies;
                T* data[most_states] = {};
                for (int k = 0; k < own.state_count(); ++k) {
                    const View copy = new_array<T>({own.most().batch, own.state_width(k)});
                    data[k] = pointer<T>(copy);
                    copies.append(copy.owner);
                }
                own.read_states(data);
                return copies;
            },
            stream);
    }
    void set_state(const std::vector<py::object>& values) {
        const Taken taken(use);
        const std::size_t count = std::size_t(weights->cell->state_count());
        if (values.size() != count)
            throw py::value_error("state: expected " + std::to_string(count) + " arrays, got " +
                                  std::to_string(values.size()));
        const auto name = [](std::size_t k) { return "state[" + std::to_string(k) + "]"; };
        std::vector<py::array> arrays;
        for (std::size_t k = 0; k < count; ++k) arrays.push_back(as_array(name(k).c_str(), values[k]));
        std::visit(
            [&](auto& own) {
                using T = typename std::decay_t<decltype(own)>::Element;
                std::vector<View> given;
                const T* data[most_states] = {};
                for (std::size_t k = 0; k < count; ++k) {
                    given.push_back(contiguous<T>(name(k).c_str(), arrays[k],
                                                  {{"batch", own.most().batch}, {"width", own.state_width(int(k))}}));
                    data[k] = pointer<T>(given.back());
                }
                own.write_states(data);
            },
            stream);
    }
    void reset() {
        const Taken taken(use);
        std::visit([](auto& own) { own.reset(); }, stream);
    }
    long width() const { return weights->shape.outputs; }
    const char* dtype() const { return weights->is_float32() ? "float32" : "float64"; }
};

}  // namespace

void register_stream(py::module_& m) {
    py::class_<Stream> stream_class(m, "Stream", py::is_final());
    stream_class.def("run", &Stream::run)
        .def("state", &Stream::state)
        .def("set_state", &Stream::set_state)
        .def("reset", &Stream::reset)
        .def_property_readonly("width", &Stream::width)
        .def_property_readonly("dtype", &Stream::dtype);
    made_by(stream_class, [](py::handle weights, py::handle batch, py::handle steps, py::handle zoneout) {
        return std::make_unique<Stream>(weights, batch, steps, zoneout);
    });
    m.def("exclusive", exclusive);
}

}  // namespace lstmcore
