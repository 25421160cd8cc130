"""Which terms are kept, and what is said of one that is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nbody_surrogate.discovery.extended import Extended
from nbody_surrogate.discovery.freedom import Freedom
from nbody_surrogate.discovery.innovations import SMOOTH
from nbody_surrogate.discovery.selection import LEVEL, left_out, needed_terms
from nbody_surrogate.discovery.symmetries import LEVEL as OF_ALL
from nbody_surrogate.discovery.symmetries import NOTHING


def extended(estimate, drag=1.0, gradient=1.0):
    """As if tracks told the drag and the gradient with so many standard errors."""
    layout = estimate.problem.layout
    values = np.zeros(layout.size)
    rows = {"drag": drag, "gradient_by_charge": gradient}
    for name, size in rows.items():
        values[layout.part(name)] = size
    return Extended(None, estimate.unknowns, values, np.eye(layout.size), None, 1.0)


def test_what_is_missed_is_kept_and_the_rest_dropped(dust):
    fit = replace(dust.estimate, freedom=Freedom(fields=("uniform", "gradient_by_charge")))
    kept = needed_terms(fit, extended(fit, drag=9.0, gradient=9.0))
    assert kept == replace(fit.freedom, fields=("gradient_by_charge",))
    assert needed_terms(fit, extended(fit, drag=9.0, gradient=0.1)).fields == ()


def test_a_drag_is_asked_for_by_its_mean_as_its_symmetry_is(dust):
    fit = replace(dust.estimate, freedom=Freedom(fields=()))
    # five rates of 1.5 errors each are a mean of 3.4: each alone would be missed by none
    assert needed_terms(fit, extended(fit, drag=1.5)).drag == "each"
    # rates that only scatter are no drag
    scattered = extended(fit, drag=0.0)
    part = fit.problem.layout.part("drag")
    scattered.values[part] = [4.0, -4.0, 4.0, -4.0, 0.0]
    assert needed_terms(fit, scattered).drag == "none"
    assert pytest.approx(OF_ALL / 7) == LEVEL


def test_a_drag_that_is_left_out_is_told_with_its_error(dust):
    part = dust.estimate.unknowns.layout.part("drag")
    mean = dust.estimate.unknowns.part("drag").mean()
    error = np.sqrt(dust.estimate.covariance[part, part].mean())
    (said,) = left_out(dust.estimate, replace(dust.estimate.freedom, drag="none"))
    assert f"its mean is {mean:.2g} with a standard error of {error:.2g}" in said
    assert left_out(dust.estimate, dust.estimate.freedom) == []
    never = replace(dust.estimate, freedom=Freedom(drag="none"))
    assert left_out(never, never.freedom) == []


def test_of_exact_tracks_a_term_has_a_size(springs):
    """They tell anything beyond rounding, and what their curves leave out is beyond it."""
    fit = replace(springs.estimate, freedom=Freedom(fields=("gradient",), drag="none"))
    assert fit.problem.stencil == SMOOTH
    sure = extended(fit, gradient=0.0)
    for size, kept in ((0.5, ()), (2.0, ("gradient",))):
        values = sure.values.copy()
        values[fit.problem.layout.part("gradient")] = size * NOTHING / np.sqrt(3.0)
        sizes = np.eye(len(values))
        told = sure._replace(values=values, covariance=1e-20 * sizes, sizes=sizes)
        assert needed_terms(fit, told).fields == kept
