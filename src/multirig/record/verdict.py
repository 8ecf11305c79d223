"""What a session turned out to be: one word, and the evidence for it, a line each. Pure."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from multirig.lifecycle.agreement import THIS_PC
from multirig.lifecycle.policy import Role
from multirig.lifecycle.session_states import SessionState
from multirig.protocol.words import File, Level, RigStart
from multirig.record import source_rules
from multirig.record.left import SAYS_SO
from multirig.record.limits import TOLERANCE, is_of_other_clock
from multirig.record.source_rules import SourceRule, covers, find_short, has_ended_early, runs_by_itself
from multirig.record.sources import Source, find_sources, is_data
from multirig.record.summary import RigSummary, Summary
from multirig.wording import count, span, time_of_day

LATE = 0.050
"""Seconds by which a rig may miss the agreed instant without a remark: a frame or two of a camera."""
WIDE_BOUND = 0.010
"""Seconds by which a clock may be off without a remark: less than a frame of a camera."""


class Word(str, enum.Enum):
    """What a session turned out to be, the best first."""

    GOOD = "GOOD"
    DEGRADED = "DEGRADED"
    INCOMPLETE = "INCOMPLETE"
    INTERRUPTED = "INTERRUPTED"
    ABORTED = "ABORTED"

    def __str__(self) -> str:
        return self.value


MEANING: Mapping[Word, str] = {
    Word.GOOD: "every rig recorded from the beginning to the end",
    Word.DEGRADED: "it was recorded to its end, and something is wrong with a part of it",
    Word.INCOMPLETE: "a rig recorded, and what it recorded is not there or not known",
    Word.INTERRUPTED: "it was recorded, and ended before its time",
    Word.ABORTED: "it never ran",
}
"""What the words mean, in words."""


NOT_ALL_PROVED = "nothing is known to be wrong, and not all of it is proved"
"""What GOOD means where a rig is not verified."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a session turned out to be."""

    word: Word
    reasons: tuple[str, ...] = ()
    """Why it is not GOOD, the gravest first; each names the rig and the evidence."""
    notes: tuple[str, ...] = ()
    """What is good to know, and takes nothing from the session."""
    unverified: Mapping[str, str] = field(default_factory=dict)
    """Rigs of which nothing proves that they recorded to the end, and why, in words."""
    is_final: bool = True
    """Whether the session is over; else this is what it would be if it ended here."""


def say_word(word: str, unverified: Mapping[str, str]) -> str:
    """Return the word of a verdict, and which rigs it was given without a proof of theirs."""
    if not unverified:
        return word
    return f"{word}, {say_unverified(unverified)}"


def say_short(word: str, unverified: int) -> str:
    """Return the word of a verdict, and how many rigs are not verified."""
    return f"{word}, {count(unverified, 'rig')} not verified" if unverified else word


def say_meaning(word: Word, unverified: Mapping[str, str]) -> str:
    """Return what the word of a verdict means, where some rigs may not be verified."""
    return NOT_ALL_PROVED if word is Word.GOOD and unverified else MEANING[word]


def say_unverified(unverified: Mapping[str, str]) -> str:
    """Return which rigs are not verified, and why."""
    whys = "; ".join(f"{rig} ({why})" for rig, why in unverified.items())
    return f"{count(len(unverified), 'rig')} not verified: {whys}"


FindAll: TypeAlias = Callable[[Summary], Iterator[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One kind of evidence."""

    word: Word
    """What a session is in which it is found, or something graver; GOOD: a note."""
    when: str
    """In words, for the documentation."""
    find: FindAll
    """Yields a line for each place where it is found."""


def judge(summary: Summary) -> Verdict:
    """Return what a session turned out to be, by the table of rules.

    Parameters
    ----------
    summary : Summary
        What the journal says of it.
    """
    found = [(rule.word, line) for rule in RULES for line in rule.find(summary)]
    grave = [(word, line) for word, line in found if word is not Word.GOOD]
    order = list(Word)
    return Verdict(
        word=max((word for word, _ in grave), key=order.index, default=Word.GOOD),
        reasons=tuple(dict.fromkeys(line for _, line in grave)),
        notes=tuple(dict.fromkeys(line for word, line in found if word is Word.GOOD)),
        unverified=dict(_find_unverified(summary)),
        is_final=summary.state == SessionState.IDLE.value,
    )


# -- the session as a whole ---------------------------------------------------------------------------------


def _ran(summary: Summary) -> bool:
    return summary.running_from is not None


def _find_abort(summary: Summary) -> Iterator[str]:
    if _ran(summary):
        return
    causes = [f"{name}: {problem}" for name, rig in summary.rigs.items() for problem in rig.problems]
    if summary.interruption is not None:
        causes.insert(0, f"it was interrupted before all rigs recorded: {summary.interruption}")
    if summary.state != SessionState.IDLE.value:
        causes.append(
            f"the journal ends while the session is {summary.state}: it goes on, or its program died"
        )
    yield from causes or ["it was ended before the rigs were started"]


def _find_interruption(summary: Summary) -> Iterator[str]:
    if not _ran(summary):
        return
    if summary.interruption is not None:
        yield f"it was interrupted{_after(summary)}: {summary.interruption}"
    if summary.task_died is not None:
        noted = "it noted nothing more"
        if summary.task_died >= 0.05:
            noted = f"the last that it noted was {summary.task_died:.1f} s"
        yield f"the task that led it died while the rigs recorded: {noted} after the start"
    if (end := summary.cut_off) is not None and summary.task_died is None:
        died = "as its rigs were started" if end.died is None else "while its rigs recorded"
        if end.died is not None and end.died >= 0.05:
            died += f" (the last that it noted was {end.died:.1f} s after the start)"
        asked = "" if end.asked is None else f", and {end.asked:g} s were asked"
        yield (
            f"the program that led it died {died}, and nobody went on with it: it was ended by "
            f"'multirig stop' or 'multirig recover'{_after(summary)}{asked}"
        )
    if summary.state not in (
        SessionState.IDLE.value,
        SessionState.STOPPED.value,
        SessionState.CLEANING.value,
    ):
        yield (
            f"the journal ends while the session is {summary.state}: it goes on, or the program that led it "
            "died and the rigs may still record; look at them"
        )


def _after(summary: Summary) -> str:
    if summary.length is None or summary.running_until is None:
        return ""
    return f" {summary.running_until - summary.zero:.1f} s after the start"


def _find_unwritten(summary: Summary) -> Iterator[str]:
    if summary.unwritten is not None:
        yield f"{THIS_PC}: {summary.unwritten}"


def _find_own_remarks(summary: Summary) -> Iterator[str]:
    yield from (f"{THIS_PC}: {one.text}" for one in summary.remarks)


def _find_unreadable(summary: Summary) -> Iterator[str]:
    if summary.unreadable:
        lines = ", ".join(map(str, summary.unreadable[:5])) + (" …" if len(summary.unreadable) > 5 else "")
        number = count(len(summary.unreadable), "line")
        yield f"the journal has {number} that cannot be read ({lines}): this verdict is drawn from the others"


# -- what a rig recorded -----------------------------------------------------------------------------------


def _recorded(summary: Summary) -> Iterator[tuple[str, RigSummary]]:
    """Yield the rigs that recorded, by their own word."""
    if _ran(summary):
        yield from ((name, rig) for name, rig in summary.rigs.items() if _has_recorded(rig))


def _has_recorded(rig: RigSummary) -> bool:
    return rig.was_started or rig.files_total > 0


def _find_unaccounted(summary: Summary, rig: RigSummary) -> Iterator[str]:
    if _has_recorded(rig) and summary.running_until is not None and not rig.has_ended:
        yield "recorded, and did not say what: look for its files on that PC"


def _find_still_recording(summary: Summary, rig: RigSummary) -> Iterator[str]:
    if rig.still_records == SAYS_SO:
        yield SAYS_SO


def _find_no_files(summary: Summary, rig: RigSummary) -> Iterator[str]:
    if _has_recorded(rig) and rig.has_ended and rig.says_files and not rig.files_total:
        yield "recorded, and has no file to show for it"


def _find_empty(summary: Summary, rig: RigSummary) -> Iterator[str]:
    length = summary.length
    if not _has_recorded(rig) or (length is not None and length <= TOLERANCE):
        return  # a slow device has no frame yet
    yield from (f"{file.path} {_say_empty(file)}" for file in rig.files if _is_empty(file))
    if rig.says_files and rig.files_total and not rig.bytes_total and not any(map(_is_empty, rig.files)):
        yield f"{count(rig.files_total, 'file')}, and all of them empty"


def _is_empty(file: File) -> bool:
    return file.frames == 0 or (file.bytes == 0 and is_data(file.path))


def _say_empty(file: File) -> str:
    return "holds no frames" if file.bytes else "is empty"


FindOfRig: TypeAlias = Callable[[Summary, RigSummary], Iterator[str]]


def _is_optional(rig: RigSummary) -> bool:
    return rig.role == Role.OPTIONAL.value


@dataclass(frozen=True, slots=True, kw_only=True)
class RigRule:
    """One kind of evidence against a rig: of one that is optional it is a note."""

    word: Word = Word.DEGRADED
    """What a session is in which it is found of a rig that it cannot do without."""
    when: str
    """In words that follow "a rig", for the documentation."""
    find: FindOfRig
    """Yields what is found of a rig that is part of a session that ran, in words that follow its name."""
    joint: str = ": "
    """Between its name and what is found."""
    is_of_any: bool = False
    """Whether it is looked for in a session that never ran, too."""


def _of_rigs(rule: RigRule, *, optional: bool) -> FindAll:
    """Return what finds the faults of the rigs that the session cannot do without, or of the others."""

    def find_all(summary: Summary) -> Iterator[str]:
        for name, rig in summary.rigs.items():
            if (_ran(summary) or rule.is_of_any) and _is_optional(rig) is optional:
                yield from (_of_rig(name, text, rule.joint) for text in rule.find(summary, rig))

    return find_all


def _of_rig(name: str, text: str, joint: str = ": ") -> str:
    """Name a rig in front of what is said of it: a camera that is called as its rig is named once."""
    return f"{name}{joint}{text.removeprefix(f'{name} ')}"


def _of_all_rigs(find: FindOfRig) -> FindAll:
    """Return what finds something about each rig that recorded."""

    def find_all(summary: Summary) -> Iterator[str]:
        for name, rig in _recorded(summary):
            yield from (_of_rig(name, text) for text in find(summary, rig))

    return find_all


def _find_absence(summary: Summary, rig: RigSummary) -> Iterator[str]:
    if not rig.was_started and not rig.files_total:
        yield f"took no part{f': {rig.problems[0]}' if rig.problems else ''}"


def _find_problems(summary: Summary, rig: RigSummary) -> Iterator[str]:
    if rig.was_started or rig.files_total:
        yield from rig.problems


def _find_gaps(summary: Summary, rig: RigSummary) -> Iterator[str]:
    for gap in rig.gaps:
        begin, end, seconds = time_of_day(gap.get("from")), time_of_day(gap.get("to")), gap.get("seconds")
        length = f" ({seconds:.1f} s)" if isinstance(seconds, int | float) else ""
        yield f"recorded nothing from {begin} to {end}{length}: its program had died"


def _find_dropped(summary: Summary, rig: RigSummary) -> Iterator[str]:
    told = sum(source.total("dropped") or 0 for source in find_sources(rig.files) if source.has_name)
    if (rig.dropped or 0) > told:
        yield f"dropped {count((rig.dropped or 0) - told, 'frame')}: they were seen and could not be written"


def _find_warnings(summary: Summary, rig: RigSummary) -> Iterator[str]:
    yield from (one.text for one in rig.findings if one.level is not Level.NOTE)


def _find_remarks(summary: Summary, rig: RigSummary) -> Iterator[str]:
    yield from (one.text for one in rig.findings if one.level is Level.NOTE)


def _find_short(summary: Summary, rig: RigSummary) -> Iterator[str]:
    """Compare what a rig recorded with what the session was, where no source of it can be judged alone."""
    begin, end, sources = summary.running_from, summary.running_until, find_sources(rig.files)
    if begin is None or end is None or end < begin or not rig.has_ended:
        return
    if has_ended_early(rig):
        yield f"had ended {rig.ended_early or 0.0:.1f} s before the session was stopped"
        return
    if any(map(runs_by_itself, sources)):
        return
    parts = tuple(file for file in rig.files if not is_of_other_clock(file.first, begin))
    whole = Source(name="", has_name=False, parts=parts)
    if whole.first is not None:
        if not all(source.is_examined for source in sources):
            yield from find_short(summary, rig, whole)
        return
    bound, stopped_at = rig.clock_bound, rig.stopped_at
    if bound is not None and stopped_at is not None and end - stopped_at > TOLERANCE + bound:
        yield f"ended {end - stopped_at:.1f} s before the session did"


def _of_sources(rule: SourceRule) -> FindOfRig:
    """Return what finds the faults of each source of a rig."""

    def find(summary: Summary, rig: RigSummary) -> Iterator[str]:
        for source in find_sources(rig.files):
            yield from (f"{source.name} {text}" for text in rule.find(summary, rig, source))

    return find


def _find_jumps(summary: Summary, rig: RigSummary) -> Iterator[str]:
    """Look for clocks that jumped while they stamped what was recorded."""
    zero, end = summary.zero, summary.running_until
    for jump in rig.clock.jumps if rig.clock is not None else ():
        if jump.before > zero and (end is None or jump.after < end):
            yield (
                f"its clock jumped by {span(jump.size, digits=1)} between "
                f"{max(0.0, jump.after - zero):.1f} s and {jump.before - zero:.1f} s after the start: "
                "did that PC sleep? What it stamped before and after needs another offset each"
            )


def _find_very_late(summary: Summary, rig: RigSummary) -> Iterator[str]:
    if rig.start is not None and (rig.start.late or 0.0) > TOLERANCE:
        yield _say_late(rig.start)


def _find_late(summary: Summary, rig: RigSummary) -> Iterator[str]:
    if rig.start is not None and LATE < (rig.start.late or 0.0) <= TOLERANCE:
        yield _say_late(rig.start)


def _say_late(start: RigStart) -> str:
    cause = "its PC was busy"
    if start.heard is not None and start.planned is not None and start.heard > start.planned:
        cause = "it heard of it too late"
    return f"started {span(start.late or 0.0, digits=1)} after the agreed instant: {cause}"


def _find_wide(summary: Summary, rig: RigSummary) -> Iterator[str]:
    worst = rig.clock.worst_bound if rig.clock is not None else None
    if worst is not None and worst > WIDE_BOUND:
        yield (
            f"its clock was known to ±{span(worst, digits=1)} only, at the worst: its times can be compared "
            "with the others' no nearer than that"
        )


def _find_unknown(summary: Summary, rig: RigSummary) -> Iterator[str]:
    if rig.says_files and rig.clock is None and rig.clock_bound is None:
        yield "its clock is not known: its times cannot be compared with the others'"


def _find_leftovers(summary: Summary) -> Iterator[str]:
    for name, rig in summary.rigs.items():
        if not _ran(summary) and rig.files_total:
            yield f"{name}: had begun already, and has {count(rig.files_total, 'file')} of it"


# -- what is good to know ------------------------------------------------------------------------------------


def _find_silent(summary: Summary) -> Iterator[str]:
    for name, rig in summary.rigs.items():
        yield from (f"{name}: {one.text}" for one in rig.remarks)


def _find_unverified(summary: Summary) -> Iterator[tuple[str, str]]:
    """Yield the rigs of which nothing proves that they recorded to the end, and why."""
    for name, rig in _recorded(summary):
        if rig.has_ended and (why := next(_find_doubts(summary, rig), None)) is not None:
            yield name, why


def _find_doubts(summary: Summary, rig: RigSummary) -> Iterator[str]:
    """Yield what is not known of a rig's files; what is known to be wrong is a reason, and no doubt."""
    if not rig.says_files:
        yield f"its {'program' if rig.is_foreign else 'answer'} tells nothing of files"
        return
    if unnamed := rig.files_total - len(rig.files):
        yield f"nothing is known of {unnamed} of its {count(rig.files_total, 'file')}"
    sources = find_sources(rig.files)
    if rig.files and not sources:
        yield "none of its files is data, by their names"
    unknown = [source.name for source in sources if not _is_proved(summary, rig, source)]
    if unknown:
        more = f" and of {count(len(unknown) - 1, 'more file')}" if len(unknown) > 1 else ""
        yield f"nothing tells whether {unknown[0]} was recorded to the end{more}"


def _is_proved(summary: Summary, rig: RigSummary, source: Source) -> bool:
    """Return whether it is known that a source was recorded to the end, or that it was not."""
    if any(file.frames == 0 or not file.bytes for file in source.parts):
        return True  # it is told that it is empty
    if source.evidence[-1].growing is not None:
        return True
    if source.first is None or source.last is None:
        return False
    return runs_by_itself(source) or not source.is_examined or covers(summary, rig, source)


def _find_speechless(summary: Summary) -> Iterator[str]:
    for name, rig in _recorded(summary):
        if rig.has_ended and rig.is_foreign:
            yield f"{name} says nothing of its files: it is no multirig, so look at them on that PC"


def _find_unproved(summary: Summary) -> Iterator[str]:
    for name, rig in _recorded(summary):
        missing = [file for file in rig.files if file.blake2b is None]
        if rig.has_ended and rig.says_files and rig.manifest is None and rig.files:
            yield f"{name} could not write its manifest: its files cannot be checked later"
        elif missing:
            number = count(len(missing), "file")
            yield f"checksums of {number} of {name} are still being made: its manifest will hold them"


def _find_repetitions(summary: Summary) -> Iterator[str]:
    if summary.attempts > 1:
        yield f"it is the last of {summary.attempts} attempts under this number"
    if summary.recoveries:
        yield f"the program that led it died, and was replaced {count(summary.recoveries, 'time')}"
    if summary.state in (SessionState.STOPPED.value, SessionState.CLEANING.value) and _ran(summary):
        yield "the rigs were not cleaned up, as far as the journal tells"


_OF_RIGS: tuple[RigRule, ...] = (
    RigRule(
        word=Word.INCOMPLETE,
        when="recorded, and answered neither the stop nor an interrupt",
        find=_find_unaccounted,
        joint=" ",
    ),
    RigRule(
        word=Word.INCOMPLETE,
        when="answered the stop, and says that it still records",
        find=_find_still_recording,
        joint=" ",
        is_of_any=True,
    ),
    RigRule(word=Word.INCOMPLETE, when="recorded, and lists no files", find=_find_no_files, joint=" "),
    RigRule(
        word=Word.INCOMPLETE,
        when=f"has a file that is empty or holds no frames, in a session of more than {TOLERANCE:g} s; what "
        "lies beside data (logs, flags, texts) may be empty",
        find=_find_empty,
    ),
    RigRule(when="took no part", find=_find_absence),
    RigRule(
        when="failed, was lost, stalled, was stopped at its own keyboard, was restarted or taken over, or "
        "did not do a step",
        find=_find_problems,
    ),
    RigRule(
        when="has seen something itself by which a part is lost or not to be trusted", find=_find_warnings
    ),
    RigRule(when="recorded nothing for a while, since its program had died", find=_find_gaps),
    RigRule(when="dropped frames", find=_find_dropped),
    RigRule(
        when=f"ended more than {TOLERANCE:g} s early by its own word; or where no source of it has a rate, "
        "began so late or ended so early by the times of all its files",
        find=_find_short,
    ),
    RigRule(when=f"started more than {TOLERANCE:g} s after the agreed instant", find=_find_very_late),
    RigRule(when="has a clock that jumped while it recorded", find=_find_jumps),
)
"""What speaks against a rig, and how it is found."""


_OF_SOURCES = tuple(
    RigRule(when=rule.when, find=_of_sources(rule)) for rule in source_rules.RULES if not rule.is_note
)
_NOTES_OF_SOURCES = tuple(rule for rule in source_rules.RULES if rule.is_note)


def _find_of_optional(summary: Summary) -> Iterator[str]:
    for rule in (*_OF_RIGS, *_OF_SOURCES):
        yield from _of_rigs(rule, optional=True)(summary)


RULES: tuple[Rule, ...] = (
    Rule(
        word=Word.ABORTED,
        when="not all rigs that it needs recorded at the same time: a beginning failed, or was given up",
        find=_find_abort,
    ),
    Rule(
        word=Word.INTERRUPTED,
        when="it was interrupted, by somebody, by an error of the task, since the task's program died, or "
        "since an essential rig was lost; the program that led it died as it was started, or before the time "
        "that was asked, and nobody went on with it; or its journal ends in the middle",
        find=_find_interruption,
    ),
    *(
        Rule(
            word=rule.word,
            when=f"a rig that is essential or expected {rule.when}",
            find=_of_rigs(rule, optional=False),
        )
        for rule in _OF_RIGS
    ),
    *(
        Rule(
            word=rule.word,
            when=f"of a source of such a rig (a camera, a table): {rule.when}",
            find=_of_rigs(rule, optional=False),
        )
        for rule in _OF_SOURCES
    ),
    Rule(word=Word.DEGRADED, when="lines of the journal cannot be read", find=_find_unreadable),
    Rule(
        word=Word.DEGRADED,
        when="the disk of the PC that led did not take the end of the journal",
        find=_find_unwritten,
    ),
    Rule(word=Word.GOOD, when="any of these of a rig that is optional", find=_find_of_optional),
    *(
        Rule(word=Word.GOOD, when=f"of a source: {rule.when}", find=_of_all_rigs(_of_sources(rule)))
        for rule in _NOTES_OF_SOURCES
    ),
    Rule(
        word=Word.GOOD,
        when="the disk of the PC that led was nearly full, or did not take the journal for a while",
        find=_find_own_remarks,
    ),
    Rule(
        word=Word.GOOD,
        when="a rig has seen something that is good to know",
        find=_of_all_rigs(_find_remarks),
    ),
    Rule(word=Word.GOOD, when="a rig has files of a beginning that failed", find=_find_leftovers),
    Rule(word=Word.GOOD, when="a rig was not heard for a while, or answered late", find=_find_silent),
    Rule(
        word=Word.GOOD,
        when=f"a rig started more than {LATE * 1000:g} ms after the agreed instant",
        find=_of_all_rigs(_find_late),
    ),
    Rule(
        word=Word.GOOD,
        when=f"a rig's clock was known to no better than {WIDE_BOUND * 1000:g} ms at the start or later",
        find=_of_all_rigs(_find_wide),
    ),
    Rule(
        word=Word.GOOD,
        when="the clock of a rig that is a multirig is not known",
        find=_of_all_rigs(_find_unknown),
    ),
    Rule(word=Word.GOOD, when="a rig is no multirig and says nothing of its files", find=_find_speechless),
    Rule(
        word=Word.GOOD,
        when="checksums are still being made, or a manifest could not be written",
        find=_find_unproved,
    ),
    Rule(
        word=Word.GOOD,
        when="there were several attempts, the conductor was replaced, or the rigs were not cleaned up",
        find=_find_repetitions,
    ),
)
"""All that is looked for, the gravest first."""
