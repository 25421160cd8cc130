"""A run by parareal, in one call: its window is the run."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from concurrent.futures import Executor
from typing import TYPE_CHECKING

from nbody_surrogate.contracts.arguments import demand_whole
from nbody_surrogate.contracts.calls import guided
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.errors import InputError, warn
from nbody_surrogate.integrators.parareal.integrator import Parareal
from nbody_surrogate.integrators.parareal.options import PararealOptions
from nbody_surrogate.results.parareal_report import parareal_notes
from nbody_surrogate.results.trajectory import Ensemble
from nbody_surrogate.simulation.observers import Observer, Progress
from nbody_surrogate.simulation.simulate import simulate

if TYPE_CHECKING:
    from nbody_surrogate.simulation.file_writer import Output

__all__ = ["parareal", "window_of"]

OPTIONS = PararealOptions.model_fields

OTHER_WORDS = {
    **dict.fromkeys(["surrogate", "model", "coarse_integrator"], "`coarse`"),
    **dict.fromkeys(["solver", "integrator", "method", "fine_integrator"], "`fine`"),
    **dict.fromkeys(["n_slices", "processors", "chunks"], "`slices`"),
    **dict.fromkeys(["tol", "rtol", "atol"], "`tolerance`, or `fine='dop853:1e-9'`"),
    **dict.fromkeys(["iterations", "max_iter", "maxiter"], "`max_iterations`"),
    **dict.fromkeys(["processes", "n_jobs", "threads"], "`workers`, or an `executor`"),
}


@guided(**OTHER_WORDS)
def parareal(
    system: str | AbstractSystem,
    state: State,
    particles: Particles,
    frames: int,
    *,
    coarse: str | AbstractIntegrator,
    fine: str | AbstractIntegrator = OPTIONS["fine"].default,
    slices: int = OPTIONS["slices"].default,
    tolerance: float | None = None,
    max_iterations: int | None = None,
    executor: Executor | None = None,
    workers: int = OPTIONS["workers"].default,
    dt: float | None = None,
    output: str | os.PathLike[str] | Output | None = None,
    observers: Observer | Progress | Iterable[Observer | Progress] = (),
) -> Ensemble:
    """Run a fine method over slices of time side by side, which a coarse method prepares.

    The result is that of the fine method alone, up to `tolerance`: the largest change of the start
    of a slice in the last iteration, relative to how far the particles are from their mean position
    and their velocities from the mean one. With 0 it is the same to the bit, where the fine method
    has slices as segments, or parts of them.

    Parameters
    ----------
    system : str or AbstractSystem
    state : State, shape (B, N, D)
        The start, which becomes frame 0, in reduced units. Trajectories run one after the other.
    particles : Particles, shape (B, N)
    frames : int
        Frames after the start.
    coarse : str or AbstractIntegrator
        The cheap method, such as ``set`` or ``leapfrog:4``. A surrogate that is named computes in
        float64; an instance must.
    fine : str or AbstractIntegrator
        The method whose result it is. One that is named has a slice as its segment; of an instance
        a slice is a whole number of its segments.
    slices : int
        Parts of the time, of equal length.
    tolerance : float, optional
        By default the fine method's relative tolerance, or 1e-9 where it has none.
    max_iterations : int, optional
        Iterations after which the fine method makes the slices that are left one after the other;
        by default as many as there are slices.
    executor : concurrent.futures.Executor, optional
        What makes the slices: threads, processes, or another library's. Results are the same bits
        on any. By default they are made here, one after the other, which shows what workers would
        gain and takes longer than the fine method alone.
    workers : int
        Without an `executor`, processes of its own.
    dt : float, optional
        Time between frames; by default the system's ``frame_dt``.
    output : path_like or Output, optional
        As of `simulate`.
    observers : Observer or callable, or several of them
        As of `simulate`; the frames of settled slices are told as done.

    Returns
    -------
    Ensemble
        ``info.parareal`` says iterations, changes of each slice's start in each, force evaluations
        of both methods, and the gain.

    Raises
    ------
    InputError
        If an argument is wrong, there are more slices than segments, a method does not fit the
        system or needs more than one frame to begin with, the coarse method costs as much as the
        fine one, or something cannot be sent to other processes.
    RunError
        If a worker dies, or nothing can be written.

    References
    ----------
    Lions, Maday and Turinici, C. R. Acad. Sci. Paris 332 (2001) 661; Gander and Vandewalle, SIAM
    J. Sci. Comput. 29 (2007) 556.
    """
    frames, slices = demand_whole("frames", frames, 1), demand_whole("slices", slices, 1)
    unit = fine.options.segment if isinstance(fine, AbstractIntegrator) else 1
    method = Parareal(
        coarse=coarse,
        fine=fine,
        slices=slices,
        segment=window_of(frames, slices, unit),
        tolerance=tolerance,
        max_iterations=max_iterations,
        workers=workers,
        executor=executor,
    )
    run = simulate(
        system, state, particles, frames, method, dt=dt, output=output, observers=observers
    )
    for line in parareal_notes(run.info.parareal)[1:]:  # that it was given up, and why
        warn(line)
    return run


def window_of(frames: int, slices: int, unit: int = 1) -> int:
    """Return the frames of the window that a run is, divided into slices of whole segments.

    Parameters
    ----------
    frames, slices : int
    unit : int
        Frames of a segment of the fine method.

    Returns
    -------
    int
        At least `frames`, and a multiple of ``slices * unit``.

    Raises
    ------
    InputError
        If there are more slices than segments.
    """
    segments = math.ceil(frames / unit)
    if slices > segments:
        whole = counted(frames, "frame")
        if unit > 1:
            whole += f", which are {counted(segments, 'segment')} of {unit} of the fine method"
        raise InputError(
            f"`slices` must be at most {segments} for {whole}, got {slices}; a slice is at least a "
            "segment of the fine method"
        )
    return math.ceil(segments / slices) * slices * unit
