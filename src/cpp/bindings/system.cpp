#include <pybind11/stl.h>

#include "bindings/arrays.hpp"
#include "bindings/gil.hpp"
#include "bindings/register.hpp"
#include "core.hpp"
#include "cpu_quota.hpp"
#include "threads.hpp"

namespace lstmcore {
namespace {

py::dict config() {
    py::dict d;
#ifdef __clang__
    d["compiler"] = "clang " __clang_version__;
#else
    d["compiler"] = "gcc " __VERSION__;
#endif
    d["instruction_set"] = instruction_set().name;
    py::list available;
    for (const char* const* name = available_instruction_sets(); *name; ++name) available.append(*name);
    d["available_instruction_sets"] = available;
    d["vector_bytes"] = instruction_set().vector_bytes;
    d["threads"] = max_threads();
    d["threading"] = threading_runtime();
    return d;
}

void set_num_threads(py::handle n) { set_max_threads(int(integer("num_threads", n, 1, most_threads))); }

double multiply_add_loop(long rounds, bool float64) {
    const WithoutGil release;
    double sink[64];
    return float64 ? instruction_set().f64.multiply_add_loop(rounds, sink)
                   : instruction_set().f32.multiply_add_loop(rounds, reinterpret_cast<float*>(sink));
}

void read_loop(py::handle data_, long rounds) {
    const View data = contiguous<float>("data", data_, {{"size"}});
    const WithoutGil release;
    float sink[64];
    for (long k = 0; k < rounds; ++k)
        instruction_set().f32.read_loop(pointer<float>(data), std::size_t(data.shape[0]), sink);
}

}  // namespace

void register_system(py::module_& m) {
    m.def("config", config);
    m.def("get_num_threads", max_threads);
    m.def("set_num_threads", set_num_threads);
    m.def("cpu_quota", cpu_quota, py::arg("root") = "");
    m.def("multiply_add_loop", multiply_add_loop);
    m.def("read_loop", read_loop);
}

}  // namespace lstmcore
