"""Pictures say which of several trajectories they show, and by which method."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from commands import good
from nbody_surrogate import Ensemble, compare, make_integrator, make_system, plot, simulate
from nbody_surrogate.viz import render as drawing
from nbody_surrogate.viz.html import write_report
from nbody_surrogate.viz.html.report import _percent
from nbody_surrogate.viz.render import render
from nbody_surrogate.viz.scene.framing import View
from nbody_surrogate.viz.scene.rounded import rounded
from nbody_surrogate.viz.scene.title import scene_title, which_of
from nbody_surrogate.viz.scene.tracks import Track


@pytest.fixture(scope="module")
def three() -> Ensemble:
    system = make_system("charged")
    return simulate(system, *system.sample(0, 4, 3), 8, make_integrator("leapfrog", substeps=2))


def test_one_trajectory_needs_no_number(three: Ensemble) -> None:
    assert which_of(0, 1) == ""
    assert which_of(-1, 8) == "trajectory 7 of 8"
    assert scene_title(three[0], alone=False) == "charged  \u00b7  4 particles"


@pytest.mark.parametrize("given", ["ensemble", "file", "trajectory"])
def test_a_page_of_several_says_which_it_shows(three: Ensemble, tmp_path: Path, given: str) -> None:
    three.save(tmp_path / "three.h5")
    run = {"ensemble": three, "file": tmp_path / "three.h5", "trajectory": three[0]}[given]
    text = (render(run, tmp_path / "page.html") or tmp_path).read_text()
    assert text.count("<h1>") == 1
    assert ("trajectory 0 of 3</h1>" in text) is (given != "trajectory")


def test_a_picture_has_that_title(
    three: Ensemble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles = []

    class Spy(drawing.Scene):
        def __init__(self, *what: object, **options: object) -> None:
            titles.append(what[4])
            super().__init__(*what, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(drawing, "Scene", Spy)
    render(three, tmp_path / "picture.png", window_size=(200, 150))
    assert titles == ["charged  \u00b7  4 particles  \u00b7  leapfrog  \u00b7  trajectory 0 of 3"]


def test_commands_say_which_they_took(three: Ensemble, tmp_path: Path) -> None:
    three.save(tmp_path / "three.h5")
    said = good(
        "export", str(tmp_path / "three.h5"), str(tmp_path / "e.extxyz"), "--trajectory", "2"
    )
    assert "trajectory 2 of 3" in said
    page = tmp_path / "page.html"
    good("render", str(tmp_path / "three.h5"), "-o", str(page), "--trajectory", "1")
    assert "trajectory 1 of 3</h1>" in page.read_text()


def test_a_figure_says_what_each_panel_is_of(three: Ensemble) -> None:
    left, right = plot(three).axes
    assert left.get_title().startswith("trajectory 0 of 3, leapfrog")
    assert right.get_title().endswith("medians and quartiles of 3 trajectories")
    assert "trajector" not in "".join(ax.get_title() for ax in plot(three[0]).axes)


def test_two_of_one_method_have_two_names(three: Ensemble) -> None:
    system = make_system("charged")
    start = system.sample(0, 2, 1)
    made = [make_integrator("dop853", rtol=rtol) for rtol in (1e-6, 1e-9)]
    runs = [simulate(system, *start, 2, method)[0] for method in made]
    assert [Track.of(run, "run").name for run in runs] == [
        "dop853 (rtol 1e-06)",
        "dop853 (rtol 1e-09)",
    ]
    assert Track.of(three[0], "run").name == "leapfrog (dkd, 2 sub-steps)"


def test_a_report_explains_its_numbers(three: Ensemble, tmp_path: Path) -> None:
    system = make_system("charged")
    truth = simulate(system, *system.sample(0, 4, 3), 8)
    text = write_report(three, truth, tmp_path / "report.html", floor=False).read_text()
    assert "Medians over 3 trajectories. In brackets" in text
    assert "95 % intervals" in text
    assert "(noise floor)" not in text
    assert "trajectory 0 of 3</b>" in text
    assert 'reference <span class="whole">' in text


@pytest.mark.parametrize(
    ("share", "words"), [(1.3123, "130 %"), (0.0312, "3.1 %"), (4.2e-10, "4.2e-08 %")]
)
def test_percentages_have_no_needless_exponent(share: float, words: str) -> None:
    assert _percent(share) == words
    assert rounded(np.inf) == "inf"


def test_no_line_strikes_through_the_words_of_a_bar(three: Ensemble) -> None:
    system = make_system("charged")
    truth = simulate(system, *system.sample(0, 4, 3), 8)
    bars = plot(compare(truth, three)).axes[5]
    (words,) = [text for text in bars.texts if text.get_text() == "whole run"]
    (line,) = bars.lines
    assert words.get_position()[1] - line.get_ydata()[0] > 0.15  # of slots an inch high or less


def test_equal_balls_look_nearly_equal() -> None:
    distance = View(4 / 3).usual_distance(1.0)
    assert (distance + 1) / (distance - 1) < 1.3  # of the foremost and the hindmost of a cloud
