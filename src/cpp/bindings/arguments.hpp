// Flags, numbers, names and shapes at the door, and the words of their errors.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <initializer_list>
#include <string>
#include <vector>

#include "runtime/cells.hpp"

namespace lstmcore {

namespace py = pybind11;

// Elements of a product of sizes; a product beyond the address space is an error of the argument.
inline std::size_t checked_product(const char* argument, std::initializer_list<std::size_t> factors) {
    std::size_t product = 1;
    for (std::size_t factor : factors)
        if (__builtin_mul_overflow(product, factor, &product) || product > (std::size_t(1) << 60))
            throw py::value_error(std::string(argument) + ": the sizes asked for overflow the address space");
    return product;
}

// --- what came, in words --------------------------------------------------------------------

inline std::string type_name(py::handle object) { return Py_TYPE(object.ptr())->tp_name; }

// As Python would print it, if that can be done in short.
inline std::string text_of(py::handle object) {
    const py::object text = py::reinterpret_steal<py::object>(PyObject_Repr(object.ptr()));
    if (!text) {
        if (!PyErr_ExceptionMatches(PyExc_ValueError)) throw py::error_already_set();
        PyErr_Clear();  // an integer of too many digits
        return "a huge number";
    }
    const std::string whole = py::str(text);
    return whole.size() <= 200 ? whole : "one of type " + type_name(object);
}

inline std::string shape_text(const std::vector<std::string>& names) {
    std::string text = "(";
    for (std::size_t k = 0; k < names.size(); ++k) text += (k ? ", " : "") + names[k];
    return text + (names.size() == 1 ? ",)" : ")");
}

inline std::string numbers_text(const py::ssize_t* numbers, py::ssize_t count) {
    std::vector<std::string> texts;
    for (py::ssize_t k = 0; k < count; ++k) texts.push_back(std::to_string(numbers[k]));
    return shape_text(texts);
}

inline std::string dtype_name(const py::array& a) { return std::string(py::str(a.dtype())); }

// --- flags, numbers, names ------------------------------------------------------------------

// An attribute of an object that is expected to have it.
inline py::object attribute(const char* argument, const char* expected, py::handle from, const char* name) {
    if (PyObject* const value = PyObject_GetAttrString(from.ptr(), name))
        return py::reinterpret_steal<py::object>(value);
    if (!PyErr_ExceptionMatches(PyExc_AttributeError)) throw py::error_already_set();
    PyErr_Clear();
    throw py::type_error(std::string(argument) + ": expected " + expected + ", got " + text_of(from));
}

inline bool flag(const char* argument, py::handle value) {
    if (value.ptr() == Py_True) return true;
    if (value.ptr() == Py_False) return false;
    return py::module_::import("lstmcore._arguments").attr("flag")(argument, value).cast<bool>();
}

// An integer from low to high: whatever can be an index, but for a bool.
inline long integer(const char* argument, py::handle value, long low, long high, const char* what = "an integer") {
    const auto expected = [&] {
        return std::string(argument) + ": expected " + what + " from " + std::to_string(low) + " to " +
               std::to_string(high) + ", got " + text_of(value);
    };
    if (PyBool_Check(value.ptr())) throw py::type_error(expected());
    const py::object index = py::reinterpret_steal<py::object>(PyNumber_Index(value.ptr()));
    if (!index) {
        if (!PyErr_ExceptionMatches(PyExc_TypeError)) throw py::error_already_set();
        PyErr_Clear();
        throw py::type_error(expected());
    }
    int overflow = 0;
    const long number = PyLong_AsLongAndOverflow(index.ptr(), &overflow);
    if (overflow || number < low || number > high) throw py::value_error(expected());
    return number;
}

// A number from low to high; not NaN.
inline double number(const char* argument, py::handle value, double low, double high) {
    const auto expected = [&] {
        return std::string(argument) + ": expected a number from " + std::string(py::str(py::float_(low))) + " to " +
               std::string(py::str(py::float_(high))) + ", got " + text_of(value);
    };
    const double x = PyFloat_AsDouble(value.ptr());
    if (PyErr_Occurred()) {
        const bool huge = PyErr_ExceptionMatches(PyExc_OverflowError);
        if (!huge && !PyErr_ExceptionMatches(PyExc_TypeError)) throw py::error_already_set();
        PyErr_Clear();
        if (huge) throw py::value_error(expected());
        throw py::type_error(expected());
    }
    if (!(x >= low && x <= high)) throw py::value_error(expected());
    return x;
}

inline std::string string(const char* argument, py::handle value) {
    if (!PyUnicode_Check(value.ptr()))
        throw py::type_error(std::string(argument) + ": expected a string, got " + text_of(value));
    Py_ssize_t size = 0;
    const char* text = PyUnicode_AsUTF8AndSize(value.ptr(), &size);
    if (!text) throw py::error_already_set();
    return std::string(text, std::size_t(size));
}

// --- shapes ---------------------------------------------------------------------------------

// Some of them, wherever they stand: a call makes many, and none should cost an allocation. Only for
// arguments: a list in braces lives as long as the call.
class Dims {
    const Dim* first;
    std::size_t count;

 public:
    Dims(std::initializer_list<Dim> dims) : count(dims.size()) { first = dims.begin(); }
    Dims(const std::vector<Dim>& dims) : first(dims.data()), count(dims.size()) {}
    const Dim* begin() const { return first; }
    const Dim* end() const { return first + count; }
    std::size_t size() const { return count; }
    const Dim& operator[](std::size_t k) const { return first[k]; }
};

[[noreturn]] inline void wrong_shape(const char* argument, const Dims& dims, const py::ssize_t* shape,
                                     py::ssize_t dimensions) {
    std::vector<std::string> names;
    for (const Dim& d : dims) names.push_back(d.size < 0 ? d.name : std::string(d.name) + "=" + std::to_string(d.size));
    throw py::value_error(std::string(argument) + ": expected shape " + shape_text(names) + ", got " +
                          numbers_text(shape, dimensions));
}

[[gnu::always_inline]] inline void must_be_shaped(const char* argument, const Dims& dims, const py::array& a) {
    bool right = a.ndim() == py::ssize_t(dims.size());
    for (std::size_t k = 0; right && k < dims.size(); ++k) right = dims[k].size < 0 || a.shape(k) == dims[k].size;
    if (!right) wrong_shape(argument, dims, a.shape(), a.ndim());
}

}  // namespace lstmcore
