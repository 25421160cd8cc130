"""Where the program `nbody-sim` begins: Ctrl-C is heard before anything else is loaded."""

from __future__ import annotations

import atexit
import os
import sys

__all__ = ["start"]


def start() -> None:
    """Run the command line, and end the process with its exit code."""
    try:
        import nbody_surrogate.interruption as interruption

        interruption.watch()
        code = _code_of_command()
        # what is done is done: the rest of the process is the interpreter's own
        interruption.ignore()
    except KeyboardInterrupt:
        _end()
    sys.exit(code)


def _code_of_command() -> int:
    from nbody_surrogate.cli.commands import main

    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


def _end() -> None:
    """End soon: what was interrupted may be half loaded, and the interpreter is not taken down."""
    try:
        from nbody_surrogate.interruption import EXIT_CODE, tell

        tell()
        # which give back what outlives a process, such as the semaphores of a pool
        atexit._run_exitfuncs()
    except KeyboardInterrupt:  # while that was loaded
        EXIT_CODE = 130
    os._exit(EXIT_CODE)
