"""Calls and attributes that are not there: the nearest one, or what does it here."""

from __future__ import annotations

import copy
import inspect
import pickle
import warnings

import pytest

from nbody_surrogate.contracts.attributes import Suggesting
from nbody_surrogate.contracts.calls import guided, guided_class
from nbody_surrogate.errors import ArgumentError, InputError
from nbody_surrogate.spelling import instead_of, nearest


@guided(t_span="`frames`", frames="how many")
def step(system, frames, *, dt=0.1):
    """Take steps."""
    if frames == 13:
        raise TypeError("of the body")
    return system, frames, dt


@guided_class(q="`charge`")
class Ball(Suggesting):
    other_words = {"q": "`charge`"}  # noqa: RUF012  # a mapping like any

    def __init__(self, charge, mass=1.0):
        self.charge, self.mass = charge, mass

    @property
    def broken(self):
        return self.chrage


def test_a_right_call_is_untouched():
    assert step(1, 2, dt=3) == (1, 2, 3)
    assert step(1, frames=2) == (1, 2, 0.1)
    assert step.__doc__ == "Take steps."
    assert str(inspect.signature(step)) == "(system, frames, *, dt=0.1)"
    assert str(inspect.signature(Ball)) == "(charge, mass=1.0)"
    with pytest.raises(TypeError, match="of the body"):
        step(1, 13)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: step(1, 2, t_span=3), ["no parameter `t_span` (write `frames`)", "step(system"]),
        (lambda: step(1, 2, d_t=3), ["`d_t` (did you mean `dt`?)"]),
        (lambda: step(1, 2, t_span=3, colour=4), ["`t_span` (write `frames`), `colour`:"]),
        (lambda: step(1), ["also needs `frames`; write how many: step(system, frames, *, dt=0.1)"]),
        (lambda: step(), ["also needs `system` and `frames`"]),
        (lambda: step(1, 2, 3), ["takes 2 arguments by place, got 3", "name them"]),
        (lambda: step(1, 2, system=3), ["`system`", "twice"]),
        (lambda: Ball(q=1), ["`Ball` has no parameter `q` (write `charge`)", "Ball(charge, mass"]),
        (lambda: Ball(), ["`Ball` also needs `charge`"]),
        (lambda: Ball(1, 2, 3), ["`Ball` takes 2 arguments by place, got 3"]),
    ],
)
def test_a_wrong_call_is_one_line_that_says_what_would_do(call, words):
    with pytest.raises(ArgumentError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, InputError)


def test_an_attribute_that_is_not_there_names_the_one_that_is():
    ball = Ball(1)
    for name, words in (("q", "write `charge`"), ("mas", "did you mean `mass`"), ("zzz", "`zzz`")):
        with pytest.raises(AttributeError, match=words):
            getattr(ball, name)
    assert not hasattr(ball, "__array__")
    for other in (copy.deepcopy(ball), pickle.loads(pickle.dumps(ball))):
        assert other.mass == 1.0


def test_a_property_that_fails_says_why_itself():
    with pytest.raises(AttributeError, match="no `chrage`; did you mean `charge`"):
        _ = Ball(1).broken


def test_case_and_dashes_do_not_matter():
    assert nearest("RK45", ["rk4", "rk45"]) == "rk45"
    assert nearest("set_small", ["set-small"]) == "set-small"
    assert nearest("zzz", ["rk4"]) is None
    assert instead_of("zzz", ["rk4"], {}) == ""


def test_nothing_is_warned_about():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step(1, 2)
