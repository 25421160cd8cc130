"""What a picture is called: the system, how many particles, and which trajectory of several."""

from __future__ import annotations

from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.results.trajectory import Trajectory

__all__ = ["scene_title", "which_of"]

GAP = "  \u00b7  "


def which_of(number: int, count: int) -> str:
    """Say which of several trajectories is meant; of one there is nothing to say."""
    return "" if count == 1 else f"trajectory {number % count} of {count}"


def scene_title(run: Trajectory, alone: bool, which: str = "") -> str:
    """Name the system, the particles, the method of a run that is drawn alone, and `which_of`."""
    n, info = run.x.shape[1], run.info
    words = [str(info.system.get("system", "")), counted(n, "particle")]
    words += [str(info.method.get("integrator", ""))] if alone else []
    return GAP.join(word for word in [*words, which] if word)
