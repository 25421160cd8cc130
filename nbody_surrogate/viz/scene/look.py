"""How a picture looks, as users ask for it: a theme, a background, and what stands in corners."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import cast

from nbody_surrogate.errors import InputError
from nbody_surrogate.viz.scene.palette import DARK, LIGHT, Colour, Palette

__all__ = ["THEMES", "palette_of"]

THEMES = {"dark": DARK, "light": LIGHT}
LUMA = (0.2126, 0.7152, 0.0722)  # shares of red, green and blue in brightness (ITU-R BT.709)
BRIGHT = 0.5


def palette_of(theme: str | None, background: str | None) -> Palette:
    """Return the colours of a picture.

    Parameters
    ----------
    theme : str or None
        ``dark`` or ``light``. By default the one that suits the background, and dark without one.
    background : str or None
        A colour of one shade, by name or as #rrggbb; by default the theme's.

    Raises
    ------
    InputError
        If one of them is unknown.
    """
    if theme is not None and theme not in THEMES:
        raise InputError(f"`theme` must be one of {', '.join(THEMES)}, got {theme!r}")
    if background is None:
        return THEMES[theme or "dark"]
    colour = _colour(background)
    bright = sum(share * part for share, part in zip(LUMA, colour, strict=True)) > BRIGHT
    palette = THEMES[theme or ("light" if bright else "dark")]
    return replace(palette, bottom=colour, top=colour, backdrop=colour)


def _colour(text: str) -> Colour:
    from PIL import ImageColor  # comes with pyvista

    found: tuple[int, ...] = ()
    with suppress(ValueError):
        found = ImageColor.getrgb(text)
    if len(found) != 3:  # a fourth part would be an opacity
        raise InputError(
            f"`background` must be a colour, by name or as #rrggbb, such as white; got {text!r}"
        )
    return cast(Colour, tuple(part / 255 for part in found))
