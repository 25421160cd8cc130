"""Trajectories made ready to be drawn: in 3D, with colours, sizes and smooth paths."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float64, Int64

from nbody_surrogate.contracts.hidden_variables import Hidden
from nbody_surrogate.results.estimate_note import estimate_label
from nbody_surrogate.results.trajectory import Trajectory
from nbody_surrogate.viz.scene.palette import DARK, Palette, mixed
from nbody_surrogate.viz.scene.particle_colours import particle_colours

__all__ = ["SUBFRAMES", "TRAIL", "Track", "finite", "mixed"]

SUBFRAMES = 6  # points of a path for each frame: the preset's sharpest turns look round
FEWER_SUBFRAMES, MANY = 2, 100  # of more particles than this, whose paths are short on the picture
RING, CLOSE = 1.4, 1.1  # radius of a ring over that of a ball: a usual one, and one of a true size
TRAIL = 0.42  # radius of a trail, over that of its ball, where it is widest
HUGE = 1e100  # what is larger counts as not finite: its square may not be


@dataclass(frozen=True)
class Track:
    """A trajectory made ready to be drawn.

    Attributes
    ----------
    t : ndarray, shape (T,)
    x, v : ndarray, shape (T, N, 3)
        Flat ones have z = 0. Positions that are not finite are NaN.
    dimensions : int
        D of the trajectory.
    charges, masses : ndarray, shape (N,)
    sizes : ndarray, shape (N,)
        Radii relative to a particle of median mass.
    radii : ndarray, shape (N,), or None
        Those that particles have, which they are drawn with.
    hidden : mapping of str to ndarray, shape (T, N)
        Hidden variables of one number for each particle.
    stopped : bool
        Whether the run went no further than the last frame, though it was to.
    name : str
        Of its method, with its tolerance or sub-steps: two of one method differ in these.
    estimate : ndarray, shape (T,), or None
        What the position RMSE of each frame is estimated to be below, where it is.
    coverage : str
        Of the estimate, in words; outside of the method's domain that it is not promised.
    """

    t: Float64[np.ndarray, " T"]
    x: Float64[np.ndarray, "T N 3"]
    v: Float64[np.ndarray, "T N 3"]
    dimensions: int
    charges: Float64[np.ndarray, " N"]
    masses: Float64[np.ndarray, " N"]
    sizes: Float64[np.ndarray, " N"]
    stopped: bool
    name: str
    estimate: Float64[np.ndarray, " T"] | None = None
    coverage: str = ""
    radii: Float64[np.ndarray, " N"] | None = None
    hidden: Hidden = field(default_factory=dict)

    @classmethod
    def of(cls, trajectory: Trajectory, name: str, stopped: bool = False) -> Track:
        """Make a trajectory ready to be drawn; `name` is for one that does not know its method."""
        pad = ((0, 0), (0, 0), (0, 3 - trajectory.x.shape[2]))
        masses, radii = trajectory.particles.masses[0], trajectory.particles.radii
        return cls(
            t=trajectory.t,
            x=np.pad(np.where(np.abs(trajectory.x) < HUGE, trajectory.x, np.nan), pad),
            v=np.pad(np.where(np.abs(trajectory.v) < HUGE, trajectory.v, 0.0), pad),
            dimensions=trajectory.x.shape[2],
            charges=trajectory.particles.charges[0],
            masses=masses,
            # Cube roots, as of balls of one density, as far as all are seen and none hides others.
            sizes=np.clip(np.cbrt(masses / np.median(masses)), 0.6, 1.8),
            stopped=stopped,
            name=trajectory.info.label if "integrator" in trajectory.info.method else name,
            estimate=trajectory.error_estimate,
            coverage=estimate_label(trajectory.info),
            radii=None if radii is None else radii[0],
            hidden={name: y for name, y in trajectory.hidden.items() if y.ndim == 2},
        )

    def at(self, frames: Int64[np.ndarray, " F"]) -> Track:
        """Return the track at some frames only, in increasing order."""
        estimate = None if self.estimate is None else self.estimate[frames]
        hidden = {name: values[frames] for name, values in self.hidden.items()}
        moving = {"x": self.x[frames], "v": self.v[frames], "hidden": hidden}
        return replace(self, t=self.t[frames], estimate=estimate, **moving)

    def colours(self, palette: Palette = DARK) -> Float64[np.ndarray, "N 3"]:
        """Return colours by which particles are told apart: charge, else mass, else number."""
        return particle_colours(self.charges, self.masses, palette)

    def window(self, frame: int, trail: int) -> slice:
        """Return the frames of a trail."""
        return slice(max(0, frame - trail), frame + 1)

    def balls(self, usual: float) -> Float64[np.ndarray, " N"]:
        """Return radii of balls: their own, or where they have none by the `usual` one."""
        return usual * self.sizes if self.radii is None else self.radii

    def rings(self, usual: float) -> Float64[np.ndarray, " N"]:
        """Return radii of the rings that stand for balls; close around those of a true size."""
        return RING * usual * self.sizes if self.radii is None else CLOSE * self.radii

    def widths(self, usual: float) -> Float64[np.ndarray, " N"]:
        """Return radii of trails, no wider than those of usual balls nor than their own."""
        wide = usual * self.sizes
        return wide if self.radii is None else np.minimum(wide, TRAIL * self.radii)

    @property
    def largest(self) -> float:
        """The largest of the radii that particles have, 0 where they have none."""
        return 0.0 if self.radii is None else float(self.radii.max())

    @property
    def subframes(self) -> int:
        """Points of a path for each frame."""
        return SUBFRAMES if len(self.sizes) <= MANY else FEWER_SUBFRAMES

    def finite(self, frame: int) -> Bool[np.ndarray, " N"]:
        """Which particles have a position at a frame."""
        return finite(self.x[frame])

    def path(self, frame: int, trail: int) -> Float64[np.ndarray, "P N 3"]:
        """Return the way up to a frame, from `trail` frames before: cubic Hermite in x and v."""
        window = self.window(frame, trail)
        x = self.x[window]
        v = self.v[window]
        h = np.diff(self.t[window])[:, None, None, None]
        a, b, va, vb = x[:-1, None], x[1:, None], v[:-1, None], v[1:, None]
        s = (np.arange(self.subframes) / self.subframes)[:, None, None]
        way = a + (b - a) * s**2 * (3 - 2 * s) + h * s * (1 - s) * ((1 - s) * va - s * vb)
        way[:, 0] = x[:-1]  # also where the next frame is not finite
        return np.concatenate([way.reshape(-1, *x.shape[1:]), x[-1:]])


def finite(x: Float64[np.ndarray, "*axes D"]) -> Bool[np.ndarray, "*axes"]:
    """Tell which positions can be drawn."""
    return np.asarray((np.abs(x) < HUGE).all(axis=-1))
