"""What a system shows beside its particles, by the meshes that are drawn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nbody_surrogate.contracts.scenery import Arrow, Bonds, Curve, Ellipsoid, Rods, Shape
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.errors import NBodyWarning
from nbody_surrogate.registry.registry import make_system, register_system
from nbody_surrogate.results.trajectory import RunInfo, Trajectory
from nbody_surrogate.viz.scene.camera import Camera, still_camera
from nbody_surrogate.viz.scene.framing import View
from nbody_surrogate.viz.scene.palette import DARK
from nbody_surrogate.viz.scene.system_shapes import links, scenery_of, surroundings, words_of
from nbody_surrogate.viz.scene.tracks import Track
from pictures import trajectory
from small_systems import Dragged

COLOURS = DARK.scenery, DARK.backdrop
BUILT_IN = {
    "charged": (),
    "charged-clipped": (),
    "gravity": (),
    "oscillator": (Ellipsoid,),
    "pendulum": (Rods,),
    "penning": (Arrow, *(Curve,) * 5),
    "springs": (Bonds,),
    "trap": (Ellipsoid,),
}
"""By name of system, in three dimensions."""


def run_of(system: str, n: int = 4, dim: int = 3, **parameters: Any) -> Trajectory:
    """Two frames: a start, and the same moved on along its velocities."""
    made = make_system(system, **parameters)
    state, particles = made.sample(1, n, 1, dim)
    x = np.stack([state.x[0], state.x[0] + 0.1 * state.v[0]])
    info = RunInfo(system=made.description, method={"integrator": "dop853"})
    return Trajectory(np.array([0.0, 0.1]), x, np.stack([state.v[0]] * 2), particles, info)


def seen(run: Trajectory) -> tuple[Track, Camera]:
    track = Track.of(run, "")
    return track, still_camera(track, None, 0, 0, View(1.5))


def drawn(run: Trajectory, shapes: tuple[Shape, ...], frame: int = 0) -> tuple[Any, Any, float]:
    """Meshes of links and of what stands still, and the radius of a ball."""
    track, camera = seen(run)
    return (
        links(shapes, track, frame, camera, *COLOURS),
        surroundings(shapes, track, camera, *COLOURS),
        camera.ball_radius(run.x.shape[1]),
    )


def to_segments(points: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Distances of points from each of some segments, shape (P, K)."""
    along = ends - starts
    share = ((points[:, None] - starts) * along).sum(-1) / (along**2).sum(-1)
    nearest = starts + np.clip(share, 0, 1)[..., None] * along
    return np.linalg.norm(points[:, None] - nearest, axis=-1)


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("n", [1, 4])
def test_every_built_in_system_can_be_drawn(name: str, dim: int, n: int) -> None:
    run = run_of(name, n, dim)
    shapes = scenery_of(run)
    if dim == 3:
        assert tuple(type(shape) for shape in shapes) == BUILT_IN[name]
    assert all(words_of(shapes)) and bool(words_of(shapes)) == bool(shapes)
    for mesh in drawn(run, shapes)[:2]:
        assert np.isfinite(np.asarray(mesh.points)).all()
        assert not mesh.n_points or mesh.point_data["rgb"].shape == (mesh.n_points, 3)


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("frame", [0, 1])
def test_springs_are_drawn_between_those_that_are_bonded(frame: int, dim: int) -> None:
    run = run_of("springs", 6, dim)
    mesh, still, ball = drawn(run, scenery_of(run), frame)
    couplings = run.particles.couplings
    assert couplings is not None
    i, j = np.nonzero(np.triu(couplings[0], 1))
    assert 0 < len(i) < 15
    x = Track.of(run, "").x[frame]
    distances = to_segments(np.asarray(mesh.points), x[i], x[j])
    assert distances.min(axis=1).max() < ball / 2  # a tube hides no ball
    assert (distances.min(axis=0) < ball / 2).all()  # each bond has a tube
    per_bond = len(mesh.points) / len(i)
    assert per_bond == int(per_bond)
    assert not still.n_points
    # without couplings all are bonded, as the forces have it
    (bonds,) = scenery_of(replace(run, particles=Particles(*_bare(run))))
    assert isinstance(bonds, Bonds)
    assert len(bonds.pairs) == 15


def _bare(run: Trajectory) -> tuple[np.ndarray, np.ndarray]:
    return run.particles.charges, run.particles.masses


def test_stronger_bonds_are_thicker_and_many_are_thinner() -> None:
    run = trajectory(n=12)
    x = Track.of(run, "").x[-1]

    def radius(shape: Bonds, i: int, j: int) -> float:
        mesh = drawn(run, (shape,), -1)[0]
        near = to_segments(np.asarray(mesh.points), x[[i]], x[[j]])[:, 0]
        ends = np.linalg.norm(np.asarray(mesh.points) - x[i], axis=1) < 0.2
        return float(near[ends].max())

    pair = Bonds([(0, 6), (1, 7)], strengths=[1.0, -0.25])
    assert radius(pair, 0, 6) == pytest.approx(2 * radius(pair, 1, 7), rel=1e-5)
    every = np.stack(np.triu_indices(12, 1), axis=1)
    assert drawn(run, (Bonds(every),), -1)[0].n_points > 0
    thick, thin = (drawn(run, (Bonds(few),), -1)[0].length for few in (every[:1], every))
    assert thick < thin  # all of them reach farther than one
    assert drawn(run, (Bonds(np.empty((0, 2), int)),), -1)[0].n_points == 0


@pytest.mark.parametrize("dim", [2, 3])
def test_rods_reach_from_the_pivot_to_the_bobs(dim: int) -> None:
    run = run_of("pendulum", 3, dim)
    mesh, still, ball = drawn(run, scenery_of(run), 1)
    x = Track.of(run, "").x[1]
    distances = to_segments(np.asarray(mesh.points), np.zeros_like(x), x)
    assert distances.min(axis=1).max() < ball / 2
    assert (distances.min(axis=0) < ball / 2).all()
    pivot = np.linalg.norm(np.asarray(still.points), axis=1)
    assert pivot.max() < ball


@pytest.mark.parametrize("name", ["trap", "oscillator"])
@pytest.mark.parametrize("dim", [2, 3])
def test_a_trap_is_drawn_where_the_mean_energy_turns_back(name: str, dim: int) -> None:
    run = run_of(name, 5, dim)
    (shape,) = scenery_of(run)
    assert isinstance(shape, Ellipsoid)
    spec = run.system().spec
    w = spec.frequencies[0] if name == "trap" else spec.frequency
    energy = 0.5 * ((run.v[0] ** 2).sum(1) + w * w * (run.x[0] ** 2).sum(1)).mean()
    radius = np.sqrt(2 * energy) / w
    np.testing.assert_allclose(shape.semi_axes, [radius] * dim + [0.0] * (3 - dim))
    _, still, ball = drawn(run, (shape,))
    distances = np.linalg.norm(np.asarray(still.points), axis=1)
    assert np.abs(distances - radius).max() < ball / 8
    if dim == 2:
        assert np.abs(np.asarray(still.points)[:, 2]).max() < ball / 8


def test_a_trap_that_is_open_along_an_axis_has_no_surface() -> None:
    assert scenery_of(run_of("trap", frequencies=(0.5, 0.5, 0.0))) == ()
    (flat,) = scenery_of(run_of("trap", dim=2, frequencies=(0.5, 1.0, 0.0)))
    assert isinstance(flat, Ellipsoid)
    assert flat.semi_axes[0] == pytest.approx(2 * flat.semi_axes[1])


@pytest.mark.parametrize("field", [-4.0, 4.0])
def test_the_field_of_a_penning_trap_points_along_it(field: float) -> None:
    run = run_of("penning", magnetic_field=field)
    arrow, *curves = scenery_of(run)
    assert isinstance(arrow, Arrow)
    along = arrow.end - arrow.start
    assert np.sign(along[2]) == np.sign(field)
    assert not along[:2].any()
    squares = []
    for curve in curves:
        assert isinstance(curve, Curve)
        squares.append(np.abs(curve.points[:, 2] ** 2 - (curve.points[:, :2] ** 2).sum(1) / 2))
    np.testing.assert_allclose(np.concatenate(squares), squares[0][0])
    _, still, ball = drawn(run, (arrow,))
    tip = np.asarray(still.points)[np.argmax(np.asarray(still.points)[:, 2] * np.sign(field))]
    np.testing.assert_allclose(tip, arrow.end, atol=1e-5)
    feet = np.asarray(still.points)[np.linalg.norm(np.asarray(still.points)[:, :2], axis=1) > 0]
    assert np.linalg.norm(feet[:, :2], axis=1).max() < ball / 2


@pytest.mark.parametrize("field", [-4.0, 4.0])
def test_a_field_across_a_flat_picture_is_a_sign(field: float) -> None:
    run = run_of("penning", dim=2, magnetic_field=field, quadrupole=0.0)
    (arrow,) = scenery_of(run)
    _, still, ball = drawn(run, (arrow,))
    points = np.asarray(still.points)
    assert np.abs(points[:, 2]).max() < ball / 2  # it lies in the plane
    assert (np.linalg.norm(points, axis=1) < ball / 2).any() == (field > 0)  # the dot
    stroke = drawn(run, (Curve([(0, 0), (1, 0)]),))[1]
    assert stroke.n_points
    circles, strokes = (2, 0) if field > 0 else (1, 2)
    assert still.n_points == (96 * circles + strokes) * stroke.n_points


def test_what_is_far_away_is_left_out() -> None:
    run = run_of("springs", 6)
    x = run.x.copy()
    x[1, 0] = 1e30
    shapes = scenery_of(run)
    track, camera = Track.of(replace(run, x=x), ""), seen(run)[1]
    mesh = links(shapes, track, 1, camera, *COLOURS)
    assert 0 < mesh.n_points < links(shapes, track, 0, camera, *COLOURS).n_points
    assert np.abs(np.asarray(mesh.points)).max() < 100
    x[1, 0] = np.nan
    track = Track.of(replace(run, x=x), "")
    assert links(shapes, track, 1, camera, *COLOURS).n_points == mesh.n_points


def plugin(name: str, scenery: Any) -> Trajectory:
    """A run of a plugin's system with scenery."""
    register_system(name)(type("Scenic", (Dragged,), {"name": name, "_scenery": scenery}))
    return replace(
        trajectory(), info=RunInfo(system={"system": name}, method={"integrator": "dop853"})
    )


def test_a_plugin_declares_its_scenery(registered: None) -> None:
    shapes = [Bonds([(0, 1)], "chain"), Curve([(0, 0), (1, 1)], "rail"), Curve([(0, 0), (1, 0)])]
    run = plugin("scenic", lambda *_: shapes)
    assert scenery_of(run) == tuple(shapes)
    assert [words for _, words in words_of(shapes)] == ["chain", "rail"]
    chain, rails, ball = drawn(run, tuple(shapes))
    x = Track.of(run, "").x[0]
    assert to_segments(np.asarray(chain.points), x[:1], x[1:2]).max() < ball / 2
    lines = np.zeros((2, 3)), np.array([(1.0, 1, 0), (1, 0, 0)])
    assert to_segments(np.asarray(rails.points), *lines).min(axis=1).max() < ball / 4


def test_a_run_is_drawn_without_the_scenery_of_a_plugin_that_is_missing_or_fails(
    registered: None,
) -> None:
    lost = RunInfo(system={"system": "lost"}, method={"integrator": "dop853"})
    assert scenery_of(replace(trajectory(), info=lost)) == ()
    run = plugin("failing", lambda *_: 1 / 0)
    with pytest.warns(NBodyWarning, match="without its scenery: .*'failing'.*ZeroDivision"):
        assert scenery_of(run) == ()
