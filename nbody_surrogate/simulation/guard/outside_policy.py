"""What may become of a run outside its method's domain: names that need nothing to be imported."""

from __future__ import annotations

from nbody_surrogate.errors import InputError

__all__ = ["OUTSIDE", "check_policy"]

OUTSIDE = ("warn", "refuse", "fallback")


def check_policy(policy: str) -> None:
    """Refuse a policy that is none.

    Raises
    ------
    InputError
    """
    if policy not in OUTSIDE:
        raise InputError(f"`outside` must be {', '.join(OUTSIDE)}, got {policy!r}")
