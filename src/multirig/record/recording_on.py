"""Who may record, moment by moment: by what each rig was told, and by what it has said. Pure."""

from __future__ import annotations

from multirig.lifecycle.session_events import AgreeRequested, RigsChosen, StepRequested
from multirig.lifecycle.session_states import EVENT_OF, SessionTrigger
from multirig.lifecycle.watch import Notice, Noticed
from multirig.protocol.events import (
    RESTARTED,
    WITHDRAWN,
    Received,
    Refused,
    Relocated,
    Replied,
    TimedOut,
    Unreached,
)
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Event, Status
from multirig.protocol.words import CleanedUp, Ready, Report, RigState, Started, Stopped, Word
from multirig.record.history import Moment, find_rig
from multirig.record.left import NOT_KNOWN, SAYS_SO

_BEGINNING = frozenset({SessionTrigger.INIT, SessionTrigger.START})
"""Steps after which a rig may record: a program may do so from the first moment of its initialisation on."""
_ENDING = frozenset({Event.EXPEND, Event.EXPINTERRUPT, Event.EXPCLEANUP})
_RECORDING = frozenset({RigState.STARTING, RigState.RUNNING, RigState.STOPPING})


class RecordingOn:
    """Keeps why each rig may record: it may have been started, and has not said that it stopped."""

    def __init__(self) -> None:
        self._whys: dict[str, str] = {}
        self._names: dict[str, str] = {}
        """Of the rigs, by address."""
        self._takes_over = False
        """Whether rigs are taken over that record for others."""
        self._unended: set[str] = set()
        """Rigs that were told to begin, and have not said that they have ended."""

    def begin_again(self) -> None:
        """Forget an attempt; the rigs are the same."""
        self._whys.clear()
        self._unended.clear()

    def why(self, name: str) -> str | None:
        """Return why a rig may record; None: it does not, by its own word, or it never began."""
        return self._whys.get(name)

    def take(self, moment: Moment) -> None:
        """Take what happened next."""
        match event := moment.event:
            case RigsChosen(rigs=rigs):
                self._names = {str(address): name for name, address in rigs.items()}
            case AgreeRequested(takes_over=takes_over):
                self._takes_over = takes_over
            case StepRequested(trigger=trigger) if trigger in _BEGINNING:
                self._unended.update(self._names.values())
            case Relocated(address=address, now_at=now_at):
                if (moved := self._names.pop(str(address), None)) is not None:
                    self._names[str(now_at)] = moved
            case Noticed(rig=rig, notice=Notice.TAKEN_OVER):
                self._whys.pop(rig, None)  # it is another session's now
            case Noticed(rig=rig, report=Report() as report):
                self._hear(rig, report)
            case Received(address=address, word=Report() | Stopped() as word):
                if (name := self._names.get(str(address))) is not None:
                    self._take_word(name, word)
            case Replied() | Refused() | TimedOut() | Unreached() if (name := find_rig(event)) is not None:
                self._take_outcome(name, moment)

    def _take_outcome(self, name: str, moment: Moment) -> None:
        """Take what came of a step on a rig."""
        if moment.word is not None:
            self._take_word(name, moment.word)
        elif _may_have_begun(moment.event):
            step = EVENT_OF.get(moment.before)
            if step is Event.EXPSTART or (step in _ENDING and name in self._unended):
                self._whys[name] = NOT_KNOWN

    def _hear(self, name: str, report: Report) -> None:
        if report.doing is not None and report.doing not in _RECORDING:
            self._whys.pop(name, None)

    def _take_word(self, name: str, word: Word) -> None:
        match word:
            case Started():
                self._whys[name] = NOT_KNOWN
            case Ready(status=Status.RUNNING) if self._takes_over:
                self._whys[name] = SAYS_SO  # whoever led it does not any more
            case Stopped(status=Status.RUNNING) | CleanedUp(status=Status.RUNNING):
                self._whys[name] = SAYS_SO
            case CleanedUp(status=None) if self._whys.get(name) == SAYS_SO:
                pass  # it says nothing else
            case Stopped(status=None, exp_ref=ExpRef()):
                # maybe an echo of what it was told, which was late: it shows when it is to clean up
                self._whys.pop(name, None)
            case Stopped() | CleanedUp():
                self._whys.pop(name, None)
                self._unended.discard(name)
            case Report():
                self._hear(name, word)


def _may_have_begun(event: object) -> bool:
    """Whether a rig may record that did not say so: what refuses to start does not."""
    return not isinstance(event, Refused) or event.reason in (WITHDRAWN, RESTARTED)
