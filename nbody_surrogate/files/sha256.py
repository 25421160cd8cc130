"""Hashes of files, read piece by piece."""

from __future__ import annotations

import hashlib
from pathlib import Path

from nbody_surrogate.errors import FileFormatError
from nbody_surrogate.files.untrusted import require_regular

__all__ = ["file_hash"]

PIECE = 1 << 22  # bytes that are read at a time


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits.

    Raises
    ------
    FileFormatError
        If it cannot be read, or is no regular file.
    """
    require_regular(path)
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                digest.update(piece)
    except OSError as error:
        raise FileFormatError(f"{str(path)!r} cannot be read: {error.strerror}") from None
    return digest.hexdigest()
