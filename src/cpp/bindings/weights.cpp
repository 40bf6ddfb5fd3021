// Weights, packed once for many calls.
#include <pybind11/stl.h>

#include <limits>
#include <string>
#include <vector>

#include "bindings/gil.hpp"
#include "bindings/objects.hpp"
#include "bindings/precision.hpp"
#include "bindings/recurrent.hpp"
#include "bindings/register.hpp"

namespace lstmcore {

std::shared_ptr<CellWeights> packed_weights(py::handle given) {
    py::detail::make_caster<std::shared_ptr<CellWeights>> weights;
    if (given.is_none() || !weights.load(given, false))
        throw py::type_error("weights: expected packed weights, got " + text_of(given));
    return py::detail::cast_op<std::shared_ptr<CellWeights>&>(weights);
}

States read_states(const char* argument, py::handle given, const CellInfo& cell) {
    States states;
    if (given.is_none()) return states;
    const int count = cell.state_count();
    const bool is_tuple = PyTuple_Check(given.ptr());
    if (!is_tuple && !PyList_Check(given.ptr()))
        throw py::type_error(std::string(argument) + ": expected a list of arrays, got " + text_of(given));
    // A list may change as soon as Python runs, which making an array can do.
    const py::tuple own = is_tuple ? py::reinterpret_borrow<py::tuple>(given)
                                   : py::reinterpret_steal<py::tuple>(PyList_AsTuple(given.ptr()));
    if (py::ssize_t(own.size()) != count)
        throw py::value_error(std::string(argument) + ": expected " + std::to_string(count) + " arrays, got " +
                              std::to_string(own.size()));
    for (int k = 0; k < count; ++k) states[k] = as_array_or_none(argument, PyTuple_GET_ITEM(own.ptr(), k));
    return states;
}

StateNames::StateNames(const char* argument) {
    for (const CellInfo* cell = cells; cell->name; ++cell) {
        names.emplace_back();
        for (int k = 0; cell->states[k]; ++k)
            names.back()[k] = cell->carried()
                                  ? std::string(argument) + "[" + std::to_string(k) + "] (" + cell->states[k] + ")"
                                  : argument;
    }
}

Zoneout read_zoneout(py::handle given, const CellWeights& w) {
    Zoneout zoneout{};
    if (given.is_none()) return zoneout;
    const auto of_zoneout = [&](const char* name) { return attribute("zoneout", "a Zoneout", given, name); };
    zoneout.h = number("zoneout: h", of_zoneout("h"), 0, 1), zoneout.c = number("zoneout: c", of_zoneout("c"), 0, 1);
    const py::object seed = of_zoneout("seed");
    zoneout.random = !seed.is_none();
    if (zoneout.random)
        zoneout.seed = uint32_t(integer("zoneout: seed", seed, 0, std::numeric_limits<uint32_t>::max()));
    if (!w.cell->zoneout_of_c) {
        if (zoneout.c > 0 && w.carried())
            throw py::value_error("zoneout: c: " + std::string(w.cell->name) + " has zoneout of h only");
        zoneout.c = 0;
    }
    if ((zoneout.h > 0 || zoneout.c > 0) && !w.cell->zoneout_is_fused && !w.staged)
        throw py::value_error("zoneout: the weights were packed without it; pack them with zoneout=True");
    return zoneout;
}

namespace {

py::object option(py::handle from, const char* name) { return attribute("options", "those of a cell", from, name); }

// An activation is its name, or has an attribute `in_core` with its name and two numbers.
Activation read_activation(const char* name, py::object given) {
    py::object numbers;
    // A name has no attributes worth looking for: a search in vain takes longer than all the rest.
    if (!PyUnicode_Check(given.ptr()) && py::hasattr(given, "in_core")) {
        const py::object whole = given.attr("in_core");
        if (!PyTuple_Check(whole.ptr()) || PyTuple_GET_SIZE(whole.ptr()) != 3)
            throw py::value_error(std::string(name) + ": in_core: expected a name and two numbers, got " +
                                  text_of(whole));
        numbers = whole, given = py::reinterpret_borrow<py::object>(PyTuple_GET_ITEM(whole.ptr(), 0));
    }
    const std::string text = string(name, given);
    int kind = 0;
    while (activations[kind].name && text != activations[kind].name) ++kind;
    if (!activations[kind].name) throw py::value_error(std::string(name) + ": unknown activation " + text);
    Activation a{ActivationKind(kind), activations[kind].alpha, activations[kind].beta};
    if (!numbers) return a;
    constexpr double most = std::numeric_limits<double>::max();
    a.alpha = number((name + std::string(": alpha")).c_str(), PyTuple_GET_ITEM(numbers.ptr(), 1), -most, most);
    a.beta = number((name + std::string(": beta")).c_str(), PyTuple_GET_ITEM(numbers.ptr(), 2), -most, most);
    return a;
}

// Fills in the activations that a cell has, and what limits their inputs. An LSTM's candidate may go without one; what
// is on the way to the output has that of the candidate (True), none (False), or one of its own.
void read_activations(CellOptions& o, py::handle from, const CellInfo& cell) {
    const Activation none{ActivationKind::linear, 0, 0};
    if (cell.activations == 0) return;
    o.activation = read_activation("activation", option(from, "activation"));
    const py::object clip = option(from, "clip");
    if (!clip.is_none()) o.clip = number("clip", clip, 0, std::numeric_limits<double>::max());
    if (cell.activations < 2) return;
    o.recurrent_activation = read_activation("recurrent_activation", option(from, "recurrent_activation"));
    if (cell.activations < 3) return;
    const py::object output = option(from, "output_activation");
    if (!PyBool_Check(output.ptr()))
        o.output_activation = read_activation("output_activation", output);
    else
        o.output_activation = output.is(py::bool_(true)) ? o.activation : none;
    if (!flag("input_activation", option(from, "input_activation"))) o.activation = none;
}

const CellInfo& cell_of(py::handle options) {
    const py::object name = option(options, "cell");
    if (const CellInfo* cell = find_cell(string("cell", name).c_str())) return *cell;
    std::string names;
    for (const CellInfo* cell = cells; cell->name; ++cell)
        names += (names.empty() ? "'" : ", '") + std::string(cell->name) + "'";
    throw py::value_error("cell: expected one of " + names + ", got " + text_of(name));
}

// What the caller's options say, but for what concerns activations. What follows from it, such as the number of gates,
// the core knows: nothing that Python says about it is believed.
CellOptions read_options(py::handle from, const CellInfo& cell) {
    CellOptions o = plain_options();
    if (cell.has_heads) o.heads = int(integer("heads", option(from, "heads"), 1, std::numeric_limits<int>::max()));
    for (const OptionInfo* info = cell.options; info->name; ++info)
        o.*info->flag = flag(info->name, option(from, info->name));
    if (const char* contradiction = cell.contradiction(o)) throw py::value_error(contradiction);
    return o;
}

template <class T>
void read_shape(CellDescription& d, const std::vector<py::array>& arrays) {
    const std::string columns = (d.gates > 1 ? std::to_string(d.gates) + "*" : "") + "units > 0";
    const std::vector<Dim> kernel_dims = {{"inputs > 0"}, {columns.c_str()}};
    const View kernel = checked<T>("kernel", arrays[0], kernel_dims);
    d.shape.inputs = kernel.shape[0], d.shape.units = kernel.shape[1] / d.gates;
    if (d.shape.inputs == 0 || d.shape.units == 0 || kernel.shape[1] % d.gates)
        wrong_shape("kernel", kernel_dims, kernel.shape, kernel.dimensions);
    d.shape.outputs = d.shape.units;
    if (d.shape.units % d.options.heads)
        throw py::value_error("heads: expected a divisor of units=" + std::to_string(d.shape.units) + ", got " +
                              std::to_string(d.options.heads));
    if (!d.options.projection) return;
    const View recurrent = checked<T>("recurrent_kernel", arrays[1], {{"outputs"}, {"gates*units"}});
    d.shape.outputs = recurrent.shape[0];
    if (d.shape.outputs == 0 || d.shape.outputs > d.shape.units)
        throw py::value_error("recurrent_kernel: expected 1 to units=" + std::to_string(d.shape.units) +
                              " rows, the outputs of the projection, got shape " +
                              numbers_text(recurrent.shape, recurrent.dimensions));
}

std::shared_ptr<CellWeights> pack_arrays(py::handle options, const std::vector<py::object>& given, py::handle training,
                                         py::handle zoneout, py::handle precision, py::handle row_scale) {
    CellDescription d;
    d.cell = &cell_of(options);
    d.options = read_options(options, *d.cell);
    read_activations(d.options, options, *d.cell);
    d.gates = d.cell->gates(d.options);
    d.training = flag("training", training);
    d.staged = (flag("zoneout", zoneout) && !d.cell->zoneout_is_fused) || !d.cell->is_fused(d.options);
    d.precision = read_precision(precision), d.x_scale = read_row_scale(row_scale, d.precision);
    if (d.training && d.precision == Precision::int8)
        throw py::value_error("precision: 'int8' is for inference, got training=True");
    const std::size_t least = d.cell->recurrent ? 2 : 1;
    if (given.size() < least)
        throw py::value_error("weights: expected " + std::to_string(least) + " arrays or more, got " +
                              std::to_string(given.size()));
    std::vector<py::array> arrays;
    for (std::size_t k = 0; k < given.size(); ++k)
        arrays.push_back(as_array(("weights[" + std::to_string(k) + "]").c_str(), given[k]));
    return by_dtype("kernel", arrays[0], [&](auto tag) {
        using T = decltype(tag);
        read_shape<T>(d, arrays);
        const std::size_t without_bias = weights_of(*d.cell, d.options, d.shape, false).size();
        d.has_bias = arrays.size() == without_bias + 1;
        d.weights = weights_of(*d.cell, d.options, d.shape, d.has_bias);
        if (arrays.size() != d.weights.size())
            throw py::value_error("weights: expected " + std::to_string(without_bias) + " arrays or, with a bias, " +
                                  std::to_string(without_bias + 1) + ", got " + std::to_string(arrays.size()));
        if (!has_kernels<T>(d)) d.precision = Precision::full, d.x_scale = 0;
        GivenWeights<T> weights;
        std::vector<View> held;
        for (std::size_t k = 0; k < arrays.size(); ++k) {
            const WeightInfo& info = d.weights[k];
            if (MatrixStrides* strides = weights.strides_of(info.role)) {
                View matrix = checked<T>(info.name, arrays[k], info.dims);
                // One that repeats numbers has any size: its copy shows whether there is memory for it.
                if (!matrix.strides[0] || !matrix.strides[1]) matrix = copy_of<T>(matrix);
                held.push_back(with_unit_stride<T>(matrix, 0, strides->row, strides->column));
            } else {
                held.push_back(contiguous<T>(info.name, arrays[k], info.dims));
            }
            pointer_of(weights.arrays, info.role) = pointer<T>(held.back());
            if (const MatrixStrides* strides = weights.strides_of(info.role); strides && d.precision == Precision::int8)
                must_be_finite(info.name, pointer<T>(held.back()), *strides, held.back());
        }
        const WithoutGil release;
        return pack<T>(d, weights);
    });
}

// What follows from options: the number of gates, and the names of the weights in their order, the bias among them.
py::tuple describe(py::handle options) {
    const CellInfo& cell = cell_of(options);
    const CellOptions o = read_options(options, cell);
    const std::vector<WeightInfo> weights = weights_of(cell, o, {1, 1, 1, 1, 1}, true);
    py::tuple names(weights.size());
    for (std::size_t k = 0; k < weights.size(); ++k) names[k] = weights[k].name;
    return py::make_tuple(cell.gates(o), names);
}

py::tuple names_in(const char* const* list) {
    py::list names;
    for (; *list; ++list) names.append(*list);
    return py::tuple(names);
}

}  // namespace

void register_weights(py::module_& m) {
    py::class_<CellWeights, std::shared_ptr<CellWeights>> packed_weights_class(m, "PackedWeights", py::is_final());
    packed_weights_class.def_property_readonly("cell", [](const CellWeights& w) { return w.cell->name; })
        .def_property_readonly("inputs", [](const CellWeights& w) { return w.shape.inputs; })
        .def_property_readonly("units", [](const CellWeights& w) { return w.shape.units; })
        .def_property_readonly("outputs", [](const CellWeights& w) { return w.shape.outputs; })
        .def_property_readonly("has_bias", [](const CellWeights& w) { return w.has_bias; })
        .def_property_readonly("weight_count", [](const CellWeights& w) { return w.weights.size(); })
        .def_property_readonly("training", [](const CellWeights& w) { return w.training; })
        .def_property_readonly("kernel", [](const CellWeights& w) { return w.staged ? "staged" : "fused"; })
        .def_property_readonly("precision", [](const CellWeights& w) { return name_of(w.precision); })
        .def_property_readonly("row_scale", [](const CellWeights& w) { return row_scale_of(w.x_scale); })
        .def_property_readonly("dtype", [](const CellWeights& w) { return w.is_float32() ? "float32" : "float64"; });
    made_by_core(packed_weights_class);
    m.def("pack", pack_arrays, py::arg("options"), py::arg("weights"), py::arg("training"), py::arg("zoneout"),
          py::arg("precision") = name_of(Precision::full), py::arg("row_scale") = py::none());
    m.def("describe", describe);
    py::dict states;  // of every cell
    for (const CellInfo* cell = cells; cell->name; ++cell) states[cell->name] = names_in(cell->states);
    m.attr("cells") = states;
    py::list names;
    for (const ActivationInfo* activation = activations; activation->name; ++activation) names.append(activation->name);
    m.attr("activations") = py::tuple(names);
}

}  // namespace lstmcore
