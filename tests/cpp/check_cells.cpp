// Every cell, with what options, dropout, zoneout and rows of different length add to the work that threads share: the
// bits do not depend on their number. (What the numbers should be is known to the tests in Python.)
#include "recurrent.hpp"

using namespace lstmcore;

namespace {

CellOptions gru_options(bool reset_after) {
    CellOptions options{};
    options.activation = {ActivationKind::tanh, 0, 0}, options.recurrent_activation = {ActivationKind::sigmoid, 0, 0};
    options.reset_after = reset_after;
    return options;
}

template <class T>
int check(const CellKernels<T>& cell, const Setup& s, int& cases) {
    const Numbers<T> in(s, 1);
    const std::vector<T> alone = run_cell(cell, s, in, 1).all();
    int failures = 0;
    for (const int threads : {2, 3, 4}) {
        ++cases;
        if (same_bits(run_cell(cell, s, in, threads).all(), alone)) continue;
        ++failures;
        std::printf("%s %s batch %ld steps %ld inputs %ld units %ld: other bits with %d threads\n", s.name,
                    type_name<T>, s.batch, s.steps, s.inputs, s.units, threads);
    }
    return failures;
}

template <class T>
int check_all(int& cases) {
    CellOptions rnn{}, normalized_gru = gru_options(true), everything = lstm_options();
    rnn.activation = {ActivationKind::tanh, 0, 0};
    normalized_gru.layer_norm = true;
    // Slopes that are saved: those of an activation that is found from its input, and of clipped sums.
    CellOptions smooth_rnn = rnn, clipped_gru = gru_options(false), clipped_lstm = lstm_options();
    smooth_rnn.activation = {ActivationKind::softplus, 0, 0}, clipped_gru.clip = 0.5;
    clipped_lstm.layer_norm = true, clipped_lstm.clip = 1;
    clipped_lstm.output_activation = {ActivationKind::scaled_tanh, 1.7159, 2. / 3};
    everything.peepholes = everything.projection = everything.layer_norm = true;
    const Zoneout zoneout{0.3, 0.2, true, 5};
    int failures = 0;
    const auto all = [&](const CellKernels<T>& cell, Setup s) {
        // Threads share units, rows (several chunks backward), rows of which some are long, and a deep sum in pieces.
        // And inputs in pieces.
        const long shapes[][4] = {{3, 6, 20, 150}, {40, 30, 9, 50},  {600, 2, 3, 20},
                                  {5, 2, 7, 540},  {3, 6, 1100, 38}, {30, 5, 700, 22}};
        for (const auto& [batch, steps, inputs, units] : shapes)
            for (const bool ragged : {false, true}) {
                s.batch = batch, s.steps = steps, s.inputs = inputs, s.units = units, s.ragged = ragged;
                s.sequences = !ragged;
                failures += check(cell, s, cases);
            }
    };
    all(cell_kernels<T>("rnn", false), {"rnn", 0, 0, 0, 0, rnn, 1, 0, 0, false, false, {}});
    all(cell_kernels<T>("rnn", false), {"rnn, dropout, zoneout", 0, 0, 0, 0, rnn, 1, 1, 1, false, false, zoneout});
    all(cell_kernels<T>("gru", false), {"gru", 0, 0, 0, 0, gru_options(true), 3, 0, 0, false, false, {}});
    all(cell_kernels<T>("gru", false), {"gru, dropout", 0, 0, 0, 0, gru_options(true), 3, 3, 3, false, false, {}});
    all(cell_kernels<T>("lstm", false), {"lstm", 0, 0, 0, 0, lstm_options(), 4, 0, 0, false, false, {}});
    all(cell_kernels<T>("lstm", false), {"lstm, dropout", 0, 0, 0, 0, lstm_options(), 4, 1, 4, false, false, {}});
    all(cell_kernels<T>("gru", true), {"gru, reset before", 0, 0, 0, 0, gru_options(false), 3, 0, 0, false, false, {}});
    all(cell_kernels<T>("gru", true),
        {"gru, reset before, dropout", 0, 0, 0, 0, gru_options(false), 3, 3, 3, false, false, zoneout});
    all(cell_kernels<T>("gru", true), {"gru, layer norm", 0, 0, 0, 0, normalized_gru, 3, 0, 1, false, false, {}});
    all(cell_kernels<T>("lstm", true), {"lstm, everything", 0, 0, 0, 0, everything, 4, 1, 4, false, false, zoneout});
    all(cell_kernels<T>("rnn", true), {"rnn, softplus", 0, 0, 0, 0, smooth_rnn, 1, 1, 1, false, false, zoneout});
    all(cell_kernels<T>("gru", true), {"gru, clip", 0, 0, 0, 0, clipped_gru, 3, 0, 0, false, false, {}});
    all(cell_kernels<T>("lstm", true), {"lstm, clip", 0, 0, 0, 0, clipped_lstm, 4, 0, 0, false, false, zoneout});
    // What one of its states is hardly matters to the sLSTM; its normaliser would not begin below 0 in a layer.
    CellOptions slstm{}, heads{}, positive{};
    heads.heads = 2, positive.log_space = true;
    all(cell_kernels<T>("slstm", false), {"slstm", 0, 0, 0, 0, slstm, 4, 0, 0, false, false, {}, 3});
    all(cell_kernels<T>("slstm", false),
        {"slstm, heads, dropout, zoneout", 0, 0, 0, 0, heads, 4, 1, 4, false, false, {0.3, 0, true, 5}, 3});
    all(cell_kernels<T>("min_gru", false), {"min_gru", 0, 0, 0, 0, {}, 2, 0, 0, false, false, {}});
    all(cell_kernels<T>("min_gru", false),
        {"min_gru, dropout, zoneout", 0, 0, 0, 0, positive, 2, 2, 0, false, false, zoneout});
    all(cell_kernels<T>("min_lstm", false), {"min_lstm", 0, 0, 0, 0, {}, 3, 1, 0, false, false, {}});
    return failures;
}

}  // namespace

int check_cells(int& cases) { return check_all<float>(cases) + check_all<double>(cases); }
