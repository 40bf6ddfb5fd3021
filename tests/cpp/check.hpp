// What the checks of the core share. Each check prints what is wrong and returns how many cases failed.
#pragma once

#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>
#include <type_traits>
#include <vector>

#include "core.hpp"
#include "runtime/kernel_table.hpp"
#include "threads.hpp"

int check_lstm(int& cases);      // forward and backward against plain loops in double
int check_cells(int& cases);     // every cell and option: the bits do not depend on threads
int check_products(int& cases);  // matrix products against plain loops, and their bits
int check_passes(int& cases);    // optimizers, sums of rows, softmaxes, CTC, CRF, decoders: the same
int check_runtime(int& cases);   // whole layers: the same, whoever calls beside them

using lstmcore::kernels;

template <class T>
constexpr const char* type_name = sizeof(T) == 4 ? "float32" : "float64";

// Numbers from a seed, the same in both types.
class Random {
    std::mt19937 generator;

 public:
    explicit Random(unsigned seed) : generator(seed) {}
    template <class T>
    std::vector<T> normal(long n, double scale) {
        std::normal_distribution<double> distribution;
        std::vector<T> values(n);
        for (T& v : values) v = T(float(scale * distribution(generator)));
        return values;
    }
    long below(long n) { return long(generator() % (unsigned long)(n)); }
};

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

// The largest difference, relative to the largest number expected. NaN is far from everything.
template <class T, class U>
double relative_error(const std::vector<T>& got, const std::vector<U>& want) {
    double error = 0, scale = 1e-30;
    for (std::size_t k = 0; k < want.size(); ++k) {
        const double difference = std::abs(double(got[k]) - double(want[k]));
        error = difference <= error ? error : difference;
        scale = std::max(scale, std::abs(double(want[k])));
    }
    return error / scale;
}

// A pass of a cell on a team of at most problem.threads threads.
template <class Problem>
void run(void (*function)(const Problem&, const lstmcore::Team&), const Problem& problem) {
    struct Pass {
        void (*function)(const Problem&, const lstmcore::Team&);
        const Problem* problem;
    } const pass{function, &problem};
    lstmcore::parallel(
        problem.threads,
        [](const void* context, const lstmcore::Team& team) {
            const Pass& pass = *static_cast<const Pass*>(context);
            pass.function(*pass.problem, team);
        },
        &pass);
}
