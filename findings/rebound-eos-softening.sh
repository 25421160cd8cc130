#!/bin/sh
# REBOUND 5.2.2, Python: with the integrator EOS, `Simulation.softening` does not act on pairs with
# the first particle, without an error or a warning. Leapfrog and IAS15 soften all pairs.
#
# Two particles of mass 1, softening 0.3, time 1, steps of 1/1000.
#
# Seen, largest difference of a coordinate:
#   softening 0.3: leapfrog from IAS15 below 1e-6, EOS from IAS15 5e-3,
#                  and EOS has the bits of EOS without softening
#   softening 0.0: EOS from IAS15 below 1e-6
#
# Exits with 1 where another version behaves otherwise.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install rebound==5.2.2
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import rebound

PLACES = [(1.0, 0.1, -0.2), (-0.9, 0.3, 0.1)]


def places(integrator, softening):
    simulation = rebound.Simulation()
    simulation.softening = softening
    for x, y, z in PLACES:
        simulation.add(m=1.0, x=x, y=y, z=z, vx=-0.3 * y, vy=0.3 * x)
    simulation.integrator, simulation.dt = integrator, 1e-3
    simulation.integrate(1.0)
    return [c for p in simulation.particles for c in (p.x, p.y, p.z)]


def apart(first, second):
    return max(abs(a - b) for a, b in zip(first, second, strict=True))


soft = {name: places(name, 0.3) for name in ("ias15", "leapfrog", "eos")}
hard = {name: places(name, 0.0) for name in ("ias15", "eos")}
print("rebound", rebound.__version__)
print("softening 0.3: leapfrog from ias15", apart(soft["leapfrog"], soft["ias15"]))
print("softening 0.3: eos from ias15     ", apart(soft["eos"], soft["ias15"]))
print("softening 0.0: eos from ias15     ", apart(hard["eos"], hard["ias15"]))
print("eos with softening and without    ", apart(soft["eos"], hard["eos"]))
as_seen = (
    apart(soft["leapfrog"], soft["ias15"]) < 1e-6
    and apart(soft["eos"], soft["ias15"]) > 1e-3
    and apart(hard["eos"], hard["ias15"]) < 1e-6
    and soft["eos"] == hard["eos"]
)
sys.exit(0 if as_seen else 1)
PYTHON
