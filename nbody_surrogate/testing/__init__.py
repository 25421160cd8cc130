"""The conformance kit: what every plugin must do, as checks that its author runs.

In the tests of a plugin::

    import pytest
    from nbody_surrogate.testing import checks

    @pytest.mark.parametrize("check", checks("my-plugin"), ids=str)
    def test_conformance(check):
        check()

``nbody-sim plugins check my-plugin`` runs the same checks without pytest. A check that fails says
which plugin, of which distribution, which method, what was expected and what was found. One that is
among the `known_failures` of a surrogate is skipped with the reason while it fails, and fails when
it passes.
"""

from __future__ import annotations

from nbody_surrogate.testing.check import Check, ConformanceError, KnownFailure
from nbody_surrogate.testing.suite import checks

__all__ = ["Check", "ConformanceError", "KnownFailure", "checks"]
