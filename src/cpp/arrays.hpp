// Arrays and numbers at the door: what comes from Python is checked here, once, and kept as it was then. An array
// object that the caller holds can get another shape, other strides and other memory whenever Python runs, so nothing
// is read from it a second time; and no byte of it is taken for a C++ bool.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

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

// One expected dimension: its name, and its size where that is known.
struct Dim {
    const char* name;
    long size = -1;
};

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

// --- arrays ---------------------------------------------------------------------------------

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

// Calls f with a value of the element type of `a`, or says which are offered.
template <class F>
auto by_dtype(const char* argument, const py::array& a, F f) {
    if (is_of<float>(a)) return f(float{});
    if (is_of<double>(a)) return f(double{});
    throw py::type_error(std::string(argument) + ": expected dtype float32 or float64, got " + dtype_name(a));
}

// What a function that CPython calls itself returns, or the exception that pybind11 would have made of f's.
template <class F>
PyObject* guarded(F f) {
    try {
        return f();
    } catch (py::error_already_set& error) {
        error.restore();
    } catch (const py::builtin_exception& error) {
        error.set_error();
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    } catch (const std::exception& error) {
        PyErr_SetString(PyExc_RuntimeError, error.what());
    }
    return nullptr;
}

// --- objects --------------------------------------------------------------------------------

// `C.__new__(C)` alone makes an object without a value, and pybind11 takes whatever memory it finds for one. So objects
// of a class come from the core alone, or whole from the function given here; and no class can be derived from it.
template <class C, class... Holder>
void made_by_core(py::class_<C, Holder...>& python_class) {
    auto* type = reinterpret_cast<PyTypeObject*>(python_class.ptr());
    type->tp_new = [](PyTypeObject* type, PyObject*, PyObject*) -> PyObject* {
        return PyErr_Format(PyExc_TypeError, "%s: cannot be made or copied from Python", type->tp_name);
    };
    PyType_Modified(type);
}
template <class C, class... Holder, class F, class... Extra>
void made_by(py::class_<C, Holder...>& python_class, F function, const Extra&... extra) {
    static PyObject* const make =
        py::cpp_function(function, py::name("__new__"), py::scope(python_class), extra...).release().ptr();
    auto* type = reinterpret_cast<PyTypeObject*>(python_class.ptr());
    type->tp_new = [](PyTypeObject*, PyObject* arguments, PyObject* names) {
        return PyObject_Call(make, arguments, names);
    };
    type->tp_init = [](PyObject*, PyObject*, PyObject*) { return 0; };
    PyType_Modified(type);
}

}  // namespace lstmcore
