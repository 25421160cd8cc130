"""Where the search begins: an envelope, a coarse curve, strengths and responses with their signs.

Under a given envelope, and with a few coefficients for every ordered pair, the equation of motion
is linear. Its normal equations are summed once; the product response times strength times curve is
then fitted to them by alternating least squares, from many patterns of signs, without looking at
the tracks again. Envelopes are told apart by what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, final

import numpy as np

from nbody_surrogate.discovery.equations import Problem, equations
from nbody_surrogate.discovery.forces import View, view
from nbody_surrogate.discovery.splines import Envelope, Knots, PairCurve
from nbody_surrogate.discovery.unknowns import Unknowns

if TYPE_CHECKING:
    from jaxtyping import Float64, Int64

__all__ = ["ENVELOPES", "begin", "excerpt", "first_unknowns"]

STRIDE = 4
"""Frames between those whose accelerations are looked at before anything is known."""

COARSE = 7
"""Coefficients of the curve of each pair."""

SHORT, LONG = 12, 200
"""Rounds of alternating least squares for each pattern of signs, and for the best."""

FEW, TRIALS = 12, 64
"""Patterns of signs that the split into responses and strengths begins with."""

FRAMES = 2500
"""Frames, over all runs, that a start is sought in; it need not be exact."""

ENVELOPES = tuple(
    [Envelope(-2.0, length) for length in (np.inf, 2.0, 1.0, 0.5)]
    + [Envelope(-2.0, np.inf, core) for core in (0.04, 0.12)]
    + [Envelope(power) for power in (0.0, 1.0)]
)
"""Candidates; lengths and cores in units of the median distance."""


class Start(NamedTuple):
    """A place to begin the search from.

    Attributes
    ----------
    problem : Problem
        With its envelope.
    unknowns : Unknowns
    alone : bool
        Whether it was found with pair forces alone, without fields and drag.
    """

    problem: Problem
    unknowns: Unknowns
    alone: bool


class Linear(NamedTuple):
    """Normal equations of one particle's forces: of each other one by each coefficient.

    Shapes: `sources` (O,), numbers of strengths; `information` (O K, O K), `score` (O K,).
    """

    sources: Int64[np.ndarray, " O"]
    information: Float64[np.ndarray, "S S"]
    score: Float64[np.ndarray, " S"]
    rest: float


class Product(NamedTuple):
    """Responses, strengths and a curve, and the sum of squares that they leave."""

    misfit: float
    responses: np.ndarray
    strengths: np.ndarray
    curve: np.ndarray


def first_unknowns(problem: Problem) -> Unknowns:
    """Return unknowns that know nothing but how rough the tracks are.

    Kicks stand for all acceleration at first, so that no frame is trusted too much.
    """
    layout, d = problem.layout, problem.dimensions
    differences = []
    rough = np.zeros(problem.particles)
    for run in problem.runs:
        for i in range(run.n):
            # sixth differences of a smooth path are nothing; their noise is of variance 924
            smooth = run.told(i, 12) or run.stretches(i, 40)
            differences += [np.diff(run.x[part, i], 6, axis=0) for part in smooth]
            for part in run.stretches(i, 40):
                x = run.x[part, i]
                # the median leaves out encounters, over which frames are too far apart to tell
                second = (np.diff(x[::STRIDE], 2, axis=0) ** 2).sum(1)
                rough[run.first + i] = np.median(second) / (STRIDE * run.dt) ** 3
    noise = np.full(d, 1e-6)
    if differences:
        noise = np.median(np.concatenate(differences) ** 2, axis=0) / (924 * 0.455)
    known = rough[rough > 0]
    # one that moves straight may yet be pulled later
    rough = np.maximum(rough, 1e-2 * known.mean() if known.size else 1.0)
    small = 1e-24 * float(np.mean([run.visited(11).mean() for run in problem.runs])) ** 2
    unknowns = Unknowns(
        np.zeros(layout.size),
        layout,
        np.maximum(noise, small),
        np.maximum(rough, small),
    )
    for name in ("curve", "strengths", "responses"):
        unknowns.part(name)[:] = 1.0
    return unknowns


def excerpt(problem: Problem, frames: int = FRAMES) -> Problem:
    """Return the problem of the first frames of each run."""
    share = max(100, frames // len(problem.runs))
    runs, start = [], 0
    for run in problem.runs:
        short = slice(0, share)
        runs.append(run.cut(short, start))
        start += len(runs[-1].x)
    return replace(problem, runs=tuple(runs))


def begin(problem: Problem, envelopes: Sequence[Envelope] = ENVELOPES) -> list[Start]:
    """Return the best start with pair forces alone, and the best with fields and drag beside."""
    scale = problem.curve.scale
    coarse = replace(problem.curve, knots=coarser(problem.curve.knots, COARSE))
    few = replace(excerpt(problem), directed=None, curve=coarse)
    best: dict[bool, tuple[Product, Envelope]] = {}
    sums: dict[bool, list[Linear | None]] = {}
    for envelope in envelopes:
        here = Envelope(envelope.power, envelope.length * scale, envelope.core * scale)
        trial = replace(few, curve=coarse.under(here))
        for alone, linear in _normal(trial).items():
            product = _product(trial, linear, FEW)
            if alone not in best or product.misfit < best[alone][0].misfit:
                best[alone], sums[alone] = (product, here), linear
    starts = []
    for alone, (product, here) in best.items():
        # envelopes are told apart by few patterns of signs; the one that is gone on with gets many
        more = _product(replace(few, curve=coarse.under(here)), sums[alone], TRIALS)
        chosen = more if more.misfit < product.misfit else product
        starts.append(_start(problem, coarse, alone, chosen, here))
    return starts


def _start(
    problem: Problem, coarse: PairCurve, alone: bool, product: Product, envelope: Envelope
) -> Start:
    directed = None if problem.directed is None else problem.directed.under(envelope)
    chosen = replace(problem, curve=problem.curve.under(envelope), directed=directed)
    unknowns = first_unknowns(chosen)
    unknowns.part("strengths")[:] = product.strengths
    unknowns.part("responses")[:] = product.responses
    # the fine curve that is nearest to the coarse one
    u = np.linspace(*chosen.curve.knots.ends, 400)
    fine, wide = chosen.curve.knots.matrix(u), coarse.knots.matrix(u)
    unknowns.part("curve")[:] = np.linalg.lstsq(fine, wide @ product.curve, rcond=1e-6)[0]
    unknowns.fix_scales()
    return Start(chosen, unknowns, alone)


def _normal(problem: Problem) -> dict[bool, list[Linear | None]]:
    """Return the normal equations of each particle, with pair forces alone and with all."""
    unknowns = first_unknowns(problem)
    unknowns.part("curve")[:] = 0.0  # innovations are then of the tracks themselves
    found: dict[bool, list[Linear | None]] = {
        key: [None] * problem.particles for key in (True, False)
    }
    for run, measured in enumerate(problem.runs):
        for i in range(measured.n):
            a, b, rest, sources = _sums(problem, unknowns, run, i)
            size = sources.size * problem.curve.knots.count
            for alone, linear in found.items():
                count = size if alone else len(a)
                mine = _without_rest(a[:count, :count], b[:count], rest, size, sources)
                before = linear[measured.first + i]
                linear[measured.first + i] = mine if before is None else _added(before, mine)
    return found


def _sums(
    problem: Problem, unknowns: Unknowns, run: int, i: int
) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
    """Sum the normal equations: of pairs, then of a field and a drag of the particle's own."""
    layout, count = problem.layout, problem.curve.knots.count
    one = unknowns.copy()
    terms = PairTerms(problem, one)
    a = b = np.zeros(0)
    rest = 0.0
    fields = [layout.part(name).start + d for name in ("uniform", "gradient")
              for d in range(problem.dimensions)]  # fmt: skip
    m = problem.runs[run].first + i
    others = np.array([j for j in range(problem.runs[run].n) if j != i], dtype=np.int64)
    wanted = np.concatenate(
        [layout.size + np.arange(others.size * count), fields, [layout.part("drag").start + m]]
    ).astype(np.int64)
    place = np.full(layout.size + others.size * count, -1)
    place[wanted] = np.arange(wanted.size)
    a, b = np.zeros((wanted.size, wanted.size)), np.zeros(wanted.size)
    terms.amounts = np.zeros(others.size * count)
    for part in equations(problem, one, run, i, terms):
        for which, columns, innovations in zip(
            part.which, part.columns, part.innovations, strict=True
        ):
            at = place[which]
            x, at = columns[:, at >= 0], at[at >= 0]
            a[np.ix_(at, at)] += x.T @ x
            b[at] += x.T @ innovations
            rest += float(innovations @ innovations)
    return a, b, rest, problem.strengths_of(run, i, others)


@final
class PairTerms:
    """Accelerations by each other particle and each coefficient, in unit strengths."""

    def __init__(self, problem: Problem, unknowns: Unknowns) -> None:
        self._problem = problem
        self._unknowns = unknowns.copy()
        self.amounts = np.zeros(0)

    def accelerations(
        self, run: int, i: int, seen: View, unknowns: Unknowns
    ) -> Float64[np.ndarray, "D T E"]:
        """Return them, the coefficients of one particle side by side."""
        columns = []
        for k in range(self._problem.curve.knots.count):
            self._unknowns.part("curve")[:] = 0.0
            self._unknowns.part("curve")[k] = 1.0
            columns.append(view(self._problem, self._unknowns, run, i).by_other)
        return np.stack(columns, -1).reshape(*columns[0].shape[:2], -1)


def _without_rest(
    a: np.ndarray, b: np.ndarray, rest: float, size: int, sources: np.ndarray
) -> Linear:
    """Eliminate what stands behind the pairs' coefficients."""
    tail = a[size:, size:]
    scale = 1.0 / np.sqrt(np.maximum(np.diag(tail), 1e-300))
    inverse = np.linalg.pinv(tail * scale[:, None] * scale, rcond=1e-9, hermitian=True)
    inverse = inverse * scale[:, None] * scale
    mixed = a[:size, size:] @ inverse
    information = a[:size, :size] - mixed @ a[size:, :size]
    left = rest - float(b[size:] @ inverse @ b[size:])
    return Linear(sources, information, b[:size] - mixed @ b[size:], left)


def _added(one: Linear, other: Linear) -> Linear:
    """Add up what two runs say of the same particle."""
    return Linear(
        one.sources,
        one.information + other.information,
        one.score + other.score,
        one.rest + other.rest,
    )


def _product(problem: Problem, linear: list[Linear | None], trials: int) -> Product:
    """Fit responses times strengths times a curve, from several patterns of signs."""
    rng = np.random.default_rng(0)
    layout = problem.layout
    every = _stacked(linear, problem.curve.knots.count)
    best = None
    for trial in range(trials):
        signs = np.ones(layout.strengths)
        if trial:
            signs = rng.choice([-1.0, 1.0], layout.strengths)
        free = problem.couplings is None
        responses = signs.copy() if free else np.ones(problem.particles)
        found = _alternate(problem, every, responses, signs, SHORT)
        if best is None or found.misfit < best.misfit:
            best = found
    assert best is not None
    return _alternate(problem, every, best.responses, best.strengths, LONG)


class Stacked(NamedTuple):
    """Normal equations of all particles as arrays; those with fewer others are filled up by 0.

    Shapes: sources (M, O), information (M, O, K, O, K), score (M, O, K).
    """

    sources: Int64[np.ndarray, "M O"]
    information: Float64[np.ndarray, "M O K O K"]
    score: Float64[np.ndarray, "M O K"]
    rest: float


def _stacked(linear: list[Linear | None], count: int) -> Stacked:
    parts = [(m, part) for m, part in enumerate(linear) if part is not None]
    most = max(part.sources.size for _, part in parts)
    shape = (len(linear), most, count)
    sources = np.zeros(shape[:2], dtype=np.int64)
    information, score = np.zeros((*shape, most, count)), np.zeros(shape)
    for m, part in parts:
        n = part.sources.size
        sources[m, :n] = part.sources
        information[m, :n, :, :n] = part.information.reshape(n, count, n, count)
        score[m, :n] = part.score.reshape(n, count)
    return Stacked(sources, information, score, sum(part.rest for _, part in parts))


def _alternate(
    problem: Problem,
    every: Stacked,
    responses: np.ndarray,
    strengths: np.ndarray,
    rounds: int,
) -> Product:
    """Improve curve, responses and strengths in turn; each is linear given the others."""
    curve = np.zeros(problem.curve.knots.count)
    misfit = np.inf
    for _ in range(rounds):
        curve = _best_curve(every, responses, strengths)
        responses, misfit = _best_responses(every, responses, strengths, curve)
        strengths = _best_strengths(every, responses, strengths, curve)
        size = np.abs(responses).mean() or 1.0, np.abs(strengths).mean() or 1.0
        responses, strengths = responses / size[0], strengths / size[1]
    curve = _best_curve(every, responses, strengths)
    # exactly 0 could never be left again: scales move by the sign of a strength
    small = 1e-3
    responses = np.where(np.abs(responses) < small, small, responses)
    strengths = np.where(np.abs(strengths) < small, small, strengths)
    # so that masses come out positive if they can; couplings may have either sign
    signs = np.sign(strengths) if problem.couplings is None else np.ones(responses.size)
    if np.sum(np.sign(responses) * signs) < 0:
        responses, curve = -responses, -curve
    if strengths.sum() < 0:
        # which of two signs is which, nobody can tell
        strengths = -strengths
        if problem.couplings is None:
            responses = -responses
        else:
            curve = -curve
    return Product(misfit, responses, strengths, curve)


def _best_curve(every: Stacked, responses: np.ndarray, strengths: np.ndarray) -> np.ndarray:
    near = strengths[every.sources]
    a = np.einsum("m,mo,mokpl,mp->kl", responses**2, near, every.information, near, optimize=True)
    return _ridged(a, np.einsum("m,mo,mok->k", responses, near, every.score))


def _best_responses(
    every: Stacked, responses: np.ndarray, strengths: np.ndarray, curve: np.ndarray
) -> tuple[np.ndarray, float]:
    force = strengths[every.sources][..., None] * curve
    square = np.einsum("mok,mokpl,mpl->m", force, every.information, force, optimize=True)
    along = np.einsum("mok,mok->m", force, every.score)
    told = square > 0
    responses = np.where(told, along / np.where(told, square, 1.0), responses)
    return responses, every.rest - float((along * responses)[told].sum())


def _best_strengths(
    every: Stacked, responses: np.ndarray, strengths: np.ndarray, curve: np.ndarray
) -> np.ndarray:
    a, b = np.zeros((strengths.size,) * 2), np.zeros(strengths.size)
    pairs = np.einsum("k,mokpl,l->mop", curve, every.information, curve, optimize=True)
    where = every.sources[:, :, None], every.sources[:, None, :]
    np.add.at(a, where, (responses**2)[:, None, None] * pairs)
    np.add.at(b, every.sources, responses[:, None] * (every.score @ curve))
    return _ridged(a, b)


def _ridged(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Solve normal equations that may not tell all."""
    scale = 1.0 / np.sqrt(np.maximum(np.diag(a), 1e-300))
    h = a * scale[:, None] * scale + 1e-7 * np.eye(len(a))
    return scale * np.linalg.solve(h, scale * b)


def coarser(knots: Knots, count: int) -> Knots:
    """Return another number of knots over the same range."""
    return Knots.over(*knots.ends, count)
