"""How the scene of a page looks as it opens: what pictures are asked for, as a page has it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nbody_surrogate.viz.scene.look import palette_of
from nbody_surrogate.viz.scene.palette import Colour
from nbody_surrogate.viz.scene.viewpoint import viewpoint_of

__all__ = ["PageLook"]


@dataclass(frozen=True)
class PageLook:
    """From where a scene is seen, and in which colours.

    Attributes
    ----------
    yaw, pitch : float
        Radians: where the camera stands around the z axis, and how high.
    turns : bool
        Whether it can be turned: a flat trajectory that is seen from above stays so.
    theme : str or None
        ``dark`` or ``light``; None for the reader's own.
    sky : Colour or None
        Of the background, where it is of one shade.
    """

    yaw: float
    pitch: float
    turns: bool
    theme: str | None = None
    sky: Colour | None = None

    @classmethod
    def of(
        cls,
        flat: bool,
        camera: str | Sequence[float] | None = None,
        theme: str | None = None,
        background: str | None = None,
    ) -> PageLook:
        """Read what a user asks for, by the names and the rules of pictures.

        Raises
        ------
        InputError
            If an option is unknown.
        """
        x, y, z = viewpoint_of(camera, 0.0, flat).towards.tolist()
        across = math.hypot(x, y)
        # along z the picture's upright is y, as on paper
        yaw = math.atan2(y, x) if across > 1e-9 else -math.copysign(math.pi / 2, z)
        palette = palette_of(theme, background)
        shade = None if background is None else palette.backdrop
        bright = np.mean(palette.ink) < 0.5  # dark words are for a light page
        chosen = theme if background is None else ("light" if bright else "dark")
        turns = not flat or camera not in (None, "xy")
        return cls(yaw, math.atan2(z, across), turns, chosen, shade)

    @property
    def style(self) -> str:
        """The attribute of the scene's element that sets its background; empty for the theme's."""
        if self.sky is None:
            return ""
        shade = " ".join(str(round(255 * part)) for part in self.sky)
        return f' style="--sky-top: {shade}; --sky-bottom: {shade}"'

    def themed(self, css: str) -> str:
        """Return a page's style, in which the theme is settled where one is."""
        if self.theme is None:
            return css
        holds = "all" if self.theme == "dark" else "not all"
        css = css.replace("@media (prefers-color-scheme: dark)", f"@media {holds}")
        return css.replace("color-scheme: light dark", f"color-scheme: {self.theme}")
