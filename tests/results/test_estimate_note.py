"""What a run says of its error estimate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.results.domain_report import DomainReport
from nbody_surrogate.results.error_estimate import EstimateReport, ToleranceReport
from nbody_surrogate.results.estimate_note import estimate_label, estimate_notes
from nbody_surrogate.results.run_info import RunInfo
from nbody_surrogate.results.trajectory import Trajectory
from nbody_surrogate.viz.scene.tracks import Track


@pytest.mark.parametrize(
    ("since", "said"),
    [
        (None, "95 %"),
        ((-1, -1), "95 %"),
        ((0,), "95 %, calibrated on other starts"),
        ((0, 5), "95 %, calibrated on other starts"),
        ((0, -1, 10), "95 %, calibrated on starts unlike 2 of these 3"),
    ],
)
def test_the_coverage_is_no_promise_outside_of_the_domain(since, said):
    domain = None if since is None else DomainReport("warn", 10, since)
    report = EstimateReport(0.95, True, "leapfrog", 32)
    assert estimate_label(RunInfo({}, {}, error_estimate=report, domain=domain)) == said


def test_what_nobody_calibrated_says_so_alone():
    report = EstimateReport(0.95, False, "leapfrog", 32)
    domain = DomainReport("warn", 10, (0,))
    assert estimate_label(RunInfo({}, {}, error_estimate=report, domain=domain)) == "not calibrated"
    assert estimate_label(RunInfo({}, {})) == ""


def test_a_tolerance_is_that_of_a_frame():
    """It says so: the error of a run may be many times larger."""
    report = ToleranceReport(1e-6, {"integrator": "dop853"}, 7, 2, 1)
    info, x = RunInfo({}, {"integrator": "set"}, tolerance=report), np.zeros((2, 2, 3))
    run = Trajectory(np.arange(2.0), x, x, Particles(np.ones((1, 2)), np.ones((1, 2))), info)
    (line,) = estimate_notes(run)
    assert line == (
        "Tolerance 1e-06 of each frame's error: 2 of 7 frames by dop853, 1 made by the surrogate "
        "in vain."
    )


def test_a_picture_promises_no_coverage_outside_of_the_domain():
    report, domain = EstimateReport(0.95, True, "leapfrog", 32), DomainReport("warn", 10, (0,))
    info = RunInfo({}, {"integrator": "set"}, error_estimate=report, domain=domain)
    x = np.zeros((2, 2, 3))
    drawn = Trajectory(np.arange(2.0), x, x, Particles(np.ones((1, 2)), np.ones((1, 2))), info)
    assert Track.of(drawn, "run").coverage == estimate_label(info)
    assert Track.of(replace(drawn, info=replace(info, domain=None)), "run").coverage == "95 %"
