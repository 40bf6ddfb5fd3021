"""PyTorch, for the modules here that cannot do without it."""

try:
    import torch
except ImportError as error:
    raise ImportError("lstmcore.to_torch needs PyTorch: pip install 'lstmcore[torch]'") from error

nn = torch.nn

__all__ = ["nn", "torch"]
