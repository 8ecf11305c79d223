"""The false lab: virtual time, PCs with clocks of their own, and a network that loses, copies and delays."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from multirig.protocol.events import SECOND, Address, Received
from multirig.protocol.node import Node
from multirig.sim.facts import Asked, ClockJumped, Died, Fact, Restarted
from multirig.sim.work import Steps, Work

MAX_EVENTS = 200_000
"""Within a second, no honest world has so many: one that has does not come to rest."""


class Ear:
    """Stands before a machine and takes down what it is asked.

    Parameters
    ----------
    machine : Machine
        The rules of a rig or of a conductor.
    hear : callable
        Called with each request.
    """

    def __init__(self, machine: Any, hear: Callable[[Received], None]) -> None:
        self._machine = machine
        self._hear = hear

    def handle(self, event: Any, now: int) -> Iterable[Any]:
        """Let the machine handle it."""
        if isinstance(event, Received):
            self._hear(event)
        actions: Iterable[Any] = self._machine.handle(event, now)
        return actions

    def get_timer(self) -> int | None:
        """Return when the machine wants to be woken."""
        at: int | None = self._machine.get_timer() if hasattr(self._machine, "get_timer") else None
        return at

    def handle_timer(self, now: int) -> Iterable[Any]:
        """Wake the machine."""
        actions: Iterable[Any] = self._machine.handle_timer(now)
        return actions


class Restless(RuntimeError):
    """The world does the same for ever without that time goes on."""


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
        self.computers: dict[str, Computer] = {}
        """Every PC, by its IP address."""
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

    def begin(self, steps: Steps, name: str = "") -> Work:
        """Begin work that takes virtual time."""
        return Work(self.after, steps, name)

    def run(self, until: int) -> None:
        """Let everything happen up to a time.

        Raises
        ------
        Restless
            It does not come to rest.
        """
        events = self._events
        most = self.counts["events"] + MAX_EVENTS
        while events and events[0][0] <= until:
            self.time, _, call, args = heapq.heappop(events)
            call(*args)
            self.counts["events"] += 1
            if self.counts["events"] > most:
                raise Restless(f"{MAX_EVENTS} events and no end")
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

    def hang_up(self, address: Address) -> None:
        """Nobody listens there any more."""
        self._listening.pop(address, None)

    def carry(self, data: bytes, source: Address, target: Address) -> None:
        """Take a datagram to its target, late, twice or not at all."""
        sender, receiver = self.computers[source.host].name, self.computers[target.host].name
        for postman in self.postmen:
            postman(sender, receiver, data)
        self.counts["datagrams"] += 1
        if self.cut[sender, receiver]:
            self.counts["datagrams cut off"] += 1
            return
        dice, network = self.dice(sender, receiver), self.network
        if dice.random() < network.loss:
            self.counts["datagrams lost"] += 1
            return
        times = 1
        if dice.random() < network.copies:
            self.counts["datagrams copied"] += 1
            times = 2
        for _ in range(times):
            delay = network.delay + dice.expovariate(1.0) * network.jitter
            if dice.random() < network.late:
                self.counts["datagrams delayed"] += 1
                delay += dice.random() * network.late_by
            self.after(int(delay * SECOND), self._deliver, data, source, target)

    def _deliver(self, data: bytes, source: Address, target: Address) -> None:
        if (computer := self._listening.get(target)) is not None:
            computer.receive(data, source)
            return
        there = self.computers[target.host]
        if there.is_on and there.tells_closed and not self.cut[there.name, self.computers[source.host].name]:
            self.after(int(self.network.delay * SECOND), self._tell_closed, source, target)

    def _tell_closed(self, source: Address, target: Address) -> None:
        if (computer := self._listening.get(source)) is not None:
            computer.hear_closed(target)


class Computer:
    """A PC and the program on it: what `multirig.runtime.Runtime` does, in virtual time.

    Parameters
    ----------
    world : World
        Where it is.
    name : str
        For the trace.
    address : Address
        Where its program listens.
    clock : Clock
        Its own.
    tells_closed : bool
        Whether its system says so where nothing listens, as Linux does and Windows' firewall does not.
    """

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
        self.node: Node | None = None
        """Its program; None while that is dead."""
        self.lives = 0
        self._is_frozen = False
        self._missed: list[Callable[[], None]] = []
        self._alarm_at: int | None = None
        self._is_pumping = False
        self._is_stirred = False
        world.computers[address.host] = self

    # -- what a kind of PC adds ---------------------------------------------------------------------------

    def make_node(self, boot: str) -> Node:
        """Return a new program."""
        raise NotImplementedError

    def perform(self, effect: Any) -> None:
        """Do what the machine wants done on this PC."""

    def on_boot(self) -> None:
        """Begin what the program does by itself."""

    def on_death(self) -> None:
        """End what dies with the program."""

    # -- life -------------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """What the PC's own clock shows."""
        return self.clock.read(self.world.time)

    def boot(self) -> None:
        """Start the program."""
        if self.node is not None:
            return
        self.is_on = True
        self.lives += 1
        boot = f"{self.world.dice('boot', self.name).getrandbits(64):016x}"
        self.node = self.make_node(boot)
        self.world.listen(self.address, self)
        if self.lives > 1:
            self.world.note(Restarted(who=self.name, boot=boot))
        self.on_boot()
        self.pump()

    def die(self, *, is_on: bool = True) -> None:
        """End the program at once, or the whole PC."""
        self.is_on = is_on
        if self.node is None:
            return
        self.node = None
        self.world.hang_up(self.address)
        self.world.note(Died(who=self.name))
        self._alarm_at = None
        self._is_frozen = False
        self._missed.clear()
        self.on_death()

    def freeze(self) -> None:
        """Let the program do nothing, as SIGSTOP or a system that is busy does."""
        self._is_frozen = self.node is not None

    def thaw(self) -> None:
        """Go on; what came meanwhile is taken now."""
        self._is_frozen = False
        missed, self._missed = self._missed, []
        self._is_pumping = True  # all that waited is taken before anything is said, as the runtime does
        for call in missed:
            call()
        self._is_pumping = False
        self._alarm_at = None
        if self.node is not None:
            self._ring(None)

    def step_clock(self, by: int) -> None:
        """Let the clock jump ahead."""
        self.clock.offset += by
        self.world.note(ClockJumped(who=self.name))
        self._alarm_at = None
        self.pump()

    def hear(self, event: Received) -> None:
        """Take down a request that reaches the program's rules."""
        name, token = event.message.event.name, event.token
        by = self.world.computers[event.address.host].name
        self.world.note(
            Asked(who=self.name, by=by, event=name, wire=token.wire, peer=token.peer, number=token.number)
        )

    # -- what the runtime does --------------------------------------------------------------------------

    def receive(self, data: bytes, source: Address) -> None:
        """Take a datagram."""
        if self._is_frozen:
            self._missed.append(lambda: self.receive(data, source))
        elif self.node is not None:
            self.node.receive_datagram(data, source, self.now)
            self.pump()

    def hear_closed(self, address: Address) -> None:
        """Take the network's word that nothing listens at an address."""
        if self._is_frozen:
            self._missed.append(lambda: self.hear_closed(address))
        elif self.node is not None:
            self.node.peer_unreachable(address, "nothing listens there", self.now)
            self.pump()

    def feed(self, event: Any) -> None:
        """Tell the machine something that happened on this PC."""
        if self._is_frozen:
            self._missed.append(lambda: self.feed(event))
        elif self.node is not None:
            self.node.handle(event, self.now)
            self.pump()

    def pump(self) -> None:
        """Perform effects, send what is due, arm the timer: in this order, as the runtime does."""
        self._is_stirred = True
        if self._is_pumping:
            return
        self._is_pumping = True
        try:
            while self._is_stirred and (node := self.node) is not None:
                self._is_stirred = False
                self.perform_all(node)
                if self.node is node:
                    self.send_all(node.datagrams_to_send(self.now))
        finally:
            self._is_pumping = False
        self._arm()

    def perform_all(self, node: Node) -> None:
        """Perform every effect, in order."""
        while self.node is node and (effect := node.next_event()) is not None:
            self.perform(effect)

    def send_all(self, datagrams: Iterable[tuple[Address, bytes]]) -> None:
        """Give datagrams to the network."""
        for address, data in datagrams:
            if address.host in self.world.computers:
                self.world.carry(data, self.address, address)

    def _arm(self) -> None:
        if self.node is None or (at := self.node.get_timer()) is None:
            return
        if self._alarm_at is None or at < self._alarm_at:
            self._alarm_at = at
            self.world.after(self.clock.until(at, self.world.time) + 1, self._ring, at)

    def _ring(self, at: int | None) -> None:
        if at != self._alarm_at or self.node is None or self._is_frozen:
            return
        self._alarm_at = None
        self.node.handle_timer(self.now)
        self.pump()
