// Arrays at the door: what comes from Python is checked here, once, and kept as it was then. An array object that the
// caller holds can get another shape, other strides and other memory whenever Python runs, so nothing is read from it
// a second time; and no byte of it is taken for a C++ bool.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "bindings/arguments.hpp"
#include "core.hpp"

namespace lstmcore {

inline py::array made_an_array(const char* argument, py::handle object) {
    if (PyObject* array = py::detail::npy_api::get().PyArray_FromAny_(object.ptr(), nullptr, 0, 0, 0, nullptr))
        return py::reinterpret_steal<py::array>(array);
    py::error_already_set error;
    if (error.trace() || !(error.matches(PyExc_ValueError) || error.matches(PyExc_TypeError))) throw error;
    const std::string expected = std::string(argument) + ": expected an array, got ";
    if (error.matches(PyExc_ValueError) && (PyList_Check(object.ptr()) || PyTuple_Check(object.ptr())))
        throw py::value_error(expected + "lists of different lengths; pad them");
    throw py::type_error(expected + type_name(object));
}

// `object` as an array. That it is none is an error of the argument; what its own code raises is passed on.
inline py::array as_array(const char* argument, py::handle object) {
    if (py::isinstance<py::array>(object)) return py::reinterpret_borrow<py::array>(object);
    return made_an_array(argument, object);
}

// The same; nothing for None. A call makes arrays of all its arguments before it looks at the first of them: to make
// one may run any Python.
inline py::object as_array_or_none(const char* argument, py::handle object) {
    if (object.is_none()) return py::object();
    return as_array(argument, object);
}

inline py::array array_of(const py::object& o) { return py::reinterpret_borrow<py::array>(o); }

// NumPy's own descriptor of T; never destroyed.
template <class T>
[[gnu::always_inline]] inline PyObject* descriptor() {
    static PyObject* const own = py::dtype::of<T>().release().ptr();
    return own;
}

template <class T>
[[gnu::always_inline]] inline bool is_of(const py::array& a) {
    return py::detail::array_proxy(a.ptr())->descr == descriptor<T>() || py::isinstance<py::array_t<T>>(a);
}

// Where an array's elements are: apart from what keeps them, so that it is copied as one block.
struct Layout {
    static constexpr std::size_t most = 3;  // dimensions
    char* data = nullptr;
    py::ssize_t dimensions = 0, itemsize = 0;
    py::ssize_t shape[most] = {}, strides[most] = {};  // strides in bytes
};

// An array as it was when it was looked at; without an owner: none.
struct View : Layout {
    py::object owner;  // keeps the memory

    explicit operator bool() const { return bool(owner); }
    py::ssize_t size() const {
        py::ssize_t n = 1;
        for (py::ssize_t k = 0; k < dimensions; ++k) n *= shape[k];
        return n;
    }
    std::size_t nbytes() const { return std::size_t(size() * itemsize); }
    bool is_aligned(std::size_t bytes) const {
        bool aligned = reinterpret_cast<std::uintptr_t>(data) % bytes == 0;
        for (py::ssize_t k = 0; k < dimensions; ++k) aligned = aligned && strides[k] % py::ssize_t(bytes) == 0;
        return aligned;
    }
    bool is_contiguous() const {
        py::ssize_t step = itemsize;
        for (py::ssize_t k = dimensions - 1; k >= 0; --k) {
            if (shape[k] != 1 && strides[k] != step) return size() == 0;
            step *= shape[k];
        }
        return true;
    }
    // What is between the first byte it reaches and the last.
    std::pair<const char*, const char*> extent() const {
        const char *low = data, *high = data + itemsize;
        for (py::ssize_t k = 0; k < dimensions; ++k) {
            if (shape[k] == 0) return {data, data};
            (strides[k] < 0 ? low : high) += (shape[k] - 1) * strides[k];
        }
        return {low, high};
    }
};

template <class T>
T* pointer(const View& view) {
    return static_cast<T*>(static_cast<void*>(view.data));
}

template <class T>
[[gnu::always_inline]] inline View view_of(const py::array& a) {  // of at most that many dimensions
    const py::detail::PyArray_Proxy* proxy = py::detail::array_proxy(a.ptr());
    View view;
    view.data = proxy->data, view.dimensions = proxy->nd, view.itemsize = sizeof(T);
    for (std::size_t k = 0; k < View::most; ++k)
        if (py::ssize_t(k) < view.dimensions) view.shape[k] = proxy->dimensions[k], view.strides[k] = proxy->strides[k];
    view.owner = a;
    return view;
}

// A new array, its elements unset.
template <class T>
py::array new_array_of(const py::ssize_t* shape, std::size_t dimensions) {
    const auto& numpy = py::detail::npy_api::get();
    Py_INCREF(descriptor<T>());
    PyObject* array = numpy.PyArray_NewFromDescr_(numpy.PyArray_Type_, descriptor<T>(), int(dimensions), shape, nullptr,
                                                  nullptr, 0, nullptr);
    if (!array) throw py::error_already_set();
    return py::reinterpret_steal<py::array>(array);
}
template <class T>
View new_array(const py::ssize_t* shape, std::size_t dimensions) {
    View view;
    view.owner = new_array_of<T>(shape, dimensions);
    view.data = py::detail::array_proxy(view.owner.ptr())->data;
    view.dimensions = py::ssize_t(dimensions), view.itemsize = sizeof(T);
    py::ssize_t step = sizeof(T);
    for (std::size_t k = dimensions; k-- > 0; step *= shape[k]) view.shape[k] = shape[k], view.strides[k] = step;
    return view;
}
template <class T>
View new_array(std::initializer_list<py::ssize_t> shape) {
    return new_array<T>(shape.begin(), shape.size());
}

// An array of the same memory that cannot be written to, nor be made so unless its base is made so first.
template <class T>
py::array read_only_array(const View& a) {
    const auto& numpy = py::detail::npy_api::get();
    py::detail::array_proxy(a.owner.ptr())->flags &= ~py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
    Py_INCREF(descriptor<T>());
    PyObject* array = numpy.PyArray_NewFromDescr_(numpy.PyArray_Type_, descriptor<T>(), int(a.dimensions), a.shape,
                                                  a.strides, a.data, py::detail::npy_api::NPY_ARRAY_ALIGNED_, nullptr);
    if (!array) throw py::error_already_set();
    py::array made = py::reinterpret_steal<py::array>(array);
    if (numpy.PyArray_SetBaseObject_(array, py::object(a.owner).release().ptr())) throw py::error_already_set();
    return made;
}

template <class T>
View zeros(std::initializer_list<py::ssize_t> shape) {
    View a = new_array<T>(shape);
    std::memset(a.data, 0, a.nbytes());
    return a;
}

// A copy of its own memory, C-contiguous, of an array with any strides and alignment.
template <class T>
View copy_of(const View& from) {
    View to = new_array<T>(from.shape, std::size_t(from.dimensions));
    if (from.is_contiguous()) {
        if (from.size()) std::memcpy(to.data, from.data, from.nbytes());
        return to;
    }
    py::ssize_t shape[View::most] = {1, 1, 1}, strides[View::most] = {};
    const py::ssize_t absent = py::ssize_t(View::most) - from.dimensions;
    std::copy_n(from.shape, from.dimensions, shape + absent);
    std::copy_n(from.strides, from.dimensions, strides + absent);
    char* next = to.data;
    for (py::ssize_t i = 0; i < shape[0]; ++i)
        for (py::ssize_t j = 0; j < shape[1]; ++j) {
            const char* row = from.data + i * strides[0] + j * strides[1];
            if (strides[2] == py::ssize_t(sizeof(T))) {
                std::memcpy(next, row, shape[2] * sizeof(T));
                next += shape[2] * sizeof(T);
            } else {
                for (py::ssize_t k = 0; k < shape[2]; ++k, next += sizeof(T))
                    std::memcpy(next, row + k * strides[2], sizeof(T));
            }
        }
    return to;
}

template <class T>
[[gnu::always_inline]] inline void must_be_of(const char* argument, const py::array& a) {
    if (!is_of<T>(a))
        throw py::type_error(std::string(argument) + ": expected dtype " + (sizeof(T) == 4 ? "float32" : "float64") +
                             ", got " + dtype_name(a));
}

// An array of exactly T and of the expected shape; a clear error otherwise. A step of a stream has three of them and
// takes less than a microsecond: hence what is inline.
template <class T>
View checked(const char* argument, const py::array& a, const Dims& dims) {
    must_be_of<T>(argument, a);
    must_be_shaped(argument, dims, a);
    return view_of<T>(a);
}
template <class T>
View checked(const char* argument, py::handle object, const Dims& dims) {
    return checked<T>(argument, as_array(argument, object), dims);
}

// Makes it a view of a copy unless strides are whole elements and the last dimension is contiguous.
template <class T>
void make_features_contiguous(View& a) {
    const py::ssize_t last = a.dimensions - 1;
    const bool fits = a.is_aligned(sizeof(T)) && (a.shape[last] <= 1 || a.strides[last] == py::ssize_t(sizeof(T)));
    if (!fits) a = copy_of<T>(a);
}
template <class T>
View features_contiguous(const char* argument, const py::array& a, const Dims& dims) {
    View view = checked<T>(argument, a, dims);
    make_features_contiguous<T>(view);
    return view;
}

// The array itself where it is C-contiguous and aligned, else a copy.
template <class T>
View contiguous(const char* argument, const py::array& a, const Dims& dims) {
    View view = checked<T>(argument, a, dims);
    if (!view.is_contiguous() || reinterpret_cast<std::uintptr_t>(view.data) % sizeof(T)) view = copy_of<T>(view);
    return view;
}
template <class T>
View contiguous(const char* argument, py::handle object, const Dims& dims) {
    return contiguous<T>(argument, as_array(argument, object), dims);
}

// Matrices, of which `rows` is the axis of rows and the next that of columns, as they are where one of these has a
// stride of one element: row-major ones and their transposes; else a copy. Strides come out in elements.
template <class T>
View with_unit_stride(const View& m, int rows, std::ptrdiff_t& row, std::ptrdiff_t& column) {
    const py::ssize_t size = sizeof(T);
    const int columns = rows + 1;
    const auto unit = [&](int k) { return m.strides[k] == size || m.shape[k] == 1; };
    const View ready = m.is_aligned(sizeof(T)) && (unit(rows) || unit(columns)) ? m : copy_of<T>(m);
    const bool row_major = ready.strides[columns] == size || ready.shape[columns] == 1;
    row = row_major ? ready.strides[rows] / size : 1;
    column = row_major ? 1 : ready.strides[columns] / size;
    return ready;
}

// The elements of a C-contiguous array of T of any shape, (size,).
template <class T>
View elements_of(const py::array& a) {
    View view;
    view.data = py::detail::array_proxy(a.ptr())->data, view.dimensions = 1, view.itemsize = sizeof(T);
    view.shape[0] = a.size(), view.strides[0] = sizeof(T);
    view.owner = a;
    return view;
}

// The elements of an array of any shape in order, as T: of the array itself or of a copy.
template <class T>
View flat(const py::array& a) {
    constexpr int flags = py::array::c_style | py::detail::npy_api::NPY_ARRAY_ALIGNED_ |
                          py::detail::npy_api::NPY_ARRAY_ENSUREARRAY_ | py::array::forcecast;
    Py_INCREF(descriptor<T>());
    PyObject* ready = py::detail::npy_api::get().PyArray_FromAny_(a.ptr(), descriptor<T>(), 0, 0, flags, nullptr);
    if (!ready) throw py::error_already_set();
    return elements_of<T>(py::reinterpret_steal<py::array>(ready));
}

// An array that the core writes into.
inline py::array writeable(const char* argument, py::handle object) {
    if (!py::isinstance<py::array>(object))
        throw py::type_error(std::string(argument) + ": expected an array to write into, got " + type_name(object));
    return py::reinterpret_borrow<py::array>(object);
}
inline void must_be_writeable(const char* argument, const py::array& a) {
    if (!a.writeable())
        throw py::value_error(std::string(argument) + ": expected a writeable array, got a read-only one");
}
inline void must_be_aligned(const char* argument, const void* data, std::size_t bytes) {
    if (reinterpret_cast<std::uintptr_t>(data) % bytes)
        throw py::value_error(std::string(argument) +
                              ": expected an aligned array, got one whose address is no multiple of " +
                              std::to_string(bytes));
}

// The same of exactly T and of a shape, C-contiguous.
template <class T>
View output(const char* argument, py::handle object, const Dims& dims) {
    const py::array array = writeable(argument, object);
    const View a = checked<T>(argument, array, dims);
    must_be_writeable(argument, array);
    must_be_aligned(argument, a.data, sizeof(T));
    if (!a.is_contiguous())
        throw py::value_error(std::string(argument) + ": expected a C-contiguous array, got strides in bytes " +
                              numbers_text(a.strides, a.dimensions));
    return a;
}

// The same of any shape, that of another array.
template <class T>
View output_like(const char* argument, py::handle object, const py::array& other) {
    const py::array a = writeable(argument, object);
    std::vector<Dim> dims;
    for (py::ssize_t k = 0; k < other.ndim(); ++k) dims.push_back({"size", other.shape(k)});
    must_be_of<T>(argument, a);
    must_be_shaped(argument, dims, a);
    must_be_writeable(argument, a);
    must_be_aligned(argument, a.data(), sizeof(T));
    if (!(a.flags() & py::array::c_style))
        throw py::value_error(std::string(argument) + ": expected a C-contiguous array, got strides in bytes " +
                              numbers_text(a.strides(), a.ndim()));
    return elements_of<T>(a);
}

// The same with any strides that leave features contiguous and no element twice.
template <class T>
View strided_output(const char* argument, py::handle object, const Dims& dims) {
    const py::array array = writeable(argument, object);
    const View a = checked<T>(argument, array, dims);
    must_be_writeable(argument, array);
    std::vector<std::pair<py::ssize_t, py::ssize_t>> axes;  // stride, bytes from first to last
    const py::ssize_t last = a.dimensions - 1, size = sizeof(T);
    bool fits = a.is_aligned(sizeof(T)) && (a.shape[last] <= 1 || a.strides[last] == size);
    for (py::ssize_t k = 0; k < last; ++k)
        if (a.shape[k] > 1) axes.push_back({std::abs(a.strides[k]), std::abs(a.strides[k]) * (a.shape[k] - 1)});
    std::sort(axes.begin(), axes.end());
    py::ssize_t inner = a.shape[last] * size;
    for (const auto& axis : axes) fits = fits && axis.first >= inner, inner += axis.second;
    if (!fits && a.size())
        throw py::value_error(std::string(argument) +
                              ": expected contiguous features and no overlap, got strides in bytes " +
                              numbers_text(a.strides, a.dimensions));
    return a;
}

inline void must_not_overlap(const char* argument, const View& written, const char* other_name, const View& other) {
    const auto a = written.extent(), b = other.extent();
    if (a.first < b.second && b.first < a.second)
        throw py::value_error(std::string(argument) + ": overlaps " + other_name + " in memory");
}

// Integers of that shape, copied: they are looked at after this, and the caller may change them meanwhile.
inline std::vector<int64_t> integers(const char* argument, const py::array& given, const Dims& dims) {
    const char kind = given.dtype().kind();
    if (kind != 'i' && kind != 'u' && given.size() != 0)
        throw py::type_error(std::string(argument) + ": expected integers, got " + dtype_name(given));
    must_be_shaped(argument, dims, given);
    if (given.size() == 0) return {};
    const View values = flat<int64_t>(given);
    return std::vector<int64_t>(pointer<int64_t>(values), pointer<int64_t>(values) + values.shape[0]);
}

// Lengths of rows, all of them `most` where none are given.
inline std::vector<int64_t> lengths_or_full(const char* argument, const py::object& given, long batch, long most,
                                            const char* of) {
    if (!given) return std::vector<int64_t>(std::size_t(batch), most);
    const std::vector<int64_t> lengths = integers(argument, array_of(given), {{"batch", batch}});
    for (long b = 0; b < batch; ++b)
        if (lengths[b] < 0 || lengths[b] > most)
            throw py::value_error(std::string(argument) + ": expected numbers from 0 to " + std::to_string(most) +
                                  " (" + of + "), got " + std::to_string(lengths[b]) + " at " + std::to_string(b));
    return lengths;
}

// A mask, copied, of zeros and ones whatever its bytes are: those of a bool need not be 0 or 1.
inline std::vector<unsigned char> booleans(const char* argument, const py::array& given, const Dims& dims) {
    if (given.dtype().kind() != 'b')
        throw py::type_error(std::string(argument) + ": expected bool, got " + dtype_name(given));
    must_be_shaped(argument, dims, given);
    const View bytes = copy_of<unsigned char>(view_of<unsigned char>(given));
    std::vector<unsigned char> values(bytes.nbytes());
    for (std::size_t k = 0; k < values.size(); ++k) values[k] = pointer<unsigned char>(bytes)[k] != 0;
    return values;
}

// A mask with contiguous rows, not copied: of its bytes, which may change, 0 is False and any other True.
inline View mask_rows(const char* argument, const py::array& given, const Dims& dims) {
    if (given.dtype().kind() != 'b')
        throw py::type_error(std::string(argument) + ": expected bool, got " + dtype_name(given));
    must_be_shaped(argument, dims, given);
    View mask = view_of<unsigned char>(given);
    make_features_contiguous<unsigned char>(mask);
    return mask;
}

// Calls f with a value of the element type of `a`, or says which are offered.
template <class F>
auto by_dtype(const char* argument, const py::array& a, F f) {
    if (is_of<float>(a)) return f(float{});
    if (is_of<double>(a)) return f(double{});
    throw py::type_error(std::string(argument) + ": expected dtype float32 or float64, got " + dtype_name(a));
}

template <class T>
Sequence<T> sequence(const View& a) {  // (batch, steps, features), features contiguous
    const py::ssize_t size = sizeof(T);
    return {pointer<T>(a), a.strides[0] / size, a.strides[1] / size, -1, nullptr, nullptr, nullptr};
}

}  // namespace lstmcore
