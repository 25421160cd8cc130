"""The stepper's contract: start, then advance from segment boundary to segment boundary."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, final

import numpy as np
from typing_extensions import TypeVar  # the default of a parameter comes with Python 3.13

from nbody_surrogate.contracts.brief import Described
from nbody_surrogate.contracts.domain import Domain
from nbody_surrogate.contracts.enforcement import (
    demand_frames,
    freeze_failures,
    refuse_coincidence,
    refuse_mismatch,
    refuse_unfit,
    refuse_unfit_frames,
    refuse_wrong_forces,
)
from nbody_surrogate.contracts.held_tick import HeldTick
from nbody_surrogate.contracts.hidden_variables import (
    NOTHING_HIDDEN,
    Hidden,
    refuse_wrong_hidden,
)
from nbody_surrogate.contracts.integrator_options import IntegratorOptions
from nbody_surrogate.contracts.origin import origin_of
from nbody_surrogate.contracts.parameters import validated
from nbody_surrogate.contracts.segment import (
    HIDDEN_PREFIX,
    Carry,
    Frames,
    Limits,
    Problem,
    Segment,
    Tick,
)
from nbody_surrogate.contracts.signals import SignalWatch, is_blameless
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.violations import plugin_errors, violation_from
from nbody_surrogate.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["AbstractIntegrator", "IntegratorOptions"]


Options_co = TypeVar(
    "Options_co", bound=IntegratorOptions, default=IntegratorOptions, covariant=True
)


class AbstractIntegrator(Described, Generic[Options_co]):
    """A method that turns a start into frames, trajectory by trajectory or in a batch.

    To write one:

    1. set `name`, and `Options` to a subclass of `IntegratorOptions`; inherit from
       ``AbstractIntegrator[YourOptions]``, so that type checkers know what `options` is;
    2. optionally check in `_check` that the system fits, and raise `InputError`;
    3. implement `_start`: the flat mapping of arrays that the first segment starts from,
       beyond ``x`` and ``v``, which are there already;
    4. implement `_advance`: from a boundary, compute `frames` frames of one segment. Frame
       times are ``problem.time(frame + n)``; count steps in ``problem.elapsed``, which is not
       rounded to the start's digits. Set ``arrays`` for the next boundary (without
       ``x`` and ``v``: they are the last frame) where the segment is whole. Report a failing
       trajectory in ``failures`` and go on with the others. Call `tick` now and then;
    5. never change an array that was handed in. The result depends on the arguments alone:
       the frames of a shorter run are the first frames of a longer one;
    6. return True from `batch_invariant` where it is so: data sets are then made in batches,
       and else one trajectory at a time;
    7. where a carry remembers more than its newest frame, implement `_restart`, and say in
       `history` how many frames that takes. Each array of a carry has an axis of length B.
       Where they are not NumPy's, implement `_stored` and `_restored` too. With hidden variables
       a method goes on by `_start`, from the newest frame alone;
    8. set `api_version` to the version of these duties that the class is written for;
    9. name in `capabilities` what of `contracts.capabilities` the method can do: a system that
       needs more is refused before `_check`. Hidden variables come in ``carry.hidden``, shape
       (B, N, ...), and go in `Frames.hidden`, shape (B, F, N, ...). A list of neighbours is made
       by ``system.neighbours(x)`` at the start of each `_advance`, since a carry holds none, and
       anew when it does not `cover` the positions any more;
    10. return from `domain` the ranges that the method was made for, as one that was trained has
        them: `simulate` holds starts and frames against it.

    All quantities are in reduced units. `nbody_surrogate.testing` checks all of this.

    Parameters
    ----------
    **options
        Those of `Options`.

    Raises
    ------
    InputError
        If one is unknown or out of range.
    """

    api_version: ClassVar[int] = 1
    name: str
    Options: type[Options_co] = IntegratorOptions  # type: ignore[assignment]  # its default too
    capabilities: frozenset[str] = frozenset()

    def __init__(self, **options: Any) -> None:
        self.options = validated(self.Options, options, f"integrator {self.name!r}")
        self.origin = origin_of(type(self), "integrator", self.name)
        self.stepper = "_advance"  # the method that frames come from, for messages

    @abstractmethod
    def _start(self, problem: Problem, state: State) -> dict[str, Any]:
        """Return the first carry's arrays beyond x and v (duty 3)."""

    @abstractmethod
    def _advance(self, carry: Carry, frames: int, tick: Tick) -> Frames:
        """Compute frames of one segment (duties 4 and 5)."""

    def _check(self, problem: Problem, state: State) -> None:
        """Raise `InputError` where the integrator does not fit the problem."""
        return

    @property
    def batch_invariant(self) -> bool:
        """Whether a trajectory is the same bits in whatever batch it runs."""
        return False

    def batch_invariant_for(self, system: AbstractSystem) -> bool:
        """Whether trajectories of a system are; by default those of all or of none."""
        return self.batch_invariant

    @property
    def history(self) -> int:
        """Frames that `restart` can make use of, at least 1."""
        return 1

    def limits(self, system: AbstractSystem) -> Limits:
        """Return what the method is for.

        Parameters
        ----------
        system : AbstractSystem
            One that it fits.

        Returns
        -------
        Limits
            By default none.
        """
        return Limits()

    def domain(self, system: AbstractSystem) -> Domain | None:
        """Return what the method was made for, which `simulate` holds starts and frames against.

        Parameters
        ----------
        system : AbstractSystem
            One that it fits.

        Returns
        -------
        Domain or None
            By default None, of a solver: it is made for all that it fits.
        """
        return None

    def _restart(self, problem: Problem, t: float, x: np.ndarray, v: np.ndarray) -> dict[str, Any]:
        """Return a carry's arrays, beyond x and v, from the latest frames (B, W, N, D), W >= 1."""
        return self._start(problem, State(t, x[:, -1], v[:, -1]))

    @property
    def keeps_hidden(self) -> bool:
        """Whether frames hold the hidden variables of a system; those of a surrogate do not."""
        return self.origin.kind != "surrogate"

    def threads_for(self, batch: int, n: int) -> int:
        """Threads for so many trajectories of n particles; by default its option, or one."""
        return int(dict(self.options).get("threads") or 1)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what its results depend on beyond code and options, such as weights."""
        return ""

    def _stored(self, arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Return a carry's arrays as NumPy's, so that they can be written to a file."""
        return {key: np.asarray(value) for key, value in arrays.items()}

    def _restored(self, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Undo `_stored`."""
        return dict(arrays)

    @final
    def stored(self, carry: Carry) -> dict[str, np.ndarray]:
        """Return all that a carry holds beside its problem and frame, to be written to a file.

        Parameters
        ----------
        carry : Carry

        Returns
        -------
        dict of str to ndarray
            Of any shape with an axis of length B.
        """
        return self._stored(carry.arrays)

    @final
    def restored(self, like: Carry, arrays: Mapping[str, np.ndarray]) -> Carry:
        """Return a carry of arrays that `stored` made.

        Parameters
        ----------
        like : Carry
            Of the same problem and frame; its arrays say which there must be.
        arrays : mapping of str to ndarray, of those shapes

        Returns
        -------
        Carry

        Raises
        ------
        ValueError
            If names, shapes or types are not those of `like`.
        """
        # a file is not trusted: a carry of our own making says what it must hold
        wanted = self.stored(like)
        for key in sorted(wanted.keys() | arrays.keys()):
            kinds = [
                (each[key].shape, each[key].dtype.name) if key in each else None
                for each in (wanted, arrays)
            ]
            if kinds[0] != kinds[1]:
                raise ValueError(f"the carry's {key!r} must be {kinds[0]}, it is {kinds[1]}")
        return Carry(like.problem, like.frame, MappingProxyType(self._restored(arrays)))

    @property
    def description(self) -> dict[str, Any]:
        """Name and options, as they are stored with a run."""
        return {"integrator": self.name, **self.options.model_dump()}

    @final
    def check(
        self, system: AbstractSystem, state: State, particles: Particles, dt: float
    ) -> Problem:
        """Refuse what the integrator cannot do, or a system whose forces cannot be right.

        Parameters
        ----------
        system : AbstractSystem
        state : State, shape (B, N, D)
        particles : Particles, shape (B, N)
        dt : float
            Time between frames.

        Returns
        -------
        Problem
            What `start` would begin with.

        Raises
        ------
        InputError
            If shapes disagree, `dt` is not positive or too small for the time, the integrator
            lacks what the system needs or does not fit, radii are missing or of no use, or
            particles are at the same place where forces have no limit, or forces cannot be right.
        PluginError
            If the integrator or the system breaks its contract.
        """
        # in this order, so that nothing is computed of arrays that do not fit, and the forces only
        # for a method that can do what the system needs
        refuse_mismatch(state, particles, dt)
        problem = Problem(system, particles, state.t, float(dt))
        refuse_unfit(self.name, self.capabilities, system, state, self.keeps_hidden)
        system.refuse_wrong_radii(particles)
        with plugin_errors(system.origin, "refuse_unfit_start"):
            system.refuse_unfit_start(state, particles)
        with plugin_errors(self.origin, "_check"):
            self._check(problem, state)
        refuse_coincidence(problem, state)
        refuse_wrong_forces(self.origin, problem, state)
        return problem

    @final
    def start(self, system: AbstractSystem, state: State, particles: Particles, dt: float) -> Carry:
        """Check the problem and return the carry of its first segment.

        Parameters and errors are those of `check`.

        Returns
        -------
        Carry
        """
        with SignalWatch():  # of all of it: to begin two watches takes twice as long
            return self._started(self.check(system, state, particles, dt), state)

    def _started(self, problem: Problem, state: State) -> Carry:
        with plugin_errors(self.origin, "_start"):
            hidden = {HIDDEN_PREFIX + name: values for name, values in state.hidden.items()}
            arrays = {"x": state.x, "v": state.v, **hidden, **self._start(problem, state)}
        return Carry(problem, 0, _frozen(arrays))

    @final
    def restart(
        self,
        problem: Problem,
        frame: int,
        x: Float64[np.ndarray, "B W N D"],
        v: Float64[np.ndarray, "B W N D"],
        hidden: Hidden = NOTHING_HIDDEN,
    ) -> Carry:
        """Return a carry that goes on from frames which another method made.

        Parameters
        ----------
        problem : Problem
        frame : int
            Number of the last of the frames, a multiple of the segment.
        x, v : ndarray, shape (B, W, N, D)
            The latest frames, as many as there are, and not more than `history`.
        hidden : mapping of str to ndarray, shape (B, N, ...)
            The hidden variables of the last of them; a surrogate is never shown any.

        Returns
        -------
        Carry

        Raises
        ------
        InputError
            If the arrays are not those of the problem, or a hidden variable is missing.
        """
        refuse_unfit_frames(problem, x, v)
        time, last = problem.time(frame), {"x": x[:, -1], "v": v[:, -1]}
        variables = problem.system.hidden_variables
        if not (variables and self.keeps_hidden):
            with plugin_errors(self.origin, "_restart"):
                arrays = self._restart(problem, time, x, v)
            return Carry(problem, frame, _frozen({**last, **arrays}))
        refuse_wrong_hidden(problem.system.name, variables, hidden, last["x"].shape)
        with plugin_errors(self.origin, "_start"):
            arrays = self._start(problem, State(time, *last.values(), hidden=hidden))
        kept = {HIDDEN_PREFIX + name: values for name, values in hidden.items()}
        return Carry(problem, frame, _frozen({**last, **kept, **arrays}))

    @final
    def advance(self, carry: Carry, frames: int, tick: Tick | None = None) -> Segment:
        """Compute the next frames, at most up to the end of the segment.

        Parameters
        ----------
        carry : Carry
            Left as it is: the same carry gives the same frames again.
        frames : int
            From 1 to the length of a segment.
        tick : callable, optional
            Progress within the segment.

        Returns
        -------
        Segment

        Raises
        ------
        InputError
            If `frames` is out of range.
        PluginError
            If the integrator or the system breaks its contract.
        """
        length = self.options.segment
        if not 1 <= frames <= length:
            raise InputError(f"`frames` must be from 1 to the segment's {length}, got {frames}")
        result = self._frames(carry, frames, HeldTick(tick))
        status, message, good = freeze_failures(carry, result, self._whose_fault)
        for values in (result.x, result.v, *result.hidden.values()):
            values.flags.writeable = False  # the next carry shares them
        following = None
        # inside a segment a method need not give the step sizes or the history to go on from
        if frames == length:
            hidden = {HIDDEN_PREFIX + name: values[:, -1] for name, values in result.hidden.items()}
            arrays = {"x": result.x[:, -1], "v": result.v[:, -1], **hidden, **result.arrays}
            following = Carry(carry.problem, carry.frame + frames, _frozen(arrays))
        return Segment(
            x=result.x,
            v=result.v,
            carry=following,
            status=status,
            message=message,
            good=good,
            counters=result.counters,
            hidden=result.hidden,
            convergence=result.convergence,
        )

    def _frames(self, carry: Carry, frames: int, tick: HeldTick) -> Frames:
        """Call `_advance`, and hold it to its contract."""
        with SignalWatch():
            try:
                result = self._advance(carry, frames, tick)
            except BaseException as error:
                if is_blameless(error) or error is tick.raised:  # the caller cancels
                    raise
                raise violation_from(self.origin, "_advance", error) from error
        demand_frames(self.origin, carry, frames, result)
        return result

    def _whose_fault(self, problem: Problem, b: int, held: State, finite: bool) -> str:
        """Name a plugin that gave NaN or infinity, after the last good state of trajectory `b`."""
        said, system = "", problem.system
        # built-in ones are not named: what is not finite then comes of the physics
        if not (finite or self.origin.built_in):
            said = f": `{self.stepper}` of {self.origin} must return finite numbers"
        # last, as it outranks: of forces that are NaN every method makes NaN
        if not system.origin.built_in:
            with np.errstate(all="ignore"):
                few = problem.particles[b]
                forces = system.acceleration(held.x, held.v, few, held.hidden)
            if not np.isfinite(forces).all():
                said = f": `pair_acceleration` of {system.origin} must return finite numbers"
        return said


def _frozen(arrays: dict[str, Any]) -> MappingProxyType[str, Any]:
    """Make a carry's arrays read-only: what starts from it twice must be the same twice."""
    for value in arrays.values():
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
    return MappingProxyType(arrays)
