"""Options of a command that are the fields of a dataclass, so that each stands once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field, fields
from typing import Any, TypeVar

import rich_click as click
from rich_click import rich_click as settings

__all__ = ["option", "options_of", "show_groups"]

OPTION, GROUP = "click.option", "group"

Command = TypeVar("Command", bound=Callable[..., Any])


def option(*flags: str, group: str | None = None, **given: Any) -> Any:
    """Make a field of a dataclass an option; flags and settings are those of `click.option`.

    `group` heads this option and those after it in the help, up to the next that names one.

    The field has the default of the option. So what an older version wrote, which knew fewer
    options, is what it was: nobody had given the others.
    """
    absent: Any = None
    if given.get("multiple"):
        absent = ()
    elif given.get("is_flag"):
        absent = False
    return field(
        default=given.get("default", absent), metadata={OPTION: (flags, given), GROUP: group}
    )


def show_groups(cls: type, command: str) -> None:
    """Let the help of a command, such as ``nbody-sim run``, show the groups of its options."""
    groups: list[dict[str, Any]] = []
    for each in fields(cls):
        if (name := each.metadata[GROUP]) is not None:
            groups.append({"name": name, "options": []})
        groups[-1]["options"].append(each.metadata[OPTION][0][-1])
    settings.OPTION_GROUPS[command] = groups  # type: ignore[assignment]  # plain, of any release


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
