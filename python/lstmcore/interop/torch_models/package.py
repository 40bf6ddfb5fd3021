"""PyTorch, for the modules here that cannot do without it."""

try:
    import torch
except ImportError as error:
    raise ImportError("to_torch and modules of PyTorch's need it: pip install 'lstmcore[torch]'") from error

nn = torch.nn

__all__ = ["nn", "torch"]
