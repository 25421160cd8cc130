"""One slice of time by the fine method: here, in a thread, or in another process.

A slice is a whole number of the fine method's segments, and begins with what is handed from one of
them to the next. So a slice that begins where another one ended is what the fine method makes
alone, to the bit. What is sent to a process are descriptions and arrays; it makes the method and
the system by their names.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from nbody_surrogate.contracts.hidden_variables import Hidden
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import Carry, Problem, Segment
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.integrators.build import method_from
from nbody_surrogate.integrators.parareal.options import described
from nbody_surrogate.registry.registry import system_from

__all__ = ["SentWork", "SliceStart", "SlicedFrames", "make_sent_slice", "make_slice"]


@dataclass(frozen=True)
class SliceStart:
    """Where a slice of one trajectory begins, in reduced units.

    Attributes
    ----------
    frame : int
        Counted from the start of the run.
    x, v : ndarray, shape (1, N, D)
    carry : mapping of str to ndarray, or None
        What the fine method handed on, where the slice before is the final one, as it stores it;
        None of a start that is not the end of a slice.
    hidden : mapping of str to ndarray, shape (1, N, ...)
        Hidden variables of the system.
    """

    frame: int
    x: np.ndarray
    v: np.ndarray
    carry: Mapping[str, np.ndarray] | None = None
    hidden: Hidden = field(default_factory=dict)

    def carry_of(self, method: AbstractIntegrator, problem: Problem) -> Carry:
        """Return what a method begins the slice with."""
        frames = (self.x[:, None], self.v[:, None])
        new = method.restart(problem, self.frame, *frames, self.hidden)
        return new if self.carry is None else method.restored(new, self.carry)


@dataclass(frozen=True)
class SlicedFrames:
    """The frames of a slice, and what they took.

    Attributes
    ----------
    x, v : ndarray, shape (1, F, N, D)
    carry : dict of str to ndarray, or None
        What is handed on at the end, as the method stores it; None where that is within a segment.
    good : int
        Valid frames.
    message : str
        Why there are no more, empty where all are.
    counters : dict of str to int
    seconds : float
        Of the processor, by this thread alone: others may keep the machine busy meanwhile.
    hidden : dict of str to ndarray, shape (1, F, N, ...)
    """

    x: np.ndarray
    v: np.ndarray
    carry: dict[str, np.ndarray] | None
    good: int
    message: str
    counters: dict[str, int]
    seconds: float
    hidden: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """Force evaluations."""
        return self.counters.get("nfev", 0)

    def following(self, frame: int) -> SliceStart:
        """Return the start of the slice that goes on from here."""
        hidden = {name: values[:, -1] for name, values in self.hidden.items()}
        return SliceStart(frame, self.x[:, -1], self.v[:, -1], self.carry, hidden)


def make_slice(
    method: AbstractIntegrator, problem: Problem, start: SliceStart, frames: int
) -> SlicedFrames:
    """Make the frames of a slice, segment by segment.

    Parameters
    ----------
    method : AbstractIntegrator
    problem : Problem
        Of one trajectory.
    start : SliceStart
    frames : int

    Returns
    -------
    SlicedFrames
    """
    began = time.thread_time()
    carry: Carry | None = start.carry_of(method, problem)
    made: list[Segment] = []
    counters: dict[str, int] = {}
    done, good, message = 0, 0, ""
    while done < frames and not message:
        assert carry is not None  # only the last segment leaves none
        segment = method.advance(carry, min(method.options.segment, frames - done))
        made.append(segment)
        for key, count in segment.counters.items():
            counters[key] = counters.get(key, 0) + count
        message, carry = segment.message[0], segment.carry
        done, good = done + segment.x.shape[1], good + int(segment.good[0])
    x = np.concatenate([each.x for each in made], axis=1)
    v = np.concatenate([each.v for each in made], axis=1)
    hidden = {name: np.concatenate([y.hidden[name] for y in made], 1) for name in made[0].hidden}
    handed_on = None if carry is None or message else method.stored(carry)
    spent = time.thread_time() - began
    return SlicedFrames(x, v, handed_on, good, message, counters, spent, hidden)


@dataclass(frozen=True)
class SentWork:
    """A method and the problem of one trajectory, as they are sent to a process.

    Attributes
    ----------
    method, system : str
        Their descriptions, as JSON.
    particles : Particles
        With B = 1.
    t0, dt : float
    """

    method: str
    system: str
    particles: Particles
    t0: float
    dt: float

    @classmethod
    def of(cls, method: AbstractIntegrator, problem: Problem) -> SentWork:
        """Describe a method and a problem."""
        system = json.dumps(problem.system.description, sort_keys=True)
        method_text = json.dumps(described(method), sort_keys=True)
        return cls(method_text, system, problem.particles, problem.t0, problem.dt)


def make_sent_slice(work: SentWork, start: SliceStart, frames: int) -> SlicedFrames:
    """Make the frames of a slice in the process that this is called in."""
    problem = Problem(_system(work.system), work.particles, work.t0, work.dt)
    return make_slice(_method(work.method), problem, start, frames)


# one of each: a worker makes slice after slice of one run, and weights take long to load
@lru_cache(1)
def _method(text: str) -> AbstractIntegrator:
    return method_from(json.loads(text))


@lru_cache(1)
def _system(text: str) -> AbstractSystem:
    return system_from(json.loads(text))
