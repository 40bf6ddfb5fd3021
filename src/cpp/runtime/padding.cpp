#include "runtime/padding.hpp"

#include <algorithm>
#include <utility>

namespace lstmcore {

std::shared_ptr<const Plan> make_plan(long batch, long steps, std::vector<unsigned char> valid, bool backwards,
                                      bool repeat, bool always) {
    if (!always && std::find(valid.begin(), valid.end(), 0) == valid.end()) return nullptr;
    auto plan = std::make_shared<Plan>();
    plan->repeat = repeat;
    std::vector<long> length(batch);
    for (long b = 0; b < batch; ++b)
        for (long t = 0; t < steps; ++t) length[b] += valid[b * steps + t];
    plan->row.resize(batch);
    for (long b = 0; b < batch; ++b) plan->row[b] = int(b);
    std::stable_sort(plan->row.begin(), plan->row.end(), [&](int a, int b) { return length[a] > length[b]; });
    for (int row : plan->row) plan->length.push_back(length[row]);
    plan->steps = batch ? plan->length[0] : 0;
    plan->first.resize(plan->steps + 1);
    for (long t = 0, active = batch; t < plan->steps; ++t) {
        while (active > 0 && plan->length[active - 1] <= t) --active;
        plan->first[t + 1] = plan->first[t] + active;
    }
    plan->step.resize(plan->total());
    plan->at_step.resize(plan->total());
    for (long b = 0; b < batch; ++b) {
        const unsigned char* row = valid.data() + plan->row[b] * steps;
        long t = 0;
        for (long k = 0; k < steps; ++k) {
            const long at = backwards ? steps - 1 - k : k;
            if (!row[at]) continue;
            plan->step[plan->first[t] + b] = int(t);
            plan->at_step[plan->first[t] + b] = int(at);
            ++t;
        }
    }
    plan->valid = std::move(valid);
    return plan;
}

}  // namespace lstmcore
