"""The shapes of a scene, as coloured meshes: balls, rings and tapering tubes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float64, Int64

if TYPE_CHECKING:
    import pyvista as pv

__all__ = ["ball", "dash", "disc", "hoop", "ring", "stamped", "tubes"]

TUBE_SIDES, FEWER_SIDES = 10, 5
MANY = 100  # particles, beyond which shapes are drawn more coarsely


def ball(n: int = 1) -> pv.PolyData:
    """Return a unit sphere; of fewer triangles where there are many, which are small."""
    import pyvista as pv

    theta, phi = (32, 24) if n <= MANY else (16, 12)
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
    """
    import pyvista as pv

    kept = [(n, _drawable(paths[:, n], shortest)) for n in range(paths.shape[1])]
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


def _drawable(path: Float64[np.ndarray, "P 3"], shortest: float) -> Int64[np.ndarray, " K"]:
    """Return the points to draw: those after the last gap, each a step away from the next."""
    finite: Bool[np.ndarray, " P"] = np.isfinite(path).all(axis=1)
    gaps = np.flatnonzero(~finite)
    index = np.arange(gaps[-1] + 1 if len(gaps) else 0, len(path))
    steps = np.linalg.norm(np.diff(path[index], axis=0), axis=1)
    return np.asarray(index[np.r_[steps > shortest, True]] if len(index) else index)


def _bytes(colours: Float64[np.ndarray, "P 3"]) -> np.ndarray:
    return np.clip(np.round(255 * colours), 0, 255).astype(np.uint8)
