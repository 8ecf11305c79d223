"""An asyncio event loop of a PC that does not exist: ordinary coroutines run on it, in virtual time.

Each simulated PC has one. It shows the clock of its PC, and stands still while the PC does. Once the PC is
dead, nothing of what it ran has any effect any more, as after a power cut: no ``finally``, no callback.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from asyncio.events import _get_running_loop, _set_running_loop
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from typing import Any, Protocol, TypeAlias, TypeVar

from multirig.protocol.events import SECOND

T = TypeVar("T")
Callback: TypeAlias = Callable[..., object]

THREAD_DELAY = SECOND // 1000
"""Nanoseconds of the PC that a function takes which is given to a thread."""
MAX_ROUNDS = 10_000
"""At one moment, nothing that is honest leads to so much else: what does, does not come to rest."""
MAX_ENDS = 100
"""How often a coroutine of a dead program may wait for something more while it is disposed of."""


class Restless(RuntimeError):
    """A program or the world does the same for ever without that time goes on."""


class Time(Protocol):
    """What a loop needs of the world around it; nanoseconds."""

    def read_clock(self) -> int:
        """Return what the PC's own clock shows."""

    def wake_at(self, at: int, wake: Callable[[int], None], alarm: int) -> None:
        """Call something with its alarm when the PC's clock shows a time, or a little before."""


class _Handle(asyncio.TimerHandle):
    """A callback that waits for its turn."""

    __slots__ = ("args", "callback", "context")

    def __init__(
        self, callback: Callback, args: tuple[Any, ...], context: Context | None, when: float = 0.0
    ) -> None:
        self.callback: Callback | None = callback
        self.args = args
        self.context = context
        self._when = when

    def cancel(self) -> None:
        """Let it never be called."""
        self.callback = None
        self.args = ()

    def cancelled(self) -> bool:
        """Whether it is never called."""
        return self.callback is None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.callback}>"


class VirtualLoop(asyncio.AbstractEventLoop):
    """The event loop of one simulated program.

    Nothing on it happens by chance: callbacks run in the order in which they were asked for, timers in the
    order of their times. It has no sockets, no signals and no threads.

    Parameters
    ----------
    time : Time
        The PC's clock, and the world that wakes the loop.
    """

    def __init__(self, time: Time) -> None:
        self._time = time
        self._ready: deque[_Handle] = deque()
        self._timers: list[tuple[int, int, _Handle]] = []
        self._ticks = itertools.count()
        self._alarm_at: int | None = None
        """When the world wakes the loop; an alarm for another time is none."""
        self._is_running = False
        self._is_frozen = False
        self._is_dead = False
        self._trouble: BaseException | None = None

    # -- what the world does with it ----------------------------------------------------------------------

    def run(self, callback: Callback, *args: Any) -> None:
        """Bring something from outside, and let the program do all that follows at this moment.

        Whatever a callback raises is raised here: in a program that is simulated nothing fails unnoticed.

        Raises
        ------
        Restless
            It does not come to rest.
        """
        if self._is_frozen or self._is_running:
            self.call_soon(callback, *args)
        elif not self._is_dead:
            self._go_on(callback, args)

    def wake(self) -> None:
        """Do all that is due; see `run`."""
        if not (self._is_running or self._is_frozen or self._is_dead):
            self._go_on(None, ())

    def freeze(self) -> None:
        """Let the program stand still; what comes meanwhile waits."""
        self._is_frozen = True

    def thaw(self) -> None:
        """Let it go on: first with what came meanwhile, then with what is due."""
        self._is_frozen = False
        self.wake()

    def notice_clock(self) -> None:
        """Take it that the clock has jumped."""
        self._alarm_at = None
        self.wake()

    def die(self) -> None:
        """End the program at once: what it had begun is not ended in any order, it is not ended at all."""
        self._is_dead = True
        self._ready.clear()
        self._timers.clear()
        before = _get_running_loop()
        _set_running_loop(self)
        try:
            for task in asyncio.all_tasks(self):
                _dispose(task)
        finally:
            _set_running_loop(before)

    def _go_on(self, first: Callback | None, args: tuple[Any, ...]) -> None:
        ready, timers = self._ready, self._timers
        rounds = 0
        self._is_running = True
        before = _get_running_loop()
        _set_running_loop(self)
        try:
            if first is not None:
                first(*args)
            now = self._time.read_clock()
            while True:
                while timers and timers[0][0] <= now:
                    ready.append(heapq.heappop(timers)[2])
                if not ready:
                    break
                for _ in range(len(ready)):
                    handle = ready.popleft()
                    if (callback := handle.callback) is not None:
                        if (context := handle.context) is None:
                            callback(*handle.args)
                        else:
                            context.run(callback, *handle.args)
                        if self._is_dead:
                            return
                rounds += 1
                if rounds > MAX_ROUNDS:
                    raise Restless(f"{MAX_ROUNDS} rounds of callbacks and no end")
        finally:
            _set_running_loop(before)
            self._is_running = False
        if timers:
            self._set_alarm()
        if self._trouble is not None:
            trouble, self._trouble = self._trouble, None
            raise trouble

    def _set_alarm(self) -> None:
        """Have the world wake the loop for its first timer."""
        timers = self._timers
        while timers[0][2].callback is None:
            heapq.heappop(timers)
            if not timers:
                return
        at = timers[0][0]
        if self._alarm_at is None or at < self._alarm_at:
            self._alarm_at = at
            self._time.wake_at(at, self._ring, at)

    def _ring(self, at: int) -> None:
        if at == self._alarm_at:
            self._alarm_at = None
            if not (self._is_frozen or self._is_dead):
                self._go_on(None, ())

    # -- what asyncio asks of a loop ----------------------------------------------------------------------

    def time(self) -> float:
        """Return what the PC's clock shows, in seconds."""
        return self._time.read_clock() / SECOND

    def call_soon(  # type: ignore[override]  # asyncio's own signature cannot be written down
        self, callback: Callback, *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Call something when what was asked for earlier has been called."""
        handle = _Handle(callback, args, context)
        if not self._is_dead:
            self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]  # there are no other threads

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callback, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call something after so many seconds of the PC's clock."""
        at = self._time.read_clock() + round(delay * SECOND)
        return self._call_at(at, _Handle(callback, args, context, at / SECOND))

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callback, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call something when `time` is so much."""
        return self._call_at(round(when * SECOND), _Handle(callback, args, context, when))

    def _call_at(self, at: int, handle: _Handle) -> _Handle:
        if not self._is_dead:
            heapq.heappush(self._timers, (at, next(self._ticks), handle))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        """Return something to wait for."""
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Generator[Any, None, T] | Coroutine[Any, Any, T], **more: Any
    ) -> asyncio.Task[T]:
        """Run a coroutine."""
        task: asyncio.Task[T] = asyncio.Task(coro, loop=self, **more)
        if self._is_dead:
            _dispose(task)
        return task

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Call something a little later, as a thread would have done it by then; one after the other."""
        done: asyncio.Future[T] = asyncio.Future(loop=self)
        self._call_at(self._time.read_clock() + THREAD_DELAY, _Handle(self._work, (done, func, args), None))
        return done

    @staticmethod
    def _work(done: asyncio.Future[T], func: Callable[..., T], args: tuple[Any, ...]) -> None:
        try:
            result = func(*args)
        except Exception as error:  # noqa: BLE001  of whoever waits for it
            if not done.cancelled():
                done.set_exception(error)
        else:
            if not done.cancelled():  # who has asked may have been interrupted meanwhile
                done.set_result(result)

    def get_debug(self) -> bool:
        """Tell that nothing is looked at more closely."""
        return False

    def is_running(self) -> bool:
        """Whether a callback runs."""
        return self._is_running

    def is_closed(self) -> bool:
        """Whether the program is dead."""
        return self._is_dead

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Take an error that a program has not noticed: `wake` raises it."""
        if not self._is_dead and self._trouble is None:
            self._trouble = context.get("exception")


def make_loop(time: Time) -> VirtualLoop:
    """Return a loop that lives in a world's time."""
    return VirtualLoop(time)  # type: ignore[abstract]  # it has nothing to do with sockets and signals


def _dispose(task: asyncio.Task[Any]) -> None:
    """Let a task of a dead program be forgotten without a word."""
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio's own way to say: it is known
    coroutine = task.get_coro()
    for _ in range(MAX_ENDS):
        try:
            coroutine.close()
        except BaseException:  # noqa: BLE001  its clean-up fails or waits, and there is nothing left for it
            continue
        return
