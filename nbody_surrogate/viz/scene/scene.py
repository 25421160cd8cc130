"""The 3D scene of a trajectory, alone or against its reference: one builder for stills and movies.

The reference is solid: balls with tapering tubes behind them. The candidate is an open ring for
each particle with a thin pale trail; where the two part, a line joins them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
from jaxtyping import Bool, Float64, UInt8

from nbody_surrogate.results.metrics import rmse
from nbody_surrogate.viz.scene import shapes
from nbody_surrogate.viz.scene.camera import SIGHT, VIEW_ANGLE, Camera
from nbody_surrogate.viz.scene.clock import Clock
from nbody_surrogate.viz.scene.colouring import Scale, ramp
from nbody_surrogate.viz.scene.framing import View
from nbody_surrogate.viz.scene.inset import Inset
from nbody_surrogate.viz.scene.overlay import MARGIN, Overlay
from nbody_surrogate.viz.scene.tracks import COOL, INK, NEUTRAL, WARM, Track, mixed

if TYPE_CHECKING:
    import pyvista as pv

__all__ = ["Scene"]

FAINT_INK, ERROR = (0.66, 0.71, 0.80), (1.00, 0.86, 0.45)
BOTTOM, TOP = (0.020, 0.026, 0.055), (0.085, 0.110, 0.200)  # of the backdrop
BACKDROP = (0.052, 0.068, 0.128)  # their mean, into which things fade
PALE = 0.55  # how far the candidate's colours are from the charge's towards white
SUPERSAMPLE = 2  # pixels rendered for each one kept, along each edge


class Scene:
    """The scene, drawn off screen; to be used in a `with` block, which closes it.

    Parameters
    ----------
    candidate : Track
    reference : Track or None
        Drawn solid where given, and the candidate as rings; else the candidate is drawn solid.
    trail : int
        Frames that a trail reaches back.
    window_size : tuple of int
        Width and height of the images, in pixels.
    title : str
    scale : Scale, optional
        What colours stand for, in place of charges.
    inset : Inset, optional
        A chart at the lower right.
    off_screen : bool
        Whether it is drawn for images rather than in a window.
    """

    def __init__(
        self,
        candidate: Track,
        reference: Track | None,
        trail: int,
        window_size: tuple[int, int],
        title: str,
        *,
        scale: Scale | None = None,
        inset: Inset | None = None,
        off_screen: bool = True,
    ) -> None:
        import pyvista as pv

        self._candidate, self._reference, self._trail = candidate, reference, trail
        self._lead = candidate if reference is None else reference
        self._scale = scale
        self._size = (SUPERSAMPLE if off_screen else 1) * np.array(window_size)
        self._meshes: dict[str, pv.PolyData] = {}
        self._ball, self._ring = shapes.ball(len(self._lead.sizes)), shapes.ring()
        self._plotter = pv.Plotter(
            off_screen=off_screen, window_size=self._size.tolist(), lighting="light kit"
        )
        self._plotter.disable_anti_aliasing()  # supersampling does it
        self._plotter.renderer.set_background(BOTTOM, top=TOP)
        self._plotter.camera.view_angle = VIEW_ANGLE
        self._overlay = Overlay(self._plotter, self._size)
        margin, unit = MARGIN * self._size[0], self._overlay.unit
        right, top = self._size[0] - margin, self._size[1] - margin
        self._overlay.text(title, (margin, top), 38, INK, bold=True)
        self._clock = self._overlay.text("", (right, top), 38, INK, right=True)
        self._note = self._overlay.text("", (right, top - 60 * unit), 24, FAINT_INK, right=True)
        self._ends = self._end_words(right, top - 112 * unit)
        self._reserve(right, top)
        colours = (INK,) if reference is None else (INK, FAINT_INK)
        self._mark = None if inset is None else inset.draw(self._overlay, colours)
        self._legend()

    def _reserve(self, right: float, top: float) -> None:
        """Keep room for the clock and the note, which are written with each frame."""
        overlay, t = self._overlay, self._lead.t
        clock = max((Clock.of(t).text(float(each)) for each in (t[0], t[-1])), key=len)
        overlay.reserve(self._clock, clock, (right, top), right=True)
        note = "" if self._reference is None else "position RMSE 1.2e-05"
        overlay.reserve(self._note, note, (right, top - 60 * overlay.unit), right=True)

    def _end_words(self, right: float, height: float) -> list[pv.Text]:
        """Write which runs stopped, for the last frame; movies keep its room throughout."""
        unit, tracks = (
            self._overlay.unit,
            {id(each): each for each in (self._candidate, self._lead)},
        )
        return [
            self._overlay.text(
                _stopped(each), (right, height - 48 * i * unit), 32, ERROR, right=True
            )
            for i, each in enumerate(track for track in tracks.values() if track.stopped)
        ]

    def view(self) -> View:
        """Return the shape of the picture, and what words and charts leave of it."""
        return View(float(self._size[0] / self._size[1]), self._overlay.corners())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._plotter.close()

    def image(self, frame: int, camera: Camera) -> UInt8[np.ndarray, "height width 3"]:
        """Return a frame as seen by a camera, anti-aliased."""
        first = not self._meshes
        self.look(camera)
        self.show(frame, camera)
        if not first:
            self._plotter.render()  # the first screenshot does it by itself
        raw = np.asarray(self._plotter.screenshot(return_img=True))
        total = np.zeros((*self._size[::-1] // SUPERSAMPLE, 3), dtype=np.uint16)
        for i, j in np.ndindex(SUPERSAMPLE, SUPERSAMPLE):
            total += raw[i::SUPERSAMPLE, j::SUPERSAMPLE, :3]
        return (total // SUPERSAMPLE**2).astype(np.uint8)

    @property
    def plotter(self) -> pv.Plotter:
        """The plotter that draws it, for windows."""
        return self._plotter

    def show(self, frame: int, camera: Camera) -> None:
        """Put everything where it is at a frame, turned to and hazed for a camera."""
        lead = self._lead
        ball = camera.ball_radius(len(lead.sizes))
        self._stamp("balls", self._ball, lead, frame, camera, ball)
        self._update("trails", self._trails(lead, frame, camera, 0.42 * ball))
        if self._reference is not None:
            rival = self._candidate
            self._stamp("rings", self._ring, rival, frame, camera, 1.4 * ball, PALE)
            self._update("rival", self._trails(rival, frame, camera, 0.16 * ball, PALE))
            self._update("errors", self._errors(frame, camera, 0.13 * ball))
        if self._mark is not None:
            self._mark.move(float(lead.t[frame]))
        self._clock.input = Clock.of(lead.t).text(float(lead.t[frame]))
        self._note.input = self._remark(frame)
        for words in self._ends:
            words.SetVisibility(frame == len(lead.t) - 1)

    def look(self, camera: Camera) -> None:
        """Move the view to a camera."""
        view = self._plotter.camera
        view.position, view.focal_point, view.up = camera.position, camera.centre, camera.facing[1]
        distance = float(np.linalg.norm(camera.position - camera.centre))
        view.clipping_range = (0.02 * distance, distance + 2 * SIGHT * camera.radius)

    def _stamp(
        self,
        name: str,
        template: pv.PolyData,
        track: Track,
        frame: int,
        camera: Camera,
        radius: float,
        pale: float = 0.0,
    ) -> None:
        seen = camera.sees(track.x[frame])
        here = track.x[frame][seen]
        colours = _hazed(self._colours(track, frame, pale)[seen], camera.haze(here))
        mesh = shapes.stamped(template, here, radius * track.sizes[seen], colours, camera.facing)
        self._update(name, mesh)

    def _trails(
        self, track: Track, frame: int, camera: Camera, width: float, pale: float = 0.0
    ) -> pv.PolyData:
        path = track.path(frame, self._trail)
        path = np.where(camera.sees(path)[..., None], path, np.nan)
        age = 1 - np.arange(len(path))[::-1, None] / max(1, self._trail * track.subframes)  # (P, 1)
        colours = _hazed(self._colours(track, frame, pale), camera.haze(path))
        colours = mixed(BACKDROP, colours, 0.3 + 0.7 * age[..., None] ** 0.7)
        widths = width * (0.05 + 0.95 * age**0.8) * track.sizes
        return shapes.tubes(path, colours, widths, 1e-4 * camera.radius)

    def _colours(self, track: Track, frame: int, pale: float) -> Float64[np.ndarray, "N 3"]:
        if self._scale is None:
            return track.colours(pale)
        return mixed(self._scale.colours(frame), INK, pale)

    def _errors(self, frame: int, camera: Camera, width: float) -> pv.PolyData:
        both = self._comparable(frame) & camera.sees(self._lead.x[frame])
        start = self._lead.x[frame][both]
        gap = self._gaps(frame)[both]
        # Cut at the range of sight: a line to where a candidate blew up would overflow float32.
        longest = np.abs(gap).max(axis=1, initial=camera.radius, keepdims=True)
        lines = np.stack([start, start + gap * np.minimum(1, SIGHT * camera.radius / longest)])
        colours = _hazed(np.broadcast_to(ERROR, lines.shape), camera.haze(lines))
        return shapes.tubes(lines, colours, np.full(lines.shape[:2], width), 1e-4 * camera.radius)

    def _gaps(self, frame: int) -> Float64[np.ndarray, "N 3"]:
        return np.asarray(self._candidate.x[frame] - self._lead.x[frame])

    def _comparable(self, frame: int) -> Bool[np.ndarray, " N"]:
        both = (self._lead, self._candidate)
        return np.asarray(both[0].finite(frame) & both[1].finite(frame))

    def _remark(self, frame: int) -> str:
        both = self._comparable(frame)
        lost = "" if both.all() else f"{both.sum()} of {len(both)} finite"
        if self._reference is None or not both.any():
            return lost
        axes = slice(self._lead.dimensions)  # a flat run's z = 0 must not lower its mean
        truth = self._lead.x[None, None, frame, both, axes]
        value = rmse(truth, self._candidate.x[None, None, frame, both, axes]).item()
        error = f"position RMSE {value:.2g}"
        return f"{error} ({lost})" if lost else error

    def _update(self, name: str, mesh: pv.PolyData) -> None:
        import pyvista as pv

        if name in self._meshes:
            self._meshes[name].copy_from(mesh)
            return
        self._meshes[name] = mesh
        mapper = pv.DataSetMapper(mesh)
        mapper.SetScalarModeToUsePointFieldData()
        mapper.SelectColorArray("rgb")
        mapper.SetColorModeToDirectScalars()
        actor = pv.Actor(mapper=mapper)
        actor.prop.interpolation = "Phong"
        actor.prop.specular, actor.prop.specular_power = 0.45, 30.0
        actor.prop.ambient, actor.prop.diffuse = (0.25, 0.95) if name == "balls" else (0.6, 0.6)
        self._overlay.add(actor)

    def _legend(self) -> None:
        charges, disc = self._lead.charges, shapes.disc()
        rows = [
            (disc, colour, f"{kind} charge")
            for kind, colour, some in (
                ("positive", WARM, (charges > 0).any()),
                ("negative", COOL, (charges < 0).any()),
                ("no", NEUTRAL, (charges == 0).any()),
            )
            if some and self._scale is None
        ]
        if self._reference is not None:
            rows += [
                (disc, INK, f"solid: {self._reference.name} (reference)"),
                (shapes.hoop(), INK, f"ring: {self._candidate.name}"),
                (shapes.dash(), ERROR, "line: error"),
            ]
        overlay = self._overlay
        x = bottom = MARGIN * self._size[0] + 11 * overlay.unit
        for row, (icon, colour, words) in enumerate(reversed(rows)):
            y = bottom + 38 * row * overlay.unit
            overlay.icon(icon, (x, y), colour)
            overlay.text(words, (x + 24 * overlay.unit, y - overlay.unit), 22, FAINT_INK)
        if self._scale is not None:
            self._bar(self._scale, x - 11 * overlay.unit, bottom + 38 * len(rows) * overlay.unit)

    def _bar(self, scale: Scale, left: float, bottom: float) -> None:
        """Draw the scalar bar, with the values at its ends."""
        overlay = self._overlay
        width, height = 220 * overlay.unit, 14 * overlay.unit
        overlay.strip((left, bottom), (width, height), ramp(np.linspace(0, 1, 41)))
        y = bottom + 38 * overlay.unit
        overlay.text(f"{scale.low:.1g}", (left, y), 20, FAINT_INK)
        overlay.text(f"{scale.high:.1g}", (left + width, y), 20, FAINT_INK, right=True)
        overlay.text(scale.label, (left, y + 34 * overlay.unit), 22, FAINT_INK)


def _stopped(track: Track) -> str:
    return f"{track.name} stopped at {Clock.of(track.t).text(float(track.t[-1]))}"


def _hazed(colours: np.ndarray, haze: np.ndarray) -> Float64[np.ndarray, "*axes 3"]:
    """Return colours that fade into the backdrop, as on a hazy day."""
    return mixed(colours, BACKDROP, haze[..., None])
