// The LSTM, by its fused kernel and by the one that can do every option, against plain loops in double.
#include "recurrent.hpp"

using namespace lstmcore;

namespace {

Results<double> by_plain_loops(const Setup& s, const Numbers<double>& in) {
    const long steps = s.steps, inputs = s.inputs, units = s.units, gates = 4 * units;
    const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
    Results<double> out;
    std::vector<double>&h = out.h, &c = out.c, saved(s.batch * steps * gates);
    h.resize(s.batch * steps * units), c.resize(h.size()), out.dx.resize(in.x.size());
    out.kernel.resize(in.kernel.size()), out.recurrent.resize(in.recurrent.size()), out.bias.resize(gates);
    for (long b = 0; b < s.batch; ++b) {
        const auto previous = [&](const std::vector<double>& all, const std::vector<double>& initial, long t, long u) {
            return t ? all[(b * steps + t - 1) * units + u] : initial[b * units + u];
        };
        for (long t = 0; t < steps; ++t) {
            double* gate = &saved[(b * steps + t) * gates];
            for (long g = 0; g < gates; ++g) {
                double sum = in.bias[g];
                for (long k = 0; k < inputs; ++k) sum += in.x[(b * steps + t) * inputs + k] * in.kernel[k * gates + g];
                for (long k = 0; k < units; ++k) sum += previous(h, in.h0, t, k) * in.recurrent[k * gates + g];
                gate[g] = g / units == 2 ? std::tanh(sum) : sigmoid(sum);
            }
            for (long u = 0; u < units; ++u) {
                const double cell = gate[units + u] * previous(c, in.c0, t, u) + gate[u] * gate[2 * units + u];
                c[(b * steps + t) * units + u] = cell;
                h[(b * steps + t) * units + u] = gate[3 * units + u] * std::tanh(cell);
            }
        }
        std::vector<double> dh(&in.dh_last[b * units], &in.dh_last[b * units] + units), dpre(gates),
            dc(&in.dc_last[b * units], &in.dc_last[b * units] + units);
        for (long t = steps - 1; t >= 0; --t) {
            const double* gate = &saved[(b * steps + t) * gates];
            for (long u = 0; u < units; ++u) {
                const double i = gate[u], f = gate[units + u], g = gate[2 * units + u], o = gate[3 * units + u];
                const double tanh_c = std::tanh(c[(b * steps + t) * units + u]);
                const double dhu = dh[u] + in.dh[(b * steps + t) * units + u];
                const double dcu = dc[u] + dhu * o * (1 - tanh_c * tanh_c);
                dpre[u] = dcu * g * i * (1 - i);
                dpre[units + u] = dcu * previous(c, in.c0, t, u) * f * (1 - f);
                dpre[2 * units + u] = dcu * i * (1 - g * g);
                dpre[3 * units + u] = dhu * tanh_c * o * (1 - o);
                dc[u] = dcu * f;
            }
            std::fill(dh.begin(), dh.end(), 0.0);
            for (long g = 0; g < gates; ++g) {
                out.bias[g] += dpre[g];
                for (long k = 0; k < inputs; ++k) {
                    out.kernel[k * gates + g] += in.x[(b * steps + t) * inputs + k] * dpre[g];
                    out.dx[(b * steps + t) * inputs + k] += in.kernel[k * gates + g] * dpre[g];
                }
                for (long k = 0; k < units; ++k) {
                    out.recurrent[k * gates + g] += previous(h, in.h0, t, k) * dpre[g];
                    dh[k] += in.recurrent[k * gates + g] * dpre[g];
                }
            }
        }
        out.dh0.insert(out.dh0.end(), dh.begin(), dh.end());
        out.dc0.insert(out.dc0.end(), dc.begin(), dc.end());
    }
    return out;
}

template <class T>
int check(const Setup& s, unsigned seed, int& cases) {
    const Results<double> want = by_plain_loops(s, Numbers<double>(s, seed));
    const Numbers<T> in(s, seed);
    int failures = 0;
    for (const int threads : {1, 2, 3})
        for (const bool staged : {false, true}) {
            const Results<T> got = run_cell(cell_kernels<T>("lstm", staged), s, in, threads);
            ++cases;
            bool right = true;
            const auto compare = [&](const char* what, const std::vector<T>& a, const std::vector<double>& b) {
                const double error = relative_error(a, b);
                // Rounding of some hundred terms, a few times over: this leaves it a factor of ten.
                if (error <= (sizeof(T) == 4 ? 2e-5 : 1e-12)) return;
                right = false;
                std::printf("lstm%s %s batch %ld steps %ld inputs %ld units %ld threads %d: %s is off by %g\n",
                            staged ? " (staged)" : "", type_name<T>, s.batch, s.steps, s.inputs, s.units, threads, what,
                            error);
            };
            compare("h", got.h, want.h), compare("dx", got.dx, want.dx);
            compare("d kernel", got.kernel, want.kernel), compare("d recurrent", got.recurrent, want.recurrent);
            compare("d bias", got.bias, want.bias), compare("dh0", got.dh0, want.dh0),
                compare("dc0", got.dc0, want.dc0);
            failures += !right;
        }
    return failures;
}

}  // namespace

int check_lstm(int& cases) {
    const long shapes[][4] = {{1, 1, 1, 1},   {1, 9, 7, 5},    {2, 3, 20, 33},  {5, 12, 6, 50},   {7, 4, 1, 16},
                              {13, 6, 3, 64}, {32, 5, 70, 17}, {40, 20, 8, 90}, {3, 2, 300, 140}, {600, 1, 4, 6}};
    int failures = 0;
    unsigned seed = 0;
    for (const auto& [batch, steps, inputs, units] : shapes) {
        const Setup s{"", batch, steps, inputs, units, lstm_options(), 4, 0, 0, false, true, {}};
        ++seed;
        failures += check<float>(s, seed, cases) + check<double>(s, seed, cases);
    }
    return failures;
}
