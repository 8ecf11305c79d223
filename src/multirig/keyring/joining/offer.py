"""The side of the lab's key: while a code holds it listens, and lets one PC join that knows the code."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from multirig.errors import ConfigError, MultirigError, TrustError, why_not
from multirig.keyring.files import give_lab, give_signed
from multirig.keyring.joining.frames import PORT, STEP_LIMIT, Kind, Line, Refused, Why
from multirig.keyring.joining.handshake import Handshake, Side, WrongCode
from multirig.keyring.ring import Keyring
from multirig.trust.certificate import KEY_BYTES, Certificate, LabKey, check_name, key_id
from multirig.trust.roles import Role
from multirig.wording import LONG_NAME, clean

HOLDS = 120.0
"""Seconds for which a code holds."""
TRIES = 3
"""Wrong codes after which it is void, from whichever address they come."""
ANSWER_LIMIT = 120.0
"""Seconds for which the PC that asks waits for the person at this one."""
MOST_OPEN, MOST_OPEN_OF_ONE = 8, 2
"""Connections at a time: in all, and from one address."""
MOST, MOST_OF_ONE = 200, 20
"""Connections that are listened to while a code holds: a handshake costs 10 ms of the processor."""


@dataclass(frozen=True, slots=True)
class Applicant:
    """A PC that knows the code and wants to join."""

    name: str
    address: str
    key: bytes
    """32 bytes: its public key."""

    @property
    def id(self) -> str:
        """Of its key."""
        return key_id(self.key)


class Void(MultirigError):
    """The code holds no more, and nobody has joined."""


class Offer:
    """A code, and whoever comes with it.

    Parameters
    ----------
    ring : Keyring
        Of this PC.
    lab_key : LabKey
        Of the lab that may be joined.
    code : str
        Six digits.
    decide : callable
        Asks the person at this PC as which a PC may join; None: it may not.
    tell : callable
        Is given a line for that person whenever something happens.
    host : str, optional
        Where to listen; without it at all addresses, those of IPv6 too.
    port : int
        Its TCP port; 0 takes any free one.
    """

    def __init__(
        self,
        ring: Keyring,
        lab_key: LabKey,
        code: str,
        *,
        decide: Callable[[Applicant], Awaitable[Role | None]],
        tell: Callable[[str], object],
        host: str | None = None,
        port: int = PORT,
    ) -> None:
        self._ring = ring
        self._lab_key = lab_key
        self._code = code
        self._decide = decide
        self._tell = tell
        self._host, self._port = host, port
        self.holds, self.answer_limit, self.step_limit = HOLDS, ANSWER_LIMIT, STEP_LIMIT  # seconds
        self._tries = TRIES
        self._is_taken = False
        self._open: Counter[str] = Counter()
        self._came: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []
        self._end: asyncio.Future[Certificate | None] | None = None

    @property
    def port(self) -> int:
        """Where it listens, once it is open."""
        return int(self._servers[0].sockets[0].getsockname()[1]) if self._servers else self._port

    async def open(self) -> None:
        """Listen. Raises ConfigError where it cannot."""
        self._end = asyncio.get_running_loop().create_future()
        try:
            await self._listen(self._host or "0.0.0.0", self._port)
        except (OSError, OverflowError) as error:
            raise ConfigError(
                f"TCP port {self._port} of this PC cannot be listened at ({why_not(error)}): close what "
                "does, or give another one with --port here, and behind the address there"
            ) from None

        if self._host is None:
            with contextlib.suppress(OSError):  # a PC without IPv6
                await self._listen("::", self.port)

    async def _listen(self, host: str, port: int) -> None:
        server = await asyncio.start_server(self._meet, host, port, limit=65_536, backlog=16)
        self._servers.append(server)

    async def wait(self) -> Certificate | None:
        """Return the certificate of the PC that has joined; None: the person here did not want it.

        Raises
        ------
        Void
            The time is over, or the tries are used up, or the PC that knew the code has gone away.
        """
        if self._end is None:
            raise RuntimeError("open it first")
        try:
            with contextlib.suppress(asyncio.TimeoutError):
                return await asyncio.wait_for(asyncio.shield(self._end), self.holds)
            if self._is_taken:  # somebody is asked: the code itself is worth nothing any more
                return await self._end
            raise Void(
                f"nobody has joined within {self.holds / 60:g} minutes: the code is void; "
                "multirig key add shows another"
            )
        finally:
            await self.close()

    async def close(self) -> None:
        """Listen no more, and end what is open."""
        self._is_taken = True
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._end is not None and not self._end.done():
            self._end.cancel()

    # -- a connection ----------------------------------------------------------------------------------------

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Line(reader, writer)
        address = line.address
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        self._open[address] += 1
        self._came[address] += 1
        try:
            if self._is_too_much(address):
                await line.refuse(Why.BUSY)
            else:
                await self._talk(line)
        except asyncio.CancelledError:
            pass  # the offer is over
        except (OSError, EOFError, TrustError, asyncio.TimeoutError):
            pass  # whoever that was has shown no right code, and used no try
        finally:
            self._open[address] -= 1
            if task is not None:
                self._tasks.discard(task)
            with contextlib.suppress(asyncio.CancelledError):
                await line.close()

    def _is_too_much(self, address: str) -> bool:
        return (
            self._open.total() > MOST_OPEN
            or self._open[address] > MOST_OPEN_OF_ONE
            or self._came.total() > MOST
            or self._came[address] > MOST_OF_ONE
        )

    async def _talk(self, line: Line) -> None:
        handshake = await asyncio.wait_for(self._prove(line), self.step_limit)
        if handshake is None:
            return
        try:
            applicant = await asyncio.wait_for(self._hear(line, handshake), self.step_limit)
            await self._answer(line, handshake, applicant)
        except (OSError, EOFError, TrustError, asyncio.TimeoutError) as error:
            why = error if isinstance(error, TrustError) else "its connection is gone"
            self._fail(
                f"the PC at {line.address} knew the code, and has not joined ({why}): the code is void"
            )
        except MultirigError as error:  # its certificate cannot be kept here
            if self._end is not None and not self._end.done():
                self._end.set_exception(error)

    async def _prove(self, line: Line) -> Handshake | None:
        """Return the conversation with a PC that knows the code, which is used up then; None: it does not."""
        handshake = Handshake(Side.LAB, self._code)
        greeting = await line.receive(Kind.GREETING)
        if not await self._is_free(line):
            return None
        try:
            handshake.take_greeting(greeting)
        except TrustError:
            await line.refuse(Why.LANGUAGE)
            return None
        await line.send(Kind.GREETING, handshake.greeting)
        proof = await line.receive(Kind.PROOF)
        if not await self._is_free(line):
            return None
        self._tries -= 1  # before it is looked at: whatever happens now, a guess was made
        try:
            handshake.check_proof(proof)
        except WrongCode:
            self._tell_of_wrong(line.address)
            await line.refuse(Why.WRONG)
            return None
        self._is_taken = True
        await line.send(Kind.PROOF, handshake.proof)
        return handshake

    async def _is_free(self, line: Line) -> bool:
        if self._is_taken or self._tries <= 0:
            await line.refuse(Why.BUSY if self._is_taken else Why.OVER)
            return False
        return True

    def _tell_of_wrong(self, address: str) -> None:
        if self._tries > 0:
            left = "one more try" if self._tries == 1 else f"{self._tries} more tries"
            self._tell(f"a wrong code from {address}: {left}")
        else:
            self._fail(f"a wrong code from {address}, the third one: the code is void")

    def _fail(self, text: str) -> None:
        if self._end is not None and not self._end.done():
            self._end.set_exception(Void(text))

    async def _hear(self, line: Line, handshake: Handshake) -> Applicant:
        word = handshake.open(await line.receive(Kind.SEALED))
        try:
            name, key = word["name"], bytes.fromhex(word["key"])
        except (LookupError, TypeError, ValueError):
            raise TrustError("it does not say who it is") from None
        if not isinstance(name, str) or len(key) != KEY_BYTES:
            raise TrustError("it does not say who it is")
        try:
            return Applicant(check_name(name), line.address, key)
        except TrustError as error:
            await self._give(line, handshake, {"refused": clean(str(error))})
            raise TrustError("its name cannot be shown") from None

    async def _answer(self, line: Line, handshake: Handshake, applicant: Applicant) -> None:
        """Ask the person, and give the PC its certificate, or word that it may not join."""
        lab_key = self._lab_key
        try:
            self._ring.check_may_join(lab_key.lab, applicant.key, applicant.name)
        except TrustError as error:
            await self._give(line, handshake, {"refused": str(error)})
            raise
        try:
            role = await asyncio.wait_for(self._decide(applicant), self.answer_limit)
        except asyncio.TimeoutError:
            role = None
        if role is None:
            await self._give(line, handshake, {"refused": "the person at the lab's PC did not let it in"})
            if self._end is not None and not self._end.done():
                self._end.set_result(None)
            return
        try:
            certificate = await asyncio.to_thread(
                self._ring.certify, lab_key, applicant.key, applicant.name, role
            )
        except TrustError as error:
            await self._give(line, handshake, {"refused": str(error)})
            raise
        shut_out = self._ring.register(lab_key.lab).shut_out
        given = {
            "lab": give_lab(lab_key.lab),
            "certificate": give_signed(certificate),
            "shut_out": give_signed(shut_out),
        }
        await self._give(line, handshake, given)
        try:
            kept = handshake.open(await asyncio.wait_for(line.receive(Kind.SEALED), self.step_limit))
        except (OSError, EOFError, asyncio.TimeoutError, Refused):
            kept = {}  # its last word may be lost, and its certificate there all the same
            self._tell(f"{applicant.name} has not said whether it keeps its certificate: look at its screen")
        if (why := kept.get("refused")) is not None:
            raise TrustError(clean(str(why), LONG_NAME))
        if self._end is not None and not self._end.done():
            self._end.set_result(certificate)

    async def _give(self, line: Line, handshake: Handshake, word: dict[str, Any]) -> None:
        await line.send(Kind.SEALED, handshake.seal(word))
