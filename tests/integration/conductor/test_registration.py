from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from multirig.conductor import yaml_file
from multirig.conductor.registration import own_addresses, register
from multirig.conductor.roster import Roster
from multirig.config import Uri

HERE = [Uri("udp", "192.168.1.20", 11001)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "lab" / "remote_rigs.yaml"


def entries(file: Path) -> dict[str, str]:
    return {name: str(entry.uri) for name, entry in Roster.load(file).entries.items()}


def test_a_rig_enters_itself_and_makes_the_file(file: Path) -> None:
    done = register(file, "cameras", HERE)
    assert done.text == f"cameras is entered in {file} at udp://192.168.1.20:11001"
    assert done.is_entered
    assert not done.is_doubtful
    assert entries(file) == {"cameras": "udp://192.168.1.20:11001"}


def test_a_rig_that_is_in_the_file_already_says_so(file: Path) -> None:
    register(file, "cameras", HERE)
    assert (
        register(file, "cameras", HERE).text == f"cameras is in {file} already, at udp://192.168.1.20:11001"
    )


def test_a_rig_that_has_moved_replaces_its_entry_and_says_what_was_there(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("# room 3\ncameras: udp://10.0.0.5   # by the door\nephys: udp://10.0.0.6\n")
    assert register(file, "cameras", HERE).text == (
        f"cameras is entered in {file} at udp://192.168.1.20:11001; until now it was there at udp://10.0.0.5:11001"
    )
    assert file.read_text().splitlines() == [
        "# room 3",
        "cameras: udp://192.168.1.20:11001   # by the door",
        "ephys: udp://10.0.0.6",
    ]


def test_what_is_published_with_a_warning_says_both(file: Path) -> None:
    done = register(file, "cameras", HERE, "127.0.0.1")
    assert done.is_entered
    assert done.is_doubtful
    assert done.text.startswith(f"cameras is entered in {file} at udp://127.0.0.1:11001: ")


def test_what_is_not_published_leaves_no_file(file: Path) -> None:
    done = register(file, "cameras", [Uri("udp", "127.0.0.1", 11001)])
    assert done.text.startswith(
        f"cameras is not entered in {file}: the rig listens at udp://127.0.0.1:11001, "
    )
    assert not done.is_entered
    assert not file.parent.exists()


def test_a_lock_that_is_held_is_told_in_one_line(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_file, "LOCK_SECONDS", 0.05)
    file.parent.mkdir()
    with FileLock(f"{file}.lock"):
        done = register(file, "cameras", HERE)
    assert not done.is_entered
    assert done.is_doubtful
    assert done.text.startswith("cameras is not entered in the rigs file: ")
    assert "another program has held" in done.text
    assert len(done.text.splitlines()) == 1


def test_a_file_with_a_mistake_in_it_is_left_alone_and_told(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("cameras: [1, 2]\n")
    assert not register(file, "cameras", HERE).is_entered
    assert file.read_text() == "cameras: [1, 2]\n"


def test_this_pcs_own_addresses_hold_no_loopback() -> None:
    assert not any(address.startswith("127.") or address == "::1" for address in own_addresses())


def test_a_card_that_is_down_is_no_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    stats = psutil.net_if_stats()
    monkeypatch.setattr(
        psutil,
        "net_if_stats",
        lambda: {name: one._replace(isup=False) for name, one in stats.items()},
    )
    assert own_addresses() == {}


def test_twenty_rigs_that_register_at_once_leave_twenty_entries_and_a_file_that_is_always_whole(
    file: Path,
) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from multirig.conductor.registration import register\n"
        "from multirig.config import Uri\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"  # all at once
        "uri = Uri('udp', sys.argv[3], 11001)\n"
        "sys.exit(0 if register(Path(sys.argv[1]), sys.argv[2], [uri]).is_entered else 1)\n"
    )
    pipe = subprocess.PIPE
    rigs = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(file), f"rig:{number}", f"10.0.0.{number}"],
            stdin=pipe,
            stdout=pipe,
            text=True,
        )
        for number in range(1, 21)
    ]
    try:
        for rig in rigs:
            assert rig.stdout is not None
            assert rig.stdout.readline() == "ready\n"
        for rig in rigs:
            assert rig.stdin is not None
            rig.stdin.write("go\n")
            rig.stdin.flush()
        seen = [0]
        while any(rig.poll() is None for rig in rigs):
            seen.append(len(entries(file)))  # a file that is not whole would raise
        assert [rig.wait(timeout=60) for rig in rigs] == [0] * 20
    finally:
        for rig in rigs:
            if rig.poll() is None:
                rig.kill()
            rig.communicate()
    assert entries(file) == {f"rig:{number}": f"udp://10.0.0.{number}:11001" for number in range(1, 21)}
    assert seen == sorted(seen), "an entry had vanished"
