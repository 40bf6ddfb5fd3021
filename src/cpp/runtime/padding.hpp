// Sequences of different length: which steps of every row are computed, and in what order.
#pragma once

#include <memory>
#include <vector>

#include "core.hpp"

namespace lstmcore {

// What of every row is not padding, sorted for the kernels.
struct Plan {
    std::vector<long> first, length;
    std::vector<int> step, row, at_step;
    std::vector<unsigned char> valid;  // (batch, steps) of the arrays
    bool repeat = false;               // padding repeats the output before it, or is zero
    long steps = 0;                    // of the longest row

    Ragged view() const { return {first.data(), step.data(), row.data(), at_step.data(), length.data()}; }
    long total() const { return first.back(); }
};

// Of valid steps (batch, steps), ones and zeros. Null where nothing is padding, unless `always`.
std::shared_ptr<const Plan> make_plan(long batch, long steps, std::vector<unsigned char> valid, bool backwards,
                                      bool repeat, bool always);

// Calls f(row, step, source) for the padding steps, in the order they are processed; source is the step
// whose output they repeat, or -1.
template <class F>
void for_each_padding(const Plan& plan, long batch, long steps, bool backwards, F f) {
    for (long b = 0; b < batch; ++b)
        for (long k = 0, source = -1; k < steps; ++k) {
            const long t = backwards ? steps - 1 - k : k;
            if (plan.valid[b * steps + t])
                source = t;
            else
                f(b, t, plan.repeat ? source : -1);
        }
}

}  // namespace lstmcore
