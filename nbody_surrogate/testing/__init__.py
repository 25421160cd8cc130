"""The conformance kit: what every plugin must do, as checks that its author runs.

In the tests of a plugin::

    import pytest
    from nbody_surrogate.testing import checks

    @pytest.mark.parametrize("check", checks("my-plugin"), ids=str)
    def test_conformance(check):
        check()

``nbody-sim plugins check my-plugin`` runs the same checks without pytest. A check that fails says
which plugin, of which distribution, which method, what was expected and what was found.
"""

from __future__ import annotations

from nbody_surrogate.testing.check import Check, ConformanceError
from nbody_surrogate.testing.suite import checks

__all__ = ["Check", "ConformanceError", "checks"]
