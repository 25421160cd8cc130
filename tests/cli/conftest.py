"""The command line works in an empty folder."""

from __future__ import annotations

import pytest

from nbody_surrogate.registry import lookup


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working directory, empty, and a registry of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lookup, "registered", dict(lookup.registered))
    return tmp_path
