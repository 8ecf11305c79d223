"""What IBL's copiers look for, and what they leave: written from what they do, for where they cannot be had.

A folder is taken that carries the flag, by the first description that is found in it. Every collection that
the description names must be a folder there, and is copied; a task's collection must hold its settings. The
state of each PC is a file beside its description on the server; when all are complete, the descriptions are
put together, and the session carries a flag of its own there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

COMPLETE, FINAL, PENDING = "complete", "final", "pending"


def find(subjects: Path) -> list[Path]:
    """Return the sessions that a copier finds on a PC."""
    return sorted(flag.parent for flag in subjects.glob("*/????-??-??/*/transfer_me.flag"))


def read(session: Path) -> Any:
    """Return the description that a copier reads."""
    found = list(session.glob("_ibl_experiment.description*.yaml"))
    assert len(found) == 1, f"a copier takes the first that it finds of {found}"
    with found[0].open(encoding="cp1252") as file:  # as on a Windows of the west
        return yaml.safe_load(file)


def collections(described: Any) -> Iterator[str]:
    """Yield all collections, wherever they stand."""
    if isinstance(described, list):
        for one in described:
            yield from collections(one)
    elif isinstance(described, dict):
        for one in described.values():
            if isinstance(one, dict) and "collection" in one:
                yield one["collection"]
            else:
                yield from collections(one)


def stub(session: Path, server: Path, device: str) -> Path:
    """Return where the description of a device lies on the server."""
    subject, date, number = session.parts[-3:]
    name = f"{date}_{int(number)}_{subject}@{device}.yaml"
    return server / "Subjects" / subject / date / number / "_devices" / name


def state(session: Path, server: Path, device: str) -> str | None:
    """Return how far the copy of a device is."""
    there = stub(session, server, device)
    states = [one.suffix for one in there.parent.glob(f"{there.stem}.status_*")]
    assert len(states) <= 1, states
    return states[0].removeprefix(".status_") if states else None


def copy(session: Path, server: Path, device: str) -> str | None:
    """Copy a session, and put the whole together where it was the last of its PCs; return its state."""
    described, there = read(session), stub(session, server, device)
    assert there.exists(), f"{there} is not entered"
    assert state(session, server, device) == PENDING
    if device == "behavior":
        protocols = [one for task in described["tasks"] for one in task.values()]
        assert protocols
        for one in protocols:
            settings = session / one["collection"] / "_iblrig_taskSettings.raw.json"
            assert json.loads(settings.read_bytes())["SESSION_END_TIME"]
    names = set(collections(described))
    lacking = [one for one in names if not (session / one).is_dir()]
    assert not lacking, f"no collection {lacking} in {session}"
    for name in names:
        shutil.copytree(session / name, there.parents[1] / name, dirs_exist_ok=True)
    there.with_suffix(".status_pending").rename(there.with_suffix(".status_complete"))
    (session / "transfer_me.flag").unlink()
    put_together(there.parents[1])
    return state(session, server, device)


def put_together(session: Path) -> None:
    """Put the descriptions of all PCs together where all are complete."""
    stubs = sorted((session / "_devices").glob("*.yaml"))
    if not all(one.with_suffix(".status_complete").exists() for one in stubs):
        return
    whole: dict[str, Any] = {}
    for one in stubs:
        for key, value in yaml.safe_load(one.read_bytes()).items():
            assert key != "sync" or whole.get(key, value) == value, "two syncs"
            if isinstance(value, dict):
                whole[key] = {**whole.get(key, {}), **value}
            else:
                whole[key] = [*whole.get(key, []), *value] if isinstance(value, list) else value
        one.with_suffix(".status_complete").rename(one.with_suffix(".status_final"))
    (session / "_ibl_experiment.description.yaml").write_text(yaml.safe_dump(whole))
    (session / "raw_session.flag").touch()
