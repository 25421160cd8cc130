"""The clock of pictures and pages: digits that tell frames apart, whatever the unit of time."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.results.trajectory import as_ensemble
from nbody_surrogate.viz.figures.trajectory import draw_run
from nbody_surrogate.viz.html.charts import Series, line_chart
from nbody_surrogate.viz.html.scene import scene_script
from nbody_surrogate.viz.scene.clock import Clock
from pictures import trajectory


@pytest.mark.parametrize(
    ("t0", "dt", "frame", "text"),
    [(0.0, 0.1, 3, "t = 0.3"), (0.0, 0.05, 50, "t = 2.50"), (0.0, 1.0, 7, "t = 7"),
     (0.0, 1 / 3, 1, "t = 0.333"), (0.0, 1e-13, 0, "t = 0.0e-12"), (0.0, 1e-13, 49, "t = 4.9e-12"),
     (0.0, 2.5e-16, 50, "t = 12.50e-15"), (0.0, 1e-7, 7, "t = 0.7e-6"),
     (1.7e9, 1.6e-3, 3, "t = 1700000000.0048"), (0.0, 86400.0, 50, "t = 4.3200e6"),
     (-5e-12, 1e-13, 0, "t = -5.0e-12")],
)  # fmt: skip
def test_times_are_told_apart_in_one_notation(t0, dt, frame, text):
    t = t0 + dt * np.arange(51)
    clock = Clock.of(t)
    assert clock.text(float(t[frame])) == text
    assert len({clock.text(float(each)) for each in t}) == 51


def test_a_run_of_one_frame_has_a_time():
    assert Clock.of(np.array([0.0])).text(0.0) == "t = 0.0"
    assert Clock.of(np.array([3e-13])).text(3e-13) == "t = 300e-15"


def test_a_page_has_the_clock_of_the_pictures():
    run = trajectory(n=2)
    run.t[:] *= 1e-12
    data = json.loads(re.search(r"\{\"n\".*\}", scene_script(run, None))[0])
    assert data["t"] == pytest.approx(0.1 * np.arange(12))
    assert (data["digits"], data["suffix"]) == (1, "e-12")


def test_a_chart_has_ticks_and_a_curve_in_any_unit():
    marks = []
    for unit in (1.0, 1e-13, 1e11):
        t = unit * np.linspace(0, 5, 51)
        chart = line_chart("error", "time", [Series("candidate", t, 1e-6 * unit * t**2)], True)
        paths = re.findall(r'class="curve candidate" d="([^"]*)"', chart)
        ticks = re.findall(r'text-anchor="middle">([^<]*)</text>', chart)
        assert len(set(ticks)) == len(ticks) == 7  # six numbers and the label
        marks.append([float(tick) / unit for tick in ticks[:-1]])
        assert paths[0].count("L") > 40
    np.testing.assert_allclose(marks, [np.arange(6.0)] * 3, rtol=1e-9)


def test_a_figure_of_a_run_in_si_units_shows_its_momentum() -> None:
    run = trajectory(n=3)
    light = replace(run, particles=Particles(run.particles.charges, np.full((1, 3), 1e-27)))
    (*_, axes) = draw_run(as_ensemble(light)).axes
    momentum = {line.get_label(): line.get_ydata() for line in axes.lines}["momentum"]
    assert np.ptp(momentum) > 0
    assert 0 < momentum.max() < 1e-26
