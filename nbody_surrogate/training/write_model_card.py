"""The card that a training writes beside its weights: what they are for, and whence they are."""

from __future__ import annotations

import json
import math

from nbody_surrogate.contracts.domain import Domain
from nbody_surrogate.contracts.model_card import Card, CardSystem
from nbody_surrogate.contracts.surrogate import AbstractSurrogate
from nbody_surrogate.environment.versions import versions
from nbody_surrogate.training.initial_model import InitialModel
from nbody_surrogate.training.measure_domain import domain_of
from nbody_surrogate.training.recipe import Recipe
from nbody_surrogate.training.sources import Source

__all__ = ["card_of", "measured_domain", "training_entry"]


def card_of(
    model: AbstractSurrogate, sources: list[Source], training: dict[str, float | int | str]
) -> Card:
    """Return the card of a model that was trained on some sources.

    Its ranges are those of the data: numbers of particles, charges, masses, radii, times, the
    closest pair and the largest speed, and the invariants of its domain. `training` is what
    `training_entry` says.
    """
    closest = min(source.closest for source in sources)
    fastest = max(source.fastest for source in sources)
    radii = [source.radii for source in sources if source.radii is not None]
    return Card(
        systems=_systems(sources),
        frame_dt=sources[0].spacing,
        horizon=sources[0].horizon,
        particles=_range([source.spec.particles for source in sources]),
        charges=_extent([source.charges for source in sources]),
        masses=_extent([source.masses for source in sources]),
        radii=_extent(radii) if radii else None,
        closest=_finite(closest),
        fastest=_finite(fastest) or None,  # nothing is known where nothing moves
        domain=measured_domain(sources),
        symmetries=tuple(sorted(model.symmetries)),
        training_data_hash=" ".join(source.digest for source in sources),
        training=training,
    )


def measured_domain(sources: list[Source]) -> Domain | None:
    """Return the domain of what was trained on some sources; None of what answers in one shot."""
    if any(source.horizon is not None for source in sources):
        return None  # it is no stepper, and no run begins with it
    return domain_of((source.system, source.ranges()) for source in sources)


def training_entry(
    recipe: Recipe, initial: InitialModel, step: int, seconds: float, device: str, command: str
) -> dict[str, float | int | str]:
    """Say how the weights came about: how long, from what, and on what."""
    return {
        "steps": step,
        "minutes": round(seconds / 60, 1),
        **_began_with(recipe, initial),
        "seed": recipe.seed,
        "device": device,
        **({"command": command} if command else {}),
        **versions(),
    }


def _began_with(recipe: Recipe, initial: InitialModel) -> dict[str, float | int | str]:
    if recipe.initial is None:
        return {}
    took = {} if initial.minutes is None else {"minutes_before": initial.minutes}
    return {"initial": recipe.initial, **took}


def _systems(sources: list[Source]) -> tuple[CardSystem, ...]:
    """Return each system once, until the latest time of its sources."""
    systems: dict[tuple[str, str], CardSystem] = {}
    for source in sources:
        spec, end = source.system.spec, float(source.spec.numbers[-1])
        key = (source.system.name, json.dumps(spec.of_forces(), sort_keys=True))
        before = systems[key].time_range if key in systems else None
        until = max(0.0 if before is None else before[1], end * spec.frame_dt)
        systems[key] = CardSystem(
            system=source.system.name,
            spec=spec.of_forces(),
            numerical=spec.numerical(),
            time_range=(0.0, until),
        )
    return tuple(systems.values())


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _range(values: list[int]) -> tuple[int, int]:
    return min(values), max(values)


def _extent(ranges: list[tuple[float, float]]) -> tuple[float, float]:
    return min(low for low, _ in ranges), max(high for _, high in ranges)
