"""Data sets to be exported, and files to be imported."""

from __future__ import annotations

import pytest

from exchanged import made, write_nri


@pytest.fixture(scope="session")
def charged_set(tmp_path_factory):
    """A data set of charges."""
    charges = {"charge_range": (0.5, 1.5)}
    return made(tmp_path_factory.mktemp("sets") / "charged", parameters=charges)


@pytest.fixture(params=["charged", "springs"])
def either(request, charged_set, tmp_path_factory):
    """A data set of charges, or of springs in the plane."""
    if request.param == "charged":
        return charged_set
    return made(tmp_path_factory.mktemp("sets") / "springs", system="springs", dimensions=2)


@pytest.fixture
def nri(tmp_path):
    """A folder of good files."""
    write_nri(tmp_path / "nri")
    return tmp_path / "nri"
