#include "bindings/calls.hpp"

#include "bindings/gil.hpp"

namespace lstmcore {

Memory::Memory(const View& view) {
    for (py::handle base = view.owner; base && py::isinstance<py::array>(base);
         base = py::detail::array_proxy(base.ptr())->base)
        owner = py::reinterpret_borrow<py::object>(base);
    begin = array_of(owner).data(), bytes = array_of(owner).nbytes();
}

void Memory::must_be_there(const char* name) const {
    if (owner && (array_of(owner).data() != begin || array_of(owner).nbytes() != bytes))
        throw py::value_error(std::string(name) + ": their memory was given up between forward and backward");
}

py::tuple run_call(Call& call) {
    {
        const WithoutGil release(!call.pass().brief && !call.pass().empty);
        run(call.pass());
    }
    return call.results();
}

py::tuple run_both_calls(Call& first, Call& second) {
    {
        const WithoutGil release;
        run_both(first.pass(), second.pass());
    }
    const py::tuple results = first.results();
    return py::make_tuple(results, second.results());
}

}  // namespace lstmcore
