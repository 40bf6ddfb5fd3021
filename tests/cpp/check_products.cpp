// Matrix products, each side as it is or transposed, of depths that end within a block, with it and behind it.
#include <algorithm>

#include "check.hpp"

using namespace lstmcore;

namespace {

template <class T>
std::vector<T> transposed(const std::vector<T>& a, long rows, long columns) {
    std::vector<T> result(a.size());
    for (long i = 0; i < rows; ++i)
        for (long j = 0; j < columns; ++j) result[j * rows + i] = a[i * columns + j];
    return result;
}

template <class T>
int check(long rows, long depth, long columns, int& cases) {
    Random random(static_cast<unsigned>(rows + depth + columns));
    const std::vector<T> a = random.normal<T>(rows * depth, 1), b = random.normal<T>(depth * columns, 1),
                         bias = random.normal<T>(columns, 1), before = random.normal<T>(rows * columns, 1),
                         a_t = transposed(a, rows, depth), b_t = transposed(b, depth, columns);
    std::vector<double> product(rows * columns);
    for (long i = 0; i < rows; ++i)
        for (long k = 0; k < depth; ++k)
            for (long j = 0; j < columns; ++j)
                product[i * columns + j] += double(a[i * depth + k]) * double(b[k * columns + j]);

    int failures = 0;
    for (int way = 0; way < 16; ++way) {
        const bool a_transposed = way & 1, b_transposed = way & 2, added = way & 4, prepared = way & 8;
        MatmulProblem<T> p{};
        p.rows = rows, p.depth = depth, p.columns = columns;
        p.a = a_transposed ? a_t.data() : a.data(), p.b = b_transposed ? b_t.data() : b.data();
        p.a_row = a_transposed ? 1 : depth, p.a_column = a_transposed ? rows : 1;
        p.b_row = b_transposed ? 1 : columns, p.b_column = b_transposed ? depth : 1;
        p.c_row = columns, p.accumulate = added;
        if (!added) p.bias = bias.data();
        std::vector<T> packed(prepared ? kernels<T>().packed_b_size(depth, columns) : 0);
        if (prepared) kernels<T>().pack_b(p, packed.data()), p.packed_b = packed.data();
        std::vector<double> want = product;
        for (long k = 0; k < rows * columns; ++k) want[k] += double(added ? before[k] : bias[k % columns]);
        std::vector<T> alone;
        for (p.threads = 1; p.threads <= 4; ++p.threads) {
            std::vector<T> c = before, workspace(kernels<T>().matmul_workspace(p));
            p.c = c.data(), p.workspace = workspace.data();
            kernels<T>().matmul(p);
            if (p.threads == 1) alone = c;
            ++cases;
            // Sums of some hundred terms of about 1 within numbers of about 30.
            const bool right = relative_error(c, want) < (sizeof(T) == 4 ? 2e-6 : 1e-14), same = same_bits(c, alone);
            if (right && same) continue;
            ++failures;
            std::printf("product %s %ld x %ld x %ld, %s%s%s%s%d threads: %s\n", type_name<T>, rows, depth, columns,
                        a_transposed ? "left transposed, " : "", b_transposed ? "right transposed, " : "",
                        added ? "added, " : "", prepared ? "packed before, " : "", p.threads,
                        right ? "other bits than alone" : "wrong");
        }
    }
    return failures;
}

// Stacks of products: each is what it is alone, whether threads share it or take whole ones.
template <class T>
int check_stacks(int& cases) {
    const long rows = 7, depth = 530, columns = 70;
    int failures = 0;
    for (const long count : {1, 2, 3, 7, 17}) {
        Random random{static_cast<unsigned>(count)};
        const std::vector<T> a = random.normal<T>(count * rows * depth, 1),
                             b = random.normal<T>(count * depth * columns, 1);
        for (const bool a_transposed : {false, true}) {
            MatmulProblem<T> p{};
            p.rows = rows, p.depth = depth, p.columns = columns, p.b_row = columns, p.b_column = 1, p.c_row = columns;
            p.a_row = a_transposed ? 1 : depth, p.a_column = a_transposed ? rows : 1;
            const auto run = [&](const T* left, const T* right, T* to) {
                p.a = left, p.b = right, p.c = to;
                std::vector<T> workspace(kernels<T>().matmul_workspace(p));
                p.workspace = workspace.data();
                kernels<T>().matmul(p);
            };
            std::vector<T> alone(count * rows * columns);
            p.threads = 1;
            for (long n = 0; n < count; ++n)
                run(a.data() + n * rows * depth, b.data() + n * depth * columns, alone.data() + n * rows * columns);
            p.count = count, p.a_next = rows * depth, p.b_next = depth * columns, p.c_next = rows * columns;
            for (p.threads = 1; p.threads <= 4; ++p.threads) {
                std::vector<T> c(alone.size());
                run(a.data(), b.data(), c.data());
                ++cases;
                if (same_bits(c, alone)) continue;
                ++failures;
                std::printf("%ld products %s%s, %d threads: other bits than alone\n", count, type_name<T>,
                            a_transposed ? ", left transposed" : "", p.threads);
            }
        }
    }
    return failures;
}

}  // namespace

int check_products(int& cases) {
    int failures = check_stacks<float>(cases) + check_stacks<double>(cases);
    for (const long depth : {1, 511, 512, 513, 1024, 1025, 1300})
        // Threads share rows, or panels of columns.
        for (const auto& [rows, columns] : {std::pair<long, long>{61, 35}, {7, 150}, {20, 1}, {1, 40}})
            failures += check<float>(rows, depth, columns, cases) + check<double>(rows, depth, columns, cases);
    return failures;
}
