"""The main job, as a newcomer runs it."""

import json
from pathlib import Path

import av
import numpy as np
import psutil


def test_the_demo_records_what_it_says(multirig, tmp_path: Path):
    done = multirig("demo", "--seconds", "1.5", "--data", "recorded", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    session = Path(summary["session_folder"])
    assert session.is_relative_to(tmp_path / "recorded" / "mylab" / "Subjects")
    assert set(summary["rigs"]) == {"monitor", "left", "right"}
    for name, rig in summary["rigs"].items():
        assert rig["problems"] == []
        for one in rig["files"]:
            assert (session / one["path"]).stat().st_size == one["bytes"], (name, one)
    for label in ("left", "right"):
        files = {Path(one["path"]).name: one for one in summary["rigs"][label]["files"]}
        video, times = files[f"_iblrig_{label}Camera.raw.mp4"], files[f"_iblrig_{label}Camera.times.npy"]
        with av.open(str(session / video["path"])) as opened:
            frames = sum(1 for _ in opened.decode(video=0))
        stamps = np.load(session / times["path"])
        assert stamps.dtype == np.float64
        assert frames == len(stamps) == video["frames"] == times["frames"]
        assert frames > 45  # 1.5 s at 60 a second, on a busy machine
        assert np.all(np.diff(stamps) > 0)
        assert (stamps[0], stamps[-1]) == (video["first"], video["last"])
    one, other = (
        np.load(next(session.rglob(f"_iblrig_{label}Camera.times.npy"))) for label in ("left", "right")
    )
    bound = sum(summary["rigs"][label]["clock_bound"] for label in ("left", "right"))
    assert abs(one[0] - other[0]) <= bound + 1 / 60  # the cameras run free: that is one frame
    assert summary["start_spread"]["rigs"] == 3
    (csv,) = (one for one in summary["rigs"]["monitor"]["files"] if one["path"].endswith(".csv"))
    assert csv["frames"] > 75  # 1.5 s at 100 a second, on a busy machine
    assert [step["name"] for step in summary["steps"]] == ["agree", "initialise", "start", "stop", "clean up"]


def test_the_demo_leaves_no_process_behind(multirig, tmp_path: Path):
    done = multirig("demo", "--seconds", "0.5", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "_iblrig_leftCamera.raw.mp4" in done.stdout
    lines = [" ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"])]
    assert [line for line in lines if str(tmp_path) in line] == []


def test_a_second_demo_gets_the_next_number(multirig):
    references = [
        json.loads(multirig("demo", "--seconds", "0.5", "--data", "d", "--json").stdout)["exp_ref"]
        for _ in range(2)
    ]
    assert [one.split("_")[1] for one in references] == ["1", "2"]
