"""The rigs of a session: who takes part in it, and what each means to it."""

from __future__ import annotations

from collections.abc import Mapping

from multirig.errors import MultirigError
from multirig.lifecycle.policy import DEFAULT_POLICY, RigPolicy, Role, waves
from multirig.lifecycle.session_events import Limits
from multirig.protocol.events import SECOND, Address
from multirig.protocol.messages import Event
from multirig.protocol.words import Info

FOREIGN_CLEANUP = 3 * SECOND
"""An IBL peer that has been stopped is waited for no longer: many services never answer EXPCLEANUP."""
BACKWARDS = frozenset({Event.EXPEND, Event.EXPINTERRUPT, Event.EXPCLEANUP})
"""Who was started last is stopped first."""
BEGINNINGS = frozenset({Event.EXPINIT, Event.EXPSTART})
MARGIN = 5 * SECOND
"""What a rig may take longer than it gives its adapter: the way, and the adapter's end."""
LONGEST = 30 * 60 * SECOND
"""No rig is waited for longer than this in one step, unless the rigs file says so."""
_STEP_OF = {
    Event.EXPINIT: "initialise",
    Event.EXPSTART: "start",
    Event.EXPEND: "stop",
    Event.EXPINTERRUPT: "stop",
    Event.EXPCLEANUP: "cleanup",
}


class Members:
    """Keeps who is asked in which step, and for how long.

    Parameters
    ----------
    limits : Limits
        How long each step may take on a rig of which nothing else is said.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.rigs: Mapping[str, Address] = {}
        self.policies: Mapping[str, RigPolicy] = {}
        self.multirigs: set[str] = set()
        """Those that speak wire 2."""
        self.absent: set[str] = set()
        """Optional rigs that take no part in this session."""
        self.failing: set[str] = set()
        """Optional rigs that could not begin: they are stopped and cleaned up, and not started."""
        self.spared: frozenset[str] = frozenset()
        """Rigs that were recording before we came; nothing of ours stops them until the session runs."""
        self.ended: set[str] = set()
        """Rigs that have told by themselves what they recorded: they were ended there, and may be gone."""
        self.greeted: set[str] = set()
        """Rigs that have said that they are multirigs."""
        self.foreign: set[str] = set()
        """IBL's peers, by what they said of themselves in the agreement."""
        self.unreleased: dict[str, tuple[int, int]] = {}
        """IBL's peers that have not answered EXPCLEANUP: in which step, and until when they may be at it."""
        self._told: dict[str, Mapping[Event, int]] = {}
        """How long steps may take on rigs that say so themselves."""
        self._names: Mapping[Address, str] = {}

    def choose(self, rigs: Mapping[str, Address], policies: Mapping[str, RigPolicy]) -> None:
        """Take the rigs of the session; ConfigError for rigs that wait for each other."""
        waves(rigs, policies)
        self.rigs, self.policies = dict(rigs), dict(policies)
        self._names = {address: name for name, address in rigs.items()}

    def move(self, address: Address, now_at: Address) -> None:
        """Take where a rig is now."""
        if (name := self._names.get(address)) is not None:
            self.rigs = {**self.rigs, name: now_at}
            self._names = {one: known for known, one in self.rigs.items()}

    def begin(self) -> None:
        """A session begins: all of them may take part."""
        self.spared = frozenset()
        self.absent.clear()
        self.failing.clear()
        self.ended.clear()
        self._told.clear()

    def note(self, name: str, info: Info) -> None:
        """Take what a rig is, and how long its steps may take: its own limits, and what the way takes."""
        if info.greeting is not None:
            self.greeted.add(name)  # on wire 2 nobody says it again
        is_multirig = name in self.greeted or name in self.multirigs
        (self.foreign.discard if is_multirig else self.foreign.add)(name)
        told = {step: min(round(one * SECOND) + MARGIN, LONGEST) for step, one in (info.limits or {}).items()}
        self._told[name] = {event: told[step] for event, step in _STEP_OF.items() if step in told}

    def name_at(self, address: Address) -> str | None:
        """Return which rig is at an address."""
        return self._names.get(address)

    def policy(self, name: str) -> RigPolicy:
        """Return what a rig means to the session."""
        return self.policies.get(name, DEFAULT_POLICY)

    def role(self, name: str) -> Role:
        """Return what becomes of the session when a rig fails."""
        return self.policy(name).role

    def serious(self, errors: Mapping[str, MultirigError]) -> dict[str, MultirigError]:
        """Return the errors without those of rigs that the session can do without."""
        return {name: error for name, error in errors.items() if self.role(name) is not Role.OPTIONAL}

    def recording(self) -> set[str]:
        """Return the multirigs that record in this session."""
        return self.multirigs - self.absent - self.failing

    def polled(self) -> dict[str, int]:
        """Return who is asked for its status while it records, and how often; ns."""
        return {
            name: every
            for name in self.rigs
            if name not in self.multirigs and (every := self.policy(name).poll_every) is not None
        }

    def groups(self, event: Event) -> list[list[str]]:
        """Return who is asked in a step, in groups one after the other."""
        names = [name for name in self.rigs if name not in self.absent]
        if event is Event.EXPSTART:
            names = [name for name in names if name not in self.failing]
        if event in BACKWARDS:
            names = [name for name in names if name not in self.spared]
        if event not in BEGINNINGS and event is not Event.EXPEND:  # an interrupt waits for nobody
            return [names[::-1] if event in BACKWARDS else names] if names else []
        groups = waves(names, self.policies)
        return [group[::-1] for group in reversed(groups)] if event in BACKWARDS else groups

    def slow(self, event: Event) -> dict[str, float]:
        """Return the rigs that may take longer than usual in a step, and how long; seconds."""
        usual = self.limit(event)
        limits = {name: self.limit_of(name, event) for name in self.rigs if name not in self.absent}
        return {name: limit / SECOND for name, limit in limits.items() if limit > usual}

    def limit(self, event: Event) -> int:
        """Return how long a step may take on most rigs; ns."""
        limits = self._limits
        return {
            Event.EXPINFO: limits.agree,
            Event.EXPINIT: limits.initialise,
            Event.EXPSTART: limits.start,
            Event.EXPEND: limits.stop,
            Event.EXPINTERRUPT: limits.stop,
            Event.EXPCLEANUP: limits.cleanup,
        }[event]

    def limit_of(self, name: str, event: Event) -> int:
        """Return how long a step may take on a rig; ns."""
        policy = self.policy(name)
        own = {
            Event.EXPINIT: policy.initialise,
            Event.EXPSTART: policy.start,
            Event.EXPEND: policy.stop,
            Event.EXPINTERRUPT: policy.stop,
            Event.EXPCLEANUP: policy.cleanup,
        }.get(event)
        if own is None and event is Event.EXPCLEANUP and name in self.foreign:
            return min(self.limit(event), FOREIGN_CLEANUP)
        return max(self.limit(event), self._told.get(name, {}).get(event, 0)) if own is None else own
