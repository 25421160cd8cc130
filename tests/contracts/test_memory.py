"""What takes more memory than there is is refused before anything is allocated."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from nbody_surrogate import make_system, simulate
from nbody_surrogate.comparison.bound_pairs import bound_pairs, pair_law_of
from nbody_surrogate.contracts import memory
from nbody_surrogate.errors import InputError
from nbody_surrogate.results.metrics import closest_pair

GB = 10**9
MEMINFO = """MemTotal:       24000000 kB
MemFree:         1000000 kB
MemAvailable:   10000000 kB
HugePages_Total:       0
SwapFree:        2000000 kB
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of files, in which a process is in the control group /a/b."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text(MEMINFO)
    (tmp_path / "proc/self/statm").write_text("1000 900 800 1 0 1 0\n")
    monkeypatch.setattr(memory, "PROC", tmp_path / "proc")
    monkeypatch.setattr(memory, "CGROUPS", tmp_path / "groups")

    def group(path, **files):
        for name, content in files.items():
            file = tmp_path / "groups" / path / name.replace("__", ".")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{content}\n")

    def within(*lines):
        (tmp_path / "proc/self/cgroup").write_text("".join(line + "\n" for line in lines))

    return group, within


def test_what_is_free_counts_with_the_swap(machine):
    assert memory.available_memory() == 12 * 1024 * 10**6


@pytest.mark.parametrize("place", ["a/b", "a", ""])
def test_a_limit_of_any_group_above_holds(machine, place):
    group, within = machine
    within("0::/a/b")
    stat = "anon 7\ninactive_file 500\nactive_file 3"
    group(place, memory__max=4 * GB, memory__current=3 * GB, memory__stat=stat)
    assert memory.available_memory() == GB + 500


def test_no_limit_is_none(machine):
    group, within = machine
    within("0::/a/b", "3:cpu:/a")
    group("a/b", memory__max="max", memory__current=3 * GB, memory__stat="")
    group("cpu/a", memory__max=1, memory__current=1, memory__stat="")
    assert memory.available_memory() == 12 * 1024 * 10**6


def test_groups_of_version_1(machine):
    group, within = machine
    within("4:memory:/a/b", "0::/")
    limits = {"memory__limit_in_bytes": 5 * GB, "memory__usage_in_bytes": 2 * GB}
    group("memory/a", **limits, memory__stat="inactive_file 0")
    assert memory.available_memory() == 3 * GB


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is told by /proc")
def test_a_limit_of_the_process_itself(machine, monkeypatch):
    monkeypatch.setattr(memory.resource, "getrlimit", lambda which: (2 * GB, 3 * GB))
    page = memory.os.sysconf("SC_PAGE_SIZE")
    assert memory.available_memory() == 2 * GB - 1000 * page


def test_where_nothing_says_so_nothing_is_refused(machine, monkeypatch):
    monkeypatch.setattr(memory, "PROC", memory.PROC / "none")
    monkeypatch.delattr(memory.os, "sysconf")
    assert memory.available_memory() is None
    memory.demand_memory(10**30, "such things", "use fewer")


@pytest.fixture
def little(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: GB)


def refused(call, *words):
    with pytest.raises(InputError) as caught:
        call()
    for word in (*words, "1 GB"):
        assert word in str(caught.value)


def test_starts(little):
    charged, springs = make_system("charged"), make_system("springs")
    refused(lambda: charged.sample(0, 10**8), "`particles`", "19.2 GB")
    refused(lambda: charged.sample(0, 3, 10**9), "`trajectories`")
    # it is the bonds that are too many
    refused(lambda: springs.sample(0, 2 * 10**4), "coupled in pairs", "9.6 GB")
    assert charged.sample(0, 2 * 10**4)[0].x.shape == (1, 2 * 10**4, 3)


def test_frames(little):
    system = make_system("charged")
    start = system.sample(0, 100)
    refused(lambda: simulate(system, *start, 10**6), "`frames`", "`duration`", "4.8 GB")
    # of the run and of the sharper one
    refused(lambda: simulate(system, *start, 150_000, verify=True), "1.44 GB")


def test_pairs(little):
    system = make_system("charged")
    state, particles = system.sample(0, 10**4)
    x = np.array(state.x)[:, None]
    refused(lambda: closest_pair(x), "all pairs", "4 GB")
    refused(lambda: bound_pairs(pair_law_of(system), x, x, particles), "all pairs", "4 GB")


def test_what_is_small_asks_for_nothing(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 1 / 0)
    make_system("charged").sample(0, 30, 20)
