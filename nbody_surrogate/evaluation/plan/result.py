"""What a plan finds: costs as they were measured, and what follows from them by arithmetic."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from nbody_surrogate.results.bootstrap import Interval, plain

__all__ = [
    "Asked",
    "Classical",
    "Effort",
    "ForceCost",
    "Payback",
    "Plan",
    "SurrogateFrame",
    "TrainingCost",
    "paid_back",
]


@dataclass(frozen=True)
class Asked:
    """What is to be simulated, and how well.

    Attributes
    ----------
    accuracy : float
        Position RMSE per coordinate at the horizon, in reduced units.
    horizon : float
        Time units after the start.
    horizon_frames : int
        The same in frames.
    frames : int
        Of a trajectory, by which training is to be paid back.
    """

    system: dict[str, Any]
    particles: int
    accuracy: float
    horizon: float
    horizon_frames: int
    frames: int


@dataclass(frozen=True)
class ForceCost:
    """Seconds of one evaluation of all forces on one configuration.

    Attributes
    ----------
    name : str
        ``plain`` for the system's own forces as a solver calls them, or the name of an
        approximation.
    seconds : Interval
        The median, from the lower to the upper quartile; of few calls, from the least to the
        largest.
    calls : int
        That were timed.
    """

    name: str
    seconds: Interval
    calls: int


@dataclass(frozen=True)
class Classical:
    """The cheapest classical method that is as accurate as was asked.

    Attributes
    ----------
    label : str
        Such as ``leapfrog:11``.
    error : Interval
        Its position RMSE, the median over starts with its bootstrap 95 % interval.
    evaluations : float
        Of the force, in a frame of one trajectory: n_F.
    frame_seconds : float
        Of one trajectory on one thread.
    """

    label: str
    error: Interval
    evaluations: float
    frame_seconds: float

    @property
    def force_seconds(self) -> float:
        """Seconds of a frame over its evaluations: a force with the arithmetic around it."""
        return self.frame_seconds / self.evaluations


@dataclass(frozen=True)
class SurrogateFrame:
    """What a frame of an untrained surrogate costs; training changes no operation of it.

    Attributes
    ----------
    engine : str
        ``fused``, ``torch`` or ``inductor``, as a run would use.
    parameters : int
        That training would have to find.
    frame_seconds : float
        Of one trajectory on one thread.
    compile_seconds : float
        Of its first frame, with all that is compiled or read from a cache for it.
    """

    name: str
    config: dict[str, Any]
    engine: str
    parameters: int
    frame_seconds: float
    compile_seconds: float


@dataclass(frozen=True)
class TrainingCost:
    """What a training by a recipe would take on this machine, on one thread.

    Attributes
    ----------
    recipe : str
        Its path, or what else it is called.
    trajectories, frames : int
        Of its data.
    labels : str
        The method that makes them.
    force_calls : float
    label_seconds : float
    steps : int
    step_seconds : float
    compile_seconds : float
        Of the first step, once.
    """

    recipe: str
    trajectories: int
    frames: int
    labels: str
    force_calls: float
    label_seconds: float
    steps: int
    step_seconds: float
    compile_seconds: float

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.label_seconds + self.steps * self.step_seconds + self.compile_seconds


@dataclass(frozen=True)
class Payback:
    """Trajectories after which training is paid back, infinite for never.

    Attributes
    ----------
    trajectories : float
    least, most : float
        By the ends of the interval of the factor.
    """

    trajectories: float
    least: float
    most: float


@dataclass(frozen=True)
class Effort:
    """What a plan took.

    Attributes
    ----------
    force_calls : int
        Of the system's own force, summed over trajectories.
    approximate_calls : int
        Of its approximations.
    starts : int
        That errors are medians of.
    seconds : float
        Without those of compiling.
    compile_seconds : float
        Of first calls, in which code is compiled or read from a cache.
    notes : tuple of str
        What makes the plan less sure.
    """

    force_calls: int
    approximate_calls: int
    starts: int
    seconds: float
    compile_seconds: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Whether a surrogate can pay, by what was measured before it is trained.

    Attributes
    ----------
    asked : Asked
    forces : tuple of ForceCost
    classical : Classical
    surrogate : SurrogateFrame
    factor : Interval
        Time of the classical method over that of the surrogate: above 1 the surrogate is faster.
        The interval is of 95 %, over the starts that were timed.
    training : TrainingCost or None
        None where no recipe is known.
    effort : Effort
    conditions : dict
        Processor, threads, clock, versions.
    """

    asked: Asked
    forces: tuple[ForceCost, ...]
    classical: Classical
    surrogate: SurrogateFrame
    factor: Interval
    training: TrainingCost | None
    effort: Effort
    conditions: dict[str, Any]

    def __repr__(self) -> str:
        return (
            f"<Plan: {self.surrogate.name} for {self.asked.system['system']}, N = "
            f"{self.asked.particles}: {self.verdict}, factor {self.factor.as_factor()}>"
        )

    @property
    def verdict(self) -> str:
        """``yes``, ``no``, or ``open`` where the interval of the factor holds 1."""
        if self.factor.low > 1:
            return "yes"
        return "no" if self.factor.high < 1 else "open"

    @property
    def break_even_force(self) -> float:
        """Seconds of a force at which a frame of either takes the same: c_S / n_F."""
        return self.surrogate.frame_seconds / self.classical.evaluations

    @property
    def payback(self) -> Payback | None:
        """When training is paid back; None where its cost is not known."""
        if self.training is None:
            return None
        whole, frame = self.training.seconds, self.surrogate.frame_seconds
        of = [
            paid_back(whole, factor, frame, self.asked.frames)
            for factor in (self.factor.value, self.factor.high, self.factor.low)
        ]
        return Payback(*of)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain types, fit for JSON; what is not finite is None."""
        training, payback = self.training, self.payback
        found = {
            "verdict": self.verdict,
            "asked": asdict(self.asked),
            "forces": [asdict(each) for each in self.forces],
            "classical": {
                **asdict(self.classical),
                "force_seconds": self.classical.force_seconds,
            },
            "surrogate": asdict(self.surrogate),
            "break_even_force": self.break_even_force,
            "factor": asdict(self.factor),
            "training": None
            if training is None
            else {**asdict(training), "seconds": training.seconds},
            "payback": None if payback is None else asdict(payback),
            "effort": {**asdict(self.effort), "notes": list(self.effort.notes)},
            "conditions": self.conditions,
        }
        return dict(plain(found))


def paid_back(training: float, factor: float, frame: float, frames: int) -> float:
    """Trajectories after which the time that a surrogate saves is that of its training.

    Parameters
    ----------
    training : float
        Seconds.
    factor : float
        Time of the classical method over that of the surrogate.
    frame : float
        Seconds of a frame of the surrogate.
    frames : int
        Of a trajectory.

    Returns
    -------
    float
        A whole number, at least 1; infinite where nothing is saved.
    """
    saved = (factor - 1) * frame * frames
    if not saved > 0:
        return math.inf
    # nothing is saved before a trajectory is run
    return 1.0 if math.isinf(saved) else float(max(math.ceil(training / saved), 1))
