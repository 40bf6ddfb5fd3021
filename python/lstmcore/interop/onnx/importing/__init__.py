"""From ONNX files to symbols of our layers: `reading.py` refuses bad files, `graph.py` walks through the good ones."""
