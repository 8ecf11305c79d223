"""Sessions are brought from the disk of a PC to a folder, and nothing is said to be there that is not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.integration.collect.lab import Pc, Server
from typer.testing import CliRunner

import multirig
from multirig.cli.main import load_commands
from multirig.collect.places import MARK_NAME, DestinationAway
from multirig.collect.receipts import find_receipts
from multirig.errors import MultirigError
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.holdings import Whereabouts
from multirig.transfer import folder

DATA = {"raw/a.bin": b"abc" * 1000, "raw/b.bin": os.urandom(100_000), "raw/empty.csv": b""}
BIG = os.urandom(9_000_000)


@pytest.fixture
def pc(tmp_path: Path) -> Pc:
    return Pc(tmp_path / "pc")


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path / "server")


def test_a_session_is_brought_there_with_all_that_lies_beside_it(pc: Pc, server: Server) -> None:
    exp_ref = pc.record({**DATA, "raw/big.avi": BIG}, extra={"notes.txt": b"a note"})
    assert pc.look(exp_ref).state is Whereabouts.HERE
    told = pc.collect(server.open())[exp_ref]
    assert (told.state, told.files, told.why) == (Whereabouts.COLLECTED, 6, "")
    there = server.files(exp_ref)
    assert {name: there[name] for name in DATA} == DATA
    assert there["raw/big.avi"] == BIG
    assert there["notes.txt"] == b"a note"
    [receipt] = find_receipts(server.session(exp_ref))[0]
    assert {one.path: one.is_recorded for one in receipt.files}["notes.txt"] is False
    assert {one.path for one in receipt.files if one.is_recorded} == {*DATA, "raw/big.avi"}
    assert not [name for name in there if name.endswith(".part")]
    assert pc.look(exp_ref) == told


def test_what_was_collected_is_not_read_again(
    pc: Pc, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    exp_ref = pc.record(DATA)
    pc.collect(server.open())
    destination = server.open()
    monkeypatch.setattr(destination, "sizes", lambda folder: pytest.fail("it was looked at again"))
    assert pc.collect(destination)[exp_ref].state is Whereabouts.COLLECTED


def test_a_file_that_comes_later_is_brought_too(pc: Pc, server: Server) -> None:
    exp_ref = pc.record(DATA)
    pc.collect(server.open())
    late = pc.folder(exp_ref) / "late.txt"
    late.write_bytes(b"later")
    os.utime(late, (1, 1))  # as a copy that keeps its times has it
    assert pc.look(exp_ref).state is not Whereabouts.COLLECTED
    assert pc.collect(server.open())[exp_ref].state is Whereabouts.COLLECTED
    assert server.files(exp_ref)["late.txt"] == b"later"


def test_what_is_written_anew_here_replaces_ours_there_and_the_old_is_kept(pc: Pc, server: Server) -> None:
    exp_ref = pc.record(DATA, extra={"notes.txt": b"first", "same size": b"12345"})
    pc.collect(server.open())
    for path in pc.folder(exp_ref).glob("_multirig_collected.*"):
        os.utime(path, (1, 1))
    (pc.folder(exp_ref) / "notes.txt").write_bytes(b"second, and longer")
    (pc.folder(exp_ref) / "same size").write_bytes(b"54321")
    assert pc.collect(server.open())[exp_ref].state is Whereabouts.COLLECTED
    there = server.files(exp_ref)
    assert (there["notes.txt"], there["same size"]) == (b"second, and longer", b"54321")
    kept = sorted(content for name, content in there.items() if name.startswith("_multirig_earlier/"))
    assert kept == [b"12345", b"first"]


@pytest.mark.parametrize("content", [b"another", b"x" * len(DATA["raw/a.bin"])])
def test_another_file_under_its_name_is_never_overwritten(pc: Pc, server: Server, content: bytes) -> None:
    exp_ref = pc.record(DATA)
    place = server.session(exp_ref) / "raw" / "a.bin"
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    told = pc.collect(server.open())[exp_ref]
    assert told.state is Whereabouts.STUCK
    assert "raw/a.bin: another file of that name" in told.why
    assert "rename the one at the destination" in told.action
    assert place.read_bytes() == content
    assert server.files(exp_ref)["raw/b.bin"] == DATA["raw/b.bin"]
    place.unlink()
    assert pc.collect(server.open())[exp_ref].state is Whereabouts.COLLECTED


def test_the_same_file_that_lies_there_already_is_taken_as_it_is(pc: Pc, server: Server) -> None:
    exp_ref = pc.record(DATA)
    place = server.session(exp_ref) / "raw" / "a.bin"
    place.parent.mkdir(parents=True)
    place.write_bytes(DATA["raw/a.bin"])
    number = place.stat().st_ino
    assert pc.collect(server.open())[exp_ref].state is Whereabouts.COLLECTED
    assert place.stat().st_ino == number


def test_two_pcs_describe_their_devices_under_one_name(tmp_path: Path, server: Server) -> None:
    name = "_ibl_experiment.description_video.yaml"
    first, second = Pc(tmp_path / "one"), Pc(tmp_path / "two")
    one = first.record({"raw/left.bin": b"left"}, rig="left", extra={name: b"left: 1"})
    two = second.record({"raw/right.bin": b"right"}, rig="right", extra={name: b"right: 1"})
    assert one == two
    for pc in (first, second):
        assert pc.collect(server.open())[one].state is Whereabouts.COLLECTED
    there = server.files(one)
    described = {content for path, content in there.items() if path.endswith(name)}
    assert described == {b"left: 1", b"right: 1"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: path.write_bytes(b"shorter"), "it has 7 bytes, and had 3,000 when it was recorded"),
        (lambda path: path.write_bytes(b"y" * 3000), "another checksum than when it was recorded"),
        (lambda path: path.unlink(), "stands in the rig's list, and is not on its disk"),
    ],
)
def test_a_file_that_is_not_what_was_recorded_is_told(pc: Pc, server: Server, change, words: str) -> None:  # type: ignore[no-untyped-def]
    exp_ref = pc.record(DATA)
    change(pc.folder(exp_ref) / "raw" / "a.bin")
    told = pc.collect(server.open())[exp_ref]
    assert told.state is Whereabouts.STUCK
    assert words in told.why
    assert told.action
    assert "raw/a.bin" not in server.files(exp_ref)
    assert pc.look(exp_ref).state is Whereabouts.STUCK


def test_a_list_that_cannot_be_read_stops_the_session_and_is_told(pc: Pc, server: Server) -> None:
    exp_ref = pc.record(DATA)
    (pc.folder(exp_ref) / "_multirig_manifest.cam.json").write_bytes(b"{")
    told = pc.collect(server.open())[exp_ref]
    assert "_multirig_manifest.cam.json cannot be read: it is damaged" in told.why
    assert not server.session(exp_ref).exists()


def test_checksums_that_are_still_made_are_waited_for(pc: Pc, server: Server) -> None:
    exp_ref = pc.record(DATA, has_digests=False)
    told = pc.collect(server.open())[exp_ref]
    assert (told.state, told.why) == (Whereabouts.HERE, "its checksums are still being made")
    for path in pc.folder(exp_ref).rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    assert pc.collect(server.open())[exp_ref].state is Whereabouts.COLLECTED


# -- the destination ----------------------------------------------------------------------------------------


def test_a_destination_that_is_not_there_is_not_made(pc: Pc, server: Server) -> None:
    pc.record(DATA)
    server.path.rmdir()
    with pytest.raises(DestinationAway, match="connect the share or the disk, or make the folder"):
        pc.collect(server.open())
    assert not server.path.exists()


def test_a_share_that_is_not_mounted_any_more_is_not_taken_for_an_empty_one(pc: Pc, server: Server) -> None:
    pc.record(DATA)
    pc.collect(server.open())
    later = pc.record(DATA, number=2)
    server.path.rename(server.path.with_name("elsewhere"))
    server.path.mkdir()
    with pytest.raises(DestinationAway, match="has no mark of multirig any more"):
        pc.collect(server.open())
    assert list(server.path.iterdir()) == []
    (server.path / MARK_NAME).write_text(json.dumps({"format": 1, "mark": "0123456789"}))
    with pytest.raises(DestinationAway, match="is another folder"):
        pc.collect(server.open())
    [told] = pc.collector().collect(server.open(), [later], is_new=True)
    assert told.state is Whereabouts.COLLECTED


def test_the_folder_of_the_recordings_is_no_destination(pc: Pc) -> None:
    pc.record(DATA)
    own = Server(pc.root.parent.parent)
    with pytest.raises(MultirigError, match="is where this PC records"):
        pc.collect(own.open())


# -- clearing -----------------------------------------------------------------------------------------------


def test_a_collected_session_is_cleared_and_its_lists_stay(pc: Pc, server: Server) -> None:
    exp_ref = pc.record(DATA, extra={"notes.txt": b"a note"})
    pc.collect(server.open())
    told = pc.clear(server.open(), exp_ref)[exp_ref]
    assert (told.state, told.why) == (Whereabouts.CLEARED, "")
    left = {path.name for path in pc.folder(exp_ref).rglob("*") if path.is_file()}
    assert left == {"_multirig_manifest.cam.json", *(one for one in left if "collected" in one)}
    assert pc.look(exp_ref).state is Whereabouts.CLEARED
    there = server.files(exp_ref)
    assert {name: there[name] for name in DATA} == DATA
    assert pc.collect(server.open()) == {}
    assert pc.look(exp_ref).state is Whereabouts.CLEARED


def test_what_was_not_collected_is_never_cleared(pc: Pc, server: Server) -> None:
    exp_ref = pc.record(DATA)
    assert pc.clear(server.open(), exp_ref) == {}
    assert (pc.folder(exp_ref) / "raw" / "a.bin").exists()


@pytest.mark.parametrize("harm", ["flip", "cut", "gone"])
def test_what_is_not_whole_there_any_more_is_not_cleared(pc: Pc, server: Server, harm: str) -> None:
    exp_ref = pc.record(DATA)
    pc.collect(server.open())
    place = server.session(exp_ref) / "raw" / "b.bin"
    content = place.read_bytes()
    if harm == "flip":
        place.write_bytes(content[:50] + bytes([content[50] ^ 1]) + content[51:])
    elif harm == "cut":
        place.write_bytes(content[:-1])
    else:
        place.unlink()
    told = pc.clear(server.open(), exp_ref)[exp_ref]
    assert "not cleared: raw/b.bin is not whole at" in told.why
    assert {name: (pc.folder(exp_ref) / name).read_bytes() for name in DATA} == DATA


def test_a_file_that_came_later_keeps_a_session_from_being_cleared(pc: Pc, server: Server) -> None:
    exp_ref = pc.record(DATA)
    pc.collect(server.open())
    (pc.folder(exp_ref) / "raw" / "sorted.npy").write_bytes(b"work of a week")
    told = pc.clear(server.open(), exp_ref)[exp_ref]
    assert "raw/sorted.npy came later, and is not collected" in told.why
    assert (pc.folder(exp_ref) / "raw" / "a.bin").exists()


@pytest.mark.wine_lacks("links to folders")
def test_the_same_folder_by_another_name_is_no_copy(pc: Pc, tmp_path: Path) -> None:
    exp_ref = pc.record(DATA)
    server = Server(tmp_path / "server")
    pc.collect(server.open())
    there = server.path / "mylab"
    there.rename(tmp_path / "old")
    there.symlink_to(pc.root.parent, target_is_directory=True)
    told = pc.clear(server.open(), exp_ref)[exp_ref]
    assert "is the very folder that is to be cleared, by another name" in told.why
    assert {name: (pc.folder(exp_ref) / name).read_bytes() for name in DATA} == DATA


def test_the_ledger_is_made_anew_from_the_disks(pc: Pc, server: Server, tmp_path: Path) -> None:
    exp_ref = pc.record(DATA)
    pc.collect(server.open())
    before = pc.look(exp_ref)
    (tmp_path / "pc" / "register.sqlite").unlink()
    assert pc.look(exp_ref) == before
    assert pc.ledger.mark_of(str(server.path)) is None
    assert pc.ledger.rebuild(pc.root) == 1
    assert pc.ledger.mark_of(str(server.path)) is not None
    (tmp_path / "pc" / "register.sqlite").unlink()
    assert pc.clear(server.open(), exp_ref)[exp_ref].state is Whereabouts.CLEARED


def test_whoever_reads_what_was_cleared_is_told_where_it_is(pc: Pc, server: Server) -> None:
    exp_ref = pc.record(DATA)
    pc.collect(server.open())
    pc.clear(server.open(), exp_ref)
    here = multirig.load(pc.folder(exp_ref))
    assert f"it was collected to {server.path}, and cleared on" in here.missing["cam"]
    assert multirig.load(server.session(exp_ref)).missing == {}
    shown = CliRunner().invoke(load_commands("show"), ["show", str(pc.folder(exp_ref)), "--verify"])
    assert shown.exit_code == 0
    assert f"it was collected to {server.path}" in shown.output


# -- IBL's pipeline ------------------------------------------------------------------------------------------


def hand_over(pc: Pc, exp_ref: ExpRef) -> Path:
    """Let a rig say that iblrig's copier may have a session, and return the flag."""
    part = folder.Part(device="video", description={"devices": {}}, has_data=True)
    place = pc.folder(exp_ref)
    folder.open_part(place, str(exp_ref), "cam", part)
    folder.close_part(place, str(exp_ref), "cam", part)
    return place / folder.FLAG


def test_what_iblrigs_copier_has_taken_is_told_and_left_alone(pc: Pc, server: Server) -> None:
    exp_ref = pc.record(DATA)
    hand_over(pc, exp_ref).unlink()  # as the copier does
    told = pc.look(exp_ref)
    assert (told.state, told.why.split(":")[0]) == (
        Whereabouts.IBLRIG,
        "iblrig's transfer_data has copied it",
    )
    assert pc.collect(server.open()) == {}
    assert not server.session(exp_ref).exists()
    assert pc.clear(server.open(), exp_ref) == {}
    assert (pc.folder(exp_ref) / "raw" / "a.bin").exists()


def test_what_iblrigs_copier_is_still_to_take_is_copied_and_not_cleared(pc: Pc, server: Server) -> None:
    exp_ref = pc.record(DATA)
    flag = hand_over(pc, exp_ref)
    assert pc.collect(server.open())[exp_ref].state is Whereabouts.COLLECTED
    assert flag.exists()
    told = pc.clear(server.open(), exp_ref)[exp_ref]
    assert "it is iblrig's" in told.why
    assert (pc.folder(exp_ref) / "raw" / "a.bin").exists()
    assert not any(one.endswith(".flag") for one in server.files(exp_ref))
