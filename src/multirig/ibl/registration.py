"""A session in Alyx as IBL's programs enter it: its record, the weight, the water, and where it was run.

Whatever is tried again is looked for first, so that nothing is entered twice.
"""

from __future__ import annotations

import datetime
import json
import logging
import platform
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multirig.conductor.registration import own_addresses
from multirig.errors import ConfigError
from multirig.folders import find_description
from multirig.ibl import description
from multirig.ibl.alyx import AlyxError
from multirig.ibl.alyx_answers import ANSWER_LIMIT, NOT_FOUND, ask, reason, status, token_of
from multirig.ibl.session_paths import SETTINGS_NAME

TEST_SUBJECTS = ("iblrig_test_subject", "test", "test_subject")
"""Animals that are none; nothing is entered of them."""
NARRATIVE_NAME = "narrative.txt"
"""In a session's folder: what its people say of it."""
WATER = "Water"
"""What is given where the task names no ``REWARD_TYPE``."""
UL_PER_ML = 1000.0
HANGS_AFTER = 120.0
"""Seconds after which a registration that has not ended holds up the next one no more."""

_JSON_KEYS = ("IBLRIG_VERSION", "MULTIRIG_VERSION", "TASK_VERSION", "PROJECT_EXTRACTION_VERSION")

log = logging.getLogger("multirig.ibl")


def register_session(
    session_path: str | Path, settings: Mapping[str, Any], one: Any, *, limit: float = ANSWER_LIMIT
) -> dict[str, Any] | None:
    """Enter a session in Alyx with the animal's weight and water, or bring its entry up to date.

    It may be called again at any time, also after a failure: the weight is entered once for a session, the
    water once for each run of a task.

    Parameters
    ----------
    session_path : str or pathlib.Path
        The session's folder. Projects, procedures and tasks are taken from its description, the narrative
        from ``narrative.txt``, trials and weight also from the settings of the session's other tasks.
    settings : mapping
        The task's settings: ``SUBJECT_NAME``, ``SESSION_NUMBER``, ``SESSION_START_TIME`` (ISO 8601); where it
        is known also ``SESSION_END_TIME``, ``ALYX_USER``, ``RIG_NAME``, ``PYBPOD_PROTOCOL``,
        ``IBLRIG_VERSION``, ``TASK_VERSION``, ``PROJECTS``, ``PROCEDURES``, ``NTRIALS``, ``NTRIALS_CORRECT``,
        ``POOP_COUNT``, ``SUBJECT_WEIGHT`` (g), ``TOTAL_WATER_DELIVERED`` (µl), ``REWARD_TYPE``.
    one : one.api.OneAlyx or None
        Somebody must be logged in.
    limit : float
        Seconds to wait for Alyx.

    Returns
    -------
    dict or None
        Alyx's record of the session; None if ONE is offline or the subject is for tests: nothing is asked.

    Raises
    ------
    AlyxError
        Alyx is out of reach or refuses; one line says what is not entered, and why. What was recorded is not
        touched.
    ConfigError
        The settings do not name the session.
    """
    if one is None or one.offline:
        return None
    entry = _Entry.of(Path(session_path), settings, one.alyx.user)
    if entry.subject in TEST_SUBJECTS:
        log.warning("%s is a subject for tests: nothing is entered in Alyx", entry.subject)
        return None
    what = f"session {entry.number} of {entry.subject}"
    turn = _Turn()
    try:
        record: dict[str, Any] = ask(
            one.alyx,
            lambda: _register(one.alyx, entry, what, turn),
            undone=f"{what} is not registered",
            refused=what,
            meanwhile="the data are safe, ",
            again="register it",
            limit=limit,
        )
    finally:
        turn.is_given_up = True
    return record


# -- what is known of the session -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A session as its files tell it."""

    run: Mapping[str, Any]
    """The settings of the task that is registered now."""
    runs: list[Mapping[str, Any]]
    """Those of all tasks of the session, the first one first."""
    described: Mapping[str, Any]
    narrative: str
    user: str | None
    """Who has run it, or is logged in."""

    @classmethod
    def of(cls, session_path: Path, settings: Mapping[str, Any], user: str | None) -> _Entry:
        """Return what the folder and the settings say, or raise ConfigError."""
        for key in ("SUBJECT_NAME", "SESSION_NUMBER", "SESSION_START_TIME"):
            if not settings.get(key):
                raise ConfigError(
                    f"the settings of {session_path} have no {key}: the session cannot be registered"
                )
        narrative = session_path / NARRATIVE_NAME
        text = narrative.read_text(encoding="utf-8", errors="replace") if narrative.is_file() else ""
        return cls(
            run=settings,
            runs=sorted(_all_runs(session_path, settings), key=lambda run: str(run["SESSION_START_TIME"])),
            described=description.read(session_path) if find_description(session_path) is not None else {},
            narrative=text.strip(),
            user=settings.get("ALYX_USER") or user,
        )

    @property
    def subject(self) -> str:
        return str(self.run["SUBJECT_NAME"])

    @property
    def number(self) -> int:
        return int(self.run["SESSION_NUMBER"])

    @property
    def date(self) -> str:
        return str(self.run["SESSION_START_TIME"])[:10]

    def news(self) -> dict[str, Any]:
        """Return the fields that may change while the session goes on."""
        version = self.run.get("IBLRIG_VERSION") or ""
        protocols = [name for task in self.described.get("tasks", []) for name in task]
        trials = self._sum("NTRIALS")
        fields = {
            "start_time": self.runs[0]["SESSION_START_TIME"],
            "end_time": self.runs[-1].get("SESSION_END_TIME"),
            # IBL's form: each task's name with the version that ran it, of chained tasks all
            "task_protocol": "/".join(
                f"{name}{version}" for name in protocols or [self.run.get("PYBPOD_PROTOCOL")] if name
            ),
            "projects": list(self.described.get("projects") or self.run.get("PROJECTS") or []),
            "procedures": list(self.described.get("procedures") or self.run.get("PROCEDURES") or []),
            "n_trials": trials,
            "n_correct_trials": self._sum("NTRIALS_CORRECT") or 0 if trials else None,
            "narrative": self.narrative,
        }
        return {key: value for key, value in fields.items() if value not in (None, "", [])}

    def notes(self) -> dict[str, Any]:
        """Return what goes into the record's ``json``, which also holds what others have written."""
        notes: dict[str, Any] = {"IS_MOCK": bool(self.run.get("IS_MOCK"))}
        notes |= {key: self.run[key] for key in _JSON_KEYS if self.run.get(key) is not None}
        counts = [run["POOP_COUNT"] for run in self.runs if run.get("POOP_COUNT") is not None]
        return {**notes, "POOP_COUNT": int(sum(counts))} if counts else notes

    def _sum(self, key: str) -> int | None:
        """Return a count over all tasks; None where there is nothing to count."""
        return sum(int(run.get(key) or 0) for run in self.runs) or None


def _all_runs(session_path: Path, settings: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the settings of each task of the session; those that are given stand for the file of theirs."""
    yield settings
    for path in sorted(session_path.glob(f"raw_task_data_*/{SETTINGS_NAME}")):
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            log.warning("%s is not read (%s): its trials are not counted in Alyx", path, error)
            continue
        start = found.get("SESSION_START_TIME") if isinstance(found, dict) else None
        if start and start != settings["SESSION_START_TIME"]:
            yield found


# -- one after the other ---------------------------------------------------------------------------------


class _Turn:
    """A registration; the next one waits for it, so that it finds what was entered."""

    _changed = threading.Condition()
    _running: _Turn | None = None

    def __init__(self) -> None:
        self.is_given_up = False
        """Whether nobody waits for it any more."""
        self._began = 0.0

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Have the turn, when those before are through or hang; AlyxError if nobody waits any more."""
        cls = type(self)
        with cls._changed:
            while (other := cls._running) is not None:
                left = other._began + HANGS_AFTER - time.monotonic()
                if left <= 0:
                    break
                cls._changed.wait(left)
            if self.is_given_up:
                raise AlyxError("this registration was given up while it waited for its turn")
            self._began = time.monotonic()
            cls._running = self
        try:
            yield
        finally:
            with cls._changed:
                if cls._running is self:
                    cls._running = None
                cls._changed.notify_all()


# -- what is asked of Alyx ---------------------------------------------------------------------------------


def _register(alyx: Any, entry: _Entry, what: str, turn: _Turn) -> Any:
    with turn.taken():
        record = _enter(alyx, entry, _subject(alyx, entry.subject, what))
        eid = record["url"].rstrip("/").split("/")[-1]
        steps = {"weight": _enter_weight, "water": _enter_water}
        failed = {}
        for name, step in steps.items():
            try:
                step(alyx, entry, eid)
            except Exception as error:  # noqa: BLE001  the other one is entered all the same
                failed[name] = error
        if failed:
            token = token_of(alyx)
            refusals = "; ".join(f"{name}: {reason(error, token)}" for name, error in failed.items())
            raise AlyxError(
                f"{what} is in Alyx at {alyx.base_url}, but not the {' and the '.join(failed)} ({refusals}): "
                "enter that by hand, or correct it and register again"
            ) from next(iter(failed.values()))
        return record


def _subject(alyx: Any, nickname: str, what: str) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = alyx.rest("subjects", "read", id=nickname, no_cache=True)
    except Exception as error:
        if status(error) != NOT_FOUND:
            raise
        raise AlyxError(
            f"Alyx at {alyx.base_url} knows no subject {nickname}: have it entered there, then "
            f"register {what}"
        ) from error
    return found


def _enter(alyx: Any, entry: _Entry, subject: Mapping[str, Any]) -> Any:
    """Create the session's record, or bring it up to date."""
    key = {"subject": entry.subject, "number": entry.number}
    day = [entry.date, entry.date]
    for there in alyx.rest("sessions", "list", **key, date_range=day, no_cache=True):
        is_it = there["subject"] == entry.subject and int(there["number"]) == entry.number
        if is_it and there["start_time"][:10] == entry.date:
            eid = there["url"].rstrip("/").split("/")[-1]
            record = alyx.rest("sessions", "partial_update", id=eid, data=entry.news())
            notes = {**(record.get("json") or {}), **entry.notes()}
            if notes != record.get("json"):
                record = alyx.rest("sessions", "partial_update", id=eid, data={"json": notes})
            return record
    fields = {
        **key,
        **entry.news(),
        "users": [name for name in [entry.user or subject.get("responsible_user")] if name],
        "lab": subject.get("lab"),
        "location": _enter_location(alyx, entry),
        "type": "Experiment",
        "json": entry.notes(),
    }
    fields.setdefault("projects", subject.get("projects"))
    known = {name: value for name, value in fields.items() if value not in (None, "", [])}
    return alyx.rest("sessions", "create", data=known)


def _enter_location(alyx: Any, entry: _Entry) -> str | None:
    """Note at this PC's entry what it is and when it was seen; return its name, None if Alyx has none."""
    name = entry.run.get("RIG_NAME")
    if not name:
        return None
    try:
        there = alyx.rest("locations", "read", id=name, no_cache=True)
    except Exception as error:
        if status(error) != NOT_FOUND:
            raise
        log.warning(
            "Alyx at %s knows no location %s, so that the session is entered without one: correct "
            "RIG_NAME in hardware_settings.yaml, or have it made at %s/admin/misc/lablocation/",
            *(alyx.base_url, name, alyx.base_url),
        )
        return None
    known = there.get("json")
    hardware = {**(known if isinstance(known, Mapping) else {}), **_hardware(entry.run)}
    try:
        alyx.rest("locations", "partial_update", id=name, data={"json": hardware})
    except Exception as error:  # noqa: BLE001  the session matters more
        log.warning("Alyx does not take what location %s is (%s)", name, reason(error, token_of(alyx)))
    return str(name)


def _hardware(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return what this PC is, under iblrig's keys."""
    return {
        "rig_name": run.get("RIG_NAME"),
        "iblrig_version": run.get("IBLRIG_VERSION"),
        "multirig_version": run.get("MULTIRIG_VERSION"),
        "last_seen": datetime.date.today().isoformat(),
        "machine": {
            "platform": platform.platform(),
            "hostname": socket.gethostname(),
            "ip": min(own_addresses(), key=lambda address: ":" in address, default=None),
        },
    }


def _enter_weight(alyx: Any, entry: _Entry, _: str) -> None:
    """Enter the weight of the session's first task that has one."""
    run = next((run for run in entry.runs if run.get("SUBJECT_WEIGHT")), None)
    if run is None:
        return
    moment = run["SESSION_START_TIME"]
    there = alyx.rest(
        "weighings",
        "list",
        nickname=entry.subject,
        django=f"date_time__date,{moment[:10]}",
        no_cache=True,
    )
    if any(_is_same_time(one.get("date_time"), moment) for one in there):
        return
    data = {"subject": entry.subject, "date_time": moment, "weight": _rounded(run["SUBJECT_WEIGHT"])}
    alyx.rest("weighings", "create", data=_by(entry, data))


def _enter_water(alyx: Any, entry: _Entry, eid: str) -> None:
    """Enter what the animal was given in this run, when it has ended."""
    moment, volume = entry.run.get("SESSION_END_TIME"), entry.run.get("TOTAL_WATER_DELIVERED")
    if not (moment and volume):
        return
    there = alyx.rest("water-administrations", "list", nickname=entry.subject, session=eid, no_cache=True)
    if any(
        str(one.get("session") or "").endswith(eid) and _is_same_time(one.get("date_time"), moment)
        for one in there
    ):
        return
    data = {
        "subject": entry.subject,
        "date_time": moment,
        "water_administered": _rounded(float(volume) / UL_PER_ML),
        "water_type": entry.run.get("REWARD_TYPE") or WATER,
        "adlib": False,
        "session": eid,
    }
    alyx.rest("water-administrations", "create", data=_by(entry, data))


def _by(entry: _Entry, data: dict[str, Any]) -> dict[str, Any]:
    """Return data with who has given them; Alyx takes who is logged in, where it is not said."""
    return {**data, "user": entry.user} if entry.user else data


def _rounded(value: float) -> float:
    """Return four significant digits, as ONE enters them."""
    return float(f"{float(value):.4g}")


def _is_same_time(told: Any, moment: str) -> bool:
    """Whether a time in Alyx, which keeps local time and may keep whole seconds only, is this one."""
    try:
        there, here = (
            datetime.datetime.fromisoformat(str(each)).replace(tzinfo=None) for each in (told, moment)
        )
    except ValueError:
        return False
    return there == (here if there.microsecond else here.replace(microsecond=0))
