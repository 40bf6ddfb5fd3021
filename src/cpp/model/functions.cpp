// Activations of whole arrays, as python/lstmcore/activations has them: what the core computes there it computes here,
// and what NumPy does there with plain arithmetic is done here in the same order, so that the bits are the same. (But
// for softmax, whose exponential is NumPy's there: it agrees to rounding.)
#include <cmath>

#include "model/layer.hpp"
#include "runtime/kernel_table.hpp"

namespace lstmcore {
namespace {

template <class T>
T at_least(T x, T low) {  // NaN stays NaN
    return x > low || x != x ? x : low;
}
template <class T>
T at_most(T x, T high) {
    return x < high || x != x ? x : high;
}

template <class T, T (*f)(T)>
void each(T* x, std::size_t rows, std::size_t columns, int) {
    for (T* const end = x + rows * columns; x != end; ++x) *x = f(*x);
}
template <class T>
T relu(T x) {
    return at_least(x, T(0));
}
template <class T>
T relu6(T x) {
    return at_most(x > T(0) ? x : T(0), T(6));  // of NaN 0, as in Python
}
template <class T>
T leaky_relu(T x) {
    return x > T(0) ? x : T(0.2) * x;
}
template <class T>
T hard_sigmoid(T x) {
    return at_most(at_least(x + T(3), T(0)), T(6)) / T(6);
}
template <class T>
T hard_tanh(T x) {
    return at_most(at_least(x, T(-1)), T(1));
}
template <class T>
T softsign(T x) {
    return x / (T(1) + std::abs(x));
}
template <class T>
void linear(T*, std::size_t, std::size_t, int) {}
template <class T>
void tanh(T* x, std::size_t rows, std::size_t columns, int) {
    kernels<T>().tanh(x, x, rows * columns);
}
template <class T>
void sigmoid(T* x, std::size_t rows, std::size_t columns, int) {
    kernels<T>().sigmoid(x, x, rows * columns);
}
template <class T>
void softmax(T* x, std::size_t rows, std::size_t columns, int threads) {
    if (!rows || !columns) return;
    SoftmaxProblem<T> p{};
    p.rows = long(rows), p.columns = long(columns), p.count = 1, p.scale = T(1), p.x = x, p.threads = threads;
    kernels<T>().softmax(p);
}

template <class T>
struct NamedFunction {
    const char* name;
    RowFunction<T> function;
};
template <class T>
constexpr NamedFunction<T> functions[] = {
    {"linear", {linear<T>}},
    {"tanh", {tanh<T>}},
    {"sigmoid", {sigmoid<T>}},
    {"softmax", {softmax<T>}},
    {"relu", {each<T, relu<T>>}},
    {"relu6", {each<T, relu6<T>>}},
    {"leaky_relu", {each<T, leaky_relu<T>>}},
    {"hard_sigmoid", {each<T, hard_sigmoid<T>>}},
    {"hard_tanh", {each<T, hard_tanh<T>>}},
    {"softsign", {each<T, softsign<T>>}},
};

}  // namespace

template <class T>
RowFunction<T> row_function(const Config& config, const char* name) {
    const Json& given = config.value(name);
    if (given.is_null()) return {linear<T>};
    if (given.is_string())
        for (const NamedFunction<T>& known : functions<T>)
            if (given == known.name) return known.function;
    config.not_offered(std::string(name) + ": " + shown(given));
}

template RowFunction<float> row_function(const Config&, const char*);
template RowFunction<double> row_function(const Config&, const char*);

}  // namespace lstmcore
