"""What may be wrong with what one source of a rig gave: a line for each thing that is found. Pure.

Each finder is given the session, the rig and the source, and yields words that follow the source's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from multirig.record.limits import (
    DAMAGED_SHARE,
    FAIR_GAP,
    FAIR_PERIODS,
    LATE_SECONDS,
    NOTED_TIME,
    RATE_SECONDS,
    RATE_SHARE,
    SLOW_FRAMES,
    TOLERANCE,
    WRONG_TIME,
    is_of_other_clock,
)
from multirig.record.sources import Gap, Source
from multirig.record.summary import RigSummary, Summary
from multirig.wording import count, grouped, span

Find: TypeAlias = Callable[[Summary, RigSummary, Source], Iterator[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRule:
    """One kind of evidence against a source."""

    is_note: bool = False
    """Whether it takes nothing from the session."""
    when: str
    """In words, for the documentation."""
    find: Find


def covers(summary: Summary, rig: RigSummary, source: Source) -> bool:
    """Return whether a source gave something from the beginning of the session to its end."""
    return not [*find_short(summary, rig, source)]


def find_short(summary: Summary, rig: RigSummary, source: Source) -> Iterator[str]:
    """Compare when a source gave frames with when the session was."""
    begin, end, length = summary.running_from, summary.running_until, summary.length
    first, last = source.first, source.last
    if begin is None or end is None or length is None or first is None or last is None:
        return
    allowed = TOLERANCE + (rig.clock_bound or 0.0) + source.period * SLOW_FRAMES
    # where its times cannot be compared with ours, their differences can
    if rig.clock_bound is None or is_of_other_clock(first, begin):
        if length - (last - first) > allowed:
            yield f"recorded {last - first:.1f} s of a session of {length:.1f} s"
        return
    if first - begin > allowed:
        yield f"began {first - begin:.1f} s after the session did"
    if end - last > allowed:
        yield f"ended {end - last:.1f} s before the session did"


def runs_by_itself(source: Source) -> bool:
    """Return whether a source should give something all the time; a table of events need not."""
    return source.rate is not None or source.given is not None


def _find_short(summary: Summary, rig: RigSummary, source: Source) -> Iterator[str]:
    if runs_by_itself(source) and rig.has_ended and not has_ended_early(rig):
        yield from find_short(summary, rig, source)


def has_ended_early(rig: RigSummary) -> bool:
    """Return whether the whole rig says that it had ended before: its files need not be blamed for it."""
    return rig.ended_early is not None and rig.ended_early > TOLERANCE


def find_gaps(source: Source) -> Iterator[Gap]:
    """Yield the times in which it gave nothing, and should have."""
    fair = source.fair_gap
    for gap in source.gaps():
        is_excused = gap.is_made_up and source.expected.longest_gap is None
        if fair is not None and gap.seconds > fair and not is_excused:
            yield gap


def _find_gap(summary: Summary, rig: RigSummary, source: Source) -> Iterator[str]:
    for gap in find_gaps(source):
        line = f"gave nothing for {gap.seconds:.1f} s"
        if rig.clock_bound is not None and not is_of_other_clock(gap.at, summary.zero):
            line += f", from {max(0.0, gap.at - summary.zero):.1f} s after the start"
        if gap.missing and source.rate:
            line += f": {grouped(gap.missing)} missing at {_rate(source.rate)}/s"
        yield line


def _find_slow(summary: Summary, rig: RigSummary, source: Source) -> Iterator[str]:
    promised, mean, seconds = source.promised, source.mean, source.seconds
    if promised is None or mean is None:
        return
    middle = source.given or mean
    least = 1 / (promised * seconds)
    margin = max(RATE_SHARE, RATE_SHARE * RATE_SECONDS / seconds, least)
    off = [(rate - promised) / promised for rate in (middle, mean)]
    if min(off) > margin or max(off) < -margin:
        yield f"gave {_rate(middle)} of {_rate(promised)} frames a second"
    elif abs(off[1]) > max(RATE_SHARE, LATE_SECONDS / seconds, 2 * least) and not any(find_gaps(source)):
        yield f"gave {_rate(mean)} of {_rate(promised)} frames a second, taken over the whole"


def _find_missing(summary: Summary, rig: RigSummary, source: Source) -> Iterator[str]:
    missing, fair = source.total("missing") or 0, source.expected.missing or 0.0
    total = source.frames + missing
    unexplained = missing - (source.total("dropped") or 0)  # what was dropped is told by itself
    if unexplained > fair * total and not any(find_gaps(source)):
        yield f"lacks {grouped(unexplained)} of {count(total, 'frame')}, by its own numbers"


def _find_dropped(summary: Summary, rig: RigSummary, source: Source) -> Iterator[str]:
    if source.has_name and (dropped := source.total("dropped")):
        yield f"dropped {count(dropped, 'frame')}: they were seen and could not be written"


def _say_damage(source: Source) -> str:
    damaged = source.total("damaged") or 0
    return f"gave {count(damaged, 'picture')} of {grouped(max(damaged, source.frames))} damaged"


def _is_damaged(source: Source) -> bool:
    return (source.total("damaged") or 0) > source.fair_damage * source.frames


def _find_damage(summary: Summary, rig: RigSummary, source: Source) -> Iterator[str]:
    if _is_damaged(source):
        yield f"{_say_damage(source)}: look at its cable and its network"


def _find_flicker(summary: Summary, rig: RigSummary, source: Source) -> Iterator[str]:
    if source.total("damaged") and not _is_damaged(source):
        yield _say_damage(source)


def _find_backwards(summary: Summary, rig: RigSummary, source: Source) -> Iterator[str]:
    if backwards := source.total("backwards"):
        times = "1 time that is" if backwards == 1 else f"{count(backwards, 'time')} that are"
        yield f"has {times} not later than the one before: order nothing by them"


def _find_other_clock(summary: Summary, rig: RigSummary, source: Source) -> Iterator[str]:
    if is_of_other_clock(source.first, summary.running_from):
        yield (
            "has times of another clock (time of day?): they cannot be compared with the others'; write "
            "time.perf_counter() there, or give the column another name"
        )


def _find_lateness(source: Source) -> float:
    """Return by how many seconds frames may be stamped late that came in a burst."""
    return max(
        (
            one.longest_gap or 0.0 if one.bound is None else one.bound
            for one in source.evidence
            if one.bursts and one.stamped_by != "source"
        ),
        default=0.0,
    )


def _say_burst(source: Source) -> str:
    bursts = source.total("bursts") or 0
    return (
        f"gave {count(bursts, 'frame')} in bursts: their times are those of arrival, and up to "
        f"{span(_find_lateness(source), digits=1)} too late"
    )


def _find_burst(summary: Summary, rig: RigSummary, source: Source) -> Iterator[str]:
    if _find_lateness(source) > WRONG_TIME:
        yield _say_burst(source)


def _find_small_burst(summary: Summary, rig: RigSummary, source: Source) -> Iterator[str]:
    if NOTED_TIME < _find_lateness(source) <= WRONG_TIME:
        yield _say_burst(source)


def _find_standstill(summary: Summary, rig: RigSummary, source: Source) -> Iterator[str]:
    last, end = source.evidence[-1], summary.running_until
    if last.growing is False and not any(_find_short(summary, rig, source)):  # which tells it better
        when = ""
        if last.grew_at is not None and end is not None and rig.clock_bound is not None:
            when = f" in the last {max(0.0, end - last.grew_at):.1f} s of the session"
        yield f"grew steadily, and then no more{when}"


def _find_pause(summary: Summary, rig: RigSummary, source: Source) -> Iterator[str]:
    """Look for a pause in what was steady, where nobody has said that it should be."""
    given = source.given
    if source.rate is not None or given is None:
        return
    for gap in source.gaps():
        if gap.seconds > max(FAIR_GAP, FAIR_PERIODS / given):
            yield (
                f"paused for {gap.seconds:.1f} s, and is steady else: if it should never pause, write "
                f"expect: {{fps: {given:.3g}}} into its rig's config"
            )


def _rate(rate: float) -> str:
    return f"{rate:.3g}" if rate < 100 else f"{rate:.1f}"


RULES: tuple[SourceRule, ...] = (
    SourceRule(
        when=f"it began more than {TOLERANCE:g} s after the session, or ended so early; what its rig's clock "
        f"may be off is allowed for, and {SLOW_FRAMES} frames of its own. A table of events, without a rate, "
        "is not judged so",
        find=_find_short,
    ),
    SourceRule(
        when=f"frames are missing for longer than {FAIR_GAP:g} s and {FAIR_PERIODS} periods of its rate, or "
        "longer than `longest_gap`; also between two parts of it. Without a rate it is not judged so",
        find=_find_gap,
    ),
    SourceRule(
        when=f"it gave more than {RATE_SHARE:.0%} fewer or more frames a second than were asked, promised or "
        f"expected (`fps`); in less than {RATE_SECONDS:g} s the share is larger by as much",
        find=_find_slow,
    ),
    SourceRule(
        when="it lacks frames by its own numbers, or a larger share than `missing`", find=_find_missing
    ),
    SourceRule(when="it dropped frames", find=_find_dropped),
    SourceRule(
        when=f"more than {DAMAGED_SHARE:.1%} of its pictures came damaged, or a larger share than `damaged`",
        find=_find_damage,
    ),
    SourceRule(
        when="its times do not rise; of a table, they fall, or more than half of them are one and the same",
        find=_find_backwards,
    ),
    SourceRule(
        when="its times are of another clock: days from the session, such as the time of day",
        find=_find_other_clock,
    ),
    SourceRule(
        when="frames came in bursts, are stamped by their arrival, and may be stamped more than "
        f"{WRONG_TIME * 1000:g} ms late by that",
        find=_find_burst,
    ),
    SourceRule(
        when="it grew steadily, and did so no more when it was stopped; no further file took its place",
        find=_find_standstill,
    ),
    SourceRule(is_note=True, when="pictures came damaged, and fewer than that", find=_find_flicker),
    SourceRule(
        is_note=True,
        when=f"frames came in bursts and are stamped more than {NOTED_TIME * 1000:g} ms late by that",
        find=_find_small_burst,
    ),
    SourceRule(
        is_note=True,
        when="a table that is steady else has a pause, and nobody has said what is expected of it",
        find=_find_pause,
    ),
)
"""All that is looked for in what each source gave."""
