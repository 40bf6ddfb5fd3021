// Running without the GIL: the one way, for every kernel and decoder.
#pragma once

#include <Python.h>

#include <chrono>
#include <thread>

namespace lstmcore {

// While it lives, other Python threads may run; unless the work is over in the time it takes to let them.
class WithoutGil {
    PyThreadState* const state;

    // A thread that asks for the GIL when the interpreter has ended never gets it: Python up to 3.13 ends the thread
    // with pthread_exit, which unwinds its stack like an exception. Destructors would then give back Python objects
    // without the GIL, and out of a destructor, as here, nothing may unwind (std::terminate). So the thread stays where
    // it is until the process ends, as Python 3.14 has it.
    static void take(PyThreadState* state) {
        try {
            PyEval_RestoreThread(state);
        } catch (...) {  // it throws nothing else
            for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
        }
    }

 public:
    explicit WithoutGil(bool worthwhile = true) : state(worthwhile ? PyEval_SaveThread() : nullptr) {}
    ~WithoutGil() {
        if (state) take(state);
    }
    WithoutGil(const WithoutGil&) = delete;
    WithoutGil& operator=(const WithoutGil&) = delete;
};

}  // namespace lstmcore
