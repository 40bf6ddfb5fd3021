// Levenshtein's distance of pairs of integer sequences, and which edits it is made of.
#pragma once

#include <cstdint>

namespace lstmcore {

struct EditProblem {
    long pairs;
    const int64_t *a, *a_first;  // sequence k is a[a_first[k]] up to a[a_first[k + 1]]
    const int64_t *b, *b_first;
    int64_t* counts;  // (pairs, 3): substitutions, insertions, deletions that make b of a
    int threads;
};

void edit_distances(const EditProblem&);

}  // namespace lstmcore
