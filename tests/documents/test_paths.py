"""What the documents name in this repository is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "justfile"]
FOLDERS = "benchmarks|docs|nbody_surrogate|plugins|simulators|studies|tests"
NAMED = re.compile(rf"(?<![\w/.-])(?:{FOLDERS})/[\w/-]+\.(?:py|md|toml|png)(?![\w.])")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page):
    missing = [name for name in NAMED.findall(page.read_text()) if not (ROOT / name).is_file()]
    assert missing == []


def test_files_are_named():
    assert sum(len(NAMED.findall(page.read_text())) for page in PAGES) > 40
