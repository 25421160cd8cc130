"""The manifest of a data set: its spec, versions, and what is known of each shard."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nbody_surrogate.contracts.brief import brief
from nbody_surrogate.contracts.hidden_variables import HiddenVariable, listed
from nbody_surrogate.datasets.spec import STORED, DatasetSpec
from nbody_surrogate.errors import FileFormatError, InputError, one_line
from nbody_surrogate.files import limits
from nbody_surrogate.files.json_file import write_json
from nbody_surrogate.files.untrusted import require_regular

__all__ = [
    "MANIFEST",
    "HiddenColumn",
    "LabelError",
    "Manifest",
    "ShardRecord",
    "SourceFile",
    "read_manifest",
    "spec_hash",
    "write_manifest",
]

MANIFEST = "manifest.json"
FORMAT = "nbody-surrogate data set"
FORMAT_VERSION = 1
RECORD_BYTES = 256  # of a shard, as it is written at the longest


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ShardRecord(_Section):
    """One finished shard."""

    name: str = Field(pattern=r"^shard-\d{5,9}\.h5$")
    first: int = Field(ge=0)
    count: int = Field(ge=1)
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class LabelError(_Section):
    """How wrong the rows may be: the difference to a sharper run, over a sample of trajectories."""

    method: str = Field(description="the sharper integrator, and the finer system")
    sample: int = Field(ge=1, description="trajectories")
    rows: tuple[int, ...] = Field(description="for which it was measured")
    median: tuple[float | None, ...] = Field(description="position RMSE over the sample, per row")
    largest: tuple[float | None, ...]


class HiddenColumn(_Section):
    """A hidden variable that the shards hold for each row."""

    name: str
    shape: tuple[int | Literal["N", "D"], ...] = Field(
        default=(), description="axes beyond those of trajectories, rows and particles"
    )
    description: str = ""

    @classmethod
    def of(cls, variable: HiddenVariable) -> HiddenColumn:
        """Describe a variable of a system."""
        return cls(name=variable.name, shape=variable.shape, description=variable.description)


class SourceFile(_Section):
    """A file that an imported data set was made of."""

    name: str
    sha256: str


class Manifest(_Section):
    """Everything about a data set but its arrays."""

    format: str = FORMAT
    format_version: int = FORMAT_VERSION
    spec: DatasetSpec
    versions: dict[str, str] = Field(default_factory=dict)
    shards: tuple[ShardRecord, ...] = ()
    label_error: LabelError | None = None
    label_error_note: str = ""
    system_error: LabelError | None = Field(
        default=None, description="of the system's own truncation, where it has a finer version"
    )
    source: tuple[SourceFile, ...] = Field(default=(), description="of an imported data set")
    hidden: tuple[HiddenColumn, ...] = Field(
        default=(), description="hidden variables of the system, as columns of the shards"
    )

    __repr__ = brief

    @property
    def complete(self) -> bool:
        """Whether all shards are finished."""
        return sum(shard.count for shard in self.shards) == self.spec.trajectories

    @property
    def hidden_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the hidden variables of a trajectory at a row, (N, ...), by their names."""
        n, dimensions = self.spec.particles, self.spec.dimensions
        return {
            each.name: HiddenVariable(each.name, each.shape).axes(n, dimensions)
            for each in self.hidden
        }

    @property
    def digest(self) -> str:
        """SHA-256 of the spec and of all shards' hashes: it names the data."""
        parts = [spec_hash(self.spec), *(shard.sha256 for shard in self.shards)]
        return hashlib.sha256("".join(parts).encode()).hexdigest()


def spec_hash(spec: DatasetSpec) -> str:
    """SHA-256 of a spec."""
    content = spec.model_dump(mode="json")
    content["splits"] = list(content["splits"].items())  # in their order
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a data set's folder.

    Raises
    ------
    FileFormatError
        If it is missing, damaged or of a newer format.
    """
    path = folder / MANIFEST
    try:
        if path.is_symlink():
            raise ValueError("it is a symbolic link, which is not followed")
        require_regular(path)
        if path.stat().st_size > limits.MANIFEST.largest:
            raise ValueError(f"it is larger than {limits.MANIFEST.largest} bytes")
        content = json.loads(path.read_bytes())
        _check_version(content)
        manifest = Manifest.model_validate(content, context=STORED)
        _check_shards(manifest)
        _check_hidden(manifest)
    except FileNotFoundError:
        raise FileFormatError(f"{str(folder)!r} is not a data set: it has no {MANIFEST}") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        text = one_line(ValueError(f"{key}: {first['msg']}"))
        raise FileFormatError(f"{str(path)!r} is damaged: {text}") from None
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise FileFormatError(
            f"{str(path)!r} cannot be read as a manifest: {one_line(error)}"
        ) from None
    return manifest


def _check_version(content: Any) -> None:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError("it is not of this package")
    version = content.get("format_version")
    if version != FORMAT_VERSION:
        newer = isinstance(version, int) and version > FORMAT_VERSION
        hint = "; install a newer nbody-surrogate" if newer else ""
        raise ValueError(
            f"its format version is {version!r}, this release reads {FORMAT_VERSION}{hint}"
        )


def _check_shards(manifest: Manifest) -> None:
    """Demand that each record is of a shard that the spec asks for, in order."""
    wanted = {f"shard-{i:05d}.h5": part for i, part in enumerate(manifest.spec.shards)}
    for record in manifest.shards:
        part = wanted.get(record.name)
        if part is None or (record.first, record.count) != (part.start, len(part)):
            raise ValueError(f"{record.name!r} is none of the shards of its spec")
    listed = [record.first for record in manifest.shards]
    if listed != sorted(set(listed)):
        raise ValueError("its shards are not in order")


def _check_hidden(manifest: Manifest) -> None:
    """Demand names and shapes that hidden variables may have."""
    try:
        names = [HiddenVariable(each.name, each.shape).name for each in manifest.hidden]
    except InputError as error:
        raise ValueError(str(error)) from None
    if len(set(names)) < len(names):
        raise ValueError(f"its hidden variables must have unlike names, got {listed(names)}")


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest of a folder, in one step.

    Raises
    ------
    InputError
        If the records of all shards would be more than is ever read; said with the first one.
    RunError
        If it cannot be written.
    """
    spec = manifest.spec
    shards = math.ceil(spec.trajectories / (spec.shard or 1))
    limits.MANIFEST.require(RECORD_BYTES * shards, f"({shards} of them)")
    content = manifest.model_dump(mode="json")
    if manifest.system_error is None:  # which releases before do not know
        del content["system_error"]
    if not manifest.hidden:  # likewise
        del content["hidden"]
    write_json(folder / MANIFEST, content, indent=1, synced=True, limit=limits.MANIFEST)
