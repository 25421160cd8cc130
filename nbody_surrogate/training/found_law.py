"""A law that was found in tracks, as training takes it: what can be learned, and its curve."""

from __future__ import annotations

from collections.abc import Mapping
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
        What trajectories are made with. Those of `system`, but for a force that grows without
        bound below the least visited distance, which the tracks say nothing of: there it falls to
        zero as a r + b r^3, which goes on smoothly.
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
        return float(self.parameters["pair"]["core"]) or self.visited[0]

    def curve(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return distances and the force between unit charges there, float64, (count,).

        They begin at a third of the least visited one, where the model has to go on smoothly.
        """
        r = np.geomspace(self.visited[0] / 3.0, self.visited[1], count)
        return torch.from_numpy(r), torch.from_numpy(_force(make_system(SYSTEM, **self.parameters), r))


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
            f"`law` has a drag of {law['drag']:g}{kicks}, and surrogate 'set' learns motion that is "
            f"reversible; {instead}"
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


def _inside(
    system: AbstractSystem, low: float, r: Float64[np.ndarray, " R"]
) -> Float64[np.ndarray, " R"]:
    """Go on below the least visited distance by a r + b r^3, through the curve's first stretch."""
    near = low * np.array([1.0, FIRST_STRETCH])
    a, b = np.linalg.solve(np.stack([near, near**3], 1), _force(system, near))
    return np.asarray(a * r + b * r**3)


def _bounded(
    pair: Mapping[str, Any], ends: tuple[float, float], system: AbstractSystem
) -> dict[str, Any]:
    """Return a curve that is the same over what was visited, and bounded below that."""
    if pair["power"] >= 0 or pair["core"] > 0:
        return {**pair}
    scale, (low, high) = pair["scale"], ends
    last = high / (high + scale)
    spacing = last / (SPLINES - 3)
    knots = spacing * (np.arange(SPLINES + 4) - 3.0)
    u = np.linspace(1e-6, last * (1 - 1e-9), POINTS)
    r = scale * u / (1 - u)
    force = np.where(r < low, _inside(system, low, r), _force(system, np.maximum(r, low)))
    envelope = (r * r + low**2) ** (0.5 * pair["power"])
    if pair["screening_length"] is not None:
        envelope *= np.exp(-r / pair["screening_length"])
    size = np.maximum(np.abs(force), 1e-2 * np.median(np.abs(force)))
    rows = BSpline.design_matrix(u, knots, 3).toarray() * (envelope / size)[:, None]
    found = np.linalg.lstsq(rows, force / size, rcond=None)[0]
    return {
        **{**pair, "core": low, "first": -spacing, "spacing": spacing},
        "coefficients": found.tolist(),
    }
