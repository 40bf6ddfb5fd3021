// A model that was saved, as it predicts: a chain of layers. And a stream of it, which takes a sequence piece by piece.
#pragma once

#include <memory>
#include <variant>
#include <vector>

#include "model/layer.hpp"

namespace lstmcore {

template <class T>
class Chain {
    std::vector<std::unique_ptr<Layer<T>>> layers;

 public:
    using Element = T;
    Chain(const ModelFile& file, const Config& model);

    Form in() const { return layers.front()->in; }
    Form out() const { return layers.back()->out; }
    const std::vector<std::unique_ptr<Layer<T>>>& all() const { return layers; }
    long steps_of(long steps) const;  // of the outputs, 1 of vectors; refused where those of the inputs are too few
    void run(const Values<T>& in, T* out, Mask mask) const;
};

// Immutable: any number of threads may use it at once.
class Model {
    std::variant<Chain<float>, Chain<double>> chain_;

    Model(const ModelFile& file, const Config& description, bool float32);

 public:
    const std::uint64_t fingerprint;

    static std::shared_ptr<const Model> load(const unsigned char* data, std::size_t size);

    bool is_float32() const { return std::holds_alternative<Chain<float>>(chain_); }
    template <class T>
    const Chain<T>& chain() const {
        return std::get<Chain<T>>(chain_);
    }
    template <class F>
    auto visit(F f) const {
        return std::visit(f, chain_);
    }
    Form in() const {
        return visit([](const auto& chain) { return chain.in(); });
    }
    Form out() const {
        return visit([](const auto& chain) { return chain.out(); });
    }
};

// One thread at a time may use it.
template <class T>
class ChainStream {
    const std::shared_ptr<const Model> model;  // whose layers the stages may refer to
    std::vector<std::unique_ptr<Stage<T>>> stages;
    std::vector<Buffer<T>> between;

 public:
    const long batch, most_steps;

    using Element = T;
    ChainStream(std::shared_ptr<const Model> model, long batch, long steps);

    // The outputs of the next `in.steps` steps, at most `most_steps`.
    void run(const Values<T>& in, T* out);
    void reset();
    std::size_t memory() const;  // elements of what it remembers
    void read(T* to) const;
    void write(const T* from);
};

}  // namespace lstmcore
