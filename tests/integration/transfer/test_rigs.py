"""What a rig leaves for IBL's pipeline, beside its data and on the server."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pydantic import TypeAdapter
from tests.integration.transfer import copier

from multirig.conductor.rehearsal import rehearse
from multirig.errors import MultirigError
from multirig.lifecycle.rig_states import RigState
from multirig.record.verdict import Word
from multirig.rig.adapters.camera import Camera
from multirig.rig.bonsai_times import make_lines
from multirig.transfer import server as servers
from multirig.transfer.describing import share_collection
from multirig.transfer.folder import Part, close_part, open_part
from multirig.transfer.transfer import Transfer
from multirig.writing import write_whole

VIDEO = "raw_video_data"


def cameras(server: Path | None, **keys: Any) -> dict[str, Any]:
    """Return the keys of a rig that stands for cameras."""
    told = {"device": "video"} | ({} if server is None else {"server": str(server)})
    return {"fake": {"collection": VIDEO, "rate": 1000}, "ibl": told, "main_sync": True, **keys}


async def begin(lab: Any, subject: str = "SP_01", **options: Any) -> Any:
    """Let all rigs record."""
    session = (await lab.conductor(**options)).session(subject)
    await session.agree()
    await session.init()
    await session.start()
    await asyncio.sleep(0.05)
    return session


async def end(session: Any) -> None:
    await session.stop()
    await session.cleanup()
    await session.end()


def place(rig: Any, session: Any) -> Path:
    """Return where a rig files a session."""
    folder: Path = rig.config.data_folder.joinpath("mylab", "Subjects", *session.exp_ref.folder_parts())
    return folder


def files_for_ibl(folder: Path) -> list[str]:
    """Return what lies in a session folder for IBL's pipeline only."""
    names = sorted(one.name for one in folder.iterdir()) if folder.is_dir() else []
    return [one for one in names if one.startswith(("_ibl_", "transfer", "_multirig_transfer"))]


async def test_what_a_rig_recorded_is_found_copied_and_known_on_the_server(
    lab: Any, server: Path, until: Callable[..., Any]
) -> None:
    rig = await lab.rig("cameras:left", over="udp", **cameras(server))
    session = await begin(lab, over="udp")
    folder = place(rig, session)
    await until(lambda: copier.state(folder, server, "video") == copier.PENDING)
    assert copier.find(folder.parents[2]) == []
    await end(session)
    assert copier.find(folder.parents[2]) == [folder]
    told = {"devices": {"cameras": {"left": {"collection": VIDEO}}}, "version": "1.0.0"}
    assert copier.read(folder) == told
    assert yaml.safe_load(copier.stub(folder, server, "video").read_bytes()) == told
    assert copier.copy(folder, server, "video") == copier.FINAL
    copied = server.joinpath("Subjects", *folder.parts[-3:])
    assert (copied / VIDEO / "fake.csv").read_bytes() == (folder / VIDEO / "fake.csv").read_bytes()
    await until(lambda: (copied / "_multirig_manifest.cameras%3Aleft.json").exists())
    assert (copied / "raw_session.flag").exists()


async def test_a_rig_that_is_none_of_the_pipeline_writes_nothing_for_it(lab: Any) -> None:
    rig = await lab.rig("cameras", main_sync=True)
    session = await begin(lab)
    await end(session)
    assert files_for_ibl(place(rig, session)) == []


async def test_the_flag_comes_when_all_files_are_closed_and_listed(lab: Any, server: Path) -> None:
    rig = await lab.rig("cameras", **cameras(server, fake={"collection": VIDEO, "delay": {"stop": 0.3}}))
    session = await begin(lab)
    folder, seen = place(rig, session), []
    stopping = asyncio.ensure_future(session.stop())
    while not stopping.done():
        seen.append(((folder / "transfer_me.flag").exists(), rig.machine.state))
        await asyncio.sleep(0.001)
    assert (False, RigState.STOPPING) in seen
    assert (folder / "transfer_me.flag").exists()
    assert (folder / "_multirig_manifest.cameras.json").exists()
    (folder / "transfer_me.flag").unlink()  # a copier is quick
    await end_rest(session)
    assert not (folder / "transfer_me.flag").exists()


async def end_rest(session: Any) -> None:
    await session.cleanup()
    await session.end()


@pytest.mark.parametrize("fake", [{"write_file": False}, {"fail": {"start": "no light"}}])
async def test_nothing_remains_where_nothing_was_recorded(
    lab: Any, server: Path, fake: Any, until: Callable[..., Any]
) -> None:
    rig = await lab.rig("cameras", **cameras(server, fake={"collection": VIDEO, **fake}))
    session = (await lab.conductor()).session("SP_01")
    await session.agree()
    await session.init()
    try:
        await session.start()
        await until(lambda: copier.state(place(rig, session), server, "video") == copier.PENDING)
        await session.stop()
    except MultirigError:
        pass
    await session.end()
    folder = place(rig, session)
    await until(lambda: not found(server, "*@*"))
    assert files_for_ibl(folder) == []
    assert [*server.joinpath("Subjects").iterdir()] == []


async def test_a_rehearsal_is_none_of_the_pipeline(lab: Any, server: Path) -> None:
    await lab.rig("cameras", **cameras(server))
    conductor = await lab.conductor()
    _, came = await rehearse(conductor, 0.2)
    assert came["cameras"].is_ready
    assert found(server, "*@*") == []
    assert found(lab.folder, "transfer_me.flag") == []


def found(folder: Path, name: str) -> list[Path]:
    return [*folder.rglob(name)]


async def test_a_server_that_is_away_is_told_and_holds_up_nobody(
    lab: Any, tmp_path: Path, until: Callable[..., Any]
) -> None:
    away = tmp_path / "away" / "drive"
    rig = await lab.rig("cameras", **cameras(away))
    session = await begin(lab)
    await until(lambda: rig._hooks.pipeline.findings(0.0))
    started = time.perf_counter()
    outcomes = await session.stop()
    await session.cleanup()
    await session.end()
    assert time.perf_counter() - started < 2
    [told] = outcomes["cameras"].recorded.findings
    assert (told.kind, told.level.value) == ("server", "note")
    assert f"{away / 'Subjects'} is not there: look whether the server is on" in told.text
    folder = place(rig, session)
    assert copier.find(folder.parents[2]) == [folder]
    assert copier.read(folder)["devices"]
    from multirig.record.account import account

    assert account(session.folder).verdict is Word.GOOD
    # the next session finds it there
    (away / "Subjects").mkdir(parents=True)
    second = await begin(lab, subject="SP_02")
    await until(lambda: copier.state(folder, away, "video") == copier.PENDING)
    await end(second)


async def test_a_share_that_blocks_holds_up_nobody(lab: Any, server: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no file of this system blocks")
    rig = await lab.rig("cameras", **cameras(server))
    session = (await lab.conductor()).session("SP_01")
    await session.agree()
    stub = copier.stub(place(rig, session), server, "video")
    stub.parent.mkdir(parents=True)
    os.mkfifo(stub)  # whoever reads it waits
    started = time.perf_counter()
    await session.init()
    await session.start()
    await asyncio.sleep(0.1)
    await end(session)
    assert time.perf_counter() - started < 4
    assert copier.find(place(rig, session).parents[2]) == [place(rig, session)]
    await rig.close()
    lab.rigs.clear()
    assert time.perf_counter() - started < 6
    with stub.open("wb"):  # let the thread go
        pass


async def test_the_server_is_tried_again_when_the_session_is_over(tmp_path: Path, until: Any) -> None:
    folder, drive = tmp_path / "SP_01" / "2026-01-02" / "003", tmp_path / "not" / "there"
    folder.mkdir(parents=True)
    transfer = Transfer("cameras", again=(0.05,) * 100)
    exp_ref = ref(folder)
    part = Part(device="video", description={}, server=str(drive / "Subjects"), has_data=True)
    transfer.begin(folder, exp_ref, replace(part, has_data=False))
    transfer.finish(folder, exp_ref, part)
    await until(lambda: transfer.away)
    drive.mkdir(parents=True)
    await until(lambda: copier.state(folder, drive, "video") == copier.PENDING)
    await until(lambda: transfer.away is None)
    transfer.close()


def ref(folder: Path) -> Any:
    from multirig.protocol.exp_ref import ExpRef

    subject, date, number = folder.parts[-3:]
    return ExpRef(datetime.date.fromisoformat(date), int(number), subject)


async def test_a_rig_that_died_leaves_the_flag_when_it_is_cleaned_up(
    lab: Any, server: Path, until: Callable[..., Any]
) -> None:
    from multirig.config import RigConfig
    from multirig.rig.service import RigService

    rig = await lab.rig("cameras", over="udp", **cameras(server))
    session = await begin(lab, over="udp")
    folder = place(rig, session)
    await until(lambda: (folder / "_multirig_transfer.json").exists())
    (folder / VIDEO / "fake.csv").write_text("perf_counter\n1.0\n")
    await lab.conductors.pop().detach()
    # its program is gone without a word
    await rig.runtime.close()
    config = rig.config.model_dump() | {"uri": [str(rig.addresses[0])]}
    again = RigService(RigConfig.model_validate(config))
    await again.open()
    assert not (folder / "transfer_me.flag").exists()
    await again.stop_here()
    assert copier.find(folder.parents[2]) == [folder]
    await again.close()


async def test_two_rigs_of_one_folder_are_one_device_and_the_flag_waits_for_both(
    lab: Any, server: Path, tmp_path: Path, until: Callable[..., Any]
) -> None:
    shared = {"data_folder": str(tmp_path / "pc-1")}
    one = await lab.rig("cameras:left", uri="udp://left:11001", **cameras(server), **shared)
    ibl = {"device": "pupil", "server": str(server)}
    await lab.rig("pupil", fake={"collection": "raw_pupil_data", "delay": {"stop": 0.3}}, ibl=ibl, **shared)
    session = await begin(lab)
    folder = place(one, session)
    stopping = asyncio.ensure_future(session.stop())
    await until(lambda: (folder / "_multirig_manifest.cameras%3Aleft.json").exists())
    assert copier.find(folder.parents[2]) == []
    await stopping
    await end_rest(session)
    assert files_for_ibl(folder) == [
        "_ibl_experiment.description_video.yaml",
        "_multirig_transfer.json",
        "transfer_me.flag",
    ]
    await until(lambda: copier.state(folder, server, "video"))
    await until(lambda: not copier.stub(folder, server, "pupil").exists())
    assert copier.copy(folder, server, "video") == copier.FINAL
    copied = server.joinpath("Subjects", *folder.parts[-3:])
    assert (copied / VIDEO / "fake.csv").exists()
    assert (copied / "raw_pupil_data" / "fake.csv").exists()


async def test_ephys_beside_others_in_one_folder_is_told(lab: Any, server: Path, tmp_path: Path) -> None:
    shared = {"data_folder": str(tmp_path / "pc-1")}
    await lab.rig("cameras", **cameras(server), **shared)
    await lab.rig(
        "ephys",
        fake={"collection": "raw_ephys_data"},
        ibl={"device": "ephys", "server": str(server)},
        **shared,
    )
    session = await begin(lab)
    await asyncio.sleep(0.1)
    await end(session)
    told = [
        one.text
        for rig in lab.rigs.values()
        for one in rig._hooks.pipeline.findings(0.0)
        if "share one session folder" in one.text
    ]
    assert "give the ephys rig a data_folder of its own" in told[0]


async def test_frame_times_are_there_as_bonsai_writes_them(lab: Any, server: Path) -> None:
    camera = {"label": "left", "source": "test", "fps": 30, "size": [64, 48]}
    adapter = TypeAdapter(Camera).validate_python({"cameras": [camera], "min_free_gb": 0})
    rig = await lab.rig("cameras", main_sync=True, adapter=adapter, ibl={"device": "video"})
    before = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    session = await begin(lab)
    await asyncio.sleep(0.5)
    await end(session)
    folder = place(rig, session) / VIDEO
    times = np.load(folder / "_iblrig_leftCamera.times.npy")
    lines = (folder / "_iblrig_leftCamera.timestamps.ssv").read_text().splitlines()
    moments, counts = zip(*(line.split(" ") for line in lines), strict=True)
    seen = np.array(moments, dtype="datetime64[us]")
    elapsed = (seen - seen[0]).astype(float) / 1e6
    assert np.abs(elapsed - (times - times[0])).max() < 1e-5
    numbers = np.array(counts, dtype=np.uint32)
    by_camera = (numbers >> 25) + ((numbers >> 12) & 0x1FFF) / 8000
    assert np.abs(by_camera - (times - times[0])).max() <= 1 / 8000
    first = seen[0].astype(datetime.datetime)
    assert before - datetime.timedelta(seconds=1) < first < before + datetime.timedelta(seconds=10)
    assert copier.find(folder.parents[3]) == [folder.parent]


def test_a_cameras_clock_begins_anew_after_128_seconds() -> None:
    zero = datetime.datetime(2026, 1, 2)
    lines = [line.split() for line in make_lines([0.0, 127.9999, 128.0, 300.5], zero)]
    assert [int(count) >> 25 for _, count in lines] == [0, 127, 0, 44]
    assert lines[-1][0] == "2026-01-02T00:05:00.500000"


async def test_of_two_pcs_that_record_into_one_collection_one_is_copied(
    lab: Any, server: Path, until: Callable[..., Any]
) -> None:
    body = {"device": "video_body", "server": str(server)}
    one = await lab.rig("cameras", **cameras(server))
    two = await lab.rig("body", fake={"collection": VIDEO}, ibl=body)
    session = await begin(lab)
    folder = place(two, session)
    await until(lambda: copier.state(folder, server, "video_body") and copier.state(folder, server, "video"))
    await end(session)
    await until(lambda: two._hooks.pipeline.findings(0.0))
    await until(lambda: not (folder / "transfer_me.flag").exists())
    [told] = two._hooks.pipeline.findings(0.0)
    assert told.text.startswith("video, another PC of this session, records into raw_video_data too")
    assert one._hooks.pipeline.findings(0.0) == []
    assert copier.copy(place(one, session), server, "video") == copier.COMPLETE
    assert copier.find(folder.parents[2]) == []


async def test_of_two_pcs_of_one_name_one_is_copied(
    lab: Any, server: Path, until: Callable[..., Any]
) -> None:
    pcs = [
        await lab.rig("cameras", **cameras(server)),
        await lab.rig("body", **cameras(server, main_sync=False)),
    ]
    session = await begin(lab)
    folders = [place(one, session) for one in pcs]
    await until(lambda: copier.state(folders[0], server, "video"))
    await end(session)
    await until(lambda: any(one._hooks.pipeline.findings(0.0) for one in pcs))
    await until(lambda: sum((one / "transfer_me.flag").exists() for one in folders) == 1)
    [told] = [found.text for one in pcs for found in one._hooks.pipeline.findings(0.0)]
    assert told.startswith("another PC of this session is video too")
    [folder] = [one for one in folders if (one / "transfer_me.flag").exists()]
    assert yaml.safe_load(copier.stub(folder, server, "video").read_bytes()) == copier.read(folder)
    assert copier.copy(folder, server, "video") == copier.FINAL


def test_what_another_pc_has_entered_is_not_taken_away(tmp_path: Path, server: Path) -> None:
    subjects, folders = str(server / "Subjects"), []
    for name, has_data in (("one", True), ("two", False)):
        folder = tmp_path / name / "SP_01" / "2026-01-02" / "003"
        folder.mkdir(parents=True)
        recorded = replace(part("video", "cameras", name, VIDEO), server=subjects, has_data=has_data)
        transfer = Transfer(name, again=())
        transfer.begin(folder, ref(folder), recorded)
        assert transfer.wait(5)
        transfer.finish(folder, ref(folder), recorded)
        assert transfer.wait(5)
        folders.append(folder)
    assert copier.state(folders[0], server, "video") == copier.PENDING
    assert files_for_ibl(folders[1]) == []


@pytest.mark.parametrize(
    ("mine", "other", "shared"),
    [("a/b", "a", "a/b"), ("a", "a/b", "a"), ("a", "ab", None), ("a", "a", "a")],
)
def test_a_folder_is_shared_with_those_in_it(mine: str, other: str, shared: str | None) -> None:
    described = [{"devices": {"x": {"y": {"collection": name}}}} for name in (mine, other)]
    assert share_collection(*described) == shared


def test_probes_of_spikeglx_are_described_as_ibl_has_them(lab: Any, server: Path) -> None:
    from multirig.config import RigConfig
    from multirig.rig.adapters.fake import Fake
    from multirig.rig.pipeline import describe_rig

    keys = {
        "name": "ephys",
        "data_folder": str(server),
        "adapter": {"type": "fake"},
        "ibl": {"device": "ephys", "probes": ["probe00", "probe01"]},
    }
    probes = {
        one: {"collection": f"raw_ephys_data/{one}", "sync_label": "imec_sync"}
        for one in ("probe00", "probe01")
    }
    nidq = {"nidq": {"collection": "raw_ephys_data", "extension": "bin", "acquisition_software": "spikeglx"}}
    assert describe_rig(RigConfig.model_validate(keys), Fake()) == {"devices": {"neuropixel": probes}}
    main = RigConfig.model_validate({**keys, "main_sync": True})
    assert describe_rig(main, Fake()) == {"devices": {"neuropixel": probes}, "sync": nidq}


async def test_check_says_whether_the_server_answers(lab: Any, server: Path, tmp_path: Path) -> None:
    from multirig.pc.finding import Level
    from multirig.rig.pipeline import check_server

    rig = await lab.rig("cameras", **cameras(server))
    [found] = check_server(rig.config)
    assert (found.level, str(server / "Subjects") in found.text) == (Level.OK, True)
    gone = await lab.rig("gone", **cameras(tmp_path / "no" / "server"))
    [found] = check_server(gone.config)
    assert found.level is Level.WARNING
    assert "recorded all the same" in found.text
    plain = await lab.rig("plain")
    assert [*check_server(plain.config)] == []


# -- one folder, several who record --------------------------------------------------------------------


def part(device: str, kind: str, label: str, collection: str, **more: Any) -> Part:
    devices = {kind: {label: {"collection": collection}}}
    return Part(device=device, description={"devices": devices}, has_data=True, **more)


TASK = Part(
    device="behavior", description={"tasks": [{"t": {"collection": "raw_task_data_00"}}]}, has_data=True
)


@pytest.mark.parametrize("first", ["task", "cameras"])
@pytest.mark.parametrize("last", ["task", "cameras"])
def test_a_task_and_cameras_of_one_folder_are_copied_as_the_task(
    tmp_path: Path, first: str, last: str
) -> None:
    parts = {"task": TASK, "cameras": part("video", "cameras", "left", VIDEO)}
    others = [one for one in parts if one != first]
    for name in [first, *others]:
        open_part(tmp_path, "2026-01-02_3_SP", name, parts[name])
    for name in sorted(parts, key=lambda one: one == last):
        assert not (tmp_path / "transfer_me.flag").exists()
        close_part(tmp_path, "2026-01-02_3_SP", name, parts[name])
    assert (tmp_path / "transfer_me.flag").exists()
    assert [one.name for one in tmp_path.glob("_ibl*")] == ["_ibl_experiment.description_behavior.yaml"]
    assert sorted(copier.collections(copier.read(tmp_path))) == ["raw_task_data_00", VIDEO]


def test_the_description_of_iblrigs_own_task_is_kept_and_added_to(tmp_path: Path) -> None:
    own = {"tasks": [{"t": {"collection": "raw_task_data_00"}}], "projects": ["p"], "version": "1.0.0"}
    path = tmp_path / "_ibl_experiment.description_behavior.yaml"
    path.write_text(yaml.safe_dump(own))
    (tmp_path / "raw_task_data_00").mkdir()
    camera = part("video", "cameras", "left", VIDEO)
    open_part(tmp_path, "2026-01-02_3_SP", "cameras", camera)
    # it goes on in a further collection meanwhile
    more = copier.read(tmp_path)
    more["tasks"].append({"t": {"collection": "raw_task_data_01"}})
    path.write_text(yaml.safe_dump(more))
    close_part(tmp_path, "2026-01-02_3_SP", "cameras", camera)
    found = copier.read(tmp_path)
    assert found["projects"] == ["p"]
    assert sorted(copier.collections(found)) == ["raw_task_data_00", "raw_task_data_01", VIDEO]
    close_part(tmp_path, "2026-01-02_3_SP", "cameras", replace(camera, has_data=False))
    assert sorted(copier.collections(copier.read(tmp_path))) == ["raw_task_data_00", "raw_task_data_01"]


def test_a_task_of_iblrigs_that_came_later_is_copied_with_the_cameras(tmp_path: Path, server: Path) -> None:
    folder = tmp_path / "SP_01" / "2026-01-02" / "003"
    (folder / "raw_task_data_00").mkdir(parents=True)
    camera = replace(part("video", "cameras", "left", VIDEO), server=str(server / "Subjects"))
    transfer = Transfer("cameras", again=())
    transfer.begin(folder, ref(folder), camera)
    assert transfer.wait(5)
    # it adds itself to the first description that it finds, and enters itself on the server
    task = {"tasks": [{"t": {"collection": "raw_task_data_00"}}]}
    path = folder / "_ibl_experiment.description_video.yaml"
    path.write_text(yaml.safe_dump({**copier.read(folder), **task}))
    stub = copier.stub(folder, server, "behavior")
    stub.write_text(yaml.safe_dump(task))
    stub.with_suffix(".status_pending").touch()
    transfer.finish(folder, ref(folder), camera)
    assert transfer.wait(5)
    assert [one.name for one in folder.glob("_ibl*")] == ["_ibl_experiment.description_behavior.yaml"]
    assert copier.find(tmp_path) == [folder]
    assert [one.name.partition("@")[2] for one in stub.parent.glob("*.yaml")] == ["behavior.yaml"]
    assert yaml.safe_load(stub.read_bytes()) == copier.read(folder)
    assert sorted(copier.collections(copier.read(folder))) == ["raw_task_data_00", VIDEO]


def test_what_iblrig_writes_in_the_same_moment_is_not_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "raw_task_data_00").mkdir()
    path = tmp_path / "_ibl_experiment.description_behavior.yaml"

    def write_meanwhile(where: Path, data: bytes) -> None:
        write_whole(where, data)
        path.write_text(yaml.safe_dump({"tasks": [{"t": {"collection": "raw_task_data_00"}}]}))

    camera = part("video", "cameras", "left", VIDEO)
    with monkeypatch.context() as context:
        context.setattr("multirig.transfer.folder.write_whole", write_meanwhile)
        open_part(tmp_path, "2026-01-02_3_SP", "cameras", camera)
    close_part(tmp_path, "2026-01-02_3_SP", "cameras", camera)
    assert [one.name for one in tmp_path.glob("_ibl*")] == [path.name]
    assert sorted(copier.collections(copier.read(tmp_path))) == ["raw_task_data_00", VIDEO]


def test_the_description_of_all_rigs_gives_way_to_that_of_this_pc(tmp_path: Path) -> None:
    from multirig.ibl import description

    whole = {"devices": {"cameras": {"left": {"collection": VIDEO}, "far": {"collection": VIDEO}}}}
    description.write_into(tmp_path, {**whole, "remote_rigs": {"cameras": "udp://1.2.3.4"}})
    assert [one.name for one in tmp_path.glob("_ibl*")] == ["_ibl_experiment.description.yaml"]
    open_part(tmp_path, "2026-01-02_3_SP", "cameras", part("video", "cameras", "left", VIDEO))
    assert copier.read(tmp_path)["devices"] == {"cameras": {"left": {"collection": VIDEO}}}
    assert description.read(tmp_path)["devices"] == whole["devices"]
    description.write_into(tmp_path, {"devices": {"mesoscope": {"m": {"collection": "c"}}}})
    assert set(description.read(tmp_path)["devices"]) == {"cameras", "mesoscope"}
    assert len([*tmp_path.glob("_ibl*")]) == 1


def test_what_is_recorded_once_more_is_copied_once_more(tmp_path: Path, server: Path) -> None:
    folder = tmp_path / "SP_01" / "2026-01-02" / "003"
    folder.mkdir(parents=True)
    one = replace(part("video", "cameras", "left", VIDEO), server=str(server / "Subjects"))
    transfer = Transfer("cameras", again=())
    for _ in range(2):
        (folder / VIDEO).mkdir(exist_ok=True)
        transfer.begin(folder, ref(folder), one)
        assert transfer.wait(5)
        assert copier.find(tmp_path) == []
        transfer.finish(folder, ref(folder), one)
        assert transfer.wait(5)
        assert copier.copy(folder, server, "video") == copier.FINAL
    transfer.finish(folder, ref(folder), one)
    assert transfer.wait(5)
    assert copier.state(folder, server, "video") == copier.FINAL


def test_the_server_may_be_given_with_and_without_subjects() -> None:
    assert servers.subjects_on_server(Path("a/Subjects")) == Path("a/Subjects")
    assert servers.subjects_on_server(Path("a/data")) == Path("a/data/Subjects")


def test_a_damaged_list_of_who_records_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "_multirig_transfer.json").write_text("[1")
    open_part(tmp_path, "2026-01-02_3_SP", "task", TASK)
    assert json.loads((tmp_path / "_multirig_transfer.json").read_text())["parts"].keys() == {"task"}


@pytest.mark.skipif(sys.platform == "win32", reason="letters that the console of this system may not have")
def test_letters_of_any_language_come_through(tmp_path: Path) -> None:
    one = replace(TASK, description={**TASK.description, "projects": ["Früh", "学"]})
    open_part(tmp_path, "2026-01-02_3_SP", "task", one)
    assert copier.read(tmp_path)["projects"] == ["Früh", "学"]
