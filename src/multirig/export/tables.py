"""What is known of a session's rigs, clocks, sources and files, and what happened in it: as tables."""

from __future__ import annotations

from typing import Any

from multirig.errors import ConfigError
from multirig.export.columns import Table, make_table
from multirig.export.naming import plain, publishable
from multirig.reading.parts import Condition
from multirig.reading.session import LoadedSession
from multirig.reading.zero import Zero
from multirig.record.journal import read_history
from multirig.record.limits import is_of_other_clock
from multirig.record.sources import find_sources
from multirig.record.story import Kind, tell

_RIGS = {
    "rig": "Its name.",
    "role": "What a session is without it: essential, expected or optional.",
    "adapter": "What it recorded with.",
    "part": "What of its recording was there when this file was written: here, incomplete, missing, not "
    "known, no file (it recorded, and has none to show for it), took no part.",
    "files": "How many files it recorded.",
    "dropped": "Frames that it saw and could not write.",
    "clock_bound": "Seconds by which its times may be off the session's clock, either way.",
    "planned": "When it was to start, in seconds from the start of the session.",
    "heard": "When it heard the command.",
    "called": "When its adapter was told to start.",
    "returned": "When its adapter had started.",
    "first_frame": "When its first frame, sample or row was.",
    "late": "Seconds by which its adapter was told later than planned.",
    "bound": "Seconds by which these times may be wrong, either way.",
}
_CLOCKS = {
    "rig": "Whose clock was read.",
    "time": "When it was read, in seconds from the start of the session.",
    "rig_time": "What the rig's own clock showed then, in seconds: time.perf_counter() of its PC.",
    "bound": "By how many seconds that may be wrong, either way.",
    "drift_ppm": "How much faster the rig's clock runs than the session's, in millionths.",
}
_SOURCES = {
    "rig": "Whose it is.",
    "source": "A camera's label, or the path of a table.",
    "frames": "Frames, samples or rows that are there.",
    "first": "When the first one was, in seconds from the start of the session.",
    "last": "When the last one was.",
    "rate": "Frames a second that it gave, in the middle.",
    "asked_rate": "Frames a second that were asked of it, or that it has promised.",
    "missing": "Frames that it numbered, or that its rate promised, and that are not there.",
    "dropped": "Frames that were seen and could not be written.",
    "damaged": "Pictures that came damaged.",
    "backwards": "Times that do not rise.",
    "bursts": "Frames that came in bursts; their times are those of their arrival.",
    "longest_gap": "Seconds between the two neighbours that are farthest from each other.",
    "gap_at": "When that gap began.",
    "stamped_by": "Whose clock stamped its frames: source (camera, driver or stream), or arrival at the PC.",
    "bound": "Seconds by which its times may be off the rig's clock, besides a constant delay.",
}
_FILES = {
    "path": "Where it lies in the session's folder.",
    "rig": "Who recorded it; empty: the PC that led, or nobody knows.",
    "is_here": "Whether it was there when this file was written.",
    "bytes": "Its size when it was recorded.",
    "frames": "What it holds: frames, samples or rows.",
    "first": "Time of the first one, in seconds from the start of the session.",
    "last": "Time of the last one.",
    "blake2b": "BLAKE2b checksum of 32 bytes, in hexadecimal.",
}
_LOG = {
    "time": "When it was noted, in seconds from the start of the session, by the clock of the PC that led.",
    "kind": "step, answer, news, alarm or other.",
    "who": "A rig, or: this PC, the one that led.",
    "what": "What happened, in words.",
}


def tell_rigs(session: LoadedSession) -> Table:
    """Return the rigs that took part, and how each one started."""
    starts = {one.rig: one for one in session.starts}
    rows = []
    for name, rig in session.rigs.items():
        row: dict[str, Any] = {
            "rig": name,
            "role": rig.role or None,
            "adapter": rig.adapter or None,
            "part": "no file" if rig.condition is Condition.NOTHING and rig.why else str(rig.condition),
            "files": len(rig.files),
            "dropped": rig.dropped,
            "clock_bound": rig.clock_bound,
        }
        if (start := starts.get(name)) is not None:
            row |= {key: one for key, one in start.to_row().items() if key != "rig"}
            row["first_frame"] = start.first
        rows.append(row)
    return make_table(
        "rigs", "The rigs that took part in the session, and how each one started.", _RIGS, rows
    )


def tell_clocks(session: LoadedSession) -> tuple[Table, list[str]]:
    """Return what was read of the rigs' clocks, and a line for each rig of which nothing is known here."""
    rows: list[dict[str, Any]] = []
    problems = []
    zero = 0.0 if session.zero is None else session.zero.at
    for name, part in session.collected.parts.items():
        if part.condition is Condition.NOTHING and not part.why:
            continue
        try:
            clock = session.clock(name)
        except ConfigError as error:
            problems.append(str(error))
            continue
        for time, offset, bound, drift in zip(
            clock.times.tolist(),
            clock.offsets.tolist(),
            clock.bounds.tolist(),
            clock.drifts.tolist(),
            strict=True,
        ):
            own = time + zero + offset
            rows.append({"rig": name, "time": time, "rig_time": own, "bound": bound, "drift_ppm": drift})
    about = (
        "What the PC that led has read of each rig's own clock. Between two readings of a rig both times go "
        "evenly, so that whatever it has stamped itself can be put on the session's clock."
    )
    return make_table("clock_readings", about, _CLOCKS, rows), problems


def tell_sources(session: LoadedSession) -> Table:
    """Return what each camera and each table of the rigs gave, and what of it was lost."""
    rows = []
    for part in session.collected.parts.values():
        for one in find_sources(part.files):
            gap = max(one.gaps(), key=lambda gap: gap.seconds, default=None)
            bounds = [each.bound for each in one.evidence if each.bound is not None]
            stamped = {each.stamped_by for each in one.evidence if each.stamped_by}
            rows.append(
                {
                    "rig": part.rig,
                    "source": plain(one.name),
                    "frames": one.frames if one.is_counted else None,
                    "first": since_start(one.first, session.zero),
                    "last": since_start(one.last, session.zero),
                    "rate": one.given,
                    "asked_rate": one.promised,
                    **{
                        key: one.total(key)
                        for key in ("missing", "dropped", "damaged", "backwards", "bursts")
                    },
                    "longest_gap": None if gap is None else gap.seconds,
                    "gap_at": None if gap is None else since_start(gap.at, session.zero),
                    "stamped_by": ", ".join(sorted(stamped)) or None,
                    "bound": max(bounds, default=None),
                }
            )
    return make_table("sources", "What each camera and each table of the rigs gave.", _SOURCES, rows)


def tell_files(session: LoadedSession) -> Table:
    """Return each file that was recorded, also those that the file does not speak of otherwise."""
    sums = {
        (part.rig, one.path): one.blake2b for part in session.collected.parts.values() for one in part.files
    }
    rows = [
        {
            "path": plain(one.path),
            "rig": one.rig or None,
            "is_here": one.place is not None,
            "bytes": one.bytes,
            "frames": one.frames,
            "first": one.first,
            "last": one.last,
            "blake2b": sums.get((one.rig, one.path)),
        }
        for one in session.files
    ]
    return make_table("files", "Each file that was recorded in the session.", _FILES, rows)


def tell_log(session: LoadedSession) -> Table:
    """Return what happened, by the journal; no rows where that is not here."""
    rows: list[dict[str, Any]] = []
    zero = 0.0 if session.zero is None else session.zero.at
    try:
        moments = read_history(session.folder).moments
    except (ConfigError, OSError):  # a rig's part: `reasons` tells that it is not here
        moments = []
    for moment, line in zip(moments, tell(moments), strict=True):
        if line.kind not in (Kind.CLOCK, Kind.MARKER):  # which have tables of their own
            rows.append(
                {
                    "time": moment.at / 1e9 - zero,
                    "kind": str(line.kind),
                    "who": plain(line.who),
                    "what": publishable(line.what),
                }
            )
    return make_table(
        "log",
        "What happened, by the journal of the PC that led; markers and clocks have tables of their own.",
        _LOG,
        rows,
    )


def since_start(time: float | None, zero: Zero | None) -> float | None:
    """Return a time of the session's clock from its start; None: not known, or of another clock."""
    if time is None or zero is None or is_of_other_clock(time, zero.at):
        return None
    return time - zero.at
