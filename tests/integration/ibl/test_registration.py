"""What a session leaves in Alyx: weight, water, trials, where it was run; and nothing twice."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from multirig.ibl import registration
from multirig.ibl.alyx import AlyxError, local_one, update_alyx_token
from multirig.ibl.base_session import BaseSession
from multirig.ibl.registration import register_session
from multirig.version import __version__

RUN = {
    "SUBJECT_NAME": "SP_01",
    "SESSION_NUMBER": 2,
    "SESSION_START_TIME": "2024-05-06T10:11:12.345678",
    "SESSION_END_TIME": "2024-05-06T11:00:00.500000",
    "ALYX_USER": "sara",
    "PYBPOD_PROTOCOL": "spontaneous",
    "IBLRIG_VERSION": "8.24.7",
    "RIG_NAME": "rig_1",
    "NTRIALS": 30,
    "NTRIALS_CORRECT": 20,
    "TOTAL_WATER_DELIVERED": 1234.56,
    "REWARD_TYPE": "Water 10% Sucrose",
    "SUBJECT_WEIGHT": 21.25,
}
BEGUN = {**RUN, "SESSION_END_TIME": None, "NTRIALS": 0, "NTRIALS_CORRECT": 0, "TOTAL_WATER_DELIVERED": 0}


@pytest.fixture
def one(home: Path, tmp_path: Path, database: Any) -> Any:
    made = local_one(tmp_path / "cache")
    token = database.token_of("sara")
    assert update_alyx_token([database.url, {"sara": {"token": token}}], None, one=made)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "lab" / "Subjects" / "SP_01" / "2024-05-06" / "002"
    made.mkdir(parents=True)
    return made


def written(database: Any) -> list[str]:
    """Return what was written into the database so far."""
    return [line for line in database.requests if not line.startswith("GET") and "auth-token" not in line]


def save(folder: Path, settings: dict[str, Any], number: int = 0) -> None:
    """Write the settings of one of the session's tasks."""
    collection = folder / f"raw_task_data_{number:02d}"
    collection.mkdir(exist_ok=True)
    (collection / "_iblrig_taskSettings.raw.json").write_text(json.dumps(settings))


# -- weight and water -------------------------------------------------------------------------------------


def test_the_animal_is_weighed_when_its_session_begins(one: Any, database: Any, folder: Path) -> None:
    register_session(folder, BEGUN, one)
    [weighing] = database.tables["weighings"]
    assert {key: weighing[key] for key in ("subject", "date_time", "weight", "user")} == {
        "subject": "SP_01",
        "date_time": "2024-05-06T10:11:12.345678",
        "weight": 21.25,
        "user": "sara",
    }
    assert database.tables["water-administrations"] == []


def test_a_weight_that_is_known_at_the_end_only_is_entered_then(
    one: Any, database: Any, folder: Path
) -> None:
    register_session(folder, {**BEGUN, "SUBJECT_WEIGHT": None}, one)
    assert database.tables["weighings"] == []
    register_session(folder, RUN, one)
    [weighing] = database.tables["weighings"]
    assert weighing["date_time"] == RUN["SESSION_START_TIME"]


def test_the_water_of_a_run_is_entered_in_millilitres_with_its_kind_and_session(
    one: Any, database: Any, folder: Path
) -> None:
    record = register_session(folder, RUN, one)
    assert record is not None
    [water] = database.tables["water-administrations"]
    del water["url"], water["id"]
    assert water == {
        "subject": "SP_01",
        "date_time": "2024-05-06T11:00:00.500000",
        "water_administered": 1.235,
        "water_type": "Water 10% Sucrose",
        "user": "sara",
        "adlib": False,
        "session": record["id"],
    }


def test_water_of_no_kind_is_plain_water(one: Any, database: Any, folder: Path) -> None:
    register_session(folder, {**RUN, "REWARD_TYPE": None}, one)
    [water] = database.tables["water-administrations"]
    assert water["water_type"] == "Water"


def test_nothing_is_entered_twice_however_often_a_session_is_registered(
    one: Any, database: Any, folder: Path
) -> None:
    for settings in (BEGUN, BEGUN, RUN, RUN, RUN):
        register_session(folder, settings, one)
    counts = {name: len(database.tables[name]) for name in ("sessions", "weighings", "water-administrations")}
    assert counts == {"sessions": 1, "weighings": 1, "water-administrations": 1}


def test_times_of_which_alyx_keeps_whole_seconds_are_known_again(
    one: Any, database: Any, folder: Path
) -> None:
    for _ in range(2):
        register_session(folder, RUN, one)
        for table in ("weighings", "water-administrations"):
            for row in database.tables[table]:
                row["date_time"] = row["date_time"][:19]
    assert [len(database.tables[name]) for name in ("weighings", "water-administrations")] == [1, 1]


def test_each_task_of_a_session_has_its_water_and_the_trials_are_added_up(
    one: Any, database: Any, folder: Path
) -> None:
    save(folder, RUN)
    register_session(folder, RUN, one)
    second = {
        **{**RUN, "SESSION_START_TIME": "2024-05-06T11:10:00", "SESSION_END_TIME": "2024-05-06T12:00:00"},
        **{"NTRIALS": 12, "NTRIALS_CORRECT": 5, "TOTAL_WATER_DELIVERED": 500, "SUBJECT_WEIGHT": 22.0},
    }
    save(folder, second, 1)
    register_session(folder, second, one)
    [session] = database.sessions
    assert (session["n_trials"], session["n_correct_trials"]) == (42, 25)
    assert session["start_time"] == RUN["SESSION_START_TIME"]
    assert session["end_time"] == second["SESSION_END_TIME"]
    assert [water["water_administered"] for water in database.tables["water-administrations"]] == [1.235, 0.5]
    assert [weighing["weight"] for weighing in database.tables["weighings"]] == [21.25]


def test_a_time_out_does_not_double_the_water(one: Any, database: Any, folder: Path) -> None:
    register_session(folder, BEGUN, one)
    database.holds_back = "/water-administrations"
    database.may_answer.clear()
    for _ in range(2):
        with pytest.raises(AlyxError, match="did not answer within"):
            register_session(folder, RUN, one, limit=0.5)
    assert len(database.tables["water-administrations"]) == 1  # it has arrived, and nobody knows
    late = threading.Timer(0.3, database.may_answer.set)
    late.start()
    register_session(folder, RUN, one)
    late.join()
    assert len(database.tables["water-administrations"]) == 1


def test_an_alyx_that_hangs_for_ever_does_not_keep_later_registrations_away(
    one: Any, database: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "HANGS_AFTER", 0.6)
    register_session(folder, BEGUN, one)
    database.holds_back = "/water-administrations"
    database.may_answer.clear()
    with pytest.raises(AlyxError, match="did not answer within"):
        register_session(folder, RUN, one, limit=0.5)
    database.holds_back = "/nothing"
    database.may_answer.set()
    time.sleep(0.2)
    assert register_session(folder, RUN, one) is not None
    assert len(database.tables["water-administrations"]) == 1


def test_water_that_is_refused_is_said_and_does_not_hold_up_the_session_or_the_weight(
    one: Any, database: Any, folder: Path
) -> None:
    with pytest.raises(AlyxError) as caught:
        register_session(folder, {**RUN, "REWARD_TYPE": "beer"}, one)
    assert str(caught.value) == (
        f"session 2 of SP_01 is in Alyx at {database.url}, but not the water (water: water_type: Object with "
        "name=beer does not exist.): enter that by hand, or correct it and register again"
    )
    assert [len(database.tables[name]) for name in ("sessions", "weighings")] == [1, 1]


# -- the record -------------------------------------------------------------------------------------------


def test_the_record_has_narrative_task_version_and_the_droppings_of_all_tasks(
    one: Any, database: Any, folder: Path
) -> None:
    (folder / "narrative.txt").write_text("a bit sleepy – µ\n", encoding="utf-8")
    save(folder, {**RUN, "POOP_COUNT": 3})
    later = {**RUN, "SESSION_START_TIME": "2024-05-06T11:10:00", "POOP_COUNT": 2, "TASK_VERSION": "2.1"}
    register_session(folder, later, one)
    [session] = database.sessions
    assert session["narrative"] == "a bit sleepy – µ"
    assert session["json"] == {
        "IS_MOCK": False,
        "IBLRIG_VERSION": "8.24.7",
        "TASK_VERSION": "2.1",
        "POOP_COUNT": 5,
    }


def test_what_others_have_written_into_the_record_stays(one: Any, database: Any, folder: Path) -> None:
    register_session(folder, BEGUN, one)
    database.sessions[0]["json"]["checked"] = "by Olivier"
    database.sessions[0]["users"] = ["olivier"]
    register_session(folder, {**RUN, "POOP_COUNT": 4}, one)
    [session] = database.sessions
    assert session["json"]["checked"] == "by Olivier"
    assert session["json"]["POOP_COUNT"] == 4
    assert session["users"] == ["olivier"]


def test_the_session_is_of_the_animals_lab_and_projects_where_nobody_says_another(
    one: Any, database: Any, folder: Path
) -> None:
    database.tables["subjects"][0].update(lab="otherlab", projects=["ibl_mesoscope"])
    register_session(folder, {**BEGUN, "ALYX_LAB": "mylab"}, one)
    [session] = database.sessions
    assert (session["lab"], session["projects"]) == ("otherlab", ["ibl_mesoscope"])


def test_what_this_pc_is_stands_at_its_location(one: Any, database: Any, folder: Path) -> None:
    register_session(folder, BEGUN, one)
    [location] = database.tables["locations"]
    assert database.sessions[0]["location"] == "rig_1"
    assert location["json"]["room"] == "B12"
    assert location["json"]["rig_name"] == "rig_1"
    assert location["json"]["iblrig_version"] == "8.24.7"
    assert set(location["json"]["machine"]) == {"platform", "hostname", "ip"}


def test_a_location_that_alyx_does_not_know_is_said_and_the_session_entered_without(
    one: Any, database: Any, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    register_session(folder, {**BEGUN, "RIG_NAME": "attic"}, one)
    [session] = database.sessions
    assert session["location"] is None
    assert caplog.messages == [
        f"Alyx at {database.url} knows no location attic, so that the session is entered without one: "
        "correct RIG_NAME in hardware_settings.yaml, or have it made at "
        f"{database.url}/admin/misc/lablocation/"
    ]


@pytest.mark.parametrize("subject", ["test", "test_subject", "iblrig_test_subject"])
def test_of_a_subject_for_tests_nothing_is_entered(
    one: Any, database: Any, folder: Path, subject: str
) -> None:
    before = list(database.requests)
    assert register_session(folder, {**RUN, "SUBJECT_NAME": subject}, one) is None
    assert database.requests == before


def test_damaged_settings_of_another_task_cost_its_trials_only(
    one: Any, database: Any, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(folder, {}, 1)
    (folder / "raw_task_data_01" / "_iblrig_taskSettings.raw.json").write_text('{"SUBJ')
    register_session(folder, RUN, one)
    assert database.sessions[0]["n_trials"] == 30
    assert "its trials are not counted in Alyx" in caplog.text


# -- as iblrig --------------------------------------------------------------------------------------------

FACTS = json.loads((Path(__file__).parents[2] / "data" / "alyx" / "iblrig-8.24.json").read_text())


class Task(BaseSession):
    """The session that iblrig's own code has registered."""

    protocol_name = FACTS["given"]["protocol_name"]

    def start_hardware(self) -> None:
        """Nothing."""

    def _run(self) -> None:
        self.session_info.update(FACTS["given"]["at the end"])


def plain(value: Any, names: dict[str, str]) -> Any:
    """Return a body with this session's own times and numbers by their names."""
    if isinstance(value, dict):
        of_this_pc = dict.fromkeys(value.keys() & {"last_seen", "machine"}, "this PC's")
        kept = {key: plain(each, names) for key, each in value.items() if each not in (None, "", [])}
        return {**kept, **of_this_pc}
    return names.get(str(value), value)


def test_what_iblrig_writes_into_alyx_is_written_and_nothing_else(
    one: Any, database: Any, tmp_path: Path
) -> None:
    given = FACTS["given"]
    names: dict[str, str] = {__version__: "multirig's version"}
    seen: list[Any] = []
    database.asked.clear()
    for part in ("first", "second"):
        task = Task(
            **given[part],
            projects=given["projects"],
            procedures=given["procedures"],
            subject=given["subject"],
            interactive=False,
            one=one,
            hardware_settings=given["hardware_settings"],
            iblrig_settings={"iblrig_local_data_path": tmp_path, "ALYX_LAB": "mylab", "ALYX_USER": "sara"},
        )
        task.task_params["REWARD_TYPE"] = given["REWARD_TYPE"]
        task.run()
        info = task.session_info
        names |= {info.SESSION_START_TIME: f"start of the {part} task"}
        names |= {str(info.SESSION_END_TIME): f"end of the {part} task"}
    names |= {database.sessions[0]["id"]: "session", str(int(info.SESSION_NUMBER)): "number"}
    for one_asked in database.asked:
        if one_asked["method"] == "GET":
            continue
        path = one_asked["path"].replace(database.sessions[0]["id"], "session")
        seen.append([one_asked["method"], path, plain(one_asked["body"], names)])

    assert seen == FACTS["multirig"]
    ours, theirs = (summary(FACTS[who]) for who in ("multirig", "iblrig"))
    apart = {key: [ours.get(key), theirs.get(key)] for key in ours | theirs}
    assert {key: both for key, both in apart.items() if both[0] != both[1]} == {
        key: [each["multirig"], each["iblrig"]] for key, each in FACTS["differences"].items()
    }


def summary(requests: list[Any]) -> dict[str, Any]:
    """Return each value that ends up in the database: the last one of each record's field."""
    final: dict[str, Any] = {}
    counts: dict[str, int] = {}
    for method, path, body in requests:
        record = path
        if method == "POST":
            counts[path] = counts.get(path, 0) + 1
            record = f"{path} {counts[path]}"
        if path == "/sessions/session":
            record = "/sessions 1"
        for field, value in body.items():
            final[f"{record} {field}"] = value
    return final
