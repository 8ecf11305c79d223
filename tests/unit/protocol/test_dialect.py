"""Words and messages: what is written, how each side understands it, and what is refused at the border."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multirig import wording
from multirig.protocol import words
from multirig.protocol.codec import encode_array
from multirig.protocol.dialect import (
    ask_info_with,
    find_greeting,
    find_own_verbs,
    greet,
    hear_leader,
    hear_rig,
    hear_verbatim,
    make_command,
    without_own_verbs,
    write,
)
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.holdings import AskHoldings, Clear, Collect, Holding, Holdings, Whereabouts
from multirig.protocol.messages import Event, Message, Status
from multirig.protocol.words import (
    AlyxToken,
    AskInfo,
    AskStatus,
    AskToken,
    Beat,
    CleanedUp,
    CleanUp,
    ClockOffset,
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

REF = ExpRef(datetime.date(2024, 5, 6), 2, "SP_01")
TEXT = str(REF)
GREETING = Greeting(wire=2, boot="c0ffee", name="behaviour")
GAP = Gap(since="2024-05-06T12:01:03", until="2024-05-06T12:01:20", seconds=17.0)
HEALTH = Health(frames=10, bytes=2000, dropped=1, rate=99.5)
START = RigStart(planned=1.0, heard=0.5, called=1.0, returned=1.25, late=0.0, bound=0.001)
FILES = (
    File(path="raw/left.avi", bytes=2000, frames=10, first=1.5, last=2.5, blake2b="ab"),
    File(
        path="raw/log.txt",
        bytes=7,
        evidence=Evidence(source="left", rate=29.97, size=(640, 480), expected=Expected(fps=30.0)),
    ),
)
LISTED = [
    {"path": "raw/left.avi", "bytes": 2000, "frames": 10, "first": 1.5, "last": 2.5, "blake2b": "ab"},
    {
        "path": "raw/log.txt",
        "bytes": 7,
        "frames": None,
        "first": None,
        "last": None,
        "evidence": {"source": "left", "rate": 29.97, "size": [640, 480], "expected": {"fps": 30.0}},
        "blake2b": None,
    },
]
FINDING = Finding(level=Level.ALARM, kind="camera", text="right gives no frames: look at its cable", at=2.5)
RECORDED = Recorded(
    started_at=1.25,
    start=START,
    files=FILES,
    is_kept=True,
    manifest="_multirig_manifest.cam.json",
    health=HEALTH,
    stopped_at=3.5,
    clock=ClockOffset(offset=0.5, bound=0.001),
    findings=(FINDING,),
)
JPEG = b"\xff\xd8\xff\x00"

OF_LEADERS: list[tuple[Word, list[Any]]] = [
    (AskInfo(), [64, 0, {"exp_ref": None, "main_sync": False, "subject": None}]),
    (
        AskInfo(subject="SP_01", experiment_description={}, spec_version="1.0.0", min_sequence=4),
        [
            64,
            0,
            {
                "exp_ref": None,
                "main_sync": False,
                "experiment_description": {},
                "master": False,
                "spec_version": "1.0.0",
                "subject": "SP_01",
                "min_sequence": 4,
            },
        ],
    ),
    (AskInfo(check=Plan(seconds=60.0)), [64, 0, {"subject": None, "check": {"seconds": 60.0}}]),
    (AskInfo(check=Plan()), [64, 0, {"subject": None, "check": {"seconds": None}}]),
    (
        AskInfo(exp_ref=REF, recover=True, take_over=True),
        [64, 0, {"exp_ref": TEXT, "recover": True, "take_over": True}],
    ),
    (Initialise(exp_ref=REF), [1, {"exp_ref": TEXT}]),
    (
        Initialise(exp_ref=REF, rehearsal=True, take_over=True, more={"k": 1}),
        [1, {"exp_ref": TEXT, "k": 1, "rehearsal": True, "take_over": True}],
    ),
    (Start(exp_ref=REF), [2, TEXT, None]),
    (Start(exp_ref=REF, at=5, more={"k": 1}), [2, TEXT, {"k": 1, "start_at": 5}]),
    (Start(exp_ref=REF, rehearsal=True, at=5), [2, TEXT, {"rehearsal": True, "start_at": 5}]),
    (Start(exp_ref=REF, resume=True), [2, TEXT, {"resume": True}]),
    (Stop(exp_ref=REF), [4, {"exp_ref": TEXT}]),
    (
        Interrupt(exp_ref=REF, more={"error": "X", "message": "why"}),
        [16, {"exp_ref": TEXT, "error": "X", "message": "why"}],
    ),
    (CleanUp(exp_ref=REF), [8, {"exp_ref": TEXT}]),
    (AskStatus(), [32, 0]),
    (
        Beat(status=Status.RUNNING, state="running", exp_ref=REF),
        [32, 20, {"state": "running", "exp_ref": TEXT}],
    ),
    (
        Marker(text="reward", data={"µl": 3}, at=12.5, exp_ref=REF),
        [32, 20, {"exp_ref": TEXT, "mark": {"text": "reward", "data": {"µl": 3}, "at": 12.5}}],
    ),
    (Lease(seconds=15), [32, 0, {"watch": 15}]),
    (Lease(seconds=15, attends=True), [32, 0, {"watch": 15, "attends": True}]),
    (Decide(allows=True, asker="scanner-pc"), [32, 0, {"hand_over": True, "asker": "scanner-pc"}]),
    (
        Decide(allows=False, asker="scanner-pc", by="anna"),
        [32, 0, {"hand_over": False, "asker": "scanner-pc", "by": "anna"}],
    ),
    (WantPictures(), [32, 0, {"pictures": True}]),
    (AskHoldings(sessions=(REF,)), [32, 0, {"holdings": {"sessions": [TEXT]}}]),
    (Collect(to=None), [32, 0, {"collect": {"to": None, "sessions": []}}]),
    (
        Collect(to="Z:\\lab", sessions=(REF,), rate=1e6, is_new=True),
        [32, 0, {"collect": {"to": "Z:\\lab", "sessions": [TEXT], "rate": 1e6, "new": True}}],
    ),
    (Clear(to="lab:data", sessions=(REF,)), [32, 0, {"clear": {"to": "lab:data", "sessions": [TEXT]}}]),
    (
        AlyxToken(url="https://x", credentials={"me": {"token": "t"}}),
        [128, "https://x", {"me": {"token": "t"}}],
    ),
    (AskToken(), [128, None, {}]),
    (Complaint(text="no light", about=Event.EXPSTART), [0, "no light", 2]),
]
"""What whoever leads or looks on says: the word, and the message that a rig takes for it."""

OF_RIGS: list[tuple[Word, list[Any]]] = [
    (
        Holdings(
            status=Status.CONNECTED,
            pc="VIDEO-1",
            sessions=(
                Holding(exp_ref=REF, state=Whereabouts.UNDER_WAY, files=3, bytes=100, done=10, rate=5.0),
            ),
            total=1,
            left=1,
            left_bytes=90,
            oldest="2024-05-06",
            is_busy=True,
            to="/mnt/lab",
        ),
        [
            32,
            0,
            {
                "holdings": {
                    "pc": "VIDEO-1",
                    "sessions": [
                        {
                            "exp_ref": TEXT,
                            "state": "under way",
                            "files": 3,
                            "bytes": 100,
                            "done": 10,
                            "rate": 5.0,
                        }
                    ],
                    "total": 1,
                    "left": 1,
                    "left_bytes": 90,
                    "oldest": "2024-05-06",
                    "busy": True,
                    "to": "/mnt/lab",
                }
            },
        ],
    ),
    (
        Info(status=Status.CONNECTED, main_sync=True, exp_ref=REF, subject="SP_01", state=RigState.CONNECTED),
        [64, 0, {"main_sync": True, "exp_ref": TEXT, "subject": "SP_01", "state": "connected"}],
    ),
    (
        Info(
            status=Status.STOPPED,
            state=RigState.BROKEN,
            clock_port=4711,
            name="cam",
            date="2024-05-06",
            adapter="camera",
            collection="raw",
            disk_free=5,
            version="0.1",
            device={"model": "x"},
            experiment_description={"devices": {}},
            preflight=({"check": "disk", "level": "ok", "text": "room"},),
            time="2024-05-06T12:00:00+01:00",
            failure="no light",
            set_up_for="SP_01",
            led_by="behaviour (10.0.0.1)",
            greeting=GREETING,
        ),
        [
            64,
            30,
            {
                "main_sync": False,
                "exp_ref": None,
                "subject": None,
                "state": "broken",
                "clock_port": 4711,
                "name": "cam",
                "date": "2024-05-06",
                "adapter": "camera",
                "collection": "raw",
                "disk_free": 5,
                "version": "0.1",
                "device": {"model": "x"},
                "experiment_description": {"devices": {}},
                "preflight": [{"check": "disk", "level": "ok", "text": "room"}],
                "time": "2024-05-06T12:00:00+01:00",
                "failure": "no light",
                "set_up_for": "SP_01",
                "led_by": "behaviour (10.0.0.1)",
                "multirig": {"wire": 2, "boot": "c0ffee", "name": "behaviour"},
            },
        ],
    ),
    (Ready(exp_ref=REF, status=Status.INITIALIZED), [1, {"exp_ref": TEXT, "status": 10}]),
    (
        Ready(exp_ref=REF, status=Status.RUNNING, gaps=(GAP,), failure="x"),
        [
            1,
            {
                "exp_ref": TEXT,
                "status": 20,
                "gaps": [{"from": GAP.since, "to": GAP.until, "seconds": 17.0}],
                "failure": "x",
            },
        ],
    ),
    (Started(exp_ref=REF, status=Status.RUNNING), [2, TEXT, {"status": 20}]),
    (
        Started(exp_ref=REF, status=Status.RUNNING, recorded=Recorded(started_at=1.25, start=START)),
        [2, TEXT, {"status": 20, "started_at": 1.25, "start": dataclasses.asdict(START)}],
    ),
    (
        Stopped(exp_ref=REF, status=Status.STOPPED, files_total=2, bytes_total=2007),
        [4, {"exp_ref": TEXT, "status": 30, "files_total": 2, "bytes_total": 2007}],
    ),
    (
        Stopped(
            event=Event.EXPINTERRUPT,
            exp_ref=REF,
            status=Status.STOPPED,
            files_total=2,
            bytes_total=2007,
            recorded=RECORDED,
            ended_ago=0.25,
        ),
        [
            16,
            {
                "exp_ref": TEXT,
                "status": 30,
                "files_total": 2,
                "bytes_total": 2007,
                "started_at": 1.25,
                "start": dataclasses.asdict(START),
                "manifest": "_multirig_manifest.cam.json",
                "health": dataclasses.asdict(HEALTH),
                "stopped_at": 3.5,
                "clock": {"offset": 0.5, "bound": 0.001},
                "findings": [
                    {
                        "level": "alarm",
                        "kind": "camera",
                        "text": "right gives no frames: look at its cable",
                        "at": 2.5,
                    }
                ],
                "files": LISTED,
                "ended_ago": 0.25,
            },
        ],
    ),
    (
        CleanedUp(exp_ref=REF, status=Status.CONNECTED, digests={"a": "ab"}),
        [8, {"exp_ref": TEXT, "status": 0, "digests": {"a": "ab"}}],
    ),
    (Report(status=Status.RUNNING), [32, 20]),
    (
        Report(
            status=Status.RUNNING,
            adapter="camera",
            version="0.1",
            state=RigState.RUNNING,
            exp_ref=REF,
            armed=True,
            health=HEALTH,
            stalled=11.5,
            led_by="behaviour (10.0.0.1)",
            leader="c0ffee",
            gap=GAP,
            subject="SP_01",
            disk_free=5,
            hours_left=2.5,
            clock_port=4711,
            cameras=("left",),
            taken_over_by="another",
            pulse=12.5,
        ),
        [
            32,
            20,
            {
                "adapter": "camera",
                "version": "0.1",
                "state": "running",
                "exp_ref": TEXT,
                "failure": None,
                "armed": True,
                "health": dataclasses.asdict(HEALTH),
                "stalled": 11.5,
                "led_by": "behaviour (10.0.0.1)",
                "leader": "c0ffee",
                "gap": {"from": GAP.since, "to": GAP.until, "seconds": 17.0},
                "resumes": False,
                "main_sync": False,
                "subject": "SP_01",
                "disk_free": 5,
                "hours_left": 2.5,
                "clock_port": 4711,
                "pictures": ["left"],
                "taken_over_by": "another",
                "pulse": {"at": 12.5},
            },
        ],
    ),
    (Complaint(text="no light", about=Event.EXPSTART), [0, "no light", 2]),
    (AskToken(url="https://x"), [128, "https://x", {}]),
]
"""What rigs say: the word, and the message that a conductor takes for it."""


def as_sent(word: Word) -> bytes:
    return encode_array(write(word))


def heard(array: list[Any]) -> Message:
    return Message.parse(json.loads(json.dumps(array)))


@pytest.mark.parametrize(("word", "array"), [*OF_LEADERS, *OF_RIGS])
def test_a_word_is_written_byte_for_byte_as_its_message(word: Word, array: list[Any]) -> None:
    assert as_sent(word) == json.dumps(array).encode()
    assert word.event is write(word).event


@pytest.mark.parametrize(("word", "array"), OF_LEADERS)
def test_a_rig_understands_what_a_leader_or_an_observer_says(word: Word, array: list[Any]) -> None:
    assert hear_leader(heard(array)) == word


@pytest.mark.parametrize(("word", "array"), OF_RIGS)
def test_a_conductor_understands_what_a_rig_says(word: Word, array: list[Any]) -> None:
    assert hear_rig(heard(array)) == word


@pytest.mark.parametrize(
    "array", [one for _, one in OF_RIGS] + [[1, {"status": 20}], [64, 20, {"api": 1}], [4]]
)
def test_a_rigs_word_is_written_down_as_it_was_said(array: list[Any]) -> None:
    assert write(hear_rig(heard(array))).to_array() == array


def test_a_word_that_was_changed_is_written_anew() -> None:
    token = hear_rig(heard([128, "https://x", {"me": {"token": "secret"}}]))
    assert isinstance(token, AlyxToken)
    assert "secret" not in as_sent(dataclasses.replace(token, credentials={})).decode()
    assert "secret" not in repr(token)


def test_every_word_can_be_written() -> None:
    known = {type(word) for word, _ in [*OF_LEADERS, *OF_RIGS]} | {LeaderInfo, Receipt, Invalid, Verbatim}
    assert {one.__name__ for one in known} == {one.__name__ for one in Word.__subclasses__()}
    assert as_sent(LeaderInfo(status=Status.RUNNING, exp_ref=REF)) == (
        b'[64, 20, {"exp_ref": "2024-05-06_2_SP_01", "main_sync": false}]'
    )
    assert as_sent(Receipt(event=Event.ALYX)) == b"[128]"
    assert as_sent(Verbatim(Event.EXPINIT, (None,))) == b"[1, null]"


# -- what is refused at the border -------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "9" * 4000, "-" + "9" * 4000, "1e308"])
@pytest.mark.parametrize(
    ("event", "text"),
    [
        (32, '[32, 20, {{"mark": {{"text": "x", "data": {{}}, "at": {}}}}}]'),
        (32, '[32, 0, {{"watch": {}}}]'),
        (64, '[64, 0, {{"check": {{"seconds": {}}}}}]'),
        (2, '[2, null, {{"start_at": {}}}]'),
    ],
)
def test_a_number_that_64_bits_do_not_hold_is_refused_where_it_comes_in(
    event: int, text: str, number: str
) -> None:
    word = hear_leader(Message.parse(json.loads(text.format(number))))
    if event == 2 and not number.lstrip("-").isdigit():
        assert word == Start()  # an instant is an integer, or none
    else:
        assert isinstance(word, Invalid)
        assert word.event == event


@given(st.sampled_from([json.dumps(one) for _, one in OF_RIGS]), st.data())
def test_no_number_of_a_rig_is_taken_that_64_bits_do_not_hold(text: str, data: st.DataObject) -> None:
    number = data.draw(st.sampled_from([float("nan"), float("inf"), 10**4000, -(10**30)]))

    def spoil(value: Any) -> Any:
        match value:
            case dict():
                return {key: one if key == "status" else spoil(one) for key, one in value.items()}
            case list():
                return [spoil(one) for one in value]
            case int() | float() if not isinstance(value, bool):
                return number
        return value

    array = json.loads(text)
    word = hear_rig(Message.parse([array[0], *spoil(array[1:])]))
    assert "nan" not in repr(word)
    assert "inf" not in repr(word).replace("info", "")
    assert len(repr(word)) < 4000


@pytest.mark.parametrize("named", ["junk", "2024-05-06_2", {"date": "x", "sequence": 1, "subject": "a"}])
@pytest.mark.parametrize("event", [Event.EXPINIT, Event.EXPSTART])
def test_a_command_for_a_reference_that_is_none_is_refused(event: Event, named: Any) -> None:
    word = hear_leader(Message(event, (named,)))
    assert isinstance(word, Invalid)
    assert "is not an experiment reference" in word.reason


@given(
    st.sampled_from(list(Event)),
    st.lists(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        "exp_ref status state mark watch attends hand_over asker by pictures check health "
                        "gap gaps files start clock pulse digests start_at multirig text data at seconds "
                        "path label jpeg".split()
                    ),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=12,
        ),
        max_size=3,
    ),
)
def test_whatever_comes_is_understood_as_something(event: Event, args: list[Any]) -> None:
    message = Message(event, tuple(args))
    for hear in (hear_leader, hear_rig, hear_verbatim):
        word = hear(message)
        assert isinstance(word, Word)
        assert word.event is event
    assert write(hear_rig(message)) == message


# -- in peers' own words -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "args",
    [
        (TEXT,),
        ({"exp_ref": "2024-05-06_002_SP_01"},),
        ({"date": "2024-05-06", "sequence": "002", "subject": "SP_01"},),
        ({"exp_ref": {"date": "2024-05-06", "sequence": 2, "subject": "SP_01"}},),
    ],
)
def test_a_reference_is_understood_in_each_of_its_forms(args: tuple[Any, ...]) -> None:
    for event in (Event.EXPINIT, Event.EXPSTART):
        word = hear_leader(Message(event, args))
        assert isinstance(word, Initialise | Start)
        assert word.exp_ref == REF


def test_a_peer_of_ibl_says_its_status_and_no_more() -> None:
    report = hear_rig(Message(Event.EXPSTATUS, ("RUNNING",)))
    assert report == Report(status=Status.RUNNING)
    assert isinstance(report, Report)
    assert report.doing is RigState.RUNNING
    assert hear_rig(Message(Event.EXPEND, (30,))) == Stopped()
    assert hear_rig(Message(Event.EXPINIT, ({"status": "junk"},))) == Ready(strange_status="'junk'")
    assert hear_rig(Message(Event.EXPSTART, ("junk", None))) == Started(strange_ref="junk")


def test_what_a_foreign_conductor_tells_of_the_experiment_is_kept() -> None:
    word = hear_leader(
        heard([64, 0, {"exp_ref": None, "main_sync": False, "rig_version": "8.24.7", "subject": "x"}])
    )
    assert word == AskInfo(subject="x", more={"rig_version": "8.24.7"})


def test_pictures_are_taken_from_an_answer_and_labels_from_news() -> None:
    picture = Picture(label="left", jpeg=JPEG, age=0.5)
    shown = Report(status=Status.CONNECTED, state=RigState.CONNECTED, pictures=(picture,))
    said = write(shown)
    assert said.args[1]["pictures"] == [{"label": "left", "jpeg": "/9j/AA==", "age": 0.5}]
    assert hear_rig(said) == shown


def pictures_in(listed: object) -> tuple[Picture, ...]:
    word = hear_rig(Message(Event.EXPSTATUS, (20, {"state": "running", "pictures": listed})))
    assert isinstance(word, Report)
    return word.pictures or ()


@pytest.mark.parametrize(
    "entry",
    [
        None,
        5,
        "left",
        {"label": "left"},
        {"label": 1, "jpeg": "/9j/AA=="},
        {"label": "left", "jpeg": 17},
        {"label": "left", "jpeg": "no base64!"},
        {"label": "left", "jpeg": "é"},
        {"label": "left", "jpeg": "AAAA"},
        {"label": "left", "jpeg": b64encode(b"<script>").decode()},
    ],
)
def test_what_is_no_picture_is_left_out(entry: object) -> None:
    good = {"label": "right", "jpeg": "/9j/AA==", "age": 1}
    assert [picture.label for picture in pictures_in([entry, good])] == ["right"]


@pytest.mark.parametrize("listed", [None, True, "left", {"left": "/9j/AA=="}, ["left"]])
def test_a_list_of_anything_else_holds_no_pictures(listed: object) -> None:
    assert pictures_in(listed) == ()


# -- our own commands and questions ------------------------------------------------------------------------


def test_what_goes_along_with_a_command_keeps_its_place() -> None:
    word = make_command(Event.EXPINIT, REF, {"exp_ref": "another", "a": 1, "rehearsal": True})
    assert as_sent(word) == b'[1, {"exp_ref": "2024-05-06_2_SP_01", "a": 1, "rehearsal": true}]'
    with pytest.raises(ValueError, match="ALYX"):
        make_command(Event.ALYX, REF, {})


def test_a_question_can_be_asked_in_somebody_elses_words() -> None:
    asked = AskInfo(subject="x", experiment_description={}, spec_version="1.0.0")
    word = ask_info_with(asked, {"experiment_description": {"devices": {}}, "rig_version": "8.24.7"})
    assert as_sent(word) == (
        b'[64, 0, {"exp_ref": null, "main_sync": false, "experiment_description": {"devices": {}}, '
        b'"master": false, "spec_version": "1.0.0", "subject": "x", "rig_version": "8.24.7"}]'
    )


# -- greetings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", [AskInfo(), Info(status=Status.CONNECTED), Verbatim(Event.EXPINFO, (0,))])
def test_two_multirigs_know_each_other_by_their_greeting(word: Word) -> None:
    greeted = greet(write(word), GREETING)
    for hear in (hear_leader, hear_rig, hear_verbatim):
        assert find_greeting(hear(greeted)) == GREETING
        assert find_greeting(hear(write(word))) is None


def test_every_field_of_every_word_says_what_it_is() -> None:
    import ast
    import inspect

    tree = ast.parse(inspect.getsource(words))
    for one in [node for node in tree.body if isinstance(node, ast.ClassDef)]:
        for field, after in zip(one.body, [*one.body[1:], None], strict=True):
            if isinstance(field, ast.AnnAssign) and "ClassVar" not in ast.unparse(field.annotation):
                assert isinstance(after, ast.Expr), f"{one.name}.{ast.unparse(field.target)}"


# -- texts from the wire -----------------------------------------------------------------------------------

HOSTILE = "\x1b[2J\u202e\r\n2026-11-30 12:00:00.000 INFO multirig: all is well\0\ud800\u2066"
AS_IT_WAS_SAID = {"more", "device", "experiment_description", "data", "credentials", "boot", "wire"}
"""Fields that hold what others handed over, to be written down or handed on as it is."""


def texts(value: Any) -> Iterator[str]:
    match value:
        case str() if not isinstance(value, enum.Enum):
            yield value
        case dict():
            yield from (text for pair in value.items() for one in pair for text in texts(one))
        case tuple() | list():
            yield from (text for one in value for text in texts(one))
        case _ if dataclasses.is_dataclass(value):
            for one in dataclasses.fields(value):
                if one.name not in AS_IT_WAS_SAID:
                    yield from texts(getattr(value, one.name))


def spoiled(value: Any) -> Any:
    match value:
        case str() if value not in set(RigState):
            return value + HOSTILE
        case dict():
            return {key: one if key in ("exp_ref", "level") else spoiled(one) for key, one in value.items()}
        case list():
            return [spoiled(one) for one in value]
    return value


@pytest.mark.parametrize("length", [1, 50_000])
@pytest.mark.parametrize(
    ("hear", "array"),
    [
        *((hear_leader, one) for _, one in OF_LEADERS),
        *((hear_rig, one) for _, one in OF_RIGS),
    ],
)
@pytest.mark.attack
def test_no_text_of_a_word_forges_a_line_moves_a_cursor_or_turns_what_follows(
    hear: Any, array: list[Any], length: int
) -> None:
    said = [one if one == TEXT else spoiled(one) for one in array]
    said = json.loads(json.dumps(said).replace("\\u0000", "\\u0000" * length))
    for text in texts(hear(Message.parse(said))):
        assert wording.clean(text) == text
        assert len(text) <= wording.LONG_SENTENCE


@pytest.mark.attack
def test_the_name_in_a_greeting_is_short_and_clean() -> None:
    info = hear_rig(heard([64, 0, {"multirig": {"wire": 2, "boot": "b", "name": "x" * 9000 + HOSTILE}}]))
    greeting = find_greeting(info)
    assert greeting is not None
    assert len(greeting.name) == wording.LONG_NAME


# -- what IBL's wire can say ---------------------------------------------------------------------------------

OF_IBL = set(
    "exp_ref subject main_sync experiment_description spec_version min_sequence greeting more".split()
)
"""Fields of a conductor's words that wire 1.0 may fill; every other one is ours alone."""
VALUES = {"check": Plan(seconds=60.0), "at": 5}
"""Of the fields that are no mere yes or no."""
OWN_FIELDS = [
    (kind, one.name)
    for kind in (AskInfo, Initialise, Start, Stop, Interrupt, CleanUp)
    for one in dataclasses.fields(kind)
    if one.name not in OF_IBL
]


@pytest.mark.attack
@pytest.mark.parametrize(
    ("kind", "name"), OWN_FIELDS, ids=[f"{kind.__name__}.{name}" for kind, name in OWN_FIELDS]
)
def test_no_verb_of_ours_comes_by_wire_1_not_even_one_that_was_added_yesterday(kind: Any, name: str) -> None:
    with_it = {"recover": True} if (kind, name) == (AskInfo, "take_over") else {}
    word = kind(exp_ref=REF, more={"a": 1}, **with_it, **{name: VALUES.get(name, True)})
    sent = Message.parse(json.loads(encode_array(write(word))))
    assert getattr(hear_leader(sent), name) == getattr(word, name)
    assert find_own_verbs(word)
    message, _ = without_own_verbs(sent)
    assert getattr(hear_leader(message), name) == getattr(kind(), name)
    assert without_own_verbs(message) == (message, ())


@pytest.mark.parametrize(
    ("array", "left", "verbs"),
    [
        ([2, TEXT, {"take_over": True, "k": 1}], [2, TEXT, {"k": 1}], ("take_over",)),
        ([2, {"exp_ref": TEXT}, {"resume": 1}], [2, {"exp_ref": TEXT}, {}], ("resume",)),
        ([16, [{"error": "x"}], {"take_over": True}], [16, [{"error": "x"}], {}], ("take_over",)),
        ([32, 20, {"watch": 5}], [32, 20], ("watch",)),
        ([32, 20, {"new": {}}, {"mark": {}}], [32, 20], ("mark", "new")),
        (
            [32, 20, {str(one): one for one in range(20)}],
            [32, 20],
            ("0", "1", "10", "11", "12", "13", "14", "15"),
        ),
        ([64, 0, {"recover": True, "exp_ref": TEXT}], [64, 0, {"exp_ref": TEXT}], ("recover",)),
    ],
)
def test_what_ibls_wire_can_say_is_left(array: list[Any], left: list[Any], verbs: tuple[str, ...]) -> None:
    message, found = without_own_verbs(heard(array))
    assert message == heard(left)
    assert found == verbs


@pytest.mark.parametrize(
    "array",
    [
        [1, {"exp_ref": TEXT}],
        [2, TEXT, None],
        [2, {"date": "2024-05-06", "sequence": 2, "subject": "SP_01"}, {"k": 1}],
        [4, []],
        [16, [{"error": "x", "message": "y"}]],
        [32, 20],
        [
            64,
            0,
            {"exp_ref": None, "main_sync": False, "rig_version": "8", "multirig": {"wire": 2, "boot": "b"}},
        ],
        [128, "https://x", {"me": {"token": "secret"}}],
        [0, "text", 2],
    ],
)
def test_what_ibls_conductors_say_stays_as_it_is(array: list[Any]) -> None:
    message = heard(array)
    assert without_own_verbs(message) == (message, ())
