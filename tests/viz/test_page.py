"""Pages: what they hold, that they load nothing, and that they work in a real browser."""

from __future__ import annotations

import base64
import json
import re
import shutil
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from commands import FAILURE, MISUSE, bad, good
from nbody_surrogate import (
    NBodyWarning,
    Particles,
    Trajectory,
    compare,
    make_integrator,
    make_system,
    render,
    simulate,
    twins_of,
)
from nbody_surrogate.contracts import Ellipsoid
from nbody_surrogate.results.trajectory import RunInfo
from nbody_surrogate.viz.html import scene, write_report, write_scene_page
from nbody_surrogate.viz.html.charts import Series, line_chart
from nbody_surrogate.viz.html.report import sentence
from nbody_surrogate.viz.html.scenery import scenery_data
from nbody_surrogate.viz.html.ticks import decades

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
SWITCHES = """
    --headless --no-sandbox --disable-gpu --disable-background-networking --disable-sync
    --disable-component-update --disable-dev-shm-usage --window-size=1000,900
""".split()  # noqa: SIM905
HOSTILE = "<script>alert(1)</script>\u2028"


@pytest.fixture(scope="module")
def runs():
    """A coarse run and its reference, two trajectories of six charges."""
    system = make_system("charged")
    state, particles = system.sample(2, 6, 2)
    truth = simulate(system, state, particles, 30, "dop853")
    method = make_integrator("leapfrog", substeps=2)
    return truth, simulate(system, state, particles, 30, method)


@pytest.fixture(scope="module")
def report(runs, tmp_path_factory):
    truth, coarse = runs
    path = tmp_path_factory.mktemp("page") / "report.html"
    return write_report(coarse, truth, path, command="nbody-sim run --report out.html")


@pytest.fixture
def browser():
    """A headless Chromium, whose log is empty."""
    if BROWSER is None or DRIVER is None:
        pytest.skip("there is no chromium with its driver: apt-get install chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for switch in SWITCHES:
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


# In the browser


def test_the_report_works_in_a_browser(browser, report):
    """Drawn soon, the slider moves particles, play plays, dark and light differ, a phone fits."""
    browser.get(report.as_uri())
    drawn = "return document.documentElement.dataset.drawn"
    assert wait_for(browser, drawn) is not None
    assert float(browser.execute_script(drawn)) < 3000
    last = state(browser)
    assert last["frame"] == "30.00"
    assert last["clock"] == "t = 3.0"
    set_slider(browser, 10)
    assert wait_for(browser, "return document.querySelector('canvas').dataset.frame == '10.00'")
    middle = state(browser)
    assert middle["clock"] == "t = 1.0"
    assert middle["first"] != last["first"]
    assert middle["pixels"] != last["pixels"]
    browser.execute_script("document.querySelector('.scene button').click()")
    assert wait_for(browser, "return Number(document.querySelector('canvas').dataset.frame) > 11")
    set_slider(browser, 10)
    demand_a_particle_under_the_pointer(browser)
    demand_values_under_the_pointer(browser)
    scheme(browser, "dark")
    dark = background(browser)
    scheme(browser, "light")
    assert background(browser) != dark
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True},
    )
    browser.get(report.as_uri())
    width = browser.execute_script("return document.documentElement.scrollWidth")
    assert width <= 360
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("options", [{}, {"camera": "xz", "theme": "dark"}])
def test_a_page_opens_as_asked_with_all_in_sight(browser, runs, tmp_path, options):
    """Nearer than the sphere around all would let the camera stand, and no ball is cut off."""
    path = render(runs[0][0], tmp_path / "page.html", **options)
    scheme(browser, "light")
    browser.get(path.as_uri())
    assert wait_for(browser, "return document.documentElement.dataset.drawn")
    seen = "const c = document.querySelector('canvas').dataset; return [c.zoom, c.far].map(Number)"
    far = []
    for frame in (0, 10, 20, 30):
        set_slider(browser, frame)
        shown = f"return document.querySelector('canvas').dataset.frame == '{frame}.00'"
        assert wait_for(browser, shown)
        zoom, most = browser.execute_script(seen)
        far.append(most)
    assert zoom > 1.05
    assert max(far) <= 0.95
    assert max(far) > 0.6
    dark = background(browser) == "rgb(11, 14, 23)"
    assert dark == (options.get("theme") == "dark")
    assert browser.get_log("browser") == []


def state(browser):
    return browser.execute_script(
        "const c = document.querySelector('canvas');"
        "return {frame: c.dataset.frame, first: c.dataset.first, pixels: c.toDataURL(),"
        " clock: document.querySelector('.scene output').textContent}"
    )


def demand_values_under_the_pointer(browser):
    """By pointer and by keyboard, as text, which is gone when it leaves."""
    from selenium.webdriver import ActionChains, Keys

    figure = browser.find_element("css selector", "figure.chart")
    readout = "return document.querySelector('figure.chart output').textContent"
    ActionChains(browser).move_to_element(figure.find_element("tag name", "svg")).perform()
    said = browser.execute_script(readout)
    assert said.startswith("time 1.")
    assert "leapfrog (dkd, 2 sub-steps): " in said
    figure.send_keys(Keys.END)
    assert browser.execute_script(readout).startswith("time 3")
    figure.send_keys(Keys.ARROW_LEFT)
    assert browser.execute_script(readout).startswith("time 2.9")
    figure.send_keys(Keys.ESCAPE)
    assert browser.execute_script(readout) == ""


def demand_a_particle_under_the_pointer(browser):
    browser.execute_script(
        "const c = document.querySelector('canvas'), b = c.getBoundingClientRect();"
        "const [x, y] = c.dataset.first.split(',').map((v) => v * b.width / c.width);"
        "const at = {clientX: b.left + x, clientY: b.top + y};"
        "c.dispatchEvent(new PointerEvent('pointermove', at))"
    )
    said = browser.execute_script("return document.querySelector('.under').textContent")
    assert re.fullmatch(r"particle \d: charge -?1, mass 1, speed [\d.]+", said)


def set_slider(browser, value):
    browser.execute_script(
        "const s = document.querySelector('.scene input'); s.value = arguments[0];"
        "s.dispatchEvent(new Event('input'))",
        value,
    )


def scheme(browser, name):
    features = [{"name": "prefers-color-scheme", "value": name}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def background(browser):
    return browser.execute_script("return getComputedStyle(document.body).backgroundColor")


def wait_for(browser, script):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 30, 0.05).until(lambda page: page.execute_script(script))


# What a page holds


def test_a_page_loads_nothing(report):
    text = report.read_text()
    assert not re.search(r"(src|href)=\"(?!data:)", text)
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|import\(", text)
    assert "default-src 'none'" in text
    assert len(text) < 1e6
    for words in ("Repeat it", "nbody-sim run --report out.html", "noise floor", "position MSE"):
        assert words in text
    assert text.count("<svg") == 9


def payload(path):
    text = path.read_text()
    start = text.index("nbodyScene(document.getElementById('scene'), ") + 45
    return json.JSONDecoder().raw_decode(text[start:])[0]


def positions(data, number):
    raw = base64.b64decode(data["tracks"][number]["x"])
    return np.frombuffer(raw, "<f4").reshape(len(data["t"]), data["n"], 3)


def test_the_scene_holds_the_positions(runs, report):
    truth, coarse = runs
    data = payload(report)
    np.testing.assert_allclose(positions(data, 0), truth.x[0], rtol=1e-6)
    np.testing.assert_allclose(positions(data, 1), coarse.x[0], rtol=1e-6)
    assert data["t"] == truth.t.tolist()


def test_a_large_run_is_thinned_to_fit(tmp_path, monkeypatch):
    monkeypatch.setattr(scene, "MOST_NUMBERS", scene.MOST_NUMBERS // 10)
    n, frames = 400, 200  # of two runs, more than 2 MB as they are
    x = np.zeros((frames, n, 3)) + np.linspace(0, 1, frames)[:, None, None]
    x[:, 0] = np.nan  # lost
    particles = Particles(np.ones((1, n)), np.ones((1, n)))
    info = RunInfo(system={"system": "charged"}, method={"integrator": "none"})
    run = Trajectory(0.1 * np.arange(frames), x, np.zeros_like(x), particles, info)
    path = write_scene_page(run, tmp_path / "large.html", reference=run)
    assert path.stat().st_size < 8e5
    data = payload(path)
    assert (data["t"][0], data["t"][-1]) == (0.0, run.t[-1])
    assert (positions(data, 0)[:, 0] > 1e30).all()
    np.testing.assert_allclose(positions(data, 0)[-1, 1:], 1.0)


def test_names_cannot_become_markup(runs, tmp_path):
    truth, coarse = runs
    info = replace(coarse.info, method={"integrator": HOSTILE}, message=(HOSTILE, ""))
    hostile = replace(coarse, info=info)
    path = write_report(hostile, truth, tmp_path / "r.html", command=HOSTILE, floor=False)
    assert "<script>alert" not in path.read_text()
    assert "<script>alert" not in hostile._repr_html_()
    assert "&lt;script&gt;alert" in hostile._repr_html_()


def test_the_sentence_is_plain(runs):
    truth, coarse = runs
    found = compare(truth, coarse, twins_of(truth))
    said = sentence(coarse, found)
    assert "2 runs of 6 particles through 3 time units" in said
    assert found.verdict in said
    assert "off by" in said
    exact = sentence(truth, compare(truth, truth))
    assert "whole run" in exact
    assert "not held against a reference" in sentence(truth, None)
    failed = replace(coarse, info=replace(coarse.info, message=("broke", ""), good=(5, 31)))
    assert "1 of 2 did not reach the end" in sentence(failed, found)


def test_a_chart_puts_values_where_they_belong():
    x = np.array([0.0, 1.0, 2.0])
    chart = line_chart("a < b", "time", [Series("candidate", x, np.array([0.0, 1e-6, 1e-2]))], True)
    (path,) = re.findall(r'curve candidate" d="([^"]+)"', chart)
    points = np.array([pair.split() for pair in re.split("[ML]", path)[1:]], float)
    assert len(points) == 2  # zero has no logarithm
    assert points[0, 1] > points[1, 1]  # larger is higher
    left, right = (
        float(end) for end in re.search(r'axis" d="M([\d.]+) .*H([\d.]+)"', chart).groups()
    )
    np.testing.assert_allclose(points[:, 0], [(left + right) / 2, right], atol=0.2)
    assert "a &lt; b" in chart
    assert "log axis" in chart
    assert ">1e-4<" in chart


def under_pointer(chart):
    return json.loads(unescape(re.search(r'data-curves="([^"]*)"', chart).group(1)))


def test_the_pointer_shows_the_values_of_all_curves():
    t = 1e-13 * np.arange(5)
    good_one, bad_one = np.array([0, 1, 2, 3, 4.0]), np.array([0, 1, np.nan, np.inf, 2])
    series = [
        Series("candidate", t, good_one, good_one / 2, 2 * good_one, "set <b>"),
        Series("reference", t, bad_one),
    ]
    shown = under_pointer(line_chart("error", "time", series, False))
    assert shown["at"] == ["0", "100e-15", "200e-15", "300e-15", "400e-15"]
    assert np.all(np.diff(shown["x"]) > 0)
    ours, theirs = shown["curves"]
    assert ours["name"] == "set <b>"
    assert ours["values"][3] == "3 (1.5 to 6)"
    assert theirs["values"] == ["0", "1", "none", "∞", "2"]
    assert [y is None for y in theirs["y"]] == [False, False, True, False, False]
    bins = Series("candidate", np.array([0, 0.5, 1]), np.array([1.0, 0.25]))
    assert under_pointer(line_chart("speeds", "v", [bins], False))["at"] == ["0 to 0.5", "0.5 to 1"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.full(3, np.nan), "No value is finite"),
        (np.zeros(3), "Zero at every frame"),
        (np.zeros(1), "no valid frame after the start"),
    ],
)
def test_a_chart_of_nothing_says_why(values, words):
    chart = line_chart("t", "x", [Series("candidate", np.arange(3.0), values)], True)
    assert words in chart
    assert "nan" not in chart
    assert "<svg" not in chart


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (-6.0, -1.0, ["1e-6", "1e-5", "1e-4", "1e-3", "1e-2", "1e-1"]),
        (0.0, 1.0, ["1", "2", "5", "10"]),
        (-7.0, -6.0, ["1e-7", "2e-7", "5e-7", "1e-6"]),
        (-20.0, 0.0, ["1e-20", "1e-16", "1e-12", "1e-8", "1e-4", "1e0"]),
    ],
)
def test_a_log_axis_has_round_numbers(low, high, wanted):
    places, texts = zip(*decades(low, high), strict=True)
    assert list(texts) == wanted
    np.testing.assert_allclose(places, np.log10([float(text) for text in wanted]), atol=1e-12)


# What a report shows of a system


def test_a_page_shows_what_the_system_conserves(tmp_path):
    system = make_system("penning")
    run = simulate(system, *system.sample(0, 3), 5, "dop853")
    for reference in (None, replace(run, x=run.x + 1e-3 * run.t[:, None, None])):
        text = write_report(run, reference, tmp_path / "p.html", floor=False, overwrite=True)
        text = text.read_text()
        assert "Energy error over kinetic energy" in text
        assert "Momentum error" not in text
        assert "Angular momentum error" not in text
        assert "Not conserved by penning, so not drawn: momentum, angular momentum." in text


def drawn_scene(name, tmp_path):
    """Write the scene of a system's run; return its data and the page."""
    system = make_system(name)
    run = simulate(system, *system.sample(1, 4), 5, "dop853")[0]
    path = write_scene_page(run, tmp_path / f"{name}.html")
    return run, payload(path), path.read_text()


def test_scenes_show_springs_rods_and_fields(tmp_path):
    run, data, text = drawn_scene("springs", tmp_path)
    wanted = {(i, j) for i, j in np.argwhere(np.triu(run.particles.couplings[0], 1) != 0)}
    assert {(i, j) for i, j, _ in data["scenery"]["bonds"]} == wanted
    assert "lines: springs" in text
    run, data, text = drawn_scene("pendulum", tmp_path)
    assert data["scenery"]["rods"] == [[i, 0, 0, 0] for i in range(4)]
    run, data, text = drawn_scene("trap", tmp_path)
    (*rings,) = data["scenery"]["lines"]
    radii = np.linalg.norm(rings, axis=2)
    np.testing.assert_allclose(radii, radii[0, 0], rtol=1e-5)  # six digits are written
    tiny = Ellipsoid(np.zeros(3), np.full(3, 1e-12))
    radii = np.linalg.norm(scenery_data((tiny,))["lines"], axis=2)
    np.testing.assert_allclose(radii, 1e-12, rtol=1e-5)
    assert len(rings) == 3


@pytest.mark.parametrize(
    ("charges", "masses", "words"),
    [
        ([1, -1, 1], [1, 1, 1], ["positive charge", "negative charge"]),
        ([0, 0, 0], [1, 2, 5], ["mass 1 to 5"]),
        ([0, 0, 0], [1, 1, 1], ["a colour for each particle"]),
    ],
)
def test_colours_of_a_scene_tell_particles_apart(runs, tmp_path, charges, masses, words):
    run = runs[0][0]
    of = Particles(np.array([charges], float), np.array([masses], float))
    run = replace(run, x=run.x[:, :3], v=run.v[:, :3], particles=of)
    path = write_scene_page(run, tmp_path / "page.html")
    assert all(each in path.read_text() for each in words)
    for colours in payload(path)["colours"].values():
        assert len({tuple(colour) for colour in colours}) == (2 if any(charges) else 3)
    data = payload(path)
    assert data["charges"] == [str(charge) for charge in charges]
    speeds = np.frombuffer(base64.b64decode(data["speeds"]), "<f4").reshape(-1, 3)
    np.testing.assert_allclose(speeds, np.linalg.norm(run.v, axis=2), rtol=1e-6)


def test_a_run_against_itself_is_drawn_once(runs, tmp_path):
    truth, _ = runs
    path = write_report(truth, truth, tmp_path / "same.html", floor=False)
    text = path.read_text()
    assert "The two agree to the last bit, so they are drawn once." in text
    assert len(payload(path)["tracks"]) == 1
    assert 'class="curve reference"' not in text
    assert "there is no error to draw" in text
    assert "<svg" in text


def test_a_run_that_failed_at_once_has_no_empty_axes(runs, tmp_path):
    truth, coarse = runs
    info = replace(coarse.info, message=("broke", "broke"), good=(1, 1), status=(1, 1))
    with pytest.warns(NBodyWarning, match="1 of 31 frames is valid"):
        path = write_report(replace(coarse, info=info), truth, tmp_path / "f.html", floor=False)
    text = path.read_text()
    assert text.count("There is no valid frame after the start.") == 9
    assert "<svg" not in text


def test_an_ensemble_is_a_median_and_a_band(runs, report):
    truth, coarse = runs
    text = report.read_text()
    assert "medians of 2 trajectories, between their quartiles" in text
    chart = next(part for part in text.split("<figure")[1:] if "Energy error" in part)
    assert chart.count('class="curve') == 3
    assert chart.count('class="band') == 2
    wanted = np.median(compare(truth, coarse).curves.bands["energy"]["candidate"].median[-1])
    ours = next(c for c in under_pointer(chart)["curves"] if c["role"] == "candidate")
    assert ours["values"][-1].startswith(f"{wanted:.3g} (")


# Notebooks


def test_notebooks_show_a_picture(runs):
    truth, _ = runs
    for shown in (truth, truth[1]):
        html = shown._repr_html_()
        assert html.count("<circle") == 6
        assert "dop853" in html
    lost = replace(truth[0], x=np.full_like(truth[0].x, np.nan))
    assert lost._repr_html_().count("<circle") == 0
    flat = replace(truth[0], x=truth[0].x[..., :2], v=truth[0].v[..., :2])
    assert flat._repr_html_().count("<circle") == 6


def test_runs_and_comparisons_plot_themselves(runs):
    truth, coarse = runs
    found = compare(truth, coarse)
    for figure in (truth[0].plot(), found.plot()):
        assert figure._repr_png_().startswith(b"\x89PNG")
    assert len(found.plot().axes) == 6
    flat = replace(truth[0], x=truth[0].x[..., :2], v=truth[0].v[..., :2])
    assert flat.plot()._repr_png_().startswith(b"\x89PNG")


# Commands


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_run_writes_a_report_and_report_makes_it_again():
    command = ("run", "-n", 3, "--duration", 0.5, "--integrator", "rk4")
    printed = good(*command, "--report", "out.html", "-o", "out.h5")
    assert "out.html" in printed
    text = Path("out.html").read_text()
    assert "nbody-sim run --particles 3 --duration 0.5" in text
    assert "rk4" in text
    good("report", "out.h5", "-o", "again.html")
    assert "nbody-sim report out.h5" in Path("again.html").read_text()
    assert "Errors against the reference" in Path("again.html").read_text()
    good("report", "out.h5", "--no-against", "--overwrite")
    assert "Errors against the reference" not in Path("out.html").read_text()


@pytest.mark.usefixtures("folder")
def test_pictures_pages_and_data_come_from_one_command():
    good("run", "-n", 3, "--duration", 0.5, "--integrator", "rk4", "-o", "out.h5")
    for name in ("out.png", "out.html", "out.vtkhdf"):
        assert good("render", "out.h5", "-o", name, "--size", 200, 150) == f"File: {name}\n"
        assert Path(name).stat().st_size > 1000
    assert "ring: rk4" in Path("out.html").read_text()
    good("render", "out.h5", "--no-against", "-o", "alone.html")
    assert "ring:" not in Path("alone.html").read_text()
    good("render", "out.h5", "-o", "error.png", "--colouring", "error", "--inset")
    assert Path("error.png").read_bytes() != Path("out.png").read_bytes()


@pytest.mark.parametrize(
    ("code", "arguments", "words"),
    [
        (MISUSE, ["render", "out.h5"], ["`output`", "no display", ".png"]),
        (MISUSE, ["render", "out.h5", "-o", "out.tiff"], ["out.tiff", ".mp4", ".html", ".vtkhdf"]),
        (MISUSE, ["render", "out.h5", "-o", "a.png", "--colouring", "colour"], ["`colouring`"]),
        (
            MISUSE,
            ["render", "out.h5", "-o", "a.png", "--colouring", "error", "--no-against"],
            ["`colouring`", "reference"],
        ),
        (MISUSE, ["render", "out.h5", "-o", "a.png", "--trajectory", 3], ["`trajectory`", "3"]),
        (MISUSE, ["render", "out.h5", "-o", "a.png", "--frame", 99], ["`frame`", "99"]),
        (FAILURE, ["render", "empty.h5", "-o", "a.png"], ["empty.h5"]),
        (MISUSE, ["report", "out.h5", "-o", "out.pdf"], ["out.pdf", ".html"]),
        (MISUSE, ["report", "out.h5", "-o", "none/out.html"], ["none"]),
        (MISUSE, ["report", "out.h5", "--against", "other.h5", "-o", "a.html"], ["particles"]),
        (MISUSE, ["report", "none.h5"], ["none.h5"]),
        (MISUSE, ["run", "--report", "out.txt"], ["`report`", "out.txt"]),
    ],
)
def test_misuse_is_one_line(made, tmp_path, monkeypatch, code, arguments, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    line = bad(code, *arguments)
    assert all(word in line for word in words), line


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Files that commands are misused on."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "empty.h5").touch()
    for name, n in (("out.h5", 3), ("out.reference.h5", 3), ("other.h5", 4)):
        system = make_system("charged")
        simulate(system, *system.sample(0, n), 4, "rk4", output=folder / name)
    return folder
