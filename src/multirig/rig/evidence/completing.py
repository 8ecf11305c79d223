"""Evidence of every file of a rig: what its adapter says goes before, the rest is added."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TypeVar

from multirig.protocol.events import SECOND
from multirig.protocol.words import Evidence, Expected, File
from multirig.record.spelling import find_file
from multirig.rig.adapter import Session
from multirig.rig.evidence.growth import Growth
from multirig.rig.evidence.tables import read_table
from multirig.rig.evidence.wholeness import find_fair_pause
from multirig.rig.inspection import inspect

READING_LIMIT = 3.0
"""Seconds that the end of a recording waits for what the rows of its tables tell."""

_Known = TypeVar("_Known", Evidence, Expected)


def complete(
    files: Sequence[File],
    session: Session,
    growth: Growth,
    *,
    stopped: int,
    expected: Expected,
    patience: float = READING_LIMIT,
) -> list[File]:
    """Return the files with all that can be known of them without their adapter.

    Parameters
    ----------
    files : sequence of File
        As the adapter lists them.
    session : Session
    growth : Growth
        As it was seen.
    stopped : int
        When the rig was told to stop: this PC's clock, ns.
    expected : Expected
        What the rig's config says.
    patience : float
        Seconds for the rows of tables.
    """
    until = time.monotonic() + patience
    found = {}
    for file in sorted(files, key=lambda one: one.bytes):  # small tables first: most of them are read
        file = inspect(file, session)
        known = Evidence(expected=None if expected == Expected() else expected)
        grown = growth.judge(file.path, file.bytes, stopped, fair_pause=find_fair_pause(expected))
        known = replace(known, growing=grown.growing)
        if grown.grew_at is not None:
            known = replace(known, grew_at=session.to_session_time(grown.grew_at) / SECOND)
        if file.evidence is None and file.frames is not None and file.path.lower().endswith(".csv"):
            known = _read(file, session, known, until)
        evidence = known if file.evidence is None else _fill(file.evidence, known)
        if file.evidence is not None and file.evidence.expected is not None:
            evidence = replace(evidence, expected=_fill(file.evidence.expected, expected))
        found[file.path] = replace(file, evidence=None if evidence == Evidence() else evidence)
    return [found[file.path] for file in files]


def _read(file: File, session: Session, known: Evidence, until: float) -> Evidence:
    try:
        told = read_table(find_file(session.session_folder, file.path), session.to_session_time, until=until)
    except OSError:
        return known
    if told is None:
        return known
    # of a table its rows tell more than its size: it may be of events, which end when they end
    is_event = told.rate is None
    return _fill(told, replace(known, growing=None if is_event and known.growing is False else known.growing))


def _fill(told: _Known, known: _Known) -> _Known:
    """Return what is told, and what is known besides."""
    missing = {one.name: getattr(known, one.name) for one in fields(told) if getattr(told, one.name) is None}
    return replace(told, **missing)
