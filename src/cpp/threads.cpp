#include "threads.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#define LSTMCORE_HAS_FORK 1
#endif

namespace lstmcore {

// --- barrier --------------------------------------------------------------------------------

// Each thread counts its arrivals on a cache line of its own and watches the others': one transfer
// between cores from the last arrival to the rest.
struct alignas(64) Barrier {
    std::atomic<unsigned> arrivals{0};
};

static inline void relax() {
#if defined(__x86_64__) || defined(_M_X64)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

void Team::split(long n, long& begin, long& end) const {
    begin = n * index / size;
    end = n * (index + 1) / size;
}

Team Team::part(int first, int count) const { return {index - first, count, barriers + first}; }

void Team::wait() const {
    if (size == 1) return;
    std::atomic<unsigned>& own = barriers[index].arrivals;
    const unsigned target = own.load(std::memory_order_relaxed) + 1;
    own.store(target, std::memory_order_release);
    for (int other = 0; other < size; ++other) {
        const std::atomic<unsigned>& arrivals = barriers[other].arrivals;
        // Steps take microseconds, so spin; where threads outnumber cores the spinner must give way.
        for (int spins = 0; int(arrivals.load(std::memory_order_acquire) - target) < 0; ++spins) {
            if (spins < 4000)
                relax();
            else
                std::this_thread::yield();
        }
    }
}

// --- floating-point mode --------------------------------------------------------------------

namespace {
class FlushDenormals {
#if defined(__x86_64__) || defined(_M_X64)
    unsigned saved = _mm_getcsr();

 public:
    FlushDenormals() { _mm_setcsr(saved | 0x8040); }  // flush to zero, denormals are zero
    ~FlushDenormals() { _mm_setcsr(saved); }
#elif defined(__aarch64__)
    unsigned long saved;

 public:
    FlushDenormals() {
        asm volatile("mrs %0, fpcr" : "=r"(saved));
        asm volatile("msr fpcr, %0" ::"r"(saved | (1ul << 24)));
    }
    ~FlushDenormals() { asm volatile("msr fpcr, %0" ::"r"(saved)); }
#endif
};
}  // namespace

// --- thread limit ---------------------------------------------------------------------------

#ifdef _OPENMP
// Whole CPUs that the control group's quota allows, or a large number where there is none.
static int quota_cpus() {
    double quota = -1, period = -1;
    if (FILE* f = std::fopen("/sys/fs/cgroup/cpu.max", "r")) {  // version 2: "max 100000"
        if (std::fscanf(f, "%lf %lf", &quota, &period) != 2) quota = -1;
        std::fclose(f);
    } else {
        auto read = [](const char* path) {
            double value = -1;
            if (FILE* g = std::fopen(path, "r")) {
                if (std::fscanf(g, "%lf", &value) != 1) value = -1;
                std::fclose(g);
            }
            return value;
        };
        quota = read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
        period = read("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
    }
    if (quota <= 0 || period <= 0) return 1 << 20;
    return std::max(1, int(quota / period + 0.5));
}

static int default_threads() {
    if (std::getenv("OMP_NUM_THREADS")) return std::max(1, omp_get_max_threads());
    return std::max(1, std::min({omp_get_max_threads(), omp_get_num_procs(), quota_cpus()}));
}
#else
static int default_threads() { return 1; }
#endif

static std::atomic<int> thread_limit{0};

int max_threads() {
    int n = thread_limit.load(std::memory_order_relaxed);
    if (n == 0) {
        n = default_threads();
        thread_limit.store(n, std::memory_order_relaxed);
    }
    return n;
}

void set_max_threads(int n) {
#ifndef _OPENMP
    n = std::min(n, 1);
#endif
    thread_limit.store(n, std::memory_order_relaxed);
}

int threads_for(double work, double work_per_thread) {
    const int limit = max_threads();
    if (limit == 1 || work < 2 * work_per_thread) return 1;
    return int(std::min(double(limit), work / work_per_thread));
}

const char* threading_runtime() {
#ifdef _OPENMP
#ifdef __clang__
#define LSTMCORE_OPENMP_RUNTIME "libomp"
#else
#define LSTMCORE_OPENMP_RUNTIME "libgomp"
#endif
    static char text[64];
    std::snprintf(text, sizeof text, "OpenMP %d (%s)", int(_OPENMP), LSTMCORE_OPENMP_RUNTIME);
    return text;
#else
    return "none";
#endif
}

// --- teams ----------------------------------------------------------------------------------

#ifdef _OPENMP
// A pool of OpenMP threads does not survive fork: the child would wait for threads that do not
// exist. The forking thread therefore lets its pool go just before; parent and child each start
// a new one when they next need it. (Other threads' pools do not exist in the child at all.)
static void release_pool_before_fork() { omp_pause_resource_all(omp_pause_soft); }
#endif

void parallel(int threads, void (*body)(const void*, const Team&), const void* context) {
    if (threads <= 1) {
        FlushDenormals mode;
        body(context, Team{0, 1, nullptr});
        return;
    }
#ifdef _OPENMP
#ifdef LSTMCORE_HAS_FORK
    static const int registered = pthread_atfork(release_pool_before_fork, nullptr, nullptr);
    (void)registered;
#endif
    std::vector<Barrier> barriers(threads);
#pragma omp parallel num_threads(threads)
    {
        FlushDenormals mode;
        body(context, Team{omp_get_thread_num(), omp_get_num_threads(), barriers.data()});
    }
#endif
}

}  // namespace lstmcore
