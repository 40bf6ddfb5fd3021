// The kernels of narrow numbers (see products.hpp) of one instruction set. Compiled as kernels.cpp is, and once more
// for sets that add to another one nothing but products of these.
#include "cells/gru.hpp"
#include "cells/lstm.hpp"
#include "cells/rnn.hpp"
#include "fused.hpp"
#include "narrow_matmul.hpp"

namespace lstmcore::LSTMCORE_ISA {

// With scales they are for inference.
template <class Cell, class Product>
constexpr CellKernels<float> narrow() {
    using Loop = Forward<Cell, float, Product>;
    CellKernels<float> kernels = {packed_sizes<Cell, float, Product>,
                                  pack<Cell, float, Product>,
                                  saved_of_fused<Cell, Keep<float, Product>>,
                                  Loop::workspace,
                                  run<Loop, ForwardProblem<float>>,
                                  nullptr,
                                  nullptr};
    if constexpr (!Product::scaled) {
        using Back = Backward<Cell, float, Product>;
        kernels.backward_workspace = Back::workspace, kernels.backward = run<Back, BackwardProblem<float>>;
        kernels.saves_c = Cell::saved_rounded > Cell::saved;
    }
    return kernels;
}

template <class Cell>
constexpr ReducedCell cell(const char* name) {
    return {name, narrow<Cell, Bfloat16>(), narrow<Cell, Int8>()};
}

template <class Product>
constexpr ReducedProduct products() {
    return {narrow_b_size<Product>, pack_narrow_b<Product>, narrow_workspace<Product>, narrow_matmul<Product>};
}

const Reduced* reduced() {
    static constexpr ReducedCell cells[] = {cell<RnnCell>("rnn"), cell<GruCell>("gru"), cell<LstmCell>("lstm"), {}};
    static constexpr Reduced all = {cells, products<Bfloat16>(), products<Int8>()};
    return &all;
}

}  // namespace lstmcore::LSTMCORE_ISA
