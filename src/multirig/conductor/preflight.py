"""What speaks for and against a session on all PCs together, judged from what each of them has said. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from multirig.errors import MultirigError, SessionFailed
from multirig.lifecycle.agreement import THIS_PC
from multirig.lifecycle.broadcast import Outcome
from multirig.lifecycle.days import ZONE, object_to_day, read_time
from multirig.lifecycle.obedience import BUSY
from multirig.lifecycle.owners import find_clash
from multirig.lifecycle.policy import DEFAULT_POLICY, RigPolicy, Role
from multirig.lifecycle.rig_states import RigState
from multirig.pc.finding import Finding, Level, read_findings
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.frames import FULL_SIZE
from multirig.protocol.words import Info
from multirig.trust.certificate import Certificate
from multirig.trust.keys import SOON
from multirig.wording import about

CLOCK_LIMIT = datetime.timedelta(seconds=2)
"""How far a clock may be off: files are dated by it, and about midnight the date depends on it."""
SLOW_ROUND_TRIP = 0.1
"""Seconds; in a lab's network it takes a hundredth of that."""
HINDRANCES = frozenset({"answer", "disk", "folder", "adapter", "files"})
"""Checks whose failure means that there would be no recording."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a rig has said of itself, and when."""

    outcome: Outcome
    """Its EXPINFO, or why there is none."""
    asked: datetime.datetime
    """Time of day on this PC, with its zone."""
    heard: datetime.datetime
    round_trip: float | None = None
    """Seconds for a question that needs no looking up, where it was measured."""
    passes: bool | None = None
    """Whether datagrams of full size come there and back; None: that was not tried."""
    address: str = "RIG"
    """For what is to be typed: it needs no rigs file."""
    pings: bool | None = None
    """Whether its PC answers a ping; None: that was not tried, or this PC cannot."""
    proof: Certificate | None = None
    """By which its PC has proved who it is; None: it has not."""
    is_elsewhere: bool = False
    """Whether it is on another PC."""


def judge(
    answers: Mapping[str, Answer],
    here: Sequence[Finding],
    *,
    version: str,
    is_main_sync: bool,
    policies: Mapping[str, RigPolicy] | None = None,
) -> dict[str, list[Finding]]:
    """Return what speaks for and against a session, by PC.

    Parameters
    ----------
    answers : mapping of str to Answer
        What each rig has said.
    here : sequence of Finding
        Of this PC.
    version : str
        Of multirig on this PC.
    is_main_sync : bool
        Whether this PC is to be the main sync.
    policies : mapping of str to RigPolicy, optional
        What fails on a rig that is optional holds up nobody.
    """
    infos = [one.outcome for one in answers.values() if isinstance(one.outcome, Info)]
    joined = {one.exp_ref for one in infos if one.main_sync and one.state in BUSY}
    found = {name: judge_rig(answer, version, joined) for name, answer in answers.items()}
    for name, policy in (policies or {}).items():
        if name in found and policy.role is Role.OPTIONAL:
            found[name] = [_soften(one) for one in found[name]]
    said = {name: one.outcome for name, one in answers.items() if isinstance(one.outcome, Info)}
    if (clash := find_clash(said)) is not None:
        name, other, why = clash
        found[name].append(_finding("files", Level.FAILURE, f"cannot record beside {other}: {why}"))
    return {**found, THIS_PC: [*here, *_judge_main_sync(answers, is_main_sync=is_main_sync)]}


def judge_rig(answer: Answer, version: str, joined: Collection[ExpRef | None] = frozenset()) -> list[Finding]:
    """Return what speaks for and against a rig; others may join what a main sync records (`joined`)."""
    info = answer.outcome
    path = _judge_path(passes=answer.passes)
    if isinstance(info, MultirigError):
        return [_finding("answer", Level.FAILURE, str(info)), *_judge_ping(pings=answer.pings), *path]
    if not isinstance(info, Info) or info.preflight is None:
        text = "cannot be asked: it is no multirig, or an older one; look at that PC yourself"
        return [_finding("answer", Level.NOTE, text), *_judge_proof(answer)]
    return [
        _judge_round_trip(answer.round_trip),
        *_judge_proof(answer),
        *path,
        *_judge_state(info, answer.address, joined),
        *read_findings([*info.preflight]),
        *_judge_version(info.version, version),
        *_judge_time(info, answer),
    ]


def find_hindrance(
    found: Mapping[str, Sequence[Finding]], policies: Mapping[str, RigPolicy]
) -> SessionFailed | None:
    """Return why no session can begin; None: nothing is known that would keep it from recording.

    Parameters
    ----------
    found : mapping of str to sequence of Finding
        By PC, as `judge` returns it.
    policies : mapping of str to RigPolicy
        A rig that is optional hinders nothing.
    """
    causes: dict[str, Exception] = {}
    for name, findings in found.items():
        reasons = [one.text for one in findings if is_hindrance(one)]
        if reasons and policies.get(name, DEFAULT_POLICY).role is not Role.OPTIONAL:
            causes[name] = MultirigError("; ".join(reasons))
    return SessionFailed("check", causes, "no rig has been touched") if causes else None


def is_hindrance(finding: Finding) -> bool:
    """Whether there would be no recording."""
    return finding.level is Level.FAILURE and finding.check in HINDRANCES


def _soften(finding: Finding) -> Finding:
    if finding.level is not Level.FAILURE:
        return finding
    text = f"{finding.text} (it is optional: the session begins without it)"
    return replace(finding, level=Level.WARNING, text=text)


def _judge_round_trip(seconds: float | None) -> Finding:
    if seconds is None:
        return _finding("answer", Level.OK, "answers")
    text = f"answers in {seconds * 1000:.1f} ms"
    if seconds > SLOW_ROUND_TRIP:
        return _finding("answer", Level.WARNING, f"{text}, which is slow: check the network between the PCs")
    return _finding("answer", Level.OK, text)


def _judge_proof(answer: Answer) -> list[Finding]:
    if answer.proof is None and not answer.is_elsewhere:
        return []
    if answer.proof is None:
        text = "does not prove who it is: whoever has its address in this network could say the same"
        return [_finding("key", Level.NOTE, text)]
    mine = answer.proof
    left = mine.until - answer.asked.timestamp()
    until = datetime.datetime.fromtimestamp(mine.until).strftime("%Y-%m-%d")
    text = f"proves that it is {mine.name} of the lab {mine.lab}, until {until}"
    if left <= SOON:
        text += ": let that PC join again (multirig key join), or renew it (multirig key renew)"
        return [_finding("key", Level.WARNING, text)]
    return [_finding("key", Level.OK, text)]


def _judge_path(*, passes: bool | None) -> list[Finding]:
    if passes is None:
        return []
    if passes:
        return [_finding("path", Level.OK, f"datagrams of {FULL_SIZE:,} bytes come there and back")]
    text = (
        f"datagrams of {FULL_SIZE:,} bytes do not come there and back, short ones do: what it says at the "
        "stop would be lost; set the MTU of the network cards, and of a VPN between the PCs, to 1,280 or "
        "more, have firewalls let IP fragments pass, or give this rig a tcp:// address"
    )
    return [_finding("path", Level.FAILURE, text)]


def _judge_ping(*, pings: bool | None) -> list[Finding]:
    if pings is None:
        return []
    if pings:
        text = (
            "its PC answers a ping: it is on, and 'multirig serve' does not run there, or its firewall lets "
            "nobody in (the rig says so on its own screen as it starts)"
        )
    else:
        text = "its PC answers no ping either: is it on, awake, on this network and still at this address?"
    return [_finding("ping", Level.NOTE, text)]


def _judge_state(info: Info, address: str, joined: Collection[ExpRef | None]) -> list[Finding]:
    if info.state in (None, RigState.CONNECTED):
        return []
    failure = f" ({info.failure})" if info.failure else ""
    about = f" {info.exp_ref}" if info.exp_ref else ""
    text = f"is {info.state}{about}{failure}"
    if info.state is RigState.STOPPED and not info.failure:
        return [_finding("state", Level.NOTE, f"{text}, which is over: the next session cleans it up")]
    text += f": where nobody leads that session any more, 'multirig stop {address}' ends it"
    if info.state not in BUSY:
        return [_finding("state", Level.WARNING, text)]
    if info.exp_ref in joined:
        return [_finding("state", Level.WARNING, f"{text}; else the next session is a part of it")]
    return [_finding("state", Level.FAILURE, f"{text}; it takes part in no other one before")]


def _judge_version(theirs: str | None, ours: str) -> list[Finding]:
    if theirs == ours:
        return []
    text = f"runs multirig {theirs}, this PC {ours}: update the older one"
    return [_finding("version", Level.WARNING, text)]


def _judge_time(info: Info, answer: Answer) -> list[Finding]:
    """Judge the time of day; what the way took, and the looking up before, is no fault of the clock."""
    theirs = read_time(info.time)
    objection = object_to_day(info, answer.heard.date(), answer.heard.tzinfo)
    wrong_day = [_finding("time", Level.FAILURE, objection)] if objection is not None else []
    if theirs is None:
        return wrong_day
    ahead = max(theirs - answer.heard, min(theirs - answer.asked, datetime.timedelta(0)))
    if abs(ahead) > CLOCK_LIMIT:
        which = "ahead of" if ahead > datetime.timedelta(0) else "behind"
        text = (
            f"its clock is {about(abs(ahead).total_seconds())} {which} this PC's: set the one that is wrong"
        )
        return [_finding("time", Level.FAILURE if wrong_day else Level.WARNING, text)]
    if wrong_day:
        return wrong_day
    if theirs.utcoffset() != answer.heard.utcoffset():
        zones = ZONE.format(theirs=theirs, ours=answer.heard)
        return [_finding("time", Level.WARNING, f"{zones}: set the one that is wrong")]
    return [_finding("time", Level.OK, "date and time agree with this PC")]


def _judge_main_sync(answers: Mapping[str, Answer], *, is_main_sync: bool) -> list[Finding]:
    said = {name: one.outcome for name, one in answers.items() if isinstance(one.outcome, Info)}
    leaders = [name for name, info in said.items() if info.main_sync]
    leaders += [THIS_PC] if is_main_sync else []
    if len(leaders) > 1:
        text = f"{', '.join(leaders)} are main syncs: set 'main_sync: false' in the config of all but one"
        return [_finding("main sync", Level.WARNING, text)]
    if not leaders:
        text = "none of these rigs is the main sync: this PC has to be it (--main-sync)"
        return [_finding("main sync", Level.NOTE, text)]
    return [_finding("main sync", Level.OK, f"{leaders[0]} gives the number")]


def _finding(check: str, level: Level, text: str) -> Finding:
    return Finding(check=check, level=level, text=text)
