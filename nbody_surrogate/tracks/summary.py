"""What tracks hold, in figures: for a table, and for JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from nbody_surrogate.contracts.brief import brief
from nbody_surrogate.tracks.noise import position_noise
from nbody_surrogate.tracks.tracks import Jump, Swap, Tracks

__all__ = ["TrackSummary", "summarise"]


@dataclass(frozen=True)
class TrackSummary:
    """Figures of one measured run, lengths and times in its own units.

    Attributes
    ----------
    file, sha256 : str
    run : str or None
        As of `TrackSource`.
    frames, particles, dimensions : int
    frame_dt : float
    first_frame, frame_step : int
    length_unit, time_unit : str or None
    missing : float
        Share of positions that were not seen.
    spacing : float
        Distance to the nearest neighbour, the median; NaN of a single particle.
    noise : tuple of float
        Standard deviation of positions along each axis, as `position_noise` estimates it.
    noise_is_bound : bool
        Whether that is a bound alone.
    swaps : tuple of Swap
    jumps : tuple of Jump
    reading : tuple of str
        What was taken for what.
    """

    file: str
    sha256: str
    run: str | None
    frames: int
    particles: int
    dimensions: int
    frame_dt: float
    first_frame: int
    frame_step: int
    length_unit: str | None
    time_unit: str | None
    missing: float
    spacing: float
    noise: tuple[float, ...]
    noise_is_bound: bool
    swaps: tuple[Swap, ...]
    jumps: tuple[Jump, ...]
    reading: tuple[str, ...]

    __repr__ = brief

    def to_dict(self) -> dict[str, Any]:
        """Return it in plain types, as docs/json.md has it."""
        return asdict(self)


def summarise(tracks: Tracks) -> TrackSummary:
    """Sum up tracks.

    Parameters
    ----------
    tracks : Tracks

    Returns
    -------
    TrackSummary
    """
    noise = position_noise(tracks)
    return TrackSummary(
        tracks.source.file,
        tracks.source.sha256,
        tracks.source.run,
        len(tracks),
        tracks.n,
        tracks.dimensions,
        tracks.frame_dt,
        tracks.first_frame,
        tracks.frame_step,
        tracks.length_unit,
        tracks.time_unit,
        tracks.missing,
        tracks.spacing,
        noise.axes,
        noise.is_bound,
        tracks.swaps,
        tracks.jumps,
        tracks.reading,
    )
