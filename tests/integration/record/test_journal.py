from __future__ import annotations

import asyncio
import datetime
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from multirig.conductor.journal import Journal
from multirig.errors import ConfigError, IllegalTransition, SessionFailed, Unconfirmed
from multirig.lifecycle.rig_states import RigState
from multirig.lifecycle.session_events import RigsChosen
from multirig.lifecycle.session_states import SessionState
from multirig.lifecycle.watch import Notice, Noticed
from multirig.protocol.dialect import hear_rig, write
from multirig.protocol.events import Address, Received, Record, Replied, Token
from multirig.protocol.messages import Event, Message
from multirig.protocol.words import Report, Word
from multirig.record.account import account
from multirig.record.entries import BEGINNING
from multirig.record.journal import FILE_NAME, read_journal, read_summary, replay
from multirig.rig.adapters.fake import Fake

TODAY = datetime.date.today()
CHOSEN = RigsChosen(rigs={"cam": Address("udp", "10.0.0.1", 11001)})


def kinds(folder: Path) -> list[str]:
    return [entry.kind for entry in read_journal(folder)]


def replies(folder: Path) -> list[Event]:
    inputs = [entry.event for entry in read_journal(folder)]
    return [one.word.event for one in inputs if isinstance(one, Replied)]


def keeps_journal(conductor: Any) -> bool:
    return conductor.current is not None and conductor.current.journal._journal is not None


# -- the file ----------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="Windows moves and removes no folder in which a file is open")
@pytest.mark.parametrize("fate", ["moved", "removed"])
def test_a_folder_that_goes_away_while_it_is_written_is_told_and_nothing_is_lost(
    tmp_path: Path, fate: str
) -> None:
    folder, told = tmp_path / "001", []
    journal = Journal(tell=lambda notice, text: told.append((notice, text)))
    journal.append(CHOSEN, 17)
    journal.open(folder)
    journal.look()
    assert told == []
    if fate == "moved":
        folder.rename(tmp_path / "002")
    else:
        shutil.rmtree(folder)
    journal.look()
    journal.look()
    assert [notice for notice, _ in told] == [Notice.DISK]
    assert f"{folder} was moved or removed: put it back now" in told[0][1]
    journal.append(CHOSEN, 18)
    journal.close()
    assert f"{folder} was moved or removed meanwhile: its whole journal lies in" in str(journal.loss)
    assert kinds(folder) == [BEGINNING, "RigsChosen", "RigsChosen"]
    told_of = account(folder)
    assert f"{folder} was moved or removed meanwhile" in str(told_of.unwritten)
    if fate == "moved":  # and is put back
        (tmp_path / "002").rename(folder)
        assert kinds(folder) == [BEGINNING, "RigsChosen", "RigsChosen"]


def test_lines_wait_for_the_folder_and_then_stand_there_at_once(tmp_path: Path) -> None:
    journal = Journal()
    journal.append(CHOSEN, 17)
    journal.open(tmp_path / "new" / "001")
    assert kinds(tmp_path / "new" / "001") == [BEGINNING, "RigsChosen"]
    journal.append(CHOSEN, 18)
    entry = list(read_journal(tmp_path / "new" / "001"))[-1]
    assert entry.event == CHOSEN
    assert entry.at == 18
    assert datetime.datetime.fromisoformat(entry.wall).tzinfo is not None
    journal.close()


def test_lines_of_a_session_that_got_no_folder_are_dropped(tmp_path: Path) -> None:
    journal = Journal()
    journal.append(CHOSEN, 1)
    journal.sync()
    journal.close()
    journal.open(tmp_path)  # by a thread that was slower than the end of the session
    assert journal._file is None


def test_a_second_attempt_goes_on_in_the_same_file_and_is_read_by_itself(tmp_path: Path) -> None:
    for _ in range(2):
        journal = Journal()
        journal.append(CHOSEN, 1)
        journal.open(tmp_path)
        journal.close()
    assert kinds(tmp_path) == [BEGINNING, "RigsChosen"] * 2


def written(folder: Path, count: int = 3) -> bytes:
    journal = Journal()
    journal.open(folder)
    for number in range(count):
        journal.append(CHOSEN, number)
    journal.close()
    return (folder / FILE_NAME).read_bytes()


def test_a_last_line_that_a_crash_tore_is_no_error_wherever_it_was_torn(tmp_path: Path) -> None:
    whole = written(tmp_path)
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for length in range(last, len(whole)):
        (tmp_path / FILE_NAME).write_bytes(whole[:length])
        assert kinds(tmp_path) == [BEGINNING, "RigsChosen", "RigsChosen"]


def test_what_is_written_after_a_crash_does_not_stick_to_the_torn_line(tmp_path: Path) -> None:
    whole = written(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(whole[:-20])
    written(tmp_path, 1)
    assert kinds(tmp_path) == [BEGINNING, "RigsChosen", "RigsChosen", BEGINNING, "RigsChosen"]


GOOD = '{"at":1,"wall":"2024-05-06T10:00:00+00:00","kind":"RigsChosen","data":{"rigs":{}}}'


@pytest.mark.parametrize(
    "line",
    [
        GOOD[:40],
        "[]",
        "17",
        "not JSON",
        "\udcff".encode("utf-8", "surrogatepass").decode("latin-1"),
        "{}",
        GOOD.replace('"at":1', '"at":"soon"'),
        GOOD.replace('"data":{"rigs":{}}', '"data":[]'),
        GOOD.replace('"data":{"rigs":{}}', '"data":{}'),
        GOOD.replace('"rigs":{}', '"rigs":{"cam":17}'),
        GOOD.replace("RigsChosen", "Replied"),
        "[" * 100_000,
    ],
)
def test_any_other_bad_line_is_one_line_that_names_file_and_line(tmp_path: Path, line: str) -> None:
    text = f"{GOOD}\n\n{line}\n{GOOD}\n"
    (tmp_path / FILE_NAME).write_bytes(text.encode("latin-1"))
    for read in (kinds, replay):
        with pytest.raises(ConfigError) as caught:
            read(tmp_path)
        message = str(caught.value)
        assert f"{FILE_NAME}, line 3: this is no line of a journal" in message
        assert len(message.splitlines()) == 1
        assert len(message) < 400


def test_a_line_of_a_kind_that_is_not_known_is_a_note_of_a_later_version(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(GOOD.replace("RigsChosen", "Remarked") + "\n")
    [entry] = read_journal(tmp_path)
    assert entry.event is None
    assert replay(tmp_path).state is SessionState.IDLE


def test_a_folder_without_a_journal_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^no journal in .*is it a session folder\?$"):
        kinds(tmp_path)


def test_whatever_json_a_rig_sends_is_read_back(tmp_path: Path) -> None:
    address = Address("udp", "10.0.0.1", 11001)
    args = (json.loads('"\\ud800"'), 10**40, {"a": [None, True, "é", {}]}, -0.5)
    event = Replied(address=address, key=(-5, "cam"), word=hear_rig(Message(Event.EXPEND, args)))
    journal = Journal()
    journal.append(event, 1)
    journal.open(tmp_path)
    journal.close()
    assert list(read_journal(tmp_path))[-1].event == event


def test_what_is_noticed_of_a_rig_is_read_back(tmp_path: Path) -> None:
    event = Noticed(
        rig="cam",
        notice=Notice.STALLED,
        text="nothing comes in",
        report=Report(stalled=2.5, state=RigState.RUNNING),
    )
    journal = Journal()
    journal.append(event, 1)
    journal.open(tmp_path)
    journal.close()
    assert list(read_journal(tmp_path))[-1].event == event


class File(FileIO):
    """A journal's file without a lock."""

    def sync(self) -> None:
        os.fsync(self.fileno())

    def take_rest(self) -> bytes:
        return b""

    def is_there(self) -> bool:
        return True

    def keep_rest(self, rest: bytes) -> str:
        assert not rest
        return ""


@pytest.fixture
def full_disk() -> Iterator[FileIO]:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no disk that is always full")
    with File("/dev/full", "a") as file:
        yield file


def test_lines_that_a_disk_takes_in_parts_are_whole_in_the_end(tmp_path: Path) -> None:
    class Parts(File):
        def write(self, data: Any) -> int:
            return super().write(bytes(data[:7]))

    journal = Journal()
    journal.open(tmp_path)
    assert journal._file is not None
    journal._file.close()
    journal._file = Parts(tmp_path / FILE_NAME, "a")
    for number in range(3):
        journal.append(CHOSEN, number)
    journal.close()
    assert kinds(tmp_path) == [BEGINNING, *["RigsChosen"] * 3]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no disk there is always full")
def test_a_journal_that_cannot_be_written_from_the_first_is_closed_again(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).symlink_to("/dev/full")
    journal = Journal()
    journal.append(CHOSEN, 1)
    with pytest.raises(ConfigError, match=r"^cannot write the journal in .*(No space left|the disk is full)"):
        journal.open(tmp_path)
    assert journal._file is None


def test_lines_that_a_full_disk_does_not_take_are_kept_until_it_does(
    tmp_path: Path, full_disk: FileIO
) -> None:
    journal = Journal()
    journal.open(tmp_path)
    file = journal._file
    assert file is not None
    journal._file = full_disk  # type: ignore[assignment]
    for number in range(2):
        with pytest.raises(OSError, match=r"(No space left|the disk is full)"):
            journal.append(CHOSEN, number)
    with pytest.raises(ConfigError, match=r"^cannot write the journal in .*(No space left|the disk is full)"):
        journal.sync()
    journal._file = file
    journal.append(CHOSEN, 2)
    journal.close()
    assert [entry.at for entry in read_journal(tmp_path)] == [0, 0, 1, 2]


def said(conductor: Any, event: Event, *args: Any) -> Received:
    """Return what a rig says by itself."""
    address = conductor.exchange.addresses["cam"]
    token = Token(address, 2, 999, "boot")
    return Received(address=address, word=hear_rig(Message(event, args)), token=token)


# -- of a real session -------------------------------------------------------------------------------------


async def test_what_was_acknowledged_is_in_the_file(lab: Any) -> None:
    await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor()
    expected = []
    session = conductor.session("SP_01")
    for step, event in (
        (session.agree, Event.EXPINFO),
        (session.init, Event.EXPINIT),
        (session.start, Event.EXPSTART),
        (session.stop, Event.EXPEND),
        (session.cleanup, Event.EXPCLEANUP),
    ):
        await step()
        expected += [event] * 2
        assert replies(session.folder) == expected
    assert replay(session.folder).state is SessionState.IDLE


async def test_a_step_is_written_down_before_any_rig_hears_of_it(lab: Any) -> None:
    await lab.rigs_of_a_session()
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    await session.agree()
    seen: list[str] = []

    def look(data: bytes, source: Address, target: Address) -> tuple[float]:
        if target.host == "main" and b'"m":[1,' in data:
            seen.append(kinds(session.folder)[-1])
        return (0.0,)

    lab.network.postman = look
    await session.init()
    assert seen == ["StepRequested"]


async def test_every_beginning_of_a_journal_gives_the_session_as_it_was_then(
    lab: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A second session with an interrupt, a question in between, and a first one that was rolled back."""
    await lab.rig("main", main_sync=True)
    await lab.rig("cam", fake={"fail": {"start": "no light"}, "fail_times": {"start": 1}})
    conductor = await lab.conductor()
    seen: list[tuple[SessionState, Any]] = []
    machine = conductor.exchange.machine
    handle = machine.handle

    def note(event: Any, now: int) -> list[Any]:
        actions = list(handle(event, now))
        if keeps_journal(conductor) and any(isinstance(one, Record) for one in actions):
            seen.append((machine.state, machine.exp_ref))
        return actions

    monkeypatch.setattr(machine, "handle", note)

    async def compare(folder: Path) -> None:
        """Replay every beginning of the journal; `seen` holds the state after each of its inputs."""
        lines = (folder / FILE_NAME).read_bytes().splitlines(keepends=True)
        assert len(lines) == len(seen) + 1
        for length, (state, exp_ref) in enumerate(seen, 2):
            (tmp_path / FILE_NAME).write_bytes(b"".join(lines[:length]) + b'{"at":')
            again = replay(tmp_path)
            assert again.state is state
            assert again.exp_ref == exp_ref or state is SessionState.IDLE  # who is idle is between sessions
        seen.clear()

    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    with pytest.raises(SessionFailed):
        await session.start()
    await compare(session.folder)
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await conductor.request(Event.EXPSTATUS, 0)
    await session.start()
    await session.interrupt("smoke")
    await session.cleanup()
    await compare(session.folder)


async def test_an_agreement_that_is_refused_leaves_the_journal_of_the_session_alone(lab: Any) -> None:
    await lab.rigs_of_a_session()
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    with pytest.raises(IllegalTransition):
        await conductor.session("SP_02").agree()
    await session.start()
    assert replay(session.folder).state is SessionState.RUNNING
    assert kinds(session.folder).count(BEGINNING) == 1


async def test_between_sessions_the_file_is_closed_and_nothing_is_kept(lab: Any) -> None:
    await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor()
    for ending in ("cleanup", "failure"):
        session = conductor.session("SP_01")
        await session.agree()
        assert keeps_journal(conductor)
        lab.rigs["cam"].adapter.fail = {"initialise": "no light"} if ending == "failure" else {}
        if ending == "failure":
            with pytest.raises(SessionFailed):
                await session.init()
        else:
            await session.cleanup()
        assert not keeps_journal(conductor)
        conductor.exchange.runtime.feed(said(conductor, Event.EXPSTATUS, 0))
        assert not keeps_journal(conductor)


async def test_every_session_has_its_own_journal_that_replays_by_itself(lab: Any) -> None:
    await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor()
    folders = []
    for subject in ("SP_01", "SP_01", "SP_02"):
        session = conductor.session(subject)
        await session.agree()
        await session.init()
        await session.start()
        await session.stop()
        folder = session.folder
        assert replay(folder).state is SessionState.STOPPED
        await session.cleanup()
        assert kinds(folder).count(BEGINNING) == 1
        assert kinds(folder)[:3] == [BEGINNING, "RigsChosen", "AgreeRequested"]
        machine = replay(folder)
        assert (machine.state, str(machine.exp_ref)) == (SessionState.IDLE, str(session.exp_ref))
        folders.append(folder)
    assert len({*folders}) == 3


async def test_a_step_that_was_cancelled_does_not_spill_into_the_next_sessions_journal(
    lab: Any, until: Callable[..., Any]
) -> None:
    await lab.rig("main", main_sync=True, fake={"delay": {"cleanup": 0.05}})
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await session.start()
    await session.stop()
    cleaning = asyncio.create_task(session.cleanup())
    await asyncio.sleep(0.01)
    cleaning.cancel()
    await until(lambda: session.state is SessionState.IDLE)
    first = session.folder
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    assert replay(first).state is SessionState.IDLE
    assert replay(session.folder).state is SessionState.INITIALIZED


async def test_attempts_under_one_number_stand_in_one_journal_and_the_last_one_counts(lab: Any) -> None:
    await lab.rig("main", main_sync=True)
    await lab.rig("cam", fake={"fail": {"initialise": "no light"}, "fail_times": {"initialise": 2}})
    conductor = await lab.conductor()
    for _ in range(2):
        session = conductor.session("SP_01")
        await session.agree()
        with pytest.raises(SessionFailed):
            await session.init()
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    assert str(session.exp_ref) == f"{TODAY}_1_SP_01"
    assert kinds(session.folder).count(BEGINNING) == 3
    assert replay(session.folder).state is SessionState.INITIALIZED


async def test_a_conductor_after_a_crash_goes_on_in_the_same_file(lab: Any) -> None:
    """The first one is gone without a word; its steps had the same numbers."""
    await lab.rig("main", main_sync=True)
    first = await lab.conductor()
    first_session = first.session("SP_01")
    await first_session.agree()
    await first_session.init()
    first_session.journal.close(is_over=False)
    second = await lab.conductor()
    second_session = second.session("SP_01", takes_over=True)
    await second_session.agree()
    assert second_session.folder == first_session.folder
    assert replay(second_session.folder).state is SessionState.AGREED
    assert read_summary(second_session.folder).state == "agreed"


async def test_without_a_data_folder_there_is_no_journal(lab: Any) -> None:
    await lab.rigs_of_a_session()
    conductor = await lab.conductor(data_folder=None)
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    assert session.folder is None
    assert not (lab.folder / "pc").exists()


async def test_a_folder_that_cannot_be_written_is_one_line_and_leaves_nobody_half_way(lab: Any) -> None:
    await lab.rigs_of_a_session("cam")
    (lab.folder / "pc").write_text("a file and no folder")
    conductor = await lab.conductor()
    for _ in range(2):
        with pytest.raises(ConfigError) as caught:
            await conductor.session("SP_01").agree()
        assert str(caught.value).startswith("cannot write the journal in")
        assert "choose another --data folder" in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1
        assert conductor.current is None
    assert all(rig.adapter.calls == [] for rig in lab.rigs.values())
    (lab.folder / "pc").unlink()
    session = conductor.session("SP_01")
    assert str(await session.agree()) == f"{TODAY}_1_SP_01"


async def test_a_disk_that_fills_up_keeps_a_step_from_beginning_but_not_from_ending(
    lab: Any, full_disk: FileIO, caplog: pytest.LogCaptureFixture
) -> None:
    await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    await session.agree()
    journal = session.journal._journal
    good, journal._file = journal._file, full_disk
    conductor.exchange.runtime.feed(said(conductor, Event.EXPSTATUS, 0))
    with pytest.raises(ConfigError, match=r"(No space left|the disk is full)"):
        await session.init()
    assert session.state is SessionState.AGREED
    journal._file = good
    await session.init()
    await session.start()
    journal._file = full_disk
    ended = await session.stop()
    assert all(isinstance(one, Word) for one in ended.values())
    journal._file = good
    folder = session.folder
    await session.cleanup()
    told = [one.message for one in caplog.records if one.message.startswith("this PC its disk takes")]
    assert ["takes no more of the journal (" in one for one in told] == [
        True,
        False,
    ] * 2
    assert session.journal.losses == []
    assert replay(folder).state is SessionState.IDLE


async def test_a_reply_that_cannot_be_written_down_does_not_end_the_session(
    lab: Any, caplog: pytest.LogCaptureFixture
) -> None:
    nested: list[Any] = []
    for _ in range(300):
        nested = [nested]

    class Deep(Fake):
        def describe(self) -> dict[str, Any]:
            return {"nested": nested}

    await lab.rig("main", main_sync=True)
    await lab.rig("cam", adapter=Deep())
    conductor = await lab.conductor()
    await conductor.request(Event.EXPINFO, 0, {})
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    assert "the journal misses a line" in caplog.text
    assert lab.rigs["cam"].machine.state is RigState.INITIALIZED


async def test_no_token_gets_into_the_journal_whichever_way_it_comes(lab: Any) -> None:
    rigs = await lab.rigs_of_a_session("cam")
    for rig in rigs:
        rig.machine.tokens.objects = lambda asker, host: ""
    conductor = await lab.conductor(may_have_token=["cam"])
    session = conductor.session("SP_01")
    await session.agree()
    credentials = ("https://alyx", {"user": {"token": "secret"}})
    await conductor.request(Event.ALYX, *credentials, needs_reply=False)
    answers = await conductor.request(Event.ALYX, None, {})
    assert write(answers["cam"]).args == credentials
    lab.network.postman = lambda data, source, target: (0.05 if source.host == "cam" else 0.0,)
    late = await conductor.request(Event.ALYX, None, {}, limit=0.01)
    assert isinstance(late["cam"], Unconfirmed)
    await asyncio.sleep(0.1)
    conductor.exchange.runtime.feed(said(conductor, Event.ALYX, *credentials))
    await session.init()
    assert write(conductor.exchange.machine.tokens.token).args == credentials
    text = (session.folder / FILE_NAME).read_text()
    assert "secret" not in text
    assert '"event":128' in text


LEAD = """
import asyncio, sys
from multirig.conductor.conductor import Conductor

async def lead():
    conductor = Conductor({"cam": sys.argv[1]}, data_folder=sys.argv[2])
    await conductor.open()
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await session.start()
    print(session.folder, flush=True)
    await asyncio.Event().wait()

asyncio.run(lead())
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
async def test_a_conductor_that_is_killed_leaves_all_lines_behind(lab: Any) -> None:
    rig = await lab.rig("cam", main_sync=True, over="udp")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        LEAD,
        str(rig.addresses[0]),
        str(lab.folder / "pc"),
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert process.stdout is not None
        folder = Path((await process.stdout.readline()).decode().strip())
    finally:
        process.kill()
        await process.communicate()
    assert replies(folder) == [Event.EXPINFO, Event.EXPINIT, Event.EXPSTART]
    machine = replay(folder)
    assert (machine.state, str(machine.exp_ref)) == (SessionState.RUNNING, f"{TODAY}_1_SP_01")
    assert rig.machine.state is RigState.RUNNING
