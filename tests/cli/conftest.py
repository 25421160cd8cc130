"""The command line works in an empty folder."""

from __future__ import annotations

import pytest

from nbody_surrogate.registry import registry


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working directory, empty, and a registry of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    return tmp_path
