"""Models and weights from PyTorch and back. Its files are read without it; its modules on our kernels live in torch/."""
