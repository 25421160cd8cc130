"""What a check is: a named callable that passes, is skipped, or says what is wrong."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final
from unittest import SkipTest

import numpy as np

from nbody_surrogate.contracts.origin import Origin
from nbody_surrogate.contracts.signals import SignalWatch, is_blameless
from nbody_surrogate.contracts.violations import violation, violation_from
from nbody_surrogate.errors import InputError, NBodyWarning, PluginError

__all__ = ["AbstractCase", "Check", "ConformanceError", "KnownFailure", "failed", "skip", "title"]


class ConformanceError(PluginError, AssertionError):
    """A plugin fails a check; the message names it, its distribution, the method and its duty."""


class KnownFailure(SkipTest):
    """A plugin fails a check as its `known_failures` say; the message is the reason."""


def failed(origin: Origin, method: str, what: str) -> ConformanceError:
    """Return the error of a failed check; `what` follows the method's name."""
    return ConformanceError(str(violation(origin, method, what)))


def skip(why: str) -> SkipTest:
    """Return what a check raises that does not apply; pytest and unittest know it."""
    return SkipTest(why)


def title(function: Callable[..., None], arguments: tuple[str, ...] = ()) -> str:
    """Return the name of a check by its function and its arguments."""
    name = function.__name__.removeprefix("check_").replace("_", "-")
    return ":".join([name, *arguments])


@dataclass(frozen=True)
class AbstractCase(ABC):
    """A plugin under test, and what it is tested on.

    Attributes
    ----------
    origin : Origin
    """

    origin: Origin

    @property
    @abstractmethod
    def usual(self) -> str:
        """The method that is at fault unless a check knows better."""

    @property
    def known_failures(self) -> Mapping[str, str]:
        """The checks that the plugin is known to fail, with the reasons."""
        return {}

    def demand(self, holds: bool | np.bool_, what: str, method: str | None = None) -> None:
        """Raise `ConformanceError` unless something holds; `what` follows the method's name."""
        if not holds:
            raise failed(self.origin, method or self.usual, what)


@final
@dataclass(frozen=True)
class Check:
    """One check of one plugin. Call it to run it.

    Attributes
    ----------
    name : str
        As ``nbody-sim plugins check`` prints it.
    function : callable
        Takes the case; its docstring says what is demanded.
    case : callable
        Returns the case; made once for all checks of a plugin, when the first of them runs.
    arguments : tuple
        Further arguments of the function.
    """

    name: str
    function: Callable[..., None]
    case: Callable[[], AbstractCase]
    arguments: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return self.name

    @property
    def demand(self) -> str:
        """What is demanded, in one line."""
        return (self.function.__doc__ or self.name).split("\n")[0]

    def __call__(self) -> None:
        """Run the check.

        Raises
        ------
        ConformanceError
            If the plugin fails it.
            Or passes it, though it is a known failure.
        KnownFailure
            If the plugin fails it, and says so in its `known_failures`.
        unittest.SkipTest
            If it does not apply to the plugin.
        """
        with SignalWatch(), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", NBodyWarning)  # of cards, which are made up
            warnings.simplefilter("ignore", RuntimeWarning)  # of overflows, which are meant
            case = self._case()
            reason = case.known_failures.get(self.name)
            try:
                self._hold(case)
            except ConformanceError as error:
                if reason is None:
                    raise
                raise KnownFailure(reason) from error
            if reason is not None:
                what = f"must not name {self.name!r}, which is kept now: take it out"
                raise failed(case.origin, "known_failures", what)

    def _hold(self, case: AbstractCase) -> None:
        """Run the check, whatever is known of it."""
        try:
            self.function(case, *self.arguments)
        except (ConformanceError, SkipTest):
            raise
        except PluginError as error:
            raise ConformanceError(str(error)) from error
        except InputError as error:
            what = f"{case.origin} refuses what it must take: {error}"
            raise ConformanceError(what) from error
        except BaseException as error:
            if is_blameless(error):
                raise
            raise ConformanceError(str(violation_from(case.origin, self.name, error))) from error

    def _case(self) -> AbstractCase:
        try:
            return self.case()
        except PluginError as error:
            raise ConformanceError(str(error)) from error
