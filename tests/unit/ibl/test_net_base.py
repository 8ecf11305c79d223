from __future__ import annotations

import datetime
import ipaddress
import subprocess
import sys
from typing import Any

import pytest

from multirig.ibl.net.base import (
    Communicator,
    ExpMessage,
    ExpStatus,
    Service,
    is_valid_ip,
    validate_uri,
)

ALL = ("EXPINIT", "EXPSTART", "EXPEND", "EXPCLEANUP", "EXPINTERRUPT", "EXPSTATUS", "EXPINFO", "ALYX")


class Said(Service):
    """Returns what it would send."""

    def init(self, data: Any = None) -> Any:
        return super().init(data)

    def start(self, exp_ref: Any, data: Any = None) -> Any:
        return super().start(exp_ref, data)

    def stop(self, data: Any = None, immediately: bool = False) -> Any:
        return super().stop(data, immediately)

    def status(self, status: Any) -> Any:
        return super().status(status)

    def info(self, status: Any, data: Any = None) -> Any:
        return super().info(status, data)

    def cleanup(self, data: Any = None) -> Any:
        return super().cleanup(data)

    def alyx(self, alyx: Any) -> Any:
        return super().alyx(alyx)


class Ear(Communicator, Said):
    """Hears, and sends nothing."""

    is_connected = False

    def send(self, data: Any, addr: Any = None) -> None:
        raise NotImplementedError


class LoggedIn:
    base_url, user, is_logged_in = "https://alyx.example.org", "sara", True
    _token = {"token": "abc"}  # noqa: RUF012


# -- messages ------------------------------------------------------------------------------------------------


def test_the_numbers_of_the_events_are_ibls() -> None:
    assert [int(ExpMessage[name]) for name in ALL] == [1, 2, 4, 8, 16, 32, 64, 128]
    assert int(ExpMessage.any()) == 255
    assert [int(one) for one in ExpStatus] == [0, 10, 20, 30]


@pytest.mark.parametrize("event", ["EXPSTART", " expstart ", 2, ExpMessage.EXPSTART])
def test_an_event_is_read_by_name_or_number(event: Any) -> None:
    assert ExpMessage.validate(event) is ExpMessage.EXPSTART


@pytest.mark.parametrize("event", [True, 2.0, None, [2], b"EXPSTART"])
def test_what_is_neither_name_nor_number_is_a_type_error(event: Any) -> None:
    with pytest.raises(TypeError):
        ExpMessage.validate(event)


@pytest.mark.parametrize("event", ["NONSENSE", "", -1, 256, 1 << 40])
def test_what_means_nothing_is_a_value_error(event: Any) -> None:
    with pytest.raises(ValueError, match="known: EXPINIT"):
        ExpMessage.validate(event)


@pytest.mark.parametrize("event", [3, 0, ExpMessage.EXPEND | ExpMessage.EXPINTERRUPT, ExpMessage.any()])
def test_several_events_or_none_cannot_be_sent(event: Any) -> None:
    assert ExpMessage.validate(event) == event
    with pytest.raises(ValueError, match="one event"):
        ExpMessage.validate(event, allow_bitwise=False)


def test_several_events_are_iterated_one_by_one() -> None:
    both = ExpMessage.EXPEND | ExpMessage.EXPINTERRUPT
    assert list(ExpMessage.validate(both)) == [ExpMessage.EXPEND, ExpMessage.EXPINTERRUPT]
    assert len(list(ExpMessage.any())) == 8
    assert ExpMessage.ALYX not in list(ExpMessage.validate(~ExpMessage.ALYX))
    assert len(list(ExpMessage.validate(~ExpMessage.ALYX))) == 7


def test_what_a_service_says_is_ibls_message() -> None:
    said = Said()
    reference = {"subject": "SP_01", "date": datetime.date(2024, 5, 6), "sequence": "002"}
    assert said.init() == (1, None)
    assert said.start(reference, {"k": 1}) == (2, "2024-05-06_2_SP_01", {"k": 1})
    assert said.start("2024-05-06_2_SP_01") == (2, "2024-05-06_2_SP_01", None)
    assert said.start(None) == said.start({}) == (2, None, None)
    assert said.stop() == (4, None)
    assert said.stop({"error": "X"}, immediately=True) == (16, {"error": "X"})
    assert said.cleanup() == (8, None)
    assert said.status("RUNNING") == said.status(20) == said.status(ExpStatus.RUNNING) == (32, 20)
    assert said.info("CONNECTED", {"main_sync": False}) == (64, 0, {"main_sync": False})
    assert said.alyx(LoggedIn()) == (128, "https://alyx.example.org", {"sara": {"token": "abc"}})
    assert said.alyx(None) == (128, None, {})


@pytest.mark.parametrize("status", ["NONSENSE", 5])
def test_an_unknown_status_is_a_value_error(status: Any) -> None:
    with pytest.raises(ValueError, match=r"5|NONSENSE"):
        Said().status(status)


# -- addresses -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        ("192.168.0.1", "udp://192.168.0.1:11001"),
        ("192.168.0.1:99", "udp://192.168.0.1:99"),
        ("tcp://192.168.0.1", "tcp://192.168.0.1:11001"),
        ("ws://192.168.0.1:8/", "ws://192.168.0.1:8"),
        (ipaddress.ip_address("192.168.0.1"), "udp://192.168.0.1:11001"),
        (ipaddress.ip_address("::1"), "udp://[::1]:11001"),
        ("::1", "udp://[::1]:11001"),
        ("udp://[::1]:99", "udp://[::1]:99"),
        ("192.168.0.1:", "udp://192.168.0.1:11001"),
    ],
)
def test_an_address_gets_all_of_its_parts(given: Any, whole: str) -> None:
    assert validate_uri(given) == whole


def test_the_parts_that_are_left_out_may_be_said() -> None:
    assert validate_uri("192.168.0.1", default_port="9998", default_proc="ws") == "ws://192.168.0.1:9998"


@pytest.mark.parametrize("name", ["cam-pc", "CAM_PC", "cam.lab.example.org"])
def test_a_name_may_stay_a_name(name: str) -> None:
    assert validate_uri(f"udp://{name}:99", resolve_host=False) == f"udp://{name.lower()}:99"


def test_a_name_becomes_the_address_of_its_computer() -> None:
    assert validate_uri("localhost") == "udp://127.0.0.1:11001"
    with pytest.raises(ValueError, match="not known on this network"):
        validate_uri("no-such-host.invalid")


@pytest.mark.parametrize(
    "uri", ["udp://192.168.0.1:0", "192.168.0.1:70000", "host:x", "a b", "[::1", "1.2.3.4:-1"]
)
def test_a_bad_host_or_port_is_a_value_error(uri: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        validate_uri(uri, resolve_host=False)


def test_a_bad_default_port_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="65535"):
        validate_uri("192.168.0.1", default_port=0)


@pytest.mark.parametrize("uri", [None, 11001, b"localhost", ("localhost", 1)])
def test_what_is_no_address_is_a_type_error(uri: Any) -> None:
    with pytest.raises(TypeError):
        validate_uri(uri)


def test_an_ip_address_is_told_from_a_name() -> None:
    assert is_valid_ip("10.0.0.1")
    assert is_valid_ip("::1")
    assert not is_valid_ip("cam-pc")


# -- a communicator ------------------------------------------------------------------------------------------


def test_a_communicator_knows_the_parts_of_its_address() -> None:
    ear = Ear("ws://[::1]:99", name="cam")
    assert (ear.name, ear.hostname, ear.port, ear.protocol) == ("cam", "::1", 99, "ws")


def test_every_callback_is_called_though_one_raises() -> None:
    ear, heard = Ear("127.0.0.1"), []
    ear.assign_callback("EXPSTART", lambda data, addr: 1 / 0)
    ear.assign_callback("EXPSTART", lambda *args: heard.append(args))
    ear.assign_callback(ExpMessage.any(), lambda *args: heard.append(args))
    errors = ear.listeners.call(ExpMessage.EXPSTART, ["ref", None], ("127.0.0.1", 9), ear.logger)
    assert [type(one) for one in errors] == [ZeroDivisionError]
    both = (["ref", None], ("127.0.0.1", 9))
    assert heard == [both, (*both, ExpMessage.EXPSTART)]


def test_the_null_event_has_its_own_listeners() -> None:
    ear, heard = Ear("127.0.0.1"), []
    ear.assign_callback(ExpMessage(0), lambda data, addr: heard.append(data))
    ear.listeners.call(ExpMessage(0), ["ValueError: boom", 2], ("127.0.0.1", 9), ear.logger)
    assert heard == [["ValueError: boom", 2]]
    assert ear.clear_callbacks(0) == 1


def test_callbacks_are_taken_back_and_counted() -> None:
    ear = Ear("127.0.0.1")
    one, other = (lambda *_: None), (lambda *_: None)
    ear.assign_callback(ExpMessage.EXPEND | ExpMessage.EXPINTERRUPT, one)
    ear.assign_callback("EXPEND", other)
    assert ear.clear_callbacks("EXPEND", one) == 1
    assert ear.clear_callbacks(ExpMessage.any()) == 2


def test_what_is_neither_callable_nor_future_is_refused() -> None:
    with pytest.raises(TypeError, match="callable"):
        Ear("127.0.0.1").assign_callback("EXPEND", "print")


@pytest.mark.parametrize(
    ("data", "wire"),
    [
        (b"x", b"x"),
        ("x", b"x"),
        ([1, None], b"[1, null]"),
        ((ExpMessage.EXPSTATUS, ExpStatus.RUNNING), b"[32, 20]"),
        ([float("nan"), datetime.date(2024, 5, 6)], b'[null, "2024-05-06"]'),
    ],
)
def test_data_is_written_as_json_that_everybody_reads(data: Any, wire: bytes) -> None:
    assert Communicator.encode(data) == wire


def test_data_that_json_cannot_carry_is_named() -> None:
    with pytest.raises(ValueError, match=r"\[1\]\.k holds a object"):
        Communicator.encode([1, {"k": object()}])


def test_what_is_no_json_is_read_as_text() -> None:
    assert Communicator.decode(b'[1, {"a": 2}]') == [1, {"a": 2}]
    with pytest.warns(UserWarning, match="no JSON"):
        assert Communicator.decode(b"hello") == "hello"
    with pytest.raises(RuntimeError, match="UTF-8"):
        Communicator.decode(b"\xff\xfe")


def test_importing_the_names_loads_nothing_heavy() -> None:
    program = """
import sys
from multirig.ibl import net
net.base.ExpMessage, net.app.EchoProtocol, net.EchoProtocol, net.get_remote_devices, net.update_alyx_token
heavy = {"pandas", "one", "iblutil", "numpy", "requests"} & set(sys.modules)
assert not heavy, heavy
assert set(net.__all__) <= set(dir(net))
assert [getattr(net, name) for name in net.__all__]
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
