// What products are to read: numbers as they are, or narrow ones.
#pragma once

#include <cmath>
#include <limits>
#include <string>

#include "bindings/arguments.hpp"
#include "bindings/arrays.hpp"

namespace lstmcore {

struct PrecisionInfo {
    const char* name;
    Precision precision;
};
inline constexpr PrecisionInfo precisions[] = {
    // full: as the arrays are
    {"float32", Precision::full},
    {"bfloat16", Precision::bfloat16},
    {"int8", Precision::int8},
};
inline const char* name_of(Precision precision) { return precisions[int(precision)].name; }

inline Precision read_precision(py::handle given) {
    for (const PrecisionInfo& info : precisions)
        if (PyUnicode_Check(given.ptr()) && PyUnicode_CompareWithASCIIString(given.ptr(), info.name) == 0)
            return info.precision;
    const std::string expected = "precision: expected 'float32', 'bfloat16' or 'int8', got " + text_of(given);
    if (!PyUnicode_Check(given.ptr())) throw py::type_error(expected);
    throw py::value_error(expected);
}

// The scale of every row of the left operand, or 0: each has its own.
inline float read_row_scale(py::handle given, Precision precision) {
    if (given.is_none()) return 0;
    if (precision != Precision::int8)
        throw py::value_error(std::string("row_scale: expected None, for precision '") + name_of(precision) +
                              "', got " + text_of(given));
    using Limits = std::numeric_limits<float>;
    return float(number("row_scale", given, Limits::min(), Limits::max()));
}
inline py::object row_scale_of(float scale) { return scale > 0 ? py::object(py::float_(scale)) : py::none(); }

// Integers have no infinity, and a column with one has no scale.
template <class T>
void must_be_finite(const char* argument, const T* matrix, const MatrixStrides& strides, const View& view) {
    for (long i = 0; i < view.shape[0]; ++i)
        for (long j = 0; j < view.shape[1]; ++j)
            if (const T x = matrix[i * strides.row + j * strides.column]; !std::isfinite(x))
                throw py::value_error(std::string(argument) + ": expected finite numbers, for precision 'int8', got " +
                                      std::to_string(x) + " in row " + std::to_string(i) + ", column " +
                                      std::to_string(j));
}

}  // namespace lstmcore
