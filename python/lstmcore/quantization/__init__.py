"""Models in int8: `quantize` makes them, `compare` measures what that costs.

::

    from lstmcore import quantization

    small = quantization.quantize(model)                  # or model.quantize("int8"), in place
    print(quantization.compare(model, x, y, other=small))  # errors of layers and outputs, change of loss and metrics
    small.save("small.safetensors")                       # about a quarter of the bytes
"""

from .comparison import Comparison, Error, Measure, compare
from .copies import quantize

__all__ = ["Comparison", "Error", "Measure", "compare", "quantize"]
