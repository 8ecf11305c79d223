"""``multirig key``: the lab's key, a key for each PC, and who is of the lab."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from multirig.cli.program import app
from multirig.trust.roles import Role

group = typer.Typer(help="Keys: by them rigs know who is of the lab.", no_args_is_help=True)
app.add_typer(group, name="key")

Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Ask nothing: what is asked otherwise is taken as meant.")
]
Name = Annotated[
    str | None, typer.Option(metavar="NAME", help="What this PC is called; otherwise as the system calls it.")
]
Lab = Annotated[
    str | None, typer.Option(metavar="LAB", help="Which lab, by name or number, where there are several.")
]
Port = Annotated[int, typer.Option(min=0, max=65535, help="The TCP port at which the lab's PC waits.")]
JOIN_PORT = 11002


@group.callback()
def key() -> None:
    """Make keys, let PCs join a lab, shut them out."""


@group.command()
def new(
    lab: Annotated[str | None, typer.Argument(metavar="[LAB]", help="What the lab is called.")] = None,
    name: Name = None,
    from_paper: Annotated[
        bool, typer.Option("--from-paper", help="Type the key that multirig key paper has shown.")
    ] = False,
    another: Annotated[
        bool, typer.Option("--another", help="Make one although this PC has one: so a lab changes its key.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Make the lab's key on this PC, and this PC one of the lab, which may lead.

    Once for each lab, on one PC; all others join it.
    """
    from multirig.cli import key_labs  # what makes keys takes long to load

    key_labs.make(lab, name, from_paper=from_paper, another=another, asks=not yes)


@group.command()
def show() -> None:
    """Show what this PC is, in which labs; where the lab's key lies, all PCs of the lab."""
    from multirig.cli import key_labs

    key_labs.show()


@group.command()
def add(
    role: Annotated[
        Role | None,
        typer.Option(help="What the PC may do: be led, lead, or look on; otherwise that is asked."),
    ] = None,
    lab: Lab = None,
    port: Port = JOIN_PORT,
    yes: Yes = False,
) -> None:
    """Let a PC join: shows a code for it, for two minutes. On the PC that holds the lab's key."""
    from multirig.cli import key_joining

    key_joining.add(role, lab, port, asks=not yes)


@group.command()
def join(
    address: Annotated[
        str | None,
        typer.Argument(metavar="[ADDRESS]", help="Of the PC with the lab's key, as its screen shows it."),
    ] = None,
    name: Name = None,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Make this PC another key first: the old one was shut out.")
    ] = False,
) -> None:
    """Let this PC join a lab: asks for the code that 'multirig key add' shows there."""
    from multirig.cli import key_joining

    key_joining.join(address, name, is_new=new_key)


@group.command("shut-out")
def shut_out(
    pc: Annotated[str, typer.Argument(metavar="NAME", help="Which PC: its name, or the number of its key.")],
    lab: Lab = None,
    yes: Yes = False,
) -> None:
    """Shut a PC out of the lab: one that was lost, or is the lab's no more. The others stay as they are."""
    from multirig.cli import key_labs

    key_labs.shut_out(pc, lab, asks=not yes)


@group.command()
def ask(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file that is written, on a stick.")],
    name: Name = None,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Make this PC another key first: the old one was shut out.")
    ] = False,
) -> None:
    """Ask by a stick whether this PC may join: writes its name and public key into a file."""
    from multirig.cli import key_stick

    key_stick.ask(file, name, is_new=new_key)


@group.command()
def sign(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What 'multirig key ask' has written.")],
    role: Annotated[
        Role | None,
        typer.Option(help="What the PC may do: be led, lead, or look on; otherwise that is asked."),
    ] = None,
    lab: Lab = None,
    yes: Yes = False,
) -> None:
    """Let the PC join that has asked by a stick: puts its certificate into the file."""
    from multirig.cli import key_stick

    key_stick.sign(file, role, lab, asks=not yes)


@group.command()
def take(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What 'multirig key sign', renew or list-file has written.")
    ],
    yes: Yes = False,
) -> None:
    """Take from a stick what the lab's PC has put there: this PC's certificate, who is shut out."""
    from multirig.cli import key_stick

    key_stick.take(file, asks=not yes)


@group.command("list-file")
def list_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file that is written, on a stick.")],
    lab: Lab = None,
) -> None:
    """Write the list of PCs that are shut out into a file, for PCs that this one does not reach."""
    from multirig.cli import key_stick

    key_stick.write_list(file, lab)


@group.command()
def renew(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="The file that is written, on a stick, for the other PCs."),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Those that are over within so many days.")] = 60,
    lab: Lab = None,
) -> None:
    """Make new certificates for PCs whose ones are nearly over; they last five years. On the lab's PC."""
    from multirig.cli import key_stick

    key_stick.renew(file, days, lab)


@group.command()
def paper(lab: Lab = None, yes: Yes = False) -> None:
    """Show the lab's private key, to be written on paper: whoever has it can let PCs join the lab."""
    from multirig.cli import key_labs

    key_labs.show_paper(lab, asks=not yes)


@group.command()
def forget(
    lab: Annotated[str, typer.Argument(metavar="LAB", help="Which lab, by its name or number.")],
    yes: Yes = False,
) -> None:
    """Leave a lab: this PC's certificate of it goes, and the lab's key, if it lies here."""
    from multirig.cli import key_labs

    key_labs.forget(lab, asks=not yes)
