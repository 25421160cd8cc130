"""What hangs on a run: files, checkpoints, progress, the guard, and whatever a user brings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, final

from nbody_surrogate.errors import InputError

if TYPE_CHECKING:
    from nbody_surrogate.contracts.segment import Segment
    from nbody_surrogate.simulation.recorder import Recorder

__all__ = ["Observer", "Progress", "ProgressMeter", "WarmUp", "as_observers"]

Progress = Callable[[float, int], None]
"""Called with the frames done so far and the total; may raise to cancel."""


class Observer:
    """What watches a run, or takes part in it.

    Override what you need; by default nothing happens. Observers nest, as context managers do:
    `on_start` is called in the order of the list, and the file of the run comes last; `on_segment`
    and `on_end` are called in the reverse order, so that what an observer sees is on the disk. An
    error that a method raises ends the run.

    All methods but `on_tick` and `close` get the run, a `Recorder`: ``run.x[:, : run.done + 1]``
    are its positions by now, shape (B, T, N, D). They are the result itself, to be looked at only:
    what is to become of a segment is said by `on_advance`. Of a run with ``keep=False``
    they are what its file shows; ``run.take(new)``, of the latest frames, reads no file.
    """

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def on_start(self, run: Recorder) -> None:
        """Before the first segment. A run that goes on from a checkpoint has frames by then.

        Parameters
        ----------
        run : Recorder
        """

    def on_advance(self, run: Recorder, frames: int, advance: Callable[[], Segment]) -> Segment:
        """In place of each segment's computation.

        Parameters
        ----------
        run : Recorder
        frames : int
            How many the segment has.
        advance : callable
            Computes it, and returns a `Segment`.

        Returns
        -------
        Segment
        """
        return advance()

    def on_tick(self, done: float, total: int) -> None:
        """Within segments; may raise to cancel.

        Parameters
        ----------
        done : float
            The frames done so far.
        total : int
            All there are.
        """

    def on_segment(self, run: Recorder, new: slice) -> None:
        """After a segment, whose frames are ``run.x[:, new]``.

        ``run.carry`` is what the next one starts from, or None after the last.

        Parameters
        ----------
        run : Recorder
        new : slice
            Of frames.
        """

    def on_end(self, run: Recorder) -> None:
        """After the last segment. Not called where the run ends by an error.

        Parameters
        ----------
        run : Recorder
        """

    def close(self) -> None:
        """Whatever ended the run, if `on_start` was called."""


@final
class ProgressMeter(Observer):
    """Tells a callable the frames done so far and the total.

    Parameters
    ----------
    progress : callable
        May raise to cancel.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def on_tick(self, done: float, total: int) -> None:
        """Pass it on."""
        self._progress(done, total)


@final
class WarmUp(Observer):
    """Computes one frame before the run, so that its wall time holds no compilation."""

    def on_start(self, run: Recorder) -> None:
        """Let every method of the run compute a frame that is not kept."""
        warm_ups = run.warm_ups
        if run.problem.system.dear:
            # no force of its is compiled, and a frame of a solver takes as long as one of the run
            warm_ups = warm_ups[: run.integrator.origin.kind == "surrogate"]
        for warm_up in warm_ups:
            warm_up()


def as_observers(given: Observer | Progress | Iterable[Observer | Progress]) -> list[Observer]:
    """Return observers as they are, and callables as progress meters.

    Raises
    ------
    InputError
        If one is neither.
    """
    several: list[Any] = [given]
    if isinstance(given, Iterable) and not (isinstance(given, Observer) or callable(given)):
        several = list(given)
    observers: list[Observer] = []
    for each in several:
        if isinstance(each, Observer):
            observers.append(each)
        # a class is callable too; it was meant to be an instance
        elif callable(each) and not isinstance(each, type):
            observers.append(ProgressMeter(each))
        else:
            raise InputError(
                "`observers` must be instances of Observer, or callables that take the frames done "
                f"and the total, got {each!r}"
            )
    return observers
