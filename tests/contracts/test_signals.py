"""Handlers of signals: watched once for a call, put back, and a plugin's own left alone."""

from __future__ import annotations

import signal

import pytest

import nbody_surrogate.contracts.signals as signals
from nbody_surrogate import make_integrator, make_system
from nbody_surrogate.contracts.signals import SignalWatch, is_a_plugins_own


def handlers():
    return [signal.getsignal(number) for number in signals.WATCHED]


@pytest.fixture
def counted(monkeypatch):
    """Handlers that are set, in turn."""
    set_to, plain = [], signals._signal.signal

    def noted(number, handler):
        set_to.append(number)
        return plain(number, handler)

    monkeypatch.setattr(signals._signal, "signal", noted)
    return set_to


def test_a_start_and_a_segment_watch_once_each(counted):
    """To set handlers takes as long as a short run; what is checked in between needs none anew."""
    system, method = make_system("charged"), make_integrator("leapfrog", substeps=1)
    start, before = system.sample(0, 2), handlers()
    callable_ones = sum(callable(each) for each in before)
    counted.clear()
    carry = method.start(system, *start, 0.1)
    assert len(counted) == 2 * callable_ones
    method.advance(carry, 1)
    assert len(counted) == 4 * callable_ones
    assert handlers() == before


def test_what_a_handler_raised_comes_out_whatever_became_of_it():
    with pytest.raises(KeyboardInterrupt), SignalWatch():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as error:
            assert not is_a_plugins_own(error)


def test_a_handler_that_was_set_within_stays():
    before = signal.getsignal(signal.SIGINT)

    def own(number, frame):
        pass

    try:
        with SignalWatch():
            signal.signal(signal.SIGINT, own)
        assert signal.getsignal(signal.SIGINT) is own
    finally:
        signal.signal(signal.SIGINT, before)
