"""The shapes of a scene, as coloured meshes: balls, rings and tapering tubes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float64, Int64

if TYPE_CHECKING:
    import pyvista as pv

__all__ = [
    "arrowhead",
    "ball",
    "dash",
    "disc",
    "hoop",
    "ring",
    "segments",
    "stamped",
    "tubes",
    "wedge",
]

TUBE_SIDES, FEWER_SIDES = 8, 5
TURN, STRETCH = np.radians(4.0), 12  # a tube's points: as its path turns, and not fewer than that
FEW = 10  # particles, up to which balls are large
MANY = 100  # particles, beyond which shapes are drawn more coarsely
MANY_SEGMENTS = 1000


def ball(n: int = 1, large: bool = False) -> pv.PolyData:
    """Return a unit sphere; of fewer triangles where there are many, which are small.

    Those of a true size may be `large`, so that their outline is round only if it is finer.
    """
    import pyvista as pv

    if large:
        theta, phi = (96, 68) if n <= FEW else (64, 46) if n <= MANY else (24, 16)
    else:
        theta, phi = (40, 28) if n <= FEW else (24, 16) if n <= MANY else (16, 12)
    return pv.Sphere(radius=1.0, theta_resolution=theta, phi_resolution=phi)


def ring() -> pv.PolyData:
    """Return a thin torus of unit radius around the z axis."""
    import pyvista as pv

    return pv.ParametricTorus(ringradius=1.0, crosssectionradius=0.09, u_res=49, v_res=9, w_res=9)


def disc() -> pv.PolyData:
    """Return a flat icon: a filled unit circle."""
    import pyvista as pv

    return pv.Disc(inner=0.0, outer=1.0, r_res=1, c_res=48)


def hoop() -> pv.PolyData:
    """Return a flat icon: an open unit circle."""
    import pyvista as pv

    return pv.Disc(inner=0.76, outer=1.0, r_res=1, c_res=48)


def dash() -> pv.PolyData:
    """Return a flat icon: a short level line."""
    import pyvista as pv

    return pv.Plane(i_size=2.2, j_size=0.3, i_resolution=1, j_resolution=1)


def wedge() -> pv.PolyData:
    """Return a flat icon: a triangle that points to the right."""
    import pyvista as pv

    corners = np.array([(0.0, -1.0, 0.0), (1.2, 0.0, 0.0), (0.0, 1.0, 0.0)])
    triangle: pv.PolyData = pv.PolyData.from_regular_faces(corners, np.array([[0, 1, 2]]))
    return triangle


def arrowhead() -> pv.PolyData:
    """Return a cone of unit length and radius 0.35 that points along z from the origin."""
    import pyvista as pv

    cone = pv.Cone(center=(0, 0, 0.5), direction=(0, 0, 1), height=1.0, radius=0.35, resolution=24)
    pointed: pv.PolyData = cone.triangulate().compute_normals(split_vertices=True)
    return pointed


def stamped(
    template: pv.PolyData,
    centres: Float64[np.ndarray, "N 3"],
    radii: Float64[np.ndarray, " N"],
    colours: Float64[np.ndarray, "N 3"],
    facing: Float64[np.ndarray, "3 3"],
) -> pv.PolyData:
    """Return one mesh with a copy of a template at each centre.

    Parameters
    ----------
    template : PolyData
        Of triangles, with P points and unit size.
    centres : ndarray, shape (N, 3)
    radii : ndarray, shape (N,)
    colours : ndarray, shape (N, 3)
        Red, green and blue from 0 to 1.
    facing : ndarray, shape (3, 3)
        Rows: where the template's x, y and z axes point.
    """
    import pyvista as pv

    if not len(centres):
        return pv.PolyData()
    n, p = len(centres), template.n_points
    points = centres[:, None] + radii[:, None, None] * (template.points @ facing)  # (N, P, 3)
    faces: np.ndarray = p * np.arange(n)[:, None, None] + np.asarray(template.regular_faces)
    mesh: pv.PolyData = pv.PolyData.from_regular_faces(points.reshape(-1, 3), faces.reshape(-1, 3))
    mesh.point_data.active_normals = np.tile(template.point_normals @ facing, (n, 1))
    mesh.point_data["rgb"] = _bytes(np.repeat(colours, p, axis=0))
    return mesh


def tubes(
    paths: Float64[np.ndarray, "P N 3"],
    colours: Float64[np.ndarray, "P N 3"],
    widths: Float64[np.ndarray, "P N"],
    shortest: float,
    drawn: Bool[np.ndarray, "P N"] | None = None,
) -> pv.PolyData:
    """Return one mesh with a tube along each path.

    Parameters
    ----------
    paths : ndarray, shape (P, N, 3)
        P points of each of N paths. What comes before a gap (NaN) is left out.
    colours : ndarray, shape (P, N, 3)
    widths : ndarray, shape (P, N)
        Radii.
    shortest : float
        Steps no longer than this are skipped: a tube needs a direction.
    drawn : ndarray, shape (P, N), optional
        Which points are drawn, of a dashed path; by default all.
    """
    import pyvista as pv

    kept = [(n, _drawable(paths[:, n], shortest)) for n in range(paths.shape[1])]
    if drawn is None:
        kept = [(n, index[_turning(paths[index, n])]) for n, index in kept]
    else:
        kept = [(n, piece) for n, index in kept for piece in _pieces(index, drawn[:, n])]
    kept = [(n, index) for n, index in kept if len(index) > 1]
    if not kept:
        return pv.PolyData()
    lengths = np.array([len(index) for _, index in kept])
    starts = np.cumsum(lengths) - lengths
    lines = [
        np.r_[length, start + np.arange(length)]
        for start, length in zip(starts, lengths, strict=True)
    ]

    def gathered(values: np.ndarray) -> np.ndarray:
        return np.concatenate([values[index, n] for n, index in kept])

    mesh = pv.PolyData(gathered(paths), lines=np.concatenate(lines))
    mesh.point_data["width"] = gathered(widths)
    mesh.point_data["rgb"] = _bytes(gathered(colours))
    sides = TUBE_SIDES if paths.shape[1] <= MANY else FEWER_SIDES
    tube: pv.PolyData = mesh.tube(scalars="width", absolute=True, n_sides=sides)
    return tube


def segments(
    starts: Float64[np.ndarray, "K 3"],
    ends: Float64[np.ndarray, "K 3"],
    colours: Float64[np.ndarray, "K 2 3"],
    widths: Float64[np.ndarray, " K"],
) -> pv.PolyData:
    """Return one mesh with a straight tube for each of K pairs of points, unlike in place.

    Its ends are open: they are within balls, or in the next tube. All is made at once, since
    hundreds of particles have thousands of bonds.

    Parameters
    ----------
    starts, ends : ndarray, shape (K, 3)
    colours : ndarray, shape (K, 2, 3)
        At both ends.
    widths : ndarray, shape (K,)
        Radii.
    """
    import pyvista as pv

    k, sides = len(starts), TUBE_SIDES if len(starts) <= MANY_SEGMENTS else FEWER_SIDES
    if not k:
        return pv.PolyData()
    normals = _around(ends - starts, sides)  # (K, sides, 3)
    ring = widths[:, None, None] * normals
    points = np.stack([starts[:, None] + ring, ends[:, None] + ring], axis=1)  # (K, 2, sides, 3)
    side = np.arange(sides)
    after = (side + 1) % sides
    quads = np.stack([side, after, after + sides, side + sides], axis=1)
    faces: np.ndarray = 2 * sides * np.arange(k)[:, None, None] + quads
    mesh: pv.PolyData = pv.PolyData.from_regular_faces(points.reshape(-1, 3), faces.reshape(-1, 4))
    mesh.point_data.active_normals = np.repeat(normals[:, None], 2, axis=1).reshape(-1, 3)
    mesh.point_data["rgb"] = _bytes(np.repeat(colours, sides, axis=1).reshape(-1, 3))
    return mesh


def _around(along: Float64[np.ndarray, "K 3"], sides: int) -> Float64[np.ndarray, "K sides 3"]:
    """Return unit vectors at equal angles around K directions."""
    along = along / np.linalg.norm(along, axis=1, keepdims=True)
    aside = np.cross(along, np.eye(3)[np.argmin(np.abs(along), axis=1)])
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    other = np.cross(along, aside)
    angle = 2 * np.pi * np.arange(sides)[:, None] / sides
    return np.asarray(np.cos(angle) * aside[:, None] + np.sin(angle) * other[:, None])


def _pieces(
    index: Int64[np.ndarray, " K"], drawn: Bool[np.ndarray, " P"]
) -> list[Int64[np.ndarray, " J"]]:
    """Return the stretches of a path's points in which all are drawn."""
    on = drawn[index]
    changes = np.flatnonzero(np.diff(on)) + 1
    return [piece for piece in np.split(index, changes) if len(piece) and drawn[piece[0]]]


def _drawable(path: Float64[np.ndarray, "P 3"], shortest: float) -> Int64[np.ndarray, " K"]:
    """Return the points to draw: those after the last gap, each a step away from the next."""
    finite: Bool[np.ndarray, " P"] = np.isfinite(path).all(axis=1)
    gaps = np.flatnonzero(~finite)
    index = np.arange(gaps[-1] + 1 if len(gaps) else 0, len(path))
    steps = np.linalg.norm(np.diff(path[index], axis=0), axis=1)
    return np.asarray(index[np.r_[steps > shortest, True]] if len(index) else index)


def _turning(points: Float64[np.ndarray, "K 3"]) -> Bool[np.ndarray, " K"]:
    """Tell which points a path needs to look the same: its ends, and where it has turned on."""
    kept = np.asarray(np.arange(len(points)) % STRETCH == 0)
    kept[-1:] = True
    if len(points) > 2:
        steps = np.diff(points, axis=0)
        steps /= np.linalg.norm(steps, axis=1, keepdims=True)
        turned = np.cumsum(np.arccos(np.clip((steps[1:] * steps[:-1]).sum(axis=1), -1.0, 1.0)))
        kept[1:-1] |= np.diff(np.floor(turned / TURN), prepend=0.0) > 0
    return kept


def _bytes(colours: Float64[np.ndarray, "P 3"]) -> np.ndarray:
    return np.clip(np.round(255 * colours), 0, 255).astype(np.uint8)
