"""A small chart in the corner of a picture: the error of the energy over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from nbody_surrogate.errors import InputError, PluginError
from nbody_surrogate.results.metrics import mean_kinetic
from nbody_surrogate.results.trajectory import Trajectory
from nbody_surrogate.viz.scene.overlay import MARGIN, Overlay
from nbody_surrogate.viz.scene.palette import Palette, mixed

__all__ = ["Inset", "energy_errors"]

WIDTH, HEIGHT = 300.0, 92.0  # units
LEFT, RIGHT, BELOW, ABOVE = 74.0, 18.0, 18.0, 74.0  # of the panel beyond the axes, units
LETTERS = 14  # of a name
MOST_POINTS = 200  # of a curve 300 units wide; each costs the energy of all pairs
SMALLEST = 1e-16  # below it is rounding; in place of zero, which has no logarithm


@dataclass(frozen=True)
class Inset:
    """Curves of a chart.

    Attributes
    ----------
    t : ndarray, shape (P,)
    curves : tuple of ndarray, each of shape (P,)
        Energy errors over the mean kinetic energy; the candidate's first. NaN where a run has
        stopped.
    names : tuple of str
        Of the curves.
    """

    t: Float64[np.ndarray, " P"]
    curves: tuple[Float64[np.ndarray, " P"], ...]
    names: tuple[str, ...]

    HEIGHT = HEIGHT + ABOVE + BELOW

    def draw(self, overlay: Overlay, palette: Palette) -> Mark:
        """Draw the chart at the lower right; return its mark of the time."""
        unit, margin = overlay.unit, MARGIN * overlay.size[0]
        left, bottom = overlay.size[0] - margin - (WIDTH + RIGHT) * unit, margin + BELOW * unit
        low, high = self._decades()
        span = max(float(self.t[-1] - self.t[0]), 1e-300)
        corner, panel = (left - LEFT * unit, margin), mixed(palette.bottom, palette.backdrop, 0.3)
        size = (WIDTH + LEFT + RIGHT) * unit, self.HEIGHT * unit
        overlay.panel(corner, size, tuple(panel.tolist()), 0.72)
        x = left + WIDTH * unit * (self.t - self.t[0]) / span
        frame = np.array([(left, bottom + HEIGHT * unit), (left, bottom), (x[-1], bottom)])
        overlay.line(frame, palette.scenery, 2.0)
        for curve, colour in zip(self._different, (palette.ink, palette.error), strict=False):
            there = ~np.isnan(curve)
            share = (np.log10(np.maximum(curve[there], SMALLEST)) - low) / (high - low)
            y = bottom + HEIGHT * unit * np.clip(share, 0.0, 1.0)
            overlay.line(np.stack([x[there], y], axis=1), colour, 3.0)
        top = bottom + (HEIGHT + 54) * unit
        overlay.text("energy error / kinetic energy", (left, top), 20, palette.faint_ink)
        self._legend(overlay, palette, (left, top - 28 * unit))
        for decade, y in ((low, bottom), (high, bottom + HEIGHT * unit)):
            words, place = "1" if decade == 0 else f"1e{decade:.0f}", (left - 10 * unit, y)
            overlay.text(words, place, 17, palette.faint_ink, right=True)
        mark = overlay.line(np.array([(x[0], bottom), (x[0], bottom)]), palette.faint_ink, 2.0)
        return Mark(mark, self.t, x, bottom, bottom + HEIGHT * unit)

    @property
    def _different(self) -> list[Float64[np.ndarray, " P"]]:
        """The curves to draw: the reference's first, and a candidate's that is not the same."""
        one, *others = self.curves[::-1]
        return [one, *(each for each in others if not np.array_equal(each, one, equal_nan=True))]

    def _legend(self, overlay: Overlay, palette: Palette, place: tuple[float, float]) -> None:
        names, left, unit = list(self.names[::-1]), place[0], overlay.unit
        if len(self._different) < len(names):
            names = ["both runs: the same"]
        for name, colour in zip(names, (palette.ink, palette.error), strict=False):
            y = place[1]
            overlay.line(np.array([(left, y), (left + 20 * unit, y)]), colour, 3.0)
            words = name if len(names) == 1 else _cut(name)
            text = overlay.text(words, (left + 28 * unit, y), 17, palette.faint_ink)
            left += 52 * unit + overlay.length(text, words)

    def _decades(self) -> tuple[float, float]:
        values = np.concatenate([curve[1:] for curve in self.curves])
        values = values[np.isfinite(values) & (values > SMALLEST)]
        if not len(values):
            return -16.0, -15.0
        low, high = np.floor(np.log10(values.min())), np.ceil(np.log10(values.max()))
        return float(low), float(max(high, low + 1))


@dataclass(frozen=True)
class Mark:
    """The upright line that says which time is shown."""

    mesh: object
    t: np.ndarray
    x: np.ndarray
    bottom: float
    top: float

    def move(self, time: float) -> None:
        """Move it to a time."""
        at = float(np.interp(time, self.t, self.x))
        self.mesh.points = np.array([(at, self.bottom, 0.0), (at, self.top, 0.0)])  # type: ignore[attr-defined]


def _cut(name: str) -> str:
    """Return a name that two of fit into the chart."""
    return name if len(name) <= LETTERS else name[: LETTERS - 1] + "\u2026"


def energy_errors(candidate: Trajectory, reference: Trajectory | None) -> Inset | None:
    """Gather the curves, or return None where there are none.

    That is where the system is not known or has no potential energy, or the run is of one frame.
    Of a long run 200 frames are taken.
    """
    runs = [candidate] if reference is None else [candidate, reference]
    frames = np.unique(
        np.linspace(0, len(candidate.t) - 1, min(len(candidate.t), MOST_POINTS)).astype(int)
    )
    if len(frames) < 2:
        return None
    try:
        if not candidate.system().has_potential:
            return None
        curves = tuple(_errors(run, frames, runs[-1]) for run in runs)
    except (InputError, PluginError):
        return None
    name = str(candidate.info.method.get("integrator", "candidate"))
    names = (name, "reference")[: len(runs)]
    return Inset(candidate.t[frames], curves, names)


def _errors(run: Trajectory, frames: np.ndarray, scale: Trajectory) -> np.ndarray:
    system = run.system()
    valid = scale.valid_part()
    unit = float(mean_kinetic(valid.v[None], scale.particles)[0]) or 1.0
    energies = []
    for frame in frames[frames < run.valid_frames]:
        found = system.invariants(run.x[None, frame], run.v[None, frame], run.particles)
        energies.append(float(found.energy[0]))
    curve = np.full(len(frames), np.nan)
    curve[: len(energies)] = np.abs(np.array(energies) - energies[0]) / unit
    return curve
