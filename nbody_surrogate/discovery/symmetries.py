"""Symmetries found, not supposed: terms that would break each are fitted, and tested for being 0.

Every symmetry is tested beside all others: the law of central pair forces, fields and drag is
extended at once by low-order terms of every kind, and what one symmetry forbids is tested given the
rest. So a wake does not pass for an anisotropy, nor a drag for a drift.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nbody_surrogate.discovery.breaking import KINDS, BreakingTerms
from nbody_surrogate.discovery.estimate import Estimate
from nbody_surrogate.discovery.extended import Extended, extend
from nbody_surrogate.discovery.innovations import SMOOTH
from nbody_surrogate.discovery.tellable import relative_error
from nbody_surrogate.discovery.unknowns import FIELDS, Layout
from nbody_surrogate.discovery.wald import wald
from nbody_surrogate.results.paired import holm

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = [
    *("UNDIRECTED", "Symmetry", "corrected", "energy_of", "find_symmetries", "is_directed"),
    "without_leaks",
]

SURE = 1e-3
"""Probability below which pair forces get a direction, which is two hundred unknowns more."""

LEVEL = 0.05
"""Probability of calling any unbroken symmetry of one set of tracks broken."""

SHAPED = frozenset(KINDS)
"""Symmetries whose terms have the shapes of pair forces: an error of the curves passes for them,
unless fields alone break them."""

UNDIRECTED = frozenset({"reciprocity", "isotropy"})
"""Symmetries that forces along an axis break."""

ERRORS = 2.0
"""Such a term has to be larger than so many errors of the pair force itself."""

NOTHING = 1e-4
"""Size over that of pair forces below which a term is what the curves leave out, however sure it
is: of exact tracks it always is."""

POOR = 0.1
"""Share of what is there that a straight line in u may show at least."""

LEAK = 0.05
"""Share of the largest term of a shape that may pass for other terms, as splines do not follow it
quite. In tracks that break one symmetry most of what was called broken beside it was below."""

MEANINGS = {
    "translation": "the law is the same everywhere: no field that grows with the place",
    "boost": "the law is the same in every uniformly moving frame: no drag",
    "time-shift": "the law is the same at all times: no drift of pair forces or fields",
    "reciprocity": "what i does to j, j does to i (Newton's third law)",
    "isotropy": "no direction is special to pair forces, and there is no uniform field",
    "reflection": "the mirror image of a motion is a motion: no swirl, no turning of velocities",
    "charge-conjugation": "the law is the same with all charges reversed",
    "energy": "energy is conserved",
}


@dataclass(frozen=True)
class Symmetry:
    """One symmetry, and what the tracks say of it.

    Attributes
    ----------
    name, meaning : str
    tested : bool
    why_not : str or None
        Where it is not tested.
    effect, low, high : float
        Size of the terms that break it, over that of pair forces (root mean squares), with its
        95 % interval.
    p, p_corrected : float
        Of the terms being 0, and corrected for the number of symmetries tested (Holm); of exact
        tracks 1 unless they are surely larger than `least`.
    least : float
        Size below which it is not called broken, however small p is.
    broken : bool
    shaped : float
        Size of those of its terms that have the shape of pair forces, and may leave something over.
    """

    name: str
    meaning: str
    tested: bool
    why_not: str | None = None
    effect: float = 0.0
    low: float = 0.0
    high: float = 0.0
    p: float = 1.0
    least: float = NOTHING
    p_corrected: float = 1.0
    broken: bool = False
    shaped: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain numbers."""
        return {
            "name": self.name,
            "meaning": self.meaning,
            "broken": self.broken,
            "effect": {"value": self.effect, "low": self.low, "high": self.high},
            "p": self.p,
            "p_corrected": self.p_corrected,
            "least": self.least,
            "tested": self.tested,
            "why_not": self.why_not,
        }


def find_symmetries(
    estimate: Estimate,
    rng: np.random.Generator,
    kinds: tuple[str, ...] = KINDS,
    follow_along_axis: bool = False,
) -> tuple[list[Symmetry], Extended]:
    """Test every symmetry given all others.

    Parameters
    ----------
    estimate : Estimate
        Of the law with all fields and drag. Its directed curve, if it has one, stands for all that
        would break reciprocity and isotropy; `kinds` must then leave these out.
    rng : numpy.random.Generator
        Of the intervals.
    kinds : tuple of str
        Of `KINDS`, those that are looked for.
    follow_along_axis : bool
        Whether a directed curve will follow what is broken, so that it need not be followed here.

    Returns
    -------
    symmetries : list of Symmetry
    extended : Extended
        The law with all terms.
    """
    # terms that tracks do not tell from pair forces would only take these forces' places
    kinds = tuple(kind for kind in kinds if _untold(kind, estimate) is None)
    fine: frozenset[str] = frozenset()
    while True:
        extended = extend(estimate, BreakingTerms(estimate.problem, fine, kinds))
        found = _tested(estimate, extended, rng)
        # a straight line leaves something of what is there, which then passes for other terms: so
        # what breaks most is followed as it goes, before anything is said of the rest
        coarse = [each for each in _shown(found) if each.name in set(kinds) - fine]
        if not coarse or _clear(found) or follow_along_axis:
            followed = UNDIRECTED if follow_along_axis else frozenset()
            return without_leaks(found, followed), extended
        fine |= {max(coarse, key=lambda each: each.effect).name}


def _clear(found: list[Symmetry]) -> bool:
    """Whether one symmetry is broken, and nothing is left over that might pass for another."""
    (*rest, first) = sorted(found, key=lambda each: each.effect)
    return first.broken and all(each.p_corrected > LEVEL for each in rest if each.tested)


def _shown(found: list[Symmetry]) -> list[Symmetry]:
    """Return what is broken by terms of a shape, or might be for want of a better shape."""
    shown = [each for each in found
             if each.name in SHAPED and each.p_corrected < LEVEL
             and each.high > POOR * each.least]  # fmt: skip
    least = LEAK * max((each.shaped for each in shown), default=0.0)
    return [each for each in shown if each.effect >= least]


def is_directed(estimate: Estimate, extended: Extended) -> bool:
    """Whether pair forces are not central, or not reciprocal, whatever the fields are."""
    every = np.eye(extended.values.size)[extended.unknowns.layout.size :]
    for kind in UNDIRECTED:
        rows = every[extended.terms.parts[kind]]
        _, _, high = _effect(extended, rows, np.random.default_rng(0))
        if _chance(extended, rows) < SURE and high > _floor(estimate):
            return True
    return False


def _floor(estimate: Estimate) -> float:
    return max(NOTHING, ERRORS * relative_error(estimate))


def _chance(extended: Extended, rows: np.ndarray) -> float:
    """Return the p-value of some combinations being 0."""
    if not len(rows):
        return 1.0
    return wald(rows @ extended.values, rows @ extended.covariance @ rows.T).p


def _tested(estimate: Estimate, extended: Extended, rng: np.random.Generator) -> list[Symmetry]:
    layout = estimate.problem.layout
    floor = _floor(estimate)
    found = []
    for name, rows in _combinations(layout, extended).items():
        p = _chance(extended, rows)
        effect, low, high = _effect(extended, rows, rng)
        fields = rows[~rows[:, layout.size :].any(1)]
        sure = _chance(extended, fields) < LEVEL / len(MEANINGS)
        least = floor if name in SHAPED and not sure else NOTHING
        if estimate.problem.stencil == SMOOTH and low <= least:
            p = 1.0  # of exact tracks it is that of what the curves leave out
        pairs = rows[rows[:, layout.size :].any(1)]
        shaped = _effect(extended, pairs, rng)[0] if len(pairs) < len(rows) else effect
        found.append(
            Symmetry(name, MEANINGS[name], True, None, effect, low, high, p, least, shaped=shaped)
        )
    for name in MEANINGS:
        if why_not := _untold(name, estimate):
            found.append(Symmetry(name, MEANINGS[name], tested=False, why_not=why_not))
    return corrected(found)


def _combinations(layout: Layout, extended: Extended) -> dict[str, Float64[np.ndarray, "G Z"]]:
    """Return for each symmetry the combinations of all values that it wants to be 0."""
    terms = extended.terms
    every = np.eye(layout.size + terms.amounts.size)
    drag = every[layout.part("drag")].mean(0, keepdims=True)
    none = every[:0]
    extra = {name: every[layout.size :][terms.parts[name]] if name in terms.parts else none
             for name in KINDS}  # fmt: skip
    uniform, charged, gradient, by_charge = (every[layout.part(name)] for name in FIELDS)
    uneven = [y[1:] - y[:1] for y in (gradient, by_charge)]
    rows = {
        "translation": np.concatenate([gradient, by_charge]),
        "boost": drag,
        "time-shift": extra["time-shift"],
        "reciprocity": extra["reciprocity"],
        "isotropy": np.concatenate(
            [
                extra["isotropy"],
                _without_centre(extended, uniform, charged, gradient, by_charge),
                *uneven,
            ]
        ),
        "reflection": extra["reflection"],
        "charge-conjugation": np.concatenate([extra["charge-conjugation"], charged, by_charge]),
    }
    return {name: each for name, each in rows.items() if name in terms.parts or name not in KINDS}


def _without_centre(
    extended: Extended,
    uniform: np.ndarray,
    charged: np.ndarray,
    gradient: np.ndarray,
    by_charge: np.ndarray,
) -> np.ndarray:
    """Return what no other centre of a trap would take away of the uniform fields.

    A trap is the same in all directions about its own centre, which need not be the middle of the
    tracks; a second one, of charges, must have the same.
    """
    if _chance(extended, np.concatenate([gradient, by_charge])) > LEVEL / len(MEANINGS):
        return np.concatenate([uniform, charged])
    slopes = np.array([(rows @ extended.values).mean() for rows in (gradient, by_charge)])
    along = slopes / np.linalg.norm(slopes)
    return np.asarray(along[1] * uniform - along[0] * charged)


def _untold(name: str, estimate: Estimate) -> str | None:
    """Return why tracks say nothing of a symmetry, or None."""
    if name == "charge-conjugation":
        signs = np.sign(estimate.unknowns.part("responses"))
        if np.all(signs == signs[0]):
            return "all particles have charges of one sign"
    return None


def _effect(
    extended: Extended, rows: np.ndarray, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Return the size of what some combinations stand for over that of pair forces."""
    if not len(rows):
        return 0.0, 0.0, 0.0
    # the combinations pick unknowns, or differences of them: project onto what they span
    basis = np.linalg.pinv(rows)
    form = basis.T @ extended.sizes @ basis / max(extended.pair, 1e-300)
    values, covariance = rows @ extended.values, rows @ extended.covariance @ rows.T
    chance = float(np.trace(form @ covariance))
    draws = rng.multivariate_normal(values, covariance, 400, method="eigh")
    squares = np.einsum("sa,ab,sb->s", draws, form, draws)
    low, high = np.quantile(squares, [0.025, 0.975])
    # errors make any size larger than it is: once in the estimate, twice in draws about it
    inside = [float(values @ form @ values) - chance, low - 2.0 * chance, high - 2.0 * chance]
    value, low, high = (float(np.sqrt(max(y, 0.0))) for y in inside)
    return value, min(low, value), max(high, value)


def corrected(found: list[Symmetry]) -> list[Symmetry]:
    """Correct for the number of tests after Holm, and decide."""
    ps = holm([each.p if each.tested else np.nan for each in found])
    return [
        replace(each, p_corrected=p, broken=p < LEVEL and each.high > each.least)
        if each.tested
        else each
        for each, p in zip(found, ps, strict=True)
    ]


def without_leaks(found: list[Symmetry], followed: frozenset[str] = frozenset()) -> list[Symmetry]:
    """Call nothing broken that is no more than what the largest term of a shape leaves over.

    Those in `followed` leave nothing, as a directed curve has all of them, and are left alone.
    """
    shaped = [each for each in found if each.broken and each.name in SHAPED - followed]
    least = LEAK * max((each.shaped for each in shaped), default=0.0)
    return [
        replace(each, least=max(each.least, least), broken=False)
        if each.broken and each.name not in followed and each.effect < least
        else each
        for each in found
    ]


def energy_of(found: list[Symmetry]) -> Symmetry:
    """Return what the others say of energy."""
    by = [each for each in found
          if each.name in ("boost", "time-shift", "reciprocity", "reflection")]  # fmt: skip
    worst = min(by, key=lambda each: each.p_corrected)
    return replace(worst, name="energy", meaning=f"{MEANINGS['energy']} (told by {worst.name})")
