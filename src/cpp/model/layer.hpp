// A layer of a loaded model: what it makes of whole sequences, and of sequences piece by piece.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model/config.hpp"
#include "model/file.hpp"
#include "runtime/memory.hpp"

namespace lstmcore {

// Of a sample: vectors, or sequences of them.
struct Form {
    bool sequence = false;
    long steps = 0;     // 0: any number; of vectors 1
    long features = 0;  // 0: the samples are integers, each of which stands for a vector
};

// Which steps count: (batch, steps), ones and zeros; empty: all do.
using Mask = std::vector<unsigned char>;

template <class T>
struct Values {
    const T* data = nullptr;  // (batch, steps, features), contiguous; of vectors steps is 1
    const std::int64_t* integers = nullptr;
    long batch = 0, steps = 1, features = 0;
    bool sequence = false;

    std::size_t rows() const { return std::size_t(batch) * std::size_t(steps); }
};

// What a layer is to a stream: does for the next chunk of steps what the layer does for all.
template <class T>
class Stage {
 public:
    virtual ~Stage() = default;
    virtual void run(const Values<T>& in, T* out) = 0;
    // What it remembers, in elements.
    virtual std::size_t memory() const { return 0; }
    virtual void read(T*) const {}
    virtual void write(const T*) {}
    virtual void reset() {}
};

template <class T>
class Layer {
 public:
    Form in, out;  // of its values, for the number of steps it was loaded for

    virtual ~Layer() = default;
    // Outputs (batch, steps or, where they are vectors, 1, features), and what becomes of the mask.
    virtual void run(const Values<T>& in, T* out, Mask& mask) const = 0;
    // Of its outputs, for that many of its inputs; refused where these are too few.
    virtual long steps_of(long steps) const { return out.sequence ? steps : 1; }
    // Whether it looks at one step at a time, whatever is before it, so that its own `run` is that of a stage.
    virtual bool stepwise() const { return false; }
    // For a stream; null where it needs more than a chunk of the sequence.
    virtual std::unique_ptr<Stage<T>> stage(long batch, long steps) const;
};

constexpr long most_rows = (1l << 31) - 1;

// The product of sizes, or an error where that is too large.
inline std::size_t product(const char* what, std::size_t a, std::size_t b) {
    std::size_t n;
    if (__builtin_mul_overflow(a, b, &n) || n > (std::size_t(1) << 60))
        throw ModelError(ErrorKind::argument, std::string(what) + ": is too large");
    return n;
}

// A function of every number, or of the numbers of a row.
template <class T>
struct RowFunction {
    void (*apply)(T* x, std::size_t rows, std::size_t columns, int threads);
};
// That of a name; refused where it is none that the core has to the last bit.
template <class T>
RowFunction<T> row_function(const Config& config, const char* name);

// Where a layer is described, where its weights are, and what comes in.
struct Place {
    const ModelFile& file;
    Config config;
    std::string path;  // of the weights, ends with "/"
    Form in;
};

// The layers by the names of their classes; null where there is none of that name.
template <class T>
std::unique_ptr<Layer<T>> recurrent_layer(const std::string& kind, const Place& place);
template <class T>
std::unique_ptr<Layer<T>> plain_layer(const std::string& kind, const Place& place);
template <class T>
std::unique_ptr<Layer<T>> window_layer(const std::string& kind, const Place& place);
template <class T>
std::unique_ptr<Layer<T>> normalization_layer(const std::string& kind, const Place& place);
// Any of them, of the description of one; refused by name where there is none.
template <class T>
std::unique_ptr<Layer<T>> made_layer(const ModelFile& file, const Json& description, const std::string& prefix,
                                     std::map<std::string, int>& seen, const Form& in);

}  // namespace lstmcore
