"""A window with the scene: a slider and keys for the time, the mouse for the view."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import Any

import numpy as np

from nbody_surrogate.errors import InputError
from nbody_surrogate.viz.scene.camera import Camera
from nbody_surrogate.viz.scene.overlay import MARGIN
from nbody_surrogate.viz.scene.scene import Scene

__all__ = ["Player", "check_display", "reserve", "show"]

PLACE = {"pointa": (0.36, 0.045), "pointb": (0.64, 0.045)}  # of the slider, in shares
STRIP = (0.34, 0.0, 0.32, 0.085)  # left, bottom, width and height of what is kept free for it
KEYS = """space   play, or halt
left, right   one frame back, or on
home, end   first, or last frame
mouse   turn; with shift move; wheel zoom
r   the view as it was
h   hide this
q   close"""
FOREVER = 10**9  # ticks of the clock


def check_display() -> None:
    """Demand a display to open a window on.

    Raises
    ------
    InputError
        If there is none.
    """
    elsewhere = not sys.platform.startswith("linux")
    if elsewhere or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return
    raise InputError(
        "`output` is needed where there is no display to open a window on: name a .png, .mp4, "
        ".html or .vtkhdf file"
    )


def reserve(scene: Scene) -> None:
    """Keep the slider's place free of particles; before cameras are chosen."""
    size = scene.overlay.size
    scene.overlay.cover(*(share * size[k % 2] for k, share in enumerate(STRIP)))


def show(scene: Scene, shots: list[tuple[int, Camera]], fps: float) -> None:
    """Open the window and wait until it is closed."""
    player = Player(scene, shots)
    player.begin(fps)


class Player:
    """Moves through the frames: by the slider or keys, or by itself while it plays.

    Parameters
    ----------
    scene : Scene
    shots : list of (int, Camera)
        The frames, and from where each is seen.
    """

    def __init__(self, scene: Scene, shots: list[tuple[int, Camera]]) -> None:
        self._scene, self._shots = scene, shots
        self._at, self._playing = len(shots) - 1, False
        self._slider: Any = None
        overlay, colour = scene.overlay, scene.palette.ink
        middle = float(0.5 * overlay.size[1])
        self._keys = overlay.text(KEYS, (MARGIN * overlay.size[0], middle), 26, colour)
        self._keys.SetVisibility(False)

    def begin(self, fps: float) -> None:
        """Open the window and wait until it is closed."""
        plotter: Any = self._scene.plotter  # whose types do not know its decorated methods
        last = len(self._shots) - 1
        self.reset()
        keys = {"h": self.toggle_keys, "r": self.reset}
        if last > 0:
            self._slider = plotter.add_slider_widget(
                self._slide, [0, last], value=last, style="modern", **PLACE
            )
            self._slider.GetRepresentation().ShowSliderLabelOff()  # the time stands at the top
            plotter.add_timer_event(FOREVER, round(1000 / fps), self._tick)
            keys |= {
                "space": self._toggle,
                "Left": lambda: self._step(self._at - 1),
                "Right": lambda: self._step(self._at + 1),
                "Home": lambda: self._step(0),
                "End": lambda: self._step(last),
            }
        for key, action in keys.items():
            plotter.add_key_event(key, action)
        plotter.show(title="h: keys")

    def toggle_keys(self) -> None:
        """List the keys over the picture, or hide them again."""
        self._keys.SetVisibility(not self._keys.GetVisibility())
        self._scene.plotter.render()

    def reset(self) -> None:
        """Look from where the scene is seen whole."""
        frame, camera = self._shots[self._at]
        self._scene.look(camera)
        self._scene.show(frame, camera)

    def _step(self, at: int) -> None:
        self._playing = False
        self._go(min(max(at, 0), len(self._shots) - 1))
        self._slider.GetRepresentation().SetValue(self._at)

    def _slide(self, value: float) -> None:
        self._playing = False
        self._go(round(value))

    def _toggle(self) -> None:
        self._playing = not self._playing
        if self._playing and self._at == len(self._shots) - 1:
            self._at = 0

    def _tick(self, step: int) -> None:
        del step
        if not self._playing:
            return
        self._go(self._at + 1)
        self._slider.GetRepresentation().SetValue(self._at)
        self._playing = self._at < len(self._shots) - 1

    def _go(self, at: int) -> None:
        """Show a frame as it looks from where the user has turned the view."""
        self._at = at
        frame, camera = self._shots[at]
        self._scene.show(frame, self._seen_from(camera))
        self._scene.plotter.render()

    def _seen_from(self, camera: Camera) -> Camera:
        view = self._scene.plotter.camera
        position, focus = np.array(view.position), np.array(view.focal_point)
        towards = (position - focus) / np.linalg.norm(position - focus)
        right = np.cross(view.up, towards)
        right /= np.linalg.norm(right)
        facing = np.array([right, np.cross(towards, right), towards])
        return replace(camera, centre=focus, position=position, facing=facing)
