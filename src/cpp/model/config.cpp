#include "model/config.hpp"

#include <cctype>

namespace lstmcore {
namespace {

bool upper(char c) { return c >= 'A' && c <= 'Z'; }
bool lower(char c) { return c >= 'a' && c <= 'z'; }

}  // namespace

// As in python/lstmcore/serialization/names.py.
std::string snake(const std::string& name) {
    std::string split, result;
    for (std::size_t k = 0; k < name.size();) {
        std::size_t end = k + 2;
        while (end < name.size() && lower(name[end])) ++end;
        split += name[k];
        if (end > k + 2 && upper(name[k + 1]))
            split += "_" + name.substr(k + 1, end - k - 1), k = end;
        else
            ++k;
    }
    for (std::size_t k = 0; k < split.size(); ++k) {
        const bool small = k && (lower(split[k - 1]) || std::isdigit(static_cast<unsigned char>(split[k - 1])));
        if (small && upper(split[k])) result += '_';
        result += char(std::tolower(static_cast<unsigned char>(split[k])));
    }
    return result;
}

std::string shown(const Json& value) {
    if (value.is_structured()) return value.is_array() ? "a list" : "an object";
    const std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
    return text.size() > 50 ? text.substr(0, 50) + "..." : text;
}

const Json& Config::at(const char* name) const {
    if (!own->is_object()) throw ModelError(ErrorKind::format, where_ + ": expected an object, got " + shown(*own));
    const auto found = own->find(name);
    if (found == own->end()) throw ModelError(ErrorKind::format, where_ + ": " + name + " is missing");
    return *found;
}

void Config::refuse(const char* name, const std::string& expected) const {
    throw ModelError(ErrorKind::format, where_ + ": " + name + ": expected " + expected + ", got " + shown(at(name)));
}

void Config::not_offered(const std::string& what) const {
    throw ModelError(ErrorKind::unsupported, where_ + ": " + what + " cannot be run without Python");
}

bool Config::flag(const char* name) const {
    if (!at(name).is_boolean()) refuse(name, "true or false");
    return at(name).get<bool>();
}

long Config::integer(const char* name, long least, long most) const {
    const Json& value = at(name);
    const std::string expected = "an integer from " + std::to_string(least) + " to " + std::to_string(most);
    if (!value.is_number_integer()) refuse(name, expected);
    if (value.is_number_unsigned() && value.get<std::uint64_t>() > std::uint64_t(most)) refuse(name, expected);
    const auto n = value.get<std::int64_t>();
    if (n < least || n > most) refuse(name, expected);
    return long(n);
}

double Config::number(const char* name, double least, double most) const {
    const Json& value = at(name);
    const std::string expected = "a number from " + std::to_string(least) + " to " + std::to_string(most);
    if (!value.is_number()) refuse(name, expected);
    const double n = value.get<double>();
    if (!(n >= least && n <= most)) refuse(name, expected);
    return n;
}

std::string Config::text(const char* name) const {
    if (!at(name).is_string()) refuse(name, "a text");
    return at(name).get<std::string>();
}

Config Config::object(const char* name) const {
    if (!at(name).is_object()) refuse(name, "an object");
    return {at(name), where_ + ": " + name};
}

const Json& Config::list(const char* name) const {
    if (!at(name).is_array()) refuse(name, "a list");
    return at(name);
}

}  // namespace lstmcore
