"""What a check has found on a PC, in one line for whoever prepares a session."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

MAX_TEXT = 700
"""Characters of a finding that are taken from another PC."""
MAX_FINDINGS = 32
"""Findings that are taken from another PC."""


class Level(enum.Enum):
    """How much a finding matters."""

    OK = "ok"
    NOTE = "note"
    """Good to know; nothing needs to be done."""
    WARNING = "warning"
    """The session can go on, and should be looked after."""
    FAILURE = "failure"
    """A session would fail."""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check has found."""

    check: str
    """What was looked at: disk, folder, adapter, version, clock, sleep, reboot, …"""
    level: Level
    text: str
    """One line: what is, and what to do about it."""

    def to_json(self) -> dict[str, str]:
        """Return it in plain values."""
        return {"check": self.check, "level": self.level.value, "text": self.text}


def read_findings(values: object) -> list[Finding]:
    """Return what another PC has found; what cannot be read is left out."""
    found = []
    for value in values if isinstance(values, list) else []:
        match value:
            case {"check": str(check), "level": str(level), "text": str(text)} if level in _LEVELS:
                found.append(Finding(check=check[:MAX_TEXT], level=Level(level), text=_one_line(text)))
    return found[:MAX_FINDINGS]


def worst(findings: Iterable[Finding]) -> Level:
    """Return the level of the gravest finding; OK without any."""
    levels = list(Level)
    return levels[max((levels.index(one.level) for one in findings), default=0)]


def plain_findings(findings: Iterable[Finding]) -> list[Mapping[str, Any]]:
    """Return findings in plain values, for a message."""
    return [one.to_json() for one in findings]


def _one_line(text: str) -> str:
    return " ".join(text.split())[:MAX_TEXT]


_LEVELS = frozenset(level.value for level in Level)
