"""The command that gives the same result again, to be stored beside it."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from typing import Any

import click
from click.core import ParameterSource

__all__ = ["command_line"]


def command_line(silent: Collection[str] = (), replaced: dict[str, Any] | None = None) -> str:
    """Write the running command with the options that were given.

    Parameters
    ----------
    silent : collection of str
        Options that change no number, which are left out.
    replaced : dict, optional
        Values to write in place of those that were given.
    """
    context = click.get_current_context()
    values = context.params | (replaced or {})
    words = ["nbody-sim", str(context.info_name)]
    for parameter in context.command.params:
        name = parameter.name
        assert name is not None
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if name in silent or not (given or name in (replaced or {})):
            continue
        value = values[name]
        for each in value if isinstance(value, tuple) else (value,):
            words += _words(parameter, each)
    return shlex.join(words)


def _words(parameter: click.Parameter, value: Any) -> list[str]:
    if isinstance(parameter, click.Argument):
        return [str(value)]
    # the long form comes last, and tells more to who reads the command later
    option = parameter.opts[-1]
    return [option] if value is True else [option, str(value)]
