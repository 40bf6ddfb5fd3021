// Convolution over the steps: a product of windows, row by row, with the kernel.
#include <cstring>
#include <limits>

#include "model/windows.hpp"
#include "runtime/kernel_table.hpp"
#include "threads.hpp"

namespace lstmcore {
namespace {

constexpr std::size_t most_windows = 4096;  // that are laid out at a time

template <class T>
class Conv1D final : public Layer<T> {
    RowFunction<T> activation;
    Windows windows;
    long groups, channels, filters;  // channels: of a group
    Buffer<T> bias;
    std::vector<Buffer<T>> packed;  // of each group

    void multiply(const T* a, std::size_t rows, long group, T* out) const {
        MatmulProblem<T> p{};
        p.rows = long(rows), p.depth = windows.size * channels, p.columns = filters / groups;
        p.a = a, p.a_row = p.depth, p.a_column = 1, p.packed_b = packed[std::size_t(group)].get();
        p.bias = bias.get() ? bias.get() + group * p.columns : nullptr;
        p.c = out + group * p.columns, p.c_row = filters;
        p.threads = threads_for(double(rows) * double(p.columns) * double(p.depth), 3e5);
        const Buffer<T> workspace(kernels<T>().matmul_workspace(p));
        p.workspace = workspace.get();
        kernels<T>().matmul(p);
    }

 public:
    explicit Conv1D(const Place& place) : activation(row_function<T>(place.config, "activation")) {
        const Config& config = place.config;
        const auto positive = [&](const char* name) { return config.integer(name, 1, most_rows); };
        windows = {positive("kernel_size"), positive("strides"), positive("dilation_rate"),
                   Windows::padding_of(config, true), config.where()};
        groups = positive("groups"), filters = positive("filters");
        this->in = place.in, this->out = windows.out(place, filters);
        if (filters % groups || place.in.features % groups)
            config.refuse("groups", "a divisor of filters and channels");
        channels = place.in.features / groups;
        const Buffer<T> kernel = place.file.weights<T>(place.path + "kernel", {windows.size, channels, filters});
        if (config.flag("use_bias")) bias = place.file.weights<T>(place.path + "bias", {filters});
        for (long group = 0; group < groups; ++group) {
            MatmulProblem<T> p{};
            p.depth = windows.size * channels, p.columns = filters / groups;
            p.b = kernel.get() + group * p.columns, p.b_row = filters, p.b_column = 1;
            packed.emplace_back(kernels<T>().packed_b_size(p.depth, p.columns));
            kernels<T>().pack_b(p, packed.back().get());
        }
    }

    long steps_of(long steps) const override { return windows.count(steps); }

    // Windows of sequences (batch, steps, channels) that begin `before` steps before them, `count` of each.
    void convolve(const T* in, const Mask& mask, long batch, long steps, long before, long count, T* out) const {
        const long width = windows.size * channels, whole = channels * groups;
        const std::size_t rows = std::size_t(batch) * std::size_t(count), most = std::min(rows, most_windows);
        const Buffer<T> laid_out(product("steps", most, std::size_t(width)));
        for (std::size_t begin = 0; begin < rows; begin += most) {
            const std::size_t end = std::min(rows, begin + most);
            for (long group = 0; group < groups; ++group) {
                T* to = laid_out.get();
                for (std::size_t row = begin; row < end; ++row) {
                    const long b = long(row / std::size_t(count)), t = long(row % std::size_t(count));
                    for (long k = 0; k < windows.size; ++k, to += channels) {
                        const long step = t * windows.strides - before + k * windows.dilation;
                        const bool counts =
                            step >= 0 && step < steps && (mask.empty() || mask[std::size_t(b * steps + step)]);
                        if (counts)
                            std::memcpy(to, in + (b * steps + step) * whole + group * channels,
                                        std::size_t(channels) * sizeof(T));
                        else
                            std::memset(to, 0, std::size_t(channels) * sizeof(T));
                    }
                }
                multiply(laid_out.get(), end - begin, group, out + begin * std::size_t(filters));
            }
        }
        activation.apply(out, rows, std::size_t(filters), threads_for(double(rows) * double(filters), 2e4));
    }

    void run(const Values<T>& in, T* out, Mask& mask) const override {
        const long count = windows.count(in.steps);
        convolve(in.data, mask, in.batch, in.steps, windows.before(in.steps), count, out);
        if (mask.empty()) return;
        Mask left(std::size_t(in.batch * count), 1);
        const long last = windows.padding == Windows::Padding::valid ? windows.size : 1;
        for (long b = 0; b < in.batch; ++b)
            for (long t = 0; t < count; ++t)
                for (long k = 0; k < last; ++k)
                    left[std::size_t(b * count + t)] &=
                        mask[std::size_t(b * in.steps + t * windows.strides + k * windows.dilation)];
        mask = std::move(left);
    }

    // Remembers the steps before the chunk that its windows reach.
    class Recent final : public Stage<T> {
        const Conv1D& layer;
        const long batch, before, width;
        Buffer<T> steps_;  // (batch, before + steps of the chunk, channels)
        Buffer<T> kept;    // (batch, before, channels)

     public:
        Recent(const Conv1D& layer, long batch, long steps)
            : layer(layer), batch(batch), before(layer.windows.span() - 1), width(layer.in.features) {
            const std::size_t row = product("steps", std::size_t(batch), std::size_t(width));
            steps_ = Buffer<T>(product("steps", row, std::size_t(before + steps)));
            kept = Buffer<T>(product("steps", row, std::size_t(before)));
            reset();
        }
        std::size_t memory() const override { return std::size_t(batch) * std::size_t(before * width); }
        void read(T* to) const override {
            if (memory()) std::memcpy(to, kept.get(), memory() * sizeof(T));
        }
        void write(const T* from) override {
            if (memory()) std::memcpy(kept.get(), from, memory() * sizeof(T));
        }
        void reset() override {
            if (memory()) std::memset(kept.get(), 0, memory() * sizeof(T));
        }
        void run(const Values<T>& in, T* out) override {
            const long whole = before + in.steps;
            const std::size_t old = std::size_t(before * width), chunk = std::size_t(in.steps * width);
            for (long b = 0; b < batch; ++b) {
                T* const row = steps_.get() + b * whole * width;
                if (old) std::memcpy(row, kept.get() + b * before * width, old * sizeof(T));
                std::memcpy(row + old, in.data + b * in.steps * width, chunk * sizeof(T));
                if (old) std::memcpy(kept.get() + b * before * width, row + chunk, old * sizeof(T));
            }
            layer.convolve(steps_.get(), {}, batch, whole, 0, in.steps, out);
        }
    };
    std::unique_ptr<Stage<T>> stage(long batch, long steps) const override {
        constexpr long most_span = 1l << 24;  // of memory a file alone could ask for
        if (windows.padding != Windows::Padding::causal || windows.strides > 1 || windows.span() > most_span)
            return nullptr;
        return std::make_unique<Recent>(*this, batch, steps);
    }
};

// The largest value, or the mean, of windows.
template <class T, bool largest>
class Pooling final : public Layer<T> {
    Windows windows;

 public:
    explicit Pooling(const Place& place) {
        const Config& config = place.config;
        const long size = config.integer("pool_size", 1, most_rows);
        const long strides = config.is_null("strides") ? size : config.integer("strides", 1, most_rows);
        windows = {size, strides, 1, Windows::padding_of(config, false), config.where()};
        this->in = place.in, this->out = windows.out(place, place.in.features);
    }
    long steps_of(long steps) const override { return windows.count(steps); }
    void run(const Values<T>& in, T* out, Mask& mask) const override {
        const long count = windows.count(in.steps), before = windows.before(in.steps), width = in.features;
        Mask left(mask.empty() ? 0 : std::size_t(in.batch * count));
        for (long b = 0; b < in.batch; ++b)
            for (long t = 0; t < count; ++t, out += width) {
                long counted = 0;
                std::fill(out, out + width, largest ? -std::numeric_limits<T>::infinity() : T(0));
                const long first = std::max(0l, t * windows.strides - before);
                const long end = std::min(in.steps, t * windows.strides - before + windows.size);
                for (long step = first; step < end; ++step) {
                    if (!mask.empty() && !mask[std::size_t(b * in.steps + step)]) continue;
                    ++counted;
                    const T* const x = in.data + (b * in.steps + step) * width;
                    for (long j = 0; j < width; ++j)
                        if (!largest)
                            out[j] += x[j];
                        else if (x[j] > out[j] || x[j] != x[j])
                            out[j] = x[j];
                }
                if (largest && !counted) std::fill(out, out + width, T(0));
                for (long j = 0; !largest && j < width; ++j) out[j] /= T(std::max(counted, 1l));
                if (!left.empty()) left[std::size_t(b * count + t)] = counted > 0;
            }
        mask = std::move(left);
    }
};

}  // namespace

template <class T>
std::unique_ptr<Layer<T>> window_layer(const std::string& kind, const Place& place) {
    if (kind == "Conv1D") return std::make_unique<Conv1D<T>>(place);
    if (kind == "MaxPooling1D") return std::make_unique<Pooling<T, true>>(place);
    if (kind == "AveragePooling1D") return std::make_unique<Pooling<T, false>>(place);
    return nullptr;
}

template std::unique_ptr<Layer<float>> window_layer(const std::string&, const Place&);
template std::unique_ptr<Layer<double>> window_layer(const std::string&, const Place&);

}  // namespace lstmcore
