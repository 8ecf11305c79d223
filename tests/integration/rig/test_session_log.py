"""What a rig's log says of a session, beside the session's data."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from weakref import WeakSet

import pytest

from multirig.errors import SessionFailed
from multirig.record.manifest import read_manifest
from multirig.rig.adapters.fake import Fake
from multirig.rig.session_log import SessionLog, session_log_name

log = logging.getLogger("multirig.rig.adapters.talking")


class Talking(Fake):
    """Says in the log what is done with it."""

    fails = False

    async def initialise(self) -> None:
        log.info("getting ready")
        await super().initialise()

    async def start(self) -> None:
        if self.fails:
            raise RuntimeError("rtsp://admin:SECRET@camera.lab is gone")
        log.info("recording µ")
        await super().start()

    async def cleanup(self) -> None:
        log.info("letting go")
        await super().cleanup()


@pytest.fixture(autouse=True)
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let all be as in a rig's own program: rigs of other tests may still be open."""
    monkeypatch.setattr(SessionLog, "_open", WeakSet())
    root = logging.getLogger("multirig")
    before = root.level
    root.setLevel(logging.INFO)
    yield
    root.setLevel(before)


def folder(lab: Any, name: str = "cam", number: int = 1) -> Path:
    [found] = (lab.folder / name).glob(f"mylab/Subjects/SP_01/*/{number:03d}")
    return found


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


async def text(path: Path, last: str) -> str:
    """Return a log when its last line is there: a thread writes it."""
    for _ in range(200):
        if last in read(path):
            break
        await asyncio.sleep(0.01)
    return read(path)


async def session_of(lab: Any, conductor: Any) -> Any:
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await session.start()
    await session.stop()
    await session.cleanup()
    return session


async def test_the_lines_from_getting_ready_to_letting_go_lie_beside_the_data(lab: Any) -> None:
    await lab.rig("cam", adapter=Talking(), main_sync=True)
    conductor = await lab.conductor()
    log.info("before")
    await session_of(lab, conductor)
    path = folder(lab) / session_log_name("cam")
    said = await text(path, "letting go")
    lines = [line.split(": ", 1)[1] for line in said.splitlines() if "talking" in line]
    assert lines == ["getting ready", "recording µ", "letting go"]
    assert "before" not in said
    [manifest] = folder(lab).glob("_multirig_manifest.*")
    assert [file.path for file in read_manifest(manifest).files] == ["raw_data/fake.csv"]
    log.info("afterwards")
    await session_of(lab, conductor)
    assert "letting go" in await text(folder(lab, number=2) / session_log_name("cam"), "letting go")
    assert "afterwards" not in read(path)


async def test_a_start_that_fails_is_in_it_without_the_password(lab: Any) -> None:
    adapter = Talking()
    adapter.fails = True
    await lab.rig("cam", adapter=adapter, main_sync=True)
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    with pytest.raises(SessionFailed):
        await session.start()  # which lets the rig go as well
    said = await text(folder(lab) / session_log_name("cam"), "letting go")
    assert "rtsp://***@camera.lab is gone" in said
    assert "SECRET" not in said


async def test_a_rig_that_was_only_ready_leaves_no_log_and_its_number_is_free(lab: Any) -> None:
    await lab.rig("cam", adapter=Talking(), main_sync=True)
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await session.interrupt("not today")
    await session.cleanup()
    assert not list(lab.folder.rglob("_multirig_log.*"))
    assert not list((lab.folder / "cam").glob("mylab/Subjects/SP_01/*/001"))


async def test_a_log_that_cannot_be_written_holds_up_nothing(lab: Any) -> None:
    class Blocking(Talking):
        async def initialise(self) -> None:
            await super().initialise()
            (self.session.session_folder / session_log_name("cam")).mkdir()

    await lab.rig("cam", adapter=Blocking(), main_sync=True)
    session = await session_of(lab, await lab.conductor())
    assert session is not None
    assert (folder(lab) / "raw_data" / "fake.csv").is_file()


async def test_a_program_with_several_rigs_keeps_none_as_it_cannot_tell_whose_a_line_is(lab: Any) -> None:
    await lab.rig("cam", adapter=Talking(), main_sync=True)
    await lab.rig("other", adapter=Talking())
    await session_of(lab, await lab.conductor())
    assert not list(lab.folder.rglob("_multirig_log.*"))


async def test_what_ends_a_session_with_the_program_is_in_it(lab: Any) -> None:
    rig = await lab.rig("cam", adapter=Talking(), main_sync=True)
    session = (await lab.conductor()).session("SP_01")
    await session.agree()
    await session.init()
    await session.start()
    await rig.close()
    assert "letting go" in await text(folder(lab) / session_log_name("cam"), "letting go")
