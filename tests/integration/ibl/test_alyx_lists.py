"""What Alyx offers to choose from, and how somebody logs in to see it."""

from __future__ import annotations

import logging
import socket
from pathlib import Path
from typing import Any

import pytest

from multirig.errors import ConfigError
from multirig.ibl.alyx import AlyxError, remote_one
from multirig.ibl.alyx_lists import (
    Choices,
    ask_for_choices,
    find_alyx,
    list_procedures,
    list_projects,
    list_subjects,
    list_users,
    log_in,
)

PASSWORD = "sara's password"


@pytest.fixture
def one(database: Any) -> Any:
    return log_in(database.url, "sara", PASSWORD)


def files(home: Path) -> str:
    """Return all that was written into the home folder."""
    return "".join(path.read_text() for path in home.rglob("*") if path.is_file())


# -- lists -----------------------------------------------------------------------------------------------


def test_the_living_animals_of_the_lab_are_listed(one: Any, database: Any) -> None:
    assert list_subjects(one, "mylab") == ["SP_01", "SP_02"]
    assert list_subjects(one) == ["OT_01", "SP_01", "SP_02"]
    asked = [each["query"] for each in database.asked if each["path"] == "/subjects"]
    assert asked[0] == {"alive": "True", "stock": "False", "lab": "mylab"}  # as iblrig's form asks


def test_the_projects_are_those_of_the_user_and_those_of_everybody(one: Any) -> None:
    assert list_projects(one) == ["ibl_mesoscope", "ibl_neuropixel"]


def test_procedures_and_users_are_listed(one: Any) -> None:
    assert list_procedures(one) == ["Behavior training/tasks", "Imaging"]
    assert list_users(one) == ["olivier", "sara"]


def test_an_alyx_that_is_away_is_one_line_and_names_can_be_typed(one: Any, database: Any) -> None:
    list_users(one)
    database.close()
    with pytest.raises(AlyxError) as caught:
        list_subjects(one, "mylab")
    assert str(caught.value).startswith(f"Alyx at {database.url} cannot be asked (")
    assert str(caught.value).endswith("): its subjects are not listed; names can be typed; ask again later")


def test_an_alyx_that_does_not_answer_is_not_waited_for(one: Any, database: Any) -> None:
    list_users(one)
    database.may_answer.clear()
    with pytest.raises(AlyxError, match=r"did not answer within 0\.2 s: its projects are not listed"):
        list_projects(one, limit=0.2)


def test_a_token_that_is_no_longer_taken_asks_for_a_new_log_in(one: Any, database: Any) -> None:
    list_users(one)
    database.tokens.clear()
    with pytest.raises(AlyxError, match=r"the token any more: its users are not listed; log in again, .+"):
        list_users(one)


# -- log-in ----------------------------------------------------------------------------------------------


def test_a_password_logs_in_and_is_kept_nowhere(
    database: Any, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        caplog.set_level(logging.DEBUG, logger=name)
    one = log_in(database.url, "sara", PASSWORD)
    assert (one.alyx.is_logged_in, one.alyx.user, one.offline) == (True, "sara", False)
    assert list_subjects(one, "mylab")
    assert files(home) == ""
    everything = caplog.text + repr(vars(one)) + repr(vars(one.alyx)) + str(one.alyx._par)
    assert PASSWORD not in everything


def test_a_log_in_that_is_remembered_saves_the_token_and_not_the_password(database: Any, home: Path) -> None:
    log_in(database.url, "sara", PASSWORD, remembers=True)
    assert database.token_of("sara") in files(home)
    assert PASSWORD not in files(home)
    assert remote_one(database.url, "sara").alyx.is_logged_in
    assert log_in(database.url, "sara").alyx.user == "sara"


def test_a_wrong_password_is_said_and_a_saved_token_stays(database: Any, home: Path) -> None:
    log_in(database.url, "sara", PASSWORD, remembers=True)
    before = files(home)
    with pytest.raises(AlyxError) as caught:
        log_in(database.url, "sara", "a secret", remembers=True)
    assert str(caught.value) == (
        f"Alyx at {database.url} knows no user sara with that password: type both again"
    )
    assert files(home) == before


@pytest.mark.parametrize("trouble", ["nobody listens", "no answer", "no Alyx"])
def test_a_database_that_cannot_be_reached_is_one_line_without_the_password(
    database: Any, trouble: str, home: Path
) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        if trouble == "no answer":
            deaf.listen()
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        if trouble == "no Alyx":
            url = f"{database.url}/elsewhere"
        with pytest.raises(AlyxError) as caught:
            log_in(url, "sara", "a secret", limit=0.3)
    said = str(caught.value)
    assert "look at" in said
    assert "\n" not in said
    assert "a secret" not in said


def test_somebody_must_be_named(database: Any) -> None:
    with pytest.raises(ConfigError, match="who logs in"):
        log_in(database.url, " ", PASSWORD)


# -- for this PC's form -----------------------------------------------------------------------------------


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that says where Alyx is; it is not there yet."""
    monkeypatch.setenv("MULTIRIG_SETTINGS", str(tmp_path))
    return tmp_path / "iblrig_settings.yaml"


def test_what_can_be_chosen_is_asked_of_this_pcs_alyx(database: Any, settings: Path) -> None:
    settings.write_text(f"ALYX_URL: {database.url}\nALYX_USER: sara\nALYX_LAB: mylab\n")
    assert find_alyx() == (database.url, "sara")
    assert ask_for_choices("", PASSWORD) == Choices(
        user="sara",
        subjects=("SP_01", "SP_02"),
        projects=("ibl_mesoscope", "ibl_neuropixel"),
        procedures=("Behavior training/tasks", "Imaging"),
        users=("olivier", "sara"),
    )
    assert ask_for_choices("olivier", "olivier's password").projects == ("ibl_mesoscope", "secret")


def test_a_pc_without_alyx_has_nothing_to_ask(settings: Path) -> None:
    assert find_alyx() is None
    with pytest.raises(ConfigError, match="names no ALYX_URL"):
        ask_for_choices("sara", PASSWORD)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b"<html>please log in</html>", "does not answer as Alyx does: look at ALYX_URL"),
        (200, b"", "does not answer as Alyx does: look at ALYX_URL"),
        (200, b'"a text"', "does not answer as Alyx does: look at ALYX_URL"),
        (200, b"[null]", "does not answer as Alyx does: look at ALYX_URL"),
        (
            502,
            b"[]",
            "has a fault of its own (502, []): its users are not listed; names can be typed; ask again later",
        ),
        (500, b"<html>", "has a fault of its own (500, Internal Server Error): its users are not listed"),
    ],
)
def test_what_is_no_answer_of_alyx_s_is_told_as_that(
    one: Any, database: Any, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes, words: str
) -> None:
    list_users(one)

    def answer(handler: Any) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    monkeypatch.setattr(database._server.RequestHandlerClass, "do_GET", answer)
    with pytest.raises(AlyxError) as caught:
        list_users(one)
    assert words in str(caught.value)
