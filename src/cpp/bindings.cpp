// The only place, with bindings_decode.cpp, that knows Python: checks arguments, finds or makes the memory, releases
// the GIL and calls the kernel table. No arithmetic here; past this door every shape is true.
#include <pybind11/stl.h>

#include <algorithm>
#include <atomic>
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

#include "arrays.hpp"
#include "bindings_decode.hpp"
#include "core.hpp"
#include "cpu_quota.hpp"
#include "gil.hpp"
#include "threads.hpp"

namespace lstmcore {
namespace {

// --- memory ---------------------------------------------------------------------------------

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

    Pool() { blocks.reserve(limit / smallest + 1); }  // destructors give

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

// --- what the kernels are given ---------------------------------------------------------------

template <class T>
Sequence<T> sequence(const View& a) {  // (batch, steps, features), features contiguous
    const py::ssize_t size = sizeof(T);
    return {pointer<T>(a), a.strides[0] / size, a.strides[1] / size, -1, nullptr, nullptr, nullptr};
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

// What the caller's options say, and what follows from it for the number of gates: that is worked out here, and nothing
// that Python says about it is believed.
CellOptions read_options(py::handle from, const std::string& cell, long& gates, bool& plain) {
    const auto flag = [&](const char* name) { return lstmcore::flag(name, from.attr(name)); };
    const auto activation = [&](const char* name) {
        static const char* const names[] = {"tanh", "sigmoid", "hard_sigmoid", "relu", "linear", "softsign"};
        const std::string given = string(name, from.attr(name));
        for (int k = 0; k < 6; ++k)
            if (given == names[k]) return Activation(k);
        throw py::value_error(std::string(name) + ": unknown activation " + given);
    };
    CellOptions o{};
    o.input_gate = o.forget_gate = o.output_gate = o.input_activation = o.output_activation = true;
    o.activation = activation("activation");
    if (cell == "rnn") {
        gates = 1, plain = true;
        return o;
    }
    o.recurrent_activation = activation("recurrent_activation");
    o.layer_norm = flag("layer_norm");
    plain = o.activation == Activation::tanh && o.recurrent_activation == Activation::sigmoid && !o.layer_norm;
    if (cell == "gru") {
        gates = 3;
        o.reset_after = flag("reset_after");
        if (o.layer_norm && !o.reset_after) throw py::value_error("layer_norm: needs reset_after=True");
        plain = plain && o.reset_after;
        return o;
    }
    o.peepholes = flag("peepholes"), o.coupled = flag("coupled"), o.projection = flag("projection");
    o.input_gate = flag("input_gate"), o.forget_gate = flag("forget_gate"), o.output_gate = flag("output_gate");
    o.input_activation = flag("input_activation"), o.output_activation = flag("output_activation");
    if (o.coupled && !(o.input_gate && o.forget_gate))
        throw py::value_error("coupled: needs input_gate=True and forget_gate=True");
    gates = 1 + o.input_gate + (o.forget_gate && !o.coupled) + o.output_gate;
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

const char* output_name(const CellWeights& w) { return w.options.projection ? "outputs" : "units"; }

std::vector<WeightSpec> weight_specs(const CellWeights& w) {
    const RecurrentShape& s = w.shape;
    static const char* const columns_names[] = {"", "units", "2*units", "3*units", "4*units"};
    const Dim columns{columns_names[w.gates], w.gates * s.units};
    std::vector<WeightSpec> specs = {{"kernel", {{"inputs", s.inputs}, columns}, 0},
                                     {"recurrent_kernel", {{output_name(w), s.outputs}, columns}, 1}};
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

std::shared_ptr<CellWeights> pack(py::handle options, const std::vector<py::object>& given, py::handle training,
                                  py::handle zoneout) {
    auto w = std::make_shared<CellWeights>();
    w->cell = string("cell", options.attr("cell"));
    if (w->cell != "rnn" && w->cell != "gru" && w->cell != "lstm")
        throw py::value_error("cell: expected 'rnn', 'gru' or 'lstm', got " + text_of(options.attr("cell")));
    w->lstm = w->cell == "lstm";
    bool plain = true;
    w->options = read_options(options, w->cell, w->gates, plain);
    w->training = flag("training", training);
    w->staged = flag("zoneout", zoneout) && w->cell != "rnn";
    w->staged = w->staged || !plain;
    if (given.size() < 2)
        throw py::value_error("weights: expected two arrays or more, got " + std::to_string(given.size()));
    std::vector<py::array> arrays;
    for (std::size_t k = 0; k < given.size(); ++k)
        arrays.push_back(as_array(("weights[" + std::to_string(k) + "]").c_str(), given[k]));
    return by_dtype("kernel", arrays[0], [&](auto tag) {
        using T = decltype(tag);

        const std::string columns = (w->gates > 1 ? std::to_string(w->gates) + "*" : "") + "units > 0";
        const std::vector<Dim> kernel_dims = {{"inputs > 0"}, {columns.c_str()}};
        const View kernel = checked<T>("kernel", arrays[0], kernel_dims);
        w->shape.inputs = kernel.shape[0], w->shape.units = kernel.shape[1] / w->gates;
        if (w->shape.inputs == 0 || w->shape.units == 0 || kernel.shape[1] % w->gates)
            wrong_shape("kernel", kernel_dims, kernel.shape, kernel.dimensions);
        w->shape.outputs = w->shape.units;
        if (w->options.projection) {
            const View recurrent = checked<T>("recurrent_kernel", arrays[1], {{"outputs"}, {"gates*units"}});
            w->shape.outputs = recurrent.shape[0];
            if (w->shape.outputs == 0 || w->shape.outputs > w->shape.units)
                throw py::value_error("recurrent_kernel: expected 1 to units=" + std::to_string(w->shape.units) +
                                      " rows, the outputs of the projection, got shape " +
                                      numbers_text(recurrent.shape, recurrent.dimensions));
        }
        const std::size_t without_bias = weight_specs(*w).size();
        w->has_bias = arrays.size() == without_bias + 1;
        const std::vector<WeightSpec> specs = weight_specs(*w);
        if (arrays.size() != specs.size())
            throw py::value_error("weights: expected " + std::to_string(without_bias) + " arrays or, with a bias, " +
                                  std::to_string(without_bias + 1) + ", got " + std::to_string(arrays.size()));
        PackProblem<T> problem{};
        std::vector<View> held;
        for (std::size_t k = 0; k < specs.size(); ++k) {
            held.push_back(contiguous<T>(specs[k].name, arrays[k], specs[k].dims));
            *weight_pointer(problem.weights, specs[k].index) = pointer<T>(held.back());
        }
        const CellKernels<T>& cell = w->template kernels_of<T>();
        const std::vector<std::size_t> sizes = parts_of(cell.packed_sizes(w->shape, w->options));
        const auto rounded = [](std::size_t n) { return (n + 15) / 16 * 16; };
        std::size_t total = 0;
        for (std::size_t k = 0; k < (w->training ? sizes.size() : parts_for_inference); ++k) total += rounded(sizes[k]);
        Packed<T> packed;
        packed.memory = Buffer<T>(total);
        T* next = packed.memory.get();
        const std::vector<T**> parts = parts_of(packed.weights);
        for (std::size_t k = 0; k < (w->training ? sizes.size() : parts_for_inference); ++k)
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
std::shared_ptr<Plan> padding_plan(const RecurrentShape& s, const py::object& lengths, const py::object& mask,
                                   bool zero_output, bool backwards, bool always) {
    const long batch = s.batch, steps = s.steps;
    if (!lengths && !mask && !always) return nullptr;
    if (lengths && mask) throw py::value_error("mask: give lengths or a mask, not both");
    checked_product("inputs", {std::size_t(batch), std::size_t(steps)});
    std::vector<unsigned char> valid;
    if (mask) {
        valid = booleans("mask", array_of(mask), {{"batch", batch}, {"steps", steps}});
    } else {
        valid.assign(std::size_t(batch) * steps, 1);
        if (lengths) {
            const std::vector<int64_t> values = integers("lengths", array_of(lengths), {{"batch", batch}});
            for (long b = 0; b < batch; ++b) {
                if (values[b] < 0 || values[b] > steps)
                    throw py::value_error("lengths: expected numbers from 0 to " + std::to_string(steps) +
                                          " (steps), got " + std::to_string(values[b]) + " at " + std::to_string(b));
                std::fill(valid.begin() + b * steps + values[b], valid.begin() + (b + 1) * steps, 0);
            }
        }
    }
    if (!always && std::find(valid.begin(), valid.end(), 0) == valid.end()) return nullptr;
    auto plan = make_plan(s, std::move(valid), backwards);
    plan->repeat = mask && !zero_output;
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

std::shared_ptr<CellWeights> packed_weights(py::handle given) {
    py::detail::make_caster<std::shared_ptr<CellWeights>> weights;
    if (given.is_none() || !weights.load(given, false))
        throw py::type_error("weights: expected packed weights, got " + text_of(given));
    return py::detail::cast_op<std::shared_ptr<CellWeights>&>(weights);
}

// All of them arrays already, or absent: only then is the first looked at.
struct ForwardArguments {
    py::array inputs;
    py::object h0, c0;
    bool return_sequences, training;
    py::object out, lengths, mask;
    bool zero_output, backwards;
    py::object x_dropout, h_dropout;
    Zoneout zoneout;
    bool shared;
};

template <class T>
View state_or_zeros(const char* argument, const py::object& state, long batch, const char* name, long width) {
    if (!state) return zeros<T>({batch, width});
    return contiguous<T>(argument, array_of(state), {{"batch", batch}, {name, width}});
}

// Dropout factors: (batch, width) for all gates or (gates, batch, width).
template <class T>
View dropout_factors(const char* argument, const py::object& given, const CellWeights& w, long batch, const char* name,
                     long width) {
    if (!given) return {};
    if (array_of(given).ndim() == 3)
        return contiguous<T>(argument, given, {{"gates", w.gates}, {"batch", batch}, {name, width}});
    return contiguous<T>(argument, given, {{"batch", batch}, {name, width}});
}

// Rates and a seed, or None.
Zoneout read_zoneout(py::handle given, const CellWeights& w) {
    Zoneout zoneout{};
    if (given.is_none()) return zoneout;
    zoneout.h = number("zoneout: h", given.attr("h"), 0, 1), zoneout.c = number("zoneout: c", given.attr("c"), 0, 1);
    const py::object seed = given.attr("seed");
    zoneout.random = !seed.is_none();
    if (zoneout.random)
        zoneout.seed = uint32_t(integer("zoneout: seed", seed, 0, std::numeric_limits<uint32_t>::max()));
    if (!w.lstm) zoneout.c = 0;
    if ((zoneout.h > 0 || zoneout.c > 0) && w.cell != "rnn" && !w.staged)
        throw py::value_error("zoneout: the weights were packed without it; pack them with zoneout=True");
    return zoneout;
}

// The inputs, checked. What is of a call is made where it stays: a view that is moved after it was made, word by word,
// is waited for.
template <class T>
View inputs_of(const CellWeights& w, const ForwardArguments& a) {
    if (a.training && !w.training)
        throw py::value_error("weights: were packed for inference; pack them with training=True");
    View x = checked<T>("inputs", a.inputs, {{"batch"}, {"steps"}, {"inputs", w.shape.inputs}});
    const long batch = x.shape[0], steps = x.shape[1], inputs = w.shape.inputs;
    if (steps == 0) wrong_shape("inputs", {{"batch"}, {"steps > 0"}, {"inputs", inputs}}, x.shape, x.dimensions);
    if (batch > (1l << 31) - 1 || steps > (1l << 31) - 1)
        throw py::value_error("inputs: expected fewer than 2**31 rows and steps");
    checked_product("inputs", {std::size_t(batch), std::size_t(steps), std::size_t(16 * w.shape.units), sizeof(T)});
    make_features_contiguous<T>(x);
    return x;
}

RecurrentShape with_rows(RecurrentShape shape, long batch, long steps) {
    shape.batch = batch, shape.steps = steps;
    return shape;
}

// Everything of a call that the two passes share.
struct Run {
    std::shared_ptr<CellWeights> weights;
    bool return_sequences = false, backwards = false;
    bool has_h0 = false;
    View x;
    RecurrentShape shape{};             // of the arrays
    View h0, c0, x_dropout, h_dropout;  // the last two may be absent
    Zoneout zoneout{};
    std::shared_ptr<Plan> plan;

    Run() = default;
    template <class T>
    Run(T, const std::shared_ptr<CellWeights>& packed, const ForwardArguments& a)
        : weights(packed),
          return_sequences(a.return_sequences),
          backwards(a.backwards),
          has_h0(a.h0 || a.c0),
          x(inputs_of<T>(*packed, a)),
          shape(with_rows(packed->shape, x.shape[0], x.shape[1])),
          h0(state_or_zeros<T>(packed->lstm ? "initial_state[0] (h)" : "initial_state", a.h0, shape.batch,
                               output_name(*packed), shape.outputs)),
          c0(packed->lstm ? state_or_zeros<T>("initial_state[1] (c)", a.c0, shape.batch, "units", shape.units)
                          : View()),
          x_dropout(dropout_factors<T>("dropout_mask", a.x_dropout, *packed, shape.batch, "inputs", shape.inputs)),
          h_dropout(dropout_factors<T>("recurrent_dropout_mask", a.h_dropout, *packed, shape.batch,
                                       output_name(*packed), shape.outputs)),
          zoneout(a.zoneout) {
        if (a.training && !zoneout.random && (zoneout.h > 0 || zoneout.c > 0))
            throw py::value_error("zoneout: training needs a seed");
        // Masks of zoneout belong to the steps of the arrays, so these must be known.
        plan = padding_plan(shape, a.lengths, a.mask, a.zero_output, backwards, backwards && zoneout.random);
    }

    RecurrentShape kernel_shape() const {
        RecurrentShape s = shape;
        if (plan) s.steps = plan->steps;
        return s;
    }
    long rows() const { return plan ? plan->total() : shape.batch * shape.steps; }  // steps of all rows
    bool empty() const { return rows() == 0; }

    // An array of the caller.
    template <class T>
    Sequence<T> outer(const View& a) const {
        Sequence<T> s = sequence<T>(a);
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
    // The steps of a row, and where one of them is.
    long steps_of(long b) const { return plan ? plan->length[b] : shape.steps; }
    template <class T>
    static T* place(const Sequence<T>& s, long b, long t) {
        if (s.first) {
            const long n = s.first[t] + b;
            return s.data + (s.row ? s.row[b] * s.batch_stride + s.at_step[n] * s.step_stride : n * s.batch_stride);
        }
        return s.data + b * s.batch_stride + (t & s.step_mask) * s.step_stride;
    }

    static int copies(const View& dropout) { return dropout.dimensions == 3 ? int(dropout.shape[0]) : 1; }

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

// The memory of an array that is referred to from one pass to the other. NumPy lets one give the array that owns it
// other memory, or less of it: resize(refcheck=False), and the like.
class Memory {
    py::array owner;
    const void* begin = nullptr;
    py::ssize_t bytes = 0;

 public:
    Memory() = default;
    explicit Memory(const View& view) : owner(array_of(view.owner)) {
        for (py::handle base = owner; base && py::isinstance<py::array>(base);
             base = py::detail::array_proxy(base.ptr())->base)
            owner = py::reinterpret_borrow<py::array>(base);
        begin = owner.data(), bytes = owner.nbytes();
    }
    void must_be_there(const char* name) const {
        if (begin && (owner.data() != begin || owner.nbytes() != bytes))
            throw py::value_error(std::string(name) + ": their memory was given up between forward and backward");
    }
};

// What backward needs of a forward pass. Whatever is small is copied and so is h, which the outputs are handed out as,
// unless these are shared: then nobody may write to them. Of the inputs, as large, only where they are.
struct Cache {
    Run run;
    View outputs;  // if they are shared
    Memory memory_of_inputs, memory_of_outputs;
    std::variant<Buffer<float>, Buffer<double>> saved;
    std::size_t saved_bytes = 0, c_offset = 0, h_offset = 0;
};

void copy_rows(void* to, std::ptrdiff_t to_stride, const void* from, std::ptrdiff_t from_stride, long rows,
               std::size_t bytes) {
    for (long b = 0; b < rows; ++b)
        std::memcpy(static_cast<char*>(to) + b * to_stride, static_cast<const char*>(from) + b * from_stride, bytes);
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
    const bool given_out;
    const bool shared;  // of training: backward reads the outputs, which nobody may write to until then
    Run call;
    const CellWeights* const weights;
    View outputs, h_last, c_last;
    std::size_t saved_size = 0, c_size = 0, h_size = 0;
    Buffer<T> saved, workspace;
    ForwardProblem<T> p{};
    Sequence<T> handed_out{};  // of training: the outputs that become the caller's, who may write to them

    View outputs_of(const ForwardArguments& a) const {
        const RecurrentShape& s = call.shape;
        if (!a.out)
            return a.return_sequences ? new_array<T>({s.batch, s.steps, s.outputs})
                                      : new_array<T>({s.batch, s.outputs});
        const Dim batch{"batch", s.batch}, steps{"steps", s.steps}, width{output_name(*weights), s.outputs};
        return a.return_sequences ? strided_output<T>("out", a.out, {batch, steps, width})
                                  : strided_output<T>("out", a.out, {batch, width});
    }
    // Where the last state goes; rows without steps keep theirs.
    View last_of(const View& state) const {
        return call.plan ? copy_of<T>(state) : new_array<T>({state.shape[0], state.shape[1]});
    }

 public:
    ForwardCall(const std::shared_ptr<CellWeights>& weights, const ForwardArguments& a)
        : training(a.training),
          given_out(bool(a.out)),
          shared(a.training && a.shared && a.return_sequences),
          call(T{}, weights, a),
          weights(weights.get()),
          outputs(outputs_of(a)),
          h_last(last_of(call.h0)),
          c_last(weights->lstm ? last_of(call.c0) : View()) {
        const RecurrentShape& s = call.shape;
        const bool lstm = weights->lstm;
        if (a.out) {
            must_not_overlap("out", outputs, "inputs", call.x);
            must_not_overlap("out", outputs, "initial_state", call.h0);
            if (lstm) must_not_overlap("out", outputs, "initial_state", call.c0);
            if (call.x_dropout) must_not_overlap("out", outputs, "dropout_mask", call.x_dropout);
            if (call.h_dropout) must_not_overlap("out", outputs, "recurrent_dropout_mask", call.h_dropout);
        }
        if (training)  // the caller may change them until the backward pass
            for (View* given : {&call.h0, &call.c0, &call.x_dropout, &call.h_dropout})
                if (*given) *given = copy_of<T>(*given);

        // One block holds what training saves (gates and the like, c, and h where the outputs are not shared), or the
        // pair of rows of h.
        const std::size_t rows = call.rows(),
                          saved_width = weights->template kernels_of<T>().saved(s, weights->options);
        saved_size = training ? saved_width * rows : 0, c_size = training && lstm ? rows * s.units : 0;
        const bool keeps_h = training && !shared;
        h_size = keeps_h ? rows * s.outputs : a.return_sequences ? 0 : 2 * s.batch * s.outputs;
        saved = Buffer<T>(saved_size + c_size + h_size);
        T* h_store = saved.get() + saved_size + c_size;
        empty = call.empty();
        if (empty) return;
        call.fill(p, T{});
        threads = p.threads, brief = threads == 1 && is_brief(*weights, p.shape);
        p.h = keeps_h              ? call.kept(h_store, s.outputs)
              : a.return_sequences ? call.outer<T>(outputs)
                                   : Sequence<T>{h_store, s.outputs, s.batch * s.outputs, 1, nullptr, nullptr, nullptr};
        if (keeps_h && a.return_sequences) handed_out = call.outer<T>(outputs);
        if (lstm && training)
            p.c = call.kept(saved.get() + saved_size, s.units);
        else if (lstm)
            p.c = {pointer<T>(c_last), s.units, 0, -1, p.ragged.first, p.ragged.row, p.ragged.at_step};
        if (training) p.saved = call.kept(saved.get(), saved_width);
    }

    void set_threads(int n) override {
        p.threads = n;
        workspace = Buffer<T>(weights->template kernels_of<T>().forward_workspace(p));
        p.workspace = workspace.get();
    }

    void run(const Team& team) const override {
        weights->template kernels_of<T>().forward(p, team);
        if (!handed_out.data) return;
        team.wait();
        long begin, end;
        team.split(call.shape.batch, begin, end);
        for (long b = begin; b < end; ++b)
            for (long t = 0, steps = call.steps_of(b); t < steps; ++t)
                std::memcpy(Run::place(handed_out, b, t), Run::place(p.h, b, t), call.shape.outputs * sizeof(T));
    }

    py::tuple finish() override {
        const RecurrentShape& s = call.shape;
        const bool lstm = weights->lstm;
        const std::size_t bytes = s.outputs * sizeof(T);
        const Plan* plan = call.plan.get();
        T *h = pointer<T>(h_last), *c = lstm ? pointer<T>(c_last) : nullptr;
        for (long b = 0; !empty && b < s.batch; ++b) {
            const long last = call.steps_of(b) - 1;
            if (last < 0) continue;
            const long row = plan ? plan->row[b] : b;
            std::memcpy(h + row * s.outputs, Run::place(p.h, b, last), bytes);
            if (lstm && training) std::memcpy(c + row * s.units, Run::place(p.c, b, last), s.units * sizeof(T));
        }
        char* out = outputs.data;
        if (!call.return_sequences) {
            copy_rows(out, outputs.strides[0], h, bytes, s.batch, bytes);
            for (long b = 0; plan && b < s.batch; ++b)
                if (plan->length[b] == 0) std::memset(out + plan->row[b] * outputs.strides[0], 0, bytes);
        } else if (plan) {
            for_each_padding(*plan, s, call.backwards, [&](long b, long t, long source) {
                char* row = out + b * outputs.strides[0];
                if (source < 0)
                    std::memset(row + t * outputs.strides[1], 0, bytes);
                else
                    std::memcpy(row + t * outputs.strides[1], row + source * outputs.strides[1], bytes);
            });
        }
        PyObject* const c_state = lstm ? c_last.owner.ptr() : Py_None;
        if (!training)
            return py::reinterpret_steal<py::tuple>(
                PyTuple_Pack(4, outputs.owner.ptr(), h_last.owner.ptr(), c_state, Py_None));

        auto cache = std::make_shared<Cache>();
        cache->run = std::move(call);
        cache->memory_of_inputs = Memory(cache->run.x);
        cache->saved_bytes = (saved_size + c_size + h_size) * sizeof(T);
        cache->saved = std::move(saved);
        cache->c_offset = saved_size, cache->h_offset = saved_size + c_size;
        if (shared) {
            cache->memory_of_outputs = Memory(outputs);
            cache->outputs = std::move(outputs);
            const py::object handed = given_out ? cache->outputs.owner : read_only_array<T>(cache->outputs);
            return py::make_tuple(handed, h_last.owner, py::handle(c_state), cache);
        }
        return py::make_tuple(outputs.owner, h_last.owner, py::handle(c_state), cache);
    }
};

// The arguments of a forward pass in their order, from a tuple or from CPython; `cell`, the last, says whose
// weights they must be, or is None.
constexpr Py_ssize_t forward_argument_count = 16;

template <class F>
auto with_forward_arguments(PyObject* const* a, F f) {
    const std::shared_ptr<CellWeights> w = packed_weights(a[0]);
    const py::handle cell = a[forward_argument_count - 1];
    if (!cell.is_none() &&
        !(PyUnicode_Check(cell.ptr()) && !PyUnicode_CompareWithASCIIString(cell.ptr(), w->cell.c_str())))
        throw py::value_error("weights: expected weights packed for " + std::string(py::str(cell)) + ", got those of " +
                              w->cell);
    const ForwardArguments arguments{as_array("inputs", a[1]),
                                     as_array_or_none("initial_state", a[2]),
                                     as_array_or_none("initial_state", a[3]),
                                     flag("return_sequences", a[4]),
                                     flag("training", a[5]),
                                     a[6] == Py_None ? py::object() : py::reinterpret_borrow<py::object>(a[6]),
                                     as_array_or_none("lengths", a[7]),
                                     as_array_or_none("mask", a[8]),
                                     flag("zero_output_for_mask", a[9]),
                                     flag("go_backwards", a[10]),
                                     as_array_or_none("dropout_mask", a[11]),
                                     as_array_or_none("recurrent_dropout_mask", a[12]),
                                     read_zoneout(a[13], *w),
                                     flag("shared", a[14])};
    return f(w, arguments);
}

// Called by CPython's own convention: pybind11's, with so many arguments, is a tenth of a streaming step.
PyObject* forward(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    return guarded([&] {
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
    });
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
View fold_repeated(const Run& run, const View& d_outputs) {
    View folded = new_array<T>({run.shape.batch, run.shape.steps, run.shape.outputs});
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

struct BackwardArguments {  // the first three arrays, or absent
    py::object d_outputs, dh_last, dc_last;
    bool need_d_inputs;
    std::vector<py::object> d_weights;
};

template <class T>
class BackwardCall : public Call {
    const Cache& cache;
    View d_inputs, dh0, dc0, dy, dh_state, dh_last, dc_last;  // some absent
    py::list d_weights_result;
    Buffer<T> workspace;
    BackwardProblem<T> p{};

 public:
    BackwardCall(const Cache& cache, const BackwardArguments& a) : cache(cache) {
        const Run& run = cache.run;
        const CellWeights& w = *run.weights;
        const RecurrentShape& s = run.shape;
        const bool lstm = w.lstm;
        const Buffer<T>& saved = std::get<Buffer<T>>(cache.saved);
        const char* width = output_name(w);
        const Dim batch{"batch", s.batch}, steps{"steps", s.steps}, outputs{width, s.outputs}, units{"units", s.units};

        cache.memory_of_inputs.must_be_there("inputs");
        cache.memory_of_outputs.must_be_there("outputs");
        if (a.dh_last)
            dh_last = dh_state = contiguous<T>(lstm ? "d_state[0] (h)" : "d_state", a.dh_last, {batch, outputs});
        if (a.dc_last) dc_last = contiguous<T>("d_state[1] (c)", a.dc_last, {batch, units});
        View d_outputs;
        if (a.d_outputs && run.return_sequences) {
            dy = d_outputs = features_contiguous<T>("d_outputs", array_of(a.d_outputs), {batch, steps, outputs});
            if (run.plan && run.plan->repeat) dy = fold_repeated<T>(run, dy);
        } else if (a.d_outputs) {
            dh_last = d_outputs = contiguous<T>("d_outputs", a.d_outputs, {batch, outputs});
            if (dh_state) {
                dh_last = copy_of<T>(dh_last);
                for (py::ssize_t k = 0; k < dh_last.size(); ++k)
                    pointer<T>(dh_last)[k] = pointer<T>(dh_state)[k] + pointer<T>(dh_last)[k];
            }
        }

        empty = run.empty();
        // Gradients are added to the arrays given, or to zeros; those of the large matrices are written as they come.
        Weights<T> gradients{};
        const std::vector<WeightSpec> specs = weight_specs(w);
        const bool given = !a.d_weights.empty();
        if (given && a.d_weights.size() != specs.size())
            throw py::value_error("d_weights: expected " + std::to_string(specs.size()) + " arrays, got " +
                                  std::to_string(a.d_weights.size()));
        std::vector<View> d_weights;
        d_weights.reserve(specs.size());
        for (const WeightSpec& spec : specs) {
            const std::size_t index = d_weights.size();
            View array;
            if (given) {
                const std::string argument = "d_weights[" + std::to_string(index) + "] (" + spec.name + ")";
                array = output<T>(argument.c_str(), a.d_weights[index], spec.dims);
                for (const View& other : d_weights) must_not_overlap(argument.c_str(), array, "another of them", other);
                if (d_outputs) must_not_overlap(argument.c_str(), array, "d_outputs", d_outputs);
                for (const View* state : {&dh_state, &dc_last})
                    if (*state) must_not_overlap(argument.c_str(), array, "d_state", *state);
                must_not_overlap(argument.c_str(), array, "inputs", run.x);
            } else {
                std::vector<py::ssize_t> shape;
                for (const Dim& d : spec.dims) shape.push_back(d.size);
                array = new_array<T>(shape.data(), shape.size());
                if (index > 1 || empty) std::memset(array.data, 0, array.nbytes());
            }
            *weight_pointer(gradients, spec.index) = pointer<T>(array);
            d_weights_result.append(array.owner);
            d_weights.push_back(array);
        }

        dh0 = zeros<T>({s.batch, s.outputs});
        if (lstm) dc0 = dc_last ? copy_of<T>(dc_last) : zeros<T>({s.batch, s.units});
        if (a.need_d_inputs) {
            d_inputs = run.plan ? zeros<T>({s.batch, s.steps, s.inputs}) : new_array<T>({s.batch, s.steps, s.inputs});
            p.dx = run.outer<T>(d_inputs);
        }
        if (empty) return;
        run.fill(p, T{});
        threads = p.threads;
        p.saved = read_only(run.kept(saved.get(), w.template kernels_of<T>().saved(s, w.options)));
        p.h =
            read_only(cache.outputs ? run.outer<T>(cache.outputs) : run.kept(saved.get() + cache.h_offset, s.outputs));
        if (lstm) p.c = read_only(run.kept(saved.get() + cache.c_offset, s.units));
        if (dy) p.dh = read_only(run.outer<T>(dy));
        if (dh_last) p.dh_last = pointer<T>(dh_last);
        p.gradients = gradients, p.new_gradients = !given;
        p.dh0 = pointer<T>(dh0), p.dc0 = lstm ? pointer<T>(dc0) : nullptr, p.need_dh0 = run.has_h0;
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
                std::memcpy(pointer<T>(dh0) + row * outputs, pointer<T>(dh_state) + row * outputs, outputs * sizeof(T));
            }
        const auto or_none = [](const View& view) { return view ? view.owner : py::none(); };
        if (!run.has_h0) return py::make_tuple(or_none(d_inputs), d_weights_result, py::none(), py::none());
        return py::make_tuple(or_none(d_inputs), d_weights_result, dh0.owner, or_none(dc0));
    }
};

const Cache& cache_of(py::handle given) {
    if (!py::isinstance<Cache>(given))
        throw py::type_error("cache: expected what a forward pass with training=True returns, got " + text_of(given));
    return given.cast<const Cache&>();
}

std::unique_ptr<Call> backward_call(py::handle cache_, py::handle d_outputs, py::handle dh_last, py::handle dc_last,
                                    py::handle need_d_inputs, py::handle d_weights) {
    const Cache& cache = cache_of(cache_);
    if (!PyList_Check(d_weights.ptr()) && !PyTuple_Check(d_weights.ptr()))
        throw py::type_error("d_weights: expected a list of arrays, got " + text_of(d_weights));
    const BackwardArguments arguments{as_array_or_none("d_outputs", d_outputs), as_array_or_none("d_state", dh_last),
                                      as_array_or_none("d_state", dc_last), flag("need_d_inputs", need_d_inputs),
                                      d_weights.cast<std::vector<py::object>>()};
    if (std::holds_alternative<Buffer<float>>(cache.saved))
        return std::make_unique<BackwardCall<float>>(cache, arguments);
    return std::make_unique<BackwardCall<double>>(cache, arguments);
}

py::tuple backward(py::handle cache, py::handle d_outputs, py::handle dh_last, py::handle dc_last,
                   py::handle need_d_inputs, py::handle d_weights) {
    const std::unique_ptr<Call> call = backward_call(cache, d_outputs, dh_last, dc_last, need_d_inputs, d_weights);
    return run_call(*call);
}

// The arguments of backward in a tuple, twice.
py::tuple backward_both(const py::tuple& first, const py::tuple& second) {
    const auto call_of = [](const py::tuple& a) {
        if (a.size() != 6) throw py::type_error("backward_both: expected tuples of 6");
        return backward_call(a[0], a[1], a[2], a[3], a[4], a[5]);
    };
    const std::unique_ptr<Call> a = call_of(first), b = call_of(second);
    return run_both(*a, *b);
}

// --- streaming ------------------------------------------------------------------------------

// What one call at a time may have. Taken and given back here, where no signal's exception can come between: in Python
// it could, between any two instructions.
struct Exclusive {
    std::string name;
    std::atomic<bool> taken{false};
};

class Taken {
    Exclusive& what;

 public:
    explicit Taken(Exclusive& what) : what(what) {
        if (what.taken.exchange(true))
            throw std::runtime_error(what.name + ": is in use by another thread; make a stream for each thread");
    }
    Taken(const Taken&) = delete;
    ~Taken() { what.taken = false; }
};

// Makes f(function, *arguments), which calls the function unless another call of f is under way.
py::object exclusive(py::handle name) {
    static constexpr const char* kind = "lstmcore exclusive";
    static PyMethodDef definition = {
        "exclusive",
        reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(
            +[](PyObject* self, PyObject* const* arguments, Py_ssize_t count) -> PyObject* {
                return guarded([&] {
                    if (count < 1) throw py::type_error("expected a function and its arguments");
                    const Taken taken(*static_cast<Exclusive*>(PyCapsule_GetPointer(self, kind)));
                    return PyObject_Vectorcall(arguments[0], arguments + 1, std::size_t(count) - 1, nullptr);
                });
            })),
        METH_FASTCALL, nullptr};
    auto owned = std::make_unique<Exclusive>();
    owned->name = string("name", name);
    const py::capsule capsule(owned.release(), kind,
                              [](PyObject* self) { delete static_cast<Exclusive*>(PyCapsule_GetPointer(self, kind)); });
    return py::reinterpret_steal<py::object>(PyCFunction_New(&definition, capsule.ptr()));
}

// A recurrent layer that keeps its state between calls.
class Stream {
    std::shared_ptr<CellWeights> weights;
    RecurrentShape shape;
    View h, c;  // nobody else's
    std::variant<Buffer<float>, Buffer<double>> workspace;
    Zoneout zoneout{};
    long steps = 0;  // of the last chunk: what follows is for so many
    int threads = 1;
    std::size_t workspace_size = 0;
    mutable Exclusive use{"RecurrentStream", {false}};

    template <class F>
    auto by_type(F f) const {
        return std::holds_alternative<Buffer<float>>(workspace) ? f(float{}) : f(double{});
    }

    template <class T>
    ForwardProblem<T> problem() const {
        ForwardProblem<T> p{};
        p.shape = shape, p.options = weights->options, p.weights = std::get<Packed<T>>(weights->packed).weights;
        p.h0 = pointer<T>(h), p.c0 = pointer<T>(c);
        p.c = {pointer<T>(c), shape.units, 0, -1, nullptr, nullptr, nullptr};
        p.zoneout = zoneout;
        return p;
    }

    template <class T>
    void make() {
        h = zeros<T>({shape.batch, shape.outputs}), c = zeros<T>({shape.batch, shape.units});
        workspace = Buffer<T>();
        prepare<T>(shape.steps);
    }

    template <class T>
    void prepare(long steps_of_chunk) {
        ForwardProblem<T> p = problem<T>();
        p.shape.steps = steps_of_chunk, p.threads = recurrent_threads(*weights, p.shape);
        const std::size_t size = weights->template kernels_of<T>().forward_workspace(p);
        if (size > workspace_size) workspace = Buffer<T>(size), workspace_size = size;
        threads = p.threads, steps = steps_of_chunk;
    }

    template <class T>
    py::object run_typed(const py::array& inputs, py::handle out) {
        const View x =
            features_contiguous<T>("inputs", inputs, {{"batch", shape.batch}, {"steps"}, {"inputs", shape.inputs}});
        if (x.shape[1] < 1 || x.shape[1] > shape.steps)
            throw py::value_error("inputs: expected 1 to " + std::to_string(shape.steps) + " steps, got " +
                                  std::to_string(x.shape[1]));
        if (x.shape[1] != steps) prepare<T>(x.shape[1]);
        View outputs;
        if (out.is_none()) {
            outputs = new_array<T>({shape.batch, steps, shape.outputs});
        } else {
            const char* width = output_name(*weights);
            outputs = strided_output<T>("out", out, {{"batch", shape.batch}, {"steps", steps}, {width, shape.outputs}});
            must_not_overlap("out", outputs, "inputs", x);
        }
        ForwardProblem<T> p = problem<T>();
        p.x = sequence<const T>(x), p.h = sequence<T>(outputs);
        p.shape.steps = steps, p.threads = std::min(threads, max_threads());
        p.workspace = std::get<Buffer<T>>(workspace).get();
        {
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
                std::memcpy(pointer<T>(h) + b * shape.outputs,
                            p.h.data + b * p.h.batch_stride + (steps - 1) * p.h.step_stride, shape.outputs * sizeof(T));
        }
        return outputs.owner;
    }

    std::vector<const View*> states() const {
        if (weights->lstm) return {&h, &c};
        return {&h};
    }

 public:
    Stream(py::handle weights_, py::handle batch, py::handle steps, py::handle zoneout_)
        : weights(packed_weights(weights_)), shape(weights->shape) {
        constexpr long most = (1l << 31) - 1;
        shape.batch = integer("batch_size", batch, 1, most), shape.steps = integer("steps", steps, 1, most);
        checked_product("steps", {std::size_t(shape.batch), std::size_t(shape.steps), std::size_t(16 * shape.units)});
        zoneout = read_zoneout(zoneout_, *weights);
        zoneout.random = false;  // inference mixes by the rates
        if (std::holds_alternative<Packed<float>>(weights->packed))
            make<float>();
        else
            make<double>();
    }

    py::object run(py::handle inputs, py::handle out) {
        const Taken taken(use);
        const py::array x = as_array("inputs", inputs);
        return by_type([&](auto tag) { return run_typed<decltype(tag)>(x, out); });
    }
    py::list state() const {
        const Taken taken(use);
        py::list copies;
        for (const View* own : states())
            copies.append(by_type([&](auto tag) { return copy_of<decltype(tag)>(*own).owner; }));
        return copies;
    }
    void set_state(const std::vector<py::object>& values) {
        const Taken taken(use);
        const std::vector<const View*> own = states();
        if (values.size() != own.size())
            throw py::value_error("state: expected " + std::to_string(own.size()) + " arrays, got " +
                                  std::to_string(values.size()));
        const auto name = [](std::size_t k) { return "state[" + std::to_string(k) + "]"; };
        std::vector<py::array> arrays;
        for (std::size_t k = 0; k < own.size(); ++k) arrays.push_back(as_array(name(k).c_str(), values[k]));
        by_type([&](auto tag) {
            using T = decltype(tag);
            std::vector<View> given;
            for (std::size_t k = 0; k < own.size(); ++k)
                given.push_back(contiguous<T>(name(k).c_str(), arrays[k],
                                              {{"batch", own[k]->shape[0]}, {"width", own[k]->shape[1]}}));
            for (std::size_t k = 0; k < own.size(); ++k) std::memcpy(own[k]->data, given[k].data, given[k].nbytes());
        });
    }
    void reset() {
        const Taken taken(use);
        for (const View* own : states()) std::memset(own->data, 0, own->nbytes());
    }
    long width() const { return shape.outputs; }
    const char* dtype() const { return std::holds_alternative<Buffer<float>>(workspace) ? "float32" : "float64"; }
};

// --- matrix multiplication, activations, optimizer ------------------------------------------

// The kernel wants one stride of 1: a row-major matrix or the transpose of one.
template <class T>
View matrix(const char* argument, const py::array& given, const Dims& dims, std::ptrdiff_t& row,
            std::ptrdiff_t& column) {
    const View m = checked<T>(argument, given, dims);
    const py::ssize_t size = sizeof(T);
    // An array that repeats a number has any size, and packing fills up the last panel of either side.
    checked_product(argument, {std::size_t(m.shape[0]) + 64, std::size_t(m.shape[1]) + 64, sizeof(T)});
    const auto unit = [&](int k) { return m.strides[k] == size || m.shape[k] == 1; };
    const View ready = m.is_aligned(sizeof(T)) && (unit(0) || unit(1)) ? m : copy_of<T>(m);
    const bool row_major = ready.strides[1] == size || ready.shape[1] == 1;
    row = row_major ? ready.strides[0] / size : 1;
    column = row_major ? 1 : ready.strides[1] / size;
    return ready;
}

// The right-hand side of products, packed once for many.
struct PackedMatrix {
    long depth = 0, columns = 0;
    std::variant<Buffer<float>, Buffer<double>> packed;

    explicit PackedMatrix(py::handle given) {
        const py::array b_ = as_array("b", given);
        by_dtype("b", b_, [&](auto tag) {
            using T = decltype(tag);
            MatmulProblem<T> p{};
            const View b = matrix<T>("b", b_, {{"depth"}, {"columns"}}, p.b_row, p.b_column);
            p.depth = depth = b.shape[0], p.columns = columns = b.shape[1], p.b = pointer<T>(b);
            Buffer<T> buffer(kernels<T>().packed_b_size(depth, columns));
            kernels<T>().pack_b(p, buffer.get());
            packed = std::move(buffer);
        });
    }
};

py::object matmul(py::handle a_, py::handle b_, py::handle bias_, py::handle out, py::handle accumulate) {
    const py::array a_array = as_array("a", a_);
    const bool is_packed = py::isinstance<PackedMatrix>(b_);
    const py::object b_array = is_packed ? py::object() : as_array("b", b_),
                     bias_array = as_array_or_none("bias", bias_);
    const bool adds = flag("accumulate", accumulate);
    return by_dtype("a", a_array, [&](auto tag) -> py::object {
        using T = decltype(tag);
        MatmulProblem<T> p{};
        const View a = matrix<T>("a", a_array, {{"rows"}, {"depth"}}, p.a_row, p.a_column);
        const long rows = p.rows = a.shape[0], depth = p.depth = a.shape[1];
        p.a = pointer<T>(a), p.accumulate = adds;
        View b;
        if (is_packed) {
            const PackedMatrix& packed = b_.cast<const PackedMatrix&>();
            const Buffer<T>* buffer = std::get_if<Buffer<T>>(&packed.packed);
            if (!buffer) throw py::type_error("b: was packed from another dtype than " + dtype_name(a_array));
            if (packed.depth != depth)
                throw py::value_error("a: expected " + std::to_string(packed.depth) + " columns, got " +
                                      std::to_string(depth));
            p.packed_b = buffer->get(), p.columns = packed.columns;
        } else {
            b = matrix<T>("b", b_array, {{"depth", depth}, {"columns"}}, p.b_row, p.b_column);
            p.b = pointer<T>(b), p.columns = b.shape[1];
        }
        const long columns = p.columns;
        View bias;
        if (bias_array) {
            bias = contiguous<T>("bias", bias_array, {{"columns", columns}});
            p.bias = pointer<T>(bias);
        }
        if (adds && out.is_none()) throw py::value_error("out: accumulate=True needs an array to add to");
        const View c = out.is_none() ? new_array<T>({rows, columns})
                                     : output<T>("out", out, {{"rows", rows}, {"columns", columns}});
        must_not_overlap("out", c, "a", a);
        if (b) must_not_overlap("out", c, "b", b);
        if (bias) must_not_overlap("out", c, "bias", bias);
        p.c = pointer<T>(c), p.c_row = columns;
        if (rows && columns) {
            p.threads = threads_for(double(rows) * double(columns) * double(depth), 3e5);
            const Buffer<T> workspace(kernels<T>().matmul_workspace(p));
            p.workspace = workspace.get();
            const WithoutGil release;
            kernels<T>().matmul(p);
        }
        return c.owner;
    });
}

// Of every element, into a new array or into out, which may be x itself.
template <bool is_tanh>
py::object activation(py::handle x_, py::handle out) {
    const py::array given = as_array("x", x_);
    return by_dtype("x", given, [&](auto tag) -> py::object {
        using T = decltype(tag);
        const auto apply = is_tanh ? kernels<T>().tanh : kernels<T>().sigmoid;
        const View x = flat<T>(given);
        const View y = out.is_none() ? elements_of<T>(new_array_of<T>(given.shape(), std::size_t(given.ndim())))
                                     : output_like<T>("out", out, given);
        if (x.data != y.data) must_not_overlap("out", y, "x", x);
        apply(pointer<T>(x), pointer<T>(y), std::size_t(x.shape[0]));
        return y.owner;
    });
}

void add_rows(py::handle sums_, py::handle indices_, py::handle rows_) {
    const py::array sums_array = as_array("sums", sums_), indices_array = as_array("indices", indices_),
                    rows_array = as_array("rows", rows_);
    by_dtype("sums", sums_array, [&](auto tag) {
        using T = decltype(tag);
        const View sums = output<T>("sums", sums_, {{"size"}, {"width"}});
        const View rows = contiguous<T>("rows", rows_array, {{"rows"}, {"width", long(sums.shape[1])}});
        const std::vector<int64_t> index = integers("indices", indices_array, {{"rows", long(rows.shape[0])}});
        for (const int64_t at : index)
            if (at < 0 || at >= sums.shape[0])
                throw py::value_error("indices: expected numbers from 0 to " + std::to_string(sums.shape[0] - 1) +
                                      ", got " + std::to_string(at));
        must_not_overlap("sums", sums, "rows", rows);
        const AddRowsProblem<T> p{long(rows.shape[0]), long(rows.shape[1]), index.data(),
                                  pointer<T>(rows),    pointer<T>(sums),    threads_for(double(rows.size()), 5e4)};
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
    const py::array parameters_array = as_array("parameters", parameters_),
                    gradients_array = as_array("gradients", gradients_);
    by_dtype("parameters", parameters_array, [&](auto tag) {
        using T = decltype(tag);
        const OptimizerRule<T>& rule = optimizer_rule<T>(rule_name);
        must_be_of_number("slots", rule_name, rule.slots, slots_.size());
        must_be_of_number("numbers", rule_name, rule.numbers, numbers.size());
        const View parameters = output<T>("parameters", parameters_, {{"size"}});
        const long n = parameters.shape[0];
        const View gradients = contiguous<T>("gradients", gradients_array, {{"size", n}});
        must_not_overlap("parameters", parameters, "gradients", gradients);
        OptimizerProblem<T> p{};
        p.size = std::size_t(n), p.parameters = pointer<T>(parameters), p.gradients = pointer<T>(gradients);
        std::vector<View> slots;
        for (const py::object& object : slots_) {
            const View slot = output<T>("slots", object, {{"size", n}});
            must_not_overlap("slots", slot, "parameters", parameters);
            must_not_overlap("slots", slot, "gradients", gradients);
            for (const View& other : slots) must_not_overlap("slots", slot, "another of them", other);
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
        const View values = flat<T>(x);
        const WithoutGil release;
        return kernels<T>().sum_of_squares(pointer<T>(values), std::size_t(values.shape[0]));
    });
}

// --- connectionist temporal classification --------------------------------------------------

// Lengths of rows, all of them `most` where none are given.
std::vector<int64_t> lengths_or_full(const char* argument, const py::object& given, long batch, long most,
                                     const char* of) {
    if (!given) return std::vector<int64_t>(std::size_t(batch), most);
    const std::vector<int64_t> lengths = integers(argument, array_of(given), {{"batch", batch}});
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
            if (label >= 0 && label < classes && label != blank) continue;
            const std::string where = " at (" + std::to_string(b) + ", " + std::to_string(s) + ")";
            if (label < 0 || label >= classes)
                throw py::value_error("labels: expected numbers from 0 to " + std::to_string(classes - 1) +
                                      " (classes), got " + std::to_string(label) + where);
            throw py::value_error("labels: expected no blank (" + std::to_string(blank) + ") among them, got one" +
                                  where);
        }
}

// The loss of every row, and its gradient (times the row's scale) or None.
py::tuple ctc(py::handle inputs_, py::handle labels_, py::handle input_lengths_, py::handle label_lengths_,
              py::handle blank, py::handle from_logits, py::handle zero_infinity, py::handle gradient,
              py::handle scale_) {
    const py::array inputs_array = as_array("inputs", inputs_), labels_array = as_array("labels", labels_);
    const py::object input_lengths_array = as_array_or_none("input_lengths", input_lengths_),
                     label_lengths_array = as_array_or_none("label_lengths", label_lengths_),
                     scale_array = as_array_or_none("scale", scale_);
    const bool logits = flag("from_logits", from_logits), zeros_for_infinity = flag("zero_infinity", zero_infinity),
               wants_gradient = flag("gradient", gradient);
    return by_dtype("inputs", inputs_array, [&](auto tag) -> py::tuple {
        using T = decltype(tag);
        const View inputs = features_contiguous<T>("inputs", inputs_array, {{"batch"}, {"steps"}, {"classes"}});
        CtcProblem<T> p{};
        const long batch = p.batch = inputs.shape[0], steps = p.steps = inputs.shape[1];
        const long classes = p.classes = inputs.shape[2];
        p.blank = integer("blank", blank, 0, classes - 1, "a class");
        const std::vector<int64_t> labels = integers("labels", labels_array, {{"batch", batch}, {"max_labels"}});
        p.max_labels = batch ? long(labels.size()) / batch : 0;
        const auto input_lengths = lengths_or_full("input_lengths", input_lengths_array, batch, steps, "steps");
        const auto label_lengths =
            lengths_or_full("label_lengths", label_lengths_array, batch, p.max_labels, "max_labels");
        check_labels(labels.data(), label_lengths, p.max_labels, classes, p.blank);
        p.x = pointer<T>(inputs);
        p.x_batch = inputs.strides[0] / py::ssize_t(sizeof(T)), p.x_step = inputs.strides[1] / py::ssize_t(sizeof(T));
        p.labels = labels.data(), p.input_lengths = input_lengths.data(), p.label_lengths = label_lengths.data();
        p.logits = logits, p.zero_infinity = zeros_for_infinity;
        View scale;
        if (scale_array) {
            scale = contiguous<T>("scale", scale_array, {{"batch", batch}});
            p.scale = pointer<T>(scale);
        }
        const View losses = new_array<T>({batch});
        p.losses = pointer<T>(losses);
        py::object d_inputs = py::none();
        if (wants_gradient) {
            const View made = new_array<T>({batch, steps, classes});
            p.gradient = pointer<T>(made);
            d_inputs = made.owner;
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
        return py::make_tuple(losses.owner, d_inputs);
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

void set_num_threads(py::handle n) { set_max_threads(int(integer("num_threads", n, 1, most_threads))); }

double multiply_add_loop(long rounds, bool float64) {
    const WithoutGil release;
    double sink[64];
    return float64 ? instruction_set().f64.multiply_add_loop(rounds, sink)
                   : instruction_set().f32.multiply_add_loop(rounds, reinterpret_cast<float*>(sink));
}

void read_loop(py::handle data_, long rounds) {
    const View data = contiguous<float>("data", data_, {{"size"}});
    const WithoutGil release;
    float sink[64];
    for (long k = 0; k < rounds; ++k)
        instruction_set().f32.read_loop(pointer<float>(data), std::size_t(data.shape[0]), sink);
}

}  // namespace
}  // namespace lstmcore

PYBIND11_MODULE(_core, m) {
    m.attr("__version__") = LSTMCORE_VERSION;
    using namespace lstmcore;
    instruction_set();  // a wrong LSTMCORE_ISA is an error of the import

    py::class_<CellWeights, std::shared_ptr<CellWeights>> packed_weights_class(m, "PackedWeights", py::is_final());
    packed_weights_class.def_readonly("cell", &CellWeights::cell)
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
    made_by_core(packed_weights_class);
    py::class_<Cache, std::shared_ptr<Cache>> cache_class(m, "Cache", py::is_final());
    cache_class.def_readonly("nbytes", &Cache::saved_bytes)
        .def_property_readonly("cell", [](const Cache& c) { return c.run.weights->cell; })
        .def_property_readonly("weight_count", [](const Cache& c) { return weight_specs(*c.run.weights).size(); });
    made_by_core(cache_class);
    py::class_<Stream> stream_class(m, "Stream", py::is_final());
    stream_class.def("run", &Stream::run)
        .def("state", &Stream::state)
        .def("set_state", &Stream::set_state)
        .def("reset", &Stream::reset)
        .def_property_readonly("width", &Stream::width)
        .def_property_readonly("dtype", &Stream::dtype);
    made_by(stream_class, [](py::handle weights, py::handle batch, py::handle steps, py::handle zoneout) {
        return std::make_unique<Stream>(weights, batch, steps, zoneout);
    });
    m.def("exclusive", exclusive);
    m.def("pack", pack);
    static PyMethodDef forward_definition = {
        "forward", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(forward)), METH_FASTCALL, nullptr};
    m.attr("forward") = py::reinterpret_steal<py::object>(PyCFunction_New(&forward_definition, nullptr));
    m.def("backward", backward);
    m.def("forward_both", forward_both);
    m.def("backward_both", backward_both);
    py::class_<PackedMatrix> packed_matrix_class(m, "PackedMatrix", py::is_final());
    made_by(packed_matrix_class, [](py::handle b) { return std::make_unique<PackedMatrix>(b); });
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
