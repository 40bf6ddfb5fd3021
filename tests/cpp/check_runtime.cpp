// The runtime: whole layers from arrays to arrays. The bits depend neither on the number of threads, nor on whether the
// outputs are shared, nor on other callers at the same time; a stream gives what the whole sequence gives. (What the
// numbers should be is known to the tests in Python.)
#include <thread>

#include "check.hpp"
#include "runtime/passes.hpp"
#include "runtime/stream.hpp"

using namespace lstmcore;

namespace {

struct Layer {
    const CellInfo* cell;
    bool zoneout, padding, backwards, return_sequences;
    long batch, steps, inputs, units;
};

CellOptions options_of(const CellInfo& cell) {
    CellOptions options = plain_options();
    options.activation = options.output_activation = {ActivationKind::tanh, 0, 0};
    options.recurrent_activation = {ActivationKind::sigmoid, 0, 0};
    for (const OptionInfo* option = cell.options; option->name; ++option)
        if (option->flag == &CellOptions::reset_after) options.reset_after = true;
    return options;
}

template <class T>
std::shared_ptr<const CellWeights> packed(const Layer& layer) {
    CellDescription d;
    d.cell = layer.cell, d.options = options_of(*layer.cell), d.gates = layer.cell->gates(d.options);
    d.training = d.has_bias = true;
    d.staged = (layer.zoneout && !layer.cell->zoneout_is_fused) || !layer.cell->is_fused(d.options);
    d.shape.inputs = layer.inputs, d.shape.units = d.shape.outputs = layer.units;
    d.weights = weights_of(*d.cell, d.options, d.shape, d.has_bias);
    GivenWeights<T> weights;
    std::vector<std::vector<T>> numbers;
    for (const WeightInfo& weight : d.weights) {
        numbers.push_back(Random(unsigned(numbers.size())).normal<T>(long(weight.size()), 0.2));
        pointer_of(weights.arrays, weight.role) = numbers.back().data();
        if (MatrixStrides* strides = weights.strides_of(weight.role)) *strides = {weight.dims[1].size, 1};
    }
    return pack<T>(d, weights);
}

template <class T>
Sequence<T> array(T* data, long steps, long width) {
    return {data, steps * width, width, -1, nullptr, nullptr, nullptr};
}

// All that both passes return.
template <class T>
std::vector<T> both_passes(const Layer& layer, const std::shared_ptr<const CellWeights>& weights, bool shared) {
    const long batch = layer.batch, steps = layer.steps, units = layer.units;
    Random random(11);
    const std::vector<T> x = random.normal<T>(batch * steps * layer.inputs, 1);
    const std::vector<T> dy = random.normal<T>(batch * units * (layer.return_sequences ? steps : 1), 1);
    std::vector<unsigned char> valid(batch * steps, 1);
    for (long k = 0; layer.padding && k < long(valid.size()); ++k) valid[k] = random.below(3) > 0;

    Forward<T> forward;
    forward.call.weights = weights, forward.call.shape = weights->shape;
    forward.call.shape.batch = batch, forward.call.shape.steps = steps;
    forward.call.return_sequences = layer.return_sequences, forward.call.backwards = layer.backwards;
    forward.call.has_state = true;
    forward.call.plan = make_plan(batch, steps, valid, layer.backwards, true, layer.backwards && layer.zoneout);
    forward.call.x = array(x.data(), steps, layer.inputs);
    if (layer.zoneout) forward.call.zoneout = {0.3, layer.cell->zoneout_of_c ? 0.2 : 0., true, 5};
    const int states = layer.cell->state_count();
    std::vector<T> y(batch * units * (layer.return_sequences ? steps : 1)), last(states * batch * units);
    forward.training = true, forward.shared = shared && layer.return_sequences;
    forward.outputs = layer.return_sequences ? array(y.data(), steps, units)
                                             : Sequence<T>{y.data(), units, 0, -1, nullptr, nullptr, nullptr};
    for (int k = 0; k < states; ++k) forward.last[k] = last.data() + k * batch * units;
    forward.start();
    lstmcore::run(forward);
    const Kept<T> kept = forward.keep();

    Backward<T> backward(kept);
    std::vector<T> dx(x.size()), d_initial(last.size());
    std::vector<std::vector<T>> gradients;
    for (const WeightInfo& weight : weights->weights) {
        gradients.emplace_back(weight.size());
        pointer_of(backward.gradients, weight.role) = gradients.back().data();
    }
    backward.new_gradients = true;
    backward.d_outputs = layer.return_sequences ? array(dy.data(), steps, units)
                                                : Sequence<const T>{dy.data(), units, 0, -1, nullptr, nullptr, nullptr};
    backward.d_last[0] = last.data(), backward.d_inputs = dx.data();
    for (int k = 0; k < states; ++k) backward.d_initial[k] = d_initial.data() + k * batch * units;
    backward.start();
    lstmcore::run(backward);

    std::vector<T> all;
    for (const std::vector<T>* part : {&y, &last, &dx, &d_initial}) all.insert(all.end(), part->begin(), part->end());
    for (const std::vector<T>& part : gradients) all.insert(all.end(), part.begin(), part.end());
    return all;
}

template <class T>
int check_layer(const Layer& layer, int& cases) {
    const auto weights = packed<T>(layer);
    int failures = 0;
    const auto check = [&](const std::vector<T>& got, const std::vector<T>& want, const char* what) {
        ++cases;
        if (same_bits(got, want)) return;
        ++failures;
        std::printf("runtime %s %s batch %ld steps %ld units %ld: other bits %s\n", layer.cell->name, type_name<T>,
                    layer.batch, layer.steps, layer.units, what);
    };
    set_max_threads(1);
    const std::vector<T> want = both_passes<T>(layer, weights, false);
    for (const int threads : {1, 2, 4}) {
        set_max_threads(threads);
        check(both_passes<T>(layer, weights, false), want, "with more threads");
        check(both_passes<T>(layer, weights, true), want, "of shared outputs");
    }
    set_max_threads(1);
    std::vector<T> got[3];
    std::vector<std::thread> callers;
    for (std::vector<T>& results : got) callers.emplace_back([&] { results = both_passes<T>(layer, weights, true); });
    for (std::thread& caller : callers) caller.join();
    for (const std::vector<T>& results : got) check(results, want, "beside other callers");
    set_max_threads(0);
    return failures;
}

template <class T>
int check_stream(const CellInfo& cell, int& cases) {
    const long batch = 3, steps = 7, inputs = 5, units = 20;
    const auto weights = packed<T>({&cell, false, false, false, true, batch, steps, inputs, units});
    const std::vector<T> x = Random(2).normal<T>(batch * steps * inputs, 1);
    std::vector<T> whole(batch * steps * units), pieces(whole.size());
    StreamOf<T> stream(weights, batch, steps, Zoneout{});
    const auto piece = [&](std::vector<T>& y, long t, long count) {
        stream.is_brief(count);
        Sequence<const T> from = array(x.data() + t * inputs, steps, inputs);
        stream.run(from, array(y.data() + t * units, steps, units));
    };
    piece(whole, 0, steps);
    stream.reset();
    for (long t = 0, count = 1; t < steps; t += count, count = 2) piece(pieces, t, std::min(count, steps - t));
    ++cases;
    if (same_bits(whole, pieces)) return 0;
    std::printf("runtime %s %s: other bits in pieces\n", cell.name, type_name<T>);
    return 1;
}

template <class T>
int check_all(int& cases) {
    int failures = 0;
    const long shapes[][4] = {{40, 12, 9, 50}, {3, 6, 20, 150}};
    for (const CellInfo* cell = cells; cell->name; ++cell) {
        failures += check_stream<T>(*cell, cases);
        for (const auto& [batch, steps, inputs, units] : shapes)
            for (const bool padding : {false, true})
                for (const bool zoneout : {false, true})
                    failures += check_layer<T>(
                        {cell, zoneout, padding, zoneout, padding != zoneout, batch, steps, inputs, units}, cases);
    }
    return failures;
}

}  // namespace

int check_runtime(int& cases) { return check_all<float>(cases) + check_all<double>(cases); }
