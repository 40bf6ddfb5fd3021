// Weights as the kernels read them.
#pragma once

#include <memory>
#include <type_traits>
#include <variant>
#include <vector>

#include "runtime/cells.hpp"
#include "runtime/memory.hpp"

namespace lstmcore {

template <class T>
struct Packed {
    const CellKernels<T>* kernels;  // that read them
    Buffer<T> memory;
    PackedWeights<T> weights{};
};

// What a cell's weights are, without their numbers.
struct CellDescription {
    const CellInfo* cell = nullptr;
    CellOptions options{};
    RecurrentShape shape{};  // without batch and steps
    bool has_bias = false, training = false, staged = false;
    Precision precision = Precision::full;
    float x_scale = 0;                // of int8, or 0
    long gates = 0;                   // columns of the kernels, in units
    std::vector<WeightInfo> weights;  // in the caller's order

    long carried() const { return cell->carried(); }  // arrays of the units' width beside h
};

// Packed, once: immutable, so that any number of threads may use them at once.
struct CellWeights : CellDescription {
    std::variant<Packed<float>, Packed<double>> packed;

    bool is_float32() const { return std::holds_alternative<Packed<float>>(packed); }
    template <class T>
    const CellKernels<T>& kernels() const {
        return *std::get<Packed<T>>(packed).kernels;
    }
    template <class T>
    const PackedWeights<T>& packed_as() const {
        return std::get<Packed<T>>(packed).weights;
    }
    // f(T()) of the element type.
    template <class F>
    auto by_type(F f) const {
        return is_float32() ? f(float{}) : f(double{});
    }
};

// The caller's weights, all of them there; the matrices may be transposes of contiguous ones.
template <class T>
struct GivenWeights {
    Weights<const T> arrays{};
    MatrixStrides kernel{}, recurrent{}, projection{};

    MatrixStrides* strides_of(WeightRole role) {
        return role == WeightRole::kernel       ? &kernel
               : role == WeightRole::recurrent  ? &recurrent
               : role == WeightRole::projection ? &projection
                                                : nullptr;
    }
};

// Whether there are kernels of what is described.
template <class T>
bool has_kernels(const CellDescription& description);

template <class T>
std::shared_ptr<CellWeights> pack(CellDescription description, const GivenWeights<T>& weights);

}  // namespace lstmcore
