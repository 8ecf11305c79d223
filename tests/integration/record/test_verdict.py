"""The verdict on real sessions: from the rigs' answers through the journal to the file."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import platform
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from multirig.conductor.conductor import Conductor
from multirig.conductor.journal import Journal
from multirig.errors import ConfigError, SessionFailed
from multirig.lifecycle.policy import RigPolicy, Role
from multirig.lifecycle.session_events import Limits
from multirig.lifecycle.watch import Notice, Noticed
from multirig.protocol.events import SECOND
from multirig.record import account as module
from multirig.record.account import FILE_NAME, Account, account, write_verdict
from multirig.record.journal import FILE_NAME as JOURNAL
from multirig.record.journal import read_history, read_summary
from multirig.record.story import tell
from multirig.record.time_files import OFFSETS_NAME, STARTS_NAME
from multirig.record.verdict import Word

QUICK = Limits(stop=SECOND // 5, cleanup=SECOND // 5, start=SECOND // 5, lead=0)


async def begin(conductor: Any, seconds: float = 0.05, lasts: float | None = None, **keys: Any) -> Path:
    """Begin a session and let it record for a moment; return the folder of this PC."""
    session = conductor.session("SP_01", seconds=lasts, **keys)
    await session.agree()
    await session.init()
    await session.start()
    await asyncio.sleep(seconds)
    folder = session.folder
    assert isinstance(folder, Path)
    return folder


async def end(conductor: Any) -> None:
    await conductor.current.stop()
    await conductor.current.cleanup()


def written(folder: Path) -> dict[str, Any]:
    content = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


# -- each word ---------------------------------------------------------------------------------------------


async def test_a_session_that_went_well_is_good_and_the_file_is_there_when_it_is_cleaned_up(lab: Any) -> None:
    await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor()
    folder = await begin(conductor)
    assert not (folder / FILE_NAME).exists()
    await end(conductor)
    content = written(folder)
    assert (content["verdict"], content["reasons"], content["notes"]) == ("GOOD", [], [])
    assert content["is_final"] is True
    assert content["exp_ref"] == f"{datetime.date.today()}_1_SP_01"
    assert content["running_until"] - content["running_from"] > 0.04
    for rig in content["rigs"].values():
        assert rig["was_started"]
        assert rig["has_ended"]
        assert all(one["blake2b"] for one in rig["files"])
        assert rig["manifest"]


async def test_the_file_is_what_show_would_say(lab: Any) -> None:
    await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor()
    folder = await begin(conductor)
    await end(conductor)
    assert written(folder) == json.loads(json.dumps(account(folder).to_json()))
    TypeAdapter(Account).validate_python(written(folder))


async def test_a_recording_that_fails_by_itself_degrades_the_session(lab: Any, until: Any) -> None:
    await lab.rig("main", main_sync=True)
    rig = await lab.rig("cam", fake={"fail_after": 0.02})
    conductor = await lab.conductor()
    folder = await begin(conductor)
    await until(lambda: rig.machine.failure is not None)
    await end(conductor)
    content = written(folder)
    assert content["verdict"] == "DEGRADED"
    assert any(one.startswith("cam: ") and "scripted failure" in one for one in content["reasons"])
    assert not any(one.startswith("main") for one in content["reasons"])


async def test_a_rig_that_wrote_nothing_makes_it_incomplete(lab: Any) -> None:
    await lab.rig("main", main_sync=True)
    await lab.rig("cam", fake={"write_file": False})
    conductor = await lab.conductor()
    folder = await begin(conductor)
    await end(conductor)
    content = written(folder)
    assert content["verdict"] == "INCOMPLETE"
    assert content["reasons"] == ["cam recorded, and has no file to show for it"]


async def test_a_rig_that_cannot_stop_makes_it_incomplete_and_says_what_it_has(lab: Any) -> None:
    await lab.rig("main", main_sync=True)
    await lab.rig("cam", fake={"hang": ["stop"]}, limits={"stop": 0.5})
    conductor = await lab.conductor(limits=QUICK)
    folder = await begin(conductor)
    await end(conductor)
    content = written(folder)
    assert content["verdict"] == "INCOMPLETE"
    assert content["reasons"][:2] == [
        "cam recorded, and has no file to show for it",  # it writes it when it is stopped
        "cam: stop: the adapter did not finish within 0.5 s; look at its program or device",
    ]


async def test_a_rig_that_does_not_answer_the_stop_makes_it_incomplete(lab: Any) -> None:
    await lab.rig("main", main_sync=True)
    await lab.rig("cam", limits={"stop": 0.2, "cleanup": 0.2})
    conductor = await lab.conductor(limits=QUICK)
    folder = await begin(conductor)
    lab.network.postman = lambda data, source, target: () if "cam" in (source.host, target.host) else (0.0,)
    await end(conductor)
    content = written(folder)
    assert content["verdict"] == "INCOMPLETE"
    assert content["reasons"] == [
        "cam recorded, and did not say what: look for its files on that PC",
        "cam: no answer in the step 'stop'",
        "cam: no answer in the step 'clean up'",
    ]


async def test_an_interrupt_is_told_with_its_reason(lab: Any) -> None:
    await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor()
    folder = await begin(conductor)
    await conductor.current.interrupt("smoke in the room")
    await conductor.current.cleanup()
    content = written(folder)
    assert content["verdict"] == "INTERRUPTED"
    (reason,) = content["reasons"]
    assert reason.endswith("s after the start: smoke in the room")
    assert content["interruption"] == "smoke in the room"


async def test_a_start_that_fails_is_aborted_and_the_next_attempt_is_judged_by_itself(lab: Any) -> None:
    await lab.rig("main", main_sync=True)
    await lab.rig("cam", fake={"fail": {"initialise": "no light"}, "fail_times": {"initialise": 1}})
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    await session.agree()
    folder = session.folder
    with pytest.raises(SessionFailed):
        await session.init()
    await conductor.close()
    content = written(folder)
    assert content["verdict"] == "ABORTED"
    assert content["reasons"] == ["cam: initialise: no light"]
    second = await lab.conductor()
    assert await begin(second) == folder
    await end(second)
    content = written(folder)
    assert (content["verdict"], content["attempts"]) == ("GOOD", 2)
    assert content["notes"] == ["it is the last of 2 attempts under this number"]


async def test_a_beginning_that_is_given_up_is_aborted(lab: Any) -> None:
    await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    folder = session.folder
    await session.interrupt("not today")
    await session.cleanup()
    assert written(folder)["reasons"] == ["it was interrupted before all rigs recorded: not today"]
    assert written(folder)["verdict"] == "ABORTED"


async def test_a_verdict_that_cannot_be_written_ends_nothing(
    lab: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await lab.rigs_of_a_session()
    conductor = await lab.conductor()
    folder = await begin(conductor)
    (folder / FILE_NAME).mkdir()
    await end(conductor)
    assert "the verdict cannot be written" in caplog.text
    told = account(folder)
    assert told.verdict is Word.DEGRADED, "at every face, and whenever it is asked for"
    assert told.reasons[-1].startswith(f"this PC: the verdict cannot be written into {folder}")
    (folder / FILE_NAME).rmdir()
    assert write_verdict(folder) == []
    assert account(folder).verdict is Word.GOOD, "it is there now"
    (folder / FILE_NAME).unlink()
    assert [one.name for one in folder.iterdir() if one.name.endswith(".new")] == []
    assert (await begin(conductor)).is_dir()
    await end(conductor)


async def test_clocks_and_starts_lie_beside_the_verdict(lab: Any) -> None:
    await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor()
    folder = await begin(conductor)
    await end(conductor)
    offsets = (folder / OFFSETS_NAME).read_text(encoding="utf-8").splitlines()
    assert offsets[0] == "rig,session_time_s,offset_s,bound_s,drift_ppm,round_trip_s"
    assert {one.split(",")[0] for one in offsets[1:]} == set(conductor.rigs)
    starts = (folder / STARTS_NAME).read_text(encoding="utf-8").splitlines()
    assert [one.split(",")[0] for one in starts] == ["rig", *conductor.rigs]
    content = written(folder)
    assert content["start_spread"]["rigs"] == len(conductor.rigs)
    assert content["began_at"] < content["running_from"] < content["running_until"] < content["ended_at"]


async def test_a_table_that_cannot_be_written_keeps_none_of_the_others_away(
    lab: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await lab.rigs_of_a_session()
    conductor = await lab.conductor()
    folder = await begin(conductor)
    (folder / OFFSETS_NAME).mkdir()
    await end(conductor)
    assert "the table of clocks cannot be written" in caplog.text
    content = written(folder)
    assert content["verdict"] == "DEGRADED", "as the last line on the screen says"
    [reason] = content["reasons"]
    assert reason.startswith("this PC: the table of clocks cannot be written into ")
    assert (folder / STARTS_NAME).is_file()
    assert (told := account(folder)).verdict is Word.DEGRADED
    assert told.reasons == [reason]


async def test_without_a_folder_there_is_no_verdict_and_no_fault(lab: Any) -> None:
    await lab.rigs_of_a_session()
    conductor = await lab.conductor(data_folder=None)
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await session.start()
    await end(conductor)
    assert not (lab.folder / "pc").exists()


# -- what is noticed meanwhile -----------------------------------------------------------------------------


def add(folder: Path, *events: Noticed, before: str = "StepRequested") -> None:
    """Put what the conductor notices into a journal: before the stop."""
    beside = folder / "beside"
    journal = Journal()
    lines = (folder / JOURNAL).read_bytes().splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if b'"trigger":"stop"' in line)
    moment = json.loads(lines[at])["at"]
    for event in events:
        journal.append(event, moment)
    journal.open(beside)
    journal.close()
    extra = (beside / JOURNAL).read_bytes().splitlines(keepends=True)[1:]
    (folder / JOURNAL).write_bytes(b"".join([*lines[:at], *extra, *lines[at:]]))


@pytest.mark.parametrize(
    ("notices", "word"),
    [
        ((Notice.SILENT, Notice.BACK), Word.GOOD),
        ((Notice.SILENT, Notice.LOST, Notice.BACK), Word.DEGRADED),
        ((Notice.STALLED, Notice.GROWING), Word.DEGRADED),
        ((Notice.STOPPED,), Word.DEGRADED),
        ((Notice.RESTARTED, Notice.RESUMED), Word.DEGRADED),
        ((Notice.TAKEN_OVER,), Word.DEGRADED),
    ],
)
async def test_what_was_noticed_of_a_rig_counts(lab: Any, notices: Any, word: Word) -> None:
    await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor()
    folder = await begin(conductor)
    await end(conductor)
    before = account(folder)  # on a busy PC clocks are known badly, and that is said
    assert before.verdict is Word.GOOD
    add(folder, *(Noticed(rig="cam", notice=one, text=f"is {one} now") for one in notices))
    told = account(folder)
    assert told.verdict is word
    assert [one.text for one in told.happenings] == [f"is {one} now" for one in notices]
    assert all(one.rig == "cam" and one.seconds is not None and one.seconds > 0 for one in told.happenings)
    new = [line for line in [*told.reasons, *told.notes] if line not in before.notes]
    assert new
    assert all(line.startswith("cam: is ") for line in new)


async def lead_on_after_a_death(lab: Any, **keys: Any) -> tuple[Conductor, Path]:
    """Return a conductor that has taken the place of one that died while all recorded, and the folder."""
    await lab.rigs_of_a_session("cam")
    first = await lab.conductor()
    folder = await begin(first, **keys)
    first.current.journal.close(is_over=False)  # it is gone without a word
    await first.exchange.close()
    second = Conductor.from_journal(folder, network=lab.network)
    lab.conductors = [second]
    await second.open()
    assert second.current is not None
    await second.current.recover()
    return second, folder


@pytest.mark.parametrize("goes_on", [True, False])
async def test_a_session_whose_task_died_is_interrupted_whoever_ends_it(lab: Any, goes_on: bool) -> None:
    second, folder = await lead_on_after_a_death(lab, by_task=True)
    if goes_on:
        await second.current.go_on()
    await end(second)
    content = written(folder)
    assert content["verdict"] == "INTERRUPTED"
    assert content["reasons"][0].startswith("the task that led it died while the rigs recorded")


async def test_a_session_of_an_asked_length_whose_conductor_died_is_interrupted_where_nobody_goes_on(
    lab: Any,
) -> None:
    second, folder = await lead_on_after_a_death(lab, lasts=30)
    await end(second)
    content = written(folder)
    assert content["verdict"] == "INTERRUPTED"
    [reason] = content["reasons"]
    assert reason.startswith("the program that led it died while its rigs recorded")
    assert reason.endswith("and 30 s were asked")


async def test_a_session_without_a_length_whose_conductor_died_is_ended_by_whoever_stops_it(lab: Any) -> None:
    second, folder = await lead_on_after_a_death(lab)
    await end(second)
    assert written(folder)["verdict"] == "GOOD"


async def test_a_session_whose_conductor_died_as_it_was_started_is_interrupted_and_as_long_as_the_rigs_say(
    lab: Any,
) -> None:
    await lab.rigs_of_a_session("cam")
    first = await lab.conductor()
    session = first.session("SP_01")
    await session.agree()
    await session.init()
    starting = asyncio.create_task(session.start())
    journal = session.folder / JOURNAL
    while '"StepRequested"' not in journal.read_text(encoding="utf-8").rpartition("start")[0]:
        await asyncio.sleep(0)
    session.journal.close(is_over=False)  # it is gone in the middle of the start
    with contextlib.suppress(Exception):
        await starting
    await first.exchange.close()
    await asyncio.sleep(0.3)
    second = Conductor.from_journal(session.folder, network=lab.network)
    lab.conductors = [second]
    await second.open()
    assert second.current is not None
    await second.current.recover()
    await end(second)
    content = written(session.folder)
    assert content["verdict"] == "INTERRUPTED"
    assert content["reasons"][0].startswith("the program that led it died as its rigs were started")
    assert content["running_until"] - content["running_from"] > 0.25


async def test_a_session_whose_conductor_died_and_was_replaced_is_good_with_a_note(lab: Any) -> None:
    second, folder = await lead_on_after_a_death(lab)
    session = second.current
    assert session is not None
    told = account(folder)
    assert (told.verdict, told.is_final, told.state) == (Word.INTERRUPTED, False, "recovered")
    await session.go_on()
    await end(second)
    content = written(folder)
    assert (content["verdict"], content["reasons"]) == ("GOOD", [])
    assert "the program that led it died, and was replaced 1 time" in content["notes"]
    assert all(rig["was_started"] for rig in content["rigs"].values())
    lines = [line.what for line in tell(read_history(folder).moments)]
    died = "took the place of the program that led the session and had died"
    assert f"{died} (on {platform.node()})" in lines


@pytest.mark.parametrize(
    ("role", "word"), [("optional", "GOOD"), ("expected", "DEGRADED"), ("essential", "INTERRUPTED")]
)
async def test_what_a_rig_means_to_the_session_decides_what_its_failure_makes_of_it(
    lab: Any, until: Any, role: str, word: str
) -> None:
    await lab.rig("main", main_sync=True)
    rig = await lab.rig("cam", fake={"fail_after": 0.03})
    conductor = await lab.conductor(policies={"cam": RigPolicy(role=Role(role))})
    folder = await begin(conductor)
    await until(lambda: rig.machine.failure is not None)
    await end(conductor)
    content = written(folder)
    assert content["verdict"] == word
    assert content["rigs"]["cam"]["role"] == role
    lines = content["reasons"] + content["notes"]
    assert sum("scripted failure" in line for line in lines) == (2 if role == "essential" else 1)


async def test_an_optional_rig_that_is_off_is_a_note(lab: Any) -> None:
    await lab.rigs_of_a_session()
    rigs = {"main": str(lab.rigs["main"].addresses[0]), "cam": "udp://nowhere:11001"}
    optional = {"cam": RigPolicy(role=Role.OPTIONAL)}
    conductor = await lab.conductor(rigs=rigs, policies=optional, limits=Limits(agree=SECOND // 5))
    folder = await begin(conductor)
    await end(conductor)
    content = written(folder)
    assert (content["verdict"], content["reasons"]) == ("GOOD", [])
    (note,) = content["notes"]
    assert note.startswith("cam: took no part: ")


async def test_a_rig_that_is_stopped_at_its_own_keyboard_is_told_once(lab: Any) -> None:
    rigs = await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor()
    folder = await begin(conductor, 0.4)
    await rigs[1].stop_here()
    await asyncio.sleep(0.6)
    await end(conductor)
    content = written(folder)
    (reason,) = (one for one in content["reasons"] if one.startswith("cam"))
    assert "stopped at its own" in reason


async def test_a_notice_of_a_rig_that_is_not_known_is_no_fault(lab: Any) -> None:
    await lab.rigs_of_a_session()
    conductor = await lab.conductor()
    folder = await begin(conductor)
    await end(conductor)
    add(folder, Noticed(rig="elsewhere", notice=Notice.LOST, text="was not heard"))
    assert account(folder).verdict is Word.GOOD


# -- journals that end anywhere ----------------------------------------------------------------------------


async def test_every_beginning_of_a_journal_gives_a_sane_account_and_story(lab: Any, tmp_path: Path) -> None:
    await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor()
    folder = await begin(conductor)
    await end(conductor)
    data = (folder / JOURNAL).read_bytes()
    words = set()
    cut = tmp_path / "cut"
    cut.mkdir()
    for length in [*range(0, len(data), 97), len(data)]:
        (cut / JOURNAL).write_bytes(data[:length])
        told = account(cut)
        words.add((told.verdict, told.is_final))
        assert told.unreadable == []
        assert told.verdict is Word.GOOD or told.reasons
        assert all(len(line.splitlines()) == 1 for line in [*told.reasons, *told.notes])
        assert len(list(tell(read_history(cut).moments))) == data[:length].count(b"\n")
    assert {word for word, final in words if not final} == {Word.ABORTED, Word.INTERRUPTED, Word.GOOD}
    assert account(cut).verdict is Word.GOOD


async def test_a_journal_with_a_damaged_line_is_told_as_far_as_it_can_be_read(
    lab: Any, tmp_path: Path
) -> None:
    await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor()
    folder = await begin(conductor)
    await end(conductor)
    lines = (folder / JOURNAL).read_bytes().splitlines(keepends=True)
    cut = tmp_path / "cut"
    cut.mkdir()
    for number in range(len(lines)):
        damaged = [*lines]
        damaged[number] = b"\x00" * 50 + b"\n"
        (cut / JOURNAL).write_bytes(b"".join(damaged))
        told = account(cut)
        assert told.unreadable == [number + 1]
        assert told.verdict is not Word.GOOD
        assert any("cannot be read" in one for one in told.reasons)
        list(tell(read_history(cut).moments))


def test_an_empty_journal_and_a_folder_without_one_are_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is it a session folder"):
        account(tmp_path)
    (tmp_path / JOURNAL).write_bytes(b"")
    told = account(tmp_path)
    assert (told.verdict, told.reasons) == (Word.ABORTED, ["it was ended before the rigs were started"])
    write_verdict(tmp_path)
    assert written(tmp_path)["verdict"] == "ABORTED"


# -- this PC's own files -----------------------------------------------------------------------------------


async def test_what_no_rig_wrote_is_this_pcs_own(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await lab.rig("main", main_sync=True, data_folder=str(lab.folder / "pc"))  # in the conductor's own folder
    conductor = await lab.conductor()
    folder = await begin(conductor)
    (folder / "raw_task_data_00").mkdir()
    for number in range(3):
        (folder / "raw_task_data_00" / f"{number}.bin").write_bytes(b"abc")
    await end(conductor)
    told = account(folder)
    assert [one.path for one in told.own_files] == [f"raw_task_data_00/{number}.bin" for number in range(3)]
    monkeypatch.setattr(module, "MAX_LISTED_FILES", 2)
    told = account(folder)
    assert (len(told.own_files), told.own_files_total, told.own_bytes_total) == (2, 3, 9)


# -- the story ---------------------------------------------------------------------------------------------


async def test_the_journal_is_told_in_words(lab: Any) -> None:
    await lab.rig("main", main_sync=True)
    await lab.rig("cam", fake={"fail": {"stop": "the shutter is stuck"}})
    conductor = await lab.conductor()
    folder = await begin(conductor)
    await end(conductor)
    add(folder, Noticed(rig="cam", notice=Notice.SILENT, text="is not heard any more (since 1.8 s)"))
    lines = list(tell(read_history(folder).moments))
    told = [(line.who, line.what) for line in lines]
    assert ("this PC", "asked all rigs for a session of SP_01") in told
    assert ("this PC", "asked for the step 'start'") in told
    assert any(who == "cam" and what.startswith("answered EXPSTART: running") for who, what in told)
    assert ("cam", "is not heard any more (since 1.8 s)") in told
    assert any(what.startswith("could not do EXPEND: stop: the shutter is stuck") for _, what in told)
    assert any(who == "main" and "answered EXPEND: stopped, 1 file," in what for who, what in told)
    assert any(who == "main" and "the main sync, at " in what for who, what in told)
    assert not any(sign in what for _, what in told for sign in "{}[]\n")
    seconds = [line.seconds for line in lines]
    running = next(place for place, one in enumerate(seconds) if one is not None)
    assert set(seconds[:running]) == {None}
    timed: list[Any] = seconds[running:]
    assert timed == sorted(timed)
    moment = read_history(folder).moments[running]
    planned = [rig.start.planned for rig in account(folder).rigs.values() if rig.start is not None]
    assert planned == pytest.approx([moment.at / 1e9 - timed[0]] * 2, abs=1e-9)


async def test_an_answer_that_was_lost_and_found_out_is_no_problem(lab: Any) -> None:
    await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor(limits=QUICK)
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()

    def lose(data: bytes, source: Any, target: Any) -> tuple[float, ...]:
        return () if source.host == "cam" and b'"m":[2,' in data else (0.0,)

    lab.network.postman = lose
    await session.start()
    lab.network.postman = lambda *_: (0.0,)
    folder = session.folder
    await asyncio.sleep(0.05)
    await end(conductor)
    told = read_summary(folder)
    assert told.rigs["cam"].problems == []
    assert told.rigs["cam"].was_started
    assert [one.text for one in told.rigs["cam"].remarks] == [
        "its answer to EXPSTART was lost; asked again, it had done it"
    ]
    assert written(folder)["verdict"] == "GOOD"
