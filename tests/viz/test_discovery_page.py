"""The page about a discovery: what it holds, that it loads nothing, and what it refuses."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape

import numpy as np
import pytest

from found_laws import N, around, changed, found_discovery, found_law, tracks_and_forecast
from nbody_surrogate import FileFormatError, InputError
from nbody_surrogate.discovery.contents import DiscoveryFile, Interval
from nbody_surrogate.discovery.files import FOUND, write_folder
from nbody_surrogate.discovery.words import also_fit, forecast_text, interval_text, lead, p_text
from nbody_surrogate.viz.discovery.interval_chart import interval_chart
from nbody_surrogate.viz.discovery.law_charts import law_charts
from nbody_surrogate.viz.discovery.report import write_discovery_report
from nbody_surrogate.viz.discovery.tables import formula_table
from nbody_surrogate.viz.html.charts import BOTTOM, HEIGHT, TOP, Backdrop, Series, line_chart

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("discoveries") / "grains"
    return write_folder(place, found_law(), found_discovery())


@pytest.fixture(scope="module")
def page(folder):
    return write_discovery_report(folder, *tracks_and_forecast()).read_text()


def found(**changes):
    content = found_discovery()
    for path, value in changes.items():
        content = changed(content, path.replace("__", "."), value)
    return DiscoveryFile(**content)


def one_line(caught, *parts):
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_the_page_holds_all_that_was_found(folder, page):
    assert (folder / "report.html").read_text() == page
    text = unescape(page)
    content = found_discovery()
    for row in content["symmetries"]:
        assert f">{row['name']}<" in text
    assert text.count('class="yes">broken<') == sum(row["broken"] for row in content["symmetries"])
    assert "all charges are of one sign" in text
    for each in content["formulas"]:
        assert each["text"] in text
    for each in content["field"]:
        assert f">{each['name']}<" in text
    assert content["notes"][0] in text
    assert content["command"] in text
    assert "nbody-sim run --system discovered:grains" in text
    assert json.dumps(found_law()["charges"]) in text
    assert text.count("<figure") == 5  # the law twice, and three quantities of particles


def test_the_page_loads_nothing(page):
    assert "default-src 'none'" in page
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    assert "http:" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https:" not in page


def test_the_scene_has_tracks_with_their_gaps_and_the_forecast(page):
    (data,) = re.findall(r"nbodyScene\(document.getElementById\('scene'\), (\{.*?\})\);\n", page)
    scene = json.loads(data)
    assert scene["n"] == N
    assert [track["name"] for track in scene["tracks"]] == ["tracks", "forecast"]
    tracks, _ = tracks_and_forecast()
    assert len(scene["t"]) == len(tracks)
    assert "solid: tracks" in page
    assert "ring: forecast" in page


def test_names_of_strangers_become_no_markup(tmp_path):
    content = found_discovery()
    for path in (
        *("tracks.files.0", "particles.2.name", "field.0.name", "symmetries.1.meaning"),
        *("formulas.0.text", "command", "tracks.length_unit"),
    ):
        content = changed(content, path, HOSTILE)
    content["notes"] = [HOSTILE]
    page = write_discovery_report(write_folder(tmp_path / "a", found_law(), content)).read_text()
    assert HOSTILE not in page
    assert page.count("&lt;script&gt;alert(1)") >= 8


def test_without_tracks_there_is_no_scene(folder, tmp_path):
    page = write_discovery_report(folder, path=tmp_path / "a.html").read_text()
    assert 'id="scene"' not in page
    assert "<h2>Numbers</h2>" in page


def test_tracks_of_the_plane_alone(tmp_path):
    law = found_law() | {"dimensions": 2}
    for key in ("starts_x", "starts_v"):
        law[key] = np.array(law[key])[..., :2].tolist()
    content = changed(found_discovery(), "tracks.dimensions", 2)
    folder = write_folder(tmp_path / "a", law, content)
    page = write_discovery_report(folder, tracks_and_forecast()[0][..., :2]).read_text()
    assert "12 in 2 dimensions" in page
    assert "ring: forecast" not in page


@pytest.mark.parametrize(
    ("arrays", "parts"),
    [
        ([np.zeros((5, N - 1, 3))], ["`tracks`", "12 particles of the law", "got 11"]),
        ([np.zeros((5, N, 2))], ["`tracks`", "D = 3"]),
        ([np.zeros((N, 3))], ["`tracks`", "(T, N, D)"]),
        ([np.zeros((5, N, 3)), np.zeros((5, N, 2))], ["`forecast`", "D = 3"]),
        ([None, np.zeros((5, N, 3))], ["`forecast`", "`tracks`"]),
    ],
)
def test_arrays_of_something_else_are_one_line(folder, arrays, parts):
    with pytest.raises(InputError) as caught:
        write_discovery_report(folder, *arrays)
    one_line(caught, *parts)


def test_what_is_no_discovery_is_one_line(tmp_path):
    with pytest.raises(InputError) as caught:
        write_discovery_report(tmp_path / "nowhere")
    one_line(caught, "nowhere")
    folder = write_folder(tmp_path / "a", found_law(), found_discovery())
    with pytest.raises(InputError) as caught:
        write_discovery_report(folder, path=tmp_path / "a.pdf")
    one_line(caught, "`path`", ".html")
    (folder / FOUND).write_text("{}")
    with pytest.raises(FileFormatError) as caught:
        write_discovery_report(folder)
    one_line(caught, FOUND)


# Words


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        ((0.31, 0.22, 0.40), "0.31 (0.22 to 0.40)"),
        ((1.00234, 1.00034, 1.00434), "1.0023 (1.0003 to 1.0043)"),
        ((1234.5, 1200.0, 1270.0), "1234 (1200 to 1270)"),
        ((0.0, -0.01, 0.01), "0 (-0.010 to 0.010)"),
        ((2.0, None, None), "2.000"),
        ((2.0, 2.0, 2.0), "2.000 (2.000 to 2.000)"),
    ],
)
def test_numbers_have_as_many_digits_as_their_interval(interval, text):
    value, low, high = interval
    assert interval_text(Interval(value=value, low=low, high=high)) == text


def test_small_p_values_are_bounds():
    assert [p_text(p) for p in (None, 0.5, 1e-3, 1e-9)] == ["", "0.50", "0.0010", "< 1e-6"]


def test_the_lead_says_what_was_found():
    text = lead(found())
    assert "1.04 times their noise" in text
    assert "Of the formulas that were tried, wake fits best" in text
    assert "Newton's third law, isotropy, translation and boost are broken." in text
    wanted = (
        "stay with held-out tracks for at least 6.4 (5.1 to 7.7) s; 4 of 20 outlast their segment"
    )
    assert wanted in text
    none = found(formula=None, forecast=None, symmetries=[])
    assert "None of the formulas fits (wake, Yukawa, Coulomb)" in lead(none)
    assert "No symmetry was tested" in lead(none)
    kept = [row | {"broken": False} for row in found_discovery()["symmetries"][:3]]
    assert "Of 3 symmetries tested, none is broken." in lead(found(symmetries=kept))


def test_a_forecast_that_outlasts_its_segment_tells_a_bound():
    seen = found().forecast
    texts = [forecast_text(seen.model_copy(update={"whole": k}), " s") for k in (0, 4, 20)]
    assert texts == [
        "6.4 (5.1 to 7.7) s",
        "at least 6.4 (5.1 to 7.7) s; 4 of 20 outlast their segment",
        "at least 6.400 s, all of each segment",
    ]


def test_formulas_of_exact_tracks_are_held_against_the_curve_itself():
    exact = [row | {"distance": d} for row, d in
             zip(found_discovery()["formulas"], (3e-5, 0.2, 0.9), strict=True)]  # fmt: skip
    told = formula_table(found(formulas=exact))
    assert "from the curve" in told and "Relative distance to the curve" in told
    assert "<td>30e-6</td>" in told
    assert "-25.3" not in told
    # in the order that they were ranked in, whatever their likelihoods
    assert told.index("wake") < told.index("Yukawa") < told.index("Coulomb")
    noisy = formula_table(found())
    assert "against the curve" in noisy and "-25.3" in noisy and "A is of the acceleration" in noisy


def test_formulas_that_are_not_ruled_out_are_named():
    both = [row | {"fits": row["name"] != "Coulomb"} for row in found_discovery()["formulas"]]
    assert also_fit(found(formulas=both)) == ["Yukawa"]
    assert "wake fits best; Yukawa cannot be ruled out." in lead(found(formulas=both))


# Pictures


def numbers(svg, kind):
    (drawn,) = re.findall(rf'<path class="{kind}" d="([^"]*)"', svg)
    return np.array(re.findall(r"-?[\d.]+ -?[\d.]+", drawn), dtype=object)


def points(svg, kind):
    return np.array([each.split() for each in numbers(svg, kind)], float)


def test_the_histogram_fills_the_chart_where_it_is_highest_and_stands_on_its_foot():
    x = np.linspace(1.0, 3.0, 5)
    backdrop = Backdrop(np.array([1.0, 2.0, 3.0]), np.array([2.0, 8.0]))
    svg = line_chart("t", "x", [Series("candidate", x, x)], False, "", backdrop)
    corners = points(svg, "bars")
    foot = HEIGHT - BOTTOM
    heights = sorted(set(foot - corners[:, 1]))
    np.testing.assert_allclose(heights, [0.0, 0.25 * (foot - TOP), foot - TOP], atol=0.1)
    curve = points(svg, "curve candidate")
    assert corners[0, 0] == curve[0, 0]
    assert corners[-1, 0] == curve[-1, 0]
    assert svg.index("bars") < svg.index("curve candidate")  # behind it


def test_a_band_below_zero_is_drawn_where_it_is():
    x = np.linspace(0.0, 1.0, 3)
    y = np.array([1.0, -1.0, 0.5])
    svg = line_chart("t", "x", [Series("candidate", x, y, y - 0.5, y + 0.5)], False)
    band, curve = points(svg, "band candidate"), points(svg, "curve candidate")
    upper, lower = band[:3, 1], band[3:, 1][::-1]
    np.testing.assert_allclose(0.5 * (upper + lower), curve[:, 1], atol=0.11)


def test_a_force_of_one_sign_has_a_logarithmic_axis_too():
    assert law_charts(found()).count("<figure") == 2
    pulls = found_discovery()["curve"]
    flipped = {key: [-f for f in pulls[key]] for key in ("force", "low", "high")}
    flipped = pulls | flipped | {"low": flipped["high"], "high": flipped["low"]}
    assert "its attraction" in law_charts(found(curve=flipped))
    wobbly = pulls | {"force": [(-1.0) ** k for k in range(60)]}
    assert law_charts(found(curve=wobbly)).count("<figure") == 1
    assert "no force" in law_charts(found(curve={}))


def test_the_closest_visits_do_not_flatten_the_linear_chart():
    curve = found_discovery()["curve"]
    r = np.array(curve["r"])
    steep = curve | {key: (1e6 * (r < 0.3) + 1.0).tolist() for key in ("force", "low", "high")}
    linear, logarithmic = law_charts(found(curve=steep)).split("</figure>")[:2]
    assert points(linear, "curve candidate")[:, 1].std() < 1e-9
    assert points(logarithmic, "curve candidate")[:, 1].std() > 10.0


def test_intervals_stand_where_their_numbers_are():
    values = [Interval(**around(value, 0.1)) for value in (1.0, 2.0, 3.0)]
    svg = interval_chart("t", ["a", "b", "c" * 40], values, 1.0)
    spans = re.findall(r'<path class="span" d="M([\d.]+) [\d.]+H([\d.]+)"', svg)
    dots = [float(x) for x in re.findall(r'<circle class="mid" cx="([\d.]+)"', svg)]
    ends = np.array(spans, float)
    per_unit = (dots[2] - dots[0]) / 2.0
    np.testing.assert_allclose(np.diff(dots), per_unit, atol=0.11)
    np.testing.assert_allclose(
        ends[:, 1] - ends[:, 0], per_unit * np.array([0.2, 0.4, 0.6]), atol=0.2
    )
    assert "c" * 40 not in re.sub(r'aria-label="[^"]*"', "", svg)


@pytest.mark.skipif(BROWSER is None, reason="no browser is installed")
def test_a_browser_shows_the_page(folder, page, tmp_path):
    picture = tmp_path / "page.png"
    switches = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000"]
    place = [f"--screenshot={picture}", (folder / "report.html").as_uri()]
    subprocess.run([BROWSER, *switches, *place], check=True, capture_output=True, timeout=120)
    assert picture.stat().st_size > 20_000
