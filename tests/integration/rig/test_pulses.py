"""Sync pulses of a real rig: on its disk, in the conductor's journal, and found in what was recorded."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from multirig.errors import AdapterError, ConfigError
from multirig.record.journal import read_history, read_journal
from multirig.record.story import tell
from multirig.rig.adapter import Adapter
from multirig.rig.adapters.fake import PULSES_FILE_NAME, Fake
from multirig.sync import OFFSETS_NAME, PULSES_NAME, align, offset_bounds, read_pulses, to_session_time

QUICK = {"mean": 0.1, "length": "10 ms"}
"""Intervals of 50 to 150 ms: a test does not wait for minutes of pulses."""


async def record(conductor: Any, is_enough: Callable[[], bool], until: Any) -> Any:
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await session.start()
    await until(is_enough, 15.0)
    await session.stop()
    return session


def collection_of(rig: Any) -> Path:
    [folder] = rig.config.data_folder.glob("mylab/Subjects/SP_01/*/001/raw_data")
    return folder


def count_pulses(rig: Any) -> int:
    try:
        return len(read_pulses(collection_of(rig)))
    except ValueError:
        return 0


@pytest.mark.limit(40)
async def test_what_recorded_the_line_is_aligned_with_the_session(lab, until):
    rig = await lab.rig("cam", over="udp", main_sync=True, sync_pulses=QUICK)
    conductor = await lab.conductor(over="udp")
    session = await record(conductor, lambda: count_pulses(rig) >= 30, until)
    folder = collection_of(rig)
    pulses = read_pulses(folder)
    seen = [float(line) for line in (folder / PULSES_FILE_NAME).read_text(encoding="utf-8").split()[1:]]
    found = align(seen, [one.at for one in pulses], jitter=4e-3)
    assert found.is_trustworthy, found.reason
    assert (found.missing, found.extra) == (0, 0)
    assert len(found.pairs) == len(pulses) == len(seen)
    assert all(one.bound is not None and one.length == 0.01 for one in pulses)
    gaps = [other.rig_time - one.rig_time for one, other in itertools.pairwise(pulses)]
    assert min(gaps) >= 0.05e9
    # the conductor knows them too
    journalled = []
    for entry in read_journal(session.folder):
        said = json.loads(json.dumps(entry.data)) if entry.kind == "Received" else {}
        journalled += [one["pulse"]["at"] for one in _find_dicts(said) if "pulse" in one]
    assert journalled == [one.at for one in pulses]
    told = [line.what for line in tell(read_history(session.folder).moments)]
    assert any("gave a sync pulse at" in one for one in told)


def _find_dicts(value: object) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return [value, *(found for one in value.values() for found in _find_dicts(one))]
    return [found for one in value for found in _find_dicts(one)] if isinstance(value, list) else []


async def test_the_conductors_readings_place_a_rigs_stamps_where_the_rig_did(lab, until):
    rig = await lab.rig("cam", over="udp", main_sync=True, sync_pulses=QUICK)
    conductor = await lab.conductor(over="udp")
    session = await record(conductor, lambda: count_pulses(rig) >= 3, until)
    folder = session.folder
    await session.cleanup()
    await until(lambda: (folder / OFFSETS_NAME).exists())
    pulses = read_pulses(collection_of(rig))
    stamps = [one.rig_time for one in pulses]
    placed = to_session_time(stamps, "cam", folder, unit="ns")
    bounds = offset_bounds(stamps, "cam", folder, unit="ns")
    for one, at, bound in zip(pulses, placed, bounds, strict=True):
        assert one.bound is not None
        assert abs(at - one.at * 1e9) <= bound + one.bound * 1e9
        assert abs(at - one.rig_time) <= bound + 1  # both run on this PC's one clock


async def test_no_pulse_comes_where_none_is_asked_for_nor_when_nothing_is_recorded(lab, until):
    quiet = await lab.rig("quiet", main_sync=True)
    rig = await lab.rig("cam", sync_pulses=QUICK)
    conductor = await lab.conductor()
    await record(conductor, lambda: count_pulses(rig) >= 3, until)
    assert not (collection_of(quiet) / PULSES_NAME).exists()
    count = count_pulses(rig)
    await asyncio.sleep(0.4)
    assert count_pulses(rig) == count


async def test_the_table_of_pulses_is_among_the_files_and_in_the_manifest(lab, until):
    rig = await lab.rig("cam", main_sync=True, sync_pulses=QUICK)
    conductor = await lab.conductor()
    await record(conductor, lambda: count_pulses(rig) >= 1, until)
    manifest = json.loads(next(collection_of(rig).parent.glob("_multirig_manifest.*")).read_text("utf-8"))
    assert f"raw_data/{PULSES_NAME}" in {one["path"] for one in manifest["files"]}


@dataclass(kw_only=True)
class Line(Fake):
    """A line whose driver knows when an edge rose, and which fails when it is told."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.rises: list[int] = []
        self.failures = 0
        self.is_high = False

    async def pulse(self, seconds: float) -> int | None:
        if self.failures:
            self.failures -= 1
            raise AdapterError("the line is short-circuited")
        self.is_high = True
        self.rises.append(time.perf_counter_ns() - 1_000_000)
        await asyncio.sleep(seconds)
        self.is_high = False
        return self.rises[-1]


async def test_a_driver_that_knows_when_the_edge_rose_is_believed(lab, until):
    line = Line()
    rig = await lab.rig("cam", main_sync=True, adapter=line, sync_pulses=QUICK)
    conductor = await lab.conductor()
    await record(conductor, lambda: count_pulses(rig) >= 2, until)
    assert [one.rig_time for one in read_pulses(collection_of(rig))] == line.rises


async def test_a_pulse_that_fails_is_told_once_and_the_recording_goes_on(lab, until, caplog):
    line = Line()
    line.failures = 3
    rig = await lab.rig("cam", main_sync=True, adapter=line, sync_pulses=QUICK)
    conductor = await lab.conductor()
    await record(conductor, lambda: count_pulses(rig) >= 1, until)
    told = [one.getMessage() for one in caplog.records if "sync pulse" in one.getMessage()]
    assert told == [
        "cam: a sync pulse failed (the line is short-circuited); "
        "the recording goes on, look at the line before the next one"
    ]


async def test_a_pulse_that_has_begun_is_ended_before_the_recording(lab, until):
    line = Line()
    rig = await lab.rig("cam", main_sync=True, adapter=line, sync_pulses={"mean": 0.4, "length": 0.1})
    conductor = await lab.conductor()
    await record(conductor, lambda: line.is_high, until)
    assert not line.is_high
    assert [one.rig_time for one in read_pulses(collection_of(rig))] == line.rises


@dataclass(kw_only=True)
class Lineless(Adapter):
    """A device that has no sync line."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


async def test_pulses_that_the_adapter_cannot_give_are_refused_before_anything_else(lab):
    with pytest.raises(ConfigError, match="rig cam: sync_pulses: the adapter Lineless gives no pulses: take"):
        await lab.rig("cam", adapter=Lineless(), sync_pulses=True)
