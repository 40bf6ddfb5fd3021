// The only place, with bindings_decode.cpp, that knows Python: checks arguments, finds or makes the memory, releases
// the GIL and calls the kernel table. No arithmetic here; past this door every shape is true.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <variant>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include "bindings_decode.hpp"
#include "core.hpp"
#include "cpu_quota.hpp"
#include "gil.hpp"
#include "threads.hpp"

namespace py = pybind11;

namespace lstmcore {
namespace {

// --- memory ---------------------------------------------------------------------------------

// Elements of a product of sizes; a product beyond the address space is an error of the argument.
std::size_t checked_product(const char* argument, std::initializer_list<std::size_t> factors) {
    std::size_t product = 1;
    for (std::size_t factor : factors)
        if (__builtin_mul_overflow(product, factor, &product) || product > (std::size_t(1) << 60))
            throw py::value_error(std::string(argument) + ": the sizes asked for overflow the address space");
    return product;
}

// Large blocks that were freed, kept for the next call: a fresh one costs a page fault and the
// zeroing of every page, several percent of a training step. At most `limit` bytes are kept,
// whatever shapes come; the oldest go first. All use is under the GIL.
class Pool {
    struct Block {
        void* memory;
        std::size_t bytes;
    };
    std::vector<Block> blocks;
    std::size_t kept = 0;
    static constexpr std::size_t limit = std::size_t(256) << 20, huge = std::size_t(2) << 20;

 public:
    static constexpr std::size_t smallest = std::size_t(256) << 10;  // below, malloc keeps them itself

    // A block of at least `bytes`, which becomes its size.
    void* take(std::size_t& bytes) {
        auto best = blocks.end();
        for (auto it = blocks.begin(); it != blocks.end(); ++it)
            if (it->bytes >= bytes && it->bytes <= 2 * bytes && (best == blocks.end() || it->bytes < best->bytes))
                best = it;
        if (best != blocks.end()) {
            const Block block = *best;
            kept -= block.bytes;
            blocks.erase(best);
            bytes = block.bytes;
            return block.memory;
        }
        void* memory = nullptr;
        if (posix_memalign(&memory, bytes >= 2 * huge ? huge : 64, bytes)) {
            PyErr_Format(PyExc_MemoryError, "no memory for %zu bytes of working space", bytes);
            throw py::error_already_set();
        }
#ifdef MADV_HUGEPAGE
        if (bytes >= 2 * huge) madvise(memory, bytes / huge * huge, MADV_HUGEPAGE);
#endif
        return memory;
    }

    void give(void* memory, std::size_t bytes) {
        if (bytes < smallest || bytes > limit) return std::free(memory);
        blocks.push_back({memory, bytes});
        kept += bytes;
        while (kept > limit) {
            kept -= blocks.front().bytes;
            std::free(blocks.front().memory);
            blocks.erase(blocks.begin());
        }
    }
};

Pool& pool() {
    static Pool* const pool = new Pool;  // never destroyed: buffers may outlive static objects
    return *pool;
}

template <class T>
class Buffer {
    T* data_ = nullptr;
    std::size_t bytes_ = 0;

 public:
    Buffer() = default;
    explicit Buffer(std::size_t n) {
        if (n == 0) return;
        bytes_ = (n * sizeof(T) + 63) / 64 * 64;
        data_ = static_cast<T*>(pool().take(bytes_));
    }
    Buffer(Buffer&& other) noexcept { *this = std::move(other); }
    Buffer& operator=(Buffer&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    ~Buffer() {
        if (data_) pool().give(data_, bytes_);
    }
    T* get() const { return data_; }
};

// --- arrays at the door ---------------------------------------------------------------------

std::string shape_text(const std::vector<std::string>& names) {
    std::string text = "(";
    for (std::size_t k = 0; k < names.size(); ++k) text += (k ? ", " : "") + names[k];
    return text + (names.size() == 1 ? ",)" : ")");
}

std::string shape_of(const py::array& a) {
    std::vector<std::string> sizes;
    for (py::ssize_t k = 0; k < a.ndim(); ++k) sizes.push_back(std::to_string(a.shape(k)));
    return shape_text(sizes);
}

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

[[noreturn]] void wrong_shape(const char* argument, const Dims& dims, const py::array& got) {
    std::vector<std::string> names;
    for (const Dim& d : dims) names.push_back(d.size < 0 ? d.name : std::string(d.name) + "=" + std::to_string(d.size));
    throw py::value_error(std::string(argument) + ": expected shape " + shape_text(names) + ", got " + shape_of(got));
}

py::array as_array(const char* argument, py::handle object) {
    if (py::isinstance<py::array>(object)) return py::reinterpret_borrow<py::array>(object);
    py::array a = py::array::ensure(object);
    if (!a) {
        PyErr_Clear();
        throw py::type_error(std::string(argument) + ": expected an array, got " +
                             std::string(py::str(py::type::of(object).attr("__name__"))));
    }
    return a;
}

// NumPy's own descriptor of T; never destroyed.
template <class T>
PyObject* descriptor() {
    static PyObject* const own = py::dtype::of<T>().release().ptr();
    return own;
}

template <class T>
bool is_of(const py::array& a) {
    return py::detail::array_proxy(a.ptr())->descr == descriptor<T>() || py::isinstance<py::array_t<T>>(a);
}

std::string dtype_name(const py::array& a) { return std::string(py::str(a.dtype())); }

// An array of exactly T and of the expected shape; a clear error otherwise.
template <class T>
py::array checked(const char* argument, py::handle object, const Dims& dims) {
    py::array a = as_array(argument, object);
    if (!is_of<T>(a))
        throw py::type_error(std::string(argument) + ": expected dtype " + (sizeof(T) == 4 ? "float32" : "float64") +
                             ", got " + dtype_name(a));
    bool right = a.ndim() == py::ssize_t(dims.size());
    for (std::size_t k = 0; right && k < dims.size(); ++k) right = dims[k].size < 0 || a.shape(k) == dims[k].size;
    if (!right) wrong_shape(argument, dims, a);
    return a;
}

// The array itself where it is C-contiguous and aligned, else a copy.
template <class T>
py::array c_contiguous(const py::array& a) {
    if ((a.flags() & py::array::c_style) && reinterpret_cast<std::uintptr_t>(a.data()) % sizeof(T) == 0 && is_of<T>(a))
        return a;
    PyObject* copy = py::detail::npy_api::get().PyArray_FromAny_(
        a.ptr(), py::dtype::of<T>().release().ptr(), 0, 0, py::array::c_style | py::detail::npy_api::NPY_ARRAY_ALIGNED_,
        nullptr);
    if (!copy) throw py::error_already_set();
    return py::reinterpret_steal<py::array>(copy);
}

// Strides in whole elements, the last dimension contiguous: the array itself or a copy of it.
template <class T>
py::array features_contiguous(const py::array& a) {
    const py::ssize_t last = a.ndim() - 1;
    bool fits = a.shape(last) <= 1 || a.strides(last) == py::ssize_t(sizeof(T));
    for (py::ssize_t k = 0; k < last; ++k) fits = fits && a.strides(k) % py::ssize_t(sizeof(T)) == 0;
    if (fits && reinterpret_cast<std::uintptr_t>(a.data()) % sizeof(T) == 0) return a;
    return c_contiguous<T>(a);
}

template <class T>
py::array contiguous(const char* argument, py::handle object, const Dims& dims) {
    return c_contiguous<T>(checked<T>(argument, object, dims));
}

// An array that the core writes into: of exactly T and the shape.
template <class T>
py::array writeable(const char* argument, py::handle object, const Dims& dims) {
    if (!py::isinstance<py::array>(object))
        throw py::type_error(std::string(argument) + ": expected an array to write into, got " +
                             std::string(py::str(py::type::of(object).attr("__name__"))));
    py::array a = checked<T>(argument, object, dims);
    if (!a.writeable())
        throw py::value_error(std::string(argument) + ": expected a writeable array, got a read-only one");
    return a;
}

// The same, C-contiguous.
template <class T>
py::array output(const char* argument, py::handle object, const Dims& dims) {
    py::array a = writeable<T>(argument, object, dims);
    if (!(a.flags() & py::array::c_style) || reinterpret_cast<std::uintptr_t>(a.data()) % sizeof(T))
        throw py::value_error(std::string(argument) + ": expected a C-contiguous array, got strides in bytes " +
                              std::string(py::str(a.attr("strides"))));
    return a;
}

// The bytes an array reaches, for telling whether two overlap.
std::pair<const char*, const char*> extent(const py::array& a) {
    const char *low = static_cast<const char*>(a.data()), *high = low + a.itemsize();
    for (py::ssize_t k = 0; k < a.ndim(); ++k) {
        if (a.shape(k) == 0) return {low, low};
        (a.strides(k) < 0 ? low : high) += (a.shape(k) - 1) * a.strides(k);
    }
    return {low, high};
}

void must_not_overlap(const char* argument, const py::array& written, const char* other_name, const py::array& other) {
    const auto a = extent(written), b = extent(other);
    if (a.first < b.second && b.first < a.second)
        throw py::value_error(std::string(argument) + ": overlaps " + other_name + " in memory");
}

// Arrays that may be absent are kept as objects: an empty py::array is a whole NumPy array.
py::array array_of(const py::object& o) { return py::reinterpret_borrow<py::array>(o); }

template <class T>
T* pointer(const py::object& a) {
    return static_cast<T*>(static_cast<void*>(py::detail::array_proxy(a.ptr())->data));
}

// A new array, its elements unset.
template <class T>
py::array new_array(const py::ssize_t* shape, std::size_t dimensions) {
    const auto& numpy = py::detail::npy_api::get();
    Py_INCREF(descriptor<T>());
    PyObject* array = numpy.PyArray_NewFromDescr_(numpy.PyArray_Type_, descriptor<T>(), int(dimensions), shape, nullptr,
                                                  nullptr, 0, nullptr);
    if (!array) throw py::error_already_set();
    return py::reinterpret_steal<py::array>(array);
}
template <class T>
py::array new_array(std::initializer_list<py::ssize_t> shape) {
    return new_array<T>(shape.begin(), shape.size());
}

template <class T>
py::array zeros(std::initializer_list<py::ssize_t> shape) {
    py::array a = new_array<T>(shape);
    std::memset(pointer<T>(a), 0, a.nbytes());
    return a;
}

template <class T>
Sequence<T> sequence(const py::array& a) {  // (batch, steps, features), features contiguous
    using Element = std::remove_const_t<T>;
    const py::ssize_t size = sizeof(Element);
    return {pointer<Element>(a), a.strides(0) / size, a.strides(1) / size, -1, nullptr, nullptr, nullptr};
}

template <class T>
Sequence<const T> read_only(const Sequence<T>& s) {
    return {s.data, s.batch_stride, s.step_stride, s.step_mask, s.first, s.row, s.at_step};
}

template <class T>
const Kernels<T>& kernels() {
    if constexpr (sizeof(T) == 4)
        return instruction_set().f32;
    else
        return instruction_set().f64;
}

// Calls f with a value of the element type of `a`, or says which are offered.
template <class F>
auto by_dtype(const char* argument, const py::array& a, F f) {
    if (is_of<float>(a)) return f(float{});
    if (is_of<double>(a)) return f(double{});
    throw py::type_error(std::string(argument) + ": expected dtype float32 or float64, got " + dtype_name(a));
}

// --- recurrent layers: weights --------------------------------------------------------------

template <class T>
struct Packed {
    Buffer<T> memory;
    PackedWeights<T> weights{};
};

// Weights packed for the kernels; immutable, so that any number of threads may use them at once.
struct CellWeights {
    std::string cell;
    bool lstm = false;
    CellOptions options{};
    RecurrentShape shape{};  // without batch and steps
    long gates = 0;          // columns of the kernels, in units
    bool has_bias = false, training = false, staged = false;
    std::variant<Packed<float>, Packed<double>> packed;

    template <class T>
    const CellKernels<T>& kernels_of() const {
        const Kernels<T>& k = kernels<T>();
        if (lstm) return staged ? k.staged_lstm : k.lstm;
        if (cell == "gru") return staged ? k.staged_gru : k.gru;
        return k.rnn;
    }
};

CellOptions read_options(py::handle from, const std::string& cell, long& gates, bool& plain) {
    const auto flag = [&](const char* name) { return from.attr(name).cast<bool>(); };
    const auto activation = [&](const char* name) {
        static const char* const names[] = {"tanh", "sigmoid", "hard_sigmoid", "relu", "linear", "softsign"};
        const std::string given = from.attr(name).cast<std::string>();
        for (int k = 0; k < 6; ++k)
            if (given == names[k]) return Activation(k);
        throw py::value_error(std::string(name) + ": unknown activation " + given);
    };
    CellOptions o{};
    o.input_gate = o.forget_gate = o.output_gate = o.input_activation = o.output_activation = true;
    o.activation = activation("activation");
    gates = from.attr("gates").cast<long>();
    if (cell == "rnn") {
        plain = true;
        return o;
    }
    o.recurrent_activation = activation("recurrent_activation");
    o.layer_norm = flag("layer_norm");
    plain = o.activation == Activation::tanh && o.recurrent_activation == Activation::sigmoid && !o.layer_norm;
    if (cell == "gru") {
        o.reset_after = flag("reset_after");
        plain = plain && o.reset_after;
        return o;
    }
    o.peepholes = flag("peepholes"), o.coupled = flag("coupled"), o.projection = flag("projection");
    o.input_gate = flag("input_gate"), o.forget_gate = flag("forget_gate"), o.output_gate = flag("output_gate");
    o.input_activation = flag("input_activation"), o.output_activation = flag("output_activation");
    plain = plain && gates == 4 && !o.peepholes && !o.projection && o.input_activation && o.output_activation;
    return o;
}

// A list of the sizes and one of the pointers of PackedWeights, in the same order.
template <class T>
std::vector<T**> parts_of(PackedWeights<T>& w) {
    return {&w.kernel,
            &w.recurrent,
            &w.bias,
            &w.peephole,
            &w.projection,
            &w.gain,
            &w.cell_norm,
            &w.kernel_transposed,
            &w.recurrent_transposed,
            &w.projection_transposed};
}
std::vector<std::size_t> parts_of(const PackedSizes& s) {
    return {s.kernel,
            s.recurrent,
            s.bias,
            s.peephole,
            s.projection,
            s.gain,
            s.cell_norm,
            s.kernel_transposed,
            s.recurrent_transposed,
            s.projection_transposed};
}
constexpr std::size_t parts_for_inference = 7;

// Names and shapes of the weights, in the caller's order.
struct WeightSpec {
    const char* name;
    std::vector<Dim> dims;
    std::size_t index;  // in Weights
};

std::vector<WeightSpec> weight_specs(const CellWeights& w) {
    const RecurrentShape& s = w.shape;
    static const char* const columns_names[] = {"", "units", "2*units", "3*units", "4*units"};
    const Dim columns{columns_names[w.gates], w.gates * s.units};
    std::vector<WeightSpec> specs = {
        {"kernel", {{"inputs", s.inputs}, columns}, 0},
        {"recurrent_kernel", {{w.options.projection ? "outputs" : "units", s.outputs}, columns}, 1}};
    if (w.has_bias) {
        if (w.options.reset_after)
            specs.push_back({"bias", {{"rows", 2}, columns}, 2});
        else
            specs.push_back({"bias", {columns}, 2});
    }
    if (w.options.peepholes) specs.push_back({"peephole", {{"gates", 3}, {"units", s.units}}, 3});
    if (w.options.projection) specs.push_back({"projection", {{"units", s.units}, {"outputs", s.outputs}}, 4});
    if (w.options.layer_norm) {
        specs.push_back({"gain", {{"products", 2}, columns}, 5});
        if (w.lstm) specs.push_back({"cell_norm", {{"rows", 2}, {"units", s.units}}, 6});
    }
    return specs;
}

template <class T>
T** weight_pointer(Weights<T>& w, std::size_t index) {
    T** const pointers[] = {&w.kernel, &w.recurrent, &w.bias, &w.peephole, &w.projection, &w.gain, &w.cell_norm};
    return pointers[index];
}

std::shared_ptr<CellWeights> pack(py::handle options, const std::vector<py::object>& arrays, bool training,
                                  bool zoneout) {
    return by_dtype("kernel", as_array("kernel", arrays.at(0)), [&](auto tag) {
        using T = decltype(tag);
        auto w = std::make_shared<CellWeights>();
        w->cell = options.attr("cell").cast<std::string>();
        w->lstm = w->cell == "lstm";
        bool plain = true;
        w->options = read_options(options, w->cell, w->gates, plain);
        w->staged = !plain || (zoneout && w->cell != "rnn");
        w->training = training;

        const std::string columns = (w->gates > 1 ? std::to_string(w->gates) + "*" : "") + "units > 0";
        const std::vector<Dim> kernel_dims = {{"inputs > 0"}, {columns.c_str()}};
        py::array kernel = checked<T>("kernel", arrays.at(0), kernel_dims);
        w->shape.inputs = kernel.shape(0), w->shape.units = kernel.shape(1) / w->gates;
        if (w->shape.inputs == 0 || w->shape.units == 0 || kernel.shape(1) % w->gates)
            wrong_shape("kernel", kernel_dims, kernel);
        w->shape.outputs = w->shape.units;
        if (w->options.projection) {
            py::array recurrent = checked<T>("recurrent_kernel", arrays.at(1), {{"outputs"}, {"gates*units"}});
            w->shape.outputs = recurrent.shape(0);
            if (w->shape.outputs == 0 || w->shape.outputs > w->shape.units)
                throw py::value_error("recurrent_kernel: expected 1 to units=" + std::to_string(w->shape.units) +
                                      " rows, the outputs of the projection, got shape " + shape_of(recurrent));
        }
        const std::size_t without_bias = weight_specs(*w).size();
        w->has_bias = arrays.size() == without_bias + 1;
        const std::vector<WeightSpec> specs = weight_specs(*w);
        if (arrays.size() != specs.size())
            throw py::value_error("weights: expected " + std::to_string(without_bias) + " arrays or, with a bias, " +
                                  std::to_string(without_bias + 1) + ", got " + std::to_string(arrays.size()));
        PackProblem<T> problem{};
        std::vector<py::array> held;
        for (std::size_t k = 0; k < specs.size(); ++k) {
            held.push_back(contiguous<T>(specs[k].name, arrays[k], specs[k].dims));
            *weight_pointer(problem.weights, specs[k].index) = pointer<T>(held.back());
        }
        const CellKernels<T>& cell = w->template kernels_of<T>();
        const std::vector<std::size_t> sizes = parts_of(cell.packed_sizes(w->shape, w->options));
        const auto rounded = [](std::size_t n) { return (n + 15) / 16 * 16; };
        std::size_t total = 0;
        for (std::size_t k = 0; k < (training ? sizes.size() : parts_for_inference); ++k) total += rounded(sizes[k]);
        Packed<T> packed;
        packed.memory = Buffer<T>(total);
        T* next = packed.memory.get();
        const std::vector<T**> parts = parts_of(packed.weights);
        for (std::size_t k = 0; k < (training ? sizes.size() : parts_for_inference); ++k)
            if (sizes[k]) *parts[k] = next, next += rounded(sizes[k]);
        problem.shape = w->shape, problem.options = w->options, problem.packed = packed.weights;
        problem.threads = threads_for(double(w->gates) * w->shape.units * (w->shape.inputs + w->shape.outputs), 2e5);
        {
            const WithoutGil release;
            cell.pack(problem);
        }
        w->packed = std::move(packed);
        return w;
    });
}

// --- recurrent layers: sequences of different length ----------------------------------------

// What of every row is not padding, sorted for the kernels.
struct Plan {
    std::vector<long> first, length;
    std::vector<int> step, row, at_step;
    std::vector<unsigned char> valid;  // (batch, steps) of the arrays
    bool repeat = false;               // padding repeats the output before it, or is zero
    long steps = 0;                    // of the longest row

    Ragged view() const { return {first.data(), step.data(), row.data(), at_step.data(), length.data()}; }
    long total() const { return first.back(); }
};

std::shared_ptr<Plan> make_plan(const RecurrentShape& s, std::vector<unsigned char> valid, bool backwards) {
    const long batch = s.batch, steps = s.steps;
    auto plan = std::make_shared<Plan>();
    std::vector<long> length(batch);
    for (long b = 0; b < batch; ++b)
        for (long t = 0; t < steps; ++t) length[b] += valid[b * steps + t];
    plan->row.resize(batch);
    for (long b = 0; b < batch; ++b) plan->row[b] = int(b);
    std::stable_sort(plan->row.begin(), plan->row.end(), [&](int a, int b) { return length[a] > length[b]; });
    for (int row : plan->row) plan->length.push_back(length[row]);
    plan->steps = batch ? plan->length[0] : 0;
    plan->first.resize(plan->steps + 1);
    for (long t = 0, active = batch; t < plan->steps; ++t) {
        while (active > 0 && plan->length[active - 1] <= t) --active;
        plan->first[t + 1] = plan->first[t] + active;
    }
    plan->step.resize(plan->total());
    plan->at_step.resize(plan->total());
    for (long b = 0; b < batch; ++b) {
        const unsigned char* row = valid.data() + plan->row[b] * steps;
        long t = 0;
        for (long k = 0; k < steps; ++k) {
            const long at = backwards ? steps - 1 - k : k;
            if (!row[at]) continue;
            plan->step[plan->first[t] + b] = int(t);
            plan->at_step[plan->first[t] + b] = int(at);
            ++t;
        }
    }
    plan->valid = std::move(valid);
    return plan;
}

// Lengths or a mask, checked, as a plan; null where nothing is padding.
std::shared_ptr<Plan> padding_plan(const RecurrentShape& s, py::handle lengths_, py::handle mask_, bool zero_output,
                                   bool backwards, bool always) {
    const long batch = s.batch, steps = s.steps;
    if (lengths_.is_none() && mask_.is_none() && !always) return nullptr;
    if (!lengths_.is_none() && !mask_.is_none()) throw py::value_error("mask: give lengths or a mask, not both");
    checked_product("inputs", {std::size_t(batch), std::size_t(steps)});
    std::vector<unsigned char> valid(std::size_t(batch) * steps, 1);
    if (!lengths_.is_none()) {
        py::array lengths = as_array("lengths", lengths_);
        if (lengths.size() && lengths.dtype().kind() != 'i' && lengths.dtype().kind() != 'u')
            throw py::type_error("lengths: expected integers, got " + dtype_name(lengths));
        if (lengths.ndim() != 1 || lengths.shape(0) != batch) wrong_shape("lengths", {{"batch", batch}}, lengths);
        const py::array_t<long> values =
            c_contiguous<long>(py::array_t<long, py::array::c_style | py::array::forcecast>::ensure(lengths));
        for (long b = 0; b < batch; ++b) {
            const long length = values.at(b);
            if (length < 0 || length > steps)
                throw py::value_error("lengths: expected numbers from 0 to " + std::to_string(steps) +
                                      " (steps), got " + std::to_string(length) + " at " + std::to_string(b));
            std::fill(valid.begin() + b * steps + length, valid.begin() + (b + 1) * steps, 0);
        }
    } else if (!mask_.is_none()) {
        py::array mask = as_array("mask", mask_);
        if (mask.dtype().kind() != 'b') throw py::type_error("mask: expected bool, got " + dtype_name(mask));
        if (mask.ndim() != 2 || mask.shape(0) != batch || mask.shape(1) != steps)
            wrong_shape("mask", {{"batch", batch}, {"steps", steps}}, mask);
        const py::array_t<bool> values = py::array_t<bool, py::array::c_style | py::array::forcecast>::ensure(mask);
        for (std::size_t k = 0; k < valid.size(); ++k) valid[k] = values.data()[k] ? 1 : 0;
    }
    if (!always && std::find(valid.begin(), valid.end(), 0) == valid.end()) return nullptr;
    auto plan = make_plan(s, std::move(valid), backwards);
    plan->repeat = !mask_.is_none() && !zero_output;
    return plan;
}

// Calls f(row, step, source) for the padding steps, in the order they are processed; source is the step
// whose output they repeat, or -1.
template <class F>
void for_each_padding(const Plan& plan, const RecurrentShape& s, bool backwards, F f) {
    for (long b = 0; b < s.batch; ++b)
        for (long k = 0, source = -1; k < s.steps; ++k) {
            const long t = backwards ? s.steps - 1 - k : k;
            if (plan.valid[b * s.steps + t])
                source = t;
            else
                f(b, t, plan.repeat ? source : -1);
        }
}

// --- recurrent layers: passes ---------------------------------------------------------------

// Threads for one pass over a recurrent layer: as many as its work repays, in multiply-adds, where
// they share rows and meet once; where they share units they also meet at every step. Fewer than
// four rows cost as much as four, for reading the weights then takes longer than using them.
double work_of_step(const CellWeights& w, const RecurrentShape& s) {
    return double(std::max(4l, s.batch)) * w.gates * s.units * (s.outputs + s.inputs);
}
int recurrent_threads(const CellWeights& w, const RecurrentShape& s) {
    constexpr double of_call = 3e5, of_step = 1e5;
    const double step = work_of_step(w, s);
    const int threads = threads_for(step * double(s.steps), of_call);
    if (w.staged) return int(std::min(long(threads), std::max(1l, s.batch)));  // they share rows only
    if (s.batch >= 4l * threads) return threads;
    return std::max(int(s.batch / 4), std::min(threads, threads_for(step, of_step)));
}

// A few microseconds at most.
bool is_brief(const CellWeights& w, const RecurrentShape& s) { return work_of_step(w, s) * double(s.steps) < 5e5; }

// pybind11 takes None for a null pointer.
const std::shared_ptr<CellWeights>& not_none(const std::shared_ptr<CellWeights>& weights) {
    if (!weights) throw py::type_error("weights: expected packed weights, got None");
    return weights;
}

// Everything of a call that the two passes share.
struct Run {
    std::shared_ptr<CellWeights> weights;
    RecurrentShape shape{};  // of the arrays
    bool return_sequences = false, backwards = false;
    bool has_h0 = false;
    std::shared_ptr<Plan> plan;
    py::object x, h0, c0, x_dropout, h_dropout;  // arrays; the last two may be absent
    Zoneout zoneout{};

    RecurrentShape kernel_shape() const {
        RecurrentShape s = shape;
        if (plan) s.steps = plan->steps;
        return s;
    }
    long rows() const { return plan ? plan->total() : shape.batch * shape.steps; }  // steps of all rows
    bool empty() const { return rows() == 0; }

    // An array of the caller.
    template <class T>
    Sequence<T> outer(const py::object& a) const {
        Sequence<T> s = sequence<T>(array_of(a));
        if (plan) {
            const Ragged view = plan->view();
            s.first = view.first, s.row = view.row, s.at_step = view.at_step;
        } else if (backwards) {
            s.data += (shape.steps - 1) * s.step_stride;
            s.step_stride = -s.step_stride;
        }
        return s;
    }
    // What is kept of every step.
    template <class T>
    Sequence<T> kept(T* data, long width) const {
        return {data, width, shape.batch * width, -1, plan ? plan->first.data() : nullptr, nullptr, nullptr};
    }
    // The last step of a row that has one: element by element of a Sequence.
    template <class T>
    static T* last(const Sequence<T>& s, const Plan* plan, long b, long steps) {
        const long t = (plan ? plan->length[b] : steps) - 1;
        if (s.first) {
            const long n = s.first[t] + b;
            return s.data + (s.row ? s.row[b] * s.batch_stride + s.at_step[n] * s.step_stride : n * s.batch_stride);
        }
        return s.data + b * s.batch_stride + (t & s.step_mask) * s.step_stride;
    }

    static int copies(const py::object& dropout) {
        const py::array a = array_of(dropout);
        return a.ndim() == 3 ? int(a.shape(0)) : 1;
    }

    template <class Problem, class T>
    void fill(Problem& p, T) const {
        p.shape = kernel_shape(), p.options = weights->options,
        p.weights = std::get<Packed<T>>(weights->packed).weights;
        if (plan) p.ragged = plan->view();
        p.x = read_only(outer<T>(x));
        p.h0 = pointer<T>(h0);
        p.c0 = weights->lstm ? pointer<T>(c0) : nullptr;
        if (x_dropout) p.x_dropout = {pointer<T>(x_dropout), copies(x_dropout)};
        if (h_dropout) p.h_dropout = {pointer<T>(h_dropout), copies(h_dropout)};
        p.zoneout = zoneout;
        p.threads = recurrent_threads(*weights, p.shape);
    }
};

// What backward needs of a forward pass.
struct Cache {
    Run run;
    py::object outputs;  // the h of every step, where they are returned
    std::variant<Buffer<float>, Buffer<double>> saved;
    std::size_t saved_bytes = 0, c_offset = 0, h_offset = 0;
};

template <class T>
py::array state_or_zeros(const char* argument, py::handle state, long batch, const char* name, long width) {
    if (state.is_none()) return zeros<T>({batch, width});
    return contiguous<T>(argument, state, {{"batch", batch}, {name, width}});
}

// Dropout factors: (batch, width) for all gates or (gates, batch, width).
template <class T>
py::object dropout_factors(const char* argument, py::handle given, const CellWeights& w, long batch, const char* name,
                           long width) {
    if (given.is_none()) return py::object();
    const py::array a = as_array(argument, given);
    if (a.ndim() == 3) return contiguous<T>(argument, a, {{"gates", w.gates}, {"batch", batch}, {name, width}});
    return contiguous<T>(argument, a, {{"batch", batch}, {name, width}});
}

// The same with any strides that leave features contiguous and no element twice.
template <class T>
py::array strided_output(const char* argument, py::handle object, const Dims& dims) {
    py::array a = writeable<T>(argument, object, dims);
    std::vector<std::pair<py::ssize_t, py::ssize_t>> axes;  // stride, bytes from first to last
    const py::ssize_t last = a.ndim() - 1, size = sizeof(T);
    bool fits =
        reinterpret_cast<std::uintptr_t>(a.data()) % sizeof(T) == 0 && (a.shape(last) <= 1 || a.strides(last) == size);
    for (py::ssize_t k = 0; k < last; ++k) {
        fits = fits && a.strides(k) % size == 0;
        if (a.shape(k) > 1) axes.push_back({std::abs(a.strides(k)), std::abs(a.strides(k)) * (a.shape(k) - 1)});
    }
    std::sort(axes.begin(), axes.end());
    py::ssize_t inner = a.shape(last) * size;
    for (const auto& axis : axes) fits = fits && axis.first >= inner, inner += axis.second;
    if (!fits && a.size())
        throw py::value_error(std::string(argument) +
                              ": expected contiguous features and no overlap, got strides in bytes " +
                              std::string(py::str(a.attr("strides"))));
    return a;
}

void copy_rows(void* to, std::ptrdiff_t to_stride, const void* from, std::ptrdiff_t from_stride, long rows,
               std::size_t bytes) {
    for (long b = 0; b < rows; ++b)
        std::memcpy(static_cast<char*>(to) + b * to_stride, static_cast<const char*>(from) + b * from_stride, bytes);
}

struct ForwardArguments {
    py::handle inputs, h0, c0;
    bool return_sequences, training;
    py::handle out, lengths, mask;
    bool zero_output, backwards;
    py::handle x_dropout, h_dropout, zoneout;
};

template <class T>
Run make_run(const std::shared_ptr<CellWeights>& weights, const ForwardArguments& a) {
    const CellWeights& w = *weights;
    if (a.training && !w.training)
        throw py::value_error("weights: were packed for inference; pack them with training=True");
    Run run;
    run.weights = weights, run.return_sequences = a.return_sequences, run.backwards = a.backwards;
    py::array x = checked<T>("inputs", a.inputs, {{"batch"}, {"steps"}, {"inputs", w.shape.inputs}});
    run.shape = w.shape;
    run.shape.batch = x.shape(0), run.shape.steps = x.shape(1);
    RecurrentShape& s = run.shape;
    if (s.steps == 0) wrong_shape("inputs", {{"batch"}, {"steps > 0"}, {"inputs", s.inputs}}, x);
    if (s.batch > (1l << 31) - 1 || s.steps > (1l << 31) - 1)
        throw py::value_error("inputs: expected fewer than 2**31 rows and steps");
    checked_product("inputs", {std::size_t(s.batch), std::size_t(s.steps), std::size_t(16 * s.units), sizeof(T)});
    const bool lstm = w.lstm;
    const char* width = w.options.projection ? "outputs" : "units";
    run.has_h0 = !a.h0.is_none() || !a.c0.is_none();
    run.h0 = state_or_zeros<T>(lstm ? "initial_state[0] (h)" : "initial_state", a.h0, s.batch, width, s.outputs);
    if (lstm) run.c0 = state_or_zeros<T>("initial_state[1] (c)", a.c0, s.batch, "units", s.units);
    run.x_dropout = dropout_factors<T>("dropout_mask", a.x_dropout, w, s.batch, "inputs", s.inputs);
    run.h_dropout = dropout_factors<T>("recurrent_dropout_mask", a.h_dropout, w, s.batch, width, s.outputs);
    if (!a.zoneout.is_none()) {
        run.zoneout.h = a.zoneout.attr("h").cast<double>(), run.zoneout.c = a.zoneout.attr("c").cast<double>();
        const py::object seed = a.zoneout.attr("seed");
        run.zoneout.random = !seed.is_none();
        if (run.zoneout.random) run.zoneout.seed = seed.cast<uint32_t>();
        if (!lstm) run.zoneout.c = 0;
        if ((run.zoneout.h > 0 || run.zoneout.c > 0) && w.cell != "rnn" && !w.staged)
            throw py::value_error("zoneout: the weights were packed without it; pack them with zoneout=True");
        if (a.training && !run.zoneout.random && (run.zoneout.h > 0 || run.zoneout.c > 0))
            throw py::value_error("zoneout: training needs a seed");
    }
    // Masks of zoneout belong to the steps of the arrays, so these must be known.
    run.plan = padding_plan(s, a.lengths, a.mask, a.zero_output, a.backwards, a.backwards && run.zoneout.random);
    run.x = features_contiguous<T>(x);
    return run;
}

// A pass: everything found and made under the GIL, run without it, its results handed over under it again.
class Call {
 public:
    int threads = 1;
    bool empty = false;  // nothing to compute
    bool brief = false;
    virtual ~Call() = default;
    virtual void set_threads(int n) = 0;  // before it runs: takes the working space
    virtual void run(const Team& team) const = 0;
    virtual py::tuple finish() = 0;
};

py::tuple run_call(Call& call) {
    if (!call.empty) {
        call.set_threads(call.threads);
        const WithoutGil release(!call.brief);
        parallel(
            call.threads, [](const void* context, const Team& team) { static_cast<const Call*>(context)->run(team); },
            &call);
    }
    return call.finish();
}

// Two passes that have nothing to do with each other. With threads enough each gets half of them: it then
// meets fewer others on its way.
py::tuple run_both(Call& first, Call& second) {
    const int both = std::min({first.threads, second.threads, max_threads() / 2});
    const bool side_by_side = !first.empty && !second.empty && first.threads + second.threads > 2 && both >= 1;
    if (!side_by_side) {
        const py::tuple result = run_call(first);
        return py::make_tuple(result, run_call(second));
    }
    struct Pair {
        const Call *first, *second;
        int half;
    } const pair{&first, &second, std::max(1, std::min(max_threads() / 2, std::max(first.threads, second.threads)))};
    first.set_threads(pair.half);
    second.set_threads(pair.half);
    {
        const WithoutGil release;
        parallel(
            2 * pair.half,
            [](const void* context, const Team& team) {
                const Pair& p = *static_cast<const Pair*>(context);
                if (team.size < 2 * p.half) {  // fewer threads than asked for
                    if (team.index > 0) return;
                    p.first->run(Team{0, 1, nullptr});
                    p.second->run(Team{0, 1, nullptr});
                } else if (team.index < p.half) {
                    p.first->run(team.part(0, p.half));
                } else {
                    p.second->run(team.part(p.half, p.half));
                }
            },
            &pair);
    }
    const py::tuple result = first.finish();
    return py::make_tuple(result, second.finish());
}

template <class T>
class ForwardCall : public Call {
    const bool training;
    Run call;
    const CellWeights* const weights;
    py::object outputs_, h_last_, c_last_;
    std::size_t saved_size = 0, c_size = 0, h_size = 0;
    Buffer<T> saved, workspace;
    ForwardProblem<T> p{};

 public:
    ForwardCall(const std::shared_ptr<CellWeights>& weights, const ForwardArguments& a)
        : training(a.training), call(make_run<T>(weights, a)), weights(weights.get()) {
        const RecurrentShape& s = call.shape;
        const bool lstm = weights->lstm;
        const char* width = weights->options.projection ? "outputs" : "units";
        if (!a.out.is_none()) {
            const py::array out =
                a.return_sequences
                    ? strided_output<T>("out", a.out, {{"batch", s.batch}, {"steps", s.steps}, {width, s.outputs}})
                    : strided_output<T>("out", a.out, {{"batch", s.batch}, {width, s.outputs}});
            must_not_overlap("out", out, "inputs", array_of(call.x));
            must_not_overlap("out", out, "initial_state", array_of(call.h0));
            if (lstm) must_not_overlap("out", out, "initial_state", array_of(call.c0));
            if (call.x_dropout) must_not_overlap("out", out, "dropout_mask", array_of(call.x_dropout));
            if (call.h_dropout) must_not_overlap("out", out, "recurrent_dropout_mask", array_of(call.h_dropout));
            outputs_ = out;
        } else if (a.return_sequences) {
            outputs_ = new_array<T>({s.batch, s.steps, s.outputs});
        } else {
            outputs_ = new_array<T>({s.batch, s.outputs});
        }
        // What rows without steps keep.
        const auto copy_of = [&](const py::object& state, long width) {
            py::array copy = new_array<T>({s.batch, width});
            std::memcpy(pointer<T>(copy), pointer<T>(state), s.batch * width * sizeof(T));
            return copy;
        };
        h_last_ = copy_of(call.h0, s.outputs);
        c_last_ = lstm ? py::object(copy_of(call.c0, s.units)) : py::none();

        // One block holds what training saves (gates and the like, c, and h where the outputs do not), or the pair
        // of rows of h.
        const std::size_t rows = call.rows(),
                          saved_width = weights->template kernels_of<T>().saved(s, weights->options);
        saved_size = training ? saved_width * rows : 0, c_size = training && lstm ? rows * s.units : 0;
        h_size = a.return_sequences ? 0 : training ? rows * s.outputs : 2 * s.batch * s.outputs;
        saved = Buffer<T>(saved_size + c_size + h_size);
        T* h_store = saved.get() + saved_size + c_size;
        empty = call.empty();
        if (empty) return;
        call.fill(p, T{});
        threads = p.threads, brief = threads == 1 && is_brief(*weights, p.shape);
        p.h = a.return_sequences ? call.outer<T>(outputs_)
              : training         ? call.kept(h_store, s.outputs)
                                 : Sequence<T>{h_store, s.outputs, s.batch * s.outputs, 1, nullptr, nullptr, nullptr};
        if (lstm && training)
            p.c = call.kept(saved.get() + saved_size, s.units);
        else if (lstm)
            p.c = {pointer<T>(c_last_), s.units, 0, -1, p.ragged.first, p.ragged.row, p.ragged.at_step};
        if (training) p.saved = call.kept(saved.get(), saved_width);
    }

    void set_threads(int n) override {
        p.threads = n;
        workspace = Buffer<T>(weights->template kernels_of<T>().forward_workspace(p));
        p.workspace = workspace.get();
    }

    void run(const Team& team) const override { weights->template kernels_of<T>().forward(p, team); }

    py::tuple finish() override {
        const RecurrentShape& s = call.shape;
        const bool lstm = weights->lstm;
        const std::size_t bytes = s.outputs * sizeof(T);
        const Plan* plan = call.plan.get();
        T *h_last = pointer<T>(h_last_), *c_last = lstm ? pointer<T>(c_last_) : nullptr;
        for (long b = 0; !empty && b < s.batch; ++b) {
            if (plan && plan->length[b] == 0) continue;
            const long row = plan ? plan->row[b] : b;
            std::memcpy(h_last + row * s.outputs, Run::last(p.h, plan, b, s.steps), bytes);
            if (lstm && training)
                std::memcpy(c_last + row * s.units, Run::last(p.c, plan, b, s.steps), s.units * sizeof(T));
        }
        const py::array outputs = array_of(outputs_);
        char* out = static_cast<char*>(static_cast<void*>(pointer<T>(outputs_)));
        if (!call.return_sequences) {
            copy_rows(out, outputs.strides(0), h_last, bytes, s.batch, bytes);
            for (long b = 0; plan && b < s.batch; ++b)
                if (plan->length[b] == 0) std::memset(out + plan->row[b] * outputs.strides(0), 0, bytes);
        } else if (plan) {
            for_each_padding(*plan, s, call.backwards, [&](long b, long t, long source) {
                char* row = out + b * outputs.strides(0);
                if (source < 0)
                    std::memset(row + t * outputs.strides(1), 0, bytes);
                else
                    std::memcpy(row + t * outputs.strides(1), row + source * outputs.strides(1), bytes);
            });
        }
        if (!training)
            return py::reinterpret_steal<py::tuple>(
                PyTuple_Pack(4, outputs_.ptr(), h_last_.ptr(), c_last_.ptr(), Py_None));

        auto cache = std::make_shared<Cache>();
        cache->run = std::move(call);
        if (cache->run.return_sequences) cache->outputs = outputs_;
        cache->saved_bytes = (saved_size + c_size + h_size) * sizeof(T);
        cache->saved = std::move(saved);
        cache->c_offset = saved_size, cache->h_offset = saved_size + c_size;
        return py::make_tuple(outputs_, h_last_, c_last_, cache);
    }
};

// The arguments of a forward pass in their order, from a tuple or from CPython; `cell`, the last, says whose
// weights they must be, or is None.
constexpr Py_ssize_t forward_argument_count = 15;

bool flag(const char* argument, py::handle value) {
    if (value.ptr() == Py_True) return true;
    if (value.ptr() == Py_False) return false;
    return py::module_::import("lstmcore._arguments").attr("flag")(argument, value).cast<bool>();
}

template <class F>
auto with_forward_arguments(PyObject* const* a, F f) {
    py::detail::make_caster<std::shared_ptr<CellWeights>> weights;
    if (!weights.load(a[0], false))
        throw py::type_error("weights: expected packed weights, got " + std::string(py::repr(a[0])));
    const std::shared_ptr<CellWeights>& w = py::detail::cast_op<std::shared_ptr<CellWeights>&>(weights);
    const py::handle cell = a[forward_argument_count - 1];
    if (!cell.is_none() && PyUnicode_CompareWithASCIIString(cell.ptr(), w->cell.c_str()))
        throw py::value_error("weights: expected weights packed for " + std::string(py::str(cell)) + ", got those of " +
                              w->cell);
    return f(
        w, ForwardArguments{a[1], a[2], a[3], flag("return_sequences", a[4]), flag("training", a[5]), a[6], a[7], a[8],
                            flag("zero_output_for_mask", a[9]), flag("go_backwards", a[10]), a[11], a[12], a[13]});
}

// Called by CPython's own convention: pybind11's, with so many arguments, is a tenth of a streaming step.
PyObject* forward(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    try {
        if (count != forward_argument_count)
            throw py::type_error("forward: expected " + std::to_string(forward_argument_count) + " arguments, got " +
                                 std::to_string(count));
        return with_forward_arguments(arguments, [](const std::shared_ptr<CellWeights>& w, const ForwardArguments& a) {
            if (std::holds_alternative<Packed<float>>(w->packed)) {
                ForwardCall<float> call(w, a);
                return run_call(call).release().ptr();
            }
            ForwardCall<double> call(w, a);
            return run_call(call).release().ptr();
        });
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

// The arguments of forward in a tuple, twice.
py::tuple forward_both(const py::tuple& first, const py::tuple& second) {
    const auto call_of = [](const py::tuple& tuple) {
        if (tuple.size() != forward_argument_count)
            throw py::type_error("forward_both: expected tuples of " + std::to_string(forward_argument_count));
        PyObject* arguments[forward_argument_count];
        for (Py_ssize_t k = 0; k < forward_argument_count; ++k) arguments[k] = tuple[k].ptr();
        return with_forward_arguments(
            arguments, [](const std::shared_ptr<CellWeights>& w, const ForwardArguments& a) -> std::unique_ptr<Call> {
                if (std::holds_alternative<Packed<float>>(w->packed)) return std::make_unique<ForwardCall<float>>(w, a);
                return std::make_unique<ForwardCall<double>>(w, a);
            });
    };
    const std::unique_ptr<Call> a = call_of(first), b = call_of(second);
    return run_both(*a, *b);
}

// d_outputs with the gradients of repeated outputs added to those of the outputs they repeat.
template <class T>
py::array fold_repeated(const Run& run, const py::array& d_outputs) {
    py::array folded = new_array<T>({run.shape.batch, run.shape.steps, run.shape.outputs});
    const RecurrentShape& s = run.shape;
    T* to = pointer<T>(folded);
    const Sequence<T> from = sequence<T>(d_outputs);
    for (long b = 0; b < s.batch; ++b)
        for (long t = 0; t < s.steps; ++t)
            std::memcpy(to + (b * s.steps + t) * s.outputs, from.data + b * from.batch_stride + t * from.step_stride,
                        s.outputs * sizeof(T));
    for_each_padding(*run.plan, s, run.backwards, [&](long b, long t, long source) {
        for (long k = 0; source >= 0 && k < s.outputs; ++k)
            to[(b * s.steps + source) * s.outputs + k] += to[(b * s.steps + t) * s.outputs + k];
    });
    return folded;
}

template <class T>
class BackwardCall : public Call {
    const Cache& cache;
    py::object d_inputs = py::none(), dh0_, dc0_ = py::none(), dy, dh_state, dh_last, dc_last;  // arrays, or absent
    py::list d_weights_result;
    Buffer<T> workspace;
    BackwardProblem<T> p{};

 public:
    BackwardCall(const Cache& cache, py::handle d_outputs, py::handle dh_last_, py::handle dc_last_, bool need_d_inputs,
                 const std::vector<py::object>& d_weights)
        : cache(cache) {
        const Run& run = cache.run;
        const CellWeights& w = *run.weights;
        const RecurrentShape& s = run.shape;
        const bool lstm = w.lstm;
        const Buffer<T>& saved = std::get<Buffer<T>>(cache.saved);
        const char* width = w.options.projection ? "outputs" : "units";
        const Dim batch{"batch", s.batch}, steps{"steps", s.steps}, outputs{width, s.outputs}, units{"units", s.units};

        if (!dh_last_.is_none())
            dh_last = dh_state = contiguous<T>(lstm ? "d_state[0] (h)" : "d_state", dh_last_, {batch, outputs});
        if (!dc_last_.is_none()) dc_last = contiguous<T>("d_state[1] (c)", dc_last_, {batch, units});
        if (!d_outputs.is_none()) {
            if (run.return_sequences) {
                py::array d = features_contiguous<T>(checked<T>("d_outputs", d_outputs, {batch, steps, outputs}));
                if (run.plan && run.plan->repeat) d = fold_repeated<T>(run, d);
                dy = d;
            } else {
                const py::array d = contiguous<T>("d_outputs", d_outputs, {batch, outputs});
                dh_last = dh_state ? contiguous<T>("d_outputs", dh_state + d, {batch, outputs}) : d;
            }
        }

        empty = run.empty();
        // Gradients are added to the arrays given, or to zeros; those of the large matrices are written as they come.
        Weights<T> gradients{};
        std::size_t index = 0;
        for (const WeightSpec& spec : weight_specs(w)) {
            py::object array;
            if (!d_weights.empty()) {
                const std::string argument = "d_weights[" + std::to_string(index) + "] (" + spec.name + ")";
                array = output<T>(argument.c_str(), d_weights.at(index), spec.dims);
            } else {
                std::vector<py::ssize_t> shape;
                for (const Dim& d : spec.dims) shape.push_back(d.size);
                array = new_array<T>(shape.data(), shape.size());
                if (index > 1 || empty) std::memset(pointer<T>(array), 0, array_of(array).nbytes());
            }
            *weight_pointer(gradients, spec.index) = pointer<T>(array);
            d_weights_result.append(array);
            ++index;
        }

        dh0_ = zeros<T>({s.batch, s.outputs});
        if (lstm) dc0_ = dc_last ? new_array<T>({s.batch, s.units}) : zeros<T>({s.batch, s.units});
        if (dc_last) std::memcpy(pointer<T>(dc0_), pointer<T>(dc_last), s.batch * s.units * sizeof(T));
        if (need_d_inputs) {
            d_inputs = run.plan ? zeros<T>({s.batch, s.steps, s.inputs}) : new_array<T>({s.batch, s.steps, s.inputs});
            p.dx = run.outer<T>(d_inputs);
        }
        if (empty) return;
        run.fill(p, T{});
        threads = p.threads;
        p.saved = read_only(run.kept(saved.get(), w.template kernels_of<T>().saved(s, w.options)));
        p.h = read_only(run.return_sequences ? run.outer<T>(cache.outputs)
                                             : run.kept(saved.get() + cache.h_offset, s.outputs));
        if (lstm) p.c = read_only(run.kept(saved.get() + cache.c_offset, s.units));
        if (dy) p.dh = read_only(run.outer<T>(dy));
        if (dh_last) p.dh_last = pointer<T>(dh_last);
        p.gradients = gradients, p.new_gradients = d_weights.empty();
        p.dh0 = pointer<T>(dh0_), p.dc0 = lstm ? pointer<T>(dc0_) : nullptr, p.need_dh0 = run.has_h0;
    }

    void set_threads(int n) override {
        p.threads = n;
        workspace = Buffer<T>(cache.run.weights->template kernels_of<T>().backward_workspace(p));
        p.workspace = workspace.get();
    }

    void run(const Team& team) const override { cache.run.weights->template kernels_of<T>().backward(p, team); }

    py::tuple finish() override {
        const Run& run = cache.run;
        const long outputs = run.shape.outputs;
        for (long b = 0; run.plan && dh_state && b < run.shape.batch; ++b)  // rows without steps pass the gradient on
            if (run.plan->length[b] == 0) {
                const long row = run.plan->row[b];
                std::memcpy(pointer<T>(dh0_) + row * outputs, pointer<T>(dh_state) + row * outputs,
                            outputs * sizeof(T));
            }
        if (!run.has_h0) return py::make_tuple(d_inputs, d_weights_result, py::none(), py::none());
        return py::make_tuple(d_inputs, d_weights_result, dh0_, dc0_);
    }
};

std::unique_ptr<Call> backward_call(const Cache& cache, py::handle d_outputs, py::handle dh_last, py::handle dc_last,
                                    bool need_d_inputs, const std::vector<py::object>& d_weights) {
    if (std::holds_alternative<Buffer<float>>(cache.saved))
        return std::make_unique<BackwardCall<float>>(cache, d_outputs, dh_last, dc_last, need_d_inputs, d_weights);
    return std::make_unique<BackwardCall<double>>(cache, d_outputs, dh_last, dc_last, need_d_inputs, d_weights);
}

py::tuple backward(const Cache& cache, py::handle d_outputs, py::handle dh_last, py::handle dc_last, bool need_d_inputs,
                   const std::vector<py::object>& d_weights) {
    const std::unique_ptr<Call> call = backward_call(cache, d_outputs, dh_last, dc_last, need_d_inputs, d_weights);
    return run_call(*call);
}

// The arguments of backward in a tuple, twice.
py::tuple backward_both(const py::tuple& first, const py::tuple& second) {
    const auto call_of = [](const py::tuple& a) {
        return backward_call(a[0].cast<const Cache&>(), a[1], a[2], a[3], a[4].cast<bool>(),
                             a[5].cast<std::vector<py::object>>());
    };
    const std::unique_ptr<Call> a = call_of(first), b = call_of(second);
    return run_both(*a, *b);
}

// --- streaming ------------------------------------------------------------------------------

// A recurrent layer that keeps its state between calls. All memory is taken when it is made.
class Stream {
    std::shared_ptr<CellWeights> weights;
    RecurrentShape shape;
    py::array outputs_, h_, c_;
    std::variant<Buffer<float>, Buffer<double>> workspace;
    Zoneout zoneout{};
    std::vector<int> threads;  // for each number of steps, 0: not known yet

    template <class T>
    ForwardProblem<T> problem() const {
        ForwardProblem<T> p{};
        p.shape = shape, p.options = weights->options, p.weights = std::get<Packed<T>>(weights->packed).weights;
        p.h0 = pointer<T>(h_), p.c0 = pointer<T>(c_);
        p.h = sequence<T>(outputs_);
        p.c = {pointer<T>(c_), shape.units, 0, -1, nullptr, nullptr, nullptr};
        p.zoneout = zoneout;
        return p;
    }

    template <class T>
    void make() {
        outputs_ = zeros<T>({shape.batch, shape.steps, shape.outputs});
        h_ = zeros<T>({shape.batch, shape.outputs}), c_ = zeros<T>({shape.batch, shape.units});
        ForwardProblem<T> p = problem<T>();
        std::size_t most = 0;
        for (long steps = 1; steps <= shape.steps; ++steps) {
            p.shape.steps = steps, p.threads = recurrent_threads(*weights, p.shape);
            threads.push_back(p.threads);
            most = std::max(most, weights->template kernels_of<T>().forward_workspace(p));
        }
        workspace = Buffer<T>(most);
    }

    template <class T>
    long run_typed(py::handle inputs) {
        const py::array x = features_contiguous<T>(
            checked<T>("inputs", inputs, {{"batch", shape.batch}, {"steps"}, {"inputs", shape.inputs}}));
        must_not_overlap("inputs", x, "what the stream returned; copy that first", outputs_);
        const long steps = x.shape(1);
        if (steps < 1 || steps > shape.steps)
            throw py::value_error("inputs: expected 1 to " + std::to_string(shape.steps) + " steps, got " +
                                  std::to_string(steps));
        ForwardProblem<T> p = problem<T>();
        p.x = sequence<const T>(x);
        p.shape.steps = steps, p.threads = std::min(threads[steps - 1], max_threads());
        p.workspace = std::get<Buffer<T>>(workspace).get();
        const WithoutGil release(p.threads > 1 || !is_brief(*weights, p.shape));
        const struct Context {
            const CellKernels<T>* kernels;
            const ForwardProblem<T>* problem;
        } context{&weights->template kernels_of<T>(), &p};
        parallel(
            p.threads,
            [](const void* pointer, const Team& team) {
                const Context& c = *static_cast<const Context*>(pointer);
                c.kernels->forward(*c.problem, team);
            },
            &context);
        for (long b = 0; b < shape.batch; ++b)
            std::memcpy(const_cast<T*>(p.h0) + b * shape.outputs,
                        p.h.data + b * p.h.batch_stride + (steps - 1) * p.h.step_stride, shape.outputs * sizeof(T));
        return steps;
    }

 public:
    Stream(const std::shared_ptr<CellWeights>& weights, long batch, long steps, py::handle zoneout_)
        : weights(not_none(weights)), shape(weights->shape) {
        shape.batch = batch, shape.steps = steps;
        checked_product("steps", {std::size_t(batch), std::size_t(steps), std::size_t(16 * shape.units)});
        if (!zoneout_.is_none())
            zoneout.h = zoneout_.attr("h").cast<double>(), zoneout.c = zoneout_.attr("c").cast<double>();
        if ((zoneout.h > 0 || zoneout.c > 0) && weights->cell != "rnn" && !weights->staged)
            throw py::value_error("zoneout: the weights were packed without it; pack them with zoneout=True");
        if (std::holds_alternative<Packed<float>>(weights->packed))
            make<float>();
        else
            make<double>();
    }
    long run(py::handle inputs) {
        return std::holds_alternative<Buffer<float>>(workspace) ? run_typed<float>(inputs) : run_typed<double>(inputs);
    }
    py::array outputs() const { return outputs_; }
    py::tuple state() const {
        if (weights->lstm) return py::make_tuple(h_, c_);
        return py::make_tuple(h_);
    }
};

// --- matrix multiplication, activations, optimizer ------------------------------------------

// The kernel wants one stride of 1: a row-major matrix or the transpose of one.
template <class T>
py::array matrix(const py::array& m, std::ptrdiff_t& row, std::ptrdiff_t& column) {
    const py::ssize_t size = sizeof(T);
    const auto unit = [&](int k) { return m.strides(k) == size || m.shape(k) == 1; };
    const bool whole = m.strides(0) % size == 0 && m.strides(1) % size == 0;
    const bool fits = whole && (unit(0) || unit(1)) && reinterpret_cast<std::uintptr_t>(m.data()) % size == 0;
    const py::array ready = fits ? m : c_contiguous<T>(m);
    const bool row_major = ready.strides(1) == size || ready.shape(1) == 1;
    row = row_major ? ready.strides(0) / size : 1;
    column = row_major ? 1 : ready.strides(1) / size;
    return ready;
}

// The right-hand side of products, packed once for many.
struct PackedMatrix {
    long depth = 0, columns = 0;
    std::variant<Buffer<float>, Buffer<double>> packed;

    explicit PackedMatrix(py::handle b_) {
        by_dtype("b", as_array("b", b_), [&](auto tag) {
            using T = decltype(tag);
            MatmulProblem<T> p{};
            const py::array b = matrix<T>(checked<T>("b", b_, {{"depth"}, {"columns"}}), p.b_row, p.b_column);
            p.depth = depth = b.shape(0), p.columns = columns = b.shape(1), p.b = pointer<T>(b);
            Buffer<T> buffer(kernels<T>().packed_b_size(depth, columns));
            kernels<T>().pack_b(p, buffer.get());
            packed = std::move(buffer);
        });
    }
};

py::array matmul(py::handle a_, py::handle b_, py::handle bias_, py::handle out, bool accumulate) {
    return by_dtype("a", as_array("a", a_), [&](auto tag) -> py::array {
        using T = decltype(tag);
        MatmulProblem<T> p{};
        const py::array a = matrix<T>(checked<T>("a", a_, {{"rows"}, {"depth"}}), p.a_row, p.a_column);
        const long rows = p.rows = a.shape(0), depth = p.depth = a.shape(1);
        p.a = pointer<T>(a), p.accumulate = accumulate;
        py::array b;
        if (py::isinstance<PackedMatrix>(b_)) {
            const PackedMatrix& packed = b_.cast<const PackedMatrix&>();
            const Buffer<T>* buffer = std::get_if<Buffer<T>>(&packed.packed);
            if (!buffer) throw py::type_error("b: was packed from another dtype than " + dtype_name(a));
            if (packed.depth != depth)
                throw py::value_error("a: expected " + std::to_string(packed.depth) + " columns, got " +
                                      std::to_string(depth));
            p.packed_b = buffer->get(), p.columns = packed.columns;
        } else {
            b = matrix<T>(checked<T>("b", b_, {{"depth", depth}, {"columns"}}), p.b_row, p.b_column);
            p.b = pointer<T>(b), p.columns = b.shape(1);
        }
        const long columns = p.columns;
        py::array bias;
        if (!bias_.is_none()) {
            bias = contiguous<T>("bias", bias_, {{"columns", columns}});
            p.bias = pointer<T>(bias);
        }
        if (accumulate && out.is_none()) throw py::value_error("out: accumulate=True needs an array to add to");
        py::array c = out.is_none() ? new_array<T>({rows, columns})
                                    : output<T>("out", out, {{"rows", rows}, {"columns", columns}});
        must_not_overlap("out", c, "a", a);
        if (!p.packed_b) must_not_overlap("out", c, "b", b);
        if (p.bias) must_not_overlap("out", c, "bias", bias);
        p.c = pointer<T>(c), p.c_row = columns;
        if (rows && columns) {
            p.threads = threads_for(double(rows) * double(columns) * double(depth), 3e5);
            const Buffer<T> workspace(kernels<T>().matmul_workspace(p));
            p.workspace = workspace.get();
            const WithoutGil release;
            kernels<T>().matmul(p);
        }
        return c;
    });
}

// Of every element, into a new array or into out, which may be x itself.
template <bool is_tanh>
py::array activation(py::handle x_, py::handle out) {
    return by_dtype("x", as_array("x", x_), [&](auto tag) -> py::array {
        using T = decltype(tag);
        const py::array x = c_contiguous<T>(as_array("x", x_));
        std::vector<Dim> dims;
        for (py::ssize_t k = 0; k < x.ndim(); ++k) dims.push_back({"size", x.shape(k)});
        py::array y = out.is_none() ? new_array<T>(x.shape(), x.ndim()) : output<T>("out", out, dims);
        if (x.data() != y.data()) must_not_overlap("out", y, "x", x);
        (is_tanh ? kernels<T>().tanh : kernels<T>().sigmoid)(pointer<T>(x), pointer<T>(y), x.size());
        return y;
    });
}

void add_rows(py::handle sums_, py::handle indices_, py::handle rows_) {
    by_dtype("sums", as_array("sums", sums_), [&](auto tag) {
        using T = decltype(tag);
        const py::array sums = output<T>("sums", sums_, {{"size"}, {"width"}});
        const py::array rows = contiguous<T>("rows", rows_, {{"rows"}, {"width", long(sums.shape(1))}});
        const py::array given = as_array("indices", indices_);
        if (given.dtype().kind() != 'i' && given.dtype().kind() != 'u')
            throw py::type_error("indices: expected integers, got " + dtype_name(given));
        if (given.ndim() != 1 || given.shape(0) != rows.shape(0))
            throw py::value_error("indices: expected shape (rows=" + std::to_string(rows.shape(0)) + ",), got " +
                                  shape_of(given));
        const py::array indices =
            c_contiguous<int64_t>(py::array_t<int64_t, py::array::c_style | py::array::forcecast>(given));
        const int64_t* index = pointer<int64_t>(indices);
        for (py::ssize_t r = 0; r < indices.shape(0); ++r)
            if (index[r] < 0 || index[r] >= sums.shape(0))
                throw py::value_error("indices: expected numbers from 0 to " + std::to_string(sums.shape(0) - 1) +
                                      ", got " + std::to_string(index[r]));
        must_not_overlap("sums", sums, "rows", rows);
        must_not_overlap("sums", sums, "indices", indices);
        const double work = double(rows.size());
        const AddRowsProblem<T> p{long(rows.shape(0)), long(rows.shape(1)), index,
                                  pointer<T>(rows),    pointer<T>(sums),    threads_for(work, 5e4)};
        const WithoutGil release;
        kernels<T>().add_rows(p);
    });
}

// --- optimizers -----------------------------------------------------------------------------

template <class T>
const OptimizerRule<T>& optimizer_rule(const std::string& name) {
    std::string known;
    for (const OptimizerRule<T>* rule = kernels<T>().optimizer_rules; rule->name; ++rule) {
        if (name == rule->name) return *rule;
        known += (known.empty() ? "" : ", ") + std::string(rule->name);
    }
    throw py::value_error("rule: expected one of " + known + ", got '" + name + "'");
}

void must_be_of_number(const char* argument, const std::string& rule, int expected, std::size_t got) {
    if (got != std::size_t(expected))
        throw py::value_error(std::string(argument) + ": " + rule + " takes " + std::to_string(expected) + ", got " +
                              std::to_string(got));
}

void optimizer_step(const std::string& rule_name, py::handle parameters_, py::handle gradients_,
                    const std::vector<py::object>& slots_, const std::vector<double>& numbers, double scale,
                    double limit, double decay) {
    by_dtype("parameters", as_array("parameters", parameters_), [&](auto tag) {
        using T = decltype(tag);
        const OptimizerRule<T>& rule = optimizer_rule<T>(rule_name);
        must_be_of_number("slots", rule_name, rule.slots, slots_.size());
        must_be_of_number("numbers", rule_name, rule.numbers, numbers.size());
        const py::array parameters = output<T>("parameters", parameters_, {{"size"}});
        const long n = parameters.shape(0);
        const py::array gradients = contiguous<T>("gradients", gradients_, {{"size", n}});
        must_not_overlap("parameters", parameters, "gradients", gradients);
        OptimizerProblem<T> p{};
        p.size = std::size_t(n), p.parameters = pointer<T>(parameters), p.gradients = pointer<T>(gradients);
        std::vector<py::array> slots;
        for (const py::object& object : slots_) {
            const py::array slot = output<T>("slots", object, {{"size", n}});
            must_not_overlap("slots", slot, "parameters", parameters);
            must_not_overlap("slots", slot, "gradients", gradients);
            for (const py::array& other : slots) must_not_overlap("slots", slot, "another of them", other);
            p.slots[slots.size()] = pointer<T>(slot);
            slots.push_back(slot);
        }
        std::copy(numbers.begin(), numbers.end(), p.numbers);
        p.scale = scale, p.limit = limit, p.decay = decay;
        p.threads = threads_for(double(n), 5e4);
        const WithoutGil release;
        rule.step(p);
    });
}

double sum_of_squares(py::handle x_) {
    const py::array x = as_array("x", x_);
    return by_dtype("x", x, [&](auto tag) {
        using T = decltype(tag);
        const py::array values = c_contiguous<T>(x);
        const WithoutGil release;
        return kernels<T>().sum_of_squares(pointer<T>(values), std::size_t(values.size()));
    });
}

// --- connectionist temporal classification --------------------------------------------------

// Integers of that shape as int64.
py::array_t<int64_t, py::array::c_style | py::array::forcecast> integers(const char* argument, py::handle object,
                                                                         const Dims& dims) {
    const py::array given = as_array(argument, object);
    const char kind = given.dtype().kind();
    if (kind != 'i' && kind != 'u' && given.size() != 0)
        throw py::type_error(std::string(argument) + ": expected integers, got " + dtype_name(given));
    bool right = given.ndim() == py::ssize_t(dims.size());
    for (std::size_t k = 0; right && k < dims.size(); ++k) right = dims[k].size < 0 || given.shape(k) == dims[k].size;
    if (!right) wrong_shape(argument, dims, given);
    return given;
}

// Lengths of rows, all of them `most` where none are given.
std::vector<int64_t> lengths_or_full(const char* argument, py::handle object, long batch, long most, const char* of) {
    if (object.is_none()) return std::vector<int64_t>(std::size_t(batch), most);
    const auto given = integers(argument, object, {{"batch", batch}});
    const std::vector<int64_t> lengths(given.data(), given.data() + batch);
    for (long b = 0; b < batch; ++b)
        if (lengths[b] < 0 || lengths[b] > most)
            throw py::value_error(std::string(argument) + ": expected numbers from 0 to " + std::to_string(most) +
                                  " (" + of + "), got " + std::to_string(lengths[b]) + " at " + std::to_string(b));
    return lengths;
}

void check_labels(const int64_t* labels, const std::vector<int64_t>& lengths, long width, long classes, long blank) {
    for (std::size_t b = 0; b < lengths.size(); ++b)
        for (long s = 0; s < lengths[b]; ++s) {
            const int64_t label = labels[b * width + s];
            const std::string where = " at (" + std::to_string(b) + ", " + std::to_string(s) + ")";
            if (label < 0 || label >= classes)
                throw py::value_error("labels: expected numbers from 0 to " + std::to_string(classes - 1) +
                                      " (classes), got " + std::to_string(label) + where);
            if (label == blank)
                throw py::value_error("labels: expected no blank (" + std::to_string(blank) + ") among them, got one" +
                                      where);
        }
}

// The loss of every row, and its gradient (times the row's scale) or None.
py::tuple ctc(py::handle inputs_, py::handle labels_, py::handle input_lengths_, py::handle label_lengths_, long blank,
              bool from_logits, bool zero_infinity, bool gradient, py::handle scale_) {
    return by_dtype("inputs", as_array("inputs", inputs_), [&](auto tag) -> py::tuple {
        using T = decltype(tag);
        const py::array inputs =
            features_contiguous<T>(checked<T>("inputs", inputs_, {{"batch"}, {"steps"}, {"classes"}}));
        CtcProblem<T> p{};
        const long batch = p.batch = inputs.shape(0), steps = p.steps = inputs.shape(1);
        const long classes = p.classes = inputs.shape(2);
        if (blank < 0 || blank >= classes)
            throw py::value_error("blank: expected a class from 0 to " + std::to_string(classes - 1) + ", got " +
                                  std::to_string(blank));
        const auto labels = integers("labels", labels_, {{"batch", batch}, {"max_labels"}});
        p.max_labels = labels.shape(1);
        const auto input_lengths = lengths_or_full("input_lengths", input_lengths_, batch, steps, "steps");
        const auto label_lengths = lengths_or_full("label_lengths", label_lengths_, batch, p.max_labels, "max_labels");
        check_labels(labels.data(), label_lengths, p.max_labels, classes, blank);
        p.x = pointer<T>(inputs);
        p.x_batch = inputs.strides(0) / py::ssize_t(sizeof(T)), p.x_step = inputs.strides(1) / py::ssize_t(sizeof(T));
        p.labels = labels.data(), p.input_lengths = input_lengths.data(), p.label_lengths = label_lengths.data();
        p.blank = blank, p.logits = from_logits, p.zero_infinity = zero_infinity;
        py::array scale;
        if (!scale_.is_none()) {
            scale = contiguous<T>("scale", scale_, {{"batch", batch}});
            p.scale = pointer<T>(scale);
        }
        const py::array losses = new_array<T>({batch});
        p.losses = pointer<T>(losses);
        py::object d_inputs = py::none();
        if (gradient) {
            py::array made = new_array<T>({batch, steps, classes});
            p.gradient = pointer<T>(made);
            d_inputs = made;
        }
        if (batch) {
            // Longer labels than any row has cost nothing.
            const long longest = long(*std::max_element(label_lengths.begin(), label_lengths.end()));
            const double work = double(batch) * double(steps) * double(classes + 4 * longest);
            p.threads = std::min(threads_for(work, 2e4), int(std::min(batch, 4096l)));
            const Buffer<double> workspace(
                checked_product("inputs", {kernels<T>().ctc_workspace(p), std::size_t(p.threads)}));
            p.workspace = workspace.get();
            const WithoutGil release;
            kernels<T>().ctc(p);
        }
        return py::make_tuple(losses, d_inputs);
    });
}

// --- what this build and machine are --------------------------------------------------------

py::dict config() {
    py::dict d;
#ifdef __clang__
    d["compiler"] = "clang " __clang_version__;
#else
    d["compiler"] = "gcc " __VERSION__;
#endif
    d["instruction_set"] = instruction_set().name;
    py::list available;
    for (const char* const* name = available_instruction_sets(); *name; ++name) available.append(*name);
    d["available_instruction_sets"] = available;
    d["vector_bytes"] = instruction_set().vector_bytes;
    d["threads"] = max_threads();
    d["threading"] = threading_runtime();
    return d;
}

void set_num_threads(long n) {
    if (n < 1 || n > 4096) throw py::value_error("num_threads: expected 1 to 4096, got " + std::to_string(n));
    set_max_threads(int(n));
}

double multiply_add_loop(long rounds, bool float64) {
    const WithoutGil release;
    double sink[64];
    return float64 ? instruction_set().f64.multiply_add_loop(rounds, sink)
                   : instruction_set().f32.multiply_add_loop(rounds, reinterpret_cast<float*>(sink));
}

void read_loop(const py::array_t<float, py::array::c_style>& data, long rounds) {
    const float* p = data.data();
    const std::size_t n = data.size();
    const WithoutGil release;
    float sink[64];
    for (long k = 0; k < rounds; ++k) instruction_set().f32.read_loop(p, n, sink);
}

}  // namespace
}  // namespace lstmcore

PYBIND11_MODULE(_core, m) {
    m.attr("__version__") = LSTMCORE_VERSION;
    using namespace lstmcore;
    instruction_set();  // a wrong LSTMCORE_ISA is an error of the import

    py::class_<CellWeights, std::shared_ptr<CellWeights>>(m, "PackedWeights")
        .def_readonly("cell", &CellWeights::cell)
        .def_property_readonly("inputs", [](const CellWeights& w) { return w.shape.inputs; })
        .def_property_readonly("units", [](const CellWeights& w) { return w.shape.units; })
        .def_property_readonly("outputs", [](const CellWeights& w) { return w.shape.outputs; })
        .def_readonly("has_bias", &CellWeights::has_bias)
        .def_property_readonly("weight_count", [](const CellWeights& w) { return weight_specs(w).size(); })
        .def_readonly("training", &CellWeights::training)
        .def_property_readonly("kernel", [](const CellWeights& w) { return w.staged ? "staged" : "fused"; })
        .def_property_readonly("dtype", [](const CellWeights& w) {
            return std::holds_alternative<Packed<float>>(w.packed) ? "float32" : "float64";
        });
    py::class_<Cache, std::shared_ptr<Cache>>(m, "Cache")
        .def_readonly("nbytes", &Cache::saved_bytes)
        .def_property_readonly("cell", [](const Cache& c) { return c.run.weights->cell; })
        .def_property_readonly("weight_count", [](const Cache& c) { return weight_specs(*c.run.weights).size(); });
    py::class_<Stream>(m, "Stream")
        .def(py::init<const std::shared_ptr<CellWeights>&, long, long, py::handle>())
        .def("run", &Stream::run)
        .def_property_readonly("outputs", &Stream::outputs)
        .def_property_readonly("state", &Stream::state);
    m.def("pack", pack);
    static PyMethodDef forward_definition = {
        "forward", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(forward)), METH_FASTCALL, nullptr};
    m.attr("forward") = py::reinterpret_steal<py::object>(PyCFunction_New(&forward_definition, nullptr));
    m.def("backward", backward);
    m.def("forward_both", forward_both);
    m.def("backward_both", backward_both);
    py::class_<PackedMatrix>(m, "PackedMatrix").def(py::init<py::handle>());
    m.def("matmul", matmul, py::arg("a"), py::arg("b"), py::arg("bias") = py::none(), py::arg("out") = py::none(),
          py::arg("accumulate") = false);
    m.def("add_rows", add_rows, py::arg("sums"), py::arg("indices"), py::arg("rows"));
    m.def("sigmoid", activation<false>, py::arg("x"), py::arg("out") = py::none());
    m.def("tanh", activation<true>, py::arg("x"), py::arg("out") = py::none());
    m.def("optimizer_step", optimizer_step, py::arg("rule"), py::arg("parameters"), py::arg("gradients"),
          py::arg("slots"), py::arg("numbers"), py::arg("scale") = 1.0,
          py::arg("limit") = std::numeric_limits<double>::infinity(), py::arg("decay") = 0.0);
    m.def("sum_of_squares", sum_of_squares, py::arg("x"));
    m.def("ctc", ctc, py::arg("inputs"), py::arg("labels"), py::arg("input_lengths"), py::arg("label_lengths"),
          py::arg("blank"), py::arg("from_logits"), py::arg("zero_infinity"), py::arg("gradient"),
          py::arg("scale") = py::none());
    m.def("config", config);
    m.def("get_num_threads", max_threads);
    m.def("set_num_threads", set_num_threads);
    m.def("cpu_quota", cpu_quota, py::arg("root") = "");
    m.def("multiply_add_loop", multiply_add_loop);
    m.def("read_loop", read_loop);
    register_decoders(m);
}
