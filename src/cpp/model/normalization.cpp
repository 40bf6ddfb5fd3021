// Normalisations along the features, in the order of NumPy's sums, so that the bits are those of Python.
#include <cmath>
#include <limits>

#include "model/layer.hpp"

namespace lstmcore {
namespace {

// f(0) + ... + f(n - 1), as NumPy adds up a contiguous row: pairwise, in blocks of eight.
template <class T, class F>
T pairwise_sum(F f, std::size_t begin, std::size_t n) {
    if (n < 8) {
        T sum = 0;
        for (std::size_t k = 0; k < n; ++k) sum += f(begin + k);
        return sum;
    }
    if (n > 128) {
        const std::size_t half = n / 2 - n / 2 % 8;
        return pairwise_sum<T>(f, begin, half) + pairwise_sum<T>(f, begin + half, n - half);
    }
    T r[8];
    for (std::size_t j = 0; j < 8; ++j) r[j] = f(begin + j);
    std::size_t k = 8;
    for (; k < n - n % 8; k += 8)
        for (std::size_t j = 0; j < 8; ++j) r[j] += f(begin + k + j);
    T sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
    for (; k < n; ++k) sum += f(begin + k);
    return sum;
}

void only_features(const Place& place) {
    const Json& axis = place.config.value("axis");
    const bool last = axis == -1 || (axis.is_array() && axis.size() == 1 && axis[0] == -1);
    if (!last) place.config.not_offered("axis: " + shown(axis));
    if (!place.in.features)
        throw ModelError(ErrorKind::format, place.config.where() + ": inputs: expected numbers, got integers");
}

template <class T>
T epsilon_of(const Config& config) {
    return T(config.number("epsilon", 0, std::numeric_limits<double>::max()));
}

// LayerNormalization and RMSNormalization: of every vector by itself.
template <class T>
class RowNormalization final : public Layer<T> {
    const T epsilon;
    bool from_mean, subtracts;  // measured from the mean; which is subtracted
    Buffer<T> gamma, beta;

 public:
    RowNormalization(const Place& place, bool rms) : epsilon(epsilon_of<T>(place.config)) {
        only_features(place);
        const long width = place.in.features;
        const bool scaling = !rms && place.config.flag("rms_scaling");
        from_mean = !rms, subtracts = !rms && !scaling;
        if (rms)
            gamma = place.file.weights<T>(place.path + "scale", {width});
        else if (scaling || place.config.flag("scale"))
            gamma = place.file.weights<T>(place.path + "gamma", {width});
        if (!rms && !scaling && place.config.flag("center")) beta = place.file.weights<T>(place.path + "beta", {width});
        this->in = this->out = place.in;
    }
    void run(const Values<T>& in, T* out, Mask&) const override {
        const std::size_t width = std::size_t(in.features);
        const T* x = in.data;
        for (std::size_t row = in.rows(); row; --row, x += width, out += width) {
            T mean = 0;
            if (from_mean) mean = pairwise_sum<T>([&](std::size_t k) { return x[k]; }, 0, width) / T(width);
            const auto square = [&](std::size_t k) {
                const T d = from_mean ? x[k] - mean : x[k];
                return d * d;
            };
            const T inverse = T(1) / std::sqrt(pairwise_sum<T>(square, 0, width) / T(width) + epsilon);
            for (std::size_t k = 0; k < width; ++k) {
                const T normal = (subtracts ? x[k] - mean : x[k]) * inverse;
                out[k] = gamma.get() ? normal * gamma.get()[k] : normal;
                if (beta.get()) out[k] += beta.get()[k];
            }
        }
    }
    bool stepwise() const override { return true; }
};

// With the averages of training: a factor and a shift for every feature.
template <class T>
class BatchNormalization final : public Layer<T> {
    Buffer<T> factor, shift;

 public:
    explicit BatchNormalization(const Place& place) {
        only_features(place);
        const long width = place.in.features;
        const T epsilon = epsilon_of<T>(place.config);
        const auto vector = [&](const char* name) { return place.file.weights<T>(place.path + name, {width}); };
        const Buffer<T> mean = vector("moving_mean"), variance = vector("moving_variance");
        Buffer<T> gamma, beta;
        if (place.config.flag("scale")) gamma = vector("gamma");
        if (place.config.flag("center")) beta = vector("beta");
        if (place.config.flag("renorm"))
            for (const char* name : {"moving_stddev", "renorm_mean", "renorm_stddev"}) vector(name);  // of training
        factor = Buffer<T>(std::size_t(width)), shift = Buffer<T>(std::size_t(width));
        for (long k = 0; k < width; ++k) {
            T f = T(1) / std::sqrt(variance.get()[k] + epsilon);
            if (gamma.get()) f *= gamma.get()[k];
            T s = -mean.get()[k] * f;
            if (beta.get()) s += beta.get()[k];
            factor.get()[k] = f, shift.get()[k] = s;
        }
        this->in = this->out = place.in;
    }
    void run(const Values<T>& in, T* out, Mask&) const override {
        const T* x = in.data;
        for (std::size_t row = in.rows(); row; --row, x += in.features, out += in.features)
            for (long k = 0; k < in.features; ++k) out[k] = x[k] * factor.get()[k] + shift.get()[k];
    }
    bool stepwise() const override { return true; }
};

}  // namespace

template <class T>
std::unique_ptr<Layer<T>> normalization_layer(const std::string& kind, const Place& place) {
    if (kind == "LayerNormalization") return std::make_unique<RowNormalization<T>>(place, false);
    if (kind == "RMSNormalization") return std::make_unique<RowNormalization<T>>(place, true);
    if (kind == "BatchNormalization") return std::make_unique<BatchNormalization<T>>(place);
    return nullptr;
}

template std::unique_ptr<Layer<float>> normalization_layer(const std::string&, const Place&);
template std::unique_ptr<Layer<double>> normalization_layer(const std::string&, const Place&);

}  // namespace lstmcore
