"""What is called broken, by values that tracks could have told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nbody_surrogate.discovery import symmetries
from nbody_surrogate.discovery.breaking import KINDS, BreakingTerms
from nbody_surrogate.discovery.extended import Extended
from nbody_surrogate.discovery.forces import accelerations, view
from nbody_surrogate.discovery.innovations import SMOOTH
from nbody_surrogate.discovery.splines import Envelope
from nbody_surrogate.discovery.symmetries import (
    LEAK,
    NOTHING,
    UNDIRECTED,
    Symmetry,
    corrected,
    find_symmetries,
    is_directed,
    without_leaks,
)


def extended(estimate, error=1e-4, amounts=(), **values):
    """As if all unknowns but these were 0, each within an error."""
    terms = BreakingTerms(estimate.problem, frozenset(), kinds(estimate))
    layout = estimate.problem.layout
    vector = np.zeros(layout.size + terms.amounts.size)
    for name, value in values.items():
        vector[layout.part(name)] = value
    for kind, value in dict(amounts).items():
        part = terms.parts[kind]
        vector[layout.size + part.start : layout.size + part.stop] = value
    size = vector.size
    covariance = error**2 * np.eye(size)
    return Extended(terms, estimate.unknowns, vector, covariance, np.eye(size), 1.0)


def kinds(estimate):
    signs = np.sign(estimate.unknowns.part("responses"))
    one = np.all(signs == signs[0])
    return tuple(kind for kind in KINDS if not (one and kind == "charge-conjugation"))


@pytest.fixture
def broken(dust, monkeypatch):
    def called(**given):
        found = extended(dust.estimate, **given)
        monkeypatch.setattr(symmetries, "extend", lambda *_: found)
        some, _ = find_symmetries(dust.estimate, np.random.default_rng(0), follow_along_axis=True)
        return {each.name for each in some if each.broken}

    return called


def test_nothing_breaks_nothing(broken):
    assert broken() == set()


def test_a_drag_breaks_boosts_alone(broken):
    assert broken(drag=0.2) == {"boost"}


def test_a_field_that_grows_alike_along_all_axes_is_a_place_and_no_direction(broken):
    assert broken(gradient=-0.5, gradient_by_charge=-0.3) == {"translation"}
    assert broken(gradient_by_charge=[-0.5, -0.7]) == {"translation", "isotropy"}


def test_a_uniform_field_is_a_direction(broken):
    assert broken(uniform=[0.0, 0.1]) == {"isotropy"}


def test_a_trap_is_about_its_centre_wherever_that_is(broken):
    centre = np.array([0.3, -0.2])
    both = {"gradient": -0.5, "gradient_by_charge": -0.3}
    assert broken(**both, uniform=0.5 * centre, uniform_by_charge=0.3 * centre) == {"translation"}
    # charges that are held elsewhere see a direction
    two = broken(**both, uniform=0.5 * centre, uniform_by_charge=-0.3 * centre)
    assert two == {"translation", "isotropy"}


def test_terms_with_the_shape_of_pair_forces_are_larger_than_these_forces_errors(dust, broken):
    floor = symmetries.ERRORS * symmetries.relative_error(dust.estimate)
    assert floor > 10 * NOTHING
    for kind in ("reciprocity", "isotropy", "time-shift"):
        count = len(range(*extended(dust.estimate).terms.parts[kind].indices(10**6)))
        for size, said in ((0.2 * floor, set()), (3.0 * floor, {kind})):
            each = size / np.sqrt(count)
            assert broken(error=1e-6, amounts={kind: each}) == said


def test_the_shape_of_a_trap_that_is_not_round_is_none_of_pair_forces(dust):
    rng = np.random.default_rng(0)
    (found,) = [each for each in symmetries._tested(
        dust.estimate, extended(dust.estimate, gradient=[1.0, 2.0]), rng)
        if each.name == "isotropy"]  # fmt: skip
    assert found.broken and found.effect > 0.5 and found.shaped < 1e-3
    (pairs,) = [each for each in symmetries._tested(
        dust.estimate, extended(dust.estimate, amounts={"isotropy": 0.3}), rng)
        if each.name == "isotropy"]  # fmt: skip
    assert pairs.shaped == pytest.approx(pairs.effect, rel=1e-3)


def test_a_sure_field_is_told_however_small_it_is_beside_the_pairs(dust, broken):
    floor = symmetries.ERRORS * symmetries.relative_error(dust.estimate)
    assert broken(error=1e-6, uniform=0.1 * floor) == {"isotropy"}


def test_forces_get_a_direction_only_where_it_is_no_error_of_theirs(dust):
    floor = symmetries.ERRORS * symmetries.relative_error(dust.estimate)
    for kind in ("reciprocity", "isotropy"):
        for size, said in ((0.02 * floor, False), (3.0 * floor, True)):
            found = extended(dust.estimate, error=1e-6, amounts={kind: size})
            assert is_directed(dust.estimate, found) == said
    assert not is_directed(dust.estimate, extended(dust.estimate, uniform=0.3))


def test_where_all_charges_have_one_sign_their_reversal_is_not_tested(dust, monkeypatch):
    found = extended(dust.estimate)
    monkeypatch.setattr(symmetries, "extend", lambda *_: found)
    some, _ = find_symmetries(dust.estimate, np.random.default_rng(0))
    (one,) = [each for each in some if each.name == "charge-conjugation"]
    assert not one.tested and "one sign" in one.why_not


def test_what_a_large_term_leaves_is_not_called_broken():
    """Splines do not follow a term quite, and errors are far smaller than what is left."""

    def of(name, effect, p=1e-9):
        ends = 0.9 * effect, 1.1 * effect
        return Symmetry(name, "", True, None, effect, *ends, p, shaped=effect)

    told = corrected([of("reciprocity", 0.06), of("boost", 0.002), of("isotropy", 0.004)])
    found = without_leaks(told)
    assert [each.broken for each in found] == [True, False, True]
    assert found[1].least == pytest.approx(LEAK * 0.06)
    # a field does not have the shape of pair forces, and leaves nothing
    fields = corrected([of("translation", 0.06), of("boost", 0.002)])
    assert without_leaks(fields) == fields
    # of a trap that is not round all but the uneven part of a field is left as it was
    trap = replace(of("isotropy", 3.6), shaped=0.001)
    trapped = corrected([trap, of("translation", 4.0), of("boost", 0.16)])
    assert all(each.broken for each in without_leaks(trapped))
    # nor does what a directed curve has: the drag of grains with wakes is a drag
    assert all(each.broken for each in without_leaks(told, UNDIRECTED))


def test_what_changes_with_time_is_the_pair_force_itself(charges):
    """Under any envelope: a straight line in u would not follow a force that turns its sign."""
    problem, unknowns = charges.estimate.problem, charges.estimate.unknowns
    curve = problem.curve.under(Envelope(1.0))
    odd = replace(problem, curve=curve)
    unknowns = unknowns.copy()
    unknowns.part("curve")[:] = np.cos(np.arange(curve.knots.count))
    terms = BreakingTerms(odd, frozenset(), ("time-shift",))
    seen = view(odd, unknowns, 0, 1)
    found = terms.accelerations(0, 1, seen, unknowns)
    layout = unknowns.layout
    clock = seen.times / (len(seen.times) * problem.runs[0].dt) - 0.5
    for axis, (columns, which) in enumerate(accelerations(odd, unknowns, 0, 1)):
        mine = which < layout.curve
        force = columns[:, mine] @ unknowns.vector[which[mine]]
        np.testing.assert_allclose(found[axis, :, 0], clock * force, rtol=1e-9, atol=1e-12)


def test_what_may_be_larger_by_another_shape_is_followed(charges, monkeypatch):
    """What is small but sure may be the tenth of something; what a larger term leaves is not."""
    made, ps = [], {"time-shift": 1e-30, "isotropy": 1e-9}
    effects = {"time-shift": 0.006, "isotropy": 0.0002}

    def tested(estimate, extended, rng):
        return corrected(
            [Symmetry(name, "", True, None, effects.get(name, 0.0), 0.0, effects.get(name, 0.0),
                      ps.get(name, 1.0), 0.009, shaped=effects.get(name, 0.0)) for name in KINDS]
        )  # fmt: skip

    some = extended(charges.estimate)

    def made_of(estimate, terms):
        made.append({kind: part.stop - part.start for kind, part in terms.parts.items()})
        return some

    monkeypatch.setattr(symmetries, "_tested", tested)
    monkeypatch.setattr(symmetries, "extend", made_of)
    found, _ = find_symmetries(charges.estimate, np.random.default_rng(0))
    assert not any(each.broken for each in found)
    first, second = made
    assert {kind for kind in first if second[kind] > first[kind]} == {"time-shift"}


def test_one_that_leaves_nothing_over_is_followed_no_further(charges, monkeypatch):
    made, some = [], extended(charges.estimate)

    def tested(estimate, extended, rng):
        return corrected(
            [Symmetry(name, "", True, None, 0.06 * (name == "isotropy"), 0.0, 0.07,
                      1e-30 if name == "isotropy" else 0.9, 0.009,
                      shaped=0.06 * (name == "isotropy")) for name in KINDS]
        )  # fmt: skip

    monkeypatch.setattr(symmetries, "_tested", tested)
    monkeypatch.setattr(symmetries, "extend", lambda *_: made.append(0) or some)
    found, _ = find_symmetries(charges.estimate, np.random.default_rng(0))
    assert [each.name for each in found if each.broken] == ["isotropy"]
    assert len(made) == 1


def test_of_exact_tracks_a_broken_symmetry_is_surely_larger_than_nothing(springs):
    (first, *_), _ = find_symmetries(springs.estimate, np.random.default_rng(0))
    assert springs.estimate.problem.stencil == SMOOTH
    assert first.low <= first.least and first.p == 1.0
