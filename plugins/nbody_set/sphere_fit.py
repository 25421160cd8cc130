"""The functions of `SETSpheres` from forces, by least squares: Gauss and Newton's steps, damped.

A sample is a cloud and the force on each of its spheres: one call of a solver, where a frame of a
trajectory takes tens. Forces are all there is to learn, as a frame's steps are exact in what they
are made of. Steps: Levenberg, Quart. Appl. Math. 2 (1944) 164; Marquardt, J. Soc. Indust. Appl.
Math. 11 (1963) 431.

Frames of one step of leapfrog (half a drift, a kick, half a drift) say the force at their middle to
rounding: m dv / dt at x + v dt / 2, whatever dt is. So a data set of such frames, as the integrator
``leapfrog`` with one sub-step makes it, is one of single samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from nbody_set.sphere_forces import fast_forces, induced_forces, pairs_of
from nbody_set.sphere_functions import USUAL, Values, looked_up, pair_share, polynomials, tables
from nbody_surrogate.contracts import InputError, ParticleTensors

if TYPE_CHECKING:
    from nbody_set.spheres import SETSpheres

__all__ = ["Samples", "fit"]

STEPS = 8
ENOUGH = 1e-2  # of the squared error, a gain below which a step is the last
CHUNK = 24  # samples at a time: their derivatives take 100 MB
FIRST_DAMPING, LEAST_DAMPING, EASED, HARDENED, TRIES = 1e-6, 1e-9, 10.0, 10.0, 6
FLOOR = 0.05
"""Of the rms force that samples are weighed by, in units of k / R^2: quiet clouds count less."""
ROUNDING = 1e-9
ROWS = 12
"""Random directions in the space of a sample's errors that Gauss and Newton's matrix is made of, at
most: its gradient is of all errors, so that what is found does not depend on it."""
MOST = 320
"""Samples that are fitted to."""
COUPLES = 400
"""Pairs alone, of which all is known: what is induced beyond the exact energy is nothing."""
FARTHEST = 20.0


class Samples(NamedTuple):
    """Clouds, in radii and in units in which the force constant is 1.

    Attributes
    ----------
    x, forces : Tensor, shape (S, N, 3)
        Forces by what is induced: without the exact ones of pairs, and without the repulsion.
    charges : Tensor, shape (S, N)
    """

    x: Tensor
    charges: Tensor
    forces: Tensor

    @classmethod
    def of_frames(
        cls,
        model: SETSpheres,
        x: Tensor,
        v: Tensor,
        particles: ParticleTensors,
        dx: Tensor,
        dv: Tensor,
    ) -> Samples:
        """Take samples from frames of one step of leapfrog, as `initialise` is handed them.

        Raises
        ------
        InputError
            If the frames are others.
        """
        dt, n = model.config.frame_dt, x.shape[2]
        dx = torch.cat([x[:, 1:] - x[:, :-1], dx[:, None]], dim=1)
        dv = torch.cat([v[:, 1:] - v[:, :-1], dv[:, None]], dim=1)
        if float((dx - dt * (v + 0.5 * dv)).abs().max()) > ROUNDING * float(dx.abs().max()):
            raise InputError(
                "`data` must begin with frames of `integrator` leapfrog with `substeps` 1, which "
                "say forces; set-spheres is fitted to them"
            )
        frames = x.shape[1]
        charges, masses = (
            y[:, None].expand(-1, frames, -1).reshape(-1, n)
            for y in (particles.charges, particles.masses)
        )
        config = model.config
        forces = (dv / dt).reshape(-1, *dv.shape[2:]) * masses[..., None] * config.radius**2
        middle = (x + 0.5 * dt * v).reshape(forces.shape) / config.radius
        pad = (0, 3 - x.shape[3])
        middle, forces = (torch.nn.functional.pad(y, pad) for y in (middle, forces))
        charges = charges * config.coupling**0.5
        picked = cls(middle, charges, forces).some(MOST)
        exact = tables(model.coefficients, model.alone, model.pairs)[1]
        repulsion = config.repulsion * config.radius
        pairs = pairs_of(picked.x)
        fast = fast_forces(pairs, picked.charges, exact, config.least_gap, repulsion)
        return picked._replace(forces=picked.forces - fast)

    def some(self, most: int) -> Samples:
        """Return as many of the samples, drawn by a fixed seed."""
        generator = torch.Generator().manual_seed(0)
        picked = torch.randperm(len(self.x), generator=generator)[:most].sort().values
        return Samples(*(each[picked] for each in self))

    @classmethod
    def of_pairs(cls) -> Samples:
        """Return pairs alone: their forces are exact without anything that is learned."""
        generator = torch.Generator().manual_seed(1)
        near = 2.0 / (2.0 + USUAL)
        far = 2.0 / FARTHEST
        t = far + (near - far) * torch.rand(COUPLES, generator=generator, dtype=torch.float64)
        x = torch.randn(COUPLES, 3, generator=generator, dtype=torch.float64)
        x = x / x.norm(dim=1, keepdim=True) * (2.0 / t)[:, None]
        charges = torch.ones(COUPLES, 2, dtype=torch.float64)
        charges[::2, 1] = -1.0
        charges[::5, 1] = 0.0
        x = torch.stack([torch.zeros_like(x), x], dim=1)
        return cls(x, charges, torch.zeros_like(x))

    def parts(self) -> Iterator[Samples]:
        """Yield a few of the samples at a time."""
        for first in range(0, len(self.x), CHUNK):
            yield Samples(*(each[first : first + CHUNK] for each in self))


def fit(model: SETSpheres, samples: Samples) -> None:
    """Change a model's coefficients to those of smaller errors of forces."""
    now, damping = model.coefficients.detach().clone(), FIRST_DAMPING
    all_samples = (samples, Samples.of_pairs())
    for _ in range(STEPS):
        matrix, gradient, loss = _normal_equations(model, now, all_samples)
        scale = matrix.diagonal()
        scale = scale + 1e-12 * scale.max()
        for _ in range(TRIES):
            step = torch.linalg.solve(matrix + torch.diag(damping * scale), -gradient)
            tried = now + step.view_as(now)
            gain = loss - _loss(model, tried, all_samples)
            if gain > 0:  # and so a number
                break
            damping *= HARDENED
        else:
            break
        now, damping = tried, max(damping / EASED, LEAST_DAMPING)
        if gain < ENOUGH * loss:
            break
    model.coefficients.copy_(now)


def _errors(model: SETSpheres, coefficients: Tensor, part: Samples) -> Tensor:
    """Return weighed errors (S, 3 N), of coefficients (S, F, K)."""
    pairs = pairs_of(part.x)
    made = polynomials(pairs.r, coefficients, model.alone)
    exact = looked_up(pairs.r, tables(model.coefficients.detach(), model.alone, model.pairs)[1])
    share = pair_share().to(made.value)
    functions = Values(made.value - exact.value @ share, made.slope - exact.slope @ share)
    off = induced_forces(pairs, part.charges, functions) - part.forces
    weight = 1.0 / (part.forces.square().mean((1, 2)).sqrt() + FLOOR)
    return (off * weight[:, None, None]).flatten(1)


def _loss(model: SETSpheres, coefficients: Tensor, samples: Sequence[Samples]) -> float:
    return sum(
        float(_errors(model, coefficients.expand(len(part.x), -1, -1), part).square().sum())
        for some in samples
        for part in some.parts()
    )


def _normal_equations(
    model: SETSpheres, now: Tensor, samples: Sequence[Samples]
) -> tuple[Tensor, Tensor, float]:
    """Return J^T J, of some directions, and J^T e of the errors e, and their sum of squares."""
    size = now.numel()
    matrix, gradient, loss = now.new_zeros(size, size), now.new_zeros(size), 0.0
    generator = torch.Generator().manual_seed(0)
    for part in (part for some in samples for part in some.parts()):
        with torch.enable_grad():
            own = now.expand(len(part.x), -1, -1).clone().requires_grad_()
            errors = _errors(model, own, part)
            count = errors.shape[1]
            directions = _directions(count, min(count, ROWS), generator).to(errors)
            # of one direction of all samples at a time: samples do not depend on each other
            rows = [
                torch.autograd.grad((errors @ each).sum(), own, retain_graph=True)[0].flatten(1)
                for each in directions
            ]
            off = errors.detach()
            exact = torch.autograd.grad((errors * off).sum(), own)[0]
        jacobian = torch.stack(rows, dim=1).flatten(0, 1)
        matrix += jacobian.mT @ jacobian
        gradient += exact.flatten(1).sum(0)
        loss += float(off.square().sum())
    return matrix, gradient, loss


def _directions(count: int, rows: int, generator: torch.Generator) -> Tensor:
    """Return orthogonal directions (rows, count), of which all together weigh as `count` units."""
    drawn = torch.randn(count, rows, generator=generator, dtype=torch.float64)
    turned: Tensor = (count / rows) ** 0.5 * torch.linalg.qr(drawn)[0].mT
    return turned
