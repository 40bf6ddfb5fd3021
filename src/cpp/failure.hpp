// What is thrown on a thread of a parallel region, from which nothing may get out: the first exception is kept, and
// thrown again when the region is over.
#pragma once

#include <atomic>
#include <exception>

namespace lstmcore {

class Failure {
    std::atomic<bool> any{false};
    std::exception_ptr first;

 public:
    template <class F>
    void guard(F f) noexcept {
        try {
            f();
        } catch (...) {
            if (!any.exchange(true)) first = std::current_exception();
        }
    }
    void rethrow() const {
        if (any) std::rethrow_exception(first);
    }
};

}  // namespace lstmcore
