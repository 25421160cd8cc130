"""The folder of a discovery: ``law.json``, ``discovery.json`` and ``report.html``.

``law.json`` is what the system `discovered` takes, ``discovery.json`` all else that was found. The
folder has its name only when it is whole, and what is read of it is bounded, and numbers and text
alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nbody_surrogate.contracts.arguments import demand_path
from nbody_surrogate.contracts.parameters import validated
from nbody_surrogate.discovery.contents import DiscoveryFile
from nbody_surrogate.discovery.place import FOUND, REPORT, check_folder
from nbody_surrogate.errors import FileFormatError, InputError, RunError, one_line
from nbody_surrogate.files.atomic import atomic_folder
from nbody_surrogate.files.json_file import read_json
from nbody_surrogate.files.limits import JSON
from nbody_surrogate.files.new_file import write_new
from nbody_surrogate.registry.law_folder import LAW, demand_law, law_parameters
from nbody_surrogate.registry.registry import system_class

__all__ = ["FOUND", "LAW", "REPORT", "Found", "as_file", "read_folder", "write_folder"]

SYSTEM = "discovered"


class Found(NamedTuple):
    """What a folder holds.

    Attributes
    ----------
    law : dict
        Parameters of the system `discovered`.
    discovery : DiscoveryFile
    """

    law: dict[str, Any]
    discovery: DiscoveryFile


def write_folder(
    folder: str | os.PathLike[str],
    law: Mapping[str, Any],
    discovery: Mapping[str, Any] | DiscoveryFile,
    report: str | None = None,
    *,
    overwrite: bool = False,
) -> Path:
    """Write a discovery as a folder, whole or not at all.

    Parameters
    ----------
    folder : path_like
        See `check_folder`.
    law : mapping
        Parameters of the system `discovered`.
    discovery : mapping or DiscoveryFile
    report : str, optional
        A page of HTML.
    overwrite : bool

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If the folder cannot be it, or the law or the discovery is not what it must be.
    RunError
        If it cannot be written; what was there stays.
    """
    path = check_folder(folder, overwrite)
    spec = validated(system_class(SYSTEM).Spec, law, f"system {SYSTEM!r}")
    found = as_file(discovery)
    texts = {
        each: _text(its.model_dump(mode="json")) for each, its in ((LAW, spec), (FOUND, found))
    }
    texts |= {} if report is None else {REPORT: report}
    for name, text in texts.items():
        JSON.require(len(text.encode()), f"{name!r} of a discovery", RunError)
    try:
        with atomic_folder(path, overwrite=overwrite or path.is_dir()) as part:  # an empty one
            for name, text in texts.items():
                write_new(part / name, text.encode())
    except OSError as error:
        raise RunError(f"`output` {str(path)!r} cannot be written: {one_line(error)}") from None
    return path


def as_file(discovery: Mapping[str, Any] | DiscoveryFile) -> DiscoveryFile:
    """Return what was found as the model of its file.

    Raises
    ------
    InputError
        If a key is unknown, or a value is not what it must be.
    """
    if isinstance(discovery, DiscoveryFile):
        return discovery
    return validated(DiscoveryFile, discovery, "the discovery")


def read_folder(folder: str | os.PathLike[str]) -> Found:
    """Read a discovery from its folder.

    Parameters
    ----------
    folder : path_like

    Returns
    -------
    Found

    Raises
    ------
    InputError
        If there is no such folder, or a file of it is not there.
    FileFormatError
        If a file is damaged or not what it must be.
    """
    path = demand_path("folder", folder)
    name = f"{SYSTEM}:{path}"
    demand_law(name)
    law = law_parameters(name, system_class(SYSTEM))
    if not os.path.lexists(path / FOUND):
        raise InputError(f"`folder` {str(path)!r} holds no {FOUND}; name that of a discovery")
    content = read_json(path / FOUND)
    if not isinstance(content, dict):
        raise FileFormatError(f"{str(path / FOUND)!r} is damaged: it is no discovery")
    try:
        return Found(law, as_file(content))
    except InputError as error:
        raise FileFormatError(f"{str(path / FOUND)!r}: {one_line(error)}") from None


def _text(content: dict[str, Any]) -> str:
    """Write JSON with a line for each key, as lists of numbers are long."""
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in content.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"
