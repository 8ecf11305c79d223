"""What iblrig's own tests ask of a network session, asked again over real rigs.

Of an unchanged task, whose network is ours by one line, and of our own session. What is different on purpose
stands in docs/reference/ibl.md.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.integration.ibl.network import standin
from tests.integration.ibl.network.standin import ChoiceWorldSession

from multirig.errors import SessionFailed
from multirig.ibl import Auxiliaries, NetworkSession
from multirig.record.journal import read_journal

FAST = 1.0
"""Seconds that a rig may take where one does not answer."""


class Ours(NetworkSession):
    protocol_name = "_ibl_network_session"

    def start_hardware(self) -> None: ...

    def _run(self) -> None: ...


class Unchanged(ChoiceWorldSession):
    """A task as iblrig has it."""

    def start_hardware(self) -> None: ...

    def _run(self) -> None: ...


both = pytest.mark.parametrize("base", [Ours, Unchanged])


@pytest.fixture(autouse=True)
def one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standin.net, "Auxiliaries", Auxiliaries)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Any]:
    """Make tasks on a PC whose data lie in its folder ``pc``."""
    made: list[Any] = []
    file = tmp_path / "iblrig_settings.yaml"
    file.write_text(yaml.safe_dump({"iblrig_local_data_path": str(tmp_path / "pc"), "ALYX_LAB": "mylab"}))

    def make_one(base: Any, subject: str = "SP_01", **kwargs: Any) -> Any:
        more = {"interactive": False} if base is Ours else {}
        made.append(base(subject=subject, file_iblrig_settings=file, **more, **kwargs))
        made[-1].remote_rigs.limit = FAST
        return made[-1]

    yield make_one
    for task in made:
        task.cleanup_mixin_network()


@pytest.fixture
def lab(rigs: Any) -> dict[str, str]:
    return {"main": rigs.add("main", main_sync=True), "left": rigs.add("left")}


# -- what fails is returned or raised ------------------------------------------------------------------------


@both
def test_what_fails_is_logged_and_returned_to_who_wants_it_back(
    rigs: Any, make: Any, lab: Any, base: Any, caplog: pytest.LogCaptureFixture
) -> None:
    task = make(base, remote_rigs=lab)
    rigs.do(rigs.services["left"].close())
    error = task.communicate("EXPSTATUS", 0, raise_on_exception=False)
    assert isinstance(error, SessionFailed)
    assert list(error.causes) == ["left"]
    assert any("left" in one.getMessage() for one in caplog.records if one.levelno == logging.ERROR)
    assert task.remote_rigs.is_running
    assert rigs.state("main") == "initialised"
    with pytest.raises(SessionFailed, match="left"):
        task.communicate("EXPSTATUS", 0, raise_on_exception=True)
    assert not task.remote_rigs.is_connected
    assert rigs.state("main") == "connected"


@both
def test_who_does_not_answer_is_a_timeout_error(rigs: Any, make: Any, today: Any, base: Any) -> None:
    uri = rigs.add_iblutil("main", exp_ref=f"{today}_1_SP_01")
    task = make(base, remote_rigs={"main": uri})
    rigs.foreign["main"].clear_callbacks("EXPSTATUS")
    assert isinstance(task.communicate("EXPSTATUS", 0, raise_on_exception=False), TimeoutError)
    with pytest.raises(TimeoutError, match="main"):
        task.communicate("EXPSTATUS", 0)


@both
def test_a_rig_that_cannot_start_ends_the_task_and_lets_the_others_go(
    rigs: Any, make: Any, base: Any
) -> None:
    addresses = {
        "main": rigs.add("main", main_sync=True),
        "left": rigs.add("left", fake={"fail": {"start": "no light"}}),
    }
    task = make(base, remote_rigs=addresses)
    with pytest.raises(SessionFailed, match="left"):
        task.run()
    assert not task.remote_rigs.is_connected
    assert rigs.states() == {"connected"}


@both
def test_the_tasks_own_error_is_what_is_raised_though_a_rig_cannot_be_told(
    rigs: Any, make: Any, lab: Any, base: Any
) -> None:
    class Breaks(base):  # type: ignore[misc]
        def _run(self) -> None:
            rigs.do(rigs.services["left"].close())
            raise ZeroDivisionError("the Bpod is gone")

    task = make_of(make, base, Breaks, remote_rigs=lab)
    with pytest.raises(ZeroDivisionError, match="the Bpod is gone"):
        task.run()
    assert not task.remote_rigs.is_connected
    assert rigs.state("main") == "connected"


def make_of(make: Any, base: Any, task: Any, **kwargs: Any) -> Any:
    """Make a task of a class that is derived from one of both."""
    return make(task, **kwargs, **({"interactive": False} if base is Ours else {}))


def test_who_is_no_task_of_iblrigs_gets_it_raised(rigs: Any) -> None:
    auxiliaries = Auxiliaries({"left": rigs.add("left")}, limit=FAST)
    try:
        rigs.do(rigs.services["left"].close())
        with pytest.raises(SessionFailed, match="left"):
            auxiliaries.push("EXPINFO", "CONNECTED", {}, wait=True)
    finally:
        auxiliaries.close()


# -- the beginning -------------------------------------------------------------------------------------------


@both
def test_the_main_syncs_number_is_the_sessions_and_every_rig_gets_it(
    rigs: Any, make: Any, today: Any, base: Any
) -> None:
    reference = f"{today}_2_SP_01"
    addresses = {
        "main": rigs.add_iblutil("main", exp_ref=reference),
        "cameras": rigs.add_iblutil("cameras"),
    }
    task = make(base, remote_rigs=addresses)
    assert task.exp_ref == {"date": datetime.date.today(), "subject": "SP_01", "sequence": 2}
    assert int(task.paths.SESSION_FOLDER.name) == 2
    task.run()
    for heard in rigs.heard.values():
        assert heard[0][:2] == [64, 0]
        assert heard[0][2]["subject"] == "SP_01"
        assert [one[0] for one in heard[1:4]] == [1, 2, 4]
        assert heard[1][1]["exp_ref"] == heard[2][1] == reference
    assert not task.remote_rigs.is_connected


@both
@pytest.mark.parametrize(
    ("reference", "error"), [("{today}_1_SP_02", ValueError), ("2020-01-01_1_SP_01", RuntimeError)]
)
def test_another_subject_is_a_value_error_and_another_day_a_runtime_error(
    rigs: Any, make: Any, today: Any, base: Any, reference: str, error: Any
) -> None:
    uri = rigs.add_iblutil("main", exp_ref=reference.format(today=today))
    with pytest.raises(error, match="main"):
        make(base, remote_rigs={"main": uri})


@pytest.mark.parametrize("names", [["main"], [["main", "left"]]])
def test_a_name_that_no_file_lists_is_a_value_error(make: Any, names: Any) -> None:
    with pytest.raises(ValueError, match="main"):
        make(Ours, remote_rigs=names)


@both
def test_to_append_to_what_is_not_there_is_a_value_error(rigs: Any, make: Any, today: Any, base: Any) -> None:
    uri = rigs.add_iblutil("main", exp_ref=f"{today}_2_SP_01")
    with pytest.raises(ValueError, match=r".+"):
        make(base, remote_rigs={"main": uri}, append=True)


@both
def test_a_number_with_data_is_a_value_error_and_appended_to_where_that_is_asked(
    rigs: Any, make: Any, today: Any, base: Any
) -> None:
    uri = rigs.add_iblutil("main", exp_ref=f"{today}_2_SP_01")
    first = make(base, remote_rigs={"main": uri})
    first.run()
    with pytest.raises(ValueError, match=r"2_SP_01|append"):
        make(base, remote_rigs={"main": uri})
    second = make(base, remote_rigs={"main": uri}, append=True)
    assert second.paths.TASK_COLLECTION == "raw_task_data_01"
    assert second.paths.SESSION_FOLDER == first.paths.SESSION_FOLDER


# -- the end -------------------------------------------------------------------------------------------------


@both
def test_an_error_is_told_with_iblrigs_keys(rigs: Any, make: Any, today: Any, base: Any) -> None:
    class Breaks(base):  # type: ignore[misc]
        def _run(self) -> None:
            raise RuntimeError("Bpod failed")

    uri = rigs.add_iblutil("main", exp_ref=f"{today}_2_SP_01")
    with pytest.raises(RuntimeError, match="Bpod failed"):
        make_of(make, base, Breaks, remote_rigs={"main": uri}).run()
    [details] = [data for event, data, *_ in rigs.heard["main"] if event == 16]
    assert {"error", "message"} <= set(details)
    assert details["error"] == "RuntimeError"
    assert "Bpod failed" in details["message"]
    if base is Ours:
        assert {"traceback", "file", "line_no"} <= set(details)


@both
def test_without_rigs_nothing_is_said_and_the_task_runs(make: Any, base: Any) -> None:
    task = make(base, remote_rigs={})
    assert not task.remote_rigs.is_connected
    task.run()
    assert not task.remote_rigs.services
    task.remote_rigs.services.assign_callback("EXPEND", print)  # where iblrig has None, tasks must ask first


@both
def test_a_rig_that_is_lost_meanwhile_keeps_none_of_the_others_from_being_ended(
    rigs: Any, make: Any, lab: Any, base: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Long(base):  # type: ignore[misc]
        def _run(self) -> None:
            rigs.do(rigs.services["left"].close())
            self.communicate("EXPSTATUS", 20, raise_on_exception=False)
            assert not self.remote_rigs.services["left"].is_connected

    task = make_of(make, base, Long, remote_rigs=lab)
    with pytest.raises(SessionFailed, match="left") if base is Ours else contextlib.nullcontext():
        task.run()
    assert "EXPEND failed on left" in caplog.text or base is Ours
    steps = [one.data for one in read_journal(task.paths.SESSION_FOLDER) if one.kind == "StepRequested"]
    assert "stop" in [one["trigger"] for one in steps]
    assert rigs.state("main") == "connected"
