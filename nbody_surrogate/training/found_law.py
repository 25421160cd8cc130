"""A law that was found in tracks, as training takes it: what can be learned, and its curve."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.interpolate import BSpline

from nbody_surrogate.contracts.force_laws import PairLaw
from nbody_surrogate.contracts.parameters import validated
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.torch_force_laws import pair_force
from nbody_surrogate.errors import InputError
from nbody_surrogate.registry.registry import make_system, system_class

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["SYSTEM", "LearnableLaw", "learnable_law"]

SYSTEM = "discovered"
SPLINES = 64
"""Of a curve that is made anew: as many as the system takes."""

POINTS = 2000
"""Distances that such a curve is fitted at."""

LEAST = 1.0 / 200.0
"""Of the largest distance, the least softening: so far do the features of `set` reach."""

FIRST_STRETCH = 1.25
"""Times the least visited distance: from there on a curve is trusted to have a slope."""


@dataclass(frozen=True)
class LearnableLaw:
    """A central law without drag, and what a training makes of it.

    Attributes
    ----------
    system : AbstractSystem
        As it was found.
    parameters : dict
        What trajectories are made with. Those of `system`, but for distances below the least
        visited one, which the tracks say nothing of: there a force that falls with the distance
        would go on as its envelope does, without bound or with a jump in its direction. It goes to
        zero as its envelope times a r + b r^3, smoothly.
    visited : tuple of float
        The least and the largest distance that the curve was fitted at.
    """

    system: AbstractSystem
    parameters: dict[str, Any]
    visited: tuple[float, float]

    @property
    def particles(self) -> int:
        """The measured number."""
        return len(self.parameters["charges"])

    @property
    def softening(self) -> float:
        """The smallest distance that a model has to resolve."""
        return max(float(self.parameters["pair"]["core"]), LEAST * self.visited[1])

    def curve(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return distances and the force between unit charges there, float64, (count,).

        They begin at a third of the least visited one, where the model has to go on smoothly.
        """
        r = np.geomspace(self.visited[0] / 3.0, self.visited[1], count)
        return torch.from_numpy(r), torch.from_numpy(
            _force(make_system(SYSTEM, **self.parameters), r)
        )


def learnable_law(law: Mapping[str, Any], frame_dt: float | None) -> LearnableLaw:
    """Look at a law, and refuse what a stepper of central, conservative pairs cannot learn.

    Parameters
    ----------
    law : mapping
        Parameters of the system `discovered`.
    frame_dt : float or None
        The time between frames to learn; by default that of the law.

    Raises
    ------
    InputError
        If the law has no central pair force, or directed forces, a drag, or strengths of pairs.
    """
    given = {**law} if frame_dt is None else {**law, "frame_dt": frame_dt}
    spec = validated(system_class(SYSTEM).Spec, given, f"system {SYSTEM!r}")
    parameters = spec.model_dump(mode="json")
    _demand_learnable(parameters)
    ends = _visited(parameters["pair"])
    made = {**parameters, "pair": _bounded(parameters["pair"], ends, make_system(SYSTEM, **given))}
    return LearnableLaw(make_system(SYSTEM, **given), made, ends)


def _demand_learnable(law: Mapping[str, Any]) -> None:
    instead = "run the law by a solver, as --integrator leapfrog:8 does"
    if law["directed"] is not None:
        raise InputError(
            "`law` has directed forces, and surrogate 'set' learns central ones alone; " + instead
        )
    if law["drag"] > 0:
        kicks = " and random kicks" if law["temperature"] > 0 else ""
        raise InputError(
            f"`law` has a drag of {law['drag']:g}{kicks}, and surrogate 'set' learns motion "
            f"without; {instead}"
        )
    if law["couplings"] is not None:
        raise InputError(
            "`law` has a coupling for each pair, and surrogate 'set' knows charges of particles "
            f"alone; discover without couplings, or {instead}"
        )
    if law["pair"] is None or len(law["charges"]) < 2:
        raise InputError(f"`law` has no force of pairs, which is what is learned; {instead}")


def _visited(pair: Mapping[str, Any]) -> tuple[float, float]:
    """Return where splines are complete, as distances."""
    first, spacing, count = pair["first"], pair["spacing"], len(pair["coefficients"])
    low, high = first + spacing, first + spacing * (count - 2)
    low = max(low, 1e-3 * high)  # what was never measured at 0 must not begin there
    return pair["scale"] * low / (1 - low), pair["scale"] * high / (1 - high)


def _force(system: AbstractSystem, r: Float64[np.ndarray, " R"]) -> Float64[np.ndarray, " R"]:
    """Return the force between unit charges."""
    laws = system.force_laws()
    assert laws is not None and isinstance(laws.pair, PairLaw)
    over_r = pair_force(laws.pair, torch.from_numpy(r * r), (_ONE, _ONE), (_ONE, _ONE), 1.0)
    return np.asarray(over_r.numpy() * r)


_ONE = torch.ones((), dtype=torch.float64)


def _bounded(
    pair: Mapping[str, Any], ends: tuple[float, float], system: AbstractSystem
) -> dict[str, Any]:
    """Return a curve that is the same over what was visited, and bounded below that."""
    if pair["power"] >= 0:
        return {**pair}
    scale, (low, high) = pair["scale"], ends
    core = max(pair["core"], low)
    last = high / (high + scale)
    spacing = last / (SPLINES - 3)
    u = np.linspace(1e-6, last * (1 - 1e-9), POINTS)
    r = scale * u / (1 - u)
    envelope = _envelope(pair, core)
    near = low * np.array([1.0, FIRST_STRETCH])
    a, b = np.linalg.solve(np.stack([near, near**3], 1), _force(system, near) / envelope(near))
    outer = np.maximum(r, low)
    wanted = np.where(r < low, a * r + b * r**3, _force(system, outer) / envelope(outer))
    size = np.maximum(np.abs(wanted), 1e-2 * np.median(np.abs(wanted)))
    knots = spacing * (np.arange(SPLINES + 4) - 3.0)
    rows = BSpline.design_matrix(u, knots, 3).toarray() / size[:, None]
    found = np.linalg.lstsq(rows, wanted / size, rcond=None)[0]
    return {
        **{**pair, "core": core, "first": -spacing, "spacing": spacing},
        "coefficients": found.tolist(),
    }


def _envelope(
    pair: Mapping[str, Any], core: float
) -> Callable[[Float64[np.ndarray, " R"]], Float64[np.ndarray, " R"]]:
    length = pair["screening_length"]
    rate = 0.0 if length is None else 1.0 / length
    return lambda r: np.asarray((r * r + core**2) ** (0.5 * pair["power"]) * np.exp(-rate * r))
