"""What the pictures of the guides share: the look of those of the gallery."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "examples"))

from common import BLUE, GREY, INK, LIGHT, ORANGE, canvas, save

__all__ = ["BLUE", "GREY", "INK", "LIGHT", "ORANGE", "canvas", "save"]
