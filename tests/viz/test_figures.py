"""Figures: all that is written stands within them, and where nothing is drawn words say why."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from nbody_surrogate import Particles, compare, make_system, plot, simulate
from nbody_surrogate.evaluation.work_precision.pareto import Point, WorkPrecision, with_front
from nbody_surrogate.results.bootstrap import Interval
from nbody_surrogate.training.figure import draw_log
from nbody_surrogate.viz.figures.work_precision import draw_work_precision

LONG_NAMES = [
    f"set, guard fallback, weights number {number} of a long name, some-file-of-{number}.h5"
    for number in range(9)
]
DPI = 50  # layout is in inches, and so much costs the least
PIXEL = 1.0  # an edge of a letter may be smoothed over


@pytest.fixture(scope="module")
def runs():
    """By system, two trajectories of a truth and of another method; some in units of seconds."""
    made = {}
    for name, dimensions in (("charged-clipped", 3), ("penning", 3), ("springs", 2)):
        system = make_system(name)
        state, particles = system.sample(1, 5, 2, dimensions)
        made[name] = [
            simulate(system, state, particles, 20, method) for method in ("dop853", "rk45")
        ]
    made["seconds"] = [replace(run, t=1e-13 * run.t) for run in made["penning"]]
    return made


@pytest.fixture
def written(monkeypatch):
    """A function: the words that a figure really draws, and their places in pixels."""

    def words_of(figure: Figure):
        drawn = {}

        def noted(self, renderer, *args, **kwargs):
            if self.get_text().strip() and self.get_visible():
                drawn[id(self)] = (self.get_text(), self.get_window_extent(renderer))
            return real(self, renderer, *args, **kwargs)

        real = Text.draw
        with monkeypatch.context() as patch:
            # what is out of an axis' range is there, and never drawn
            patch.setattr(Text, "draw", noted)
            figure.savefig(BytesIO(), format="png", dpi=DPI)
        return list(drawn.values())

    return words_of


def demand_whole(figure, written):
    width, height = figure.get_size_inches() * DPI
    words = written(figure)
    assert words
    for text, box in words:
        assert box.x0 >= -PIXEL, text
        assert box.y0 >= -PIXEL, text
        assert box.x1 <= width + PIXEL, text
        assert box.y1 <= height + PIXEL, text
    for number, (text, box) in enumerate(words):
        for other, its in words[:number]:
            assert not box.shrunk(0.8, 0.8).overlaps(its.shrunk(0.8, 0.8)), (text, other)
    return " ".join(" ".join(text.split()) for text, _ in words)


# Nothing is cut


@pytest.mark.parametrize("name", ["penning", "springs", "seconds"])
def test_comparisons_are_whole(runs, written, name):
    truth, run = runs[name]
    words = demand_whole(plot(compare(truth, run)), written)
    assert ("e-15" in words) == (name == "seconds")


def test_many_candidates_with_long_names_are_whole(runs, written):
    truth, run = runs["springs"]
    found = compare(truth, run)
    many = [replace(found, candidate=name) for name in LONG_NAMES]
    words = demand_whole(plot(many), written)
    assert all(name in words for name in LONG_NAMES)


@pytest.mark.parametrize("name", ["penning", "springs", "seconds"])
def test_runs_are_whole(runs, written, name):
    run = runs[name][1]
    stopped = replace(run, info=replace(run.info, message=("x" * 200, ""), good=(4, 21)))
    demand_whole(plot(stopped), written)


def test_the_log_of_a_training_is_whole(written, monkeypatch):
    figures = []
    monkeypatch.setattr(
        "nbody_surrogate.training.figure.save", lambda figure, _: figures.append(figure)
    )
    score = {"mean": 1e-3, "median": 2e-4}
    draw_log([], Path("none.png"))
    draw_log(
        [{"step": k, "residual": 0.1 / k, "validation": [score] * 3} for k in (1, 9)], Path("a.png")
    )
    empty, full = (demand_whole(figure, written) for figure in figures)
    assert "no residual is logged yet" in empty
    assert "no validation yet" in empty
    assert "source 2, mean" in full


def test_work_and_precision_is_whole(written):
    names = (*LONG_NAMES[:4], "dop853")
    points = [
        Point(
            name,
            name,
            None,
            "set" in name,
            1.0,
            1,
            Interval(e, e / 2, 2 * e),
            e,
            e,
            e,
            3,
            e,
            1.0,
            0,
            None,
            "cpu",
        )
        for e, name in zip((1e-2, 1e-3, 1e-5, 1e-7, 1e-9), names, strict=True)
    ]
    conditions = {
        "clock": "wall", "threads": 2, "processor": "A Processor Of A Long Name @ 2.00 GHz",
        "particles": 30, "trajectories": 64, "system": {"system": "charged"},
    }  # fmt: skip
    found = WorkPrecision(with_front(points), "dop853 (rtol 1e-12)", {1.0: 1e-11}, conditions)
    demand_whole(draw_work_precision(found), written)


# What is drawn is what is conserved


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("penning", ["energy / kinetic energy"]),
        ("springs", ["energy / kinetic energy", "momentum", "angular momentum"]),
    ],
)
def test_a_run_shows_what_its_system_conserves(runs, name, kept):
    lines = plot(runs[name][1]).axes[1]
    assert [line.get_label() for line in lines.lines] == kept


def test_where_nothing_is_conserved_words_say_so(runs, written):
    truth, run = runs["charged-clipped"]
    assert "conserves neither energy" in demand_whole(plot(run), written)
    assert "does not conserve it" in demand_whole(plot(compare(truth, run)), written)


# Where there is nothing to draw


def test_a_run_against_itself_and_one_particle_say_why_panels_are_empty(runs, written):
    truth, _ = runs["penning"]
    assert "position RMSE: zero at every frame" in demand_whole(
        plot(compare(truth, truth)), written
    )
    few = Particles(truth.particles.charges[:, :1], truth.particles.masses[:, :1])
    one = replace(truth, x=truth.x[:, :, :1], v=truth.v[:, :, :1], particles=few)
    off = replace(one, x=one.x + 1e-3 * np.arange(21)[:, None, None])
    words = demand_whole(plot(compare(one, off)), written)
    assert "distance of pairs: there is one particle" in words
