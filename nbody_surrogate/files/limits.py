"""How large a file may be: one limit for whoever writes it and for whoever reads it.

What is read into memory at once has a limit, since a file may come from anybody. The same limit
holds for the writer, and is checked before the work whose result would be too large: a file that
we write is one that we read.
"""

from __future__ import annotations

from dataclasses import dataclass

from nbody_surrogate.errors import FileFormatError, InputError

__all__ = [
    *("CHECKPOINT", "CONFIG", "FRAMES", "GIB", "JSON", "KIB", "Limit", "MANIFEST", "MIB"),
    *("MODEL", "MODEL_TEXT", "NPZ", "PROVENANCE", "RESTART", "TOML"),
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

    def require(self, size: int, detail: str = "") -> None:
        """Refuse to write what could not be read.

        Parameters
        ----------
        size : int
            Bytes that would be written.
        detail : str
            What it is that makes them so many.

        Raises
        ------
        InputError
            If that is more than the limit.
        """
        if size > self.largest:
            of = f" {detail}" if detail else ""
            raise InputError(
                f"{self.what}{of} would take {in_words(size)}, and {in_words(self.largest)} are "
                f"read at most: {self.remedy}"
            )

    def check(self, size: int, path: str) -> None:
        """Refuse to read what is larger, as a `FileFormatError`."""
        if size > self.largest:
            raise FileFormatError(
                f"{path!r} is larger than {self.largest} bytes, more than is read of {self.what}"
            )


def in_words(size: int) -> str:
    """Bytes in the unit that fits."""
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size >= unit:
            return f"{size / unit:.4g} {name}"
    return f"{size} bytes"


FEWER = "choose fewer trajectories, particles or frames"

FRAMES = Limit("`output`: the frames", 16 * GIB, FEWER)
PROVENANCE = Limit("`output`: the account", 256 * MIB, "choose fewer trajectories")
RESTART = Limit("`checkpoint`: a restart file", 16 * GIB, "choose fewer trajectories or particles")
NPZ = Limit("arrays in an .npz", 2 * GIB, "export fewer frames")
MANIFEST = Limit("the manifest", 256 * MIB, "choose larger shards")
CONFIG = Limit("the model's configuration", MIB, "choose a smaller one")
MODEL = Limit("the model's weights", 2 * GIB, "choose a smaller model")
MODEL_TEXT = Limit("the model's evaluation", 4 * MIB, "evaluate it on fewer data sets at once")
CHECKPOINT = Limit("the training's checkpoint", 8 * GIB, "choose a smaller model")
JSON = Limit("the JSON file", 64 * MIB, "make it smaller")
TOML = Limit("the TOML file", MIB, "make it smaller")
