"""What was installed on this PC by this user, kept as one file for each rig."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from multirig.errors import ConfigError, why_not
from multirig.formats import KEY, check_format
from multirig.install.job import Job, Kind
from multirig.install.plan import Way
from multirig.state import state_folder
from multirig.version import __version__
from multirig.writing import write_whole

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One thing that was installed."""

    job: Job
    way: Way
    config: str | None = None
    """The rig's config; None: the console's."""
    lock_folder: str | None = None
    """Where a rig's lock lies, if that is not the user's folder."""
    old_folders: tuple[str | None, ...] = ()
    """Where its lock lay before, as long as somebody holds it there."""
    is_gone: bool = False
    """Whether it was taken away already, and ran on then: where its lock lies must be known until it ends."""
    port: int | None = None
    """At which the console is."""
    installed: str = ""
    """When, as an ISO time."""


def records_folder() -> Path:
    """Return where they lie; it need not exist."""
    return state_folder() / "installed"


def write_record(record: Record, folder: Path | None = None) -> None:
    """Keep it in place of the one of the same rig. Raises ConfigError."""
    folder = folder or records_folder()
    content: dict[str, Any] = {KEY: FORMAT, "version": __version__}
    content |= asdict(replace(record, job=replace(record.job, environment=dict(record.job.environment))))
    content["job"]["kind"], content["way"] = record.job.kind.value, record.way.name
    path = _path(record.job, folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, (json.dumps(content, indent=2) + "\n").encode(), is_private=True)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {why_not(error)}") from None


def read_records(on_broken: Callable[[ConfigError], object], folder: Path | None = None) -> list[Record]:
    """Return all, by name, the console last.

    Parameters
    ----------
    on_broken : callable
        Is given what is wrong with one that was written by a newer multirig, or is no such file.
    folder : Path, optional
        Where they lie, if not in this user's folder.
    """
    found = []
    for path in sorted((folder or records_folder()).glob("*.json")):
        try:
            found.append(_read(path))
        except ConfigError as error:
            on_broken(error)
    return sorted(found, key=lambda one: (one.job.is_console, one.job.name.casefold()))


def remove_record(job: Job, folder: Path | None = None) -> None:
    """Forget it, if it was known. Raises ConfigError."""
    path = _path(job, folder or records_folder())
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{path} cannot be removed: {why_not(error)}") from None


def _path(job: Job, folder: Path) -> Path:
    return folder / f"{job.kind}-{job.label(r'[^A-Za-z0-9_-]', '%{:02X}')}.json"


def _read(path: Path) -> Record:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        check_format(content.pop(KEY, None), FORMAT, path, content.pop("version", None))
        job = content.pop("job")
        job |= {key: tuple(job[key]) for key in ("program", "arguments")}
        job["kind"] = Kind(job["kind"])
        content["old_folders"] = tuple(content.get("old_folders", ()))
        return Record(job=Job(**job), way=Way[content.pop("way")], **content)
    except ConfigError:
        raise
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise ConfigError(
            f"{path} cannot be read ({type(error).__name__}: {error}): remove it, and install that rig again"
        ) from None
