"""``multirig new rig`` as a person meets it: questions in a terminal, and a rig that records at once."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from tests.integration.cli.conftest import RigProcess
from tests.programs import Program

from multirig.config import load_rig_config

LIMIT = 30


@pytest.fixture
def port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def bonsai(tmp_path: Path) -> Path:
    """Put a program that is called Bonsai on this PC; it writes what it was asked to."""
    if os.name == "nt":
        pytest.skip("a script is no program there")
    program = tmp_path / "bin" / "bonsai"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport sys\n"
        "[file] = [one.partition('=')[2] for one in sys.argv if one.startswith('-p:')]\n"
        "open(file, 'w').write(' '.join(sys.argv))\nsys.stdin.read()\n"
    )
    program.chmod(0o755)
    return program


def test_what_is_taken_without_a_question_loads_and_is_said(multirig, tmp_path: Path, port: int):
    done = multirig("new", "rig", "--yes", "--name", "cam", "--data", "rec", "--port", port, "--only-here")
    assert done.returncode == 0, done.stderr
    assert "? What shall this PC record? the test pattern" in done.stderr
    assert f"written: {tmp_path / 'cam.yaml'}" in done.stderr
    config = load_rig_config(tmp_path / "cam.yaml")
    assert (config.name, config.data_folder) == ("cam", tmp_path / "rec")
    assert [str(one) for one in config.uri] == [f"udp://127.0.0.1:{port}"]
    assert config.adapter.options == {"cameras": [{"label": "test", "source": "test"}]}
    assert f"rigs add cam udp://127.0.0.1:{port}\n" in done.stdout
    assert {one.name for one in tmp_path.iterdir()} <= {"cam.yaml", "rec", "state", "config", "cache"}


def test_a_folder_that_a_cloud_copies_is_told(multirig, tmp_path: Path):
    done = multirig("new", "rig", "--yes", "--nothing", "--data", "OneDrive/rec")
    assert done.returncode == 0, done.stderr
    assert "is kept in step with a cloud" in done.stderr


def test_a_file_that_is_there_is_not_written_over(multirig, tmp_path: Path):
    (tmp_path / "cam.yaml").write_text("mine")
    for more in ([], ["cam.yaml"]):
        done = multirig("new", "rig", "--yes", "--name", "cam", "--nothing", "--data", "rec", *more)
        assert (done.returncode, (tmp_path / "cam.yaml").read_text()) == (2, "mine")
        assert "cam.yaml is there already: give --replace, or another file" in done.stderr
    assert not (tmp_path / "rec").exists()
    done = multirig("new", "rig", "--yes", "--name", "cam", "--nothing", "--data", "rec", "--replace")
    assert done.returncode == 0, done.stderr
    assert load_rig_config(tmp_path / "cam.yaml").adapter.type == "fake"
    assert "what it records is made up" in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "nobody is there to answer the questions: give --yes"),
        (["--yes", "--camera", "a b=test"], "cannot be opened"),
        (["--yes", "--camera", "a=test", "--camera", "A=test"], "A is another camera of this rig"),
        (["--yes", "--camera", "left="], "names no source"),
        (["--yes", "--camera", "a=test", "--nothing"], "--camera and --nothing are a rig each"),
        (["--yes", "--nothing", "--data", "there.txt"], "there.txt is a file: give a folder"),
        (["--yes", "--nothing", "--data", "there.txt/deeper"], "cannot be written"),
        (["--yes", "--nothing", "--data", ""], "'' is no folder"),
        (["--yes", "--nothing", "--name", "a/b"], "'a/b' cannot name a rig"),
        (["--yes", "--program", "no-such-program"], "program 'no-such-program' was not found"),
        (["--yes", "--program", "'open"], "close each quote"),
        (["--yes", "--workflow", "x.bonsai"], "--workflow is what Bonsai runs"),
        (["--yes", "--program", sys.executable, "--workflow", "x.bonsai"], "x.bonsai cannot be read"),
        (["--yes", "--program", f"{sys.executable} {{ogre}}"], "ogre"),
        (["--yes", "--nothing", "."], "is a folder: give the file in it"),
        (["--yes", "--nothing", "there.txt/rig.yaml"], "cannot be written"),
    ],
)
def test_what_cannot_be_is_one_line_and_nothing_is_written(
    multirig, tmp_path: Path, options: list[str], said: str
):
    (tmp_path / "there.txt").write_text("")
    done = multirig("new", "rig", *options)
    assert said in " ".join(done.stderr.split())
    if done.returncode == 0:  # a camera that gives no picture now may do so tomorrow
        assert "no picture from it now" in done.stderr
    else:
        assert done.returncode == 2
        assert [*tmp_path.rglob("*.yaml")] == []
        assert done.stderr.count("✗") == 1


def test_a_workflow_of_bonsai_is_told_where_to_write(multirig, bonsai: Path, tmp_path: Path):
    (tmp_path / "cameras.bonsai").write_text(
        '<Expression xsi:type="ExternalizedMapping">\n'
        '  <Property Name="FileName" DisplayName="VideoFileName" />\n'
        "</Expression><Expression>osc:ReceiveMessage</Expression>"
    )
    options = ("--program", "bonsai", "--workflow", "cameras.bonsai", "--data", "rec", "--name", "bonsai")
    path = os.pathsep.join([str(bonsai.parent), os.environ["PATH"]])
    done = multirig("new", "rig", "--yes", *options, PATH=path)
    assert done.returncode == 0, done.stderr
    written = yaml.safe_load((tmp_path / "bonsai.yaml").read_text(encoding="utf-8"))["adapter"]
    assert written["command"] == [
        *(str(bonsai), str(tmp_path / "cameras.bonsai"), "--no-editor"),
        "-p:VideoFileName={folder}/videofilename.avi",
    ]
    assert written["stop_by"] == {"osc": "/stop", "port": 7110}


def test_without_what_drives_cameras_it_says_how_to_get_it_and_goes_on(multirig, tmp_path: Path):
    (tmp_path / "av.py").write_text('raise ModuleNotFoundError("not here", name="av")')
    without = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    done = multirig("new", "rig", "--yes", "cam.yaml", "--data", "rec", **without)
    assert done.returncode == 0, done.stderr
    assert "no camera can be recorded yet: the camera adapter needs PyAV: pip install" in done.stderr
    assert load_rig_config(tmp_path / "cam.yaml").adapter.type == "fake"
    done = multirig("new", "rig", "--yes", "two.yaml", "--data", "rec", "--camera", "left=test", **without)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "the camera adapter needs PyAV: pip install" in done.stderr


# -- at a terminal -----------------------------------------------------------------------------------------


class Terminal:
    """A program at a terminal, and the hands and eyes of who sits there."""

    def __init__(self, folder: Path, *options: str, **environment: str) -> None:
        import pty

        self.hands, there = pty.openpty()
        home = {f"XDG_{kind}_HOME": str(folder / kind.lower()) for kind in ("STATE", "CONFIG", "CACHE")}
        self.process = Program(
            [sys.executable, "-m", "multirig", "new", "rig", *options],
            cwd=folder,
            env={**os.environ, "COLUMNS": "300", "TERM": "dumb", **home, **environment},
            stdin=there,
            stdout=there,
            stderr=there,
        )
        os.close(there)
        self.seen = ""

    def expect(self, text: str) -> None:
        """Read until a text stands there, and go on behind it."""
        deadline = time.monotonic() + LIMIT
        while text not in self.seen:
            assert time.monotonic() < deadline, f"no {text!r} in {self.seen!r}"
            if select.select([self.hands], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.hands, 65536).decode(errors="replace").replace("\r\n", "\n")
                except OSError:  # it has ended
                    assert text in self.seen, f"it ended without {text!r}: {self.seen!r}"
        self.seen = self.seen.partition(text)[2]

    def answer(self, question: str, answer: str) -> None:
        self.expect(question)
        self.expect("] ")
        os.write(self.hands, f"{answer}\n".encode())

    def press_ctrl_c(self) -> None:
        """Press it, and again where it came in the instant before Python reads: there it waits for a key."""
        for _ in range(3):
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(2)
                return

    def end(self) -> str:
        """Return the rest of what it prints, after its end."""
        self.process.wait(LIMIT)
        with contextlib.suppress(OSError):
            while read := os.read(self.hands, 65536):
                self.seen += read.decode(errors="replace").replace("\r\n", "\n")
        return self.seen


@pytest.fixture
def sit_down(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    if os.name == "nt":
        pytest.skip("Windows has no pseudo-terminal in Python")
    started: list[Terminal] = []

    def start(*options: str, **environment: str) -> Terminal:
        started.append(Terminal(tmp_path, *options, **environment))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
        os.close(one.hands)


def test_who_answers_has_a_rig_that_records(sit_down, multirig, tmp_path: Path, port: int):
    terminal = sit_down("--port", str(port))
    terminal.answer("What shall this PC record?", "none")
    terminal.answer("'none' is none of the numbers", "1")
    terminal.answer("A short name for the test pattern", "left eye")
    terminal.answer("use letters and digits only", "left")
    terminal.answer("What shall this rig be called", "cam pc")
    terminal.answer("Where shall its recordings go", str(tmp_path / "my data"))
    terminal.answer("Who may lead its sessions", "2")
    printed = terminal.end()
    assert terminal.process.returncode == 0, printed
    typed = [shlex.split(line) for line in printed.splitlines() if re.match("  .*multirig ", line)]
    [serve] = [words for words in typed if "serve" in words]
    [add] = [words for words in typed if "add" in words]
    [check] = [words for words in typed if "check" in words]
    rig = RigProcess(Path(serve[-1]), "--plain")
    try:
        assert rig.uri == f"udp://127.0.0.1:{port}"
        rigs = {"MULTIRIG_RIGS": str(tmp_path / "rigs")}
        (tmp_path / "rigs").mkdir()
        done = multirig(*add[add.index("rigs") :], **rigs)
        assert done.returncode == 0, done.stderr
        done = multirig(*check[check.index("check") :], **rigs)
        assert done.returncode == 0, done.stdout
        recorded = ("--subject", "SP_01", "--remote", "cam pc", "--main-sync", "--seconds", "0.5", "--json")
        done = multirig("run", *recorded, **rigs)
        assert done.returncode == 0, done.stderr
    finally:
        rig.end()
        rig.process.communicate()
    told = json.loads(done.stdout)
    assert told["verdict"] == "GOOD"
    assert any("_iblrig_leftCamera.raw.mp4" in one["path"] for one in told["rigs"]["cam pc"]["files"])
    assert [*(tmp_path / "my data").rglob("_iblrig_leftCamera.raw.mp4")]


def test_a_program_that_is_found_is_a_rig_that_records(
    sit_down, multirig, bonsai: Path, tmp_path: Path, port: int
):
    (tmp_path / "mice.bonsai").write_text(
        '<Expression xsi:type="ExternalizedMapping"><Property Name="FileName" /></Expression>'
    )
    path = os.pathsep.join([str(bonsai.parent), os.environ["PATH"]])
    terminal = sit_down("--port", str(port), "--only-here", "--name", "bonsai", "--data", "rec", PATH=path)
    terminal.expect("What shall this PC record?")
    terminal.expect("  2  Bonsai (is started with each session): ")
    terminal.answer("Which number", "1, 2")
    terminal.answer("only cameras go together in one rig", "2")
    terminal.answer("Which workflow, its file? [", "nowhere.bonsai")
    terminal.answer("nowhere.bonsai cannot be read", "")
    terminal.end()
    assert terminal.process.returncode == 0
    rig = RigProcess(tmp_path / "bonsai.yaml", "--plain")
    try:
        asked = ("--subject", "SP_01", "--remote", rig.uri, "--main-sync", "--seconds", "0.5", "--json")
        done = multirig("run", *asked)
    finally:
        rig.end()
        rig.process.communicate()
    assert done.returncode == 0, done.stderr
    [written] = (tmp_path / "rec").rglob("raw_bonsai_data/filename.avi")
    assert f"{tmp_path / 'mice.bonsai'} --no-editor -p:FileName={written}" in written.read_text()


@pytest.mark.parametrize("answered", range(5))
def test_ctrl_c_at_any_question_leaves_nothing(sit_down, tmp_path: Path, answered: int):
    questions = [
        "What shall this PC record",
        "A short name for",
        "What shall this rig be called",
        "Where shall its recordings go",
        "Who may lead its sessions",
    ]
    terminal = sit_down(HOME=str(tmp_path))
    for question in questions[:answered]:
        terminal.answer(question, "")
    terminal.expect(questions[answered])
    terminal.expect("] ")
    terminal.press_ctrl_c()
    assert "nothing was written" in terminal.end()
    assert terminal.process.returncode == 130
    assert [one for one in tmp_path.iterdir() if one.name not in ("state", "config", "cache")] == []


def test_the_end_of_the_input_is_no_answer(sit_down, tmp_path: Path):
    terminal = sit_down("--nothing")
    terminal.expect("What shall this rig be called")
    terminal.expect("] ")
    os.write(terminal.hands, b"\x04")
    assert "nothing was written" in terminal.end()
    assert terminal.process.returncode == 130
    assert [*tmp_path.glob("*.yaml")] == []


def test_a_file_that_is_there_is_asked_about(sit_down, tmp_path: Path):
    (tmp_path / "cam.yaml").write_text("mine")
    terminal = sit_down("--nothing", "--name", "cam", "--data", "rec", "--only-here")
    terminal.answer("Write over it, yes or no", "perhaps")
    terminal.answer("is neither yes nor no", "")
    terminal.answer("Which file then", "")
    terminal.end()
    assert terminal.process.returncode == 0
    assert (tmp_path / "cam.yaml").read_text() == "mine"
    assert load_rig_config(tmp_path / "cam-2.yaml").name == "cam"
    terminal = sit_down("--nothing", "--name", "other", "--data", "rec", "--only-here", "cam.yaml")
    terminal.answer("Write over it, yes or no", "yes")
    terminal.end()
    assert load_rig_config(tmp_path / "cam.yaml").name == "other"
