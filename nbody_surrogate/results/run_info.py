"""How a run came about and how it ended."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nbody_surrogate.contracts.brief import brief
from nbody_surrogate.contracts.segment import OVER_BUDGET
from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.errors import InputError
from nbody_surrogate.results.domain_report import DomainReport
from nbody_surrogate.results.error_estimate import EstimateReport, ToleranceReport
from nbody_surrogate.results.guard_report import GuardReport
from nbody_surrogate.results.parareal_report import PararealReport

if TYPE_CHECKING:
    from jaxtyping import Int64

__all__ = ["RunInfo", "valid_frames"]


@dataclass(frozen=True)
class RunInfo:
    """How a run came about and how it ended.

    Attributes
    ----------
    system : dict
        Name and parameters of the system.
    method : dict
        Name and options of the integrator; for a surrogate also its weights' hash.
    versions : dict
        Of the libraries that matter for the numbers.
    wall_time : float
        Seconds spent stepping, loading and compilation excluded as far as they came before; NaN
        where nobody knows, as of another program's file.
    counters : dict
        Such as ``nfev``.
    status : tuple of int
        One for each trajectory: 0 for success, -1 where it stopped, and -2 where it reached its
        end but lost more than its guard's budget.
    message : tuple of str
        One for each trajectory.
    good : tuple of int
        Valid frames of each trajectory, the start included.
    seed : int or None
        Of the sampler, where there was one.
    guard : GuardReport or None
        What the guard of a guarded run found and did.
    error_estimate : EstimateReport or None
        How the error of a run was estimated, where it was.
    tolerance : ToleranceReport or None
        What became of a run whose frames were held to a tolerance.
    threads : int
        Of the CPU, that the method computed on; 0 where nobody knows.
    identifier : str
        Drawn at random for a run that goes into a file: by it a restart file knows its output.
        Empty where there is none.
    domain : DomainReport or None
        Where the run was outside of what its method was trained for; None where that is not known.
    parareal : PararealReport or None
        Iterations and force evaluations of a run by parareal.
    """

    # descriptions, no objects: they go into files, which are read where a plugin is missing too
    system: dict[str, Any]
    method: dict[str, Any]
    versions: dict[str, str] = field(default_factory=dict)
    wall_time: float = 0.0
    counters: dict[str, int] = field(default_factory=dict)
    status: tuple[int, ...] = ()
    message: tuple[str, ...] = ()
    good: tuple[int, ...] = ()
    seed: int | None = None
    guard: GuardReport | None = None
    error_estimate: EstimateReport | None = None
    tolerance: ToleranceReport | None = None
    threads: int = 0
    identifier: str = ""
    domain: DomainReport | None = None
    parareal: PararealReport | None = None

    __repr__ = brief

    @property
    def success(self) -> bool:
        """Whether every trajectory reached its last frame, within its guard's budget."""
        return all(code == 0 for code in self.status)

    @property
    def label(self) -> str:
        """The method's name with its tolerance, step or sub-steps, and its guard."""
        # tables must tell it from a run of the method alone
        guard = "" if self.guard is None else f", guard {self.guard.policy}"
        falls_back = self.domain is not None and self.domain.policy == "fallback"
        return f"{self._method}{guard}{', outside fallback' if falls_back else ''}"

    @property
    def outside_note(self) -> str:
        """What was outside of the training, and who computed it; empty where nothing was.

        Of a policy that could hardly find anything, that it could not.
        """
        if self.domain is None or not (self.domain.outside or self.domain.unmeasured):
            return ""
        since, guard = self.domain.since, self.guard
        if self.domain.reference is None or guard is None or guard.policy != "fallback":
            return str(self.domain)
        # the guard is around the domain's watch: what it replays, that one never sees or loses
        replayed = sum(n for n, first in zip(guard.fallen_back, since, strict=False) if first >= 0)
        if not replayed:
            return str(self.domain)
        return f"{self.domain} The guard had {counted(replayed, 'frame')} of the same replayed."

    def failures(self, name: str) -> list[str]:
        """Say, a line each, which trajectories of the run called `name` failed, and why."""
        return [
            f"{name}, trajectory {b} {self._failed(b)}: {why}"
            for b, why in enumerate(self.message)
            if why
        ]

    def _failed(self, b: int) -> str:
        over_budget = self.status[b : b + 1] == (OVER_BUDGET,)
        return "did not keep its budget" if over_budget else "stopped"

    def of(self, b: int) -> RunInfo:
        """Return what concerns trajectory `b`, as the only one."""
        return self.taking(np.array([b]))

    def taking(self, chosen: Int64[np.ndarray, " S"]) -> RunInfo:
        """Return what concerns some trajectories, shape (S,); times and counters are of all."""
        guard = None if self.guard is None else self.guard.taking(chosen)
        domain = None if self.domain is None else self.domain.taking(chosen)
        # nothing is noted of trajectories before a run has ended
        return replace(
            self,
            status=tuple(self.status[b] for b in chosen if b < len(self.status)),
            message=tuple(self.message[b] for b in chosen if b < len(self.message)),
            good=tuple(self.good[b] for b in chosen if b < len(self.good)),
            guard=guard,
            domain=domain,
        )

    def at(self, frames: range, total: int) -> RunInfo:
        """Return what concerns some frames of the `total` ones; counters and guard are of all.

        The wall time of frames that span less than the run is known to nobody, NaN.

        Raises
        ------
        InputError
            If none of them is valid, of a trajectory that stopped before.
        """
        good = tuple(int(np.searchsorted(frames, count)) for count in self.good)
        if good and min(good) == 0:
            b = good.index(0)
            raise InputError(
                f"`index` must take a valid frame of each trajectory: trajectory {b} has "
                f"{self.good[b]}, the first taken is {frames[0]}"
            )
        whole = frames[0] == 0 and frames[-1] == total - 1
        return replace(self, good=good, wall_time=self.wall_time if whole else math.nan)

    @property
    def _method(self) -> str:
        name, _, approximation = str(self.method["integrator"]).partition("@")
        if self.parareal is not None:
            return f"{name} ({self.parareal.methods})"
        plain = self._plain_method(name)
        return f"{plain} with forces {approximation}" if approximation else plain

    def _plain_method(self, name: str) -> str:
        if "rtol" in self.method:
            return f"{name} (rtol {self.method['rtol']:g})"
        told = [f"{self.method['form']}, "] if "form" in self.method else []
        told += [f"order {self.method['order']}, "] if "order" in self.method else []
        variant = "".join(told)  # of methods that are several; files of before say none
        # a step takes the place of the sub-steps, which have a default
        if self.method.get("step") is not None:
            return f"{name} ({variant}step {self.method['step']:g})"
        if self.method.get("substeps") is not None:
            return f"{name} ({variant}{counted(self.method['substeps'], 'sub-step')})"
        if self.method.get("eta") is not None:
            return f"{name} (eta {self.method['eta']:g})"
        return name


def valid_frames(good: tuple[int, ...], batch: int, frames: int) -> Int64[np.ndarray, " B"]:
    """Count the frames that are data; all of them, where a run does not say."""
    told = np.array(good if len(good) == batch else (frames,) * batch, dtype=np.int64)
    # the start is given, and a run that is read while it is written has fewer frames than it knows
    return np.clip(told, 1, frames)
