"""A bath of particles too many to follow: drag, and kicks at random."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np

from nbody_surrogate.contracts.origin import Origin
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.contracts.violations import array_or_none

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["SystemKicks"]


class SystemKicks:
    """The duties of a system in a bath, such as grains in a gas; none by default.

    Particles obey the Langevin equation

        d v_i = [a_i(x) - g_i v_i] dt + sqrt(2 g_i T / m_i) dW_i

    with rates of drag g_i (1 / time), a temperature T (energy) and a Wiener process W_i for each
    component. In the end they have the temperature of the bath, whatever their g_i. To write one:

    1. return the g_i from `drag_rates`. The drag -g_i v_i is part of `one_body_acceleration` too,
       by which methods that know nothing of a bath move. No force but the drag may depend on
       velocities. Set `velocity_dependent` where there is a drag;
    2. return T from the property `bath_temperature`. Where it is not zero, only a method with the
       capability ``random-kicks`` takes the system, and nothing is conserved. Name the parameter
       ``temperature``: messages do.

    References
    ----------
    Langevin, C. R. Acad. Sci. 146 (1908) 530; Pavliotis, "Stochastic Processes and Applications"
    (2014), chapter 6.
    """

    origin: Origin

    @property
    def bath_temperature(self) -> float:
        """Temperature of the bath in units of energy, at least 0; by default there are no kicks."""
        return 0.0

    def drag_rates(self, particles: Particles) -> Float64[np.ndarray, "B N"] | None:
        """Rates g_i of linear drag, or None where forces are not of that kind.

        Parameters
        ----------
        particles : Particles

        Returns
        -------
        ndarray, shape (B, N), or None
            In 1 / time, at least 0.
        """
        return None

    @final
    def checked_drag_rates(self, particles: Particles) -> Float64[np.ndarray, "B N"] | None:
        """`drag_rates`, demanded to be what it must be.

        Raises
        ------
        PluginError
            If it is no float64 array of shape (B, N), or raises.
        """
        return array_or_none(self.origin, self.drag_rates, particles.charges.shape, particles)
