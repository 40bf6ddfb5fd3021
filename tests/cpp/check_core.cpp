// The core without Python, for platforms and sanitizers where building Python is a burden: results against plain loops,
// and the same bits whatever the number of threads. Exits with 1 and says what is wrong.
//
//   cmake -B build/check -DLSTMCORE_CHECK=ON -DLSTMCORE_PYTHON=OFF [-DCMAKE_TOOLCHAIN_FILE=…]
//   cmake --build build/check && build/check/check_core
#include "check.hpp"

int main() {
    std::printf("instruction set %s, %s\n", lstmcore::instruction_set().name, lstmcore::threading_runtime());
    int cases = 0;
    const int failures =
        check_lstm(cases) + check_cells(cases) + check_products(cases) + check_passes(cases) + check_runtime(cases);
    std::printf("%d passed, %d failed\n", cases - failures, failures);
    return failures ? 1 : 0;
}
