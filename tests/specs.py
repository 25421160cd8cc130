"""Recipes of data sets that a test refers to."""

from __future__ import annotations

import pytest

from nbody_surrogate.datasets.spec import (
    resolve,
)
from nbody_surrogate.errors import InputError

TOO_MANY_DIGITS = 10**400
"""More than a float holds."""


def refused(values, *words):
    """Resolve what must be refused with one line that has all `words`."""
    with pytest.raises(InputError) as caught:
        resolve(values)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message
    return message
