"""Initial conditions: what a file holds is what a run starts from, or one line says why not."""

from __future__ import annotations

import io
import random
import zipfile

import numpy as np
import pytest

from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.errors import FileFormatError, InputError
from nbody_surrogate.formats import npz
from nbody_surrogate.formats.h5md import H5MDWriter
from nbody_surrogate.formats.initial import read_initial
from nbody_surrogate.results.trajectory import RunInfo

N = 4
T0, DT = 2.0, 0.1


def make_arrays(batch=None, dimensions=3):
    rng = np.random.default_rng(0)
    lead = () if batch is None else (batch,)
    return {
        "x": rng.normal(size=(*lead, N, dimensions)),
        "v": rng.normal(size=(*lead, N, dimensions)),
        "charges": rng.choice([-1.0, 1.0], size=(*lead, N)),
        "masses": rng.uniform(0.5, 2.0, size=(*lead, N)),
    }


def save(path, **changes):
    """Save a valid file with some arrays changed, or left out where None."""
    arrays = make_arrays() | changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def refused(kind, path, **options):
    """The one line with which `path` is refused."""
    with pytest.raises(kind) as caught:
        read_initial(path, **options)
    message = str(caught.value)
    assert message.startswith("`initial` ")
    assert path.name in message
    assert "\n" not in message
    return message


# Arrays


@pytest.mark.parametrize("compress", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("batch", [None, 1, 3])
def test_arrays_come_back_bit_for_bit(tmp_path, batch, dimensions, compress):
    arrays = make_arrays(batch, dimensions)
    compress(tmp_path / "start.npz", **arrays)
    state, particles = read_initial(tmp_path / "start.npz")
    lead = (batch or 1, N)
    assert state.t == 0.0
    np.testing.assert_array_equal(state.x, arrays["x"].reshape(*lead, dimensions))
    np.testing.assert_array_equal(state.v, arrays["v"].reshape(*lead, dimensions))
    np.testing.assert_array_equal(particles.charges, arrays["charges"].reshape(lead))
    np.testing.assert_array_equal(particles.masses, arrays["masses"].reshape(lead))


def test_the_time_is_taken_where_it_is_given(tmp_path):
    assert read_initial(save(tmp_path / "start.npz", t=np.float64(7.5)))[0].t == 7.5


def test_integers_single_precision_and_fortran_order_are_converted(tmp_path):
    x = np.asfortranarray(np.arange(N * 3, dtype=np.float32).reshape(N, 3))
    path = save(tmp_path / "start.npz", x=x, charges=np.array([1, -1, 1, -1]))
    state, particles = read_initial(path)
    assert state.x.dtype == particles.charges.dtype == np.float64
    np.testing.assert_array_equal(state.x[0], x)
    np.testing.assert_array_equal(particles.charges, [[1, -1, 1, -1]])


@pytest.mark.parametrize("name", ["x", "v", "charges", "masses"])
def test_every_array_is_required(tmp_path, name):
    path = save(tmp_path / "start.npz", **{name: None})
    assert f"missing arrays {name};" in refused(InputError, path)


def test_unknown_arrays_are_named(tmp_path):
    path = save(tmp_path / "start.npz", velocities=np.zeros(3), energies=np.zeros(N))
    message = refused(InputError, path)
    assert "'velocities'" in message
    assert "'energies'" in message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": np.zeros((N, 4)), "v": np.zeros((N, 4))}, "2 or 3 space dimensions"),
        ({"x": np.zeros(N)}, "`x` must have shape"),
        ({"x": np.zeros((1, 1, N, 3))}, "`x` must have shape"),
        ({"v": np.zeros((N, 2))}, "`v` must have shape (4, 3)"),
        ({"v": np.zeros((1, N, 3))}, "`v` must have shape (4, 3)"),
        ({"charges": np.zeros(N + 1)}, "`charges` must have shape (4,)"),
        ({"masses": np.ones((1, N))}, "`masses` must have shape (4,)"),
        ({"masses": np.zeros(N)}, "`masses` must be > 0"),
        ({"x": np.full((N, 3), np.nan)}, "`x` must be finite"),
        ({"v": np.full((N, 3), np.inf)}, "`v` must be finite"),
        ({"charges": np.full(N, np.nan)}, "`charges` must be finite"),
        ({"t": np.float64(np.nan)}, "`t` must be finite"),
        ({"t": np.zeros(2)}, "`t` must be a scalar"),
        ({"x": np.zeros((N, 3), complex)}, "`x` must hold real numbers, got dtype complex128"),
        ({"charges": np.array(["a"] * N)}, "`charges` must hold real numbers"),
        ({"charges": np.array([None] * N)}, "`charges` must hold real numbers, got dtype object"),
        (
            {"x": np.zeros((0, 3)), "v": np.zeros((0, 3)), "charges": [], "masses": []},
            "at least one particle",
        ),
    ],
)
def test_wrong_arrays_are_named(tmp_path, changes, message):
    assert message in refused(InputError, save(tmp_path / "start.npz", **changes))


def test_pickled_objects_are_never_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return (exec, ("raise SystemExit('unpickled')",))

    path = save(tmp_path / "start.npz", x=np.array([Trap()], dtype=object))
    assert "dtype object" in refused(InputError, path)


def test_an_npz_has_a_single_frame(tmp_path):
    path = save(tmp_path / "start.npz")
    np.testing.assert_array_equal(read_initial(path, frame=-1)[0].x, read_initial(path)[0].x)
    assert "`frame` must be from -1 to 0, got 1" in refused(InputError, path, frame=1)


# Damaged archives


def header_of(shape):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "<f8", "fortran_order": False, "shape": shape}
    )
    return stream.getvalue()


def replace_member(path, name, content):
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    members[name] = content
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(member, data)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not an array",
        b"\x93NUMPY\x09\x00" + b"\0" * 100,
        header_of((10**12, 3)),
        header_of((-4, -3)) + b"\0" * 96,
        header_of((N, 3)) + b"\0" * 50,
        header_of((N, 3)) + b"\0" * 200,
    ],
)
def test_members_that_do_not_hold_what_they_announce_are_refused(tmp_path, content):
    path = save(tmp_path / "start.npz")
    replace_member(path, "x.npy", content)
    refused(FileFormatError, path)


def test_sizes_are_checked_before_memory_is_taken(tmp_path, monkeypatch):
    """Zeros compress a thousandfold: the limit is on what they would unpack to."""
    path = save(tmp_path / "start.npz")
    replace_member(path, "x.npy", header_of((10**5, 3)) + b"\0" * (24 * 10**5))
    assert path.stat().st_size < 10**4
    monkeypatch.setattr(npz, "MAX_BYTES", 10**6)
    monkeypatch.setattr(np.lib.format, "read_array", lambda *_, **__: pytest.fail("was unpacked"))
    assert "at most 1000000 are allowed" in refused(InputError, path)


def test_an_array_that_is_there_twice_is_refused(tmp_path):
    path = save(tmp_path / "start.npz")
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("x.npy", header_of((N, 3)) + b"\0" * 96)
    refused(FileFormatError, path)


def test_damaged_archives_are_refused_or_change_numbers_only(tmp_path):
    path = save(tmp_path / "start.npz")
    whole, rng = path.read_bytes(), random.Random(3)
    for length in range(0, len(whole), len(whole) // 20):
        path.write_bytes(whole[:length])
        refused(FileFormatError, path)
    refusals = 0
    for _ in range(100):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        try:
            state, _ = read_initial(path)
        except (FileFormatError, InputError) as error:
            assert "\n" not in str(error)
            refusals += 1
        else:
            assert state.x.shape == (1, N, 3)
    assert refusals > 50, "an archive's checksums find most of the damage"


def test_files_of_no_or_another_kind_are_refused(tmp_path):
    assert "exists" in refused(InputError, tmp_path / "missing.npz")
    assert "exists" in refused(InputError, tmp_path / "missing.h5")
    (tmp_path / "folder.npz").mkdir()
    assert "exists" in refused(InputError, tmp_path / "folder.npz")
    (tmp_path / "start.txt").write_text("1,2,3\n")
    message = refused(InputError, tmp_path / "start.txt")
    assert ".npz" in message
    assert ".h5" in message
    for suffix in ("npz", "h5"):
        (tmp_path / f"text.{suffix}").write_text("1,2,3\n")
        refused(FileFormatError, tmp_path / f"text.{suffix}")


# Frames of a run

FRAMES = 6


@pytest.fixture
def run(tmp_path):
    """A finished run of two trajectories, the second of which failed; and its frames."""
    rng = np.random.default_rng(2)
    x, v = rng.normal(size=(2, 2, FRAMES, N, 2))
    particles = Particles(rng.normal(size=(2, N)), rng.uniform(1, 2, size=(2, N)))
    info = RunInfo(
        {}, {"integrator": "it"}, status=(0, -1), message=("", "too close"), good=(FRAMES, 4)
    )
    with H5MDWriter(tmp_path / "run.h5", particles, 2, FRAMES, T0, DT) as writer:
        writer.write(x, v)
        writer.finish(info)
    return tmp_path / "run.h5", x, v, particles


@pytest.mark.parametrize("frame", [0, 3, -3, -6])
def test_a_frame_of_a_run_is_taken_with_its_time(run, frame):
    path, x, v, particles = run
    state, read = read_initial(path, frame=frame)
    n = frame % FRAMES
    assert state.t == T0 + n * DT
    np.testing.assert_array_equal(state.x, x[:, n])
    np.testing.assert_array_equal(state.v, v[:, n])
    np.testing.assert_array_equal(read.charges, particles.charges)
    np.testing.assert_array_equal(read.masses, particles.masses)


@pytest.mark.parametrize("frame", [FRAMES, -FRAMES - 1])
def test_a_frame_out_of_range_names_the_range(run, frame):
    message = refused(InputError, run[0], frame=frame)
    assert f"`frame` must be from -6 to 5, got {frame}" in message


def test_a_frame_after_a_failure_is_refused(run):
    assert "trajectory 1" in refused(InputError, run[0], frame=4)


def test_an_unfinished_run_gives_its_last_frame(tmp_path, run):
    _, x, v, particles = run
    with H5MDWriter(tmp_path / "new.h5", particles, 2, FRAMES, T0, DT) as writer:
        writer.write(x[:, :3], v[:, :3])
    state, _ = read_initial(tmp_path / "new.h5.part", frame=-1)
    assert state.t == T0 + 2 * DT
    np.testing.assert_array_equal(state.x, x[:, 2])
    assert "from -3 to 2" in refused(InputError, tmp_path / "new.h5.part", frame=3)


def test_a_frame_that_is_not_finite_is_refused(tmp_path, run):
    _, x, v, particles = run
    x = x.copy()
    x[1, 2] = np.nan
    with H5MDWriter(tmp_path / "nan.h5", particles, 2, FRAMES, T0, DT) as writer:
        writer.write(x, v)
        writer.finish(RunInfo({}, {"integrator": "it"}))
    words = "its position is not finite in trajectory 1 at frame 2"
    assert words in refused(FileFormatError, tmp_path / "nan.h5", frame=2)


def test_a_truncated_run_is_refused(run):
    path = run[0]
    path.write_bytes(path.read_bytes()[:-100])
    refused(FileFormatError, path)
