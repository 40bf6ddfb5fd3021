"""Checks of arguments, each naming the argument, what was expected and what came."""

from __future__ import annotations

import contextlib
import math
import numbers
import operator
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from . import _tables
from ._signatures import did_you_mean, signature_of
from ._tree import leaves, like

Array = NDArray[Any]


class ArgumentTypeError(TypeError, ValueError):
    """An argument has a type that is not taken, or an unknown name: a TypeError, and the ValueError that Keras has."""


def shown(value: Any) -> str:
    """Return what a message says of a value: its `repr`, cut short."""
    try:
        text = repr(value)
    except ValueError:  # of an integer with more digits than Python prints
        return "a huge number"
    return text if len(text) <= 200 else f"{text[:197]}..."


def positive_integer(name: str, value: Any) -> int:
    """Return ``value`` as an int, or raise TypeError or ValueError."""
    try:
        number = operator.index(value)
    except TypeError:
        raise ArgumentTypeError(f"{name}: expected a positive integer, got {shown(value)}") from None
    if isinstance(value, bool) or number < 1:
        raise ValueError(f"{name}: expected a positive integer, got {shown(value)}")
    if number >= 2**63:
        raise ValueError(f"{name}: expected a positive integer below 2**63, got {shown(value)}")
    return number


def number(name: str, value: Any, interval: str = "(-inf, inf)") -> float:
    """Return ``value`` as a float if it lies in the interval, written as "[0, 1)"; raise TypeError or ValueError."""
    if isinstance(value, np.ndarray) and not value.ndim:
        value = value[()]
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise ArgumentTypeError(f"{name}: expected a number in {interval}, got {shown(value)}")
    try:
        found = float(value)
    except OverflowError:  # an integer that no float can hold
        found = math.copysign(math.inf, value > 0 or -1)
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    above = low <= found if interval[0] == "[" else low < found
    below = found <= high if interval[-1] == "]" else found < high
    if not (above and below):
        raise ValueError(f"{name}: expected a number in {interval}, got {shown(value)}")
    return found


def path(name: str, value: Any) -> str:
    """Return the name of a file or folder as a string, or raise TypeError: a number would be an open file's."""
    if not isinstance(value, (str, os.PathLike)):
        raise ArgumentTypeError(f"{name}: expected a path, got {shown(value)}")
    text = str(os.fspath(value))
    try:
        valid = b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        valid = False
    if not valid:
        raise ValueError(f"{name}: expected a path, got {shown(value)}, which no file can be named")
    return text


def flag(name: str, value: Any) -> bool:
    """Return ``value`` as a bool, or raise TypeError: numbers and strings are more likely a slip."""
    if not isinstance(value, (bool, np.bool_)):
        raise ArgumentTypeError(f"{name}: expected True or False, got {shown(value)}")
    return bool(value)


def float_dtype(name: str, dtype: DTypeLike) -> np.dtype[Any]:
    """Return float32 or float64, or raise."""
    try:
        result = np.dtype(dtype)
    except (TypeError, ValueError):
        raise ArgumentTypeError(f"{name}: expected float32 or float64, got {dtype!r}") from None
    if result not in (np.float32, np.float64):
        raise ArgumentTypeError(f"{name}: expected float32 or float64, got {result}")
    return result


def booleans(array: Array) -> Array:
    """Return a boolean array whose bytes are 0 and 1; those of a view of other bytes may be any."""
    return np.asarray(array.view(np.uint8) != 0)


def read_only(array: Array) -> Array:
    """Return a view of an array that cannot be written to."""
    view = array.view()
    view.flags.writeable = False
    return view


def as_array(name: str, value: Any) -> Array:
    """Return ``value`` as an array, one of our own if it is of booleans; lists of different lengths are no array."""
    if type(value) is np.ndarray:
        return booleans(value) if value.dtype.kind == "b" else value
    value = _tables.readable(name, value)
    try:
        array = np.asarray(value)
    except TypeError as error:  # as of symbols and layers, which say what to do
        raise TypeError(f"{name}: expected an array, got {error}") from None
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise ValueError(f"{name}: expected an array, got {type(value).__name__} ({error})") from error
        if isinstance(value, (list, tuple)) and any(part is None for part in value):
            raise ValueError(
                f"{name}: expected an array each, got None in place {[part is None for part in value].index(True)}"
            ) from None
        # Padding makes up some: not of targets.
        advice = "" if name.rpartition(": ")[2] == "y" else "; utils.pad_sequences makes them one"
        raise ValueError(f"{name}: expected an array, got lists of different lengths{advice}") from None
    missing = _missing(value)
    if missing is not None and missing.any():
        raise _no_number(name, "numbers", value, array, tuple(np.argwhere(missing)[0]), "a missing value")
    return booleans(array) if array.dtype.kind == "b" else array


def real_array(name: str, value: Any, expected: str = "numbers") -> Array:
    """Return ``value`` as an array of floats, integers or booleans.

    Tables of several types and arrays of objects are taken where every element is a number; a missing one is none.

    Raises
    ------
    TypeError
        An element is no number; the message says which.
    """
    if type(value) is not np.ndarray:
        value = _tables.readable(name, value)
    array = as_array(name, value)
    if array.dtype.kind in "fiub":
        return array
    first = (0,) * array.ndim if array.size else None
    if array.dtype.kind != "O":
        raise _no_number(name, expected, value, array, first)
    kinds = set(map(type, array.flat))
    wrong = tuple(kind for kind in kinds if not _is_number(kind))
    if wrong:
        first = next(index for index, item in np.ndenumerate(array) if type(item) in wrong)
        raise _no_number(name, expected, value, array, first)
    try:
        return _from_objects(array, kinds)
    except (OverflowError, ValueError) as error:  # an integer or a fraction that is too large, a signaling NaN
        raise ArgumentTypeError(f"{name}: expected {expected}, got one that no float can hold ({error})") from None


def _is_number(kind: type) -> bool:
    from decimal import Decimal  # here, for it takes longer to import than all of this module

    return issubclass(kind, (numbers.Real, Decimal, np.bool_)) and not issubclass(kind, np.timedelta64)


def _from_objects(array: Array, kinds: Collection[type]) -> Array:
    """Return numbers that are objects as booleans or integers, if all are, or floats."""
    if kinds and all(issubclass(kind, (bool, np.bool_)) for kind in kinds):
        return array.astype(bool)
    if kinds and all(issubclass(kind, (numbers.Integral, np.bool_)) for kind in kinds):
        with contextlib.suppress(OverflowError):
            return array.astype(np.int64)
    return array.astype(np.float64)


def _missing(value: Any) -> Array | None:
    """Return where a table or a masked array says that there is nothing, whatever NumPy makes of it."""
    if isinstance(value, np.ndarray):
        mask = getattr(value, "mask", None)  # of a masked array
        return None if mask is None else np.broadcast_to(mask, value.shape)
    if not hasattr(value, "isna"):
        return _tables.nulls(value)
    dtypes = list(value.dtypes) if hasattr(value, "columns") else [value.dtype]
    # NaN in a column of floats is a number as it is in an array; NA, of the nullable types, is none.
    nullable = [not isinstance(getattr(dtype, "na_value", 0.0), float) for dtype in dtypes]
    return np.asarray(value.isna()) & np.array(nullable) if any(nullable) else None


def _no_number(
    name: str, expected: str, value: Any, array: Array, at: tuple[Any, ...] | None, what: str = ""
) -> ArgumentTypeError:
    """Return the error that names the first element that is no number, by its column if it has one."""
    got = f"{name}: expected {expected}, got {array.dtype}"
    if at is None:
        return ArgumentTypeError(got)
    remedy = "fill it, as pandas does with .fillna(0) and NumPy with .filled(0), then "
    if not what:
        element = array[at].item() if array.dtype.kind in "USc" else array[at]
        text = " ".join(repr(element).split())
        what = text if len(text) <= 60 else f"{text[:57]}..."
        remedy = _remedy(element)
    columns = _tables.names_of(value)
    place = f" at [{', '.join(map(str, at))}]" if at else ""
    if columns is not None and len(at) == 2:
        place = f" in column {columns[at[1]]!r}, row {at[0]}"
    return ArgumentTypeError(
        f'{got}: {what}{place} is no real number; {remedy}convert it, as with .astype("float32"), or leave it out'
    )


def _remedy(element: Any) -> str:
    """Return what to do with an element that is no number before it can be converted."""
    if isinstance(element, (list, tuple, np.ndarray)):
        return "make one array of the rows, with np.stack or, where they differ in length, utils.pad_sequences, then "
    if isinstance(element, str):
        try:
            float(element)
        except ValueError:
            return "give each a number, as pandas.get_dummies or pandas.factorize do, then "
    return ""


def float_array(name: str, value: Any, dtype: np.dtype[Any]) -> Array:
    """Return ``value`` as an array of ``dtype``: numbers of other types are converted, the rest is refused."""
    if type(value) is np.ndarray and value.dtype == dtype:
        return value
    array = real_array(name, value, dtype.name)
    return array if array.dtype == dtype else array.astype(dtype)


def number_array(name: str, value: Any, dtype: np.dtype[Any]) -> Array:
    """Return ``value`` as an array: of ``dtype`` if it is of floats; integers and booleans stay what they are."""
    array = real_array(name, value)
    return array.astype(dtype, copy=False) if array.dtype.kind == "f" else array


def number_arrays(name: str, value: Any, dtype: np.dtype[Any], takes_none: bool = False) -> Any:
    """Return what `number_array` makes of a value or, if there are arrays in it, of each in its place.

    With ``takes_none``, None beside arrays stays what it is.

    >>> import numpy as np
    >>> from lstmcore._arguments import number_arrays
    >>> number_arrays("x", {"prices": [[1.5]], "days": np.array([[3]])}, np.dtype("float32"))
    {'prices': array([[1.5]], dtype=float32), 'days': array([[3]])}
    """
    if isinstance(value, dict):
        return {
            key: None if part is None and takes_none else number_arrays(f"{name}: {key}", part, dtype, takes_none)
            for key, part in value.items()
        }
    if isinstance(value, (list, tuple)) and any(isinstance(part, np.ndarray) for part in leaves(value)):
        return like(
            value,
            [
                None if part is None and takes_none else number_arrays(f"{name}[{k}]", part, dtype, takes_none)
                for k, part in enumerate(value)
            ],
        )
    return number_array(name, value, dtype)


def integer_array(name: str, value: Any) -> Array:
    """Return ``value`` as an array of integers, or raise; without elements it may be of any type."""
    array = real_array(name, value, "integers")
    if array.size and array.dtype.kind not in "iu":
        raise ArgumentTypeError(f"{name}: expected integers, got {array.dtype}")
    return array


def whole_number(name: str, value: Any) -> int:
    """Return ``value``, an integer of any size, as an int, or raise TypeError."""
    try:
        number = operator.index(value)
    except TypeError:
        raise ArgumentTypeError(f"{name}: expected an integer, got {shown(value)}") from None
    if isinstance(value, (bool, np.bool_)):
        raise ArgumentTypeError(f"{name}: expected an integer, got {shown(value)}")
    return number


def integer(name: str, value: Any) -> int:
    """Return ``value`` as an int, or raise TypeError or ValueError."""
    number = whole_number(name, value)
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"{name}: expected an integer of 64 bits, got {shown(value)}")
    return number


def whole_array(name: str, value: Any) -> Array:
    """Return ``value`` as an array of integers; floats that are whole numbers are taken for what they are."""
    array = real_array(name, value, "integers")
    if array.dtype.kind == "f" and np.array_equal(array, np.trunc(array)):
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise ArgumentTypeError(f"{name}: expected integers, got {array.dtype}")
    return array


def among(value: Any, choices: Collection[str | None]) -> bool:
    """Return whether a value is one of these names, or None: an array, which could not be compared, is none."""
    return (value is None or isinstance(value, str)) and value in choices


def named(kind: str, name: Any, default: str) -> str:
    """Return the name of an object, or what it is called by default, or raise TypeError."""
    return (None if name is None else string(f"{kind}: name", name)) or default


def mapping(name: str, value: Any) -> Mapping[str, Any]:
    """Return ``value``, a dict, or raise TypeError."""
    if not isinstance(value, Mapping):
        raise ArgumentTypeError(f"{name}: expected a dict, got {shown(value)}")
    return value


def not_within_itself(name: str, value: Any) -> None:
    """Refuse lists, tuples and dicts that contain themselves, at whatever depth."""
    above: list[int] = []
    seen: set[int] = set()  # and found right, so that what is shared is looked at once

    def look(part: Any) -> None:
        if not isinstance(part, (list, tuple, dict)) or id(part) in seen:
            return
        if id(part) in above:
            raise ValueError(f"{name}: expected what can be looked through, got a {type(part).__name__} within itself")
        above.append(id(part))
        for inner in part.values() if isinstance(part, dict) else part:
            look(inner)
        seen.add(above.pop())

    look(value)


def string(name: str, value: Any) -> str:
    """Return ``value``, a string, or raise TypeError."""
    if not isinstance(value, str):
        raise ArgumentTypeError(f"{name}: expected a string, got {shown(value)}")
    return value


def strings(name: str, value: Any) -> list[str]:
    """Return the strings in an iterable, or the characters of a string, or raise TypeError."""
    found = items(name, value, "a sequence of strings")
    for text in found:
        if not isinstance(text, str):
            raise ArgumentTypeError(f"{name}: expected strings, got {text!r}")
    return found


def function(name: str, value: Any) -> Any:
    """Return ``value``, which can be called, or raise TypeError."""
    if not callable(value):
        raise ArgumentTypeError(f"{name}: expected a function, got {shown(value)}")
    return value


def items(name: str, value: Any, of: str) -> list[Any]:
    """Return what is in an iterable, or raise TypeError: a number is none."""
    if getattr(value, "ndim", 1):
        with contextlib.suppress(TypeError):
            iterator = iter(value)
            return list(iterator)
    raise ArgumentTypeError(f"{name}: expected {of}, got {shown(value)}")


def filled(name: str, shape: tuple[int, ...], value: Any, dtype: DTypeLike) -> Array:
    """Return an array full of ``value``, or raise MemoryError with the argument that makes it so large."""
    try:
        return np.full(shape, value, dtype)
    except (ValueError, MemoryError) as error:
        raise MemoryError(f"{name}: no memory for an array of shape {shape}") from error


def integers(name: str, value: Any) -> tuple[int, ...]:
    """Return a list of integers as a tuple; a single one is a list of one."""
    several = isinstance(value, (list, tuple)) or np.ndim(value) == 1
    try:
        return tuple(integer(name, n) for n in (value if several else [value]))
    except TypeError:
        raise ArgumentTypeError(f"{name}: expected an integer or several, got {shown(value)}") from None


def axes_of(name: str, axis: int | tuple[int, ...], array: Array) -> int | tuple[int, ...]:
    """Return ``axis``, one or several, which an array must have, each once, or raise ValueError."""
    axes = axis if isinstance(axis, tuple) else (axis,)
    if not all(-array.ndim <= k < array.ndim for k in axes):
        raise ValueError(f"{name}: expected one of the axes of inputs of shape {array.shape}, got {axis}")
    if len({k % array.ndim for k in axes}) < len(axes):
        raise ValueError(f"{name}: expected different axes of inputs of shape {array.shape}, got {axis}")
    return axis


def shape(name: str, value: Any) -> tuple[int | None, ...]:
    """Return a shape: integers, with None for those not known."""
    if not isinstance(value, (list, tuple)) and np.ndim(value) != 1:
        raise ArgumentTypeError(f"{name}: expected a tuple of integers and None, got {shown(value)}")
    return tuple(None if n is None else positive_integer(name, n) for n in value)


def batch_rows(name: str, value: Any) -> int:
    """Return the number of rows of a batch."""
    if value is None:
        raise ValueError(
            f"{name}: batch_size: expected a number, got None, as in a call that is drawn; leave initial_state out "
            "there, or None, and it is zeros"
        )
    return integer(f"{name}: batch_size", value)


def single_integer(name: str, value: Any) -> int:
    """Return a positive integer that may come in a tuple or list of one, as Keras's one-dimensional layers allow."""
    if isinstance(value, (tuple, list)):
        if len(value) != 1:
            raise ValueError(f"{name}: expected a positive integer, got {shown(value)}")
        value = value[0]
    return positive_integer(name, value)


def two_integers(name: str, value: Any) -> tuple[int, int]:
    """Return a pair of integers from 0 on; a single one stands for both."""
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2 or any(integer(name, n) < 0 for n in pair):
        raise ValueError(f"{name}: expected an integer from 0 on, or two, got {shown(value)}")
    return integer(name, pair[0]), integer(name, pair[1])


def one_of(name: str, value: Any, choices: Collection[str]) -> str:
    """Return ``value``, a string of any case, as it stands in ``choices``, or raise TypeError or ValueError."""
    if not isinstance(value, str):
        raise ArgumentTypeError(f"{name}: expected one of {', '.join(map(repr, choices))}, got {shown(value)}")
    if value.lower() not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, choices))}, got {shown(value)}")
    return value.lower()


def channels_last(name: str, data_format: Any) -> None:
    """Refuse a ``data_format`` other than Keras's "channels_last", for which None stands too."""
    if data_format is None:
        return
    if one_of(name, data_format, ("channels_last", "channels_first")) == "channels_first":
        raise NotImplementedError(f"{name}: 'channels_first' is not offered; put a Permute((2, 1)) before the layer")


def valid_steps(
    where: str, batch: int, steps: int, mask: ArrayLike | None, lengths: ArrayLike | None
) -> NDArray[np.bool_]:
    """Return (batch, steps), True where a step counts; errors are those of the core, with ``where`` before them."""
    if mask is not None and lengths is not None:
        raise ValueError(f"{where}mask: give lengths or a mask, not both")
    if lengths is not None:
        n = as_array(f"{where}lengths", lengths)
        if n.size and n.dtype.kind not in "iu":
            raise ArgumentTypeError(f"{where}lengths: expected integers, got {n.dtype}")
        if n.shape != (batch,):
            raise ValueError(f"{where}lengths: expected shape (batch={batch},), got {n.shape}")
        wrong = np.flatnonzero((n < 0) | (n > steps))
        if wrong.size:
            raise ValueError(
                f"{where}lengths: expected numbers from 0 to {steps} (steps), got {n[wrong[0]]} at {wrong[0]}"
            )
        return np.asarray(np.arange(steps) < n[:, None])
    if mask is None:
        return np.ones((batch, steps), bool)
    valid = as_array(f"{where}mask", mask)
    if valid.dtype != bool:
        raise ArgumentTypeError(f"{where}mask: expected bool, got {valid.dtype}")
    if valid.shape != (batch, steps):
        raise ValueError(f"{where}mask: expected shape (batch={batch}, steps={steps}), got {valid.shape}")
    return valid


def prefix_lengths(name: str, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many steps of each row count, of a mask (batch, steps) that has padding behind them only."""
    if mask.ndim != 2:
        raise ValueError(f"{name}: mask: expected shape (batch, steps), got {mask.shape}")
    counts = np.asarray(np.count_nonzero(mask, axis=1))
    wrong = np.flatnonzero((mask != (np.arange(mask.shape[1]) < counts[:, None])).any(axis=1))
    if wrong.size:
        raise ValueError(
            f"{name}: mask: expected padding behind the steps only, got steps that count behind padding in "
            f"row {wrong[0]}; pad the inputs with padding='post'"
        )
    return counts


def check_sequences(name: str, shape: Sequence[int | None]) -> None:
    """Refuse the shape of inputs that are no sequences of vectors, with what may have been meant."""
    if len(shape) == 3:
        return
    hint = (
        "; behind a recurrent layer, let that have return_sequences=True; of one sequence x give x[None], of steps of "
        "one number x[..., None]"
    )
    raise ValueError(
        f"{name}: inputs: expected shape (batch, steps, features), got {shape}{hint if len(shape) == 2 else ''}"
    )


def reject_options(
    where: str, options: dict[str, Any], offered_by_keras: Collection[str], taker: type | None = None
) -> None:
    """Refuse options left over: those Keras has and we do not, unless unset, and unknown ones.

    ``taker`` is the class whose constructor they were given to, one of whose arguments may have been meant.
    """
    for name, value in options.items():
        if name not in offered_by_keras:
            known = () if taker is None else signature_of(taker).parameters
            raise ArgumentTypeError(f"{where} got an unexpected argument {name!r}{did_you_mean(name, known)}")
        if value is not None and not (np.isscalar(value) and not value):
            raise NotImplementedError(f"{where}: {name}={shown(value)} is not offered")


def rate(name: str, value: Any) -> float:
    """Return ``value`` as a float in [0, 1), or raise TypeError or ValueError."""
    return number(name, value, "[0, 1)")


def seed(name: str, value: Any) -> int | None:
    """Return ``value`` as an int from 0 on, or None as it is, or raise ValueError."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        raise ValueError(f"{name}: expected an integer from 0 on, got {shown(value)}")
    return int(value)
