"""What a file lacks and the user adds: charges, masses, velocities, couplings, radii."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from nbody_surrogate.contracts.time_text import number_text
from nbody_surrogate.errors import InputError, warn
from nbody_surrogate.formats.foreign.content import Content

__all__ = ["DIFFERENCES", "NONE", "NUMBER", "Supplements", "radii_of"]

ZERO, DIFFERENCES, NONE = "zero", "differences", "none"
NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"

ReadOther = Callable[[str], Content | None]
"""Reads another file, or returns None where the name is that of none."""


@dataclass(frozen=True)
class Supplements:
    """What is to be taken where a file does not hold it, each as text, in reduced units.

    Attributes
    ----------
    charges, masses : str, optional
        A number for all, numbers with commas between them, ``SPECIES=NUMBER`` with commas, or
        another file that has them.
    velocities : str, optional
        ``zero``, ``differences`` (of the positions of neighbouring frames, second order), or
        another file that has them.
    couplings : str, optional
        A number for all pairs, or another file that has them.
    group : str, optional
        The particles group of an H5MD file with several.
    radii : str, optional
        As charges; or ``none``, to leave out those that the file holds.
    """

    charges: str | None = None
    masses: str | None = None
    velocities: str | None = None
    couplings: str | None = None
    group: str | None = None
    radii: str | None = None

    def completed(self, content: Content, read_other: ReadOther) -> Content:
        """Add what is missing.

        Velocities stay missing where none are asked for; momenta give them, once there are masses.

        Raises
        ------
        InputError
            If an option does not fit, or the file holds what it would give.
        """
        own_masses = content.masses is not None
        if self.charges is not None:
            _refuse_twice("charges", self.charges, content.charges)
            charges = _values("charges", self.charges, content, read_other)
            content = replace(content, charges=charges)
        if self.masses is not None:
            _refuse_twice("masses", self.masses, content.masses)
            masses = _values("masses", self.masses, content, read_other)
            content = replace(content, masses=masses)
        elif content.masses is None and content.default_mass is not None:
            same = np.full(content.x.shape[1], content.default_mass)
            content = replace(content, masses=same)
        if self.couplings is not None:
            _refuse_twice("couplings", self.couplings, content.couplings)
            bonds = _couplings(self.couplings, content, read_other)
            content = replace(content, couplings=bonds)
        content = self._sized(content, read_other)
        if content.v is None and content.momenta is not None and content.masses is not None:
            if self.velocities is None and not own_masses:
                _tell_momenta(content.masses)
            content = replace(content, v=content.momenta / content.masses[:, None])
        if self.velocities is not None:
            _refuse_twice("velocities", self.velocities, content.v)
            content = replace(content, v=_velocities(self.velocities, content, read_other))
        return content

    def _sized(self, content: Content, read_other: ReadOther) -> Content:
        """Add radii, or leave those of the file out."""
        if self.radii is None:
            return content
        if self.radii.strip() == NONE:
            return replace(content, radii=None)
        _refuse_twice("radii", self.radii, content.radii)
        return replace(content, radii=radii_of(self.radii, content, read_other))


def radii_of(text: str, content: Content, read_other: ReadOther) -> np.ndarray:
    """Read radii, one for each particle, as charges are.

    Raises
    ------
    InputError
        If they do not fit, or one is not positive.
    """
    radii = _values("radii", text, content, read_other)
    if not (radii > 0).all():
        raise InputError(f"`radii` must be > 0, got {radii.min():g}")
    return radii


def _tell_momenta(masses: np.ndarray) -> None:
    """Say that momenta are divided by masses that are not known to be those they were made with."""
    said = number_text(float(masses[0])) if np.ptp(masses) == 0 else "each particle's own"
    warn(
        f"velocities are the file's momenta over the `masses` that were given ({said}), since it "
        "has none of its own: where they were made with others, as ASE does with the masses of its "
        "elements, give those",
    )


def _refuse_twice(name: str, text: str, found: np.ndarray | None) -> None:
    if found is not None:
        raise InputError(
            f"`{name}` {text[:40]!r} is not needed: the file holds {name}; leave it out"
        )


def _values(name: str, text: str, content: Content, read_other: ReadOther) -> np.ndarray:
    """One number for each particle."""
    n = content.x.shape[1]
    words = [word.strip() for word in text.split(",")]
    if all(re.fullmatch(NUMBER, word) for word in words):
        if len(words) not in (1, n):
            raise InputError(f"`{name}` must hold 1 or {n} numbers, got {len(words)}")
        return np.broadcast_to(np.array(words, np.float64), (n,)).copy()
    if all(re.fullmatch(rf"[^=]+={NUMBER}", word) for word in words):
        pairs = [(key.strip(), number) for key, number in (word.split("=") for word in words)]
        given = dict(pairs)
        twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
        if twice:
            raise InputError(f"`{name}` must name each species once, {twice[0]!r} is there twice")
        return _by_species(name, given, content)
    return _of_file(name, text, content, read_other)


def _by_species(name: str, given: dict[str, str], content: Content) -> np.ndarray:
    if content.species is None:
        raise InputError(f"`{name}` names species, and the file holds none; give numbers")
    if unknown := sorted(set(content.species) - set(given)):
        raise InputError(f"`{name}` must name each species of the file, {unknown[0]!r} is missing")
    if unknown := sorted(set(given) - set(content.species)):
        raise InputError(f"`{name}` names {unknown[0]!r}, which is no species of the file")
    return np.array([float(given[each]) for each in content.species])


def _of_file(name: str, text: str, content: Content, read_other: ReadOther) -> np.ndarray:
    try:
        other = read_other(text)
    except InputError as error:
        raise InputError(f"`{name}` {error}") from None
    if other is None:
        raise InputError(
            f"`{name}` must be a number, numbers with commas, SPECIES=NUMBER with commas, or a "
            f"file that is there, got {text[:60]!r}"
        )
    found = getattr(other, name)
    if found is None:
        raise InputError(f"`{name}` names {text!r}, which holds no {name}")
    wanted = content.x.shape[1]
    if len(found) != wanted:
        raise InputError(f"`{name}` names {text!r}, which has {len(found)} particles, not {wanted}")
    return np.asarray(found)


def _couplings(text: str, content: Content, read_other: ReadOther) -> np.ndarray:
    n = content.x.shape[1]
    if re.fullmatch(NUMBER, text.strip()):
        return float(text) * (1.0 - np.eye(n))
    return _of_file("couplings", text, content, read_other)


def _velocities(text: str, content: Content, read_other: ReadOther) -> np.ndarray:
    if text == ZERO:
        return np.zeros_like(content.x)
    if text == DIFFERENCES:
        if content.t is None or len(content.t) < 3 or not (np.diff(content.t) > 0).all():
            raise InputError(
                "`velocities` from differences need at least three frames with growing times"
            )
        return np.asarray(np.gradient(content.x, content.t, axis=0, edge_order=2))
    other = read_other(text)
    if other is None or other.v is None:
        raise InputError(
            f"`velocities` must be {ZERO}, {DIFFERENCES} or a file that holds some, "
            f"got {text[:60]!r}"
        )
    if other.v.shape != content.x.shape:
        raise InputError(
            f"`velocities` names {text!r}, whose velocities have shape {other.v.shape}, "
            f"not {content.x.shape}"
        )
    return other.v
