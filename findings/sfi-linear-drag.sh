#!/bin/sh
# StochasticForceInference 2.0.4 (JAX 0.10.2), UnderdampedLangevinInference: with a little noise on the
# positions the default of the linear estimator, preset "auto" (so "robust"), finds a drag and a
# diffusion that are a third too large, at 125 frames a period, and gives the drag an error bar eight
# times smaller than that error. It is the diffusion estimator "noisy", whose error grows with the
# frame interval as w^2 <v^2> dt / D (w the frequency), large where the drag is weak. Without the noise
# "auto" is right, and so is the parametric estimator `infer_force` with it.
#
# The data: 24 harmonic oscillators dv = (-x - 0.2 v) dt + sqrt(2 0.03) dW, 8000 frames of 0.05,
# positions with noise of 1e-3 (0.3 % of their spread).
#
# Seen:
#   truth       drag 0.200  diffusion 0.0300
#   linear      drag 0.259  diffusion 0.0401  own error bar 0.0074
#   parametric  drag 0.194  diffusion 0.0300
#
# Exits with 1 where another version behaves otherwise.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install StochasticForceInference==2.0.4 jax==0.10.2 jaxlib==0.10.2
NPROC=8 "$folder/venv/bin/python" - <<'PYTHON'
import sys

import jax
import numpy as np

jax.config.update("jax_enable_x64", True)
from SFI import TrajectoryCollection, UnderdampedLangevinInference
from SFI.bases import V, X

DRAG, DIFFUSION, DT, FRAMES, PARTICLES, STEPS = 0.2, 0.03, 0.05, 8000, 24, 20


def positions():
    random = np.random.default_rng(0)
    h = DT / STEPS
    kept = np.exp(-DRAG * h)
    kick = np.sqrt(DIFFUSION / DRAG * (1.0 - kept**2))
    x, v = (np.sqrt(DIFFUSION / DRAG) * random.normal(size=PARTICLES) for _ in range(2))
    out = np.empty((FRAMES, PARTICLES, 1))
    for frame in range(FRAMES):
        out[frame, :, 0] = x
        for _ in range(STEPS):
            v = v - 0.5 * h * x
            x = x + 0.5 * h * v
            v = kept * v + kick * random.normal(size=PARTICLES)
            x = x + 0.5 * h * v
            v = v - 0.5 * h * x
    return out + 1e-3 * random.normal(size=out.shape)


def drag_and_diffusion(inference):
    return -float(inference.force_coefficients_full[1]), float(inference.diffusion_average[0, 0])


tracks = TrajectoryCollection.from_arrays(X=positions(), dt=DT)
linear = UnderdampedLangevinInference(tracks)
linear.compute_diffusion_constant()
linear.infer_force_linear(X(1) & V(1))
linear.compute_force_error()
bar = float(np.asarray(linear.force_coefficients_stderr)[1])
parametric = UnderdampedLangevinInference(tracks)
parametric.infer_force(X(1) & V(1))
by_linear, by_parametric = drag_and_diffusion(linear), drag_and_diffusion(parametric)
print(f"truth       drag {DRAG:.3f}  diffusion {DIFFUSION:.4f}")
print(f"linear      drag {by_linear[0]:.3f}  diffusion {by_linear[1]:.4f}  own error bar {bar:.4f}")
print(f"parametric  drag {by_parametric[0]:.3f}  diffusion {by_parametric[1]:.4f}")
expected = (
    abs(by_linear[0] - 0.259) < 0.003
    and abs(by_linear[1] - 0.0401) < 0.0003
    and bar < 0.01
    and abs(by_parametric[0] - DRAG) < 0.02
    and abs(by_parametric[1] - DIFFUSION) < 0.001
)
sys.exit(not expected)
PYTHON
