// What can be wrong with a model, its file, or what it is given.
#pragma once

#include <stdexcept>
#include <string>

namespace lstmcore {

enum class ErrorKind { argument, file, format, unsupported, memory, busy, internal };

class ModelError : public std::runtime_error {
 public:
    const ErrorKind kind;
    ModelError(ErrorKind kind, const std::string& text) : std::runtime_error(text), kind(kind) {}
};

}  // namespace lstmcore
