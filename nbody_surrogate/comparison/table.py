"""Tables of a run, alone or against its reference, and of candidates with one reference."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from nbody_surrogate.comparison.call_rows import call_rows
from nbody_surrogate.comparison.comparison import Comparison, compare
from nbody_surrogate.comparison.text_table import TextTable
from nbody_surrogate.contracts.arguments import demand_kind
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.system_versions import finer_text, finer_version
from nbody_surrogate.contracts.time_text import number_text
from nbody_surrogate.contracts.wording import (
    counted,
    duration_text,
    figure_text,
    range_text,
    setting_text,
)
from nbody_surrogate.errors import InputError
from nbody_surrogate.results.bootstrap import Summary
from nbody_surrogate.results.estimate_note import estimate_notes
from nbody_surrogate.results.label_error import LabelErrors, label_errors, system_errors
from nbody_surrogate.results.metrics import defined_drifts, median_drifts
from nbody_surrogate.results.parareal_report import parareal_notes
from nbody_surrogate.results.trajectory import Ensemble, Trajectory, as_ensemble
from nbody_surrogate.results.validity import validity_note

__all__ = ["comparison_rows", "comparison_table", "drift_rows", "run_table"]

DRIFTS = {
    "energy": "energy drift / kinetic energy",
    "momentum": "momentum drift",
    "angular_momentum": "angular momentum drift",
}
Row = tuple[str, ...]
VALID_TIME = "valid prediction time"
WHOLE_RUNS = "  the whole run, trajectories"
NONE = "no valid frame"  # after the start, in the one run or in both


def run_table(
    run: Trajectory | Ensemble,
    reference: Trajectory | Ensemble | None = None,
    *,
    comparison: Comparison | None = None,
    start: str | None = None,
) -> TextTable:
    """Return the table that `nbody-sim run` ends with: a run alone, or against its reference.

    Of several trajectories it gives medians. Errors are root mean squares per coordinate, in
    reduced units, momenta too; energies are over the reference's time-mean kinetic energy, or that
    of a run alone over its own.

    Parameters
    ----------
    run : Trajectory or Ensemble
        Positions of shape (T, N, D) or (B, T, N, D).
    reference : Trajectory or Ensemble, optional
        Of the same starts.
    comparison : Comparison, optional
        Of the two, where it has been made already.
    start : str, optional
        Where the start comes from, in words; by default its seed, as far as the run knows it.

    Returns
    -------
    TextTable

    Raises
    ------
    InputError
        If the two are not runs of the same starts, or the run's system is not known.
    """
    run = as_ensemble(run)
    if reference is None:
        rows = [*_label_error_rows(run), *drift_rows(run)]
        heads = ("", run.info.label)
        title = _headline(run, start)
        valid = validity_note(run)
        said = [] if valid is None else [f"{run.info.label}: {valid}."]
        made = [*parareal_notes(run.info.parareal), *_system_notes(run)]
        notes = (*said, *made, *estimate_notes(run), *_guard_notes(run))
        return TextTable(title, heads, tuple(rows), notes, _failures(run))
    reference = as_ensemble(reference, "reference")
    comparison = compare(reference, run) if comparison is None else comparison
    return TextTable(
        _headline(run, start),
        ("", comparison.candidate, f"{comparison.reference}\nthe reference"),
        tuple(_rows_against(comparison, run, reference)),
        (
            *comparison.validity,
            comparison.verdict,
            *parareal_notes(run.info.parareal),
            *_system_notes(reference),
            *estimate_notes(run, reference),
            *_guard_notes(run),
        ),
        _failures(run, reference),
    )


def comparison_table(
    comparisons: Comparison | Sequence[Comparison], no_floor: str | None = None
) -> TextTable:
    """Return the table that `nbody-sim compare` ends with: a column for each candidate.

    Of several trajectories it gives medians, of errors with bootstrap 95 % intervals. A distance of
    distributions stands beside its noise floor, and a mark where it is beyond.

    Parameters
    ----------
    comparisons : Comparison or sequence of Comparison
        With the same reference.
    no_floor : str, optional
        Why there is no noise floor, in words; by default that there are no twins.

    Returns
    -------
    TextTable

    Raises
    ------
    InputError
        If there is none, one is something else, or they are of several references.
    """
    if isinstance(comparisons, Comparison) or not isinstance(comparisons, Iterable):
        comparisons = [comparisons]
    found = list(comparisons)
    if not found:
        raise InputError("`comparisons` must hold one comparison at least, got none")
    for each in found:  # a run, which is a sequence of trajectories, is taken for several
        demand_kind("comparisons", each, Comparison, "what `compare` returns, or a sequence of it")
    first = found[0]
    if any((each.reference, each.duration) != (first.reference, first.duration) for each in found):
        raise InputError("`comparisons` must have one reference, got several")
    sample = "" if first.trajectories == 1 else ", medians (95 % intervals)"
    runs = counted(first.trajectories, "trajectory")
    return TextTable(
        f"Against {first.reference}: {runs} of {_units(first.duration)}{sample}",
        ("", *(each.candidate for each in found)),
        tuple(comparison_rows(found)),
        (*_floor_notes(first, no_floor), *_interpolation_notes(found), *_verdicts(found)),
    )


def _verdicts(found: Sequence[Comparison]) -> list[str]:
    """Give the verdicts, after what is to be said once of each run that has invalid frames."""
    said = dict.fromkeys(line for each in found for line in each.validity)
    return [*said, *(each.verdict for each in found)]


def _interpolation_notes(found: Sequence[Comparison]) -> list[str]:
    between = [each for each in found if each.interpolation is not None]
    lines = [f"{each.candidate} has other times. {each.interpolation}" for each in between]
    return [*lines, "In brackets: the error of interpolation alone."] if lines else []


# A run, alone or against its reference


def _headline(run: Ensemble, start: str | None) -> str:
    info = run.info
    if start is None and info.seed is not None:
        start = f"seed {info.seed}"
    return ", ".join(
        [
            str(info.system["system"]),
            *_changed_parameters(run.system()),
            counted(run.particles.n, "particle"),
            *([] if len(run) == 1 else [f"{counted(len(run), 'trajectory')} (medians)"]),
            *([] if start is None else [start]),
            _units(float(run.t[-1] - run.t[0])),
            f"frames 0..{len(run.t) - 1}",
        ]
    )


def _changed_parameters(system: AbstractSystem) -> list[str]:
    """Name the parameters that are not the defaults, with their values."""
    changed = system.spec.model_dump(mode="json", exclude_defaults=True)
    return [
        setting_text(key, number_text(value) if isinstance(value, float) else value)
        for key, value in changed.items()
    ]


def _guard_notes(run: Ensemble) -> Row:
    """Say what was outside of the training, and what the guard found."""
    report, note = run.info.guard, run.info.outside_note
    outside = (note,) if note else ()
    if report is None:
        return outside
    system = run.system()
    ignored = [key for key in defined_drifts(system) if key not in system.conserved]
    names = ", ".join(key.replace("_", " ") for key in ignored)
    watched = [f"  The system does not conserve {names}: not watched."] if ignored else []
    return (*outside, *str(report).splitlines(), *watched)


def _failures(*runs: Ensemble) -> Row:
    return tuple(
        line for run in runs for line in run.info.failures(str(run.info.method["integrator"]))
    )


def drift_rows(run: Ensemble, curves: np.ndarray | None = None) -> Iterator[Row]:
    """Yield label and value of each row that a run has by itself: its drifts, its wall time.

    `curves` are its `own_drift_curves`, where they are known already.
    """
    conserved = run.system().conserved
    for key, value in median_drifts(run, curves).items():
        yield _drift_label(key, conserved), _drift(value)
    yield _wall_time_label(len(run)), duration_text(run.info.wall_time)
    yield from call_rows(run)


def _label_error_rows(run: Ensemble) -> Iterator[Row]:
    """Yield label and value of each row of a verified run."""
    yield from _error_rows("label error", label_errors(run))
    yield from _error_rows("error of the system", system_errors(run))


def _error_rows(name: str, errors: LabelErrors | None) -> Iterator[Row]:
    if errors is None:
        return
    for horizon, error in zip(errors.horizons, errors.median, strict=True):
        shown = "none is good" if math.isnan(error) else f"{error:.2e}"
        shown = "not known" if math.isinf(error) else shown  # an encounter was stepped over
        yield f"{name} at t = {number_text(horizon)}", shown


def _system_notes(run: Ensemble) -> Row:
    """Say what the error of a verified run's system is."""
    if run.system_error is None:
        return ()
    system = run.system()
    finer = finer_version(system)
    how = "" if finer is None else f" ({finer_text(system, finer)})"
    said = f"{run.info.label}: the label error is of steps in time. The error of the system is of "
    return (said + f"its own truncation, against a finer version{how} by the sharper solver.",)


def _rows_against(comparison: Comparison, run: Ensemble, reference: Ensemble) -> Iterator[Row]:
    """Yield a label, the candidate's cell and the reference's."""
    for horizon, position, velocity in zip(
        comparison.horizons, comparison.position_rmse, comparison.velocity_rmse, strict=True
    ):
        yield f"position RMSE at t = {number_text(horizon)}", f"{position:.2e}", ""
        yield f"velocity RMSE at t = {number_text(horizon)}", f"{velocity:.2e}", ""
    for label, error in _label_error_rows(reference):
        yield label, "", error
    yield VALID_TIME, _valid_time(comparison), ""
    if comparison.trajectories > 1:
        yield WHOLE_RUNS, _whole_runs(comparison), ""
    for key in comparison.drifts["reference"]:
        candidate = comparison.drifts["candidate"][key]
        yield (
            _drift_label(key, comparison.conserved),
            _drift(candidate),
            _drift(comparison.drifts["reference"][key]),
        )
    times = comparison.wall_time
    label = _wall_time_label(comparison.trajectories)
    yield label, duration_text(times["candidate"]), duration_text(times["reference"])
    ratio = comparison.speed_ratio
    yield "reference / candidate", NONE if math.isnan(ratio) else figure_text(ratio), ""
    yield from call_rows(run, reference)


def _wall_time_label(trajectories: int) -> str:
    """Say that it is a sum, in a table of medians."""
    return "wall time" if trajectories == 1 else "wall time, all trajectories"


def _drift(value: float) -> str:
    """Write a drift; there is none of a run whose start is all that is valid."""
    return NONE if math.isnan(value) else f"{value:.1e}"


def _drift_label(key: str, conserved: frozenset[str]) -> str:
    """Name a drift, or a change where the system does not conserve the quantity."""
    label = DRIFTS[key]
    return label if key in conserved else label.replace("drift", "change") + " (not conserved)"


# Candidates with one reference


def comparison_rows(found: Sequence[Comparison]) -> Iterator[Row]:
    """Yield a label and a cell for each candidate."""
    first = found[0]
    # where some candidates stopped early, not all have the same ones
    for key in dict.fromkeys(key for each in found for key in each.errors):
        yield _error_label(key), *(_error(each, key) for each in found)
    for horizon in sorted({horizon for each in found for horizon in each.horizons}):
        label = f"RMSE over spread, t = {number_text(horizon)}"
        yield label, *(_at(each, horizon) for each in found)
    yield VALID_TIME, *(_valid_time(each) for each in found)
    if first.trajectories > 1:
        yield WHOLE_RUNS, *(_whole_runs(each) for each in found)
    if first.lyapunov_time is not None and math.isfinite(first.lyapunov_time):
        unit = first.lyapunov_time
        yield "  in Lyapunov times", *(_in_lyapunov_times(each, unit) for each in found)
    for key in first.drifts["reference"]:
        label = _drift_label(key, first.conserved)
        reference = first.drifts["reference"][key]
        label += "" if math.isnan(reference) else f"; reference {reference:.0e}"
        yield label, *(_drift(each.drifts["candidate"][key]) for each in found)
    for name in dict.fromkeys(measure.name for each in found for measure in each.distributions):
        yield f"{name}, distance (noise floor)", *(_distance(each, name) for each in found)
    times = (each.wall_time["candidate"] / each.trajectories for each in found)
    yield "wall time per trajectory", *(duration_text(value) for value in times)


def _error_label(key: str) -> str:
    names = {"ade": "average displacement error", "fde": "final displacement error"}
    return names.get(key) or f"position MSE at frame {key.removeprefix('mse ')}"


def _error(found: Comparison, key: str) -> str:
    if key not in found.errors:
        return NONE
    own = None if found.interpolation is None else found.interpolation.errors[key].median
    return _with_interval(found.errors[key]) + _of_it(own)


def _at(found: Comparison, horizon: float) -> str:
    """Give the RMSE over the spread at a horizon."""
    if horizon not in found.horizons:
        return NONE
    n = found.horizons.index(horizon)
    own = None if found.interpolation is None else found.interpolation.normalised_rmse[n]
    return f"{found.normalised_rmse[n]:.2e}{_of_it(own)}"


def _of_it(interpolation: float | None) -> str:
    """Say what interpolation alone makes of a run of no error."""
    return "" if interpolation is None else f" [{interpolation:.0e}]"


def _with_interval(value: Summary) -> str:
    text = f"{value.median:.1e}"
    return text if value.low == value.high else f"{text} ({value.low:.1e}..{value.high:.1e})"


def _valid_time(found: Comparison) -> str:
    if math.isinf(found.valid_time):
        return f"> {number_text(found.duration)}, whole run"
    return number_text(found.valid_time, 3)


def _whole_runs(found: Comparison) -> str:
    """Say in how many trajectories nothing was wrong before the end."""
    return f"{found.whole_runs} of {found.trajectories}"


def _in_lyapunov_times(found: Comparison, lyapunov_time: float) -> str:
    reached = min(found.valid_time, found.duration) / lyapunov_time
    return f"{'> ' if math.isinf(found.valid_time) else ''}{reached:.2g}"


def _distance(found: Comparison, name: str) -> str:
    measure = next((each for each in found.distributions if each.name == name), None)
    if measure is None:
        return NONE
    # speeds there are always, bound pairs of a law that binds for ever are not
    if math.isnan(measure.reference) and not math.isnan(found.distributions[0].reference):
        return "does not apply"
    if math.isnan(measure.distance.median):
        return NONE
    if measure.floor is None:
        return f"{measure.distance.median:.1e}"
    mark = " !" if measure.within_noise is False else ""
    return f"{measure.distance.median:.1e} ({measure.floor.median:.1e}){mark}"


def _floor_notes(first: Comparison, no_floor: str | None) -> list[str]:
    """Say which frames distributions are over, and what their noise floor says."""
    if first.duration and not first.window.end:
        return ["There is no valid frame after the start to compare distributions of."]
    begin, end = number_text(first.window.begin), number_text(first.window.end)
    window = f"Distributions are over t = {begin} to {end}"
    if first.lyapunov_time is None:
        return [f"{window}; there is no noise floor: {no_floor or 'there are no twins'}."]
    lyapunov = number_text(first.lyapunov_time, 2)
    said = [f"{window}; in brackets the noise floor; {_mark_note(first.trajectories)}"]
    if math.isinf(first.lyapunov_time):
        return [*said, "Small errors do not grow exponentially in this run: no Lyapunov time."]
    if first.window.chaotic:
        said.append(f"The Lyapunov time is {lyapunov}.")
    else:
        said.append(
            f"That window begins before one Lyapunov time, {lyapunov}: compare "
            "positions there; distributions say more in longer runs."
        )
    return said


def _mark_note(trajectories: int) -> str:
    """Say what is marked, and that a single trajectory has no interval to mark anything by."""
    if trajectories == 1:
        return "one trajectory cannot tell what is farther off than that, unless it stops (!)."
    return (
        "! : farther off than that, by the 95 % interval of the ratio of the two, trajectory by "
        "trajectory."
    )


def _units(duration: float) -> str:
    return range_text(duration, duration, "time unit")
