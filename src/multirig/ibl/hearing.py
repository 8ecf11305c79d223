"""What rigs say, and what is noticed of them, on its way from the conductor to the operator and the task."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable
from typing import Any

from multirig.conductor.conductor import Conductor
from multirig.conductor.events import EventStream
from multirig.conductor.session import Session
from multirig.errors import MultirigError
from multirig.ibl.callback_thread import CallbackThread
from multirig.ibl.net import arrays
from multirig.ibl.net.base import ExpMessage
from multirig.ibl.reminder import Reminder
from multirig.ibl.remote_services import RemoteService, RemoteServices, in_loop_of, is_future
from multirig.lifecycle.session_events import HandingTold, Heard, Progressed
from multirig.lifecycle.session_states import SessionState
from multirig.lifecycle.watch import Noticed
from multirig.pc.finding import Level
from multirig.protocol.messages import Event
from multirig.protocol.words import Word
from multirig.record.trouble import find_trouble


class Hearing:
    """Listens to one conductor that is not open yet; the one place here that knows how a conductor reports.

    `tell` is given each line for the operator, from several threads; `on_notice` may grow meanwhile.
    """

    def __init__(
        self,
        conductor: Conductor,
        *,
        tell: Callable[[str], None],
        reminder: Reminder,
        calls: CallbackThread,
        on_notice: list[Callable[[Noticed], None]],
    ) -> None:
        self.services = RemoteServices(
            {name: RemoteService(name, str(uri), conductor) for name, uri in conductor.rigs.items()}
        )
        self._conductor = conductor
        self._loop = asyncio.get_running_loop()
        self._tell = tell
        self._reminder = reminder
        reminder.find_obstacle = conductor.obstacle
        self._calls = calls
        self._on_notice = on_notice
        self._following = asyncio.ensure_future(self._follow(conductor.events()))

    async def _follow(self, stream: EventStream) -> None:
        async for event in stream:
            match event:
                case Heard(rig=rig, word=word):
                    self._hear(rig, word)
                case Progressed():
                    self._hear_progress(event)
                case Noticed():
                    self._hear_notice(event)
                case HandingTold(rig=rig, text=text):
                    self._tell(f"{rig} {text}")

    def _hear(self, rig: str, word: Word) -> None:
        """Hand on what a rig says unasked, and tell the operator if something is wrong with it."""
        if word.event is not Event.EXPSTATUS:  # how it records is noticed, and told as that
            session = self._conductor.current
            is_running = session is not None and session.state is SessionState.RUNNING
            trouble = find_trouble(word, is_running=is_running)
            if trouble is not None:
                self._tell(f"{rig}: {trouble}")
        self._dispatch(rig, word)

    def _hear_progress(self, progress: Progressed) -> None:
        self._reminder.answered(progress.rig)
        if isinstance(progress.outcome, Word) and arrays.content(progress.outcome):
            self._dispatch(progress.rig, progress.outcome)

    def _hear_notice(self, noticed: Noticed) -> None:
        self._tell(f"{noticed.rig}: {noticed.text}")
        for callback in self._on_notice:
            self._calls.call(
                callback,
                noticed,
                what=f"a notice of {noticed.rig}",
                on_error=lambda sentence, _: self._tell(sentence),
            )

    def _dispatch(self, rig: str, word: Word) -> None:
        """Have everybody called who listens for an event."""
        address = self._conductor.exchange.addresses[rig]
        for listener in self.services.listeners(word.event):
            args: list[Any] = [arrays.content(word), (address.host, address.port)]
            args += [ExpMessage(int(word.event))] if listener.returns_event else []
            args += [self.services[rig]] if listener.returns_service else []
            if is_future(listener.callback):
                in_loop_of(listener.callback, functools.partial(_resolve, listener.callback, tuple(args)))
            else:
                self._calls.call(
                    listener.callback,
                    *args,
                    what=f"{word.event.name} of {rig}",
                    on_error=functools.partial(self._complain, rig, word.event),
                )

    def _complain(self, rig: str, event: Event, sentence: str, error: Exception) -> None:
        """Report a callback that raised, here and on the rig; from the callbacks' thread."""
        self._tell(sentence)
        reason = f"{type(error).__name__}: {error}"
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(_complain, self._conductor, rig, event, reason)


def tell_findings(session: Session, tell: Callable[[str], None]) -> None:
    """Tell the operator what the check at the agreement found wrong."""
    for name, findings in session.findings.items():
        for finding in findings:
            if finding.level in (Level.WARNING, Level.FAILURE):
                tell(f"{name}: {finding.text}")


def _complain(conductor: Conductor, rig: str, event: Event, reason: str) -> None:
    with contextlib.suppress(MultirigError):  # closed meanwhile: it is in our log
        conductor.complain(rig, event, reason)


def _resolve(future: Any, result: tuple[Any, ...]) -> None:
    if not future.done():
        future.set_result(result)
