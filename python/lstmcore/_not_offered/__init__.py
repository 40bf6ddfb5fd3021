"""What Keras has and lstmcore has not: an error on the first use of the name that says so, and what to use instead.

Two ways lead to a name. ``layers.Conv2D`` asks the module's ``__getattr__``, whose error is an AttributeError, so
that ``hasattr`` is False. ``import lstmcore.applications`` and ``from lstmcore.layers import Conv2D`` look for a
module of that name when there is no attribute; the last to be asked is the finder here, whose error is an ImportError.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

_ROOT = __name__.partition(".")[0]


def text(module: str, name: str) -> str | None:
    """Return what to say about a name of Keras's in a module of ours; None if it is no such name."""
    if name.startswith("_"):
        return None
    from .substitutes import substitute  # here: tables that a program without such names never needs

    where = module.partition(".")[2]
    instead = substitute(where, name)
    return None if instead is None else f"{module}.{name} is not offered; {instead}"


def error(module: str, name: str) -> AttributeError:
    """Return the error for an attribute that a module has not."""
    return AttributeError(text(module, name) or f"module {module!r} has no attribute {name!r}")


def answer_for(*modules: str) -> None:
    """Make modules answer for the names of Keras's that they have not; called at the end of each."""
    for module in modules:
        content = vars(sys.modules[module])
        content["__getattr__"] = _getter(module)
        # Only below what has a path does `from module import name` look for a module of that name.
        content.setdefault("__path__", [])


def _getter(module: str) -> Callable[[str], Any]:
    def __getattr__(name: str) -> Any:  # noqa: N807 - a module's
        raise error(module, name)

    return __getattr__


class _Finder:
    # No subclass of importlib.abc.MetaPathFinder, whose module loads tempfile, shutil and bz2.
    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        module, _, name = fullname.rpartition(".")
        if module.partition(".")[0] == _ROOT and (message := text(module, name)):
            raise ImportError(message, name=fullname)


sys.meta_path.append(_Finder())
