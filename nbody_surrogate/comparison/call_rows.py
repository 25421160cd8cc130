"""How often dear forces were really computed, as tables and pages show it."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

from nbody_surrogate.results.trajectory import Ensemble

__all__ = ["call_rows"]

LABELS = MappingProxyType(
    {"force_calls": "forces computed", "energy_calls": "energies computed alone"}
)


def call_rows(*runs: Ensemble) -> Iterator[tuple[str, ...]]:
    """Yield label and count of each run; nothing of systems that do not count.

    Parameters
    ----------
    *runs : Ensemble
        Counts are of all their trajectories, from the first look at the start to the end of the
        run: what was known from before is not among them, nor what a table of energies takes after
        it.
    """
    for key, label in LABELS.items():
        counts = [run.info.counters.get(key) for run in runs]
        if any(count is not None for count in counts):
            yield label, *("" if n is None else f"{n:,}".replace(",", " ") for n in counts)
