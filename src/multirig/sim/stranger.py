"""A stranger in a lab with keys: hears all that passes, and sends what it has recorded or made up."""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from multirig.protocol.events import SECOND, Address
from multirig.protocol.frames import VERSION
from multirig.sim.world import Clock, Computer, World
from multirig.trust import packets

NAME = "stranger"
PLACE = Address("udp", "10.0.9.9", 4444)
MEMORY = 60
"""Datagrams of each kind that it still has."""
FAR_AHEAD = 10**9
"""Of numbers that it makes up."""
_MARK = bytes([packets.MARK])


class _Heard(NamedTuple):
    data: bytes
    source: Address
    target: Address


class _Place(Computer):
    """Where it is reached."""

    def receive(self, data: bytes, source: Address) -> None:
        """Take no notice: whoever counts the bytes does so where they leave."""


class Stranger:
    """Whoever has a place in the network, and no key.

    PCs without keys have to believe whatever comes, so it leaves them alone. It knows all boot ids and the
    lab's public key, which are no secrets. What has not arrived it does not send: whoever can keep datagrams
    back and bring them himself is a way, and a bad one.

    Parameters
    ----------
    world : World
    victims : mapping of str to Computer
        Those that have keys, by name.
    lab : bytes
        The lab's public key.
    """

    def __init__(self, world: World, victims: Mapping[str, Computer], lab: bytes) -> None:
        self._world = world
        self._victims = dict(victims)
        self._lab = lab
        self._dice = random.Random(f"{world.seed}/{NAME}")
        self._taken: deque[_Heard] = deque(maxlen=MEMORY)
        """What was sealed, and was taken."""
        self._greetings: deque[_Heard] = deque(maxlen=MEMORY)
        """Hellos, answers and proofs, and greetings that hold hellos."""
        self._until = 0
        self._every = SECOND
        self._aim: Computer | None = None
        self._ticks = False
        self.sent: dict[str, int] = {}
        """Bytes that have come to each PC from its own address."""
        world.listen(PLACE, _Place(world, NAME, PLACE, Clock()))
        world.ears.append(self._overhear)

    def begin(self, who: str, lasts: int, rate: float) -> None:
        """Trouble a PC, and some others now and then.

        Parameters
        ----------
        who : str
            Its name; one without a key is spared, and the others are not.
        lasts : int
            Nanoseconds.
        rate : float
            Datagrams a second.
        """
        self._aim = self._victims.get(who, self._aim)
        self._until = max(self._until, self._world.time + lasts)
        self._every = int(SECOND / rate)
        if not self._ticks:
            self._ticks = True
            self._world.after(0, self._tick)

    # -- what it hears ------------------------------------------------------------------------------------

    def note_taken(self, data: bytes, source: Address, by: Computer) -> None:
        """Record what was sealed and has been taken."""
        if source.host != PLACE.host:
            self._taken.append(_Heard(data, source, by.address))

    def _overhear(self, data: bytes, source: Address, target: Address) -> None:
        if source.host == PLACE.host or (data[:1] == _MARK and data[1] == packets.SEALED):
            return
        if (data[:1] == _MARK or b'"hello"' in data) and self._is_keyed(target):
            self._greetings.append(_Heard(data, source, target))

    def _is_keyed(self, address: Address) -> bool:
        return self._world.computers[address.host].name in self._victims

    # -- what it does ---------------------------------------------------------------------------------------

    def _tick(self) -> None:
        dice = self._dice
        if self._world.time >= self._until:
            self._ticks = False
            return
        self._world.after(int(self._every * dice.expovariate(1.0)) + 1, self._tick)
        aim = self._aim
        if aim is None or dice.random() < 0.3:
            aim = self._victims[dice.choice(sorted(self._victims))]
        others = sorted(name for name in self._victims if name != aim.name)
        other = self._victims[dice.choice(others)] if others else aim
        deed: Callable[[Computer, Computer], Iterator[tuple[bytes, Address, Computer]]] = dice.choice(DEEDS)(
            self
        )
        for data, source, target in deed(aim, other):
            if self._world.forge(data, source, target.address) and source == PLACE:
                self.sent[target.name] = self.sent.get(target.name, 0) + len(data)

    def _anywhere(self, other: Computer) -> Address:
        """Return its own address, or another one, in whose name it sends."""
        return PLACE if self._dice.random() < 0.5 else other.address

    def send_again(self, aim: Computer, other: Computer) -> Iterator[tuple[bytes, Address, Computer]]:
        """Send what was taken, to whoever has taken it, to others, and back to whom it came from."""
        heard = self._pick(self._taken, aim)
        if heard is None:
            return
        source = self._dice.choice((heard.source, PLACE))
        target = self._world.computers[heard.target.host]
        match self._dice.randrange(4):
            case 0 | 1:
                yield heard.data, source, target
            case 2:
                yield heard.data, source, other
            case 3:
                yield from self._turn_back(heard)

    def _turn_back(self, heard: _Heard) -> Iterator[tuple[bytes, Address, Computer]]:
        """Send the newest of the same way back to whom it came from.

        It goes as it was, and under the name by which that one is called.
        """
        way = heard.source.host, heard.target.host
        newest = next(one for one in reversed(self._taken) if (one.source.host, one.target.host) == way)
        back = (one.data for one in reversed(self._taken) if (one.target.host, one.source.host) == way)
        sender = self._world.computers[heard.source.host]
        source = self._dice.choice((heard.target, PLACE))
        yield newest.data, source, sender
        if (other := next(back, None)) is not None:
            end = 2 + packets.INDEX
            yield newest.data[:2] + other[2:end] + newest.data[end:], source, sender

    def greet_again(self, aim: Computer, other: Computer) -> Iterator[tuple[bytes, Address, Computer]]:
        """Send a hello, an answer or a proof once more, and to others."""
        heard = self._pick(self._greetings, aim)
        if heard is not None:
            source = self._dice.choice((heard.source, PLACE))
            target = self._world.computers[heard.target.host]
            yield heard.data, source, target if self._dice.random() < 0.7 else other

    def forge_frame(self, aim: Computer, other: Computer) -> Iterator[tuple[bytes, Address, Computer]]:
        """Speak in the name of another program, without a seal: with numbers far ahead, or wrong times."""
        to = aim.node.boot if aim.node is not None else "0" * 16
        boot = other.node.boot if other.node is not None else "1" * 16
        number = FAR_AHEAD + self._dice.randrange(FAR_AHEAD)
        now = self._dice.randrange(2**40)
        frames: tuple[dict[str, object], ...] = (
            {"n": number, "low": number, "m": [2, "2024-05-06_9_x"]},
            {"n": number, "low": number, "m": [4, "2024-05-06_1_SP_01"]},
            {"beat": number, "m": [32, "recording"]},
            {"ack": [*range(1, 60)]},
            {"n": number, "re": self._dice.randrange(1, 9), "m": [2, "2024-05-06_9_x"]},
            {"t": [now, now + 5, now + 9]},
            {"who": 1},
            {"here": 1, "parts": 1000},
            {"boot": "f" * 16},
        )
        frame = {"multirig": VERSION, "boot": boot, "to": to, **self._dice.choice(frames)}
        yield json.dumps(frame).encode(), self._anywhere(other), aim

    def forge_words(self, aim: Computer, other: Computer) -> Iterator[tuple[bytes, Address, Computer]]:
        """Say on wire 1.0 what only its lab may say."""
        words: tuple[list[object], ...] = (
            [16, {"take_over": True}],
            [2, "2024-05-06_9_x"],
            [4],
            [64],
            [64, 0, {"exp_ref": None, "multirig": {"wire": 2, "boot": "f" * 16, "name": "x"}}],
            [0, "an error of a stranger", 64],
            [32, "recording"],
        )
        yield json.dumps(self._dice.choice(words)).encode(), self._anywhere(other), aim

    def say_lost(self, aim: Computer, other: Computer) -> Iterator[tuple[bytes, Address, Computer]]:
        """Say that a channel is not known where it leads to."""
        heard = self._pick(self._taken, aim)
        if heard is not None:
            source = self._dice.choice((heard.target, PLACE))
            lost = packets.pack_lost(heard.data[2 : 2 + packets.INDEX])
            yield lost, source, self._world.computers[heard.source.host]

    def say_hello(self, aim: Computer, other: Computer) -> Iterator[tuple[bytes, Address, Computer]]:
        """Say hello as somebody would who knows of the lab, or does not; long, short or in a greeting."""
        lab = self._lab if self._dice.random() < 0.6 else self._dice.randbytes(32)
        hello = packets.pack_hello(self._dice.randbytes(packets.INDEX), self._dice.randbytes(32), [lab])
        match self._dice.randrange(3):
            case 0:
                data = hello.ljust(packets.HELLO_SIZE, b"\0")
            case 1:
                data = hello
            case _:
                about = {"wire": VERSION, "boot": "f" * 16, "hello": packets.to_text(hello)}
                data = json.dumps([64, 0, {"multirig": about}]).encode()
        yield data, self._anywhere(other), aim

    def damage(self, aim: Computer, other: Computer) -> Iterator[tuple[bytes, Address, Computer]]:
        """Send what was recorded with a part missing or changed."""
        heard = self._pick(self._taken if self._dice.random() < 0.7 else self._greetings, aim)
        if heard is None:
            return
        data, dice = bytearray(heard.data), self._dice
        match dice.randrange(4):
            case 0:
                del data[dice.randrange(len(data)) :]
            case 1:
                data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
            case 2:  # a number far ahead
                data[10:14] = b"\0\0\0\1"
            case 3:  # a probe of the clock, or nothing that is known
                data[1:2] = dice.choice((b"\x11", b"\x12", b"\x13", b"\x99"))
        if data and bytes(data) != heard.data:
            yield bytes(data), dice.choice((heard.source, PLACE)), self._world.computers[heard.target.host]

    def _pick(self, heard: deque[_Heard], aim: Computer) -> _Heard | None:
        """Return something that it has heard, more likely of whom it troubles."""
        if not heard:
            return None
        for _ in range(4):
            one = heard[self._dice.randrange(len(heard))]
            if aim.address.host in (one.source.host, one.target.host):
                break
        return one


DEEDS = (
    lambda one: one.send_again,
    lambda one: one.send_again,
    lambda one: one.greet_again,
    lambda one: one.forge_frame,
    lambda one: one.forge_words,
    lambda one: one.say_lost,
    lambda one: one.say_hello,
    lambda one: one.damage,
)
"""What it may do next, each as likely as the others."""
