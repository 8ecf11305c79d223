"""Files are brought to real servers through the real rclone, and nothing is said to be there that is not."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.integration.collect import rclone_servers
from tests.integration.collect.lab import Pc
from tests.integration.collect.rclone_servers import (
    KINDS,
    OpenSsh,
    OtherWebDav,
    Samba,
    Server,
    Sftp,
    WebDav,
)

from multirig.collect.control import Control, Ended
from multirig.collect.places import (
    MARK_NAME,
    DestinationAway,
    DestinationError,
    DestinationFull,
    NameTaken,
    open_destination,
    rclone_daemon,
)
from multirig.collect.places import rclone as room
from multirig.collect.places.rclone import SMALL, Rclone
from multirig.collect.places.rclone_daemon import Daemon, Said
from multirig.errors import ConfigError
from multirig.protocol.holdings import Whereabouts

LARGE = SMALL + 2_000_001
Serve = Callable[..., Server]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Return what starts a server, which is the one of rclone's config."""
    rclone_servers.rclone()
    started: list[Server] = []

    def start(kind: type[Server] = Sftp) -> Server:
        server = kind(tmp_path / kind.name.replace(" ", "-"))
        started.append(server)
        server.start()
        monkeypatch.setenv("RCLONE_CONFIG", str(server.config()))
        return server

    yield start
    for server in started:
        server.close()


@pytest.fixture
def reach() -> Iterator[Callable[[Server | str], Rclone]]:
    """Return what opens a server as a destination."""
    opened: list[Rclone] = []

    def reach(server: Server | str, mark: str | None = None) -> Rclone:
        destination = open_destination(server if isinstance(server, str) else server.text)
        assert isinstance(destination, Rclone)
        opened.append(destination)
        destination.open(mark)
        return destination

    yield reach
    for destination in opened:
        destination.close()


def free(rate: float | None = None) -> Control:
    return Control(rate, is_busy=lambda: False)


def write(path: Path, size: int) -> Path:
    path.write_bytes(os.urandom(size))
    return path


def flip(path: Path) -> None:
    """Change one bit on the server's disk."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        [byte] = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


def daemon_of(destination: Rclone) -> psutil.Process:
    """Return the rclone that runs for a destination."""
    shell = psutil.Process(destination._remote.daemon._process.pid)
    [found] = [one for one in (shell, *shell.children(recursive=True)) if "rclone" in one.name()]
    return found


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_files_get_there_whole_and_by_their_names(
    kind: type[Server], serve: Serve, reach: Any, tmp_path: Path
) -> None:
    server = serve(kind)
    there = reach(server)
    mark = there.open(None)
    assert there.open(mark) == mark
    assert there.sizes("lab/Subjects") == {}
    sources = {f"raw/{size}": write(tmp_path / str(size), size) for size in (0, 5, SMALL, LARGE)}
    for name, source in sources.items():
        size = source.stat().st_size
        control = free()
        digests = there.send(source, f"lab/{name}.part", 0, control)
        assert control.moved == size
        there.settle([f"lab/{name}.part"])
        assert there.compare(f"lab/{name}.part", digests, size, free())
        assert there.compare(f"lab/{name}.part", {"blake2b": digests["blake2b"]}, size, free())
        assert there.size(f"lab/{name}.part") == size
        there.put(f"lab/{name}.part", f"lab/deeper/{name}")
    assert there.sizes("lab") == {f"deeper/{name}": one.stat().st_size for name, one in sources.items()}
    for name, source in sources.items():
        assert (server.root / "lab/deeper" / name).read_bytes() == source.read_bytes()
    for content in (b"first", b"other"):
        there.write("lab/receipt.json", content)
        assert there.read("lab/receipt.json") == content
    with pytest.raises(NameTaken, match="is there already"):
        there.put("lab/receipt.json", "lab/deeper/raw/5")
    assert (server.root / "lab/deeper/raw/5").stat().st_size == 5
    assert there.read("lab/nothing") is None
    assert there.read("nowhere/nothing") is None
    assert there.size("lab/nothing") is None
    for name in ("lab/receipt.json", "lab/receipt.json", "nowhere/nothing"):
        there.remove(name)
    assert "receipt.json" not in there.sizes("lab")


@pytest.mark.parametrize("kind", [OpenSsh, OtherWebDav], ids=lambda kind: kind.name)
def test_a_session_is_collected_replaced_where_it_has_grown_and_cleared(
    kind: type[Server], serve: Serve, reach: Any, tmp_path: Path
) -> None:
    server = serve(kind)
    pc = Pc(tmp_path / "pc")
    many = {f"raw/{number}.bin": os.urandom(number) for number in range(40)}
    exp_ref = pc.record({**many, "raw/big.avi": os.urandom(LARGE)}, extra={"notes.txt": b"first"})
    assert pc.collect(reach(server))[exp_ref].state is Whereabouts.COLLECTED
    place = server.root.joinpath("mylab", "Subjects", *exp_ref.folder_parts())
    assert {name: (place / name).read_bytes() for name in many} == many
    assert not list(place.rglob("*.part"))
    for path in pc.folder(exp_ref).glob("_multirig_collected.*"):
        os.utime(path, (1, 1))
    (pc.folder(exp_ref) / "notes.txt").write_bytes(b"second, and longer")
    assert pc.collect(reach(server))[exp_ref].state is Whereabouts.COLLECTED
    assert (place / "notes.txt").read_bytes() == b"second, and longer"
    assert [path.read_bytes() for path in (place / "_multirig_earlier").rglob("notes.txt")] == [b"first"]
    flip(place / "raw/7.bin")
    assert "raw/7.bin" in pc.clear(reach(server), exp_ref)[exp_ref].why
    assert (pc.folder(exp_ref) / "raw/7.bin").read_bytes() == many["raw/7.bin"]
    flip(place / "raw/7.bin")
    assert pc.collect(reach(server))[exp_ref].state is Whereabouts.COLLECTED
    assert pc.clear(reach(server), exp_ref)[exp_ref].state is Whereabouts.CLEARED
    assert not (pc.folder(exp_ref) / "raw/big.avi").exists()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_many_files_are_done_at_once_and_each_has_its_own_end(
    kind: type[Server], serve: Serve, reach: Any, tmp_path: Path
) -> None:
    server = serve(kind)
    there = reach(server)
    sources = [write(tmp_path / f"{number}.bin", 100 + number) for number in range(150)]
    files = [(source, f"lab/{number % 2}/{source.name}.part") for number, source in enumerate(sources)]
    files.insert(3, (tmp_path / "gone.bin", "lab/0/gone.bin.part"))
    files.append((write(tmp_path / "large.bin", LARGE), "lab/large.bin.part"))
    control = free()
    sent = there.send_many(files, control)
    assert isinstance(sent[3], FileNotFoundError)
    assert control.moved == sum(source.stat().st_size for source in sources) + LARGE
    del files[3], sent[3]
    flip(server.root / files[7][1])
    (server.root / files[8][1]).unlink()
    sizes = [source.stat().st_size for source, _ in files]
    names = [name for _, name in files]
    compared = there.compare_many(list(zip(names, sent, sizes, strict=True)), free())
    assert isinstance(compared[8], DestinationError)
    assert [n for n, same in enumerate(compared) if same is not True] == [7, 8]
    assert compared[7] is False
    there.write("lab/1/5.bin", b"another one")
    put = there.put_many([(name, name.removesuffix(".part")) for name in names])
    assert {n: type(error) for n, error in enumerate(put) if error is not None} == {
        5: NameTaken,
        8: DestinationError,
    }
    assert there.read("lab/1/5.bin") == b"another one"
    assert (server.root / "lab/0/0.bin").read_bytes() == sources[0].read_bytes()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("size", [1000, LARGE], ids=["small", "large"])
def test_a_bit_that_flips_on_the_server_is_found(
    kind: type[Server], size: int, serve: Serve, reach: Any, tmp_path: Path
) -> None:
    server = serve(kind)
    there = reach(server)
    digests = there.send(write(tmp_path / "a", size), "a.part", 0, free())
    assert there.compare("a.part", digests, size, free())
    flip(server.root / "a.part")
    assert not there.compare("a.part", digests, size, free())
    assert not there.compare("a.part", {"blake2b": digests["blake2b"]}, size, free())


@pytest.mark.parametrize("kind", [Sftp, WebDav], ids=lambda kind: kind.name)
def test_a_server_that_dies_in_a_file_is_away_and_takes_the_file_when_it_is_back(
    kind: type[Server], serve: Serve, reach: Any, tmp_path: Path
) -> None:
    server = serve(kind)
    there = reach(server)
    source = write(tmp_path / "a", LARGE)
    control = free(4e6)

    def kill() -> None:
        while control.moved < 1_000_000:
            time.sleep(0.01)
        server.stop()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(DestinationAway, match="cannot be reached"):
        there.send(source, "a.part", 0, control)
    killer.join()
    with pytest.raises(DestinationAway, match="cannot be reached"):
        there.settle([])
    server.start()
    digests = there.send(source, "a.part", 0, free())
    assert there.compare("a.part", digests, LARGE, free())


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let rclone wait for a server for a second instead of a minute."""
    flags = tuple(one.replace("=60s", "=1s").replace("=15s", "=1s") for one in rclone_daemon.FLAGS)
    assert flags != rclone_daemon.FLAGS
    monkeypatch.setattr(rclone_daemon, "FLAGS", flags)


def test_a_server_has_the_time_that_a_checksum_takes(
    serve: Serve, reach: Any, monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    server = serve(OpenSsh)
    there = reach(server)
    name = there.hashes[1]
    assert name in ("sha1", "sha256", "md5")
    asked: list[bool] = []
    ask = there._remote.hash

    def note(path: str, name: str, *, fetches: bool) -> Any:
        asked.append(fetches)
        return ask(path, name, fetches=fetches)

    monkeypatch.setattr(there._remote, "hash", note)
    size = 800_000_000  # takes longer than it is waited for a word
    with (server.root / "large.part").open("wb") as file:
        file.truncate(size)
    digest = hashlib.new(name)
    for _ in range(100):
        digest.update(bytes(size // 100))
    assert there.compare("large.part", {"blake2b": "", name: digest.hexdigest()}, size, free())
    assert asked == [False]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot stop a program for a while")
def test_a_server_that_says_nothing_any_more_does_not_hold_it_up_for_ever(
    serve: Serve, reach: Any, tmp_path: Path, impatient: None
) -> None:
    server = serve(Sftp)
    there = reach(server)
    source = write(tmp_path / "a", LARGE)
    control = free(4e6)

    def stop() -> None:
        while control.moved < 1_000_000:
            time.sleep(0.01)
        server.process.send_signal(signal.SIGSTOP)

    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(DestinationAway, match="cannot be"):
        there.send(source, "a.part", 0, control)
    stopper.join()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[Path], None]]:
    """Return what puts a disk of 8 MB at a place."""
    mounted: list[Path] = []

    def mount(place: Path) -> None:
        command = ["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(place)]
        if sys.platform != "linux" or shutil.which("mount") is None or os.geteuid() != 0:
            pytest.skip("a small disk cannot be made here")
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("a small disk cannot be mounted here")
        mounted.append(place)

    yield mount
    for place in mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("kind", [WebDav, OpenSsh, Samba], ids=lambda kind: kind.name)
def test_a_server_that_is_full_says_so(
    kind: type[Server],
    serve: Serve,
    reach: Any,
    tmp_path: Path,
    small_disk: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = kind(tmp_path / "full")
    small_disk(server.root)
    server.start()
    monkeypatch.setenv("RCLONE_CONFIG", str(server.config()))
    try:
        there = reach(server)
        if issubclass(kind, WebDav):  # this one says neither that it is full, nor how much is free
            with pytest.raises(DestinationError, match="does not take it, or give it"):
                there.send(write(tmp_path / "large", 12_000_000), "a.part", 0, free())
            return
        with pytest.raises(DestinationFull, match="is full: free space there"):
            there.send(write(tmp_path / "large", 12_000_000), "a.part", 0, free())
        there.remove("a.part")
        small = write(tmp_path / "small", 3_000_000)
        with pytest.raises(DestinationFull):
            there.send_many([(small, f"{number}.part") for number in range(4)], free())
    finally:
        there.close()
        server.close()


@pytest.mark.parametrize("kind", [Sftp, WebDav, Samba], ids=lambda kind: kind.name)
def test_a_wrong_password_is_told_in_clear_words(
    kind: type[Server], serve: Serve, reach: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(kind)
    monkeypatch.setattr(rclone_servers, "PASSWORD", "wrong word")
    server.config()
    with pytest.raises(DestinationAway, match="refuses the user or the password") as told:
        reach(server)
    assert "wrong word" not in str(told.value)
    assert str(server.folder) not in str(told.value)
    assert "\n" not in str(told.value)


def test_what_is_no_place_is_told(serve: Serve, reach: Any) -> None:
    server = serve(Sftp)
    with pytest.raises(DestinationAway, match="names no remote of rclone: 'rclone listremotes' shows them"):
        reach("nosuch:data")
    with pytest.raises(DestinationAway, match=r"sftp:no/folder is not there: .*make the folder"):
        reach("sftp:no/folder")
    assert not list(server.root.iterdir())
    with pytest.raises(ConfigError, match="its path has"):
        open_destination("sftp:a]b")
    server.stop()
    with pytest.raises(DestinationAway, match="sftp: cannot be reached: is the server on"):
        reach(server)


def test_another_place_than_before_is_refused_and_a_place_that_is_gone_is_not_made_anew(
    serve: Serve, reach: Any, tmp_path: Path
) -> None:
    server = serve(OpenSsh)
    there = reach(server)
    with pytest.raises(DestinationAway, match="is another folder"):
        there.open("0123456789abcdef")
    (server.root / MARK_NAME).write_text("{")
    with pytest.raises(DestinationAway, match="is damaged: delete it"):
        there.open(None)
    (server.root / MARK_NAME).unlink()
    with pytest.raises(DestinationAway, match="has no mark of multirig any more"):
        there.open("0123456789abcdef")
    there = reach(server)
    (server.root / MARK_NAME).unlink()  # as where its disk is not mounted
    there._remote._seen_at = float("-inf")
    source = write(tmp_path / "a", 10)
    for action in (
        lambda: there.send(source, "lab/a.part", 0, free()),
        lambda: there.send_many([(source, "lab/a.part")], free()),
        lambda: there.sizes("lab"),
        lambda: there.settle([]),
    ):
        with pytest.raises(DestinationAway, match="is gone: connect"):
            action()
    assert not list(server.root.iterdir())


def test_an_rclone_that_is_killed_is_started_again(serve: Serve, reach: Any, tmp_path: Path) -> None:
    server = serve(Sftp)
    there = reach(server)
    there.write("a", b"kept")
    daemon_of(there).kill()
    assert there.read("a") == b"kept"
    source = write(tmp_path / "large", LARGE)
    control = free(6e6)
    killed = daemon_of(there)

    def kill() -> None:
        while control.moved < 1_000_000:
            time.sleep(0.01)
        killed.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    digests = there.send(source, "large.part", 0, control)
    killer.join()
    assert daemon_of(there).pid != killed.pid
    assert (server.root / "large.part").read_bytes() == source.read_bytes()
    assert there.compare("large.part", digests, LARGE, free())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends what is in a job: tried on Windows alone")
def test_no_rclone_is_left_when_our_program_is_killed(serve: Serve) -> None:
    server = serve(Sftp)
    code = (
        "import sys, time\n"
        "from multirig.collect.places import open_destination\n"
        "there = open_destination(sys.argv[1]); there.open(None)\n"
        "print(there._remote.daemon._process.pid, there._remote.daemon._where, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, server.text], stdout=subprocess.PIPE) as ours:
        pid, where = ours.stdout.readline().decode().split()
        family = [psutil.Process(int(pid)), *psutil.Process(int(pid)).children(recursive=True)]
        assert any(one.name() == "rclone" for one in family)
        said = [part for one in family for part in one.cmdline()]
        environment = next(one for one in family if one.name() == "rclone").environ()
        assert environment["RCLONE_RC_PASS"] not in " ".join(said)
        assert Path(where).parent.stat().st_mode & 0o077 == 0
        ours.send_signal(signal.SIGKILL)
        gone, left = psutil.wait_procs(family, 5)
    assert not [one for one in left if one.status() != psutil.STATUS_ZOMBIE], gone
    assert not Path(where).parent.exists()


def test_it_is_spoken_to_by_a_port_where_a_system_has_no_other_way() -> None:
    daemon = Daemon(rclone_servers.rclone(), over_tcp=True)
    try:
        assert daemon.call("rc/noop", {"a": 1}) == {"a": 1}
        daemon._password = "guessed"
        with pytest.raises(Said, match="Unauthorized"):
            daemon.call("rc/noop", {})
    finally:
        daemon.close()


NAMES = (
    "ä ö ü.txt",
    "日本語.bin",
    'it\'s "quoted" $HOME `x`.txt',
    "-rf",
    "[brackets] {braces} (round)",
    "100% & more + #1? *.txt",
    "semi;colon, comma=1",
    " leading and trailing ",
    "dots...",
    "~tilde",
    "back\\slash",
    "é as two: e\u0301",
)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")
@pytest.mark.parametrize("kind", [Sftp, WebDav, OpenSsh], ids=lambda kind: kind.name)
def test_any_name_that_the_server_can_hold_is_kept_as_it_is(
    kind: type[Server], serve: Serve, reach: Any, tmp_path: Path
) -> None:
    server = serve(kind)
    there = reach(server)
    sources = [write(tmp_path / name, 10 + number) for number, name in enumerate(NAMES)]
    sent = there.send_many([(source, f"lab x/{source.name}.part") for source in sources], free())
    large = write(tmp_path / "large ' [1] %41 ü", LARGE)
    digests = there.send(large, f"lab x/{large.name}", 0, free())
    assert there.compare(f"lab x/{large.name}", digests, LARGE, free())
    assert there.compare(f"lab x/{large.name}", {"blake2b": digests["blake2b"]}, LARGE, free())
    compared = there.compare_many(
        [
            (f"lab x/{source.name}.part", told, source.stat().st_size)
            for source, told in zip(sources, sent, strict=True)
        ],
        free(),
    )
    assert compared == [True] * len(NAMES)
    assert there.put_many([(f"lab x/{name}.part", f"lab x/{name}") for name in NAMES]) == [None] * len(NAMES)
    expected = {source.name: source.stat().st_size for source in (*sources, large)}
    assert there.sizes("lab x") == expected
    assert {path.name: path.stat().st_size for path in (server.root / "lab x").iterdir()} == expected
    assert there.read("lab x/100% & more + #1? *.txt") == sources[5].read_bytes()


def test_a_name_that_the_server_would_change_is_told(serve: Serve, reach: Any, tmp_path: Path) -> None:
    there = reach(serve(Samba))
    source = write(tmp_path / "a", 10)
    for name, why in {
        "lab/a:b": "has ':'",
        "lab/a?": "has '\\?'",
        "lab/a .": "ends with '.'",
        "lab/folder /a": "ends with a space",
        "lab/\\xff": "is no text",
    }.items():
        with pytest.raises(DestinationError, match=f"its name {why}, which samba:share cannot keep as it is"):
            there.send(source, name, 0, free())
        [error] = there.send_many([(source, name)], free())
        assert isinstance(error, DestinationError)
    assert there.sizes("lab") == {}


@pytest.mark.parametrize("kind", [Sftp, WebDav], ids=lambda kind: kind.name)
def test_a_limit_of_the_bandwidth_holds(kind: type[Server], serve: Serve, reach: Any, tmp_path: Path) -> None:
    there = reach(serve(kind))
    large = write(tmp_path / "large", 6_000_000)
    small = [(write(tmp_path / str(number), 200_000), f"{number}.part") for number in range(15)]
    there.send(large, "warm.part", 0, free())

    def seconds(control: Control) -> float:
        since = time.monotonic()
        there.send(large, "large.part", 0, control)
        there.send_many(small, control)
        return time.monotonic() - since

    quick, slow = seconds(free()), seconds(free(6e6))  # 9 MB
    assert 1.2 < slow < 4 + 2 * quick
    assert quick < slow


@pytest.mark.parametrize("kind", [Sftp, WebDav], ids=lambda kind: kind.name)
def test_it_ends_within_a_second(kind: type[Server], serve: Serve, reach: Any, tmp_path: Path) -> None:
    there = reach(serve(kind))
    large = write(tmp_path / "large", LARGE)
    digests = there.send(large, "there.part", 0, free())
    for action in (
        lambda control: there.send(large, "a.part", 0, control),
        lambda control: there.compare("there.part", {"blake2b": digests["blake2b"]}, LARGE, control),
        lambda control: there.send_many([(write(tmp_path / "small", SMALL), "small.part")] * 9, control),
    ):
        control = free(1e6)
        ended: list[float] = []

        def end(control: Control = control, ended: list[float] = ended) -> None:
            time.sleep(0.4)
            ended.append(time.monotonic())
            control.end()

        ender = threading.Thread(target=end)
        ender.start()
        with pytest.raises(Ended):
            action(control)
        ender.join()
        assert time.monotonic() - ended[0] < 1


def test_it_steps_aside_while_this_pc_records_and_goes_on_where_it_was(
    serve: Serve, reach: Any, tmp_path: Path
) -> None:
    server = serve(Sftp)
    there = reach(server)
    source = write(tmp_path / "large", LARGE)
    is_busy = False
    control = Control(2e6, is_busy=lambda: is_busy)  # some seconds, also where the machine is busy
    result: list[Any] = []
    sender = threading.Thread(target=lambda: result.append(there.send(source, "a.part", 0, control)))
    sender.start()
    while control.moved < 1_000_000:
        time.sleep(0.01)
    is_busy = True
    try:
        while not control.waits:
            time.sleep(0.01)
        sizes = [0]
        while (size := (server.root / "a.part").stat().st_size) - sizes[-1] >= 150_000:
            sizes.append(size)  # what was on its way arrives
            time.sleep(0.7)
        assert control.waits
        assert size < LARGE
    finally:
        is_busy = False
        sender.join(30)
    assert there.compare("a.part", result[0], LARGE, free())
    assert control.moved == LARGE


def test_a_file_that_changes_meanwhile_is_told(
    serve: Serve, reach: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = reach(serve(Sftp))
    source = write(tmp_path / "large", LARGE)
    control = free(2e6)

    def grow() -> None:
        while control.moved < 1_000_000:
            time.sleep(0.01)
        with source.open("ab") as file:
            file.write(b"more")

    grower = threading.Thread(target=grow)
    grower.start()
    with pytest.raises(DestinationError, match=room.CHANGED):
        there.send(source, "a.part", 0, control)
    grower.join()
    with pytest.raises(FileNotFoundError):
        there.send(tmp_path / "gone", "a.part", 0, free())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows lets not everybody make links")
def test_what_a_link_leads_to_is_copied(serve: Serve, reach: Any, tmp_path: Path) -> None:
    server = serve(Sftp)
    there = reach(server)
    (tmp_path / "other disk").mkdir()
    real = write(tmp_path / "other disk/real", LARGE)
    (tmp_path / "folder").symlink_to(tmp_path / "other disk")
    (tmp_path / "folder/linked").symlink_to(real)
    for name in ("real", "linked"):
        there.send(tmp_path / "folder" / name, name, 0, free())
        assert (server.root / name).read_bytes() == real.read_bytes()


def test_what_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", lacks)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match=r'pip install "multirig\[collect\]"'):
        open_destination("labserver:data")


def test_an_rclone_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    rclone_servers.rclone()
    monkeypatch.setattr("multirig.collect.places.rclone_daemon.OLDEST", (99, 0))
    destination = open_destination("labserver:data")
    with pytest.raises(DestinationAway, match="is too old: pip install --upgrade"):
        destination.open(None)
    destination.close()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="open files are counted by /proc")
def test_threads_that_have_ended_leave_nothing_open(serve: Serve, reach: Any) -> None:
    there = reach(serve(Sftp))
    there.write("a/b", b"abc")
    before = open_files()
    for _ in range(5):
        threads = [threading.Thread(target=there.size, args=("a/b",)) for _ in range(6)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert open_files() - before <= 6  # as many as were asked at once


def test_a_connection_that_was_closed_meanwhile_is_not_used_again(serve: Serve, reach: Any) -> None:
    """As rclone closes one over which nothing was said for a minute: a long copy, a recording."""
    there = reach(serve(Sftp))
    there.write("a/b", b"abc")
    for _, connection in there._remote.daemon._idle:
        connection.sock.shutdown(socket.SHUT_RDWR)
    assert there.read("a/b") == b"abc"
