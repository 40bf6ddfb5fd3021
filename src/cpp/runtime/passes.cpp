#include "runtime/passes.hpp"

#include <algorithm>

namespace lstmcore {

void run(Pass& pass) {
    if (!pass.empty) {
        pass.prepare(pass.threads);
        parallel(
            pass.threads, [](const void* context, const Team& team) { static_cast<const Pass*>(context)->run(team); },
            &pass);
    }
    pass.finish();
}

void run_both(Pass& first, Pass& second) {
    const int both = std::min({first.threads, second.threads, max_threads() / 2});
    const bool side_by_side = !first.empty && !second.empty && first.threads + second.threads > 2 && both >= 1;
    if (!side_by_side) {
        run(first);
        return run(second);
    }
    struct Pair {
        const Pass *first, *second;
        int half;
    } const pair{&first, &second, std::max(1, std::min(max_threads() / 2, std::max(first.threads, second.threads)))};
    first.prepare(pair.half);
    second.prepare(pair.half);
    parallel(
        2 * pair.half,
        [](const void* context, const Team& team) {
            const Pair& p = *static_cast<const Pair*>(context);
            if (team.size < 2 * p.half) {  // fewer threads than asked for
                if (team.index > 0) return;
                p.first->run(Team{0, 1, nullptr});
                p.second->run(Team{0, 1, nullptr});
            } else if (team.index < p.half) {
                p.first->run(team.part(0, p.half));
            } else {
                p.second->run(team.part(p.half, p.half));
            }
        },
        &pair);
    first.finish();
    second.finish();
}

}  // namespace lstmcore
