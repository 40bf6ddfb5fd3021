"""The cells: what is measured, its inputs, and the work it takes."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

GATES = {"lstm": 4, "gru": 3, "rnn": 1}
BITS = {"float32": 32, "bfloat16": 16, "int8": 8}  # of a weight in the products


@dataclass(frozen=True)
class Cell:
    """A recurrent network of a given size, run once forward or, with ``train``, forward and backward.

    Variants: "lengths", rows of different length, told to the library; "padded", the same data computed
    to the end; "dropout", given masks for each gate of inputs and h; "fading", a state that fades into
    denormal numbers; "checkpoint", states kept only now and then. ``precision`` is that of the products.
    """

    name: str
    kind: str
    batch: int
    steps: int
    inputs: int
    units: int
    train: bool = False
    layers: int = 1
    directions: int = 1
    variant: str = ""
    precision: str = "float32"

    @property
    def description(self) -> str:
        """What it is, in a few words."""
        parts = [
            f"{self.layers}-layer" if self.layers > 1 else "",
            "bidirectional" if self.directions > 1 else "",
            self.kind.upper(),
            "train" if self.train else "forward" if self.steps > 1 else "one step",
        ]
        return f"{' '.join(filter(None, parts))}  B{self.batch} T{self.steps} I{self.inputs} H{self.units}"

    @property
    def needs(self) -> set[str]:
        """What a library must offer to run it, besides the kind of cell."""
        narrow = {self.precision} - {"float32"}
        return ({"train"} if self.train else set()) | ({self.variant} & {"lengths", "dropout", "checkpoint"}) | narrow

    def layer_inputs(self, layer: int) -> int:
        """Width of what a layer reads."""
        return self.inputs if layer == 0 else self.units * self.directions

    @property
    def weights(self) -> int:
        """Numbers in all kernels and recurrent kernels."""
        widths = sum(self.layer_inputs(layer) + self.units for layer in range(self.layers))
        return self.directions * GATES[self.kind] * self.units * widths

    @property
    def flops(self) -> float:
        """2 B T G H (I + H) a direction and layer; three times that to train."""
        return (3 if self.train else 1) * 2.0 * self.batch * self.steps * self.weights

    @property
    def recurrent_weights(self) -> int:
        """Numbers in all recurrent kernels."""
        return self.layers * self.directions * GATES[self.kind] * self.units**2

    def arrays(self) -> dict[str, np.ndarray]:
        """Return x, gradients of the outputs dy, and weights in Keras's layout by "kernel.layer.direction".

        A variant adds the arguments it takes, by lstmcore's names.
        """
        rng = np.random.default_rng(0)

        def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
            return (scale * rng.standard_normal(shape)).astype(np.float32)

        h, gates = self.units, GATES[self.kind]
        result = {
            "x": normal(self.batch, self.steps, self.inputs),
            "dy": normal(self.batch, self.steps, h * self.directions),
        }
        for layer in range(self.layers):
            width = self.layer_inputs(layer)
            for direction in range(self.directions):
                end = f".{layer}.{direction}"
                result["kernel" + end] = normal(width, gates * h, scale=width**-0.5)
                result["recurrent" + end] = normal(h, gates * h, scale=h**-0.5)
                # A GRU has a bias for each of its products, as in Keras with reset_after.
                result["bias" + end] = normal(*([2] if self.kind == "gru" else []), gates * h, scale=0.1)
        if self.variant in ("lengths", "padded"):
            lengths = rng.integers(10, self.steps + 1, self.batch)
            # No loss looks at padding.
            result["dy"][np.arange(self.steps) >= lengths[:, None]] = 0
            if self.variant == "lengths":
                result["lengths"] = lengths
        elif self.variant == "dropout":
            for name, width, rate in ("dropout_mask", self.inputs, 0.3), ("recurrent_dropout_mask", h, 0.2):
                kept = rng.random((gates, self.batch, width)) >= rate
                result[name] = (kept / (1 - rate)).astype(np.float32)
        elif self.variant == "fading":
            # A whisper, then silence: c starts at about 1e-34, is below 1e-38 some 30 steps later, and stays
            # there with h, as f and o above 1/2 round the least denormal number up to itself.
            result["x"][:, 0] *= 1e-32
            result["x"][:, 1:] = 0
            result["bias.0.0"] = np.repeat(np.float32([-4, 1, 0, 1]), h)
        return result


GRID = [
    Cell("S1", "lstm", 1, 1, 64, 64),
    Cell("S2", "lstm", 1, 1, 256, 256),
    Cell("S3", "gru", 1, 1, 128, 128),
    Cell("I1", "lstm", 1, 100, 64, 128),
    Cell("I2", "lstm", 32, 100, 128, 256),
    Cell("I3", "lstm", 128, 50, 512, 512),
    Cell("I4", "gru", 32, 100, 128, 256),
    Cell("I5", "lstm", 32, 100, 128, 128, directions=2),
    Cell("T1", "lstm", 32, 12, 1, 50, train=True, layers=2),
    Cell("T2", "lstm", 32, 500, 128, 64, train=True, directions=2),
    Cell("T3", "lstm", 64, 100, 256, 256, train=True),
    Cell("T4", "lstm", 64, 50, 512, 512, train=True),
    Cell("T5", "gru", 64, 100, 256, 256, train=True),
]

# Units that fill no vector, few rows, one input.
ODD = [
    Cell("O1", "lstm", 1, 100, 1, 50),
    Cell("O2", "lstm", 7, 50, 300, 300),
    Cell("O3", "gru", 3, 100, 1, 100),
    Cell("O4", "gru", 1, 35, 650, 650),
    Cell("O5", "lstm", 3, 100, 100, 100, train=True),
    Cell("O6", "lstm", 7, 35, 650, 650, train=True),
    Cell("O7", "gru", 7, 100, 1, 50, train=True),
    Cell("O8", "gru", 3, 50, 300, 300, train=True),
]

# Pairs for cases.py.
PAIRS = [
    Cell("V1:lengths", "lstm", 32, 200, 64, 128, train=True, variant="lengths"),
    Cell("V1:padded", "lstm", 32, 200, 64, 128, train=True, variant="padded"),
    Cell("D1:dropout", "lstm", 32, 500, 128, 64, train=True, variant="dropout"),
    Cell("D1:plain", "lstm", 32, 500, 128, 64, train=True),
    Cell("N1:fading", "lstm", 32, 200, 64, 128, variant="fading"),
    Cell("N1:ordinary", "lstm", 32, 200, 64, 128),
]

# Long sequences for memory.py.
LONG = [
    Cell("L1", "lstm", 8, 20_000, 64, 128, train=True),
    Cell("L2", "lstm", 8, 100_000, 64, 128, train=True, variant="checkpoint"),
]

GROUPS = {"grid": GRID, "odd": ODD}
NAMED = {cell.name: cell for cell in (*GRID, *ODD, *PAIRS, *LONG)}


def parse(text: str) -> Cell:
    """Return the cell of that name, or one like ``lstm:train:B=4,T=20,I=300,H=300,layers=2``."""
    if text in NAMED:
        return NAMED[text]
    match = re.fullmatch(r"(lstm|gru|rnn):(infer|train):(.*)", text)
    fields = {"B": "batch", "T": "steps", "I": "inputs", "H": "units", "layers": "layers", "directions": "directions"}
    try:
        if not match:
            raise ValueError
        values = {fields[k]: int(v) for k, v in (item.split("=") for item in match[3].split(","))}
        if min(values.values()) < 1 or values.get("directions", 1) > 2:
            raise ValueError
        return Cell(text, match[1], train=match[2] == "train", **values)
    except (ValueError, KeyError, TypeError):
        names = ", ".join((*GROUPS, *(cell.name for group in GROUPS.values() for cell in group)))
        raise SystemExit(
            f"cell {text!r}: expected one of {names} or "
            "lstm|gru|rnn:infer|train:B=..,T=..,I=..,H=..[,layers=..,directions=..]"
        ) from None


def select(texts: list[str]) -> list[Cell]:
    """Return the cells of groups, names and descriptions."""
    return [cell for text in texts for cell in GROUPS.get(text) or [parse(text)]]
