"""A plugin that does anything when it is imported or looked at: one line names it, others go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import warnings

import pytest

from commands import FAILURE, INTERRUPTED, bad, good, heed_ctrl_c, nbody_sim
from misbehaving import INTEGRATORS, SURROGATES
from nbody_surrogate import interruption
from nbody_surrogate.errors import NBodyWarning, PluginError
from nbody_surrogate.registry.registry import integrator_class, surrogate_classes

pytestmark = pytest.mark.usefixtures("folder")

IMPORTS = {
    "raise BaseException('no')": "BaseException: no",
    "raise GeneratorExit": "GeneratorExit",
    "raise SystemExit(0)": "SystemExit: 0",
    "raise KeyboardInterrupt('mine')": "KeyboardInterrupt: mine",
    "raise DeprecationWarning('old')": "DeprecationWarning: old",
    "import warnings\nwarnings.simplefilter('error')\nwarnings.warn('old')": "UserWarning: old",
    "class Mute(Exception):\n    __str__ = None\nraise Mute": "Mute",
    "raise ValueError('two\\nlines')": "ValueError: two lines",
}
LOOKS = {
    "api_version = '1'": "must set `api_version` to a whole number, such as 1, got '1'",
    "api_version = None": "must set `api_version` to a whole number, such as 1, got None",
    "api_version = True": "must set `api_version` to a whole number, such as 1, got True",
    "api_version = Asked()": "must set `api_version` to a whole number, such as 1, got a Asked",
    "Options = Asked()": "must set `Options` to a subclass of IntegratorOptions, got a Asked",
}
ASKED = """
class Asked:
    def __get__(self, instance, owner):
        raise RuntimeError("never ask")
    def __repr__(self):
        raise RuntimeError("never show")
"""
SHY = """
class Shy(type(Still)):
    def __getattribute__(cls, name):
        if name == "__abstractmethods__":
            raise RuntimeError("never look")
        return super().__getattribute__(name)

class Odd(Still, metaclass=Shy):
    pass
"""
WHERE = "while integrator 'odd' of acme 1.0 was imported"
CTRL_C = "import signal\nsignal.raise_signal(signal.SIGINT)\n"
HANGS = """
print("hanging", flush=True)
while True:
    try:
        while True:
            pass
    except BaseException:
        pass
"""
SWALLOWED = (
    "import signal\ntry:\n    signal.raise_signal(signal.SIGINT)\nexcept BaseException:\n    pass\n"
)


@pytest.fixture
def shipped(install):
    """A sound surrogate beside what a test installs; it ships no weights."""
    install("sound", {"straight": "Straight"}, SURROGATES, kind="surrogates")


@pytest.mark.parametrize("source", IMPORTS)
def test_whatever_an_import_raises_is_the_plugins_error(install, source):
    install("acme", {"odd": "Odd"}, source)
    with pytest.raises(PluginError) as raised:
        integrator_class("odd")
    line = f"integrator 'odd' of acme 1.0 cannot be imported: {IMPORTS[source]}"
    assert str(raised.value) == line


@pytest.mark.parametrize("source", IMPORTS)
def test_the_others_go_on(install, shipped, source):
    install("acme", {"odd": "Odd"}, source, kind="surrogates")
    with pytest.warns(NBodyWarning) as said:
        assert "straight" in surrogate_classes()
    (warning,) = said
    line = f"surrogate 'odd' of acme 1.0 cannot be imported: {IMPORTS[source]}"
    assert str(warning.message) == line


def test_models_are_listed_beside_one_that_ends_the_program(install):
    install("acme", {"odd": "Odd"}, "raise BaseException('no')", kind="surrogates")
    result = nbody_sim("models", "list")
    assert result.exit_code == 0
    assert "set-small" in result.stdout
    line = "Warning: surrogate 'odd' of acme 1.0 cannot be imported: BaseException: no\n"
    assert result.stderr == line


@pytest.mark.parametrize("wrong", ["5", "{'heavy': 7}", "Asked()"])
def test_weights_that_are_nowhere(install, wrong):
    source = ASKED + SURROGATES + f"\nclass Odd(Straight):\n    shipped_weights = {wrong}\n"
    install("acme", {"odd": "Odd"}, source, kind="surrogates")
    result = nbody_sim("models", "list")
    assert result.exit_code == 0
    assert "set-small" in result.stdout
    (line,) = result.stderr.splitlines()
    assert line.startswith("Warning: surrogate 'odd' of acme 1.0: `shipped_weights` raised ")


def test_weights_that_cannot_be_loaded(install, folder):
    source = SURROGATES + f"\nclass Odd(Straight):\n    shipped_weights = {{'w': {str(folder)!r}}}"
    install("acme", {"odd": "Odd"}, source, kind="surrogates")
    result = nbody_sim("models", "list")
    assert result.exit_code == 0
    assert "set-small" in result.stdout
    (line,) = result.stderr.splitlines()
    assert line.startswith("Warning: model 'w' cannot be loaded: ")


@pytest.mark.parametrize("attribute", LOOKS)
def test_a_class_that_is_odd_to_look_at(install, attribute):
    source = f"{ASKED}{INTEGRATORS}\nclass Odd(Still):\n    {attribute}\n"
    install("acme", {"odd": "Odd"}, source)
    with pytest.raises(PluginError, match=r"^integrator 'odd' of acme 1\.0: ") as raised:
        integrator_class("odd")
    assert LOOKS[attribute] in str(raised.value)


def test_a_class_whose_metaclass_raises(install):
    install("acme", {"odd": "Odd"}, INTEGRATORS + SHY)
    line = "integrator 'odd' of acme 1.0 cannot be looked at: RuntimeError: never look"
    with pytest.raises(PluginError, match=f"^{line}$"):
        integrator_class("odd")


def test_a_plugin_does_not_decide_on_all_warnings(install):
    source = "import warnings\nwarnings.simplefilter('ignore')\nwarnings.simplefilter('error')\n"
    install("acme", {"odd": "Odd"}, source + INTEGRATORS + "\nOdd = Still\nOdd.name = 'odd'")
    before = list(warnings.filters)
    integrator_class("odd")
    assert list(warnings.filters) == before


@pytest.mark.parametrize("source", [CTRL_C, SWALLOWED, CTRL_C.replace("\n", "; ", 1)])
def test_real_ctrl_c_stays_the_users(install, source):
    install("acme", {"odd": "Odd"}, source)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt) as ended:
        integrator_class("odd")
    assert ended.value.__notes__ == [WHERE]
    assert signal.getsignal(signal.SIGINT) is before
    assert interruption.message() == "interrupted"


def test_one_line_on_the_command_line(install):
    install("acme", {"odd": "Odd"}, "raise GeneratorExit('no')")
    line = bad(FAILURE, "run", "-n", 3, "--integrator", "odd")
    assert line == "Error: integrator 'odd' of acme 1.0 cannot be imported: GeneratorExit: no"


def test_the_command_line_ends_by_ctrl_c(install):
    install("acme", {"odd": "Odd"}, CTRL_C)
    result = nbody_sim("run", "-n", 3, "--integrator", "odd", "-o", "x.h5")
    assert result.exit_code == INTERRUPTED
    assert "interrupted" in result.stderr


@pytest.mark.skipif(os.name != "posix", reason="needs SIGINT")
def test_the_program_names_a_plugin_that_hangs(install, folder):
    """It is interrupted as soon as it says that it hangs."""
    install("acme", {"odd": "Odd"}, HANGS)
    path = os.pathsep.join([str(folder.parent), *filter(None, sys.path)])
    start = "from nbody_surrogate.cli.start import start; start()"
    program = subprocess.Popen(
        [sys.executable, "-c", start, "run", "-n", "3", "--integrator", "odd"],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=heed_ctrl_c,
    )
    assert program.stdout.readline() == b"hanging\n"
    program.send_signal(signal.SIGINT)
    _, said = program.communicate()
    assert program.returncode == INTERRUPTED
    assert said.decode() == f"Error: interrupted; {WHERE}\n"


def test_a_signal_of_the_users_program_is_not_the_plugins(install):
    class EnoughError(Exception):
        pass

    def end(number, frame):
        raise EnoughError

    before = signal.signal(signal.SIGTERM, end)
    try:
        install("acme", {"odd": "Odd"}, CTRL_C.replace("SIGINT", "SIGTERM"))
        with pytest.raises(EnoughError):
            integrator_class("odd")
        assert signal.getsignal(signal.SIGTERM) is end
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_handler_that_a_plugin_sets_stays(install):
    def theirs(number, frame):
        raise AssertionError

    before = signal.getsignal(signal.SIGTERM)
    source = "import signal\nsignal.signal(signal.SIGINT, print)\nraise KeyboardInterrupt"
    heard = signal.getsignal(signal.SIGINT)
    install("acme", {"odd": "Odd"}, source)
    try:
        with pytest.raises(PluginError, match="cannot be imported: KeyboardInterrupt"):
            integrator_class("odd")
        assert signal.getsignal(signal.SIGINT) is print
    finally:
        signal.signal(signal.SIGINT, heard)
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_plugin_that_is_imported_is_known(install):
    source = "from nbody_surrogate.interruption import message\nraise ValueError(message())\n"
    install("acme", {"odd": "Odd"}, source)
    with pytest.raises(PluginError, match=f"ValueError: interrupted; {WHERE}$"):
        integrator_class("odd")


def test_metadata_that_are_damaged_take_no_plugin_away(install, folder):
    install("acme", {"odd": "Odd"}, INTEGRATORS + "\nOdd = Still\nOdd.name = 'odd'")
    (metadata,) = folder.parent.glob("acme-1.0.dist-info/METADATA")
    for content in (b"Metadata-Version: 2.1\n", b"Name: \xff\xfe\n\x00", None):
        metadata.unlink() if content is None else metadata.write_bytes(content)
        listed = good("plugins", "list")
        assert "charged" in listed


def test_an_import_hides_nothing_of_how_to_go_on():
    """A command loads plugins late, also once there is something to go on from."""
    with interruption.hint("finished shards are kept"), interruption.hint(WHERE):
        assert interruption.message() == f"interrupted; {WHERE}; finished shards are kept"
