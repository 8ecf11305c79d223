"""What must hold in a lab with keys, whatever a stranger sends."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar

from multirig.protocol.messages import Event
from multirig.sim.bystander import LINKS
from multirig.sim.facts import Asked, Fact, Swayed, WronglyTaken
from multirig.sim.invariants import Invariant
from multirig.sim.stranger import NAME
from multirig.trust import packets

if TYPE_CHECKING:
    from multirig.sim.lab import Lab

_MARK = bytes([packets.MARK])


class WordsAreTheirs(Invariant):
    """Compares what doors let in with what was sealed, for whom, and whether it has been let in before."""

    name = "words are their own"
    promise = (
        "Where PCs have keys, nothing reaches a program but what another program of the lab has sealed for "
        "it, once; what is not sealed is heard from peers of IBL's wire that are named."
    )

    def see(self, fact: Fact) -> None:
        """Compare."""
        if isinstance(fact, WronglyTaken):
            self.report(f"{fact.who} {fact}")
        if isinstance(fact, Asked) and fact.by == NAME:
            self.report(f"{fact.who} is asked {fact.event} by a stranger")


class StrangersChangeNothing(Invariant):
    """Compares each program before and after whatever a stranger sends to it."""

    name = "strangers change nothing"
    promise = "Whatever a stranger sends: no channel ends, no peer is forgotten, no rules hear of it."

    def see(self, fact: Fact) -> None:
        """Compare."""
        if isinstance(fact, Swayed) and fact.what != LINKS:
            self.report(f"{fact.who} {fact}")


class LinksLeadHome(Invariant):
    """Looks at the addresses of all channels and links."""

    name = "links lead home"
    promise = "A link leads to no address at which its program has not proved itself."

    def see(self, fact: Fact) -> None:
        """Look at what a stranger has brought about."""
        if isinstance(fact, Swayed) and fact.what == LINKS:
            self.report(f"{fact.who} {fact}")

    def look(self) -> None:
        """Look at all of them."""
        if self.lab.bystander is not None:
            for computer in self.lab.keyed.values():
                self.lab.bystander.look(computer)


class NothingUnsealed(Invariant):
    """Reads what passes on the cable between PCs that have keys."""

    name = "nothing unsealed"
    promise = (
        "Between PCs of a lab nothing leaves unsealed but greetings, which tell of no experiment; what "
        "somebody else has said on IBL's wire may be returned as it came."
    )
    LONGEST_HINT: ClassVar[int] = 300
    """Bytes in which somebody is told that this PC hears its lab only."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        if lab.keyed:
            self.world.wires.append(self._watch)

    def _watch(self, source: str, target: str, data: bytes) -> None:
        if data[:1] == _MARK or source not in self.lab.keyed:
            return
        if (target in self.lab.keyed or target == NAME) and not self._may_be_read(source, data):
            self.report(f"{source} says to {target} without a seal: {data[:80]!r}")

    def _may_be_read(self, source: str, data: bytes) -> bool:
        node = self.lab.keyed[source].node
        try:
            message: Any = json.loads(data)
        except ValueError:
            return False
        match message:
            case [Event.EXPINFO]:  # it says nothing; who has said it hears it again
                return True
            case [Event.EXPINFO, *_, {"multirig": {"hello": str()}} as said]:
                return not any(said[key] for key in said if key != "multirig")
            case [Event.EXPINFO, *_, {"multirig": {"boot": str(boot)}}] if (
                node is not None and boot != node.boot
            ):
                return True
            case [Event.ERROR, str(), Event.EXPINFO]:
                return len(data) <= self.LONGEST_HINT
        return False


class NoMoreThanCame(Invariant):
    """Counts bytes, to and from the stranger's own address."""

    name = "no more than came"
    promise = "Whoever has proved nothing gets no more bytes than have come from its address."

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self._left: Counter[str] = Counter()
        if lab.stranger is not None:
            self.world.wires.append(self._watch)

    def _watch(self, source: str, target: str, data: bytes) -> None:
        if target == NAME and self.lab.stranger is not None:
            self._left[source] += len(data)
            came = self.lab.stranger.sent.get(source, 0)
            if self._left[source] > came:
                self.report(f"{source} has sent {self._left[source]} bytes to a stranger, {came} have come")


TRUST_INVARIANTS: tuple[type[Invariant], ...] = (
    WordsAreTheirs,
    StrangersChangeNothing,
    LinksLeadHome,
    NothingUnsealed,
    NoMoreThanCame,
)
"""All that keys promise."""
