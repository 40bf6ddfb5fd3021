// Picks the kernel table of this process, once, from what the CPU can do and what was built.
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#include "core.hpp"

namespace lstmcore {

// One accessor per instruction set, defined by kernels/kernels.cpp compiled for it.
#define LSTMCORE_DECLARE(set)                \
    namespace set {                          \
    const InstructionSet& instruction_set(); \
    }
LSTMCORE_DECLARE(baseline)
LSTMCORE_DECLARE(avx2)
LSTMCORE_DECLARE(avx512)
LSTMCORE_DECLARE(neon)
namespace avx512_bf16 {
const Reduced* reduced();  // kernels/reduced.cpp
}

namespace {
struct Candidate {
    const char* name;
    const InstructionSet& (*table)();
    bool (*supported)();
};

bool always() { return true; }

#ifdef LSTMCORE_HAS_avx512
bool has_avx512() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("fma");
}
#endif
#ifdef LSTMCORE_HAS_avx512_bf16
// AVX-512 but for its kernels of narrow numbers.
const InstructionSet& avx512_bf16_set() {
    static const InstructionSet set = [] {
        InstructionSet set = avx512::instruction_set();
        set.name = "avx512_bf16", set.reduced = avx512_bf16::reduced();
        return set;
    }();
    return set;
}
#endif

const Candidate candidates[] = {
// best first
#ifdef LSTMCORE_HAS_avx512_bf16
    {"avx512_bf16", avx512_bf16_set,
     [] { return has_avx512() && __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni"); }},
#endif
#ifdef LSTMCORE_HAS_avx512
    {"avx512", avx512::instruction_set, has_avx512},
#endif
#ifdef LSTMCORE_HAS_avx2
    {"avx2", avx2::instruction_set, [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }},
#endif
#ifdef LSTMCORE_HAS_neon
    {"neon", neon::instruction_set, always},
#endif
#ifdef LSTMCORE_HAS_baseline
    {"baseline", baseline::instruction_set, always},
#endif
};

const InstructionSet& choose() {
    const char* wanted = std::getenv("LSTMCORE_ISA");
    std::string built;
    for (const Candidate& candidate : candidates) {
        built += built.empty() ? "" : ", ";
        built += candidate.name;
        if (!wanted || !*wanted) {
            if (candidate.supported()) return candidate.table();
        } else if (!std::strcmp(wanted, candidate.name)) {
            if (candidate.supported()) return candidate.table();
            const char* best = available_instruction_sets()[0];
            throw std::runtime_error(std::string("LSTMCORE_ISA=") + wanted +
                                     ": this CPU does not have that instruction set; it has " +
                                     (best ? best + std::string(" and what is below it") : "none of those built"));
        }
    }
    if (!wanted || !*wanted) throw std::runtime_error("this CPU has none of the instruction sets built: " + built);
    throw std::runtime_error(std::string("LSTMCORE_ISA=") + wanted + ": expected one of " + built);
}
}  // namespace

const InstructionSet& instruction_set() {
    static const InstructionSet& chosen = choose();
    return chosen;
}

const char* const* available_instruction_sets() {
    static const char* names[sizeof candidates / sizeof *candidates + 1] = {};
    if (!names[0]) {
        int n = 0;
        for (const Candidate& candidate : candidates)
            if (candidate.supported()) names[n++] = candidate.name;
    }
    return names;
}

}  // namespace lstmcore
