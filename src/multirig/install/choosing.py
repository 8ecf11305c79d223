"""What is to be started, from what was typed; and what is new in it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from multirig.install.job import Job, Kind
from multirig.install.program import find_program
from multirig.install.records import Record
from multirig.install.system import this_system
from multirig.install.windows import check_words

CARRIED = (
    "MULTIRIG_STATE",
    "MULTIRIG_RIGS",
    "MULTIRIG_KEYS",
    "XDG_STATE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME",
)
"""Variables by which multirig finds its files: what is started must find the same ones."""


def make_job(
    kind: Kind,
    name: str,
    *,
    config: Path | None,
    options: Sequence[str],
    end_limit: int,
    environment: Mapping[str, str],
) -> Job:
    """Return what is started at log-on, as from this terminal, by whole paths. Raises ConfigError."""
    job = Job(
        kind=kind,
        name=name,
        program=find_program(),
        arguments=("console", *options) if config is None else ("serve", str(config), "--wait", *options),
        folder=str(Path.cwd() if config is None else config.parent),
        environment=environment,
        end_limit=end_limit,
    )
    job.check()
    if this_system() == "windows":
        check_words(job, os.environ)
    return job


def find_environment(variables: Mapping[str, str], system: str) -> dict[str, str]:
    """Return the variables that it would lack: launchd and systemd know nothing of a terminal's."""
    if system == "windows":  # it has all that the user has, and a task can be given none
        return {}
    found = {name: variables[name] for name in ("PATH", *CARRIED) if variables.get(name)}
    return {name: value if name == "PATH" else _whole(value) for name, value in found.items()}


def _whole(path: str) -> str:
    """Return a path as it is meant here: at log-on it would be taken from another folder."""
    return path if path.startswith("/") else os.path.abspath(Path(path).expanduser())


def find_record(name: str, known: Sequence[Record], kind: Kind) -> Record | None:
    """Return what is installed under a name, or under one that some systems take for the same."""
    of_kind = [one for one in known if one.job.kind is kind]
    exact = [one for one in of_kind if one.job.name == name]
    return next(iter(exact or [one for one in of_kind if one.job.name.casefold() == name.casefold()]), None)


def find_changes(before: Record, now: Record) -> Iterator[str]:
    """Yield what differs, in words."""
    pairs = (
        ("program", " ".join(before.job.program), " ".join(now.job.program)),
        ("config", before.config or "", now.config or ""),
        ("options", _options(before), _options(now)),
        ("folder", before.job.folder, now.job.folder),
        ("started by", str(before.way), str(now.way)),
    )
    for what, old, new in pairs:
        if old != new:
            yield f"{what} was {old or 'none'}, is {new or 'none'}"
    for name in sorted({*before.job.environment, *now.job.environment}):
        values = [one.job.environment.get(name, "not set") for one in (before, now)]
        if values[0] != values[1]:
            yield f"{name} was {values[0]}, is {values[1]}" if name in CARRIED else f"{name} is another one"


def _options(record: Record) -> str:
    rest = record.job.arguments[1:]
    return " ".join(rest if record.config is None else rest[2:])
