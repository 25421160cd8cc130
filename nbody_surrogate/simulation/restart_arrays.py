"""The arrays of a restart file: those of particles, words as bytes, their size and their hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

import numpy as np

from nbody_surrogate.contracts.state import Particles

__all__ = ["array_bytes", "as_texts", "digest", "particle_arrays", "particles_hash", "texts_in"]

PARTICLES = ("charges", "masses", "couplings", "radii")


def digest(text: str, arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of a document and its arrays."""
    found = hashlib.sha256(text.encode())
    for key in sorted(arrays):
        value = arrays[key]
        # the bytes alone tell neither (2, 3) from (3, 2) nor where an array ends
        found.update(f"{key} {value.dtype} {value.shape}".encode())
        found.update(np.ascontiguousarray(value).tobytes())
    return found.hexdigest()


def particle_arrays(particles: Particles) -> dict[str, np.ndarray]:
    """Return charges, masses and, where there are some, couplings and radii by their names."""
    named = {key: getattr(particles, key) for key in PARTICLES}
    return {key: value for key, value in named.items() if value is not None}


def particles_hash(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of charges, masses, couplings and radii among arrays."""
    return digest("", {key: arrays[key] for key in PARTICLES if key in arrays})


def array_bytes(arrays: Mapping[str, np.ndarray]) -> int:
    """Bytes that arrays take."""
    return sum(each.nbytes for each in arrays.values())


def as_texts(texts: Sequence[str]) -> np.ndarray:
    """Return texts as an array of bytes: the header of safetensors takes 100 MB and no more."""
    return np.frombuffer(json.dumps(list(texts)).encode(), np.uint8)


def texts_in(array: np.ndarray) -> tuple[str, ...]:
    """Return the texts that `as_texts` made an array of.

    Raises
    ------
    ValueError
        If it is none of texts.
    """
    texts = json.loads(array.tobytes())
    if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
        raise ValueError("what should be texts is none")
    return tuple(texts)
