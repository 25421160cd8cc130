"""A caller's tick inside of a plugin's code: its errors are told apart from those of the plugin."""

from __future__ import annotations

from typing import final

from nbody_surrogate.contracts.segment import Tick

__all__ = ["HeldTick"]


@final
class HeldTick:
    """Calls a tick, where there is one, and remembers what it raised.

    Parameters
    ----------
    tick : callable or None
    """

    def __init__(self, tick: Tick | None) -> None:
        self.tick = tick
        self.raised: BaseException | None = None

    def __call__(self, done: float) -> None:
        """Pass the frames done so far on."""
        if self.tick is None:
            return
        try:
            self.tick(done)
        except BaseException as error:
            self.raised = error
            raise
