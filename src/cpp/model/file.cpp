#include "model/file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace lstmcore {
namespace {

constexpr std::size_t most_header = 100'000'000;  // as safetensors has it
constexpr int format = 1;                         // python/lstmcore/serialization/container.py
const std::string prefix = "weights/";

[[noreturn]] void damaged(const std::string& what) {
    throw ModelError(ErrorKind::format, "not a whole safetensors file: " + what);
}

Json parsed(const char* begin, const char* end, const char* what) {
    Json json = Json::parse(begin, end, nullptr, false);
    if (json.is_discarded()) damaged(std::string(what) + " is no JSON");
    if (!json.is_object()) damaged(std::string(what) + " is no JSON object");
    return json;
}

// Layers are read by recursion: what lies deeper than those of any model may not.
void check_depth(const Json& json, int left = 100) {
    if (!json.is_structured()) return;
    if (!left) throw ModelError(ErrorKind::format, "the configuration is nested too deeply");
    for (const Json& part : json) check_depth(part, left - 1);
}

std::size_t element_bytes(const std::string& dtype) {
    for (const auto& [name, bytes] : {std::pair("F64", 8),
                                      {"F32", 4},
                                      {"F16", 2},
                                      {"BF16", 2},
                                      {"I64", 8},
                                      {"I32", 4},
                                      {"I16", 2},
                                      {"I8", 1},
                                      {"U64", 8},
                                      {"U32", 4},
                                      {"U16", 2},
                                      {"U8", 1},
                                      {"BOOL", 1}})
        if (dtype == name) return std::size_t(bytes);
    damaged("unknown dtype " + dtype.substr(0, 20));
}

std::string text_of(const std::vector<std::int64_t>& shape) {
    std::string text;
    for (const std::int64_t n : shape) text += (text.empty() ? "" : ", ") + std::to_string(n);
    return "(" + text + ")";
}

StoredArray stored(const Config& entry, const unsigned char* data, std::size_t size) {
    constexpr long most = (1l << 62);
    StoredArray array{entry.text("dtype"), {}, nullptr, 0};
    std::size_t bytes = element_bytes(array.dtype);
    for (const Json& n : entry.list("shape")) {
        if (!n.is_number_unsigned()) entry.refuse("shape", "a list of sizes");
        const auto length = n.get<std::uint64_t>();
        if (__builtin_mul_overflow(bytes, length, &bytes) || length > std::uint64_t(most))
            damaged(entry.where() + ": is too large");
        array.shape.push_back(std::int64_t(length));
    }
    const Json& offsets = entry.list("data_offsets");
    if (offsets.size() != 2 || !offsets[0].is_number_unsigned() || !offsets[1].is_number_unsigned())
        entry.refuse("data_offsets", "two numbers");
    const auto begin = offsets[0].get<std::uint64_t>(), end = offsets[1].get<std::uint64_t>();
    if (begin > end || end > size || end - begin != bytes)
        damaged(entry.where() + ": its bytes are not all there, or not of its shape");
    array.data = data + begin, array.bytes = bytes;
    return array;
}

}  // namespace

ModelFile::ModelFile(const unsigned char* data, std::size_t size) {
    if (size < 8) damaged("it has " + std::to_string(size) + " bytes");
    std::uint64_t length = 0;
    for (int k = 7; k >= 0; --k) length = length << 8 | data[k];
    if (length > most_header || length > size - 8) damaged("the header is longer than the file");
    const char* const begin = reinterpret_cast<const char*>(data) + 8;
    const Json header = parsed(begin, begin + length, "the header");
    const unsigned char* const body = data + 8 + length;
    const std::size_t body_size = size - 8 - std::size_t(length);
    std::size_t last = 0;
    for (const auto& [name, entry] : header.items()) {
        if (name == "__metadata__") continue;
        const StoredArray& array = arrays.emplace(name, stored(Config(entry, name), body, body_size)).first->second;
        last = std::max(last, std::size_t(array.data - body) + array.bytes);
    }
    if (last != body_size) damaged("there are bytes of no array at its end");
    const auto metadata = header.find("__metadata__");
    const bool ours = metadata != header.end() && metadata->is_object() && metadata->contains("lstmcore") &&
                      (*metadata)["lstmcore"].is_string();
    if (!ours) throw ModelError(ErrorKind::format, "a safetensors file, but none that lstmcore has saved");
    const auto& text = (*metadata)["lstmcore"].get_ref<const std::string&>();
    description = parsed(text.data(), text.data() + text.size(), "lstmcore's part of the header");
    check_depth(description);
    const auto found = description.find("format");
    if (found == description.end() || !found->is_number_integer() || *found != format)
        throw ModelError(ErrorKind::unsupported, "expected format " + std::to_string(format) + ", got " +
                                                     (found == description.end() ? "none" : shown(*found)) +
                                                     "; a newer lstmcore may read it");
}

template <class T>
Buffer<T> ModelFile::weights(const std::string& path, const std::vector<std::int64_t>& shape) const {
    const auto found = arrays.find(prefix + path);
    if (found == arrays.end()) throw ModelError(ErrorKind::format, path + ": is missing in the file");
    const StoredArray& array = found->second;
    const char* const dtype = sizeof(T) == 4 ? "F32" : "F64";
    if (array.dtype != dtype)
        throw ModelError(ErrorKind::format, path + ": expected dtype " + dtype + ", got " + array.dtype);
    if (array.shape != shape)
        throw ModelError(ErrorKind::format,
                         path + ": expected shape " + text_of(shape) + ", got " + text_of(array.shape));
    array.taken = true;
    Buffer<T> copy(array.bytes / sizeof(T));
    if (array.bytes) std::memcpy(copy.get(), array.data, array.bytes);
    return copy;
}

void ModelFile::all_taken() const {
    for (const auto& [name, array] : arrays)
        if (!name.compare(0, prefix.size(), prefix) && !array.taken)
            throw ModelError(ErrorKind::format, name + ": there is no layer for it");
}

std::uint64_t ModelFile::fingerprint() const {
    std::uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
    const auto add = [&](const void* data, std::size_t size) {
        for (std::size_t k = 0; k < size; ++k)
            hash = (hash ^ static_cast<const unsigned char*>(data)[k]) * 0x100000001b3u;
    };
    for (const auto& [name, array] : arrays) {
        if (name.compare(0, prefix.size(), prefix)) continue;
        add(name.data(), name.size() + 1);
        add(array.data, array.bytes);
    }
    if (const auto model = description.find("model"); model != description.end()) {
        const std::string text = model->dump();
        add(text.data(), text.size());
    }
    return hash;
}

std::vector<unsigned char> bytes_of(const char* path) {
    const auto failed = [&](const char* what) -> ModelError {
        return {ErrorKind::file, std::string(path) + ": " + what + ": " + std::strerror(errno)};
    };
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path, "rb"), std::fclose);
    if (!file) throw failed("cannot be opened");
    std::vector<unsigned char> bytes;
    std::size_t size = 0;
    do {
        bytes.resize(size + std::max(size, std::size_t(1) << 16));
        size += std::fread(bytes.data() + size, 1, bytes.size() - size, file.get());
    } while (size == bytes.size());
    if (std::ferror(file.get())) throw failed("cannot be read");
    bytes.resize(size);
    return bytes;
}

template Buffer<float> ModelFile::weights(const std::string&, const std::vector<std::int64_t>&) const;
template Buffer<double> ModelFile::weights(const std::string&, const std::vector<std::int64_t>&) const;

}  // namespace lstmcore
