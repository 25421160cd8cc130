"""Coefficients of splitting methods, apart from what is split.

A step h is a row of stages; each is a kick over k_s h, by the forces at the present positions, and
then a drift over d_s h. Where kicks and drifts are those of a potential and of free motion, a stage
is v += k_s h a(x), x += d_s h v. Hairer, Lubich and Wanner, "Geometric Numerical Integration"
(2006), II.4 and II.5.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["DKD", "EULER", "KDK", "SRKN4", "SRKN6", "YOSHIDA4", "Composition"]


class Composition(NamedTuple):
    """A splitting method.

    Attributes
    ----------
    kicks, drifts : tuple of float
        k_s and d_s. A first kick of 0 makes a step begin with a drift, a last drift of 0 makes it
        end with a kick.
    """

    kicks: tuple[float, ...]
    drifts: tuple[float, ...]

    @property
    def opening(self) -> int:
        """Force evaluations before the first step: 1 where steps begin and end with a kick.

        A kick that ends a step and the one that begins the next are at the same positions, so they
        share one evaluation, and only the first step of all has to make one more.
        """
        return int(self.kicks[0] != 0 and self.drifts[-1] == 0)

    @property
    def evaluations(self) -> int:
        """Force evaluations of a step beyond the opening one."""
        return sum(kick != 0 for kick in self.kicks) - self.opening


def _from_kick(*half: float) -> Composition:
    """Return the palindrome of kick, drift, kick, ..., given up to and with its middle."""
    whole = half + half[-2::-1]
    return Composition(whole[::2], (*whole[1::2], 0.0))


def _from_drift(*half: float) -> Composition:
    """Return the palindrome of drift, kick, drift, ..., given up to and with its middle."""
    whole = half + half[-2::-1]
    return Composition((0.0, *whole[1::2]), whole[::2])


EULER = Composition((1.0,), (1.0,))

KDK = _from_kick(0.5, 1.0)
DKD = _from_drift(0.5, 1.0)

# Leapfrogs of these lengths sum to one, 2 w_1 + w_0 = 1, and their errors of third order to none,
# 2 w_1^3 + w_0^3 = 0; w_0 is negative, and has to be for that.
_OUTER = 1 / (2 - 2 ** (1 / 3))
_INNER = 1 - 2 * _OUTER

# Where two leapfrogs meet, their half kicks are one.
YOSHIDA4 = _from_kick(_OUTER / 2, _OUTER, (_OUTER + _INNER) / 2, _INNER)

# Blanes and Moan (2002), table 3, print 15 digits of these. The ones behind them are by the order
# conditions: of all solutions that nearest to what is printed, which moves no number by more than
# 1e-15.

# SRKN_6^b
SRKN4 = _from_kick(
    *(0.082984406417405018838, 0.2452989571842711626),
    *(0.39630980149836807709, 0.60487266571107997496),
    *(-0.039056304922348435171, -0.35017162289535113756),
    0.11952419401315067848,
)

# SRKN_11^b. Their SRKN_14^a has a seventh of its error at equal evaluations where steps are short.
# But at errors of 1e-3 to 1e-9 it has about as much with 5 particles, and with 30 up to three times
# as much.
SRKN6 = _from_kick(
    *(0.041464998518262843299, 0.12322977594627115156),
    *(0.19812867191806654114, 0.29055379779955827037),
    *(-0.040006192104152686889, -0.12704921262541691566),
    *(0.075253984301580341128, -0.24633176106207540419),
    *(-0.011511387420687770062, 0.35720887279592775262),
    *(0.23666992478693073139, 0.20477705429147029062),
)
