"""Splitting that solves motion in an external field exactly, and kicks by the pair forces."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, final

import numpy as np
from pydantic import Field

from nbody_simulators.integrators import compositions
from nbody_simulators.integrators.compositions import Composition
from nbody_simulators.integrators.fitting import field_is_linear, fitting_methods
from nbody_simulators.integrators.fixed_step import SubstepOptions
from nbody_simulators.integrators.linear_flows import linear_flows
from nbody_simulators.integrators.plain_steps import PlainProblem
from nbody_simulators.integrators.splitting import AbstractSplitting
from nbody_simulators.kernels.compiled_laws import compiled, laws_of
from nbody_simulators.kernels.lanes import Lanes, lane_accelerations
from nbody_surrogate.contracts import Carry, FieldLaw, Problem

if TYPE_CHECKING:
    from nbody_simulators.integrators.torch_steps import TorchProblem

__all__ = ["ExactFlow", "ExactFlowOptions"]


class Flows(NamedTuple):
    """The flows of all stages, as the kernel takes them.

    Attributes
    ----------
    of_stage : ndarray, shape (stages,)
        Which flow a stage ends with, -1 for none.
    rows, columns : ndarray, shape (E,)
        Entries that are not zero in all flows, row by row: harmonic traps have 12 of 42.
    entries : ndarray, shape (flows, E, N W)
    """

    of_stage: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    entries: np.ndarray


@compiled
def _flow_and_kick(
    lanes: Lanes,
    step: float,
    substeps: int,
    kicks: np.ndarray,
    flows: Flows,
    frames_x: np.ndarray,
    frames_v: np.ndarray,
) -> None:
    shape, many = lanes.x.shape, lanes.x[0].size
    size = frames_x.shape[1]  # in two dimensions without the third component
    scratch, a = np.empty((3, shape[2])), np.empty_like(lanes.x)
    flat_a = a.ravel()
    # Rows of x, v and of ones, which are multiplied by what the field adds of itself. A flow goes
    # from one of the two to the other.
    y = np.ones((2, 7, many))
    x, v = lanes.x.ravel(), lanes.v.ravel()
    # by loops: an assignment of arrays takes seconds longer to compile
    for d in range(3):
        for k in range(many):
            y[0, d, k], y[0, 3 + d, k] = x[d * many + k], v[d * many + k]
    now, moved = 0, True
    for f in range(frames_x.shape[0]):
        for _ in range(substeps):
            for s in range(kicks.size):
                kick, flow = kicks[s] * step, flows.of_stage[s]
                if kick != 0.0:
                    place, rates = y[now, :3].reshape(shape), y[now, 3:6].ravel()
                    if moved:  # see `splitting`
                        field = lanes.field  # None: it is in the flows
                        directed = lanes.directed
                        lane_accelerations(
                            lanes, place, place, lanes.pair, field, directed, scratch, a
                        )
                    for k in range(size):
                        rates[k] += kick * flat_a[k]
                    moved = False
                if flow >= 0:
                    before, after = y[now], y[1 - now]
                    for e in range(flows.rows.size):
                        to, by = after[flows.rows[e]], before[flows.columns[e]]
                        share = flows.entries[flow, e]
                        if e == 0 or flows.rows[e] != flows.rows[e - 1]:
                            for k in range(many):
                                to[k] = share[k] * by[k]
                        else:
                            for k in range(many):
                                to[k] += share[k] * by[k]
                    now, moved = 1 - now, True
        flat_x, flat_v = y[now, :3].ravel(), y[now, 3:6].ravel()
        for k in range(size):
            frames_x[f, k], frames_v[f, k] = flat_x[k], flat_v[k]
    for d in range(3):
        for k in range(many):
            x[d * many + k], v[d * many + k] = y[now, d, k], y[now, 3 + d, k]


def _shares(composition: Composition) -> list[float]:
    """Return the different drifts of a composition."""
    return sorted({drift for drift in composition.drifts if drift != 0.0})


def _of_stage(composition: Composition) -> list[int]:
    """Return which of these each stage ends with, -1 for none."""
    shares = _shares(composition)
    return [shares.index(each) if each != 0.0 else -1 for each in composition.drifts]


# A segment of few particles takes less than its flows, which are the same in the next one.
@lru_cache(maxsize=16)
def _flows_of(
    law: FieldLaw | None,
    kinds: tuple[tuple[int, ...], bytes, bytes, int],
    step: float,
    composition: Composition,
) -> Flows:
    """Return the flows of particles by their shape (N, W), charges, masses and dimensions."""
    shape, charges, masses, dimensions = kinds
    matrices = linear_flows(
        law,
        np.frombuffer(charges).reshape(shape),
        np.frombuffer(masses).reshape(shape),
        tuple(share * step for share in _shares(composition)),
        dimensions,
    ).reshape(-1, math.prod(shape), 6, 7)
    # each row has an entry at least, whatever underflows
    taken = (matrices != 0).any((0, 1)) | np.eye(6, 7, dtype=bool)
    rows, columns = np.nonzero(taken)
    entries = np.ascontiguousarray(matrices[:, :, rows, columns].transpose(0, 2, 1))
    return Flows(np.array(_of_stage(composition)), rows, columns, entries)


class ExactFlowOptions(SubstepOptions):
    """Options of `ExactFlow`."""

    order: Literal[2, 4, 6] = Field(default=2, description="of 1, 6 or 11 force evaluations a step")


COMPOSITIONS = {2: compositions.DKD, 4: compositions.SRKN4, 6: compositions.SRKN6}


@final
class ExactFlow(AbstractSplitting[ExactFlowOptions]):
    """Strang splitting of the motion in an external field and of the pair forces.

    The field must be linear in positions and velocities, as that of a harmonic trap or of a Penning
    trap, with an offset or without. A particle alone in it obeys y' = L y for y = (x, v, 1), which
    is solved exactly:

        (x, v) <- exp(h L / 2) (x, v),    v <- v + h a(x),    (x, v) <- exp(h L / 2) (x, v),

    where a is that of the pairs alone. So steps need not resolve the field, but only how fast pair
    forces change, magnetic fields are no matter, and a single particle is exact. Order 2,
    time-reversible and, as both parts are flows of Hamiltonians, symplectic. Without a field it is
    `leapfrog`.

    With ``order=4`` and ``order=6`` the flows and kicks are in the rows of `SRKN4` and `SRKN6`:
    what these ask for is that the part between the kicks be quadratic in (x, v), as free motion is.

    References
    ----------
    Strang, SIAM J. Numer. Anal. 5 (1968) 506; Hairer, Lubich and Wanner, "Geometric Numerical
    Integration" (2006), XIII.1; Spreiter and Walter, J. Comput. Phys. 152 (1999) 102, for magnetic
    fields; Blanes and Moan, J. Comput. Appl. Math. 142 (2002) 313.
    """

    name = "exact-flow"
    needs_laws = True
    Options = ExactFlowOptions

    @property
    def composition(self) -> Composition:
        """Coefficients of the order."""
        return COMPOSITIONS[self.options.order]

    def _refuse(self, problem: Problem) -> str | None:
        if problem.system.force_laws() is None or field_is_linear(problem):
            return None
        return (
            "needs an external field that is linear in positions and velocities, that of system "
            f"{problem.system.name!r} is not; use {fitting_methods(problem)}"
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
        shape, dimensions = lanes.charges.shape, x.shape[1] * 3 // lanes.x.size
        kinds = shape, lanes.charges.tobytes(), lanes.masses.tobytes(), dimensions
        flows = _flows_of(laws_of(problem).field, kinds, step, self.composition)
        # the field is in the flows: the kernel is that of the pairs alone
        kernel = _flow_and_kick(lanes.pair, None, lanes.directed)
        kicks = np.array(self.composition.kicks)
        kernel(lanes._replace(field=None), step, steps, kicks, flows, x, v)

    def _torch_problem(self, problem: TorchProblem, carry: Carry, step: float) -> TorchProblem:
        import torch

        particles, dimensions = carry.problem.particles, carry.arrays["x"].shape[2]
        times = tuple(share * step for share in _shares(self.composition))
        matrices = linear_flows(
            laws_of(carry.problem).field, particles.charges, particles.masses, times, dimensions
        )
        kept = [*range(dimensions), *range(3, 3 + dimensions)]
        matrices = matrices[..., kept, :][..., [*kept, 6]]
        flows = torch.tensor(matrices, device=problem.charges.device)
        return problem._replace(laws=problem.laws._replace(field=None), constants=flows)

    def _array_step(
        self, problem: TorchProblem | PlainProblem, x: Any, v: Any, a: Any, step: float
    ) -> Any:
        import torch

        assert not isinstance(problem, PlainProblem)  # as forces are laws
        moved = not self.opening
        for kick, flow in zip(self.composition.kicks, _of_stage(self.composition), strict=True):
            if kick != 0.0:
                a = problem.acceleration(x, v) if moved else a
                v, moved = v + (kick * step) * a, False
            if flow >= 0:
                matrix = problem.constants[flow]  # (B, N, 2 D, 2 D + 1)
                y = torch.cat([x, v], 2)[..., None]
                x, v = ((matrix[..., :-1] @ y)[..., 0] + matrix[..., -1]).chunk(2, 2)
                moved = True
        return x, v, a
