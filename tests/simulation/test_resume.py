"""A run that was interrupted, at whatever moment, goes on to the bits of one that was not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.numpy import load, save

import nbody_surrogate.simulation.checkpoint as restart_files
from commands import FAILURE, INTERRUPTED, MISUSE, bad, heed_ctrl_c, nbody_sim, seconds
from nbody_set.model import SET
from nbody_surrogate import (
    FileFormatError,
    Guard,
    InputError,
    RunError,
    make_integrator,
    make_system,
    read_h5md,
    resume,
    simulate,
)
from nbody_surrogate.formats.h5md import H5MDWriter, part_path
from nbody_surrogate.registry.registry import surrogate_class
from nbody_surrogate.simulation.checkpoint import Checkpoint, read_restart
from nbody_surrogate.simulation.file_writer import Output
from nbody_surrogate.surrogates.weights import load_weights, save_weights

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked and killed"),
]

FRAMES, SEGMENT = 22, 5
RESTART = "run.restart"

METHODS = {
    "dop853": ("dop853", {}, None),
    "dop853-compiled": ("dop853-compiled", {}, None),
    "leapfrog": ("leapfrog", {"substeps": 4}, None),
    "set": ("set", {"device": "cpu"}, None),
    "guarded set": ("set", {"device": "cpu"}, {"energy": 1e-4}),
}


def method_of(name):
    method, options, _ = METHODS[name]
    return make_integrator(method, segment=SEGMENT, **options)


def guard_of(name):
    thresholds = METHODS[name][2]
    return None if thresholds is None else Guard("fallback", reference="dop853", **thresholds)


def run_of(name, batch=1, output="run.h5", frames=FRAMES, checkpoint=None, **options):
    """Run from the start, in the working directory."""
    system = make_system("charged")
    start = system.sample(3, 5, batch)
    place = Output(output, checkpoint=checkpoint)
    method, guard = method_of(name), guard_of(name)
    return simulate(system, *start, frames, method, guard=guard, output=place, **options)


def arrays_of(path):
    """Every array of an H5MD file but the provenance, by its name."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, each: (
                found.update({name: each[()]})
                if isinstance(each, h5py.Dataset) and "provenance" not in name
                else None
            )
        )
    return found


def assert_same_file(one, other):
    ours, theirs = arrays_of(one), arrays_of(other)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert value.tobytes() == theirs[name].tobytes(), name


def assert_same_run(run, whole):
    np.testing.assert_array_equal(run.x, whole.x)
    np.testing.assert_array_equal(run.v, whole.v)
    for key in ("counters", "status", "message", "good", "seed", "system", "method"):
        assert getattr(run.info, key) == getattr(whole.info, key), key
    if whole.info.guard is not None:
        times = {"check_time": 0.0, "replay_time": 0.0}
        assert replace(run.info.guard, **times) == replace(whole.info.guard, **times)


def in_a_process(action):
    """Call `action` in a process of its own; return the signal that killed it, or 0."""
    child = os.fork()
    if child == 0:
        try:
            action()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def die():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Killed


@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("name", METHODS)
def test_a_killed_run_goes_on_to_the_same_bits(folder, name, batch):
    whole = run_of(name, batch, "whole.h5")

    def die_late(done, total):
        if done > 2.5 * SEGMENT:
            die()

    killed = in_a_process(lambda: run_of(name, batch, checkpoint=RESTART, observers=die_late))
    assert killed == signal.SIGKILL
    assert read_restart(RESTART).document.frame == 2 * SEGMENT
    assert len(read_h5md("run.h5.part").t) == 1 + 2 * SEGMENT
    assert_same_run(resume(RESTART), whole)
    assert_same_file("run.h5", "whole.h5")
    if name == "guarded set":
        assert 0 < whole.info.guard.fallback_share < 1
    assert not list(folder.glob("*.part"))


def test_a_run_killed_at_any_file_operation_goes_on_to_the_same_bits(folder):
    """Before each write, flush and renaming, of the output and of the restart file."""
    frames = 2 * SEGMENT + 1
    whole = run_of("leapfrog", 2, "whole.h5", frames)
    operations = [(H5MDWriter, "_put"), (os, "fsync"), (Path, "replace")]

    def killed_before(moment):
        """Run in a process that dies before its file operation of that number."""
        seen = iter(range(1000))

        def counted(function):
            def call(*arguments):
                return die() if next(seen) == moment else function(*arguments)

            return call

        def dying():
            for place, name in operations:
                setattr(place, name, counted(getattr(place, name)))
            run_of("leapfrog", 2, frames=frames, checkpoint=RESTART)

        return in_a_process(dying)

    moment = 0
    while killed_before(moment):
        if Path(RESTART).exists():
            run = resume(RESTART, method_of("leapfrog"))
            np.testing.assert_array_equal(run.x, whole.x)
            assert_same_file("run.h5", "whole.h5")
        else:  # it died before it had begun
            assert not list(folder.glob("run.h5*"))
        for file in ("run.h5", "run.h5.part", RESTART, RESTART + ".part"):
            Path(file).unlink(missing_ok=True)
        moment += 1
    assert moment > 20


def test_a_run_that_is_killed_again_and_again(folder):
    whole = run_of("dop853", 2, "whole.h5")

    def dying(after):
        def progress(done, total):
            if done > after:
                die()

        return progress

    assert in_a_process(lambda: run_of("dop853", 2, checkpoint=RESTART, observers=dying(3)))
    for progress in map(dying, (8, 13, 18)):
        assert in_a_process(partial(resume, RESTART, observers=progress))
    assert_same_run(resume(RESTART), whole)
    assert_same_run(resume(RESTART), whole)  # it is finished, and is read again


def test_a_failed_trajectory_stays_frozen(folder):
    """Two opposite charges meet after 2.22 time units; the others go on."""
    system = make_system("charged", softening=0.0)
    state, particles = system.sample(5, 2, 2)
    x, v, charges = (np.array(y) for y in (state.x, state.v, particles.charges))
    x[0], v[0], charges[0] = [[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]], 0.0, [1.0, -1.0]
    start = type(state)(0.0, x, v), type(particles)(charges, particles.masses)
    method = make_integrator("rk45", segment=SEGMENT, rtol=1e-4, atol=1e-4)
    whole = simulate(system, *start, 40, method)
    assert whole.info.status == (-1, 0)

    def stop(done, total):
        if done > 33:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(
            system, *start, 40, method, output=Output("run.h5", checkpoint=RESTART), observers=stop
        )
    assert_same_run(resume(RESTART), replace(whole, info=replace(whole.info, seed=None)))


def test_keeping_a_restart_file_changes_no_bit(folder):
    run = run_of("guarded set", 2, checkpoint=RESTART)
    assert_same_run(run, run_of("guarded set", 2, "whole.h5"))


# The file


def interrupted(name="leapfrog", batch=2, frames=12, **options):
    def stop(done, total):
        if done > frames:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_of(
            name, batch, checkpoint=options.pop("checkpoint", RESTART), observers=stop, **options
        )
    return read_restart(RESTART)


def test_a_restart_file_holds_all_that_the_rest_depends_on(folder):
    restart = interrupted("guarded set", checkpoint=Checkpoint(RESTART, {"mine": [1, "a"]}))
    document = restart.document
    assert document.system["system"] == "charged"
    assert document.method["integrator"] == "set"
    assert (document.frame, document.frames, document.seed) == (10, FRAMES, 3)
    assert document.output == str(folder / "run.h5")
    assert document.made_by.plugin.startswith("nbody-surrogate ")
    assert document.made_by.threads == 1
    assert len(document.made_by.fingerprint) == 64
    assert document.made_by.versions["numpy"] == np.__version__
    assert document.guard.policy == "fallback"
    assert document.note == {"mine": [1, "a"]}
    names = set(restart.arrays)
    assert names > {"charges", "masses", "carry.x", "carry.v", "carry.cache.past"}
    assert names > {"guard.energy.base", "guard.energy.spent"}
    assert Path(RESTART).stat().st_size < 20_000


def test_what_is_written_comes_back_bit_for_bit(folder):
    restart = interrupted("dop853")
    restart.write(Path("again.restart"))
    again = read_restart("again.restart")
    assert again.document == restart.document
    assert again.arrays.keys() == restart.arrays.keys()
    for key, value in restart.arrays.items():
        assert again.arrays[key].tobytes() == value.tobytes()


def test_couplings_are_kept(folder):
    system = make_system("springs")
    start = system.sample(1, 4, 2)
    method = make_integrator("leapfrog", segment=SEGMENT)
    whole = simulate(system, *start, FRAMES, method)

    def stop(done, total):
        if done > 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(
            system,
            *start,
            FRAMES,
            method,
            output=Output("run.h5", checkpoint=RESTART),
            observers=stop,
        )
    np.testing.assert_array_equal(resume(RESTART).x, whole.x)


# What the bits depend on


def refused(error, *words, **options):
    before = {path: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    with pytest.raises(error) as caught:
        resume(RESTART, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message
    after = {path: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    assert after == before


def own_weights(change=0.0):
    """Write the shipped weights into a folder, each a little changed."""
    model, card, _ = load_weights(SET.shipped_weights["set"], "set", surrogate_class("set"))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(change)
    save_weights("mine", model, "set", card)


def test_other_weights_are_refused_unless_that_is_allowed(folder, monkeypatch):
    own_weights()
    monkeypatch.setitem(METHODS, "mine", ("set", {"device": "cpu", "weights": "mine"}, None))
    interrupted("mine")
    whole = run_of("mine", 2, "whole.h5")
    own_weights(1e-3)
    refused(InputError, "weights ", "now", "--allow-inexact")
    other = resume(RESTART, allow_inexact=True)
    np.testing.assert_array_equal(other.x[:, :11], whole.x[:, :11])
    assert not np.array_equal(other.x[:, 11:], whole.x[:, 11:])
    np.testing.assert_allclose(other.x, whole.x, atol=0.1)
    Path("run.h5").rename("other.h5")


def test_weights_that_have_vanished_are_one_line(folder, monkeypatch):
    own_weights()
    monkeypatch.setitem(METHODS, "mine", ("set", {"device": "cpu", "weights": "mine"}, None))
    interrupted("mine")
    Path("mine/model.safetensors").unlink()
    refused(FileFormatError, "model.safetensors", "missing")


def test_another_number_of_threads_is_refused(folder):
    interrupted("leapfrog")
    other = make_integrator("leapfrog", segment=SEGMENT, substeps=4, threads=2)
    refused(InputError, "threads 1, now 2", integrator=other)
    resume(RESTART, other, allow_inexact=True)


def test_another_number_of_torchs_threads_is_refused(folder):
    interrupted("set")
    torch.set_num_threads(2)
    try:
        refused(InputError, "threads 1, now 2")
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("plugin_of", lambda name: "nbody-surrogate 9.9", "plugin nbody-surrogate 0.1.0, now"),
        ("versions", lambda: {"numpy": "9.9"}, f"numpy {np.__version__}, now 9.9"),
    ],
)
def test_other_versions_are_refused(folder, monkeypatch, name, change, words):
    interrupted()
    monkeypatch.setattr(restart_files, name, change)
    refused(InputError, words, "--allow-inexact")
    resume(RESTART, allow_inexact=True)


def test_another_method_is_refused_even_so(folder):
    interrupted("leapfrog")
    for other in (make_integrator("rk4", segment=SEGMENT), make_integrator("leapfrog", segment=6)):
        refused(InputError, "must be", integrator=other, allow_inexact=True)
    sharper = make_integrator("leapfrog", segment=SEGMENT, substeps=8)
    refused(InputError, "substeps 4, now 8", integrator=sharper)


# What became of the output


def test_an_output_of_another_run_is_refused(folder):
    interrupted()
    part = part_path(Path("run.h5"))
    content = part.read_bytes()
    part.unlink()
    refused(FileFormatError, "run.h5.part", "does not exist")
    part.symlink_to("elsewhere")
    Path("elsewhere").write_bytes(content)
    refused(FileFormatError, "symbolic link")
    part.unlink()
    with h5py.File("elsewhere", "r+") as file:
        file["particles/trajectory_0001/velocity/value"][10, 0, 0] += 1e-9
    Path("elsewhere").rename(part)
    refused(FileFormatError, "another run")


def test_a_shorter_output_is_refused(folder):
    """As a failing disk may leave it."""
    interrupted()
    with h5py.File("run.h5.part", "r+") as file:
        file["parameters/frames_written"][()] = 6
    refused(FileFormatError, "holds 6 frames", "at 10")


def test_an_existing_output_is_replaced_only_when_asked(folder):
    interrupted()
    Path("run.h5").write_text("mine")
    refused(InputError, "run.h5", "--overwrite")
    resume(RESTART, overwrite=True)
    assert read_h5md("run.h5").info.success


# Where it is kept


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"verify": True}, "`verify`"),
        ({"checkpoint": "missing/a"}, "existing folder"),
        ({"checkpoint": "a.h5"}, "'.h5'"),
        ({"checkpoint": "."}, "regular file"),
        ({"checkpoint": "taken"}, "resume"),
        ({"checkpoint": "\0"}, "file name"),
    ],
)
def test_misuse_is_found_before_anything_is_computed(folder, options, words):
    Path("taken").write_text("mine")
    with pytest.raises(InputError, match=words) as caught:
        run_of("leapfrog", **({"checkpoint": RESTART} | options))
    assert "\n" not in str(caught.value)
    assert [path.name for path in folder.iterdir()] == ["taken"]
    assert Path("taken").read_text() == "mine"


def test_a_checkpoint_in_the_place_of_a_run_is_not_told_to_resume_it(folder):
    Path("run.h5").write_text("mine")
    with pytest.raises(InputError, match=r"'\.h5'"):
        restart_files.check_restart_path("run.h5", False)


def test_a_restart_file_that_cannot_be_written_is_one_line(folder, monkeypatch):
    """The output keeps what it has."""
    calls = []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == 6:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError) as caught:
        run_of("leapfrog", checkpoint=RESTART)
    assert "cannot be written: " in str(caught.value)
    assert "No space left" in str(caught.value)
    monkeypatch.undo()
    os.chdir(folder)
    run = resume(RESTART)
    np.testing.assert_array_equal(run.x, run_of("leapfrog", output="whole.h5").x)


# Files that are not trusted


def altered(restart, **changes):
    """Write a restart file whose document says something else, and whose hash fits."""
    text = json.dumps(json.loads(_text()) | changes)
    metadata = {"document": text, "sha256": restart_files._digest(text, restart.arrays)}
    Path(RESTART).write_bytes(save(restart.arrays, metadata))


def _text():
    raw = Path(RESTART).read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    return header["__metadata__"]["document"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format_version": 2}, "format version is 2"),
        ({"format": "other"}, "another kind"),
        ({"frame": 7}, "no boundary"),
        ({"frame": -5}, "frame"),
        ({"frame": 100}, "100 of 22"),
        ({"frames": 10**12}, "frames"),
        ({"frames": 500}, "with shape (501, 5, 3)"),
        ({"dt": 0.0}, "dt"),
        ({"good": [1]}, "2 trajectories"),
        ({"module": "os"}, "module"),
        ({"method": {"segment": 5}}, "integrator"),
        ({"method": {"integrator": "os.system", "segment": 5}}, "'os.system' is unknown"),
        ({"system": {"system": "os"}}, "'os' is unknown"),
        ({"output": "\0"}, "does not exist"),
    ],
    ids=str,
)
def test_contradictions_are_refused(folder, changes, words):
    altered(interrupted(), **changes)
    refused((FileFormatError, InputError), words)


@pytest.mark.parametrize("key", ["charges", "carry.x", "carry.h"])
def test_arrays_that_do_not_fit_are_refused(folder, key):
    restart = interrupted("dop853")
    for wrong in (restart.arrays[key][:1], restart.arrays[key].astype(np.float32), None):
        arrays = {k: y for k, y in restart.arrays.items() if k != key or wrong is not None}
        if wrong is not None:
            arrays[key] = wrong
        if key == "charges" and wrong is not None and wrong.dtype == np.float32:
            continue  # they are numbers all the same
        altered(restart._replace(arrays=arrays))
        refused(FileFormatError)


def test_a_bit_that_flips_anywhere_is_noticed(folder):
    interrupted("dop853")
    raw = Path(RESTART).read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(len(raw), size=60).tolist():
        changed = bytearray(raw)
        changed[place] ^= 1 << int(rng.integers(8))
        Path(RESTART).write_bytes(bytes(changed))
        try:
            read_restart(RESTART)
        except FileFormatError as error:
            assert "\n" not in str(error)
        else:  # of the header, what means the same
            assert load(bytes(changed)).keys() == load(raw).keys()


# The command line


def command(*arguments):
    program = Path(sys.executable).with_name("nbody-sim")
    return subprocess.Popen(
        [program, *map(str, arguments)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,
    )


def ended(process, number=None, frame=0):
    """End a command by a signal once its restart file has reached a frame; return its stderr."""
    end = time.monotonic() + 120
    while number is not None:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end, "waited in vain"
        if Path(RESTART).exists() and read_restart(RESTART).document.frame >= frame:
            break
        time.sleep(0.02)
    if number is not None:
        process.send_signal(number)
    began = time.monotonic()
    _, stderr = process.communicate(timeout=120)
    return stderr, time.monotonic() - began


LONG = ["-n", 10, "--duration", 30, "--reference", "leapfrog", "--seed", 1]


def test_signals_end_a_command_and_resume_ends_the_job(folder):
    """One run, ended by SIGTERM and by Ctrl-C; SIGKILL is above."""
    first = command("run", *LONG, "-o", "run.h5", "--checkpoint", RESTART)
    assert ended(first, signal.SIGTERM, 50)[0] == ""
    assert first.returncode == -signal.SIGTERM
    second = command("resume", RESTART)
    stderr, took = ended(second, signal.SIGINT, 100)
    assert second.returncode == INTERRUPTED
    assert stderr == f"\nError: interrupted; go on with nbody-sim resume {RESTART}\n"
    assert took < seconds(2)
    done = nbody_sim("resume", RESTART)
    assert done.exit_code == 0, done.output
    assert "position RMSE" in done.stdout
    start = make_system("charged").sample(1, 10)
    whole = simulate(make_system("charged"), *start, 300, "dop853")
    np.testing.assert_array_equal(read_h5md("run.h5").x, whole.x)
    assert read_h5md("run.reference.h5").info.success


SLOW = {
    "dop853": ["--integrator", "dop853", "--duration", 40],
    "dop853-compiled": ["--integrator", "dop853-compiled", "--duration", 1000],
    "leapfrog": ["--integrator", "leapfrog", "--substeps", 200, "--duration", 1000],
    "set": ["--integrator", "set", "--duration", 60],
    "guarded set": [
        *["--integrator", "set", "--duration", 60, "--guard", "fallback"],
        *["--threshold", "energy=1e-3", "--threshold", "longest=Infinity"],
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("name", SLOW)
def test_commands_killed_at_random_times_go_on_to_the_same_bits(folder, name, batch):
    """Six kills of each: whatever the process was about, from its first import on."""
    arguments = ["run", *SLOW[name], "-n", 10, "--trajectories", batch, "--no-reference", "-q"]
    rng = np.random.default_rng([batch, len(name)])
    began = time.monotonic()
    assert command(*arguments, "-o", "whole.h5").wait() == 0
    length, kills = time.monotonic() - began, 0
    while kills < 6:
        for file in folder.glob("run.*"):
            file.unlink()
        process = command(*arguments, "-o", "run.h5", "--checkpoint", RESTART)
        while True:
            number = rng.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
            try:
                process.communicate(timeout=rng.uniform(0, 3 + length))
                break
            except subprocess.TimeoutExpired:
                process.send_signal(number)
                process.communicate(timeout=10)
            ended = process.returncode
            assert ended in (0, -number, INTERRUPTED), ended  # 0 where it had just finished
            kills += ended != 0
            if Path(RESTART).exists():
                process = command("resume", RESTART, "-q")
            else:  # it died before it had begun
                assert not list(folder.glob("run.h5*"))
                process = command(*arguments, "-o", "run.h5", "--checkpoint", RESTART)
        assert process.returncode == 0
        assert_same_file("run.h5", "whole.h5")


def test_resuming_in_the_reference_goes_on_there(folder, monkeypatch):
    """And the table is that of an uninterrupted run, but for its times."""
    arguments = ["run", "-n", 3, "--integrator", "leapfrog", "--duration", 20, "--json"]
    whole = json.loads(nbody_sim(*arguments, "-o", "whole.h5").stdout)

    def interrupt(*arguments):
        if read_restart(RESTART).document.note["stage"] == "reference":
            raise KeyboardInterrupt
        return sync(*arguments)

    sync = H5MDWriter.sync
    monkeypatch.setattr(H5MDWriter, "sync", interrupt)
    result = nbody_sim(*arguments, "-o", "run.h5", "--checkpoint", RESTART)
    assert result.exit_code == INTERRUPTED
    monkeypatch.undo()
    os.chdir(folder)
    assert Path("run.h5").exists()
    table = json.loads(nbody_sim("resume", RESTART).stdout)  # as JSON, as it was asked for
    for key in ("system", "particles", "seed", "frames", "methods", "status"):
        assert table[key] == whole[key]
    assert table["comparison"]["position_rmse"] == whole["comparison"]["position_rmse"]
    assert_same_file("run.h5", "whole.h5")
    assert_same_file("run.reference.h5", "whole.reference.h5")


def test_misuse_of_resume(folder):
    assert "no such file" in bad(FAILURE, "resume", "nothing")
    Path("text").write_text("no restart file")
    assert "restart file" in bad(FAILURE, "resume", "text")
    interrupted("leapfrog")
    assert "not of nbody-sim run" in bad(FAILURE, "resume", RESTART)
    arguments = ["run", "-n", 2, "--duration", 1, "--checkpoint"]
    assert "`verify`" in bad(MISUSE, *arguments, "a", "--verify")
    assert "`checkpoint`" in bad(MISUSE, *arguments, "missing/a")
