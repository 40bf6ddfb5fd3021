#include "decode/edit_distance.hpp"

#include <algorithm>
#include <atomic>
#include <vector>

#include "failure.hpp"
#include "threads.hpp"

namespace lstmcore {
namespace {

// Wagner & Fischer 1974 with a single row. An edit costs 2^32, and an insertion or deletion 1 more: so of
// the ways with the fewest edits the one with the most substitutions is found, and both numbers can be
// read off the sum. Insertions minus deletions are known from the lengths.
void count_edits(const int64_t* a, long n, const int64_t* b, long m, std::vector<int64_t>& row, int64_t* counts) {
    constexpr int64_t substitution = int64_t(1) << 32, gap = substitution + 1;
    row.resize(m + 1);
    for (long j = 0; j <= m; ++j) row[j] = j * gap;
    for (long i = 1; i <= n; ++i) {
        int64_t diagonal = row[0];
        row[0] = i * gap;
        for (long j = 1; j <= m; ++j) {
            const int64_t above = row[j];
            row[j] = std::min(diagonal + (a[i - 1] == b[j - 1] ? 0 : substitution), std::min(above, row[j - 1]) + gap);
            diagonal = above;
        }
    }
    const int64_t edits = row[m] >> 32, gaps = row[m] & (substitution - 1);
    counts[0] = edits - gaps;
    counts[1] = (gaps + (m - n)) / 2;
    counts[2] = (gaps - (m - n)) / 2;
}

}  // namespace

void edit_distances(const EditProblem& problem) {
    struct Shared {
        const EditProblem& p;
        std::atomic<long> next{0};
        Failure failure;
    } shared{problem, {}, {}};
    parallel(
        problem.threads,
        [](const void* context, const Team&) {
            Shared& s = *static_cast<Shared*>(const_cast<void*>(context));
            const EditProblem& p = s.p;
            s.failure.guard([&] {
                std::vector<int64_t> row;
                for (long k; (k = s.next.fetch_add(1, std::memory_order_relaxed)) < p.pairs;)
                    count_edits(p.a + p.a_first[k], p.a_first[k + 1] - p.a_first[k], p.b + p.b_first[k],
                                p.b_first[k + 1] - p.b_first[k], row, p.counts + 3 * k);
            });
        },
        &shared);
    shared.failure.rethrow();
}

}  // namespace lstmcore
