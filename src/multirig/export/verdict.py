"""What a session turned out to be, and what of it is not in the file: as a table, and in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from multirig.export.columns import Table, make_table
from multirig.export.naming import publishable
from multirig.reading.parts import Condition, Part
from multirig.reading.session import LoadedSession
from multirig.record.account import Account
from multirig.record.timing import say_spread
from multirig.wording import count, listed

NOT_HERE, LEFT_OUT = "not here", "left out"
_COLUMNS = {
    "kind": "What is said: verdict; reason (why it is not GOOD, the gravest first); not verified (nothing "
    "proves that this rig recorded to the end); note; not here (what was recorded, and was not there when "
    "this file was written); left out (what was there, and could not be taken in); zero (what all times "
    "count from); start, first frame (how near to each other the rigs were); length.",
    "text": "What is said of it.",
}


def tell_verdict(session: LoadedSession, left_out: Iterable[str]) -> Table:
    """Return what the session turned out to be, and what of it is not in the file."""
    rows = [{"kind": kind, "text": publishable(text)} for kind, text in _judge(session)]
    rows += [{"kind": NOT_HERE, "text": publishable(_say_missing(part))} for part in find_missing(session)]
    rows += [{"kind": LEFT_OUT, "text": publishable(text)} for text in left_out]
    about = (
        "What this session turned out to be, by the journal of the PC that led it, and what is not in here."
    )
    return make_table("verdict", about, _COLUMNS, rows)


def _judge(session: LoadedSession) -> Iterator[tuple[str, str]]:
    told = session.account
    yield "verdict", "not known" if told is None else str(told.verdict)
    yield from (("reason", one) for one in session.reasons)
    if told is not None:
        yield from (("not verified", f"{name}: {why}") for name, why in told.unverified.items())
        yield from (("note", one) for one in told.notes)
        if not told.is_final:
            yield "note", "the session had not ended when this file was written: it is what it would be now"
    if session.zero is not None:
        yield "zero", session.zero.what
    if told is not None:
        yield from _measure(told)


def _measure(told: Account) -> Iterator[tuple[str, str]]:
    if told.start_spread is not None:
        yield "start", say_spread(told.start_spread, "started")
    if told.first_spread is not None:
        yield "first frame", say_spread(told.first_spread, "gave their first frames")
    if told.length is not None:
        yield "length", f"all rigs were to record for {told.length:.3f} s"


def find_missing(session: LoadedSession) -> list[Part]:
    """Return the parts of rigs of which something is not here, or not known."""
    lacking = (Condition.MISSING, Condition.INCOMPLETE, Condition.UNKNOWN)
    return [one for one in session.collected.parts.values() if one.condition in lacking]


def _say_missing(part: Part) -> str:
    """Return what of a rig's part is not here, for who reads the file elsewhere and later."""
    lacking = [one.path for one in part.files if one.path not in part.places]
    if part.condition is Condition.UNKNOWN or not lacking:
        return f"{part.rig}: {part.why}"
    verb = "was" if len(lacking) == 1 else "were"
    return f"{part.rig}: {listed(lacking, most=20)} {verb} not there when this file was written"


def describe_session(session: LoadedSession) -> str:
    """Return in a sentence or two what the session was, the verdict first among what is said of it."""
    told = session.account
    rigs = [name for name, one in session.rigs.items() if one.condition is not Condition.NOTHING or one.why]
    over = f"over {count(len(rigs), 'rig')} ({listed(rigs)})" if rigs else "without rigs"
    text = f"Session {session.exp_ref}, recorded {over}. Verdict: "
    if told is None:
        return publishable(f"{text}not known here ({'; '.join(session.reasons)}).")
    text += told.headline if told.is_final else f"{told.headline} as it stands, since it has not ended"
    return publishable(f"{text}: {'; '.join(session.reasons)}." if session.reasons else f"{text}.")


def describe_times(session: LoadedSession) -> str:
    """Return what the times in the file are."""
    what = "an unknown moment" if session.zero is None else session.zero.what
    pc = "" if session.account is None or not session.account.pc else f" ({session.account.pc})"
    return publishable(
        f"Zero of all times, and the start of the session: {what}. All are on one clock that never jumps, "
        f"that of the PC that led{pc}; the time of day is by that PC too. By how much the times of each rig "
        "may be off stands in the table of rigs."
    )
