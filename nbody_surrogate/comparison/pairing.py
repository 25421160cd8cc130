"""What two runs are compared by: the frames that are valid in both, and what failed elsewhere.

The one rule for all measures. Frames count from the start to the last that is valid in both runs,
in any trajectory. Where a trajectory of the reference stopped before, nothing is known of it: it is
left out there, NaN. Where one of the candidate stopped and the reference's did not, it has failed,
and is infinitely wrong: to leave it out would reward it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from nbody_surrogate.comparison.alignment import check_same, interpolated, own_frames, round_trip
from nbody_surrogate.comparison.lyapunov import Twins
from nbody_surrogate.contracts.time_text import time_span_text
from nbody_surrogate.contracts.times import same_times
from nbody_surrogate.registry.lookup import names
from nbody_surrogate.results.metrics import (
    VALID_THRESHOLD,
    drift_curves,
    mean_kinetic,
    time_within,
)
from nbody_surrogate.results.trajectory import Ensemble
from nbody_surrogate.results.validity import validity_note

__all__ = ["Pairing", "pair_up"]


class Pairing(NamedTuple):
    """Two runs made ready to be compared; frames that are not valid are NaN.

    Attributes
    ----------
    whole : dict of role to Ensemble
        ``reference`` and ``candidate`` as they were given.
    runs : dict of role to Ensemble
        The same over the common frames, the candidate's at the reference's times, and ``twin``
        where there is one.
    round_trip : Ensemble or None
        The reference taken to the candidate's times and back: what interpolation alone does to a
        run. None where times are the same.
    own : ndarray of bool, shape (T,)
        At which of the common frames the candidate has a frame of its own.
    common : ndarray, shape (B,)
        Frames that are valid in both.
    """

    whole: dict[str, Ensemble]
    runs: dict[str, Ensemble]
    round_trip: Ensemble | None
    own: Bool[np.ndarray, " T"]
    common: Int64[np.ndarray, " B"]

    @property
    def reference(self) -> Ensemble:
        """The reference over the common frames."""
        return self.runs["reference"]

    @property
    def candidate(self) -> Ensemble:
        """The candidate over the common frames, at the reference's times."""
        return self.runs["candidate"]

    def errors(self, values: Float64[np.ndarray, "B T"]) -> Float64[np.ndarray, "B T"]:
        """Return errors of the candidate, infinite where it failed; NaN where nothing is known."""
        known = self.reference.valid
        return np.where(np.isnan(values) & known, np.inf, np.where(known, values, np.nan))

    def unknown(self, values: Float64[np.ndarray, "B T"]) -> Float64[np.ndarray, "B T"]:
        """Return errors of a run of the reference's own: where it stopped nothing is known."""
        return values

    def departures(self) -> dict[str, np.ndarray]:
        """Departures of what is conserved, (3, B, T) at the common times, by role.

        Those of a candidate at other times are read off its own frames, never off interpolated
        ones, and joined by straight lines. Energies are over the kinetic energy of the reference.
        """
        scale = mean_kinetic(self.reference.v, self.reference.particles)
        found = {role: _departures(run, scale) for role, run in self.runs.items()}
        if self.round_trip is not None:
            found["candidate"] = self._joined(self.own_departures())
        return found

    def own_departures(self) -> Float64[np.ndarray, "3 B F"]:
        """Departures of the candidate at its own valid frames, up to the last common time."""
        scale = mean_kinetic(self.reference.v, self.reference.particles)
        if self.round_trip is None:
            return _departures(self.candidate, scale)
        # one frame more than there are common times tells nothing of them
        run = self.whole["candidate"]
        reach = int((run.t < self.reference.t[-1]).sum()) + int(self.own[-1])
        return _departures(run.valid_part(max(reach, 1)), scale)

    def valid_times(
        self, off: Float64[np.ndarray, "B T"], back: Float64[np.ndarray, "B T"] | None
    ) -> Float64[np.ndarray, " B"]:
        """Return valid prediction times, at most to the last frame that is valid in both runs.

        By errors over a spread, and what interpolation alone makes of them.
        """
        if back is not None:
            # what two runs differ by is at least this (the triangle inequality)
            off = off - np.nan_to_num(back)
        t, frames = self.reference.t, len(self.whole["reference"].t)
        found = time_within(t, off, VALID_THRESHOLD)
        ends = t[self.common - 1] - t[0]
        return np.where(self.common < frames, np.minimum(found, ends), found)

    def notes(self) -> tuple[str, ...]:
        """Say of runs with frames that are not valid what is compared."""
        notes = {run.info.label: validity_note(run) for run in self.whole.values()}
        said = [f"{name}: {note}." for name, note in notes.items() if note is not None]
        if not said:
            return ()
        span = time_span_text(self.reference.t)
        line = f"Compared are the frames that are valid in both, t = {span}"
        if len(self.reference) > 1:
            line += (
                "; beyond its end a candidate counts as infinitely wrong, a reference is left out"
            )
        return (*said, line + ".")

    def untimed(self) -> str:
        """Name the compiled form of the reference's solver, if neither run is of it."""
        methods = {role: str(run.info.method["integrator"]) for role, run in self.whole.items()}
        compiled = f"{methods['reference']}-compiled"
        known = compiled in names("integrators") and methods["candidate"] != compiled
        # forces that are no laws cannot be compiled
        return compiled if known and self.reference.system().force_laws() is not None else ""

    def _joined(self, own: Float64[np.ndarray, "3 B F"]) -> Float64[np.ndarray, "3 B T"]:
        t, run = self.reference.t, self.whole["candidate"]
        made = np.full((*own.shape[:2], len(t)), np.nan)
        for b, count in enumerate(np.minimum(run.valid_frames, own.shape[2])):
            for key in range(len(own)):
                its = own[key, b, :count]
                made[key, b] = np.interp(t, run.t[:count], its, right=np.nan)
        return made


def pair_up(
    reference: Ensemble, candidate: Ensemble, twins: Twins | None, interpolate: bool
) -> Pairing:
    """Bring two runs to common times and common valid frames.

    Raises
    ------
    InputError
        If they are not runs of the same starts, or of other times and not to be interpolated.
    """
    whole = {"reference": reference, "candidate": candidate}
    back, own = None, np.ones(len(reference.t), dtype=bool)
    if interpolate and not same_times(reference.t, candidate.t):
        there = interpolated(candidate, reference)
        check_same(reference, there)
        back, own = round_trip(reference, candidate), own_frames(reference, candidate)
        candidate = there
    else:
        check_same(reference, candidate)
    common = np.minimum(reference.valid_frames, candidate.valid_frames)
    most = int(common.max())
    runs = {"reference": reference, "candidate": candidate}
    runs |= {} if twins is None else {"twin": twins.far}
    return Pairing(
        whole,
        {role: run.valid_part(most) for role, run in runs.items()},
        None if back is None else back.valid_part(most),
        own[:most],
        common,
    )


def _departures(run: Ensemble, scale: Float64[np.ndarray, " B"]) -> Float64[np.ndarray, "3 B T"]:
    return drift_curves(run.system(), run.x, run.v, run.particles, scale)
