"""Torch's threads: chosen by the work, set around the model only, and recorded."""

from typing import ClassVar

import pytest
import torch

import nbody_surrogate.surrogates.integrator as surrogate_integrators
from nbody_surrogate import (
    NBodyWarning,
    PluginError,
    SurrogateIntegrator,
    make_integrator,
    simulate,
)
from nbody_surrogate.contracts import SurrogateConfig, threads
from toy_surrogates import Ballistic


class Telling(Ballistic):
    """Tells on how many threads it is called, and fails where it is told to."""

    told: ClassVar[list[int]] = []
    fails = False

    def forward(self, x, v, particles):
        self.told.append(torch.get_num_threads())
        if self.fails:
            raise RuntimeError("no more")
        return super().forward(x, v, particles)


@pytest.fixture
def three(monkeypatch):
    """Torch set to three threads on a machine of eight cores; `Telling` with nothing to tell."""
    before = torch.get_num_threads()
    monkeypatch.setattr(threads, "usable_cores", lambda: 8)
    monkeypatch.setattr(Telling, "told", [])
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def start(charged):
    return charged.sample(0, 4, 2)


def integrator(**options):
    return SurrogateIntegrator(Telling(SurrogateConfig()), device="cpu", **options)


def test_little_work_is_done_on_one_thread(three, charged, start):
    run = simulate(charged, *start, 3, integrator())
    assert set(Telling.told) == {1}
    assert run.info.threads == 1
    assert torch.get_num_threads() == 3


def test_much_work_is_done_on_as_many_as_torch_is_set_to(three, charged, start, monkeypatch):
    monkeypatch.setattr(surrogate_integrators, "SHARE", 1)
    run = simulate(charged, *start, 3, integrator())
    assert set(Telling.told) == {3}
    assert run.info.threads == 3


def test_what_is_asked_for_is_obeyed_with_a_warning(three, charged, start):
    with pytest.warns(NBodyWarning, match="`threads` 2 is more than pays for 2 x 4 particles"):
        run = simulate(charged, *start, 3, integrator(threads=2))
    assert set(Telling.told) == {2}
    assert run.info.threads == 2
    assert torch.get_num_threads() == 3


def test_threads_are_given_back_whatever_happens(three, charged, start, monkeypatch):
    monkeypatch.setattr(Telling, "fails", True)
    with pytest.raises(PluginError, match="no more"):
        simulate(charged, *start, 3, integrator())

    def cancel(done, total):
        assert torch.get_num_threads() == 1
        raise KeyboardInterrupt

    monkeypatch.setattr(Telling, "fails", False)
    with pytest.raises(KeyboardInterrupt):
        simulate(charged, *start, 3, integrator(), observers=cancel)
    assert torch.get_num_threads() == 3


def test_the_work_is_pairs_times_width(monkeypatch):
    monkeypatch.setattr(threads, "usable_cores", lambda: 64)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    method = make_integrator("set", device="cpu", engine="torch")
    share = surrogate_integrators.SHARE / 32  # its widest layer
    for n, batch in ((5, 1), (30, 1), (30, 64), (100, 512)):
        pairs = batch * n * (n - 1) / 2
        assert method.threads_for(batch, n) == max(1, min(int(pairs // share), 64))


def test_compiled_steps_share_out_trajectories(monkeypatch):
    monkeypatch.setattr(threads, "usable_cores", lambda: 64)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    method = make_integrator("set", device="cpu", engine="fused")
    assert [method.threads_for(batch, 30) for batch in (1, 3, 64)] == [1, 3, 64]
    assert method.threads_for(1000, 2) < 64
