"""Real programs and disks: whatever is killed, full, gone or hostile, nothing is lost or said too early."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest
from tests.integration.collect.lab import Pc, Server, blake2b

from multirig.collect.collector import Collector
from multirig.collect.control import Control, Ended
from multirig.collect.ledger import Ledger
from multirig.collect.places import DestinationAway, DestinationError, Digests
from multirig.collect.places.folder import Folder
from multirig.collect.receipts import find_receipts
from multirig.collect.whole import read_receipts
from multirig.errors import MultirigError
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.holdings import Whereabouts

SEED = 18
SMALL = int(os.environ.get("MULTIRIG_SMALL_FILES", "5000"))
"""Files of a session with one file for each trial, or frame; ``make collect`` has 30,000."""


@pytest.fixture
def pc(tmp_path: Path) -> Pc:
    return Pc(tmp_path / "pc")


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path / "server")


def contents(count: int, size: int) -> dict[str, bytes]:
    make = random.Random(SEED)
    return {f"raw/{number:03}.bin": make.randbytes(size) for number in range(count)}


def check_claims(pc: Pc, server: Server, exp_ref: ExpRef, ledger: Ledger) -> None:
    """See that what is claimed anywhere is there, byte for byte."""
    there = {name: blake2b(content) for name, content in server.files(exp_ref).items()}
    for place in (server.session(exp_ref), pc.folder(exp_ref)):
        for receipt in find_receipts(place)[0]:
            for one in receipt.files:
                assert there.get(one.target or one.path) == one.blake2b, f"{one.path} is claimed by a receipt"
    mark = ledger.mark_of(str(server.path))
    for name, known in ledger.read(pc.root, exp_ref, mark or "").items():
        if known.state.is_there:
            assert there.get(name) == known.blake2b, f"{name} is claimed by the ledger"


# -- killed -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def worker(pc: Pc, server: Server) -> Iterator[subprocess.Popen[bytes]]:
    """Start the program that copies for a rig, and tell it to."""
    wish = {"do": "collect", "to": str(server.path), "sessions": [], "rate": 60e6}
    with subprocess.Popen(
        [sys.executable, "-m", "multirig.collect", str(pc.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(wish).encode() + b"\n")
        process.stdin.flush()
        try:
            yield process
        finally:
            process.kill()


def is_begun(server: Server) -> bool:
    return any(server.path.rglob("*.part"))


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
def test_the_worker_is_killed_in_the_middle_again_and_again(
    pc: Pc, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # its ledger
    data = {**contents(80, 5_000), **{f"raw/big{number}.avi": os.urandom(9_000_000) for number in range(4)}}
    exp_ref = pc.record(data)
    chance = random.Random(SEED)
    kills = 0
    for _ in range(8):
        with worker(pc, server) as process:
            end = time.monotonic() + 20
            while not is_begun(server) and process.poll() is None and time.monotonic() < end:
                if any(find_receipts(server.session(exp_ref))):
                    break
                time.sleep(0.002)
            time.sleep(chance.random() * 0.3)
            process.kill()
            process.wait()
            kills += 1
        check_claims(pc, server, exp_ref, Ledger())
    assert kills == 8
    done = Collector([pc.root], Control(is_busy=lambda: False)).collect(server.open())
    assert [one.state for one in done] == [Whereabouts.COLLECTED]
    there = server.files(exp_ref)
    assert {name: there[name] for name in data} == data
    assert not [name for name in there if name.endswith(".part")]


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
def test_the_command_is_killed_and_goes_on_from_there(
    pc: Pc, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = {f"raw/big{number}.avi": os.urandom(20_000_000) for number in range(2)}
    exp_ref = pc.record(data)
    command = [sys.executable, "-m", "multirig", "collect", "--here", "--to", str(server.path)]
    command += ["--data", str(pc.root.parent.parent)]
    for _ in range(2):
        process = subprocess.Popen([*command, "--rate", "20 MB/s"], stdout=subprocess.DEVNULL)
        end = time.monotonic() + 20
        before = sum(one.stat().st_size for one in server.path.rglob("*.avi*"))
        while time.monotonic() < end:
            with contextlib.suppress(FileNotFoundError):
                if sum(one.stat().st_size for one in server.path.rglob("*.avi*")) > before + 1_000_000:
                    break
            time.sleep(0.005)
        process.kill()
        process.wait()
        check_claims(pc, server, exp_ref, Ledger())
        assert not find_receipts(server.session(exp_ref))[0]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    there = server.files(exp_ref)
    assert {name: there[name] for name in data} == data
    check_claims(pc, server, exp_ref, Ledger())


# -- disks --------------------------------------------------------------------------------------------------


def may_mount() -> bool:
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    return subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


@pytest.fixture
def mount() -> Iterator[object]:
    """Mount something; it is taken away again afterwards."""
    if not may_mount():
        pytest.skip("nothing can be mounted here: that needs Linux and root")
    mounted: list[Path] = []

    def do(kind: list[str], place: Path) -> None:
        place.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", *kind, str(place)], check=True)
        mounted.append(place)

    yield do
    for place in reversed(mounted):
        subprocess.run(["umount", "-l", str(place)], check=False)


def test_a_full_disk_is_told_and_all_goes_on_once_there_is_room(pc: Pc, tmp_path: Path, mount) -> None:  # type: ignore[no-untyped-def]
    place = tmp_path / "server"
    mount(["-t", "tmpfs", "-o", "size=6m", "tmpfs"], place)
    server = Server(place)
    (place / "old").write_bytes(bytes(3_000_000))
    data = {**contents(20, 10_000), "raw/big.avi": os.urandom(4_500_000)}
    exp_ref = pc.record(data)
    told = pc.collect(server.open())[exp_ref]
    assert told.state is Whereabouts.HERE
    assert told.why == f"{place} is full: free space there"
    check_claims(pc, server, exp_ref, pc.ledger)
    (place / "old").unlink()
    assert pc.collect(server.open())[exp_ref].state is Whereabouts.COLLECTED
    there = server.files(exp_ref)
    assert {name: there[name] for name in data} == data


@pytest.mark.parametrize("way", ["bind", "link"])
def test_the_same_folder_by_another_path_is_no_destination(pc: Pc, tmp_path: Path, way: str, request) -> None:  # type: ignore[no-untyped-def]
    exp_ref = pc.record(contents(3, 100))
    other = tmp_path / "other"
    if way == "bind":
        request.getfixturevalue("mount")(["--bind", str(pc.root.parent.parent)], other)
    else:
        other.symlink_to(pc.root.parent.parent)
    server = Server(other)
    with pytest.raises(MultirigError, match="is where this PC records"):
        pc.collect(server.open())
    assert pc.look(exp_ref).state is Whereabouts.HERE
    pc.clear(server.open(), exp_ref)
    assert {name: (pc.folder(exp_ref) / name).read_bytes() for name in contents(3, 100)} == contents(3, 100)


class Vanishing(Folder):
    """A share that is gone in the middle of a file."""

    def send(self, source: Path, name: str, start: int, control: Control) -> Digests:
        if source.name == "big.avi" and self.root.exists():
            counted = control.count

            def count(size: int) -> None:
                counted(size)
                if control.moved > 1_000_000 and self.root.exists():
                    self.root.rename(self.root.with_name("gone"))

            control.count = count  # type: ignore[method-assign]
        return super().send(source, name, start, control)


def test_a_share_that_vanishes_in_the_middle_of_a_file_and_comes_back(pc: Pc, server: Server) -> None:
    data = {"raw/big.avi": os.urandom(5_000_000), "raw/other.avi": os.urandom(5_000_000)}
    exp_ref = pc.record(data)
    told = pc.collect(Vanishing(str(server.path), server.path))[exp_ref]
    assert told.state is Whereabouts.HERE
    assert "is gone" in told.why
    assert not server.path.exists()
    with pytest.raises(DestinationAway):
        pc.collect(server.open())
    server.path.with_name("gone").rename(server.path)
    check_claims(pc, server, exp_ref, pc.ledger)
    assert pc.collect(server.open())[exp_ref].state is Whereabouts.COLLECTED
    there = server.files(exp_ref)
    assert {name: there[name] for name in data} == data


class Writing(Folder):
    """While it is copied to, somebody writes to a file here."""

    victim: Path
    then = b"longer than it was, and another"

    def settle(self, names) -> None:  # type: ignore[no-untyped-def]
        super().settle(names)
        self.victim.write_bytes(self.then)


def test_a_file_that_changes_while_it_is_copied_is_tried_again(pc: Pc, server: Server) -> None:
    exp_ref = pc.record(contents(2, 100), extra={"notes.txt": b"first"})
    destination = Writing(str(server.path), server.path)
    destination.victim = pc.folder(exp_ref) / "notes.txt"
    told = pc.collect(destination)[exp_ref]
    assert (told.state, told.why) == (
        Whereabouts.HERE,
        "notes.txt: it was changed while it was copied; it is tried again later",
    )
    assert "notes.txt" not in server.files(exp_ref)
    assert pc.collect(server.open())[exp_ref].state is Whereabouts.COLLECTED
    assert server.files(exp_ref)["notes.txt"] == Writing.then


# -- two at once --------------------------------------------------------------------------------------------


def test_two_users_of_one_pc_collect_the_same_folder_at_once(pc: Pc, server: Server, tmp_path: Path) -> None:
    """Each has a state folder of its own, so that no lock keeps them apart."""
    data = {**contents(200, 2_000), "raw/big.avi": os.urandom(8_000_000)}
    exp_ref = pc.record(data)
    processes = []
    for name in ("one", "two"):
        environment = {
            **os.environ,
            "MULTIRIG_STATE": str(tmp_path / name),
            "XDG_CACHE_HOME": str(tmp_path / name),
        }
        command = [sys.executable, "-m", "multirig", "collect", "--here", "--to", str(server.path)]
        processes.append(
            subprocess.Popen(
                [*command, "--data", str(pc.root.parent.parent)],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    said = [one.communicate(timeout=60)[0] for one in processes]
    assert [one.returncode for one in processes] == [0, 0], said
    there = server.files(exp_ref)
    assert {name: there[name] for name in data} == data
    assert not [name for name in there if name.endswith(".part")]
    check_claims(pc, server, exp_ref, pc.ledger)


def test_many_pcs_that_use_a_new_destination_at_once_know_it_by_one_mark(server: Server) -> None:
    start = threading.Barrier(8)
    marks: list[str] = []

    def use() -> None:
        start.wait()
        marks.append(server.open().open(None))

    threads = [threading.Thread(target=use) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(marks) == 8
    assert set(marks) == {server.open().open(marks[0])}
    assert [one.name for one in server.path.iterdir()] == ["_multirig_destination.json"]


# -- many, and large ----------------------------------------------------------------------------------------


def test_a_session_of_many_small_files(pc: Pc, server: Server, note) -> None:  # type: ignore[no-untyped-def]
    exp_ref = pc.record({"raw/a.bin": b"a"})
    folder = pc.folder(exp_ref)
    sums = {}
    for number in range(SMALL):
        name = f"trials/{number // 1000:02}/{number:05}.bin"
        if number % 1000 == 0:
            (folder / name).parent.mkdir(parents=True)
        content = number.to_bytes(4, "big") * (1 + number % 5)
        with open(folder / name, "wb") as file:
            file.write(content)
        sums[name] = blake2b(content)
    began = time.monotonic()
    told = pc.collect(server.open())[exp_ref]
    note(f"{SMALL:,} small files collected in {time.monotonic() - began:.1f} s")
    assert told.state is Whereabouts.COLLECTED
    there = {name: blake2b(content) for name, content in server.files(exp_ref).items()}
    assert {name: there.get(name) for name in sums} == sums
    shutil.rmtree(server.path)


@pytest.mark.skipif(sys.platform == "win32", reason="sparse files")
def test_a_large_file_needs_no_memory_of_its_size(pc: Pc, server: Server) -> None:
    exp_ref = pc.record({"raw/small.bin": b"small"})
    large = int(os.environ.get("MULTIRIG_LARGE", "300")) * 1_000_000
    with open(pc.folder(exp_ref) / "large.bin", "wb") as file:
        file.truncate(large)
    process = psutil.Process()
    before, most = process.memory_info().rss, 0
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.01):
            most = max(most, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        assert pc.collect(server.open())[exp_ref].state is Whereabouts.COLLECTED
    finally:
        done.set()
        watcher.join()
    assert (server.session(exp_ref) / "large.bin").stat().st_size == large
    assert most - before < 60e6
    shutil.rmtree(server.path)


# -- names --------------------------------------------------------------------------------------------------


ODD: Mapping[str, bytes] = {
    "raw/CON": b"1",
    "raw/aux.txt": b"2",
    "raw/ends with a dot.": b"3",
    "raw/a:b": b"4",
    "raw/A.bin": b"5",
    "raw/a.bin": b"6",
    "raw/Grün 🐭.csv": b"7",
    f"raw/{'long' * 60}.bin": b"8",
    "raw/-rf": b"9",
}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")
def test_names_that_are_odd_elsewhere_are_collected_and_cleared(pc: Pc, server: Server) -> None:
    exp_ref = pc.record(ODD)
    no_text = os.fsencode(pc.folder(exp_ref)) + b"/raw/\xff\xfe.bin"
    Path(os.fsdecode(no_text)).write_bytes(b"no text")
    told = pc.collect(server.open())[exp_ref]
    assert (told.state, told.why) == (Whereabouts.COLLECTED, "")
    there = server.files(exp_ref)
    assert {name: there[name] for name in ODD} == ODD
    assert there[os.fsdecode(b"raw/\xff\xfe.bin")] == b"no text"
    assert pc.clear(server.open(), exp_ref)[exp_ref].state is Whereabouts.CLEARED
    assert not (pc.folder(exp_ref) / "raw").exists()


@pytest.mark.parametrize("name", ["../../../secret", "{root}/secret", "C:\\secret", "raw/../../../../secret"])
def test_a_hostile_list_reaches_nothing_outside(pc: Pc, server: Server, name: str, tmp_path: Path) -> None:
    exp_ref = pc.record(contents(2, 10))
    secret = tmp_path / "pc" / "data" / "mylab" / "Subjects" / "secret"
    for place in (secret, pc.folder(exp_ref).parent.parent.parent / "secret"):
        place.write_bytes(b"secret")
    path = pc.folder(exp_ref) / "_multirig_manifest.cam.json"
    listed = json.loads(path.read_bytes())
    listed["files"].append({**listed["files"][0], "path": name.format(root=pc.root), "bytes": 6})
    path.write_text(json.dumps(listed))
    told = pc.collect(server.open())[exp_ref]
    assert told.state in (Whereabouts.STUCK, Whereabouts.HERE)
    assert told.why
    assert all(one.read_bytes() != b"secret" for one in tmp_path.glob("server/**/*") if one.is_file())
    pc.clear(server.open(), exp_ref)
    assert secret.read_bytes() == b"secret"


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_file_that_is_a_link_is_collected_and_never_removed(pc: Pc, server: Server, tmp_path: Path) -> None:
    exp_ref = pc.record(contents(2, 10))
    elsewhere = tmp_path / "big disk" / "film.avi"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(b"a film")
    (pc.folder(exp_ref) / "raw" / "film.avi").symlink_to(elsewhere)
    assert pc.collect(server.open())[exp_ref].state is Whereabouts.COLLECTED
    assert server.files(exp_ref)["raw/film.avi"] == b"a film"
    pc.clear(server.open(), exp_ref)
    assert elsewhere.read_bytes() == b"a film"


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_at_the_destination_to_the_file_here_is_no_copy(pc: Pc, server: Server) -> None:
    exp_ref = pc.record(contents(2, 10))
    place = server.session(exp_ref) / "raw" / "000.bin"
    place.parent.mkdir(parents=True)
    place.symlink_to(pc.folder(exp_ref) / "raw" / "000.bin")
    pc.collect(server.open())
    pc.clear(server.open(), exp_ref)
    assert (pc.folder(exp_ref) / "raw" / "000.bin").read_bytes() == contents(2, 10)["raw/000.bin"]


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"format": 1}', b"\xff" * 100, b"[" * 100_000])
def test_a_damaged_or_hostile_receipt_proves_nothing(pc: Pc, server: Server, content: bytes) -> None:
    exp_ref = pc.record(contents(2, 10))
    pc.collect(server.open())
    [mine] = pc.folder(exp_ref).glob("_multirig_collected.*")
    mine.write_bytes(content)
    (server.session(exp_ref) / mine.name).write_bytes(content)
    assert pc.look(exp_ref).state is not Whereabouts.COLLECTED
    assert pc.clear(server.open(), exp_ref) == {}
    assert (pc.folder(exp_ref) / "raw" / "000.bin").exists()
    assert pc.collect(server.open())[exp_ref].state is Whereabouts.COLLECTED


def test_a_receipt_does_not_prove_what_does_not_lie_there(pc: Pc, server: Server) -> None:
    exp_ref = pc.record(contents(2, 10))
    pc.collect(server.open())
    (server.session(exp_ref) / "raw" / "000.bin").unlink()
    prefix = server.session(exp_ref).relative_to(server.path).as_posix()
    [receipt] = read_receipts(server.open(), prefix)
    assert "raw/001.bin" in [one.path for one in receipt.files]
    assert "raw/000.bin" not in [one.path for one in receipt.files]


class Unsettled(Folder):
    """Its disk does not take the files of one session."""

    def settle(self, names) -> None:  # type: ignore[no-untyped-def]
        if any("/001/" in name for name in names):
            raise DestinationError("the disk has an error")


def test_a_disk_that_fails_for_one_session_does_not_stop_the_others(pc: Pc, server: Server) -> None:
    first = pc.record(contents(2, 10), number=1)
    second = pc.record(contents(2, 10), number=2)
    told = pc.collect(Unsettled(str(server.path), server.path))
    assert told[first].state is Whereabouts.HERE
    assert "the disk has an error" in told[first].why
    assert told[second].state is Whereabouts.COLLECTED


def test_a_copy_that_is_ended_goes_on_from_there(pc: Pc, server: Server) -> None:
    data = {"raw/big.avi": os.urandom(8_000_000)}
    exp_ref = pc.record(data)
    collector = Collector([pc.root], pc.new_control(rate=10e6), pc.ledger)
    threading.Timer(0.3, pc.control.end).start()
    with pytest.raises(Ended):
        collector.collect(server.open())
    [part] = server.path.rglob("*.part")
    assert 0 < part.stat().st_size < 8_000_000
    pc.collect(server.open())
    assert pc.control.moved < 8_000_000
    assert server.files(exp_ref)["raw/big.avi"] == data["raw/big.avi"]


class Unmounted(Folder):
    """A share that is not mounted any more from a call on: the empty folder that it was mounted on is left.

    Parameters
    ----------
    server : Server
        Of the share.
    at : str
        Name of the call before which that happens.
    after : int
        After how many such calls.
    """

    def __init__(self, server: Server, at: str, after: int) -> None:
        super().__init__(str(server.path), server.path)
        self._at, self._left = at, after

    def _count(self, call: str) -> None:
        if call == self._at:
            self._left -= 1
            if self._left < 0 and not (self.root.parent / "mounted elsewhere").exists():
                self.root.rename(self.root.parent / "mounted elsewhere")
                self.root.mkdir()

    def send(self, source: Path, name: str, start: int, control: Control) -> Digests:
        self._count("send")
        return super().send(source, name, start, control)

    def sizes(self, folder: str) -> Mapping[str, int]:
        self._count("sizes")
        return super().sizes(folder)

    def put(self, name: str, final: str) -> None:
        self._count("put")
        super().put(name, final)

    def write(self, name: str, data: bytes) -> None:
        self._count("write")
        super().write(name, data)

    def compare(self, name: str, digests: Digests, size: int, control: Control) -> bool:
        self._count("compare")
        return super().compare(name, digests, size, control)


@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize("at", ["sizes", "send", "compare", "put", "write"])
def test_nothing_is_collected_into_the_folder_that_a_share_was_mounted_on(
    pc: Pc, server: Server, at: str, after: int
) -> None:
    for number in (1, 2, 3):
        pc.record({f"raw/{name}.bin": os.urandom(3000) for name in range(3)}, number=number)
    told = pc.collect(Unmounted(server, at, after))
    assert list(server.path.iterdir()) == []
    gone = server.path.with_name("mounted elsewhere")
    server.path.rmdir()
    gone.rename(server.path)
    for exp_ref, one in told.items():
        if one.state is Whereabouts.COLLECTED:
            assert (server.session(exp_ref) / "raw" / "2.bin").exists()
        else:
            assert "connect the share" in one.why
    assert {one.state for one in pc.collect(server.open()).values()} == {Whereabouts.COLLECTED}


def test_what_cannot_be_read_since_the_share_is_away_is_not_said_to_be_missing(
    pc: Pc, server: Server
) -> None:
    exp_ref = pc.record({f"raw/{name}.bin": os.urandom(3000) for name in range(3)})
    assert pc.collect(server.open())[exp_ref].state is Whereabouts.COLLECTED
    told = pc.clear(Unmounted(server, "compare", 1), exp_ref)[exp_ref]
    assert told.state is Whereabouts.COLLECTED
    assert "connect the share" in told.why
    with pytest.raises(DestinationAway):
        server.open().sizes("mylab")
    server.path.rmdir()
    server.path.with_name("mounted elsewhere").rename(server.path)
    assert pc.clear(server.open(), exp_ref)[exp_ref].state is Whereabouts.CLEARED
