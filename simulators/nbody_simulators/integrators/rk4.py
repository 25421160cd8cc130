"""The classical Runge-Kutta method with fixed steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np

from nbody_simulators.integrators.fixed_step import AbstractFixedStep
from nbody_simulators.kernels.compiled_laws import compiled
from nbody_simulators.kernels.lanes import Lanes, lane_accelerations
from nbody_surrogate.contracts import HIDDEN_VARIABLES, Problem

if TYPE_CHECKING:
    from nbody_simulators.integrators.hidden_steps import Slopes, Values
    from nbody_simulators.integrators.plain_steps import PlainProblem
    from nbody_simulators.integrators.torch_steps import TorchProblem

__all__ = ["RK4"]


@compiled
def _runge_kutta(
    lanes: Lanes,
    step: float,
    substeps: int,
    frames_x: np.ndarray,
    frames_v: np.ndarray,
) -> None:
    x, v = lanes.x, lanes.v
    scratch, a, b = np.empty((3, x.shape[2])), np.empty_like(x), np.empty_like(x)
    y, u = np.zeros_like(x), np.zeros_like(x)
    flat_x, flat_v, flat_a, flat_b = x.ravel(), v.ravel(), a.ravel(), b.ravel()
    flat_y, flat_u = y.ravel(), u.ravel()
    sum_x, sum_v = np.empty_like(flat_x), np.empty_like(flat_x)
    size = frames_x.shape[1]  # in two dimensions without the third component
    # At y, u the slopes k_2 to k_4 are taken; the sums are k_1 + 2 k_2 + 2 k_3 + k_4. The
    # acceleration at the end of a step is k_1 of the next; one evaluation comes before the first.
    lane_accelerations(lanes, x, v, lanes.pair, lanes.field, lanes.directed, scratch, a)
    for f in range(frames_x.shape[0]):
        for _ in range(substeps):
            for k in range(size):
                sum_x[k], flat_u[k] = flat_v[k], flat_v[k]
                sum_v[k], flat_b[k] = flat_a[k], flat_a[k]
            for stage in range(3):
                part, weight = (step, 1.0) if stage == 2 else (0.5 * step, 2.0)
                for k in range(size):  # y first: it moves with the slope of the stage before
                    flat_y[k] = flat_x[k] + part * flat_u[k]
                    flat_u[k] = flat_v[k] + part * flat_b[k]
                lane_accelerations(lanes, y, u, lanes.pair, lanes.field, lanes.directed, scratch, b)
                for k in range(size):
                    sum_x[k] += weight * flat_u[k]
                    sum_v[k] += weight * flat_b[k]
            for k in range(size):
                flat_x[k] += (step / 6) * sum_x[k]
                flat_v[k] += (step / 6) * sum_v[k]
            lane_accelerations(lanes, x, v, lanes.pair, lanes.field, lanes.directed, scratch, a)
        for k in range(size):
            frames_x[f, k], frames_v[f, k] = flat_x[k], flat_v[k]


@final
class RK4(AbstractFixedStep):
    """Kutta's method of order 4 for y' = f(y) with y = (x, v).

    y += (h / 6) (k_1 + 2 k_2 + 2 k_3 + k_4). Not symplectic: energies drift in long runs. Hidden
    variables are part of y; such systems run in NumPy, all trajectories of a batch at a time.

    References
    ----------
    Hairer, Norsett and Wanner, "Solving Ordinary Differential Equations I" (1993), II.1.
    """

    name = "rk4"
    evaluations = 4
    opening = 1  # k_1 of the first step
    capabilities = frozenset({HIDDEN_VARIABLES})

    def _march(
        self,
        problem: Problem,
        lanes: Lanes,
        step: float,
        steps: int,
        x: np.ndarray,
        v: np.ndarray,
    ) -> None:
        kernel = _runge_kutta(lanes.pair, lanes.field, lanes.directed)
        kernel(lanes, step, steps, x, v)

    def _array_step(
        self, problem: TorchProblem | PlainProblem, x: Any, v: Any, a: Any, step: float
    ) -> Any:
        sum_x, sum_v, w, b = v, a, v, a
        for part, weight in ((0.5 * step, 2.0), (0.5 * step, 2.0), (step, 1.0)):
            u, w = x + part * w, v + part * b
            b = problem.acceleration(u, w)
            sum_x, sum_v = sum_x + weight * w, sum_v + weight * b
        x, v = x + (step / 6) * sum_x, v + (step / 6) * sum_v
        return x, v, problem.acceleration(x, v)

    def _hidden_step(self, slopes: Slopes, y: Values, step: float) -> Values:
        k = sums = slopes(y)
        for part, weight in ((0.5 * step, 2.0), (0.5 * step, 2.0), (step, 1.0)):
            k = slopes(tuple(y_n + part * k_n for y_n, k_n in zip(y, k, strict=True)))
            sums = tuple(s_n + weight * k_n for s_n, k_n in zip(sums, k, strict=True))
        return tuple(y_n + (step / 6) * s_n for y_n, s_n in zip(y, sums, strict=True))
