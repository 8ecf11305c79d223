"""What is found of all the files of a rig, in words: breaks, losses, frames that came too slowly. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from multirig.protocol.events import SECOND
from multirig.protocol.words import Expected, File
from multirig.record.sources import is_data
from multirig.rig.adapter import Finding, Level, Session
from multirig.rig.evidence.counting import Counting
from multirig.rig.evidence.growth import Growth
from multirig.rig.evidence.losses import Loss
from multirig.wording import count, size

KIND = "file"
"""Of what is found of files."""
NAMED = 4
"""Findings of one kind that are told each for itself: they travel in one datagram."""


def find_fair_pause(expected: Expected) -> int:
    """Return the nanoseconds without growth that somebody expects."""
    return round((expected.longest_gap or 0.0) * SECOND)


def describe_losses(losses: Sequence[Loss], session: Session, began: int) -> Iterator[Finding]:
    """Yield what files have lost.

    Parameters
    ----------
    losses : sequence of Loss
    session : Session
    began : int
        When the rig had begun to record: this PC's clock, ns.
    """
    for loss in losses[:NAMED]:
        when = f"{max(0, loss.at - began) / SECOND:.1f} s after its start"
        text = f"{loss.path} held {size(loss.before)}, and was "
        text += "removed" if loss.after is None else f"cut to {size(loss.after)}"
        text += f" by {when}"
        if is_excused := loss.taken_over_by is not None:
            text += f": {loss.taken_over_by} was written later and may hold the same"
        elif is_excused := loss.is_temporary:
            text += ": by its name it was not meant to stay"
        else:
            text += ": what it held is in no other file"
        at = session.to_session_time(loss.at) / SECOND
        level = Level.NOTE if is_excused else Level.WARNING
        yield Finding(level=level, kind=KIND, text=text, at=at, until=at)
    if more := losses[NAMED:]:
        lost = sum(one.before - (one.after or 0) for one in more)
        text = f"{count(len(more), 'more file')} lost {size(lost)} altogether"
        is_excused = all(one.is_temporary or one.taken_over_by for one in more)
        at = session.to_session_time(more[0].at) / SECOND
        level = Level.NOTE if is_excused else Level.WARNING
        yield Finding(level=level, kind=KIND, text=text, at=at, until=at)


def describe_rate(
    counting: Counting, files: Sequence[File], session: Session, began: int, expected: Expected
) -> Iterator[Finding]:
    """Yield what is wrong with the rate of frames of which no file tells."""
    if expected.fps is None or any(file.frames is not None for file in files):
        return
    at = session.to_session_time(began) / SECOND
    if counting.count is None:
        text = f"nothing counts its frames: expect: {{fps: {expected.fps:g}}} cannot be checked"
        yield Finding(level=Level.NOTE, kind=KIND, text=text, at=at, until=at)
    elif (rate := counting.find_wrong_rate(expected.fps)) is not None:
        text = f"gave {rate:.3g} of {expected.fps:g} frames a second, by its own count"
        yield Finding(level=Level.WARNING, kind=KIND, text=text, at=at, until=at)


def describe_breaks(
    growth: Growth, files: Sequence[File], session: Session, began: int, expected: Expected
) -> Iterator[Finding]:
    """Yield when files stood still of which nothing else tells that; arguments as of `describe_losses`."""
    unknown = [file for file in files if is_data(file.path) and file.frames is None]
    breaks = (
        (file.path, one)
        for file in unknown
        for one in growth.find_breaks(file.path, fair_pause=find_fair_pause(expected))
    )
    for path, one in islice(breaks, NAMED):
        length = one.length / SECOND
        when = f"{max(0, one.begin - began) / SECOND:.1f} s after its start"
        text = f"{path} did not grow for {length:.1f} s, from {when}, and is steady else"
        if not one.is_grave:
            text += ": events may pause; is something missing?"
        else:
            fair = f"expect: {{longest_gap: {int(length) + 1}}}"
            text += f"; if it may pause so long, write {fair} into its rig's config"
        begin, end = session.to_session_time(one.begin), session.to_session_time(one.begin + one.length)
        level = Level.WARNING if one.is_grave else Level.NOTE
        yield Finding(level=level, kind=KIND, text=text, at=begin / SECOND, until=end / SECOND)
