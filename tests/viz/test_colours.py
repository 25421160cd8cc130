"""What colours stand for: of particles, along trails, in the bar and in the legend."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.registry.registry import make_system
from nbody_surrogate.results.trajectory import Trajectory
from nbody_surrogate.viz.scene import shapes
from nbody_surrogate.viz.scene.colour_bar import bar_title, ticks
from nbody_surrogate.viz.scene.colouring import Scale, between_frames, scale_of
from nbody_surrogate.viz.scene.palette import DARK, LIGHT, Palette
from nbody_surrogate.viz.scene.particle_colours import particle_colours, told_apart_by
from nbody_surrogate.viz.scene.tracks import Track
from pictures import moved, trajectory

BOTH = pytest.mark.parametrize("palette", [DARK, LIGHT], ids=["dark", "light"])
APART = 0.12  # least distance of two colours, of a cube of edge 1, that are seen as two
ONES = np.ones(4)


def luminance(colours: np.ndarray) -> np.ndarray:
    return np.asarray(colours) @ (0.2126, 0.7152, 0.0722)


def of(charges: list[float] | np.ndarray, masses: np.ndarray = ONES) -> Track:
    """A track of as many particles."""
    run = trajectory(n=len(charges))
    return Track.of(replace(run, particles=Particles([charges], [masses])), "")


# Palettes


@BOTH
def test_a_ramp_grows_lighter_and_stands_out_from_the_background(palette: Palette) -> None:
    shade = luminance(palette.ramp.at(np.linspace(0, 1, 101)))
    assert (np.diff(shade) > 0).all()
    assert np.abs(shade - luminance(palette.backdrop)).min() > 0.15


@BOTH
def test_colours_of_a_few_particles_are_unlike(palette: Palette) -> None:
    several = np.array(palette.several)
    apart = np.linalg.norm(several[:, None] - several, axis=2)
    assert apart[np.triu_indices(len(several), 1)].min() > 2 * APART
    for colour in (*several, palette.positive, palette.negative, palette.neutral, palette.scenery):
        assert np.linalg.norm(np.array(colour) - palette.backdrop) > APART
    for colour in several:  # which the lines of errors have
        assert np.linalg.norm(colour - palette.error) > APART


@BOTH
def test_the_circle_of_hues_closes_and_is_of_one_lightness(palette: Palette) -> None:
    colours = palette.cycle.at(np.linspace(0, 1, 101))
    np.testing.assert_array_equal(colours[0], colours[-1])
    assert np.ptp(luminance(colours)) < 0.2
    assert np.linalg.norm(colours[50] - colours[0]) > 2 * APART


# What particles are told apart by


@pytest.mark.parametrize(
    ("system", "quantity"),
    [
        ("charged", "charge"),
        ("charged-clipped", "charge"),
        ("gravity", "mass"),
        ("oscillator", "identity"),
        ("pendulum", "identity"),
        ("penning", "charge"),
        ("springs", "identity"),
        ("trap", "charge"),
    ],
)
def test_particles_of_every_built_in_system_are_told_apart(system: str, quantity: str) -> None:
    _, particles = make_system(system).sample(0, 6)
    charges, masses = particles.charges[0], particles.masses[0]
    assert told_apart_by(charges, masses) == quantity
    colours = particle_colours(charges, masses)
    kinds = len(np.unique(charges)) if quantity == "charge" else 6
    assert len(np.unique(colours, axis=0)) == kinds


def test_equal_charges_have_a_legend_and_unequal_ones_a_bar() -> None:
    words = [row[1] for row in scale_of("auto", of([2.0, -2.0, 0.0, 2.0]), None).rows]
    assert words == ["positive charge", "negative charge", "no charge"]
    scale = scale_of("auto", of([2.0, -1.0, 0.0, 0.5]), None)
    assert not scale.rows
    assert (scale.low, scale.high) == (-2.0, 2.0)  # grey is in the middle
    colours = scale.colours(0)
    np.testing.assert_allclose(colours[0], DARK.positive)
    np.testing.assert_array_equal(colours[2], DARK.neutral)
    assert colours[1, 2] - colours[1, 0] > 0.1  # half as strong: cool, and greyer than COOL
    assert colours[3, 0] - colours[3, 2] > 0.1
    one_sign = scale_of("charge", of([2.0, 1.0, 0.5, 1.5]), None)
    assert (one_sign.low, one_sign.high) == (0.0, 2.0)
    np.testing.assert_allclose(one_sign.colours(0)[0], DARK.positive)
    other = scale_of("charge", of([-2.0, -1.0, -0.5, -1.5]), None)
    assert (other.low, other.high) == (-2.0, 0.0)
    np.testing.assert_allclose(other.colours(0)[0], DARK.negative)


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=6))
def test_the_sign_of_every_charge_is_seen(charges: list[float]) -> None:
    values = np.round(np.array(charges), 3)
    colours = particle_colours(values, np.ones(len(values)))
    warmth = colours[:, 0] - colours[:, 2]
    if values.any():
        np.testing.assert_array_equal(np.sign(values[values != 0]), np.sign(warmth[values != 0]))


def test_masses_that_span_decades_have_logarithms_and_say_so() -> None:
    none = [0.0] * 4
    near = scale_of("auto", of(none, np.array([1.0, 2.0, 3.0, 4.0])), None)
    assert bar_title(near) == "mass (reduced units)"
    np.testing.assert_allclose(near.colours(0), DARK.ramp.at(np.array([0, 1 / 3, 2 / 3, 1])))
    far = scale_of("auto", of(none, np.array([1e-3, 1e-1, 10.0, 1e3])), None)
    assert bar_title(far) == "mass (reduced units, logarithmic)"
    np.testing.assert_allclose(far.colours(0), near.colours(0))
    equal = scale_of("mass", of(none), None)
    assert equal.rows[0][1] == "mass 1"
    assert len(np.unique(equal.colours(0), axis=0)) == 1


@pytest.mark.parametrize("n", [1, 2, 8, 9, 200])
def test_identities_have_a_colour_each(n: int) -> None:
    scale = scale_of("identity", of(np.zeros(n), np.ones(n)), None)
    colours = scale.colours(0)
    assert len(np.unique(colours, axis=0)) == n
    if n <= 8:
        np.testing.assert_allclose(colours, DARK.several[:n])
    said = "the particle" if n == 1 else "a colour for each particle"
    assert [row[1] for row in scale.rows] == [said]


# Colours in the course of time


def slowing(n: int = 3) -> Trajectory:
    """Particles whose speed falls, each in its own measure."""
    run = trajectory(n=n, frames=6)
    return replace(
        run, v=run.v * np.linspace(2, 1, 6)[:, None, None] * np.arange(1, n + 1)[:, None]
    )


def test_a_trail_has_the_colours_of_what_was_then() -> None:
    track = Track.of(slowing(), "")
    scale = scale_of("speed", track, None)
    window = track.window(5, 4)
    along = scale.along(window, track.subframes)
    assert along.shape == track.path(5, 4).shape
    for back in range(5):
        np.testing.assert_allclose(along[4 * 6 - 6 * back], scale.colours(5 - back))
    between = scale.along(window, 1)
    np.testing.assert_allclose(between, along[::6])
    assert np.linalg.norm(along[0] - along[-1], axis=1)[1:].min() > APART  # of what is faster


def test_a_trail_of_what_does_not_change_has_one_colour() -> None:
    track = of([1.0, -1.0, 0.5, 0.0])
    scale = scale_of("charge", track, None)
    along = scale.along(track.window(5, 3), track.subframes)
    assert along.shape == track.path(5, 3).shape
    assert (along == scale.colours(5)).all()


def test_values_between_frames_are_on_lines() -> None:
    values = np.array([[0.0, 3.0], [1.0, 3.0], [5.0, 0.0]])
    found = between_frames(values, 4)
    np.testing.assert_allclose(found[:, 0], [0, 0.25, 0.5, 0.75, 1, 2, 3, 4, 5])
    np.testing.assert_array_equal(found[::4], values)


def test_one_range_is_for_both_runs_and_all_frames() -> None:
    lead = Track.of(slowing(), "")
    rival = replace(lead, v=3 * lead.v)
    scale = scale_of("speed", rival, lead)
    np.testing.assert_allclose(scale.rival, 3 * scale.values)
    same = scale.rival[0, 0] / scale.values[0, 0]
    assert same == pytest.approx(3)
    fastest = scale._replace(values=np.full((6, 3), scale.high))
    np.testing.assert_array_equal(scale.colours(0, rival=True)[2], fastest.colours(0)[0])
    # the same colour for the same speed, whose ever it is
    swapped = scale._replace(values=scale.rival, rival=scale.values)
    np.testing.assert_array_equal(swapped.colours(3), scale.colours(3, rival=True))
    error = scale_of("error", Track.of(moved(slowing()), ""), lead)
    np.testing.assert_array_equal(error.colours(4), error.colours(4, rival=True))


# The bar


def bar(low: float, high: float, logarithmic: bool) -> Scale:
    none = np.zeros((1, 1))
    return Scale("speed", none, none, low, high, logarithmic, DARK.ramp)


@pytest.mark.parametrize(
    ("low", "high", "logarithmic", "texts"),
    [
        (0.0, 1.0, False, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (-2.0, 2.0, False, ["-2", "-1", "0", "1", "2"]),
        (0.13, 0.19, False, ["0.13", "0.16", "0.19"]),
        (310.0, 1280.0, False, ["310", "600", "800", "1000", "1280"]),
        (0.0, 3e7, False, ["0", "1", "2", "3"]),
        (0.4281, 0.9688, False, ["0.43", "0.6", "0.8", "0.96"]),
        (2e-9, 6e-9, False, ["2", "3", "4", "5", "6"]),
        (1e-3, 1e1, True, ["0.001", "0.01", "0.1", "1", "10"]),
        (2e-9, 3e-1, True, ["2e-9", "1e-6", "1e-4", "3e-1"]),
        (3e4, 3e6, True, ["3e4", "1e5", "1e6", "3e6"]),
        (0.3, 12.0, True, ["0.3", "1", "12"]),
        (0.12, 0.6, True, ["0.12", "0.2", "0.6"]),
        (1e-7, 6e-7, True, ["1e-7", "2e-7", "6e-7"]),
    ],
)
def test_a_bar_has_round_numbers(
    low: float, high: float, logarithmic: bool, texts: list[str]
) -> None:
    assert [text for _, text in ticks(low, high, logarithmic)] == texts


@given(st.floats(-1e12, 1e12), st.floats(1e-9, 1e12))
def test_numbers_of_a_bar_stand_where_they_belong(low: float, span: float) -> None:
    span = max(span, 1e-6 * abs(low))
    high = low + span
    found = ticks(low, high, False)
    assert 2 <= len(found) <= 6
    title = bar_title(bar(low, high, False))
    unit = float(title.split("times ")[1][:-1]) if "times" in title else 1.0
    for place, text in found:
        assert -1e-6 <= place <= 1 + 1e-6
        assert float(text) * unit == pytest.approx(low + place * span, abs=1e-3 * span)


@given(st.floats(-12, 12), st.floats(0.3, 20))
def test_numbers_of_a_bar_of_logarithms_stand_where_they_belong(low: float, decades: float) -> None:
    found = ticks(10.0**low, 10.0 ** (low + decades), True)
    assert 2 <= len(found) <= 6
    for place, text in found:
        assert -1e-6 <= place <= 1 + 1e-6
        assert np.log10(float(text)) == pytest.approx(low + place * decades, abs=0.03)
        assert "e+" not in text
        assert "e-0" not in text


def test_a_bar_has_one_notation() -> None:
    assert [text for _, text in ticks(1e-4, 1.0, True)] == ["1e-4", "1e-3", "1e-2", "1e-1", "1e0"]


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.booleans())
def test_a_bar_has_numbers_at_its_ends(low: float, span: float, logarithmic: bool) -> None:
    low = abs(low) + 1e-3 if logarithmic else low
    high = 3 * low + span if logarithmic else low + span
    first, *_, last = [place for place, _ in ticks(low, high, logarithmic)]
    assert -1e-6 <= first < 0.1
    assert 0.9 < last <= 1 + 1e-6


def oklab(colour: Any) -> np.ndarray:
    """Return colours in a space where distances are as they are seen."""
    c = np.asarray(colour, float)
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    cones = [[0.41222, 0.53633, 0.05145], [0.21190, 0.68070, 0.10740], [0.08830, 0.28172, 0.62998]]
    axes = [
        [0.21045, 0.79362, -0.00407],
        [1.97800, -2.42859, 0.45059],
        [0.02590, 0.78277, -0.80868],
    ]
    return np.cbrt(linear @ np.array(cones).T) @ np.array(axes).T


@pytest.mark.parametrize("palette", [DARK, LIGHT])
def test_no_particle_has_the_colour_of_errors(palette: Palette) -> None:
    shares = np.linspace(0, 1, 101)
    kinds = [*palette.several, palette.positive, palette.negative, palette.neutral, palette.scenery]
    used = np.concatenate([palette.ramp.at(shares), palette.cycle.at(shares), np.array(kinds)])
    away = np.linalg.norm(oklab(used) - oklab(palette.error), axis=1)
    assert away.min() > 0.12  # a yellow that the ramp ends in was 0.01 from it


def test_a_bar_says_its_unit() -> None:
    assert bar_title(bar(0.0, 3e7, False)) == "speed (reduced units, times 1e7)"
    assert bar_title(bar(1e-9, 1e-2, True)) == "speed (reduced units, logarithmic)"


# Truth and prediction


def test_a_dashed_tube_is_drawn_where_it_is_told_to() -> None:
    x = np.linspace(0, 1, 21)
    path = np.stack([x, 0 * x, 0 * x], axis=1)[:, None]
    colours, widths = np.ones((21, 1, 3)), np.full((21, 1), 0.01)
    drawn = ((np.arange(21) // 5) % 2 == 0)[:, None]
    dashed = shapes.tubes(path, colours, widths, 1e-6, drawn)
    found = np.unique(np.round(np.asarray(dashed.points)[:, 0], 3))
    np.testing.assert_allclose(found, x[drawn[:, 0]][:10], atol=2e-3)  # the last point is alone
    whole = shapes.tubes(path, colours, widths, 1e-6)
    # a straight line needs no points between
    ends = np.asarray(whole.points)[:, 0]
    assert (ends.min(), ends.max()) == pytest.approx((0.0, 1.0), abs=1e-6)
