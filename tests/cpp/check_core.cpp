// The core without Python: forward and backward against plain loops in double, for platforms and
// sanitizers where building Python is a burden. Exits with 1 and says where they differ.
//
//   cmake -B build/check -DLSTMCORE_CHECK=ON [-DCMAKE_TOOLCHAIN_FILE=…] && cmake --build build/check
//   build/check/check_core
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <limits>
#include <random>
#include <type_traits>
#include <vector>

#include "core.hpp"
#include "ctc_decode.hpp"
#include "edit_distance.hpp"
#include "ngram.hpp"
#include "threads.hpp"

using namespace lstmcore;

template <class T>
const Kernels<T>& kernels() {
    if constexpr (sizeof(T) == 4)
        return instruction_set().f32;
    else
        return instruction_set().f64;
}

struct Doubles : std::vector<double> {
    using std::vector<double>::vector;
    template <class T>
    std::vector<T> as() const {
        return std::vector<T>(begin(), end());
    }
};

struct Case {
    long batch, steps, inputs, units;
    Doubles x, kernel, recurrent, bias, h0, c0, dy;
    // expected
    Doubles h, c, dx, dkernel, drecurrent, dbias, dh0, dc0;

    Case(long batch, long steps, long inputs, long units, unsigned seed)
        : batch(batch), steps(steps), inputs(inputs), units(units) {
        std::mt19937 generator(seed);
        std::normal_distribution<double> normal;
        const auto random = [&](long n, double scale) {
            Doubles values(n);
            for (double& v : values) v = float(scale * normal(generator));  // the same in float and double
            return values;
        };
        const long gates = 4 * units;
        x = random(batch * steps * inputs, 1), dy = random(batch * steps * units, 1);
        kernel = random(inputs * gates, 0.2), recurrent = random(units * gates, 0.2), bias = random(gates, 1);
        h0 = random(batch * units, 1), c0 = random(batch * units, 1);
        expect();
    }

    void expect() {
        const long gates = 4 * units;
        const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
        Doubles saved(batch * steps * gates);
        h.resize(batch * steps * units), c.resize(batch * steps * units);
        dx.assign(x.size(), 0), dkernel.assign(kernel.size(), 0), drecurrent.assign(recurrent.size(), 0);
        dbias.assign(gates, 0), dh0.assign(h0.size(), 0), dc0.assign(c0.size(), 0);
        for (long b = 0; b < batch; ++b) {
            const auto previous = [&](const Doubles& all, const Doubles& initial, long t, long u) {
                return t ? all[(b * steps + t - 1) * units + u] : initial[b * units + u];
            };
            for (long t = 0; t < steps; ++t) {
                double* gate = &saved[(b * steps + t) * gates];
                for (long g = 0; g < gates; ++g) {
                    double sum = bias[g];
                    for (long k = 0; k < inputs; ++k) sum += x[(b * steps + t) * inputs + k] * kernel[k * gates + g];
                    for (long k = 0; k < units; ++k) sum += previous(h, h0, t, k) * recurrent[k * gates + g];
                    gate[g] = g / units == 2 ? std::tanh(sum) : sigmoid(sum);
                }
                for (long u = 0; u < units; ++u) {
                    const double cell = gate[units + u] * previous(c, c0, t, u) + gate[u] * gate[2 * units + u];
                    c[(b * steps + t) * units + u] = cell;
                    h[(b * steps + t) * units + u] = gate[3 * units + u] * std::tanh(cell);
                }
            }
            Doubles dh(units, 0), dc(units, 0), dpre(gates);
            for (long t = steps - 1; t >= 0; --t) {
                const double* gate = &saved[(b * steps + t) * gates];
                for (long u = 0; u < units; ++u) {
                    const double i = gate[u], f = gate[units + u], g = gate[2 * units + u], o = gate[3 * units + u];
                    const double tanh_c = std::tanh(c[(b * steps + t) * units + u]);
                    const double dhu = dh[u] + dy[(b * steps + t) * units + u];
                    const double dcu = dc[u] + dhu * o * (1 - tanh_c * tanh_c);
                    dpre[u] = dcu * g * i * (1 - i);
                    dpre[units + u] = dcu * previous(c, c0, t, u) * f * (1 - f);
                    dpre[2 * units + u] = dcu * i * (1 - g * g);
                    dpre[3 * units + u] = dhu * tanh_c * o * (1 - o);
                    dc[u] = dcu * f;
                }
                std::fill(dh.begin(), dh.end(), 0.0);
                for (long g = 0; g < gates; ++g) {
                    dbias[g] += dpre[g];
                    for (long k = 0; k < inputs; ++k) {
                        dkernel[k * gates + g] += x[(b * steps + t) * inputs + k] * dpre[g];
                        dx[(b * steps + t) * inputs + k] += kernel[k * gates + g] * dpre[g];
                    }
                    for (long k = 0; k < units; ++k) {
                        drecurrent[k * gates + g] += previous(h, h0, t, k) * dpre[g];
                        dh[k] += recurrent[k * gates + g] * dpre[g];
                    }
                }
            }
            std::copy(dh.begin(), dh.end(), dh0.begin() + b * units);
            std::copy(dc.begin(), dc.end(), dc0.begin() + b * units);
        }
    }
};

template <class T>
bool close(const Case& s, int threads, const char* what, const std::vector<T>& got, const Doubles& want) {
    double error = 0, scale = 1e-30;
    for (std::size_t k = 0; k < want.size(); ++k) {
        error = std::max(error, std::abs(double(got[k]) - want[k]));
        scale = std::max(scale, std::abs(want[k]));
    }
    // Rounding of some hundred terms, a few times over: 2e-5 and 1e-12 leave it a factor of ten.
    if (error <= (sizeof(T) == 4 ? 2e-5 : 1e-12) * scale) return true;
    std::printf("%s%d batch %ld steps %ld inputs %ld units %ld threads %d: %s differs by %g of %g\n", "float",
                int(8 * sizeof(T)), s.batch, s.steps, s.inputs, s.units, threads, what, error, scale);
    return false;
}

template <class Problem>
struct Pass {
    void (*function)(const Problem&, const Team&);
    const Problem* problem;
};

template <class Problem>
void run(void (*function)(const Problem&, const Team&), const Problem& problem) {
    const Pass<Problem> pass{function, &problem};
    parallel(
        problem.threads,
        [](const void* context, const Team& team) {
            const Pass<Problem>& pass = *static_cast<const Pass<Problem>*>(context);
            pass.function(*pass.problem, team);
        },
        &pass);
}

// The LSTM, by its fused kernel or by the one that can do every option.
template <class T>
bool check(const Case& s, int threads, bool staged) {
    const CellKernels<T>& cell = staged ? kernels<T>().staged_lstm : kernels<T>().lstm;
    const RecurrentShape shape{s.batch, s.steps, s.inputs, s.units, s.units};
    CellOptions options{};
    options.activation = Activation::tanh, options.recurrent_activation = Activation::sigmoid;
    options.input_gate = options.forget_gate = options.output_gate = true;
    options.input_activation = options.output_activation = true;
    const long row = s.batch * s.units;
    const std::vector<T> x = s.x.as<T>(), dy = s.dy.as<T>(), kernel = s.kernel.as<T>(), recurrent = s.recurrent.as<T>(),
                         bias = s.bias.as<T>(), h0 = s.h0.as<T>(), c0 = s.c0.as<T>();

    const PackedSizes sizes = cell.packed_sizes(shape, options);
    std::vector<T> packed(sizes.kernel), packed_r(sizes.recurrent), packed_b(sizes.bias),
        packed_k_t(sizes.kernel_transposed), packed_r_t(sizes.recurrent_transposed);
    PackProblem<T> pack{};
    pack.shape = shape, pack.options = options, pack.threads = threads;
    pack.weights.kernel = kernel.data(), pack.weights.recurrent = recurrent.data(), pack.weights.bias = bias.data();
    pack.packed.kernel = packed.data(), pack.packed.recurrent = packed_r.data(), pack.packed.bias = packed_b.data();
    pack.packed.kernel_transposed = packed_k_t.data(), pack.packed.recurrent_transposed = packed_r_t.data();
    cell.pack(pack);

    const auto every_step = [&](auto* data, long width) {  // (batch, steps, width)
        return Sequence<std::remove_pointer_t<decltype(data)>>{data,    s.steps * width, width,  -1,
                                                               nullptr, nullptr,         nullptr};
    };
    const auto kept = [&](auto* data, long width) {  // (steps, batch, width)
        return Sequence<std::remove_pointer_t<decltype(data)>>{data,    width,   s.batch * width, -1,
                                                               nullptr, nullptr, nullptr};
    };
    const long saved_width = long(cell.saved(shape, options));
    std::vector<T> h(s.h.size()), c(row * s.steps), saved(s.steps * s.batch * saved_width);
    ForwardProblem<T> forward{};
    forward.shape = shape, forward.options = options, forward.weights = pack.packed, forward.threads = threads;
    forward.x = every_step(x.data(), s.inputs);
    forward.h0 = h0.data(), forward.c0 = c0.data();
    forward.h = every_step(h.data(), s.units), forward.c = kept(c.data(), s.units);
    forward.saved = kept(saved.data(), saved_width);
    std::vector<T> workspace(cell.forward_workspace(forward));
    forward.workspace = workspace.data();
    run(cell.forward, forward);

    std::vector<T> dx(x.size()), dkernel(kernel.size()), drecurrent(recurrent.size()), dbias(bias.size()), dh0(row),
        dc(row);
    BackwardProblem<T> backward{};
    backward.shape = shape, backward.options = options, backward.weights = pack.packed, backward.threads = threads;
    backward.x = forward.x, backward.h0 = h0.data(), backward.c0 = c0.data();
    backward.h = every_step(static_cast<const T*>(h.data()), s.units);
    backward.c = kept(static_cast<const T*>(c.data()), s.units);
    backward.saved = kept(static_cast<const T*>(saved.data()), saved_width);
    backward.dh = every_step(dy.data(), s.units), backward.dx = every_step(dx.data(), s.inputs);
    backward.gradients.kernel = dkernel.data(), backward.gradients.recurrent = drecurrent.data();
    backward.gradients.bias = dbias.data();
    backward.dh0 = dh0.data(), backward.dc0 = dc.data(), backward.need_dh0 = true;
    workspace.resize(cell.backward_workspace(backward));
    backward.workspace = workspace.data();
    run(cell.backward, backward);

    const bool right[] = {
        close(s, threads, "h", h, s.h),
        close(s, threads, "dx", dx, s.dx),
        close(s, threads, "dkernel", dkernel, s.dkernel),
        close(s, threads, "drecurrent", drecurrent, s.drecurrent),
        close(s, threads, "dbias", dbias, s.dbias),
        close(s, threads, "dh0", dh0, s.dh0),
        close(s, threads, "dc0", dc, s.dc0),
    };
    return std::all_of(std::begin(right), std::end(right), [](bool r) { return r; });
}

// What the decoders find does not depend on threads, with a language model and without.
bool check_decoders() {
    const long batch = 13, steps = 40, classes = 4;
    std::mt19937 random(1);
    std::vector<double> inputs(batch * steps * classes);
    for (double& x : inputs) x = std::normal_distribution<double>()(random);
    std::vector<int64_t> lengths, labels, first{0};
    for (long b = 0; b < batch; ++b) lengths.push_back(steps - 3 * b);
    NGramTable table({"a", "b", "c"}, -1, -1, -1, -20);
    for (int a = 0; a < 3; ++a) {
        table.add({a}, -1 - 0.1 * a, -0.5);
        table.add({a, 2 - a}, -0.7, 0);
    }
    table.finish();
    NGramScorer scorer(table, {"", "a", "b", "c"}, -1, 0.8, 0.5);
    bool right = true;
    for (Scorer* lm : {static_cast<Scorer*>(nullptr), static_cast<Scorer*>(&scorer)}) {
        const BeamOptions options{8, 3, -std::numeric_limits<double>::infinity(), 0.5, lm, true};
        std::vector<std::vector<Labeling>> found[2];
        for (int k = 0; k < 2; ++k) {
            bool unused;
            const CtcBatch<double> problem{batch,          steps, classes,           inputs.data(),
                                           lengths.data(), 0,     CtcInputs::logits, 1 + 2 * k};
            right &= ctc_beam_search(problem, options, found[k], unused).kind == CtcFault::none;
        }
        for (long b = 0; b < batch; ++b)
            for (std::size_t k = 0; k < found[0][b].size(); ++k) {
                right &= found[0][b][k].labels == found[1][b][k].labels && found[0][b][k].score == found[1][b][k].score;
                labels.insert(labels.end(), found[0][b][k].labels.begin(), found[0][b][k].labels.end());
                first.push_back(int64_t(labels.size()));
            }
    }
    const long pairs = long(first.size()) - 2;
    std::vector<int64_t> counts(3 * pairs), again(3 * pairs);
    right &= edit_distances({pairs, labels.data(), first.data(), labels.data(), first.data() + 1, counts.data(), 1});
    right &= edit_distances({pairs, labels.data(), first.data(), labels.data(), first.data() + 1, again.data(), 3});
    right &= counts == again;
    if (!right) std::printf("decoders: the result depends on threads\n");
    return right;
}

int main() {
    std::printf("instruction set %s, %s\n", instruction_set().name, threading_runtime());
    const long shapes[][4] = {{1, 1, 1, 1},   {1, 9, 7, 5},    {2, 3, 20, 33},  {5, 12, 6, 50},   {7, 4, 1, 16},
                              {13, 6, 3, 64}, {32, 5, 70, 17}, {40, 20, 8, 90}, {3, 2, 300, 140}, {600, 1, 4, 6}};
    int failures = 0, cases = 0;
    for (const auto& [batch, steps, inputs, units] : shapes) {
        const Case s(batch, steps, inputs, units, unsigned(++cases));
        for (int threads : {1, 2, 3})
            for (bool staged : {false, true})
                failures += !check<float>(s, threads, staged) + !check<double>(s, threads, staged);
    }
    failures += !check_decoders();
    std::printf("%d passed, %d failed\n", 12 * cases + 1 - failures, failures);
    return failures ? 1 : 0;
}
