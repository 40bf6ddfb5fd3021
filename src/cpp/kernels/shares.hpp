// Rows of a batch among threads: a row is one thread's.
#pragma once

#include "../threads.hpp"

namespace lstmcore::LSTMCORE_ISA {

// Calls row(b) for the rows that are this thread's. Shares are of equal work, of which a row has work(b), more than
// none: rows go to the share that their middle is in.
template <class Work, class Row>
void share_rows(const Team& team, long batch, Work work, Row row) {
    double all = 0, before = 0;
    for (long b = 0; b < batch; ++b) all += work(b);
    for (long b = 0; b < batch; ++b) {
        const double middle = before + work(b) / 2;
        before += work(b);
        if (int(middle * team.size / all) == team.index) row(b);
    }
}

}  // namespace lstmcore::LSTMCORE_ISA
