"""The annotations that all other tests execute are seen to fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from beartype import BeartypeConf, beartype
from jaxtyping import Float64, TypeCheckError

from annotations import EVERY, checked
from nbody_surrogate.results.metrics import rmse
from nbody_surrogate.simulation.simulate import simulate

TYPECHECKER = beartype(conf=BeartypeConf(violation_type=TypeCheckError))
TWO, THREE = np.zeros(2), np.zeros(3)


def executed(what):
    return checked(what, typechecker=TYPECHECKER)


@executed
def added(x: Float64[np.ndarray, " N"], y: Float64[np.ndarray, " N"], times: int = 1) -> float:
    return float((x + times * y).sum())


@executed
def grown(x: Float64[np.ndarray, " N"], by: int) -> Float64[np.ndarray, " N"]:
    return np.zeros(len(x) + by)


@executed
def named(name: str, *others: str, sep: str = " ") -> str:
    return sep.join((name, *others)) if name else None


@executed
def counted(n: int) -> Iterator[int]:
    yield from range(n)


@executed
@dataclass
class Pair:
    x: Float64[np.ndarray, " N"]
    v: Float64[np.ndarray, " N"]

    @property
    @executed
    def twice(self) -> Float64[np.ndarray, " N"]:
        return [2 * self.x]


def test_what_is_as_announced_passes():
    assert added(TWO, TWO, times=2) == 0.0
    assert grown(TWO, 0).shape == (2,)
    assert named("a", "b", sep="-") == "a-b"
    assert list(counted(3)) == [0, 1, 2]
    assert Pair(TWO, TWO).x is TWO


@pytest.mark.parametrize(
    "call",
    [
        lambda: added(TWO, THREE),
        lambda: added(TWO, y=THREE),
        lambda: added(TWO, TWO.astype(np.float32)),
        lambda: added(TWO, [0.0, 0.0]),
        lambda: added(TWO, TWO, 1.5),
        lambda: grown(TWO, 1),
        lambda: named(1),
        lambda: named("a", 1),
        lambda: named("a", sep=None),
        lambda: named(""),
        lambda: counted("3"),
        lambda: Pair(TWO, THREE),
        lambda: Pair(TWO, v=None),
        lambda: Pair(TWO, TWO).twice,
    ],
)
def test_what_is_not_as_announced_is_an_error(call):
    with pytest.raises(TypeCheckError):
        call()


def test_an_axis_has_its_length_for_one_call_only():
    assert added(TWO, TWO) == added(THREE, THREE)


def test_the_packages_are_executed_so():
    right, wrong = np.zeros((1, 4, 3, 3)), np.zeros((1, 4, 3, 2))
    assert rmse(right, right).shape == (1, 4)
    for call in (lambda: rmse(right, wrong), lambda: simulate("charged", None, None, 1.5)):
        # of what other tests have called often by now, one call in so many is looked at
        assert TypeCheckError in {type(raised(call)) for _ in range(EVERY)}


def raised(call):
    """What a call ends with."""
    with pytest.raises(Exception) as error:
        call()
    return error.value
