"""All integrators in turn."""

from __future__ import annotations

import pytest

from integrator_runs import METHODS


@pytest.fixture(params=METHODS)
def method(request):
    return request.param
