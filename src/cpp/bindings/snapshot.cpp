// Copies of arrays that tell whether these have changed.
#include <pybind11/stl.h>

#include <cstring>
#include <string>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/gil.hpp"
#include "bindings/objects.hpp"
#include "bindings/register.hpp"
#include "runtime/memory.hpp"

namespace lstmcore {
namespace {

class Snapshot {
    std::vector<py::array> arrays;
    std::vector<Buffer<char>> copies;

 public:
    explicit Snapshot(const std::vector<py::object>& given) {
        for (const py::object& one : given) {
            const std::string argument = "arrays[" + std::to_string(arrays.size()) + "]";
            py::array array = as_array(argument.c_str(), one);
            if (!(array.flags() & py::array::c_style))
                throw py::value_error(argument + ": expected a C-contiguous array");
            if (array.dtype().kind() == 'O') throw py::type_error(argument + ": expected numbers, got objects");
            Buffer<char> copy(std::size_t(array.nbytes()));
            if (array.nbytes()) std::memcpy(copy.get(), array.data(), std::size_t(array.nbytes()));
            arrays.push_back(std::move(array)), copies.push_back(std::move(copy));
        }
    }

    // Byte by byte: a NaN equals itself, 0 and -0 differ.
    bool is_current() const {
        bool same = true;
        for (std::size_t k = 0; same && k < arrays.size(); ++k) {
            const std::size_t bytes = std::size_t(arrays[k].nbytes());
            same = !bytes || std::memcmp(arrays[k].data(), copies[k].get(), bytes) == 0;
        }
        return same;
    }
};

}  // namespace

void register_snapshot(py::module_& m) {
    py::class_<Snapshot> snapshot_class(m, "Snapshot", py::is_final());
    made_by(snapshot_class, [](const std::vector<py::object>& arrays) { return std::make_unique<Snapshot>(arrays); });
    snapshot_class.def("is_current", &Snapshot::is_current);
}

}  // namespace lstmcore
