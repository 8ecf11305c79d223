"""What is wrong with a rig, by what it says unasked. Pure."""

from __future__ import annotations

from multirig.protocol.words import Report, RigState, Stopped, Word


def find_trouble(word: Word, *, is_running: bool) -> str | None:
    """Return what is wrong with a rig by what it said unasked, if something is."""
    if failure := find_failure(word):
        return failure
    if not is_running:
        return None
    match word:
        case Stopped(event=event):
            return f"said {event.name}: it was stopped at its own screen"
        case Report(state=RigState() as state) if state is not RigState.RUNNING and not word.is_resuming:
            return f"is {state}: it was stopped at its own keyboard"
    return None


def find_failure(word: Word) -> str | None:
    """Return what is broken on a rig, as it says."""
    return getattr(word, "failure", None)
