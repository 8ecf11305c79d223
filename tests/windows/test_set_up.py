"""From nothing to the first session on Windows, as the how-to says; its pictures are those of this screen.

``make windows PART=--pictures`` draws them anew.
"""

from __future__ import annotations

import io
import os
import re
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.windows.wine import ROOT, Windows

if sys.platform == "win32":
    pytest.skip("sits at Windows from outside", allow_module_level=True)

from rich.console import Console
from rich.text import Text
from tests.pictures import blur, read_picture
from tests.windows.lab_pc import COLUMNS, LabPc, WindowsConsole

FOLDER = os.environ.get("MULTIRIG_WINDOWS")
DRAWN = os.environ.get("MULTIRIG_SCREENSHOTS")
pytestmark = pytest.mark.skipif(FOLDER is None, reason="is run by make windows")
IMAGES = ROOT / "docs" / "images"
RECORDINGS = "recordings"
MARKED = re.compile("[✓✗?] |recording |  ")
"""How a line begins that does not go on with the one above it."""
PROMPT = r"PS C:\Users\you> "


@pytest.fixture(scope="module")
def pc() -> Iterator[LabPc]:
    assert FOLDER is not None
    made = LabPc(Windows(Path(FOLDER)))
    assert "Successfully installed multirig" in made.install()
    yield made
    for name in (made.place.name, RECORDINGS):
        made.windows.forget(name)


@pytest.fixture
def sit_down(pc: LabPc) -> Iterator[Callable[..., WindowsConsole]]:
    started: list[WindowsConsole] = []

    def start(*command: str) -> WindowsConsole:
        started.append(WindowsConsole(pc, *command))
        return started[-1]

    yield start
    for one in started:
        one.close()


def compare(name: str, *consoles: WindowsConsole) -> None:
    """Compare screens, one below the other, with a picture of the docs; draw it, where that is wanted."""
    lines: list[Text] = []
    for console in consoles:
        typed = Text.assemble((PROMPT, "dim"), (show_usual(" ".join(console.command)), "bold"))
        lines += [typed, *leave_out_warnings(console.draw())]
    for line in lines:
        line.plain = show_usual(line.plain)
    picture = IMAGES / f"{name}.svg"
    if DRAWN:
        drawing = Console(record=True, width=COLUMNS, color_system="truecolor", file=io.StringIO())
        for line in lines:
            drawing.print(line, no_wrap=True, crop=False)
        runpy.run_path(str(ROOT / "docs" / "picture.py"))["save"](
            drawing, ROOT / DRAWN / picture.name, "PowerShell"
        )
    # sorted: what two programs print in one moment may come in either order
    assert sorted(blur(read_picture(picture))) == sorted(blur([line.plain for line in lines])), (
        f"{picture.name} shows another screen: make windows PART=--pictures draws it anew"
    )


def leave_out_warnings(lines: list[Text]) -> list[Text]:
    """Return lines without what is wrong with this very PC: Wine counts its network as public."""
    kept, is_warning = [], False
    for line in lines:
        is_warning = line.plain.startswith("! ") or (is_warning and not MARKED.match(line.plain))
        if not is_warning:
            kept.append(line)
    return kept


def show_usual(line: str) -> str:
    """Return a line with the folder and the address that the how-to speaks of."""
    line = line.replace(LabPc.home, r"C:\Users\you").replace(r"multirig\log", r"multirig\Logs")
    line = re.sub(r"C:\\users\\\w+\\multirig-data", r"C:\\Users\\you\\multirig-data", line)
    return re.sub(r"udp://(?!0\.0\.0\.0|127\.)\d[\d.]+", "udp://192.168.1.20", line)


def test_who_sits_at_a_windows_pc_sets_it_up_and_records_with_it(
    sit_down: Callable[..., WindowsConsole], pc: LabPc
) -> None:
    pc.clear()
    pc.windows.forget(RECORDINGS)
    asked = sit_down("multirig", "new", "rig")
    asked.answer("Which number, or numbers as 1,2? [1]", "1")
    asked.answer("A short name for the test pattern", "left")
    asked.answer("What shall this rig be called?", "camera-pc")
    asked.answer("Where shall its recordings go?", r"C:\recordings")
    asked.answer("Which number? [1]")
    assert asked.end() == 0
    assert (pc.place / "you" / "camera-pc.yaml").exists()
    compare("windows-new-rig", asked)

    rig = sit_down("multirig", "serve", "camera-pc.yaml")
    rig.expect("type: start SUBJECT")
    rig.expect("camera-pc  connected")
    rig.expect(" free")
    compare("windows-serve", rig)
    [address] = set(re.findall(r"rigs add camera-pc (udp://\S+)", asked.words))

    added = sit_down("multirig", "rigs", "add", "camera-pc", address)
    assert added.end() == 0
    run = sit_down(
        "multirig", "run", "--subject", "SP_01", "--remote", "camera-pc", "--main-sync", "--seconds", "3"
    )
    assert run.end() == 0, run.words
    assert "✓ GOOD" in run.words
    assert list((pc.place.parent / RECORDINGS).rglob("_iblrig_leftCamera.raw.mp4"))
    rig.type("quit\r")
    assert rig.end() == 0
    compare("windows-first-session", added, run)


def test_ctrl_c_at_a_question_leaves_nothing(sit_down: Callable[..., WindowsConsole], pc: LabPc) -> None:
    asked = sit_down("multirig", "new", "rig", "--nothing", "--name", "never")
    asked.expect("Where shall its recordings go?")
    asked.type("\x03")
    asked.type("\r")  # Wine lets a read that goes on wait for its end; Windows ends it
    assert asked.end() == 130
    assert "nothing was written" in asked.words
    assert not (pc.place / "you" / "never.yaml").exists()


def test_multirig_from_a_wheel_finds_all_of_its_parts(pc: LabPc) -> None:
    code, printed = pc.run("multirig", "--version")
    assert (code, printed.split()[0]) == (0, "multirig")
    code, printed = pc.run("multirig", "demo", "--seconds", "1", "--json")
    assert code == 0, printed
    assert '"verdict": "GOOD"' in printed
