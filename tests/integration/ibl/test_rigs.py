"""iblrig.net's functions about rigs: the rigs file, a rig's own address, the keyboard."""

from __future__ import annotations

import asyncio
import io
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

import multirig
from multirig.errors import ConfigError, MultirigError
from multirig.ibl.net import rigs
from multirig.ibl.net.rigs import (
    ExpInfo,
    check_uri_match,
    get_remote_devices,
    get_remote_devices_file,
    get_server_communicator,
    read_stdin,
    rigs_file_for,
)


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The rigs file of a PC without settings; it is not there yet."""
    monkeypatch.setenv("MULTIRIG_SETTINGS", str(tmp_path / "settings"))
    monkeypatch.setenv("MULTIRIG_RIGS", str(tmp_path / "rigs.yaml"))
    return tmp_path / "rigs.yaml"


@pytest.fixture
def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


# -- the file ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [None, {}, {"iblrig_remote_data_path": None}])
def test_without_a_lab_folder_the_lab_has_no_file_and_multirigs_own_is_used(
    file: Path, settings: Any
) -> None:
    file.write_text("cameras: 192.168.1.20\n")
    assert get_remote_devices_file(settings) is None
    assert rigs_file_for(settings) == file
    assert get_remote_devices(iblrig_settings=settings) == {"cameras": "udp://192.168.1.20:11001"}


def test_a_file_or_its_folder_may_be_named(tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    lab.mkdir()
    (lab / "remote_devices.yaml").write_text("ephys: 192.168.1.21\n")
    (lab / "other.yaml").write_text("cameras: 192.168.1.20\n")
    assert get_remote_devices(lab) == {"ephys": "udp://192.168.1.21:11001"}
    assert get_remote_devices(str(lab / "other.yaml")) == {"cameras": "udp://192.168.1.20:11001"}
    assert get_remote_devices(remote_devices_file=tmp_path / "missing.yaml") == {}


@pytest.mark.parametrize("name", ["remote_rigs.yaml", "remote_devices.yaml"])
def test_with_a_lab_folder_it_is_the_labs_file_under_either_name(tmp_path: Path, name: str) -> None:
    lab = tmp_path / "lab"
    settings = {"iblrig_remote_data_path": str(lab)}
    assert get_remote_devices_file(settings) == rigs_file_for(settings) == lab / "remote_rigs.yaml"
    lab.mkdir()
    (lab / name).touch()
    assert get_remote_devices_file(settings) == lab / name


def test_the_lab_folder_is_also_read_from_the_settings_file(tmp_path: Path) -> None:
    folder = tmp_path / "settings"
    folder.mkdir()
    lab = tmp_path / "lab"
    (folder / "iblrig_settings.yaml").write_text(yaml.safe_dump({"iblrig_remote_data_path": str(lab)}))
    assert get_remote_devices_file() == lab / "remote_rigs.yaml"


@pytest.mark.parametrize("text", [None, "", "# no rigs yet\n", "{}\n"])
def test_a_missing_or_empty_file_is_an_empty_map(file: Path, text: str | None) -> None:
    if text is not None:
        file.write_text(text)
    assert get_remote_devices() == {}


def test_addresses_are_completed(file: Path) -> None:
    file.write_text("cameras:left: 192.168.1.20\nephys: {uri: 'tcp://EPHYS_PC:9998'}\n")
    assert get_remote_devices() == {
        "cameras:left": "udp://192.168.1.20:11001",
        "ephys": "tcp://ephys_pc:9998",
    }


def test_a_mistake_in_the_file_is_one_line_that_names_it(file: Path) -> None:
    file.write_text("- cameras\n")
    with pytest.raises(ConfigError, match=str(file)):
        get_remote_devices()


# -- a rig's own address -------------------------------------------------------------------------------------


@dataclass
class Listener:
    """What of a communicator is looked at."""

    server_uri: str
    name: str = "cameras"


HERE = Listener("udp://192.168.1.20:11001")


async def matches(com: Any, update: bool | None = None) -> bool:
    same, match = await check_uri_match(com, update)
    assert same is com
    return match


async def test_an_address_that_is_in_the_file_matches(file: Any) -> None:
    file.write_text("cameras: 192.168.1.20\n")
    assert await matches(HERE, False)
    assert file.read_text() == "cameras: 192.168.1.20\n"


async def test_a_name_that_means_the_address_matches(file: Any) -> None:
    file.write_text("cameras: localhost\n")
    assert await matches(Listener("udp://127.0.0.1:11001"), False)


async def test_who_listens_everywhere_is_heard_at_each_address_of_its_pc(file: Any) -> None:
    file.write_text("cameras: 127.0.0.1\n")
    assert await matches(Listener("udp://0.0.0.0:11001"), False)


@pytest.mark.parametrize("other", ["192.168.1.21", "192.168.1.20:9998", "tcp://192.168.1.20"])
async def test_another_address_is_warned_of_and_left_if_nothing_shall_be_changed(
    file: Any, caplog: pytest.LogCaptureFixture, other: str
) -> None:
    file.write_text(f"cameras: {other}\n")
    assert not await matches(HERE, False)
    assert file.read_text() == f"cameras: {other}\n"
    [warning] = caplog.messages
    assert "but it listens at udp://192.168.1.20:11001" in warning


@pytest.mark.parametrize("update", [True, None])
async def test_another_address_is_corrected_and_the_rest_of_the_file_kept(
    file: Any, update: bool | None
) -> None:
    file.write_text("# room 3\ncameras: 192.168.1.21\nephys: 192.168.1.22\n")
    assert await matches(HERE, update)
    assert file.read_text() == "# room 3\ncameras: udp://192.168.1.20:11001\nephys: 192.168.1.22\n"


async def test_a_new_rig_is_added_to_an_empty_file(file: Any) -> None:
    file.touch()
    assert await matches(HERE)
    assert get_remote_devices() == {"cameras": "udp://192.168.1.20:11001"}


async def test_without_a_file_nothing_is_written_unless_it_must(file: Any) -> None:
    assert not await matches(HERE)
    assert not await matches(HERE, False)
    with pytest.raises(FileNotFoundError, match="multirig rigs add cameras udp://192") as caught:
        await matches(HERE, True)
    assert isinstance(caught.value, MultirigError)
    assert not file.exists()


async def test_a_loopback_address_is_entered_with_a_warning(
    file: Any, caplog: pytest.LogCaptureFixture
) -> None:
    file.touch()
    assert await matches(Listener("udp://127.0.0.1:11001"))
    assert "only programs on this PC reach it" in caplog.text


async def test_an_address_that_cannot_be_known_is_not_entered_and_warned_of(
    file: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "multirig.conductor.registration.own_addresses", lambda: {"10.0.0.1": "one", "10.0.0.2": "two"}
    )
    file.touch()
    assert not await matches(Listener("udp://0.0.0.0:11001"))
    assert get_remote_devices() == {}
    assert "10.0.0.1 (one) and 10.0.0.2 (two)" in caplog.text


async def test_communicators_that_register_at_once_are_all_entered(file: Any) -> None:
    file.touch()
    coms = [Listener(f"udp://10.0.0.{number}:11001", f"rig:{number}") for number in range(1, 21)]
    assert all(await asyncio.gather(*map(matches, coms)))
    assert get_remote_devices() == {com.name: com.server_uri for com in coms}


# -- a communicator ------------------------------------------------------------------------------------------


async def test_no_communicator_is_made_where_none_is_wanted() -> None:
    assert await get_server_communicator(False, "cameras") == (None, False)


async def test_a_communicator_listens_where_it_is_told_and_is_entered(file: Any, free_port: int) -> None:
    file.touch()
    com, match = await get_server_communicator(f"udp://127.0.0.1:{free_port}", "cameras")
    assert com is not None
    try:
        assert match
        assert get_remote_devices() == {"cameras": f"udp://127.0.0.1:{free_port}"}
        assert await check_uri_match(com, False) == (com, True)
    finally:
        com.close()
        await com.wait_closed()


@pytest.mark.parametrize("wanted", [None, True, ""])
@pytest.mark.parametrize(
    ("own", "host"),
    [
        ({"127.0.0.9": "loop"}, "0.0.0.0"),
        ({"192.168.1.20": "one"}, "192.168.1.20"),
        ({"10.0.0.1": "one", "10.0.0.2": "two"}, "0.0.0.0"),
    ],
)
async def test_without_an_address_it_listens_at_its_pcs_only_one_or_at_all(
    monkeypatch: pytest.MonkeyPatch, wanted: Any, own: dict[str, str], host: str
) -> None:
    from multirig.ibl.net import app

    asked: list[str] = []

    async def server(uri: str, name: str) -> Listener:
        asked.append(uri)
        return Listener(uri, name)

    monkeypatch.setattr(app.EchoProtocol, "server", server)
    monkeypatch.setattr(rigs, "own_addresses", lambda: own)
    await get_server_communicator(wanted, "cameras")
    assert asked == [f"udp://{host}:11001"]


# -- the keyboard --------------------------------------------------------------------------------------------

READER = """
import asyncio, sys
from multirig.ibl.net.rigs import read_stdin

async def main():
    async for line in read_stdin():
        print(repr(line), flush=True)
        if line.startswith("quit"):
            break
    print("end", flush=True)

asyncio.run(main())
"""


def start_reader() -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", READER], stdin=pipe, stdout=pipe, text=True)


def test_lines_are_read_until_the_keyboard_is_closed() -> None:
    out, _ = start_reader().communicate("start SP_01\n\nlast", timeout=30)
    assert out.splitlines() == [r"'start SP_01\n'", r"'\n'", "'last'", "end"]


def test_a_process_ends_without_another_key() -> None:
    with start_reader() as reader:
        assert reader.stdin is not None
        reader.stdin.write("quit\n")
        reader.stdin.flush()
        assert reader.wait(30) == 0


async def test_without_a_console_there_is_nothing_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert [line async for line in read_stdin()] == []


async def test_a_loop_may_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("stop\nquit\n"))
    assert [line async for line in read_stdin(asyncio.get_running_loop())] == ["stop\n", "quit\n"]


# -- what is told of an experiment ---------------------------------------------------------------------------


def test_the_information_of_an_experiment_holds_iblrigs_keys() -> None:
    assert ExpInfo(exp_ref="2024-05-06_1_SP_01", main_sync=True).to_dict() == {
        "exp_ref": "2024-05-06_1_SP_01",
        "main_sync": True,
        "experiment_description": {},
        "master": False,
        "rig_version": multirig.__version__,
        "spec_version": "1.0.0",
    }


def test_two_experiments_do_not_share_a_description() -> None:
    one, two = ExpInfo(None, False), ExpInfo(None, False)
    one.experiment_description["devices"] = {}
    assert two.experiment_description == {}
