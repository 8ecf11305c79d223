"""The session that is led from here, by a process of its own, until somebody has taken note of its end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path

from multirig.conductor.observer import Observer
from multirig.conductor.sighting import Sighting
from multirig.dashboard.leading.client import Leader, read_last
from multirig.dashboard.snapshot import Order, SessionNow
from multirig.errors import MultirigError
from multirig.lifecycle.session_states import SessionState
from multirig.protocol.words import Report

_BEGINNING = frozenset(
    {SessionState.INITIALIZING.value, SessionState.INITIALIZED.value, SessionState.STARTING.value}
)
_BEGUN = frozenset(
    {
        SessionState.RUNNING.value,
        SessionState.STOPPING.value,
        SessionState.INTERRUPTING.value,
        SessionState.STOPPED.value,
        SessionState.CLEANING.value,
    }
)
"""States of a session whose start is past."""


class LedSession:
    """One session at a time."""

    def __init__(self, state_file: Path, observer: Observer, on_change: Callable[[], None]) -> None:
        self.state_file = state_file
        self._observer = observer
        self._on_change = on_change
        self._leader: Leader | None = None
        self._last: SessionNow | None = None
        """Of the session whose process is not there any more."""
        self._reports: dict[str, Report] = {}
        self._is_beginning = False
        self._was_led = False
        """Whether a session was led at the last look, or has begun since."""

    # -- what is ----------------------------------------------------------------------------------------

    @property
    def now(self) -> SessionNow | None:
        """The session that is led from here, or the last one until it is dismissed."""
        return self._leader.session if self._leader is not None else self._last

    @property
    def is_led(self) -> bool:
        """Whether a session is led from here now."""
        leader = self._leader
        return self._is_beginning or (leader is not None and leader.is_alive and not leader.session.is_over)

    @property
    def is_lost(self) -> bool:
        """Whether its process has died before it was over."""
        is_alive = self._is_beginning or (self._leader is not None and self._leader.is_alive)
        return self.now is not None and not self.now.is_over and not is_alive

    @property
    def rigs(self) -> Sequence[str]:
        """Who takes part in the session that is led from here now."""
        return self.now.order.rigs if self.is_led and self.now is not None else ()

    @property
    def is_beginning_to_record(self) -> bool:
        """Whether the rigs of a session that is led from here get ready, or start."""
        return self.is_led and self.now is not None and self.now.state in _BEGINNING

    @property
    def is_before_recording(self) -> bool:
        """Whether a session is led from here that does not record yet."""
        return self.is_led and (self.now is None or self.now.state not in _BEGUN)

    def keep_reports(self, rigs: Iterable[Sighting]) -> Mapping[str, Report]:
        """Return what each rig last reported in this session; once cleaned up, it speaks of it no more."""
        now = self.now
        if now is not None and now.exp_ref is not None:
            self._reports |= {rig.name: rig.report for rig in rigs if str(rig.report.exp_ref) == now.exp_ref}
        return self._reports

    def note_end(self) -> bool:
        """Return whether a session was led at the last look and is not any more; then all are asked again."""
        if not self._was_led or self.is_led:
            return False
        self._was_led = False
        self._observer.resume()
        return True

    # -- begin and find again ---------------------------------------------------------------------------

    async def begin(self, order: Order) -> None:
        """Begin a session in a process of its own.

        Raises
        ------
        MultirigError
            One is led already, or its process does not come up.
        """
        if self.is_led:
            raise MultirigError("a session goes on: it has to end first")
        self._is_beginning = True
        try:
            if self._leader is not None:
                await self._leader.close()
            self._leader, self._last, self._reports = None, SessionNow(order=order), {}
            self._on_change()
            self._observer.suspend(order.rigs)
            self._was_led = True
            leader = await Leader.begin(order, self.state_file)
        except BaseException:
            self._last = None
            self._observer.resume()
            raise
        else:
            self._follow(leader)
        finally:
            self._is_beginning = False
            self._on_change()

    async def come_back(self) -> None:
        """Find the session that this console led before it was started anew."""
        leader = await Leader.attach(self.state_file)
        if leader is None:
            self._last = await asyncio.to_thread(read_last, self.state_file)
            return
        self._follow(leader)
        if not leader.session.is_over:
            self._was_led = True
            session = leader.session
            # this program has heard none of them yet; multirigs may be asked who they are
            self._observer.suspend(rig for rig in session.order.rigs if rig not in session.multirigs)

    def _follow(self, leader: Leader) -> None:
        self._leader, self._last = leader, None
        leader.on_change(self._on_change)

    async def close(self) -> None:
        """Listen no more; a session that is running keeps running."""
        if self._leader is not None:
            await self._leader.close()

    # -- what the operator wants ------------------------------------------------------------------------

    async def stop(self, *, by: str | None = None) -> None:
        """End the recording in good order; `by` is the name of who wants it. Raises MultirigError."""
        await self._reached().stop(by=by)

    async def interrupt(self, why: str, *, by: str | None = None) -> None:
        """End everything at once, and say why. Raises MultirigError if it cannot be done."""
        await self._reached().interrupt(" ".join(why.split()) or "the operator interrupted it", by=by)

    async def mark(self, text: str, *, by: str | None = None) -> None:
        """Set a marker, for now. Raises MultirigError if it cannot be done."""
        await self._reached().mark(text, by=by)

    async def dismiss(self, prepare: Callable[[], Awaitable[None]]) -> None:
        """Take note of the end of a session, await `prepare`, and show the form again.

        Raises `MultirigError` where it is still running.
        """
        if self.is_led:
            raise MultirigError("the session goes on: stop it first")
        leader = self._leader
        if leader is not None:
            await leader.dismiss()
        await prepare()
        if self._is_beginning or self._leader is not leader:  # another browser has begun the next one
            return
        self._leader = self._last = None
        with contextlib.suppress(OSError):
            self.state_file.unlink()
        self._on_change()

    def _reached(self) -> Leader:
        if self._leader is None or not self._leader.is_alive:
            raise MultirigError("no session is led from here now")
        return self._leader
