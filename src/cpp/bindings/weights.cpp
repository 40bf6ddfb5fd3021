// Weights, packed once for many calls.
#include <pybind11/stl.h>

#include <limits>
#include <string>
#include <vector>

#include "bindings/gil.hpp"
#include "bindings/objects.hpp"
#include "bindings/recurrent.hpp"
#include "bindings/register.hpp"

namespace lstmcore {

std::shared_ptr<CellWeights> packed_weights(py::handle given) {
    py::detail::make_caster<std::shared_ptr<CellWeights>> weights;
    if (given.is_none() || !weights.load(given, false))
        throw py::type_error("weights: expected packed weights, got " + text_of(given));
    return py::detail::cast_op<std::shared_ptr<CellWeights>&>(weights);
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
    if (!w.has_c()) zoneout.c = 0;
    if ((zoneout.h > 0 || zoneout.c > 0) && !w.cell->zoneout_is_fused && !w.staged)
        throw py::value_error("zoneout: the weights were packed without it; pack them with zoneout=True");
    return zoneout;
}

namespace {

py::object option(py::handle from, const char* name) { return attribute("options", "those of a cell", from, name); }

Activation read_activation(py::handle from, const char* name) {
    const std::string given = string(name, option(from, name));
    for (int k = 0; activation_names[k]; ++k)
        if (given == activation_names[k]) return Activation(k);
    throw py::value_error(std::string(name) + ": unknown activation " + given);
}

// What the caller's options say. What follows from it, such as the number of gates, the core knows: nothing that Python
// says about it is believed.
CellOptions read_options(py::handle from, const CellInfo& cell) {
    CellOptions o = plain_options();
    o.activation = read_activation(from, "activation");
    if (cell.recurrent_activation) o.recurrent_activation = read_activation(from, "recurrent_activation");
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
    if (!d.options.projection) return;
    const View recurrent = checked<T>("recurrent_kernel", arrays[1], {{"outputs"}, {"gates*units"}});
    d.shape.outputs = recurrent.shape[0];
    if (d.shape.outputs == 0 || d.shape.outputs > d.shape.units)
        throw py::value_error("recurrent_kernel: expected 1 to units=" + std::to_string(d.shape.units) +
                              " rows, the outputs of the projection, got shape " +
                              numbers_text(recurrent.shape, recurrent.dimensions));
}

std::shared_ptr<CellWeights> pack_arrays(py::handle options, const std::vector<py::object>& given, py::handle training,
                                         py::handle zoneout) {
    CellDescription d;
    const py::object name = option(options, "cell");
    d.cell = find_cell(string("cell", name).c_str());
    if (!d.cell) throw py::value_error("cell: expected 'rnn', 'gru' or 'lstm', got " + text_of(name));
    d.options = read_options(options, *d.cell);
    d.gates = d.cell->gates(d.options);
    d.training = flag("training", training);
    d.staged = (flag("zoneout", zoneout) && !d.cell->zoneout_is_fused) || !d.cell->is_fused(d.options);
    if (given.size() < 2)
        throw py::value_error("weights: expected two arrays or more, got " + std::to_string(given.size()));
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
        Weights<const T> weights{};
        std::vector<View> held;
        for (std::size_t k = 0; k < arrays.size(); ++k) {
            held.push_back(contiguous<T>(d.weights[k].name, arrays[k], d.weights[k].dims));
            pointer_of(weights, d.weights[k].role) = pointer<T>(held.back());
        }
        const WithoutGil release;
        return pack<T>(d, weights);
    });
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
        .def_property_readonly("dtype", [](const CellWeights& w) { return w.is_float32() ? "float32" : "float64"; });
    made_by_core(packed_weights_class);
    m.def("pack", pack_arrays);
}

}  // namespace lstmcore
