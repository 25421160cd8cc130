"""What every surrogate can be told; without torch, so that options are checked before it loads."""

from __future__ import annotations

from pydantic import Field

from nbody_surrogate.contracts.integrator import IntegratorOptions

__all__ = ["SurrogateOptions"]


class SurrogateOptions(IntegratorOptions):
    """Options of every surrogate."""

    weights: str | None = Field(
        default=None, description="a folder, or the name of shipped weights; default: the first"
    )
    device: str = Field(default="auto", description="auto, cpu, cuda or mps")
    dtype: str | None = Field(default=None, description="default: that of the weights")
    warm_up: str = Field(default="dop853", description="makes the first frames where needed")
    threads: int | None = Field(
        default=None,
        ge=1,
        description="of torch, on the CPU; default: as many as pay",
    )
    compile: bool = Field(
        default=False,
        description="by torch.compile, for each shape: a minute or less once, then faster frames",
    )
