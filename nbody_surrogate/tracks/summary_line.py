"""What a reader of tracks took for what, in a line."""

from __future__ import annotations

from nbody_surrogate.contracts.time_text import number_text
from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.tracks.tracks import Tracks

__all__ = ["summary_line"]


def summary_line(tracks: Tracks, taken: str) -> str:
    """Say in a line what was read.

    Parameters
    ----------
    tracks : Tracks
    taken : str
        What was taken for what.
    """
    unit = f" {tracks.time_unit}" if tracks.time_unit else ""
    step = f", frame numbers {tracks.frame_step} apart" if tracks.frame_step > 1 else ""
    length = f"positions in {tracks.length_unit}" if tracks.length_unit else "no unit of length"
    time = "" if tracks.time_unit else ", no unit of time"
    return (
        f"{str(tracks.source)!r}: {taken}; {counted(tracks.n, 'particle')}, "
        f"{counted(len(tracks), 'frame')} every {number_text(tracks.frame_dt)}{unit}{step}, "
        f"{100 * tracks.missing:.2g} % missing; {length}{time}"
    )
