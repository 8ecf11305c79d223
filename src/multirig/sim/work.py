"""Work that takes virtual time: a generator that yields what it waits for.

``yield 5`` sleeps 5 ns, ``yield signal`` waits for a signal or for the end of other work, ``yield signal, 5``
does so for at most 5 ns and tells whether it came, ``yield None`` waits for ever.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from typing import Any, TypeAlias

from multirig.errors import MultirigError

Steps: TypeAlias = Generator[Any, Any, Any]
"""What work is written as."""
Scheduler: TypeAlias = Callable[..., None]
"""(delay, function, *args): call it after so many nanoseconds."""


class Cancelled(BaseException):
    """Raised inside of work that is cancelled, as asyncio does."""


class Signal:
    """Something that others wait for."""

    def __init__(self) -> None:
        self.is_done = False
        self._watchers: list[Callable[[], None]] = []

    def set(self) -> None:
        """Let those who wait go on."""
        self.is_done = True
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher()

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call something when it is set, which it is not yet."""
        self._watchers.append(watcher)


class Work(Signal):
    """One piece of work, as an `asyncio.Task` is.

    Parameters
    ----------
    after : Scheduler
        Of the world.
    steps : generator
        What is done.
    name : str
        For errors.
    """

    def __init__(self, after: Scheduler, steps: Steps, name: str = "") -> None:
        super().__init__()
        self.name = name
        self.is_cancelled = False
        self.result: Any = None
        self.error: MultirigError | None = None
        self._after = after
        self._steps = steps
        self._turn = 0
        """Counts what was waited for: what comes later than its turn is nothing any more."""
        self._wake_soon(None)

    def cancel(self) -> None:
        """Let `Cancelled` be raised where the work waits."""
        if not self.is_done:
            self._wake_soon(Cancelled())

    def kill(self) -> None:
        """Never go on: the program is dead."""
        self._turn += 1
        self.is_done = True
        self._watchers.clear()
        if inspect.getgeneratorstate(self._steps) != inspect.GEN_RUNNING:  # else it has killed itself
            self._steps.close()

    def _wake_soon(self, value: Any) -> None:
        self._turn += 1
        self._after(0, self._go_on, self._turn, value)

    def _go_on(self, turn: int, value: Any) -> None:
        if turn != self._turn or self.is_done:
            return
        self._turn += 1
        try:
            wanted = self._steps.throw(value) if isinstance(value, Cancelled) else self._steps.send(value)
        except StopIteration as end:
            self.result = end.value
            self.set()
        except Cancelled:
            self.is_cancelled = True
            self.set()
        except MultirigError as error:
            self.error = error
            self.set()
        else:
            self._wait(wanted)

    def _wait(self, wanted: Any) -> None:
        turn = self._turn
        match wanted:
            case None:
                return
            case int(delay):
                self._after(delay, self._go_on, turn, None)
                return
            case (Signal() as other, int(delay)):
                self._after(delay, self._go_on, turn, False)
            case Signal() as other:
                pass
        if other.is_done:
            self._after(0, self._go_on, turn, True)
        else:
            other.watch(lambda: self._after(0, self._go_on, turn, True))
