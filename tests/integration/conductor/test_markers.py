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

import pytest

from multirig import Marker
from multirig.errors import ConfigError, IllegalTransition, MultirigError
from multirig.lifecycle.session_states import SessionState
from multirig.protocol.events import SECOND, Address
from multirig.record.journal import read_journal, replay
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


async def begin(conductor: Any) -> None:
    await conductor.agree("SP_01")
    await conductor.init()
    await conductor.start()


async def end(conductor: Any) -> None:
    await conductor.stop()
    await conductor.cleanup()


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
    await begin(conductor)
    before = time.perf_counter()
    at = conductor.mark('the animal sneezed, "twice"', trial=7, side="links ä")
    assert before <= at <= time.perf_counter()
    await until(lambda: cam.marked)
    [marker] = cam.marked
    assert (marker.text, marker.data) == ('the animal sneezed, "twice"', {"trial": 7, "side": "links ä"})
    assert marker.at == pytest.approx(at, abs=1e-6)
    assert 0 <= marker.received / SECOND - marker.at < 5  # one PC, one clock
    folder = conductor.session_folder
    await end(conductor)
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
    await begin(conductor)
    lab.network.postman = copies
    texts = [f"marker {number}" for number in range(50)]
    for text in texts:
        conductor.mark(text)

    def written() -> list[str]:
        found = [*lab.folder.joinpath("cam").rglob("_multirig_markers.cam.csv")]
        return sorted(row["text"] for row in table(lab.folder / "cam")) if found else []

    await until(lambda: len(written()) >= len(texts))
    lab.network.postman = lambda data, source, target: (0.0,)
    await end(conductor)
    assert written() == sorted(texts)


async def test_an_adapter_that_cannot_take_markers_is_logged_once_and_records_on(
    lab: Any, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await lab.rig("cam", main_sync=True, adapter=Careless())
    conductor = await lab.conductor()
    await begin(conductor)
    with caplog.at_level(logging.ERROR, "multirig.rig"):
        conductor.mark("one")
        conductor.mark("two")
        await until(lambda: [*lab.folder.joinpath("cam").rglob("_multirig_markers.cam.csv")])
        await until(lambda: len(table(lab.folder / "cam")) == 2)
    assert [one.message for one in caplog.records] == [
        "the adapter could not take the marker 'one'; the recording goes on"
    ]
    outcomes = await conductor.stop()
    await conductor.cleanup()
    assert not isinstance(outcomes["cam"], MultirigError)


async def test_a_disk_that_takes_no_markers_is_logged_once_and_the_recording_goes_on(
    lab: Any, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    rig = await lab.rig("cam", main_sync=True)
    conductor = await lab.conductor()
    await begin(conductor)
    (rig.adapter.session.session_folder / "_multirig_markers.cam.csv").mkdir()
    with caplog.at_level(logging.ERROR, "multirig.rig"):
        conductor.mark("one")
        conductor.mark("two")
        await until(lambda: "misses markers" in caplog.text)
        outcomes = await conductor.stop()
        await conductor.cleanup()
    assert caplog.text.count("misses markers") == 1
    assert not isinstance(outcomes["cam"], MultirigError)


async def test_markers_have_their_place_between_the_start_and_the_clean_up(lab: Any) -> None:
    await lab.rig("cam", main_sync=True)
    conductor = await lab.conductor()
    with pytest.raises(IllegalTransition, match="once the rigs have been started"):
        conductor.mark("early")
    await begin(conductor)
    with pytest.raises(ConfigError):
        conductor.mark("")
    await conductor.stop()
    conductor.mark("the animal is back in its cage")
    folder = conductor.session_folder
    await conductor.cleanup()
    with pytest.raises(IllegalTransition):
        conductor.mark("late")
    assert [one.data["text"] for one in read_journal(folder) if one.kind == "Marked"] == [
        "the animal is back in its cage"
    ]
    assert not [*lab.folder.joinpath("cam").rglob("_multirig_markers.*")]
