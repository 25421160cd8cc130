"""Any callable for forces as a system: runs, comparisons, guards and data sets of this process."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, create_model

from nbody_surrogate.contracts.arguments import demand_flag, demand_number
from nbody_surrogate.contracts.calls import guided
from nbody_surrogate.contracts.dear_system import AbstractDearSystem, Evaluated
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.system_spec import Draw, SystemSpec
from nbody_surrogate.errors import InputError
from nbody_surrogate.registry import lookup
from nbody_surrogate.registry.callable_forces import CallableForces, name_of
from nbody_surrogate.spelling import nearest

__all__ = ["system_from_callable"]

SYMMETRIES = frozenset(
    {
        "boost",
        "charge-conjugation",
        "permutation",
        "reflection",
        "rotation",
        "time-reversal",
        "time-shift",
        "translation",
    }
)
ALWAYS = frozenset({"time-shift", "time-reversal"})
"""Of forces that depend on positions alone."""

CONSERVED = frozenset({"energy", "momentum", "angular_momentum"})

Sampler = Callable[[np.random.Generator, int], Any]


class _CallableSystem(AbstractDearSystem):
    """A system whose forces a callable of this process gives; a class for each is made of this."""

    source: ClassVar[CallableForces]
    sampler: ClassVar[Sampler | None] = None
    start: ClassVar[tuple[State, Particles] | None] = None

    @property
    def has_potential(self) -> bool:
        """Whether there is an energy."""
        return self.source.energy is not None

    @property
    def needs_radii(self) -> bool:
        """Whether the particles of its start have radii."""
        return self.start is not None and self.start[1].radii is not None

    @property
    def fixed_particles(self) -> int | None:
        """The number of particles of its start."""
        return None if self.start is None else self.start[1].n

    def _evaluate(self, x: np.ndarray, particles: Particles) -> Evaluated:
        return self.source.evaluate(self.origin, x, particles)

    def _energies(self, x: np.ndarray, particles: Particles) -> np.ndarray | None:
        return self.source.energies(self.origin, x, particles)

    def _sample(self, rng: np.random.Generator, n: int, dimensions: int) -> Draw:
        cls = type(self)
        if cls.sampler is not None:
            return Draw(*cls.sampler(rng, n))
        if self.start is None:
            raise InputError(
                f"`start` or `sample` is needed to draw starts of system {self.name!r}; give one "
                "to `system_from_callable`, or a state and particles of your own to the run"
            )
        state, particles = self.start
        if (n, dimensions) != state.x.shape[1:]:
            have = f"{state.x.shape[1]} `particles` in {state.x.shape[2]} dimensions"
            raise InputError(f"`start` of system {self.name!r} has {have}, got {n} in {dimensions}")
        rows = [particles.charges, particles.masses, particles.couplings, particles.radii]
        charges, masses, bonds, radii = (None if y is None else y[0] for y in rows)
        assert charges is not None and masses is not None  # they are always there
        return Draw(state.x[0], state.v[0], charges, masses, bonds, radii=radii)


@guided(
    **dict.fromkeys(["force", "function", "fun", "f", "rhs"], "`forces`"),
    **dict.fromkeys(["potential", "potential_energy", "energies"], "`energy`"),
    **dict.fromkeys(["state", "initial", "x0", "y0"], "`start`, a (State, Particles)"),
    **dict.fromkeys(["sampler", "rng", "seed"], "`sample`, from (rng, n) to a Draw"),
    **dict.fromkeys(["dt", "step"], "`frame_dt`"),
    **dict.fromkeys(["vectorized", "vectorised", "batch"], "`batched`"),
)
def system_from_callable(
    forces: Callable[..., Any],
    *,
    name: str | None = None,
    energy: Callable[..., Any] | bool | None = None,
    batched: bool = False,
    start: tuple[State, Particles] | None = None,
    sample: Sampler | None = None,
    symmetries: Iterable[str] = (),
    conserved: Iterable[str] | None = None,
    frame_dt: float = 0.1,
    check: bool = True,
) -> AbstractSystem:
    """Make a system of a callable that gives forces, and register it for this process.

    Forces are taken to be dear: nothing is computed twice that is known from just before, what is
    computed is counted, as ``force_calls`` in ``info.counters`` of a run, and solvers do not look
    ahead for close encounters, for which they would ask for forces of pairs alone. Before the
    first run by a solver, forces at its start are checked, by 6 more calls and one for each
    symmetry: that they are finite, are those of the energies and have what is declared.

    Runs, and files of them, keep the system's name and the callable's. To go on with a run in
    another process, call this with the same name and callable there first. For worker processes,
    write a plugin: ``nbody-sim plugins new NAME --kind system``.

    Parameters
    ----------
    forces : callable
        From positions (N, D) to forces (N, D), not accelerations. Where its second parameter has
        no default, or is called ``particles``, it gets the `Particles`, charges of shape (1, N).
        Forces must depend on these alone, and on no call before. What the reduced units are is its
        choice: of length, energy and mass; that of time is length times root of mass over energy.
    name : str, optional
        Of the system; by default the callable's.
    energy : callable or True, optional
        From the same arguments to the potential energy, a number. True says that `forces` returns
        (energy, forces). By default there is none.
    batched : bool
        Whether both take B configurations at a time, (B, N, D), and return as many.
    start : tuple of State and Particles, optional
        One trajectory, which `system.sample` then returns.
    sample : callable, optional
        From a generator and the number of particles to what `Draw` holds: x, v, charges, masses.
    symmetries : iterable of str
        Of the forces, as in `AbstractSystem.symmetries`. Those of time are known.
    conserved : iterable of str, optional
        Of ``energy``, ``momentum``, ``angular_momentum``. By default what follows: the energy where
        there is one, then momentum of ``translation``, angular momentum of ``rotation``.
    frame_dt : float
        Time between frames.
    check : bool
        Whether forces are checked at the first start.

    Returns
    -------
    AbstractSystem

    Raises
    ------
    InputError
        If a parameter is wrong, or the name is taken by another callable.

    Examples
    --------
    >>> import nbody_surrogate as nb
    >>> def tethered(x):
    ...     return 0.5 * (x * x).sum(), -x
    >>> start = nb.State(0.0, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]]), nb.Particles([0.0], [1.0])
    >>> system = nb.system_from_callable(tethered, energy=True, start=start)
    >>> run = nb.simulate(system, *system.sample(0, 1), frames=10, integrator="dop853")
    >>> run.info.counters["force_calls"] < run.info.counters["nfev"]
    True
    """
    for label, value in (("forces", forces), ("sample", sample)):
        if not (callable(value) or (value is None and label == "sample")):
            raise InputError(f"`{label}` must be a callable, got a {type(value).__name__}")
    if not (energy is None or energy is True or callable(energy)):
        raise InputError(f"`energy` must be a callable, True or None, got {energy!r}")
    if start is not None and sample is not None:
        raise InputError("`start` and `sample` are given, one of them is enough; leave out one")
    frame_dt = demand_number("frame_dt", frame_dt)
    if not 0 < frame_dt < float("inf"):
        raise InputError(f"`frame_dt` must be finite and > 0, got {frame_dt}")
    source = CallableForces(forces, energy or None, demand_flag("batched", batched))
    kept = _among("symmetries", symmetries, SYMMETRIES) | ALWAYS
    constant = _following(kept, energy) if conserved is None else conserved
    body: dict[str, Any] = {
        "name": _name(name, forces),
        "Spec": _spec(name_of(forces) or "lambda", frame_dt),
        "source": source,
        "sampler": None if sample is None else staticmethod(sample),
        "start": None if start is None else _one(start),
        "symmetries": kept,
        "conserved": _among("conserved", constant, CONSERVED),
        "checks_start": demand_flag("check", check),
        "__doc__": f"Forces of the callable {name_of(forces) or 'lambda'}.",
        # those of the callable, by which a cell of a notebook may be run again
        "__module__": str(getattr(forces, "__module__", None) or "__main__"),
        "__qualname__": str(getattr(forces, "__qualname__", None) or type(forces).__qualname__),
    }
    if "energy" in body["conserved"] and energy is None:
        raise InputError("`conserved` holds 'energy', but there is no `energy`; give one")
    made: AbstractSystem = _registered(type(body["name"], (_CallableSystem,), body))()
    return made


def _registered(cls: Any) -> Any:
    """Register a class, also in place of one that was made of the same callables."""
    before = lookup.registered.get(("systems", cls.name))
    if before is not None and issubclass(before, _CallableSystem):
        same = before.source.forces == cls.source.forces
        # lambdas have one name for all of them
        again = before.__module__ == "__main__" and cls.__qualname__ == before.__qualname__
        if not (same or (again and "<lambda>" not in cls.__qualname__)):
            raise InputError(
                f"`name` {cls.name!r} is that of another callable of this session, whose runs "
                "could not be told from these; give another name"
            )
        del lookup.registered["systems", cls.name]
    return lookup.register("systems", cls.name)(cls)


def _name(name: str | None, forces: Callable[..., Any]) -> str:
    given = name_of(forces) if name is None else name
    if not isinstance(given, str) or not re.fullmatch(r"[\w.-]+", given):
        raise InputError(
            f"`name` must be letters, digits, '_', '-' and '.', got {given!r}"
            if given
            else "`name` is needed: a lambda has none of its own"
        )
    return given


def _spec(callable_name: str, frame_dt: float) -> type[SystemSpec]:
    """Return parameters that a run of another callable does not fit."""
    only: Any = Literal[callable_name]
    said = "gives the forces; a run of another callable is not one of this system"
    time = Field(default=frame_dt, gt=0, allow_inf_nan=False, description="time between frames")
    fields: Any = {
        "callable": (only, Field(default=callable_name, description=said)),
        "frame_dt": (float, time),
    }
    made: type[SystemSpec] = create_model("CallableSpec", __base__=SystemSpec, **fields)
    return made


def _one(start: Any) -> tuple[State, Particles]:
    """Demand a start of one trajectory."""
    pair = tuple(start) if isinstance(start, tuple | list) else ()
    if len(pair) != 2 or not isinstance(pair[0], State) or not isinstance(pair[1], Particles):
        raise InputError("`start` must be a State and Particles, such as `read_initial` returns")
    state, particles = pair
    if state.x.shape[:2] != particles.charges.shape or len(state.x) != 1:
        raise InputError(
            f"`start` must be one trajectory, of state and particles of the same N, got (B, N) "
            f"{state.x.shape[:2]} and {particles.charges.shape}"
        )
    return state, particles


def _among(label: str, given: Iterable[str], known: frozenset[str]) -> frozenset[str]:
    names = [given] if isinstance(given, str) else list(given)
    for name in names:
        if name not in known:
            close = nearest(str(name), known)
            hint = "" if close is None else f"; did you mean {close!r}?"
            listed = ", ".join(sorted(known))
            raise InputError(f"`{label}` must be of {listed}, got {name!r}{hint}")
    return frozenset(names)


def _following(symmetries: frozenset[str], energy: object) -> frozenset[str]:
    """Return what is conserved by Noether's theorem, of forces that have an energy."""
    if energy is None:
        return frozenset()
    more = {"translation": "momentum", "rotation": "angular_momentum"}
    return frozenset({"energy", *(more[key] for key in symmetries & more.keys())})
