"""A window with the scene: a slider and the space bar for the time, the mouse for the view."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import Any

import numpy as np

from nbody_surrogate.errors import InputError
from nbody_surrogate.viz.scene.camera import Camera
from nbody_surrogate.viz.scene.scene import Scene

__all__ = ["check_display", "show"]

PLACE = {"pointa": (0.35, 0.07), "pointb": (0.96, 0.07)}  # of the slider, in shares of the window
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


def show(scene: Scene, shots: list[tuple[int, Camera]], fps: float) -> None:
    """Open the window and wait until it is closed."""
    player = _Player(scene, [camera for _, camera in shots])
    player.begin(fps)


class _Player:
    """Moves through the frames: by the slider, or by itself while it plays."""

    def __init__(self, scene: Scene, cameras: list[Camera]) -> None:
        self._scene, self._cameras = scene, cameras
        self._frame, self._playing = len(cameras) - 1, False

    def begin(self, fps: float) -> None:
        plotter: Any = self._scene.plotter  # whose types do not know its decorated methods
        last = len(self._cameras) - 1
        self._scene.look(self._cameras[last])
        self._scene.show(last, self._cameras[last])
        if last > 0:
            self._slider = plotter.add_slider_widget(
                self._slide, [0, last], value=last, style="modern", **PLACE
            )
            self._slider.GetRepresentation().ShowSliderLabelOff()  # the time stands at the top
            plotter.add_key_event("space", self._toggle)
            plotter.add_timer_event(FOREVER, round(1000 / fps), self._tick)
        plotter.show()

    def _slide(self, value: float) -> None:
        self._playing = False
        self._go(round(value))

    def _toggle(self) -> None:
        self._playing = not self._playing
        if self._playing and self._frame == len(self._cameras) - 1:
            self._frame = 0

    def _tick(self, step: int) -> None:
        del step
        if not self._playing:
            return
        self._go(self._frame + 1)
        self._slider.GetRepresentation().SetValue(self._frame)
        self._playing = self._frame < len(self._cameras) - 1

    def _go(self, frame: int) -> None:
        """Show a frame as it looks from where the user has turned the view."""
        self._frame = frame
        self._scene.show(frame, self._seen_from(self._cameras[frame]))
        self._scene.plotter.render()

    def _seen_from(self, camera: Camera) -> Camera:
        view = self._scene.plotter.camera
        position, focus = np.array(view.position), np.array(view.focal_point)
        towards = (position - focus) / np.linalg.norm(position - focus)
        right = np.cross(view.up, towards)
        right /= np.linalg.norm(right)
        facing = np.array([right, np.cross(towards, right), towards])
        return replace(camera, centre=focus, position=position, facing=facing)
