"""What a run says of its error estimate."""

from __future__ import annotations

import pytest

from nbody_surrogate.results.domain_report import DomainReport
from nbody_surrogate.results.error_estimate import EstimateReport
from nbody_surrogate.results.estimate_note import estimate_label
from nbody_surrogate.results.run_info import RunInfo


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
