"""``multirig``: the commands, and what their exit codes mean.

Exit codes: 0 all is well; 1 a rig or the session failed; 2 a wrong option, file or address; 3 the rigs do not
agree on main sync, subject or date; 130 interrupted.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable

import typer

from multirig.cli import render
from multirig.cli.program import FAILED, INTERRUPTED, USAGE, app, find_code
from multirig.errors import MultirigError
from multirig.state import log_folder


def spread(arguments: list[str]) -> list[str]:
    """Return ``--remote a b`` written as ``--remote a --remote b``: iblrig takes several names at once."""
    spread_out: list[str] = []
    option = None
    for argument in arguments:
        if argument.startswith("-"):
            option = argument if argument in ("--remote", "-r") else None
            spread_out.append(argument)
        elif option is not None and spread_out[-1] != option:
            spread_out += [option, argument]
        else:
            spread_out.append(argument)
    return spread_out


def load_commands(wanted: str | None = None) -> typer.Typer:
    """Return the program with the command that is wanted; with all of them, where that is none or unknown.

    Each takes some tenths of a second to load, which who asks for another one does not wait for.
    """
    for module in [_MODULES[wanted]] if wanted in _MODULES else _MODULES.values():
        importlib.import_module(f"multirig.cli.{module}")  # adds its own
    return app


_MODULES = {
    "check": "check",
    "clear": "clear",
    "collect": "collect",
    "console": "console",
    "demo": "demo",
    "export": "export",
    "history": "history",
    "install": "install",
    "key": "key",
    "new": "new",
    "password": "password",
    "recover": "recover",
    "rehearse": "rehearse",
    "rigs": "rigs",
    "serve": "serve",
    "run": "session",
    "show": "show",
    "stop": "stop",
    "uninstall": "uninstall",
}
"""The file of each command."""


def run(arguments: list[str], loaded: Callable[[], None] = lambda: None) -> int:
    """Run a command line and return its exit code; whatever goes wrong is one line on the screen.

    Parameters
    ----------
    arguments : list of str
        What stands behind the name of the program.
    loaded : callable
        Is called when the command is loaded, before it begins.
    """
    try:
        return _run(arguments, loaded)
    finally:
        render.say_last()


def _run(arguments: list[str], loaded: Callable[[], None]) -> int:
    try:
        program = load_commands(arguments[0] if arguments else None)
        loaded()
        code = int(program(spread(arguments), prog_name="multirig", standalone_mode=False) or 0)
        if code == INTERRUPTED:  # newer typers make this of Ctrl-C
            render.say("interrupted")
        return code
    except typer.Exit as exit_:
        return int(exit_.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        render.say("interrupted")
        return INTERRUPTED
    except MultirigError as error:
        logging.getLogger("multirig").info("ended by an error", exc_info=True)
        render.show_error(error)
        return find_code(error)
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # a wrong option: click's own words
            error.show()
            return USAGE
        logging.getLogger("multirig").exception("a fault of multirig itself")
        render.show_error(
            MultirigError(
                f"a fault of multirig itself: {type(error).__name__}: {error}; "
                f"please report it with the newest log in {log_folder()}"
            )
        )
        return FAILED
