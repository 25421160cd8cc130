"""DOC."""

from __future__ import annotations

import logging
from typing import Any

__all__ = []


logger = logging.getLogger(__name__)


INDUCTOR: dict[str, Any] = {
    "freezing": True,  # weights are constants of the compiled step
    "cpp_wrapper": True,  # small steps: calls from Python would take a third of the time
    "realize_opcount_threshold": 10,  # else each pair computes all sub-steps before it again
}
"""How steps are compiled for the CPU; each was measured to pay for `set`."""
