// The kernels of one instruction set. Compiled once for each, with LSTMCORE_ISA defined to its name
// and the compiler flags that go with it; and once more with LSTMCORE_FLOAT64, for those of float64 alone, with
// "_float64" after the name. They check gradients more than they train: little optimization halves the time that they
// take to compile.
#include "cells/gru.hpp"
#include "cells/lstm.hpp"
#include "cells/min_gru.hpp"
#include "cells/min_lstm.hpp"
#include "cells/rnn.hpp"
#include "cells/slstm.hpp"
#include "cells/staged_gru.hpp"
#include "cells/staged_lstm.hpp"
#include "cells/staged_rnn.hpp"
#include "crf.hpp"
#include "ctc.hpp"
#include "elementwise.hpp"
#include "fused.hpp"
#include "optimizers.hpp"
#include "probe.hpp"
#include "softmax.hpp"
#include "transposition.hpp"

namespace lstmcore::LSTMCORE_ISA {

template <class Cell, class ForwardLoop, class BackwardLoop, class T>
constexpr CellKernels<T> in_registers() {
    return {
        packed_sizes<Cell, T>,
        pack<Cell, T>,
        saved_of_fused<Cell, AsTheyAre<T>>,
        ForwardLoop::workspace,
        run<ForwardLoop, ForwardProblem<T>>,
        BackwardLoop::workspace,
        run<BackwardLoop, BackwardProblem<T>>,
    };
}
template <class Cell, class T>
constexpr CellKernels<T> fused() {
    return in_registers<Cell, Forward<Cell, T>, Backward<Cell, T>, T>();
}
template <class Cell, class T>
constexpr CellKernels<T> linear() {
    return in_registers<Cell, LinearForward<Cell, T>, LinearBackward<Cell, T>, T>();
}

template <class Cell, class T>
constexpr CellKernels<T> staged() {
    return {
        staged_packed_sizes<Cell, T>,      staged_pack<Cell, T>,    Cell::saved,
        staged_forward_workspace<Cell, T>, staged_forward<Cell, T>, staged_backward_workspace<Cell, T>,
        staged_backward<Cell, T>,
    };
}

// A row for each cell: runtime/cells.cpp says what it is.
template <class T>
constexpr NamedCell<T> cells[] = {
    {"rnn", fused<RnnCell, T>(), staged<StagedRnn, T>()},
    {"gru", fused<GruCell, T>(), staged<StagedGru, T>()},
    {"lstm", fused<LstmCell, T>(), staged<StagedLstm, T>()},
    {"min_gru", linear<MinGruCell, T>(), linear<MinGruCell, T>()},
    {"min_lstm", linear<MinLstmCell, T>(), linear<MinLstmCell, T>()},
    {"slstm", fused<SlstmCell, T>(), fused<SlstmCell, T>()},
    {},
};

template <class T>
static constexpr Kernels<T> table() {
    return {
        cells<T>,
        packed_b_size<T>,
        pack_b<T>,
        matmul_workspace<T>,
        matmul<T>,
        transpose_matrix<T>,
        softmax<T>,
        softmax_backward<T>,
        optimizer_rules<T>,
        add_rows<T>,
        sum_of_squares<T>,
        ctc_workspace<T>,
        ctc<T>,
        crf_workspace<T>,
        crf<T>,
        crf_decode_workspace<T>,
        crf_decode<T>,
        map_array<T, sigmoid<T>>,
        map_array<T, tanh<T>>,
        multiply_add_loop<T>,
        read_loop<T>,
    };
}

#ifdef LSTMCORE_FLOAT64
const Kernels<double>& float64() {
    static constexpr Kernels<double> kernels = table<double>();
    return kernels;
}
#endif

}  // namespace lstmcore::LSTMCORE_ISA

#ifndef LSTMCORE_FLOAT64
#define LSTMCORE_TEXT(name) #name
#define LSTMCORE_NAME(name) LSTMCORE_TEXT(name)
#define LSTMCORE_JOINED(name, rest) name##rest
#define LSTMCORE_JOIN(name, rest) LSTMCORE_JOINED(name, rest)
#define LSTMCORE_ISA_FLOAT64 LSTMCORE_JOIN(LSTMCORE_ISA, _float64)

namespace lstmcore::LSTMCORE_ISA_FLOAT64 {
const Kernels<double>& float64();
}

namespace lstmcore::LSTMCORE_ISA {

const InstructionSet& instruction_set() {
    static const InstructionSet set = {LSTMCORE_NAME(LSTMCORE_ISA), vector_bytes, table<float>(),
                                       LSTMCORE_ISA_FLOAT64::float64(), reduced()};
    return set;
}

}  // namespace lstmcore::LSTMCORE_ISA
#endif
