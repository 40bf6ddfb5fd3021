// The kernels of one instruction set. Compiled once for each, with LSTMCORE_ISA defined to its name
// and the compiler flags that go with it.
#include "cells/lstm.hpp"
#include "elementwise.hpp"
#include "probe.hpp"
#include "recurrent.hpp"

namespace lstmcore::LSTMCORE_ISA {

template <class T>
static constexpr Kernels<T> table() {
    return {
        packed_sizes<LstmCell, T>,
        pack<LstmCell, T>,
        forward_workspace<LstmCell, T>,
        forward<LstmCell, T>,
        backward_workspace<LstmCell, T>,
        backward<LstmCell, T>,
        matmul_workspace<T>,
        matmul<T>,
        adam<T>,
        map_array<T, sigmoid<T>>,
        map_array<T, tanh<T>>,
        multiply_add_loop<T>,
        read_loop<T>,
    };
}

#define LSTMCORE_TEXT(name) #name
#define LSTMCORE_NAME(name) LSTMCORE_TEXT(name)

const InstructionSet& instruction_set() {
    static const InstructionSet set = {LSTMCORE_NAME(LSTMCORE_ISA), vector_bytes, table<float>(), table<double>()};
    return set;
}

}  // namespace lstmcore::LSTMCORE_ISA
