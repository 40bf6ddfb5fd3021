// The kernels of narrow numbers (see products.hpp) of one instruction set. Compiled as kernels.cpp is, and once more
// for sets that add to another one nothing but products of these.
#include "cells/gru.hpp"
#include "cells/lstm.hpp"
#include "cells/rnn.hpp"
#include "fused.hpp"

namespace lstmcore::LSTMCORE_ISA {

// For inference.
template <class Cell, class Product>
constexpr CellKernels<float> narrow() {
    using Loop = Forward<Cell, float, Product>;
    return {packed_sizes<Cell, float, Product>,
            pack<Cell, float, Product>,
            saved_of_fused<Cell>,
            Loop::workspace,
            run<Loop, ForwardProblem<float>>,
            nullptr,
            nullptr};
}

template <class Cell>
constexpr ReducedCell reduced(const char* name) {
    return {name, narrow<Cell, Bfloat16>(), narrow<Cell, Int8>()};
}

const ReducedCell* reduced_cells() {
    static constexpr ReducedCell cells[] = {
        reduced<RnnCell>("rnn"), reduced<GruCell>("gru"), reduced<LstmCell>("lstm"), {}};
    return cells;
}

}  // namespace lstmcore::LSTMCORE_ISA
