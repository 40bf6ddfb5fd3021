"""ONNX: models written to its files, and made of them. The only place that knows the package of that name."""
