"""The one place where the corpus of version 0.1 touches the Python API; mend this file, never the data.

The data says what happened in words of its own: lines of JSON with ``at`` (nanoseconds of a time that no
program knows) and ``who`` (a computer), each left out where it is that of the line before, and one of

* ``do``: something happened to it (an *input*): ``boot``, ``die``, ``hear`` (a datagram: itself, or the
  number of the ``line`` on which it was sent), ``closed``, ``end``, and what `_rig_event`,
  `_conductor_event` and `_observer_event` read;
* ``to``: a datagram left it (an *output*): these are compared byte for byte;
* ``wants`` and ``says``: what it asked of its own PC, and what it told (outputs too).

`Computer` reads the inputs and gives the outputs. The replay needs no simulator, no socket and no clock.
"""

from __future__ import annotations

import base64
import datetime
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from multirig.lifecycle import observer
from multirig.lifecycle.handing_over import HandingRule
from multirig.lifecycle.observer import ObserverMachine
from multirig.lifecycle.policy import RigPolicy, Role
from multirig.lifecycle.rig import RigMachine
from multirig.lifecycle.rig_events import (
    Armed,
    Broke,
    ClockPortOpened,
    Commanded,
    DecidedHere,
    Denied,
    Describe,
    Described,
    Done,
    Entered,
    Failed,
    Keep,
    LedBy,
    Mark,
    Measured,
    Memory,
    NotHandled,
    PicturesOffered,
    PicturesTaken,
    Pulsed,
    Restored,
    SpaceMeasured,
    SubjectChosen,
    TakePictures,
)
from multirig.lifecycle.rig_states import RigState
from multirig.lifecycle.session import SessionMachine
from multirig.lifecycle.session_events import (
    AgreeRequested,
    AskRequested,
    ClockRead,
    Complained,
    Finished,
    Heard,
    Limits,
    Marked,
    Moved,
    Progressed,
    RigsChosen,
    StepRequested,
    TokenShared,
)
from multirig.lifecycle.session_states import SessionTrigger
from multirig.lifecycle.watch import Noticed
from multirig.protocol import codec
from multirig.protocol.dialect import (
    hear_leader,
    hear_rig,
    hear_verbatim,
    read_gap,
    read_health,
    read_recorded,
)
from multirig.protocol.door import Door
from multirig.protocol.events import SECOND, Address, Call, Ignored, Rebooted, Record, Token, Upgraded
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Event, Message
from multirig.protocol.node import Node
from multirig.protocol.rights import object_to_asker
from multirig.protocol.words import AlyxToken, AskInfo, Health, Info, Picture, Report, Word
from multirig.record.entries import parse_journal
from multirig.record.history import retrace
from multirig.trust.admission import Admission

Line = dict[str, Any]
DATAGRAM = ("frame", "array", "data", "hex")
"""Keys of a line that hold a datagram."""
MOST_RINGS = 1000
"""At one moment no timer rings so often."""


def to_info(data: Mapping[str, Any]) -> Info:
    """Return what a rig's service has gathered."""
    info = hear_rig(Message(Event.EXPINFO, (0, dict(data))))
    assert isinstance(info, Info)
    return info


def to_question(data: Mapping[str, Any]) -> AskInfo:
    """Return what a conductor asks, and tells of the experiment, byte for byte as it is given."""
    message = Message(Event.EXPINFO, (0, dict(data)))
    word = hear_leader(message)
    assert isinstance(word, AskInfo)
    object.__setattr__(word, "_said", message)
    return word


def to_address(uri: str) -> Address:
    """Read ``udp://10.0.1.1:11001``."""
    scheme, _, rest = uri.partition("://")
    host, _, port = rest.rpartition(":")
    return Address(scheme, host.strip("[]"), int(port))


def to_bytes(line: Mapping[str, Any]) -> bytes:
    """Return the datagram of a line.

    ``frame`` is JSON without spaces, as wire 2 and MATLAB's peers write it, and ``array`` JSON with Python's
    separators, as wire 1.0; ``data`` is text as it is, and ``hex`` what is no text.
    """
    match line:
        case {"frame": frame}:
            return json.dumps(frame, separators=(",", ":")).encode()
        case {"array": array}:
            return json.dumps(array).encode()
        case {"hex": digits}:
            return bytes.fromhex(digits)
    return str(line["data"]).encode()


def introduce_by_greeting(introduce: Any) -> Any:
    """Return how a rig of 0.1 heard an EXPINFO of wire 1.0: as of the multirig that greets by it."""

    def introduce_as_0_1(self: RigMachine, word: AskInfo, token: Token) -> list[Any]:
        is_greeted = token.wire == 1 and word.greeting is not None and word.greeting.boot
        asker = Token(token.address, 2, 0, word.greeting.boot) if word.greeting and is_greeted else token
        out = introduce(self, word, asker)
        return [replace(one, token=token) if isinstance(one, Describe) else one for one in out]

    return introduce_as_0_1


def from_bytes(data: bytes) -> Line:
    """Return the part of a line that holds a datagram, in the most legible form that gives it back."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return {"hex": data.hex()}
    try:
        value = json.loads(text)
    except ValueError:
        return {"data": text}
    for form in ("frame", "array") if isinstance(value, dict | list) else ():
        if to_bytes({form: value}) == data:
            return {form: value}
    return {"data": text}


def contract(lines: Sequence[Line]) -> list[Line]:
    """Return the lines of a conversation as its file has them: what was said before is told by its line."""
    out: list[Line] = []
    said: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        match line:
            case {"array": array} if len(text := json.dumps(array)) > 60:
                if (before := said.setdefault(f"array {text}", number)) != number:
                    line = {**line, "array": before}
            case {"frame": {"m": list(message)} as frame, "to": _} if len(text := json.dumps(message)) > 30:
                if (before := said.setdefault(text, number)) != number:
                    line = {**line, "frame": {**frame, "m": before}}
        out.append(line)
    before_it = [{}, *out]
    return [
        {key: one for key, one in line.items() if key not in ("at", "who") or before.get(key) != one}
        for before, line in zip(before_it, out, strict=False)
    ]


def read_conversation(path: Path) -> list[Line]:
    """Return the lines of a conversation, each with all that its file does not repeat."""
    lines: list[Line] = []
    last: Line = {}
    for text in path.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        last = {key: line.get(key, last.get(key)) for key in ("at", "who")}
        lines.append({**last, **line})
    return [expand(line, lines) for line in lines]


def expand(line: Line, lines: Sequence[Line]) -> Line:
    """Return a line with the datagram, and the message in it, that it names by the number of another line."""
    if "line" in line:
        sent = expand(lines[line["line"] - 1], lines)
        kept = {key: one for key, one in line.items() if key != "line"}
        home = next(one["address"] for one in lines if one["who"] == sent["who"] and one.get("do") == "boot")
        return {**kept, "from": home, **{key: sent[key] for key in DATAGRAM if key in sent}}
    match line:
        case {"array": int(number)}:
            return {**line, "array": lines[number - 1]["array"]}
        case {"frame": {"m": int(number)} as frame, "to": _}:
            return {**line, "frame": {**frame, "m": lines[number - 1]["frame"]["m"]}}
    return line


def _ref(value: str | None) -> ExpRef | None:
    return None if value is None else ExpRef.parse(value)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


class Computer:
    """A PC with its program, driven by lines of the corpus; several programs, one after the other.

    Parameters
    ----------
    name : str
        Of the PC in the corpus (``who``).
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: list[Line] = []
        """What came out since it was last taken away."""
        self.node: Node | None = None
        self.machine: Any = None
        self._side = ""
        self._clock = 0
        self._time = 0
        self._tokens: dict[int, Any] = {}
        self.records: list[tuple[Any, int]] = []
        """Inputs that the program wants in its journal, with their times; they outlive it."""

    # -- what the replay calls ----------------------------------------------------------------------------

    def take(self, line: Line) -> None:
        """Let something happen; what comes of it goes to `lines`."""
        at = line["at"]
        now = at + self._clock
        match line["do"]:
            case "boot":
                self._boot(line)
                now = at + self._clock
            case "die":
                self.node = None
            case "end":
                return
            case "hear" if self.node is not None:
                self.node.receive_datagram(to_bytes(line), to_address(line["from"]), now)
            case "closed" if self.node is not None:
                self.node.peer_unreachable(to_address(line["where"]), "nothing listens there", now)
            case _ if self.node is not None:
                if (event := self._event(line)) is not None:
                    self.node.handle(event, now)
        self._flush(at)

    def timer(self) -> int | None:
        """Return when it wants to be woken."""
        own = self.node.get_timer() if self.node is not None else None
        return None if own is None else own - self._clock

    def ring(self, at: int) -> None:
        """Wake it."""
        if self.node is not None:
            self.node.handle_timer(at + self._clock)
        self._flush(at)

    def run(self, lines: Iterable[Line]) -> list[Line]:
        """Replay the inputs among the lines of this PC; return all outputs."""
        out: list[Line] = []
        for line in lines:
            if "do" in line:
                self._run_timers(line["at"])
                self.take(line)
        out, self.lines = self.lines, []
        return out

    def _run_timers(self, until: int) -> None:
        last, rings = self._time, 0
        while (at := self.timer()) is not None and at <= until:
            at = max(at, last)
            rings = rings + 1 if at == last else 0
            assert rings < MOST_RINGS, f"{self.name} does not come to rest"
            last = at
            self.ring(at)
        self._time = until

    # -- the program --------------------------------------------------------------------------------------

    def _boot(self, line: Line) -> None:
        self._side, self._clock = line["side"], line.get("clock", self._clock)
        self._tokens.clear()
        match self._side:
            case "rig":
                self.machine = RigMachine(
                    name=line.get("name", self.name),
                    main_sync=line.get("main_sync", False),
                    objects_to_token=lambda asker, host: object_to_asker(
                        None, host, line.get("token_to", ())
                    ),
                    subject=line.get("subject"),
                    stop_after=line.get("stop_after"),
                    stall_after=line.get("stall_after"),
                    resumes=line.get("resumes", False),
                    about=Report(**line.get("about", {})),
                    take_over=HandingRule(ask=None, allows=True),  # as 0.1 did
                )
                if "clock_port" in line:
                    self.machine.handle(ClockPortOpened(port=line["clock_port"]), 0)
            case "conductor" if "journal" in line:
                self.machine = retrace(enumerate(parse_journal("".join(line["journal"]).encode()), 1)).machine
            case "conductor":
                limits = Limits(**line.get("limits", {}))
                self.machine = SessionMachine(
                    limits=limits, may_have_token=frozenset(line.get("token_to", ()))
                )
                if "alyx" in line:
                    url, credentials = line["alyx"]
                    token = AlyxToken(url=url, credentials=credentials)
                    shared = TokenShared(token=token, rigs=frozenset(line.get("token_to", ())))
                    self.machine.handle(shared, 0)
            case "observer":
                self.machine = ObserverMachine()
        allow = line.get("allow")
        self.node = Node(
            boot=line["boot"],
            name=line.get("name", self.name),
            machine=self.machine,
            hears=hear_leader if self._side == "rig" else hear_rig,
            door=Door(
                lambda host: Admission.OPEN if allow is None or host in allow else Admission.NOBODY,
                name=line.get("name", self.name),
            ),
            greets=line.get("greets", True),
        )

    def _event(self, line: Line) -> Any:
        return {"rig": self._rig_event, "conductor": _conductor_event, "observer": _observer_event}[
            self._side
        ](line)

    def _rig_event(self, line: Line) -> Any:  # noqa: C901  one case for each kind of line
        if "request" in line and line["request"] not in self._tokens:
            return None  # nothing of the kind was wanted this time; what comes out shows it
        match line["do"]:
            case "described":
                room = line.get("room")
                return Described(token=self._tokens[line["request"]], info=to_info(line["info"]), room=room)
            case "done":
                return Done(
                    number=line["call"],
                    recorded=read_recorded(line.get("report", {})),
                    gap=read_gap(line.get("report", {}).get("gap")),
                    failure=line.get("failure"),
                )
            case "armed":
                return Armed(number=line["call"])
            case "failed":
                return Failed(
                    number=line["call"],
                    reason=line["reason"],
                    recorded=read_recorded(line.get("report", {})),
                )
            case "broke":
                return Broke(reason=line["reason"])
            case "measured":
                return Measured(health=read_health(line["health"]) or Health())
            case "space":
                return SpaceMeasured(free=line["free"], hours_left=line["hours_left"])
            case "pictures offered":
                return PicturesOffered(labels=tuple(line["labels"]))
            case "pictures taken":
                pictures = tuple(
                    Picture(**{**one, "jpeg": base64.b64decode(one["jpeg"])}) for one in line["pictures"]
                )
                return PicturesTaken(token=self._tokens[line["request"]], pictures=pictures)
            case "pulsed":
                return Pulsed(at=line["seconds"])
            case "commanded":
                return Commanded(event=Event[line["event"]], exp_ref=_ref(line.get("exp_ref")))
            case "subject chosen":
                return SubjectChosen(subject=line["subject"])
            case "restored":
                memory = Memory(
                    state=RigState(line["state"]),
                    exp_ref=_ref(line["exp_ref"]),
                    started=tuple(map(ExpRef.parse, line["started"])),
                    stopped=tuple(map(ExpRef.parse, line["stopped"])),
                )
                return Restored(
                    memory=memory,
                    recorded=read_recorded(line.get("report", {})),
                    gap=read_gap(line.get("gap")),
                )
        raise ValueError(line["do"])

    # -- what comes out -----------------------------------------------------------------------------------

    def _flush(self, at: int) -> None:
        node = self.node
        if node is None:
            return
        while (effect := node.next_event()) is not None:
            if isinstance(effect, Record):
                self.records.append((effect.event, effect.at))
            elif (said := self._say(effect)) is not None:
                told = {key: one for key, one in said.items() if one is not None and one is not False}
                self.lines.append({"at": at, "who": self.name, **told})
        for address, data in node.datagrams_to_send(at + self._clock):
            self.lines.append({"at": at, "who": self.name, "to": str(address), **from_bytes(data)})

    def _keep_token(self, token: Any) -> int:
        number = len(self._tokens) + 1
        self._tokens[number] = token
        return number

    def _say(self, effect: Any) -> Line | None:  # noqa: C901  one case for each kind of effect
        match effect:
            case Call(number=number, hooks=hooks):
                return {
                    "wants": "call",
                    "call": number,
                    "hooks": list(hooks),
                    "preempts": effect.preempts,
                    "exp_ref": _text(effect.exp_ref),
                    "start_at": effect.start_at,
                    "heard_at": effect.heard_at,
                }
            case Describe():
                return {
                    "wants": "description",
                    "request": self._keep_token(effect.token),
                    "subject": effect.subject,
                    "at_least": effect.at_least,
                    "room": effect.room,
                    "check": None if effect.check is None else {"seconds": effect.check.seconds},
                }
            case TakePictures(token=token):
                return {"wants": "pictures", "request": self._keep_token(token)}
            case Keep():
                return None  # the file of it has a sample of its own
            case Entered():
                exp_ref, failure = _text(effect.exp_ref), effect.failure
                return {
                    "says": "entered",
                    "state": effect.state.value,
                    "exp_ref": exp_ref,
                    "failure": failure,
                }
            case Denied():
                return {"says": "denied", "event": effect.event.name, "reason": effect.reason}
            case DecidedHere():
                return None  # in 0.1 nobody was asked
            case LedBy():
                return {"says": "led by", "leader": effect.leader, "before": effect.before}
            case Mark():
                marker = effect.marker
                kept = {"text": marker.text, "data": dict(marker.data)}
                return {"says": "mark", **kept, "seconds": marker.at, "received": marker.received}
            case NotHandled():
                return {"says": "not handled", "about": effect.about, "reason": effect.reason}
            case Ignored():
                where = str(effect.address)
                return {"says": "ignored", "where": where, "reason": effect.reason, "first": effect.first}
            case Upgraded():
                return {
                    "says": "upgraded",
                    "where": str(effect.address),
                    "boot": effect.boot,
                    "name": effect.name,
                }
            case Rebooted():
                return {"says": "rebooted", "where": str(effect.address), "boot": effect.boot}
            case Progressed(outcome=Word()):
                return None  # the end of the step tells it too
            case Progressed():
                outcome = _outcome(effect.outcome)
                told = {"number": effect.number, "event": effect.event.name, "rig": effect.rig}
                return {"says": "progressed", **told, "outcome": outcome}
            case Finished():
                outcomes = {name: _outcome(one) for name, one in effect.outcomes.items()}
                error = None if effect.error is None else _outcome(effect.error)
                return {"says": "finished", "number": effect.number, "outcomes": outcomes, "error": error}
            case Moved():
                return {"says": "moved", "state": effect.state.value, "exp_ref": _text(effect.exp_ref)}
            case Heard():
                return {"says": "heard", "rig": effect.rig, "message": effect.word.event.name}
            case Noticed():
                return {
                    "says": "noticed",
                    "rig": effect.rig,
                    "notice": effect.notice.value,
                    "text": effect.text,
                }
            case observer.Changed():
                return {"says": "changed", "where": str(effect.address)}
            case observer.Answered():
                return {"says": "answered", "number": effect.number}
            case observer.PicturesAnswered():
                answer = "EXPSTATUS" if effect.pictures else None
                return {"says": "pictures answered", "number": effect.number, "answer": answer}
        raise ValueError(effect)


def _outcome(outcome: Any) -> str:
    """Return what became of a request; an answer stands in its datagram."""
    if isinstance(outcome, Word):
        return outcome.event.name
    return f"{type(outcome).__name__}: {outcome}"


def _conductor_event(line: Line) -> Any:
    match line["do"]:
        case "rigs":
            rigs: Any = {name: to_address(uri) for name, uri in line["rigs"].items()}
            policies = {
                name: RigPolicy(
                    **{**one, "role": Role(one.get("role", "expected")), "after": tuple(one.get("after", ()))}
                )
                for name, one in line.get("policies", {}).items()
            }
            return RigsChosen(rigs=rigs, policies=policies)
        case "agree":
            return AgreeRequested(
                number=line["number"],
                subject=line["subject"],
                date=datetime.date.fromisoformat(line["date"]),
                ask=to_question(line["info"]),
                here=_ref(line.get("here")),
                takes_over=line.get("takes_over", False),
            )
        case "step":
            trigger = SessionTrigger(line["step"])
            return StepRequested(number=line["number"], trigger=trigger, data=line.get("data", {}))
        case "ask":
            rigs = line.get("rigs")
            return AskRequested(
                number=line["number"],
                word=hear_verbatim(Message.parse(line["message"])),
                rigs=None if rigs is None else tuple(rigs),
                limit=line.get("limit", 10 * SECOND),
                needs_reply=line.get("needs_reply", True),
            )
        case "complain":
            return Complained(rig=line["rig"], event=Event[line["event"]], reason=line["reason"])
        case "clock":
            return ClockRead(**line["reading"])
        case "mark":
            return Marked(text=line["text"], at=line["moment"], data=line.get("data", {}))
    raise ValueError(line["do"])


def _observer_event(line: Line) -> Any:
    match line["do"]:
        case "follow":
            return observer.Followed(addresses=frozenset(map(to_address, line["rigs"])))
        case "suspend":
            return observer.Suspended(addresses=frozenset(map(to_address, line["rigs"])))
        case "ask":
            return observer.Asked(
                address=to_address(line["where"]), number=line["number"], limit=line["limit"]
            )
        case "ask pictures":
            where = to_address(line["where"])
            return observer.PicturesAsked(address=where, number=line["number"], limit=line["limit"])
    raise ValueError(line["do"])


# -- the codec ---------------------------------------------------------------------------------------------


def encode_again(data: bytes) -> bytes:
    """Decode a datagram of either wire with the codec, and encode what it holds.

    A message of wire 1.0 is encoded compactly if only that gives the same bytes: MATLAB's peers write so.
    """
    value = codec.decode(data)
    if isinstance(value, list):
        message = Message.parse(value)
        compact = codec.encode_array(message, compact=True)
        return compact if compact == data else codec.encode_array(message)
    array = value.pop("m", None)
    return codec.encode_frame(value, None if array is None else codec.encode_text(Message.parse(array)))


def name_event(data: bytes) -> str:
    """Return which event a datagram of either wire carries, or which kind of frame it is without one."""
    value = codec.decode(data)
    if isinstance(value, dict):
        if "m" not in value:
            return next((key for key in ("who", "here", "ack") if key in value), "boot")
        value = value["m"]
    return Message.parse(value).event.name
