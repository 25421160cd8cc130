"""Pictures and movies of a trajectory, alone or against its reference."""

from nbody_surrogate.rendering.draw import render
from nbody_surrogate.rendering.picture_path import check_picture_path

__all__ = ["check_picture_path", "render"]
