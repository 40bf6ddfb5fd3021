// The only place that knows Python: checks arguments, finds or makes the memory, releases the GIL
// and calls the kernel table. No arithmetic here; past this door every shape is true.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <variant>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include "core.hpp"
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

[[noreturn]] void wrong_shape(const char* argument, const std::vector<Dim>& dims, const py::array& got) {
    std::vector<std::string> names;
    for (const Dim& d : dims) names.push_back(d.size < 0 ? d.name : std::string(d.name) + "=" + std::to_string(d.size));
    throw py::value_error(std::string(argument) + ": expected shape " + shape_text(names) + ", got " + shape_of(got));
}

py::array as_array(const char* argument, py::handle object) {
    py::array a = py::array::ensure(object);
    if (!a) {
        PyErr_Clear();
        throw py::type_error(std::string(argument) + ": expected an array, got " +
                             std::string(py::str(py::type::of(object).attr("__name__"))));
    }
    return a;
}

template <class T>
bool is_of(const py::array& a) {
    return py::isinstance<py::array_t<T>>(a);
}

std::string dtype_name(const py::array& a) { return std::string(py::str(a.dtype())); }

// An array of exactly T and of the expected shape; a clear error otherwise.
template <class T>
py::array checked(const char* argument, py::handle object, const std::vector<Dim>& dims) {
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
py::array contiguous(const char* argument, py::handle object, const std::vector<Dim>& dims) {
    return c_contiguous<T>(checked<T>(argument, object, dims));
}

// An array that the core writes into: of exactly T and the shape, C-contiguous and writeable.
template <class T>
py::array output(const char* argument, py::handle object, const std::vector<Dim>& dims) {
    if (!py::isinstance<py::array>(object))
        throw py::type_error(std::string(argument) + ": expected an array to write into, got " +
                             std::string(py::str(py::type::of(object).attr("__name__"))));
    py::array a = checked<T>(argument, object, dims);
    if (!a.writeable())
        throw py::value_error(std::string(argument) + ": expected a writeable array, got a read-only one");
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

template <class T>
T* pointer(const py::array& a) {
    return const_cast<T*>(static_cast<const T*>(a.data()));
}

template <class T>
py::array_t<T> zeros(const std::vector<py::ssize_t>& shape) {
    py::array_t<T> a(shape);
    std::memset(a.mutable_data(), 0, a.nbytes());
    return a;
}

template <class T>
Sequence<T> sequence(const py::array& a) {  // (batch, steps, features), features contiguous
    using Element = std::remove_const_t<T>;
    const py::ssize_t size = sizeof(Element);
    return {pointer<Element>(a), a.strides(0) / size, a.strides(1) / size, -1};
}

template <class T>
Sequence<const T> read_only(const Sequence<T>& s) {
    return {s.data, s.batch_stride, s.step_stride, s.step_mask};
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

// Threads for one pass over a recurrent layer: as many as its work repays, in multiply-adds, where
// they share rows and meet once; where they share units they also meet at every step. Fewer than
// four rows cost as much as four, for reading the weights then takes longer than using them.
int recurrent_threads(const RecurrentShape& s, long gates) {
    constexpr double of_call = 3e5, of_step = 1e5;
    const double step = double(std::max(4l, s.batch)) * gates * s.units * (s.units + s.inputs);
    const int threads = threads_for(step * double(s.steps), of_call);
    if (s.batch >= 4l * threads) return threads;
    return std::max(int(s.batch / 4), std::min(threads, threads_for(step, of_step)));
}

// --- LSTM -----------------------------------------------------------------------------------

template <class T>
struct LstmPacked {
    Buffer<T> memory;
    PackedWeights<T> weights{};
};

// Weights packed for the kernels; immutable, so that any number of threads may use it at once.
struct LstmWeights {
    long inputs = 0, units = 0;
    bool has_bias = false, training = false;
    std::variant<LstmPacked<float>, LstmPacked<double>> packed;
};

std::shared_ptr<LstmWeights> lstm_pack(py::handle kernel_, py::handle recurrent_, py::handle bias_, bool training) {
    return by_dtype("kernel", as_array("kernel", kernel_), [&](auto tag) {
        using T = decltype(tag);
        py::array kernel = contiguous<T>("kernel", kernel_, {{"inputs"}, {"4*units"}});
        const long inputs = kernel.shape(0), units = kernel.shape(1) / 4;
        if (inputs == 0 || units == 0 || kernel.shape(1) % 4)
            wrong_shape("kernel", {{"inputs > 0"}, {"4*units > 0"}}, kernel);
        py::array recurrent = contiguous<T>("recurrent_kernel", recurrent_, {{"units", units}, {"4*units", 4 * units}});
        py::array bias;
        if (!bias_.is_none()) bias = contiguous<T>("bias", bias_, {{"4*units", 4 * units}});

        auto result = std::make_shared<LstmWeights>();
        result->inputs = inputs, result->units = units;
        result->has_bias = !bias_.is_none(), result->training = training;
        const PackedSizes sizes = kernels<T>().lstm_packed_sizes(inputs, units);
        LstmPacked<T> packed;
        const std::size_t forward = sizes.kernel + sizes.recurrent + sizes.bias;
        packed.memory = Buffer<T>(forward + (training ? sizes.kernel_transposed + sizes.recurrent_transposed : 0));
        T* p = packed.memory.get();
        packed.weights = {p, p + sizes.kernel, p + sizes.kernel + sizes.recurrent, nullptr, nullptr};
        if (training) {
            packed.weights.kernel_transposed = p + forward;
            packed.weights.recurrent_transposed = p + forward + sizes.kernel_transposed;
        }
        PackProblem<T> problem{inputs,
                               units,
                               pointer<T>(kernel),
                               pointer<T>(recurrent),
                               bias_.is_none() ? nullptr : pointer<T>(bias),
                               packed.weights,
                               threads_for(4.0 * units * (inputs + units), 2e5)};
        {
            py::gil_scoped_release release;
            kernels<T>().lstm_pack(problem);
        }
        result->packed = std::move(packed);
        return result;
    });
}

// What backward needs of a forward pass.
struct LstmCache {
    std::shared_ptr<LstmWeights> weights;
    RecurrentShape shape{};
    bool return_sequences = false, has_state = false;
    py::array x, outputs, h0, c0;  // outputs: the h of every step, where they are returned
    std::variant<Buffer<float>, Buffer<double>> saved;
    std::size_t saved_bytes = 0;
    std::size_t c_offset = 0, h_offset = 0;
};

template <class T>
py::array state_or_zeros(const char* argument, py::handle state, long batch, long units) {
    if (state.is_none()) return zeros<T>({batch, units});
    return contiguous<T>(argument, state, {{"batch", batch}, {"units", units}});
}

template <class T>
py::tuple lstm_typed(const std::shared_ptr<LstmWeights>& weights, py::handle inputs, py::handle h0_, py::handle c0_,
                     bool return_sequences, bool training, py::handle out) {
    const LstmPacked<T>& packed = std::get<LstmPacked<T>>(weights->packed);
    const long units = weights->units;
    py::array x = checked<T>("inputs", inputs, {{"batch"}, {"steps"}, {"inputs", weights->inputs}});
    const RecurrentShape shape{long(x.shape(0)), long(x.shape(1)), weights->inputs, units};
    if (shape.steps == 0) wrong_shape("inputs", {{"batch"}, {"steps > 0"}, {"inputs", shape.inputs}}, x);
    const std::size_t batch = shape.batch, steps = shape.steps;
    checked_product("inputs", {batch, steps, std::size_t(4 * units), sizeof(T)});
    if (training && !weights->training)
        throw py::value_error("weights: were packed for inference; pack them with training=True");

    py::array h0 = state_or_zeros<T>("initial_state[0] (h)", h0_, shape.batch, units);
    py::array c0 = state_or_zeros<T>("initial_state[1] (c)", c0_, shape.batch, units);
    py::array outputs;
    if (!out.is_none()) {
        outputs = return_sequences
                      ? output<T>("out", out, {{"batch", shape.batch}, {"steps", shape.steps}, {"units", units}})
                      : output<T>("out", out, {{"batch", shape.batch}, {"units", units}});
        must_not_overlap("out", outputs, "inputs", x);
        must_not_overlap("out", outputs, "initial_state", h0);
        must_not_overlap("out", outputs, "initial_state", c0);
    } else {
        outputs =
            return_sequences ? py::array_t<T>({shape.batch, shape.steps, units}) : py::array_t<T>({shape.batch, units});
    }
    x = features_contiguous<T>(x);
    py::array_t<T> h_last({shape.batch, units}), c_last({shape.batch, units});

    // One block holds what training saves (gates, c, and h where the outputs do not), or the pair of rows of h.
    const std::size_t row = batch * units;
    const std::size_t gates_size = training ? 4 * row * steps : 0, c_size = training ? row * steps : 0;
    const std::size_t h_size = return_sequences ? 0 : training ? row * steps : 2 * row;
    Buffer<T> saved(gates_size + c_size + h_size);
    T* h_store = saved.get() + gates_size + c_size;

    ForwardProblem<T> p{};
    p.shape = shape, p.weights = packed.weights, p.x = read_only(sequence<T>(x));
    p.h0 = pointer<T>(h0), p.c0 = pointer<T>(c0);
    p.h = return_sequences ? sequence<T>(outputs) : Sequence<T>{h_store, units, long(row), training ? -1 : 1};
    p.c = training ? Sequence<T>{saved.get() + gates_size, units, long(row), -1}
                   : Sequence<T>{pointer<T>(c_last), units, 0, -1};
    p.gates = training ? saved.get() : nullptr;
    if (batch) {
        p.threads = recurrent_threads(shape, 4);
        const Buffer<T> workspace(kernels<T>().lstm_forward_workspace(shape, p.threads));
        p.workspace = workspace.get();
        py::gil_scoped_release release;
        kernels<T>().lstm_forward(p);
        const auto copy_last = [&](const Sequence<T>& from, T* to) {
            const T* last = from.data + ((shape.steps - 1) & from.step_mask) * from.step_stride;
            for (long b = 0; b < shape.batch; ++b)
                std::memcpy(to + b * units, last + b * from.batch_stride, units * sizeof(T));
        };
        copy_last(p.h, pointer<T>(h_last));
        if (!return_sequences) copy_last(p.h, pointer<T>(outputs));
        if (training) copy_last(p.c, pointer<T>(c_last));
    }
    if (!training) return py::make_tuple(outputs, h_last, c_last);

    auto cache = std::make_shared<LstmCache>();
    cache->weights = weights, cache->shape = shape, cache->return_sequences = return_sequences;
    cache->has_state = !h0_.is_none() || !c0_.is_none();
    cache->x = x, cache->h0 = h0, cache->c0 = c0;
    if (return_sequences) cache->outputs = outputs;
    cache->saved_bytes = (gates_size + c_size + h_size) * sizeof(T);
    cache->saved = std::move(saved);
    cache->c_offset = gates_size, cache->h_offset = gates_size + c_size;
    return py::make_tuple(outputs, h_last, c_last, cache);
}

py::tuple lstm(const std::shared_ptr<LstmWeights>& weights, py::handle inputs, py::handle h0, py::handle c0,
               bool return_sequences, bool training, py::handle out) {
    if (std::holds_alternative<LstmPacked<float>>(weights->packed))
        return lstm_typed<float>(weights, inputs, h0, c0, return_sequences, training, out);
    return lstm_typed<double>(weights, inputs, h0, c0, return_sequences, training, out);
}

template <class T>
py::tuple lstm_backward_typed(const LstmCache& cache, py::handle d_outputs, py::handle dh_last_, py::handle dc_last_,
                              bool need_d_inputs, py::handle dkernel_, py::handle drecurrent_, py::handle dbias_) {
    const RecurrentShape& s = cache.shape;
    const Buffer<T>& saved = std::get<Buffer<T>>(cache.saved);
    const long row = s.batch * s.units;
    BackwardProblem<T> p{};
    p.shape = s, p.weights = std::get<LstmPacked<T>>(cache.weights->packed).weights;
    p.x = sequence<const T>(cache.x), p.gates = saved.get();
    p.h = cache.return_sequences ? sequence<const T>(cache.outputs)
                                 : Sequence<const T>{saved.get() + cache.h_offset, s.units, row, -1};
    p.c = {saved.get() + cache.c_offset, s.units, row, -1};
    p.h0 = pointer<T>(cache.h0), p.c0 = pointer<T>(cache.c0);

    const Dim batch{"batch", s.batch}, steps{"steps", s.steps}, units{"units", s.units}, gates{"4*units", 4 * s.units};
    py::array dy, dh_last, dc_last;
    if (!d_outputs.is_none()) {
        if (cache.return_sequences) {
            dy = features_contiguous<T>(checked<T>("d_outputs", d_outputs, {batch, steps, units}));
            p.dh = sequence<const T>(dy);
        } else {
            dh_last = contiguous<T>("d_outputs", d_outputs, {batch, units});
        }
    }
    if (!dh_last_.is_none()) {
        py::array dh = contiguous<T>("d_state[0] (h)", dh_last_, {batch, units});
        dh_last = dh_last.size() ? py::array(dh_last + dh) : dh;
    }
    if (dh_last.size()) p.dh_last = pointer<T>(dh_last);

    // Gradients are added to the arrays given, or to zeros.
    const auto gradient = [](const char* argument, py::handle given, const std::vector<Dim>& dims) -> py::array {
        if (!given.is_none()) return output<T>(argument, given, dims);
        std::vector<py::ssize_t> shape;
        for (const Dim& d : dims) shape.push_back(d.size);
        return zeros<T>(shape);
    };
    py::array dkernel = gradient("d_weights[0] (kernel)", dkernel_, {{"inputs", s.inputs}, gates});
    py::array drecurrent = gradient("d_weights[1] (recurrent_kernel)", drecurrent_, {units, gates});
    py::object dbias = py::none();
    if (cache.weights->has_bias) {
        dbias = gradient("d_weights[2] (bias)", dbias_, {gates});
        p.dbias = pointer<T>(py::array(dbias));
    }
    p.dkernel = pointer<T>(dkernel), p.drecurrent = pointer<T>(drecurrent);

    py::object d_inputs = py::none(), dh0 = py::none();
    if (need_d_inputs) {
        py::array_t<T> array({s.batch, s.steps, s.inputs});
        p.dx = sequence<T>(array);
        d_inputs = array;
    }
    if (cache.has_state) {
        py::array_t<T> array({s.batch, s.units});
        p.dh0 = pointer<T>(array);
        dh0 = array;
    }
    py::array_t<T> dc0 = zeros<T>({s.batch, s.units});
    if (!dc_last_.is_none()) {
        dc_last = contiguous<T>("d_state[1] (c)", dc_last_, {batch, units});
        std::memcpy(dc0.mutable_data(), dc_last.data(), dc0.nbytes());
    }
    p.dc = dc0.mutable_data();
    if (s.batch) {
        p.threads = recurrent_threads(s, 4);
        const Buffer<T> workspace(kernels<T>().lstm_backward_workspace(s, p.threads));
        p.workspace = workspace.get();
        py::gil_scoped_release release;
        kernels<T>().lstm_backward(p);
    }
    return py::make_tuple(d_inputs, dkernel, drecurrent, dbias, dh0, cache.has_state ? py::object(dc0) : py::none());
}

py::tuple lstm_backward(const LstmCache& cache, py::handle d_outputs, py::handle dh_last, py::handle dc_last,
                        bool need_d_inputs, py::handle dkernel, py::handle drecurrent, py::handle dbias) {
    if (std::holds_alternative<Buffer<float>>(cache.saved))
        return lstm_backward_typed<float>(cache, d_outputs, dh_last, dc_last, need_d_inputs, dkernel, drecurrent,
                                          dbias);
    return lstm_backward_typed<double>(cache, d_outputs, dh_last, dc_last, need_d_inputs, dkernel, drecurrent, dbias);
}

// --- matrix multiplication, activations, optimizer ------------------------------------------

py::array matmul(py::handle a_, py::handle b_, py::handle bias_, py::handle out, bool accumulate) {
    return by_dtype("a", as_array("a", a_), [&](auto tag) -> py::array {
        using T = decltype(tag);
        const py::ssize_t size = sizeof(T);
        py::array a = checked<T>("a", a_, {{"rows"}, {"depth"}});
        const long rows = a.shape(0), depth = a.shape(1);
        py::array b = checked<T>("b", b_, {{"depth", depth}, {"columns"}});
        const long columns = b.shape(1);
        // The kernel wants one stride of 1: a row-major matrix or the transpose of one.
        const auto ready = [&](const py::array& m) {
            const auto unit = [&](int k) { return m.strides(k) == size || m.shape(k) == 1; };
            const bool whole = m.strides(0) % size == 0 && m.strides(1) % size == 0;
            if (whole && (unit(0) || unit(1)) && reinterpret_cast<std::uintptr_t>(m.data()) % size == 0) return m;
            return c_contiguous<T>(m);
        };
        MatmulProblem<T> p{};
        p.rows = rows, p.depth = depth, p.columns = columns, p.accumulate = accumulate;
        a = ready(a), b = ready(b);
        const auto strides = [&](const py::array& m, std::ptrdiff_t& row, std::ptrdiff_t& column) {
            const bool row_major = m.strides(1) == size || m.shape(1) == 1;
            row = row_major ? m.strides(0) / size : 1;
            column = row_major ? 1 : m.strides(1) / size;
        };
        strides(a, p.a_row, p.a_column);
        strides(b, p.b_row, p.b_column);
        p.a = pointer<T>(a), p.b = pointer<T>(b);
        py::array bias;
        if (!bias_.is_none()) {
            bias = contiguous<T>("bias", bias_, {{"columns", columns}});
            p.bias = pointer<T>(bias);
        }
        if (accumulate && out.is_none()) throw py::value_error("out: accumulate=True needs an array to add to");
        py::array c = out.is_none() ? py::array(py::array_t<T>({rows, columns}))
                                    : output<T>("out", out, {{"rows", rows}, {"columns", columns}});
        must_not_overlap("out", c, "a", a);
        must_not_overlap("out", c, "b", b);
        p.c = pointer<T>(c), p.c_row = columns;
        if (rows && columns) {
            p.threads = threads_for(double(rows) * double(columns) * double(depth), 3e5);
            const Buffer<T> workspace(kernels<T>().matmul_workspace(p));
            p.workspace = workspace.get();
            py::gil_scoped_release release;
            kernels<T>().matmul(p);
        }
        return c;
    });
}

template <bool is_tanh>
py::array activation(py::handle x_) {
    return by_dtype("x", as_array("x", x_), [&](auto tag) -> py::array {
        using T = decltype(tag);
        const py::array x = c_contiguous<T>(as_array("x", x_));
        py::array_t<T> y(std::vector<py::ssize_t>(x.shape(), x.shape() + x.ndim()));
        (is_tanh ? kernels<T>().tanh : kernels<T>().sigmoid)(pointer<T>(x), y.mutable_data(), x.size());
        return y;
    });
}

void adam(py::handle parameters_, py::handle gradients_, py::handle m_, py::handle v_, double alpha, double beta_1,
          double beta_2, double epsilon) {
    by_dtype("parameters", as_array("parameters", parameters_), [&](auto tag) {
        using T = decltype(tag);
        py::array parameters = output<T>("parameters", parameters_, {{"size"}});
        const long n = parameters.shape(0);
        py::array gradients = contiguous<T>("gradients", gradients_, {{"size", n}});
        py::array m = output<T>("m", m_, {{"size", n}}), v = output<T>("v", v_, {{"size", n}});
        AdamProblem<T> p{std::size_t(n),
                         pointer<T>(parameters),
                         pointer<T>(m),
                         pointer<T>(v),
                         pointer<T>(gradients),
                         T(alpha),
                         T(beta_1),
                         T(beta_2),
                         T(epsilon),
                         threads_for(double(n), 5e4)};
        py::gil_scoped_release release;
        kernels<T>().adam(p);
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
    py::gil_scoped_release release;
    double sink[64];
    return float64 ? instruction_set().f64.multiply_add_loop(rounds, sink)
                   : instruction_set().f32.multiply_add_loop(rounds, reinterpret_cast<float*>(sink));
}

void read_loop(const py::array_t<float, py::array::c_style>& data, long rounds) {
    const float* p = data.data();
    const std::size_t n = data.size();
    py::gil_scoped_release release;
    float sink[64];
    for (long k = 0; k < rounds; ++k) instruction_set().f32.read_loop(p, n, sink);
}

}  // namespace
}  // namespace lstmcore

PYBIND11_MODULE(_core, m) {
    m.attr("__version__") = LSTMCORE_VERSION;
    using namespace lstmcore;
    instruction_set();  // a wrong LSTMCORE_ISA is an error of the import

    py::class_<LstmWeights, std::shared_ptr<LstmWeights>>(m, "LSTMWeights")
        .def_readonly("inputs", &LstmWeights::inputs)
        .def_readonly("units", &LstmWeights::units)
        .def_readonly("has_bias", &LstmWeights::has_bias)
        .def_readonly("training", &LstmWeights::training)
        .def_property_readonly("dtype", [](const LstmWeights& w) {
            return std::holds_alternative<LstmPacked<float>>(w.packed) ? "float32" : "float64";
        });
    py::class_<LstmCache, std::shared_ptr<LstmCache>>(m, "LSTMCache")
        .def_readonly("nbytes", &LstmCache::saved_bytes)
        .def_property_readonly("has_bias", [](const LstmCache& c) { return c.weights->has_bias; });
    m.def("lstm_pack", lstm_pack);
    m.def("lstm", lstm);
    m.def("lstm_backward", lstm_backward);
    m.def("matmul", matmul, py::arg("a"), py::arg("b"), py::arg("bias") = py::none(), py::arg("out") = py::none(),
          py::arg("accumulate") = false);
    m.def("sigmoid", activation<false>);
    m.def("tanh", activation<true>);
    m.def("adam", adam);
    m.def("config", config);
    m.def("get_num_threads", max_threads);
    m.def("set_num_threads", set_num_threads);
    m.def("multiply_add_loop", multiply_add_loop);
    m.def("read_loop", read_loop);
}
