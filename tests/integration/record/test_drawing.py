"""Pictures of sessions as real files."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from multirig.errors import ConfigError
from multirig.record.drawing import draw, draw_bytes
from multirig.record.plot import STATES, Curve, Picture, Span, StartPoints, Tick

pytest.importorskip("matplotlib", reason="there is no matplotlib on this PC")

EMPTY = Picture(
    title="2026-01-31_1_SP_01",
    axis="seconds since the agreed start",
    curves=[],
    starts=[],
    start_axis="milliseconds since the agreed instant",
    spread="fewer than two rigs tell when they started",
    states={},
    ticks=[],
)
NAME = "cam:left & $x_1$ <é>"
"""What is no name for a formula, and none for HTML."""
FULL = replace(
    EMPTY,
    spread="2 rigs started within 0.080 ms ± 0.020 ms of each other",
    curves=[
        Curve(rig=name, seconds=[0.0, 5.0, 10.0], offsets=[0.0, 0.1, slope], bounds=[0.04, 0.03, 0.05])
        for name, slope in ((NAME, 0.2), ("ephys", -0.3))
    ],
    starts=[
        StartPoints(rig=NAME, heard=-50.0, called=0.01, returned=12.0, first=20.0, bound=0.02),
        StartPoints(rig="ephys", heard=None, called=None, returned=None, first=3.0, bound=0.0),
    ],
    states={
        NAME: [Span(begin=float(place), end=place + 1.0, state=one) for place, one in enumerate(STATES)],
        "ephys": [Span(begin=2.0, end=2.0, state="running")],
    },
    ticks=[
        Tick(seconds=1.0, who=NAME, text="answered EXPSTART: running"),
        *(Tick(seconds=2.0 + n, who="this PC", text=f"drug <{n}>", is_marker=True) for n in range(30)),
    ],
)


@pytest.mark.parametrize("picture", [EMPTY, FULL], ids=["empty", "full"])
def test_a_picture_is_a_png(picture: Picture, tmp_path: Path) -> None:
    draw(picture, tmp_path / "clocks.PNG")
    data = (tmp_path / "clocks.PNG").read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(data) > 10_000


@pytest.mark.parametrize("picture", [EMPTY, FULL], ids=["empty", "full"])
def test_a_page_holds_the_drawing_and_fetches_nothing(picture: Picture, tmp_path: Path) -> None:
    draw(picture, tmp_path / "clocks.html")
    text = (tmp_path / "clocks.html").read_text(encoding="utf-8")
    assert "<title>2026-01-31_1_SP_01: clocks and starts</title>" in text
    assert picture.spread in text
    for word in ("<script", "<link", 'src="', 'href="http'):
        assert word not in text
    ElementTree.fromstring(text[text.index("<svg") : text.index("</svg>") + len("</svg>")])


def test_what_stands_in_the_page_can_be_read_and_pointed_at(tmp_path: Path) -> None:
    draw(FULL, tmp_path / "clocks.html")
    text = (tmp_path / "clocks.html").read_text(encoding="utf-8")
    written = "cam:left &amp; $x_1$ &lt;é&gt;"
    assert text.count(f">{written}</text>") == 2
    assert f"<title>{written}: answered EXPSTART: running</title>" in text
    assert f"<title>{written}: stopped from 6.000 s to 7.000 s</title>" in text
    assert "<title>this PC: drug &lt;29&gt;</title>" in text


def test_a_name_that_the_font_cannot_write_is_no_fault(tmp_path: Path) -> None:
    draw(replace(EMPTY, title="小鼠"), tmp_path / "clocks.png")
    assert (tmp_path / "clocks.png").exists()


def test_another_suffix_says_which_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"clocks\.pdf: give a file that ends in \.png or \.html"):
        draw(EMPTY, tmp_path / "clocks.pdf")


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot write the picture .*choose another file"):
        draw(EMPTY, tmp_path / "nowhere" / "clocks.html")


def test_without_matplotlib_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=r"needs matplotlib: pip install 'multirig\[plot\]'"):
        draw(EMPTY, tmp_path / "clocks.png")


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_a_picture_for_a_page_is_one_svg_element_on_paper_of_its_own(is_dark: bool) -> None:
    data = draw_bytes(FULL, "svg", is_dark=is_dark)
    root = ElementTree.fromstring(data)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    text = data.decode()
    assert "<title>this PC: drug &lt;29&gt;</title>" in text
    paper, ink = ("#191e26", "#eef1f5") if is_dark else ("#ffffff", None)
    assert f"fill: {paper}" in text
    assert ink is None or f"fill: {ink}" in text
    assert draw_bytes(EMPTY, "png", is_dark=is_dark).startswith(b"\x89PNG\r\n\x1a\n")


def test_what_is_drawn_dark_leaves_no_trace_on_the_next_one(tmp_path: Path) -> None:
    before = draw_bytes(EMPTY, "png")
    with ThreadPoolExecutor() as pool:  # as two browsers ask
        dark, light = (pool.submit(draw_bytes, EMPTY, "png", is_dark=one) for one in (True, False))
    assert light.result() == before
    assert dark.result() != before


def test_a_picture_for_a_page_says_too_that_matplotlib_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=r"needs matplotlib: pip install 'multirig\[plot\]'"):
        draw_bytes(EMPTY, "svg")
