"""Alyx tokens, ONE in local mode and registration, with the real ONE and a database on loopback."""

from __future__ import annotations

import gc
import json
import logging
import subprocess
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

import pytest

from multirig.errors import ConfigError
from multirig.ibl import alyx
from multirig.ibl.alyx import (
    AlyxError,
    install_alyx_token,
    local_one,
    object_to_token,
    update_alyx_token,
    wire_token,
)
from multirig.ibl.registration import register_session
from multirig.protocol.codec import decode, encode_array
from multirig.protocol.messages import Event, Message


@pytest.fixture
def one(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An instance as `local_one` makes it; a question to the user fails the test."""

    def refuse(*_: object) -> str:
        raise AssertionError("somebody was asked something")

    monkeypatch.setattr("builtins.input", refuse)
    monkeypatch.setattr("getpass.getpass", refuse)
    monkeypatch.setattr("one.webclient.getpass", refuse)
    return local_one(tmp_path / "cache")


@pytest.fixture
def session_path(tmp_path: Path) -> Path:
    folder = tmp_path / "lab" / "Subjects" / "SP_01" / "2024-05-06" / "002"
    folder.mkdir(parents=True)
    return folder


SETTINGS = {
    "SUBJECT_NAME": "SP_01",
    "SESSION_NUMBER": 2,
    "SESSION_START_TIME": "2024-05-06T10:11:12",
    "SESSION_END_TIME": None,
    "ALYX_LAB": "mylab",
    "PYBPOD_PROTOCOL": "spontaneous",
    "IBLRIG_VERSION": "8.24.7",
    "PROJECTS": ["ibl_neuropixel"],
    "PROCEDURES": None,
    "NTRIALS": 0,
}


def rig_client(database: Any, user: str = "sara") -> Any:
    """Return a client that logged in with the user's password, as on a rig."""
    from one.webclient import AlyxClient

    return AlyxClient(
        base_url=database.url, username=user, password=f"{user}'s password", silent=True, cache_rest=None
    )


def over_the_wire(client: Any) -> list[Any]:
    """Return what the peer's callback is given."""
    message = decode(encode_array(Message(Event.ALYX, wire_token(client))))
    assert message[0] == 128
    return list(message[1:])


def written(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


# -- ONE in local mode -------------------------------------------------------------------------------------


def test_a_local_one_is_offline_and_nobody_is_logged_in(one: Any) -> None:
    from one.api import OneAlyx

    assert isinstance(one, OneAlyx)
    assert (one.mode, one.offline, one.alyx.is_logged_in) == ("local", True, False)
    assert wire_token(one.alyx) == (None, {})
    assert repr(one) == "One (offline, )"


def test_a_local_one_writes_nothing_at_all(one: Any, home: Path, tmp_path: Path) -> None:
    one.search(subject="SP_01")
    assert written(home) == []
    assert not (tmp_path / "cache").exists()


def test_a_local_one_formats_references(one: Any) -> None:
    reference = one.ref2dict("2024-05-06_2_SP_01")
    assert one.dict2ref(reference) == "2024-05-06_2_SP_01"


def test_a_temporary_folder_goes_with_its_one(home: Path) -> None:
    one = local_one()
    folder = one.cache_dir
    assert folder.is_dir()
    del one
    gc.collect()
    assert not folder.exists()


def test_two_local_ones_know_nothing_of_each_other(one: Any, database: Any, tmp_path: Path) -> None:
    other = local_one(tmp_path / "other")
    assert update_alyx_token(over_the_wire(rig_client(database)), None, one=one)
    assert (other.offline, other.alyx.is_logged_in, other.alyx.base_url) == (True, False, "")


def test_a_local_one_loads_the_tables_that_are_there(home: Path, session_path: Path, tmp_path: Path) -> None:
    from one.alf.cache import make_parquet_db

    (session_path / "alf").mkdir()
    (session_path / "alf" / "trials.table.pqt").touch()
    make_parquet_db(tmp_path / "lab", hash_files=False)
    there = local_one(tmp_path / "lab")
    assert there.list_subjects() == ["SP_01"]
    assert there.offline


def test_one_as_it_is_set_up_on_this_pc_is_left_alone(home: Path) -> None:
    import one.params

    one.params.setup(client="https://alyx.example.org", silent=True, username="anna")
    before = {path: path.read_text() for path in home.rglob("*") if path.is_file()}
    local = local_one()
    assert local.alyx.base_url == ""
    assert before == {path: path.read_text() for path in home.rglob("*") if path.is_file()}
    assert one.params.get().ALYX_LOGIN == "anna"


def test_other_threads_keep_their_parameters_meanwhile(home: Path) -> None:
    import one.params

    one.params.setup(client="https://alyx.example.org", silent=True, username="anna")
    seen: list[str] = []
    with alyx._in_place_of_files(one.params, "mine"):
        assert one.params.get() == "mine"
        other = threading.Thread(target=lambda: seen.append(one.params.get().ALYX_LOGIN))
        other.start()
        other.join(10)
    assert seen == ["anna"]
    assert one.params.get().ALYX_LOGIN == "anna"


def test_importing_the_module_loads_nothing_of_one() -> None:
    program = (
        "import sys, multirig.ibl.alyx; sys.exit(any(name in sys.modules for name in ('one', 'pandas')))"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0


@pytest.mark.parametrize(
    "use",
    [
        local_one,
        lambda: install_alyx_token("https://alyx.example.org", {"sara": {"token": "abc"}}),
        lambda: update_alyx_token(
            ["https://alyx.example.org", {"sara": {"token": "abc"}}], None, alyx=object()
        ),
    ],
    ids=["local_one", "install", "update"],
)
def test_without_one_the_extra_is_named_in_one_line(use: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "one.api", "one.params", "one.webclient"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=r'pip install "multirig\[ibl\]"') as caught:
        use()
    assert "\n" not in str(caught.value)


# -- a token from a rig ------------------------------------------------------------------------------------


def test_a_token_that_a_rig_sends_logs_a_local_one_in(one: Any, database: Any) -> None:
    data = over_the_wire(rig_client(database))
    asked = len(database.requests)
    assert update_alyx_token(data, ("127.0.0.1", 11001), one=one) is True
    assert len(database.requests) == asked, "the network was used"
    assert (one.mode, one.offline, one.alyx.user) == ("remote", False, "sara")
    assert one.alyx.base_url == database.url
    assert one.alyx.rest("sessions", "list") == []
    assert over_the_wire(one.alyx) == data


def test_a_token_is_only_kept_in_memory(one: Any, database: Any, home: Path) -> None:
    data = over_the_wire(rig_client(database))
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    update_alyx_token(data, None, one=one)
    assert before == {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}


def test_a_client_is_logged_in_without_a_one(database: Any, one: Any) -> None:
    client = one.alyx
    client.silent = False
    assert update_alyx_token(over_the_wire(rig_client(database)), None, alyx=client) is True
    assert (client.is_logged_in, client.user, client.silent) == (True, "sara", True)
    assert one.mode == "local"


def test_a_one_uses_the_client_that_is_updated_with_it(database: Any, one: Any, tmp_path: Path) -> None:
    client = local_one(tmp_path / "other").alyx
    assert update_alyx_token(over_the_wire(rig_client(database)), None, alyx=client, one=one) is True
    assert one.alyx is client
    assert one.mode == "remote"


def test_a_token_of_another_database_brings_nothing_of_the_first_one_along(database: Any, one: Any) -> None:
    first = rig_client(database)
    first._par = first._par.set("ALYX_PWD", "sara's password")
    first.cache_mode = "GET"
    first.rest("sessions", "list")
    assert update_alyx_token(["https://alyx.example.org/", {"olivier": {"token": "abc"}}], None, alyx=first)
    parameters = first._par.as_dict()
    assert parameters["TOKEN"] == {"olivier": {"token": "abc"}}
    assert "ALYX_PWD" not in parameters
    assert (first.base_url, first.user) == ("https://alyx.example.org", "olivier")
    assert (first.cache_mode, first._rest_schemes) == (None, None)


def test_a_second_user_of_the_same_database_keeps_the_token_of_the_first(database: Any, one: Any) -> None:
    for user in ("sara", "olivier"):
        assert update_alyx_token(over_the_wire(rig_client(database, user)), None, one=one)
    assert one.alyx.user == "olivier"
    assert set(one.alyx._par.TOKEN) == {"sara", "olivier"}


def test_a_plain_one_has_no_alyx_to_log_in(home: Path, tmp_path: Path, caplog: Any) -> None:
    from one.api import One

    with pytest.warns(UserWarning, match="No cache tables"):
        plain = One(tmp_path)
    before = plain.mode
    assert (
        update_alyx_token(["https://alyx.example.org", {"sara": {"token": "abc"}}], None, one=plain) is False
    )
    assert plain.mode == before
    assert "a OneAlyx is needed" in caplog.text


def test_a_plain_one_beside_a_client_changes_neither(one: Any, home: Path, tmp_path: Path) -> None:
    data = ["https://alyx.example.org", {"sara": {"token": "abc"}}]
    assert update_alyx_token(data, None, alyx=one.alyx, one=object()) is False
    assert update_alyx_token(data, None, alyx=object()) is False
    assert (one.alyx.is_logged_in, one.alyx.base_url) == (False, "")


@pytest.mark.parametrize(
    "data", [[None, {}], ["https://alyx.example.org", {"sara": {"token": ""}}], ["x", "y"]]
)
def test_a_request_or_a_malformed_token_leaves_a_login_as_it_is(one: Any, database: Any, data: Any) -> None:
    update_alyx_token(over_the_wire(rig_client(database)), None, one=one)
    before = wire_token(one.alyx)
    assert update_alyx_token(data, None, one=one) is False
    assert wire_token(one.alyx) == before
    assert one.mode == "remote"


def test_a_foreign_users_token_is_objected_to(database: Any) -> None:
    _, token = over_the_wire(rig_client(database, "olivier"))
    said = object_to_token(token, "sara", sender="cameras")
    assert said == "cameras sent an Alyx token of user olivier; this PC works as sara: it is not used"


# -- a token that is kept ----------------------------------------------------------------------------------


def test_an_installed_token_logs_the_next_client_in(database: Any, one: Any, home: Path) -> None:
    from one.webclient import AlyxClient

    token = database.token_of("sara")
    assert install_alyx_token(database.url + "/", {"sara": {"token": token}}) is True
    client = AlyxClient(base_url=database.url, silent=True, cache_rest=None)
    client.authenticate()
    assert client.user == "sara"
    assert client.rest("sessions", "list") == []
    assert "POST /auth-token" not in database.requests


@pytest.mark.usefixtures("one")
def test_a_user_is_new_only_once_and_the_newest_token_stands(database: Any) -> None:
    import one.params

    install = [install_alyx_token(database.url, {"sara": {"token": token}}) for token in ("first", "second")]
    assert install == [True, False]
    assert install_alyx_token(database.url, {"olivier": {"token": "third"}}) is True
    saved = one.params.get(database.url, silent=True)
    assert saved.TOKEN == {"sara": {"token": "second"}, "olivier": {"token": "third"}}
    assert saved.ALYX_LOGIN == "sara"


def test_installing_asks_nothing_and_writes_no_password(database: Any, one: Any, home: Path) -> None:
    install_alyx_token(database.url, {"sara": {"token": "abc"}})
    assert database.requests == []
    assert not [path for path in home.rglob("*") if path.is_file() and "sara's password" in path.read_text()]


@pytest.mark.parametrize("token", [{}, {"sara": {"token": ""}}, {"a": {"token": "b"}, "c": {"token": "d"}}])
def test_a_malformed_token_writes_nothing(home: Path, token: Any) -> None:
    with pytest.raises(ConfigError):
        install_alyx_token("https://alyx.example.org", token)
    assert written(home) == []


def test_a_damaged_file_of_parameters_is_named(home: Path) -> None:
    url = "https://alyx.example.org"
    install_alyx_token(url, {"sara": {"token": "abc"}})
    damaged = next(home.rglob(".alyx.example.org"))
    damaged.write_text('{"ALYX_URL": ')
    with pytest.raises(ConfigError, match=r"ONE's parameters in .* cannot be read or written"):
        install_alyx_token(url, {"sara": {"token": "def"}})
    assert damaged.read_text() == '{"ALYX_URL": '


# -- registration ------------------------------------------------------------------------------------------


def logged_in(one: Any, database: Any, user: str = "sara") -> Any:
    assert update_alyx_token(over_the_wire(rig_client(database, user)), None, one=one)
    return one


def test_a_session_is_entered_with_what_is_known_of_it(one: Any, database: Any, session_path: Path) -> None:
    record = register_session(session_path, SETTINGS, one=logged_in(one, database))
    assert record is not None
    [there] = database.sessions
    assert {**there, "wateradmin_session_related": []} == record
    unknown = ("id", "url", "wateradmin_session_related")
    known = {key: value for key, value in there.items() if value is not None and key not in unknown}
    assert known == {
        "subject": "SP_01",
        "number": 2,
        "start_time": "2024-05-06T10:11:12",
        "users": ["sara"],
        "lab": "mylab",
        "type": "Experiment",
        "task_protocol": "spontaneous8.24.7",
        "projects": ["ibl_neuropixel"],
        "json": {"IBLRIG_VERSION": "8.24.7", "IS_MOCK": False},
    }


def test_the_description_in_the_folder_says_projects_procedures_and_tasks(
    one: Any, database: Any, session_path: Path
) -> None:
    (session_path / "_ibl_experiment.description.yaml").write_text(
        "procedures: [Imaging]\n"
        "projects: [ibl_mesoscope]\n"
        "tasks:\n- spontaneous: {collection: raw_task_data_00}\n- trials: {collection: raw_task_data_01}\n"
        "version: 1.0.0\n"
    )
    record = register_session(session_path, SETTINGS, one=logged_in(one, database))
    assert record is not None
    assert record["procedures"] == ["Imaging"]
    assert record["projects"] == ["ibl_mesoscope"]
    assert record["task_protocol"] == "spontaneous8.24.7/trials8.24.7"


def test_a_session_that_is_there_is_brought_up_to_date(one: Any, database: Any, session_path: Path) -> None:
    logged_in(one, database)
    first = register_session(session_path, SETTINGS, one=one)
    ended = {**SETTINGS, "SESSION_END_TIME": "2024-05-06T11:00:00", "NTRIALS": 42}
    second = register_session(session_path, ended, one=one)
    assert first is not None
    assert second is not None
    assert second["id"] == first["id"]
    [there] = database.sessions
    assert (there["end_time"], there["n_trials"]) == ("2024-05-06T11:00:00", 42)


def test_another_number_or_day_is_another_session(one: Any, database: Any, session_path: Path) -> None:
    logged_in(one, database)
    for news in ({}, {"SESSION_NUMBER": 3}, {"SESSION_START_TIME": "2024-05-07T10:11:12"}):
        register_session(session_path, {**SETTINGS, **news}, one=one)
    assert len(database.sessions) == 3


def test_an_older_alyx_is_understood(one: Any, home: Path, session_path: Path, database: Any) -> None:
    database.is_old = True
    assert register_session(session_path, SETTINGS, one=logged_in(one, database)) is not None


@pytest.mark.parametrize("is_there", [True, False])
def test_offline_nothing_is_registered_and_nothing_is_wrong(
    one: Any, session_path: Path, is_there: bool
) -> None:
    assert register_session(session_path, SETTINGS, one=one if is_there else None) is None


@pytest.mark.parametrize("key", ["SUBJECT_NAME", "SESSION_NUMBER", "SESSION_START_TIME"])
def test_settings_that_do_not_name_the_session_are_refused(
    one: Any, database: Any, session_path: Path, key: str
) -> None:
    logged_in(one, database)
    with pytest.raises(ConfigError, match=f"have no {key}"):
        register_session(session_path, {**SETTINGS, key: None}, one=one)


def failure(one: Any, session_path: Path, **news: Any) -> str:
    """Return what is said of a registration that fails."""
    limit = news.pop("limit", 10.0)
    with pytest.raises(AlyxError) as caught:
        register_session(session_path, {**SETTINGS, **news}, one=one, limit=limit)
    said = str(caught.value)
    assert "\n" not in said
    return said


def test_an_unknown_subject_is_named_as_alyx_names_it(one: Any, database: Any, session_path: Path) -> None:
    said = failure(logged_in(one, database), session_path, SUBJECT_NAME="nobody")
    assert said == (
        f"Alyx at {database.url} knows no subject nobody: have it entered there, then register session 2 of "
        "nobody"
    )


def test_what_alyx_refuses_is_said_as_alyx_says_it(one: Any, database: Any, session_path: Path) -> None:
    said = failure(logged_in(one, database), session_path, ALYX_USER="nobody")
    reason = "400, users: Object with username=nobody does not exist."
    assert said == (
        f"Alyx at {database.url} refuses session 2 of SP_01 ({reason}): correct that, then register it"
    )


def test_a_user_who_may_not_write_is_refused(one: Any, database: Any, session_path: Path) -> None:
    said = failure(logged_in(one, database, "olivier"), session_path)
    assert "(403, detail: You do not have permission to perform this action.)" in said
    assert database.sessions == []


def test_a_token_that_has_expired_asks_for_a_new_login(one: Any, database: Any, session_path: Path) -> None:
    logged_in(one, database)
    database.tokens.clear()
    said = failure(one, session_path)
    assert "does not accept the token any more: session 2 of SP_01 is not registered; log in again" in said


def test_an_alyx_that_is_off_is_named(one: Any, database: Any, session_path: Path) -> None:
    logged_in(one, database)
    one.alyx.rest("sessions", "list")
    database.close()
    said = failure(one, session_path)
    assert said.startswith(f"Alyx at {database.url} cannot be asked (")
    assert said.endswith("session 2 of SP_01 is not registered; the data are safe, register it later")


def test_an_alyx_that_never_answers_is_not_waited_for(one: Any, database: Any, session_path: Path) -> None:
    logged_in(one, database)
    database.may_answer.clear()
    said = failure(one, session_path, limit=0.05)
    assert "did not answer within 0.05 s" in said
    for thread in threading.enumerate():
        if thread.name == "multirig-alyx":
            database.may_answer.set()
            thread.join(10)
            assert not thread.is_alive()


def test_a_task_is_registered_when_it_begins_and_when_it_has_ended(
    one: Any, database: Any, tmp_path: Path
) -> None:
    from multirig.ibl.base_session import BaseSession

    seen: list[Any] = []

    class Task(BaseSession):
        protocol_name = "spontaneous"

        def start_hardware(self) -> None:
            assert database.sessions == []

        def _run(self) -> None:
            seen.extend(session["end_time"] for session in database.sessions)

    settings = {"iblrig_local_data_path": str(tmp_path / "pc"), "ALYX_LAB": "mylab"}
    Task(subject="SP_01", iblrig_settings=settings, one=logged_in(one, database), interactive=False).run()
    assert seen == [None]
    [there] = database.sessions
    assert there["subject"] == "SP_01"
    assert there["users"] == ["sara"]
    assert there["end_time"] > there["start_time"]
    assert there["task_protocol"].startswith("spontaneous")


# -- secrets -----------------------------------------------------------------------------------------------


def test_no_token_and_no_password_is_ever_logged_or_told(
    one: Any, database: Any, session_path: Path, caplog: pytest.LogCaptureFixture, capsys: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        caplog.set_level(logging.DEBUG, logger=name)
    told: list[str] = []
    client = rig_client(database)
    data = over_the_wire(client)
    secret = data[1]["sara"]["token"]
    install_alyx_token(*data)
    update_alyx_token(data, None, one=one)
    register_session(session_path, SETTINGS, one=one)
    with pytest.raises(AlyxError) as caught:
        register_session(session_path, {**SETTINGS, "SUBJECT_NAME": "nobody"}, one=one)
    told += traceback.format_exception(caught.value)
    database.tokens.clear()
    with pytest.raises(AlyxError) as caught:
        register_session(session_path, SETTINGS, one=one)
    told += [*traceback.format_exception(caught.value), repr(caught.value), repr(one), repr(client)]
    out = capsys.readouterr()
    everything = "\n".join([caplog.text, *told, out.out, out.err])
    assert "/sessions, headers: {" in everything, "ONE was not listened to"
    assert secret not in everything
    assert "sara's password" not in everything
    assert json.dumps(data) not in everything


def test_a_server_that_repeats_the_token_is_not_quoted(one: Any, database: Any, session_path: Path) -> None:
    secret = wire_token(logged_in(one, database).alyx)[1]["sara"]["token"]
    database.trouble = f"no idea what to do with {secret}"
    said = failure(one, session_path)
    assert "(500, detail: no idea what to do with (token))" in said


# -- logging in ----------------------------------------------------------------------------------------


def test_a_database_that_does_not_answer_holds_up_a_log_in_only_so_long(home: Path) -> None:
    import socket

    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(AlyxError, match=rf"cannot log in to Alyx at {url} as sara \(.+\): look at"):
            alyx.remote_one(url, "sara", limit=0.3)
