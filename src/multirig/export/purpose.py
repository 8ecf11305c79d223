"""What a session was recorded for, by whom, and what its task knew of the subject."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from multirig.export.naming import plain
from multirig.reading.session import LoadedSession
from multirig.record.described import (
    SETTINGS_NAME,
    read_description,
    read_names,
    read_protocols,
    read_settings,
)

_TASKS = "raw_task_data_*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """What is known of it; empty: nothing."""

    tasks: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    procedures: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    """Who led it, or ran its task."""
    weight: float | None = None
    """Of the subject, in grams."""

    @property
    def sentence(self) -> str:
        """All of it but the people."""
        parts = (("Task", self.tasks), ("Projects", self.projects), ("Procedures", self.procedures))
        return " ".join(f"{what}: {', '.join(names)}." for what, names in parts if names)

    @property
    def keywords(self) -> tuple[str, ...]:
        """By which it may be found."""
        return tuple(dict.fromkeys((*self.tasks, *self.projects, *self.procedures)))


def read_purpose(session: LoadedSession) -> Purpose:
    """Return what the files in a session's folders say of it."""
    described = [read_description(folder) for folder in session.folders]
    settings = list(_read_settings(session))
    ran = (str(one["PYBPOD_PROTOCOL"]) for one in settings if one.get("PYBPOD_PROTOCOL"))
    person = None if session.account is None else session.account.person
    users = [str(one["ALYX_USER"]) for one in settings if one.get("ALYX_USER")]
    weights = (one.get("SUBJECT_WEIGHT") for one in settings)
    return Purpose(
        tasks=_unite([*(name for one in described for name in read_protocols(one)), *ran]),
        projects=_unite(_find_names("projects", described, settings)),
        procedures=_unite(_find_names("procedures", described, settings)),
        people=_unite([person] if person else users),
        weight=next((float(one) for one in weights if isinstance(one, int | float) and one > 0), None),
    )


def _read_settings(session: LoadedSession) -> Iterator[Mapping[str, Any]]:
    for folder in session.folders:
        for path in sorted(folder.glob(f"{_TASKS}/{SETTINGS_NAME}")):
            yield read_settings(path)


def _find_names(
    key: str, described: Sequence[Mapping[str, Any]], settings: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    for one in described:
        yield from read_names(one, key)
    for one in settings:
        yield from read_names(one, key.upper())


def _unite(names: Sequence[str] | Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(plain(one) for one in names))
