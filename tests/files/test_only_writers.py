"""All files are written through the room `files`: nothing else opens a file to write to it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import nbody_surrogate

PACKAGE = Path(nbody_surrogate.__file__).parent
BESIDE = PACKAGE.parent
PLACES = ("nbody_surrogate", "simulators", "plugins")
THE_ROOM = PACKAGE / "files"

ALLOWED = {
    ("nbody_surrogate/formats/export.py", "savetxt"): "into memory, which atomic_file then takes",
    ("nbody_surrogate/formats/export.py", "ZipFile"): "an archive in the stream of atomic_file",
    ("nbody_surrogate/formats/export.py", "archive.open"): "an entry of that archive",
    ("nbody_surrogate/formats/export.py", "copyfile"): "to the part that atomic_path has made",
    ("nbody_surrogate/formats/saving.py", "File"): "our own, in a new folder nobody else has",
    ("nbody_surrogate/formats/saving.py", "copyfile"): "to the part that atomic_path has made",
    ("nbody_surrogate/formats/h5md/whole.py", "File"): "our own, in a new folder nobody else has",
    ("nbody_surrogate/datasets/exchange/exports.py", "ZipFile"): "as in formats/export.py",
    ("nbody_surrogate/datasets/exchange/exports.py", "archive.open"): "as in formats/export.py",
    ("nbody_surrogate/tracks/writing.py", "ZipFile"): "as in formats/export.py",
    ("nbody_surrogate/tracks/writing.py", "archive.open"): "as in formats/export.py",
    ("nbody_surrogate/viz/figures/canvas.py", "savefig"): "into memory",
    ("nbody_surrogate/viz/scene/writer.py", "save"): "to the part that atomic_path has made",
    ("nbody_surrogate/viz/scene/writer.py", "get_writer"): "to the part that atomic_path has made",
    ("nbody_surrogate/cli/terminal.py", "os.open"): "the device that keeps nothing",
    ("nbody_surrogate/training/checkpoint.py", "save"): "into memory, as safetensors' save does",
    ("nbody_surrogate/testing/integrators.py", "save"): "into memory",
}
"""Calls that look like it, and why they are none."""

# whatever their arguments are
WRITING = {
    "write_text", "write_bytes", "touch", "symlink_to", "hardlink_to", "link_to", "rename",
    "savefig", "save", "savez", "savez_compressed", "savetxt", "tofile", "save_file", "get_writer",
    "copy2", "copyfile", "copytree", "copyfileobj", "mkstemp", "NamedTemporaryFile", "mimsave",
    "imwrite", "to_csv", "save_model", "screenshot", "write_html", "export_html",
}  # fmt: skip
OF_OS = {"open", "replace", "rename", "link", "symlink", "truncate", "mkfifo", "fdopen"}
MODES = frozenset("rwaxbtU+")


def name_of(call: ast.Call) -> tuple[str, str]:
    """What is called, and of what, as far as that has a name."""
    function = call.func
    if isinstance(function, ast.Attribute):
        owner = function.value
        return function.attr, owner.id if isinstance(owner, ast.Name) else "?"
    return (function.id, "") if isinstance(function, ast.Name) else ("", "")


def writes_by_mode(call: ast.Call, at: int) -> bool:
    """Whether a mode among the arguments, or one that is not known, is for writing."""
    given = [keyword.value for keyword in call.keywords if keyword.arg == "mode"]
    given += call.args[at : at + 1]
    if not given:
        return False
    mode = given[0]
    return not isinstance(mode, ast.Constant) or bool(set("wax+") & set(str(mode.value)))


def is_mode(argument: ast.expr) -> bool:
    text = argument.value if isinstance(argument, ast.Constant) else ""
    return isinstance(text, str) and 0 < len(text) <= 3 and set(text) <= MODES


def writing_call(call: ast.Call, imported: set[str]) -> str | None:
    """Return the name of a call that opens a file to write to it, or makes one."""
    name, owner = name_of(call)
    if name in WRITING and (owner or name not in imported):
        return name
    if owner == "os" and name in OF_OS:
        return f"os.{name}"
    if owner == "shutil" and name in {"copy", "move", "make_archive"}:
        return f"shutil.{name}"
    if name == "open" and owner:  # of a path, whose first argument is the mode, or of an archive
        first = 0 if not call.args or is_mode(call.args[0]) else 1
        return f"{owner}.open" if writes_by_mode(call, first) else None
    if name == "open":
        return "open" if writes_by_mode(call, 1) else None
    if name in {"File", "ZipFile"}:
        return name if writes_by_mode(call, 1) else None
    # text.replace takes two
    if name == "replace" and owner and len(call.args) == 1 and not call.keywords:
        return "replace"
    return None


def writing_calls(source: str) -> set[str]:
    tree = ast.parse(source)
    # `save` of files.figure is the room's own, under whatever name
    ours = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and "nbody_surrogate" in (node.module or "")
        for alias in node.names
    }
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {found for call in calls if (found := writing_call(call, ours)) is not None}


def test_no_module_but_those_of_the_room_opens_a_file_to_write_to_it():
    found = {}
    for path in (path for place in PLACES for path in (BESIDE / place).rglob("*.py")):
        if not path.is_relative_to(THE_ROOM):
            for call in writing_calls(path.read_text()):
                found[path.relative_to(BESIDE).as_posix(), call] = path
    assert set(found) == set(ALLOWED)


@pytest.mark.parametrize(
    "source",
    [
        "open(path, 'w')", "open(path, mode)", "open(path, mode='ab')", "path.open('r+b')",
        "path.open(mode='x')", "(folder / 'a').open('a')", "path.write_text(text)",
        "path.write_bytes(b'')", "os.open(path, flags)", "part.replace(path)", "os.replace(a, b)",
        "part.rename(path)", "h5py.File(path, 'x')", "h5py.File(path, 'a', locking=False)",
        "np.save(path, x)", "np.savez(path, x=x)", "figure.savefig(path)", "torch.save(x, path)",
        "shutil.copy(a, b)", "zipfile.ZipFile(path, 'w')", "archive.open('a.npy', 'w')",
        "save_file(tensors, path)", "path.touch()",
    ],
)  # fmt: skip
def test_what_opens_a_file_to_write_to_it_is_seen(source):
    assert writing_calls(source)


@pytest.mark.parametrize(
    "source",
    [
        "open(path)", "open(path, 'rb')", "path.open()", "path.open('rb')", "h5py.File(path, 'r')",
        "archive.open(member)", "text.replace('a', 'b')", "replace(run, info=info)",
        "zipfile.ZipFile(path)", "from nbody_surrogate.files.figure import save\nsave(a, b)",
    ],
)  # fmt: skip
def test_what_reads_is_not(source):
    assert not writing_calls(source)
