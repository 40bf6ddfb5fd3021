"""Windows over the steps of a sequence: what convolution and pooling have in common."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Windows(NamedTuple):
    """Windows of ``size`` steps, ``dilation`` apart; one begins every ``strides`` steps.

    ``padding`` is "valid" (none: windows lie within the sequence), "causal" (before the sequence: the
    last step of window t is step t * strides) or "same" (as many windows as the strides make of the
    steps; TensorFlow's: what is missing is padded half before and half behind, an odd one behind).
    """

    size: int
    strides: int
    padding: str
    dilation: int = 1

    @property
    def span(self) -> int:
        """Steps from the first of a window to its last, both included."""
        return (self.size - 1) * self.dilation + 1

    def outputs(self, where: str, steps: int) -> int:
        """Return the number of windows; errors begin with ``where``."""
        least = self.span if self.padding == "valid" else 1
        if steps < least:
            least_text = f"{least} steps (padding='valid')" if least > 1 else "1 step"
            raise ValueError(f"{where}: inputs: expected at least {least_text}, got {steps}")
        return (steps - least) // self.strides + 1

    def before(self, steps: int) -> int:
        """Return the number of steps padded before the first."""
        if self.padding == "valid":
            return 0
        if self.padding == "causal":
            return self.span - 1
        last = (steps - 1) // self.strides * self.strides  # where the last window would begin without padding
        return max(last + self.span - steps, 0) // 2

    def leaks(self, steps: int, mask: Any) -> str | None:
        """Return that windows lie otherwise in sequences padded to ``steps``, if they do; see `Layer.leaks`."""
        lengths = np.unique(np.sum(mask, axis=1)) if isinstance(mask, np.ndarray) else ()
        if len({self.before(int(n)) for n in (*lengths, steps)}) < 2:
            return None
        return (
            f"with padding={self.padding!r} and strides={self.strides} windows begin elsewhere than in each by itself"
        )
