// Functions that CPython calls itself, and classes whose objects the core alone makes.
#pragma once

#include <pybind11/pybind11.h>

#include <exception>
#include <new>

namespace lstmcore {

namespace py = pybind11;

// What a function that CPython calls itself returns, or the exception that pybind11 would have made of f's.
template <class F>
PyObject* guarded(F f) {
    try {
        return f();
    } catch (py::error_already_set& error) {
        error.restore();
    } catch (const py::builtin_exception& error) {
        error.set_error();
    } catch (const std::bad_alloc& error) {
        PyErr_SetString(PyExc_MemoryError, error.what());
    } catch (const std::exception& error) {
        PyErr_SetString(PyExc_RuntimeError, error.what());
    }
    return nullptr;
}

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
