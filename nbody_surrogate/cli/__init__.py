"""The command line, `nbody-sim`.

Importing this is cheap: a program is to hear Ctrl-C before it loads its commands.
"""

from __future__ import annotations

from nbody_surrogate.lazy import lazy_names

TYPE_CHECKING = False  # as type checkers know it, without the time that `typing` takes
if TYPE_CHECKING:
    from nbody_surrogate.cli.commands import main
else:
    __getattr__, __dir__ = lazy_names(__name__, {"nbody_surrogate.cli.commands": ["main"]})

__all__ = ["main"]
