// The recurrent layers, one way and both.
#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "model/layer.hpp"
#include "runtime/passes.hpp"
#include "runtime/stream.hpp"

namespace lstmcore {
namespace {

const CellInfo* cell_of(const std::string& layer) {
    for (const CellInfo* cell = cells; cell->name; ++cell)
        if (layer == cell->layer) return cell;
    return nullptr;
}

Activation activation_of(const Config& config, const char* name) {
    if (!config.value(name).is_string()) config.not_offered(std::string(name) + ": " + shown(config.value(name)));
    const std::string text = config.text(name);
    for (int kind = 0; activations[kind].name; ++kind)
        if (text == activations[kind].name)
            return {ActivationKind(kind), activations[kind].alpha, activations[kind].beta};
    config.not_offered(std::string(name) + ": " + text);
}

void read_activations(CellOptions& o, const Config& config, const CellInfo& cell) {
    const Activation none{ActivationKind::linear, 0, 0};
    if (cell.activations == 0) return;
    o.activation = activation_of(config, "activation");
    if (!config.is_null("clip")) o.clip = config.number("clip", 0, std::numeric_limits<double>::max());
    if (cell.activations < 2) return;
    o.recurrent_activation = activation_of(config, "recurrent_activation");
    if (cell.activations < 3) return;
    const Json& output = config.value("output_activation");
    if (!output.is_boolean())
        o.output_activation = activation_of(config, "output_activation");
    else
        o.output_activation = output.get<bool>() ? o.activation : none;
    if (!config.flag("input_activation")) o.activation = none;
}

CellOptions options_of(const Config& config, const CellInfo& cell, long units) {
    CellOptions o = plain_options();
    if (cell.has_heads) o.heads = int(config.integer("heads", 1, units));
    if (units % o.heads) config.refuse("heads", "a divisor of units=" + std::to_string(units));
    for (const OptionInfo* info = cell.options; info->name; ++info)
        o.*info->flag = std::strcmp(info->name, "projection") ? config.flag(info->name) : !config.is_null("projection");
    if (const char* contradiction = cell.contradiction(o))
        throw ModelError(ErrorKind::format, config.where() + ": " + contradiction);
    read_activations(o, config, cell);
    return o;
}

// Rates: a number for all states that have one, or one for each of them.
Zoneout zoneout_of(const Config& config, const CellInfo& cell) {
    Zoneout zoneout{};
    const Json& given = config.value("zoneout");
    const auto rate = [&](const Json& value) {
        if (!value.is_number() || !(value.get<double>() >= 0 && value.get<double>() <= 1))
            config.refuse("zoneout", "rates from 0 to 1");
        return value.get<double>();
    };
    if (given.is_array()) {
        if (given.size() != (cell.zoneout_of_c ? 2 : 1)) config.refuse("zoneout", "a rate for each state that has one");
        zoneout.h = rate(given[0]);
        if (cell.zoneout_of_c) zoneout.c = rate(given[1]);
    } else {
        zoneout.h = rate(given), zoneout.c = cell.zoneout_of_c ? zoneout.h : 0;
    }
    return zoneout;
}

template <class T>
class RecurrentStage final : public Stage<T> {
    StreamOf<T> stream;
    const long batch, outputs;

 public:
    RecurrentStage(const std::shared_ptr<const CellWeights>& weights, long batch, long steps, const Zoneout& zoneout)
        : stream(weights, batch, steps, zoneout), batch(batch), outputs(weights->shape.outputs) {}

    void run(const Values<T>& in, T* out) override {
        stream.is_brief(in.steps);  // takes the working space for that many
        stream.run({in.data, in.steps * in.features, in.features, -1, nullptr, nullptr, nullptr},
                   {out, in.steps * outputs, outputs, -1, nullptr, nullptr, nullptr});
    }
    std::size_t memory() const override {
        std::size_t size = 0;
        for (int k = 0; k < stream.state_count(); ++k) size += std::size_t(batch * stream.state_width(k));
        return size;
    }
    void read(T* to) const override {
        T* parts[most_states] = {};
        for (int k = 0; k < stream.state_count(); ++k) parts[k] = to, to += batch * stream.state_width(k);
        stream.read_states(parts);
    }
    void write(const T* from) override {
        const T* parts[most_states] = {};
        for (int k = 0; k < stream.state_count(); ++k) parts[k] = from, from += batch * stream.state_width(k);
        stream.write_states(parts);
    }
    void reset() override { stream.reset(); }
};

template <class T>
void reverse_steps(T* data, long batch, long steps, long width) {
    for (long b = 0; b < batch; ++b, data += steps * width)
        for (long t = 0; t < steps / 2; ++t)
            std::swap_ranges(data + t * width, data + (t + 1) * width, data + (steps - 1 - t) * width);
}

void reverse_mask(Mask& mask, long batch, long steps) {
    if (!mask.empty()) reverse_steps(mask.data(), batch, steps, 1);
}

template <class T>
class Recurrent final : public Layer<T> {
    std::shared_ptr<const CellWeights> weights;
    Zoneout zoneout;
    bool zero_output = false;

    void pack_weights(const Place& place, CellDescription& d) {
        GivenWeights<T> given;
        std::vector<Buffer<T>> held;
        for (const WeightInfo& info : d.weights) {
            std::vector<std::int64_t> shape;
            for (const Dim& dim : info.dims) shape.push_back(dim.size);
            held.push_back(place.file.weights<T>(place.path + info.name, shape));
            pointer_of(given.arrays, info.role) = held.back().get();
            if (MatrixStrides* strides = given.strides_of(info.role)) *strides = {shape[1], 1};
        }
        weights = pack<T>(d, given);
    }

 public:
    bool return_sequences, backwards;

    Recurrent(const CellInfo& cell, const Place& place) {
        const Config& config = place.config;
        if (!place.in.sequence || !place.in.features)
            throw ModelError(ErrorKind::format, config.where() + ": inputs: expected sequences of vectors");
        for (const char* name : {"stateful", "return_state"})
            if (config.flag(name)) config.not_offered(std::string(name) + "=True");
        return_sequences = config.flag("return_sequences"), backwards = config.flag("go_backwards");
        zero_output = config.flag("zero_output_for_mask");
        CellDescription d;
        d.cell = &cell;
        d.shape.inputs = place.in.features, d.shape.units = config.integer("units", 1, most_rows);
        d.options = options_of(config, *d.cell, d.shape.units);
        d.gates = d.cell->gates(d.options);
        d.shape.outputs = d.options.projection ? config.integer("projection", 1, d.shape.units) : d.shape.units;
        zoneout = zoneout_of(config, *d.cell);
        const bool zones = zoneout.h > 0 || zoneout.c > 0;
        d.staged = (zones && !d.cell->zoneout_is_fused) || !d.cell->is_fused(d.options);
        d.has_bias = config.flag("use_bias");
        d.weights = weights_of(*d.cell, d.options, d.shape, d.has_bias);
        pack_weights(place, d);
        this->in = place.in;
        this->out = {return_sequences, return_sequences ? place.in.steps : 1, d.shape.outputs};
    }

    long width() const { return weights->shape.outputs; }

    // A pass, ready to run: writes its outputs, each at its own step, as rows of `whole` elements.
    struct Prepared {
        Buffer<T> last;
        Forward<T> pass;
    };
    void prepare(Prepared& p, const Values<T>& in, T* out, long whole, const Mask& mask, bool zero) const {
        Run<T>& run = p.pass.call;
        run.weights = weights, run.shape = weights->shape;
        run.shape.batch = in.batch, run.shape.steps = in.steps;
        run.return_sequences = return_sequences, run.backwards = backwards, run.zoneout = zoneout;
        if (!mask.empty()) run.plan = make_plan(in.batch, in.steps, mask, backwards, !zero, false);
        run.x = {in.data, in.steps * in.features, in.features, -1, nullptr, nullptr, nullptr};
        p.pass.outputs = return_sequences ? Sequence<T>{out, in.steps * whole, whole, -1, nullptr, nullptr, nullptr}
                                          : Sequence<T>{out, whole, 0, -1, nullptr, nullptr, nullptr};
        const long states = weights->cell->state_count(), widest = std::max(run.shape.units, run.shape.outputs);
        p.last = Buffer<T>(product("batch", std::size_t(states * widest), std::size_t(in.batch)));
        for (long k = 0; k < states; ++k) p.pass.last[k] = p.last.get() + k * in.batch * widest;
        p.pass.start();
    }

    void run(const Values<T>& in, T* out, Mask& mask) const override {
        Prepared p;
        prepare(p, in, out, width(), mask, zero_output);
        lstmcore::run(p.pass);
        if (!return_sequences) return mask.clear();
        if (!backwards) return;
        reverse_steps(out, in.batch, in.steps, width());
        reverse_mask(mask, in.batch, in.steps);
    }
    std::unique_ptr<Stage<T>> stage(long batch, long steps) const override {
        if (backwards) return nullptr;
        // Larger than any working space of the kernels, whose sizes then do not overflow.
        product("most_steps", product("most_steps", std::size_t(batch), std::size_t(steps)),
                std::size_t(16 * weights->shape.units));
        return std::make_unique<RecurrentStage<T>>(weights, batch, steps, zoneout);
    }
};

template <class T>
class Bidirectional final : public Layer<T> {
    enum class Merge { concat, sum, mul, ave } merge;
    std::unique_ptr<Recurrent<T>> first, second;

    static std::pair<const CellInfo*, Config> part(const Config& config, const char* name) {
        const Config description = config.object(name);
        const std::string kind = description.text("class_name");
        if (const CellInfo* found = cell_of(kind)) return {found, description.object("config")};
        config.not_offered(std::string(name) + ": " + kind.substr(0, 50));
    }

 public:
    explicit Bidirectional(const Place& place) {
        const Config& config = place.config;
        const Json& mode = config.value("merge_mode");
        if (mode == "concat")
            merge = Merge::concat;
        else if (mode == "sum")
            merge = Merge::sum;
        else if (mode == "mul")
            merge = Merge::mul;
        else if (mode == "ave")
            merge = Merge::ave;
        else
            config.not_offered("merge_mode: " + shown(mode));
        const auto [cell, forward] = part(config, "layer");
        const bool same = config.is_null("backward_layer");
        const auto [other_cell, backward] = part(config, same ? "layer" : "backward_layer");
        const auto at = [&](const std::string& name) { return place.path + name + "/"; };
        const std::string numbered = snake(other_cell->layer) + (cell == other_cell ? "_1" : "");
        first = std::make_unique<Recurrent<T>>(*cell, Place{place.file, forward, at(snake(cell->layer)), place.in});
        second = std::make_unique<Recurrent<T>>(*other_cell, Place{place.file, backward, at(numbered), place.in});
        if (same) second->backwards = !first->backwards;
        const bool fit = first->return_sequences == second->return_sequences && first->backwards != second->backwards;
        if (!fit || (merge != Merge::concat && first->width() != second->width()))
            config.refuse("backward_layer", "one that goes the other way and has outputs like those of layer");
        this->in = place.in, this->out = first->out;
        if (merge == Merge::concat) this->out.features += second->width();
    }

    void run(const Values<T>& in, T* out, Mask& mask) const override {
        const bool sequences = first->return_sequences, side_by_side = merge == Merge::concat;
        const std::size_t rows = sequences ? in.rows() : std::size_t(in.batch);
        const long width = this->out.features;
        const Buffer<T> other(side_by_side ? 0 : product("steps", rows, std::size_t(width)));
        typename Recurrent<T>::Prepared one, two;
        first->prepare(one, in, out, width, mask, sequences);
        second->prepare(two, in, side_by_side ? out + first->width() : other.get(), width, mask, sequences);
        run_both(one.pass, two.pass);
        const T* const b = other.get();
        for (std::size_t k = 0, n = side_by_side ? 0 : rows * std::size_t(width); k < n; ++k)
            out[k] = merge == Merge::mul ? out[k] * b[k] : merge == Merge::sum ? out[k] + b[k] : (out[k] + b[k]) / T(2);
        if (!sequences) return mask.clear();
        if (!first->backwards) return;
        reverse_steps(out, in.batch, in.steps, width);
        reverse_mask(mask, in.batch, in.steps);
    }
};

}  // namespace

template <class T>
std::unique_ptr<Layer<T>> recurrent_layer(const std::string& kind, const Place& place) {
    if (const CellInfo* found = cell_of(kind)) return std::make_unique<Recurrent<T>>(*found, place);
    if (kind == "Bidirectional") return std::make_unique<Bidirectional<T>>(place);
    return nullptr;
}

template std::unique_ptr<Layer<float>> recurrent_layer(const std::string&, const Place&);
template std::unique_ptr<Layer<double>> recurrent_layer(const std::string&, const Place&);

}  // namespace lstmcore
