"""The loss and the validation errors of a training run, drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nbody_surrogate.files.figure import save

__all__ = ["draw_log"]


def draw_log(log: list[dict[str, Any]], path: Path) -> None:
    """Draw the typical residual, and the one-step error of each source on validation, over steps.

    Not the loss: it is divided by scales that follow the errors, so it rises while they fall.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    rows = [
        (entry["step"], entry["residual"]) for entry in log if entry.get("residual") is not None
    ]
    above.plot([step for step, _ in rows], [residual for _, residual in rows], color="0.3")
    if rows:
        above.set_yscale("log")
    else:
        _say(above, "no residual is logged yet")
    above.set_ylabel("typical residual\nof training")
    scored = [entry for entry in log if "validation" in entry]
    sources = len(scored[0]["validation"]) if scored else 0
    for number in range(sources):
        rows = [(e["step"], e["validation"][number]) for e in scored if e["validation"][number]]
        steps = [step for step, _ in rows]
        (line,) = below.plot(steps, [s["mean"] for _, s in rows], label=f"source {number}, mean")
        below.plot(steps, [s["median"] for _, s in rows], "--", color=line.get_color())
    if below.lines:
        below.set_yscale("log")
    else:
        _say(below, "no validation yet")
    below.set_ylabel("one-step x-MSE\n(median dashed)")
    below.set_xlabel("step")
    if below.lines:
        below.legend(fontsize="small", frameon=False)
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def _say(axes: Any, why: str) -> None:
    """Write why a panel is empty."""
    axes.text(0.5, 0.5, why, transform=axes.transAxes, ha="center", va="center")
