"""Options of a command that are the fields of a dataclass, so that each stands once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field, fields
from typing import Any, TypeVar

import rich_click as click

__all__ = ["option", "options_of"]

OPTION = "click.option"

Command = TypeVar("Command", bound=Callable[..., Any])


def option(*flags: str, **settings: Any) -> Any:
    """Make a field of a dataclass an option; flags and settings are those of `click.option`.

    The field has the default of the option. So what an older version wrote, which knew fewer
    options, is what it was: nobody had given the others.
    """
    absent: Any = None
    if settings.get("multiple"):
        absent = ()
    elif settings.get("is_flag"):
        absent = False
    return field(default=settings.get("default", absent), metadata={OPTION: (flags, settings)})


def options_of(cls: type) -> Callable[[Command], Command]:
    """Give a command the options that the fields of a dataclass are, in their order.

    The command gets them by the names of the fields, so that ``cls(**options)`` takes them all.
    """

    def decorate(command: Command) -> Command:
        for each in reversed(fields(cls)):  # click puts the last one applied first
            flags, settings = each.metadata[OPTION]
            command = click.option(*flags, each.name, **settings)(command)
        return command

    return decorate
