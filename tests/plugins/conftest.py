"""SET with its shipped weights, and with others."""

from __future__ import annotations

import pytest

from nbody_set.model import SET, SETConfig
from nbody_surrogate.surrogates.weights import load_weights
from set_windows import perturbed_set


@pytest.fixture(scope="module", params=[*SET.shipped_weights, "coulomb", "kernel", "none"])
def model(request):
    """In turn each set of shipped weights, and random ones with each prior."""
    if request.param in SET.shipped_weights:
        return load_weights(SET.shipped_weights[request.param], "set", SET)[0].double()
    return perturbed_set(SETConfig(prior=request.param))
