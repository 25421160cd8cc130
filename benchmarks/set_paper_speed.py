"""What a training step of `set-paper` costs at the paper's size: 4 x 4 layers of 64, N = 30.

    python benchmarks/set_paper_speed.py

Ten windows of ten frames, float32, one thread: forward, backward and the optimizer's step. In
pieces: as it ships, with nothing on pairs kept for the gradient. Dense: the same layers with all
pairs at once and torch's own gradient. Each runs in a process of its own, in turn; times are
medians, CPU seconds stand beside them for a machine that is shared, and the peak is that of the
whole process. With `--device cuda` the same on a GPU, and the peak is that of its memory.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time

import torch
from torch import Tensor
from torch.nn.functional import silu

from nbody_set.paper import SETPaper, SETPaperConfig
from nbody_surrogate.contracts.surrogate import ParticleTensors
from nbody_surrogate.layers import egcl
from nbody_surrogate.layers.egcl import EdgeWeights

BATCH, FRAMES, N, STEPS = 10, 10, 30, 5


def dense(
    of_i: Tensor, of_j: Tensor, x: Tensor, edges: Tensor, w: EdgeWeights
) -> tuple[Tensor, Tensor]:
    """`edge_sums` with all pairs at once, for torch to differentiate."""
    r = x[:, :, None] - x[:, None]
    geometry = torch.cat([r.square().sum(-1, keepdim=True), edges], dim=-1)
    m = silu(of_i[:, :, None] + of_j[:, None] + geometry @ w.geometry)
    m = silu(m @ w.message + w.message_bias)
    if w.gate is not None:
        m = m * torch.sigmoid(m @ w.gate + w.gate_bias)
    m = m * (1 - torch.eye(x.shape[1], device=x.device))[..., None]
    weight = silu(m @ w.coordinate + w.coordinate_bias) @ w.weight
    return m.sum(2), (weight[..., None] * r[..., None, :]).sum(2)


def measure(device: torch.device) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = SETPaper(SETPaperConfig()).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4.45e-5)
    x, v = torch.randn(2, BATCH, FRAMES, N, 3, device=device)
    x, v = 3.6 * x, 0.5 * v
    charges = torch.randn(BATCH, N, device=device).sign()
    particles = ParticleTensors(charges, torch.ones_like(charges))
    walls, spent = [], []
    for _ in range(STEPS + 1):
        began, clock = time.perf_counter(), time.process_time()
        dx, dv = model(x, v, particles)
        loss = (dx - v[:, -1:]).square().mean() + dv.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        walls.append(time.perf_counter() - began)
        spent.append(time.process_time() - clock)
    assert loss.isfinite()
    parameters = sum(p.numel() for p in model.parameters())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated() / 1e9
    print(
        f"{statistics.median(walls[1:]):.3f} s a step ({statistics.median(spent[1:]):.3f} s of "
        f"CPU), peak {peak:.2f} GB, {parameters} parameters"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--way", choices=("pieces", "dense"))
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    options = parser.parse_args()
    way, device = options.way, options.device
    if way is None:
        for each in ("pieces", "dense", "pieces"):
            print(f"{each:>7}: ", end="", flush=True)
            subprocess.run(
                [sys.executable, __file__, "--way", each, "--device", device], check=True
            )
        return
    if way == "dense":
        egcl.edge_sums = dense
    measure(torch.device(device))


if __name__ == "__main__":
    main()
