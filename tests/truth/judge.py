"""Compares what was said of a session with what is true of it. Pure, but for reading the recorded videos."""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tests.truth.facts import EDGE, Facts, compare, read_camera
from tests.truth.lab import Outcome
from tests.truth.model import GOOD, NOTHING, UNVERIFIED, Cam, Case, Truth

HALF_A_SECOND = 0.5
PERIODS = 5
"""Periods of a camera that a gap may last without a word, or half a second if that is longer."""
END = 1.0
"""Seconds by which a file may begin late or end early without a word; and three frames of its own."""
RATE, RATE_SECONDS = 0.03, 10.0
"""Share by which a rate may be off without a word, and over how many seconds; over less it is larger."""
GREY = 6.0
"""Of 255: what the codec may do to a grey square. A wrong range does 15 and more."""
TIME = {"http": 0.25, "ts": 0.25, "rtsp": 0.05, "test": 0.25}
"""Seconds by which one frame's time may be off: on a PC that is busy with other cases, arrival is late."""


class Kind(enum.Enum):
    """How a case ended."""

    RIGHT = "right"
    FALSE_GOOD = "FALSE GOOD"
    FALSE_ALARM = "FALSE ALARM"
    WRONG = "wrong"
    """Neither, and not what must come: a reason is missing, a time is wrong, a rig records on."""
    NOT_MADE = "not made"
    """The truth that the case wanted did not come about: it says nothing of the product."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a case showed."""

    name: str
    truth: Truth
    kind: Kind
    said: str
    """The verdict and its reasons, in one line."""
    lines: tuple[str, ...] = ()
    """What is not as it must be."""
    facts: Mapping[str, Facts] = field(default_factory=dict)


def judge(outcome: Outcome) -> Judgement:
    """Return what a case showed."""
    case = outcome.case
    word, reasons, notes = read_verdict(outcome)
    said = "; ".join([word, *reasons])
    if outcome.trouble is not None:
        return Judgement(
            name=case.name, truth=case.truth, kind=Kind.NOT_MADE, said=said, lines=(outcome.trouble,)
        )
    facts = dict(_look(outcome))
    wrong = [
        *_compare_word(outcome, word, reasons, facts),
        *_find_unsaid(outcome, reasons, notes, facts),
        *_find_unlisted(outcome),
        *_find_forbidden(outcome),
        *_compare_cameras(outcome, [*reasons, *notes], facts),
        *find_slandered(case, reasons, _all_faults(outcome, facts, 0.6)),
        *(f"{name} still records when all is over" for name in dict.fromkeys(outcome.records_on)),
    ]
    kind = _kind(outcome, word, reasons, facts, is_wrong=bool(wrong))
    return Judgement(name=case.name, truth=case.truth, kind=kind, said=said, lines=tuple(wrong), facts=facts)


def read_verdict(outcome: Outcome) -> tuple[str, list[str], list[str]]:
    """Return the word, the reasons and the notes; by the last line of the screen where there is no file."""
    verdict = outcome.verdict
    if verdict is None:
        found = re.findall(r"\b(GOOD|DEGRADED|INCOMPLETE|INTERRUPTED|ABORTED)\b(.*)", outcome.output)
        if not found:
            return NOTHING, [], []
        word = UNVERIFIED if found[-1][0] == GOOD and "not verified" in found[-1][1] else found[-1][0]
        return word, [one.strip() for one in outcome.output.splitlines()[-30:]], []
    word = str(verdict["verdict"])
    is_unverified = bool(verdict.get("unverified")) or re.search(
        r"GOOD, \d+ rigs? not verified", outcome.output
    )
    if word == GOOD and is_unverified:
        word = UNVERIFIED
    return word, list(verdict["reasons"]), list(verdict["notes"])


def _look(outcome: Outcome) -> Iterator[tuple[str, Facts]]:
    """Yield what is true of each camera whose source wrote it down."""
    window = _window(outcome)
    for rig in outcome.case.rigs:
        for cam in rig.cams:
            source = outcome.truths.get((rig.name, cam.label))
            folders = outcome.folders.get(rig.name, [])
            if source and folders and window is not None:
                source = [one for one in source if "number" in one]
                yield (
                    f"{rig.name}/{cam.label}",
                    compare(cam.label, source, read_camera(folders[-1], cam.label), window),
                )


def _window(outcome: Outcome) -> tuple[float, float] | None:
    verdict = outcome.verdict or {}
    begin, end = verdict.get("running_from"), verdict.get("running_until")
    return None if begin is None or end is None or end <= begin else (float(begin), float(end))


# -- what is true of a camera -------------------------------------------------------------------------------


def limit_of_gap(rate: float) -> float:
    """Return how long a gap may last that nobody needs to speak of."""
    return max(HALF_A_SECOND, PERIODS / rate)


def find_faults(cam: Cam, facts: Facts, seconds: float, slack: float = 1.0) -> dict[str, str]:
    """Return what is wrong with a recording, by kind.

    Parameters
    ----------
    cam : Cam
        As it was asked for.
    facts : Facts
        What is true of it.
    seconds : float
        How long the session recorded.
    slack : float
        Below 1: also what is so near to a limit that it may be told or not.
    """
    rate = cam.fps or cam.rate
    edge = (END + 3 / rate) * slack
    found = {}
    if facts.hole > limit_of_gap(rate) * slack and facts.recorded:
        found["gap"] = f"a gap of {facts.hole:.2f} s at {facts.hole_at:.2f} s"
    if facts.head > edge:
        found["head"] = f"begins {facts.head:.2f} s late"
    if facts.tail > edge:
        found["tail"] = f"ends {facts.tail:.2f} s early"
    wanted = cam.fps or (facts.exposed / max(seconds - 2 * EDGE, 1e-9))
    share = RATE * max(1.0, RATE_SECONDS / max(seconds, 1e-9)) * slack
    if abs(facts.rate - wanted) > share * wanted + 2 / max(seconds, 1e-9):
        found["rate"] = f"{facts.rate:.2f} of {wanted:.2f} frames a second"
    if facts.lost > (2 if slack == 1.0 else 0):
        found["lost"] = f"{facts.lost} frames were sent and are not in the video"
    if facts.missing > (2 if slack == 1.0 else 0):
        found["missing"] = f"{facts.missing} frames are missing"
    if facts.skipped and slack < 1.0:
        found["skipped"] = f"{facts.skipped} frames were never exposed"
    if facts.damaged > (facts.recorded * 0.01 if slack == 1.0 else 0):
        found["damaged"] = f"{facts.damaged} pictures are damaged"
    if facts.burst > (3 if slack == 1.0 else 0):
        found["burst"] = f"{facts.burst} frames came late, at once"
    if facts.falls:
        found["falls"] = f"{facts.falls} frame times do not rise"
    if not facts.recorded and seconds > END:
        found["nothing"] = "there is no frame"
    return found


CONFIRMS = {
    r"gap|nothing (came|from|for)|no frames?|silent|stood still|stalled|not grow|and then no more": {
        "gap",
        "head",
        "tail",
        "nothing",
    },
    r"began|late": {"head", "nothing"},
    r"ended|early|before the session": {"tail", "nothing", "gap"},
    r"frames a second|fps|\brate\b": {"rate", "gap", "lost", "missing", "tail", "head"},
    r"dropped|missing|lacks|lost|not written": {"lost", "missing", "gap"},
    r"lacks .* by its own numbers": {"skipped"},
    r"damaged|broken|cannot be read|could not be (read|decoded)": {"damaged"},
    r"burst|at once|in a bunch|bunch": {"burst"},
    r"do(es)? not rise|backwards|fall": {"falls"},
    r"again|reopen|part": {"gap", "missing"},
}
"""Words of a reason, and what must be true for it to be no false alarm."""


def is_confirmed(reason: str, faults: set[str]) -> bool:
    """Return whether what was said is borne out by the drawn numbers."""
    return any(
        re.search(words, reason, re.IGNORECASE) and kinds & faults for words, kinds in CONFIRMS.items()
    )


# -- what was said ------------------------------------------------------------------------------------------


def _all_faults(outcome: Outcome, facts: Mapping[str, Facts], slack: float) -> dict[str, dict[str, str]]:
    window = _window(outcome)
    seconds = window[1] - window[0] if window else 0.0
    return {
        f"{rig.name}/{cam.label}": find_faults(cam, facts[f"{rig.name}/{cam.label}"], seconds, slack)
        for rig in outcome.case.rigs
        for cam in rig.cams
        if f"{rig.name}/{cam.label}" in facts
    }


def _refuted(outcome: Outcome, reasons: list[str], facts: Mapping[str, Facts]) -> list[str]:
    """Return the reasons that the drawn numbers do not bear out."""
    near = {kind for faults in _all_faults(outcome, facts, 0.6).values() for kind in faults}
    return [one for one in reasons if not is_confirmed(one, near)]


def _kind(
    outcome: Outcome, word: str, reasons: list[str], facts: Mapping[str, Facts], *, is_wrong: bool
) -> Kind:
    case = outcome.case
    if case.truth is Truth.BAD and word in (GOOD, UNVERIFIED) and word not in case.words:
        return Kind.FALSE_GOOD
    if case.truth is Truth.REFUSED and word != NOTHING and word not in case.words:
        return Kind.FALSE_GOOD if word in (GOOD, UNVERIFIED) else Kind.WRONG
    if case.truth is Truth.HONEST and word not in case.words:
        if reasons and not _refuted(outcome, reasons, facts):
            return Kind.NOT_MADE  # this PC was too busy: the loss that was told is truth
        return Kind.FALSE_ALARM
    if case.truth is Truth.HONEST:
        wrong = [
            one for faults in _all_faults(outcome, facts, 1.0).values() for one in faults if one != "missing"
        ]
        if wrong and word == GOOD:
            return Kind.FALSE_GOOD  # it was honest by its script, and the rig has lost something unsaid
    return Kind.WRONG if is_wrong else Kind.RIGHT


def _compare_word(
    outcome: Outcome, word: str, reasons: list[str], facts: Mapping[str, Facts]
) -> Iterator[str]:
    case = outcome.case
    if word not in case.words:
        told = "; ".join(reasons) or "no reason"
        yield f"the verdict is {word} ({told[:600]}), and must be {' or '.join(case.words)}"
    true = [
        f"{name}: {one}"
        for name, faults in _all_faults(outcome, facts, 1.0).items()
        for one in faults.values()
    ]
    if (word not in case.words or case.truth is Truth.HONEST) and true:
        yield f"true is: {'; '.join(true)}"
    if case.truth is Truth.HONEST and word not in case.words:
        yield from (f"refuted by the drawn numbers: {one}" for one in _refuted(outcome, reasons, facts))


def _find_unsaid(
    outcome: Outcome, reasons: list[str], notes: list[str], facts: Mapping[str, Facts]
) -> Iterator[str]:
    places = {
        "reasons": reasons,
        "notes": [*reasons, *notes],
        "output": [*outcome.output.splitlines(), *reasons, *notes],
    }
    for say in outcome.case.says:
        lines = [one for one in places[say.where] if re.search(say.words, one, re.IGNORECASE)]
        if not lines:
            yield f"nothing is said of {say.words!r} ({say.where}: {'; '.join(places[say.where])[-700:]})"
            continue
        for about in say.about:
            figure = _figure(about, facts)
            told, lines = lines, [one for one in lines if _has_figure(one, figure, say.within)]
            if not lines:
                yield f"the figure {figure:.2f} ({about}) does not stand in {'; '.join(told)!r}"
                break


def _figure(about: str | float, facts: Mapping[str, Facts]) -> float:
    """Return a figure; one that nobody could measure is none and stands nowhere."""
    if isinstance(about, int | float):
        return about
    what, _, camera = about.partition(":")
    return float(getattr(facts[camera], what)) if camera in facts else math.nan


def _has_figure(line: str, figure: float, within: float) -> bool:
    allowed = max(abs(figure) * within, HALF_A_SECOND)
    told = re.findall(r"(\d[\d,]*(?:\.\d+)?)( ms\b)?", line)
    numbers = (float(number.replace(",", "")) * (0.001 if unit else 1.0) for number, unit in told)
    return any(abs(one - figure) <= allowed for one in numbers)


def find_slandered(
    case: Case, reasons: Iterable[str], faults: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    """Find cameras that are blamed and did all as they should, by the faults of those that are known."""
    acted = {act.rig for act in case.acts}
    for rig in case.rigs:
        for cam in rig.cams:
            name = f"{rig.name}/{cam.label}"
            is_at_fault = cam.faults or cam.loss or (cam.fps or cam.rate) != cam.rate or rig.name in acted
            if is_at_fault or rig.clock is not None or name not in faults:
                continue
            for one in reasons:
                is_named = re.match(rf"{rig.name}: (camera )?{cam.label}\b", one)
                if is_named and not is_confirmed(one, set(faults[name])):
                    yield f"{name} did all as it should, and it is said: {one}"


def _find_unlisted(outcome: Outcome) -> Iterator[str]:
    rigs = (outcome.verdict or {}).get("rigs", {}).values()
    listed = [file["path"].rsplit("/", 1)[-1] for rig in rigs for file in rig["files"] if file["bytes"]]
    for name in outcome.case.lists:
        if name not in listed:
            yield f"{name} is on the disk, and the account lists {', '.join(listed) or 'nothing'}"


def _find_forbidden(outcome: Outcome) -> Iterator[str]:
    screens = "\n".join([outcome.output, *outcome.rig_outputs.values()])
    for one in outcome.case.never:
        if found := re.search(one, screens + outcome.journal):
            yield f"{found[0]!r} was said, and must not be"
    if "Traceback" in screens:
        yield f"a traceback: {screens[screens.index('Traceback') :][:1500]}"


def _compare_cameras(outcome: Outcome, told: list[str], facts: Mapping[str, Facts]) -> Iterator[str]:
    """Compare what must hold for every camera, whatever happened to it."""
    for rig in outcome.case.rigs:
        for cam in rig.cams:
            one = facts.get(f"{rig.name}/{cam.label}")
            if one is None or rig.clock is not None:
                continue
            name = f"{rig.name}/{cam.label}"
            was_killed = any(act.what == "kill" and act.rig == rig.name for act in outcome.case.acts)
            if one.length_differs and not was_killed:  # then the shorter of the two counts
                yield f"{name}: {one.length_differs} more or fewer frame times than frames"
            if one.falls and not any(re.search(r"rise|backwards", line) for line in told):
                yield f"{name}: {one.falls} frame times do not rise, and nobody says so"
            if one.grey_error > GREY and not cam.loss:
                yield f"{name}: grey values are wrong by {one.grey_error:.0f}"
            if one.doubled and not cam.loss:
                yield f"{name}: {one.doubled} frames stand there twice"
            is_burst = any(fault.kind == "hiccup" for fault in cam.faults)
            told_of = is_burst and cam.over == "http"
            if one.wrong > TIME[cam.over] and not told_of:
                yield f"{name}: a frame's time is wrong by {one.wrong:.3f} s"
            is_well = (
                not cam.faults and not cam.loss and rig.name not in {act.rig for act in outcome.case.acts}
            )
            if is_well and one.lost > 2 and not _are_told(told, one.lost):
                yield f"{name}: {one.lost} frames of a healthy camera are missing, and nobody says so"


def _are_told(told: list[str], lost: int) -> bool:
    return any(re.search("dropped|missing", line) and _has_figure(line, lost, 0.5) for line in told)
