// What the module is made of, a topic a file.
#pragma once

#include <pybind11/pybind11.h>

namespace lstmcore {

void register_weights(pybind11::module_& m);
void register_snapshot(pybind11::module_& m);  // copies of arrays that tell whether these have changed
void register_forward(pybind11::module_& m);
void register_backward(pybind11::module_& m);
void register_stream(pybind11::module_& m);
void register_matrix(pybind11::module_& m);    // products, sums of rows, activations
void register_training(pybind11::module_& m);  // optimizers, CTC
void register_crf(pybind11::module_& m);       // conditional random fields
void register_decode(pybind11::module_& m);    // CTC decoders, language models, edit distance
void register_system(pybind11::module_& m);    // what this build and machine are; threads; loops to measure with

}  // namespace lstmcore
