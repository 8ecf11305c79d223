"""Many rigs for a task that blocks: iblrig's ``Auxiliaries``, a thin face of a `Conductor` in a thread.

One daemon thread runs the event loop; another calls the callbacks one after the other, so that a slow or
broken one holds up nobody. Nothing is polled, and nothing is shared between two instances.
"""

from __future__ import annotations

import atexit
import concurrent.futures
import datetime
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from multirig.conductor.conductor import Conductor
from multirig.conductor.storage import SubjectsFolder
from multirig.config import Uri
from multirig.errors import ConfigError, MultirigError
from multirig.ibl.callback_thread import CallbackThread
from multirig.ibl.hearing import Hearing, tell_findings
from multirig.ibl.holding import Holder, find_holder
from multirig.ibl.pushing import Pushing, read_event, read_outcomes, set_marker
from multirig.ibl.remote_services import RemoteServices
from multirig.ibl.rig_thread import RigThread, wait_for
from multirig.lifecycle.clock_gate import ClockGate
from multirig.lifecycle.policy import RigPolicy
from multirig.lifecycle.session_events import Limits
from multirig.lifecycle.watch import Noticed
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.words import Info
from multirig.transports.base import Network

RESPONSE_LIMIT = 10.0
"""Seconds that a rig may take to answer a message that is no step of the session; IBL's own limit."""

_Result = TypeVar("_Result")

log = logging.getLogger("multirig.ibl")


class Auxiliaries:
    """Talk to several rigs from a thread that may block.

    Parameters
    ----------
    clients : mapping of str to str
        Name of each rig and its URI, in the order in which they are started.
    limit : float
        Seconds that a rig may take to answer a message that is no step of the session.
    limits : Limits, optional
        How long each step may take on a rig.
    policies : mapping of str to RigPolicy, optional
        What rigs mean to the session (role, order, time limits), where that is not the usual.
    allow_cleartext_token : iterable of str
        Names of rigs that may be sent the Alyx token, which travels unencrypted.
    tell : callable, optional
        Is given each line that the operator should see: a rig that fails by itself, one that is waited for, a
        callback that failed. Called from other threads; without it the lines go to the log.
    network : Network, optional
        For rehearsal and tests without a network.

    Raises
    ------
    SessionFailed
        Names of rigs that are not known on this network.
    ConfigError
        An address that is none, or two names for one rig.

    Examples
    --------
    >>> rigs = Auxiliaries({"cameras": "udp://192.168.1.20"})
    >>> rigs.push("EXPINFO", "CONNECTED", {"subject": "SP_01"}, wait=True)
    {'cameras': [0, {'main_sync': False, ...}]}
    >>> rigs.close()
    """

    person: ClassVar[str | None] = None
    """Name of who leads the sessions of this program, for their journals; None: there is no name."""

    def __init__(
        self,
        clients: Mapping[str, str | Uri] | None,
        *,
        limit: float = RESPONSE_LIMIT,
        limits: Limits | None = None,
        policies: Mapping[str, RigPolicy] | None = None,
        allow_cleartext_token: Iterable[str] = (),
        clock_gate: ClockGate | None = None,
        tell: Callable[[str], None] | None = None,
        network: Network | None = None,
    ) -> None:
        self.limit = limit
        self.services = RemoteServices({})
        """The rigs by name: ``assign_callback`` and ``clear_callbacks`` are here."""
        self._given_tell = tell
        self._holder: Holder | None = None
        self._pushing = Pushing(allow_cleartext_token, self._tell)
        self._last_key = 0
        self._pushed: dict[int, concurrent.futures.Future[Any]] = {}
        self._on_notice: list[Callable[[Noticed], None]] = []
        self._thread: RigThread | None = None
        if clients:
            self._calls = CallbackThread()
            try:
                self._thread = RigThread(
                    lambda: Conductor(
                        clients, limits=limits, policies=policies, clock_gate=clock_gate, network=network
                    ),
                    listen=self._listen,
                    end=lambda conductor: self._pushing.let_go(conductor, self.limit),
                )
            except BaseException:
                self._calls.close()
                raise
            atexit.register(self.close)  # a program that ends without a word leaves no rig half-way

    def _listen(self, conductor: Conductor) -> None:
        self._hearing = Hearing(  # kept, since nothing else keeps what it waits for
            conductor,
            tell=self._tell,
            reminder=self._pushing.reminder,
            calls=self._calls,
            on_notice=self._on_notice,
        )
        self.services = self._hearing.services

    def _tell(self, line: str) -> None:
        """Let the operator see a line: where the task that holds us writes its own, if it is iblrig's."""
        if self._given_tell is not None:
            self._given_tell(line)
        else:
            (log if self._holder is None else self._holder.log).warning("%s", line)

    # -- what is ----------------------------------------------------------------------------------------

    @property
    def conductor(self) -> Conductor:
        """Who leads the rigs; use its methods through `lead` only.

        Raises
        ------
        MultirigError
            There are no rigs, or the connection was closed.
        """
        return self._running.conductor

    @property
    def _running(self) -> RigThread:
        if self._thread is None or not self._thread.is_alive:
            raise MultirigError("no rig is connected: name rigs with --remote, and connect before you talk")
        return self._thread

    @property
    def is_connected(self) -> bool:
        """Whether rigs are connected, and nothing is known that keeps one of them from hearing us.

        In an unchanged task of iblrig's also while rigs are led: only then does it tell them to stop.
        """
        is_held = self._holder is not None and self.is_leading
        return self.is_running and (is_held or self.services.is_connected)

    @property
    def is_running(self) -> bool:
        """Whether the thread that talks to the rigs is alive."""
        return self._thread is not None and self._thread.is_alive

    @property
    def is_leading(self) -> bool:
        """Whether rigs have been told to get ready or to record, and have not been let go."""
        return self.is_running and (self._is_busy or self._pushing.is_led_by_hand)

    @property
    def _is_busy(self) -> bool:
        session = self.conductor.current
        return session is not None and session.is_busy

    @property
    def lost(self) -> Noticed | None:
        """Why the session has ended by itself: what happened to an essential rig; None if it has not."""
        session = self._thread.conductor.current if self._thread is not None else None
        return session.lost if session is not None else None

    @property
    def clients(self) -> dict[str, str]:
        """Name and URI of each rig."""
        return {name: service.server_uri for name, service in self.services.items()}

    # -- talking ----------------------------------------------------------------------------------------

    def push(self, message: Any, *args: Any, wait: bool = False) -> Any:
        """Send a message to all rigs.

        What is the session's next step is taken as a step: what fails on one rig is then rolled back on all.
        Messages go out one after the other; an interrupt overtakes them.

        Parameters
        ----------
        message : ExpMessage, str or int
            Ours or iblutil's.
        *args
            What goes with it; an Alyx client for ``ALYX``.
        wait : bool
            Return the responses instead of a key.

        Returns
        -------
        dict of str to list, int, or Exception
            Each rig's response: what its message holds besides the event. Without waiting, a key for
            `result`. In an unchanged task of iblrig's also the error, logged, for which it looks there.

        Raises
        ------
        SessionFailed
            One or more rigs could not do it; the causes are named. It is a TimeoutError as well where a rig
            did not answer in time.
        """
        event = read_event(message)
        running = self._running
        is_in_callback = self._calls.is_current

        async def push() -> dict[str, list[Any]]:
            outcomes = await self._pushing.push(running.conductor, event, args, self.limit)
            if self.services.has_listeners and not is_in_callback:  # a callback cannot wait for itself
                await self._calls.called()
            if self._holder is not None:
                return self._holder.answered(event, outcomes, self.clients)
            return read_outcomes(event, outcomes)

        if not wait:
            self._last_key += 1
            self._pushed[self._last_key] = running.post(push)
            return self._last_key
        holder = find_holder(self, event)
        self._holder = holder or self._holder
        try:
            return self._hold(lambda: holder.begin(self, args) if holder else wait_for(running.post(push)))
        except MultirigError as error:
            if self._holder is None:
                raise
            self._holder.log.error("%s: %s", event.name, error)
            return error

    def _hold(self, work: Callable[[], _Result]) -> _Result:
        """Do something for a task of iblrig's, which itself does not let go of its rigs at Ctrl-C."""
        try:
            return work()
        except BaseException as error:
            if self._holder is not None and not isinstance(error, Exception):
                self.close()
            raise

    def result(self, key: int) -> dict[str, list[Any]]:
        """Return the responses to what was pushed without waiting; blocks until they are in, once."""
        try:
            future = self._pushed.pop(key)
        except KeyError:
            raise ConfigError(
                f"nothing was pushed under the key {key!r}, or it was fetched already"
            ) from None
        return dict(wait_for(future))

    def clear_message_queue(self) -> int:
        """Drop what was pushed and has not been sent yet; return how many messages."""
        dropped = 0
        for future in list(self._pushed.values()):
            dropped += future.cancel()
        self._pushed = {key: one for key, one in self._pushed.items() if not one.cancelled()}
        return dropped

    def lead(self, take: Callable[[Conductor], Coroutine[Any, Any, _Result]]) -> _Result:
        """Let the conductor do something in its own thread, and wait for it.

        Examples
        --------
        >>> rigs.lead(lambda conductor: conductor.check())
        """
        running = self._running
        return wait_for(running.post(lambda: take(running.conductor)))

    def agree(
        self,
        subject: str,
        *,
        date: datetime.date | None = None,
        info: Mapping[str, Any] | None = None,
        subjects: Path | None = None,
        main_sync: bool = False,
        appends: bool = False,
        takes_over: bool = False,
        checks: bool = False,
    ) -> tuple[ExpRef, dict[str, Info]]:
        """Find the experiment reference with all rigs; see `Conductor.session` and `Session.agree`.

        Returns
        -------
        exp_ref : ExpRef
        information : dict of str to Info
            What each rig said of itself.
        """

        async def find(conductor: Conductor) -> tuple[ExpRef, dict[str, Info]]:
            session = conductor.session(
                subject,
                date=date,
                info=info,
                appends=appends,
                takes_over=takes_over,
                checks=checks,
                main_sync=main_sync,
                storage=SubjectsFolder(subjects) if subjects is not None else None,
                by_task=True,
                person=self.person,
            )
            session.remarks.tell = session.on_refused = self._tell
            exp_ref = await session.agree()
            tell_findings(session, self._tell)
            return exp_ref, session.information

        return self.lead(find)

    def mark(self, text: str, /, **data: Any) -> float:
        """Set a marker, for now, without waiting for anything; see `Session.mark`.

        Returns
        -------
        float
            When it was set: seconds on the session clock, this PC's ``time.perf_counter()``.
        """
        return set_marker(self.conductor.current, text, data)

    def on_notice(self, callback: Callable[[Noticed], None]) -> None:
        """Call back, from another thread, whenever something is noticed of a rig that records.

        Parameters
        ----------
        callback : callable
            Is given a `Noticed`: that the rig is silent, broken, back… The operator is told in any case.
        """
        self._on_notice.append(callback)

    def share_token(self, alyx: Any, names: Iterable[str]) -> None:
        """Have the token of an AlyxClient ready for when a rig asks for it.

        Parameters
        ----------
        alyx : one.webclient.AlyxClient or None
            Who is logged in.
        names : iterable of str
            Rigs that may be given it, though it travels unencrypted; the others are refused.
        """

        async def share(conductor: Conductor) -> None:
            self._pushing.share_token(conductor, alyx, names)

        self.lead(share)

    # -- the end ----------------------------------------------------------------------------------------

    def cleanup(self, notify_services: bool = False) -> None:
        """End the conversation with the rigs.

        Parameters
        ----------
        notify_services : bool
            Tell them EXPCLEANUP first, whatever state the session is in.
        """
        if notify_services and self.is_running:
            try:
                self.push("EXPCLEANUP", wait=True)
            except MultirigError as error:
                log.error("clean up: %s", error)
        self.close()

    def close(self) -> None:
        """Interrupt a session that is still open, clean up, and end the threads; safe to call twice."""
        holder = self._holder if self.is_running else None
        if holder is not None:
            holder.let_go(self.conductor.current)
        if self._thread is not None:
            self._thread.close()
            atexit.unregister(self.close)  # not before: Ctrl-C may break off the waiting
            self._calls.close()
        if holder is not None:
            holder.close()
