#include "runtime/weights.hpp"

#include <utility>

#include "runtime/cost.hpp"
#include "runtime/kernel_table.hpp"

namespace lstmcore {
namespace {

// The arrays of packed weights and their sizes, in the same order; the transposed ones are for the backward pass.
template <class T>
struct Part {
    T* PackedWeights<T>::* pointer;
    std::size_t PackedSizes::* size;
    bool transposed;
};
template <class T>
constexpr Part<T> parts[] = {
    {&PackedWeights<T>::kernel, &PackedSizes::kernel, false},
    {&PackedWeights<T>::recurrent, &PackedSizes::recurrent, false},
    {&PackedWeights<T>::bias, &PackedSizes::bias, false},
    {&PackedWeights<T>::peephole, &PackedSizes::peephole, false},
    {&PackedWeights<T>::projection, &PackedSizes::projection, false},
    {&PackedWeights<T>::gain, &PackedSizes::gain, false},
    {&PackedWeights<T>::cell_norm, &PackedSizes::cell_norm, false},
    {&PackedWeights<T>::kernel_transposed, &PackedSizes::kernel_transposed, true},
    {&PackedWeights<T>::recurrent_transposed, &PackedSizes::recurrent_transposed, true},
    {&PackedWeights<T>::projection_transposed, &PackedSizes::projection_transposed, true},
};

template <class T>
const CellKernels<T>* kernels_of(const CellDescription& d) {
    if (d.precision == Precision::full) return &cell_kernels<T>(d.cell->name, d.staged);
    const CellKernels<T>* const reduced = d.staged ? nullptr : reduced_kernels<T>(d.cell->name, d.precision);
    return reduced && d.training && !reduced->backward ? nullptr : reduced;
}

std::size_t rounded(std::size_t n) { return (n + 15) / 16 * 16; }

}  // namespace

template <class T>
bool has_kernels(const CellDescription& description) {
    return kernels_of<T>(description);
}

template <class T>
std::shared_ptr<CellWeights> pack(CellDescription description, const GivenWeights<T>& weights) {
    auto made = std::make_shared<CellWeights>();
    static_cast<CellDescription&>(*made) = std::move(description);
    const CellKernels<T>& kernels = *kernels_of<T>(*made);
    const PackedSizes sizes = kernels.packed_sizes(made->shape, made->options);
    const auto for_each_part = [&](auto f) {
        for (const Part<T>& part : parts<T>)
            if (sizes.*part.size && (made->training || !part.transposed)) f(part);
    };
    std::size_t total = 0;
    for_each_part([&](const Part<T>& part) { total += rounded(sizes.*part.size); });
    Packed<T> packed;
    packed.kernels = &kernels;
    packed.weights.x_scale = made->x_scale;
    packed.memory = Buffer<T>(total);
    T* next = packed.memory.get();
    for_each_part([&](const Part<T>& part) {
        packed.weights.*part.pointer = next;
        next += rounded(sizes.*part.size);
    });
    kernels.pack({made->shape, made->options, weights.arrays, weights.kernel, weights.recurrent, weights.projection,
                  packed.weights, pack_threads(*made)});
    made->packed = std::move(packed);
    return made;
}

template bool has_kernels<float>(const CellDescription&);
template bool has_kernels<double>(const CellDescription&);
template std::shared_ptr<CellWeights> pack(CellDescription, const GivenWeights<float>&);
template std::shared_ptr<CellWeights> pack(CellDescription, const GivenWeights<double>&);

}  // namespace lstmcore
