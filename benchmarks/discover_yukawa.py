"""What a physicist does with tracks of dust: one Yukawa law, fitted to accelerations in weak form.

    m_i a_i = sum_j q_i q_j exp(-r / lambda) (1 / r + 1 / lambda) d / r^2 + one-body terms - drag

Rows are integrals of the equation of motion against bumps phi that vanish with their slopes at
their ends, so that a becomes the integral of phi'' x and v that of -phi' x: measured positions are
never differentiated. Unlike grains have a charge over mass b_i and a charge q_j each (m = q / b),
alike ones share both. One-body terms per axis: uniform, and proportional to b: uniform, linear.
Drag is gamma m^power. Rows are weighted by each grain's residual: most of it are kicks, which are
white.

Least squares would be biased, as the kicks of a window drive x and v of the same window: in thermal
equilibrium the drag comes out as zero. So the normal equations have instruments, the derivatives of
the law at states that are foreseen from the frames before the window.

`fit_yukawa_wake` has a wake behind each grain too: -w times the same force from a place at a
distance below it, softened, which is the very form that `dust` has. It knows what `nbody-sim
discover` has to find.

`fit_yukawa`, `fit_yukawa_alike` and `fit_yukawa_wake` return what `discover_rivals.py` describes.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
from scipy.signal import savgol_filter

HALF_WIDTHS = (3, 4, 5, 6, 8, 10, 12, 16, 24, 32)  # frames, of which one is chosen by `best_width`
STEPS, TOLERANCE = 40, 1e-5
SHIFT = 1e-4  # of a shape, for its derivative
SMOOTHING = 9  # frames of the cubic that takes noise off distances; accelerations do not see it


class Rows(NamedTuple):
    """The weak form's side of known quantities; W windows, one row per window, grain and axis."""

    weights: np.ndarray  # (frames of a window,)
    starts: np.ndarray  # (W,)
    a: np.ndarray  # (W, N, D)
    v: np.ndarray  # (W, N, D)
    x: np.ndarray  # (W, N, D)


def bump(half: int, dt: float):
    """The bump (1 - s^2)^4 on 2 half + 1 frames, its first and second derivative, of integral 1."""
    s = np.arange(-half, half + 1) / half
    c = 1.0 - s**2
    scale = half * dt
    phi = c**4
    first = -8.0 * s * c**3 / scale
    second = (48.0 * s**2 * c**2 - 8.0 * c**3) / scale**2
    whole = phi.sum()
    # Sums are integrals to high order for what vanishes smoothly at its ends; the moments of phi'
    # and phi'' that make v and a right are set to their exact values.
    second -= second.mean()
    second *= 2.0 / np.sum(second * (s * scale) ** 2) * whole
    first *= -1.0 / np.sum(first * s * scale) * whole
    return phi / whole, first / whole, second / whole


def windows(values, weights, starts):
    """Weighted sums (W, ...) of values (T, ...) over the windows that begin at `starts`."""
    out = np.zeros((len(starts), *values.shape[1:]))
    for k, weight in enumerate(weights):
        out += weight * values[starts + k]
    return out


def rows_of(x, dt, half):
    phi, first, second = bump(half, dt)
    starts = np.arange(16, len(x) - 2 * half, max(half // 2, 1))
    a, v = windows(x, second, starts), -windows(x, first, starts)
    return Rows(phi, starts, a, v, windows(x, phi, starts))


def yukawa(r, screening):
    """Force over distance of unit charges."""
    return np.exp(-r / screening) * (1.0 / r + 1.0 / screening) / r**2


def pair_force(d, shape):
    """Forces (..., D) of unit charges at separations d; shape is log screening, and of a wake its
    share and the logarithms of its distance and softening."""
    screening = np.exp(shape[0])
    r = np.sqrt(np.sum(d**2, -1))
    apart = r > 0
    force = np.where(apart, yukawa(np.where(apart, r, 1.0), screening), 0.0)[..., None] * d
    if len(shape) == 1:
        return force
    share, distance, softening = shape[1], np.exp(shape[2]), np.exp(shape[3])
    below = d.copy()
    below[..., -1] += distance
    r = np.sqrt(np.sum(below**2, -1) + softening**2)
    return force - np.where(apart, share * yukawa(r, screening), 0.0)[..., None] * below


def pair_sums(x, rows, shape):
    """Weak sums (W, N, N, D) of the pair terms on i by j, and derivatives by their shape."""
    d = x[:, :, None] - x[:, None]
    found = [windows(pair_force(d, shape), rows.weights, rows.starts)]
    for k in range(len(shape)):
        step = SHIFT * np.eye(len(shape))[k]
        slope = (pair_force(d, shape + step) - pair_force(d, shape - step)) / (2.0 * SHIFT)
        found.append(windows(slope, rows.weights, rows.starts))
    return found


class Model:
    """The law and its parameters: b (N), q (N), shape (S), fields (3, D), drag, power."""

    def __init__(self, x, dt, kind, half):
        self.alike, self.shapes = kind == "alike", 4 if kind == "wake" else 1
        self.rows = rows_of(x, dt, half)
        self.count, self.dimensions = x.shape[1:]
        self.smooth = savgol_filter(x, SMOOTHING, 3, axis=0)
        self.x, self.v = foreseen(x, dt, self.rows)
        r = np.linalg.norm(self.smooth[::50, :, None] - self.smooth[::50, None], axis=-1)
        self.nearest = np.median(np.sort(r, -1)[..., 1])

    def parts(self, parameters):
        n, d, end = self.count, self.dimensions, 2 * self.count + self.shapes
        return (
            parameters[:n],
            parameters[n : 2 * n],
            parameters[2 * n : end],
            parameters[end : end + 3 * d].reshape(3, d),
            parameters[-2],
            parameters[-1],
        )

    def terms(self, parameters, sums, x, v):
        """Accelerations (W, N, D), and their derivatives (W, N, D, P); x, v, sums as in Rows."""
        b, q, _, fields, drag, power = self.parts(parameters)
        n, d, end = self.count, self.dimensions, 2 * self.count + self.shapes
        mass = q / b / np.mean(q / b)
        pull = np.einsum("wijd,j->wid", sums[0], q) + fields[1] - fields[2] * x
        columns = np.zeros((*x.shape, end + 2 + 3 * d))
        grains, axes = np.arange(n), np.arange(d)
        columns[:, grains, :, grains] = np.moveaxis(pull, 1, 0)
        columns[..., n : 2 * n] = b[:, None, None] * np.swapaxes(sums[0], 2, 3)
        for k, change in enumerate(sums[1:]):
            columns[..., 2 * n + k] = b[:, None] * np.einsum("wijd,j->wid", change, q)
        for k, field in enumerate((np.ones_like(x), np.ones_like(x) * b[:, None], -x * b[:, None])):
            columns[:, :, axes, end + k * d + axes] = field
        columns[..., -2] = -(mass**power)[:, None] * v
        columns[..., -1] = -drag * (mass**power * np.log(mass))[:, None] * v
        return b[:, None] * pull + fields[0] + drag * columns[..., -2], columns

    def start(self):
        n, d = self.count, self.dimensions
        trap = np.var(self.rows.v) / np.var(self.smooth, axis=(0, 1))
        near = np.log(self.nearest)
        shape = [near, 0.1, near - 1.0, near - 1.0][: self.shapes]
        head = [np.ones(2 * n), shape]
        return np.concatenate([*head, np.zeros(2 * d), trap, [0.1, 0.0]])

    def moved(self, parameters, step):
        """Parameters after a step: strengths move little at once, fields and drag, which enter
        linearly, as they must; then the scale of b is set and all is held where physics allows it.
        """
        n, d, end = self.count, self.dimensions, 2 * self.count + self.shapes
        bent = np.r_[:end, -1]
        step = step.copy()
        step[bent] *= min(1.0, 0.2 / max(np.abs(step[bent]).max(), 1e-300))
        out = parameters + step
        out[: 2 * n] = np.clip(out[: 2 * n], 0.1, 10.0)
        scale = out[:n].mean()
        out[:n] /= scale
        out[n : 2 * n] *= scale
        out[end + d : end + 3 * d] *= scale
        near = np.log(self.nearest)
        out[2 * n] = np.clip(out[2 * n], near + np.log(0.1), near + np.log(20.0))
        if self.shapes > 1:
            out[2 * n + 1] = np.clip(out[2 * n + 1], -2.0, 2.0)
            out[2 * n + 2 : end] = np.clip(out[2 * n + 2 : end], near - 4.0, near + 1.0)
        out[-2], out[-1] = max(out[-2], 0.0), np.clip(out[-1], -1.0, 1.0)
        return out

    def directions(self):
        """Allowed changes of the parameters (P, free): all, or those that keep grains alike."""
        whole = np.eye(2 * self.count + self.shapes + 2 + 3 * self.dimensions)
        if not self.alike:
            return whole
        n, d = self.count, self.dimensions
        shared = whole[:, n : 2 * n].sum(1, keepdims=True)
        # A field by charge is no other than a uniform one, a power of the mass says nothing.
        kept = np.r_[2 * n : 2 * n + 1 + d, 2 * n + 1 + 2 * d : 2 * n + 2 + 3 * d]
        return np.hstack([shared, whole[:, kept]])


def foreseen(x, dt, rows, before=16):
    """Positions and velocities (W, N, D) at the middle of each window, from frames before it."""
    half = len(rows.weights) // 2
    times = (np.arange(-before, 0) - half) * dt
    fit = np.linalg.pinv(np.stack([times**0, times, times**2], 1))
    past = x[rows.starts[:, None] + np.arange(-before, 0)]
    return tuple(np.einsum("k,wknd->wnd", weights, past) for weights in fit[:2])


def best_width(x, dt, half, left):
    """The shortest window whose rows owe the kicks three times as much as the noise of positions.

    Shorter windows let more of that noise in, longer ones average the forces away. `left` are the
    residuals of rows with windows of `half`; the noise shows in fourth differences of positions.
    """
    noise = np.var(np.diff(x, 4, axis=0)) / 70.0

    def parts(width):
        phi, _, second = bump(width, dt)
        return np.sum(phi**2) / dt, noise * np.sum(second**2)

    of_kicks, of_noise = parts(half)
    kicks = max(np.mean(left**2) - of_noise, 0.0) / of_kicks
    for width in HALF_WIDTHS:
        of_kicks, of_noise = parts(width)
        if kicks * of_kicks > 3.0 * of_noise:
            return width
    return HALF_WIDTHS[-1]


def _solve(model, parameters):
    """Parameters at which no instrument sees the residuals, and these."""
    rows, change = model.rows, model.directions()
    middle = rows._replace(weights=np.ones(1), starts=np.arange(len(rows.starts)))
    for _ in range(STEPS):
        shape = model.parts(parameters)[2]
        sums = pair_sums(model.smooth, rows, shape)
        seen, columns = model.terms(parameters, sums, rows.x, rows.v)
        sums = pair_sums(model.x, middle, shape)
        _, instruments = model.terms(parameters, sums, model.x, model.v)
        left = rows.a - seen
        weights = 1.0 / np.mean(left**2, axis=(0, 2))[:, None, None]
        columns, instruments = columns @ change, instruments @ change * weights
        normal = np.einsum("wndp,wndq->pq", instruments, columns)
        right = np.einsum("wndp,wnd->p", instruments, left)
        step = np.linalg.lstsq(normal, right, rcond=1e-9)[0]  # the scale of b is free
        before = parameters
        parameters = model.moved(parameters, change @ step)
        if np.abs(parameters - before).max() < TOLERANCE:
            break
    return parameters, left


def _fit(x, dt, kind):
    begun = time.process_time()
    x, half = np.asarray(x, float), 8
    model = Model(x, dt, kind, half)
    parameters, left = _solve(model, model.start())
    width = best_width(x, dt, half, left)
    if width != half:
        model = Model(x, dt, kind, width)
        parameters, _ = _solve(model, parameters)
    return _answer(model, parameters, time.process_time() - begun) | {"half_width": width}


def _answer(model, parameters, seconds):
    b, q, shape, fields, drag, power = model.parts(parameters)
    mass = q / b / np.mean(q / b)
    drags = drag * mass**power

    def acceleration(x, v):
        force = pair_force(x[..., :, None, :] - x[..., None, :, :], shape)
        pairs = np.einsum("...ijd,j->...id", force, q)
        return b[:, None] * (pairs + fields[1] - fields[2] * x) + fields[0] - drags[:, None] * v

    return {
        "acceleration": acceleration,
        "curve": lambda r: yukawa(r, np.exp(shape[0])) * r,
        "charges": None if model.alike else q / q.mean(),
        "charge_to_mass": None if model.alike else b,
        "drag": drags,
        "screening_length": float(np.exp(shape[0])),
        "wake": [float(s) for s in shape[1:]],
        "seconds": seconds,
    }


def fit_yukawa(x, dt):
    """One Yukawa law, unlike grains. x (T, N, D) noisy positions, dt the frame interval."""
    return _fit(x, dt, "unlike")


def fit_yukawa_alike(x, dt):
    """One Yukawa law, all grains alike."""
    return _fit(x, dt, "alike")


def fit_yukawa_wake(x, dt):
    """A Yukawa law with a wake behind each grain, unlike grains."""
    return _fit(x, dt, "wake")
