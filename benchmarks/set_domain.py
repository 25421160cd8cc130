"""The domain of `set`: the largest values in its training data of what its gate looks at.

    python benchmarks/set_domain.py runs/set-first/data-* runs/set/data-*

prints for each data set, and for all, what `nbody_set.domain` describes; the last line goes into
the recipe.
"""

from __future__ import annotations

import argparse

import torch

from nbody_set.domain import Domain, Extremes, extremes
from nbody_set.model import SETConfig, pairs_of
from nbody_surrogate.datasets.dataset import Dataset

LIMITED = ("crowding", "drift", "kick", "speed")


def of_data_set(folder: str, config: SETConfig) -> list[float]:
    """Return the largest of all frames that are trained on."""
    dataset = Dataset(folder)
    largest = [0.0] * len(LIMITED)
    for block in dataset.blocks("train"):
        for x, v, charges, masses in zip(
            block.x, block.v, block.particles.charges, block.particles.masses, strict=True
        ):
            found = of_trajectory(x, v, charges, masses, config)
            values = [getattr(found, name).max().item() for name in LIMITED]
            largest = [max(pair) for pair in zip(largest, values, strict=True)]
    return largest


def of_trajectory(x, v, charges, masses, config: SETConfig) -> Extremes:  # type: ignore[no-untyped-def]
    """Return the largest of each frame of a trajectory x, v (T, N, D)."""
    n = x.shape[1]
    pairs = pairs_of(n, torch.device("cpu"), torch.float32)
    r, w = (pairs.difference(torch.tensor(y).transpose(0, 1)).float() for y in (x, v))
    charge, mass = (torch.tensor(y)[:, None, None].float() for y in (charges, masses))
    products = charge.index_select(0, pairs.i) * charge.index_select(0, pairs.j)
    return extremes(
        r,
        w,
        products.expand(-1, len(x), -1),
        pairs.sum(1.0 / mass).expand(-1, len(x), -1),
        pairs.gather,
        config.softening,
        config.frame_dt,
        config.frame_dt / config.substeps,
        config.coupling,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--substeps", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = SETConfig(substeps=options.substeps)
    found = {folder: of_data_set(folder, config) for folder in options.folders}
    for folder, values in found.items():
        print(folder, *(f"{n} {v:.4g}" for n, v in zip(LIMITED, values, strict=True)), flush=True)
    largest = [max(values) for values in zip(*found.values(), strict=True)]
    limits = ", ".join(f"{n} = {v:.4g}" for n, v in zip(LIMITED, largest, strict=True))
    print(f"domain = {{ {limits} }}")
    Domain(**dict(zip(LIMITED, largest, strict=True)))


if __name__ == "__main__":
    main()
