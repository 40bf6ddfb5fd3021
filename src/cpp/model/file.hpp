// A saved model: a safetensors file whose header holds the configuration, and the arrays behind it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "model/config.hpp"
#include "runtime/memory.hpp"

namespace lstmcore {

struct StoredArray {
    std::string dtype;  // as safetensors calls it: "F32"
    std::vector<std::int64_t> shape;
    const unsigned char* data;
    std::size_t bytes;
    mutable bool taken = false;
};

class ModelFile {
    std::map<std::string, StoredArray> arrays;

 public:
    Json description;  // what stands beside the arrays: {"format", "kind", "model", ...}

    // Of bytes that stay where they are as long as arrays are asked for.
    ModelFile(const unsigned char* data, std::size_t size);

    // A copy of the weights of a layer, which must be there with that shape, and of that element type.
    template <class T>
    Buffer<T> weights(const std::string& path, const std::vector<std::int64_t>& shape) const;
    // Refuses a file with weights that no layer asked for.
    void all_taken() const;
    // Of the weights and what the model is told: a number that tells models apart.
    std::uint64_t fingerprint() const;
};

// The whole file.
std::vector<unsigned char> bytes_of(const char* path);

}  // namespace lstmcore
