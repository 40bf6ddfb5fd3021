// The layers without a recurrence.
#include <algorithm>
#include <cstring>
#include <limits>

#include "model/layer.hpp"
#include "runtime/kernel_table.hpp"
#include "threads.hpp"

namespace lstmcore {
namespace {

void needs_numbers(const Place& place) {
    if (!place.in.features)
        throw ModelError(ErrorKind::format, place.config.where() + ": inputs: expected numbers, got integers");
}

template <class T>
class Dense final : public Layer<T> {
    const RowFunction<T> activation;
    Buffer<T> bias, packed;

 public:
    explicit Dense(const Place& place) : activation(row_function<T>(place.config, "activation")) {
        needs_numbers(place);
        const long units = place.config.integer("units", 1, most_rows), features = place.in.features;
        const Buffer<T> kernel = place.file.weights<T>(place.path + "kernel", {features, units});
        if (place.config.flag("use_bias")) bias = place.file.weights<T>(place.path + "bias", {units});
        MatmulProblem<T> p{};
        p.depth = features, p.columns = units, p.b = kernel.get(), p.b_row = units, p.b_column = 1;
        packed = Buffer<T>(kernels<T>().packed_b_size(features, units));
        kernels<T>().pack_b(p, packed.get());
        this->in = this->out = place.in;
        this->out.features = units;
    }
    void run(const Values<T>& in, T* out, Mask&) const override {
        if (!in.rows()) return;
        MatmulProblem<T> p{};
        p.rows = long(in.rows()), p.depth = in.features, p.columns = this->out.features;
        p.a = in.data, p.a_row = in.features, p.a_column = 1;
        p.packed_b = packed.get(), p.bias = bias.get(), p.c = out, p.c_row = p.columns;
        p.threads = threads_for(double(p.rows) * double(p.columns) * double(p.depth), 3e5);
        const Buffer<T> workspace(kernels<T>().matmul_workspace(p));
        p.workspace = workspace.get();
        kernels<T>().matmul(p);
        activation.apply(out, in.rows(), std::size_t(p.columns), threads_for(double(p.rows) * double(p.columns), 2e4));
    }
    bool stepwise() const override { return true; }
};

template <class T>
class Activated final : public Layer<T> {
    const RowFunction<T> activation;

 public:
    Activated(const Place& place, RowFunction<T> activation) : activation(activation) {
        needs_numbers(place);
        this->in = this->out = place.in;
    }
    void run(const Values<T>& in, T* out, Mask&) const override {
        const std::size_t columns = std::size_t(in.features), count = in.rows() * columns;
        if (!count) return;
        std::memcpy(out, in.data, count * sizeof(T));
        activation.apply(out, in.rows(), columns, threads_for(double(count), 2e4));
    }
    bool stepwise() const override { return true; }
};

template <class T>
class Embedding final : public Layer<T> {
    const std::string where;
    const long known;
    const bool mask_zero;
    Buffer<T> vectors;

 public:
    explicit Embedding(const Place& place)
        : where(place.config.where()),
          known(place.config.integer("input_dim", 1, most_rows)),
          mask_zero(place.config.flag("mask_zero")) {
        const long width = place.config.integer("output_dim", 1, most_rows);
        if (place.in.features) throw ModelError(ErrorKind::format, where + ": inputs: expected integers, got numbers");
        if (mask_zero && !place.in.sequence) place.config.not_offered("mask_zero of integers that are no sequence");
        vectors = place.file.weights<T>(place.path + "embeddings", {known, width});
        this->in = this->out = place.in;
        this->out.features = width;
    }
    void run(const Values<T>& in, T* out, Mask& mask) const override {
        const std::size_t width = std::size_t(this->out.features), rows = in.rows();
        for (std::size_t k = 0; k < rows; ++k)
            if (in.integers[k] < 0 || in.integers[k] >= known)
                throw ModelError(ErrorKind::argument, where + ": inputs: expected integers from 0 to " +
                                                          std::to_string(known - 1) + ", got " +
                                                          std::to_string(in.integers[k]));
        for (std::size_t k = 0; k < rows; ++k)
            std::memcpy(out + k * width, vectors.get() + std::size_t(in.integers[k]) * width, width * sizeof(T));
        if (!mask_zero) return;
        if (mask.empty()) mask.assign(rows, 1);
        for (std::size_t k = 0; k < rows; ++k) mask[k] = mask[k] && in.integers[k] != 0;
    }
    bool stepwise() const override { return !mask_zero; }
};

template <class T>
class Masking final : public Layer<T> {
    const T value;

 public:
    explicit Masking(const Place& place)
        : value(T(place.config.number("mask_value", -std::numeric_limits<double>::max(),
                                      std::numeric_limits<double>::max()))) {
        needs_numbers(place);
        if (!place.in.sequence)
            throw ModelError(ErrorKind::format, place.config.where() + ": inputs: expected sequences");
        this->in = this->out = place.in;
    }
    void run(const Values<T>& in, T* out, Mask& mask) const override {
        const std::size_t width = std::size_t(in.features), rows = in.rows();
        if (mask.empty()) mask.assign(rows, 1);
        for (std::size_t k = 0; k < rows; ++k) {
            const T* const from = in.data + k * width;
            const bool counts = std::any_of(from, from + width, [&](T x) { return x != value; });
            for (std::size_t j = 0; j < width; ++j) out[k * width + j] = counts ? from[j] : T(0);
            mask[k] = mask[k] && counts;
        }
    }
};

// All numbers of a sample in a row.
template <class T>
class Flatten final : public Layer<T> {
 public:
    explicit Flatten(const Place& place) {
        needs_numbers(place);
        if (!place.in.steps) place.config.not_offered("a Flatten of sequences of any length");
        long features;
        if (__builtin_mul_overflow(place.in.steps, place.in.features, &features) || features > most_rows)
            throw ModelError(ErrorKind::format, place.config.where() + ": inputs: are too large");
        this->in = place.in, this->out = {false, 1, features};
    }
    void run(const Values<T>& in, T* out, Mask& mask) const override {
        const std::size_t count = in.rows() * std::size_t(in.features);
        if (count) std::memcpy(out, in.data, count * sizeof(T));
        mask.clear();
    }
};

// The largest value of every feature of all steps, also of those that a mask leaves out.
template <class T>
class GlobalMaxPooling final : public Layer<T> {
 public:
    explicit GlobalMaxPooling(const Place& place) {
        needs_numbers(place);
        if (place.config.flag("keepdims")) place.config.not_offered("keepdims=True");
        if (!place.in.sequence)
            throw ModelError(ErrorKind::format, place.config.where() + ": inputs: expected sequences");
        this->in = place.in, this->out = {false, 1, place.in.features};
    }
    void run(const Values<T>& in, T* out, Mask& mask) const override {
        const T* from = in.data;
        for (long b = 0; b < in.batch; ++b, out += in.features) {
            std::memcpy(out, from, std::size_t(in.features) * sizeof(T));
            for (long t = 0; t < in.steps; ++t, from += in.features)
                for (long j = 0; j < in.features; ++j)
                    if (from[j] > out[j] || from[j] != from[j]) out[j] = from[j];
        }
        mask.clear();
    }
};

// A layer of vectors at every step.
template <class T>
std::unique_ptr<Layer<T>> time_distributed(const Place& place) {
    needs_numbers(place);
    if (!place.in.sequence) throw ModelError(ErrorKind::format, place.config.where() + ": inputs: expected sequences");
    std::map<std::string, int> seen;
    const Form vectors{false, 1, place.in.features};
    std::unique_ptr<Layer<T>> layer = made_layer<T>(place.file, place.config.value("layer"), place.path, seen, vectors);
    if (!layer->stepwise()) place.config.not_offered("a layer of whole samples at every step");
    // What looks at one vector at a time does not mind how they are arranged.
    layer->in = place.in;
    layer->out.sequence = true, layer->out.steps = place.in.steps;
    return layer;
}

// In training they disturb their inputs, or add to the loss; otherwise they do nothing.
constexpr const char* identities[] = {"Dropout",      "SpatialDropout1D",       "GaussianDropout", "GaussianNoise",
                                      "AlphaDropout", "ActivityRegularization", "Identity"};

}  // namespace

template <class T>
std::unique_ptr<Stage<T>> Layer<T>::stage(long, long) const {
    if (!stepwise()) return nullptr;
    struct Same final : Stage<T> {
        const Layer<T>& layer;
        Mask mask;  // none
        explicit Same(const Layer<T>& layer) : layer(layer) {}
        void run(const Values<T>& in, T* out) override { layer.run(in, out, mask); }
    };
    return std::make_unique<Same>(*this);
}

template <class T>
std::unique_ptr<Layer<T>> plain_layer(const std::string& kind, const Place& place) {
    if (kind == "Dense") return std::make_unique<Dense<T>>(place);
    if (kind == "Embedding") return std::make_unique<Embedding<T>>(place);
    if (kind == "Masking") return std::make_unique<Masking<T>>(place);
    if (kind == "Flatten") return std::make_unique<Flatten<T>>(place);
    if (kind == "GlobalMaxPooling1D") return std::make_unique<GlobalMaxPooling<T>>(place);
    if (kind == "TimeDistributed") return time_distributed<T>(place);
    if (kind == "Activation") return std::make_unique<Activated<T>>(place, row_function<T>(place.config, "activation"));
    for (const char* identity : identities)
        if (kind == identity)
            return std::make_unique<Activated<T>>(place, RowFunction<T>{[](T*, std::size_t, std::size_t, int) {}});
    return nullptr;
}

template class Layer<float>;
template class Layer<double>;
template std::unique_ptr<Layer<float>> plain_layer(const std::string&, const Place&);
template std::unique_ptr<Layer<double>> plain_layer(const std::string&, const Place&);

}  // namespace lstmcore
