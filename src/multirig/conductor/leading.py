"""The one way to lead a session: for the terminal, the page, a recovery and a test recording.

The operator says what is wanted by `Wishes`, from any thread. A *stop* ends a recording in good order, and
before there is one it ends everything at once. An *interrupt* does not wait for anybody. Ctrl-C is a stop,
and an interrupt when it comes again; so is SIGTERM. A terminal that is closed is a stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol, TypeAlias, TypeVar

from multirig.conductor.conductor import Conductor
from multirig.conductor.events import EventStream
from multirig.conductor.session import Session
from multirig.config import check_length
from multirig.errors import MultirigError, SessionFailed
from multirig.lifecycle.session_events import BY, Moved
from multirig.lifecycle.session_states import SessionState
from multirig.lifecycle.watch import Noticed
from multirig.pc.signals import calling_on_signals, is_hang_up, say_signal

IMPATIENCE = "the operator pressed Ctrl-C twice"
"""Reason of an interrupt."""
ENDED_TWICE = "it was ended from outside, twice"
"""The same, where it was no key."""
IMPATIENT = frozenset({IMPATIENCE, ENDED_TWICE})
BY_OPERATOR = "interrupted by the operator"
BEFORE_START = "stopped by the operator before the start"
DIED = "cleaned up after its conductor died"

_Result = TypeVar("_Result")


class EndedEarly(MultirigError):
    """The operator wanted an end before anything was recorded."""


class Choice(enum.Enum):
    """What becomes of a session whose conductor has died."""

    GO_ON = "go on"
    STOP = "stop"
    CLEAN_UP = "clean up"


class Wishes:
    """What the operator wants of a session that is led; each may be said from any thread, at any time.

    Parameters
    ----------
    seconds : float, optional
        How long to record; None: until it is ended.

    Raises
    ------
    ConfigError
        No session lasts so long.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self.seconds = check_length(seconds)
        self.why: str | None = None
        """Why it shall be interrupted, as the operator says it."""
        self.by: str | None = None
        """Name of who wants the end, where it has one."""
        self.cause: str | None = None
        """What has asked this program to end, where that was not the operator at a key."""
        self.end = asyncio.Event()
        """An end is wanted."""
        self.end_at_once = asyncio.Event()
        """It is wanted without waiting for anybody."""
        self._loop: asyncio.AbstractEventLoop | None = None

    def stop(self, by: str | None = None) -> None:
        """End the recording in good order; before it, everything at once."""
        self.by = self.by or by
        self._let(self.end.set)

    def interrupt(self, why: str = BY_OPERATOR, by: str | None = None) -> None:
        """Stop every rig at once, and say why."""
        if self.why is None:
            self.why = why if by is None else f"{why} (by {by})"
        self._let(self.end_at_once.set)
        self._let(self.end.set)

    def press_ctrl_c(self) -> None:
        """Stop; where that is wanted already, interrupt."""
        if self.end.is_set():
            self.interrupt(IMPATIENCE if self.cause is None else ENDED_TWICE)
        else:
            self.stop()

    def heeding_signals(
        self, on_ctrl_c: Callable[[], object] | None = None
    ) -> contextlib.AbstractContextManager[None]:
        """Take what asks this program to end; for the main thread.

        Parameters
        ----------
        on_ctrl_c : callable, optional
            What Ctrl-C, and SIGTERM, do, in place of `press_ctrl_c`.
        """
        press = on_ctrl_c or self.press_ctrl_c

        def take(number: int) -> None:
            if number != signal.SIGINT:
                self.cause = self.cause or say_signal(number)
            if is_hang_up(number):
                self.stop()
            else:
                press()

        return calling_on_signals(take)

    def attend(self) -> None:
        """Be heard in the event loop that runs."""
        self._loop = asyncio.get_running_loop()

    def _let(self, call: Callable[[], None]) -> None:
        if self._loop is None:  # it has only just begun, and will look
            call()
            return
        with contextlib.suppress(RuntimeError):  # the loop has ended, and the session with it
            self._loop.call_soon_threadsafe(call)

    async def during(self, step: Awaitable[_Result], is_done: Callable[[], bool] = lambda: False) -> _Result:
        """Take a step of a beginning, until it is done or an end is wanted.

        Parameters
        ----------
        step : awaitable
            The step.
        is_done : callable
            Whether nothing of it but its return is missing: then that is waited for.

        Raises
        ------
        EndedEarly
            An end was wanted first; the step was given up.
        """
        going: asyncio.Future[_Result] = asyncio.ensure_future(step)
        try:
            await _first_of(going, self.end.wait())
            if going.done() or is_done():
                return await going
        finally:
            going.cancel()
        await asyncio.gather(going, return_exceptions=True)
        why = f" ({why})" if (why := self.why or self.cause) else ""
        raise EndedEarly(f"ended before anything was recorded; every rig has been released{why}")


class Led(Protocol):
    """What can be led: a session, or a test recording."""

    @property
    def state(self) -> SessionState:
        """Where it is."""

    @property
    def lost(self) -> Noticed | None:
        """Why it has ended by itself; None: it has not."""

    def events(self) -> EventStream:
        """Return a stream of what happens to it."""

    async def stop(self, data: Mapping[str, Any] | None = None) -> object:
        """End the recording on every rig; `data` says who wants it."""

    async def interrupt(self, message: str) -> object:
        """Stop every rig now."""

    async def cleanup(self) -> object:
        """Release every rig."""

    async def end(self, why: str) -> None:
        """End it from wherever it is."""


Step: TypeAlias = Callable[[], Awaitable[object]]


async def lead(session: Session, wishes: Wishes, *, prepare: Step | None = None) -> SessionFailed | None:
    """Lead a session from the agreement to the clean-up; whatever happens, the rigs are released then.

    Parameters
    ----------
    session : Session
        A new one, of a conductor that is open.
    wishes : Wishes
        What the operator wants.
    prepare : callable, optional
        Is awaited when the rigs have agreed, and before one is touched.

    Returns
    -------
    SessionFailed or None
        Why the session has ended by itself: an essential rig was lost. The others have recorded.

    Raises
    ------
    EndedEarly
        The operator wanted an end before anything was recorded.
    MultirigError
        It could not begin.
    """
    steps = (session.agree, *([prepare] if prepare is not None else []), session.init, session.start)
    return await lead_through(session, wishes, steps)


async def lead_through(led: Led, wishes: Wishes, steps: Iterable[Step]) -> SessionFailed | None:
    """Take the steps of a beginning, let the rigs record, and end it; see `lead`."""
    wishes.attend()
    async with _ending(led, wishes):
        for step in steps:
            await wishes.during(step(), lambda: led.state is SessionState.RUNNING)
        await _wait_for_end(led, wishes)
        return await _finish(led, wishes)


async def lead_on(
    session: Session, wishes: Wishes, choose: Callable[[], Awaitable[Choice]], *, takes_over: bool = False
) -> SessionFailed | None:
    """Lead a session whose conductor has died, from the question to all rigs on.

    Where nothing is chosen, or it is not possible to go on, the rigs are left as they are: something else can
    be chosen then.

    Parameters
    ----------
    session : Session
        The one of `taken_up`.
    wishes : Wishes
        What the operator wants.
    choose : callable
        Is awaited when it is known what each rig does.
    takes_over : bool
        Lead also rigs that another conductor leads by now.

    Returns
    -------
    SessionFailed or None
        As `lead` does.

    Raises
    ------
    MultirigError
        It could not be led on.
    """
    wishes.attend()
    await wishes.during(session.recover(takes_over=takes_over))
    choice = await wishes.during(choose())
    if choice is Choice.GO_ON:
        await session.go_on()
    async with _ending(session, wishes):
        if choice is Choice.GO_ON:
            await _wait_for_end(session, wishes)
        if choice is Choice.CLEAN_UP:
            await session.interrupt(DIED)
        return await _finish(session, wishes)


@contextlib.asynccontextmanager
async def taken_up(conductor: Conductor) -> AsyncIterator[Session]:
    """Open a conductor of `Conductor.from_journal`, give its session, and leave the rigs as they are at last.

    Raises
    ------
    MultirigError
        Rigs that are not found.
    """
    if (session := conductor.current) is None:
        raise MultirigError("the session is over: nothing to recover")
    try:
        await conductor.open()
        yield session
    finally:
        await conductor.detach()


async def _wait_for_end(led: Led, wishes: Wishes) -> None:
    """Let the rigs record until it is time, or an end is wanted, or it has come by itself."""
    stream = led.events()
    if led.state is SessionState.RUNNING:
        leaves, wanted = _leaves(stream, SessionState.RUNNING), wishes.end.wait()
        await _first_of(leaves, wanted, limit=wishes.seconds)


async def _finish(led: Led, wishes: Wishes) -> SessionFailed | None:
    """Stop every rig and release it; an operator who cannot wait for the slow ones interrupts them."""
    lost = led.lost
    if led.state is not SessionState.STOPPED:
        await _stop(led, wishes)
    await led.cleanup()
    return say_lost(lost) if lost is not None else None


async def _stop(led: Led, wishes: Wishes) -> None:
    if wishes.end_at_once.is_set() and led.lost is None:
        await led.interrupt(wishes.why or BY_OPERATOR)
        return
    stopping = asyncio.ensure_future(led.stop(None if wishes.by is None else {BY: wishes.by}))
    try:
        await _first_of(stopping, wishes.end_at_once.wait())
        if not stopping.done() and led.state is SessionState.STOPPING:
            with contextlib.suppress(MultirigError):
                await led.interrupt(wishes.why or BY_OPERATOR)
        await stopping
    except SessionFailed:  # the stop was interrupted
        if led.state is not SessionState.STOPPED:
            raise
    finally:
        stopping.cancel()


def say_lost(lost: Noticed) -> SessionFailed:
    """Return the error of a session that has ended by itself, since an essential rig was lost."""
    causes = {lost.rig: MultirigError(lost.text)}
    return SessionFailed("recording", causes, "it is essential: all rigs were interrupted")


def _say_early(wishes: Wishes) -> str:
    """Return why a session is ended that has not begun to record."""
    return BEFORE_START if wishes.cause is None else f"{wishes.cause} before the start"


@contextlib.asynccontextmanager
async def _ending(led: Led, wishes: Wishes) -> AsyncIterator[None]:
    """Release the rigs in any case."""
    try:
        yield
    except GeneratorExit:  # the program is gone, and nobody goes on with this
        raise
    except BaseException as error:
        early = isinstance(error, EndedEarly)
        await led.end(wishes.why or (_say_early(wishes) if early else str(error) or type(error).__name__))
        raise
    await led.end(BY_OPERATOR)


async def _leaves(stream: EventStream, state: SessionState) -> None:
    async for event in stream:
        if isinstance(event, Moved) and event.state is not state:
            return


async def _first_of(*waits: Awaitable[object], limit: float | None = None) -> None:
    """Wait for one of several things, or until a time is over; coroutines among them are given up then."""
    futures = [asyncio.ensure_future(one) for one in waits]
    try:
        await asyncio.wait(futures, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for future, wait in zip(futures, waits, strict=True):
            if future is not wait:
                future.cancel()
