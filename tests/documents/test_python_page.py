"""The Python of the page on Python runs as it stands, and its errors are those that it shows."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest

from nbody_surrogate import NBodyWarning

PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text()


@pytest.fixture(scope="module")
def names(tmp_path_factory, one_thread):
    folder = tmp_path_factory.mktemp("page")
    names = {"__name__": "__main__"}  # as in a notebook
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", NBodyWarning)  # a model of 20 steps is told of its limits
        patch.chdir(folder)
        for source in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL):
            exec(compile(source, "python.md", "exec"), names)
    return names


def test_the_examples_run(names):
    assert names["few"].x.shape == (2, 21, 5, 3)
    assert names["thin"].t.tolist() == [0.0, 1.0, 2.0]
    assert names["more"].t[0] == names["truth"].t[-1]
    assert abs(names["drift"]).max() < 1e-6
    assert (names["again"].x == names["truth"].x).all()
    assert names["found"].trajectories == 4
    assert names["trained"].history[-1]["step"] == 20
    assert names["scores"].rows[0]["particles"] == 5
    assert len(names["made"]) == 20
    assert len(names["watched"].info.guard.fallen_back) == 4


def test_the_errors_are_those_shown(names):
    (shown,) = re.findall(r"```text\n(.*?)```", PAGE, flags=re.DOTALL)
    for call, said in re.findall(r">>> (.*)\n(.*)", shown):
        with pytest.raises(Exception) as caught:  # which, the page says
            eval(call, names)
        assert f"{caught.type.__name__}: {caught.value}".startswith(said.removesuffix("...")), call
