#include "runtime/cells.hpp"

#include <cmath>
#include <cstring>

namespace lstmcore {

const ActivationInfo activations[] = {
    {"tanh", 0, 0},
    {"sigmoid", 0, 0},
    {"hard_sigmoid", 1. / 6, 0.5},
    {"relu", 0, 0},
    {"linear", 0, 0},
    {"softsign", 0, 0},
    {"softplus", 0, 0},
    {"elu", 1, 0},
    {"leaky_relu", 0.2, 0},
    {"threshold", 0, 0},
    {"affine", 1, 0},
    {"scaled_tanh", 1.7159, 2. / 3},
    {},
};

namespace {

bool plain(const CellOptions& o) {
    return o.activation.kind == ActivationKind::tanh && o.recurrent_activation.kind == ActivationKind::sigmoid &&
           std::isinf(o.clip) && !o.layer_norm;
}
const char* nothing(const CellOptions&) { return nullptr; }
bool always(const CellOptions&) { return true; }
template <long n>
long gates(const CellOptions&) {
    return n;
}

const OptionInfo no_options[] = {{}};
const OptionInfo gru_options[] = {
    {"layer_norm", &CellOptions::layer_norm}, {"reset_after", &CellOptions::reset_after}, {}};
const OptionInfo lstm_options[] = {
    {"layer_norm", &CellOptions::layer_norm},   {"peepholes", &CellOptions::peepholes},
    {"coupled", &CellOptions::coupled},         {"projection", &CellOptions::projection},
    {"input_gate", &CellOptions::input_gate},   {"forget_gate", &CellOptions::forget_gate},
    {"output_gate", &CellOptions::output_gate}, {}};
const OptionInfo min_options[] = {{"log_space", &CellOptions::log_space}, {}};
const OptionInfo slstm_options[] = {{"exponential_forget", &CellOptions::exponential_forget}, {}};

bool rnn_is_fused(const CellOptions& o) { return o.activation.kind <= ActivationKind::softsign && std::isinf(o.clip); }

bool gru_is_fused(const CellOptions& o) { return plain(o) && o.reset_after; }
const char* gru_conflict(const CellOptions& o) {
    return o.layer_norm && !o.reset_after ? "layer_norm: needs reset_after=True" : nullptr;
}

long lstm_gates(const CellOptions& o) { return 1 + o.input_gate + (o.forget_gate && !o.coupled) + o.output_gate; }
bool lstm_is_fused(const CellOptions& o) {
    return plain(o) && o.output_activation.kind == ActivationKind::tanh && lstm_gates(o) == 4 && !o.peepholes &&
           !o.projection;
}
const char* lstm_conflict(const CellOptions& o) {
    const bool wrong = o.coupled && !(o.input_gate && o.forget_gate);
    return wrong ? "coupled: needs input_gate=True and forget_gate=True" : nullptr;
}

constexpr bool yes = true, no = false;

}  // namespace

// clang-format off
const CellInfo cells[] = {
    //                                              recurrent, activations, heads, zoneout of c, fused zoneout
    {"rnn",      "SimpleRNN", {"h"},                yes, 1, no,  no,  yes, no_options,    gates<1>,   rnn_is_fused,  nothing},
    {"gru",      "GRU",       {"h"},                yes, 2, no,  no,  no,  gru_options,   gates<3>,   gru_is_fused,  gru_conflict},
    {"lstm",     "LSTM",      {"h", "c"},           yes, 3, no,  yes, no,  lstm_options,  lstm_gates, lstm_is_fused, lstm_conflict},
    {"min_gru",  "MinGRU",    {"h"},                no,  0, no,  no,  yes, min_options,   gates<2>,   always,        nothing},
    {"min_lstm", "MinLSTM",   {"h"},                no,  0, no,  no,  yes, min_options,   gates<3>,   always,        nothing},
    {"slstm",    "SLSTM",     {"h", "c", "n", "m"}, yes, 0, yes, no,  yes, slstm_options, gates<4>,   always,        nothing},
    {},
};
// clang-format on

CellOptions plain_options() {
    CellOptions o{};
    o.input_gate = o.forget_gate = o.output_gate = true;
    return o;
}

const CellInfo* find_cell(const char* name) {
    for (const CellInfo* cell = cells; cell->name; ++cell)
        if (!std::strcmp(cell->name, name)) return cell;
    return nullptr;
}

std::size_t WeightInfo::size() const {
    std::size_t n = 1;
    for (const Dim& d : dims) n *= std::size_t(d.size);
    return n;
}

std::vector<WeightInfo> weights_of(const CellInfo& cell, const CellOptions& options, const RecurrentShape& s,
                                   bool has_bias) {
    static const char* const columns_names[] = {"", "units", "2*units", "3*units", "4*units"};
    const long gates = cell.gates(options);
    const Dim columns{columns_names[gates], gates * s.units}, units{"units", s.units},
        outputs{output_name(options), s.outputs};
    std::vector<WeightInfo> weights = {{"kernel", {{"inputs", s.inputs}, columns}, WeightRole::kernel}};
    if (cell.recurrent) {
        const Dim rows = options.heads == 1 ? outputs : Dim{"units/heads", s.outputs / options.heads};
        weights.push_back({"recurrent_kernel", {rows, columns}, WeightRole::recurrent});
    }
    if (has_bias && options.reset_after)
        weights.push_back({"bias", {{"rows", 2}, columns}, WeightRole::bias});
    else if (has_bias)
        weights.push_back({"bias", {columns}, WeightRole::bias});
    if (options.peepholes) weights.push_back({"peephole", {{"gates", 3}, units}, WeightRole::peephole});
    if (options.projection) weights.push_back({"projection", {units, {"outputs", s.outputs}}, WeightRole::projection});
    if (options.layer_norm) weights.push_back({"gain", {{"products", 2}, columns}, WeightRole::gain});
    if (options.layer_norm && cell.carried())
        weights.push_back({"cell_norm", {{"rows", 2}, units}, WeightRole::cell_norm});
    return weights;
}

}  // namespace lstmcore
