from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from multirig.errors import ConfigError, MultirigError, SessionFailed
from multirig.ibl.auxiliaries import Auxiliaries
from multirig.ibl.errors import AlyxTokenNotAllowed, NotAllAnswered
from multirig.ibl.net.base import ExpMessage

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


@pytest.fixture
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    ours = {one for one in set(threading.enumerate()) - before if one.name.startswith("multirig")}
    assert not ours


class Opened:
    """Auxiliaries that are closed at the end of the test."""

    def __init__(self) -> None:
        self.all: list[Auxiliaries] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Auxiliaries:
        self.all.append(Auxiliaries(*args, **kwargs))
        return self.all[-1]


@pytest.fixture
def connect() -> Iterator[Opened]:
    opened = Opened()
    yield opened
    for one in opened.all:
        one.close()


@pytest.mark.parametrize("message", ["EXPINFO", "expinfo", 64, ExpMessage.EXPINFO])
def test_a_pushed_message_brings_each_rigs_response(rigs: Any, connect: Any, message: Any) -> None:
    auxiliaries = connect({name: rigs.add(name) for name in ("left", "right")})
    responses = auxiliaries.push(message, "CONNECTED", {"subject": "SP_01"}, wait=True)
    assert list(responses) == ["left", "right"]
    assert {name: data["name"] for name, (_, data) in responses.items()} == {"left": "left", "right": "right"}


def test_iblutils_own_enumeration_is_understood(rigs: Any, connect: Any, needs_iblutil: None) -> None:
    from iblutil.io.net.base import ExpMessage as Foreign

    auxiliaries = connect({"left": rigs.add("left")})
    assert list(auxiliaries.push(Foreign.EXPINFO, 0, {}, wait=True)) == ["left"]


def test_without_waiting_a_key_brings_the_responses_later(rigs: Any, connect: Any) -> None:
    auxiliaries = connect({"left": rigs.add("left")})
    key = auxiliaries.push("EXPINFO", 0, {})
    assert list(auxiliaries.result(key)) == ["left"]
    with pytest.raises(ConfigError, match="fetched already"):
        auxiliaries.result(key)


def test_what_is_no_message_is_refused_at_once(rigs: Any, connect: Any) -> None:
    auxiliaries = connect({"left": rigs.add("left")})
    with pytest.raises(ValueError, match="NONSENSE"):
        auxiliaries.push("NONSENSE")
    with pytest.raises(TypeError):
        auxiliaries.push(2.5)
    with pytest.raises(ValueError, match=r"[Cc]ompound|several|one event"):
        auxiliaries.push(3)


def test_a_queue_that_is_cleared_sends_nothing_more(rigs: Any, connect: Any) -> None:
    auxiliaries = connect({"slow": rigs.add("slow")}, limit=1.0)
    held = threading.Event()
    loop = auxiliaries._thread._loop
    loop.call_soon_threadsafe(held.wait, 5.0)
    keys = [auxiliaries.push("EXPSTATUS", 0) for _ in range(3)]
    assert auxiliaries.clear_message_queue() == 3
    held.set()
    with pytest.raises(ConfigError):
        auxiliaries.result(keys[0])
    assert list(auxiliaries.push("EXPINFO", 0, {}, wait=True)) == ["slow"]


def test_two_instances_know_nothing_of_each_other(rigs: Any, connect: Any) -> None:
    first, second = connect({"left": rigs.add("left")}), connect({"right": rigs.add("right")})
    first.close()
    assert not first.is_running
    assert list(second.push("EXPINFO", 0, {}, wait=True)) == ["right"]
    with pytest.raises(MultirigError, match="no rig is connected"):
        first.push("EXPINFO", 0, {})


def test_without_rigs_nothing_runs_and_it_says_so() -> None:
    auxiliaries = Auxiliaries({})
    assert not auxiliaries.is_running
    assert not auxiliaries.is_connected
    with pytest.raises(MultirigError, match="--remote"):
        auxiliaries.push("EXPINFO")
    auxiliaries.close()


def test_a_rig_that_is_off_is_named_at_once_and_counts_as_not_connected(rigs: Any, connect: Any) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        nobody = f"udp://127.0.0.1:{one.getsockname()[1]}"
    auxiliaries = connect({"left": rigs.add("left"), "off": nobody})
    assert auxiliaries.is_connected
    began = time.perf_counter()
    with pytest.raises(SessionFailed, match="off") as caught:
        auxiliaries.push("EXPINFO", 0, {}, wait=True)
    assert list(caught.value.causes) == ["off"]
    assert time.perf_counter() - began < auxiliaries.limit
    assert not auxiliaries.is_connected
    assert auxiliaries.services["left"].is_connected
    assert not auxiliaries.services["off"].is_connected


def test_a_name_that_is_not_known_on_the_network_is_an_error_when_connecting() -> None:
    with pytest.raises(SessionFailed, match="cameras"):
        Auxiliaries({"cameras": "udp://no-such-host.invalid"})


def test_who_does_not_answer_in_time_is_named_in_a_timeout(connect: Any) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        auxiliaries = connect({"deaf": f"udp://127.0.0.1:{deaf.getsockname()[1]}"}, limit=0.1)
        with pytest.raises(NotAllAnswered, match="deaf") as caught:
            auxiliaries.push("EXPINFO", 0, {}, wait=True)
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value, asyncio.TimeoutError)
    assert isinstance(caught.value, RuntimeError)


# -- callbacks -----------------------------------------------------------------------------------------


def test_a_callback_hears_responses_with_their_data_and_address(rigs: Any, connect: Any) -> None:
    auxiliaries = connect({"left": rigs.add("left")})
    heard: list[Any] = []
    auxiliaries.services.assign_callback("EXPINFO", lambda *args: heard.append(args))
    auxiliaries.push("EXPINFO", 0, {}, wait=True)
    ((data, address),) = heard
    assert data[1]["name"] == "left"
    assert address == (auxiliaries.services["left"].hostname, auxiliaries.services["left"].port)


def test_a_callback_may_ask_for_the_service_and_for_several_events(rigs: Any, connect: Any) -> None:
    auxiliaries = connect({"left": rigs.add("left")})
    heard: list[Any] = []
    both = ExpMessage.EXPINFO | ExpMessage.EXPSTATUS
    auxiliaries.services.assign_callback(both, lambda *args: heard.append(args[2:]), return_service=True)
    auxiliaries.push("EXPINFO", 0, {}, wait=True)
    auxiliaries.push("EXPSTATUS", 0, wait=True)
    assert [event for event, _ in heard] == [ExpMessage.EXPINFO, ExpMessage.EXPSTATUS]
    assert {service.name for _, service in heard} == {"left"}


@pytest.mark.parametrize("kind", [concurrent.futures.Future, None])
def test_a_future_is_resolved_once(rigs: Any, connect: Any, kind: Any) -> None:
    auxiliaries = connect({"left": rigs.add("left")})
    loop = asyncio.new_event_loop()
    future: Any = kind() if kind else loop.create_future()
    auxiliaries.services.assign_callback("EXPINFO", future)
    auxiliaries.push("EXPINFO", 0, {}, wait=True)
    auxiliaries.push("EXPINFO", 0, {}, wait=True)
    data, _ = future.result(5) if kind else loop.run_until_complete(future)
    loop.close()
    assert data[1]["name"] == "left"


def test_what_is_neither_callable_nor_future_is_refused(rigs: Any, connect: Any) -> None:
    auxiliaries = connect({"left": rigs.add("left")})
    with pytest.raises(TypeError, match="callable"):
        auxiliaries.services.assign_callback("EXPINFO", "print")


def test_callbacks_are_taken_back_one_by_one_and_all_at_once(rigs: Any, connect: Any) -> None:
    auxiliaries = connect({"left": rigs.add("left")})
    heard: list[str] = []
    first, second = (lambda *_: heard.append("first")), (lambda *_: heard.append("second"))
    for one in (first, second):
        auxiliaries.services.assign_callback("EXPINFO", one)
    assert auxiliaries.services.clear_callbacks("EXPINFO", first) == {"left": 1}
    auxiliaries.push("EXPINFO", 0, {}, wait=True)
    assert auxiliaries.services.clear_callbacks("EXPINFO") == {"left": 1}
    auxiliaries.push("EXPINFO", 0, {}, wait=True)
    assert heard == ["second"]


def test_a_callback_that_raises_is_told_at_both_ends_and_keeps_nobody_from_hearing(
    rigs: Any, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    auxiliaries = connect({"left": rigs.add("left")})
    heard: list[Any] = []

    def fail(data: Any, addr: Any) -> None:
        raise ValueError("boom")

    auxiliaries.services.assign_callback("EXPINFO", fail)
    auxiliaries.services.assign_callback("EXPINFO", lambda *args: heard.append(args))
    with caplog.at_level(logging.WARNING):
        assert list(auxiliaries.push("EXPINFO", 0, {}, wait=True)) == ["left"]
        rigs.until(lambda: "could not handle EXPINFO: ValueError: boom" in caplog.text)
    assert len(heard) == 1
    ours = [one.message for one in caplog.records if one.name == "multirig.ibl"]
    assert any("fail on EXPINFO of left failed: ValueError: boom" in one for one in ours)
    assert any(one.name == "multirig.rig" for one in caplog.records)


def test_an_iblutil_rig_hears_of_a_callback_that_raises(rigs: Any, connect: Any, needs_iblutil: None) -> None:
    auxiliaries = connect({"left": rigs.add_iblutil("left")})
    errors: list[Any] = []
    rigs.foreign["left"].assign_callback(0, lambda data, addr: errors.append(data))

    def fail(data: Any, addr: Any) -> None:
        raise ValueError("boom")

    auxiliaries.services.assign_callback("EXPSTATUS", fail)
    auxiliaries.push("EXPSTATUS", 20, wait=True)
    rigs.until(lambda: errors)
    assert errors == [["ValueError: boom", 32]]


def test_a_callback_may_itself_talk_to_the_rigs(rigs: Any, connect: Any) -> None:
    auxiliaries = connect({"left": rigs.add("left")})
    answers: list[Any] = []
    auxiliaries.services.assign_callback(
        "EXPINFO", lambda *_: answers.append(auxiliaries.push("EXPSTATUS", 0, wait=True))
    )
    auxiliaries.push("EXPINFO", 0, {}, wait=True)
    rigs.until(lambda: answers)
    assert list(answers[0]) == ["left"]


def test_what_a_rig_says_by_itself_is_heard(rigs: Any, connect: Any, needs_iblutil: None) -> None:
    auxiliaries = connect({"left": rigs.add_iblutil("left")})
    heard: list[Any] = []
    auxiliaries.services.assign_callback("EXPINTERRUPT", lambda data, addr: heard.append(data))
    where: list[Any] = []
    rigs.foreign["left"].assign_callback("EXPINFO", lambda data, addr: where.append(addr))
    auxiliaries.push("EXPINFO", 0, {}, wait=True)
    rigs.until(lambda: not rigs.foreign["left"].awaiting_response())  # of two at once it loses one: W1
    rigs.do(rigs.foreign["left"].stop({"why": "the disk is full"}, immediately=True, addr=where[0]))
    rigs.until(lambda: heard)
    assert heard == [[{"why": "the disk is full"}]]


# -- the session and its end ---------------------------------------------------------------------------


def test_steps_are_taken_by_pushing_their_events(rigs: Any, connect: Any, today: Any) -> None:
    auxiliaries = connect({"main": rigs.add("main", main_sync=True), "left": rigs.add("left")})
    exp_ref, information = auxiliaries.agree("SP_01")
    assert str(exp_ref) == f"{today}_1_SP_01"
    assert information["main"].main_sync is True
    seen = []
    for event in ("EXPINIT", "EXPSTART", "EXPEND", "EXPCLEANUP"):
        auxiliaries.push(event, wait=True)
        seen.append(rigs.states())
    assert seen == [
        {"initialised"},
        {"recording"} if "recording" in seen[1] else {"running"},
        {"stopped"},
        {"connected"},
    ]


def test_a_step_that_fails_is_rolled_back_on_all(rigs: Any, connect: Any) -> None:
    auxiliaries = connect(
        {
            "main": rigs.add("main", main_sync=True),
            "left": rigs.add("left", fake={"fail": {"start": "no light"}}),
        }
    )
    auxiliaries.agree("SP_01")
    auxiliaries.push("EXPINIT", wait=True)
    with pytest.raises(SessionFailed, match="no light") as caught:
        auxiliaries.push("EXPSTART", wait=True)
    assert list(caught.value.causes) == ["left"]
    assert rigs.states() == {"connected"}


def test_an_interrupt_overtakes_what_is_going_on(rigs: Any, connect: Any) -> None:
    auxiliaries = connect({"main": rigs.add("main", main_sync=True, fake={"delay": {"start": 8.0}})})
    auxiliaries.agree("SP_01")
    auxiliaries.push("EXPINIT", wait=True)
    key = auxiliaries.push("EXPSTART")
    rigs.until(lambda: rigs.state("main") == "starting")
    auxiliaries.push("EXPINTERRUPT", {"error": "Enough", "message": "enough"}, wait=True)
    with pytest.raises(SessionFailed, match="interrupted"):
        auxiliaries.result(key)
    assert rigs.state("main") == "stopped"


@pytest.mark.parametrize("how", ["close", "cleanup", "notify"])
def test_whoever_closes_leaves_no_rig_half_way(rigs: Any, connect: Any, how: str) -> None:
    auxiliaries = connect({"main": rigs.add("main", main_sync=True)})
    auxiliaries.agree("SP_01")
    auxiliaries.push("EXPINIT", wait=True)
    auxiliaries.push("EXPSTART", wait=True)
    if how == "close":
        auxiliaries.close()
        auxiliaries.close()
    else:
        auxiliaries.cleanup(notify_services=how == "notify")
    assert rigs.states() == {"connected"}


def test_what_was_begun_by_plain_messages_is_ended_too(rigs: Any, connect: Any, today: Any) -> None:
    auxiliaries = connect({"left": rigs.add("left")})
    auxiliaries.push("EXPINIT", {"exp_ref": f"{today}_3_SP_01"}, wait=True)
    auxiliaries.push("EXPSTART", f"{today}_3_SP_01", None, wait=True)
    assert auxiliaries.is_leading
    assert rigs.states() == {"running"}
    auxiliaries.close()
    assert rigs.states() == {"connected"}


def test_closing_does_not_touch_a_rig_that_records_for_somebody_else(rigs: Any, connect: Any) -> None:
    uri = rigs.add("main", main_sync=True)
    leader, other = connect({"main": uri}), connect({"main": uri})
    leader.agree("SP_01")
    leader.push("EXPINIT", wait=True)
    leader.push("EXPSTART", wait=True)
    other.push("EXPINFO", 0, {}, wait=True)
    other.close()
    assert rigs.states() == {"running"}


def test_a_program_that_ends_without_a_word_leaves_no_rig_half_way_and_no_process(rigs: Any) -> None:
    uri = rigs.add("main", main_sync=True)
    folder = f"__import__('pathlib').Path({str(rigs.folder / 'pc')!r})"  # a journal is kept there
    program = f"""
from multirig.ibl import Auxiliaries
rigs = Auxiliaries({{"main": "{uri}"}})
rigs.agree("SP_01", subjects={folder})
rigs.push("EXPINIT", wait=True)
rigs.push("EXPSTART", wait=True)
print("recording")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "recording\n", "")
    assert rigs.states() == {"connected"}
    assert list(rigs.folder.rglob("*.csv")) or list((rigs.folder / "main").rglob("*"))


def test_the_operator_is_told_who_is_waited_for_and_which_rig_fails_by_itself(
    rigs: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multirig.ibl.reminder.REMIND_AFTER", 0.5)
    told: list[str] = []
    auxiliaries = connect(
        {
            "main": rigs.add("main", main_sync=True),
            "slow": rigs.add("slow", fake={"delay": {"initialise": 1.5}, "fail_after": 0.2}),
        },
        tell=told.append,
    )
    auxiliaries.agree("SP_01")
    auxiliaries.push("EXPINIT", wait=True)
    assert told == ["initialise: waiting for slow"]
    auxiliaries.push("EXPSTART", wait=True)
    rigs.until(lambda: any(one.startswith("slow: ") for one in told))


# -- Alyx ----------------------------------------------------------------------------------------------


class LoggedIn:
    """As an AlyxClient that is logged in looks to whoever takes its token."""

    base_url = "https://alyx.example.org"
    user = "sara"
    is_logged_in = True
    _token = {"token": "s3cret"}  # noqa: RUF012


def test_a_token_is_not_sent_in_clear_to_a_rig_that_is_not_named(
    rigs: Any, connect: Any, needs_iblutil: None, caplog: pytest.LogCaptureFixture
) -> None:
    auxiliaries = connect({"left": rigs.add_iblutil("left")})
    with caplog.at_level(logging.DEBUG), pytest.raises(AlyxTokenNotAllowed, match="allow_cleartext_token"):
        auxiliaries.push("ALYX", LoggedIn(), wait=True)
    assert isinstance(AlyxTokenNotAllowed("x"), PermissionError)
    assert rigs.heard["left"] == []
    assert "s3cret" not in caplog.text


def test_a_token_reaches_the_rig_that_is_named(
    rigs: Any, connect: Any, needs_iblutil: None, caplog: pytest.LogCaptureFixture
) -> None:
    auxiliaries = connect({"left": rigs.add_iblutil("left")}, allow_cleartext_token=["left"])
    heard: list[Any] = []
    rigs.foreign["left"].assign_callback("ALYX", lambda data, addr: heard.append(data))
    with caplog.at_level(logging.DEBUG):
        auxiliaries.push("ALYX", LoggedIn(), wait=True)
        rigs.until(lambda: heard)
    assert heard == [["https://alyx.example.org", {"sara": {"token": "s3cret"}}]]
    ours = [one.getMessage() for one in caplog.records if one.name.startswith("multirig")]
    assert not any("s3cret" in one for one in ours)
