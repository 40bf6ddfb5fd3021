// The core without Python, for platforms and sanitizers where building Python is a burden: results against plain loops,
// and the same bits whatever the number of threads. Exits with 1 and says what is wrong.
//
//   cmake -B build/check -DLSTMCORE_CHECK=ON -DLSTMCORE_PYTHON=OFF [-DCMAKE_TOOLCHAIN_FILE=…]
//   cmake --build build/check && build/check/check_core [lstm | cells | products | passes | runtime]…
#include "check.hpp"

int main(int argc, char** argv) {
    const struct {
        const char* name;
        int (*check)(int& cases);
    } parts[] = {{"lstm", check_lstm},
                 {"cells", check_cells},
                 {"products", check_products},
                 {"passes", check_passes},
                 {"runtime", check_runtime}};
    std::printf("instruction set %s, %s\n", lstmcore::instruction_set().name, lstmcore::threading_runtime());
    int cases = 0, failures = 0;
    for (const auto& part : parts) {
        bool wanted = argc == 1;
        for (int k = 1; k < argc; ++k) wanted |= std::strcmp(argv[k], part.name) == 0;
        if (wanted) failures += part.check(cases);
    }
    std::printf("%d passed, %d failed\n", cases - failures, failures);
    return failures ? 1 : 0;
}
