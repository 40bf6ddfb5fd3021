// The only place that knows threads: limits, teams, barriers, fork safety, and the floating-point
// mode our threads run in. No code here either: an inline function compiled for one instruction set
// could be the copy the linker keeps for all.
#pragma once

namespace lstmcore {

struct Barrier;

// One thread's view of the team that runs a parallel body.
struct Team {
    int index, size;
    Barrier* barriers;  // one for each thread

    void wait() const;  // returns when the whole team has arrived
    // The team of the threads from `first` on that this one is in, `count` of them.
    Team part(int first, int count) const;
    // This thread's share [begin, end) of n items; shares differ by one at most.
    void split(long n, long& begin, long& end) const;
};

// Runs body(context, team) on up to `threads` threads (fewer inside another parallel region, or where so many cannot
// be started). Their denormals are flushed to zero for the length of the body; the caller's mode is restored.
void parallel(int threads, void (*body)(const void* context, const Team& team), const void* context);

constexpr int most_threads = 4096;
// The limit in force: set_max_threads, else OMP_NUM_THREADS, else affinity and quota; or fewer, if no more start.
int max_threads();
void set_max_threads(int n);  // 1 to most_threads; 0 restores the default
// Threads worth starting for a call of `work` multiply-adds (or elements, for a pass over memory).
int threads_for(double work, double work_per_thread);
const char* threading_runtime();  // e.g. "OpenMP 201511 (libgomp)", or "none"

}  // namespace lstmcore
