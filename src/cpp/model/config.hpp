// The configuration of a layer, as the file has it. No word of it is believed: what is missing, of another kind or out
// of bounds is refused, with where it stands.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "model/error.hpp"

namespace lstmcore {

using Json = nlohmann::json;

class Config {
    const Json* own;
    std::string where_;

    const Json& at(const char* name) const;

 public:
    Config(const Json& json, std::string where) : own(&json), where_(std::move(where)) {}

    const std::string& where() const { return where_; }
    [[noreturn]] void refuse(const char* name, const std::string& expected) const;
    [[noreturn]] void not_offered(const std::string& what) const;

    bool is_null(const char* name) const { return at(name).is_null(); }
    const Json& value(const char* name) const { return at(name); }
    bool flag(const char* name) const;
    long integer(const char* name, long least, long most) const;
    double number(const char* name, double least, double most) const;
    std::string text(const char* name) const;
    Config object(const char* name) const;
    const Json& list(const char* name) const;
};

// The name of a layer's class as names of layers begin: "SimpleRNN" to "simple_rnn".
std::string snake(const std::string& name);

// A value, short enough for a message.
std::string shown(const Json& value);

}  // namespace lstmcore
