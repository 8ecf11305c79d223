"""``multirig console``: the lab on a web page, until Ctrl-C."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from multirig.cli import render
from multirig.cli.browser import has_display, open_browser
from multirig.cli.program import app
from multirig.cli.rigs import RigsFile
from multirig.cli.session import DEFAULT_DATA
from multirig.conductor.leading import Wishes
from multirig.conductor.roster import find_rigs_file
from multirig.config import load_collect_rules
from multirig.install.presence import being_there, console_keeper
from multirig.logs import keep_log

if TYPE_CHECKING:
    from multirig.dashboard.door.opening import Door


@app.command()
def console(
    host: Annotated[
        str, typer.Option(help="Where to listen; 0.0.0.0 for other PCs too, which are asked for a password.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Its port; 0 takes any free one.")] = 8090,
    rigs_file: RigsFile = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Where this PC's part of a session goes; otherwise as multirig.yaml says, or data."
        ),
    ] = None,
    lab: Annotated[
        str | None, typer.Option(help="Name of the lab's folder; otherwise as multirig.yaml says, or mylab.")
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Certificate in PEM form, in place of this PC's own.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="The certificate's key.")] = None,
    plain_http: Annotated[
        bool,
        typer.Option("--plain-http", help="No encryption for other PCs: who listens reads the password."),
    ] = False,
    sets_password: Annotated[
        bool, typer.Option("--set-password", help="Ask for the password of other PCs, keep it, and end.")
    ] = False,
    address: Annotated[
        bool,
        typer.Option("--address", help="Say the address that opens a console on this PC at --port, and end."),
    ] = False,
    fingerprint: Annotated[
        bool, typer.Option("--fingerprint", help="Say that of this PC's own certificate, and end.")
    ] = False,
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Let every user of this PC in who comes to 127.0.0.1.")
    ] = False,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no browser on this PC.")] = False,
    stays: Annotated[
        bool, typer.Option("--stay", help="Start it again after a crash; what multirig install makes use of.")
    ] = False,
) -> None:
    """Show the lab on a web page: rigs, sessions, history."""
    if stays:
        from multirig.cli.staying import stay  # not for those who are run once
        from multirig.config.conductor import FILE_NAME

        settings_file = find_rigs_file(rigs_file).with_name(FILE_NAME)
        stay(settings_file, lambda: keep_log("console"), console_keeper(port))
        return
    file = find_rigs_file(rigs_file)
    from multirig.cli import password

    if password.answer(file, port, address=address, fingerprint=fingerprint, sets=sets_password):
        return
    from multirig.dashboard.console import Console
    from multirig.dashboard.door.place import Place
    from multirig.dashboard.door.rules import load_rules
    from multirig.dashboard.server import serve

    settings, warnings = load_rules(file)
    keep_log("console")
    for warning in warnings:
        render.warn(warning)
    place = Place(
        host=host,
        port=port,
        certificate=tls_cert,
        key=tls_key,
        is_plain=plain_http,
        password=settings.password,
        asks_for_token=not no_token,
        names=settings.names,
    )
    if plain_http and not place.is_private:
        render.warn("without TLS whoever listens in this network reads the password: leave out --plain-http")
    shown = Console(
        file,
        data or settings.data_folder or DEFAULT_DATA,
        lab or settings.lab,
        rules=settings,
        collect=load_collect_rules(file),
    )
    for caution in shown.rigs.cautions:
        render.warn(caution)
    opens = not no_browser and place.is_private and has_display()

    def tell(urls: Sequence[str], own: str, door: Door) -> None:
        render.out.print(f"console ready at {' '.join(urls)}", soft_wrap=True, markup=False)
        sys.stdout.flush()
        if door.own_certificate is not None:
            password.tell_certificate(door.own_certificate)
        if opens:
            asyncio.get_running_loop().run_in_executor(None, open_browser, own)

    async def run() -> None:
        wishes = Wishes()
        wishes.attend()
        async with being_there(port, wishes.stop):
            with wishes.heeding_signals(wishes.stop):
                going_on = await serve(shown, place, wishes.end, tell)
        if going_on is not None:
            name = going_on.exp_ref or f"of {going_on.order.subject}"
            render.say(f"session {name} goes on: multirig console shows it again, and can stop it")

    asyncio.run(run())
