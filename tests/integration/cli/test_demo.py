"""The main job, as a newcomer runs it."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import psutil
import pytest
from tests.pictures import blur, read_picture

from multirig.config import load_conductor_config


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
        # a camera runs free and gives its first frame when this PC lets it, but none before its start
        start, bound = summary["rigs"][label]["start"], summary["rigs"][label]["clock_bound"]
        assert start["called"] - bound <= stamps[0] <= summary["rigs"][label]["stopped_at"] + bound
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
    drawn = read_picture(Path(__file__).parents[3] / "docs" / "images" / "demo.svg")
    shown = [one for one in drawn if not one.startswith("$")]
    assert kinds(done.stderr + done.stdout) == kinds("\n".join(shown)), "python docs/picture.py draws it anew"


def kinds(printed: str) -> set[str]:
    """Return what is printed without what each demo and each PC has of its own."""
    lines = (one for one in printed.splitlines() if "Subjects" not in one and not one.startswith("! "))
    return {re.sub(r": \w+ first, \w+ last$", "", one) for one in blur(list(lines))}


def test_rigs_of_a_demo_that_is_killed_close_their_files_and_end(tmp_path: Path):
    command = [sys.executable, "-m", "multirig", "demo", "--seconds", "60", "--data", str(tmp_path)]
    home = {f"XDG_{kind}_HOME": str(tmp_path / kind.lower()) for kind in ("STATE", "CONFIG", "CACHE")}
    with subprocess.Popen(
        command, env={**os.environ, **home, "TMPDIR": str(tmp_path)}, stderr=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stderr is not None
        assert any("rigs started within" in line for line in demo.stderr)
        programs = psutil.Process(demo.pid).children(recursive=True)
        demo.kill()
    _, left = psutil.wait_procs(programs, timeout=30)
    for one in left:
        one.kill()
    assert len(programs) >= 4  # the monitor's rig has a program of its own
    assert left == []
    videos = [*tmp_path.rglob("_iblrig_*Camera.raw.mp4")]
    assert len(videos) == 2
    for video in videos:
        with av.open(str(video)) as opened:
            assert next(opened.decode(video=0)).width == 640
    assert len([*tmp_path.rglob("_multirig_manifest.*.json")]) == 3


def test_a_second_demo_gets_the_next_number(multirig):
    references = [
        json.loads(multirig("demo", "--seconds", "0.5", "--data", "d", "--json").stdout)["exp_ref"]
        for _ in range(2)
    ]
    assert [one.split("_")[1] for one in references] == ["1", "2"]


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a demo whose rigs go on, until the test ends."""
    command = [sys.executable, "-m", "multirig", "demo", "--keep", "--seconds", "0.5", "--json"]
    home = {f"XDG_{kind}_HOME": str(tmp_path / kind.lower()) for kind in ("STATE", "CONFIG", "CACHE")}
    with (
        (tmp_path / "stdout").open("w") as out,
        subprocess.Popen(
            command,
            cwd=tmp_path,
            env={**os.environ, **home, "TMPDIR": str(tmp_path), "COLUMNS": "200"},
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        ) as process,
    ):
        yield process
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()


def read_next_words(process: subprocess.Popen[str]) -> list[str]:
    """Return what a demo says that is to be typed next."""
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if found := re.search(r"the rigs go on until Ctrl-C; in another terminal type: (.+)", line):
            return shlex.split(found[1])
    raise AssertionError(f"it ended: {seen}")


def test_rigs_that_are_kept_record_on_for_whoever_types_what_the_demo_says(
    kept: subprocess.Popen[str], multirig, tmp_path: Path
):
    words = read_next_words(kept)
    assert words[-5:] == [
        *("console", "--rigs-file", "multirig-demo/remote_rigs.yaml", "--data", "multirig-demo"),
    ]
    first = json.loads((tmp_path / "stdout").read_text(encoding="utf-8"))
    assert first["verdict"] == "GOOD"
    settings = load_conductor_config(tmp_path / "multirig-demo" / "remote_rigs.yaml").console
    assert (settings.subjects, settings.data_folder) == (("demo_mouse",), tmp_path / "multirig-demo")
    remote = ("--remote", "monitor", "left", "right")
    asked = ("-s", "mouse_2", *words[-4:], *remote, "--seconds", "0.5", "--json")
    done = multirig("run", *asked)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["exp_ref"].endswith("_1_mouse_2")
    other = multirig("demo", "--seconds", "0.5", "--data", "other", "--json")
    assert other.returncode == 0, other.stderr
    kept.send_signal(signal.SIGINT)
    assert kept.wait(30) == 0
    lines = [" ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"])]
    assert [line for line in lines if str(tmp_path) in line] == []


def test_rigs_that_are_kept_end_with_their_terminal_and_a_rig_that_ends_before_is_told(
    kept: subprocess.Popen[str], tmp_path: Path
):
    read_next_words(kept)
    (left,) = [
        one
        for one in psutil.Process(kept.pid).children()
        if any(word.endswith("left.yaml") for word in one.cmdline())
    ]
    left.terminate()
    assert kept.stderr is not None
    assert any("the rig left has ended: press Ctrl-C" in line for line in iter(kept.stderr.readline, ""))
    kept.send_signal(getattr(signal, "SIGHUP", signal.SIGINT))
    assert kept.wait(30) == 0
    lines = [" ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"])]
    assert [line for line in lines if str(tmp_path) in line] == []
