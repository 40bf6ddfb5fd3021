// What a cell is, said once: its name, gates, weights and states, and which kernel given options need. Whoever packs
// weights, runs passes, makes gradients or speaks to Python reads it from here.
#pragma once

#include <cstddef>
#include <vector>

#include "core.hpp"

namespace lstmcore {

// One expected dimension: its name, and its size where that is known.
struct Dim {
    const char* name;
    long size = -1;
};

// A weight, or its gradient: what it is called, its dimensions, and which of the pointers of Weights it is.
enum class WeightRole { kernel, recurrent, bias, peephole, projection, gain, cell_norm };
struct WeightInfo {
    const char* name;
    std::vector<Dim> dims;
    WeightRole role;
    std::size_t size() const;
};

// An option that is on or off: what the caller calls it.
struct OptionInfo {
    const char* name;
    bool CellOptions::* flag;
};

constexpr int most_states = 4;

struct CellInfo {
    const char* name;
    const char* layer;                    // the class of the layer that runs it, in files of models
    const char* states[most_states + 1];  // h and what else it carries from step to step; null ends the list
    bool recurrent;                       // whether h goes through a matrix of its own
    int activations;                      // that can be chosen: none, the candidate's, the gates' too, the output's too
    bool has_heads;                       // whether its recurrent matrix can be in blocks
    bool zoneout_of_c, zoneout_is_fused;  // whether there is zoneout beside that of h; in the fused kernel
    const OptionInfo* options;            // that are on or off; a null name ends the list
    long (*gates)(const CellOptions&);
    bool (*is_fused)(const CellOptions&);              // whether the fused kernel can do it
    const char* (*contradiction)(const CellOptions&);  // what of the options cannot be together, or null
    int state_count() const {
        int count = 0;
        while (states[count]) ++count;
        return count;
    }
    long carried() const { return state_count() - 1; }  // arrays of the units' width beside h
};

// All cells; a null name ends the list. The kernels of each: kernels/kernels.cpp.
extern const CellInfo cells[];
const CellInfo* find_cell(const char* name);  // null where there is none of that name

// What holds where a cell has no option of that name.
CellOptions plain_options();

// The activations that are in the core, as the enumeration has them, with the numbers that hold where only the name is
// given; a null name ends the list.
struct ActivationInfo {
    const char* name;
    double alpha, beta;
};
extern const ActivationInfo activations[];

// What the width of h is called.
inline const char* output_name(const CellOptions& options) { return options.projection ? "outputs" : "units"; }

// The weights in the caller's order.
std::vector<WeightInfo> weights_of(const CellInfo& cell, const CellOptions& options, const RecurrentShape& shape,
                                   bool has_bias);

// The pointer of a role.
template <class T>
T*& pointer_of(Weights<T>& w, WeightRole role) {
    T** const pointers[] = {&w.kernel, &w.recurrent, &w.bias, &w.peephole, &w.projection, &w.gain, &w.cell_norm};
    return *pointers[int(role)];
}

}  // namespace lstmcore
