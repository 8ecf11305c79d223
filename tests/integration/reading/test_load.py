"""Sessions that real rigs have recorded, read back."""

from __future__ import annotations

import asyncio
import datetime
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from tests.integration.rig.test_camera import NetworkCamera, build, network
from tests.integration.rig.test_camera import network_camera as network_camera

import multirig
from multirig.errors import ConfigError, NotHere
from multirig.reading.parts import Condition
from multirig.reading.zero import AGREED
from multirig.record.account import account

SIZE = [64, 48]


def open_camera(lab: Any, name: str, *labels: str, **keys: Any) -> Any:
    camera = build(*({"label": label, "source": "test", "fps": 30, "size": SIZE} for label in labels))
    return lab.rig(name, adapter=camera, over="udp", **keys)


async def record(lab: Any, seconds: float = 0.8) -> Path:
    """Lead a session over all rigs, with three markers; return the folder of the PC that led."""
    conductor = await lab.conductor(over="udp")
    async with conductor.session("SP_01") as session:
        await session.init()
        await session.start()
        for place in range(3):
            await asyncio.sleep(seconds / 3)
            session.mark("stimulus", trial=place)
        await session.stop()
        folder: Path = session.folder
    return folder


def decode(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def part_of(lab: Any, rig: str, folder: Path) -> Path:
    """Return the folder in which a rig has what it recorded of a session."""
    place: Path = lab.folder / rig / "mylab" / "Subjects" / Path(*folder.parts[-3:])
    return place


def collect(target: Path, *folders: Path) -> Path:
    """Copy folders of a session into one, as a lab does with a server."""
    for one in folders:
        shutil.copytree(one, target, dirs_exist_ok=True)
    return target


async def record_two_cameras(lab: Any) -> tuple[Path, Path, Path]:
    """Return the folder of the PC that led, and those of its two rigs."""
    await open_camera(lab, "side", "left", "right", main_sync=True)
    await open_camera(lab, "top", "top")
    folder = await record(lab)
    return folder, part_of(lab, "side", folder), part_of(lab, "top", folder)


@pytest.mark.limit(60)
async def test_a_session_of_two_camera_rigs_is_read_back_as_it_was_recorded(lab: Any) -> None:
    pc, side, top = await record_two_cameras(lab)
    told = account(pc)
    session = multirig.load([pc, side, top])
    assert (session.verdict, session.reasons, session.missing) == ("GOOD", (), {})
    assert list(session.rigs) == ["side", "top"]
    assert session.streams == ("side/left", "side/right", "top/top")
    assert session.zero is not None
    planned = {rig.start.planned for rig in told.rigs.values() if rig.start is not None}
    assert {session.zero.at} == planned

    for label, folder in (("left", side), ("right", side), ("top", top)):
        held = np.load(folder / "raw_video_data" / f"_iblrig_{label}Camera.times.npy")
        shown = decode(folder / "raw_video_data" / f"_iblrig_{label}Camera.raw.mp4")
        times, frames = session.times(label), session.frames(label)
        assert times.dtype == np.float64
        assert np.array_equal(times, held - session.zero.at)
        assert np.array_equal(session.times(label, raw=True), held)
        assert len(frames) == len(times) == len(shown) > 10
        assert all(np.array_equal(one, other) for one, other in zip(frames, shown, strict=True))
        for place in (len(shown) - 1, 3, 2, 7, -1):
            assert np.array_equal(frames[place], shown[place])
        # it began with the start that was agreed, by the time that all of it counts from
        assert -0.001 < times[0] < 0.3
        frames.close()

    first = min(session.times(label)[0] for label in ("left", "right", "top"))
    assert min(one.first for one in session.starts if one.first is not None) == pytest.approx(first)
    assert [one.planned for one in session.starts] == [0.0, 0.0]
    assert session.starts["top"].called == pytest.approx(0.0, abs=0.05)
    assert [(one.text, one.data) for one in session.markers] == [("stimulus", {"trial": n}) for n in range(3)]
    assert [one.t for one in session.markers] == [one.at - session.zero.at for one in told.markers]
    assert [one.t for one in session.markers] == pytest.approx(
        [one.seconds for one in told.markers], abs=1e-9
    )
    assert all(0 < one.t < session.times("top")[-1] + 0.5 for one in session.markers)


@pytest.mark.limit(60)
async def test_what_the_verdict_says_counts_from_the_same_zero(lab: Any) -> None:
    await lab.rig("main", main_sync=True, over="udp")
    await lab.rig("cam", over="udp", fake={"delay": {"start": 0.5}})
    conductor = await lab.conductor(over="udp")
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await session.start()
    await asyncio.sleep(0.5)
    stopped = time.perf_counter()
    await session.interrupt("the valve is stuck")
    await session.cleanup()
    found = multirig.load(session.folder)
    assert found.zero is not None
    # all recorded only half a second after the start that was agreed
    assert found.account is not None
    assert found.account.running_from is not None
    assert found.account.running_from - found.zero.at > 0.4
    after = stopped - found.zero.at
    assert after > 0.9
    [reason] = found.reasons
    assert float(reason.split()[3]) == pytest.approx(after, abs=0.15)
    [incident] = [one for one in found.account.happenings if one.rig is None]
    assert incident.seconds == pytest.approx(after, abs=0.15)


@pytest.mark.limit(60)
async def test_a_rig_s_part_alone_counts_from_the_same_start_and_says_what_it_lacks(lab: Any) -> None:
    pc, side, top = await record_two_cameras(lab)
    whole, part = multirig.load([pc, side, top]), multirig.load(top)
    assert (part.verdict, part.exp_ref) == (None, whole.exp_ref)
    assert part.reasons == (
        "no verdict: the journal is not here, only what top recorded; the PC that led has it",
    )
    [listed] = multirig.sessions(lab.folder / "top")  # the rig's own disk
    assert (listed.exp_ref, listed.verdict, listed.rigs) == (part.exp_ref, "NO VERDICT", ("top",))
    assert part.zero is not None
    assert (part.zero.at, part.zero.what, part.zero.is_agreed) == (whole.zero.at, AGREED, True)
    assert np.array_equal(part.times("top"), whole.times("top"))
    assert [(one.t, one.text, one.data) for one in part.markers] == [
        (pytest.approx(one.t, abs=1e-9), one.text, one.data) for one in whole.markers
    ]
    here, there = part.to_datetime(1.0), whole.to_datetime(1.0)
    assert abs(here - there) < datetime.timedelta(seconds=0.1)
    with pytest.raises(ConfigError, match=r"^left: has no times here: there is top/top"):
        part.times("left")
    with pytest.raises(
        ConfigError, match=r"^top: its clock is not known here: copy _multirig_clock\.offsets"
    ):
        part.clock("top")


@pytest.mark.limit(60)
async def test_of_a_session_of_which_parts_are_missing_the_others_are_read(lab: Any, tmp_path: Path) -> None:
    pc, side, top = await record_two_cameras(lab)
    server = tmp_path / "server" / "Subjects" / Path(*pc.parts[-3:])
    session = multirig.load(collect(server, pc, side))
    assert list(session.missing) == ["top"]
    assert session.collected.is_whole is False
    assert session.rigs["side"].condition is Condition.HERE
    assert len(session.times("left")) > 10
    what = r"^top: none of its 2 files is here: copy Subjects/SP_01/.* of its PC \(udp:"
    with pytest.raises(NotHere, match=what):
        session.times("top")
    with pytest.raises(NotHere, match=what):
        session.frames("top/top")
    with pytest.raises(NotHere, match=what):
        session.table("_iblrig_topCamera.times.npy")

    collect(server, top)
    again = multirig.load(server)
    assert (again.missing, again.collected.is_whole) == ({}, True)
    video = server / "raw_video_data" / "_iblrig_topCamera.raw.mp4"
    video.write_bytes(video.read_bytes()[:-1])
    cut = multirig.load(server)
    assert cut.rigs["top"].condition is Condition.INCOMPLETE
    assert "another size than when recorded" in cut.missing["top"]
    video.unlink()
    assert "_iblrig_topCamera.raw.mp4 is not here" in multirig.load(server).missing["top"]
    with pytest.raises(NotHere, match=r"_iblrig_topCamera\.raw\.mp4 is not here: copy "):
        multirig.load(server).frames("top")
    assert len(multirig.load(server).times("top")) == len(again.times("top"))


@pytest.mark.limit(60)
async def test_a_name_that_means_several_sources_lists_them(lab: Any) -> None:
    pc, side, _ = await record_two_cameras(lab)
    session = multirig.load([pc, side])
    with pytest.raises(ConfigError, match=r"^side: means side/left and side/right: name one of them$"):
        session.times("side")
    with pytest.raises(
        ConfigError, match=r"^front: has no times here: there is side/left, side/right and top/top"
    ):
        session.times("front")
    for name in ("left", "side/left", "raw_video_data/_iblrig_leftCamera.times.npy"):
        assert len(session.times(name)) == len(session.frames(name)) > 10


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of ONE, to pandas 3
@pytest.mark.filterwarnings("ignore:No default revision")  # nobody has released these data
@pytest.mark.limit(60)
async def test_a_server_and_one_s_cache_are_read_and_one_loads_the_same(lab: Any, tmp_path: Path) -> None:
    alf = pytest.importorskip("one.alf.cache")
    from one.alf.io import load_object
    from one.api import One

    pc, side, top = await record_two_cameras(lab)
    exp_ref = str(multirig.load(pc).exp_ref)
    subject, date, number = pc.parts[-3:]
    layouts = {
        "server": Path("Subjects"),
        "cache": Path("mylab", "Subjects"),
        "bare": Path(),
    }
    for name, below in layouts.items():
        collect(tmp_path / name / below / subject / date / number, pc, side, top)
        session = multirig.load(exp_ref, place=tmp_path / name)
        assert (session.verdict, session.missing) == ("GOOD", {})
        [listed] = multirig.sessions(tmp_path / name)
        assert (listed.exp_ref, listed.verdict, listed.collected.is_whole) == (exp_ref, "GOOD", True)
        assert listed.rigs == ("side", "top")
        assert np.array_equal(listed.load().times("left"), session.times("left"))

    cache = tmp_path / "cache"
    alf.make_parquet_db(cache, hash_ids=False)
    one = One(cache_dir=cache, tables_dir=cache, mode="local")
    [eid] = one.search(subject=subject)
    session = multirig.load(exp_ref, place=cache)
    for label in ("left", "right", "top"):
        theirs = one.load_object(eid, f"{label}Camera", collection="raw_video_data", attribute="times")
        assert np.array_equal(theirs["times"], session.times(label, raw=True))
        assert session.zero is not None
        assert np.array_equal(theirs["times"] - session.zero.at, session.times(label))
        by_path = load_object(session.folder / "raw_video_data", f"{label}Camera", attribute="times")
        assert np.array_equal(by_path["times"], theirs["times"])


@pytest.mark.limit(60)
async def test_what_one_has_fetched_alone_is_read_without_a_journal_or_a_manifest(
    lab: Any, tmp_path: Path
) -> None:
    _, side, _ = await record_two_cameras(lab)
    cache = tmp_path / "lab" / "Subjects" / Path(*side.parts[-3:])
    shutil.copytree(side / "raw_video_data", cache / "raw_video_data")
    session = multirig.load(cache)
    assert (session.verdict, session.rigs, session.zero) == (None, {}, None)
    assert session.streams == ("left", "right")
    held = np.load(cache / "raw_video_data" / "_iblrig_leftCamera.times.npy")
    with pytest.raises(ConfigError, match="nothing here tells when it began"):
        session.times("left")
    assert np.array_equal(session.times("left", raw=True), held)
    assert len(session.frames("left")) == len(held)
    with pytest.raises(ConfigError, match="nothing here tells the time of day"):
        session.to_datetime(0.0)


@pytest.mark.limit(60)
async def test_tables_of_rigs_come_with_the_session_s_time(lab: Any) -> None:
    pytest.importorskip("pandas")
    await lab.rig("main", main_sync=True, over="udp")
    folder = await record(lab, 0.6)
    part = part_of(lab, "main", folder)
    session = multirig.load([folder, part])
    table = session.table("fake.csv")
    assert (table.index.name, list(table.columns)) == ("t", ["perf_counter", "frame"])
    [file] = [one for one in session.files if one.path == "raw_data/fake.csv"]
    assert (len(table), file.first) == (file.frames, pytest.approx(table.index[0], abs=1e-3))
    assert np.allclose(session.times("main"), table.index, atol=1e-9)
    own = table["perf_counter"].to_numpy()
    clock = session.clock("main")
    assert np.allclose(clock.to_session(own), table.index, atol=1e-9)
    assert 0 < max(clock.find_bounds(own)) < 0.05
    assert len(clock) == len(clock.times) == len(clock.to_pandas()) >= 1
    # rig and PC are one: its clock is the session's, but for what was measured
    assert np.allclose(clock.to_session(own), own - session.zero.at, atol=0.02)

    marks = session.table("_multirig_markers.main.csv")
    assert list(marks.index) == pytest.approx([one.t for one in session.markers], abs=1e-8)
    assert list(session.markers.to_pandas()["trial"]) == [0, 1, 2]
    # a crash tears the last line
    path = session.locate("fake.csv")
    path.write_bytes(path.read_bytes() + b"1234.5")
    assert len(multirig.load([folder, part]).table("fake.csv")) == len(table)
    with pytest.raises(ConfigError, match=r"^nothing\.csv: there is no such file in "):
        session.table("nothing.csv")
    with pytest.raises(ConfigError, match="is no table that is read here"):
        session.table("_multirig_verdict.json")
    journal = session.table("_multirig_journal.jsonl")
    assert journal["kind"][0] == "Opened"


@pytest.mark.limit(60)
async def test_times_of_day_are_those_of_the_pc_that_led(
    lab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MULTIRIG_STATE", str(tmp_path / "state"))  # nobody else has begun a session there
    await lab.rig("main", main_sync=True, over="udp")
    before = datetime.datetime.now().astimezone()
    folder = await record(lab, 0.3)
    after = datetime.datetime.now().astimezone()
    [listed] = multirig.sessions()  # wherever one was begun on this PC
    session = multirig.load(listed.exp_ref)
    assert session.folder == listed.folder == folder
    start = session.to_datetime(0.0)
    assert before < start < after
    assert start.tzinfo is not None
    assert session.to_datetime(1.5) - start == datetime.timedelta(seconds=1.5)
    many = session.to_datetime(np.array([0.0, 1.5]))
    utc = start.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    assert many.tolist() == [utc, utc + datetime.timedelta(seconds=1.5)]


@pytest.mark.limit(90)
async def test_parts_of_a_camera_that_was_away_belong_together(
    lab: Any, network_camera: NetworkCamera, until: Callable[..., Any]
) -> None:
    camera = build(network(network_camera, stall_limit=0.5))
    await lab.rig("main", main_sync=True, over="udp")
    await lab.rig("side", adapter=camera, over="udp")
    conductor = await lab.conductor(over="udp")
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await session.start()
    await asyncio.sleep(0.5)
    network_camera.behaviour = "freeze"
    await until(lambda: bool(camera.findings()), limit=10)
    network_camera.behaviour = "show"
    await until(lambda: any(one.until is not None for one in camera.findings()), limit=10)
    await asyncio.sleep(0.4)
    await session.stop()
    await session.cleanup()
    folder = part_of(lab, "side", session.folder) / "raw_video_data"
    held = [np.load(folder / f"_iblrig_leftCamera.times{part}.npy") for part in ("", ".part2")]
    shown = [decode(folder / f"_iblrig_leftCamera.raw{part}.mp4") for part in ("", ".part2")]
    found = multirig.load([session.folder, folder.parent])
    times, frames = found.times("side"), found.frames("left")
    assert found.zero is not None
    assert np.array_equal(times, np.concatenate(held) - found.zero.at)
    assert np.all(np.diff(times) > 0)
    assert len(frames) == len(times) == sum(map(len, shown))
    boundary = len(shown[0])
    assert np.max(np.diff(times)) == times[boundary] - times[boundary - 1] > 0.5
    assert np.array_equal(frames[boundary], shown[1][0])
    assert np.array_equal(frames[boundary - 1], shown[0][-1])
    assert sum(1 for _ in frames) == len(times)
    assert len(frames[boundary - 2 : boundary + 2]) == 4
    frames.close()
