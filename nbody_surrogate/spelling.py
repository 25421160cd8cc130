"""The nearest known name to one that is not known, whatever it is a name of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = ["instead_of", "nearest"]

NEAR = 0.6  # share of characters in common, difflib's own: below it a hint misleads


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is spelt most like `name`, upper and lower case alike, or None."""
    import difflib  # for errors alone; the front page is to be cheap to import

    plain = {each.lower().replace("-", "_"): each for each in known}
    close = difflib.get_close_matches(name.lower().replace("-", "_"), plain, n=1, cutoff=NEAR)
    return plain[close[0]] if close else None


def instead_of(name: str, known: Iterable[str], other_words: Mapping[str, str]) -> str:
    """Say what to write in place of a name, as the end of a message; empty where nothing is near.

    Parameters
    ----------
    name : str
    known : iterable of str
    other_words : mapping
        From names that other libraries have to what does it here.
    """
    if name in other_words:
        return f"; write {other_words[name]}"
    close = nearest(name, known)
    return "" if close is None else f"; did you mean `{close}`?"
