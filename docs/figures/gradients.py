"""How much of the gradient is left, by how many steps it has gone back."""

import sys

import _common  # noqa: F401  the programs of the gallery become importable
import vanishing_gradients

if __name__ == "__main__":
    vanishing_gradients.main(["--picture", sys.argv[1], "--seeds", "2"])
