"""``multirig console --set-password`` and ``--address``: by what other PCs, and this one's user, come in."""

from __future__ import annotations

import getpass
from pathlib import Path

from multirig.cli import render
from multirig.dashboard.door.access import MIN_PASSWORD, make_token
from multirig.dashboard.door.password import keep_password
from multirig.dashboard.door.secret import load_secret
from multirig.errors import ConfigError
from multirig.state import state_folder


def set_password(rigs_file: Path) -> None:
    """Ask for a password twice, and keep it."""
    if not render.has_keyboard():
        raise ConfigError(
            "a password is typed at a terminal: open one and run multirig console --set-password there"
        )
    first = getpass.getpass(f"Password of the console, at least {MIN_PASSWORD} characters: ")
    if first != getpass.getpass("The same once more: "):
        raise ConfigError(
            "the two passwords differ, nothing was changed: run multirig console --set-password again"
        )
    file = keep_password(rigs_file, first)
    render.say(f"the password is set in {file}; a console that runs takes it when it is started again")


def show_address(port: int) -> None:
    """Print the address that opens this user's console on this PC."""
    token = make_token(load_secret(state_folder() / "console"))
    render.show_text(f"http://127.0.0.1:{port}/?token={token}\n")
