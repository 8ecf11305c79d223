"""A rig that another PC leads and is heard: the person at its keyboard decides, in real processes.

The leading PC speaks by IPv4 and the other one by IPv6, so that they are two PCs to the rig.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LED = r"[\w.-]+ \(127\.0\.0\.1\)"
WANTS = r"[\w.-]+ \(::1\)"


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True


pytestmark = pytest.mark.skipif(not has_ipv6(), reason="this PC has no address of IPv6")


class Room:
    """A rig that records for a PC that leads, and another PC."""

    def __init__(self, rig: Any, session: Any, tmp_path: Path, *options: str, **config: Any) -> None:
        self.camera = rig(
            "camera", *options, main_sync=True, uri=["udp://127.0.0.1:0", "udp://[::1]:0"], **config
        )
        here, there = self.camera.expect(r"ready at (\S+) (\S+)").groups()
        self.leading = session(here, "--seconds", "600")
        self.reference = self.camera.expect(r"camera is running (\S+)")[1]
        self._session, self.there, self._data = session, there, str(tmp_path / "other")

    def take_over(self, *options: str) -> Any:
        data = ("--data", self._data)
        return self._session(self.there, "--seconds", "0.5", "--take-over", *data, *options)

    def is_recording_for_the_first(self) -> bool:
        return self.leading.poll() is None and not any("stopp" in one for one in self.camera.seen)


@pytest.fixture
def room(rig: Any, session: Any, tmp_path: Path) -> Callable[..., Room]:
    return lambda *options, **config: Room(rig, session, tmp_path, *options, **config)


def test_the_person_at_the_rig_is_asked_and_a_yes_hands_it_over(room: Callable[..., Room]) -> None:
    one = room()
    taking = one.take_over()
    asked = one.camera.expect_error("wants to take over")
    assert re.fullmatch(rf"! {WANTS} wants to take over from {LED}: type yes or no \(30 s\)", asked.strip())
    time.sleep(2.5)  # the other PC asks again, and the person only once
    assert taking.poll() is None
    assert one.is_recording_for_the_first()
    one.camera.type("yes")
    assert re.search(
        rf"{WANTS} may take over: 'yes' was typed there", one.camera.expect_error("may take over")
    )
    one.camera.expect("camera is connected")
    out, err = taking.communicate(timeout=60)
    assert taking.returncode == 0, err
    assert one.reference in out
    asks = rf"camera asks the person there whether this PC may take it over from {LED} \(30 s\)"
    assert len(re.findall(asks, err)) == 1
    assert "camera may be taken over: 'yes' was typed there" in err
    one.leading.kill()
    told = "".join(one.leading.communicate())
    assert re.search(rf"{WANTS} wants to take it over: the person there is asked", told)
    assert re.search(rf"is led by {WANTS} now", told)
    assert one.camera.end() == 0


def test_a_no_leaves_all_as_it_is_and_is_told_to_who_has_asked(room: Callable[..., Room]) -> None:
    one = room()
    taking = one.take_over()
    one.camera.expect_error("wants to take over")
    one.camera.type("no")
    _, err = taking.communicate(timeout=60)
    assert taking.returncode == 3, err
    assert re.search(rf"camera is led by {LED} and was not handed over: 'no' was typed there; end the", err)
    assert one.is_recording_for_the_first()
    one.camera.type("yes")  # too late
    one.camera.expect_error("may not take over")
    one.camera.expect_error("nothing was asked")
    assert one.is_recording_for_the_first()


@pytest.mark.parametrize("then", ["refuse", "allow"])
def test_where_nobody_sits_the_rule_decides_after_the_time(room: Callable[..., Room], then: str) -> None:
    one = room(take_over={"ask": "5 s", "then": then})
    began = time.monotonic()
    taking = one.take_over()
    _, err = taking.communicate(timeout=60)
    assert time.monotonic() - began > 5
    assert taking.returncode == (0 if then == "allow" else 3), err
    assert f"nobody has answered there within 5 s, and its config says {then} (take_over)" in " ".join(
        err.split()
    )
    assert then == "allow" or one.is_recording_for_the_first()


def test_where_nobody_can_be_asked_the_rule_decides_at_once(room: Callable[..., Room]) -> None:
    one = room("--no-keyboard")
    taking = one.take_over()
    _, err = taking.communicate(timeout=60)
    assert taking.returncode == 3, err
    assert "nobody can be asked there, and its config says refuse (take_over)" in err
    assert one.is_recording_for_the_first()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for a child")
def test_who_gives_it_up_is_not_asked_about_any_more(room: Callable[..., Room]) -> None:
    one = room()
    taking = one.take_over()
    one.camera.expect_error("wants to take over")
    taking.send_signal(signal.SIGINT)
    taking.communicate(timeout=5)
    one.camera.expect_error("may take over is not asked any more: it does not ask for it any more")
    one.camera.type("yes")
    one.camera.expect_error("nothing was asked")
    assert one.is_recording_for_the_first()


def test_a_leader_that_is_dead_is_taken_over_without_a_question(room: Callable[..., Room]) -> None:
    one = room()
    one.leading.kill()
    one.leading.wait(30)
    time.sleep(2.5)
    taking = one.take_over()
    _, err = taking.communicate(timeout=60)
    assert taking.returncode == 0, err
    assert "asks the person" not in err


def test_a_stop_from_another_pc_asks_too(room: Callable[..., Room], multirig: Any) -> None:
    one = room(take_over="refuse")
    done = multirig("stop", "--yes", one.there)
    assert done.returncode != 0
    assert "was not handed over: its config says refuse (take_over)" in done.stderr + done.stdout
    assert "may still record" not in done.stderr  # it can be reached, and its leader ends it
    assert one.is_recording_for_the_first()
