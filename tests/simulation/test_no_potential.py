"""A system without a potential energy, from end to end: no energy is printed, and no NaN."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from commands import good, no_constant
from nbody_surrogate import make_integrator, make_system, plot, read_h5md, simulate
from nbody_surrogate.comparison.comparison import compare
from nbody_surrogate.results.metrics import defined_drifts, median_drifts
from nbody_surrogate.viz.figures.comparison import draw_comparisons
from nbody_surrogate.viz.scene.inset import energy_errors
from small_systems import Dragged

SHORT = ("-n", 4, "--duration", 1)


@pytest.fixture(autouse=True)
def dragged(install, tmp_path, monkeypatch):
    """The system comes as a plugin does; the working directory is empty."""
    source = "from small_systems import Dragged\n"
    install("dragged-dist", {"dragged": "Dragged"}, source, kind="systems")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def run(integrator="dop853", **options):
    system = make_system("dragged")
    return simulate(system, *system.sample(0, 4, 2), 10, make_integrator(integrator, **options))


def no_energy(text):
    assert not re.search("energy|nan", text, re.IGNORECASE), text


def test_the_motion_is_the_known_one():
    made = run()
    slowed = 2.0 * (1.0 - np.exp(-0.5 * made.t))[:, None, None]
    np.testing.assert_allclose(made.x, made.x[:, :1] + slowed * made.v[:, :1], atol=1e-8)


def test_its_energy_is_not_defined_and_the_rest_is():
    system, state = Dragged(), run().state(3)
    assert not system.has_potential
    assert defined_drifts(system) == ("momentum", "angular_momentum")
    found = system.invariants(state.x, state.v, run().particles)
    assert np.isnan(found.energy).all()
    for key in ("kinetic", "momentum", "angular_momentum"):
        assert np.isfinite(getattr(found, key)).all()
    assert make_system("charged").has_potential
    assert median_drifts(run()).keys() == {"momentum", "angular_momentum"}


def test_a_run_by_the_command_line_says_nothing_of_it():
    no_energy(good("run", "--system", "dragged", "--no-reference", *SHORT, "-o", "alone.h5"))
    arguments = ("--integrator", "rk45", *SHORT, "-o", "both.h5", "--report", "run.html")
    printed = good("run", "--system", "dragged", *arguments)
    no_energy(printed)
    assert "momentum change (not conserved)" in printed
    no_energy(charts(Path("run.html").read_text()))
    found = json.loads(
        good("run", "--system", "dragged", *SHORT, "--no-reference", "--json", "-o", "json.h5"),
        parse_constant=no_constant,
    )
    assert found["drift"].keys() == {"momentum", "angular_momentum"}


def charts(page):
    """The page without its scripts."""
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def test_files_are_compared_and_reported_without_it():
    for name in ("dop853", "rk45"):
        chosen = ("--integrator", name, "--no-reference", *SHORT)
        good("run", "--system", "dragged", *chosen, "-o", f"{name}.h5")
    no_energy(good("compare", "dop853.h5", "rk45.h5", "-o", "out"))
    text = Path("out.json").read_text()
    (found,) = json.loads(text, parse_constant=no_constant)["comparisons"]
    assert found["drift"]["candidate"].keys() == {"momentum", "angular_momentum"}
    assert "energy" not in found["curves"]["bands"]
    assert Path("out.png").read_bytes().startswith(b"\x89PNG")
    good("report", "rk45.h5", "-o", "report.html")
    page = charts(Path("report.html").read_text())
    no_energy(page)
    assert "Not conserved by dragged, so not drawn: momentum, angular momentum." in page


@pytest.mark.parametrize("policy", ["warn", "stop", "fallback"])
def test_a_guard_watches_what_there_is(policy):
    options = ("--integrator", "rk45", "--guard", policy, "--no-reference")
    no_energy(good("run", "--system", "dragged", *options, *SHORT, "-o", "out.h5"))
    report = read_h5md("out.h5").info.guard
    assert not report.events
    assert "energy" not in report.thresholds


def test_figures_leave_it_out():
    made, other = run(), run("rk45")
    assert energy_errors(other[0], made[0]) is None
    assert "conserves neither energy" in words_of(plot(made[0]))
    figure = draw_comparisons([compare(made, other)])
    assert "the system has no potential energy" in words_of(figure)


def words_of(figure):
    texts = [text.get_text() for ax in figure.axes for text in ax.texts]
    return " ".join(" ".join(texts).split())
