"""Words to messages and back: the one place that knows under which keys they travel.

A message is an array ``[event, ...]`` on both wires. What it means depends on who hears it: an EXPINFO that
a rig hears is a question, one that a conductor hears is an answer. So there are two tables to read by, and
one to write by. A peer's word is written as it was said, with all that none of its fields holds.

Commands are read strictly: a number that 64 bits do not hold, or a reference that is none, makes `Invalid`.
What a rig says of itself is read as far as it can be: peers of IBL answer in all sorts of ways.

Each text of a word is cleaned here (`multirig.wording.clean`), so that no screen, log or page has to; what a
peer said stays with its word as it was said, for the journal.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, TypeAlias

from multirig.errors import ProtocolError
from multirig.protocol import holdings
from multirig.protocol.exp_ref import MAX_SEQUENCE, ExpRef
from multirig.protocol.messages import Event, Message, Status
from multirig.protocol.words import (
    MAX_INTEGER,
    AlyxToken,
    AskInfo,
    AskStatus,
    AskToken,
    Beat,
    CleanedUp,
    CleanUp,
    ClockOffset,
    Command,
    Complaint,
    Decide,
    Evidence,
    Expected,
    File,
    Finding,
    Gap,
    Greeting,
    Health,
    Info,
    Initialise,
    Interrupt,
    Invalid,
    LeaderInfo,
    Lease,
    Level,
    Marker,
    Picture,
    Plan,
    Ready,
    Receipt,
    Recorded,
    Report,
    RigStart,
    RigState,
    Start,
    Started,
    Stop,
    Stopped,
    Verbatim,
    WantPictures,
    Word,
)
from multirig.wording import LONG_NAME, clean, clean_values

Hearing: TypeAlias = Callable[[Message], Word]
"""How a side understands what it hears: `hear_leader`, `hear_rig` or `hear_verbatim`."""
Args: TypeAlias = tuple[Any, ...]

MAX_COMPLAINT = 300
"""Characters of a complaint that are taken."""
MAX_PATTERNS, MAX_PATTERN = 64, 300
"""Patterns of what a rig writes, and characters of one, that are taken."""
_GREETING = "multirig"
_PAD = 720
"""Characters that make a greeting with a hello long; it stays under 1,000 bytes, which all peers read."""
_FOR_ME = frozenset(
    {"exp_ref", "date", "sequence", "subject", "rehearsal", "resume", "take_over", "start_at"}
)
"""Keys of a command that its word has fields for."""
_REFERENCE = frozenset({"date", "sequence", "subject"})
_OF_IBL = frozenset(
    "exp_ref main_sync experiment_description master spec_version subject min_sequence multirig".split()
)
"""Keys of a question that may come on wire 1.0: IBL's own, the first free number and the greeting."""
STEPS = ("initialise", "start", "stop", "cleanup")
"""Of which a rig tells how long they may take."""
_INFO = frozenset(
    "main_sync exp_ref subject state clock_port name date adapter collection writes folder disk_free version "
    "device experiment_description preflight time failure min_sequence limits set_up_for led_by asking "
    "decided begun_by recording_for "
    "multirig".split()
)
_ASK_INFO = frozenset(
    "exp_ref main_sync experiment_description master spec_version subject min_sequence check recover "
    "take_over would_take_over whose multirig".split()
)


_COMMANDS = (Event.EXPINIT, Event.EXPSTART, Event.EXPEND, Event.EXPINTERRUPT, Event.EXPCLEANUP)
_OWN: Mapping[Event, frozenset[str]] = {
    Event.EXPINFO: _ASK_INFO - _OF_IBL,
    **dict.fromkeys(_COMMANDS, _FOR_ME - _REFERENCE - {"exp_ref"}),
}
"""Keys of multirig's own verbs: all that its words are read by and that is not IBL's."""
_MAX_NAMED = 8
"""Keys that are named where they are not taken."""


# -- writing -------------------------------------------------------------------------------------------------


def write(word: Word) -> Message:
    """Return the message that carries a word; a peer's word as the peer has said it."""
    said: Message | None = getattr(word, "_said", None)
    return said if said is not None else Message(word.event, _WRITERS[type(word)](word))


def _write_ask_info(word: AskInfo) -> Args:
    data: dict[str, Any]
    if word.recover:
        data = {"exp_ref": _text(word.exp_ref), "recover": True}
        data |= {"take_over": True} if word.take_over else {}
    elif word.check is not None:
        data = {"subject": word.subject, "check": {"seconds": word.check.seconds}}
    else:
        data = {"exp_ref": _text(word.exp_ref), "main_sync": word.main_sync}
        if word.experiment_description is not None:
            data["experiment_description"] = word.experiment_description
        if word.spec_version is not None:
            data |= {"master": word.main_sync, "spec_version": word.spec_version}
        data["subject"] = word.subject
        if word.min_sequence is not None:
            data["min_sequence"] = word.min_sequence
    if word.would_take_over:
        data["would_take_over"] = True
    if word.whose:
        data["whose"] = True
    return 0, _greeted({**data, **word.more}, word.greeting)


def _write_leader_info(word: LeaderInfo) -> Args:
    return int(word.status), {"exp_ref": _text(word.exp_ref), "main_sync": False}


def _write_initialise(word: Initialise) -> Args:
    return (_write_command(word, rehearsal=word.rehearsal),)


def _write_start(word: Start) -> Args:
    data = dict(word.more)
    if word.rehearsal:
        data["rehearsal"] = True
    if word.resume:
        data["resume"] = True
    if word.at is not None:
        data["start_at"] = word.at
    if word.take_over:
        data["take_over"] = True
    return _text(word.exp_ref), data or None


def _write_end(word: Stop | Interrupt | CleanUp) -> Args:
    return (_write_command(word),)


def _write_command(
    word: Initialise | Stop | Interrupt | CleanUp, *, rehearsal: bool = False
) -> dict[str, Any]:
    data = {"exp_ref": _text(word.exp_ref), **word.more}
    if rehearsal:
        data["rehearsal"] = True
    if word.take_over:
        data["take_over"] = True
    return data


def _write_beat(word: Beat) -> Args:
    return int(word.status), {"state": word.state, "exp_ref": _text(word.exp_ref)}


def _write_marker(word: Marker) -> Args:
    mark = {"text": word.text, "data": word.data, "at": word.at}
    return int(word.status), {"exp_ref": _text(word.exp_ref), "mark": mark}


def _write_info(word: Info) -> Args:
    data: dict[str, Any] = {
        "main_sync": word.main_sync,
        "exp_ref": _text(word.exp_ref),
        "subject": word.subject,
        "state": word.state.value if word.state is not None else None,
    }
    said = {
        "clock_port": word.clock_port,
        "name": word.name,
        "date": word.date,
        "adapter": word.adapter,
        "collection": word.collection,
        "writes": [*word.writes] or None,
        "folder": word.folder,
        "disk_free": word.disk_free,
        "version": word.version,
        "device": word.device,
        "experiment_description": word.experiment_description,
        "preflight": None if word.preflight is None else list(word.preflight),
        "time": word.time,
        "failure": word.failure,
        "min_sequence": word.min_sequence,
        "limits": None if word.limits is None else dict(word.limits),
        "set_up_for": word.set_up_for,
        "led_by": word.led_by,
        "asking": word.asking,
        "decided": word.decided,
        "begun_by": word.begun_by,
        "recording_for": word.recording_for,
    }
    data |= {key: value for key, value in said.items() if value is not None}
    return _number_of(word.status), _greeted({**data, **word.more}, word.greeting)


def _write_ready(word: Ready) -> Args:
    data = {"exp_ref": _text(word.exp_ref), "status": _number_of(word.status)}
    return (data | _write_troubles(word),)


def _write_started(word: Started) -> Args:
    return _text(word.exp_ref), {"status": _number_of(word.status), **_write_recorded(word.recorded)}


def _write_stopped(word: Stopped) -> Args:
    data: dict[str, Any] = {"exp_ref": _text(word.exp_ref), "status": _number_of(word.status)}
    if word.state is not None:
        data["state"] = word.state.value
    if word.files_total is not None:
        data |= {"files_total": word.files_total, "bytes_total": word.bytes_total or 0}
    if (recorded := word.recorded) is not None:
        data |= _write_recorded(recorded)
        if word.files_total is not None or recorded.files is not None:
            data["files"] = [write_file(one, is_kept=recorded.is_kept) for one in recorded.files or ()]
    if word.ended_ago is not None:
        data["ended_ago"] = word.ended_ago
    return (data | _write_troubles(word),)


def _write_cleaned_up(word: CleanedUp) -> Args:
    data: dict[str, Any] = {"exp_ref": _text(word.exp_ref), "status": _number_of(word.status)}
    if word.digests is not None:
        data["digests"] = word.digests
    return (data | _write_troubles(word),)


def _write_troubles(word: Ready | Stopped | CleanedUp) -> dict[str, Any]:
    data: dict[str, Any] = {}
    if word.gaps is not None:
        data["gaps"] = [write_gap(one) for one in word.gaps]
    if word.failure is not None:
        data["failure"] = word.failure
    return data


def _write_recorded(recorded: Recorded) -> dict[str, Any]:
    """Return all but the files."""
    data: dict[str, Any] = {}
    if recorded.started_at is not None:
        data["started_at"] = recorded.started_at
    if (start := recorded.start) is not None:
        data["start"] = {
            "planned": start.planned,
            "heard": start.heard,
            "called": start.called,
            "returned": start.returned,
            "late": start.late,
            "bound": start.bound,
        }
    if recorded.is_kept:
        data["manifest"] = recorded.manifest
    if recorded.health is not None:
        data["health"] = write_health(recorded.health)
    if recorded.stopped_at is not None:
        data["stopped_at"] = recorded.stopped_at
    if (clock := recorded.clock) is not None:
        data["clock"] = {"offset": clock.offset, "bound": clock.bound}
    if recorded.digests is not None:
        data["digests"] = recorded.digests
    if recorded.findings is not None:
        data["findings"] = [write_finding(one) for one in recorded.findings]
    return data


def _write_report(word: Report) -> Args:
    if word.state is None:  # peers of IBL take the status as it is
        return (_number_of(word.status),)
    data: dict[str, Any] = {}
    if word.adapter is not None:
        data["adapter"] = word.adapter
    if word.version is not None:
        data["version"] = word.version
    data["state"] = word.state.value
    data["exp_ref"] = _text(word.exp_ref)
    data["failure"] = word.failure
    if word.armed:
        data["armed"] = True
    data["health"] = write_health(word.health)
    data["stalled"] = word.stalled
    if word.findings:
        data["findings"] = [write_finding(one) for one in word.findings]
    data["led_by"] = word.led_by
    data["leader"] = word.leader
    data["gap"] = write_gap(word.gap) if word.gap is not None else None
    data["resumes"] = word.resumes
    data["main_sync"] = word.main_sync
    data["subject"] = word.subject
    data["disk_free"] = word.disk_free
    data["hours_left"] = word.hours_left
    data["clock_port"] = word.clock_port
    if word.pictures is not None:
        data["pictures"] = [write_picture(one) for one in word.pictures]
    elif word.cameras:
        data["pictures"] = list(word.cameras)
    told = {"taken_over_by": word.taken_over_by, "wanted_by": word.wanted_by, "asking": word.asking}
    data |= {key: value for key, value in told.items() if value is not None}
    if word.is_open:
        data["open"] = True
    if word.pulse is not None:
        data["pulse"] = {"at": word.pulse}
    return _number_of(word.status), data


def write_health(health: Health | None) -> dict[str, Any]:
    """Return a proof of recording as it travels."""
    if health is None:
        return {}
    return {
        "frames": health.frames,
        "bytes": health.bytes,
        "dropped": health.dropped,
        "rate": health.rate,
    }


def write_gap(gap: Gap) -> dict[str, Any]:
    """Return a gap as it travels."""
    return {"from": gap.since, "to": gap.until, "seconds": gap.seconds}


def write_picture(picture: Picture) -> dict[str, Any]:
    """Return a picture as it travels."""
    jpeg = base64.b64encode(picture.jpeg).decode("ascii")
    return {"label": picture.label, "jpeg": jpeg, "age": picture.age}


def write_file(file: File, *, is_kept: bool = True) -> dict[str, Any]:
    """Return a file as it travels; of one that is not kept no checksum is made."""
    data = {
        "path": file.path,
        "bytes": file.bytes,
        "frames": file.frames,
        "first": file.first,
        "last": file.last,
    }
    if file.evidence is not None:
        data["evidence"] = write_evidence(file.evidence)
    return {**data, "blake2b": file.blake2b} if is_kept else data


def write_evidence(evidence: Evidence) -> dict[str, Any]:
    """Return what is known of a file as it travels: what is not known is left out."""
    data = _write_known(evidence)
    if evidence.size is not None:
        data["size"] = list(evidence.size)
    if evidence.expected is not None:
        data["expected"] = _write_known(evidence.expected)
    return data


def write_finding(finding: Finding) -> dict[str, Any]:
    """Return a finding as it travels."""
    return {**_write_known(finding), "level": finding.level.value}


def _write_known(word: Any) -> dict[str, Any]:
    return {one.name: value for one in fields(word) if (value := getattr(word, one.name)) is not None}


def _greeted(data: Mapping[str, Any], greeting: Greeting | None) -> dict[str, Any]:
    if greeting is None:
        return dict(data)
    about: dict[str, Any] = {"wire": greeting.wire, "boot": greeting.boot, "name": greeting.name}
    if greeting.hello:  # filled up: what is answered to who has proved nothing is not longer
        about |= {"hello": greeting.hello, "pad": "." * _PAD}
    return {**data, _GREETING: about}


def _text(exp_ref: ExpRef | None) -> str | None:
    return None if exp_ref is None else str(exp_ref)


def _number_of(status: Status | None) -> int | None:
    return None if status is None else int(status)


_WRITERS: Mapping[type[Word], Callable[[Any], Args]] = {
    AskInfo: _write_ask_info,
    LeaderInfo: _write_leader_info,
    Initialise: _write_initialise,
    Start: _write_start,
    Stop: _write_end,
    Interrupt: _write_end,
    CleanUp: _write_end,
    AskStatus: lambda word: (0,),
    Beat: _write_beat,
    Marker: _write_marker,
    Lease: lambda word: (0, {"watch": word.seconds} | ({"attends": True} if word.attends else {})),
    Decide: lambda word: (
        0,
        {"hand_over": word.allows, "asker": word.asker} | ({"by": word.by} if word.by is not None else {}),
    ),
    WantPictures: lambda word: (0, {"pictures": True}),
    holdings.AskHoldings: holdings.write_ask,
    holdings.Collect: holdings.write_collect,
    holdings.Clear: holdings.write_clear,
    holdings.Holdings: holdings.write_holdings,
    Info: _write_info,
    Ready: _write_ready,
    Started: _write_started,
    Stopped: _write_stopped,
    CleanedUp: _write_cleaned_up,
    Report: _write_report,
    AlyxToken: lambda word: (word.url, word.credentials),
    AskToken: lambda word: (word.url, {}),
    Complaint: lambda word: (word.text, int(word.about or 0)),
    Receipt: lambda word: (),
    Invalid: lambda word: (),
    Verbatim: lambda word: word.args,
}


# -- what a rig hears ----------------------------------------------------------------------------------------


def hear_leader(message: Message) -> Word:
    """Return what a rig understands of whoever leads it, wants to, or looks on."""
    return _FOR_RIGS[message.event](message.args)


def make_command(event: Event, exp_ref: ExpRef | None, data: Mapping[str, Any]) -> Command:
    """Return a command of ours that carries this along."""
    more = {key: value for key, value in data.items() if key not in _FOR_ME}
    take_over, rehearsal = data.get("take_over") is True, data.get("rehearsal") is True
    match event:
        case Event.EXPINIT:
            return Initialise(exp_ref=exp_ref, rehearsal=rehearsal, take_over=take_over, more=more)
        case Event.EXPSTART:
            resume = data.get("resume") is True
            return Start(exp_ref=exp_ref, resume=resume, rehearsal=rehearsal, take_over=take_over, more=more)
        case Event.EXPEND:
            return Stop(exp_ref=exp_ref, take_over=take_over, more=more)
        case Event.EXPINTERRUPT:
            return Interrupt(exp_ref=exp_ref, take_over=take_over, more=more)
        case Event.EXPCLEANUP:
            return CleanUp(exp_ref=exp_ref, take_over=take_over, more=more)
    raise ValueError(f"{event.name} is no command")


def ask_info_with(word: AskInfo, more: Mapping[str, Any]) -> AskInfo:
    """Return a question with what somebody else has to say of the experiment, in whose words it may be."""
    status, data = write(word).args
    args = status, {**data, **more}
    asked = _hear_ask_info(args)
    if not isinstance(asked, AskInfo):
        return word
    object.__setattr__(asked, "_said", Message(Event.EXPINFO, args))
    return asked


def _hear_ask_info(args: Args) -> Word:
    data = _second_map(args)
    check = data.get("check")
    seconds: Any = check.get("seconds") if isinstance(check, dict) else None
    if _is_number(seconds) and not _is_sane(seconds):
        return Invalid(event=Event.EXPINFO, reason="EXPINFO: check.seconds is no length of a session")
    return AskInfo(
        exp_ref=_reference(data.get("exp_ref"))[0],
        subject=_string(data.get("subject")),
        main_sync=data.get("main_sync") is True,
        experiment_description=_map(data.get("experiment_description")),
        spec_version=_string(data.get("spec_version")),
        min_sequence=_sequence(data.get("min_sequence")),
        check=Plan(seconds=seconds if _is_number(seconds) and seconds > 0 else None)
        if isinstance(check, dict)
        else None,
        recover=data.get("recover") is True,
        take_over=data.get("take_over") is True,
        would_take_over=data.get("would_take_over") is True,
        whose=data.get("whose") is True,
        greeting=_greeting(data),
        more={key: value for key, value in data.items() if key not in _ASK_INFO},
    )


def _hear_command(event: Event) -> Callable[[Args], Word]:
    def hear(args: Args) -> Word:
        first = args[0] if args else None
        data: Mapping[str, Any]
        if isinstance(first, dict):
            data = first
            named = first.get("exp_ref") if _REFERENCE - first.keys() else first
        else:
            data = _first_map(args)
            named = first if event in _NAMING else None
        try:
            exp_ref = ExpRef.parse(named) if named else None
        except ProtocolError as error:
            return Invalid(event=event, reason=str(error))
        at = data.get("start_at") if event is Event.EXPSTART else None
        if type(at) is not int:
            return make_command(event, exp_ref, data)
        if not _is_sane(at):
            return Invalid(event=event, reason="EXPSTART: start_at is no time in nanoseconds")
        more = {key: value for key, value in data.items() if key not in _FOR_ME}
        return Start(
            exp_ref=exp_ref,
            at=at,
            resume=data.get("resume") is True,
            rehearsal=data.get("rehearsal") is True,
            take_over=data.get("take_over") is True,
            more=more,
        )

    return hear


def _hear_ask_status(args: Args) -> Word:
    data = args[1] if len(args) > 1 else None
    if not isinstance(data, dict):
        return _ASK_STATUS
    match data:
        case {"mark": {"text": str(text), "at": int() | float() as at, "data": dict(more)}}:
            if not _is_sane(at):
                return Invalid(event=Event.EXPSTATUS, reason="EXPSTATUS: mark.at is no time in seconds")
            exp_ref = _reference(data.get("exp_ref"))[0]
            return Marker(text=clean(text), data=more, at=float(at), exp_ref=exp_ref, status=_status_or(args))
        case {"watch": int() | float() as seconds} if type(seconds) is not bool:
            if not _is_sane(seconds):
                return Invalid(event=Event.EXPSTATUS, reason="EXPSTATUS: watch is no number of seconds")
            return Lease(seconds=seconds, attends=data.get("attends") is True)
        case {"hand_over": bool() as allows, "asker": str(asker)}:
            return Decide(allows=allows, asker=clean(asker, LONG_NAME), by=_name(data.get("by")))
        case {"pictures": True} if data["pictures"] is True:
            return WantPictures()
        case {"holdings": _} | {"collect": _} | {"clear": _}:
            return holdings.hear_wish(data) or _ASK_STATUS
        case {"state": str(state)}:
            return Beat(
                status=_status_or(args),
                state=clean(state, LONG_NAME),
                exp_ref=_reference(data.get("exp_ref"))[0],
            )
    return _ASK_STATUS


def _hear_token(args: Args) -> Word:
    url = _string(args[0]) if args else None
    credentials = args[1] if len(args) > 1 else None
    if isinstance(credentials, dict) and credentials:
        return AlyxToken(url=url, credentials=credentials)
    return AskToken(url=url)


def _hear_complaint(args: Args) -> Word:
    """Read ``[0, text, event]``, of which peers write all sorts."""
    text = " ".join(str(args[0]).split()) if args else ""
    try:
        about = Event.parse(args[1]) if len(args) > 1 else None
    except ProtocolError:
        about = None
    return Complaint(text=clean(text, MAX_COMPLAINT) or "no reason given", about=about)


_ASK_STATUS = AskStatus()
_EMPTY: Mapping[str, Any] = {}
_NAMING = frozenset({Event.EXPINIT, Event.EXPSTART})
"""Commands that may name their session without a map around it."""
_FOR_RIGS: Mapping[Event, Callable[[Args], Word]] = {
    Event.EXPINFO: _hear_ask_info,
    **{event: _hear_command(event) for event in _COMMANDS},
    Event.EXPSTATUS: _hear_ask_status,
    Event.ALYX: _hear_token,
    Event.ERROR: _hear_complaint,
}


# -- what a conductor and an observer hear -------------------------------------------------------------------


def hear_rig(message: Message) -> Word:
    """Return what a conductor, or an observer, understands of a rig; nothing that was said is lost."""
    word = _OF_RIGS[message.event](message.args)
    object.__setattr__(word, "_said", message)
    return word


def hear_verbatim(message: Message) -> Word:
    """Return what was said as it is, for whoever speaks IBL's arrays."""
    return Verbatim(message.event, message.args)


def read_report(data: Mapping[str, Any]) -> Report:
    """Return how a rig was, by what a journal holds of its report."""
    report = hear_rig(Message(Event.EXPSTATUS, (None, dict(data))))
    if not isinstance(report, Report):
        raise TypeError("an EXPSTATUS of a rig is a report")
    return report


def _hear_info(args: Args) -> Word:
    data = _second_map(args)
    exp_ref, strange = _reference(data.get("exp_ref"))
    findings = data.get("preflight")
    return Info(
        status=_status(args[0]) if args else None,
        main_sync=data.get("main_sync") is True,
        exp_ref=exp_ref,
        strange_ref=strange,
        subject=_string(data.get("subject")),
        state=_state(data.get("state")),
        clock_port=_port(data.get("clock_port")),
        name=_name(data.get("name")),
        date=_string(data.get("date")),
        adapter=_string(data.get("adapter")),
        collection=_string(data.get("collection")),
        writes=_patterns(data.get("writes")),
        folder=_string(data.get("folder")),
        disk_free=_count(data.get("disk_free")),
        version=_string(data.get("version")),
        device=data.get("device"),
        experiment_description=_map(data.get("experiment_description")),
        preflight=tuple(clean_values(one) for one in findings if isinstance(one, dict))
        if isinstance(findings, list)
        else None,
        time=_string(data.get("time")),
        failure=_string(data.get("failure")),
        min_sequence=_sequence(data.get("min_sequence")),
        limits=_limits(data.get("limits")),
        set_up_for=_string(data.get("set_up_for")),
        led_by=_name(data.get("led_by")),
        asking=_number(data.get("asking")),
        decided=_string(data.get("decided")),
        begun_by=_name(data.get("begun_by")),
        recording_for=_number(data.get("recording_for")),
        greeting=_greeting(data),
        more={key: value for key, value in data.items() if key not in _INFO},
    )


def _sequence(value: object) -> int | None:
    return value if type(value) is int and 1 <= value <= MAX_SEQUENCE else None


def _limits(value: object) -> Mapping[str, float] | None:
    if not isinstance(value, dict):
        return None
    return {
        step: float(seconds)
        for step, seconds in value.items()
        if step in STEPS and _is_number(seconds) and _is_sane(seconds) and seconds > 0
    }


def _hear_ready(args: Args) -> Word:
    data = args[0] if args and isinstance(args[0], dict) else _EMPTY
    exp_ref, strange_ref = _reference(data.get("exp_ref"))
    status, strange_status = _answered_status(data.get("status"))
    return Ready(
        exp_ref=exp_ref,
        strange_ref=strange_ref,
        status=status,
        strange_status=strange_status,
        gaps=_gaps(data),
        failure=_failure(data),
    )


def _hear_started(args: Args) -> Word:
    data = _first_map(args[1:])
    exp_ref, strange_ref = _reference((args[0] if args else None) or data.get("exp_ref"))
    status, strange_status = _answered_status(data.get("status"))
    return Started(
        exp_ref=exp_ref,
        strange_ref=strange_ref,
        status=status,
        strange_status=strange_status,
        recorded=read_recorded(data),
    )


def _hear_stopped(event: Event) -> Callable[[Args], Word]:
    def hear(args: Args) -> Word:
        data = _first_map(args)
        return Stopped(
            event=event,
            exp_ref=_reference(data.get("exp_ref"))[0],
            status=_status(data.get("status")),
            state=_state(data.get("state")),
            files_total=_count(data.get("files_total")),
            bytes_total=_count(data.get("bytes_total")),
            recorded=read_recorded(data) or None,
            ended_ago=_number(data.get("ended_ago")),
            gaps=_gaps(data),
            failure=_failure(data),
        )

    return hear


def _hear_cleaned_up(args: Args) -> Word:
    data = _first_map(args)
    return CleanedUp(
        exp_ref=_reference(data.get("exp_ref"))[0],
        status=_status(data.get("status")),
        digests=_digests(data.get("digests")),
        gaps=_gaps(data),
        failure=_failure(data),
    )


def _hear_report(args: Args) -> Word:
    if len(args) < 2 or not isinstance(args[1], dict):
        return Report(status=_status(args[0]) if args else None)
    get = args[1].get
    if isinstance(told := get("holdings"), dict):
        return holdings.hear_holdings(_status(args[0]), told)
    pulse, listed = get("pulse"), get("pictures")
    cameras, pictures = ((), None) if listed is None else _pictures(listed)
    return Report(
        status=_status(args[0]),
        adapter=_string(get("adapter")),
        version=_string(get("version")),
        state=_state(get("state")),
        exp_ref=_reference(get("exp_ref"))[0],
        failure=_failure(args[1]),
        armed=get("armed") is True,
        health=read_health(get("health")),
        stalled=_number(get("stalled")),
        findings=read_findings(get("findings")) or (),
        led_by=_name(get("led_by")),
        leader=_name(get("leader")),
        gap=read_gap(get("gap")),
        resumes=get("resumes") is True,
        main_sync=get("main_sync") is True,
        subject=_string(get("subject")),
        disk_free=_count(get("disk_free")),
        hours_left=_number(get("hours_left")),
        clock_port=_port(get("clock_port")),
        cameras=cameras,
        pictures=pictures,
        taken_over_by=_name(get("taken_over_by")),
        wanted_by=_name(get("wanted_by")),
        asking=_number(get("asking")),
        is_open=get("open") is True,
        pulse=_number(pulse.get("at")) if isinstance(pulse, dict) else None,
    )


_OF_RIGS: Mapping[Event, Callable[[Args], Word]] = {
    Event.EXPINFO: _hear_info,
    Event.EXPINIT: _hear_ready,
    Event.EXPSTART: _hear_started,
    Event.EXPEND: _hear_stopped(Event.EXPEND),
    Event.EXPINTERRUPT: _hear_stopped(Event.EXPINTERRUPT),
    Event.EXPCLEANUP: _hear_cleaned_up,
    Event.EXPSTATUS: _hear_report,
    Event.ALYX: _hear_token,
    Event.ERROR: _hear_complaint,
}


# -- what IBL's wire can say ---------------------------------------------------------------------------------


def without_own_verbs(message: Message) -> tuple[Message, tuple[str, ...]]:
    """Return what IBL's wire can say of a message of a conductor, and the keys that it has beyond that.

    That wire has no place for a secret: who commands by it can do what IBL's conductors can, and no more. Of
    an EXPSTATUS it has the status only.

    Returns
    -------
    message : Message
        The same one where it has none.
    keys : tuple of str
        Of multirig's own verbs; no more than eight are named.
    """
    args, own = message.args, _OWN.get(message.event, frozenset())
    if message.event is Event.EXPSTATUS:
        found = {key for one in args[1:] if isinstance(one, Mapping) for key in one}
        plain = args[:1]
    else:
        found = {key for one in args if isinstance(one, Mapping) for key in one.keys() & own}
        plain = tuple(_without(one, own) if isinstance(one, Mapping) else one for one in args)
    if not found:
        return message, ()
    named = sorted(clean(str(key), LONG_NAME) for key in found)[:_MAX_NAMED]
    return Message(message.event, plain), tuple(named)


def find_own_verbs(word: Word) -> tuple[str, ...]:
    """Return by which keys a word of a conductor says what IBL's wire cannot."""
    return without_own_verbs(write(word))[1]


def _without(data: Mapping[str, Any], keys: frozenset[str]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key not in keys}


# -- greetings -----------------------------------------------------------------------------------------------


def find_greeting(word: Word) -> Greeting | None:
    """Return what an EXPINFO says of the multirig that has sent it, if it says that."""
    match word:
        case AskInfo() | Info():
            return word.greeting
        case Verbatim(event=Event.EXPINFO):
            return _greeting(_second_map(word.args))
    return None


def without_greeting(word: Word) -> Word:
    """Return an EXPINFO that does not say by whom it was sent."""
    return replace(word, greeting=None) if isinstance(word, AskInfo | Info) else word


def find_boot(message: Message) -> str | None:
    """Return by which program a message was sent, if it is an EXPINFO that says so."""
    greeting = _greeting(_second_map(message.args)) if message.event is Event.EXPINFO else None
    return greeting.boot if greeting is not None else None


def greet(message: Message, greeting: Greeting) -> Message:
    """Return an EXPINFO that says by whom it is sent."""
    padded = [*message.args, *(0, None)[len(message.args) :]]
    if padded[1] is None or isinstance(padded[1], Mapping):
        padded[1] = _greeted(padded[1] or {}, greeting)
    return Message(message.event, tuple(padded))


def _greeting(data: Mapping[str, Any]) -> Greeting | None:
    about = data.get(_GREETING)
    if not isinstance(about, dict):
        return None
    boot = about.get("boot")
    return Greeting(
        wire=_count(about.get("wire")) or 0,
        boot=boot if isinstance(boot, str) else "",
        name=clean(str(about.get("name", "")), LONG_NAME),
        hello=hello if isinstance(hello := about.get("hello"), str) else "",
    )


# -- values --------------------------------------------------------------------------------------------------


def _first_map(args: Args) -> Mapping[str, Any]:
    for one in args:
        if isinstance(one, dict):
            return one
    return _EMPTY


def _second_map(args: Args) -> Mapping[str, Any]:
    data = args[1] if len(args) > 1 else None
    return data if isinstance(data, dict) else _EMPTY


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and type(value) is not bool


def _is_sane(value: float) -> bool:
    """Whether 64 bits hold a number: NaN and infinity are none, and some integers have a thousand digits."""
    return -MAX_INTEGER <= value <= MAX_INTEGER


def _number(value: Any) -> float | None:
    if value is None or not _is_number(value) or not _is_sane(value):
        return None
    return float(value)


def _count(value: Any) -> int | None:
    return value if type(value) is int and _is_sane(value) else None


def _port(value: Any) -> int | None:
    return value if type(value) is int and 0 < value < 65536 else None


def _string(value: Any) -> str | None:
    return clean(value) if isinstance(value, str) else None


def _name(value: Any) -> str | None:
    return clean(value, LONG_NAME) if isinstance(value, str) else None


def _patterns(value: Any) -> tuple[str, ...]:
    told = value[:MAX_PATTERNS] if isinstance(value, list) else ()
    return tuple(clean(one) for one in told if isinstance(one, str) and len(one) <= MAX_PATTERN)


def _map(value: Any) -> Mapping[str, Any] | None:
    return value if isinstance(value, Mapping) else None


def _is_map(value: object) -> bool:
    return isinstance(value, Mapping)


def _reference(value: Any) -> tuple[ExpRef | None, str | None]:
    """Return the reference that a peer names; or, where that is none, what it names instead."""
    if not value or not isinstance(value, str | dict):
        return None, None
    try:
        return ExpRef.parse(value), None
    except ProtocolError:
        return None, clean(str(value), LONG_NAME)


_STATUS = {int(status): status for status in Status}
_STATES = {state.value: state for state in RigState}


def _status(value: Any) -> Status | None:
    if type(value) is int:
        return _STATUS.get(value)
    try:
        return Status.parse(value) if value is not None else None
    except ProtocolError:
        return None


def _status_or(args: Args) -> Status:
    return _status(args[0]) or Status.CONNECTED


def _answered_status(value: Any) -> tuple[Status | None, str | None]:
    status = _status(value)
    return status, None if status is not None or value is None else f"{value!r:.80}"


def _state(value: Any) -> RigState | None:
    return _STATES.get(value) if isinstance(value, str) else None


def _failure(data: Mapping[str, Any]) -> str | None:
    failure = data.get("failure")
    return clean(str(failure)) if failure else None


def read_health(value: Any) -> Health | None:
    """Return a proof of recording; None: nothing is known."""
    if not isinstance(value, dict) or not value:
        return None
    return Health(
        frames=_count(value.get("frames")),
        bytes=_count(value.get("bytes")) or 0,
        dropped=_count(value.get("dropped")) or 0,
        rate=_number(value.get("rate")),
    )


def read_gap(value: Any) -> Gap | None:
    """Return a time in which nothing was recorded; None: there was none."""
    if not isinstance(value, dict) or not value:
        return None
    return Gap(
        since=_string(value.get("from")),
        until=_string(value.get("to")),
        seconds=_number(value.get("seconds")),
    )


def _gaps(data: Mapping[str, Any]) -> tuple[Gap, ...] | None:
    listed = data.get("gaps")
    if not isinstance(listed, list):
        return None
    return tuple(gap for one in listed if (gap := read_gap(one)) is not None)


def read_recorded(data: Mapping[str, Any]) -> Recorded:
    """Return what a rig tells of its recording."""
    files, start, clock = data.get("files"), data.get("start"), data.get("clock")
    listed = files if isinstance(files, list) else ()
    return Recorded(
        started_at=_number(data.get("started_at")),
        start=read_start(start) if isinstance(start, dict) else None,
        files=tuple(file for one in listed if (file := read_file(one)) is not None) if listed != () else None,
        is_kept="manifest" in data or any(isinstance(one, dict) and "blake2b" in one for one in listed),
        manifest=_string(data.get("manifest")),
        health=read_health(data.get("health")),
        stopped_at=_number(data.get("stopped_at")),
        clock=(
            ClockOffset(offset=_number(clock.get("offset")), bound=_number(clock.get("bound")))
            if isinstance(clock, dict)
            else None
        ),
        digests=_digests(data.get("digests")),
        findings=read_findings(data.get("findings")),
    )


def read_start(data: Mapping[str, Any]) -> RigStart:
    """Return how a rig started; what is no number is not known."""
    return RigStart(
        planned=_number(data.get("planned")),
        heard=_number(data.get("heard")),
        called=_number(data.get("called")),
        returned=_number(data.get("returned")),
        late=_number(data.get("late")),
        bound=_number(data.get("bound")),
    )


def read_file(data: Any) -> File | None:
    """Return a file of a recording; None: it has no path."""
    if not isinstance(data, dict) or not isinstance(path := data.get("path"), str):
        return None
    return File(
        path=clean(path),
        bytes=_count(data.get("bytes")) or 0,
        frames=_count(data.get("frames")),
        first=_number(data.get("first")),
        last=_number(data.get("last")),
        blake2b=_string(data.get("blake2b")),
        evidence=read_evidence(data.get("evidence")),
    )


def read_evidence(data: Any) -> Evidence | None:
    """Return what is known of a file; None: nothing."""
    if not isinstance(data, dict):
        return None
    known: dict[str, Any] = {name: read(data.get(name)) for name, read in _EVIDENCE.items()}
    return Evidence(**known)


def _expected(data: Any) -> Expected | None:
    if not isinstance(data, dict):
        return None
    return Expected(**{one.name: _number(data.get(one.name)) for one in fields(Expected)})


def _truth(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _size(value: Any) -> tuple[int, int] | None:
    match value:
        case [width, height] if (w := _count(width)) is not None and (h := _count(height)) is not None:
            return w, h
    return None


_EVIDENCE: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("source", "stamped_by", "pixel_format", "colour_range"), _string),
    **dict.fromkeys(("missing", "dropped", "damaged", "backwards", "bursts"), _count),
    **dict.fromkeys(("asked", "rate", "longest_gap", "gap_at", "bound", "grew_at"), _number),
    "size": _size,
    "growing": _truth,
    "expected": _expected,
}


def read_findings(listed: Any) -> tuple[Finding, ...] | None:
    """Return what a rig has seen; None: it says nothing of that."""
    if not isinstance(listed, list):
        return None
    return tuple(finding for one in listed if (finding := _finding(one)) is not None)


def _finding(data: Any) -> Finding | None:
    if not isinstance(data, dict) or not isinstance(text := data.get("text"), str):
        return None
    return Finding(
        level=_LEVELS.get(str(data.get("level")), Level.WARNING),
        kind=_name(data.get("kind")) or "",
        text=clean(text),
        at=_number(data.get("at")),
        until=_number(data.get("until")),
    )


_LEVELS = {level.value: level for level in Level}


def _digests(value: Any) -> Mapping[str, str] | None:
    if not isinstance(value, dict):
        return None
    return {clean(path): clean(digest) for path, digest in value.items() if isinstance(digest, str)}


def _pictures(listed: Any) -> tuple[tuple[str, ...], tuple[Picture, ...] | None]:
    """Return the labels of cameras, as news has them, or their pictures, as the answer to a wish has them."""
    if not isinstance(listed, list):
        return (), None
    labels = tuple(clean(one, LONG_NAME) for one in listed if isinstance(one, str))
    pictures = tuple(picture for one in listed if (picture := _picture(one)) is not None)
    return (labels, None) if labels and not pictures else ((), pictures)


def _picture(entry: Any) -> Picture | None:
    match entry:
        case {"label": str(label), "jpeg": str(text), **rest}:
            try:
                jpeg = base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError):
                return None
            if jpeg.startswith(_JPEG):
                return Picture(label=clean(label, LONG_NAME), jpeg=jpeg, age=_number(rest.get("age")))
    return None


_JPEG = b"\xff\xd8\xff"
"""How each JPEG file begins: nothing else is handed to a browser as one."""
