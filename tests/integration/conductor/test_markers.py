"""Markers, from the conductor to the rigs' tables and adapters."""

from __future__ import annotations

import csv
import json
import logging
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from multirig import Marker
from multirig.errors import IllegalTransition, MultirigError
from multirig.lifecycle.session_states import SessionState
from multirig.protocol.events import SECOND, Address
from multirig.record.account import account
from multirig.record.journal import read_journal, replay
from multirig.record.verdict import Word
from multirig.rig.adapters.fake import Fake


@dataclass(kw_only=True)
class Marking(Fake):
    """Keeps what was marked."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.marked: list[Marker] = []

    def mark(self, marker: Marker) -> None:
        self.marked.append(marker)


class Careless(Fake):
    """Cannot take a marker."""

    def mark(self, marker: Marker) -> None:
        raise ValueError(f"what is {marker.text}?")


async def begin(conductor: Any) -> Any:
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await session.start()
    return session


async def end(session: Any) -> None:
    await session.stop()
    await session.cleanup()


def table(folder: Path) -> list[dict[str, str]]:
    """Return the rows of the one table of markers below a folder."""
    [path] = folder.rglob("_multirig_markers.*.csv")
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def copies(data: bytes, source: Address, target: Address) -> Iterable[float]:
    """Lose a third, deliver the rest one to three times, in any order."""
    times = random.choice((0, 1, 3))
    return tuple(random.uniform(0, 0.02) for _ in range(times))


@pytest.mark.parametrize("over", ["memory", "udp", "tcp"])
async def test_a_marker_is_in_the_journal_the_table_and_the_adapters_hands(
    lab: Any, until: Any, over: str
) -> None:
    cam = Marking()
    await lab.rig("main", over=over, main_sync=True)
    await lab.rig("left", over=over, adapter=cam)
    conductor = await lab.conductor(over=over)
    session = await begin(conductor)
    before = time.perf_counter()
    at = session.mark('the animal sneezed, "twice"', trial=7, side="links ä")
    assert before <= at <= time.perf_counter()
    await until(lambda: cam.marked)
    [marker] = cam.marked
    assert (marker.text, marker.data) == ('the animal sneezed, "twice"', {"trial": 7, "side": "links ä"})
    assert marker.at == pytest.approx(at, abs=1e-6)
    assert 0 <= marker.received / SECOND - marker.at < 5  # one PC, one clock
    folder = session.folder
    await end(session)
    for name in ("main", "left"):
        [row] = table(lab.folder / name)
        assert float(row["session_time_s"]) == pytest.approx(at, abs=1e-6)
        assert row["text"] == marker.text
        assert json.loads(row["data"]) == marker.data
    [entry] = [one for one in read_journal(folder) if one.kind == "Marked"]
    assert entry.data == {"text": marker.text, "at": round(at * SECOND), "data": marker.data}
    assert replay(folder).state is SessionState.IDLE


async def test_over_a_bad_network_each_marker_is_written_once(lab: Any, until: Any) -> None:
    await lab.rig("cam", main_sync=True)
    conductor = await lab.conductor()
    session = await begin(conductor)
    lab.network.postman = copies
    texts = [f"marker {number}" for number in range(50)]
    for text in texts:
        session.mark(text)

    def written() -> list[str]:
        found = [*lab.folder.joinpath("cam").rglob("_multirig_markers.cam.csv")]
        return sorted(row["text"] for row in table(lab.folder / "cam")) if found else []

    await until(lambda: len(written()) >= len(texts))
    lab.network.postman = lambda data, source, target: (0.0,)
    await end(session)
    assert written() == sorted(texts)


async def test_an_adapter_that_cannot_take_markers_is_logged_once_and_records_on(
    lab: Any, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await lab.rig("cam", main_sync=True, adapter=Careless())
    conductor = await lab.conductor()
    session = await begin(conductor)
    with caplog.at_level(logging.ERROR, "multirig.rig"):
        session.mark("one")
        session.mark("two")
        await until(lambda: [*lab.folder.joinpath("cam").rglob("_multirig_markers.cam.csv")])
        await until(lambda: len(table(lab.folder / "cam")) == 2)
    assert [one.message for one in caplog.records] == [
        "the adapter could not take the marker 'one'; the recording goes on"
    ]
    outcomes = await session.stop()
    await session.cleanup()
    assert not isinstance(outcomes["cam"], MultirigError)


async def test_a_disk_that_takes_no_markers_is_logged_once_and_the_recording_goes_on(
    lab: Any, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    rig = await lab.rig("cam", main_sync=True)
    conductor = await lab.conductor()
    session = await begin(conductor)
    (rig.adapter.session.session_folder / "_multirig_markers.cam.csv").mkdir()
    with caplog.at_level(logging.ERROR, "multirig.rig"):
        session.mark("one")
        session.mark("two")
        await until(lambda: "misses markers" in caplog.text)
        outcomes = await session.stop()
        await session.cleanup()
    assert caplog.text.count("misses markers") == 1
    assert not isinstance(outcomes["cam"], MultirigError)


async def test_markers_have_their_place_between_the_start_and_the_clean_up(lab: Any) -> None:
    await lab.rig("cam", main_sync=True)
    conductor = await lab.conductor()
    with pytest.raises(IllegalTransition, match="once the rigs have been started"):
        conductor.session("SP_01").mark("early")
    session = await begin(conductor)
    await session.stop()
    session.mark("the animal is back in its cage")
    folder = session.folder
    await session.cleanup()
    with pytest.raises(IllegalTransition):
        session.mark("late")
    assert [one.data["text"] for one in read_journal(folder) if one.kind == "Marked"] == [
        "the animal is back in its cage"
    ]
    assert not [*lab.folder.joinpath("cam").rglob("_multirig_markers.*")]


ODD: dict[str, Any] = {
    "picture": np.zeros((480, 640)),
    "sides": {"left"},
    "raw": b"\xff",
    "power": float("nan"),
    "count": 10**30,
    "rig": object(),
}


async def test_whatever_is_marked_the_session_goes_on_and_the_rigs_have_it(lab: Any, until: Any) -> None:
    await lab.rig("cam", main_sync=True, over="udp")
    conductor = await lab.conductor(over="udp")
    session = await begin(conductor)
    said: list[str] = []
    session.remarks.tell = said.append
    for _ in range(3):
        session.mark("x" * 301, **ODD)
    session.mark("")
    await until(lambda: [*lab.folder.joinpath("cam").rglob("_multirig_markers.cam.csv")])
    await until(lambda: len(table(lab.folder / "cam")) == 4)
    folder = session.folder
    await end(session)
    assert [row["text"] for row in table(lab.folder / "cam")] == ["x" * 299 + "…"] * 3 + ["(no text)"]
    told = json.loads(table(lab.folder / "cam")[0]["data"])
    assert told["picture"].startswith("an array of 480 x 640 float64: 0.0, ")
    assert {key: told[key] for key in ("sides", "raw", "power")} == {
        "sides": ["left"],
        "raw": "ff",
        "power": None,
    }
    assert account(folder).verdict is Word.GOOD
    assert len(said) == 2  # what comes with each trial is told once
    assert said[0].startswith("marker 'xxx")
    assert "picture is an array of 480 x 640 float64: it was shortened" in said[0]


@pytest.mark.limit(60)
async def test_a_stop_waits_until_the_rigs_have_the_last_markers(lab: Any) -> None:
    rig = await lab.rig("main", main_sync=True, over="udp")
    conductor = await lab.conductor(over="udp")
    session = await begin(conductor)
    for number in range(2000):
        session.mark("fast", number=number)
    await end(session)
    assert len(table(rig.config.data_folder)) == 2000
    assert account(session.folder).notes == []
