"""The folder of a data set: whose it is, what of it is finished, and what is left over."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from nbody_surrogate.contracts.hidden_variables import HiddenVariable
from nbody_surrogate.datasets.manifest import (
    MANIFEST,
    HiddenColumn,
    Manifest,
    ShardRecord,
    read_manifest,
    spec_hash,
    write_manifest,
)
from nbody_surrogate.datasets.spec import DatasetSpec
from nbody_surrogate.environment.versions import versions
from nbody_surrogate.errors import InputError, one_line
from nbody_surrogate.files.atomic import PART, is_part_of
from nbody_surrogate.files.folder_lock import LOCK

__all__ = ["check_space", "claim", "is_finished", "is_whole", "made_by", "remove_parts"]

SHARD = re.compile(r"shard-\d{5,9}\.h5")

NUMERICAL = ("nbody-surrogate", "numpy", "scipy", "numba", "CyRK")
"""Libraries that the bits of a trajectory depend on."""


def made_by() -> dict[str, str]:
    """Versions of the libraries that the bits depend on."""
    found = versions()
    return {name: found[name] for name in NUMERICAL if name in found}


def claim(folder: Path, spec: DatasetSpec, hidden: Sequence[HiddenVariable] = ()) -> Manifest:
    """Make a folder that of a spec, or find what is finished of it.

    Parameters
    ----------
    folder : Path
    spec : DatasetSpec
    hidden : sequence of HiddenVariable
        Those that its shards hold.

    Returns
    -------
    Manifest

    Raises
    ------
    InputError
        If the folder holds another data set or something else, or its shards were made by other
        versions of the libraries, or with other hidden variables.
    FileFormatError
        If its manifest is damaged or of a newer format.
    RunError
        If nothing can be written.
    """
    columns = tuple(HiddenColumn.of(each) for each in hidden)
    mine = Manifest(spec=spec, versions=made_by(), hidden=columns)
    if not (folder / MANIFEST).exists():
        others = set(folder.iterdir()) - {folder / LOCK, *_parts(folder)}
        if others:
            raise InputError(
                f"`output` {str(folder)!r} holds {min(others).name!r} and no manifest; choose an "
                "empty folder"
            )
        write_manifest(folder, mine)
        return mine
    found = read_manifest(folder)
    if spec_hash(found.spec) != spec_hash(spec) or found.source:
        raise InputError(
            f"`output` {str(folder)!r} holds another data set: {_difference(found, spec)}; "
            "choose another folder"
        )
    if not is_finished(folder, found) and found.versions != mine.versions:
        raise InputError(
            f"`output` {str(folder)!r} was begun with {_listed(found.versions, mine.versions)}, "
            f"here is {_listed(mine.versions, found.versions)}: use the same versions, or another "
            "folder"
        )
    if found.hidden_shapes != mine.hidden_shapes:
        raise InputError(
            f"`output` {str(folder)!r} was begun with other hidden variables than the system has "
            f"now: {_shapes(found)}, now {_shapes(mine)}; choose another folder"
        )
    return found


def is_finished(folder: Path, manifest: Manifest) -> bool:
    """Whether nothing of a data set is missing."""
    said = manifest.label_error or manifest.label_error_note
    whole = all(is_whole(folder, record) for record in manifest.shards)
    return bool(manifest.complete and said and whole)


def is_whole(folder: Path, record: ShardRecord) -> bool:
    """Whether a shard is there, in its full size."""
    path = folder / record.name
    return path.is_file() and path.stat().st_size == record.bytes


def _difference(found: Manifest, spec: DatasetSpec) -> str:
    """Name the first parameter that differs."""
    if found.source:
        return "it was imported"
    theirs, ours = found.spec.model_dump(mode="json"), spec.model_dump(mode="json")
    key = next(key for key in ours if _text(key, ours[key]) != _text(key, theirs[key]))
    return f"its `{key}` is {theirs[key]!r}, not {ours[key]!r}"


def _text(key: str, value: object) -> str:
    return json.dumps(value, sort_keys=key != "splits")


def _shapes(manifest: Manifest) -> str:
    shapes = manifest.hidden_shapes.items()
    return " and ".join(f"{name} {shape}" for name, shape in shapes) or "none"


def _listed(some: dict[str, str], others: dict[str, str]) -> str:
    differing = [f"{key} {value}" for key, value in some.items() if others.get(key) != value]
    return ", ".join(differing) or "fewer libraries"


def check_space(folder: Path, needed: int) -> None:
    """Raise `InputError` where `needed` bytes do not fit on the disk."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"`output` {str(folder)!r} needs {needed / 2**30:.3g} GiB more, its disk has "
            f"{free / 2**30:.3g} GiB left: choose fewer trajectories or another disk"
        )


def remove_parts(folder: Path) -> None:
    """Remove what killed writers left."""
    for path in _parts(folder):
        try:
            path.unlink()
        except OSError as error:
            raise InputError(f"`output` {str(path)!r}: {one_line(error)}") from None


def _parts(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if PART in path.name and _is_part(path)]


def _is_part(path: Path) -> bool:
    shard = SHARD.match(path.name)
    name = MANIFEST if shard is None else shard[0]
    # as an earlier version called them
    return is_part_of(path.with_name(name), path.name) or path.name == name + PART
