"""A user's own quantities, taken of each frame, kept with the run, in its file, after a restart."""

from __future__ import annotations

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest

import nbody_surrogate as nb
from nbody_surrogate.errors import FileFormatError
from nbody_surrogate.files.atomic import part_path
from nbody_surrogate.formats.export import export
from nbody_surrogate.formats.h5md.provenance import load_info
from nbody_surrogate.formats.initial import read_initial
from nbody_surrogate.formats.opening import read_run

FRAMES, SEGMENT, N = 12, 5, 4
OURS = "parameters/nbody_surrogate"


def radius(t, x, v, particles):
    """One number for each frame."""
    return np.linalg.norm(x, axis=3).mean(2)


def impulse(t, x, v, particles):
    """A vector for each frame."""
    return (particles.masses[:, None, :, None] * v).sum(2)


def elapsed(t, x, v, particles):
    """Whole numbers, of the time alone."""
    return np.broadcast_to(np.rint(t / 0.1).astype(int), x.shape[:2])


QUANTITIES = {"radius": radius, "impulse": impulse, "elapsed": elapsed}


def reporters():
    return [nb.Reporter(name, quantity) for name, quantity in QUANTITIES.items()]


def run_of(batch=3, observers=None, output=None, **options):
    system = nb.make_system("charged")
    method = nb.make_integrator("leapfrog", substeps=2, segment=SEGMENT)
    observers = reporters() if observers is None else observers
    start = system.sample(3, N, batch)
    return nb.simulate(
        system, *start, FRAMES, method, dt=0.1, output=output, observers=observers, **options
    )


def expected(run):
    """What the quantities are of all frames at once."""
    return {name: of(run.t, run.x, run.v, run.particles) for name, of in QUANTITIES.items()}


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        assert found[name].dtype == np.float64
        np.testing.assert_array_equal(found[name], values)


@pytest.fixture(params=[1, 3])
def written(request, tmp_path):
    return run_of(request.param, output=tmp_path / "run.h5"), tmp_path / "run.h5"


def test_a_run_has_what_its_reporters_give(written):
    run, path = written
    wanted = expected(run)
    assert run.observables["radius"].shape == (len(run), FRAMES + 1)
    assert run.observables["impulse"].shape == (len(run), FRAMES + 1, 3)
    assert_same(run.observables, wanted)
    assert_same(run[len(run) - 1].observables, {k: y[-1] for k, y in wanted.items()})
    assert_same(nb.read_h5md(path).observables, wanted)
    last = nb.read_h5md(path, trajectory=len(run) - 1)
    assert_same(last.observables, {k: y[-1:] for k, y in wanted.items()})


def test_others_find_them_as_observables_of_h5md(written):
    run, path = written
    with h5py.File(path) as file:
        for b in range(len(run)):
            for name, values in run.observables.items():
                element = file[f"observables/trajectory_{b:04d}/{name}"]
                np.testing.assert_array_equal(element["value"], values[b])
                for key in ("step", "time"):
                    assert element[key] == file[f"particles/trajectory_{b:04d}/position/{key}"]


def test_reporters_change_nothing_else_and_are_handed_each_segment_read_only():
    seen = []

    def watching(t, x, v, particles):
        seen.append((t.shape, x.shape, v.shape, particles.charges.shape))
        assert not (t.flags.writeable or x.flags.writeable or v.flags.writeable)
        return x[:, :, 0, 0]

    run, plain = run_of(3, [nb.Reporter("first", watching)]), run_of(3, [])
    np.testing.assert_array_equal(run.x, plain.x)
    assert plain.observables == {}
    lengths = [shapes[0][0] for shapes in seen]
    # the start may be looked at more than once, each segment is once
    assert lengths[-3:] == [5, 5, 2]
    assert set(lengths[:-3]) == {1}
    assert all(
        s == ((f,), (3, f, N, 3), (3, f, N, 3), (3, N)) for f, s in zip(lengths, seen, strict=True)
    )


def test_frames_that_are_no_data_are_nan_in_the_valid_part():
    run = run_of(3)
    good = (FRAMES + 1, 4, 6)
    stopped = replace(run, info=replace(run.info, good=good))
    for part in (stopped.valid_part(), stopped[1].valid_part(), stopped.valid_part(5)):
        values = part.observables["impulse"]
        assert values.shape == (*part.x.shape[:-2], 3)
        np.testing.assert_array_equal(np.isnan(values), np.isnan(part.x).any(-2))
    np.testing.assert_array_equal(
        stopped[1].valid_part().observables["radius"], run.observables["radius"][1, :4]
    )


@pytest.mark.parametrize(
    ("quantity", "said"),
    [
        (lambda t, x, v, particles: x[:, :, 0, 0].T, r"shape \(B, F, ...\) with \(B, F\) = \(3, "),
        (lambda t, x, v, particles: x.mean(), r"shape .* got \(\)"),
        (lambda t, x, v, particles: x[:, :, :0, 0], r"shape .* got \(3, 1, 0\)"),
        (lambda t, x, v, particles: x[:, :, 0, 0] + 1j, "real numbers, got complex128"),
        (lambda t, x, v, particles: np.full(x.shape[:2], "a"), "real numbers, got <U1"),
        (lambda t, x, v, particles: x[:, :, 0, 0] * np.nan, "finite numbers.*trajectory 0 at t ="),
        (lambda t, x, v, particles: x[:, :, : len(t), 0], r"shape \(3, 5, 1\), as of the frames"),
        (
            lambda t, x, v, particles: np.where(t > 0.75, np.inf, t) * np.ones((3, 1)),
            "finite numbers, got NaN or infinity in trajectory 0 at t = 0.8",
        ),
    ],
)
def test_what_is_no_quantity_of_the_frames_is_one_line_that_names_it(quantity, said):
    with pytest.raises(nb.InputError, match=f"`quantity` of reporter 'mine' must return {said}"):
        run_of(3, [nb.Reporter("mine", quantity)])


@pytest.mark.parametrize(
    "name",
    ["valid", "label_error", "x", "trajectory_1", "_mine", "a b", "1a", "", "é", "a" * 65, 3],
)
def test_names_that_are_taken_or_none_are_refused(name):
    annotated = nb.Reporter.__init__
    given = getattr(annotated, "__wrapped__", annotated)
    with pytest.raises(nb.InputError, match="name of an observable"):
        given(object.__new__(nb.Reporter), name, radius)


@pytest.mark.parametrize("name", ["energy", "momentum", "angular_momentum", "save", "system"])
def test_a_name_that_runs_have_themselves_is_refused(name):
    with pytest.raises(
        nb.InputError, match=f"`name` of a reporter must not be '{name}'.*my_{name}"
    ):
        nb.Reporter(name, radius)


def test_two_of_one_name_are_refused():
    with pytest.raises(nb.InputError, match="different names, got two 'a'"):
        run_of(3, [nb.Reporter("a", radius), nb.Reporter("a", impulse)])


class _StoppedError(Exception):
    pass


def _stop(done, total):
    if done > SEGMENT:
        raise _StoppedError


def interrupted(folder, batch):
    output = nb.Output(folder / "run.h5", checkpoint=folder / "run.restart")
    with pytest.raises(_StoppedError):
        run_of(batch, [*reporters(), _stop], output)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_run_goes_on_with_its_reporters_to_the_same_bits(tmp_path, batch):
    interrupted(tmp_path, batch)
    begun = nb.read_h5md(part_path(tmp_path / "run.h5"))
    assert_same(begun.observables, expected(begun))
    run = nb.resume(tmp_path / "run.restart", observers=reporters())
    assert_same(run.observables, run_of(batch).observables)
    assert_same(nb.read_h5md(tmp_path / "run.h5").observables, run.observables)
    # nothing is left to be reported
    assert_same(nb.resume(tmp_path / "run.restart").observables, run.observables)


def test_a_run_goes_on_with_its_reporters_only(tmp_path):
    interrupted(tmp_path, 3)
    for given in ([], reporters()[:1], [*reporters(), nb.Reporter("more", radius)]):
        with pytest.raises(nb.InputError, match=r"`observers` must hold reporters of .*'radius'"):
            nb.resume(tmp_path / "run.restart", observers=given)
    other = [nb.Reporter(name, radius) for name in QUANTITIES]
    with pytest.raises(nb.InputError, match="reporter 'impulse' must return what it did"):
        nb.resume(tmp_path / "run.restart", observers=other)
    nb.resume(tmp_path / "run.restart", observers=reporters())


def test_exports_carry_them(written, tmp_path):
    run, _ = written
    one = run[0]
    export(one, tmp_path / "one.npz")
    export(one, tmp_path / "one.h5")
    with np.load(tmp_path / "one.npz") as found:
        for name, values in one.observables.items():
            np.testing.assert_array_equal(found[f"observable_{name}"], values)
    # it stays a file that runs start from, and that is read with them
    np.testing.assert_array_equal(read_run(tmp_path / "one.npz").x[0], one.x)
    assert_same(read_run(tmp_path / "one.npz")[0].observables, one.observables)
    np.testing.assert_array_equal(read_initial(tmp_path / "one.npz")[0].x[0], one.x[0])
    assert_same(nb.read_h5md(tmp_path / "one.h5")[0].observables, one.observables)


@pytest.mark.parametrize(
    "damage",
    [
        lambda file, group: file.pop(f"{group}/radius"),
        lambda file, group: file.__setitem__(f"{OURS}/observables/a b", [FRAMES + 1]),
        lambda file, group: file.__setitem__(f"{OURS}/observables/more", [FRAMES + 1]),
        lambda file, group: file[f"{OURS}/observables/radius"].__setitem__(0, 2**40),
        lambda file, group: file[f"{OURS}/observables/impulse"].__setitem__(1, 2**60),
        lambda file, group: file[f"{OURS}/observables/impulse"].__setitem__(1, -3),
        lambda file, group: file.__setitem__(f"{OURS}/observables/more", np.ones(9, int)),
        lambda file, group: file.create_group(f"{OURS}/observables/more"),
    ],
)
def test_damaged_ones_are_refused_in_one_line(written, damage):
    run, path = written
    group = "observables/trajectory_0000" if len(run) == 1 else f"{OURS}/ensemble/observables"
    with h5py.File(path, "r+") as file:
        damage(file, group)
    with pytest.raises(FileFormatError) as caught:
        nb.read_h5md(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("quantity", "words"),
    [
        (lambda t, x, v, p: np.full(x.shape[:2], np.longdouble("1e400")), "finite"),
        (lambda t, x, v, p: np.ma.masked_greater(np.full(x.shape[:2], 2.0), 1), "masked"),
        (lambda t, x, v, p: [[1.0], [1.0, 2.0]], "array of shape"),
    ],
    ids=["long", "masked", "ragged"],
)
def test_what_is_no_number_in_a_file_is_refused_by_the_reporters_name(quantity, words):
    with pytest.raises(nb.InputError, match=words) as caught:
        run_of(observers=[nb.Reporter("mine", quantity)])
    assert "`quantity` of reporter 'mine' must return" in str(caught.value)


def test_a_view_of_any_shape_is_refused_before_memory_is_taken():
    def vast(t, x, v, particles):
        return np.broadcast_to(1.0, (*x.shape[:2], 10**12))

    with pytest.raises(nb.InputError, match="reporter 'vast' returns"):
        run_of(observers=[nb.Reporter("vast", vast)])


def test_an_error_in_a_quantity_stays_and_names_the_reporter():
    def broken(t, x, v, particles):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine") as caught:
        run_of(observers=[nb.Reporter("broken", broken)])
    assert caught.value.__notes__ == ["in the `quantity` of reporter 'broken'"]


@pytest.mark.parametrize("name", ["position", "velocity", "radius"])
@pytest.mark.parametrize("batch", [1, 3])
def test_a_file_with_nan_in_a_valid_frame_is_refused(batch, name, tmp_path):
    path = tmp_path / "run.h5"
    run_of(batch, [nb.Reporter("radius", radius)], output=path)
    ending = name if batch > 1 else f"{name}/value"
    with h5py.File(path, "r+") as file:
        arrays = [file[key] for key in all_data(file) if key.endswith(ending)]
        (whole,) = (each for each in arrays if FRAMES + 1 in each.shape[:2])
        whole[(batch - 1, 4) if batch > 1 else 4] = np.nan
    with pytest.raises(FileFormatError, match=f"{name}.* trajectory {batch - 1} at frame 4"):
        nb.load(path)


def all_data(file):
    """Names of all data sets."""
    names = []
    file.visititems(lambda key, item: names.append(key) if isinstance(item, h5py.Dataset) else None)
    return names


def test_nan_in_a_valid_frame_is_not_saved(tmp_path):
    run = run_of(observers=[])
    x = run.x.copy()
    x[1, 2] = np.nan
    with pytest.raises(nb.InputError, match=r"`x` must be finite .* trajectory 1 at frame 2"):
        replace(run, x=x).save(tmp_path / "a.h5")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("method", value) for value in ({}, {"integrator": 3})),
        *(("method", {"integrator": "it", "step": value}) for value in ("x", [], {}, True)),
        ("method", {"integrator": "it", "rtol": None}),
        ("system", {"system": []}),
        ("guard", {"policy": "fallback", "reference": {}}),
    ],
    ids=str,
)
def test_a_forged_description_is_refused_where_it_is_read(field, value):
    plain = {"system": {}, "method": {"integrator": "it"}, field: value}
    with pytest.raises(ValueError, match=f"provenance '{field}"):
        load_info(json.dumps(plain).encode(), 1)


def test_slices_and_saved_runs_carry_them(tmp_path):
    run = run_of()
    for some in (run[1:], run[:, ::2], run[1], run[[0, 2], 1:]):
        back = nb.load(some.save(tmp_path / "some.h5", overwrite=True))
        for name, values in some.observables.items():
            wanted = values if isinstance(some, nb.Ensemble) else values[None]
            np.testing.assert_array_equal(back.observables[name], wanted)


def test_a_file_of_points_says_that_it_does_not_hold_them(tmp_path):
    with pytest.warns(nb.NBodyWarning, match=r"\.extxyz does not hold what reporters gave"):
        run_of()[0].save(tmp_path / "some.extxyz")
