"""Files that are not what they should be: how they are made, and what may become of them."""

from __future__ import annotations

import json
import os
import re
import resource
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nbody_surrogate.errors import NBodyError

COUNT = int(os.environ.get("NBODY_FUZZ", "200"))
"""Files of each kind; `just fuzz` takes more."""

MOST_SECONDS = 5.0  # of one core, for one small file
MOST_MEMORY = 400 * 2**20  # bytes, over all files of a kind

NUMBERS = (
    b"0", b"-1", b"1e999", b"-0.0", b"NaN", b"Infinity", b"9" * 30, b"9" * 5000, b"2147483648",
    b"9223372036854775807", b"18446744073709551615", b"1e-320", b"0.5", b"true", b"null", b'"text"',
    b"[]", b"{}", b"[" * 2000,
)  # fmt: skip
WORDS = (b"os.system", b"../../etc/passwd", b"\\u0000", b"__class__", b"nbody_set.model:SET", b"")
INTEGERS = (0, 1, -1, 2**31, 2**40, 2**62, 2**63 - 1)


def truncated(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: int(rng.integers(len(content)))]


def flipped(content: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for place in rng.integers(len(content), size=int(rng.integers(1, 9))).tolist():
        changed[place] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def scrambled(content: bytes, rng: np.random.Generator) -> bytes:
    """Put zeros, ones or noise over a piece."""
    start, length = int(rng.integers(len(content))), int(rng.integers(1, 64))
    filling = (b"\0" * length, b"\xff" * length, rng.bytes(length))
    return content[:start] + filling[int(rng.integers(3))] + content[start + length :]


def announcing(content: bytes, rng: np.random.Generator) -> bytes:
    """Put an integer somewhere, as a size or an offset may be."""
    value = INTEGERS[int(rng.integers(len(INTEGERS)))]
    width = int(rng.choice([2, 4, 8]))
    start = int(rng.integers(max(len(content) // width, 1))) * width
    value = (value % 2 ** (8 * width)).to_bytes(width, "little")
    return content[:start] + value + content[start + width :]


def spliced(content: bytes, rng: np.random.Generator) -> bytes:
    """Move, repeat or leave out a piece."""
    a, b, c = sorted(rng.integers(len(content), size=3).tolist())
    return (content[:a] + content[b:], content[:c] + content[a:], content[:b] + content[a:b])[
        int(rng.integers(3))
    ]


def reworded(content: bytes, rng: np.random.Generator) -> bytes:
    """Put another number or word in the place of one, as texts have them."""
    kind, others = ((rb"-?\d[\d.e+-]*", NUMBERS), (rb"[A-Za-z_]{2,}", WORDS))[int(rng.integers(2))]
    found = list(re.finditer(kind, content))
    if not found:
        return flipped(content, rng)
    place = found[int(rng.integers(len(found)))]
    other = others[int(rng.integers(len(others)))]
    return content[: place.start()] + other + content[place.end() :]


BINARY = (truncated, flipped, scrambled, announcing, spliced)
TEXT = (truncated, flipped, scrambled, spliced, reworded, reworded, reworded)


def survived(read: Callable[[], object], what: str) -> bool:
    """Read; return whether it could be read. Any error must be ours, and one line."""
    began = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read()
        readable = True
    except NBodyError as error:
        message = str(error)
        assert message, what
        assert "\n" not in message, (what, message)
        assert len(message) < 1000, (what, message)
        readable = False
    except BaseException as error:
        raise AssertionError(f"{what}: {type(error).__name__}: {error}") from error
    assert time.process_time() - began < MOST_SECONDS, what
    return readable


def fuzz(
    file: Path, read: Callable[[], object], changes: tuple, seed: int, count: int
) -> tuple[int, int]:
    """Read so many changed forms of a file; return how many could be read and how many not."""
    content, outcomes = file.read_bytes(), [0, 0]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        change = changes[int(rng.integers(len(changes)))]
        file.write_bytes(change(content, rng))
        outcomes[survived(read, f"{file} {number} {change.__name__}")] += 1
    file.write_bytes(content)
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert grown < MOST_MEMORY, f"{file}: memory grew by {grown / 2**20:.0f} MiB"
    return outcomes[1], outcomes[0]


def deep(depth: int = 100_000) -> bytes:
    return b"[" * depth


def long_json(length: int = 10**6) -> bytes:
    return json.dumps({"format": "x" * length}).encode()
