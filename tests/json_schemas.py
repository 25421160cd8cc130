"""docs/json.md as a schema: what commands print is held against its tables."""

from __future__ import annotations

import json
import re
from pathlib import Path

from commands import no_constant

PAGE = Path(__file__).parents[1] / "docs" / "json.md"
PLAIN = {"text": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict}


def tables():
    """Of each heading: the keys of its table and their types."""
    found = {}
    for part in re.split(r"^## ", PAGE.read_text(), flags=re.M)[1:]:
        name = part.splitlines()[0].strip()
        found[name] = dict(re.findall(r"^\| `([^`]+)` \| ([^|]+?) \|", part, flags=re.M))
    found["drawn comparison"] |= found["comparison"]
    found["candidate pair"] |= found["pair"]
    return found


TABLES = tables()


def documented(command, text, schema=True):
    """Parse what a command printed, and demand that it is of the schema on the page."""
    found = json.loads(text, parse_constant=no_constant)
    if schema:
        assert found["schema"] == f"nbody-sim {command}/2"
        assert next(iter(found)) == "schema"
    demand(found, command, command)
    return found


def demand(value, kind, where):
    """Demand that a value is of a type, such as ``list of number or null``."""
    kind = kind.strip()
    for prefix, kinds in (("list of ", list), ("map of ", dict)):
        if kind.startswith(prefix):
            assert isinstance(value, kinds), (where, kind, value)
            inside = value.items() if kinds is dict else enumerate(value)
            for key, each in inside:
                demand(each, kind.removeprefix(prefix), f"{where}.{key}")
            return
    options = kind.split(" or ")
    if value is None:
        assert "null" in options, (where, kind)
        return
    named = [each for each in options if each in TABLES]
    if named and isinstance(value, dict):
        fits = [each for each in named if not wrong_keys(value, TABLES[each])]
        assert fits, (where, kind, [wrong_keys(value, TABLES[each]) for each in named])
        for key, each in value.items():
            demand(each, TABLES[fits[0]][key].removesuffix(", optional"), f"{where}.{key}")
        return
    kinds = [PLAIN[each] for each in options if each in PLAIN]
    right = any(isinstance(value, each) for each in kinds)
    assert right and (not isinstance(value, bool) or bool in kinds), (where, kind, value)


def wrong_keys(value, table):
    """Name keys that are only in one of the two."""
    optional = {key for key, kind in table.items() if kind.endswith(", optional")}
    return (set(value) ^ set(table)) - (optional - set(value))
