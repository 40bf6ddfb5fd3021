#include "model/model.hpp"

#include <utility>

namespace lstmcore {
namespace {

// What comes in, of the shape that the model was built for, (batch, ...).
Form form_of(const Config& config, bool integers) {
    const Json& shape = config.list("input_shape");
    std::vector<long> sizes;
    for (const Json& n : shape) {
        if (!n.is_null() && !(n.is_number_unsigned() && n.get<std::uint64_t>() <= std::uint64_t(most_rows)))
            config.refuse("input_shape", "a list of sizes and nulls");
        sizes.push_back(n.is_null() ? 0 : long(n.get<std::uint64_t>()));
    }
    const std::size_t axes = integers ? sizes.size() + 1 : sizes.size();
    if (axes != 2 && axes != 3) config.not_offered("inputs of " + std::to_string(sizes.size()) + " axes");
    const long features = integers ? 0 : sizes.back();
    if (!integers && !features) config.refuse("input_shape", "a number of features");
    return axes == 3 ? Form{true, sizes[1], features} : Form{false, 1, features};
}

// The class of the layer that takes the inputs.
std::string kind_of_first(const Config& config) {
    for (const Json& layer : config.list("layers")) {
        const std::string kind = Config(layer, config.where() + ": layers").text("class_name");
        if (kind != "InputLayer") return kind;
    }
    config.refuse("layers", "at least one");
}

std::string dtype_of_first(const Config& config) {
    for (const Json& layer : config.list("layers")) {
        const Config description(layer, config.where() + ": layers");
        if (description.text("class_name") != "InputLayer") return description.object("config").text("dtype");
    }
    config.refuse("layers", "at least one");
}

}  // namespace

template <class T>
std::unique_ptr<Layer<T>> made_layer(const ModelFile& file, const Json& description, const std::string& prefix,
                                     std::map<std::string, int>& seen, const Form& in) {
    const Config whole(description, "layers");
    const std::string kind = whole.text("class_name");
    const Json& own = whole.object("config").value("name").is_string() ? whole.value("config") : description;
    const Config config(own, Config(own, "layers").text("name").substr(0, 50) + " (" + kind.substr(0, 50) + ")");
    if (whole.text("module") != "lstmcore.layers") config.not_offered("a layer of your own");
    const char* const dtype = sizeof(T) == 4 ? "float32" : "float64";
    if (config.value("dtype") != dtype)
        config.not_offered("dtype " + shown(config.value("dtype")) + " in a model of " + dtype);
    const std::string name = snake(kind);
    const int count = seen[name]++;
    const Place place{file, config, prefix + name + (count ? "_" + std::to_string(count) : "") + "/", in};
    if (auto layer = recurrent_layer<T>(kind, place)) return layer;
    if (auto layer = plain_layer<T>(kind, place)) return layer;
    if (auto layer = window_layer<T>(kind, place)) return layer;
    if (auto layer = normalization_layer<T>(kind, place)) return layer;
    config.not_offered("a layer of this class");
}

template <class T>
Chain<T>::Chain(const ModelFile& file, const Config& model) {
    const Config config = model.object("config");
    Form form = form_of(model.object("build_config"), kind_of_first(config) == "Embedding");
    std::map<std::string, int> seen;
    for (const Json& description : config.list("layers")) {
        if (Config(description, "layers").text("class_name") == "InputLayer") continue;
        layers.push_back(made_layer<T>(file, description, "", seen, form));
        form = layers.back()->out;
    }
    file.all_taken();
}

template <class T>
long Chain<T>::steps_of(long steps) const {
    for (const auto& layer : layers) steps = layer->steps_of(steps);
    return steps;
}

template <class T>
void Chain<T>::run(const Values<T>& in, T* out, Mask mask) const {
    if (!in.batch) return;
    Values<T> values = in;
    Buffer<T> held;
    for (const auto& layer : layers) {
        const bool last = layer == layers.back();
        const long steps = layer->steps_of(values.steps), features = layer->out.features;
        Buffer<T> room(last ? 0 : product("steps", product("batch", values.batch, steps), features));
        layer->run(values, last ? out : room.get(), mask);
        held = std::move(room);
        values = {held.get(), nullptr, values.batch, steps, features, layer->out.sequence};
    }
}

Model::Model(const ModelFile& file, const Config& description, bool float32)
    : chain_(float32 ? decltype(chain_)(std::in_place_index<0>, file, description)
                     : decltype(chain_)(std::in_place_index<1>, file, description)),
      fingerprint(file.fingerprint()) {}

std::shared_ptr<const Model> Model::load(const unsigned char* data, std::size_t size) {
    const ModelFile file(data, size);
    const Config all(file.description, "the file");
    if (all.text("kind") != "model") all.refuse("kind", "a model");
    if (file.description.contains("quantized")) all.not_offered("a quantized model");
    const Config model = all.object("model");
    const std::string kind = model.text("class_name");
    if (model.text("module") != "lstmcore.models" || kind != "Sequential")
        model.not_offered("a model of class " + kind.substr(0, 50) + ", which is no Sequential,");
    const std::string dtype = dtype_of_first(model.object("config"));
    if (dtype != "float32" && dtype != "float64") model.not_offered("dtype " + dtype.substr(0, 50));
    return std::shared_ptr<const Model>(new Model(file, model, dtype == "float32"));
}

template <class T>
ChainStream<T>::ChainStream(std::shared_ptr<const Model> given, long batch, long steps)
    : model(std::move(given)), batch(batch), most_steps(steps) {
    const auto& layers = model->template chain<T>().all();
    const std::size_t rows = product("steps", std::size_t(batch), std::size_t(steps));
    for (const auto& layer : layers) {
        stages.push_back(layer->stage(batch, steps));
        if (!stages.back())
            throw ModelError(ErrorKind::unsupported, "layer " + std::to_string(stages.size()) +
                                                         " of the model needs the whole sequence, so the model cannot "
                                                         "be streamed");
        if (layer != layers.back()) between.emplace_back(product("steps", rows, std::size_t(layer->out.features)));
    }
}

template <class T>
void ChainStream<T>::run(const Values<T>& in, T* out) {
    Values<T> values = in;
    const auto& layers = model->template chain<T>().all();
    for (std::size_t k = 0; k < stages.size(); ++k) {
        T* const to = k + 1 < stages.size() ? between[k].get() : out;
        stages[k]->run(values, to);
        values = {to, nullptr, values.batch, values.steps, layers[k]->out.features, true};
    }
}

template <class T>
void ChainStream<T>::reset() {
    for (const auto& stage : stages) stage->reset();
}

template <class T>
std::size_t ChainStream<T>::memory() const {
    std::size_t size = 0;
    for (const auto& stage : stages) size += stage->memory();
    return size;
}

template <class T>
void ChainStream<T>::read(T* to) const {
    for (const auto& stage : stages) stage->read(to), to += stage->memory();
}

template <class T>
void ChainStream<T>::write(const T* from) {
    for (const auto& stage : stages) stage->write(from), from += stage->memory();
}

template class Chain<float>;
template class Chain<double>;
template class ChainStream<float>;
template class ChainStream<double>;
template std::unique_ptr<Layer<float>> made_layer(const ModelFile&, const Json&, const std::string&,
                                                  std::map<std::string, int>&, const Form&);
template std::unique_ptr<Layer<double>> made_layer(const ModelFile&, const Json&, const std::string&,
                                                   std::map<std::string, int>&, const Form&);

}  // namespace lstmcore
