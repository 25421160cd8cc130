"""The 3D scene of a trajectory, alone or against its reference: one builder for stills and movies.

The reference is solid: balls with tapering tubes behind them. The candidate is an open ring for
each particle with a thin dashed trail; where the two part, a line joins them. What the system shows
beside its particles is faint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from jaxtyping import Bool, Float64, UInt8

from nbody_surrogate.contracts.scenery import Shape
from nbody_surrogate.results.metrics import rmse
from nbody_surrogate.viz.scene import shapes
from nbody_surrogate.viz.scene.camera import VIEW_ANGLE, Camera
from nbody_surrogate.viz.scene.clock import Clock
from nbody_surrogate.viz.scene.colour_bar import draw_bar
from nbody_surrogate.viz.scene.colouring import Scale, between_frames, scale_of
from nbody_surrogate.viz.scene.framing import View
from nbody_surrogate.viz.scene.inset import Inset
from nbody_surrogate.viz.scene.layers import Layers, moved
from nbody_surrogate.viz.scene.measures import Axes, ScaleBar
from nbody_surrogate.viz.scene.overlay import MARGIN, Overlay
from nbody_surrogate.viz.scene.palette import DARK, Colour, Palette, mixed
from nbody_surrogate.viz.scene.rounded import rounded
from nbody_surrogate.viz.scene.shutter import SUPERSAMPLE, Shutter
from nbody_surrogate.viz.scene.subject import KEPT
from nbody_surrogate.viz.scene.system_shapes import links, surroundings, words_of
from nbody_surrogate.viz.scene.tracks import TRAIL, Track

if TYPE_CHECKING:
    import pyvista as pv

__all__ = ["Scene"]

PALE = 0.55  # how far the candidate's colours are towards white, where these are kinds
FAR = 4 * KEPT  # radii behind the centre, up to which things are drawn
DASH, GAP = 0.05, 0.035  # lengths of a dashed trail, over the radius of the first picture


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
        What colours stand for; by default, what tells particles apart.
    scenery : sequence of Shape
        What the system shows beside its particles.
    links_at : callable, optional
        Takes a frame and returns what it shows there, of which bonds are drawn: where they form and
        break. By default they are those of `scenery`.
    palette : Palette
    inset : Inset, optional
        A chart at the lower right.
    axes, scale_bar : bool
        Whether these are shown, at the lower right.
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
        scenery: Sequence[Shape] = (),
        links_at: Callable[[int], Sequence[Shape]] | None = None,
        palette: Palette = DARK,
        inset: Inset | None = None,
        axes: bool = False,
        scale_bar: bool = False,
        off_screen: bool = True,
    ) -> None:
        import pyvista as pv

        self._candidate, self._reference, self._trail = candidate, reference, trail
        # what is drawn beside the lead: nothing where it would lie on the lead exactly
        self._parted = reference is not None and not _same(candidate, reference)
        self._lead = candidate if reference is None else reference
        self._scenery, self._links_at, self._palette = scenery, links_at, palette
        self._scale = scale or scale_of("auto", candidate, reference, palette)
        self._walked = _walked(candidate)
        self._dash: float | None = None
        # a window turns between two frames, and layers are those of one camera
        self._layers = Layers(len(candidate.sizes), off_screen and candidate.dimensions == 2)
        self._size = (SUPERSAMPLE if off_screen else 1) * np.array(window_size)
        self._meshes: dict[str, pv.PolyData] = {}
        n, sized = len(self._lead.sizes), self._lead.radii is not None
        self._ball, self._ring = shapes.ball(n, large=sized), shapes.ring()
        self._plotter = pv.Plotter(
            off_screen=off_screen, window_size=self._size.tolist(), lighting="light kit"
        )
        self._plotter.disable_anti_aliasing()  # supersampling does it
        if off_screen:  # over nothing: the shutter puts the backdrop behind it
            self._plotter.renderer.set_background((0.0, 0.0, 0.0))
            self._shutter = Shutter(window_size, palette.bottom, palette.top)
        else:
            self._plotter.renderer.set_background(palette.bottom, top=palette.top)
        self._plotter.camera.view_angle = VIEW_ANGLE
        self._overlay = Overlay(self._plotter, self._size)
        self._words(title)
        self._mark = None if inset is None else inset.draw(self._overlay, palette)
        self._legend()
        self._measures(inset, axes, scale_bar)

    def _words(self, title: str) -> None:
        """Write the title and, at the right, what changes with time."""
        overlay, palette = self._overlay, self._palette
        margin, unit = MARGIN * self._size[0], overlay.unit
        right, top = self._size[0] - margin, self._size[1] - margin
        overlay.text(title, (margin, top), 38, palette.ink, bold=True)
        self._clock = overlay.text("", (right, top), 38, palette.ink, right=True)
        self._note = overlay.text("", (right, top - 60 * unit), 24, palette.faint_ink, right=True)
        self._ends = self._end_words(right, top - 112 * unit)
        self._reserve(right, top)

    def _measures(self, inset: Inset | None, axes: bool, scale_bar: bool) -> None:
        """Put the scale bar and the axes at the lower right, above the inset."""
        unit, margin = self._overlay.unit, MARGIN * self._size[0]
        right, bottom = self._size[0] - margin, margin
        bottom += (inset.HEIGHT + 24) * unit if inset is not None else 0.0
        self._bar = ScaleBar(self._overlay, (right, bottom), self._palette) if scale_bar else None
        bottom += (ScaleBar.HEIGHT + 12) * unit if scale_bar else 0.0
        flat = self._lead.dimensions == 2
        self._axes = Axes(self._overlay, (right, bottom), self._palette, flat) if axes else None

    def _reserve(self, right: float, top: float) -> None:
        """Keep room for the clock and the note, which are written with each frame."""
        overlay, t = self._overlay, self._lead.t
        clock = max((Clock.of(t).text(float(each)) for each in (t[0], t[-1])), key=len)
        overlay.reserve(self._clock, clock, (right, top), right=True)
        n = len(self._lead.sizes)
        estimated = self._candidate.estimate is not None
        words = f"1.2e-05 ({self._candidate.coverage})"
        if self._reference is not None:
            note = "position RMSE 1.2e-05" + (f", estimated {words}" if estimated else "")
        else:
            note = f"estimated error {words}" if estimated else f"{n} of {n} out of sight"
        overlay.reserve(self._note, note, (right, top - 60 * overlay.unit), right=True)

    def _end_words(self, right: float, height: float) -> list[pv.Text]:
        """Write which runs stopped, for the last frame; movies keep its room throughout."""
        unit, tracks = (
            self._overlay.unit,
            {id(each): each for each in (self._candidate, self._lead)},
        )
        return [
            self._overlay.text(
                _stopped(each),
                (right, height - 48 * i * unit),
                32,
                self._palette.error,
                right=True,
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
        self.look(camera)
        self.show(frame, camera)
        window: Any = self._plotter.render_window
        window.Render()
        return self._shutter.image(window)

    @property
    def overlay(self) -> Overlay:
        """What lies over it, and covers it."""
        return self._overlay

    @property
    def palette(self) -> Palette:
        """Its colours."""
        return self._palette

    @property
    def plotter(self) -> pv.Plotter:
        """The plotter that draws it, for windows."""
        return self._plotter

    def show(self, frame: int, camera: Camera) -> None:
        """Put everything where it is at a frame, turned to and hazed for a camera."""
        lead = self._lead
        ball = camera.ball_radius(len(lead.sizes))
        self._system(frame, camera)
        self._stamp("balls", self._ball, frame, camera, lead.balls(ball))
        self._update("trails", self._trails(frame, camera, TRAIL * ball))
        if self._parted:
            rings = self._candidate.rings(ball)
            self._stamp("rings", self._ring, frame, camera, rings, rival=True)
            self._update("rival", self._trails(frame, camera, 0.16 * ball, rival=True))
            self._update("errors", self._errors(frame, camera, 0.13 * ball))
        if self._mark is not None:
            self._mark.move(float(lead.t[frame]))
        self._clock.input = Clock.of(lead.t).text(float(lead.t[frame]))
        self._note.input = self._remark(frame, camera)
        if self._bar is not None:
            self._bar.measure(camera)
        if self._axes is not None:
            self._axes.turn(camera)
        for words in self._ends:
            words.SetVisibility(frame == len(lead.t) - 1)

    def look(self, camera: Camera) -> None:
        """Move the view to a camera."""
        view = self._plotter.camera
        view.position, view.focal_point, view.up = camera.position, camera.centre, camera.facing[1]
        distance = float(np.linalg.norm(camera.position - camera.centre))
        view.clipping_range = (0.02 * distance, distance + FAR * camera.radius)

    def _system(self, frame: int, camera: Camera) -> None:
        """Draw what the system shows: solid things move with what is solid."""
        if self._scenery:
            given = self._palette.scenery, self._palette.backdrop
            still = surroundings(self._scenery, self._lead, camera, *given)
            self._update("surroundings", still)
            linked = self._scenery if self._links_at is None else self._links_at(frame)
            self._update("links", links(linked, self._lead, frame, camera, *given))

    def _stamp(
        self,
        name: str,
        template: pv.PolyData,
        frame: int,
        camera: Camera,
        sizes: Float64[np.ndarray, " N"],
        rival: bool = False,
    ) -> None:
        track = self._candidate if rival else self._lead
        seen = camera.shows(track.x[frame], rival)
        here = track.x[frame][seen]
        colours = self._paled(self._scale.colours(frame, rival)[seen], rival)
        colours = self._hazed(colours, camera.haze(here))
        factors = self._layers.balls(camera, rival)[seen]
        here, radii = moved(here, factors, camera), sizes[seen] * factors
        mesh = shapes.stamped(template, here, radii, colours, camera.facing)
        self._update(name, mesh)

    def _trails(self, frame: int, camera: Camera, width: float, rival: bool = False) -> pv.PolyData:
        """Draw the way here: what colours stood for then, fainter and thinner the older."""
        track = self._candidate if rival else self._lead
        window = track.window(frame, self._trail)
        path = track.path(frame, self._trail)
        path = np.where(camera.shows(path, rival)[..., None], path, np.nan)
        age = 1 - np.arange(len(path))[::-1, None] / max(1, self._trail * track.subframes)  # (P, 1)
        colours = self._paled(self._scale.along(window, track.subframes, rival), rival)
        colours = self._hazed(colours, camera.haze(path))
        colours = mixed(self._palette.backdrop, colours, 0.2 + 0.8 * age[..., None] ** 0.8)
        widths = track.widths(width) * (0.05 + 0.95 * age**0.8)
        drawn = self._dashes(window, track.subframes, camera) if rival else None
        factors = self._layers.trails(camera, age, rival)
        path, widths = moved(path, factors, camera), widths * factors
        return shapes.tubes(path, colours, widths, 1e-4 * camera.radius, drawn)

    def _dashes(self, window: slice, subframes: int, camera: Camera) -> Bool[np.ndarray, "P N"]:
        """Tell which points of the candidate's trails are in a dash; dashes stay where they are."""
        self._dash = self._dash or camera.radius
        walked = between_frames(self._walked[window], subframes) / self._dash
        return np.asarray(walked % (DASH + GAP) < DASH)

    def _paled(self, colours: np.ndarray, rival: bool) -> Float64[np.ndarray, "*axes 3"]:
        """Return the candidate's colours whiter, where they are not to be read from a bar."""
        return mixed(colours, self._palette.ink, PALE if rival and self._scale.rows else 0.0)

    def _hazed(self, colours: np.ndarray, haze: np.ndarray) -> Float64[np.ndarray, "*axes 3"]:
        """Return colours that fade into the backdrop, as on a hazy day."""
        return mixed(colours, self._palette.backdrop, haze[..., None])

    def _errors(self, frame: int, camera: Camera, width: float) -> pv.PolyData:
        both = camera.shows(self._lead.x[frame]) & camera.shows(self._candidate.x[frame], True)
        lines = np.stack([self._lead.x[frame][both], self._candidate.x[frame][both]])
        colours = np.broadcast_to(self._palette.error, lines.shape)
        colours = self._hazed(colours, camera.haze(lines))
        return shapes.tubes(lines, colours, np.full(lines.shape[:2], width), 1e-4 * camera.radius)

    def _comparable(self, frame: int) -> Bool[np.ndarray, " N"]:
        both = (self._lead, self._candidate)
        return np.asarray(both[0].finite(frame) & both[1].finite(frame))

    def _remark(self, frame: int, camera: Camera) -> str:
        """Say how large the error is, and how many particles cannot be shown."""
        both, n = self._comparable(frame), len(self._lead.sizes)
        shown = camera.shows(self._lead.x[frame])
        if self._parted:
            shown &= camera.shows(self._candidate.x[frame], rival=True)
        lost, hidden = int((~both).sum()), int((both & ~shown).sum())
        notes = [f"{n - lost} of {n} finite"] if lost else []
        notes += [f"{hidden} of {n} out of sight"] if hidden else []
        estimate = self._estimate(frame)
        if self._reference is None or not both.any():
            return ", ".join([*([f"estimated error {estimate}"] if estimate else []), *notes])
        axes = slice(self._lead.dimensions)  # a flat run's z = 0 must not lower its mean
        truth = self._lead.x[None, None, frame, both, axes]
        value = rmse(truth, self._candidate.x[None, None, frame, both, axes]).item()
        error = f"position RMSE {rounded(value)}"
        error += f", estimated {estimate}" if estimate else ""
        return f"{error} ({', '.join(notes)})" if notes else error

    def _estimate(self, frame: int) -> str:
        """Write the candidate's error estimate; nothing where there is none."""
        values = self._candidate.estimate
        if values is None or not np.isfinite(values[frame]):
            return ""
        return f"{rounded(float(values[frame]))} ({self._candidate.coverage})"

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
        overlay, palette = self._overlay, self._palette
        x = bottom = MARGIN * self._size[0] + 11 * overlay.unit
        rows = self._legend_rows()
        for row, (icon, colours, words) in enumerate(reversed(rows)):
            y = bottom + 38 * row * overlay.unit
            for place, colour in enumerate(colours):  # beside each other, in the room of one
                aside = (place - (len(colours) - 1) / 2) * 9 * overlay.unit
                size = 1.0 if len(colours) == 1 else 0.5
                overlay.icon(icon.scale(size), (x + aside, y), colour)
            overlay.text(words, (x + 24 * overlay.unit, y - overlay.unit), 22, palette.faint_ink)
        if not self._scale.rows:
            corner = x - 11 * overlay.unit, bottom + (38 * len(rows) - 12) * overlay.unit
            draw_bar(overlay, self._scale, corner, palette)

    def _legend_rows(self) -> list[tuple[pv.PolyData, tuple[Colour, ...], str]]:
        """Return icons, colours and words, from above."""
        disc, palette = shapes.disc(), self._palette
        rows = [(disc, colours, words) for colours, words in self._scale.rows]
        icons = {"arrow": shapes.wedge(), "rings": shapes.hoop(), "lines": shapes.dash()}
        rows += [(icons[kind], (palette.scenery,), w) for kind, w in words_of(self._scenery)]
        if self._parted and self._reference is not None:
            rows += [
                (disc, (palette.ink,), f"solid: {self._reference.name} (reference)"),
                (shapes.hoop(), (palette.ink,), f"ring, dashes: {self._candidate.name}"),
                (shapes.dash(), (palette.error,), "line: error"),
            ]
        elif self._reference is not None:
            both = f"{self._candidate.name} and its reference: the same positions"
            rows.append((disc, (palette.ink,), both))
        return rows


def _stopped(track: Track) -> str:
    return f"{track.name} stopped at {Clock.of(track.t).text(float(track.t[-1]))}"


def _same(candidate: Track, reference: Track) -> bool:
    return np.array_equal(candidate.x, reference.x, equal_nan=True)


def _walked(track: Track) -> Float64[np.ndarray, "T N"]:
    """Return how far each particle has gone up to each frame, on straight lines."""
    steps = np.linalg.norm(np.diff(track.x, axis=0), axis=2)
    return np.pad(np.cumsum(np.nan_to_num(steps), axis=0), ((1, 0), (0, 0)))
