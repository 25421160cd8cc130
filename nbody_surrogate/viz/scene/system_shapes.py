"""What a system shows beside its particles: its bonds, rods, surfaces and fields, as meshes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from nbody_surrogate.contracts.scenery import Arrow, Bonds, Curve, Ellipsoid, Rods, Shape
from nbody_surrogate.errors import InputError, PluginError, warn
from nbody_surrogate.results.trajectory import Trajectory
from nbody_surrogate.viz.scene import shapes
from nbody_surrogate.viz.scene.camera import Camera
from nbody_surrogate.viz.scene.framing import Balls
from nbody_surrogate.viz.scene.palette import Colour, mixed
from nbody_surrogate.viz.scene.tracks import Track

if TYPE_CHECKING:
    import pyvista as pv

__all__ = ["landmarks_of", "links", "scenery_of", "surroundings", "unchanging", "words_of"]

THICK, THIN = 0.16, 0.06  # radii of links, and of what stands still, over that of a ball
MANY = 40  # links, beyond which they are thinner and fainter: there must be room between them
PIVOT = 0.4  # radius of the ball at a rod's fixed end, over that of a particle's
RING_POINTS = 97
HEAD = 1.0  # length of an arrow's head, over the radius of a ball
SIGN = 1.8  # radius of the sign for an arrow across a flat picture, over that of a ball


def scenery_of(run: Trajectory, frame: int = 0) -> tuple[Shape, ...]:
    """Return what a run's system shows; nothing where it is not installed, or no start is known.

    By default of the start, as what stands still does not depend on the frame. A system that fails
    at it is warned of, and the picture is drawn without.
    """
    try:
        system = run.system()
        return system.scenery(run.state(frame), run.particles)
    except InputError:
        return ()
    except PluginError as error:
        warn(f"drawn without its scenery: {error}")
        return ()


def unchanging(run: Trajectory) -> tuple[Shape, ...]:
    """Return what a run's system shows of the start, without bonds that are others at the end."""
    first = scenery_of(run)
    if not run.hidden:
        return first
    last = [_pairs(shape) for shape in scenery_of(run, len(run.t) - 1)]
    return tuple(shape for shape in first if not isinstance(shape, Bonds) or _pairs(shape) in last)


def _pairs(shape: Shape) -> list[list[int]] | None:
    return shape.pairs.tolist() if isinstance(shape, Bonds) else None


def landmarks_of(scenery: Sequence[Shape]) -> Balls:
    """Return points that a picture should hold: those of what stands still."""
    found = [np.empty((0, 3))]
    for shape in scenery:
        if isinstance(shape, Rods | Curve):
            found.append(shape.points)
        elif isinstance(shape, Ellipsoid):
            found += _rings(shape, bool(shape.semi_axes[2] == 0))
        elif isinstance(shape, Arrow):
            found.append(np.stack([shape.start, shape.end]))
    points = np.unique(np.concatenate(found), axis=0)
    return Balls(points, np.zeros(len(points)))


def words_of(scenery: Sequence[Shape]) -> list[tuple[str, str]]:
    """Return what the legend says, each once: what is seen (arrow, rings or lines), and its words.

    Two of one look would not be told apart by their colour, which is one for all.
    """
    kinds = {Arrow: "arrow", Ellipsoid: "rings"}
    found = ((kinds.get(type(shape), "lines"), shape.words) for shape in scenery if shape.words)
    return list(dict.fromkeys(found))


def links(
    scenery: Sequence[Shape], track: Track, frame: int, camera: Camera, colour: Colour, haze: Colour
) -> pv.PolyData:
    """Return bonds and rods as they are at a frame, with balls at the fixed ends.

    Those of particles that are not in sight are left out.
    """
    x, ball = track.x[frame], camera.ball_radius(len(track.sizes))
    x = np.where(camera.shows(x)[:, None], x, np.nan)
    starts, ends, widths = [np.empty((0, 3))], [np.empty((0, 3))], [np.empty(0)]
    for shape in scenery:
        if isinstance(shape, Bonds):
            starts.append(x[shape.pairs[:, 0]])
            ends.append(x[shape.pairs[:, 1]])
            widths.append(_widths(shape))
        elif isinstance(shape, Rods):
            starts.append(shape.points)
            ends.append(x[shape.particles])
            widths.append(np.ones(len(shape.particles)))
    start, end, width = (np.concatenate(part) for part in (starts, ends, widths))
    there = camera.sees(start) & camera.sees(end) & (start != end).any(axis=1)
    start, end, width = start[there], end[there], width[there]
    room = min(1.0, MANY / max(1, len(start))) ** 0.35
    thick = THICK * ball * room
    both = np.stack([start, end], axis=1)
    colours = mixed(mixed(haze, colour, room**0.5), haze, camera.haze(both)[..., None])
    return shapes.segments(start, end, colours, thick * width)


def surroundings(
    scenery: Sequence[Shape], track: Track, camera: Camera, colour: Colour, haze: Colour
) -> pv.PolyData:
    """Return what stands still: surfaces as rings, curves, arrows, and the ends of rods."""
    import pyvista as pv

    ball, flat = camera.ball_radius(len(track.sizes)), track.dimensions == 2
    parts = [_thin(_lines(scenery, flat, ball), ball, camera, colour, haze)]
    parts += [
        _head(shape, ball, camera, colour, haze)
        for shape in scenery
        if isinstance(shape, Arrow) and not _is_across(shape, flat)
    ]
    parts.append(_pivots(scenery, ball, camera, colour, haze))
    parts = [part for part in parts if part.n_points]
    if not parts:
        return pv.PolyData()
    merged: pv.PolyData = parts[0].append_polydata(*parts[1:])
    return merged


def _widths(bonds: Bonds) -> Float64[np.ndarray, " K"]:
    """Return relative radii of bonds: of the strength's root, as far as all are seen."""
    if bonds.strengths is None or not len(bonds.strengths):
        return np.ones(len(bonds.pairs))
    strengths = np.abs(bonds.strengths)
    return np.asarray(np.clip(np.sqrt(strengths / (strengths.max() or 1.0)), 0.3, 1.0))


def _lines(scenery: Sequence[Shape], flat: bool, ball: float) -> list[Float64[np.ndarray, "P 3"]]:
    found: list[np.ndarray] = []
    for shape in scenery:
        if isinstance(shape, Curve):
            found.append(shape.points)
        elif isinstance(shape, Ellipsoid):
            found += _rings(shape, flat)
        elif isinstance(shape, Arrow):
            found += _sign(shape, ball) if _is_across(shape, flat) else [_shaft(shape, ball)]
    return found


def _rings(shape: Ellipsoid, flat: bool) -> list[Float64[np.ndarray, "P 3"]]:
    angle = np.linspace(0.0, 2.0 * np.pi, RING_POINTS)
    planes = ((0, 1),) if flat else ((0, 1), (1, 2), (2, 0))
    rings = []
    for one, other in planes:
        ring = np.tile(shape.centre, (RING_POINTS, 1))
        ring[:, one] += shape.semi_axes[one] * np.cos(angle)
        ring[:, other] += shape.semi_axes[other] * np.sin(angle)
        rings.append(ring)
    return rings


def _is_across(arrow: Arrow, flat: bool) -> bool:
    """Whether an arrow is seen end on: it points out of a flat picture, or into it."""
    along = np.abs(arrow.end - arrow.start)
    return bool(flat and along[2] > along[:2].max())


def _sign(arrow: Arrow, ball: float) -> list[Float64[np.ndarray, "P 3"]]:
    """Return a circle, with a dot for an arrow's tip or a cross for its feathers."""
    angle = np.linspace(0.0, 2.0 * np.pi, RING_POINTS)
    centre = arrow.start * (1.0, 1.0, 0.0)
    circle = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    lines = [centre + SIGN * ball * circle]
    if arrow.end[2] > arrow.start[2]:
        return [*lines, centre + 0.15 * SIGN * ball * circle]
    half = SIGN * ball * np.sqrt(0.5)
    strokes = half * np.array([[(-1, -1, 0), (1, 1, 0)], [(-1, 1, 0), (1, -1, 0)]])
    return [*lines, *(centre + strokes)]


def _shaft(arrow: Arrow, ball: float) -> Float64[np.ndarray, "P 3"]:
    return np.linspace(arrow.start, arrow.end - _along(arrow, ball), 33)


def _along(arrow: Arrow, ball: float) -> Float64[np.ndarray, "3"]:
    """Return the vector of an arrow's head."""
    along = arrow.end - arrow.start
    length = float(np.linalg.norm(along))
    return np.asarray(along / length * min(HEAD * ball, 0.4 * length))


def _head(arrow: Arrow, ball: float, camera: Camera, colour: Colour, haze: Colour) -> pv.PolyData:
    along = _along(arrow, ball)
    length = float(np.linalg.norm(along))
    towards = along / length
    aside = np.cross(towards, np.eye(3)[np.argmin(np.abs(towards))])
    aside /= np.linalg.norm(aside)
    facing = np.array([aside, np.cross(towards, aside), towards])
    foot = (arrow.end - along)[None]
    colours = mixed(colour, haze, camera.haze(foot)[..., None])
    return shapes.stamped(shapes.arrowhead(), foot, np.array([length]), colours, facing)


def _thin(
    lines: Sequence[Float64[np.ndarray, "P 3"]],
    ball: float,
    camera: Camera,
    colour: Colour,
    haze: Colour,
) -> pv.PolyData:
    """Draw lines thinly, as far as they are in sight."""
    pairs = [np.stack([line[:-1], line[1:]], axis=1) for line in lines]
    both = np.concatenate([np.empty((0, 2, 3)), *pairs])
    both = both[camera.sees(both).all(axis=1) & (both[:, 0] != both[:, 1]).any(axis=1)]
    colours = mixed(colour, haze, camera.haze(both)[..., None])
    return shapes.segments(both[:, 0], both[:, 1], colours, np.full(len(both), THIN * ball))


def _pivots(
    scenery: Sequence[Shape], ball: float, camera: Camera, colour: Colour, haze: Colour
) -> pv.PolyData:
    import pyvista as pv

    points = [shape.points for shape in scenery if isinstance(shape, Rods)]
    places = np.unique(np.concatenate([np.empty((0, 3)), *points]), axis=0)
    places = places[camera.sees(places)]
    if not len(places):
        return pv.PolyData()
    colours = mixed(colour, haze, camera.haze(places)[..., None])
    radii = np.full(len(places), PIVOT * ball)
    return shapes.stamped(shapes.ball(len(places)), places, radii, colours, np.eye(3))
