"""Models and weights from PyTorch and back; files are read without it. Modules on our kernels do not live here."""
