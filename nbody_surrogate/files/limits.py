"""How large a file may be: one limit for whoever writes it and for whoever reads it.

What is read into memory at once has a limit, since a file may come from anybody. The same limit
holds for the writer, and is checked before the work whose result would be too large: a file that
we write is one that we read.
"""

from __future__ import annotations

from dataclasses import dataclass

from nbody_surrogate.errors import InputError, NBodyError

__all__ = [
    *("CHECKPOINT", "CONFIG", "EVALUATION", "FOREIGN_TEXT", "FRAMES", "JSON", "Limit", "MANIFEST"),
    *("NPZ", "PROVENANCE", "RESTART", "TOML", "WEIGHTS", "in_words"),
]

KIB, MIB, GIB = 2**10, 2**20, 2**30  # bytes


@dataclass(frozen=True)
class Limit:
    """The limit of one kind of file, or of one part of a file.

    Attributes
    ----------
    what : str
        What it is of.
    largest : int
        Bytes.
    remedy : str
        What to do where that is not enough.
    """

    what: str
    largest: int
    remedy: str

    def require(self, size: int, detail: str = "", error: type[NBodyError] = InputError) -> None:
        """Refuse to write what could not be read.

        Parameters
        ----------
        size : int
            Bytes that would be written.
        detail : str
            What it is that makes them so many.
        error : type
            What to raise: before any work is done the size is the user's choice.

        Raises
        ------
        NBodyError
            Of that type, if it is more than the limit.
        """
        if size > self.largest:
            of = f" {detail}" if detail else ""
            raise error(
                f"{self.what}{of} would take {in_words(size)}, and {in_words(self.largest)} are "
                f"read at most: {self.remedy}"
            )


def in_words(size: int) -> str:
    """Bytes in the unit that fits."""
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size >= unit:
            return f"{size / unit:.4g} {name}"
    return f"{size} bytes"


FRAMES = Limit("`output`: the frames", 16 * GIB, "choose fewer trajectories, particles or frames")
PROVENANCE = Limit("`output`: the account", 256 * MIB, "choose fewer trajectories")
RESTART = Limit("`checkpoint`: a restart file", 16 * GIB, "choose fewer trajectories or particles")
MANIFEST = Limit("`shard`: the manifest of all shards", 256 * MIB, "choose larger ones")
CONFIG = Limit("the model's config.json", MIB, "choose a smaller configuration or card")
WEIGHTS = Limit("`model`: the weights", 2 * GIB, "choose a smaller model")
EVALUATION = Limit("the model's evaluation.json", 4 * MIB, "evaluate on fewer data sets at once")
CHECKPOINT = Limit("`model`: the training's checkpoint", 8 * GIB, "choose a smaller model")
JSON = Limit("a JSON file", 64 * MIB, "ask for less at once")
NPZ = Limit(
    "`output`: the arrays of an .npz", 17 * GIB, "export fewer frames"
)  # a run's, and bonds
FOREIGN_TEXT = Limit("a table of other programs", GIB, "choose fewer frames")
TOML = Limit("a TOML file", MIB, "make it shorter")
