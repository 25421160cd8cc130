"""SET with its shipped weights, and with others."""

from __future__ import annotations

import pytest

from nbody_set.domain import Domain
from nbody_set.model import SET, SETConfig
from nbody_surrogate.surrogates.weights import load_weights
from set_windows import FusedTwin, perturbed_set

GATED = Domain(  # so that it is open for some windows, half open and shut for others
    crowding=1.0, drift=0.1, kick=0.5, speed=4.0, charges=(0, 4), inverse_masses=(0, 7)
)
OTHERS = {
    **{prior: SETConfig(prior=prior) for prior in ("coulomb", "kernel", "none")},
    "gated": SETConfig(domain=GATED, bound=1e3),
}
MODELS = [
    pytest.param(
        name, marks=[pytest.mark.slow] if name in ("set-small", "coulomb", "kernel") else []
    )
    for name in (*SET.shipped_weights, *OTHERS)
]
"""`set` stands for those with Coulomb's prior, and `set-kernel` for those with a kernel."""


def made(name):
    if name in SET.shipped_weights:
        return load_weights(SET.shipped_weights[name], "set", SET)[0].double()
    return perturbed_set(OTHERS[name])


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    """In turn each set of shipped weights, and random ones of each kind."""
    return made(request.param)


@pytest.fixture(scope="module", params=[*MODELS, "fused"])
def any_model(request):
    """As `model`, and one whose frames compiled steps make."""
    return FusedTwin(made("gated")) if request.param == "fused" else made(request.param)
