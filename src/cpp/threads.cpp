#include "threads.hpp"

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "cpu_quota.hpp"

#ifdef _OPENMP
#include <omp.h>
#endif
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <sys/mman.h>
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
// The first of OMP_NUM_THREADS, a list of positive numbers; 0 where it is anything else, as if it were not set.
static int threads_asked_for() {
    const char* text = std::getenv("OMP_NUM_THREADS");
    int first = 0;
    for (bool more = text != nullptr; more;) {
        char* end;
        const long n = std::strtol(text, &end, 10);  // LONG_MAX, LONG_MIN where it is beyond them
        if (n <= 0) return 0;
        while (std::isspace(static_cast<unsigned char>(*end))) ++end;
        more = *end == ',';
        if (!more && *end) return 0;
        if (first == 0) first = int(std::min(n, long(most_threads)));
        text = end + 1;
    }
    return first;
}

static int default_threads() {
    int n = threads_asked_for();
    if (n == 0) n = int(std::min({double(omp_get_num_procs()), cpu_quota() + 0.5, double(most_threads)}));
    return std::max(1, std::min(n, omp_get_thread_limit()));
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
// The last team that this thread began: OpenMP keeps the threads of it, and lets those go that a smaller team leaves.
static thread_local int last_team = 1;

// A pool of OpenMP threads does not survive fork: the child would wait for threads that do not
// exist. The forking thread therefore lets its pool go just before; parent and child each start
// a new one when they next need it. (Other threads' pools do not exist in the child at all.)
static void release_pool_before_fork() {
    omp_pause_resource_all(omp_pause_soft);
    last_team = 1;
}

#ifdef LSTMCORE_HAS_FORK
// OMP_STACKSIZE, a number of kilobytes or with B, K, M, G behind it; 0 where it is not set.
static std::size_t stack_size_asked_for() {
    const char* text = std::getenv("OMP_STACKSIZE");
    if (!text) text = std::getenv("GOMP_STACKSIZE");
    if (!text) return 0;
    char* unit;
    const unsigned long long n = std::strtoull(text, &unit, 10);
    while (std::isspace(static_cast<unsigned char>(*unit))) ++unit;
    const char* const units = "BKMG";
    const char* const at = *unit ? std::strchr(units, std::toupper(static_cast<unsigned char>(*unit))) : units + 1;
    const int shift = at ? 10 * int(at - units) : 0;
    return at && n <= SIZE_MAX >> shift ? std::size_t(n) << shift : 0;
}

// How many of `wanted` threads can be started, all at once, with some memory to spare for what OpenMP keeps of them.
static int threads_that_start(int wanted) {
    constexpr std::size_t spare = std::size_t(4) << 20;
    void* const reserved = mmap(nullptr, spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (reserved == MAP_FAILED) return 0;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    if (const std::size_t size = stack_size_asked_for()) pthread_attr_setstacksize(&attributes, size);
    std::vector<pthread_t> started(wanted);
    int count = 0;
    std::mutex gate;
    {
        const std::lock_guard<std::mutex> closed(gate);
        const auto wait = [](void* gate) -> void* {
            const std::lock_guard<std::mutex> passed(*static_cast<std::mutex*>(gate));
            return nullptr;
        };
        while (count < wanted && pthread_create(&started[count], &attributes, wait, &gate) == 0) ++count;
    }
    for (int k = 0; k < count; ++k) pthread_join(started[k], nullptr);
    pthread_attr_destroy(&attributes);
    munmap(reserved, spare);
    return count;
}
#endif

// OpenMP ends the process where it cannot start a thread (no memory, a limit of the system, stacks of an absurd
// size). So a team is no larger than the last before it has been tried whether it can be, and then what there is.
static int startable(int threads) {
#ifdef LSTMCORE_HAS_FORK
    static const int registered = pthread_atfork(release_pool_before_fork, nullptr, nullptr);
    (void)registered;
    const int possible = threads <= last_team ? threads : last_team + threads_that_start(threads - last_team);
    if (possible < threads) {
        static std::atomic<bool> told{false};
        if (!told.exchange(true))
            std::fprintf(stderr, "lstmcore: %d of %d threads can be started; going on with %d\n", possible, threads,
                         possible);
        thread_limit.store(possible, std::memory_order_relaxed);  // not to be tried again at every call
        threads = possible;
    }
#endif
    last_team = threads;
    return threads;
}
#endif

void parallel(int threads, void (*body)(const void*, const Team&), const void* context) {
#ifdef _OPENMP
    if (threads > 1) threads = startable(threads);
#else
    threads = 1;
#endif
    if (threads <= 1) {
        FlushDenormals mode;
        body(context, Team{0, 1, nullptr});
        return;
    }
#ifdef _OPENMP
    std::vector<Barrier> barriers(threads);
#pragma omp parallel num_threads(threads)
    {
        FlushDenormals mode;
        body(context, Team{omp_get_thread_num(), omp_get_num_threads(), barriers.data()});
    }
#endif
}

}  // namespace lstmcore
