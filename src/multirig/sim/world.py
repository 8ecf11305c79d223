"""The false lab: virtual time, PCs with clocks of their own, and a network that loses, copies and delays."""

from __future__ import annotations

import functools
import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from multirig.keyring.door import Access
from multirig.protocol.events import SECOND, Address, Received
from multirig.protocol.node import Node
from multirig.runtime import Runtime
from multirig.sim.facts import Asked, ClockJumped, Died, Fact, Restarted
from multirig.sim.keys import be_open
from multirig.sim.loop import Restless, VirtualLoop, make_loop
from multirig.transports.base import Receiver, Transport

CLOSED = "nothing listens there"
NO_WAY = "no way there (network is unreachable): check the network and the address"
"""What a system says whose network is away."""
SILENCE = 2 * SECOND
"""After so long without an answer, it is asked anew where a name leads."""
MAX_EVENTS = 200_000
"""Within a second, no honest world has so many: one that has does not come to rest."""


def overhear(machine: Any, see: Mapping[type, Callable[[Any], None]]) -> None:
    """Stand between a program's rules and the rest of it, and change nothing.

    Parameters
    ----------
    machine : Machine
        The rules of a rig or of a conductor.
    see : mapping of type to callable
        Called with each event of that type before it is handled, and with each action or effect that comes
        of any.
    """
    handle, ring = machine.handle, getattr(machine, "handle_timer", None)

    def show(actions: Iterable[Any]) -> Iterable[Any]:
        out = list(actions)
        for one in out:
            if (look := see.get(type(one))) is not None:
                look(one)
        return out

    def handle_overheard(event: Any, now: int) -> Iterable[Any]:
        if (look := see.get(type(event))) is not None:
            look(event)
        return show(handle(event, now))

    machine.handle = handle_overheard
    if ring is not None:
        machine.handle_timer = lambda now: show(ring(now))


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """How bad a network is."""

    loss: float = 0.0
    """Part of the datagrams that never arrive."""
    copies: float = 0.0
    """Part of the datagrams that arrive twice."""
    delay: float = 0.0005
    """Seconds that each datagram takes at least."""
    jitter: float = 0.0005
    """Seconds that it takes more, on average: those that are quicker overtake."""
    late: float = 0.0
    """Part of the datagrams that take up to `late_by` seconds more."""
    late_by: float = 2.0
    longest: int = 65_507
    """Bytes of a datagram that pass; where fragments are dropped, no longer one arrives, ever."""


@dataclass(slots=True, kw_only=True)
class Clock:
    """A PC's own nanoseconds: they begin anywhere, run a little fast or slow, and may jump ahead."""

    offset: int = 0
    drift: float = 0.0
    """Parts of one by which it is fast."""

    def read(self, time: int) -> int:
        """Return what it shows."""
        return time + self.offset + int(time * self.drift)

    def until(self, at: int, time: int) -> int:
        """Return how long it is until the clock shows a time; a little less does no harm."""
        return max(0, int((at - self.read(time)) / (1 + self.drift)))


class World:
    """Virtual time, and everybody in it.

    Parameters
    ----------
    seed : int
        Of everything that chance decides on the way.
    network : Network
        How bad it is.
    """

    def __init__(self, seed: int, network: Network) -> None:
        self.seed = seed
        self.network = network
        self.time = 0
        """Nanoseconds since the beginning of the world; no program knows them."""
        self.facts: list[tuple[int, Fact]] = []
        self.counts: Counter[str] = Counter()
        self.watchers: list[Callable[[Fact], None]] = []
        """Called with everything that happens."""
        self.postmen: list[Callable[[str, str, bytes], None]] = []
        """Called with (from, to, data) of every datagram that leaves a PC."""
        self.read: Callable[[bytes], bytes] = bytes
        """Returns what is in a datagram, for who is to know."""
        self.wires: list[Callable[[str, str, bytes], None]] = []
        """Called with (from, to, data) of the same, as it can be seen on the cable."""
        self.ears: list[Callable[[bytes, Address, Address], None]] = []
        """Called with (data, from, to) of what arrives."""
        self.newcomers: list[Callable[[Computer], None]] = []
        """Called with a PC whose program has been started."""
        self.computers: dict[str, Computer] = {}
        """Every PC, by its IP address."""
        self.names: dict[Address, Address] = {}
        """Where names lead now that have led elsewhere."""
        self.cut: Counter[tuple[str, str]] = Counter()
        """(from, to) of names between which nothing passes now."""
        self._listening: dict[Address, Computer] = {}
        self._events: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._ticks = itertools.count()
        self._dice: dict[tuple[str, str], random.Random] = {}

    # -- time -------------------------------------------------------------------------------------------

    def after(self, delay: int, call: Callable[..., None], *args: Any) -> None:
        """Call something after so many nanoseconds."""
        heapq.heappush(self._events, (self.time + delay, next(self._ticks), call, args))

    def run(self, until: int) -> None:
        """Let everything happen up to a time.

        Raises
        ------
        Restless
            It does not come to rest.
        """
        events = self._events
        count = 0
        while events and events[0][0] <= until:
            self.time, _, call, args = heapq.heappop(events)
            call(*args)
            count += 1
            if count > MAX_EVENTS:
                raise Restless(f"{MAX_EVENTS} events and no end")
        self.counts["events"] += count
        self.time = until

    def note(self, fact: Fact) -> None:
        """Take down what happened, and let everybody see it."""
        self.facts.append((self.time, fact))
        for watcher in self.watchers:
            watcher(fact)

    def dice(self, *names: str) -> random.Random:
        """Return chance of one's own: what happens to others does not change it."""
        key = (names[0], names[-1])
        if key not in self._dice:
            self._dice[key] = random.Random(f"{self.seed}/{'/'.join(names)}")
        return self._dice[key]

    # -- the network ------------------------------------------------------------------------------------

    def listen(self, address: Address, computer: Computer) -> None:
        """Let a PC's program take what comes to an address."""
        self._listening[address] = computer

    def follow(self, address: Address) -> Address:
        """Return where the name leads now that has led there."""
        while (now_at := self.names.get(address)) is not None:
            address = now_at
        return address

    def is_heard(self, address: Address) -> bool:
        """Whether anybody listens there."""
        return address in self._listening

    def hang_up(self, address: Address) -> None:
        """Nobody listens there any more."""
        self._listening.pop(address, None)

    def carry(self, data: bytes, source: Address, target: Address) -> None:
        """Take a datagram to its target, late, twice or not at all."""
        sender, receiver = self.computers[source.host].name, self.computers[target.host].name
        content = self.read(data)
        for postman in self.postmen:
            postman(sender, receiver, content)
        for wire in self.wires:
            wire(sender, receiver, data)
        way = sender, receiver
        counts, network = self.counts, self.network
        counts["datagrams"] += 1
        if self.cut and self.cut[way]:
            counts["datagrams cut off"] += 1
            return
        if len(data) > network.longest:
            counts["datagrams too long"] += 1
            return
        dice = self._dice.get(way) or self.dice(*way)
        if dice.random() < network.loss:
            counts["datagrams lost"] += 1
            return
        times = 1
        if dice.random() < network.copies:
            counts["datagrams copied"] += 1
            times = 2
        for _ in range(times):
            delay = network.delay + dice.expovariate(1.0) * network.jitter
            if dice.random() < network.late:
                counts["datagrams delayed"] += 1
                delay += dice.random() * network.late_by
            self.after(int(delay * SECOND), self._deliver, data, source, target)

    def _deliver(self, data: bytes, source: Address, target: Address) -> None:
        if (computer := self._listening.get(target)) is not None:
            if computer.has_way:
                for ear in self.ears:
                    ear(data, source, target)
                computer.receive(data, source)
            return
        there = self.computers[target.host]
        is_there = there.is_on and there.has_way and there.address.host == target.host
        if is_there and there.tells_closed and not self.cut[there.name, self.computers[source.host].name]:
            self.after(int(self.network.delay * SECOND), self._tell_closed, source, target)

    def forge(self, data: bytes, source: Address, target: Address) -> bool:
        """Bring something that its source has not sent; return whether it will arrive."""
        computer = self._listening.get(target)
        if computer is None or not computer.has_way:
            return False
        self.counts["datagrams of strangers"] += 1
        self.after(0, computer.receive, Forged(data), source)
        return True

    def _tell_closed(self, source: Address, target: Address) -> None:
        if (computer := self._listening.get(source)) is not None:
            computer.hear_unreachable(target, CLOSED)


class Forged(bytes):
    """A datagram that a stranger has made, or has sent once more."""


class Computer:
    """A PC and the program on it, which runs on an event loop in virtual time.

    Parameters
    ----------
    world : World
        Where it is.
    name : str
        For the trace.
    address : Address
        Where its program is heard.
    clock : Clock
        Its own.
    tells_closed : bool
        Whether its system says so where nothing listens, as Linux does and Windows' firewall does not.
    """

    wire = 2
    """The newest that its program speaks."""
    scheme = "udp"
    """Of the addresses that its network carries; a `multirig.transports.base.Network` is what it is."""

    def __init__(
        self, world: World, name: str, address: Address, clock: Clock, *, tells_closed: bool = True
    ) -> None:
        self.world = world
        self.name = name
        self.address = address
        self.clock = clock
        self.tells_closed = tells_closed
        self.is_on = True
        """Whether the PC runs, whatever its program does."""
        self.loop: VirtualLoop | None = None
        """Of its program; None while that is dead."""
        self.node: Node | None = None
        """Of its program; None while that is dead."""
        self.lives = 0
        self.addresses = [address]
        """Every one that it has had."""
        self.has_way = True
        """Whether its network is there: where it is not, its system says so of whatever shall leave."""
        self.make_access: Callable[[int], Access] = be_open
        """Returns by what each program of it tells who is of its lab, by how many there have been."""
        self.access = self.make_access(0)
        """What it has returned to the program that runs, or ran last."""
        self._receiver: Receiver | None = None
        """Who takes what the network brings."""
        world.computers[address.host] = self

    # -- what a kind of PC adds ---------------------------------------------------------------------------

    def start(self, boot: str) -> None:
        """Begin a new program, on its loop."""
        raise NotImplementedError

    def on_death(self) -> None:
        """End what dies with the program."""

    # -- life -------------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """What the PC's own clock shows."""
        return self.clock.read(self.world.time)

    def boot(self) -> None:
        """Start the program."""
        if self.loop is not None:
            return
        self.is_on = True
        self.lives += 1
        boot = f"{self.world.dice('boot', self.name).getrandbits(64):016x}"
        if self.lives > 1:
            self.world.note(Restarted(who=self.name, boot=boot))
        self.access = self.make_access(self.lives)
        self.loop = make_loop(self)
        self.loop.run(self.start, boot)
        for see in self.world.newcomers:
            see(self)

    def die(self, *, is_on: bool = True) -> None:
        """End the program at once, or the whole PC."""
        self.is_on = is_on
        loop, self.loop = self.loop, None
        if loop is None:
            return
        self.node = self._receiver = None
        self.world.hang_up(self.address)
        loop.die()
        self.world.note(Died(who=self.name))
        self.on_death()

    def freeze(self, *, is_frozen: bool = True) -> None:
        """Let the program do nothing, as SIGSTOP or a busy system does; or take now what came then."""
        if self.loop is not None and is_frozen:
            self.loop.freeze()
        elif self.loop is not None:
            self.loop.thaw()

    def move(self, address: Address) -> None:
        """Get another address; its name leads there from now on, and the old one leads nowhere."""
        before, self.address = self.address, address
        self.addresses.append(address)
        self.world.computers[address.host] = self
        self.world.names[before] = address
        if self.world.is_heard(before):
            self.world.hang_up(before)
            self.world.listen(address, self)

    def step_clock(self, by: int) -> None:
        """Let the clock jump ahead."""
        self.clock.offset += by
        self.world.note(ClockJumped(who=self.name))
        if self.loop is not None:
            self.loop.notice_clock()

    def hear(self, event: Received) -> None:
        """Take down a request that reaches the program's rules."""
        name, token = event.word.event.name, event.token
        by = self.world.computers[event.address.host].name
        self.world.note(
            Asked(who=self.name, by=by, event=name, wire=token.wire, peer=token.peer, number=token.number)
        )

    # -- its clock, as its loop needs it ------------------------------------------------------------------

    def read_clock(self) -> int:
        """Return what the PC's own clock shows."""
        clock, time = self.clock, self.world.time
        return time + clock.offset + int(time * clock.drift)

    def wake_at(self, at: int, wake: Callable[[int], None], alarm: int) -> None:
        """Call something with its alarm when the PC's clock shows a time, or a little before."""
        clock, time = self.clock, self.world.time
        left = int((at - time - clock.offset - int(time * clock.drift)) / (1 + clock.drift))
        self.world.after(left + 1 if left > 0 else 1, wake, alarm)

    # -- its network, as its program needs it -------------------------------------------------------------

    def make_transport(self, receiver: Receiver) -> Transport:
        """Return what joins the program to the world's network."""
        self._receiver = receiver
        self._cable = _Cable(self)
        return self._cable

    def receive(self, data: bytes, source: Address) -> None:
        """Take a datagram."""
        if self.loop is not None and self._receiver is not None:
            self.loop.run(self._receiver.received, data, self._cable.known_as(source))

    def hear_unreachable(self, address: Address, reason: str) -> None:
        """Take the word of the network, or of its own system, that an address cannot be reached."""
        if self.loop is not None and self._receiver is not None:
            is_refusal = reason == CLOSED
            tell = functools.partial(self._receiver.unreachable, is_refusal=is_refusal)
            self.loop.run(tell, self._cable.known_as(address) if is_refusal else address, reason)


class _Cable(Transport):
    """What joins a program to the world's network, under the one address of its PC.

    As `multirig.transports.udp_path`, it asks anew where a name leads while the peer is silent.
    """

    def __init__(self, computer: Computer) -> None:
        self._computer = computer
        self._places: dict[Address, Address] = {}
        """Where peers are that were elsewhere when they were asked for."""
        self._known: dict[Address, Address] = {}
        """As whom they are known, by where they are."""
        self._unanswered: dict[Address, int] = {}
        """Since when peers are silent; ns of the world."""

    def known_as(self, source: Address) -> Address:
        """Return as whom a peer is known that is heard."""
        known = self._known.get(source, source)
        self._unanswered.pop(known, None)
        return known

    def send(self, data: bytes, address: Address) -> None:
        """Give a datagram to the network, if the program lives and there is such a PC."""
        computer = self._computer
        world = computer.world
        if computer.loop is None or address.host not in world.computers:
            return
        if not computer.has_way:
            world.after(1, computer.hear_unreachable, address, NO_WAY)
            return
        if world.names and world.time - self._unanswered.setdefault(address, world.time) > SILENCE:
            self._find(address)
        world.carry(data, computer.address, self._places.get(address, address))

    def _find(self, address: Address) -> None:
        self._places[address] = place = self._computer.world.follow(address)
        if place != address:
            self._known[place] = address

    async def listen(self, host: str, port: int) -> list[Address]:
        """Take what comes to the PC's address, whatever the program calls it."""
        self._computer.world.listen(self._computer.address, self._computer)
        return [self._computer.address]

    async def connect(self, host: str, port: int) -> Address:
        """Take answers at the PC's address, and return the peer's."""
        await self.listen(host, port)
        address = Address(self._computer.scheme, host, port)
        self._find(address)
        return address

    async def close(self) -> None:
        """Take nothing any more."""
        self._computer.world.hang_up(self._computer.address)


class NodeComputer(Computer):
    """A PC whose program is a node in the product's runtime, and whatever performs its effects."""

    def __init__(
        self, world: World, name: str, address: Address, clock: Clock, *, tells_closed: bool = True
    ) -> None:
        super().__init__(world, name, address, clock, tells_closed=tells_closed)
        self.runtime: Runtime | None = None

    def make_node(self, boot: str) -> Node:
        """Return the node of a new program."""
        raise NotImplementedError

    def perform(self, effect: Any) -> None:
        """Do what the machine wants done on this PC."""

    def on_boot(self) -> None:
        """Begin what the program does by itself."""

    def start(self, boot: str) -> None:
        """Begin a new program."""
        self.node = self.make_node(boot)
        self.runtime = Runtime(self.node, self.perform, clock=self.read_clock, network=self)
        self.world.listen(self.address, self)
        self.on_boot()
        self.runtime.pump()

    def on_death(self) -> None:
        """Forget the runtime."""
        self.runtime = None

    def feed(self, event: Any) -> None:
        """Tell the machine something that happened on this PC."""
        if self.loop is None or self.runtime is None:
            return
        if self.loop.is_running():
            self.runtime.feed(event)
        else:
            self.loop.run(self.runtime.feed, event)
