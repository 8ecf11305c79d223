"""Many rigs for a task that blocks: iblrig's ``Auxiliaries``, a thin face of a `Conductor` in a thread.

One daemon thread runs the event loop; another calls the callbacks one after the other, so that a slow or
broken one holds up nobody. Nothing is polled, and nothing is shared between two instances.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import datetime
import functools
import itertools
import logging
import queue
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from multirig.conductor.conductor import Conductor, Progress
from multirig.config import Uri
from multirig.errors import ConfigError, MultirigError, SessionFailed, Unconfirmed
from multirig.ibl.alyx import wire_token
from multirig.ibl.errors import AlyxTokenNotAllowed, NotAllAnswered
from multirig.ibl.net.base import ExpMessage
from multirig.ibl.remote_services import RemoteService, RemoteServices, in_loop_of, is_future
from multirig.lifecycle.broadcast import Outcome
from multirig.lifecycle.clock_gate import ClockGate
from multirig.lifecycle.policy import RigPolicy
from multirig.lifecycle.session_events import Limits
from multirig.lifecycle.session_states import SessionState
from multirig.lifecycle.watch import Noticed
from multirig.pc.finding import Level
from multirig.protocol.dialect import hear_rig
from multirig.protocol.events import SECOND
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Event, Message
from multirig.record.trouble import find_trouble
from multirig.transports.memory import MemoryNetwork

RESPONSE_LIMIT = 10.0
"""Seconds that a rig may take to answer a message that is no step of the session; IBL's own limit."""
SLICE = 0.25
"""Seconds: on Windows a waiting main thread notices Ctrl-C only between two waits."""
REMIND_AFTER = 3.0
"""Seconds until the operator is told who is waited for."""
REMIND_EVERY = 10.0
"""Seconds between two such lines."""
CALLBACK_LIMIT = 10.0
"""Seconds that whoever waits for responses also waits for the callbacks on them."""
CLOSE_LIMIT = 150.0
"""Seconds until a thread that does not end is left alone: a stop and a clean-up at their limits, and more."""

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
    network : MemoryNetwork, optional
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

    def __init__(
        self,
        clients: Mapping[str, str | Uri] | None,
        *,
        limit: float = RESPONSE_LIMIT,
        limits: Limits | None = None,
        policies: Mapping[str, RigPolicy] | None = None,
        allow_cleartext_token: Iterable[str] = (),
        clock_gate: ClockGate | None = None,
        tell: Callable[[str], None] = log.warning,
        network: MemoryNetwork | None = None,
    ) -> None:
        self.limit = limit
        self._tell = tell
        self._awaited: dict[str, None] = {}
        """Rigs that have not answered what is going on now."""
        self._clients = dict(clients or {})
        self._loop: asyncio.AbstractEventLoop | None = None
        self._conductor: Conductor | None = None
        self._thread: threading.Thread | None = None
        self._ended: asyncio.Event | None = None
        self._keys = itertools.count(1)
        self._pushed: dict[int, concurrent.futures.Future[Any]] = {}
        self._on_notice: list[Callable[[Noticed], None]] = []
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._caller: threading.Thread | None = None
        self._turn: asyncio.Lock | None = None
        self._is_led_by_hand = False
        """Whether rigs were told to begin by plain messages, of which the session knows nothing."""
        self.services = RemoteServices({})
        """The rigs by name: ``assign_callback`` and ``clear_callbacks`` are here."""
        self.allow_cleartext_token = frozenset(allow_cleartext_token)
        if self._clients:
            self._start(
                functools.partial(
                    Conductor,
                    self._clients,
                    limits=limits,
                    policies=policies,
                    clock_gate=clock_gate,
                    network=network,
                )
            )

    def _start(self, make: Callable[[], Conductor]) -> None:
        ready: concurrent.futures.Future[Conductor] = concurrent.futures.Future()
        serve = functools.partial(self._serve, ready, make)
        self._thread = threading.Thread(target=lambda: asyncio.run(serve()), name="multirig", daemon=True)
        self._thread.start()
        try:
            self._conductor = _wait(ready)
        except BaseException:
            self._end_thread()
            raise
        self._caller = threading.Thread(target=self._call_back, name="multirig callbacks", daemon=True)
        self._caller.start()
        self.services = RemoteServices(
            {
                name: RemoteService(name, str(uri), self._conductor)
                for name, uri in self._conductor.rigs.items()
            }
        )
        atexit.register(self.close)  # a program that ends without a word leaves no rig half-way

    async def _serve(
        self, ready: concurrent.futures.Future[Conductor], make: Callable[[], Conductor]
    ) -> None:
        self._loop, self._ended, self._turn = asyncio.get_running_loop(), asyncio.Event(), asyncio.Lock()
        try:
            conductor = make()
            conductor.on_message(functools.partial(self._hear, conductor))
            conductor.on_progress(functools.partial(self._dispatch_outcome, conductor))
            conductor.on_notice(self._hear_notice)
            await conductor.open()
        except BaseException as error:  # noqa: BLE001  whoever waits for us must not wait for ever
            ready.set_exception(error)
            return
        ready.set_result(conductor)
        await self._ended.wait()
        try:
            await self._let_go(conductor)
        finally:
            await conductor.close()

    async def _let_go(self, conductor: Conductor) -> None:
        """End by plain messages what was begun by plain messages; what is a session, the conductor ends."""
        if self._is_led_by_hand:
            reason = {"error": "interrupted", "message": "the connection was closed"}
            await conductor.request(Event.EXPINTERRUPT, reason, limit=self.limit)
            await conductor.request(Event.EXPCLEANUP, None, limit=self.limit)

    # -- what is ----------------------------------------------------------------------------------------

    @property
    def conductor(self) -> Conductor:
        """Who leads the rigs; use its methods through `lead` only.

        Raises
        ------
        MultirigError
            There are no rigs, or the connection was closed.
        """
        if self._conductor is None or not self.is_running:
            raise MultirigError("no rig is connected: name rigs with --remote, and connect before you talk")
        return self._conductor

    @property
    def is_connected(self) -> bool:
        """Whether rigs are connected, and nothing is known that keeps one of them from hearing us."""
        return self.is_running and self.services.is_connected

    @property
    def is_running(self) -> bool:
        """Whether the thread that talks to the rigs is alive."""
        return self._thread is not None and self._thread.is_alive() and self._conductor is not None

    @property
    def is_leading(self) -> bool:
        """Whether rigs have been told to get ready or to record, and have not been let go."""
        return self.is_running and (self.conductor.is_busy or self._is_led_by_hand)

    @property
    def lost(self) -> Noticed | None:
        """Why the session has ended by itself: what happened to an essential rig; None if it has not."""
        return self._conductor.lost if self._conductor is not None else None

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
        dict of str to list, or int
            Each rig's response: what its message holds besides the event. Without waiting, a key for
            `result`.

        Raises
        ------
        SessionFailed
            One or more rigs could not do it; the causes are named. It is a TimeoutError as well where a rig
            did not answer in time.
        """
        event = _one_event(message)
        sees_callbacks = threading.current_thread() is not self._caller  # a callback can't wait for itself
        future = self._post(functools.partial(self._push, self.conductor, event, args, sees_callbacks))
        if not wait:
            key = next(self._keys)
            self._pushed[key] = future
            return key
        return _wait(future)

    def result(self, key: int) -> dict[str, list[Any]]:
        """Return the responses to what was pushed without waiting; blocks until they are in, once."""
        try:
            future = self._pushed.pop(key)
        except KeyError:
            raise ConfigError(
                f"nothing was pushed under the key {key!r}, or it was fetched already"
            ) from None
        return dict(_wait(future))

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
        >>> rigs.lead(lambda conductor: conductor.agree("SP_01"))
        """
        return _wait(self._post(functools.partial(take, self.conductor)))

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
    ) -> tuple[ExpRef, dict[str, Mapping[str, Any]]]:
        """Find the experiment reference with all rigs; see `Conductor.agree` and `Conductor.record_in`.

        Returns
        -------
        exp_ref : ExpRef
        information : dict of str to mapping
            What each rig said of itself.
        """

        async def find(conductor: Conductor) -> tuple[ExpRef, dict[str, Mapping[str, Any]]]:
            conductor.record_in(subjects, main_sync=main_sync)
            exp_ref = await conductor.agree(
                subject, date=date, info=info, appends=appends, takes_over=takes_over, checks=checks
            )
            for name, found in conductor.findings.items():
                for one in found:
                    if one.level in (Level.WARNING, Level.FAILURE):
                        self._tell(f"{name}: {one.text}")
            return exp_ref, conductor.information

        return self.lead(find)

    def mark(self, text: str, /, **data: Any) -> float:
        """Set a marker, for now, without waiting for anything; see `Conductor.mark`.

        Returns
        -------
        float
            When it was set: seconds on the session clock, this PC's ``time.perf_counter()``.
        """
        conductor = self.conductor
        marked = conductor.make_marked(text, data)
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop ends just now, and the session with it
                loop.call_soon_threadsafe(conductor.take_marked, marked)
        return marked.at / SECOND

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
        self.allow_cleartext_token = frozenset(names)
        url, token = wire_token(alyx)

        async def share(conductor: Conductor) -> None:
            conductor.share_token(url, token, self.allow_cleartext_token)

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
                self.push(ExpMessage.EXPCLEANUP, wait=True)
            except MultirigError as error:
                log.error("clean up: %s", error)
        self.close()

    def close(self) -> None:
        """Interrupt a session that is still open, clean up, and end the threads; safe to call twice."""
        self._end_thread()
        atexit.unregister(self.close)  # not before: Ctrl-C may break off the waiting
        if self._caller is not None and threading.current_thread() is not self._caller:
            self._calls.put(None)
            self._caller.join(CALLBACK_LIMIT)
        self._caller = None

    def _end_thread(self) -> None:
        thread, loop, ended = self._thread, self._loop, self._ended
        if thread is None or loop is None or ended is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            loop.call_soon_threadsafe(ended.set)
        if threading.current_thread() is not thread:
            thread.join(CLOSE_LIMIT)
            if thread.is_alive():
                log.error("the rigs could not be let go of within %g s: look at their screens", CLOSE_LIMIT)
        self._thread = None

    # -- inside: in the thread of the event loop --------------------------------------------------------

    def _post(self, make: Callable[[], Coroutine[Any, Any, _Result]]) -> concurrent.futures.Future[_Result]:
        if self._loop is None or not self.is_running:
            raise MultirigError("the connection to the rigs is closed; make another session")
        return asyncio.run_coroutine_threadsafe(make(), self._loop)

    async def _push(
        self, conductor: Conductor, event: Event, args: tuple[Any, ...], sees_callbacks: bool
    ) -> dict[str, list[Any]]:
        overtakes = event is Event.EXPINTERRUPT or self._turn is None
        async with contextlib.nullcontext() if overtakes or self._turn is None else self._turn:
            with self._reminding(conductor, event):
                outcomes = await self._say(conductor, event, args)
        if sees_callbacks and self.services.has_listeners:
            await self._called()
        causes = {name: one for name, one in outcomes.items() if isinstance(one, MultirigError)}
        if causes:
            raise _failure(event.name, causes)
        return {name: list(one.args) for name, one in outcomes.items() if isinstance(one, Message)}

    @contextlib.contextmanager
    def _reminding(self, conductor: Conductor, event: Event) -> Iterator[None]:
        """Say which rigs are waited for, if it takes long."""
        loop = asyncio.get_running_loop()
        self._awaited = dict.fromkeys(conductor.rigs)

        def remind() -> None:
            if self._awaited:
                self._tell(f"{_STEPS.get(event, event.name)}: waiting for {', '.join(self._awaited)}")
            alarms[0] = loop.call_later(REMIND_EVERY, remind)

        alarms = [loop.call_later(REMIND_AFTER, remind)]
        try:
            yield
        finally:
            alarms[0].cancel()

    async def _say(self, conductor: Conductor, event: Event, args: tuple[Any, ...]) -> Mapping[str, Outcome]:
        if event is Event.ALYX and len(args) < 2:
            return await self._say_token(conductor, args[0] if args else None)
        if event is not Event.EXPINFO and conductor.expects(event):
            try:
                return await _take_step(conductor, event, args)
            except SessionFailed as error:
                if any(isinstance(one, Unconfirmed) for one in error.causes.values()):
                    raise NotAllAnswered(error.step, error.causes, error.consequence) from None
                raise
        if event in _BEGINNINGS:
            self._is_led_by_hand = True
        outcomes = await conductor.request(event, *args, limit=self.limit)
        if event is Event.EXPCLEANUP:
            self._is_led_by_hand = False
        return outcomes

    async def _say_token(self, conductor: Conductor, alyx: Any) -> dict[str, Outcome]:
        """Share a token with the rigs that may have it in clear, or ask all for theirs."""
        url, token = wire_token(alyx)
        if not token:
            return await conductor.request(Event.ALYX, url, {}, limit=self.limit)
        conductor.share_token(url, token, self.allow_cleartext_token)
        others = [name for name in conductor.rigs if name not in self.allow_cleartext_token]
        if others:
            raise AlyxTokenNotAllowed(
                f"{', '.join(others)}: the Alyx token would travel unencrypted; if that is fine on your "
                "network, name the rig in 'allow_cleartext_token' of iblrig_settings"
            )
        return await conductor.request(Event.ALYX, url, token, limit=self.limit, needs_reply=False)

    # -- inside: callbacks ------------------------------------------------------------------------------

    def _hear(self, conductor: Conductor, rig: str, message: Message) -> None:
        """Hand on what a rig says by itself, and tell the operator if something is wrong with it."""
        if message.event is not Event.EXPSTATUS:  # how it records is noticed, and told as that
            is_running = conductor.state is SessionState.RUNNING
            if (trouble := find_trouble(hear_rig(message), is_running=is_running)) is not None:
                self._tell(f"{rig}: {trouble}")
        self._dispatch(conductor, rig, message)

    def _hear_notice(self, noticed: Noticed) -> None:
        self._tell(f"{noticed.rig}: {noticed.text}")
        for callback in self._on_notice:
            self._calls.put(functools.partial(self._call_with, callback, noticed))

    def _call_with(self, callback: Callable[[Noticed], None], noticed: Noticed) -> None:
        try:
            callback(noticed)
        except Exception as error:
            name = getattr(callback, "__qualname__", repr(callback))
            log.info("the callback %s on a notice of %s failed", name, noticed.rig, exc_info=True)
            self._tell(
                f"the callback {name} on a notice of {noticed.rig} failed: {type(error).__name__}: {error}"
            )

    def _dispatch_outcome(self, conductor: Conductor, progress: Progress) -> None:
        self._awaited.pop(progress.rig, None)
        if isinstance(progress.outcome, Message) and progress.outcome.args:
            self._dispatch(conductor, progress.rig, progress.outcome)

    def _dispatch(self, conductor: Conductor, rig: str, message: Message) -> None:
        service = self.services.get(rig)
        if service is None:
            return
        address = conductor.addresses[rig]
        for one in self.services.listeners(message.event):
            args: list[Any] = [list(message.args), (address.host, address.port)]
            args += [ExpMessage(int(message.event))] if one.returns_event else []
            args += [service] if one.returns_service else []
            if is_future(one.callback):
                in_loop_of(one.callback, functools.partial(_resolve, one.callback, tuple(args)))
            else:
                self._calls.put(
                    functools.partial(self._call, conductor, one.callback, args, rig, message.event)
                )

    def _call(
        self, conductor: Conductor, callback: Callable[..., Any], args: list[Any], rig: str, event: Event
    ) -> None:
        """Call one callback; one that raises is told here and on the rig."""
        try:
            callback(*args)
        except Exception as error:
            name = getattr(callback, "__qualname__", repr(callback))
            log.info("the callback %s on %s of %s failed", name, event.name, rig, exc_info=True)
            reason = f"{type(error).__name__}: {error}"
            self._tell(f"the callback {name} on {event.name} of {rig} failed: {reason}")
            if self._loop is not None:
                with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                    self._loop.call_soon_threadsafe(_complain, conductor, rig, event, reason)

    def _call_back(self) -> None:
        while (call := self._calls.get()) is not None:
            call()

    async def _called(self) -> None:
        """Return when the callbacks that wait have been called, so that whoever asked sees what they did."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        self._calls.put(lambda: _wake(loop, done))
        try:
            await asyncio.wait_for(done.wait(), CALLBACK_LIMIT)
        except asyncio.TimeoutError:
            log.warning("a callback takes longer than %g s; it is not waited for", CALLBACK_LIMIT)


_STEPS = {
    Event.EXPINIT: "initialise",
    Event.EXPSTART: "start",
    Event.EXPEND: "stop",
    Event.EXPINTERRUPT: "interrupt",
    Event.EXPCLEANUP: "clean up",
}
_BEGINNINGS = frozenset({Event.EXPINIT, Event.EXPSTART})


# -- steps of the session ------------------------------------------------------------------------------


async def _take_step(conductor: Conductor, event: Event, args: tuple[Any, ...]) -> Mapping[str, Outcome]:
    """Take the session's next step by its event; the reference is the session's own."""
    data = _data(args)
    match event:
        case Event.EXPINIT:
            return await conductor.init(data)
        case Event.EXPSTART:
            return await conductor.start(_data(args[1:]))
        case Event.EXPEND:
            return await conductor.stop(data)
        case Event.EXPINTERRUPT:
            reason = str(data.pop("message", "") or data.get("error") or "interrupted by the task")
            return await conductor.interrupt(reason, **data)
        case _:
            return await conductor.cleanup(data)


def _data(args: tuple[Any, ...]) -> dict[str, Any]:
    """Return what goes along with a step, without the reference, which the conductor knows better."""
    found = next((one for one in args if isinstance(one, Mapping)), {})
    return {
        key: value for key, value in found.items() if key not in ("exp_ref", "date", "sequence", "subject")
    }


def _failure(step: str, causes: Mapping[str, MultirigError]) -> SessionFailed:
    """Return one error for what rigs could not do; a TimeoutError where one did not answer."""
    silent = any(isinstance(one, Unconfirmed) for one in causes.values())
    return (NotAllAnswered if silent else SessionFailed)(step, causes)


def _complain(conductor: Conductor, rig: str, event: Event, reason: str) -> None:
    with contextlib.suppress(MultirigError):  # closed meanwhile: it is in our log
        conductor.complain(rig, event, reason)


# -- small words ---------------------------------------------------------------------------------------


def _wait(future: concurrent.futures.Future[_Result]) -> _Result:
    """Wait for a result so that Ctrl-C is noticed on every system, and finds no lock held."""
    done: queue.SimpleQueue[object] = queue.SimpleQueue()
    future.add_done_callback(done.put)
    try:
        while not future.done():
            with contextlib.suppress(queue.Empty):
                done.get(timeout=SLICE)
        return future.result()
    except BaseException:
        future.cancel()
        raise


def _one_event(message: Any) -> Event:
    """Return the event that a message of ours or of iblutil's means.

    Raises
    ------
    TypeError, ValueError
        It is none, or several.
    """
    if isinstance(message, int) and not isinstance(message, bool):
        message = int(message)  # iblutil's enumeration as well
    return Event(int(ExpMessage.validate(message, allow_bitwise=False)))


def _wake(loop: asyncio.AbstractEventLoop, done: asyncio.Event) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
        loop.call_soon_threadsafe(done.set)


def _resolve(future: Any, result: tuple[Any, ...]) -> None:
    if not future.done():
        future.set_result(result)
