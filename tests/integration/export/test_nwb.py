"""Sessions that real rigs have recorded, as NWB files, read by readers that others have written."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.integration.reading.test_load import (
    SIZE,
    collect,
    decode,
    open_camera,
    part_of,
    record,
    record_two_cameras,
)
from tests.integration.rig.test_camera import NetworkCamera, build, network
from tests.integration.rig.test_camera import network_camera as network_camera

import multirig
from multirig.errors import ConfigError
from multirig.export.metadata import Metadata, read_metadata
from multirig.reading.session import LoadedSession

pynwb = pytest.importorskip("pynwb", reason="the extra nwb is not installed")
nwbinspector = pytest.importorskip("nwbinspector", reason="nwbinspector is not installed")

from multirig.export.nwb import Exported, export_nwb  # noqa: E402  behind what it needs

CORPUS = Path(__file__).parents[2] / "data" / "corpus-0.1" / "sessions"
SAID = read_metadata(species="Mus musculus", sex="F", age="P90D")
REMARKS = {
    "check_column_binary_capability": "a count that happens to be 0 or 1",
    "check_description": "of the subject, or of what nobody has described",
    "check_experimenter_exists": "no person has led it by name",
    "check_experiment_description": "there is no task",
    "check_institution": "nobody has said it",
    "check_keywords": "there is no task",
    "check_single_row": "of one rig, one file, one marker",
    "check_timestamp_of_the_first_sample_is_not_negative": "a camera that began just before the others",
    "check_regular_timestamps": "a camera of a test is as regular as no other",
}
"""What nwbinspector may say that no export can mend, and why."""


def export(session: LoadedSession, path: Path, said: Metadata = SAID, **options: Any) -> Exported:
    """Write a session, and let those look at it who look before an archive takes it."""
    made = export_nwb(session, path, metadata=said, **options)
    assert pynwb.validate(path=str(path), use_cached_namespaces=False) == []
    found = list(nwbinspector.inspect_nwbfile(nwbfile_path=path, skip_validate=True))
    critical = [one for one in found if one.importance.name in ("CRITICAL", "ERROR", "PYNWB_VALIDATION")]
    assert critical == []
    assert [one for one in found if one.check_function_name not in REMARKS] == []  # nor what DANDI adds to it
    return made


def read(path: Path) -> Any:
    """Return a file's content as pynwb reads it, all in memory."""
    with pynwb.NWBHDF5IO(str(path), mode="r") as stream:
        found = stream.read()
        tables = {**found.analysis, **found.events, **found.intervals}
        for name, one in found.acquisition.items():
            if name == "clock_readings":
                tables[name] = one
        return {
            "start": found.session_start_time,
            "zero": found.timestamps_reference_time,
            "session_id": found.session_id,
            "description": found.session_description,
            "subject": {
                key: getattr(found.subject, key) for key in ("subject_id", "species", "sex", "age", "weight")
            },
            "fields": {
                key: getattr(found, key)
                for key in ("lab", "experimenter", "experiment_description", "protocol", "keywords")
            },
            "tables": {name: one.to_dataframe() for name, one in tables.items()},
            "videos": {
                name.removeprefix("video_"): {
                    "files": list(one.external_file[:]),
                    "first": list(one.starting_frame[:]),
                    "times": one.timestamps[:],
                    "device": one.device.name,
                    "dimension": list(one.dimension[:]),
                    "comments": one.comments,
                }
                for name, one in found.acquisition.items()
                if name.startswith("video_")
            },
        }


def verdict_of(found: Any) -> dict[str, list[str]]:
    rows: dict[str, list[str]] = {}
    for kind, text in found["tables"]["verdict"].itertuples(index=False):
        rows.setdefault(kind, []).append(text)
    return rows


@pytest.mark.limit(90)
async def test_each_frame_of_a_video_has_its_time_and_each_marker_too(lab: Any, tmp_path: Path) -> None:
    pc, side, top = await record_two_cameras(lab)
    session = multirig.load([pc, side, top])
    path = tmp_path / "out" / "session.nwb"
    path.parent.mkdir()
    made = export(session, path)
    assert (made.videos, made.markers, made.clocks) == (session.streams, 3, ("side", "top"))
    assert (made.warnings, made.unknown) == ((), ())
    assert [one.name for one in path.parent.iterdir()] == [path.name]  # nothing is left beside it
    assert session.zero is not None
    assert pynwb.validate(path=str(path)) == []  # by the schema that lies in the file, too

    found = read(path)
    assert found["start"] == found["zero"] == session.zero.wall
    assert found["start"].utcoffset() == session.to_datetime(0.0).utcoffset()
    assert (found["session_id"], found["subject"]["subject_id"]) == (session.exp_ref, "SP_01")
    assert "Verdict: GOOD." in found["description"]
    assert sorted(found["videos"]) == ["left", "right", "top"]
    for label, folder in (("left", side), ("right", side), ("top", top)):
        video = found["videos"][label]
        held = np.load(folder / "raw_video_data" / f"_iblrig_{label}Camera.times.npy")
        [place] = video["files"]
        assert not Path(place).is_absolute()
        assert "\\" not in place
        there = path.parent / place
        assert there.samefile(folder / "raw_video_data" / f"_iblrig_{label}Camera.raw.mp4")
        assert np.array_equal(video["times"], held - session.zero.at)
        assert len(video["times"]) == len(decode(there)) > 10
        assert (video["first"], video["dimension"]) == ([0], [64, 48])
        assert video["device"] == f"camera_{label}"
        assert "Frames that were seen and could not be written: 0." in video["comments"]
    marks = found["tables"]["markers"]
    assert list(marks["timestamp"]) == [one.t for one in session.markers]
    assert list(marks["annotation"]) == ["stimulus"] * 3
    assert (list(marks["trial"]), marks["trial"].dtype) == ([0, 1, 2], np.int64)
    clocks = found["tables"]["clock_readings"]
    for rig in ("side", "top"):
        own = clocks[clocks["rig"] == rig]
        assert np.allclose(session.clock(rig).to_session(own["rig_time"]), own["time"], atol=1e-9)
        assert list(own["bound"]) == list(session.clock(rig).bounds)
    assert list(found["tables"]["rigs"]["rig"]) == ["side", "top"]
    assert list(found["tables"]["rigs"]["planned"]) == [0.0, 0.0]
    assert verdict_of(found)["verdict"] == ["GOOD"]
    assert verdict_of(found)["zero"] == ["the agreed start"]
    files = found["tables"]["files"].set_index("path")
    assert set(files.index) == {one.path for one in session.files}
    assert files["is_here"].all()
    assert all(len(one) in (0, 64) for one in files["blake2b"])
    log = found["tables"]["log"]
    assert ["stop" in text for text in log["what"]].count(True) >= 2
    assert "udp://" not in " ".join(log["what"])
    assert "gaps" not in found["tables"]


@pytest.mark.limit(60)
async def test_a_reader_that_shares_no_code_with_the_writer_finds_the_same_by_the_format_s_paths(
    lab: Any, tmp_path: Path
) -> None:
    pyfive = pytest.importorskip("pyfive")  # pure Python: neither pynwb nor the library of HDF5
    await open_camera(lab, "side", "left", main_sync=True)
    pc = await record(lab, 0.4)
    session = multirig.load([pc, part_of(lab, "side", pc)])
    export_nwb(session, tmp_path / "one.nwb", metadata=SAID)
    with pyfive.File(tmp_path / "one.nwb") as file:
        assert tuple(map(int, file.attrs["nwb_version"].decode().split("."))) >= (2, 10, 0)
        began = datetime.datetime.fromisoformat(file["session_start_time"][()].decode())
        assert began == session.to_datetime(0.0)
        assert began.tzinfo is not None
        video = file["acquisition/video_left"]
        assert video.attrs["neurodata_type"] == b"ImageSeries"
        assert np.array_equal(video["timestamps"][:], session.times("left"))
        assert video["timestamps"].attrs["unit"] == b"seconds"
        place = tmp_path / video["external_file"][0].decode()
        assert place.samefile(session.locate("_iblrig_leftCamera.raw.mp4"))
        assert video["device"].attrs["description"] == b"The camera left of the rig side."
        events = file["events/markers"]
        assert events.attrs["neurodata_type"] == b"EventsTable"
        assert np.array_equal(events["timestamp"][:], [one.t for one in session.markers])
        assert [one.decode() for one in events["annotation"][:]] == [one.text for one in session.markers]
        assert file["general/subject/species"][()] == b"Mus musculus"


@pytest.mark.limit(60)
async def test_of_a_server_on_which_a_rig_is_missing_the_rest_is_written_and_that_is_said(
    lab: Any, tmp_path: Path
) -> None:
    pc, side, top = await record_two_cameras(lab)
    server = collect(tmp_path / "server" / "Subjects" / Path(*pc.parts[-3:]), pc, side)
    made = export(multirig.load(server), tmp_path / "part.nwb")
    assert made.videos == ("side/left", "side/right")
    [warning] = made.warnings
    assert warning.startswith("top: none of its 2 files is here: copy Subjects/SP_01/")
    found = read(tmp_path / "part.nwb")
    assert sorted(found["videos"]) == ["left", "right"]
    [missing] = verdict_of(found)["not here"]
    assert missing == (
        "top: raw_video_data/_iblrig_topCamera.raw.mp4 and raw_video_data/_iblrig_topCamera.times.npy were "
        "not there when this file was written"
    )
    [left_out] = verdict_of(found)["left out"]
    assert left_out == "top/top: its video, or the times of it, were not there when this file was written"
    rigs = found["tables"]["rigs"].set_index("rig")
    assert dict(rigs["part"]) == {"side": "here", "top": "missing"}
    files = found["tables"]["files"].set_index("path")
    assert not files.loc["raw_video_data/_iblrig_topCamera.raw.mp4", "is_here"]

    # once it is copied there too, the file says what it says of the PCs' own folders
    collect(server, top)
    export(multirig.load(server), tmp_path / "part.nwb", overwrite=True)
    export(multirig.load([pc, side, top]), tmp_path / "whole.nwb")
    here, there = read(tmp_path / "part.nwb"), read(tmp_path / "whole.nwb")
    assert sorted(here["videos"]) == ["left", "right", "top"]
    for name, table in there["tables"].items():
        assert here["tables"][name].equals(table), name
    for name, video in there["videos"].items():
        assert np.array_equal(here["videos"][name]["times"], video["times"])


@pytest.mark.limit(60)
async def test_a_rig_s_part_alone_counts_from_the_same_start_and_says_what_nobody_knows_there(
    lab: Any, tmp_path: Path
) -> None:
    pc, side, top = await record_two_cameras(lab)
    made = export(multirig.load(top), tmp_path / "top.nwb")
    [warning] = made.warnings
    assert warning.startswith("top: its clock is not known here: copy _multirig_clock.offsets.csv")
    found, whole = read(tmp_path / "top.nwb"), multirig.load([pc, side, top])
    assert np.array_equal(found["videos"]["top"]["times"], whole.times("top"))
    assert verdict_of(found)["verdict"] == ["not known"]
    assert verdict_of(found)["reason"][0].startswith("no verdict: the journal is not here")
    assert verdict_of(found)["left out"] == [warning]
    assert len(found["tables"]["markers"]) == 3
    assert {"clock_readings", "log"} & set(found["tables"]) == set()
    assert abs(found["start"] - whole.to_datetime(0.0)) < datetime.timedelta(seconds=0.1)


@pytest.mark.limit(60)
async def test_an_interrupted_session_is_written_with_that_said(lab: Any, tmp_path: Path) -> None:
    await open_camera(lab, "side", "left", main_sync=True)
    await lab.rig("cam", over="udp")
    conductor = await lab.conductor(over="udp")
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await session.start()
    await asyncio.sleep(0.4)
    await session.interrupt("the valve is stuck")
    await session.cleanup()
    found = multirig.load([session.folder, *(part_of(lab, rig, session.folder) for rig in ("side", "cam"))])
    assert found.verdict == "INTERRUPTED"
    export(found, tmp_path / "cut.nwb")
    there = read(tmp_path / "cut.nwb")
    assert verdict_of(there)["verdict"] == ["INTERRUPTED"]
    assert verdict_of(there)["reason"] == list(found.reasons)
    assert "the valve is stuck" in there["description"]
    assert np.array_equal(there["videos"]["left"]["times"], found.times("left"))
    assert "markers" not in there["tables"]  # NWB wants no empty tables


@pytest.mark.limit(60)
async def test_a_camera_that_was_away_is_one_video_in_parts_and_its_gap_is_told(
    lab: Any, network_camera: NetworkCamera, until: Callable[..., Any], tmp_path: Path
) -> None:
    camera = build(network(network_camera, stall_limit=0.5))
    await lab.rig("side", adapter=camera, over="udp", main_sync=True)
    conductor = await lab.conductor(over="udp")
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await session.start()
    await asyncio.sleep(0.4)
    network_camera.behaviour = "freeze"
    await until(lambda: bool(camera.findings()), limit=10)
    network_camera.behaviour = "show"
    await until(lambda: any(one.until is not None for one in camera.findings()), limit=10)
    await asyncio.sleep(0.4)
    await session.stop()
    await session.cleanup()
    side = part_of(lab, "side", session.folder)
    loaded = multirig.load([session.folder, side])
    export(loaded, tmp_path / "away.nwb")
    found = read(tmp_path / "away.nwb")
    video = found["videos"]["left"]
    lengths = [len(decode(tmp_path / place)) for place in video["files"]]
    assert len(lengths) == 2
    assert video["first"] == [0, lengths[0]]
    assert len(video["times"]) == sum(lengths)
    assert np.array_equal(video["times"], loaded.times("left"))
    gap = found["tables"]["gaps"].iloc[0]
    boundary = lengths[0]
    assert (gap["rig"], gap["source"]) == ("side", "left")
    assert (gap["start_time"], gap["stop_time"]) == pytest.approx(
        (video["times"][boundary - 1], video["times"][boundary]), abs=1e-6
    )
    assert found["tables"]["sources"].iloc[0]["longest_gap"] == pytest.approx(
        gap["stop_time"] - gap["start_time"], abs=1e-6
    )


HOSTILE = {
    "a/b": 1,
    "name": "x",
    "timestamp": 5,
    "duration": "long",
    "id": 7,
    "deep": {"er": {"x": 1.5}, "none": None},
    "mixed": [1, "two", None],
    "place": [0.5, 1.5],
    "big": 2**63 - 1,
    "is_hit": True,
    "": "nameless",
    "ü\u202e\x00": "\x00\x1b[31m\u202e",
}


@pytest.mark.limit(60)
async def test_names_and_texts_that_mean_harm_are_written_and_read_as_what_they_are(
    lab: Any, tmp_path: Path
) -> None:
    names = ("cameras:left", "=cmd|' calc'!A1", "ünï (cøde) ..", "左")
    for place, name in enumerate(names):
        folder = str(lab.folder / f"r{place}")
        camera = build({"label": "left", "size": SIZE}, collection=f"raw_video_{place}")
        await lab.rig(name, adapter=camera, over="udp", main_sync=place == 0, data_folder=folder)
    conductor = await lab.conductor(over="udp")
    async with conductor.session("Mäuschen.1") as session:
        await session.init()
        await session.start()
        await asyncio.sleep(0.3)
        session.mark("=HYPERLINK(1)\x00\n\u202e", **HOSTILE)
        session.mark("", other=-1)
        await asyncio.sleep(0.2)
        await session.stop()
        folder = session.folder
    parts = [lab.folder / f"r{place}" / "mylab" / "Subjects" / Path(*folder.parts[-3:]) for place in range(4)]
    loaded = multirig.load([folder, *parts])
    assert loaded.missing == {}
    made = export(loaded, tmp_path / "Mäuschen – 1.nwb")
    assert len(made.videos) == 4
    found = read(tmp_path / "Mäuschen – 1.nwb")
    assert found["subject"]["subject_id"] == "Mäuschen.1"
    assert [name in found["tables"]["rigs"]["rig"].tolist() for name in names] == [True] * 4
    assert len(found["videos"]) == 4
    for video in found["videos"].values():
        assert len(decode(tmp_path / video["files"][0])) == len(video["times"])
    marks = found["tables"]["markers"]
    assert marks["annotation"][0].startswith("=HYPERLINK(1)")
    assert list(marks["timestamp"]) == [one.t for one in loaded.markers]
    assert (marks["data_timestamp"][0], marks["data_name"][0], marks["data_duration"][0]) == (5, "x", "long")
    assert marks["a_b"][0] == 1
    assert marks["deep_er_x"][0] == 1.5
    assert list(marks["place"][0]) == [0.5, 1.5]
    assert json.loads(marks["mixed"][0]) == [1, "two", None]
    assert marks["big"][0] == str(2**63 - 1)  # as text: no number of NWB holds it beside what is not known
    assert np.isnan(marks["a_b"][1])
    assert marks["other"][1] == -1


@pytest.mark.limit(60)
async def test_sync_pulses_are_events_with_a_length(lab: Any, tmp_path: Path) -> None:
    pulses = {"mean": 0.1, "length": "10 ms"}
    await lab.rig("cam", over="udp", main_sync=True, sync_pulses=pulses)
    pc = await record(lab, 0.8)
    part = part_of(lab, "cam", pc)
    made = export(multirig.load([pc, part]), tmp_path / "pulses.nwb")
    assert made.pulses > 2
    table = read(tmp_path / "pulses.nwb")["tables"]["sync_pulses"]
    assert set(table["rig"]) == {"cam"}
    assert table["duration"].tolist() == pytest.approx([0.01] * len(table))
    from multirig.sync.pulses import read_pulses

    zero = multirig.load(pc).zero
    assert zero is not None
    assert list(table["timestamp"]) == [one.at - zero.at for one in read_pulses(part)]


@pytest.mark.parametrize("name", sorted(one.name for one in CORPUS.iterdir()))
def test_a_session_of_0_1_is_written(name: str, tmp_path: Path) -> None:
    parts = sorted({path.parent for path in (CORPUS / name).rglob("_multirig_manifest.*")})
    [led] = (CORPUS / name).rglob("_multirig_journal.jsonl")
    session = multirig.load(dict.fromkeys([led.parent, *parts]))
    if session.zero is None:
        with pytest.raises(ConfigError, match="nothing here tells when it began"):
            export_nwb(session, tmp_path / "old.nwb", metadata=SAID)
        assert list(tmp_path.iterdir()) == []
        return
    export(session, tmp_path / "old.nwb")
    found = read(tmp_path / "old.nwb")
    assert verdict_of(found)["verdict"] == [str(session.verdict)]
    assert verdict_of(found).get("reason", []) == [
        one for one in map(_without_addresses, session.reasons) if one
    ]
    assert found["start"] == session.to_datetime(0.0)


def _without_addresses(text: str) -> str:
    from multirig.export.naming import publishable

    return publishable(text)


def test_the_start_has_the_zone_of_the_pc_that_led(tmp_path: Path) -> None:
    session = a_session(tmp_path)
    for path in session.folder.glob("_multirig_*.json*"):
        path.write_text(
            path.read_text(encoding="utf-8").replace("+00:00", "+05:30"), encoding="utf-8", newline="\n"
        )
    export(multirig.load(session.folder), tmp_path / "zone.nwb")
    start = read(tmp_path / "zone.nwb")["start"]
    assert start.utcoffset() == datetime.timedelta(hours=5.5)
    assert start == session.to_datetime(0.0) - datetime.timedelta(hours=5.5)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
async def test_a_video_in_a_folder_whose_name_is_no_text_is_left_out_and_that_is_said(
    lab: Any, tmp_path: Path
) -> None:
    await open_camera(lab, "side", "left", main_sync=True)
    pc = await record(lab, 0.3)
    there = Path(os.fsdecode(bytes(tmp_path) + b"/\xff\xfe"), *pc.parts[-3:])
    made = export(multirig.load(collect(there, pc, part_of(lab, "side", pc))), tmp_path / "bytes.nwb")
    assert (made.videos, made.markers) == ((), 3)
    [warning] = made.warnings
    assert "is a path that is no text: give its folder another name" in warning


def test_a_folder_that_says_neither_whose_it_is_nor_when_it_was_is_refused(tmp_path: Path) -> None:
    session = a_session(tmp_path)
    for path in session.folder.glob("_multirig_*"):
        path.unlink()
    with pytest.raises(ConfigError, match="nothing here tells when it began, which an NWB file has to say"):
        export_nwb(multirig.load(session.folder), tmp_path / "none.nwb")


# -- written whole, or not at all ---------------------------------------------------------------------------


def a_session(folder: Path) -> LoadedSession:
    """Return a session of 0.1 that lies in a folder of its own."""
    parts = sorted({path.parent for path in (CORPUS / "good").rglob("_multirig_manifest.*")})
    [led] = (CORPUS / "good").rglob("_multirig_journal.jsonl")
    place = folder / "Subjects" / Path(*led.parent.parts[-3:])
    for one in [led.parent, *parts]:
        shutil.copytree(one, place, dirs_exist_ok=True)
    return multirig.load(place)


def test_a_file_that_is_there_stays_unless_it_is_named_to_be_overwritten(tmp_path: Path) -> None:
    session, path = a_session(tmp_path), tmp_path / "one.nwb"
    path.write_bytes(b"what was there")
    with pytest.raises(ConfigError, match=r"one\.nwb: is there already: choose another name, or give --over"):
        export_nwb(session, path)
    assert path.read_bytes() == b"what was there"
    export(session, path, overwrite=True)
    before = path.read_bytes()
    (tmp_path / "folder.nwb").mkdir()
    for name, words in (
        ("one.txt", "one.txt: end its name with .nwb"),
        ("no/one.nwb", "no: there is no such folder: make it"),
        ("folder.nwb", "is a folder: choose another name"),
    ):
        with pytest.raises(ConfigError, match=words):
            export_nwb(session, tmp_path / name, overwrite=True)
    assert path.read_bytes() == before
    assert sorted(one.name for one in tmp_path.glob("*.nwb")) == ["folder.nwb", "one.nwb"]


WRITE = """
import resource, sys
from pathlib import Path
import multirig
from multirig.export.nwb import export_nwb
session = multirig.load(sys.argv[1])
{before}
export_nwb(session, Path(sys.argv[2]), overwrite=True)
"""
FULL = "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
KILLED = """
import os
os.replace = lambda *given: os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no file's size, and kills otherwise")
@pytest.mark.parametrize(("before", "code"), [(FULL, 1), (KILLED, -9)], ids=["no room", "killed"])
def test_what_cannot_be_written_whole_leaves_what_was_there(before: str, code: int, tmp_path: Path) -> None:
    session, path = a_session(tmp_path), tmp_path / "out" / "one.nwb"
    path.parent.mkdir()
    path.write_bytes(b"what was there")
    command = [sys.executable, "-c", WRITE.format(before=before), str(session.folder), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert path.read_bytes() == b"what was there"
    left = [one.name for one in path.parent.iterdir() if one != path]
    if code == 1:
        assert "one.nwb: cannot be written (" in done.stderr.splitlines()[-1]
        assert left == []
    else:  # nothing can tidy up; it is hidden, and no other export takes it for its own
        assert [name.startswith(".one.nwb.") for name in left] == [True]


def test_one_that_has_come_there_in_the_meantime_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from multirig.export import nwb

    session, path = a_session(tmp_path), tmp_path / "one.nwb"
    write = nwb._write

    def write_and_be_late(built: Any) -> bytes:
        path.write_bytes(b"of another program")
        return write(built)

    monkeypatch.setattr(nwb, "_write", write_and_be_late)
    with pytest.raises(ConfigError, match="is there already"):
        export_nwb(session, path)
    assert path.read_bytes() == b"of another program"
    assert [one.name for one in tmp_path.glob("*.nwb")] == ["one.nwb"]
    assert list(tmp_path.glob(".*")) == []


# -- parts that do not fit -----------------------------------------------------------------------------------


@pytest.mark.limit(60)
async def test_a_video_that_ends_before_its_times_has_as_many_times_as_frames(
    lab: Any, tmp_path: Path
) -> None:
    await open_camera(lab, "side", "left", main_sync=True)
    pc = await record(lab, 0.5)
    side = part_of(lab, "side", pc)
    times = side / "raw_video_data" / "_iblrig_leftCamera.times.npy"
    held = np.load(times)
    # as of a rig that died: no manifest, and more times than frames
    shutil.rmtree(tmp_path / "copy", ignore_errors=True)
    copy = collect(tmp_path / "copy" / Path(*pc.parts[-3:]), pc, side)
    for one in copy.glob("_multirig_*"):
        if "journal" not in one.name:
            one.unlink()
    more = np.append(held, held[-1] + np.arange(1, 4) / 30)
    np.save(copy / times.relative_to(side), more)
    made = export(multirig.load(copy), tmp_path / "died.nwb")
    video = read(tmp_path / "died.nwb")["videos"]["left"]
    assert len(video["times"]) == len(held) == len(decode(tmp_path / video["files"][0]))
    assert any(
        f"its video has {len(held)} frames and {len(more)} times: the first {len(held)} are taken" in one
        for one in verdict_of(read(tmp_path / "died.nwb"))["left out"]
    )
    assert any("frames and" in one for one in made.warnings)
    assert made.videos == ("side/left",)

    (copy / times.relative_to(side)).unlink()
    made = export(multirig.load(copy), tmp_path / "timeless.nwb")
    assert made.videos == ()
    assert read(tmp_path / "timeless.nwb")["videos"] == {}
