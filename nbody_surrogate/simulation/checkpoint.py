"""Restart files: all that the rest of a run depends on, at a segment's boundary, in one file.

A restart file is in the format of safetensors: the arrays, and a text of JSON among its metadata,
with a SHA-256 of all of it. It names no code: system and method are looked up by name. Its output,
the ``.part`` that grows, it knows by an identifier that was drawn for the run, and what stands
there, all frames and what never changes, is not in it again.

=====================  ====================================================================
array                  what
=====================  ====================================================================
carry.x, carry.v       (B, N, D), and all else that the method carries: its history or
                       cache, and its step sizes
good                   (B,), valid frames of each trajectory, the start included
message                bytes of JSON: for each trajectory why it failed, or nothing
fallen_back, guard...  of a guarded run: its report but for the events, and its account
estimate...            of a run whose error is estimated: the errors followed by now
charges, masses        (B, N), at frame 0 only, as there is no output yet; later the
                       document has their SHA-256
couplings, radii       (B, N, N) and (B, N), beside them, where the particles have them
=====================  ====================================================================

Format version 2. In version 1, of releases before, there was no identifier, the document held what
`good`, `message` and `fallen_back` hold and all events of the guard, and the charges, masses and
couplings were in each file. It is still read: see `restart_version_1`.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from nbody_surrogate.contracts.arguments import demand_kind, demand_path
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.environment.versions import versions
from nbody_surrogate.errors import FileFormatError, InputError, MissingFileError, RunError, one_line
from nbody_surrogate.files.atomic import atomic_file
from nbody_surrogate.files.limits import RESTART
from nbody_surrogate.files.output_path import OTHERWISE, CheckedPath, check_output_file, held
from nbody_surrogate.files.untrusted import read_bounded
from nbody_surrogate.formats.h5md.layout import SUFFIXES
from nbody_surrogate.registry.lookup import plugin_of
from nbody_surrogate.results.domain_report import DomainReport
from nbody_surrogate.results.error_estimate import EstimateReport, ToleranceReport
from nbody_surrogate.results.guard_report import GuardReport
from nbody_surrogate.results.parareal_report import PararealReport
from nbody_surrogate.simulation.restart_arrays import digest, texts_in
from nbody_surrogate.simulation.restart_version_1 import in_version_2

__all__ = [
    "Checkpoint",
    "Document",
    "GuardState",
    "Restart",
    "RuntimeEnvironment",
    "check_restart_path",
    "held_restart",
    "read_restart",
]

FORMAT = "nbody-surrogate restart"
FORMAT_VERSION = 2
KEY = "document"  # of the metadata; `sha256` is the other one
HDF5 = b"\x89HDF\r\n\x1a\n"  # how the outputs begin, which lie beside restart files


@dataclass(frozen=True)
class Checkpoint:
    """Where a run's restart file is kept.

    Attributes
    ----------
    path : path_like
    note : mapping
        Plain values, which come back from the file.
    overwrite : bool
        Replace a file that is there when the run starts.

    Raises
    ------
    InputError
        If the path is none, or the note holds what JSON does not.
    """

    path: str | os.PathLike[str]
    note: Mapping[str, Any] = field(default_factory=dict)
    overwrite: bool = False

    def __post_init__(self) -> None:
        demand_path("checkpoint", self.path)
        demand_kind("note", self.note, Mapping, "a mapping of plain values")
        try:
            json.dumps(dict(self.note))
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError(
                f"`note` must hold plain values, as JSON has them, got others: {one_line(error)}"
            ) from None


class _Section(BaseModel):
    # a key that is not known is refused: what it means for the rest of the run is not known either
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class RuntimeEnvironment(_Section):
    """What the bits of a run depend on, beside its specification."""

    plugin: str = Field(description="the distribution that the method comes from, its version")
    fingerprint: str = Field(description="SHA-256 of a surrogate's configuration and weights")
    threads: int
    machine: str
    versions: dict[str, str]

    @classmethod
    def of(cls, method: AbstractIntegrator, batch: int, n: int) -> RuntimeEnvironment:
        """Return that of this process, for so many trajectories of n particles."""
        return cls(
            plugin=plugin_of(method.name),
            fingerprint=method.fingerprint,
            threads=method.threads_for(batch, n),
            machine=platform.machine(),
            versions=versions(),
        )

    def differences(self, now: RuntimeEnvironment) -> list[str]:
        """Say what is different now."""
        # 12 digits of a hash tell two sets apart, and fit into a line
        named = {
            "weights": (self.fingerprint[:12], now.fingerprint[:12]),
            "threads": (self.threads, now.threads),
            "plugin": (self.plugin, now.plugin),
            "machine": (self.machine, now.machine),
        }
        for name in sorted(self.versions.keys() | now.versions.keys()):
            named[name] = (self.versions.get(name), now.versions.get(name))
        return [f"{name} {a}, now {b}" for name, (a, b) in named.items() if a != b]


class GuardState(_Section):
    """A guard, and what it found by now."""

    policy: str
    thresholds: dict[str, float | None]
    spot_checks: float = Field(default=0.0, description="share; none in releases before them")
    reference: dict[str, Any] | None
    report: GuardReport = Field(description="but for what the arrays and the output hold of it")


class Document(_Section):
    """Everything of a restart file but its arrays."""

    format: str = FORMAT
    format_version: int = FORMAT_VERSION
    identifier: str = Field(max_length=64, description="of the run; empty in those of version 1")
    particles: str = Field(description="SHA-256 of charges, masses, couplings and radii")
    system: dict[str, Any]
    method: dict[str, Any]
    made_by: RuntimeEnvironment
    t0: float = Field(allow_inf_nan=False)
    dt: float = Field(gt=0, allow_inf_nan=False)
    frames: int = Field(ge=1, le=10**9, description="of the whole run, the start not counted")
    frame: int = Field(ge=0, description="of the boundary")
    seed: int | None
    output: str
    counters: dict[str, int]
    wall_time: float
    guard: GuardState | None
    domain: DomainReport | None = Field(default=None, description="of a method that has a domain")
    observables: list[str] = Field(default=[], description="names of what is reported")
    error_estimate: EstimateReport | None = Field(
        default=None, description="how the error of the run is estimated"
    )
    tolerance: ToleranceReport | None = Field(default=None, description="of the run's frames")
    parareal: PararealReport | None = Field(default=None, description="iterations by now")
    note: dict[str, Any] = Field(description="of whoever started the run")


class Restart(NamedTuple):
    """A restart file's content."""

    document: Document
    arrays: dict[str, np.ndarray]

    @property
    def particles(self) -> Particles | None:
        """The particles of the run, where the file holds them; else its output does."""
        if "charges" not in self.arrays:
            return None
        return Particles(
            self.arrays["charges"],
            self.arrays["masses"],
            self.arrays.get("couplings"),
            self.arrays.get("radii"),
        )

    @property
    def message(self) -> tuple[str, ...]:
        """Why each trajectory failed; empty where it did not."""
        return texts_in(self.arrays["message"])

    @property
    def report(self) -> GuardReport:
        """What the guard found, but for the events that the output holds."""
        assert self.document.guard is not None
        fallen_back = tuple(self.arrays["fallen_back"].tolist())
        return replace(self.document.guard.report, fallen_back=fallen_back)

    def arrays_under(self, prefix: str) -> dict[str, np.ndarray]:
        """Return the arrays below a prefix."""
        found = {k: y for k, y in self.arrays.items() if k.startswith(prefix)}
        return {key.removeprefix(prefix): value for key, value in found.items()}

    def write(self, path: Path) -> None:
        """Replace the file in one step.

        Raises
        ------
        RunError
            If it cannot be written; the file of before stays.
        """
        text = json.dumps(_plain(self.document))
        metadata = {KEY: text, "sha256": digest(text, self.arrays)}
        content = save_arrays(self.arrays, metadata)
        RESTART.require(len(content), error=RunError)
        # synced, as the frames are that it stands for: a power failure leaves it, or the one before
        with atomic_file(path, "checkpoint", synced=True) as file:
            file.write(content)


def _plain(document: Document) -> dict[str, Any]:
    values = document.model_dump()
    if document.guard is not None:
        values["guard"]["report"] = document.guard.report.to_dict()
    values["domain"] = None if document.domain is None else document.domain.stored()
    return values


def check_restart_path(path: str | os.PathLike[str], overwrite: bool) -> Path:
    """Check, before a long run, that its restart file can be written to `path`.

    Raises
    ------
    InputError
        If its folder is missing or not writable, or there is a file and `overwrite` is not given.
    """
    # before the file is looked for: of a run that is there, `resume` would be the wrong advice
    _check_suffix(path)
    return check_output_file(
        path,
        "checkpoint",
        overwrite=overwrite,
        otherwise=f"go on with nbody-sim resume, {OTHERWISE}",
    )


def _check_suffix(path: str | os.PathLike[str]) -> None:
    # a `.part` is where an output grows: the two would write over each other
    suffix = Path(path).suffix.lower()
    if suffix in (*SUFFIXES, ".part"):
        raise InputError(
            f"`checkpoint` must not end in {suffix!r}, as the output does, got {os.fspath(path)!r}"
        )


def held_restart(checkpoint: Checkpoint) -> AbstractContextManager[CheckedPath]:
    """Check a restart file as `check_restart_path` does, and hold it against other processes.

    Raises
    ------
    InputError
        As of `check_restart_path`.
    RunError
        If another process keeps it.
    """
    path, overwrite = checkpoint.path, checkpoint.overwrite
    # before it is held: the run's own output, which is, has such a name
    _check_suffix(path)
    return held(path, "checkpoint", lambda: check_restart_path(path, overwrite))


def read_restart(path: str | os.PathLike[str]) -> Restart:
    """Read a restart file, which is not trusted.

    Raises
    ------
    FileFormatError
        If it is missing, damaged or of a newer format.
    """
    file = demand_path("path", path)
    try:
        raw = read_bounded(file, RESTART.largest)
        if raw.startswith(HDF5):
            raise ValueError("it is an HDF5 file, such as a run's output, and no restart file")
        arrays = load_arrays(raw)
        metadata = _metadata(raw)
        del raw  # there are two of all arrays while it lives
        # before the hash, so that a newer format is told as one and not as damage
        header = _header(metadata[KEY])
        if metadata["sha256"] != digest(metadata[KEY], arrays):
            raise ValueError("its content is not what was written")
        if header["format_version"] == 1:
            header, arrays = in_version_2(header, arrays)
        restart = Restart(_document(header), arrays)
        _check(restart)
    except FileNotFoundError:
        raise MissingFileError(f"{str(file)!r} cannot be resumed: there is no such file") from None
    except FileFormatError as error:
        raise FileFormatError(f"no restart file: {error}") from None
    except SafetensorError:  # whose words are about its own format
        raise FileFormatError(
            f"{str(file)!r} cannot be read as a restart file: it is none, or damaged"
        ) from None
    except DAMAGE as error:
        raise FileFormatError(
            f"{str(file)!r} cannot be read as a restart file: {one_line(error)}"
        ) from None
    return restart


# Whatever safetensors, JSON and NumPy raise over bytes that anybody may have written.
DAMAGE = (
    OSError,
    SafetensorError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,  # of brackets in brackets
    MemoryError,
)


def _metadata(raw: bytes) -> dict[str, str]:
    """Return the metadata of bytes that were loaded before."""
    # safetensors hands out the metadata of files only, not of bytes: 8 bytes of length, then JSON
    length = int.from_bytes(raw[:8], "little")
    found: dict[str, str] = json.loads(raw[8 : 8 + length])["__metadata__"]
    return found


def _header(text: str) -> dict[str, Any]:
    header = json.loads(text)
    # before the model: a document of another version need not have its keys
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ValueError("it is of another kind")
    if header.get("format_version") not in (1, FORMAT_VERSION):
        raise ValueError(
            f"its format version is {header.get('format_version')!r}, this release reads 1 and "
            f"{FORMAT_VERSION}"
        )
    return header


def _document(header: dict[str, Any]) -> Document:
    try:
        return Document.model_validate(header)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{key}: {first['msg']}") from None


def _check(restart: Restart) -> None:
    """Demand that a document and its arrays are about the same run."""
    # whoever can write a file can write a hash that fits it
    document, arrays = restart.document, restart.arrays
    x, v = arrays["carry.x"], arrays["carry.v"]
    if x.shape != v.shape or x.ndim != 3 or x.dtype != np.float64 or v.dtype != np.float64:
        raise ValueError(
            f"its state has shapes {x.shape} and {v.shape}, types {x.dtype}, {v.dtype}"
        )
    batch, shape = len(x), x.shape[:2]
    particles = restart.particles
    if particles is not None and particles.charges.shape != shape:
        raise ValueError(f"its state has shape {x.shape} for particles {particles.charges.shape}")
    if document.frame == 0 and particles is None:
        raise ValueError("it has no particles")
    rows = ["good"] if document.guard is None else ["good", "fallen_back"]
    told = [arrays[key].dtype == np.int64 and arrays[key].shape == (batch,) for key in rows]
    if not all(told) or len(restart.message) != batch:
        raise ValueError(f"it does not say how {batch} trajectories went")
    domain = document.domain
    if domain is not None and not len(domain.since) == len(domain.fallen_back) == batch:
        raise ValueError(f"it does not say how {batch} trajectories went")
    if document.frame > document.frames:
        raise ValueError(f"it is at frame {document.frame} of {document.frames}")
