"""What MinGRU and MinLSTM have in common: gates that see the inputs alone."""

from __future__ import annotations

from inspect import Parameter
from typing import Any

from .._arguments import shown
from ..serialization import defaults_of
from .recurrent import Recurrent

_OF_RECURRENT_KERNELS = {name for name in defaults_of(Recurrent.__init__) if name.startswith("recurrent_")}


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
        for name in [name for name in options if name in _OF_RECURRENT_KERNELS]:
            value = options.pop(name)
            if value is not None and not (isinstance(value, (int, float)) and value == 0):
                raise ValueError(
                    f"{kind}: {name}: expected none, as h goes from step to step without a recurrent kernel, which is "
                    f"what lets steps be computed side by side; got {shown(value)}"
                )
        super().__init__(units, **options)
        self.options = self.options_class(log_space=log_space)

    @classmethod
    def further_arguments(cls) -> dict[str, Parameter | None]:
        """Return None for the arguments that concern a recurrent kernel."""
        return dict.fromkeys(_OF_RECURRENT_KERNELS)
