"""``multirig key ask``, ``sign``, ``take``, ``list-file`` and ``renew``: by a stick, without a network."""

from __future__ import annotations

from pathlib import Path

import typer

from multirig.cli import render
from multirig.cli.key_words import ask_role, choose_name, confirm, day, show_id, warn_of_old_role
from multirig.cli.program import FAILED
from multirig.cli.typed import join as spell
from multirig.errors import ConfigError
from multirig.keyring import Keyring
from multirig.keyring.stick import Answer, read_answer, read_request, write_answer, write_request
from multirig.trust.certificate import Certificate, key_id
from multirig.trust.keys import public_key
from multirig.trust.roles import MEANING, Role

DAY = 86_400
"""Seconds."""


def ask(file: Path, name: str | None, *, is_new: bool) -> None:
    """Write this PC's name and public key into a file."""
    ring = Keyring()
    own = ring.make_own_key(choose_name(name, ring), is_new=is_new)
    public = public_key(own.private)
    write_request(file, own.name, public)
    render.done(f"{file} asks whether this PC, {own.name}, may join; its key is {show_id(key_id(public))}")
    sign_line, take_line = (f"multirig key {verb} {spell([file.name])}" for verb in ("sign", "take"))
    render.show_lines("Take it to the PC with the lab's key, and type there:", [sign_line])
    render.show_lines("Then bring it back, and type here:", [take_line])


def sign(file: Path, role: Role | None, lab: str | None, *, asks: bool) -> None:
    """Certify the PC that asks by a file."""
    ring = Keyring()
    key, request = ring.find_lab_key(lab), read_request(file)
    render.say(f"{request.name} asks to join the lab {key.name}; its key is {show_id(request.id)}")
    ring.check_may_join(key.lab, request.key, request.name)
    if not confirm("Does the screen of that PC show the same key", asks=asks):
        render.say("it may not join: somebody has changed the file; write it anew there (multirig key ask)")
        raise typer.Exit(FAILED)
    chosen = ask_role(role, asks=asks)
    if chosen is None:
        render.say("it may not join; the file is as it was")
        raise typer.Exit(FAILED)
    warn_of_old_role(ring.register(key.lab).newest().get(request.id), chosen)
    certificate = ring.certify(key, request.key, request.name, chosen)
    write_answer(file, key.lab, [certificate], ring.register(key.lab).shut_out)
    render.done(
        f"{request.name} may join the lab {key.name}, until {day(certificate.until)}, as {chosen.value}: it "
        f"{MEANING[chosen]}"
    )
    lines = [f"multirig key take {spell([file.name])}"]
    render.show_lines(f"The lab's key is {show_id(key.lab.id)}. Bring the file back, and type there:", lines)


def take(file: Path, *, asks: bool) -> None:
    """Keep what the lab's PC has put into a file."""
    ring, answer = Keyring(), read_answer(file)
    keys = ring.read()
    mine = None if keys is None else answer.of(keys.public)
    is_known = ring.is_known(answer.lab)
    if mine is None and not is_known:
        raise ConfigError(
            f"{file} holds no certificate for this PC: write a request here (multirig key ask FILE), and "
            "have it signed on the PC with the lab's key (multirig key sign FILE)"
        )
    if not is_known:
        render.say(f"{file} is of the lab {answer.lab.name}; the lab's key is {show_id(answer.lab.id)}")
        if not confirm("Does multirig key show on the lab's PC say the same", asks=asks):
            render.say("nothing was kept: somebody has changed the file")
            raise typer.Exit(FAILED)
    took = [*_take_certificate(ring, answer, mine), *_take_list(ring, answer)]
    if not took:
        render.say(f"{file} holds nothing that is new to this PC")
    for line in took:
        render.done(line)


def _take_certificate(ring: Keyring, answer: Answer, mine: Certificate | None) -> list[str]:
    if mine is None:
        return []
    keys = ring.read()
    before = None if keys is None else keys.of(answer.lab.id)
    if before is not None and before.certificate.since >= mine.since:
        return []
    ring.add(answer.lab, mine, None)
    return [
        f"this PC, {mine.name}, is of the lab {answer.lab.name} now, until {day(mine.until)}, as "
        f"{mine.role.value}: it {MEANING[mine.role]}"
    ]


def _take_list(ring: Keyring, answer: Answer) -> list[str]:
    if answer.shut_out is None or not ring.keep_list(answer.shut_out):
        return []
    return [f"this PC knows the newest list of who is shut out of the lab {answer.lab.name}"]


def write_list(file: Path, lab: str | None) -> None:
    """Write the list of PCs that are shut out."""
    membership = Keyring().find_membership(lab)
    if membership.shut_out is None:
        raise ConfigError(f"nobody is shut out of the lab {membership.lab.name}, as far as this PC knows")
    write_answer(file, membership.lab, [], membership.shut_out)
    render.done(f"{file} has the list of who is shut out of the lab {membership.lab.name}")
    render.show_lines("On each PC that has to know it:", [f"multirig key take {spell([file.name])}"])


def renew(file: Path | None, days: int, lab: str | None) -> None:
    """Make new certificates for PCs whose ones are nearly over."""
    ring = Keyring()
    key = ring.find_lab_key(lab)
    keys = ring.read()
    own = None if keys is None else key_id(keys.public)
    old = ring.find_nearly_over(key.lab, within=days * DAY)
    others = [one for one in old if one.id != own]
    for one in old:
        if one.id == own:
            made = ring.certify(key, one.key, one.name, one.role)
            ring.add(key.lab, made)
            render.done(f"this PC, {made.name}, is of the lab {key.name} until {day(made.until)}")
    if not old:
        render.say(f"no certificate of the lab {key.name} is over within {days} days")
    if not others:
        return
    names = ", ".join(f"{one.name} ({day(one.until)})" for one in others)
    if file is None:
        render.warn(f"nearly over, or over: {names}")
        render.show_lines(
            "Write new ones onto a stick, or let each of them join again (multirig key add):",
            ["multirig key renew FILE"],
        )
        return
    renewed = [ring.certify(key, one.key, one.name, one.role) for one in others]
    write_answer(file, key.lab, renewed, ring.register(key.lab).shut_out)
    render.done(f"{file} has new certificates, until {day(renewed[0].until)}, for {names}")
    render.show_lines("On each of them:", [f"multirig key take {spell([file.name])}"])
