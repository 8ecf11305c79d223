"""The console's room of the data, with this PC's own sessions and a program that looks at them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from multirig.collect.overview import THIS_PC
from multirig.config import CollectRules
from multirig.dashboard.holdings import LabHoldings
from multirig.errors import MultirigError
from multirig.protocol.holdings import MAX_TOLD


class Session:
    """One that is led, or not."""

    is_led = False
    is_before_recording = False


@pytest.fixture
def session() -> Session:
    return Session()


def make(root: Path, session: Session, rules: CollectRules | None = None) -> LabHoldings:
    rigs: Any = SimpleNamespace(now=list, entries={})
    led: Any = session
    return LabHoldings(rigs, led, lambda: [root], rules, lambda: None)


def record(root: Path, number: int) -> None:
    for one in range(number):
        folder = (
            root / "SP_01" / f"2026-{1 + one // 250:02d}-{1 + one % 25:02d}" / f"{1 + one // 25 % 10:03d}"
        )
        folder.mkdir(parents=True)
        (folder / "data.bin").write_bytes(b"x")


async def test_more_sessions_than_one_answer_holds_are_all_known(tmp_path: Path, session: Session) -> None:
    number = MAX_TOLD + 20
    record(tmp_path / "mylab" / "Subjects", number)
    holdings = make(tmp_path / "mylab" / "Subjects", session)
    try:
        await holdings.look()
        parts = holdings.now().parts
        assert len(parts.held[THIS_PC]) == number
        backlog = parts.backlog(THIS_PC)
        assert backlog is not None
        assert (backlog.sessions, backlog.bytes) == (number, number)
    finally:
        await holdings.close()


async def test_from_the_beginning_of_a_session_until_it_records_nobody_is_asked(
    tmp_path: Path, session: Session
) -> None:
    holdings = make(tmp_path, session)
    session.is_led = session.is_before_recording = True
    await holdings.look()
    assert not holdings.now().is_known
    for work in (holdings.collect("/mnt/lab"), holdings.clear({})):
        with pytest.raises(MultirigError, match="a session goes on"):
            await work
    session.is_before_recording = False
    try:
        await holdings.look()
        assert holdings.now().is_known
    finally:
        await holdings.close()


async def test_a_destination_that_is_none_is_refused_and_told_where_the_config_has_it(
    tmp_path: Path, session: Session
) -> None:
    holdings = make(tmp_path, session, CollectRules(to="no/whole/path"))
    with pytest.raises(MultirigError, match="is no whole path"):
        await holdings.collect()
    assert "is no whole path" in holdings.now().problem
    with pytest.raises(MultirigError, match="is no whole path"):
        await make(tmp_path, session).collect("here")
    with pytest.raises(MultirigError, match="say where to"):
        await make(tmp_path, session).collect()
