"""Commands that are loaded when they are asked for: the help of all of them needs none."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, final

import rich_click as click

from nbody_surrogate.cli.group import OneLineErrors

__all__ = ["CommandsOnDemand", "GroupOnDemand"]


@final
class CommandsOnDemand(MutableMapping[str, click.Command]):
    """Commands by their names, each in a module of its name, loaded where it is looked at.

    Parameters
    ----------
    package : str
        That the modules are in.
    summaries : mapping of str to str
        The first paragraph of each command's help, by its name.
    """

    def __init__(self, package: str, summaries: Mapping[str, str]) -> None:
        self._package, self.summaries = package, dict(summaries)
        self._loaded: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._loaded:
            if name not in self.summaries:
                raise KeyError(name)
            module = importlib.import_module(f"{self._package}.{name}")
            self._loaded[name] = getattr(module, name)
        return self._loaded[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._loaded[name] = command
        self.summaries[name] = command.get_short_help_str()

    def __delitem__(self, name: str) -> None:
        del self.summaries[name]
        self._loaded.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self.summaries)

    def __len__(self) -> int:
        return len(self.summaries)

    def __contains__(self, name: object) -> bool:
        return name in self.summaries


@final
class GroupOnDemand(OneLineErrors):
    """A group whose own help is written without loading its commands."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help with what is known of the commands beforehand."""
        whole = self.commands
        if isinstance(whole, CommandsOnDemand):
            self.commands = {
                name: click.RichCommand(name=name, short_help=said)
                for name, said in whole.summaries.items()
            }
        try:
            super().format_help(ctx, formatter)
        finally:
            self.commands = whole
