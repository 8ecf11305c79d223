"""``multirig key add`` and ``multirig key join``: two screens, and a code that is shown on one of them."""

from __future__ import annotations

import asyncio
import time

import typer

from multirig.cli import render
from multirig.cli.key_words import (
    ask_role,
    choose_name,
    day,
    read_role,
    role_question,
    say_roles,
    show_id,
    warn_of_clock,
    warn_of_far_disk,
    warn_of_old_role,
)
from multirig.cli.program import FAILED
from multirig.cli.typed import join as spell
from multirig.cli.typed import program
from multirig.conductor.registration import find_candidates, own_addresses
from multirig.config import Uri
from multirig.errors import ConfigError
from multirig.keyring import Keyring
from multirig.keyring.joining import asking
from multirig.keyring.joining.code import make_code, read_code, show_code
from multirig.keyring.joining.frames import PORT
from multirig.keyring.joining.handshake import WrongCode
from multirig.keyring.joining.offer import TRIES, Applicant, Offer
from multirig.pc.console import forget_typed
from multirig.pc.finding import Level
from multirig.trust.certificate import Certificate, LabKey
from multirig.trust.roles import MEANING, Role

# -- on the lab's PC -----------------------------------------------------------------------------------------


def add(role: Role | None, lab: str | None, port: int, *, asks: bool) -> None:
    """Show a code, and let one PC join that knows it."""
    ring = Keyring()
    key = ring.find_lab_key(lab)
    if asks and not render.has_keyboard():
        raise ConfigError(
            "nobody is there to say whether a PC may join: give --yes and --role to let in whoever knows "
            "the code"
        )
    certificate = asyncio.run(_wait(ring, key, role, port, asks=asks))
    if certificate is None:
        render.say("it may not join; the code is void")
        raise typer.Exit(FAILED)
    render.done(
        f"{certificate.name} is of the lab {key.name} now, until {day(certificate.until)}, as "
        f"{certificate.role.value}: it {MEANING[certificate.role]}"
    )
    render.show_lines("For the next PC:", [f"{program()} key add"])


async def _wait(
    ring: Keyring, key: LabKey, role: Role | None, port: int, *, asks: bool
) -> Certificate | None:
    code = make_code()

    async def decide(applicant: Applicant) -> Role | None:
        render.say(
            f"{applicant.name} ({applicant.address}) wants to join the lab {key.name}; its key is "
            f"{show_id(applicant.id)}"
        )
        _warn_of_namesake(ring, key, applicant)
        chosen = await _ask(role) if asks else ask_role(role, asks=False)
        warn_of_old_role(ring.register(key.lab).newest().get(applicant.id), chosen)
        return chosen

    offer = Offer(ring, key, code, decide=decide, tell=render.warn, port=port)
    await offer.open()
    _show_code(code, offer, key)
    await _tell_network(offer.port)
    return await offer.wait()


def _show_code(code: str, offer: Offer, key: LabKey) -> None:
    addresses = find_candidates([Uri("tcp", "0.0.0.0", offer.port)], own := own_addresses())
    render.show_lines(f"The code for one PC that joins the lab {key.name}:", ["", f"  {show_code(code)}", ""])
    lines = [
        f"multirig key join {_spell_address(host, offer.port)}"
        + (f"     (if they meet by {own.get(host, host)})" if len(addresses) > 1 else "")
        for host in addresses or ["127.0.0.1"]
    ]
    minutes = f"{offer.holds / 60:g} minutes"
    render.show_lines(f"Type this on the other PC within {minutes}, and then the code:", lines)
    if not addresses:
        render.warn("this PC is in no network now: connect it to that of the other one, or join by a stick")
    render.say(f"waiting for it; the code is good for one PC, {minutes} and {TRIES} tries; Ctrl-C ends it")


def _spell_address(host: str, port: int) -> str:
    shown = host if port == PORT else f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return spell([shown])


async def _tell_network(port: int) -> None:
    """Say what keeps other PCs from reaching this one, where the system tells."""
    from multirig.pc.network import check_network, find_listeners  # not for those who join
    from multirig.pc.reader import this_pc

    for one in await asyncio.to_thread(check_network, this_pc(), find_listeners([("tcp", "0.0.0.0", port)])):
        if one.level in (Level.WARNING, Level.FAILURE):
            render.warn(one.text)


def _warn_of_namesake(ring: Keyring, key: LabKey, applicant: Applicant) -> None:
    register = ring.register(key.lab)
    lost = register.shut_out.keys if register.shut_out is not None else frozenset()
    for one in register.newest().values():
        if one.name == applicant.name and one.id not in lost and one.id != applicant.id:
            render.warn(
                "another PC of that name is of the lab already: if this one takes its place, shut that "
                f"one out afterwards (multirig key shut-out {one.id})"
            )


async def _ask(given: Role | None) -> Role | None:
    """Ask the person here; what was typed before the question is no answer to it."""
    from multirig.ibl.net.rigs import read_stdin  # not for those who are not asked

    question, default = role_question(given)
    say_roles()
    forget_typed()
    render.ask_for(f"{question}? [{default}]")
    async for line in read_stdin():
        try:
            return read_role(line.strip() or default)
        except ConfigError as error:
            render.warn(str(error))
            render.ask_for(f"{question}? [{default}]")
    return None


# -- on the new PC -------------------------------------------------------------------------------------------


def join(address: str | None, name: str | None, *, is_new: bool) -> None:
    """Ask for the code, and join."""
    ring = Keyring()
    chosen = choose_name(name, ring)
    if address is None:
        address = _type("The address of the PC with the lab's key, as multirig key add shows it there")
    host, port = read_address(address)
    membership = None
    for tries in reversed(range(TRIES)):
        try:
            code = read_code(_type("The code that its screen shows"))
            membership = asyncio.run(
                asking.join(host, port, code, ring, chosen, is_new=is_new, tell=render.say)
            )
            break
        except (WrongCode, ConfigError) as error:
            if tries == 0 or not render.has_keyboard():
                raise
            render.warn(str(error))
    if membership is None:
        return
    certificate = membership.certificate
    render.done(
        f"this PC, {certificate.name}, is of the lab {membership.lab.name} now, until "
        f"{day(certificate.until)}, as {certificate.role.value}: it {MEANING[certificate.role]}"
    )
    render.say(f"  the lab's key is {show_id(membership.lab.id)}; this PC's lies in {ring.folder}")
    warn_of_far_disk(ring)
    warn_of_clock(certificate, time.time())
    render.say("  rigs that run here know it within seconds; nothing has to be started again")


def _type(question: str) -> str:
    try:
        return render.ask(f"{question}:").strip()
    except EOFError:
        raise ConfigError("nothing was typed: this PC did not join") from None


def read_address(text: str) -> tuple[str, int]:
    """Return host and port; the port may be left out. Raises ConfigError."""
    text = text.strip()
    plain = text.count(":") > 1 and not text.startswith("[")  # an IPv6 address without a port
    host, _, port = (text, "", "") if plain else text.rpartition(":") if _has_port(text) else (text, "", "")
    host = host.strip("[]")
    if not host or any(one.isspace() for one in host) or not (port.isdecimal() or not port):
        raise ConfigError(
            f"{text!r} is no address: type it as the other screen shows it, such as 192.168.1.10"
        )
    number = int(port or PORT)
    if not 0 < number < 65536:
        raise ConfigError(f"{text!r} is no address: its port is {number}")
    return host, number


def _has_port(text: str) -> bool:
    return ":" in text.rpartition("]")[2]
