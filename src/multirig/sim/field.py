"""A journal from the field, judged as a rehearsal is: what the session's own record says of the promises."""

from __future__ import annotations

from pathlib import Path

from multirig.lifecycle.policy import DEFAULT_POLICY, Role
from multirig.lifecycle.session_events import Moved, Progressed
from multirig.lifecycle.session_states import SessionState
from multirig.protocol.events import SECOND
from multirig.protocol.messages import Event
from multirig.protocol.words import Word
from multirig.record.history import Replay
from multirig.record.journal import read_journal


def replay_field_journal(folder: Path) -> list[str]:
    """Return in what a session has broken its promises, by its journal; nothing if it has kept them.

    Parameters
    ----------
    folder : pathlib.Path
        The session folder.

    Raises
    ------
    ConfigError
        There is no journal, or it cannot be read.
    """
    replay = Replay()
    started: set[str] = set()
    agreed: set[str] = set()
    out: list[str] = []
    began: int | None = None
    for entry in read_journal(folder):
        began = entry.at if began is None else began
        moment = replay.take(entry)
        machine = replay.machine
        if moment.is_beginning:
            started.clear()
        when = f"{(entry.at - began) / SECOND:.3f} s"
        for happening in moment.happenings:
            match happening:
                case Progressed(event=Event.EXPSTART, rig=rig, outcome=Word()):
                    started.add(rig)
                case Moved(state=SessionState.AGREED, exp_ref=exp_ref):
                    agreed.add(str(exp_ref))
                case Moved(state=SessionState.STARTING, exp_ref=exp_ref) if str(exp_ref) not in agreed:
                    out.append(f"{when}: agreed first: {exp_ref} was started and never agreed on")
                case Moved(state=SessionState.RUNNING, exp_ref=exp_ref) if not machine.found:
                    needed = {
                        name
                        for name in machine.rigs
                        if machine.policies.get(name, DEFAULT_POLICY).role is not Role.OPTIONAL
                    }
                    if silent := needed - started:
                        who = ", ".join(sorted(silent))
                        out.append(f"{when}: running is true: {exp_ref} ran and {who} had not said so")
    return out
