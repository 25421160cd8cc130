"""Splitting methods: symplectic compositions of kicks and drifts with fixed steps.

Their coefficients, and what a stage is, stand in `compositions`. Forces must not depend on
velocities. Directed ones (`DirectedLaw`), which have no potential, are taken: orders and
reversibility stay, but there is no energy to keep and no symplectic structure.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

import numpy as np
from pydantic import Field
from typing_extensions import TypeVar

from nbody_simulators.integrators import compositions
from nbody_simulators.integrators.compositions import Composition
from nbody_simulators.integrators.error_following import Course, carried
from nbody_simulators.integrators.fitting import fitting_methods
from nbody_simulators.integrators.fixed_step import AbstractFixedStep, SubstepOptions
from nbody_simulators.kernels.lanes import Lanes
from nbody_simulators.kernels.split_steps import split
from nbody_surrogate.contracts import AbstractErrorFollower, Problem

if TYPE_CHECKING:
    from nbody_simulators.integrators.plain_steps import PlainProblem
    from nbody_simulators.integrators.torch_steps import TorchProblem

__all__ = [
    "SRKN4",
    "SRKN6",
    "AbstractSplitting",
    "Leapfrog",
    "LeapfrogOptions",
    "SymplecticEuler",
    "Yoshida4",
]


Options_co = TypeVar("Options_co", bound=SubstepOptions, default=SubstepOptions, covariant=True)


class AbstractSplitting(AbstractFixedStep[Options_co]):
    """What the methods share: everything but the coefficients. Another drift has its own steps."""

    @property
    @abstractmethod
    def composition(self) -> Composition:
        """Its coefficients."""

    @property
    def evaluations(self) -> int:
        """Force evaluations of a step."""
        return self.composition.evaluations

    @property
    def opening(self) -> int:
        """Force evaluations before the first step of a segment."""
        return self.composition.opening

    def _refuse(self, problem: Problem) -> str | None:
        system = problem.system
        if not system.velocity_dependent:
            return None
        return (
            f"needs forces that do not depend on velocity, system {system.name!r} has; "
            f"use {fitting_methods(problem)}"
        )

    def _march(
        self,
        problem: Problem,
        lanes: Lanes,
        step: float,
        steps: int,
        x: np.ndarray,
        v: np.ndarray,
    ) -> None:
        kicks, drifts = map(np.array, self.composition)
        kernel = split(lanes.pair, lanes.field, lanes.directed)
        kernel(lanes, step, steps, kicks, drifts, x, v)

    def _array_step(
        self, problem: TorchProblem | PlainProblem, x: Any, v: Any, a: Any, step: float
    ) -> Any:
        moved = not self.opening
        for kick, drift in zip(*self.composition, strict=True):
            if kick != 0.0:
                a = problem.acceleration(x, v) if moved else a
                v, moved = v + (kick * step) * a, False
            if drift != 0.0:
                x, moved = x + (drift * step) * v, True
        return x, v, a


@final
class SymplecticEuler(AbstractSplitting):
    """Kick, then drift: order 1.

    With the system ``charged-clipped`` and a step of 0.001 it is the generator of the published
    benchmarks, which call it leapfrog.

    References
    ----------
    Hairer, Lubich and Wanner, "Geometric Numerical Integration" (2006), I.1.2; the benchmarks:
    Kipf et al., ICML 2018; Satorras et al., ICML 2021.
    """

    name = "symplectic-euler"
    composition = compositions.EULER


class LeapfrogOptions(SubstepOptions):
    """Options of `Leapfrog`."""

    # what files of releases before this option mean
    of_before: ClassVar[Mapping[str, Any]] = MappingProxyType({"form": "kdk"})

    form: Literal["dkd", "kdk"] = Field(
        default="dkd", description="drift, kick, drift, or kick, drift, kick"
    )


@final
class Leapfrog(AbstractSplitting[LeapfrogOptions], AbstractErrorFollower):
    """Half a drift, a kick, half a drift: order 2, time-reversible.

    With ``form="kdk"`` half a kick, a drift, half a kick, which is velocity Verlet. Both take one
    force evaluation a step. After whole steps either is the other, begun half a step later in
    velocities or in positions: they conserve alike and err alike in long runs, but the error of a
    single step of ``kdk`` is about twice as large where forces change fast (see docs/solvers.md).

    References
    ----------
    Verlet, Phys. Rev. 159 (1967) 98; Tuckerman, Berne and Martyna, J. Chem. Phys. 97 (1992) 1990,
    for both forms.
    """

    name = "leapfrog"
    Options = LeapfrogOptions

    @property
    def composition(self) -> Composition:
        """Coefficients of the form."""
        return compositions.DKD if self.options.form == "dkd" else compositions.KDK

    def followed(
        self,
        problem: Problem,
        frames: np.ndarray,
        error: np.ndarray,
        mapped: np.ndarray,
        added: np.ndarray,
        largest: float,
    ) -> np.ndarray | None:
        """Carry an error along frames, see `AbstractErrorFollower`.

        Parameters
        ----------
        problem : Problem
        frames : ndarray, shape (2, B, F + 1, N, D)
        error : ndarray, shape (2, B, N, D)
        mapped, added : ndarray, shape (2, B, F, N, D)
        largest : float

        Returns
        -------
        ndarray, shape (2, B, F, N, D), or None
            None where the method does not run in numba, or a frame takes too long.
        """
        if problem.system.force_laws() is None or self._backend() != "numba":
            return None
        course = Course(frames, error, mapped, added, largest)
        threads = self.threads_for(*error.shape[1:3])
        return carried(problem, course, self.composition, self._substeps(problem), threads)


@final
class Yoshida4(AbstractSplitting):
    """Three leapfrogs of lengths w_1, w_0, w_1: order 4, time-reversible.

    w_1 = 1 / (2 - 2^(1/3)) and w_0 = 1 - 2 w_1 < 0.

    References
    ----------
    Yoshida, Phys. Lett. A 150 (1990) 262.
    """

    name = "yoshida4"
    composition = compositions.YOSHIDA4


@final
class SRKN4(AbstractSplitting):
    """The Runge-Kutta-Nystroem splitting SRKN_6^b of Blanes and Moan: order 4, time-reversible.

    Six evaluations a step. That the kinetic energy is quadratic makes some commutators vanish, so
    that fewer conditions are left, and coefficients that are free for small errors.

    References
    ----------
    Blanes and Moan, J. Comput. Appl. Math. 142 (2002) 313, table 3.
    """

    name = "srkn4"
    composition = compositions.SRKN4


@final
class SRKN6(AbstractSplitting):
    """The Runge-Kutta-Nystroem splitting SRKN_11^b of Blanes and Moan: order 6, time-reversible.

    Eleven evaluations a step. See `SRKN4`.

    References
    ----------
    Blanes and Moan, J. Comput. Appl. Math. 142 (2002) 313, table 3.
    """

    name = "srkn6"
    composition = compositions.SRKN6
