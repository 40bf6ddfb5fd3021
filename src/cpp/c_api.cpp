// The door to C: checks what comes in, and makes codes of exceptions.
#include <lstmcore.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <variant>
#include <vector>

#include "model/model.hpp"

using namespace lstmcore;

struct lstmcore_model {
    std::shared_ptr<const Model> model;
};

struct lstmcore_stream {
    std::shared_ptr<const Model> model;
    std::variant<ChainStream<float>, ChainStream<double>> stream;
    std::atomic<bool> taken{false};
};

namespace {

thread_local std::string last_error;

int code_of(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::argument:
            return LSTMCORE_ARGUMENT;
        case ErrorKind::file:
            return LSTMCORE_FILE;
        case ErrorKind::format:
            return LSTMCORE_FORMAT;
        case ErrorKind::unsupported:
            return LSTMCORE_UNSUPPORTED;
        case ErrorKind::memory:
            return LSTMCORE_MEMORY;
        case ErrorKind::busy:
            return LSTMCORE_BUSY;
        case ErrorKind::internal:
            break;
    }
    return LSTMCORE_INTERNAL;
}

int failed(int code, const char* text) noexcept {
    try {
        last_error = text;
    } catch (...) {
        last_error.clear();  // not even memory for the message
    }
    return code;
}

// Nothing gets out of here but a code.
template <class F>
int guarded(F f) noexcept {
    try {
        f();
        return LSTMCORE_OK;
    } catch (const ModelError& error) {
        return failed(code_of(error.kind), error.what());
    } catch (const std::bad_alloc& error) {
        return failed(LSTMCORE_MEMORY, error.what());
    } catch (const std::exception& error) {
        return failed(LSTMCORE_INTERNAL, error.what());
    } catch (...) {
        return failed(LSTMCORE_INTERNAL, "unknown error");
    }
}

[[noreturn]] void refuse(const std::string& text) { throw ModelError(ErrorKind::argument, text); }

void not_null(const char* name, const void* pointer) {
    if (!pointer) refuse(std::string(name) + ": expected a pointer, got null");
}

void in_bounds(const char* name, std::size_t n, std::size_t least, std::size_t most) {
    if (n < least || n > most)
        refuse(std::string(name) + ": expected " + std::to_string(least) + " to " + std::to_string(most) + ", got " +
               std::to_string(n));
}

// An array of so many elements; none needs no memory.
void check_array(const char* name, const void* data, std::size_t given, std::size_t bytes) {
    if (given != bytes)
        refuse(std::string(name) + ": expected " + std::to_string(bytes) + " bytes, got " + std::to_string(given));
    if (bytes) not_null(name, data);
}

bool overlap(const void* a, std::size_t a_bytes, const void* b, std::size_t b_bytes) {
    const auto p = reinterpret_cast<std::uintptr_t>(a), q = reinterpret_cast<std::uintptr_t>(b);
    return a_bytes && b_bytes && p < q + b_bytes && q < p + a_bytes;
}

std::size_t element(const Model& model) { return model.is_float32() ? sizeof(float) : sizeof(double); }

std::size_t bytes_of_inputs(const Model& model, std::size_t rows) {
    const long features = model.in().features;
    return features ? product("inputs", product("inputs", rows, std::size_t(features)), element(model))
                    : product("inputs", rows, sizeof(std::int64_t));
}

std::size_t steps_out(const Model& model, std::size_t steps) {
    const Form in = model.in();
    in_bounds("steps", steps, std::size_t(in.steps ? in.steps : 1), std::size_t(in.steps ? in.steps : most_rows));
    return std::size_t(model.visit([&](const auto& chain) { return chain.steps_of(long(steps)); }));
}

// The inputs and outputs of a call, of so many rows each.
void check_arrays(const Model& model, std::size_t rows, const void* inputs, std::size_t input_bytes,
                  std::size_t output_rows, const void* outputs, std::size_t output_bytes) {
    check_array("inputs", inputs, input_bytes, bytes_of_inputs(model, rows));
    check_array("outputs", outputs, output_bytes,
                product("outputs", product("outputs", output_rows, std::size_t(model.out().features)), element(model)));
    if (overlap(inputs, input_bytes, outputs, output_bytes)) refuse("outputs: overlap inputs in memory");
    const std::size_t of_inputs = model.in().features ? element(model) : sizeof(std::int64_t);
    const auto aligned = [](const char* name, const void* pointer, std::size_t size) {
        if (reinterpret_cast<std::uintptr_t>(pointer) % size)
            refuse(std::string(name) + ": expected an address that is a multiple of " + std::to_string(size));
    };
    aligned("inputs", inputs, of_inputs), aligned("outputs", outputs, element(model));
}

template <class T>
Values<T> values(const Model& model, const void* inputs, std::size_t batch, std::size_t steps, bool sequence) {
    const long features = model.in().features;
    return {features ? static_cast<const T*>(inputs) : nullptr,
            features ? nullptr : static_cast<const std::int64_t*>(inputs),
            long(batch),
            long(steps),
            features,
            sequence};
}

Mask mask_of(const std::size_t* lengths, std::size_t batch, std::size_t steps) {
    Mask mask;
    if (!lengths) return mask;
    mask.assign(product("steps", batch, steps), 0);
    for (std::size_t b = 0; b < batch; ++b) {
        if (lengths[b] > steps)
            refuse("lengths: expected numbers from 0 to " + std::to_string(steps) + " (steps), got " +
                   std::to_string(lengths[b]) + " at " + std::to_string(b));
        std::memset(mask.data() + b * steps, 1, lengths[b]);
    }
    return mask;
}

int describe(const lstmcore_model* model, lstmcore_port* port, bool in) {
    return guarded([&] {
        not_null("model", model), not_null("port", port);
        const Form form = in ? model->model->in() : model->model->out();
        port->dtype = !form.features               ? LSTMCORE_INT64
                      : model->model->is_float32() ? LSTMCORE_FLOAT32
                                                   : LSTMCORE_FLOAT64;
        port->is_sequence = form.sequence;
        port->steps = std::size_t(form.steps), port->features = std::size_t(form.features);
    });
}

class Taken {
    std::atomic<bool>& taken;

 public:
    explicit Taken(lstmcore_stream* stream) : taken(stream->taken) {
        if (taken.exchange(true))
            throw ModelError(ErrorKind::busy, "stream: is in use by another thread; make a stream for each thread");
    }
    Taken(const Taken&) = delete;
    ~Taken() { taken = false; }
};

// f(stream) of a stream that nobody else uses meanwhile.
template <class F>
int with_stream(lstmcore_stream* stream, F f) {
    return guarded([&] {
        not_null("stream", stream);
        const Taken taken(stream);
        std::visit(f, stream->stream);
    });
}

struct SnapshotHeader {
    char magic[8];
    std::uint32_t version, element;
    std::uint64_t model, batch, size;  // size: elements of the states behind it
};
constexpr char magic[8] = {'l', 's', 't', 'm', 'c', 'o', 'r', 'e'};
constexpr std::uint32_t snapshot_version = 1;

template <class T>
SnapshotHeader header_of(const Model& model, const ChainStream<T>& stream) {
    SnapshotHeader header{};
    std::memcpy(header.magic, magic, sizeof magic);
    header.version = snapshot_version, header.element = sizeof(T);
    header.model = model.fingerprint, header.batch = std::uint64_t(stream.batch), header.size = stream.memory();
    return header;
}

template <class T>
std::size_t snapshot_bytes(const ChainStream<T>& stream) {
    return sizeof(SnapshotHeader) + stream.memory() * sizeof(T);
}

}  // namespace

int lstmcore_api_version(void) { return LSTMCORE_API_VERSION; }

const char* lstmcore_last_error(void) { return last_error.c_str(); }

int lstmcore_model_load(const char* path, lstmcore_model** model) {
    return guarded([&] {
        not_null("path", path), not_null("model", model);
        const std::vector<unsigned char> bytes = bytes_of(path);
        *model = new lstmcore_model{Model::load(bytes.data(), bytes.size())};
    });
}

int lstmcore_model_load_memory(const void* data, size_t size, lstmcore_model** model) {
    return guarded([&] {
        not_null("data", data), not_null("model", model);
        *model = new lstmcore_model{Model::load(static_cast<const unsigned char*>(data), size)};
    });
}

void lstmcore_model_free(lstmcore_model* model) { delete model; }

int lstmcore_model_input(const lstmcore_model* model, lstmcore_port* port) { return describe(model, port, true); }
int lstmcore_model_output(const lstmcore_model* model, lstmcore_port* port) { return describe(model, port, false); }

int lstmcore_model_output_steps(const lstmcore_model* model, size_t steps, size_t* output_steps) {
    return guarded([&] {
        not_null("model", model), not_null("output_steps", output_steps);
        *output_steps = steps_out(*model->model, steps);
    });
}

int lstmcore_model_run(const lstmcore_model* model, size_t batch, size_t steps, const size_t* lengths,
                       const void* inputs, size_t input_bytes, void* outputs, size_t output_bytes) {
    return guarded([&] {
        not_null("model", model);
        const Model& own = *model->model;
        const Form in = own.in();
        in_bounds("batch", batch, 0, most_rows);
        const std::size_t output_rows = product("outputs", batch, steps_out(own, steps));
        if (lengths && !in.sequence) refuse("lengths: expected null, as the inputs are no sequences");
        const std::size_t rows = product("steps", batch, steps);
        check_arrays(own, rows, inputs, input_bytes, output_rows, outputs, output_bytes);
        Mask mask = mask_of(lengths, batch, steps);
        own.visit([&](const auto& chain) {
            using T = typename std::decay_t<decltype(chain)>::Element;
            chain.run(values<T>(own, inputs, batch, steps, in.sequence), static_cast<T*>(outputs), std::move(mask));
        });
    });
}

int lstmcore_stream_new(const lstmcore_model* model, size_t batch, size_t most_steps, lstmcore_stream** stream) {
    return guarded([&] {
        not_null("model", model), not_null("stream", stream);
        in_bounds("batch", batch, 1, most_rows), in_bounds("most_steps", most_steps, 1, most_rows);
        const auto& own = model->model;
        *stream = own->is_float32() ? new lstmcore_stream{own, ChainStream<float>(own, long(batch), long(most_steps))}
                                    : new lstmcore_stream{own, ChainStream<double>(own, long(batch), long(most_steps))};
    });
}

void lstmcore_stream_free(lstmcore_stream* stream) { delete stream; }

int lstmcore_stream_run(lstmcore_stream* stream, size_t steps, const void* inputs, size_t input_bytes, void* outputs,
                        size_t output_bytes) {
    return with_stream(stream, [&](auto& own) {
        using T = typename std::decay_t<decltype(own)>::Element;
        in_bounds("steps", steps, 1, std::size_t(own.most_steps));
        const std::size_t rows = std::size_t(own.batch) * steps;
        check_arrays(*stream->model, rows, inputs, input_bytes, rows, outputs, output_bytes);
        own.run(values<T>(*stream->model, inputs, std::size_t(own.batch), steps, true), static_cast<T*>(outputs));
    });
}

int lstmcore_stream_reset(lstmcore_stream* stream) {
    return with_stream(stream, [](auto& own) { own.reset(); });
}

int lstmcore_stream_snapshot_size(const lstmcore_stream* stream, size_t* bytes) {
    return guarded([&] {
        not_null("stream", stream), not_null("bytes", bytes);
        *bytes = std::visit([](const auto& own) { return snapshot_bytes(own); }, stream->stream);
    });
}

int lstmcore_stream_snapshot(lstmcore_stream* stream, void* snapshot, size_t bytes) {
    return with_stream(stream, [&](auto& own) {
        using T = typename std::decay_t<decltype(own)>::Element;
        check_array("snapshot", snapshot, bytes, snapshot_bytes(own));
        const SnapshotHeader header = header_of(*stream->model, own);
        std::vector<T> states(header.size);
        own.read(states.data());
        std::memcpy(snapshot, &header, sizeof header);
        std::memcpy(static_cast<char*>(snapshot) + sizeof header, states.data(), states.size() * sizeof(T));
    });
}

int lstmcore_stream_restore(lstmcore_stream* stream, const void* snapshot, size_t bytes) {
    return with_stream(stream, [&](auto& own) {
        using T = typename std::decay_t<decltype(own)>::Element;
        not_null("snapshot", snapshot);
        const SnapshotHeader wanted = header_of(*stream->model, own);
        SnapshotHeader header;
        if (bytes < sizeof header)
            refuse("snapshot: expected " + std::to_string(snapshot_bytes(own)) + " bytes, got " +
                   std::to_string(bytes));
        std::memcpy(&header, snapshot, sizeof header);
        if (std::memcmp(header.magic, magic, sizeof magic))
            throw ModelError(ErrorKind::format, "snapshot: is none of a stream");
        if (header.version != snapshot_version)
            throw ModelError(ErrorKind::unsupported, "snapshot: expected version " + std::to_string(snapshot_version) +
                                                         ", got " + std::to_string(header.version));
        if (header.model != wanted.model || header.element != wanted.element) refuse("snapshot: is of another model");
        if (header.batch != wanted.batch)
            refuse("snapshot: expected a batch of " + std::to_string(wanted.batch) + ", got " +
                   std::to_string(header.batch));
        if (header.size != wanted.size)
            throw ModelError(ErrorKind::format, "snapshot: expected " + std::to_string(wanted.size) + " numbers, got " +
                                                    std::to_string(header.size));
        check_array("snapshot", snapshot, bytes, snapshot_bytes(own));
        std::vector<T> states(header.size);
        std::memcpy(states.data(), static_cast<const char*>(snapshot) + sizeof header, states.size() * sizeof(T));
        own.write(states.data());
    });
}
