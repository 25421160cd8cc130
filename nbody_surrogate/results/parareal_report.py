"""How a run by parareal went: iterations, force evaluations, and what workers side by side gain."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from nbody_surrogate.contracts.brief import brief
from nbody_surrogate.contracts.convergence import Convergence
from nbody_surrogate.contracts.wording import counted, figure_text, range_text, speed_text

__all__ = ["PararealReport", "parareal_notes"]

MOST_WINDOWS, MOST_CHANGES = 32, 2000
"""Of a run, that are kept in full: a file has some 60 kB for what a run gains while it goes on."""


@dataclass(frozen=True)
class PararealReport:
    """How a run by parareal went.

    Calls are evaluations of all forces of one state. They are summed over windows and
    trajectories, which are made one after the other.

    Attributes
    ----------
    coarse, fine : dict
        Name and options of the two methods.
    slices : int
        Of a whole window.
    slice_frames : int
    tolerance : float
        Largest relative change of a slice's start that counted as none.
    made : int
        Windows, of all trajectories.
    iterations : int
        The most that one of them took.
    fine_calls, coarse_calls : int
        By each of the two methods; a surrogate counts none.
    serial_calls : int
        Of the fine method in the slices that were kept: what it takes alone.
    critical_calls : float
        Of the fine method, in whose time all is done on a worker for each slice.
    given_up : int
        Windows in which the fine method made slices one after the other.
    windows : tuple of Convergence
        The first ones, as many as a file has room for.
    """

    coarse: dict[str, Any]
    fine: dict[str, Any]
    slices: int
    slice_frames: int
    tolerance: float
    made: int = 0
    iterations: int = 0
    fine_calls: int = 0
    coarse_calls: int = 0
    serial_calls: int = 0
    critical_calls: float = 0.0
    given_up: int = 0
    windows: tuple[Convergence, ...] = ()

    __repr__ = brief

    @property
    def methods(self) -> str:
        """The names of both, such as ``dop853 over set``."""
        return f"{self.fine['integrator']} over {self.coarse['integrator']}"

    @property
    def speed_up(self) -> float | None:
        """How many times faster than the fine method alone, on a worker for each slice.

        Counted in force evaluations; None where the fine method counts none.
        """
        known = self.serial_calls > 0 and self.critical_calls > 0
        return self.serial_calls / self.critical_calls if known else None

    @property
    def efficiency(self) -> float | None:
        """The share of that many workers which the speed-up is worth."""
        return None if self.speed_up is None else self.speed_up / self.slices

    def after(self, windows: tuple[Convergence, ...]) -> PararealReport:
        """Return the report with further windows.

        Parameters
        ----------
        windows : tuple of Convergence

        Returns
        -------
        PararealReport
        """
        kept = list(self.windows)
        for each in windows:
            kept.append(each)
            held = sum(len(row) for one in kept for row in one.defects)
            if len(kept) > MOST_WINDOWS or held > MOST_CHANGES:
                kept.pop()
                break
        return replace(
            self,
            made=self.made + len(windows),
            iterations=max([self.iterations, *(each.iterations for each in windows)]),
            fine_calls=self.fine_calls + sum(each.fine_calls for each in windows),
            coarse_calls=self.coarse_calls + sum(each.coarse_calls for each in windows),
            serial_calls=self.serial_calls + sum(each.serial_calls for each in windows),
            critical_calls=self.critical_calls + sum(each.critical_calls for each in windows),
            given_up=self.given_up + sum(each.serial_from is not None for each in windows),
            windows=tuple(kept),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain types, fit for JSON.

        Returns
        -------
        dict
        """
        return {**asdict(self), "speed_up": self.speed_up, "efficiency": self.efficiency}


def parareal_notes(report: PararealReport | None) -> list[str]:
    """Say what parareal did, and whether it was worth it.

    Parameters
    ----------
    report : PararealReport or None

    Returns
    -------
    list of str
        A line each; none of another method's run.
    """
    if report is None or not report.made:
        return []
    fine = str(report.fine["integrator"])
    each = "" if report.made == 1 else f" of each of {report.made} windows at most"
    line = (
        f"Parareal: {counted(report.slices, 'slice')} by {report.methods}, "
        f"{counted(report.iterations, 'iteration')}{each}, "
        f"changes up to {report.tolerance:g} left"
    )
    if report.speed_up is not None:
        line += (
            f"; {report.fine_calls} force evaluations by {fine}, {report.serial_calls} in the "
            f"slices kept; side by side in the time of {figure_text(report.critical_calls)}, "
            f"{speed_text(report.speed_up)} {fine} alone"
        )
    lines = [f"{line}."]
    if report.given_up and (lost := [e for e in report.windows if e.serial_from is not None]):
        first = lost[0]
        assert first.serial_from is not None
        slices = range_text(first.serial_from, first.slices - 1)
        lines.append(
            f"Parareal gave up in {counted(report.given_up, 'window')}, in the one at frame "
            f"{first.frame} for slices {slices}, which {fine} made one after the other: "
            f"{first.reason}."
        )
    return lines
