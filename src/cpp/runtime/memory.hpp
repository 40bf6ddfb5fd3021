// Working space and what the backward pass needs: blocks of memory, reused from call to call.
#pragma once

#include <cstddef>
#include <new>
#include <string>
#include <utility>

namespace lstmcore {

// No memory for a block: says how large it was to be.
class OutOfMemory : public std::bad_alloc {
    std::string text;

 public:
    explicit OutOfMemory(std::size_t bytes)
        : text("no memory for " + std::to_string(bytes) + " bytes of working space") {}
    const char* what() const noexcept override { return text.c_str(); }
};

// A block of at least `bytes`, which becomes its size; given back with that size. By any thread, also after a fork.
void* take_block(std::size_t& bytes);
void give_block(void* memory, std::size_t bytes) noexcept;

template <class T>
class Buffer {
    T* data_ = nullptr;
    std::size_t bytes_ = 0;

 public:
    Buffer() = default;
    explicit Buffer(std::size_t n) {
        if (n == 0) return;
        bytes_ = (n * sizeof(T) + 63) / 64 * 64;
        data_ = static_cast<T*>(take_block(bytes_));
    }
    Buffer(Buffer&& other) noexcept { *this = std::move(other); }
    Buffer& operator=(Buffer&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    ~Buffer() {
        if (data_) give_block(data_, bytes_);
    }
    T* get() const { return data_; }
};

}  // namespace lstmcore
