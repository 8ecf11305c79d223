from __future__ import annotations

import asyncio
import datetime
import errno
import hashlib
import json
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from multirig.errors import why_not
from multirig.protocol.dialect import write
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.words import File, Level
from multirig.record import manifest as written
from multirig.record.manifest import (
    Condition,
    Manifest,
    Moment,
    check,
    find_manifests,
    manifest_name,
    read_manifest,
    write_manifest,
)
from multirig.rig import manifest as module
from multirig.rig.adapter import Session
from multirig.rig.manifest import Checksums, Ledger

NOT_ALLOWED = why_not(PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
"""In the words of this system."""

STOPPED = Moment(wall="2026-01-31T10:00:00.000+00:00", clock=17.5)


def make(folder: Path, *contents: bytes, rig: str = "cam") -> Manifest:
    """Write some files, and return the manifest that lists them."""
    files = []
    for number, content in enumerate(contents):
        (folder / f"{number}.bin").write_bytes(content)
        files.append(File(path=f"{number}.bin", bytes=len(content), frames=number))
    return Manifest(
        rig=rig,
        exp_ref="2026-01-31_1_SP_01",
        version="0.1.0",
        adapter="fake",
        started=None,
        stopped=STOPPED,
        files=tuple(files),
    )


def make_session(folder: Path) -> Session:
    return Session(
        exp_ref=ExpRef(datetime.date(2026, 1, 31), 1, "SP_01"),
        session_folder=folder,
        folder=folder,
        to_session_time=lambda at: at,
        rig="cam",
    )


def quiet(is_quiet: bool = True) -> threading.Event:
    event = threading.Event()
    if is_quiet:
        event.set()
    return event


def conditions(folder: Path) -> dict[str, Condition]:
    return {one.path: one.condition for one in check(folder)}


def b2(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=32).hexdigest()


# -- the file ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rig", ["cameras:left", "Kamera über 9000", "a/b\\c", "CON.", "..", "a%b"])
def test_a_manifest_has_a_name_that_every_system_can_file(rig: str) -> None:
    name = manifest_name(rig)
    assert name.startswith("_multirig_manifest.")
    assert name.endswith(".json")
    assert not set(name) & set('<>:"/\\|?* ')
    assert name.isascii()


def test_rigs_whose_names_differ_in_a_sign_have_a_manifest_each() -> None:
    names = ["cameras:left", "cameras_left", "cameras left", "cameras.left", "cameras%3Aleft", "cameras"]
    assert len({manifest_name(one) for one in names}) == len(names)


def test_what_was_written_is_read_back_and_nothing_else_is_left(tmp_path: Path) -> None:
    manifest = make(tmp_path, b"abc", rig="cameras:left")
    write_manifest(tmp_path, manifest)
    (path,) = find_manifests(tmp_path)
    assert read_manifest(path) == manifest
    assert [one.name for one in tmp_path.iterdir() if one.name.endswith(".new")] == []


def test_a_manifest_that_cannot_take_its_name_leaves_nothing_behind(tmp_path: Path) -> None:
    manifest = make(tmp_path)
    (tmp_path / manifest_name("cam")).mkdir()
    with pytest.raises(OSError, match="cam"):
        write_manifest(tmp_path, manifest)
    assert [one.name for one in tmp_path.iterdir()] == [manifest_name("cam")]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"rig": 17}', b"\xff\xfe"])
def test_a_damaged_manifest_is_said_to_be_one(tmp_path: Path, content: bytes) -> None:
    (tmp_path / manifest_name("cam")).write_bytes(content)
    (one,) = check(tmp_path)
    assert one.condition is Condition.CHANGED
    assert "the manifest cannot be read: it is damaged" in one.detail
    assert len(one.detail.splitlines()) == 1


# -- checksums -----------------------------------------------------------------------------------------------


def test_the_checksums_are_those_of_b2sum_and_stand_in_the_manifest(tmp_path: Path) -> None:
    contents = (b"abc", b"", b"x" * 3_000_000)
    made = Checksums(tmp_path, make(tmp_path, *contents), quiet()).wait(10)
    assert made == {f"{number}.bin": b2(content) for number, content in enumerate(contents)}
    (path,) = find_manifests(tmp_path)
    assert {one.path: one.blake2b for one in read_manifest(path).files} == made
    assert set(conditions(tmp_path).values()) == {Condition.WHOLE}


def test_while_something_is_recorded_no_file_is_read_but_the_manifest_is_there(
    tmp_path: Path, until: Any
) -> None:
    event = quiet(False)
    checksums = Checksums(tmp_path, make(tmp_path, b"abc"), event)
    assert checksums.wait(0.1) == {}
    assert checksums.is_written
    assert conditions(tmp_path) == {"0.bin": Condition.UNPROVED}
    event.set()
    assert checksums.wait(10) == {"0.bin": b2(b"abc")}
    assert conditions(tmp_path) == {"0.bin": Condition.WHOLE}


def test_a_checksum_that_was_held_up_in_the_middle_of_a_file_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 1000)
    content = os.urandom(200_000)
    event = quiet()
    checksums = Checksums(tmp_path, make(tmp_path, content), event)
    for _ in range(20):
        event.clear()
        event.set()
    assert checksums.wait(10) == {"0.bin": b2(content)}


def test_a_file_that_is_gone_does_not_keep_the_others_from_their_checksums(tmp_path: Path) -> None:
    manifest = make(tmp_path, b"abc", b"defg")
    (tmp_path / "0.bin").unlink()
    assert Checksums(tmp_path, manifest, quiet()).wait(10) == {"1.bin": b2(b"defg")}
    assert conditions(tmp_path) == {"0.bin": Condition.MISSING, "1.bin": Condition.WHOLE}


def test_what_was_cancelled_lets_nobody_wait(tmp_path: Path) -> None:
    event = quiet(False)
    checksums = Checksums(tmp_path, make(tmp_path, b"abc"), event)
    checksums.cancel()
    assert checksums.wait(60) == {}
    event.set()


# -- what has become of the files ----------------------------------------------------------------------------


def test_each_way_in_which_a_file_can_differ_is_found(tmp_path: Path) -> None:
    manifest = make(tmp_path, *[b"0123456789"] * 5)
    Checksums(tmp_path, manifest, quiet()).wait(10)
    (tmp_path / "1.bin").write_bytes(b"0123456780")
    (tmp_path / "2.bin").write_bytes(b"012345")
    (tmp_path / "3.bin").unlink()
    assert {one.path: (one.condition, one.detail) for one in check(tmp_path)} == {
        "0.bin": (Condition.WHOLE, "has the size and the checksum that it had"),
        "1.bin": (Condition.CHANGED, "has another checksum than when it was recorded"),
        "2.bin": (Condition.CHANGED, "has 6 bytes, and had 10"),
        "3.bin": (Condition.MISSING, "is not there"),
        "4.bin": (Condition.WHOLE, "has the size and the checksum that it had"),
    }


def test_a_path_that_leads_out_of_the_session_folder_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "001"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(b"abc")
    files = tuple(File(path=one, bytes=3) for one in ("../secret", str(tmp_path / "secret")))
    write_manifest(folder, replace(make(folder), files=files))
    assert {one.detail for one in check(folder)} == {"lies outside of the session folder"}


# -- of a rig ------------------------------------------------------------------------------------------------


async def lead(conductor: Any) -> tuple[Any, dict[str, Any]]:
    """Record for a moment; return the session, and what each rig said of its stop."""
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await session.start()
    await asyncio.sleep(0.05)
    stopped = await session.stop()
    return session, {name: write(message).args[0] for name, message in stopped.items()}


async def test_a_rig_leaves_a_manifest_beside_its_data_that_proves_them(lab: Any) -> None:
    await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor()
    session, answers = await lead(conductor)
    await session.cleanup()
    for name, answer in answers.items():
        folder = next((lab.folder / name).glob("mylab/Subjects/SP_01/*/001"))
        assert answer["manifest"] == manifest_name(name)
        manifest = read_manifest(folder / answer["manifest"])
        assert (manifest.rig, manifest.exp_ref) == (name, str(session.exp_ref))
        assert manifest.adapter == "fake"
        assert manifest.started is not None
        assert 0 < manifest.stopped.clock - manifest.started.clock < 20
        (listed,) = answer["files"]
        (written,) = manifest.files
        assert (written.path, written.bytes, written.frames) == (
            listed["path"],
            listed["bytes"],
            listed["frames"],
        )
        assert written.blake2b == listed["blake2b"] == b2((folder / written.path).read_bytes())
        assert conditions(folder) == {written.path: Condition.WHOLE}


async def test_a_rig_that_was_only_ready_leaves_no_manifest_and_its_number_is_free(lab: Any) -> None:
    await lab.rigs_of_a_session()
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await session.interrupt("not today")
    await session.cleanup()
    assert not list((lab.folder / "main").glob("mylab/Subjects/SP_01/*/001"))


async def test_a_checksum_that_takes_long_comes_with_the_answer_to_the_clean_up(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SOON", 0.0)
    may_go = threading.Event()
    digest = Checksums._digest
    monkeypatch.setattr(Checksums, "_digest", lambda self, one: may_go.wait(10) and digest(self, one))
    (rig,) = await lab.rigs_of_a_session()
    conductor = await lab.conductor()
    session, answers = await lead(conductor)
    (answer,) = answers.values()
    assert [one["blake2b"] for one in answer["files"]] == [None]
    may_go.set()
    cleaned = await session.cleanup()
    (path,) = (one["path"] for one in answer["files"])
    assert write(cleaned["main"]).args[0]["digests"].keys() == {path}
    assert rig.machine.state.value == "connected"


async def test_a_checksum_that_is_not_ready_even_then_holds_up_neither_the_end_nor_the_next_session(
    lab: Any, monkeypatch: pytest.MonkeyPatch, until: Any
) -> None:
    monkeypatch.setattr(module, "SOON", 0.0)
    monkeypatch.setattr(module, "LATER", 0.0)
    may_go = threading.Event()
    digest = Checksums._digest
    monkeypatch.setattr(Checksums, "_digest", lambda self, one: may_go.wait(10) and digest(self, one))
    await lab.rigs_of_a_session()
    conductor = await lab.conductor()
    session, _ = await lead(conductor)
    cleaned = await session.cleanup()
    assert "digests" not in write(cleaned["main"]).args[0]
    (first,) = (lab.folder / "main").glob("mylab/Subjects/SP_01/*/001")
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await session.start()
    may_go.set()
    await asyncio.sleep(0.05)
    assert set(conditions(first).values()) == {Condition.UNPROVED}  # the second one is being recorded
    await session.stop()
    await session.cleanup()
    await until(lambda: set(conditions(first).values()) == {Condition.WHOLE})


async def test_a_manifest_that_cannot_be_written_does_not_fail_the_stop(lab: Any) -> None:
    await lab.rigs_of_a_session()
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await session.start()
    (folder,) = (lab.folder / "main").glob("mylab/Subjects/SP_01/*/001")
    (folder / manifest_name("main")).mkdir()
    stopped = await session.stop()
    assert write(stopped["main"]).args[0]["manifest"] is None
    assert write(stopped["main"]).args[0]["files"]


async def test_a_ledger_that_is_closed_waits_for_nothing(tmp_path: Path) -> None:
    ledger = Ledger("cam", "fake")
    assert await ledger.rest() == {}
    ledger.close()
    assert await ledger.rest() == {}


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="its file system takes text only")
async def test_a_name_that_is_no_text_costs_nobody_the_manifest(tmp_path: Path) -> None:
    odd = os.fsdecode(b"b\xff.bin")
    (tmp_path / odd).write_bytes(b"abc")
    files = (*make(tmp_path, b"xy").files, File(path=odd, bytes=3), File(path="no\0name", bytes=1))
    recorded = await Ledger("cam", "fake").account(make_session(tmp_path), files)
    assert recorded.manifest is not None
    assert [one.path for one in recorded.files or ()] == ["0.bin", r"b\xff.bin", "no\0name"]
    found = {one.path: one for one in read_manifest(tmp_path / recorded.manifest).files}
    assert found[r"b\xff.bin"].blake2b == hashlib.blake2b(b"abc", digest_size=32).hexdigest()
    assert found["no\0name"].blake2b is None
    write_manifest(
        tmp_path, replace(read_manifest(tmp_path / recorded.manifest), files=tuple(found.values())[:2])
    )
    assert set(conditions(tmp_path).values()) == {Condition.WHOLE}


@pytest.mark.parametrize(
    ("code", "level", "words"),
    [
        (errno.ENOSPC, Level.ALARM, "its disk is full: its manifest could not be written"),
        (errno.EACCES, Level.NOTE, f"its manifest could not be written: {NOT_ALLOWED}"),
    ],
)
async def test_why_a_manifest_could_not_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, level: Level, words: str
) -> None:
    def refuse(path: Path, data: bytes) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(written, "write_whole", refuse)
    recorded = await Ledger("cam", "fake").account(make_session(tmp_path), make(tmp_path, b"abc").files)
    assert recorded.manifest is None
    assert recorded.findings is not None
    [found] = recorded.findings
    assert (found.level, found.text.startswith(words)) == (level, True)


def test_a_file_that_stands_in_no_manifest_is_named_and_no_fault(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    for name in ("a.bin", "stranger.avi", "_multirig_program.log"):
        (tmp_path / "raw" / name).write_bytes(b"abc")
    (tmp_path / "task.csv").write_bytes(b"abc")
    files = (File(path="raw/a.bin", bytes=3),)
    write_manifest(tmp_path, replace(make(tmp_path), files=files))
    assert conditions(tmp_path) == {"raw/a.bin": Condition.UNPROVED, "raw/stranger.avi": Condition.UNLISTED}
    assert Condition.UNLISTED.is_fine


@pytest.mark.parametrize(
    "path", ["a\0b", "raw\0/x.bin", "x" * 5000, "a/" * 3000 + "b", "../../secret", "/etc/passwd", "loop/x"]
)
@pytest.mark.attack
def test_a_path_that_no_file_can_have_is_told_and_the_rest_is_looked_at(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "session" / "001"
    folder.mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"abc")
    if sys.platform != "win32":
        (folder / "loop").symlink_to("loop")
    manifest = make(folder, b"abc", b"defg")
    odd = File(path=path, bytes=3)
    write_manifest(folder, replace(manifest, files=(manifest.files[0], odd, manifest.files[1])))
    assert [one.condition for one in check(folder)] == [
        Condition.UNPROVED,
        Condition.MISSING,
        Condition.UNPROVED,
    ]


def test_a_manifest_is_plain_json(tmp_path: Path) -> None:
    write_manifest(tmp_path, make(tmp_path, b"abc"))
    content = json.loads((tmp_path / manifest_name("cam")).read_text(encoding="utf-8"))
    assert content["files"] == [
        {
            **{"path": "0.bin", "bytes": 3, "frames": 0, "first": None, "last": None},
            **{"blake2b": None, "evidence": None},
        }
    ]
    assert content["stopped"] == {"wall": STOPPED.wall, "clock": 17.5}
