"""The cells of the grid: what is measured, its inputs, and the work it takes."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Cell:
    """A recurrent network of a given size, run once forward or, with ``train``, forward and backward."""

    name: str
    batch: int
    steps: int
    inputs: int
    units: int
    train: bool = False
    layers: int = 1
    directions: int = 1

    @property
    def description(self) -> str:
        """What it is, in a few words."""
        parts = [
            f"{self.layers}-layer" if self.layers > 1 else "",
            "bidirectional" if self.directions > 1 else "",
            "LSTM",
            "train" if self.train else "forward" if self.steps > 1 else "one step",
        ]
        return f"{' '.join(filter(None, parts))}  B{self.batch} T{self.steps} I{self.inputs} H{self.units}"

    def layer_inputs(self, layer: int) -> int:
        """Width of what a layer reads."""
        return self.inputs if layer == 0 else self.units * self.directions

    @property
    def flops(self) -> float:
        """2 B T G H (I + H) a direction and layer; three times that to train."""
        widths = sum(self.layer_inputs(layer) + self.units for layer in range(self.layers))
        return (3 if self.train else 1) * self.directions * 8.0 * self.batch * self.steps * self.units * widths

    @property
    def weight_bytes(self) -> float:
        """Bytes of all weights in float32."""
        widths = sum(self.layer_inputs(layer) + self.units for layer in range(self.layers))
        return 16.0 * self.directions * self.units * widths

    def arrays(self) -> dict[str, np.ndarray]:
        """Inputs, gradients of the outputs, and weights in Keras's layout by "kernel.layer.direction"."""
        rng = np.random.default_rng(0)

        def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
            return (scale * rng.standard_normal(shape)).astype(np.float32)

        h = self.units
        result = {
            "x": normal(self.batch, self.steps, self.inputs),
            "dy": normal(self.batch, self.steps, h * self.directions),
        }
        for layer in range(self.layers):
            width = self.layer_inputs(layer)
            for direction in range(self.directions):
                end = f".{layer}.{direction}"
                result["kernel" + end] = normal(width, 4 * h, scale=width**-0.5)
                result["recurrent" + end] = normal(h, 4 * h, scale=h**-0.5)
                result["bias" + end] = normal(4 * h, scale=0.1)
        return result


GRID = [
    Cell("S1", 1, 1, 64, 64),
    Cell("S2", 1, 1, 256, 256),
    Cell("I1", 1, 100, 64, 128),
    Cell("I2", 32, 100, 128, 256),
    Cell("I3", 128, 50, 512, 512),
    Cell("I5", 32, 100, 128, 128, directions=2),
    Cell("T1", 32, 12, 1, 50, train=True, layers=2),
    Cell("T2", 32, 500, 128, 64, train=True, directions=2),
    Cell("T3", 64, 100, 256, 256, train=True),
    Cell("T4", 64, 50, 512, 512, train=True),
]


def parse(text: str) -> Cell:
    """Return the cell of the grid of that name, or one like ``lstm:train:B=4,T=20,I=300,H=300,layers=2``."""
    for cell in GRID:
        if cell.name == text:
            return cell
    match = re.fullmatch(r"lstm:(infer|train):(.*)", text)
    fields = {"B": "batch", "T": "steps", "I": "inputs", "H": "units", "layers": "layers", "directions": "directions"}
    try:
        if not match:
            raise ValueError
        values = {fields[k]: int(v) for k, v in (item.split("=") for item in match[2].split(","))}
        if min(values.values()) < 1 or values.get("directions", 1) > 2:
            raise ValueError
        return Cell(text.partition(":")[2], train=match[1] == "train", **values)
    except (ValueError, KeyError, TypeError):
        names = ", ".join(cell.name for cell in GRID)
        raise SystemExit(
            f"cell {text!r}: expected one of {names} or lstm:infer|train:B=..,T=..,I=..,H=..[,layers=..,directions=..]"
        ) from None
