"""`plot`, thumbnails and reports from Python; and that results do not import what draws them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from nbody_surrogate import (
    InputError,
    compare,
    make_integrator,
    make_system,
    plot,
    simulate,
    thumbnail,
    twins_of,
    write_report,
)
from nbody_surrogate.results.metrics import drift_curves


@pytest.fixture(scope="module")
def runs():
    """A truth and a coarse run, three trajectories of five charges."""
    system = make_system("charged")
    state, particles = system.sample(2, 5, 3)
    truth = simulate(system, state, particles, 20, "dop853")
    method = make_integrator("leapfrog", substeps=2)
    return truth, simulate(system, state, particles, 20, method)


# Figures


def test_a_trajectory_is_drawn_with_what_it_conserves(runs):
    run = runs[1][1]
    paths, lines = plot(run).axes
    assert len(paths.lines) == 2 * 5  # a path and an end for each particle
    assert [line.get_label() for line in lines.lines] == [
        "energy / kinetic energy",
        "momentum",
        "angular momentum",
    ]
    assert not lines.collections
    wanted = drift_curves(run.system(), run.x[None], run.v[None], run.particles)[0, 0, 1:]
    np.testing.assert_array_equal(lines.lines[0].get_ydata(), wanted)


def test_an_ensemble_is_drawn_with_medians_and_bands(runs):
    _, coarse = runs
    paths, lines = plot(coarse).axes
    np.testing.assert_array_equal(paths.lines[0].get_data_3d()[0], coarse.x[0, :, 0, 0])
    wanted = drift_curves(coarse.system(), coarse.x, coarse.v, coarse.particles)[0, :, 1:]
    np.testing.assert_array_equal(lines.lines[0].get_ydata(), np.median(wanted, axis=0))
    assert len(lines.collections) == 3


def test_comparisons_are_drawn_alone_or_together(runs):
    truth, coarse = runs
    found = compare(truth, coarse)
    one = plot(found)
    two = plot([found, found])
    assert len(one.axes) == len(two.axes) == 6
    assert len(two.axes[0].lines) == len(one.axes[0].lines) + 1
    with pytest.raises(InputError, match="`result` must hold one comparison at least"):
        plot([])


def lines_of(figure):
    return [line.get_xydata() for ax in figure.axes for line in ax.lines]


def test_results_plot_themselves_by_the_same_function(runs):
    truth, coarse = runs
    for result in (truth, truth[0], compare(truth, coarse)):
        mine = lines_of(result.plot())
        wanted = lines_of(plot(result))
        assert len(mine) == len(wanted) >= 6
        for line, same in zip(mine, wanted, strict=True):
            np.testing.assert_array_equal(line, same)


# Thumbnails


def test_a_thumbnail_is_what_a_notebook_shows(runs):
    truth, _ = runs
    assert thumbnail(truth) == truth._repr_html_()
    assert thumbnail(truth[0]) == truth[0]._repr_html_()
    assert "<th" in thumbnail(truth)
    assert "trajectories" in thumbnail(truth)
    assert "trajectories" not in thumbnail(truth[0])


# Reports


def test_a_report_of_a_run_and_its_reference_is_one_call(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    truth, coarse = runs
    path = write_report(coarse, truth)
    assert path.name == "report.html"
    text = path.read_text()
    assert compare(truth, coarse, twins_of(truth)).verdict in text
    for words in ("Errors against the reference", "noise floor: a true solution", "Numbers"):
        assert words in text
    assert "Repeat it" not in text
    with pytest.raises(InputError, match=r"`path` must not exist yet"):
        write_report(coarse, truth)
    write_report(coarse, truth, path, floor=False, overwrite=True)
    assert "noise floor: a true solution" not in path.read_text()


def test_a_trajectory_has_a_report_as_an_ensemble_of_one_has(runs, tmp_path):
    truth, coarse = runs
    path = write_report(coarse[1], truth[1], tmp_path / "one.html", floor=False)
    assert "moved 5 particles through 2 time units" in path.read_text()
    path = write_report(coarse[1], path=tmp_path / "alone.html")
    assert "It was not held against a reference." in path.read_text()


def test_a_reference_that_cannot_run_again_has_no_floor(runs, tmp_path):
    truth, coarse = runs
    gone = replace(truth, info=replace(truth.info, method={"integrator": "gone"}))
    path = write_report(coarse, gone, tmp_path / "page.html")
    assert "Errors against the reference" in path.read_text()
    assert "noise floor: a true solution" not in path.read_text()


def test_nothing_is_computed_where_the_page_cannot_be_written(runs, tmp_path):
    truth, coarse = runs
    with pytest.raises(InputError, match=r"`path` must name a file ending in one of \.html"):
        write_report(coarse, truth, tmp_path / "page.pdf")


# Rooms


IMPORTS = """
import sys
import nbody_surrogate.comparison.table, nbody_surrogate.comparison.lyapunov
from nbody_surrogate import compare, run_table, Trajectory, Ensemble
print(*[m for m in sys.modules if "surrogate.viz" in m or m in ("matplotlib", "vtk")])
from nbody_surrogate import plot, render, thumbnail, write_report, comparison_table, twins_of
from nbody_surrogate.viz.scene import check_picture_path
check_picture_path(sys.argv[1])
print(*[m for m in ("matplotlib", "pyvista", "vtk", "torch") if m in sys.modules])
"""


def test_nothing_that_draws_is_imported_before_something_is_drawn(tmp_path):
    """Nothing by results and comparisons; by drawing names and checking a path, no library."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, tmp_path / "p.png"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "\n\n"
