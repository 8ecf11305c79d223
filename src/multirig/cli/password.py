"""``multirig password``: by what people come into the console; and ``multirig console --address``."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from multirig.cli import render
from multirig.cli.program import app
from multirig.cli.rigs import RigsFile
from multirig.conductor.roster import find_rigs_file
from multirig.dashboard.door.access import MIN_PASSWORD, make_token
from multirig.dashboard.door.certificate import OwnCertificate, read_fingerprint
from multirig.dashboard.door.password import keep_password
from multirig.dashboard.door.people import (
    Role,
    check_name,
    keep_account,
    key_of,
    read_accounts,
    remove_account,
)
from multirig.dashboard.door.rules import load_rules
from multirig.dashboard.door.secret import load_secret
from multirig.errors import ConfigError
from multirig.state import state_folder

_MEANS = {Role.OPERATE: "may do all that the page can", Role.LOOK: "may look, and change nothing"}


@app.command()
def password(
    name: Annotated[
        str | None, typer.Argument(help="Of an account; without it, the one password of the console.")
    ] = None,
    role: Annotated[
        Role | None,
        typer.Option(help="What the account may do; a new one may look only.", show_default=False),
    ] = None,
    removes: Annotated[bool, typer.Option("--remove", help="Take the account away.")] = False,
    lists: Annotated[bool, typer.Option("--list", help="Say who may come in, and end.")] = False,
    rigs_file: RigsFile = None,
) -> None:
    """Set the console's password, or make an account with a name: asked for at the terminal, kept as a hash.

    Of an account that is there already, --role alone changes the role, and asks for nothing.
    """
    file = find_rigs_file(rigs_file)
    if lists:
        if name is not None or role is not None or removes:
            raise ConfigError("--list says all: give nothing else with it")
        _show_people(file)
    elif name is None:
        if role is not None or removes:
            raise ConfigError("say whose: multirig password NAME --role look, or NAME --remove")
        set_password(file, "multirig password")
    elif removes:
        if role is not None:
            raise ConfigError("give --remove or --role")
        gone = remove_account(_folder(), name)
        render.say(f"the account {gone.name} is removed: its browsers are out, and come in no more")
    else:
        _set_account(check_name(name), role)


def set_password(rigs_file: Path, command: str = "multirig console --set-password") -> None:
    """Ask for the console's one password twice, and keep it; `command` is what was typed."""
    file = keep_password(rigs_file, _ask(command, "Password of the console"))
    render.say(f"the password is set in {file}; a console that runs takes it when it is started again")


def answer(rigs_file: Path, port: int, *, address: bool, fingerprint: bool, sets: bool) -> bool:
    """Do what ``multirig console`` was asked for in place of a console; return whether it was."""
    if address:
        show_address(port)
    elif fingerprint:
        show_fingerprint()
    elif sets:
        set_password(rigs_file)
    return address or fingerprint or sets


def show_address(port: int) -> None:
    """Print the address that opens this user's console on this PC."""
    token = make_token(load_secret(_folder()))
    render.show_text(f"http://127.0.0.1:{port}/?token={token}\n")


def show_fingerprint() -> None:
    """Print by what a browser is to know the certificate that this PC has made for the console."""
    found = read_fingerprint(_folder())
    if found is None:
        raise ConfigError("this PC has made no certificate yet: multirig console --host 0.0.0.0 makes it")
    render.show_text(f"{found}\n")


def tell_certificate(own: OwnCertificate) -> None:
    """Say what a browser has to show of this PC's own certificate before it is trusted."""
    if own.is_new:
        render.warn("this PC has made a new certificate for the console: browsers ask about it once more")
    render.say(
        "a browser that comes for the first time warns that it does not know this PC: show the certificate "
        "there, and go on only if its SHA-256 fingerprint is this one, else somebody stands in between:"
    )
    render.say(own.fingerprint)


def _set_account(name: str, role: Role | None) -> None:
    typed = None
    if role is None or key_of(name) not in read_accounts(_folder()):
        typed = _ask(f"multirig password {name}", f"Password of {name}")
    made, is_new = keep_account(_folder(), name, password=typed, role=role)
    what = "is made" if is_new else "is changed, and logs in anew"
    render.say(f"the account {made.name} {what}: it {_MEANS[made.role]}")
    if is_new and role is None:
        render.say(f"to let it do all: multirig password {made.name} --role {Role.OPERATE}")


def _show_people(rigs_file: Path) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("name", "role", "what it may do"):
        table.add_column(heading, no_wrap=True)
    accounts = read_accounts(_folder())
    rules, _ = load_rules(rigs_file)
    if rules.password is not None:
        table.add_row(Text("the one password", "dim"), Role.OPERATE.value, _MEANS[Role.OPERATE])
    for one in sorted(accounts.values(), key=lambda one: key_of(one.name)):
        table.add_row(Text(one.name), one.role.value, _MEANS[one.role])
    if table.row_count:
        render.print_table(table)
    else:
        render.say(
            "nobody from other PCs: set a password with multirig password, or make multirig password NAME"
        )


def _ask(command: str, question: str) -> str:
    """Return what is typed twice, without being shown."""
    if not render.has_keyboard():
        raise ConfigError(f"a password is typed at a terminal: open one and run {command} there")
    first = getpass.getpass(f"{question}, at least {MIN_PASSWORD} characters: ")
    if first != getpass.getpass("The same once more: "):
        raise ConfigError(f"the two passwords differ, nothing was changed: run {command} again")
    return first


def _folder() -> Path:
    return state_folder() / "console"
