"""What MinGRU and MinLSTM have in common: gates that see the inputs alone."""

from __future__ import annotations

from typing import Any

from .._arguments import shown
from .recurrent import Recurrent


class Minimal(Recurrent):
    """Base of the layers without a recurrent kernel.

    A subclass names its ``pack`` function and the class of its options.
    """

    options_class: type[Any]

    def __init__(self, units: int, *, log_space: bool = False, **options: Any) -> None:
        kind = type(self).__name__
        for name in ("activation", "recurrent_activation"):
            if name in options:
                raise ValueError(f"{kind}: {name}: is fixed, but for log_space; got {shown(options[name])}")
        for name in [name for name in options if name.startswith("recurrent_")]:
            if value := options.pop(name):
                raise ValueError(
                    f"{kind}: {name}: expected none, as h goes from step to step without a recurrent kernel, which is "
                    f"what lets steps be computed side by side; got {shown(value)}"
                )
        super().__init__(units, **options)
        self.options = self.options_class(log_space=log_space)

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        return {name: value for name, value in super()._defaults().items() if not name.startswith("recurrent_")}
