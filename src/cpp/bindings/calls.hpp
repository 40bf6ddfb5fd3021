// A pass between its arguments and its results, and what is kept from the first to the second.
#pragma once

#include <variant>

#include "bindings/recurrent.hpp"
#include "runtime/passes.hpp"

namespace lstmcore {

// The memory of an array that is referred to from one pass to the other. NumPy lets one give the array that owns it
// other memory, or less of it: resize(refcheck=False), and the like.
class Memory {
    py::object owner;  // an array, or none
    const void* begin = nullptr;
    py::ssize_t bytes = 0;

 public:
    Memory() = default;
    explicit Memory(const View& view);
    void must_be_there(const char* name) const;
};

// What backward needs of a forward pass, and the arrays that it refers to.
struct Cache {
    std::variant<Kept<float>, Kept<double>> kept;
    View inputs, outputs;  // outputs: if they are shared
    View factors;          // (batch, inputs), that the inputs have been multiplied with; or absent
    Memory memory_of_inputs, memory_of_outputs;

    template <class F>
    auto visit(F f) const {
        return std::visit(f, kept);
    }
    const CellWeights& weights() const {
        return *visit([](const auto& own) { return own.run.weights.get(); });
    }
};

// A pass between its arguments and its results.
class Call {
 public:
    virtual ~Call() = default;
    virtual Pass& pass() = 0;
    virtual py::tuple results() = 0;
};

py::tuple run_call(Call& call);
py::tuple run_both_calls(Call& first, Call& second);

}  // namespace lstmcore
