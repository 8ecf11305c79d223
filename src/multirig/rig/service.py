"""A rig at work: runs the rig's node, and the adapter's hooks when the node says so."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from multirig.config import CollectRules, RigConfig
from multirig.errors import ConfigError, MultirigError
from multirig.lifecycle.rig_events import (
    Answered,
    AskedHere,
    Attended,
    ClockPortOpened,
    Commanded,
    DecidedHere,
    Denied,
    Describe,
    Entered,
    Gather,
    Keep,
    LedBy,
    Mark,
    NotHandled,
    SubjectChosen,
    TakePictures,
)
from multirig.lifecycle.rig_states import RigState
from multirig.protocol.events import SECOND, Address, Call, Ignored, Oversized, Upgraded
from multirig.protocol.exp_ref import ExpRef, check_subject
from multirig.protocol.messages import Event
from multirig.rig.adapter import Adapter, TakesBack
from multirig.rig.background import Background
from multirig.rig.computer import Computer
from multirig.rig.describing import Describer
from multirig.rig.gauges import Gauges
from multirig.rig.hooks import Hooks
from multirig.rig.loading import build_adapter
from multirig.rig.parts import Parts
from multirig.rig.rules import TokenRule, access_of, make_machine, make_node
from multirig.rig.session_clock import SessionClock
from multirig.rig.snapshot import Snapshot
from multirig.runtime import Runtime
from multirig.transports.base import Network

ENDED = "it was stopped: its program was ended on that PC, where 'multirig serve' runs no more"
"""Why a recording ends that goes on when the rig's program is ended."""

log = logging.getLogger("multirig.rig")


class RigService:
    """One rig: a node on the network and the adapter that it drives.

    Parameters
    ----------
    config : RigConfig
        Name, addresses, folders, limits and the adapter with its options.
    adapter : Adapter, optional
        Instead of the one that the config names.
    network : Network, optional
        Instead of the system's, for rehearsal and tests.
    computer : Computer, optional
        Instead of this PC, for the simulator.
    on_news : callable, optional
        Called after each change of state.
    on_warning : callable, optional
        Is given a line for each PC that may not speak to this rig, once, for each program that another
        rig has left here, and for what whoever stands at the rig is asked.
    subject : str, optional
        Who is recorded here; a conductor with another subject is refused.
    collect : CollectRules, optional
        Where, and when, it collects by itself what is recorded here.
    """

    def __init__(
        self,
        config: RigConfig,
        *,
        adapter: Adapter | None = None,
        network: Network | None = None,
        computer: Computer | None = None,
        on_news: Callable[[], None] = lambda: None,
        on_warning: Callable[[str], None] = lambda _: None,
        subject: str | None = None,
        collect: CollectRules | None = None,
    ) -> None:
        computer = Computer() if computer is None else computer
        self.config = config
        self.adapter = adapter if adapter is not None else build_adapter(config.adapter, config.name)
        self.machine = make_machine(config, self.adapter, subject, tokens := TokenRule(config))
        self.access = access = access_of(config, computer.read_access())
        """Who is let in."""
        self.node = make_node(config, self.machine, computer.make_boot_id(), access, tokens)
        self.runtime = Runtime(
            self.node, self._perform, clock=computer.read_clock, network=network, watch=access.watch
        )
        self.clock = SessionClock(self.node, self.machine, computer.read_clock)
        self.addresses: list[Address] = []
        """Where the rig listens, once it is open."""
        self._scheme = network.scheme if network is not None else None
        self._on_news, self._on_warning = on_news, on_warning
        self._background = Background()
        self._storage = computer.open_storage(config)
        if isinstance(self.adapter, TakesBack):
            self.adapter.keepsake = self._storage.keepsake
        self._awake = computer.make_awake(f"{config.name} is in a session")
        self._collecting = computer.make_collecting(config, collect, self.runtime.feed, on_warning)
        parts = Parts(
            config=config,
            adapter=self.adapter,
            machine=self.machine,
            computer=computer,
            storage=self._storage,
            warn=on_warning,
            feed=self.runtime.feed,
        )
        self._hooks = Hooks(parts, self.clock, self._background)
        self._describer = Describer(parts)
        self._gauges = Gauges(parts, self._hooks.recording, self._describer.name_pictures)

    # -- life -------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Listen at every address of the config; ConfigError if one cannot be had."""
        await self._storage.open()
        self._hooks.pipeline.open()
        await self._hooks.restore()
        try:
            for uri in self.config.uri:
                self.addresses += await self.runtime.listen(self._scheme or uri.scheme, uri.host, uri.port)
        except ConfigError as error:
            await self.runtime.close()
            raise type(error)(f"rig {self.config.name}: {error}") from None
        if self._scheme is None:
            port = self.clock.open_port(self.addresses[0].host, self.config.clock_port)
            if port is not None:
                self.runtime.feed(ClockPortOpened(port=port))
        await self._gauges.look_at_disk()
        self._background.spawn(self._gauges.keep_looking())
        self._background.spawn(self._collecting.keep_collecting())
        log.info("%s listens at %s", self.config.name, ", ".join(map(str, self.addresses)))

    async def close(self) -> None:
        """Stop what is being recorded, let go of the device and leave the network."""
        self._storage.close()
        if self.machine.state is not RigState.CONNECTED:
            await self._command(Event.EXPINTERRUPT, why=ENDED)
            await self._command(Event.EXPCLEANUP)
        await self.clock.close_port()
        await self.runtime.close()
        await self._hooks.pipeline.close()
        await self._collecting.close()
        await asyncio.to_thread(self._awake.close)
        await self._background.close(self._hooks.end())
        log.info("%s is closed", self.config.name)

    def snapshot(self) -> Snapshot:
        """Return what the rig is doing, without waiting."""
        machine = self.machine
        leader, now = machine.leader, self.runtime.clock()
        silent = leader is not None and leader.is_silent(now)
        return Snapshot(
            name=self.config.name,
            state=machine.state,
            exp_ref=machine.exp_ref,
            failure=machine.failure,
            health=self._hooks.recording.health,
            disk_free=0 if machine.space is None else machine.space.free,
            conductor=str(leader) if leader is not None else None,
            conductor_silent=(now - leader.heard) / SECOND if leader is not None and silent else None,
            subject=machine.subject,
            is_open=self.access.is_open,
            refused=self.node.door.refusals.recent(now),
            question=machine.handing.say(now),
        )

    # -- the rig's own keyboard -----------------------------------------------------------------------------

    async def start_here(self, subject: str) -> ExpRef:
        """Begin a recording without a conductor, under the next free number of the subject.

        Raises
        ------
        MultirigError
            The subject cannot name a folder or is not the one that the rig is set up for, the rig is in
            another session, or it could not start.
        """
        check_subject(subject)
        if self.machine.state is not RigState.CONNECTED:
            raise MultirigError(f"the rig is {self.machine.state}; 'stop' ends what it is doing")
        if self.machine.subject not in (None, subject):
            raise MultirigError(
                f"the rig is set up for subject {self.machine.subject}; type 'subject {subject}' first"
            )
        exp_ref = await self._describer.find_free(subject)
        await self._command(Event.EXPSTART, exp_ref)
        now = self.snapshot()
        if now.state is not RigState.RUNNING or now.exp_ref != exp_ref:
            raise MultirigError(now.failure or f"the rig is {now.state} instead")
        return exp_ref

    async def stop_here(self) -> None:
        """End whatever is being recorded, close its files and let go of the device.

        Raises
        ------
        MultirigError
            The adapter could not do it.
        """
        known = self.machine.failure
        await self._command(Event.EXPEND)
        failure = self.machine.failure
        await self._command(Event.EXPCLEANUP)
        failure = self.machine.failure or failure
        if failure is not None and failure != known:
            raise MultirigError(failure)

    def choose_subject(self, subject: str | None) -> None:
        """Say who is recorded here; None: whoever a conductor asks for.

        Raises
        ------
        MultirigError
            The subject cannot name a folder, or another one's session goes on.
        """
        self.runtime.feed(SubjectChosen(subject=None if subject is None else check_subject(subject)))
        log.info("%s is set up for %s", self.config.name, subject or "any subject")

    def attend(self, *, is_attended: bool) -> None:
        """Say whether somebody at the rig can be asked whether another PC may take it over."""
        self.runtime.feed(Attended(is_attended=is_attended))

    def answer(self, *, allows: bool) -> None:
        """Say whether the PC that wants to may take the rig over.

        Raises
        ------
        MultirigError
            None wants to.
        """
        if self.machine.handing.asker is None:
            raise MultirigError("no PC wants to take this rig over now: nothing was asked")
        self.runtime.feed(Answered(allows=allows))

    async def _command(self, event: Event, exp_ref: ExpRef | None = None, why: str | None = None) -> None:
        """Give a command of this PC, and wait until no hook runs any more."""
        self.runtime.feed(Commanded(event=event, exp_ref=exp_ref, why=why))
        await self._hooks.settled()

    # -- effects ----------------------------------------------------------------------------------------

    def _perform(self, effect: Any) -> None:
        match effect:
            case Keep(memory=memory):
                self._hooks.keep(memory)
            case Call():
                self._hooks.call(effect)
            case Mark():
                self._hooks.mark(effect)
            case Describe():
                self._background.spawn(self._describer.describe(effect))
            case TakePictures(token=token):
                self._background.spawn(self._describer.take_pictures(token))
            case Gather():
                self._background.spawn(self._collecting.obey(effect))
            case Entered(state=state):
                self._awake.keep(state is not RigState.CONNECTED)
                self._collecting.enter(state)
                self._log(effect)
                try:
                    self._on_news()
                except Exception:  # whoever shows the news must not hold up the rig
                    log.exception("showing the news failed")
            case _:
                self._log(effect)

    def _log(self, effect: Any) -> None:
        name = self.config.name
        match effect:
            case Entered(state=state, exp_ref=exp_ref, failure=failure):
                level, reason = (logging.ERROR, f": {failure}") if failure else (logging.INFO, "")
                log.log(level, "%s is %s %s%s", name, state, exp_ref or "", reason)
            case AskedHere() | DecidedHere():
                log.warning("%s: %s", name, effect)
                self._on_warning(str(effect))
            case LedBy(leader=leader, before=before):
                log.warning("%s is led by %s now, and not by %s", name, leader, before or "anybody")
            case Denied(event=event, reason=reason):
                log.warning("%s refuses %s: %s", name, event.name, reason)
            case NotHandled(about=about, reason=reason):
                log.warning("the conductor could not handle %s: %s", about, reason)
            case Ignored() | Oversized():
                log.log(logging.WARNING if effect.first else logging.DEBUG, "%s", effect)
                if isinstance(effect, Ignored) and effect.is_stranger:
                    self._on_warning(effect.reason)
            case Upgraded(address=address, name=peer):
                log.info("%s at %s is a multirig: wire 2", peer or "the peer", address)
            case _:
                log.debug("%s", effect)
