"""Pages for the browser, each one file that needs no network: the 3D scene, charts, the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbody_surrogate.lazy import lazy_names

if TYPE_CHECKING:
    from nbody_surrogate.viz.html.report import write_report
    from nbody_surrogate.viz.html.scene import write_scene_page
else:  # whether a page can be written is asked before all that writes it is loaded
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "nbody_surrogate.viz.html.report": ["write_report"],
            "nbody_surrogate.viz.html.scene": ["write_scene_page"],
        },
    )

__all__ = ["write_report", "write_scene_page"]
