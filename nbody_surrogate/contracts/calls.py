"""Calls that name a parameter that is not there, or lack one: one line that says what would do.

Python's own message names the function alone, and the nearest parameter only since 3.13.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from nbody_surrogate.errors import ArgumentError
from nbody_surrogate.spelling import instead_of

__all__ = ["guided", "guided_class"]

P = ParamSpec("P")
R = TypeVar("R")
Class = TypeVar("Class", bound=type)

NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def guided(**other_words: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator: the function is called as before, and errors of the call say more.

    Its signature stays, for `help`, editors and type checkers.

    Parameters
    ----------
    **other_words
        For parameters of other libraries, and for needed ones that may be missing, what to write;
        for `args`, what to write in place of what is given to a call that takes nothing.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        return _guided(function, function.__name__, other_words)

    return decorate


def guided_class(**other_words: str) -> Callable[[Class], Class]:
    """Return a decorator of classes: as `guided`, for making one."""

    def decorate(cls: Class) -> Class:
        cls.__init__ = _guided(cls.__init__, cls.__name__, other_words)  # type: ignore[misc]
        return cls

    return decorate


def _guided(function: Callable[P, R], name: str, other_words: Mapping[str, str]) -> Callable[P, R]:
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except TypeError:
            # asked for after the fact: to bind each call would be felt in a right-hand side
            if _binds(signature, args, kwargs):
                raise
            said = _said(name, signature, args, kwargs, other_words)
        raise ArgumentError(said)

    return call


def _binds(signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def _said(
    name: str,
    signature: inspect.Signature,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    other_words: Mapping[str, str],
) -> str:
    """Say what is wrong with a call."""
    parameters = {key: each for key, each in signature.parameters.items() if key != "self"}
    offset = len(signature.parameters) - len(parameters)  # of a method, itself
    given = len(args) - offset
    bare = [each.replace(annotation=inspect.Parameter.empty) for each in parameters.values()]
    call = f"{name}{inspect.Signature(bare)}"
    named = [key for key, each in parameters.items() if each.kind in NAMED]
    if unknown := [key for key in kwargs if key not in named]:
        # words where there are some: t_span and t_eval are one thing to write
        found = {key: instead_of(key, named, other_words)[2:] for key in unknown}
        told = ", ".join(f"`{key}`{f' ({hint})' if hint else ''}" for key, hint in found.items())
        return f"`{name}` has no parameter {told}: {call}"
    places = [key for key, each in parameters.items() if each.kind in POSITIONAL]
    if given and not places and "args" in other_words:
        return f"`{name}` takes no argument by place, got {given}; {other_words['args']}"
    if given > len(places):
        return f"`{name}` takes {len(places)} arguments by place, got {given}; name them: {call}"
    if twice := [key for key in places[:given] if key in kwargs]:
        return f"`{twice[0]}` of `{name}` was given twice, by its place and by its name: {call}"
    needed = [
        key
        for key, each in parameters.items()
        if each.default is inspect.Parameter.empty
        and each.kind in (*POSITIONAL, inspect.Parameter.KEYWORD_ONLY)
        and key not in (*places[:given], *kwargs)
    ]
    told = " and ".join(f"`{key}`" for key in needed)
    hint = next((f"; write {other_words[key]}" for key in needed if key in other_words), "")
    return f"`{name}` also needs {told}{hint}: {call}"
