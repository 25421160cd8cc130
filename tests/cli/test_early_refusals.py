"""What is known beforehand is refused before torch, pyvista, numba and SciPy are imported."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import torch

from commands import MISUSE, bad, good
from nbody_set.model import SET
from nbody_surrogate.cli.foresight import check_method
from nbody_surrogate.cli.solver_choices import CHOICES
from nbody_surrogate.registry.lookup import names
from nbody_surrogate.registry.registry import integrator_class
from nbody_surrogate.surrogates.places import find_place, shipped_places, weights_folder
from nbody_surrogate.surrogates.trained_models import shipped_models
from nbody_surrogate.viz.scene import picture_path

HEAVY = ["torch", "pyvista", "vtkmodules", "matplotlib", "scipy", "numba", "llvmlite"]
MEDIUM = ["numpy", "pydantic", "pydantic_core", "jaxtyping", "h5py", "unittest.mock", "asyncio"]

SCRIPT = """
import json, sys

class Wall:
    def find_spec(self, name, path=None, target=None):
        if name in HEAVY:
            raise RuntimeError(name + " is imported")

HEAVY, COMMANDS = json.loads(sys.argv[1])
sys.meta_path.insert(0, Wall())
import contextlib, io
from nbody_surrogate.cli import main
found = []
for words in COMMANDS:
    said, printed = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(printed):
        try:
            main(words)
        except SystemExit as end:
            code = end.code
    found.append([code, said.getvalue(), printed.getvalue()])
print(json.dumps(found))
"""

SET_RUN = "run --integrator set "
AT_ONCE = {
    # the card of a model
    SET_RUN + "--frame-dt 0.2": "`frame_dt` is 0.1 in what set was trained on, got 0.2",
    SET_RUN + "-p frame_dt=0.2": "`frame_dt` is 0.1",
    SET_RUN + "--softening 0.2": "`softening` is 0.1",
    SET_RUN + "--system gravity": "`integrator` set was trained on system 'charged' and 'trap'",
    "run --integrator set-small --weights set": "`weights` 'set' does not go with `integrator`",
    "run --integrator egnn": "`weights`: surrogate 'egnn' ships none; give a folder",
    "calibrate set --threads 0": "`threads` must be at least 1, got 0",
    # names
    "run --integrator sett": "`integrator` 'sett' is unknown",
    "run --reference sett": "`reference` 'sett' is unknown",
    "run --system chargd": "`system` 'chargd' is unknown",
    "compare --integrators sett,rk4": "`integrators` 'sett' is no method",
    "compare --integrators rk4 --reference sett": "`integrators` 'sett' is no method",
    "bench --integrators sett": "did you mean 'set'",
    "models show sett": "did you mean 'set'",
    "evaluate sett": "`model` 'sett' is neither a model nor a folder",
    "evaluate taken.h5": "`model` 'taken.h5' is neither a model nor a folder",
    # options and hardware
    SET_RUN + "--dtype float16": "`dtype` must be float32 or float64",
    SET_RUN + "--engine fast": "`engine` must be auto, fused, torch or inductor, got 'fast'",
    SET_RUN + "--engine torch --compile": "`engine` 'torch' does not go with `compile`",
    SET_RUN + "--device tpu": "`device` 'tpu' is unknown",
    "evaluate set --device tpu": "`device` 'tpu' is unknown",
    "evaluate set --trajectories 0": "`trajectories` must be at least 1",
    "compare --integrators set --device tpu": "`device` 'tpu' is unknown",
    "bench --device tpu": "`device` 'tpu' is unknown",
    "bench --clock sun": "`clock` must be one of",
    "plan --system chargd": "`system` 'chargd' is unknown",
    "plan --surrogate sett": "`surrogate` 'sett' is unknown",
    "plan --accuracy 0": "`accuracy` must be finite and > 0, got 0",
    "plan --horizon nan": "`horizon` must be finite and > 0, got nan",
    "plan --seconds inf": "`seconds` must be finite and > 0, got inf",
    "plan --frames 0": "`frames` must be at least 1, got 0",
    "plan --clock sun": "`clock` must be one of",
    "plan --model width": "`model` must be KEY=VALUE, such as width=16, got 'width'",
    "plan --recipe none.toml": "`recipe` 'none.toml'",
    "train recipe.toml -o new --device tpu": "`device` 'tpu' is unknown",
    "study recipe.toml -o new --device tpu": "`device` 'tpu' is unknown",
    SET_RUN + "--duration nan": "`duration` must be finite",
    # tracks
    "tracks none.csv": "'none.csv' cannot be read: it does not exist",
    "tracks taken.h5 --frame-dt nan": "`frame_dt` must be finite and > 0, got nan",
    "tracks taken.h5 --columns q=x": "`columns` must name roles of run, frame",
    "tracks taken.h5 --noise -1": "`noise` must be finite and >= 0, got -1",
    "tracks taken.h5 --every 0": "`every` must be at least 1, got 0",
    "tracks taken.h5 --missing 1": "`missing` must be at least 0 and below 1, got 1",
    # discoveries
    "discover none.csv -o a": "'none.csv' cannot be read: it does not exist",
    "discover taken.h5 -o a --axis x": "`axis` must be one of z, none, got 'x'",
    "discover taken.h5 -o a --bootstrap 3": "`bootstrap` must be at least 20, got 3",
    "discover taken.h5 -o taken.h5": "`output` 'taken.h5' is no folder",
    "run --system discovered:nowhere": "there is no folder 'nowhere'",
    "bench --system discovered:": "names no folder: write discovered:FOLDER",
    "tracks taken.h5 -o a.txt": "`output` must name a file ending in one of .csv",
    **{
        SET_RUN + f"--tolerance {value}": f"`tolerance` must be finite and > 0, got {value}"
        for value in ("0", "nan", "-1", "inf")
    },
    "run --tolerance 1e-3": "`tolerance` holds the frames of a surrogate to it, 'dop853' is none",
    "run --no-error-estimate": "`no_error_estimate` does not apply to integrator 'dop853'",
    SET_RUN + "-n 0": "`particles` must be at least 1",
    SET_RUN + "--frames 0": "No such option '--frames'; did you mean --duration",
    # of one solver
    "run --integrator rk4 --form kdk": "`form` does not apply to integrator 'rk4': it is of leapf",
    SET_RUN + "--order 4": "`order` does not apply to integrator 'set': it is of exact-flow",
    "run --reference rk4 --reference-form kdk": "`reference_form` does not apply to reference",
    "run --integrator leapfrog --form kkd": "`form` of leapfrog must be dkd or kdk, got 'kkd'",
    "run --integrator exact-flow --order 3": "`order` of exact-flow must be 2, 4 or 6, got 3",
    # files
    SET_RUN + "-o taken.h5": "`output` must not exist yet",
    SET_RUN + "-o a.hdf": "`output` must name a file ending in one of .h5",
    SET_RUN + "-o nowhere/a.h5": "`output` must lie in an existing folder",
    SET_RUN + "--render a.bmp": "`render` must name a file ending in one of",
    SET_RUN + "--report a.txt": "`report` must name a file ending in one of",
    SET_RUN + "--initial none.npz": "`initial` 'none.npz' cannot be read",
    "evaluate set -o nowhere/a.json": "`output` must lie in an existing folder",
    "train none.toml -o new": "`config` 'none.toml'",
    "study none.toml -o new": "`config` 'none.toml'",
}
"""What names, cards and options say alone."""

REFUSED = {
    SET_RUN + "--weights set-small --softening 0.2": "`softening` is 0.1",
    SET_RUN + "--weights mine/weights --softening 0.2": "`softening` is 0.1",
    "run --integrator mine --softening 0.2": "`softening` is 0.1",
    "run --integrator set-kernel --softening 0.2": "`softening` is 0.1",
    SET_RUN + "--weights nowhere": "`weights` must be set, set-kernel, set-small or a folder",
    "dataset generate --preset charged --integrator sett": "`integrator` 'sett' is unknown",
    "plugins check sett": "`name` 'sett' is unknown",
    SET_RUN + "--rtol 1e-3": "`rtol` does not apply to integrator 'set'",
    SET_RUN + "--substeps 3": "`substeps` does not apply to integrator 'set'",
    "bench --integrators set:3": "this method takes no number",
    SET_RUN + "--guard maybe": "`guard` must be warn, stop, fallback",
    SET_RUN + "--guard warn --threshold enrgy=1": "did you mean `energy`?",
    "run --guard warn --threshold position=1e-12": "cannot be watched: a solver has no companion",
    "run --guard warn --threshold estimate=1": "cannot be watched: the run has no error estimate",
    SET_RUN + "--guard warn --no-error-estimate --threshold estimate=1": "no error estimate",
    SET_RUN + "--guard warn --threshold local=1 --spot-checks 0": "`spot_checks` is 0; leave",
    SET_RUN + "--guard warn --spot-checks nan": "must be a number from 0 to 1, got nan",
    "evaluate set --dataset nowhere": "'nowhere' is none",
    "export none.h5 a.npz": "'none.h5' cannot be read",
    "export none.h5 a.pdf": "`output` must name a file ending in one of",
    "report none.h5": "'none.h5' cannot be read",
    "render none.h5 -o a.png": "'none.h5' cannot be read",
    "render none.h5 -o a.bmp": "`output` must name a file ending in one of",
    "compare none.h5 also-none.h5": "'none.h5' cannot be read",
    "resume none": "'none' cannot be resumed",
    "train recipe.toml -o new": "`surrogate` of recipe 'recipe.toml': field required",
    "train --resume none": "`resume` 'none' holds no training run",
    "study recipe.toml -o new": "`title` of study 'recipe.toml'",
    "export run.h5 a.npz --trajectory 5": "`trajectory` must be from 0 to 1, got 5",
    "render run.h5 -o a.png --trajectory 5": "`trajectory` must be from 0 to 1, got 5",
    "run -p softenin=1": "`softenin` is not a parameter of system 'charged'",
    "run --frame-dt -1": "`frame_dt` of system 'charged': must be > 0",
}
"""What the class of a system, of a method or of a file's reader says."""


@pytest.mark.parametrize(
    ("refused", "absent"),
    [(AT_ONCE, [*HEAVY, *MEDIUM]), (REFUSED, HEAVY)],
    ids=["cards", "classes"],
)
def test_what_is_known_beforehand_is_refused_without_what_takes_long(folder, refused, absent):
    Path("taken.h5").write_text("precious")
    Path("recipe.toml").write_text("stepz = 3\n")
    shutil.copytree(SET.shipped_weights["set"], "mine/weights")
    alone = ["--trajectories", 2, "--duration", 0.1, "-q", "--no-reference", "-o", "run.h5"]
    commands = dict(refused)
    if refused is REFUSED:
        good("run", "-n", 2, "--integrator", "leapfrog", *alone)
    if refused is REFUSED and not torch.cuda.is_available():
        commands["run --integrator set --device cuda"] = "`device` 'cuda' is not available"
    before = sorted(map(str, folder.rglob("*")))
    for words, (code, said, printed) in zip(commands, answers(commands, absent), strict=True):
        assert commands[words] in said, (words, said)
        assert code == 2, (words, said)
        assert printed == "", words
        assert len(said.splitlines()) == 1, (words, said)
    assert sorted(map(str, folder.rglob("*"))) == before


@pytest.mark.parametrize(
    ("missing", "command"),
    [
        (["imageio"], "run --integrator set --render a.mp4"),
        (["imageio_ffmpeg"], "render run.h5 -o a.gif"),
    ],
)
def test_a_movie_without_its_extra_is_refused_at_once(monkeypatch, missing, command):
    found = picture_path.find_spec
    monkeypatch.setattr(
        picture_path, "find_spec", lambda name: None if name in missing else found(name)
    )
    line = bad(MISUSE, *command.split())
    assert "pip install 'nbody-surrogate[movie]'" in line


def answers(commands, absent):
    """Run commands in one process that lacks some libraries; how it ended and what it said."""
    what = json.dumps([absent, [words.split() for words in commands]])
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, what], capture_output=True, text=True, check=True
    )
    return json.loads(result.stdout)


# What that rests on


def test_choices_of_solvers_are_those_of_their_classes():
    own = {name: integrator_class(name).Options.model_fields for name in names("integrators")}
    for option, having in CHOICES.items():
        found = {
            name: get_args(fields[option].annotation)
            for name, fields in own.items()
            if option in fields
        }
        assert found == having


def test_built_in_weights_lie_where_they_are_looked_for():
    known = {(each.name, each.surrogate, each.folder) for each in shipped_places()}
    assert known == {(each.name, each.surrogate, each.folder) for each in shipped_models()}


def test_weights_are_found_by_name_by_folder_and_by_the_folder_of_a_training():
    shutil.copytree(SET.shipped_weights["set"], "training/weights")
    assert find_place("set").folder == SET.shipped_weights["set"]
    for name in ("training", "training/weights"):
        assert find_place(name)[1:] == ("set", Path("training/weights"))
        assert weights_folder(name) == Path("training/weights")
    assert find_place("nowhere") is None
    assert find_place("n" * 300) is None


@pytest.mark.parametrize(
    ("system", "given"),
    [
        ("charged", {"frame_dt": 0.1, "softening": 0.1}),
        ("charged", {"frame_dt": ".1", "softening": ".1"}),  # text that a system reads as a number
        ("charged", {"coupling": 1}),
        ("nbody-surrogate:charged", {}),
        ("trap", {"frequencies": [0.5, 0.5, 0.5]}),
        ("trap", {"frequencies": [2, 2, 2]}),  # which is refused when the system is made
    ],
)
@pytest.mark.parametrize("weights", [None, "set", "set-small"])
def test_what_may_be_right_is_left_to_the_model(system, given, weights):
    check_method("set", weights, system, given)
