"""Pages for the browser, each one file that needs no network: the 3D scene, charts, the report."""

from nbody_surrogate.viz.html.report import write_report
from nbody_surrogate.viz.html.scene import write_scene_page

__all__ = ["write_report", "write_scene_page"]
