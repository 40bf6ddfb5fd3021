"""Constructors as they may be called: what a class leaves to its bases is shown, and taken in Keras's order."""

from __future__ import annotations

import difflib
import functools
import inspect
import itertools
import weakref
from collections.abc import Callable, Iterable, Iterator
from inspect import Parameter, Signature
from typing import Any, TypeVar, cast

from ._ours import is_ours

F = TypeVar("F", bound=Callable[..., Any])

_known: weakref.WeakKeyDictionary[type, Signature] = weakref.WeakKeyDictionary()


def in_order(*further: str | tuple[str, Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let a constructor take arguments by position too, in this order, behind those it has.

    >>> from lstmcore._signatures import in_order
    >>> class Base:
    ...     def __init__(self, *, size, color):
    ...         self.size, self.color = size, color
    >>> class Box(Base):
    ...     @in_order("size", "color")
    ...     def __init__(self, name, **options):
    ...         super().__init__(**options)
    >>> Box("a", 2, "red").color
    'red'

    Parameters
    ----------
    *further : names of arguments that the constructor takes by name alone, or leaves to a base; with a default those
        that are accepted without being an argument of either.
    """
    names = [one if isinstance(one, str) else one[0] for one in further]

    def decorate(constructor: Callable[..., None]) -> Callable[..., None]:
        parameters = inspect.signature(constructor).parameters.values()
        own = sum(p.kind is Parameter.POSITIONAL_OR_KEYWORD for p in parameters) - 1  # without self

        @functools.wraps(constructor)
        def taking(self: Any, *arguments: Any, **options: Any) -> None:
            if len(arguments) > own:
                arguments, rest = arguments[:own], arguments[own:]
                kind = type(self).__name__
                if len(rest) > len(names):
                    most, got = own + len(names), own + len(rest)
                    raise TypeError(f"{kind}: expected at most {most} arguments by position, got {got}")
                for name, value in zip(names, rest, strict=False):
                    if name in options:
                        raise TypeError(f"{kind} got {name!r} by position and by name")
                    options[name] = value
            constructor(self, *arguments, **options)

        taking.further = further  # type: ignore[attr-defined]
        return taking

    return decorate


def arguments_before(base: type, cls: type) -> set[str]:
    """Return the names of the arguments that the constructors of a class have before they come to that of a base."""
    before = itertools.takewhile(lambda one: one[0] is not base, _constructors(cls))
    return {name for _, constructor in before for name in inspect.signature(constructor).parameters}


def signature_of(cls: type) -> Signature:
    """Return what the constructor of a class takes, that of its bases which it passes on included.

    What a class gives its base itself it names in ``decides``. One that passes arguments on to others says so with
    ``further_arguments``: by name, None for what it refuses.
    """
    if cls not in _known:
        _known[cls] = Signature(_merged(cls))
    return _known[cls]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question that ends a message on an argument: whether one that is like it was meant, or "".

    >>> from lstmcore._signatures import did_you_mean
    >>> did_you_mean("return_sequence", ["return_state", "return_sequences"])
    "; did you mean 'return_sequences'?"
    """
    names = list(known)
    initials = {"".join(word[:1] for word in argument.split("_")): argument for argument in names if "_" in argument}
    close = [initials[name]] if name in initials else difflib.get_close_matches(name, names, 1)
    return f"; did you mean {close[0]!r}?" if close else ""


def refuse_misspelt(where: str, taken: Signature, options: Iterable[str]) -> None:
    """Refuse names of arguments that are not taken, if one that is taken is like it.

    For calls that Python refuses anyway, without the question or for an argument that is then missing.
    """
    parameters = taken.parameters
    if any(p.kind is Parameter.VAR_KEYWORD for p in parameters.values()):
        return
    for name in options:
        if name not in parameters and (question := did_you_mean(name, parameters)):
            raise TypeError(f"{where} got an unexpected argument {name!r}{question}")


def suggesting(method: F) -> F:
    """Let a method that refuses an argument say which one may have been meant, as Python does from 3.13 on."""

    @functools.wraps(method)
    def asked(self: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return method(self, *arguments, **options)
        except TypeError:
            refuse_misspelt(f"{self.name}: {method.__name__}", inspect.signature(method), options)
            raise

    return cast(F, asked)


class Shown:
    """The `__signature__` of a class and of those derived from it, made when it is asked for."""

    def __get__(self, instance: Any, owner: type) -> Signature:
        if instance is not None:
            raise AttributeError("__signature__")  # an object that can be called has that of its call
        signature = signature_of(owner)
        constructors = list(_constructors(owner))
        if not constructors or not is_ours(constructors[-1][0]) or _any_name(constructors[-1][1]) is None:
            return signature
        # What is left over at the end of ours is refused.
        kept = [p for p in signature.parameters.values() if p.kind is not Parameter.VAR_KEYWORD]
        return signature.replace(parameters=kept)


class ShownByObjects(Shown):
    """The same, and of objects what they take when they are called: some arguments, and then those of a constructor."""

    def __init__(self, own: Callable[..., Any], of: Callable[[Any], type], but: Iterable[str] = ()) -> None:
        self.own, self.of, self.but = own, of, {*but}

    def __get__(self, instance: object | None, owner: type) -> Signature:
        if instance is None:
            return super().__get__(None, owner)
        first = [
            p for p in inspect.signature(self.own).parameters.values() if p.kind is Parameter.POSITIONAL_OR_KEYWORD
        ]
        further = signature_of(self.of(instance)).parameters.values()
        return Signature([*first[1:], *(p for p in further if p.name not in self.but)])


def _constructors(cls: type) -> Iterator[tuple[type, Callable[..., None]]]:
    """Yield the constructors that an object's arguments go through, with their classes."""
    for kind in cls.__mro__:
        constructor = vars(kind).get("__init__")
        if not inspect.isfunction(constructor):
            continue
        yield kind, constructor
        if _any_name(constructor) is None:
            return


def _any_name(constructor: Callable[..., None]) -> Parameter | None:
    parameters = inspect.signature(constructor).parameters.values()
    return next((p for p in parameters if p.kind is Parameter.VAR_KEYWORD), None)


def _merged(cls: type) -> list[Parameter]:
    found: dict[str, Parameter] = {}
    order: list[str] = []  # by position
    in_place = True  # whether arguments by position go on to the next
    last: Parameter | None = None
    star: Parameter | None = (
        None  # that takes any number by position, unless those go on to a base that has names for them
    )
    decided: set[str] = set()
    for kind, constructor in _constructors(cls):
        parameters = list(inspect.signature(constructor).parameters.values())[1:]
        last = last or _any_name(constructor)  # where a class keeps them for itself, its bases have none
        own = [p for p in parameters if p.kind not in (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL)]
        if in_place:
            order += [p.name for p in own if p.kind is not Parameter.KEYWORD_ONLY and p.name not in order]
            for one in getattr(constructor, "further", ()):
                name = one if isinstance(one, str) else one[0]
                if not isinstance(one, str):
                    found[name] = Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=one[1])
                order += [name] if name not in order else []
        if in_place:
            named = any(p.kind is Parameter.POSITIONAL_OR_KEYWORD for p in own)
            taken = next((p for p in parameters if p.kind is Parameter.VAR_POSITIONAL), None)
            star = taken or (None if named else star)
            in_place = star is not None
        for p in own:
            if p.name not in decided:
                found.setdefault(p.name, p)
        decided |= set(vars(kind).get("decides", ()))
    if hasattr(cls, "further_arguments"):
        changed = cls.further_arguments()
        found = {k: p for k, p in (found | changed).items() if p is not None}
    first = [found[name].replace(kind=Parameter.POSITIONAL_OR_KEYWORD) for name in order if name in found]
    rest = [p.replace(kind=Parameter.KEYWORD_ONLY) for name, p in found.items() if name not in order]
    return [*first, *([star] if star is not None else []), *rest, *([last] if last is not None else [])]
