"""What a rig finds itself of the files that it records: real files, and a clock that is moved by hand."""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multirig.protocol.events import SECOND
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.words import Expected, File, Finding, Health, Level
from multirig.rig.adapter import Session
from multirig.rig.adapters.fake import Fake
from multirig.rig.recording import Recording


class Desk:
    """A rig that records, and somebody who writes its files."""

    def __init__(self, folder: Path) -> None:
        self.now = 0
        self.folder = folder / "raw_data"
        self.folder.mkdir()
        session = Session(
            exp_ref=ExpRef(datetime.date(2026, 1, 31), 1, "SP_01"),
            session_folder=folder,
            folder=self.folder,
            to_session_time=lambda at: at,
            rig="cam",
        )
        self.recording = Recording(Fake(collection="raw_data"), lambda: self.now, lambda since: ())
        self.recording.enter(session, is_rehearsal=False)
        self.recording.note_start()

    async def record(self, seconds: float, *, path: str = "v.avi", rate: int = 1_000_000) -> None:
        """Let a file grow, looked at four times a second as a rig does."""
        for _ in range(round(seconds * 4)):
            with (self.folder / path).open("ab") as file:
                file.write(bytes(rate // 4))
            await self.look()

    async def look(self, seconds: float = 0.25) -> None:
        self.now += round(seconds * SECOND)
        await self.recording.look_at_files()

    async def end(
        self, close: Callable[[], object] = lambda: None, expected: Expected | None = None
    ) -> tuple[Finding, ...]:
        """Stop, let the program close its files, and return what was found."""
        self.recording.note_stop()
        close()
        self.now += SECOND // 10
        files = [
            File(path=one.relative_to(self.folder.parent).as_posix(), bytes=one.stat().st_size)
            for one in self.folder.iterdir()
        ]
        await self.recording.complete(files, expected or Expected())
        self.recording.look()
        return self.recording.findings


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_a_steady_file_is_no_finding(desk: Desk) -> None:
    await desk.record(4)
    assert await desk.end() == ()


async def test_a_break_in_a_steady_file_is_told_with_its_time_and_length(desk: Desk) -> None:
    await desk.record(4)
    await desk.look(0.25)
    for _ in range(14):
        await desk.look()
    await desk.record(4)
    (found,) = await desk.end()
    assert found.level is Level.WARNING
    assert "raw_data/v.avi did not grow for 4.0 s, from 4.0 s after its start" in found.text


async def test_what_is_cut_off_as_it_is_closed_is_told_with_how_much(desk: Desk) -> None:
    await desk.record(2)
    (found,) = await desk.end(lambda: (desk.folder / "v.avi").write_bytes(bytes(1000)))
    assert found.level is Level.WARNING
    assert "raw_data/v.avi held 2.0 MB, and was cut to 1.0 kB by 2.1 s after its start" in found.text


async def test_what_is_removed_as_it_is_closed_is_told(desk: Desk) -> None:
    (desk.folder / "notes.csv").write_bytes(bytes(500))
    await desk.record(2)
    (found,) = await desk.end((desk.folder / "v.avi").unlink)
    assert "raw_data/v.avi held 2.0 MB, and was removed" in found.text


async def test_what_gets_its_name_as_it_is_closed_is_whole(desk: Desk) -> None:
    await desk.record(2, path="v.avi.tmp")
    assert await desk.end(lambda: (desk.folder / "v.avi.tmp").rename(desk.folder / "v.avi")) == ()


async def test_many_files_that_are_gone_are_told_in_few_words(desk: Desk) -> None:
    for number in range(9):
        await desk.record(0.5, path=f"{number}.avi", rate=4_000_000)

    def remove_all() -> None:
        for one in desk.folder.iterdir():
            one.unlink()

    found = await desk.end(remove_all)
    assert len(found) == 5
    assert found[-1].text == "5 more files lost 10.0 MB altogether"


async def test_a_rate_that_nothing_can_tell_is_no_silent_promise(desk: Desk) -> None:
    await desk.record(3)
    (found,) = await desk.end(expected=Expected(fps=30))
    assert (found.level, "nothing counts its frames" in found.text) == (Level.NOTE, True)


async def test_frames_that_are_counted_too_slowly_are_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fake, "health", lambda self: Health(frames=desk.now * 10 // SECOND))
    for _ in range(32):
        desk.recording.look()
        await desk.record(0.25)
    (found,) = await desk.end(expected=Expected(fps=30))
    assert (found.level, found.text) == (
        Level.WARNING,
        "gave 10 of 30 frames a second, by its own count",
    )


async def test_a_file_that_the_config_promises_by_its_name_and_that_never_came_is_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    owned = ["raw_data/v.avi", "raw_data/right.avi", "raw_data/maybe*.avi"]
    monkeypatch.setattr(Fake, "owns", lambda self: owned)
    await desk.record(2)
    (found,) = await desk.end()
    assert found.level is Level.WARNING
    assert found.text.startswith("raw_data/right.avi never came")


async def test_a_link_that_leads_out_of_the_session_is_noted(desk: Desk, tmp_path_factory: Any) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "v.avi"
    elsewhere.write_bytes(bytes(1000))
    (desk.folder / "v.avi").symlink_to(elsewhere)
    (desk.folder / "inside.avi").symlink_to("v.avi.real")
    (desk.folder / "v.avi.real").write_bytes(b"x")
    (found,) = await desk.end()
    assert (found.level, found.text) == (
        Level.NOTE,
        f"raw_data/v.avi is a link to {elsewhere}: whoever copies the folder copies no data",
    )


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="its file system takes text only")
async def test_a_name_that_is_no_text_is_told_as_it_is_written_down(desk: Desk) -> None:
    (desk.folder / os.fsdecode(b"b\xff.bin")).write_bytes(b"abc")
    (found,) = await desk.end()
    assert found.text.startswith(r"raw_data/b\xff.bin: this name is no text")
