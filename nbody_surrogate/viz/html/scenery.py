"""What the page's scene shows of a system beside its particles, and what its colours mean."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from jaxtyping import Float64

from nbody_surrogate.contracts.scenery import Arrow, Bonds, Curve, Ellipsoid, Rods, Shape
from nbody_surrogate.viz.scene.colouring import Scale, scale_of
from nbody_surrogate.viz.scene.palette import DARK, LIGHT, Palette, Ramp
from nbody_surrogate.viz.scene.particle_colours import Constants, constants, told_apart_by
from nbody_surrogate.viz.scene.tracks import Track

__all__ = ["colour_legend", "colours_of", "scale_and_ramps", "scale_legend", "scenery_data"]

MOST_BONDS = 2000  # more are a cloud of lines, and slow to draw at each frame
RING_POINTS = 65
RAMP_COLOURS = 33  # of a page's ramp: each is painted once, and two neighbours look alike
HEAD = 0.12  # of an arrow's length


def colours_of(track: Track) -> dict[str, Any]:
    """Return the colours of the particles on dark and on light, of 255."""
    both = (("dark", DARK), ("light", LIGHT))
    return {name: np.round(255 * track.colours(palette)).tolist() for name, palette in both}


def colour_legend(track: Track) -> str:
    """Say in HTML what colours stand for: a swatch and words each, or the ends of a ramp."""
    dark, light = (_kind(track, palette) for palette in (DARK, LIGHT))
    if not dark.rows:
        return _ramp_legend(dark, light.ramp)
    parts = []
    for (colours, words), (lights, _) in zip(dark.rows, light.rows, strict=True):
        made = "".join(_swatch(*pair) for pair in zip(colours, lights, strict=True))
        parts.append(f"<span>{made} {words}</span>")
    return "".join(parts)


def _ramp_legend(dark: Constants | Scale, light: Ramp) -> str:
    """Show the ends and the middle of a ramp on dark and on light, and what the ends stand for."""
    places = [np.array(share) for share in (0.0, 0.5, 1.0)]
    swatches = "".join(_swatch(dark.ramp.at(share), light.at(share)) for share in places)
    log = ", logarithmic" if dark.logarithmic else ""
    words = f"{escape(dark.label)} {dark.low:.3g} to {dark.high:.3g}{log}"
    return f"<span>{swatches} {words}</span>"


def scale_legend(colouring: str, lead: Track, candidate: Track) -> str:
    """Say in HTML what colours of a hidden variable stand for, as `colour_legend` does."""
    scale = scale_of(colouring, candidate, lead, DARK)
    return _ramp_legend(scale, LIGHT.ramp)


def scale_and_ramps(
    colouring: str, lead: Track, candidate: Track
) -> tuple[Scale, dict[str, list[list[int]]]]:
    """Return the scale of a hidden variable, and the colours of its ramp on dark and on light."""
    places = np.linspace(0.0, 1.0, RAMP_COLOURS)
    ramps = {
        name: np.round(255 * palette.ramp.at(places)).astype(int).tolist()
        for name, palette in (("dark", DARK), ("light", LIGHT))
    }
    return scale_of(colouring, candidate, lead, DARK), ramps


def _kind(track: Track, palette: Palette) -> Constants:
    quantity = told_apart_by(track.charges, track.masses)
    return constants(quantity, track.charges, track.masses, palette)


def _swatch(dark: Any, light: Any) -> str:
    colours = (
        "rgb({},{},{})".format(*np.round(255 * np.array(c)).astype(int)) for c in (light, dark)
    )
    return '<i style="--light: {}; --dark: {}"></i>'.format(*colours)


def scenery_data(scenery: Sequence[Shape]) -> dict[str, Any]:
    """Gather lines for the script: between particles, from points to particles, and fixed ones."""
    bonds = [row for shape in scenery if isinstance(shape, Bonds) for row in _bonds(shape)]
    rods = [
        [int(i), *map(float, point)]
        for shape in scenery
        if isinstance(shape, Rods)
        for i, point in zip(shape.particles, shape.points, strict=True)
    ]
    lines = [line for shape in scenery for line in _lines(shape)]
    strongest = sorted(bonds, key=lambda bond: -bond[2])[:MOST_BONDS]
    return {"bonds": strongest, "rods": rods, "lines": [_short(line) for line in lines]}


def _short(line: Float64[np.ndarray, "P 3"]) -> list[list[float]]:
    """Keep the digits that a screen can show, of lengths in any unit."""
    return [[float(f"{value:.6g}") for value in point] for point in line]


def _bonds(shape: Bonds) -> list[list[float]]:
    """Give both particles and a relative width."""
    strengths = np.ones(len(shape.pairs)) if shape.strengths is None else np.abs(shape.strengths)
    widths = np.sqrt(strengths / (strengths.max(initial=0.0) or 1.0))
    return [
        [int(i), int(j), round(float(w), 3)]
        for (i, j), w in zip(shape.pairs, np.clip(widths, 0.3, 1.0), strict=True)
    ]


def _lines(shape: Shape) -> list[Float64[np.ndarray, "P 3"]]:
    if isinstance(shape, Curve):
        return [shape.points]
    if isinstance(shape, Ellipsoid):
        return _rings(shape)
    return _arrow(shape) if isinstance(shape, Arrow) else []


def _rings(shape: Ellipsoid) -> list[Float64[np.ndarray, "P 3"]]:
    angle = np.linspace(0.0, 2.0 * np.pi, RING_POINTS)
    rings = []
    for one, other in ((0, 1), (1, 2), (2, 0)):
        if shape.semi_axes[one] and shape.semi_axes[other]:
            ring = np.tile(shape.centre, (RING_POINTS, 1))
            ring[:, one] += shape.semi_axes[one] * np.cos(angle)
            ring[:, other] += shape.semi_axes[other] * np.sin(angle)
            rings.append(ring)
    return rings


def _arrow(shape: Arrow) -> list[Float64[np.ndarray, "P 3"]]:
    """Return a shaft, and two strokes for its head."""
    along = shape.end - shape.start
    aside = np.cross(along, np.eye(3)[np.argmin(np.abs(along))])
    aside *= np.linalg.norm(along) / np.linalg.norm(aside)
    foot = shape.end - HEAD * along
    strokes = [foot + 0.4 * HEAD * aside, shape.end, foot - 0.4 * HEAD * aside]
    return [np.array([shape.start, shape.end]), np.array(strokes)]
