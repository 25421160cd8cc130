"""What a refusal of files must look like."""

from __future__ import annotations

import sys
from contextlib import contextmanager

import pytest

LONGEST_LINE = 700  # characters of a message, paths of temporary folders included

posix = pytest.mark.skipif(sys.platform == "win32", reason="named pipes and limits are POSIX")


@contextmanager
def refused(error, *words):
    """Check that what is inside fails in one line that holds `words`."""
    with pytest.raises(error) as caught:
        yield caught
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < LONGEST_LINE
    for word in words:
        assert str(word) in message, message
