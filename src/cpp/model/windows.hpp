// Windows over the steps of a sequence, as python/lstmcore/layers/_windows.py has them.
#pragma once

#include <algorithm>
#include <string>

#include "model/layer.hpp"

namespace lstmcore {

struct Windows {
    long size, strides, dilation;
    enum class Padding { valid, same, causal } padding;
    std::string where;

    static Padding padding_of(const Config& config, bool may_be_causal) {
        const std::string text = config.text("padding");
        if (text == "valid") return Padding::valid;
        if (text == "same") return Padding::same;
        if (text != "causal" || !may_be_causal) config.refuse("padding", "the name of a padding");
        return Padding::causal;
    }
    // Steps from the first of a window to its last, both included.
    long span() const { return (size - 1) * dilation + 1; }
    // How many there are; 0 of 0 steps, that is of any number.
    long count(long steps) const {
        const long least = padding == Padding::valid ? span() : 1;
        if (steps < least)
            throw ModelError(ErrorKind::argument, where + ": inputs: expected at least " + std::to_string(least) +
                                                      " steps, got " + std::to_string(steps));
        return (steps - least) / strides + 1;
    }
    // Steps of padding before the first.
    long before(long steps) const {
        if (padding == Padding::valid) return 0;
        if (padding == Padding::causal) return span() - 1;
        const long last = (steps - 1) / strides * strides;
        return std::max(last + span() - steps, 0l) / 2;
    }
    // The outputs' form, of sequences of vectors.
    Form out(const Place& place, long features) const {
        if (!place.in.sequence || !place.in.features)
            throw ModelError(ErrorKind::format, where + ": inputs: expected sequences of vectors");
        return {true, place.in.steps ? count(place.in.steps) : 0, features};
    }
};

}  // namespace lstmcore
