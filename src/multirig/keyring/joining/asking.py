"""The side of the new PC: it says the code, and gets its certificate."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from multirig.errors import ConfigError, RigUnreachable, TrustError, why_not
from multirig.keyring.files import take_certificate, take_lab, take_list
from multirig.keyring.joining.frames import STEP_LIMIT, Kind, Line, Refused, Why
from multirig.keyring.joining.handshake import Handshake, Side, WrongCode
from multirig.keyring.joining.offer import ANSWER_LIMIT
from multirig.keyring.ring import Keyring
from multirig.trust.certificate import check_name
from multirig.trust.keys import Membership, public_key
from multirig.wording import LONG_NAME, clean

WORDS = {
    Why.BUSY: "another PC is joining with that code, or too many try to: let it show a new one",
    Why.OVER: "its code is void: let it show a new one (multirig key add)",
    Why.WRONG: "the code is wrong",
    Why.LANGUAGE: "it does not understand this multirig: install the same version on both PCs",
}
"""Why the lab's PC ends a conversation."""


async def join(
    host: str,
    port: int,
    code: str,
    ring: Keyring,
    name: str,
    *,
    is_new: bool = False,
    tell: Callable[[str], object] = lambda text: None,
) -> Membership:
    """Let this PC join a lab, and return how it belongs to it.

    Parameters
    ----------
    host, port : str, int
        Where the lab's PC shows a code.
    code : str
        Six digits.
    ring : Keyring
        Of this PC.
    name : str
        Of this PC.
    is_new : bool
        Whether this PC makes itself a new key, which no lab knows.
    tell : callable
        Is given a line for the person here when the code was right.

    Raises
    ------
    WrongCode
        The lab's PC says that the code is another one, or does not know it itself.
    TrustError
        The person there did not want it, or what came is not right. Nothing was kept.
    RigUnreachable
        Nobody answers there.
    ConfigError
        The keys cannot be kept.
    """
    check_name(name)
    line = await _connect(host, port)
    try:
        return await _talk(line, Handshake(Side.NEW, code), ring, name, is_new=is_new, tell=tell)
    except Refused as error:
        why = WORDS.get(error.why) if error.why is not None else None
        kind = WrongCode if error.why is Why.WRONG else TrustError
        raise kind(f"the PC at {host} has not let this one join: {why or 'it gives no reason'}") from None
    except (OSError, EOFError):
        raise RigUnreachable(
            f"the PC at {host} has ended the connection: look at its screen, and let it show a new code "
            "(multirig key add)"
        ) from None
    except asyncio.TimeoutError:
        raise RigUnreachable(f"the PC at {host} answers no more: look at its screen") from None
    finally:
        await line.close()


async def _connect(host: str, port: int) -> Line:
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port, limit=65_536), STEP_LIMIT)
    except asyncio.TimeoutError:
        raise RigUnreachable(
            f"nobody answers at {host}, TCP port {port}: is that the address of the PC with the lab's key, "
            "does multirig key add run there, and does its firewall let others in"
        ) from None
    except (OSError, UnicodeError, OverflowError) as error:
        raise RigUnreachable(
            f"nobody answers at {host}, TCP port {port} ({_why_not(error)}): run multirig key add on the PC "
            "with the lab's key, and type the address that it shows"
        ) from None
    return Line(reader, writer)


def _why_not(error: Exception) -> str:
    """Return why nobody answers; asyncio puts the address there once more, in place of the system's words."""
    if isinstance(error, OSError) and error.errno and str(error.strerror).startswith("Connect call failed"):
        return os.strerror(error.errno)
    return why_not(error)


async def _talk(
    line: Line,
    handshake: Handshake,
    ring: Keyring,
    name: str,
    *,
    is_new: bool,
    tell: Callable[[str], object],
) -> Membership:
    async def prove() -> None:
        await line.send(Kind.GREETING, handshake.greeting)
        handshake.take_greeting(await line.receive(Kind.GREETING))
        await line.send(Kind.PROOF, handshake.proof)
        try:
            handshake.check_proof(await line.receive(Kind.PROOF))
        except WrongCode:
            raise WrongCode(
                f"what answers at {line.address} does not know the code: nothing was given to it; look "
                "whether the address is that of the PC with the lab's key"
            ) from None

    await asyncio.wait_for(prove(), STEP_LIMIT)
    own = await asyncio.to_thread(ring.make_own_key, name, is_new=is_new)
    word = {"name": name, "key": public_key(own.private).hex()}
    await line.send(Kind.SEALED, handshake.seal(word))
    tell("the code is right: now the other screen asks whether this PC may join")
    given = handshake.open(await asyncio.wait_for(line.receive(Kind.SEALED), ANSWER_LIMIT + STEP_LIMIT))
    if (why := given.get("refused")) is not None:
        raise TrustError(f"this PC was not let in: {clean(str(why), 4 * LONG_NAME)}")
    try:
        membership = await asyncio.to_thread(_keep, ring, given)
    except (TrustError, ConfigError) as error:
        await line.send(Kind.SEALED, handshake.seal({"refused": str(error)[:LONG_NAME]}))
        raise
    await line.send(Kind.SEALED, handshake.seal({"kept": True}))
    return membership


def _keep(ring: Keyring, given: dict[str, object]) -> Membership:
    lab, certificate = take_lab(given.get("lab")), take_certificate(given.get("certificate"))
    return ring.add(lab, certificate, take_list(given.get("shut_out")))
