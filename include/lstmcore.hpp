// lstmcore.h for C++17: what is made is freed, sizes come with the arrays, errors are exceptions. Header only.
#pragma once

#include <lstmcore.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace lstm {

// Of any call: its code, and the message.
class Error : public std::runtime_error {
 public:
    const int code;
    Error(int code, const char* message) : std::runtime_error(message), code(code) {}
};

inline void check(int code) {
    if (code != LSTMCORE_OK) throw Error(code, lstmcore_last_error());
}

// Numbers that lie one behind the other; made of anything that has data() and size().
template <class T>
class Span {
    T* data_ = nullptr;
    std::size_t size_ = 0;

 public:
    Span(T* data, std::size_t size) : data_(data), size_(size) {}
    template <class Container, class = decltype(static_cast<T*>(std::declval<Container&>().data()))>
    Span(Container&& numbers) : data_(numbers.data()), size_(numbers.size()) {}

    T* data() const { return data_; }
    std::size_t size() const { return size_; }
    std::size_t bytes() const { return size_ * sizeof(T); }
};

// A piece-by-piece run of a model, for one thread at a time. T: float or double, as the model's outputs are; In:
// std::int64_t for a model that takes integers.
template <class T = float, class In = T>
class Stream {
    struct Free {
        void operator()(lstmcore_stream* stream) const { lstmcore_stream_free(stream); }
    };
    std::unique_ptr<lstmcore_stream, Free> own;

 public:
    Stream(const lstmcore_model* model, std::size_t batch, std::size_t most_steps) {
        lstmcore_stream* made = nullptr;
        check(lstmcore_stream_new(model, batch, most_steps, &made));
        own.reset(made);
    }
    // The outputs of the next steps, (batch, steps, features).
    void run(std::size_t steps, Span<const In> inputs, Span<T> outputs) {
        check(lstmcore_stream_run(own.get(), steps, inputs.data(), inputs.bytes(), outputs.data(), outputs.bytes()));
    }
    void reset() { check(lstmcore_stream_reset(own.get())); }
    std::vector<unsigned char> snapshot() {
        std::size_t bytes = 0;
        check(lstmcore_stream_snapshot_size(own.get(), &bytes));
        std::vector<unsigned char> content(bytes);
        check(lstmcore_stream_snapshot(own.get(), content.data(), content.size()));
        return content;
    }
    void restore(Span<const unsigned char> snapshot) {
        check(lstmcore_stream_restore(own.get(), snapshot.data(), snapshot.size()));
    }
    lstmcore_stream* get() const { return own.get(); }
};

// A model that Python has saved; any number of threads may use it at once.
class Model {
    struct Free {
        void operator()(lstmcore_model* model) const { lstmcore_model_free(model); }
    };
    std::unique_ptr<lstmcore_model, Free> own;

    template <class T>
    static constexpr int dtype() {
        static_assert(std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, std::int64_t>,
                      "float, double or std::int64_t");
        return std::is_same_v<T, float>    ? LSTMCORE_FLOAT32
               : std::is_same_v<T, double> ? LSTMCORE_FLOAT64
                                           : LSTMCORE_INT64;
    }
    template <class T, class In>
    void check_types() const {
        if (input().dtype != dtype<In>())
            throw Error(LSTMCORE_ARGUMENT, "inputs: are of another type than the model's");
        if (output().dtype != dtype<T>())
            throw Error(LSTMCORE_ARGUMENT, "outputs: are of another type than the model's");
    }

 public:
    explicit Model(const std::string& path) {
        lstmcore_model* made = nullptr;
        check(lstmcore_model_load(path.c_str(), &made));
        own.reset(made);
    }
    explicit Model(Span<const unsigned char> content) {
        lstmcore_model* made = nullptr;
        check(lstmcore_model_load_memory(content.data(), content.size(), &made));
        own.reset(made);
    }
    lstmcore_port input() const {
        lstmcore_port port;
        check(lstmcore_model_input(own.get(), &port));
        return port;
    }
    lstmcore_port output() const {
        lstmcore_port port;
        check(lstmcore_model_output(own.get(), &port));
        return port;
    }
    std::size_t output_steps(std::size_t steps) const {
        std::size_t count = 0;
        check(lstmcore_model_output_steps(own.get(), steps, &count));
        return count;
    }
    // Whole sequences, `batch` of them with `steps` steps each; `lengths`, one for each, may be left out.
    template <class T, class In = T>
    void run(std::size_t batch, std::size_t steps, Span<const In> inputs, Span<T> outputs,
             Span<const std::size_t> lengths = {nullptr, 0}) const {
        check_types<T, In>();
        if (lengths.size() && lengths.size() != batch)
            throw Error(LSTMCORE_ARGUMENT, "lengths: expected one for each sequence");
        check(lstmcore_model_run(own.get(), batch, steps, lengths.size() ? lengths.data() : nullptr, inputs.data(),
                                 inputs.bytes(), outputs.data(), outputs.bytes()));
    }
    template <class T = float, class In = T>
    Stream<T, In> stream(std::size_t batch = 1, std::size_t most_steps = 1) const {
        check_types<T, In>();
        return Stream<T, In>(own.get(), batch, most_steps);
    }
    lstmcore_model* get() const { return own.get(); }
};

}  // namespace lstm
