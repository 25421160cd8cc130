"""From tracks to a law, its errors, its symmetries and a simulator."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from nbody_surrogate.contracts.arguments import demand_kind
from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.discovery.breaking import KINDS
from nbody_surrogate.discovery.encounters import other_frames, resolve_encounters
from nbody_surrogate.discovery.equations import Problem
from nbody_surrogate.discovery.estimate import (
    ROUNDS,
    SMALL_GAIN,
    SMALL_IN_PRELUDE,
    Estimate,
    Smoothness,
    improve,
)
from nbody_surrogate.discovery.findings import findings_of
from nbody_surrogate.discovery.forecast import Forecasts, forecast
from nbody_surrogate.discovery.formulas import outdone, rank_formulas
from nbody_surrogate.discovery.freedom import Freedom
from nbody_surrogate.discovery.innovations import CAUSAL
from nbody_surrogate.discovery.intervals import draws_of
from nbody_surrogate.discovery.joint import joint_work
from nbody_surrogate.discovery.law import law_of
from nbody_surrogate.discovery.middle import about_middle, at_origin, middle_of
from nbody_surrogate.discovery.options import (
    Options,
    checked,
    demand_callables,
    demand_held_out,
)
from nbody_surrogate.discovery.problem import held_out_part, problem_of, seen_part
from nbody_surrogate.discovery.selection import best_start, left_out, needed_terms, without_twins
from nbody_surrogate.discovery.states import along_smoothed_paths
from nbody_surrogate.discovery.symbolic import (
    SymbolicRegressor,
    searched_formulas,
)
from nbody_surrogate.discovery.symmetries import (
    UNDIRECTED,
    corrected,
    energy_of,
    find_symmetries,
    is_directed,
    without_leaks,
)
from nbody_surrogate.discovery.tellable import demand_company, demand_told, demand_tracks
from nbody_surrogate.discovery.unknowns import Unknowns
from nbody_surrogate.discovery.usable import demand_depth, told_gaps, usable_tracks
from nbody_surrogate.errors import RunError
from nbody_surrogate.registry.law_folder import MOST_KNOTS

if TYPE_CHECKING:
    from jaxtyping import Float64

    from nbody_surrogate.tracks.tracks import Tracks

__all__ = ["Discovery", "discover"]

SMOOTHINGS = 2
"""Fits along smoothed paths. Eight in place of two changed charges over masses of twelve grains by
3e-5, a tenth of their error."""

MOST_WORK = 1e12
"""Operations of one round for all particles together: some minutes of one core. Beyond, the paths
of each are followed by themselves."""

PRELUDE = 8
"""Rounds of a fit that one of all particles together follows."""

STAGES = ("start", "fit", "symmetries", "law", "intervals", "formulas", "forecast")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Discovery:
    """What tracks told.

    Attributes
    ----------
    law : dict
        Parameters of the system `discovered`: ``make_system("discovered", **found.law)`` runs it.
    discovery : dict
        All else, as ``discovery.json`` has it.
    forecasts : Forecasts or None
        Runs of the law from held-out states.
    estimate : Estimate
        The estimate itself, for who wants more of it; about the middle of the tracks.
    draws : ndarray, shape (S, P)
        Of all its unknowns, which intervals were taken from.
    tracks : tuple of Tracks
        What was fitted, without positions and particles that were left out.
    """

    law: dict[str, Any]
    discovery: dict[str, Any]
    forecasts: Forecasts | None = field(repr=False)
    estimate: Estimate = field(repr=False)
    draws: Float64[np.ndarray, "S P"] = field(repr=False)
    tracks: tuple[Tracks, ...] = field(repr=False)

    def __repr__(self) -> str:
        count = counted(len(self.discovery.get("particles", ())), "particle")
        return f"{type(self).__name__}({count}, formula={self.discovery.get('formula')!r})"

    def save(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write it as a folder, which ``discovered:FOLDER`` names as a system.

        `nbody_surrogate.write_discovery_report` makes its page.

        Parameters
        ----------
        folder : path_like
            A new folder, or an empty one.
        overwrite : bool
            Whether a discovery that is there may be replaced.

        Raises
        ------
        InputError
            If there is something else.
        RunError
            If it cannot be written; what was there stays.
        """
        from nbody_surrogate.discovery.files import write_folder

        return write_folder(folder, self.law, self.discovery, overwrite=overwrite)

    @property
    def forecast_frames(self) -> np.ndarray | None:
        """The longest forecast, shape (F, N, D), or None."""
        return None if self.forecasts is None else self.forecasts.frames


def discover(
    runs: Sequence[Tracks],
    *,
    axis: str | None = "z",
    drag: str = "each",
    couplings: bool = False,
    same_particles: bool = False,
    hold_out: float = 0.2,
    bootstrap: int = 200,
    seed: int = 0,
    knots: int = 24,
    command: str = "",
    progress: Progress | None = None,
    search: SymbolicRegressor | None = None,
) -> Discovery:
    """Infer the law by which particles move, from their tracks alone.

    The equation of motion of each particle is written between frames (`innovations`), whitened by
    its own noise, and fitted by penalised maximum likelihood: the pair force as a spline under an
    envelope, strengths and responses of all particles, fields, drag, kicks and noise. All numbers
    are in the units of the measurement; charges, and charges over masses, are ratios to their mean.

    Parameters
    ----------
    runs : sequence of Tracks
    axis : str or None
        ``z``, along which forces may be directed, such as those of an ion flow; by None pair
        forces are central.
    drag : str
        ``each`` particle has its own, one is ``shared``, or there is ``none``.
    couplings : bool
        Each pair has a strength of its own, in place of each particle.
    same_particles : bool
        Particles of one place are the same ones in all runs.
    hold_out : float
        Share of the frames, the last ones of each run, by which the law is judged.
    bootstrap : int
        Draws that intervals are taken from.
    seed : int
        Of these draws.
    knots : int
        Of the pair curve.
    command : str
        Which is noted with the result.
    progress : callable, optional
        ``progress(stage, done, total)``.
    search : SymbolicRegressor, optional
        Such as ``pysr.PySRRegressor(...)``: what it makes of the curve is ranked beside the
        formulas that are known.

    Returns
    -------
    Discovery

    Raises
    ------
    InputError
        If a parameter is out of range, or tracks are too few.
    RunError
        If tracks do not tell the pair force, or a search fails.
    """
    demand_callables(progress, search)
    demand_kind("command", command, str, "text")
    options = checked(axis, drag, couplings, same_particles, hold_out, bootstrap, seed, knots)
    demand_tracks(runs, couplings)
    demand_held_out(runs, hold_out)
    demand_depth(runs)
    runs, notes = usable_tracks(runs, same_particles)
    # thousands of small matrices: on two threads BLAS takes ten times as long for them
    with threadpool_limits(limits=1, user_api="blas"):
        try:
            return _found(runs, notes, options, command, _Teller(progress), search)
        except (ArithmeticError, np.linalg.LinAlgError) as error:
            raise RunError(
                f"these tracks could not be fitted ({error}): look for particles that are one, or "
                "that are seen in turns"
            ) from None


def _found(
    runs: Sequence[Tracks],
    left_aside: list[str],
    options: Options,
    command: str,
    tell: _Teller,
    search: SymbolicRegressor | None,
) -> Discovery:
    hold_out = options.hold_out
    rng = np.random.default_rng(options.seed)
    middle = middle_of(runs)
    settings = options.couplings, options.same_particles, options.knots
    whole = problem_of(about_middle(runs, middle), options.axis, *settings)
    begins = [round(len(run.x) * (1.0 - hold_out)) for run in whole.runs]
    problem = seen_part(whole, begins)
    demand_company(runs)
    tell("start")
    start = best_start(problem, options.freedom)
    tell("fit")
    axial = start.problem.directed is not None
    central = replace(start.problem, directed=None)
    fit = _full(central, start.unknowns, options.freedom, joint=not axial)
    fit = without_twins(resolve_encounters(fit, MOST_WORK))
    tell("symmetries")
    symmetries, extended = find_symmetries(fit, rng, follow_along_axis=axial)
    if axial and is_directed(fit, extended):
        # what is not central is followed along the axis before anything is said of the rest
        directed = replace(start.problem, curve=fit.problem.curve)
        fit = _full(directed, fit.unknowns, options.freedom, joint=True)
        fit = resolve_encounters(fit, MOST_WORK)
        others = tuple(kind for kind in KINDS if kind not in UNDIRECTED)
        rest, extended = find_symmetries(fit, rng, others)
        known = [each for each in symmetries if each.name in UNDIRECTED]
        symmetries = without_leaks(corrected([*known, *rest]), UNDIRECTED)
    elif axial:
        if start.problem.stencil is CAUSAL and not fit.problem.has_nodes:
            fit = _along_paths(fit, SMOOTHINGS, joint=True)
        symmetries, extended = find_symmetries(fit, rng)
    symmetries = [*symmetries, energy_of(symmetries)]
    tell("law")
    estimate = _final(fit, needed_terms(fit, extended))
    demand_told(estimate)
    tell("intervals")
    draws = draws_of(estimate, options.bootstrap, rng)
    law, notes = law_of(estimate)
    notes = [*left_aside, *told_gaps(whole.runs), *notes, *left_out(fit, estimate.freedom)]
    tell("formulas")
    unseen = _like(held_out_part(whole, begins), estimate)
    formulas = []
    if hold_out > 0 and not _shows_pairs(unseen, problem):
        notes.append("held-out frames show too few pairs to judge formulas by them")
    elif hold_out > 0:
        more = () if search is None else searched_formulas(estimate, search)
        formulas = rank_formulas(estimate, unseen, more)
        notes += outdone(formulas, unseen)
    tell("forecast")
    everything = other_frames(estimate, whole)
    forecasts = forecast(everything, runs, estimate.unknowns, law, begins) if hold_out > 0 else None
    law = at_origin(law, middle)
    if forecasts is not None:
        forecasts = replace(forecasts, frames=forecasts.frames + middle)
    if estimate.freedom.fields:
        notes.append(f"fields are about the middle of the tracks, {_place(middle)}")
    found = findings_of(
        *(runs, estimate, unseen, draws, symmetries, formulas),
        *(forecasts, notes, command, options.seed),
    )
    tell("done")
    return Discovery(law, found, forecasts, estimate, draws, tuple(runs))


def _shows_pairs(unseen: Problem, seen: Problem) -> bool:
    """Whether frames that were held out have half as many pairs as others, frame by frame."""
    per_frame = [
        sum(run.visited(3).size for run in part.runs) / max(sum(len(run.x) for run in part.runs), 1)
        for part in (unseen, seen)
    ]
    return per_frame[0] >= 0.5 * per_frame[1]


def _place(x: np.ndarray) -> str:
    return f"({', '.join(f'{float(y):.4g}' for y in x)})"


def _full(problem: Problem, unknowns: Unknowns, freedom: Freedom, joint: bool) -> Estimate:
    """Fit with all terms, then once more along the paths that the first fit makes of the tracks.

    Paths of each particle by itself come first; those of all together where `joint` says so.
    """
    freedom = replace(freedom, directed=problem.directed is not None)
    begin = unknowns.moved_to(problem.layout)
    noisy = problem.stencil is CAUSAL
    prelude = noisy and joint_work(problem) < MOST_WORK
    rounds, small = (PRELUDE, SMALL_IN_PRELUDE) if prelude else (ROUNDS, SMALL_GAIN)
    fit = improve(problem, begin, freedom, Smoothness.loose(begin), rounds, small)
    return _along_paths(fit, SMOOTHINGS if joint else 1, joint) if noisy else fit


def _along_paths(fit: Estimate, times: int, joint: bool) -> Estimate:
    """Fit anew along smoothed paths."""
    for _ in range(times):
        smooth = along_smoothed_paths(fit.problem, fit.unknowns)
        if joint and not smooth.joint and joint_work(smooth) < MOST_WORK:
            fit = _refined(replace(fit, problem=replace(smooth, joint=True)))
            smooth = fit.problem
        fit = improve(smooth, fit.unknowns, fit.freedom, fit.smoothness, rounds=4)
    return fit


def _refined(fit: Estimate) -> Estimate:
    """Return the same law with twice the knots of the pair curve, as far as a law may have them.

    All particles together tell it so well that its shape would pass for other terms.
    """
    if 2 * fit.problem.curve.knots.count - 3 > MOST_KNOTS:
        return fit
    curve, coefficients = fit.problem.curve.refined(fit.unknowns.part("curve"))
    problem = replace(fit.problem, curve=curve)
    unknowns = fit.unknowns.moved_to(problem.layout)
    unknowns.part("curve")[:] = coefficients
    # second differences are a quarter as large, and there are twice as many
    smoothness = replace(fit.smoothness, curve=8.0 * fit.smoothness.curve)
    return replace(fit, problem=problem, unknowns=unknowns, smoothness=smoothness)


def _final(fit: Estimate, freedom: Freedom) -> Estimate:
    """Fit what is needed, from where the fit with all terms ended."""
    unknowns = fit.unknowns.copy()
    for name in set(fit.freedom.fields) - set(freedom.fields):
        unknowns.part(name)[:] = 0.0
    if freedom.drag == "none":
        unknowns.part("drag")[:] = 0.0
    rest = freedom, fit.smoothness, 6
    now = fit.normal.moved(unknowns.vector - fit.unknowns.vector)
    found = improve(fit.problem, unknowns, *rest, now=now)
    if found.normal is now and freedom != fit.freedom:
        # what is left out was too much for the likelihood to be quadratic
        return improve(fit.problem, unknowns, *rest)
    return found


def _like(problem: Problem, estimate: Estimate) -> Problem:
    """Return other frames under the curves of an estimate, along paths by its law."""
    other = other_frames(estimate, problem)
    return along_smoothed_paths(other, estimate.unknowns) if other.stencil is CAUSAL else other


class _Teller:
    """Passes on how far it is."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._done = 0

    def __call__(self, stage: str) -> None:
        """Tell that a stage begins."""
        if self._progress is not None:
            self._progress(stage, self._done, len(STAGES))
        self._done += 1
