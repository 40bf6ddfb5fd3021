"""From models to ONNX files: `export.py` walks through the model, the other files say layers in ONNX's operators."""
