"""Plugins that misbehave, installed for one test."""

from __future__ import annotations

import pytest

from misbehaving import INTEGRATORS, SYSTEMS, WRONG_INTEGRATORS, WRONG_SYSTEMS, provided


@pytest.fixture
def folder(tmp_path, monkeypatch):
    inside = tmp_path / "work"
    inside.mkdir()
    monkeypatch.chdir(inside)
    return inside


@pytest.fixture
def acme(install):
    """A distribution of plugins, one of each kind of which is sound."""
    install("acme-i", provided(WRONG_INTEGRATORS, "still", "nan"), INTEGRATORS)
    install("acme-s", provided(WRONG_SYSTEMS, "free", "nan"), SYSTEMS, kind="systems")
