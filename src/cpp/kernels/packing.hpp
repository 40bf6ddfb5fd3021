// Where the weights of fused cells stand: panels of a block of units of every gate, one element of the depth after the
// other, as the tiles of forward.hpp and linear_recurrence.hpp read them; and for the way back their transposes.
//
// Where the units fill no whole number of vectors and few are left over, all their gates share a vector
// or two (the "tail"), which the cell gets spread out: 50 units then cost 13 vectors of sums, not 16.
//
// A cell has:
//   gates, vectors    its panels hold `vectors` vectors of units of every gate
//   sums, shift       a tile's sums; the recurrent product's last gate has sums of its own if shift > 0
//   recurrent, has_heads    whether there is a recurrent product, and whether its matrix can be in blocks
#pragma once

#include "transposed.hpp"

namespace lstmcore::LSTMCORE_ISA {

// What holds for most cells.
struct FusedCell {
    static constexpr bool recurrent = true, has_heads = false;
    static constexpr int shift = 0;

    // Biases of n units of a gate; n may be 0 where a block has no units any more.
    template <class T>
    static Vec<T> bias(const T* bias, long units, int gate, long unit, int n) {
        return n ? load(bias + gate * units + unit, n) : Vec<T>{};
    }
};

template <class Cell, class T>
constexpr long block_units = long(Cell::vectors) * lanes<T>;

// Where the blocks of units are. Those of a head, which see its h alone, begin a block of their own.
template <class Cell, class T>
struct Blocks {
    long units, heads, depth, of_head;  // depth: terms of the recurrent product; of_head: blocks

    Blocks(const RecurrentShape& s, const CellOptions& options)
        : units(s.units),
          heads(Cell::has_heads ? options.heads : 1),
          depth(Cell::recurrent ? units / heads : 0),
          of_head(ceil_div(units / heads, block_units<Cell, T>)) {}
    long count() const { return heads * of_head; }
    LSTMCORE_INLINE long head_of(long block) const { return Cell::has_heads ? block / of_head : 0; }
    // Its head's first unit, its own, and the one after its head's last.
    LSTMCORE_INLINE long begin_of(long block) const { return head_of(block) * depth; }
    LSTMCORE_INLINE long unit_of(long block) const {
        if constexpr (Cell::has_heads) return begin_of(block) + block % of_head * block_units<Cell, T>;
        return block * block_units<Cell, T>;
    }
    LSTMCORE_INLINE long end_of(long block) const { return Cell::has_heads ? begin_of(block) + depth : units; }
};

// Lanes of each of the sums in a tail of one vector or two.
template <class Cell, class T>
constexpr long tail_group(long vectors) {
    return vectors * lanes<T> / Cell::sums;
}

// Vectors of the tail, 0 where there is none.
template <class Cell, class T>
long tail_vectors(long units) {
    const long rest = units % lanes<T>;
    if (Cell::vectors > 1 || Cell::has_heads || !Cell::recurrent || rest == 0) return 0;
    for (long vectors = 1; vectors <= 2; ++vectors)
        if (rest <= tail_group<Cell, T>(vectors)) return vectors;
    return 0;
}

// Forward panels hold one block of units of every gate; the tail has panels of its own, beside those of its
// block, which dropout by gate needs.
template <class Cell, class T, class Product = Plain<T>>
PackedSizes packed_sizes(const RecurrentShape& s, const CellOptions& options) {
    const Blocks<Cell, T> blocks(s, options);
    const std::size_t count = blocks.count();
    const std::size_t tail = tail_vectors<Cell, T>(s.units) * lanes<T>;
    const std::size_t width = count * block_units<Cell, T> * Cell::gates + tail;
    PackedSizes sizes{};
    sizes.kernel = width * panel_rows<Product>(s.inputs), sizes.recurrent = width * panel_rows<Product>(blocks.depth);
    sizes.bias = count * Cell::sums * lanes<T> + tail;
    if (Product::scaled) return sizes;  // for inference
    const std::size_t rows = Cell::gates * ceil_div(s.units, Product::group);
    sizes.kernel_transposed = rows * packed_columns<T>(s.inputs);
    sizes.recurrent_transposed = rows * packed_columns<T>(blocks.depth);
    return sizes;
}

// Where the tail's panels begin, `rows` vectors for each of theirs.
template <class Cell, class T>
LSTMCORE_INLINE T* tail_of(T* packed, long units, long rows) {
    return packed + ceil_div(units, block_units<Cell, T>) * Cell::gates * block_units<Cell, T> * rows;
}

template <class Cell, class Product, class T>
void pack_tail(const PackProblem<T>& p, long vectors) {
    constexpr int L = lanes<T>;
    const long units = p.shape.units, first = units - units % L;
    const long width = vectors * L, group = tail_group<Cell, T>(vectors);
    const auto pack = [&](T* packed, const T* from, const MatrixStrides& strides, long depth, int shift) {
        T* to = tail_of<Cell>(packed, units, panel_rows<Product>(depth));
        for (long v = 0; v < vectors; ++v)
            pack_columns<Product>(to + v * L, width, depth, [&](T* rows, long k0, long count) {
                std::memset(rows, 0, count * L * sizeof(T));
                for (int gate = 0; gate < Cell::gates; ++gate) {
                    const long lane = (gate == Cell::gates - 1 ? gate + shift : gate) * group;
                    if (lane / L != v) continue;
                    const T* source = from + (gate * units + first) * strides.column;
                    for (long k = 0; k < count; ++k)
                        copy_elements(rows + k * L + lane % L, source + (k0 + k) * strides.row, strides.column,
                                      units - first);
                }
            });
    };
    pack(p.packed.kernel, p.weights.kernel, p.kernel, p.shape.inputs, 0);
    pack(p.packed.recurrent, p.weights.recurrent, p.recurrent, units, Cell::shift);
    T* bias = p.packed.bias + ceil_div(units, block_units<Cell, T>) * Cell::sums * lanes<T>;
    std::memset(bias, 0, width * sizeof(T));
    for (int sum = 0; p.weights.bias && sum < Cell::sums; ++sum)
        store(bias + sum * group, Cell::template bias<T>(p.weights.bias, units, sum, first, int(units - first)),
              int(units - first));
}

template <class Cell, class T, class Product = Plain<T>>
void pack(const PackProblem<T>& problem) {
    parallel(
        problem.threads,
        [](const void* context, const Team& team) {
            const PackProblem<T>& p = *static_cast<const PackProblem<T>*>(context);
            constexpr int V = Cell::vectors, L = lanes<T>, N = Cell::gates * V;
            const long units = p.shape.units, gates = Cell::gates * units;
            const Blocks<Cell, T> blocks(p.shape, p.options);
            long begin, end;
            team.split(blocks.count(), begin, end);
            for (long block = begin; block < end; ++block) {
                const auto unit_of = [&](int v) { return blocks.unit_of(block) + v * L; };
                const auto count = [&](int v) { return int(max(0, min(L, blocks.end_of(block) - unit_of(v)))); };
                for (int n = 0; n < N; ++n) {
                    const long column = n / V * units + unit_of(n % V);
                    // Of the matrix's columns from here on.
                    const auto pack_matrix = [&](T* packed, const T* matrix, const MatrixStrides& strides, long depth) {
                        T* to = packed + (block * panel_rows<Product>(depth) * N + n) * L;
                        const T* from = matrix + column * strides.column;
                        if constexpr (!Product::narrow)
                            pack_vector(to, N * L, from, strides.row, strides.column, depth, count(n % V));
                        else
                            pack_columns<Product>(to, N * L, depth, [&](T* rows, long k, long some) {
                                pack_vector(rows, L, from + k * strides.row, strides.row, strides.column, some,
                                            count(n % V));
                            });
                    };
                    pack_matrix(p.packed.kernel, p.weights.kernel, p.kernel, p.shape.inputs);
                    if constexpr (Cell::recurrent)
                        pack_matrix(p.packed.recurrent, p.weights.recurrent, p.recurrent, blocks.depth);
                }
                for (int sum = 0; sum < Cell::sums; ++sum)
                    store(p.packed.bias + (block * Cell::sums + sum) * L,
                          p.weights.bias
                              ? Cell::template bias<T>(p.weights.bias, units, sum / V, unit_of(sum % V), count(sum % V))
                              : Vec<T>{});
            }
            if constexpr (Cell::recurrent)
                if (const long vectors = tail_vectors<Cell, T>(units); vectors && team.index == team.size - 1)
                    pack_tail<Cell, Product>(p, vectors);
            if (p.packed.kernel_transposed) {
                const auto transpose = [&](T* packed, const T* matrix, const MatrixStrides& strides, long rows) {
                    if constexpr (!Product::narrow)
                        pack_transposed(team, packed, matrix, strides, rows, gates);
                    else if constexpr (!Product::scaled)
                        pack_narrow_transposed<Product>(team, packed, matrix, strides, rows, Cell::gates, units);
                };
                transpose(p.packed.kernel_transposed, p.weights.kernel, p.kernel, p.shape.inputs);
                if constexpr (Cell::recurrent)
                    transpose(p.packed.recurrent_transposed, p.weights.recurrent, p.recurrent, blocks.depth);
            }
        },
        &problem);
}

}  // namespace lstmcore::LSTMCORE_ISA
