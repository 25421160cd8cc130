"""Whose error it is that comes out of a plugin's code: the plugin's own, or that of a signal.

Ctrl-C raises `KeyboardInterrupt` in the middle of whatever runs, and so may a plugin by mistake.
The two look the same. They are told apart by the handlers of signals, which are watched while
foreign code runs: what a handler raised is the user's, all else is the plugin's.
"""

from __future__ import annotations

# what `signal` wraps, which makes numbers enumerations: ten times as slow
import _signal  # type: ignore[import-not-found]
import signal
import threading
from collections.abc import Callable
from functools import partial
from types import FrameType, TracebackType
from typing import Any, Final, final

from nbody_surrogate.errors import NBodyError, is_out_of_memory

__all__ = ["SignalWatch", "is_a_plugins_own", "is_blameless"]

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM", "SIGBREAK")
"""Signals whose handlers raise errors to end what runs; some are not there on every system."""

WATCHED: Final = tuple(int(getattr(signal, name)) for name in NAMES if hasattr(signal, name))


class _State:
    """Of the main thread, which alone hears signals."""

    watching = False
    raised: BaseException | None = None


@final
class SignalWatch:
    """Remembers what the handlers of signals raise in a ``with`` block, which still raises it.

    An error of a signal that the block swallowed, or turned into another one, comes out of it all
    the same: who asks for an end gets it. Blocks in a block cost next to nothing.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._watchers: dict[int, Any] = {}

    def __enter__(self) -> None:
        # no other thread hears signals, and Python lets no other one set handlers
        if _State.watching or threading.current_thread() is not threading.main_thread():
            return
        for number in WATCHED:
            before = _signal.getsignal(number)
            if callable(before):  # the others end the process, or nothing
                self._before[number] = before
                self._watchers[number] = watcher = partial(_remember, before)
                _signal.signal(number, watcher)
        # last: ended by a signal before here, the wrapped handlers stay and do no harm
        _State.watching = bool(self._before)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._before:  # this block began no watch
            return
        for number, before in self._before.items():
            # a plugin may have set a handler of its own, which is its right
            if _signal.getsignal(number) is self._watchers[number]:
                _signal.signal(number, before)
        raised, _State.raised, _State.watching = _State.raised, None, False
        if raised is not None and raised is not error:
            raise raised


def _remember(
    before: Callable[[int, FrameType | None], Any], number: int, frame: FrameType | None
) -> None:
    """Call another handler, and remember what that raises."""
    try:
        before(number, frame)
    except BaseException as error:
        _State.raised = error
        raise


def is_a_plugins_own(error: BaseException) -> bool:
    """Say whether an error that came out of a plugin's code is its own, and not of a signal.

    Where nobody watches, Ctrl-C is taken for the user's and all else for the plugin's.
    """
    if error is _State.raised:
        return False
    heard = _State.watching or threading.current_thread() is not threading.main_thread()
    return heard or not isinstance(error, KeyboardInterrupt)


def is_blameless(error: BaseException) -> bool:
    """Say whether an error out of a plugin's code is not the plugin's fault."""
    # ours name their cause; that memory ran out is no fault of the plugin, nor is Ctrl-C
    known = isinstance(error, NBodyError) or is_out_of_memory(error)
    return known or not is_a_plugins_own(error)
