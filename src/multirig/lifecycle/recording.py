"""What a rig knows of the recording of its session: how it grows, what it holds, when it had gaps."""

from __future__ import annotations

from dataclasses import replace

from multirig.lifecycle.growth import Growth
from multirig.lifecycle.leader import Leader
from multirig.lifecycle.rig_states import STATUS, RigState
from multirig.protocol.events import SECOND, Token
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Status
from multirig.protocol.words import ClockOffset, File, Finding, Gap, Health, Recorded, Stopped


class Recording:
    """Keeps what the adapter's hooks had to tell of a session, until the next one begins.

    Parameters
    ----------
    stall_after : int, optional
        Nanoseconds for which a recording may not grow before it counts as stalled; None: never.
    """

    def __init__(self, stall_after: int | None) -> None:
        self.health: Health | None = None
        """The adapter's proof of recording, as it was last looked at."""
        self.gaps: tuple[Gap, ...] = ()
        """When this session was not recorded, since the program had died; the last one may still go on."""
        self.findings: tuple[Finding, ...] = ()
        """What was seen since it began."""
        self.recorded = Recorded()
        """What the hooks have reported of the session."""
        self._of: ExpRef | None = None
        """Of which session that is: after a clean-up the last one is still remembered."""
        self._growth = Growth(stall_after)
        self._began: int | None = None
        """When it began to record what it records now."""
        self._ended: tuple[int, Leader | None] | None = None
        """When the recording ended, and who led it then."""

    def begin(self, exp_ref: ExpRef | None) -> None:
        """A session begins."""
        self.recorded, self._of, self._ended = Recorded(), exp_ref, None
        self.forget()

    def restore(self, exp_ref: ExpRef | None, recorded: Recorded) -> None:
        """Take what is there of a session after the program has died."""
        self.recorded, self._of = recorded, exp_ref

    def forget(self) -> None:
        """Nothing is recorded: what the device had to show for it is no news any more."""
        self.health, self.gaps, self.findings = None, (), ()

    def take(self, recorded: Recorded, gap: Gap | None = None) -> None:
        """Note what hooks have to tell; one that has ended a gap says how long it was."""
        if gap is not None and self.gaps:
            self.gaps = (*self.gaps[:-1], gap)
        self.recorded = self.recorded.followed_by(recorded)

    def move(self, before: RigState, state: RigState, leader: Leader | None, now: int) -> None:
        """Note that the rig is in another state."""
        if state is RigState.RUNNING:
            self._ended = None
        was_open = STATUS[before] is Status.RUNNING and STATUS[state] is not Status.RUNNING
        if was_open and self._ended is None:  # what has failed is stopped once more, and ended before
            self._ended = now, leader
        if STATUS[state] is not Status.RUNNING:
            self._began = None
        if state is not RigState.RUNNING:
            self._growth.end()
        elif before is not RigState.RUNNING:
            self._began = now
            self._growth.begin(now)

    def measure(self, health: Health, now: int, findings: tuple[Finding, ...] = ()) -> None:
        """Take the adapter's proof of recording of now, and what it has seen."""
        self.health, self.findings = health, findings
        self._growth.measure(health, now)

    def seconds(self, now: int) -> float | None:
        """Return for how long it has recorded what it records now."""
        return None if self._began is None else round((now - self._began) / SECOND, 3)

    def stalled(self, now: int) -> float | None:
        """Return for how many seconds nothing has come in, if that is too long."""
        return self._growth.stalled(now)

    def how_it_started(self) -> Recorded:
        """Return what the answer to a start says."""
        return replace(self.recorded, files=None)

    def add_account(self, word: Stopped, token: Token, exp_ref: ExpRef | None, now: int) -> Stopped:
        """Return the answer to a stop with what was recorded.

        A foreign peer gets the totals, since it may read a thousand bytes only.

        Parameters
        ----------
        word : Stopped
            The answer without it.
        token : Token
            Who asks.
        exp_ref : ExpRef or None
            The session that it has named.
        now : int
        """
        recorded = self.recorded if exp_ref in (None, self._of) else Recorded()
        files = recorded.files or ()
        is_told = recorded.files is not None or recorded.stopped_at is None
        if is_told:  # else its data lie where nobody counts them
            word = replace(word, files_total=len(files), bytes_total=sum(one.bytes for one in files))
        if token.wire == 1:
            return word
        listed = replace(recorded, files=files if is_told else None)
        if not recorded or self._ended is None:
            return replace(word, recorded=listed)
        at, leader = self._ended
        if leader is None or not leader.is_sender_of(token):  # its times mean nothing to who did not lead
            listed = replace(listed, clock=ClockOffset(offset=0.0))
        return replace(word, recorded=listed, ended_ago=round((now - at) / SECOND, 3))

    def late_digests(self) -> dict[str, str]:
        """Return the checksums, by path, that were not ready when the files were listed."""
        made = self.recorded.digests or {}
        files: tuple[File, ...] = self.recorded.files or ()
        listed = [one.path for one in files if one.blake2b is None]
        return {path: made[path] for path in listed if path in made}
