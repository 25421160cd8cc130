"""SET for charged spheres that polarise each other: induced features, and learned couplings.

Forces of conducting spheres are of many bodies: what one sphere induces in another acts on all
others. Solvers carry moments up to a high degree p for each sphere. Here each carries the features
that matter, a vector and a tensor of second rank (moments of degree 1 and 2), which attend to each
other until the energy is least, and the next three degrees follow from them in one pass. How they
couple, 56 functions of the distance say: those of two spheres alone, by which each pair is exact
(`nbody_set.sphere_pairs`), and what is learned from forces in clouds, so that they answer for all
that is left out.

The energy is exactly quadratic in the charges, does not depend on axes or origin, and forces are
its gradient: so momentum and angular momentum are kept to rounding.

A frame is a palindrome: `kicks` by all that is induced, and between them motion by the exact forces
of pairs and the repulsion of surfaces, which are cheap and steep (Tuckerman, Berne and Martyna, J.
Chem. Phys. 97 (1992) 1990). Kicks are at the nodes of Gauss and have its weights, by which their
error is of order 2 `kicks` in the frame's length, for what is induced is a small part of the forces
(McLachlan, BIT 35 (1995) 258). The motion between is by a splitting of order 4 (Blanes and Moan, J.
Comput. Appl. Math. 142 (2002) 313, method SRKN6b), in `inner` steps. So frames are symplectic and
reversible, whatever the weights.

Axes: B trajectories, T frames, S = B T samples, N spheres, F functions, K coefficients.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from nbody_set.sphere_forces import WIDTH, fast_forces, pairs_of, slow_forces
from nbody_set.sphere_functions import pair_coefficients, pair_functions, tables
from nbody_set.sphere_pairs import TERMS
from nbody_set.sphere_schedule import STAGES, schedule
from nbody_surrogate.contracts import (
    AbstractFusedSteps,
    AbstractSurrogate,
    Cache,
    FieldLaw,
    InputError,
    Particles,
    ParticleTensors,
    SurrogateConfig,
)

if TYPE_CHECKING:
    from nbody_set.sphere_kernel import Law

__all__ = ["SETSpheres", "SETSpheresConfig"]

WEIGHTS = Path(__file__).parent / "weights"
SAME = 1e-9  # of a radius, by which that of a sphere may differ


class SETSpheresConfig(SurrogateConfig):
    """Form of `SETSpheres`; what the system has too is that of the data."""

    free: ClassVar[frozenset[str]] = frozenset(
        {"kicks", "inner", "frame_dt", "least_gap", "repulsion", "coupling", "radius"}
    )

    kicks: int = Field(
        default=2, ge=1, le=32, description="per frame, by what is induced, at nodes of Gauss"
    )
    inner: int = Field(
        default=1, ge=1, le=16, description="steps of order 4 by pairs, before and after each kick"
    )
    degree: int = Field(default=8, ge=4, le=16, description="of the polynomials in 2 R / r")
    radius: float = Field(default=1.0, gt=0, description="of all spheres")
    permittivity: None = Field(default=None, description="none: spheres are conductors")
    coupling: float = Field(default=1.0, ge=0, description="k of Coulomb's law")
    least_gap: float = Field(default=0.15, gt=0, description="of the repulsion of surfaces")
    repulsion: float = Field(default=0.5, gt=0, description="a pair's energy at the least gap")
    frame_dt: float = Field(default=0.1, gt=0)


@final
class SETSpheres(AbstractSurrogate[SETSpheresConfig]):
    """Kicks from a learned energy of induced moments, between steps by exact forces of pairs."""

    Config = SETSpheresConfig
    shipped_weights = MappingProxyType({"set-spheres": WEIGHTS / "set-spheres"})
    symmetries = frozenset(
        {
            "translation",
            "rotation",
            "reflection",
            "permutation",
            "time-shift",
            "time-reversal",
            "boost",
            "charge-conjugation",
        }
    )

    def __init__(self, config: SETSpheresConfig) -> None:
        super().__init__(config)
        # In double precision: what is learned is a thousandth of the forces, and long runs keep
        # their energy.
        shape = (len(TERMS), config.degree + 1)
        self.coefficients = nn.Parameter(torch.zeros(shape, dtype=torch.float64))
        self.alone: Tensor
        self.register_buffer("alone", torch.tensor(pair_functions()))
        self.pairs: Tensor
        self.register_buffer("pairs", torch.tensor(pair_coefficients()))
        self._kept: tuple[tuple[tuple[int, int], ...], tuple[Law, np.ndarray]] | None = None

    @property
    def evaluations_per_frame(self) -> int:
        """See `AbstractSurrogate.evaluations_per_frame`."""
        return self.config.kicks

    @property
    def fixed_radius(self) -> float:
        """See `AbstractSurrogate.fixed_radius`."""
        return self.config.radius

    def forward(self, x: Tensor, v: Tensor, particles: ParticleTensors) -> tuple[Tensor, Tensor]:
        """See `AbstractSurrogate.forward`."""
        batch, frames, n, dimensions = x.shape
        config = self.config
        self._demand_radii(particles.radii)
        charges, masses = (
            y.to(self.dtype)[:, None].expand(batch, frames, n).reshape(-1, n)
            for y in (particles.charges, particles.masses)
        )
        charges = charges * config.coupling**0.5
        # Far from the origin, sums would lose the digits that differences need.
        place = _in_space((x - x[:, :, :1]).to(self.dtype))
        v = _in_space(v.to(self.dtype))
        dx, dv = torch.zeros_like(place), torch.zeros_like(place)
        functions, exact = tables(self.coefficients, self.alone, self.pairs)
        unit = 1.0 / config.radius**2  # of forces
        strength, fast = config.repulsion * config.radius, None
        times, kicks = schedule(config.kicks)
        for gap, kick in zip(times, (*kicks, None), strict=True):
            step = gap * config.frame_dt / config.inner
            for _ in range(config.inner):
                for drift, weight in STAGES:
                    if drift or fast is None:
                        dx = dx + drift * step * (v + dv)
                        pairs = pairs_of((place + dx) / config.radius)
                        fast = fast_forces(pairs, charges, exact, config.least_gap, strength)
                    dv = dv + weight * step * unit * fast / masses[..., None]
            if kick is not None:
                pairs = pairs_of((place + dx) / config.radius)
                forces = slow_forces(pairs, charges, functions)
                dv = dv + kick * config.frame_dt * unit * forces / masses[..., None]
        return tuple(y[..., :dimensions].view(x.shape) for y in (dx, dv))  # type: ignore[return-value]

    def start_cache(self, x: Tensor, v: Tensor, particles: ParticleTensors) -> Cache:
        """See `AbstractSurrogate.start_cache`; nothing, as a frame says all."""
        return {}

    def step_cache(
        self, cache: Cache, x: Tensor, v: Tensor, particles: ParticleTensors
    ) -> tuple[Tensor, Tensor, Cache]:
        """See `AbstractSurrogate.step_cache`."""
        dx, dv = self(x[:, None], v[:, None], particles)
        return dx[:, 0], dv[:, 0], {}

    def fused_steps(
        self, particles: Particles, dimensions: int, field: FieldLaw | None
    ) -> AbstractFusedSteps | None:
        """See `AbstractSurrogate.fused_steps`; in double precision."""
        from nbody_set.sphere_steps import SphereSteps  # numba takes its time

        radii = particles.radii
        if self.dtype is not torch.float64 or not (radii is None or self._fits(radii)):
            return None  # of other radii `forward` says what is wrong
        return SphereSteps(*self._law(), particles, self.config.coupling)

    @torch.no_grad()
    def initialise(
        self, x: Tensor, v: Tensor, particles: ParticleTensors, dx: Tensor, dv: Tensor
    ) -> None:
        """Fit the functions to forces; see `sphere_fit`."""
        from nbody_set.sphere_fit import Samples, fit

        if self.dtype is torch.float64:
            fit(self, Samples.of_frames(self, x, v, particles, dx, dv))

    def _law(self) -> tuple[Law, np.ndarray]:
        """Return what the compiled code takes; kept, as tables take longer than a frame."""
        held = (self.coefficients, self.alone, self.pairs)
        state = tuple((each.data_ptr(), each._version) for each in held)
        if self._kept is None or self._kept[0] != state:
            self._kept = state, self._made_law()
        return self._kept[1]

    def _made_law(self) -> tuple[Law, np.ndarray]:
        from nbody_set.sphere_kernel import Law

        config = self.config
        times, kicks = schedule(config.kicks)
        with torch.no_grad():
            made = tables(self.coefficients, self.alone, self.pairs)
        functions, exact = (each.cpu().contiguous().numpy() for each in made)
        law = Law(
            exact,
            config.least_gap,
            WIDTH * config.least_gap,
            config.repulsion * config.radius,
            config.radius,
            config.frame_dt,
            config.inner,
            np.array(times),
            np.array(kicks),
            np.array(STAGES),
        )
        return law, functions

    def _fits(self, radii: np.ndarray) -> bool:
        return bool(np.allclose(radii, self.config.radius, rtol=SAME, atol=0.0))

    def _demand_radii(self, radii: Tensor | None) -> None:
        if radii is None or radii.device.type == "meta":
            return
        wanted = self.config.radius
        if not self._fits(radii.detach().cpu().numpy()):
            found = f"{float(radii.min()):g} to {float(radii.max()):g}"
            raise InputError(f"`radii` must all be {wanted:g}, that of the model, got {found}")


def _in_space(y: Tensor) -> Tensor:
    """Return vectors (S, N, 3) of windows: spheres in a plane are spheres all the same."""
    flat = y.reshape(-1, *y.shape[2:])
    return nn.functional.pad(flat, (0, 3 - flat.shape[-1]))
