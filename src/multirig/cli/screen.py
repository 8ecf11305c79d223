"""What a session shows at the terminal while it is led."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import AsyncIterator, Mapping

from rich.spinner import Spinner

from multirig.cli import accounts, render
from multirig.cli.footer import Footer
from multirig.conductor.events import StepBegan, StepEnded
from multirig.conductor.leading import Wishes
from multirig.conductor.session import Session
from multirig.errors import MultirigError
from multirig.lifecycle.session_events import HandingTold, Heard, Moved, Progressed
from multirig.lifecycle.session_states import SessionState, SessionTrigger
from multirig.lifecycle.watch import Notice, Noticed
from multirig.protocol.messages import Event
from multirig.protocol.words import Report
from multirig.record.trouble import find_trouble
from multirig.wording import about

log = logging.getLogger("multirig.cli")

EXPLAIN_AFTER = 3.0
"""Seconds that a rig may take before it is said that it may take long: mostly it is done by then."""
LOOK_EVERY = 1.0
"""Seconds between two looks at what keeps a rig that is waited for from hearing us."""
WATCH_EVERY = 0.5
"""Seconds between two looks at the figures while the rigs record."""
_SILENT = frozenset({SessionTrigger.ABANDON, SessionTrigger.GO_ON})
"""Steps for which nobody waits."""
_ENDINGS = {Event.EXPEND: "stop", Event.EXPINTERRUPT: "interrupt", Event.EXPCLEANUP: "clean up"}
"""What is shown rig by rig where it fails; a beginning that fails raises, with all of its causes."""
_GOOD = frozenset({Notice.BACK, Notice.GROWING, Notice.RESUMED, Notice.ROOM})


@contextlib.asynccontextmanager
async def showing(session: Session, wishes: Wishes) -> AsyncIterator[None]:
    """Show what happens to a session; what is typed while the rigs record becomes markers."""
    screen = _Screen(session, wishes)
    following = asyncio.ensure_future(screen.follow())
    try:
        yield
    finally:
        session.release()  # else nothing says that there is nothing more to show
        await following


class _Screen:
    """Shows a step while it is taken, for which rigs it waits, and what is noticed meanwhile."""

    def __init__(self, session: Session, wishes: Wishes) -> None:
        self._session = session
        session.remarks.tell = session.on_refused = render.warn
        self._wishes = wishes
        self._events = session.events()
        self._rigs = list(session.conductor.rigs)
        self._waiting: list[str] = []
        self._failed: dict[str, MultirigError] = {}
        """What went wrong in this step, by rig."""
        self._alarmed: dict[str, str] = {}
        """What was shown last of each rig."""
        self._step: SessionTrigger | None = None
        self._explaining: asyncio.TimerHandle | None = None
        self._began = 0.0
        self._footer = Footer(render.err)
        self._turning = Spinner("dots", style="status.spinner")
        self._watching: asyncio.Future[None] | None = None

    async def follow(self) -> None:
        """Show everything until the session is over."""
        try:
            async for event in self._events:
                match event:
                    case StepBegan(step=step) if step not in _SILENT:
                        self._begin(step)
                        self._explain_later(step, event.slow)
                    case StepEnded(step=step, error=error) if step is self._step:
                        self._end(step, error)
                    case Progressed():
                        self._show_outcome(event)
                    case Moved(state=state):
                        await self._watch(is_running=state is SessionState.RUNNING)
                    case Noticed():
                        self._show_notice(event)
                    case HandingTold(rig=rig, text=text):
                        render.say(f"{rig} {text}")
                    case Heard():
                        self._show_alarm(event)
        finally:
            self._stop_explaining()
            self._footer.remove("step")
            await self._watch(is_running=False)

    def _explain_later(self, step: SessionTrigger, slow: Mapping[str, float]) -> None:
        """Say of rigs that may take long that they are waited for, and what keeps others from hearing us."""

        def explain() -> None:
            for rig, seconds in slow.items():
                if rig in self._waiting:
                    render.say(f"{step}: {rig} may take up to {about(seconds)}, and is waited for")
            look()

        def look() -> None:
            self._show_step()  # somebody may have been refused meanwhile
            for rig in self._waiting:
                obstacle = self._session.conductor.obstacle(rig)
                if obstacle is not None and obstacles.get(rig) != obstacle:
                    obstacles[rig] = obstacle
                    render.alarm_line(rig, f"{obstacle} ({step} is tried on)")
            self._explaining = loop.call_later(LOOK_EVERY, look)

        obstacles: dict[str, str] = {}
        loop = asyncio.get_running_loop()
        self._explaining = loop.call_later(EXPLAIN_AFTER, explain)

    def _stop_explaining(self) -> None:
        if self._explaining is not None:
            self._explaining.cancel()

    def _begin(self, step: SessionTrigger) -> None:
        self._stop_explaining()
        if step is SessionTrigger.INTERRUPT and self._step is SessionTrigger.STOP:
            render.say("interrupting the rigs that are still stopping")
        self._step, self._waiting, self._failed = step, list(self._rigs), {}
        self._began = time.perf_counter()
        self._show_step()

    def _show_step(self) -> None:
        if self._step is not None:
            self._turning.update(text=render.waiting_text(self._step.value, self._waiting, self._refused()))
            self._footer.show("step", self._turning)

    def _refused(self) -> Mapping[str, int]:
        return self._session.conductor.exchange.runtime.refused()

    def _end(self, step: SessionTrigger, error: MultirigError | None) -> None:
        self._footer.remove("step")
        self._step = None
        self._stop_explaining()
        if error is not None:
            return
        render.step_line(step.value, len(self._rigs), len(self._failed), time.perf_counter() - self._began)
        if step.value not in _ENDINGS.values():
            for rig, why in self._failed.items():  # the session begins without them
                render.alarm_line(rig, f"is not needed, and takes no part: {why}")
                self._rigs.remove(rig)
        if step is SessionTrigger.AGREE:
            render.show_troubles(self._session.findings)
        if step is SessionTrigger.START:
            for objection in self._session.objections:
                render.alarm_line(objection.rig, objection.text)
            if (spread := self._session.start_spread) is not None:
                accounts.spread_line(spread)

    def _show_outcome(self, progressed: Progressed) -> None:
        if self._step is None:
            return
        if progressed.rig in self._waiting:
            self._waiting.remove(progressed.rig)
        self._show_step()
        if isinstance(progressed.outcome, MultirigError):
            self._failed[progressed.rig] = progressed.outcome
            if progressed.event in _ENDINGS:
                render.outcome_line(_ENDINGS[progressed.event], progressed.rig, progressed.outcome)

    def _show_alarm(self, heard: Heard) -> None:
        """Show what a rig says by itself; how it records is noticed, and shown as that."""
        if isinstance(heard.word, Report):
            return
        is_running = self._session.state is SessionState.RUNNING
        if trouble := find_trouble(heard.word, is_running=is_running):
            self._alarm(heard.rig, trouble)

    def _show_notice(self, noticed: Noticed) -> None:
        if noticed.notice in _GOOD:
            self._alarmed.pop(noticed.rig, None)
            render.say(f"{noticed.rig}: {noticed.text}")
        else:
            self._alarm(noticed.rig, noticed.text)

    def _alarm(self, rig: str, text: str) -> None:
        """Show what is wrong with a rig; what it says by itself is mostly noticed too, in the same words."""
        if self._alarmed.get(rig) != text:
            self._alarmed[rig] = text
            render.alarm_line(rig, text)

    # -- while the rigs record --------------------------------------------------------------------------

    async def _watch(self, *, is_running: bool) -> None:
        """Begin to show what the rigs record, or end it."""
        watching = self._watching
        if is_running and watching is None:
            self._watching = asyncio.ensure_future(self._show_recording(time.perf_counter()))
        elif not is_running and watching is not None:
            self._watching = None
            watching.cancel()
            for outcome in await asyncio.gather(watching, return_exceptions=True):
                if isinstance(outcome, Exception):
                    log.error("what the rigs record could not be shown", exc_info=outcome)

    async def _show_recording(self, began: float) -> None:
        has_keyboard = render.has_keyboard()
        seconds = self._wishes.seconds
        said = "recording; Ctrl-C ends the session" if seconds is None else f"recording for {seconds:g} s"
        render.say(f"{said}, a line that you type becomes a marker" if has_keyboard else said)
        marking = asyncio.ensure_future(self._mark_lines(began)) if has_keyboard else None
        try:
            while True:
                elapsed = time.perf_counter() - began
                table = render.watch_table(elapsed, self._session.news(), self._refused())
                self._footer.show("recording", table)
                await asyncio.sleep(WATCH_EVERY)
        finally:
            self._footer.remove("recording")
            if marking is not None:
                marking.cancel()
                await asyncio.gather(marking, return_exceptions=True)

    async def _mark_lines(self, began: float) -> None:
        """Set a marker for each line that is typed; a keyboard that is taken away ends nothing."""
        from multirig.ibl.net.rigs import read_stdin  # not for those who have no keyboard

        if hasattr(signal, "SIGTTIN"):
            # in the background there is no keyboard, and the session is not to stand still
            signal.signal(signal.SIGTTIN, signal.SIG_IGN)
        async for line in read_stdin():
            if line.strip():
                try:
                    at = self._session.mark(line)
                except MultirigError as error:
                    render.show_error(error)
                else:
                    render.say(f"{at - began:.1f} s  marker: {' '.join(line.split())}")
