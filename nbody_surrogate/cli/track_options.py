"""Options of commands that read tracks: what files of tracks do not tell themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbody_surrogate.cli.options import option
from nbody_surrogate.errors import MissingFileError

if TYPE_CHECKING:
    from nbody_surrogate.tracks.tracks import Tracks

__all__ = ["TrackOptions"]


@dataclass(frozen=True)
class TrackOptions:
    """What is said beside files of tracks."""

    frame_dt: float | None = option(
        "--frame-dt", type=float, help="Time between frames, of a file that tells no times."
    )
    frame_rate: float | None = option(
        "--frame-rate", type=float, help="Frames in a second, in place of --frame-dt."
    )
    length_unit: str | None = option(
        "--length-unit", metavar="UNIT", help="What lengths are in, such as um."
    )
    time_unit: str | None = option(
        "--time-unit", metavar="UNIT", help="What times are in, such as s."
    )
    columns: str | None = option(
        "--columns", metavar="ROLE=NAME,...", help="Columns of a table, such as x=x_um,particle=id."
    )
    particles: str | None = option(
        "--particles", metavar="NAME,...", help="Particles to take.  [default: all]"
    )
    group: str | None = option("--group", help="Of an H5MD file with several: the particles group.")
    mend_swaps: bool = option(
        "--mend-swaps", is_flag=True, help="Exchange names back that have changed places."
    )

    @classmethod
    def taken(cls, options: dict[str, Any]) -> TrackOptions:
        """Take them out of the options of a command."""
        return cls(**{each.name: options.pop(each.name) for each in fields(cls)})

    def check(self, files: Sequence[Path]) -> None:
        """Refuse what is known to be wrong before anything heavy is imported.

        Raises
        ------
        InputError
            If an option does not fit.
        MissingFileError
            If a file is not there.
        """
        from nbody_surrogate.tracks.given import check_given

        check_given(
            self.frame_dt,
            self.frame_rate,
            self.length_unit,
            self.time_unit,
            self.columns,
            self.particles,
        )
        for file in files:
            if not file.exists():
                raise MissingFileError(f"{str(file)!r} cannot be read: it does not exist")

    def read(self, files: Sequence[Path]) -> list[Tracks]:
        """Read tracks, a run or several of each file.

        Raises
        ------
        InputError
            If an option does not fit, or something is missing.
        FileFormatError
            If a file is damaged, or a row of it wrong.
        """
        from nbody_surrogate.tracks.reading import read_tracks

        return read_tracks(files, **asdict(self))
