// The GIL: running without it, the one way for every kernel and decoder; and waiting for it.
#pragma once

#include <Python.h>

#include <chrono>
#include <thread>

namespace lstmcore {

// f(), which waits for the GIL and throws nothing. A thread that asks for it when the interpreter has ended never gets
// it: Python up to 3.13 ends the thread with pthread_exit, which unwinds its stack like an exception. Destructors would
// then give back Python objects without the GIL, and nothing may unwind out of a destructor or a guarded body
// (std::terminate). So the thread stays where it is until the process ends, as Python 3.14 has it.
template <class F>
auto in_python(F f) {
    try {
        return f();
    } catch (...) {
        for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
    }
}

// While it lives, other Python threads may run; unless the work is over in the time it takes to let them.
class WithoutGil {
    PyThreadState* const state;

 public:
    explicit WithoutGil(bool worthwhile = true) : state(worthwhile ? PyEval_SaveThread() : nullptr) {}
    ~WithoutGil() {
        if (state) in_python([this] { PyEval_RestoreThread(state); });
    }
    WithoutGil(const WithoutGil&) = delete;
    WithoutGil& operator=(const WithoutGil&) = delete;
};

}  // namespace lstmcore
