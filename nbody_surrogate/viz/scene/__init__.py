"""Pictures and movies of a trajectory, alone or against its reference."""

from nbody_surrogate.viz.scene.picture_path import check_picture_path

__all__ = ["check_picture_path"]
