"""An animal's earlier sessions with a task, on this PC and on the server, as iblrig's tasks ask for them."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from multirig.errors import MultirigError, why_not
from multirig.ibl import description
from multirig.ibl.bunch import Bunch
from multirig.ibl.session_paths import DATA_NAME
from multirig.ibl.settings import load_iblrig_settings

MIN_TRIALS = 43
"""A session with fewer trials says nothing of where the animal's training is."""
_SESSION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}/[0-9]{1,3}")
_SOUND_RATES = {192_000: "xonar", 96_000: "harp", 44_100: "sysdefault"}
"""What played the sounds of a rig before version 8, by the rate in Hz."""

log = logging.getLogger("multirig.ibl")


def iterate_previous_sessions(
    subject_name: str,
    task_name: str,
    n: int = 1,
    *,
    local_path: str | Path | None = None,
    remote_path: str | Path | None = None,
    lab: str | None = None,
    iblrig_settings: Mapping[str, Any] | None = None,
) -> list[Bunch]:
    """Return an animal's earlier runs of a task, the latest one first.

    Parameters
    ----------
    subject_name : str
        Nickname of the animal.
    task_name : str
        The task's ``protocol_name``, as descriptions have it.
    n : int
        How many are looked for in each place. Runs with fewer than 43 trials are left out.
    local_path, remote_path : str or pathlib.Path, optional
        Data folders of this PC and of the server; without them those of the settings.
    lab : str, optional
        Name of the lab.
    iblrig_settings : mapping, optional
        In place of ``iblrig_settings.yaml``.

    Returns
    -------
    list of Bunch
        With the keys ``session_stub`` (``yyyy-mm-dd_NNN``), ``session_path``, ``task_collection``,
        ``experiment_description``, ``task_settings`` (with the keys that ibllib adds) and ``file_task_data``,
        which need not exist. Where there is a server, one run of each session, that of this PC before the
        server's.

    Notes
    -----
    A session whose description or settings cannot be read, and a server that is away, are a line in the log.
    """
    local, remote = _subjects_folders(local_path, remote_path, lab, iblrig_settings)
    runs = _latest(local / subject_name, task_name, n)
    if remote is None:
        return runs
    runs += _latest(remote / subject_name, task_name, n)
    by_session: dict[str, Bunch] = {}
    for run in runs:
        by_session.setdefault(run.session_stub, run)
    return [by_session[stub] for stub in sorted(by_session, reverse=True)]


def _subjects_folders(
    local: str | Path | None,
    remote: str | Path | None,
    lab: str | None,
    given: Mapping[str, Any] | None,
) -> tuple[Path, Path | None]:
    """Return the folders of the subjects on this PC and on the server (None: there is no server)."""
    # iblrig's own settings are a model of pydantic, which is no mapping
    settings: Mapping[str, Any] = dict(given) if given is not None else {}
    if given is None and None in (local, remote, lab):
        settings = load_iblrig_settings()
    here = local or settings.get("iblrig_local_data_path") or Path.home() / "multirig_data"
    there = remote or settings.get("iblrig_remote_data_path")
    lab = lab or settings.get("ALYX_LAB")
    folder = Path(here).expanduser()
    if folder.name != "Subjects":
        folder = folder / lab / "Subjects" if lab else folder / "subjects"
    own = settings.get("iblrig_local_subjects_path")
    servers = settings.get("iblrig_remote_subjects_path")
    if servers is None and there:
        servers = Path(there) if Path(there).name == "Subjects" else Path(there) / "Subjects"
    return Path(own) if own else folder, Path(servers).expanduser() if servers else None


def _latest(subject_folder: Path, task_name: str, n: int) -> list[Bunch]:
    found: list[Bunch] = []
    seen: set[tuple[Path, str]] = set()
    for run in _runs(subject_folder, task_name):
        key = run.session_path, run.task_collection
        if key in seen:  # a session may have a description of each of this PC's devices
            continue
        seen.add(key)
        found.append(run)
        if len(found) >= n:
            break
    return found


def _runs(subject_folder: Path, task_name: str) -> Iterator[Bunch]:
    """Yield the animal's runs of a task with enough trials, the latest one first."""
    try:
        files = sorted(subject_folder.glob("????-??-??/*/_ibl_experiment.description*.yaml"), reverse=True)
    except OSError as error:  # a server that is away must not keep a task from its animal
        log.warning("%s cannot be looked at for earlier sessions (%s)", subject_folder, why_not(error))
        return
    for file in files:
        session = file.parent
        if not _SESSION.fullmatch(session.relative_to(subject_folder).as_posix()):
            continue
        try:
            described = description.read(file)
        except MultirigError as error:
            log.warning("an earlier session is left out: %s", error)
            continue
        for collection in _collections(described.get("tasks") or [], task_name):
            settings = _settings(session / collection)
            if settings is None or _to_number(settings.get("NTRIALS"), MIN_TRIALS) < MIN_TRIALS:
                continue
            yield Bunch(
                session_stub=f"{session.parent.name}_{session.name}",
                session_path=session,
                task_collection=collection,
                experiment_description=described,
                task_settings=settings,
                file_task_data=session / collection / DATA_NAME,
            )


def _collections(tasks: Iterable[Any], task_name: str) -> list[str]:
    """Return the folders of a task in a session, that of its last run first."""

    def number(part: Mapping[str, Any]) -> int:
        last = str(part["collection"]).split("_")[-1]
        return _to_number(part.get("protocol_number"), _to_number(last, 0))

    parts = [task.get(task_name) for task in tasks if isinstance(task, Mapping)]
    known = [part for part in parts if isinstance(part, Mapping) and part.get("collection")]
    return [str(part["collection"]) for part in sorted(known, key=number, reverse=True)]


def _to_number(value: Any, default: int) -> int:
    """Return a number as files of any program may have it; the default where it is none."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return default


def _settings(folder: Path) -> Bunch | dict[str, Any] | None:
    """Return a task's settings with what ibllib adds to them; None if there are none."""
    path = next(iter(sorted(folder.glob("_iblrig_taskSettings.raw*.json"))), None)
    if path is None:
        return None
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(settings, dict):
            raise ValueError("it holds no keys")
        return _completed(settings)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        log.warning("an earlier session is left out: %s cannot be read (%r)", path, error)
        return None


def _completed(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings with the keys of all versions, as ibllib has them."""
    done = {"IS_MOCK": False, **settings}
    done.setdefault("IBLRIG_VERSION_TAG", done.get("IBLRIG_VERSION", ""))
    done.setdefault("IBLRIG_VERSION", done["IBLRIG_VERSION_TAG"])
    if not re.match("([89]|[1-9][0-9])", str(done["IBLRIG_VERSION"] or "")):
        if "device_sound" not in done:
            is_default = "sounddevice" in (done.get("SD") or "")
            rate = _SOUND_RATES.get(done.get("SOUND_SAMPLE_FREQ", 0), "unknown")
            done["device_sound"] = {"OUTPUT": "xonar" if is_default else rate}
        return done
    start = str(done["SESSION_START_TIME"])
    return {
        **done,
        "SESSION_NUMBER": str(done["SESSION_NUMBER"]).zfill(3),
        "PYBPOD_BOARD": done["RIG_NAME"],
        "PYBPOD_CREATOR": (done["ALYX_USER"], ""),
        "SESSION_DATE": start[:10],
        "SESSION_DATETIME": done["SESSION_START_TIME"],
    }
