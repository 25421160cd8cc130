"""Whether two times between frames count as the same."""

from __future__ import annotations

import pytest

from nbody_surrogate.contracts.times import same_spacing


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [(0.3, 3 * 0.1, True), (0.1, 0.1 + 1e-11, True), (0.1, 0.1 + 1e-9, False),
     (1e-12, 2e-12, False), (1e6, 1e6 + 1e-4, True)],
)  # fmt: skip
def test_spacings_are_compared_relative_to_their_size(one, other, same):
    assert same_spacing(one, other) is same
    assert same_spacing(other, one) is same
