"""The guard of a run: what it watches for, and what it does where that happens."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, final, get_args

from pydantic import BaseModel, ConfigDict, Field

from nbody_surrogate.contracts.arguments import demand_kind, demand_number
from nbody_surrogate.contracts.hidden_variables import listed
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.parameters import validated
from nbody_surrogate.contracts.segment import Limits
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.errors import InputError
from nbody_surrogate.integrators.approximate import with_options
from nbody_surrogate.integrators.build import make_integrator
from nbody_surrogate.integrators.reference import default_reference
from nbody_surrogate.registry.lookup import is_surrogate
from nbody_surrogate.simulation.guard.conserved_quantities import QUANTITIES

__all__ = ["POLICIES", "Guard", "Policy", "Thresholds"]

Policy = Literal["warn", "stop", "fallback"]
POLICIES: tuple[Policy, ...] = get_args(Policy)

Share = Annotated[float, Field(gt=0)]
Limit = Annotated[float, Field(ge=0)] | None


class Thresholds(BaseModel):
    """What a guarded run may do. Infinity switches a trigger off; so does 0 for `closest`.

    The first three are what a run may lose over its whole duration, if the system keeps it, and
    `position` is how far it may be off at its end. At time t it may be the share ``t / duration``
    of that. `closest` to `longest` are by default the limits of the method, which a surrogate's
    card gives.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    energy: Share = Field(default=0.01, description="over the energy's scale at the start")
    momentum: Share = Field(default=1e-3, description="over the momentum's scale at the start")
    angular_momentum: Share = Field(
        default=1e-3, description="over the angular momentum's scale at the start"
    )
    position: Share = Field(
        default=0.1,
        description="distance from the companion run, over the spread at the start",
    )
    estimate: Share = Field(
        default=math.inf,
        description="bound of the run's error estimate, over the same; off by default",
    )
    local: Share = Field(
        default=0.05,
        description="error of a spot-checked frame, carried to the end, over the same",
    )
    closest: Limit = Field(default=None, description="smallest distance of a pair")
    fastest: Limit = Field(default=None, description="largest speed of a particle")
    most: Limit = Field(default=None, description="largest number of particles")
    longest: Limit = Field(default=None, description="time since the start")


SPOT_CHECKS = 0.02  # share of frames that are recomputed


@final
class Guard:
    """Watches a run, segment by segment.

    A segment trips the guard where a trajectory becomes non-finite or fails, loses more energy,
    momentum or angular momentum than its budget, is further from its companion than its budget,
    has a frame that a spot check finds wrong, a pair closer or a particle faster than the limits
    of the method, or where the run is longer or has more particles. The start is looked at, too.

    The companion is a second run of the same start, by a solver of a loose tolerance; a surrogate
    alone has one. Spot checks recompute single frames. Neither a boost nor a shift of a system
    that keeps its momentum changes what is found.

    Parameters
    ----------
    policy : {"warn", "stop", "fallback"}
        ``warn`` notes it and goes on. ``stop`` freezes the trajectory at its last good frame, as
        one that fails. ``fallback`` replays the segment by the reference, for the failing
        trajectory alone, refills the history of the method from the replayed frames and goes on.
    reference : str or AbstractIntegrator, optional
        What replays, of policy ``fallback``; by default the solver that is the ground truth for the
        system.
    spot_checks : float
        Share of the frames of each trajectory that are spot-checked, at least one of them; 0 for
        none.
    **thresholds
        See `Thresholds`.

    Raises
    ------
    InputError
        If the policy or a threshold is wrong, or the reference is a surrogate or of no use.
    """

    def __init__(
        self,
        policy: str = "fallback",
        *,
        reference: str | AbstractIntegrator | None = None,
        spot_checks: float = SPOT_CHECKS,
        **thresholds: Any,
    ) -> None:
        if policy not in POLICIES:
            raise InputError(f"`guard` must be {', '.join(POLICIES)}, got {policy!r}")
        if reference is not None and policy != "fallback":
            raise InputError(
                f"`reference` of the guard goes with policy 'fallback' only: {policy!r} replays "
                "nothing; leave it out"
            )
        if reference is not None:
            kinds = (str, AbstractIntegrator)
            demand_kind("reference", reference, kinds, "a solver or its name")
        name = reference.name if isinstance(reference, AbstractIntegrator) else reference
        if name is not None and is_surrogate(name):
            raise InputError(f"`reference` of the guard must be a solver, got {name!r}")
        self.policy: Policy = policy
        self.reference = reference
        self.spot_checks = demand_number("spot_checks", spot_checks)
        if not 0 <= self.spot_checks <= 1:
            raise InputError(
                f"`spot_checks` of the guard must be a number from 0 to 1, got {spot_checks:g}"
            )
        known = ("reference", "spot_checks")
        self.thresholds = validated(Thresholds, thresholds, "the guard", known)

    def __repr__(self) -> str:
        reference = "" if self.reference is None else f", reference={self.reference!r}"
        changed = self.thresholds.model_dump(exclude_defaults=True)
        if self.spot_checks != SPOT_CHECKS:
            changed = {"spot_checks": self.spot_checks} | changed
        told = "".join(f", {key}={value:g}" for key, value in changed.items())
        return f"Guard({self.policy!r}{reference}{told})"

    def limits(self, method: AbstractIntegrator, system: AbstractSystem) -> Limits:
        """Return the limits that hold: the guard's own, else the method's.

        Parameters
        ----------
        method : AbstractIntegrator
        system : AbstractSystem

        Returns
        -------
        Limits
        """
        # 0 and infinity are limits too, which switch a trigger off: only None is no answer
        given = {key: getattr(self.thresholds, key) for key in Limits._fields}
        own = {key: value for key, value in given.items() if value is not None}
        return method.limits(system)._replace(**own)

    def drift_thresholds(self, system: AbstractSystem) -> dict[str, float]:
        """Return the thresholds of what the system keeps.

        Parameters
        ----------
        system : AbstractSystem

        Returns
        -------
        dict of str to float
            By the names of `AbstractSystem.conserved`.
        """
        drifts = self.thresholds.model_dump(include=set(system.conserved))
        return {key: drifts[key] for key in sorted(drifts)}

    def check(self, system: AbstractSystem, learned: bool, estimated: bool) -> None:
        """Refuse a threshold of what is not there, and would watch nothing.

        Parameters
        ----------
        system : AbstractSystem
        learned, estimated : bool
            See `check_method`.

        Raises
        ------
        InputError
            If one was given that is finite.
        """
        self.check_method(learned, estimated)
        kept = ", ".join(sorted(system.conserved)) or "nothing"
        for key in sorted(set(QUANTITIES) - system.conserved):
            self._refuse(key, f"system {system.name!r} does not conserve it (it conserves {kept})")
        if learned and system.hidden_variables:  # its frames, which checks start from, hold none
            hidden = listed([each.name for each in system.hidden_variables])
            for key in ("position", "local"):
                why = f"system {system.name!r} has hidden variables, {hidden}, which a surrogate's"
                self._refuse(key, f"{why} frames do not hold")

    def check_method(self, learned: bool, estimated: bool) -> None:
        """Refuse a threshold that a method leaves without anything to watch.

        Parameters
        ----------
        learned : bool
            Whether the method is a surrogate, which has a companion.
        estimated : bool
            Whether the run has an error estimate.

        Raises
        ------
        InputError
            If one was given that is finite.
        """
        if not estimated:
            self._refuse("estimate", "the run has no error estimate")
        if not learned:
            self._refuse("position", "a solver has no companion to be held against")
        if not self.spot_checks:
            self._refuse("local", "`spot_checks` is 0")

    def _refuse(self, key: str, why: str) -> None:
        """Refuse a threshold if it was given; infinity asks for nothing."""
        value = getattr(self.thresholds, key)
        if key in self.thresholds.model_fields_set and value < math.inf:
            raise InputError(f"`threshold` {key}={value:g} cannot be watched: {why}; leave it out")

    def solver(
        self, system: AbstractSystem, batch: int, segment: int, keeps_hidden: bool
    ) -> AbstractIntegrator | None:
        """Build what replays segments.

        Parameters
        ----------
        system : AbstractSystem
        batch : int
            Trajectories, which the default reference depends on.
        segment : int
            Frames of a segment.
        keeps_hidden : bool
            Whether the frames of the run hold the system's hidden variables.

        Returns
        -------
        AbstractIntegrator or None
            None where the policy replays nothing.

        Raises
        ------
        InputError
            If the system has hidden variables, and the frames do not hold them.
        """
        if self.policy != "fallback":
            return None
        if system.hidden_variables and not keeps_hidden:
            raise InputError(
                f"`guard` fallback cannot replay system {system.name!r}, which has hidden "
                f"variables, {listed([each.name for each in system.hidden_variables])}, that a "
                "surrogate's frames do not hold; use warn or stop"
            )
        reference = self.reference
        if isinstance(reference, AbstractIntegrator):
            # anew, as a replay must end where the method's segment does
            return with_options(reference, segment=segment)
        return make_integrator(reference or default_reference(system, batch), segment=segment)
