"""Data sets by name: this package's own, and those of the literature.

Each is a mapping of the parameters of `nbody_surrogate.datasets.DatasetSpec`.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "BATH",
    "CHARGED",
    "CHARGING",
    "DUST",
    "GRAVITY",
    "NBODY_SMALL",
    "SET_PAPER",
    "SET_PAPER_AS_RELEASED",
    "SPRINGS",
    "TIES",
    "TRAP",
]

Preset = dict[str, Any]

PUBLISHED_STEP = 0.001

CHARGED: Preset = {
    "system": "charged",
    "particles": 5,
    "trajectories": 10_000,
    "frames": 100,
}
"""The default system, unconfined, over 10 time units."""

TRAP: Preset = {
    "system": "trap",
    "particles": 5,
    "trajectories": 2_000,
    "frames": 500,
}
"""The cloud that stays together, over 50 time units."""

CHARGING: Preset = {
    "system": "charging",
    "particles": 5,
    "trajectories": 1_000,
    "frames": 40,
    "integrator": "rk4",
    "options": {"substeps": 16},
}
"""Grains whose charges follow with a delay, while the scatter of their starts is forgotten."""

BATH: Preset = {**CHARGING, "system": "bath"}
"""Particles tied to unseen oscillators."""

TIES: Preset = {**CHARGING, "system": "ties", "frames": 100}
"""Particles that bind and let go, some five times in a trajectory."""

DUST: Preset = {
    "system": "dust",
    "particles": 12,
    "trajectories": 50,
    "frames": 8_000,
    "integrator": "baoab",
}
"""Clouds of unlike grains, each over 400 time units, of which a law can be found."""

GRAVITY: Preset = {
    "system": "gravity",
    "parameters": {"coupling": 1.0, "softening": 0.1, "mass_range": [1.0, 1.0]},
    "particles": 100,
    "trajectories": 14_000,
    "splits": {"train": 10_000, "validation": 2_000, "test": 2_000},
    "frames": 49,
}
"""Unit masses as in Brandstetter et al., "Geometric and Physical Quantities Improve E(3)
Equivariant Message Passing", ICLR 2022: number, softening, time and splits are theirs, the
starts are those of this package's system, and the solver is converged."""

SPRINGS: Preset = {
    "system": "springs",
    "particles": 5,
    "dimensions": 2,
    "trajectories": 70_000,
    "splits": {"train": 50_000, "validation": 10_000, "test": 10_000},
    "first": 1,
    "frames": 49,
}
"""Random springs as in Kipf et al., "Neural Relational Inference", ICML 2018: sizes, rows and
forces are theirs. Theirs are in a box of half-width 5, these are not; the solver is converged."""

NBODY_SMALL: Preset = {
    "system": "charged-clipped",
    "parameters": {"frame_dt": 0.1, "clip": 100.0, "spread": 1.0},
    "particles": 5,
    "trajectories": 7_000,
    "splits": {"train": 3_000, "validation": 2_000, "test": 2_000},
    "seed": 43,
    "legacy": {"rows": 49, "offsets": {"validation": 10_000, "test": 12_000}},
    "first": 1,
    "frames": 49,
    "task": {"input": 30, "target": 40},
    "integrator": "symplectic-euler",
    "options": {"step": PUBLISHED_STEP},
    "velocity_lag": PUBLISHED_STEP / 2,
}
"""The charged set of Satorras et al., "E(n) Equivariant Graph Neural Networks", ICML 2021.

Their program draws 10 000 trajectories for training, of which the first 3 000 are used, then
2 000 and 2 000 from the same stream. Row r is at time 0.1 (r + 1); the task is row 30 to row 40.
"""

SET_PAPER: Preset = {
    "system": "charged-clipped",
    "parameters": {"frame_dt": PUBLISHED_STEP, "clip": 100.0, "spread": 2.0},
    "particles": 5,
    "trajectories": 50_000,
    "splits": {"train": 40_000, "validation": 5_000, "test": 5_000},
    "seed": 3,
    "legacy": {},
    "window": {"inputs": 10, "every": 10, "horizon": 19_900},
    "integrator": "symplectic-euler",
    "options": {"step": PUBLISHED_STEP},
    "velocity_lag": PUBLISHED_STEP / 2,
}
"""The sets of Charles, arXiv 2408.06039 (2024), with the target row written: ten input rows, one
every ten steps, and the row `horizon` steps later. The paper has horizons of 19 900 and fewer."""

SET_PAPER_AS_RELEASED: Preset = {
    **SET_PAPER,
    "window": {"inputs": 10, "every": 10, "horizon": 19_900, "target": "zero"},
}
"""The same as the released program makes them: the target row is never written, and is zero.

It is here to show what that does to a test error. Train nothing else on it."""
