"""What a data set is made by: one validated spec, from TOML, a preset or Python."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    StringConstraints,
    model_validator,
)

from nbody_surrogate.contracts.arguments import demand_path
from nbody_surrogate.contracts.brief import brief
from nbody_surrogate.contracts.parameters import validated
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.datasets.dated_options import dated_options
from nbody_surrogate.datasets.folder_system import without_folder
from nbody_surrogate.errors import InputError
from nbody_surrogate.files.toml import read_toml
from nbody_surrogate.registry.lookup import names
from nbody_surrogate.registry.registry import make_system, preset

__all__ = [
    "STORED",
    "DatasetSpec",
    "Legacy",
    "Span",
    "TaskSpec",
    "WindowSpec",
    "as_spec",
    "preset_names",
    "read_spec",
    "resolve",
]

SHARD_BYTES = 16 * 2**20  # of positions and velocities, unless the size is given
SMALLEST_SHARE = 10  # of the trajectories, one in so many for validation and one for testing
LARGEST_LEGACY_SEED = 2**32 - 1
MOST_SHARDS = 100_000

STORED = {"stored": True}
"""Context by which a spec is validated that comes from a file, and is to stay as it is."""

SplitName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
Count = Annotated[int, Field(ge=0, le=10**9)]


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Make tuples lists and NumPy's numbers Python's, as a manifest holds them."""
    try:
        return dict(json.loads(json.dumps(values, default=lambda value: value.tolist())))
    except (AttributeError, TypeError, ValueError, RecursionError):
        raise ValueError("must be made of numbers, text, lists and tables") from None


Table = Annotated[dict[str, Any], AfterValidator(_plain)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class WindowSpec(_Section):
    """Rows of a one-shot task: inputs, one every few frames, and a target far ahead.

    As in the program of Charles (2024), the inputs are frames 1, 1 + every, ..., and the target is
    frame ``inputs * every + horizon``.
    """

    inputs: PositiveInt = Field(default=10, le=10**5, description="input rows")
    every: PositiveInt = Field(default=10, le=10**7, description="frames between two of them")
    horizon: PositiveInt = Field(le=10**9, description="frames to the target")
    target: Literal["written", "zero"] = Field(
        default="written", description="zero: the row is left as the released program leaves it"
    )

    @property
    def rows(self) -> int:
        """Rows that the published program stores: as many as it takes steps."""
        return self.inputs * self.every + self.horizon

    @property
    def numbers(self) -> list[int]:
        """Frame numbers of all rows; the target, where it is not zero, is the last."""
        return [1 + self.every * row for row in range(self.inputs)] + [self.rows]


class TaskSpec(_Section):
    """What is to be predicted from what, as rows of a trajectory."""

    input: int = Field(ge=0, description="the last row that is given")
    target: int = Field(ge=1, description="the row to predict")

    @model_validator(mode="after")
    def _forwards(self) -> TaskSpec:
        if self.target <= self.input:
            raise ValueError(f"`target` must be above `input` {self.input}, got {self.target}")
        return self


class Legacy(_Section):
    """Starts from NumPy's legacy stream, one after the other, as published programs draw them."""

    rows: int | None = Field(
        default=None, ge=0, description="rows that the program stores; by default the window's"
    )
    offsets: dict[SplitName, Count] = Field(
        default_factory=dict, description="where in the stream a split begins; else it follows on"
    )


class Span(NamedTuple):
    """A run of equally spaced rows: `length` of them, `spacing` frames apart."""

    spacing: int
    length: int


class DatasetSpec(_Section):
    """Everything that a data set depends on.

    Frame n is ``n * frame_dt`` after the start, where ``frame_dt`` is a parameter of the system.
    Rows are the frames that are kept: from `first` to `frames`, or those of a `window`.

    Its options are complete where releases differ: a manifest without such an option is of before,
    and means what was the only way then. So each spec, with its hash, stands for the same bits in
    all releases.
    """

    system: str = "charged"
    parameters: Table = Field(default_factory=dict, description="of the system")
    particles: PositiveInt = Field(default=5, le=10**6)
    dimensions: Literal[2, 3] = 3
    trajectories: PositiveInt = Field(default=1000, le=10**9)
    splits: dict[SplitName, Count] = Field(
        default_factory=dict, description="trajectories of each, in order; by default 8 : 1 : 1"
    )
    seed: int = Field(default=0, ge=0)
    legacy: Legacy | None = None
    first: int = Field(default=0, ge=0, description="the first frame that is kept")
    frames: int | None = Field(default=None, ge=1, le=10**7, description="the last one")
    window: WindowSpec | None = None
    task: TaskSpec | None = Field(default=None, description="by default the window's")
    integrator: str | None = Field(
        default="dop853-compiled", description="none where the data were not made here"
    )
    options: Table = Field(default_factory=dict, description="of the integrator")
    velocity_lag: float = Field(
        default=0.0, description="how far in time velocities are behind positions, as by half steps"
    )
    shard: PositiveInt | None = Field(
        default=None, description="trajectories of a shard; by default about 16 MiB"
    )

    __repr__ = brief

    @model_validator(mode="after")
    def _complete(self, info: Any) -> DatasetSpec:
        """Fill in what follows from the rest, and check that it all agrees."""
        if info.context is not STORED and self.integrator is not None:
            self._fill("options", dated_options(self.system, self.integrator, self.options))
        self._check_rows()
        self._fill("splits", self.splits or _default_splits(self.trajectories))
        if sum(self.splits.values()) != self.trajectories:
            raise ValueError(
                f"`splits` must add up to `trajectories` {self.trajectories}, "
                f"got {sum(self.splits.values())}"
            )
        if self.window is not None:
            inputs = self.window.inputs
            self._fill("task", self.task or TaskSpec(input=inputs - 1, target=inputs))
        if self.task is not None and self.task.target >= self.rows:
            raise ValueError(
                f"`task.target` must be one of the rows 0 to {self.rows - 1}, "
                f"got {self.task.target}"
            )
        self._check_legacy()
        least = max(SHARD_BYTES // (16 * self.rows * self.particles * self.dimensions), 1)
        self._fill("shard", min(self.shard or least, self.trajectories))
        assert self.shard is not None
        if self.trajectories > MOST_SHARDS * self.shard:
            raise ValueError(
                f"`shard` must make at most {MOST_SHARDS} shards of {self.trajectories} "
                f"trajectories, got {self.shard}; use {-(-self.trajectories // MOST_SHARDS)}"
            )
        return self

    def _fill(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _check_rows(self) -> None:
        if (self.window is None) == (self.frames is None):
            raise ValueError("give either `frames` or a `window`")
        if self.window is not None and self.first:
            raise ValueError("`first` does not go with a `window`, which settles it")
        if self.frames is not None and self.first > self.frames:
            raise ValueError(f"`first` must be at most `frames` {self.frames}, got {self.first}")

    def _check_legacy(self) -> None:
        if self.legacy is None:
            return
        if self.seed > LARGEST_LEGACY_SEED:
            raise ValueError(f"`seed` of a legacy stream must be below 2^32, got {self.seed}")
        if self.legacy.rows is None:
            if self.window is None:
                raise ValueError("`legacy.rows` is needed without a `window`")
            rows = self.window.rows
            self._fill("legacy", Legacy(rows=rows, offsets=self.legacy.offsets))
        assert self.legacy is not None
        if unknown := self.legacy.offsets.keys() - self.splits.keys():
            raise ValueError(f"`legacy.offsets` names no split: {', '.join(sorted(unknown))}")
        for (name, before), (_, after) in pairwise(self.stream_places().items()):
            if before[1] > after[0]:
                raise ValueError(f"`legacy.offsets` must leave room for split {name!r} in turn")

    @property
    def numbers(self) -> np.ndarray:
        """Frame numbers of the rows, shape (T,)."""
        if self.window is not None:
            return np.array(self.window.numbers)
        assert self.frames is not None
        return np.arange(self.first, self.frames + 1)

    @property
    def rows(self) -> int:
        """Number of rows, T."""
        if self.window is not None:
            return self.window.inputs + 1
        assert self.frames is not None
        return self.frames + 1 - self.first

    @property
    def spans(self) -> list[Span]:
        """The rows after the start as runs of equally spaced frames."""
        numbers = self.numbers
        if self.has_zero_target:  # it is not computed
            numbers = numbers[:-1]
        gaps = np.diff(np.concatenate([[0], numbers[numbers > 0]]))
        if not gaps.size:
            return []
        ends = np.flatnonzero(np.diff(gaps)) + 1
        parts = np.split(gaps, ends)
        return [Span(int(part[0]), len(part)) for part in parts]

    @property
    def has_zero_target(self) -> bool:
        """Whether the target row is left zero."""
        return self.window is not None and self.window.target == "zero"

    @property
    def ranges(self) -> dict[str, range]:
        """Trajectories of each split."""
        ends = np.cumsum([0, *self.splits.values()]).tolist()
        return {name: range(*ends[i : i + 2]) for i, name in enumerate(self.splits)}

    @property
    def shards(self) -> list[range]:
        """Trajectories of each shard."""
        assert self.shard is not None
        starts = range(0, self.trajectories, self.shard)
        return [range(a, min(a + self.shard, self.trajectories)) for a in starts]

    def stream_places(self) -> dict[str, tuple[int, int]]:
        """Return from where to where each split lies in its legacy stream."""
        assert self.legacy is not None
        places, end = {}, 0
        for name, count in self.splits.items():
            begin = self.legacy.offsets.get(name, end)
            end = begin + count
            places[name] = (begin, end)
        return places

    def make_system(self) -> AbstractSystem:
        """Build the system.

        Raises
        ------
        InputError
            If it is unknown or a parameter is wrong.
        """
        return make_system(self.system, **self.parameters)


def _default_splits(trajectories: int) -> dict[str, int]:
    part = trajectories // SMALLEST_SHARE
    return {"train": trajectories - 2 * part, "validation": part, "test": part}


def resolve(values: Mapping[str, Any], owner: str = "the data set") -> DatasetSpec:
    """Make a spec of parameters, one of which may name a ``preset`` that the others change.

    Where they change the number of trajectories of a preset and not its splits, the splits keep
    their proportions. A ``horizon`` is that of the window.

    Raises
    ------
    InputError
        If a key is unknown or a value is wrong.
    """
    changes = dict(values)
    name = changes.pop("preset", None)
    horizon = changes.pop("horizon", None)
    if name is not None and not isinstance(name, str):
        raise InputError(f"`preset` of {owner} must be a name, got {name!r}")
    base = dict(preset(name)) if name is not None else {}
    merged = without_folder(_merged(base, changes))
    trajectories = changes.get("trajectories")
    if "splits" in base and "splits" not in changes and isinstance(trajectories, int):
        merged["splits"] = _scaled(base["splits"], max(trajectories, 1))
    if horizon is not None:
        if not isinstance(merged.get("window"), Mapping):
            raise InputError(f"`horizon` of {owner} needs a `window`; presets with one: set-paper")
        merged["window"] = {**merged["window"], "horizon": horizon}
    return validated(DatasetSpec, merged, owner)


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Change a preset; the parameters and options of another system or solver do not carry over."""
    merged = {**base, **changes}
    for whole, part in (("system", "parameters"), ("integrator", "options")):
        same = _named(merged, whole) == _named(base, whole)
        before = base.get(part, {}) if same else {}
        given = changes.get(part, {})
        if base and isinstance(before, Mapping) and isinstance(given, Mapping):
            merged[part] = {**before, **given}
    return merged


def _named(values: Mapping[str, Any], key: str) -> Any:
    """Return the system or integrator that is given, or the preset's, or that by default."""
    if key in values:
        return values[key]
    name = values.get("preset")
    base = preset(name) if isinstance(name, str) else {}
    return base.get(key, DatasetSpec.model_fields[key].default)


def _scaled(splits: Mapping[str, int], trajectories: int) -> dict[str, int]:
    """Share out another number in the same proportions; the first split takes the remainder."""
    total = sum(splits.values())
    shares = {name: count * trajectories // total for name, count in splits.items()}
    first = next(iter(shares))
    shares[first] += trajectories - sum(shares.values())
    return shares


def read_spec(path: str | Path, **changes: Any) -> DatasetSpec:
    """Read a spec from a TOML file.

    Parameters
    ----------
    path : path_like
        Its keys are the parameters of `DatasetSpec`, and optionally ``preset``.
    changes
        Parameters that replace those of the file.

    Raises
    ------
    InputError
        If the file cannot be read or is no TOML, a key is unknown or a value is wrong.
    """
    owner = f"spec {str(path)!r}"
    values = read_toml(path, "spec")
    horizon = changes.pop("horizon", None)
    merged = _merged(values, changes)
    return resolve(merged if horizon is None else {**merged, "horizon": horizon}, owner)


def as_spec(given: DatasetSpec | str | os.PathLike[str] | Mapping[str, Any]) -> DatasetSpec:
    """Return the spec that a preset's name, a TOML file or a mapping stands for.

    Raises
    ------
    InputError
        If it is none of these, or wrong.
    """
    if isinstance(given, DatasetSpec):
        return given
    if isinstance(given, Mapping):
        return resolve(given)
    # the name of a preset has no ending, and may hold its distribution before a colon
    if isinstance(given, str) and not given.endswith(".toml"):
        return resolve({"preset": given})
    return read_spec(demand_path("spec", given))


def preset_names() -> list[str]:
    """Names of the presets."""
    return names("presets")
