"""The domain of a card as a table of Markdown."""

from __future__ import annotations

from nbody_surrogate.contracts.domain import Domain, Span
from nbody_surrogate.contracts.domain_check import WORDS
from nbody_surrogate.contracts.domain_quantities import QUANTITIES
from nbody_surrogate.contracts.wording import counted, figure_text

__all__ = ["domain_lines"]

DIGITS = 2


def domain_lines(domain: Domain | None) -> list[str]:
    """Say what the training data held, a column for each system and number of particles.

    Parameters
    ----------
    domain : Domain or None

    Returns
    -------
    list of str
        Nothing where the card has none.
    """
    if domain is None or not domain.measured:
        return []
    parts = domain.measured
    heads = [f"{each.system}, {counted(each.particles, 'particle')}" for each in parts]
    length = "softenings" if domain.softened else "reduced units"
    rows = [
        [
            _named(name, length),
            *(_text(each.run.get(name, (None, None))) for each in parts),
        ]
        for name in QUANTITIES
        if any(name in each.run for each in parts)
    ]
    measured = [str(each.frames) for each in parts]
    return [
        "What its training data held, but for the rarest 1 in 10 000 frames; what is outside is "
        "warned about, or as `--outside` says:",
        "",
        "| of each frame | " + " | ".join(heads) + " |",
        "|---" * (len(heads) + 1) + "|",
        *("| " + " | ".join(row) + " |" for row in rows),
        "| frames measured | " + " | ".join(measured) + " |",
        "",
    ]


def _named(name: str, length: str) -> str:
    words, unit = WORDS[name]
    unit = length if unit == "length" else unit
    return f"{words}, {unit}" if unit else words


def _text(span: Span) -> str:
    low, high = (None if end is None else figure_text(end, DIGITS) for end in span)
    if low is not None and high is not None:
        return low if low == high else f"{low} to {high}"
    if low is None and high is None:
        return ""
    return f"to {high}" if low is None else f"from {low}"
