#include "runtime/cost.hpp"

#include <algorithm>

#include "threads.hpp"

namespace lstmcore {
namespace {

// Terms of the recurrent product.
long depth_of_h(const CellDescription& w) { return w.cell->recurrent ? w.shape.outputs / w.options.heads : 0; }

// In multiply-adds. Fewer than four rows cost as much as four, for reading the weights then takes longer than using
// them.
double work_of_step(const CellDescription& w, const RecurrentShape& s) {
    return double(std::max(4l, s.batch)) * w.gates * s.units * double(depth_of_h(w) + s.inputs);
}

}  // namespace

int pack_threads(const CellDescription& w) {
    return threads_for(double(w.gates) * w.shape.units * double(w.shape.inputs + depth_of_h(w)), 2e5);
}

// As many as its work repays, where they share rows and meet once; where they share units they also meet at every
// step.
int pass_threads(const CellDescription& w, const RecurrentShape& s) {
    constexpr double of_call = 3e5, of_step = 1e5;
    const double step = work_of_step(w, s);
    const int threads = threads_for(step * double(s.steps), of_call);
    if (!w.cell->recurrent) return threads;                                    // they meet once, whatever they share
    if (w.staged) return int(std::min(long(threads), std::max(1l, s.batch)));  // they share rows only
    if (s.batch >= 4l * threads) return threads;
    return std::max(int(s.batch / 4), std::min(threads, threads_for(step, of_step)));
}

bool is_brief(const CellDescription& w, const RecurrentShape& s) { return work_of_step(w, s) * double(s.steps) < 5e5; }

}  // namespace lstmcore
