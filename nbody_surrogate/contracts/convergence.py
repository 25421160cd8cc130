"""How a method that iterates over slices of time came to its frames."""

from __future__ import annotations

from dataclasses import dataclass

from nbody_surrogate.contracts.brief import brief

__all__ = ["Convergence"]


@dataclass(frozen=True)
class Convergence:
    """How the iteration over one window of one trajectory went.

    Attributes
    ----------
    trajectory : int
    frame : int
        That the window begins with, counted from the start of the run.
    slices : int
        Of the window, or of the part of it that the run has.
    iterations : int
        Times that slices were made by the fine method, side by side; with all of them one after
        the other, which takes as long as the fine method alone, as many as there are slices.
    defects : tuple of tuple of float or None
        For each iteration, by how much it changed the start of each slice but the first: relative,
        0 where a start was settled before, and None where there was none.
    fine_calls : int
        Force evaluations of the fine method, in all iterations.
    coarse_calls : int
        Those that the coarse method counts.
    serial_calls : int
        Force evaluations of the fine method in the slices that were kept: what it takes alone.
    critical_calls : float
        Force evaluations of the fine method in whose time all is done where each worker does one
        slice at a time, the coarse method's work included.
    workers : int
        For which that holds.
    serial_from : int or None
        The first slice that the iteration was given up for; the fine method made those from there
        on one after the other.
    reason : str
        Why, empty where it was not given up.
    """

    trajectory: int
    frame: int
    slices: int
    iterations: int
    defects: tuple[tuple[float | None, ...], ...]
    fine_calls: int
    coarse_calls: int
    serial_calls: int
    critical_calls: float
    workers: int
    serial_from: int | None = None
    reason: str = ""

    __repr__ = brief
