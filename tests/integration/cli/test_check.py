"""``multirig check`` and ``multirig rehearse --live``, as a user runs them."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

NO_PROGRAM = {"type": "process", "command": ["no-such-program"]}


def test_a_check_shows_each_pc_and_ends_well(rig: Callable[..., Any], multirig: Callable[..., Any]) -> None:
    done = multirig("check", "--remote", rig("cameras").uri, "--minutes", 30)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "this PC" in done.stdout
    assert "a session can begin" in done.stdout


def test_a_check_that_finds_a_failure_is_exit_code_1(
    rig: Callable[..., Any], multirig: Callable[..., Any]
) -> None:
    uri = rig("cameras", adapter=NO_PROGRAM).uri
    done = multirig("check", "--remote", uri, "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert told["level"] == "failure"
    (found,) = [one for one in told["pcs"]["cameras"] if one["check"] == "adapter"]
    assert "no-such-program" in found["text"]


def test_a_rig_that_does_not_answer_fails_the_check(multirig: Callable[..., Any]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    done = multirig("check", "--remote", f"udp://127.0.0.1:{port}")
    assert done.returncode == 1
    assert "put right what failed" in done.stdout


def test_a_rig_whose_name_is_not_found_keeps_nobody_from_looking_at_the_others(
    rig: Callable[..., Any], multirig: Callable[..., Any], tmp_path: Path
) -> None:
    one = rig("cam")
    (tmp_path / "rigs.yaml").write_text(f"cam: {one.uri}\nlost: udp://no-such-pc.invalid\n")
    done = multirig(*"check --rigs-file rigs.yaml --remote lost cam --json".split())
    assert done.returncode == 1
    told = json.loads(done.stdout)["pcs"]
    assert [one["level"] for one in told["lost"]] == ["failure"]
    assert "no-such-pc.invalid" in told["lost"][0]["text"]
    assert {"answer", "disk"} <= {one["check"] for one in told["cam"]}


def test_a_rig_that_still_records_another_session_is_a_failure_with_what_ends_it(
    rig: Callable[..., Any], multirig: Callable[..., Any], tmp_path: Path
) -> None:
    main, left = rig("main", main_sync=True), rig("left")
    address = left.uri
    (tmp_path / "rigs.yaml").write_text(f"main: {main.uri}\nleft: {address}\n")
    left.type("start SP_09")
    left.expect("left is running")
    rigs = "--rigs-file rigs.yaml --remote main left".split()
    done = multirig("check", *rigs)
    assert done.returncode == 1
    assert f"'multirig stop {address}' ends it" in done.stdout + done.stderr
    done = multirig("run", "-s", "SP_01", *rigs, "--seconds", "0.3")
    assert done.returncode == 3
    assert f"'multirig stop {address}' does, from any PC" in done.stderr


def test_a_session_is_not_begun_on_a_rig_that_could_not_record(
    rig: Callable[..., Any], multirig: Callable[..., Any], tmp_path: Path
) -> None:
    uri = rig("cameras", main_sync=True, adapter=NO_PROGRAM).uri
    done = multirig("run", "-s", "SP_01", "--remote", uri, "--seconds", 1)
    assert done.returncode == 1
    assert "check failed" in done.stderr
    assert "no rig has been touched" in done.stderr
    assert not (tmp_path / "data" / "mylab" / "Subjects" / "SP_01").exists()


def test_whoever_wants_no_check_gets_none(rig: Callable[..., Any], multirig: Callable[..., Any]) -> None:
    uri = rig("cameras", main_sync=True, adapter=NO_PROGRAM).uri
    done = multirig("run", "-s", "SP_01", "--remote", uri, "--seconds", 1, "--no-check")
    assert done.returncode == 1
    assert "initialise failed" in done.stderr


def test_a_live_rehearsal_shows_what_was_recorded_and_is_remembered_by_the_next_check(
    rig: Callable[..., Any], multirig: Callable[..., Any]
) -> None:
    uri = rig("cameras").uri
    done = multirig("rehearse", "--live", "--remote", uri, "--seconds", 2.5)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "✓ ready" in done.stdout
    told = json.loads(multirig("check", "--remote", uri, "--json").stdout)
    (disk,) = [one for one in told["pcs"]["cameras"] if one["check"] == "disk"]
    assert disk["level"] == "ok"
    assert "/s" in disk["text"]


def test_a_live_rehearsal_of_a_sick_rig_is_exit_code_1(
    rig: Callable[..., Any], multirig: Callable[..., Any]
) -> None:
    uri = rig("cameras", adapter={"type": "fake", "fail": {"start": "no light"}}).uri
    done = multirig("rehearse", "--live", "--remote", uri, "--seconds", 1, "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert told["ready"] is False
    assert "no light" in told["rigs"]["cameras"]["problems"][0]


def test_rigs_are_named_for_a_live_rehearsal_only(multirig: Callable[..., Any]) -> None:
    done = multirig("rehearse", "--remote", "cameras")
    assert done.returncode == 2
    assert "--live" in done.stderr
