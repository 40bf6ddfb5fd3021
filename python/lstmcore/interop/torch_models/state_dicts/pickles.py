"""A machine for the few instructions of pickles that state dicts are written with; it knows no way to run code."""

import pickletools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .tensors import TYPES, Storages, tensor


@dataclass(frozen=True)
class _Name:
    """A name in a pickle, of something that we stand in for."""

    full: str


_DICT = "collections.OrderedDict"
_TENSOR = "torch._utils._rebuild_tensor_v2"
_PARAMETER = "torch._utils._rebuild_parameter"
_KNOWN = {_DICT, _TENSOR, _PARAMETER} | {f"torch.{kind}" for kind in TYPES}
_MARK = object()
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
}
_VALUES = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
# What makes much of few bytes: torch.save writes six bytes or more for each.
_LARGE = {"EMPTY_LIST", "EMPTY_DICT", "TUPLE", *_TUPLES, "BINPUT", "LONG_BINPUT", "REDUCE"}
_BYTES_FOR_EACH = 4
_ALWAYS_ALLOWED = 1000


def load(data: bytes, storages: Storages) -> Any:
    """Return what a pickle of dicts, lists, tuples, numbers, strings and tensors stands for."""
    try:
        return _Machine(storages).run(data)
    except (IndexError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise ValueError(f"data.pkl: damaged: {type(error).__name__}: {error}") from None


def _instructions(data: bytes) -> Iterator[Any]:
    try:
        yield from pickletools.genops(data)
    except ValueError as error:
        raise ValueError(f"data.pkl: damaged: {error}") from None


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *more: Any) -> Any:
    """Return a tensor; ``more`` are requires_grad, hooks and, of a few, how its numbers are to be taken."""
    meaning = more[2] if len(more) > 2 else None
    if meaning and meaning != {"neg": True} and meaning != {"neg": True, "conj": False}:
        raise ValueError(f"data.pkl: a tensor with {', '.join(map(str, meaning))[:100]}, of which nothing is known")
    array = tensor(storage, offset, shape, strides)
    return -array if meaning else array


class _Machine:
    def __init__(self, storages: Storages) -> None:
        self._storages = storages
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, data: bytes) -> Any:
        argument: Any
        left = len(data) // _BYTES_FOR_EACH + _ALWAYS_ALLOWED
        for code, argument, _ in _instructions(data):
            name = code.name
            left -= name in _LARGE
            if left < 0:
                raise ValueError("data.pkl: more containers than a state dict of that size has")
            if name in _CONSTANTS:
                self._stack.append(_CONSTANTS[name]())
            elif name in _VALUES:
                self._stack.append(argument)
            elif name in _TUPLES:
                self._stack.append(tuple(self._taken(_TUPLES[name])))
            elif name in ("BINPUT", "LONG_BINPUT"):
                self._memo[argument] = self._stack[-1]
            elif name in ("BINGET", "LONG_BINGET"):
                self._stack.append(self._memo[argument])
            elif name == "STOP":
                (result,) = self._taken(1)
                return result
            elif name != "PROTO":
                method = getattr(self, f"_{name.lower()}", None)
                if method is None:
                    raise ValueError(f"data.pkl: the instruction {name} has no place in a state dict")
                method(argument)
        raise ValueError("data.pkl: cut short")

    def _taken(self, count: int) -> list[Any]:
        if count > len(self._stack):
            raise ValueError("data.pkl: damaged: an instruction without its operands")
        taken = self._stack[-count:]
        del self._stack[-count:]
        return taken

    def _since_mark(self) -> list[Any]:
        for index in range(len(self._stack) - 1, -1, -1):
            if self._stack[index] is _MARK:
                taken = self._stack[index + 1 :]
                del self._stack[index:]
                return taken
        raise ValueError("data.pkl: damaged: no mark")

    def _mark(self, _: Any) -> None:
        self._stack.append(_MARK)

    def _tuple(self, _: Any) -> None:
        self._stack.append(tuple(self._since_mark()))

    def _global(self, argument: str) -> None:
        name = argument.replace(" ", ".", 1)
        if name not in _KNOWN:
            raise ValueError(
                f"data.pkl: {name} has no place in a state dict, and nothing was run; save model.state_dict()"
            )
        self._stack.append(_Name(name))

    def _setitem(self, _: Any) -> None:
        self._fill(self._taken(2))

    def _setitems(self, _: Any) -> None:
        self._fill(self._since_mark())

    def _fill(self, pairs: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not dict or len(pairs) % 2:
            raise ValueError("data.pkl: damaged: items of something other than a dict")
        # The hash, as the repr, of tuples within tuples that are one object takes time without bound.
        if any(type(key) not in (str, int) for key in pairs[::2]):
            raise ValueError("data.pkl: expected names or integers as the keys of a dict")
        target.update(zip(pairs[::2], pairs[1::2], strict=True))

    def _append(self, _: Any) -> None:
        self._extend(self._taken(1))

    def _appends(self, _: Any) -> None:
        self._extend(self._since_mark())

    def _extend(self, items: list[Any]) -> None:
        if type(self._stack[-1]) is not list:
            raise ValueError("data.pkl: damaged: elements of something other than a list")
        self._stack[-1].extend(items)

    def _build(self, _: Any) -> None:
        # The attribute _metadata of an OrderedDict: versions of modules, which no weight depends on.
        self._taken(1)
        if type(self._stack[-1]) is not dict:
            raise ValueError("data.pkl: attributes of something other than a dict")

    def _binpersid(self, _: Any) -> None:
        (identity,) = self._taken(1)
        if not (isinstance(identity, tuple) and len(identity) == 5 and identity[0] == "storage"):
            raise ValueError(f"data.pkl: expected a storage, found a {type(identity).__name__}")
        _, kind, key, _, size = identity
        if not isinstance(kind, _Name) or not kind.full.startswith("torch.") or kind.full[6:] not in TYPES:
            raise ValueError(f"data.pkl: expected the type of a storage, found a {type(kind).__name__}")
        if not isinstance(key, str) or not key.isdecimal():
            raise ValueError(f"data.pkl: expected the number of a storage, found a {type(key).__name__}")
        if type(size) is not int:
            raise ValueError(f"storage {key}: expected a number of elements, found a {type(size).__name__}")
        self._stack.append(self._storages(kind.full[6:], key, size))

    def _reduce(self, _: Any) -> None:
        function, arguments = self._taken(2)
        name = function.full if isinstance(function, _Name) else f"a {type(function).__name__}"
        if name == _DICT and arguments == ():
            self._stack.append({})
        elif name == _TENSOR and len(arguments) >= 4:
            self._stack.append(_tensor(*arguments))
        elif name == _PARAMETER and arguments:
            self._stack.append(arguments[0])
        else:
            raise ValueError(f"data.pkl: a call of {name} has no place in a state dict; nothing was run")
