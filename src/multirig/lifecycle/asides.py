"""What is asked of rigs while a session runs, aside of its steps: polls, and what those do that restarted."""

from __future__ import annotations

from multirig.lifecycle.members import Members
from multirig.lifecycle.step import LinkOutcome
from multirig.lifecycle.watch import Notice, Noticed, Watch
from multirig.protocol.events import SECOND, Replied, Send
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Event, Status
from multirig.protocol.words import AskStatus, Report, Start, Word

POLL_LIMIT = 5 * SECOND
"""How long a peer of IBL may take to say its status."""
_POLL, _RESTART, _RESUME = "poll", "restart", "resume"
"""Kinds of questions; a rig's outcome comes under ``(kind, rig)``."""


class Asides:
    """Asks who does not tell by itself how it is, and has rigs record on that were restarted.

    Parameters
    ----------
    members : Members
        The rigs of the session.
    watch : Watch
        Takes what is heard of them.
    """

    def __init__(self, members: Members, watch: Watch) -> None:
        self._members = members
        self._watch = watch
        self._resuming: set[str] = set()
        """Rigs that were restarted and have been told to record on."""
        self._polled: dict[str, int] = {}
        """Who is asked for its status while it records, and how often."""
        self._poll_at: dict[str, int] = {}

    def begin(self, now: int, until: int | None = None) -> None:
        """All record, until it is time where that is known: begin to watch them."""
        members = self._members
        self._polled = members.polled()
        watched = members.recording()
        self._watch.begin([name for name in members.rigs if name in watched], self._polled, now, until)
        self._poll_at = {name: now + every for name, every in self._polled.items()}

    def end(self) -> None:
        """Nobody has to record any more."""
        self._watch.end()
        self._poll_at.clear()
        self._resuming.clear()

    def get_timer(self) -> int | None:
        """Return when `handle_timer` wants to be called, or None."""
        return min(self._poll_at.values(), default=None)

    def handle_timer(self, now: int) -> list[Send]:
        """Ask who is due."""
        due = [name for name, at in self._poll_at.items() if at <= now]
        for name in due:
            self._poll_at[name] = now + self._polled[name]
        return [self._send(name, _POLL, AskStatus()) for name in due]

    def ask_restarted(self, name: str) -> Send:
        """Ask a rig that was restarted in the middle of a recording what it does."""
        return self._send(name, _RESTART, AskStatus())

    def _send(self, name: str, kind: str, word: Word, limit: int = POLL_LIMIT) -> Send:
        return Send(address=self._members.rigs[name], word=word, key=(kind, name), limit=limit)

    def take(
        self, kind: str, name: str, event: LinkOutcome, exp_ref: ExpRef | None, now: int
    ) -> Send | Noticed | None:
        """Take the outcome of a question; return what is noticed by it, or to be asked next.

        Parameters
        ----------
        kind, name : str
            Its key.
        event : Replied, Refused, TimedOut or Unreached
            What the link reports.
        exp_ref : ExpRef or None
            Of the session.
        now : int
        """
        if kind == _RESUME:
            if isinstance(event, Replied):
                self._resuming.discard(name)
                text = "records again, into further files; see its gap"
                return Noticed(rig=name, notice=Notice.RESUMED, text=text)
            text = f"was restarted and cannot record on: {getattr(event, 'reason', 'it did not answer')}"
            return Noticed(rig=name, notice=Notice.RESTARTED, text=text)
        report = event.word if isinstance(event, Replied) else None
        if not isinstance(report, Report):
            return None  # it will be silent, or be heard
        if kind == _POLL:
            return self._watch.hear(name, report, now) if report.status is not None else None
        if report.status is Status.RUNNING and report.exp_ref == exp_ref:
            return None
        return self.resume(name, report, exp_ref)

    def resume(self, name: str, report: Report, exp_ref: ExpRef | None) -> Send | Noticed | None:
        """Let a rig that was restarted record on, if it can."""
        if name in self._resuming or self._watch.knows(name, Notice.RESTARTED):
            return None
        if report.resumes and report.exp_ref == exp_ref:
            self._resuming.add(name)
            word = Start(exp_ref=exp_ref, resume=True)
            return self._send(name, _RESUME, word, self._members.limit_of(name, Event.EXPSTART))
        why = f": {report.failure}" if report.failure else ""
        text = (
            f"was restarted and does not record any more{why}; where its data are needed, end the session "
            "and begin another one"
        )
        return Noticed(rig=name, notice=Notice.RESTARTED, text=text, report=report)
