"""Options of commands that read runs: what to take where another program's file lacks it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbody_surrogate.cli.options import option

if TYPE_CHECKING:
    from nbody_surrogate.results.trajectory import Ensemble

__all__ = ["FileOptions"]

PER_PARTICLE = "a number, numbers with commas, SPECIES=NUMBER with commas, or a file that has them"


@dataclass(frozen=True)
class FileOptions:
    """What files of other programs may lack."""

    charges: str | None = option(
        "--charges",
        metavar="VALUES",
        help=f"Where another program's file has none: {PER_PARTICLE}.",
    )
    masses: str | None = option("--masses", metavar="VALUES", help="As --charges.")
    radii: str | None = option(
        "--radii", metavar="VALUES", help="As --charges; or none, to leave out those of the file."
    )
    velocities: str | None = option(
        "--velocities", metavar="HOW", help="Where it has none: zero, differences, or a file."
    )
    frame_dt: float | None = option(
        "--frame-dt", type=float, help="Time between its frames, where it tells none."
    )
    group: str | None = option("--group", help="Of an H5MD file with several: the particles group.")

    @classmethod
    def taken(cls, options: dict[str, Any]) -> FileOptions:
        """Take them out of the options of a command."""
        return cls(**{each.name: options.pop(each.name) for each in fields(cls)})

    def read(
        self,
        *files: Path,
        trajectory: int | None = None,
        system: dict[str, Any] | None = None,
    ) -> list[Ensemble]:
        """Read runs, whichever program wrote them, of `system` where a file names none.

        Raises
        ------
        InputError
            If an option does not fit, or something is missing.
        FileFormatError
            If a file is damaged.
        """
        from nbody_surrogate.formats.foreign.supplements import Supplements
        from nbody_surrogate.formats.opening import read_runs

        added = Supplements(
            charges=self.charges,
            masses=self.masses,
            velocities=self.velocities,
            group=self.group,
            radii=self.radii,
        )
        return read_runs(
            files,
            trajectory=trajectory,
            supplements=added,
            frame_dt=self.frame_dt,
            system=system,
        )
