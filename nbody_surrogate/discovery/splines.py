"""Pair curves as splines under a physical envelope, of distance alone or of distance and height."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float64, Int64

__all__ = ["DirectedCurve", "Envelope", "Knots", "PairCurve"]


HEIGHT = 2.0
"""Scale along the axis over the root mean square of visited separations. By one that is as large
as these, the curves of a wake leave out seven times as much, far above and below."""

REACH = 3.0
"""Length over which directed forces fall off at least, over the scale of their curve. With half of
it, what wakes do far away is held to be less than it is, and charges over masses pay for it."""


CLOSE = 0.001
"""Share of pairs that are nearer than what knots are finest at."""


@dataclass(frozen=True)
class Knots:
    """Uniform knots of a cubic spline: B-spline k is centred at ``first + k spacing``."""

    first: float
    spacing: float
    count: int

    @classmethod
    def over(cls, low: float, high: float, count: int) -> Knots:
        """Return knots whose splines are complete from `low` to `high`."""
        spacing = max(high - low, 1e-12) / (count - 3)
        return cls(low - spacing, spacing, count)

    @property
    def ends(self) -> tuple[float, float]:
        """Where the splines are complete."""
        return self.first + self.spacing, self.first + self.spacing * (self.count - 2)

    def matrix(self, u: Float64[np.ndarray, " R"]) -> Float64[np.ndarray, "R K"]:
        """Return all B-splines at `u`."""
        first, values = self.pieces(u)
        out = np.zeros((u.size, self.count))
        np.put_along_axis(out, first[:, None] + np.arange(4), values, 1)
        return out

    def pieces(
        self, u: np.ndarray
    ) -> tuple[Int64[np.ndarray, "..."], Float64[np.ndarray, "... 4"]]:
        """Return the index of the first B-spline that is not zero at `u`, and four values.

        Outside of the knots, `u` is taken at their ends: there a curve goes on by its envelope.
        """
        # the last place inside is a hair below the end, where five splines would meet
        s = np.clip((u - self.first) / self.spacing, 1.0, self.count - 2.0 - 1e-9)
        cell = np.floor(s).astype(np.int64)
        f = s - cell
        g = 1.0 - f
        values = np.stack(
            [g**3, 3.0 * f**3 - 6.0 * f**2 + 4.0, 3.0 * g**3 - 6.0 * g**2 + 4.0, f**3], -1
        )
        return cell - 1, values / 6.0


@dataclass(frozen=True)
class Envelope:
    """What a pair force looks like from afar: (r^2 + core^2)^(power / 2) exp(-r / length).

    A spline under an envelope has to follow the ratio to it alone, which is smooth where the
    force itself grows by orders of magnitude.
    """

    power: float = -2.0
    length: float = np.inf
    core: float = 0.0

    @property
    def numbers(self) -> tuple[float, float, float]:
        """Power, core and rate, as compiled code takes them."""
        return float(self.power), float(self.core), 1.0 / float(self.length)

    def __call__(self, r: np.ndarray) -> np.ndarray:
        """Return its values at the distances `r`."""
        return np.asarray((r * r + self.core**2) ** (0.5 * self.power) * np.exp(-r / self.length))


@dataclass(frozen=True)
class PairCurve:
    """A central force of unit strengths: envelope(r) times a spline in u = r / (r + scale).

    Equal steps in u are finest where particles are close: below `scale` they are equal in r, above
    they widen with its square.
    """

    envelope: Envelope
    scale: float
    knots: Knots

    @classmethod
    def over(
        cls, r: np.ndarray, count: int, envelope: Envelope, scale: float | None = None
    ) -> PairCurve:
        """Return a curve with knots over the visited distances `r`."""
        scale = float(np.median(r)) if scale is None else scale
        low, high = (float(y / (y + scale)) for y in (r.min(), r.max()))
        return cls(envelope, scale, Knots.over(low, high, count))

    @classmethod
    def close(cls, r: np.ndarray, count: int, envelope: Envelope) -> PairCurve:
        """Return a curve whose knots are finest where particles meet, as exact tracks tell."""
        return cls.over(r, count, envelope, float(np.sqrt(np.quantile(r, CLOSE) * r.max())))

    def under(self, envelope: Envelope) -> PairCurve:
        """Return the same knots under another envelope."""
        return replace(self, envelope=envelope)

    def refined(
        self, coefficients: Float64[np.ndarray, " K"]
    ) -> tuple[PairCurve, Float64[np.ndarray, " K2"]]:
        """Return the same curve by knots half as far apart, and its coefficients (2 K - 3)."""
        c, knots = coefficients, self.knots
        out = np.empty(2 * c.size - 3)
        out[::2] = 0.5 * (c[:-1] + c[1:])
        out[1::2] = (c[:-2] + 6.0 * c[1:-1] + c[2:]) / 8.0
        half = 0.5 * knots.spacing
        return replace(self, knots=Knots(knots.first + half, half, out.size)), out

    def pieces(self, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return indices and values of the B-splines at `r`, times the envelope."""
        first, values = self.knots.pieces(r / (r + self.scale))
        return first, values * self.envelope(r)[..., None]

    def matrix(self, r: Float64[np.ndarray, " R"]) -> Float64[np.ndarray, "R K"]:
        """Return all basis functions at `r`."""
        return np.asarray(self.knots.matrix(r / (r + self.scale)) * self.envelope(r)[:, None])

    def to_dict(self, coefficients: np.ndarray) -> dict[str, Any]:
        """Return the curve as the system `discovered` takes it."""
        length = self.envelope.length
        return {
            "power": self.envelope.power,
            "core": self.envelope.core,
            "screening_length": float(length) if np.isfinite(length) else None,
            "scale": self.scale,
            "first": self.knots.first,
            "spacing": self.knots.spacing,
            "coefficients": [float(c) for c in coefficients],
        }


@dataclass(frozen=True)
class DirectedCurve:
    """A force of ordered pairs about an axis: envelope(r) times tensor splines in u(rho) and w(z).

    With rho and z the separation across and along the axis, w = z / sqrt(z^2 + height^2); one
    spline is the component along rho, one along the axis. Neither has a parity in z, so that the
    force on i by j and that on j by i may be anything.
    """

    envelope: Envelope
    scale: float
    height: float
    across: Knots
    along: Knots

    @classmethod
    def over(
        cls,
        rho: np.ndarray,
        z: np.ndarray,
        envelope: Envelope,
        scale: float,
        counts: tuple[int, int],
    ) -> DirectedCurve:
        """Return a curve with knots over the visited separations."""
        height = float(max(HEIGHT * np.sqrt(np.mean(z * z)), 1e-6 * scale))
        u, w = rho / (rho + scale), z / np.sqrt(z * z + height**2)
        edge = float(np.abs(w).max())
        across = Knots.over(float(u.min()), float(u.max()), counts[0])
        return cls(envelope, scale, height, across, Knots.over(-edge, edge, counts[1]))

    @property
    def size(self) -> int:
        """Coefficients of one component."""
        return self.across.count * self.along.count

    def under(self, envelope: Envelope) -> DirectedCurve:
        """Return the same knots under another envelope, cut off at `REACH` scales.

        A push along the axis by particles far away cannot be told from a uniform field: what is
        directed is looked for among those that are near.
        """
        length = min(envelope.length, REACH * self.scale)
        return replace(self, envelope=replace(envelope, length=length))

    def pieces(self, rho: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return flat indices and values (..., 16) of the products that are not zero."""
        i, a = self.across.pieces(rho / (rho + self.scale))
        j, b = self.along.pieces(z / np.sqrt(z * z + self.height**2))
        four = np.arange(4)
        index = (i[..., None] + four)[..., :, None] * self.along.count + (j[..., None] + four)[
            ..., None, :
        ]
        values = (
            a[..., :, None] * b[..., None, :] * self.envelope(np.hypot(rho, z))[..., None, None]
        )
        return index.reshape(*rho.shape, 16), values.reshape(*rho.shape, 16)

    def to_dict(self, across: np.ndarray, along: np.ndarray) -> dict[str, Any]:
        """Return the curve as the system `discovered` takes it."""
        shape = (self.across.count, self.along.count)
        length = self.envelope.length
        return {
            "power": self.envelope.power,
            "core": self.envelope.core,
            "screening_length": float(length) if np.isfinite(length) else None,
            "scale": self.scale,
            "first": self.across.first,
            "spacing": self.across.spacing,
            "coefficients_rho": across.reshape(shape).tolist(),
            "coefficients_z": along.reshape(shape).tolist(),
            "height_scale": self.height,
            "height_first": self.along.first,
            "height_spacing": self.along.spacing,
        }
