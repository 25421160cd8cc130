"""The end of a method's text that names approximate forces: ``@p2+pairs`` of ``leapfrog@p2+pairs``.

Apart from what makes such a method, so that a wrong name is refused without NumPy.
"""

from __future__ import annotations

import os
from pathlib import Path

from nbody_surrogate.contracts.arguments import demand_kind
from nbody_surrogate.errors import InputError

__all__ = ["SIGN", "split_approximation"]

SIGN = "@"
"""Stands between a method and the approximation that it computes forces by."""


def split_approximation(text: str, label: str = "integrator") -> tuple[str, str | None]:
    """Split a method's text from the name of its approximation.

    Parameters
    ----------
    text : str
        A path, and a folder that is there, are left as they are.
    label : str
        Name of the parameter in errors.

    Returns
    -------
    method : str
    approximation : str or None

    Raises
    ------
    InputError
        If nothing stands before or behind the sign.
    """
    demand_kind(label, text, str, "a name, as text")
    method, sign, approximation = text.partition(SIGN)
    if not sign or os.sep in text or Path(text).is_dir():
        return text, None
    if not (method and approximation):
        raise InputError(
            f"`{label}` {text!r} must name a method before the {SIGN} and an approximation of the "
            f"system behind it, such as leapfrog{SIGN}p2"
        )
    return method, approximation
