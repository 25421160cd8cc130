"""What curves may be of, known without the law itself."""

from __future__ import annotations

__all__ = ["BROADEST", "LARGEST", "LEAST", "STEEPEST"]

LEAST, LARGEST = 4, 64
"""Splines of a curve: fewer have no range in which they add up to one, more have no class."""

BROADEST = 16
"""Splines of a surface, along either of its axes."""

STEEPEST = 15
"""Largest power of a distance, of either sign; they are whole numbers."""
