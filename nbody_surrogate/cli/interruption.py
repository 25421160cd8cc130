"""What a command says where Ctrl-C ends it: what is left, and how to go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nbody_surrogate.errors import InterruptionError
from nbody_surrogate.interruption import hint, message

__all__ = ["interruptible"]


@contextmanager
def interruptible(text: str) -> Iterator[None]:
    """Say this where the user ends what runs inside."""
    with hint(text):
        try:
            yield
        except KeyboardInterrupt:
            raise InterruptionError(message()) from None
