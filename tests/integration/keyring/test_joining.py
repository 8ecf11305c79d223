"""A PC joins a lab over a real connection, and what others may try meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from multirig.errors import ConfigError, MultirigError, RigUnreachable, TrustError
from multirig.keyring import Keyring
from multirig.keyring.files import give_lab, give_signed
from multirig.keyring.joining.asking import join
from multirig.keyring.joining.frames import MAX_FRAME, Kind, Line, Refused, Why
from multirig.keyring.joining.handshake import PROTOCOL, Handshake, Side, WrongCode
from multirig.keyring.joining.offer import Applicant, Offer, Void
from multirig.trust.certificate import LabKey
from multirig.trust.roles import Role

CODE = "042917"
WRONG = "111111"
HERE = "127.0.0.1"


class LabPc(contextlib.AbstractAsyncContextManager["LabPc"]):
    """The PC with the lab's key, and the person in front of it, who says what is in `answer`."""

    def __init__(self, folder: Path) -> None:
        self.ring = Keyring(folder / "lab")
        self.ring.make_own_key("office")
        self.key: LabKey = self.ring.make_lab_key("mylab")
        own = self.ring.read()
        assert own is not None
        self.ring.add(self.key.lab, self.ring.certify(self.key, own.public, "office", Role.LEAD))
        self.lines: list[str] = []
        self.asked: list[Applicant] = []
        self.answer: Role | None = Role.RIG
        self.thinking: Callable[[], Awaitable[Any]] = lambda: asyncio.sleep(0)
        self.offer = Offer(
            self.ring, self.key, CODE, decide=self._decide, tell=self.lines.append, host=HERE, port=0
        )
        self.end: asyncio.Future[Any] | None = None

    async def _decide(self, applicant: Applicant) -> Role | None:
        self.asked.append(applicant)
        await self.thinking()
        return self.answer

    async def show(self) -> int:
        """Show the code, and return the port."""
        await self.offer.open()
        self.end = asyncio.ensure_future(self.offer.wait())
        await asyncio.sleep(0)
        return self.offer.port

    @property
    def names(self) -> list[str]:
        return sorted(one.name for one in self.ring.register(self.key.lab).certificates)

    async def __aexit__(self, *_: object) -> None:
        if self.end is not None:
            await self.offer.close()
            await asyncio.wait([self.end])
            if not self.end.cancelled():
                self.end.exception()


@pytest.fixture
def lab_pc(tmp_path: Path) -> LabPc:
    return LabPc(tmp_path)


@pytest.fixture
def new(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "new")


@contextlib.asynccontextmanager
async def connect(port: int, source: str = HERE) -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection(HERE, port, local_addr=(source, 0))
    line = Line(reader, writer)
    try:
        yield line
    finally:
        await line.close()


async def prove(line: Line, code: str) -> Handshake:
    """Speak as a new PC does, until both have proved that they know the code."""
    handshake = Handshake(Side.NEW, code)
    await line.send(Kind.GREETING, handshake.greeting)
    handshake.take_greeting(await line.receive(Kind.GREETING))
    await line.send(Kind.PROOF, handshake.proof)
    handshake.check_proof(await line.receive(Kind.PROOF))
    return handshake


# -- as it is meant ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", Role)
async def test_a_pc_that_knows_the_code_joins_as_what_the_person_says(
    lab_pc: LabPc, new: Keyring, role: Role
) -> None:
    lab_pc.answer = role
    membership = await join(HERE, await lab_pc.show(), CODE, new, "video")
    assert lab_pc.end is not None
    certificate = await lab_pc.end
    assert (certificate.name, certificate.role) == ("video", role)
    keys = new.read()
    assert keys is not None
    assert keys.memberships == (membership,)
    assert membership.certificate == certificate
    assert membership.lab == lab_pc.key.lab
    assert [(one.name, one.address) for one in lab_pc.asked] == [("video", HERE)]
    assert lab_pc.names == ["office", "video"]
    assert lab_pc.lines == []


async def test_a_pc_gets_the_list_of_those_that_are_shut_out(lab_pc: LabPc, new: Keyring) -> None:
    made = lab_pc.ring.shut_out(lab_pc.key, ["0" * 16])
    membership = await join(HERE, await lab_pc.show(), CODE, new, "video")
    assert membership.shut_out == made


async def test_a_pc_that_joins_again_keeps_its_key_and_gets_a_new_certificate(
    lab_pc: LabPc, new: Keyring
) -> None:
    first = await join(HERE, await lab_pc.show(), CODE, new, "video")
    lab_pc.answer = Role.LOOK
    again = Offer(
        lab_pc.ring, lab_pc.key, CODE, decide=lab_pc._decide, tell=lab_pc.lines.append, host=HERE, port=0
    )
    await again.open()
    second, _ = await asyncio.gather(join(HERE, again.port, CODE, new, "video2"), again.wait())
    assert second.certificate.key == first.certificate.key
    assert (second.certificate.name, second.certificate.role) == ("video2", Role.LOOK)
    assert lab_pc.names == ["office", "video2"]


async def test_the_person_may_say_no(lab_pc: LabPc, new: Keyring) -> None:
    lab_pc.answer = None
    with pytest.raises(TrustError, match="did not let it in"):
        await join(HERE, await lab_pc.show(), CODE, new, "video")
    assert lab_pc.end is not None
    assert await lab_pc.end is None
    assert lab_pc.names == ["office"]
    assert not new.is_known(lab_pc.key.lab)


async def test_nobody_answers_and_the_pc_is_told(lab_pc: LabPc, new: Keyring) -> None:
    lab_pc.offer.answer_limit = 0.05
    lab_pc.thinking = asyncio.Event().wait
    with pytest.raises(TrustError, match="did not let it in"):
        await join(HERE, await lab_pc.show(), CODE, new, "video")


async def test_the_code_ends_while_somebody_is_asked_and_the_answer_counts(
    lab_pc: LabPc, new: Keyring
) -> None:
    lab_pc.offer.holds = 0.1
    lab_pc.thinking = lambda: asyncio.sleep(0.4)
    await join(HERE, await lab_pc.show(), CODE, new, "video")
    assert lab_pc.names == ["office", "video"]


async def test_nobody_comes_and_the_code_is_void(lab_pc: LabPc, new: Keyring) -> None:
    lab_pc.offer.holds = 0.05
    port = await lab_pc.show()
    assert lab_pc.end is not None
    with pytest.raises(
        Void, match=r"nobody has joined within .*: the code is void; multirig key add shows another"
    ):
        await lab_pc.end
    with pytest.raises(RigUnreachable, match="run multirig key add on the PC with the lab's key"):
        await join(HERE, port, CODE, new, "video")
    assert new.read() is None


async def test_a_port_that_is_taken_is_told(lab_pc: LabPc) -> None:
    port = await lab_pc.show()
    second = Offer(lab_pc.ring, lab_pc.key, CODE, decide=lab_pc._decide, tell=print, host=HERE, port=port)
    with pytest.raises(ConfigError, match=f"TCP port {port} of this PC cannot be listened at"):
        await second.open()


async def test_the_pc_goes_away_after_the_code_was_right(lab_pc: LabPc, new: Keyring) -> None:
    port = await lab_pc.show()
    async with connect(port) as line:
        await prove(line, CODE)
    assert lab_pc.end is not None
    with pytest.raises(Void, match=r"knew the code, and has not joined \(its connection is gone\)"):
        await lab_pc.end
    assert lab_pc.names == ["office"]


async def test_the_pc_goes_away_before_it_has_said_that_it_keeps_its_certificate(lab_pc: LabPc) -> None:
    port = await lab_pc.show()
    async with connect(port) as line:
        handshake = await prove(line, CODE)
        await line.send(Kind.SEALED, handshake.seal({"name": "video", "key": "05" * 32}))
        assert "certificate" in handshake.open(await line.receive(Kind.SEALED))
    assert lab_pc.end is not None
    assert (await lab_pc.end).name == "video"
    assert lab_pc.lines == ["video has not said whether it keeps its certificate: look at its screen"]


async def test_what_cannot_be_kept_is_told_on_both_sides(lab_pc: LabPc, new: Keyring) -> None:
    new.make_own_key("video")
    if sys.platform == "win32":
        pytest.skip("Windows keeps rights in lists")
    port = await lab_pc.show()
    new.folder.chmod(0o777)
    with pytest.raises(ConfigError, match="keys do not lie safely there"):
        await join(HERE, port, CODE, new, "video")
    assert lab_pc.end is not None
    with pytest.raises(Void):
        await lab_pc.end


# -- who guesses ---------------------------------------------------------------------------------------------


@pytest.mark.attack
async def test_three_wrong_codes_make_it_void(lab_pc: LabPc, new: Keyring) -> None:
    port = await lab_pc.show()
    for _ in range(3):
        with pytest.raises(WrongCode, match="the code is wrong"):
            await join(HERE, port, WRONG, new, "video")
    assert lab_pc.end is not None
    with pytest.raises(Void, match="the third one: the code is void"):
        await lab_pc.end
    assert lab_pc.lines == [
        f"a wrong code from {HERE}: 2 more tries",
        f"a wrong code from {HERE}: one more try",
    ]
    with pytest.raises(MultirigError):
        await join(HERE, port, CODE, new, "video")
    assert (lab_pc.asked, lab_pc.names, new.read()) == ([], ["office"], None)


@pytest.mark.attack
async def test_the_tries_are_for_all_connections_together(lab_pc: LabPc) -> None:
    """Each has got a greeting, and all guess at once."""
    lab_pc.offer._came.clear()
    port = await lab_pc.show()
    sources = [HERE] if sys.platform != "linux" else [f"127.0.0.{number}" for number in range(2, 6)]

    async def guess(source: str, code: str, ready: list[str]) -> object:
        async with connect(port, source) as line:
            handshake = Handshake(Side.NEW, code)
            await line.send(Kind.GREETING, handshake.greeting)
            handshake.take_greeting(await line.receive(Kind.GREETING))
            ready.append(code)
            while len(ready) < len(wrong):
                await asyncio.sleep(0.001)
            await line.send(Kind.PROOF, handshake.proof)
            return await line.receive(Kind.PROOF)

    wrong = [(source, f"{number}{number}1111") for source in sources for number in (1, 2)]
    ready: list[str] = []
    found = await asyncio.gather(*(guess(*one, ready) for one in wrong), return_exceptions=True)
    judged = [one for one in found if isinstance(one, Refused) and one.why is Why.WRONG]
    assert len(judged) == min(3, len(wrong))
    assert not any(isinstance(one, bytes) for one in found)
    if len(wrong) > 3:
        assert lab_pc.end is not None
        with pytest.raises(Void):
            await lab_pc.end


@pytest.mark.attack
async def test_who_breaks_off_before_a_guess_learns_nothing_and_costs_no_try(
    lab_pc: LabPc, new: Keyring
) -> None:
    port = await lab_pc.show()
    for _ in range(5):
        async with connect(port) as line:
            handshake = Handshake(Side.NEW, WRONG)
            await line.send(Kind.GREETING, handshake.greeting)
            answer = await line.receive(Kind.GREETING)
            assert len(answer) == len(PROTOCOL) + 33  # a point, which fits every code alike; no proof
    assert lab_pc.lines == []
    await join(HERE, port, CODE, new, "video")


@pytest.mark.attack
async def test_what_speaks_another_language_costs_no_try(lab_pc: LabPc, new: Keyring) -> None:
    port = await lab_pc.show()
    for data in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"",
        b"\xff" * 100,
        struct.pack(">HB", 1, 1),
        struct.pack(">H", 0),
        struct.pack(">HB", MAX_FRAME, 1),
        struct.pack(">HB", 50, 1) + b"multirig join 2\n" + b"A" * 33,
        struct.pack(">HB", 50, 1) + PROTOCOL + b"A" + b"\0" * 32,
        struct.pack(">HB", 33, 2) + b"0" * 32,
    ):
        reader, writer = await asyncio.open_connection(HERE, port)
        writer.write(data)
        if writer.can_write_eof():
            writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 5)
        assert len(answer) <= 4  # as much as it takes to say no
        writer.close()
    await join(HERE, port, CODE, new, "video")
    assert lab_pc.lines == []


@pytest.mark.attack
async def test_who_only_holds_connections_open_keeps_nobody_out(lab_pc: LabPc, new: Keyring) -> None:
    if sys.platform != "linux":
        pytest.skip("a second address of this PC is needed")
    lab_pc.offer.step_limit = 0.4
    port = await lab_pc.show()
    async with contextlib.AsyncExitStack() as stack:
        held = [await stack.enter_async_context(connect(port, "127.0.0.2")) for _ in range(6)]
        refused = 0
        for line in held[2:]:
            with pytest.raises(Refused) as caught:
                await line.receive(Kind.GREETING)
            refused += caught.value.why is Why.BUSY
        assert refused == 4
        await join(HERE, port, CODE, new, "video")


@pytest.mark.attack
async def test_a_silent_connection_is_closed_in_time(lab_pc: LabPc) -> None:
    lab_pc.offer.step_limit = 0.1
    port = await lab_pc.show()
    async with connect(port) as line:
        with pytest.raises(EOFError):
            await asyncio.wait_for(line.receive(Kind.GREETING), 5)


@pytest.mark.attack
async def test_of_two_that_know_the_code_one_joins(lab_pc: LabPc, tmp_path: Path) -> None:
    lab_pc.thinking = lambda: asyncio.sleep(0.3)
    port = await lab_pc.show()
    rings = [Keyring(tmp_path / name) for name in ("one", "two")]
    found = await asyncio.gather(
        *(join(HERE, port, CODE, ring, ring.folder.name) for ring in rings), return_exceptions=True
    )
    failed = [one for one in found if isinstance(one, TrustError)]
    assert len(failed) == 1
    assert "another PC is joining with that code" in str(failed[0])
    assert len(lab_pc.asked) == 1
    assert lab_pc.names in (["office", "one"], ["office", "two"])


# -- who sits between ----------------------------------------------------------------------------------------


class Between(contextlib.AbstractAsyncContextManager["Between"]):
    """A relay on the way from the new PC to the lab's, which does with each frame what it likes."""

    def __init__(self, change: Callable[[Side, int, bytes], bytes]) -> None:
        self.change = change
        self.seen = b""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def listen(self, port: int) -> int:
        async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there_reader, there_writer = await asyncio.open_connection(HERE, port)
            self._writers += [writer, there_writer]
            pairs = ((Side.NEW, reader, there_writer), (Side.LAB, there_reader, writer))
            for one in pairs:
                task = asyncio.ensure_future(self._pass(*one))
                self._tasks.add(task)

        self._server = await asyncio.start_server(meet, HERE, 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _pass(self, side: Side, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):
            for number in range(10):
                (length,) = struct.unpack(">H", await reader.readexactly(2))
                frame = await reader.readexactly(length)
                self.seen += frame
                frame = self.change(side, number, frame)
                writer.write(struct.pack(">H", len(frame)) + frame)
                await writer.drain()
        writer.close()

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@pytest.mark.attack
async def test_who_listens_between_sees_neither_name_nor_key_nor_code(lab_pc: LabPc, new: Keyring) -> None:
    between = Between(lambda side, number, frame: frame)
    async with between:
        port = await between.listen(await lab_pc.show())
        membership = await join(HERE, port, CODE, new, "video-pc-of-the-lab")
    told = (b"video-pc", b"mylab", CODE.encode(), membership.certificate.key, membership.lab.key)
    for one in (*told, membership.certificate.key.hex().encode()):
        assert one not in between.seen
    assert len(between.seen) > 500


@pytest.mark.attack
async def test_who_sits_between_and_guesses_gets_nothing_and_costs_a_try_on_each_side(
    lab_pc: LabPc, new: Keyring
) -> None:
    """It speaks with each as the other one would, with a code that it guesses."""
    to_new, to_lab = Handshake(Side.LAB, WRONG), Handshake(Side.NEW, WRONG)
    seen: list[tuple[Side, int]] = []

    def change(side: Side, number: int, frame: bytes) -> bytes:
        seen.append((side, number))
        kind, ours, partner = frame[:1], to_lab, to_new
        if side is Side.LAB:
            ours, partner = to_new, to_lab
        if frame[0] == Kind.GREETING:
            partner.take_greeting(frame[1:])
            return kind + ours.greeting
        return kind + ours.proof if frame[0] == Kind.PROOF and ours._shared else frame

    async with Between(change) as between:
        port = await between.listen(await lab_pc.show())
        with pytest.raises(WrongCode):
            await join(HERE, port, CODE, new, "video")
    assert lab_pc.lines == [f"a wrong code from {HERE}: 2 more tries"]
    assert (lab_pc.asked, new.read()) == ([], None)
    assert not any(number > 1 for _, number in seen)  # a greeting and a proof: no word was given


@pytest.mark.attack
async def test_what_answers_without_the_code_is_given_nothing(new: Keyring) -> None:
    """It says that all is well, and waits for the name and the key."""
    heard: list[bytes] = []

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, handshake = Line(reader, writer), Handshake(Side.LAB, WRONG)
        handshake.take_greeting(await line.receive(Kind.GREETING))
        await line.send(Kind.GREETING, handshake.greeting)
        await line.receive(Kind.PROOF)
        await line.send(Kind.PROOF, b"0" * 32)
        with contextlib.suppress(EOFError):
            heard.append(await line.receive(Kind.SEALED))
        await line.close()

    async with await asyncio.start_server(meet, HERE, 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(WrongCode, match="does not know the code: nothing was given to it"):
            await join(HERE, port, CODE, new, "video")
        await asyncio.sleep(0.05)
    assert heard == []
    assert new.read() is None


@pytest.mark.attack
@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("number", range(4))
async def test_a_byte_that_is_changed_on_the_way_lets_nobody_join(
    lab_pc: LabPc, new: Keyring, side: Side, number: int
) -> None:
    changed = []

    def change(from_: Side, at: int, frame: bytes) -> bytes:
        if (from_, at) != (side, number):
            return frame
        changed.append(frame)
        return frame[:20] + bytes([frame[20] ^ 4]) + frame[21:]

    async with Between(change) as between:
        port = await between.listen(await lab_pc.show())
        joined: object = None
        try:
            joined = await asyncio.wait_for(join(HERE, port, CODE, new, "video"), 15)
        except MultirigError as error:
            joined = error
    if side is Side.NEW and number == 3:  # the last word, after the certificate: it is kept
        assert not isinstance(joined, Exception)
    elif changed:
        assert isinstance(joined, MultirigError)
        assert not new.is_known(lab_pc.key.lab)
    else:  # the lab's PC has three frames
        assert (side, number) == (Side.LAB, 3)


# -- who knows the code, and means harm all the same ---------------------------------------------------------

HOSTILE = [
    "\x1b[2Jvideo",
    "video\nmylab",
    "video\u202eoffice",
    "\u200fvideo",
    "video\u2028",
    "x" * 65,
    "",
    " video",
    "\ud800",
    "\0",
    7,
    None,
    ["video"],
]


@pytest.mark.attack
@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
async def test_a_name_that_would_forge_the_screen_is_never_shown(lab_pc: LabPc, name: object) -> None:
    port = await lab_pc.show()
    async with connect(port) as line:
        handshake = await prove(line, CODE)
        await line.send(
            Kind.SEALED, handshake.seal({"name": name, "key": "00" * 32}) if name != "\ud800" else b"0" * 30
        )
        with contextlib.suppress(EOFError):
            refused = handshake.open(await line.receive(Kind.SEALED))
            assert refused["refused"].isprintable()
    assert lab_pc.end is not None
    with pytest.raises(Void, match="knew the code, and has not joined") as caught:
        await lab_pc.end
    assert str(caught.value).isprintable()
    assert (lab_pc.asked, lab_pc.names) == ([], ["office"])


@pytest.mark.attack
async def test_a_certificate_of_another_key_or_lab_is_not_kept(lab_pc: LabPc, new: Keyring) -> None:
    forger = LabKey("mylab", b"\7" * 32)
    other = lab_pc.key.certify(b"\3" * 32, "video", Role.LEAD, now=0)

    async def offer(given: Callable[[bytes], dict[str, Any]]) -> None:
        async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            line, handshake = Line(reader, writer), Handshake(Side.LAB, CODE)
            with contextlib.suppress(OSError, EOFError, TrustError):
                handshake.take_greeting(await line.receive(Kind.GREETING))
                await line.send(Kind.GREETING, handshake.greeting)
                handshake.check_proof(await line.receive(Kind.PROOF))
                await line.send(Kind.PROOF, handshake.proof)
                told = handshake.open(await line.receive(Kind.SEALED))
                await line.send(Kind.SEALED, handshake.seal(given(bytes.fromhex(told["key"]))))
                handshake.open(await line.receive(Kind.SEALED))
            await line.close()

        async with await asyncio.start_server(meet, HERE, 0) as server:
            with pytest.raises(TrustError) as caught:
                await join(HERE, server.sockets[0].getsockname()[1], CODE, new, "video")
            assert str(caught.value).isprintable()
            await asyncio.sleep(0.01)

    def forge(key: bytes) -> dict[str, Any]:
        made = forger.certify(key, "video", Role.LEAD, now=0)
        return {"lab": give_lab(lab_pc.key.lab), "certificate": give_signed(made)}

    lab = give_lab(lab_pc.key.lab)
    await offer(forge)
    await offer(lambda key: {"lab": lab, "certificate": give_signed(other)})
    await offer(lambda key: {"lab": lab})
    await offer(lambda key: {"lab": {"name": "\x1b[2J", "key": "00" * 32}, "certificate": give_signed(other)})
    await offer(lambda key: {"refused": "\x1b[2J\u202e" * 1000})
    await offer(lambda key: {})
    keys = new.read()
    assert keys is not None
    assert keys.memberships == ()


async def test_a_key_that_was_shut_out_joins_no_more_and_a_new_one_does(lab_pc: LabPc, new: Keyring) -> None:
    port = await lab_pc.show()
    first = await join(HERE, port, CODE, new, "video")
    lab_pc.ring.shut_out(lab_pc.key, [first.certificate.id])

    async def again(**options: Any) -> Any:
        offer = Offer(lab_pc.ring, lab_pc.key, CODE, decide=lab_pc._decide, tell=print, host=HERE, port=0)
        await offer.open()
        found = await asyncio.gather(
            join(HERE, offer.port, CODE, new, "video", **options), offer.wait(), return_exceptions=True
        )
        return found[0]

    asked = len(lab_pc.asked)
    refused = await again()
    assert len(lab_pc.asked) == asked, "nobody is asked what it may do"
    assert isinstance(refused, TrustError)
    assert "has a key that was shut out" in str(refused)
    assert "multirig key join --new-key" in str(refused)
    second = await again(is_new=True)
    assert second.certificate.id != first.certificate.id
    assert second.shut_out is not None
    assert second.shut_out.keys == {first.certificate.id}


async def test_nobody_answers_at_an_address(new: Keyring) -> None:
    with socket.socket() as one:
        one.bind((HERE, 0))
        port = one.getsockname()[1]
    with pytest.raises(RigUnreachable, match=f"nobody answers at {HERE}, TCP port {port}") as why:
        await join(HERE, port, CODE, new, "video")
    assert "Connect call" not in str(why.value)
    assert str(why.value).count(HERE) == 1
    with pytest.raises(RigUnreachable):
        await join("no.such.pc.invalid", 11002, CODE, new, "video")
    with pytest.raises(RigUnreachable):
        await join("x" * 300, 11002, CODE, new, "video")
