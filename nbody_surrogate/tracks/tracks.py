"""One measured run: where each particle was in each frame, and where it was not seen."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from nbody_surrogate.contracts.arguments import demand_kind, demand_number, demand_whole
from nbody_surrogate.contracts.arrays import demand_vectors, real_array
from nbody_surrogate.contracts.attributes import Suggesting
from nbody_surrogate.contracts.brief import brief
from nbody_surrogate.contracts.time_text import number_text
from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64, Int64

__all__ = ["Jump", "Swap", "TrackSource", "Tracks"]

LOOKED_AT = 200  # frames that the spacing is the median of: more do not change its digits


@dataclass(frozen=True)
class TrackSource:
    """Where tracks come from.

    Attributes
    ----------
    file : str
        Its name, without the folder; of an observed run the method that made it.
    sha256 : str
        Of the file, in hexadecimal digits; empty of what is in no file.
    run : str or None
        Which of the file's runs, where it holds several.
    """

    file: str
    sha256: str = ""
    run: str | None = None

    __repr__ = brief

    def __str__(self) -> str:
        return self.file if self.run is None else f"{self.file}, run {self.run}"


@dataclass(frozen=True)
class Swap:
    """Particles whose names change places from one frame on.

    Attributes
    ----------
    frame : int
        Number of the first frame in which the names are exchanged.
    names : tuple of str
        Of the particles, in the order in which each takes the place of the one before.
    mended : bool
        Whether the names have been exchanged back.
    """

    frame: int
    names: tuple[str, ...]
    mended: bool = False


@dataclass(frozen=True)
class Jump:
    """A particle that is somewhere else from one frame to the next.

    Attributes
    ----------
    frame : int
        Number of the frame in which it is there.
    name : str
        Of the particle.
    back : bool
        Whether it is back in the next frame, so that one position is wrong.
    """

    frame: int
    name: str
    back: bool


# arrays are equal element by element, so that == of two would have no answer
@dataclass(frozen=True, eq=False, repr=False)
class Tracks(Suggesting):
    """One measured run: positions alone, in the units of the measurement.

    Attributes
    ----------
    x : ndarray, shape (T, N, D)
        Positions; NaN where a particle was not seen. D is 2 or 3.
    frame_dt : float
        Time between two frames.
    names : tuple of str
        Of the N particles.
    length_unit, time_unit : str or None
        What the numbers are in; None where nobody has said it.
    charges, masses : ndarray, shape (N,), or None
        Where the source tells them; no camera does.
    source : TrackSource
    first_frame : int
        Number of the first frame.
    frame_step : int
        How much numbers of frames grow from one to the next.
    reading : tuple of str
        What was taken for what, a line each.
    swaps : tuple of Swap
        Names that change places, as far as that is seen.
    jumps : tuple of Jump

    Raises
    ------
    InputError
        If shapes disagree, a position is infinite or known in part, a particle was never seen, or
        `frame_dt` is not finite and > 0.
    """

    x: Float64[np.ndarray, "T N D"]
    frame_dt: float
    names: tuple[str, ...]
    length_unit: str | None = None
    time_unit: str | None = None
    charges: Float64[np.ndarray, " N"] | None = None
    masses: Float64[np.ndarray, " N"] | None = None
    source: TrackSource = field(default_factory=lambda: TrackSource("memory"))
    first_frame: int = 0
    frame_step: int = 1
    reading: tuple[str, ...] = ()
    swaps: tuple[Swap, ...] = ()
    jumps: tuple[Jump, ...] = ()

    other_words = MappingProxyType(
        {
            **dict.fromkeys(["positions", "position", "coordinates", "pos", "xyz"], "`x`"),
            **dict.fromkeys(["dt", "interval", "delta_t"], "`frame_dt`"),
            **dict.fromkeys(["fps", "frame_rate"], "`1 / frame_dt`"),
            **dict.fromkeys(["v", "velocities", "velocity"], "`x`: nobody measured velocities"),
            **dict.fromkeys(["particles", "ids", "particle"], "`names`"),
            **dict.fromkeys(
                ["to_csv", "save", "write"], "`nbody_surrogate.write_tracks(path, ...)`"
            ),
            **dict.fromkeys(["times", "time"], "`t`"),
        }
    )

    def __post_init__(self) -> None:
        x = demand_vectors("x", self.x, "T N D", (2, 3))
        object.__setattr__(self, "x", x)
        demand_kind("names", self.names, tuple, "a tuple of str")
        n = x.shape[1]
        if len(self.names) != n or len(set(self.names)) < n:
            raise InputError(
                f"`names` must be {counted(n, 'name')}, each of them another, got {len(self.names)}"
            )
        dt = demand_number("frame_dt", self.frame_dt)
        if not (math.isfinite(dt) and dt > 0):
            raise InputError(f"`frame_dt` must be finite and > 0, got {self.frame_dt}")
        demand_whole("frame_step", self.frame_step, 1)
        for name in ("charges", "masses"):
            self._demand_each(name, n)
        _demand_known(x, self.names)

    def _demand_each(self, name: str, n: int) -> None:
        given = getattr(self, name)
        if given is None:
            return
        values = real_array(name, given)
        if values.shape != (n,) or not np.isfinite(values).all():
            raise InputError(
                f"`{name}` must be finite, of shape (N,) = ({n},), got shape {values.shape}"
            )
        object.__setattr__(self, name, values)

    @property
    def n(self) -> int:
        """How many particles there are."""
        return int(self.x.shape[1])

    @property
    def dimensions(self) -> int:
        """2 or 3."""
        return int(self.x.shape[2])

    @property
    def frames(self) -> Int64[np.ndarray, " T"]:
        """Numbers of the frames, shape (T,), as the file has them."""
        numbers = np.arange(len(self.x), dtype=np.int64)
        return np.asarray(self.first_frame + self.frame_step * numbers)

    @property
    def t(self) -> Float64[np.ndarray, " T"]:
        """Times since the first frame, shape (T,)."""
        return self.frame_dt * np.arange(len(self.x), dtype=np.float64)

    @property
    def duration(self) -> float:
        """Time from the first frame to the last."""
        return self.frame_dt * (len(self.x) - 1)

    @property
    def seen(self) -> Bool[np.ndarray, "T N"]:
        """Which particle was seen in which frame, shape (T, N)."""
        return np.asarray(np.isfinite(self.x[:, :, 0]))

    @property
    def missing(self) -> float:
        """Share of all particles in all frames that was not seen."""
        return float(1.0 - self.seen.mean())

    @property
    def spacing(self) -> float:
        """Distance to the nearest neighbour, the median over particles and frames.

        NaN where no frame shows two particles.
        """
        found = []
        chosen = np.unique(np.linspace(0, len(self.x) - 1, LOOKED_AT).astype(int))
        for here in self.x[chosen]:
            known = here[np.isfinite(here[:, 0])]
            if len(known) > 1:
                found.append(cKDTree(known).query(known, k=2)[0][:, 1])
        return float(np.median(np.concatenate(found))) if found else math.nan

    def segments(self, minimum: int = 1) -> tuple[tuple[slice, ...], ...]:
        """Return the stretches over which each particle was seen without a gap.

        Parameters
        ----------
        minimum : int
            Frames that a stretch must have; shorter ones are left out.

        Returns
        -------
        tuple of tuple of slice
            For each of the N particles slices of frames: ``tracks.x[stretch, i]`` has no NaN.
        """
        least = demand_whole("minimum", minimum, 1)
        ends = np.zeros((1, self.n), dtype=np.int8)
        # where a particle appears this grows by one, where it is gone it falls
        steps = np.diff(np.concatenate([ends, self.seen.astype(np.int8), ends]), axis=0)
        found = []
        for each in steps.T:
            starts, stops = np.flatnonzero(each == 1), np.flatnonzero(each == -1)
            long = stops - starts >= least
            found.append(
                tuple(slice(int(a), int(b)) for a, b in zip(starts[long], stops[long], strict=True))
            )
        return tuple(found)

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        unit = f" {self.time_unit}" if self.time_unit else ""
        return (
            f"<Tracks: {str(self.source)[:80]}, {counted(len(self), 'frame')} every "
            f"{number_text(self.frame_dt)}{unit}, {counted(self.n, 'particle')} in "
            f"{self.dimensions} dimensions, {100 * self.missing:.2g} % missing>"
        )


def _demand_known(x: np.ndarray, names: tuple[str, ...]) -> None:
    """Demand that positions are known as a whole or not at all, and each particle somewhere."""
    known = np.isfinite(x)
    wrong = known.any(axis=2) != known.all(axis=2)
    wrong |= np.isinf(x).any(axis=2)
    if wrong.any():
        frame, i = np.argwhere(wrong)[0]
        raise InputError(
            f"`x` must be finite, or NaN in all coordinates where a particle was not seen, got "
            f"{x[frame, i].tolist()} of particle {names[i][:40]!r} in row {frame}"
        )
    if (never := ~known.all(axis=2).any(axis=0)).any():
        name = names[int(np.argmax(never))]
        raise InputError(f"`x` must show each particle, {name[:40]!r} is NaN in all frames")
