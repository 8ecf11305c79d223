"""The file of a new rig is read as what was meant, whatever its names and folders are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from multirig.config import RigConfig, parse_rig_config, parse_yaml
from multirig.config.reading import OwnLoader
from multirig.rig.adapters.process import Process
from multirig.rig.setup.plan import CameraPlan, NothingPlan, Plan, ProgramPlan, quote, write_config

KEYS = "lab|main_sync|allow_ibl|fps|size"
NOTHING = NothingPlan()
LEFT = CameraPlan(label="left", source="test")


def plan(**changes: object) -> Plan:
    return Plan(**{"name": "cam", "data_folder": "D:/data", "records": NOTHING, **changes})  # type: ignore[arg-type]


def read(one: Plan) -> RigConfig:
    return parse_rig_config(write_config(one), Path("rig.yaml"))


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "null",
        "1",
        "1e5",
        "1:30",
        "~",
        "C:\\rigs\\new",
        "it's",
        "a: b",
        "# a",
        "{a}",
        "",
        " a ",
        "Küche",
    ],
)
def test_a_text_is_read_as_that_text(text: str) -> None:
    assert parse_yaml(quote(text), "here", OwnLoader) == text
    assert yaml.safe_load(quote(text)) == text


@given(st.text(st.characters(exclude_categories=("C", "Z"))))
def test_any_text_is_read_as_that_text(text: str) -> None:
    assert parse_yaml(f"key: {quote(text)}", "here", OwnLoader) == {"key": text}


@pytest.mark.parametrize("name", ["cam", "no", "1", "cameras:left", "Küche 2", "it's"])
@pytest.mark.parametrize("folder", ["/data", "/with space/data", "/mouse #1", "/it's"])
def test_name_and_folder_are_those_that_were_meant(name: str, folder: str) -> None:
    config = read(plan(name=name, data_folder=folder))
    assert (config.name, config.data_folder) == (name, Path(folder).absolute())


def test_who_may_lead_it_is_where_it_listens() -> None:
    assert [str(one) for one in read(plan()).uri] == ["udp://0.0.0.0:11001"]
    config = read(plan(port=11002, is_led_from_network=False))
    assert [str(one) for one in config.uri] == ["udp://127.0.0.1:11002"]


def test_cameras_are_listed_with_their_labels_and_sources() -> None:
    named = CameraPlan(label="body", source="video=Käfig: hinten", what="Käfig")
    adapter = read(plan(records=[LEFT, named])).adapter
    assert adapter.type == "camera"
    assert adapter.options["cameras"] == [
        {"label": "left", "source": "test"},
        {"label": "body", "source": "video=Käfig: hinten"},
    ]


def test_a_program_that_is_told_the_folder_is_watched_there_and_another_one_is_not() -> None:
    told = read(plan(records=ProgramPlan(command=["rec", "{folder}/a.avi"]))).adapter
    assert "writes" not in told.options
    assert Process(**told.options).command == ["rec", "{folder}/a.avi"]
    untold = read(plan(records=ProgramPlan(command=["rec", "{subject}"]))).adapter
    assert untold.options["writes"] == []


def test_hints_are_comments_whatever_they_hold() -> None:
    hints = ["type: process", "command: ['{python}']"]
    assert read(plan(records=NothingPlan(hints=hints))).adapter.type == "fake"
    config = read(
        plan(records=ProgramPlan(command=["rec"], hints=hints, stop_by="{stdin: q}", failure="E: #"))
    )
    assert config.adapter.options["stop_by"] == {"stdin": "q"}
    assert config.adapter.options["failure"] == "E: #"


def test_keys_that_are_shown_as_comments_may_be_uncommented() -> None:
    text = write_config(plan(records=[LEFT]))
    config = parse_rig_config(re.sub(rf"# (?=({KEYS}): )", "", text), Path("rig.yaml"))
    assert (config.lab, config.main_sync, config.allow_ibl) == ("mylab", True, ["192.168.1.7"])
    [camera] = config.adapter.options["cameras"]
    assert camera == {"label": "left", "source": "test", "fps": 60, "size": [640, 480]}


@pytest.mark.parametrize("records", [[LEFT], ProgramPlan(command=["rec"]), NOTHING])
def test_a_line_fits_on_a_screen(records: object) -> None:
    text = write_config(plan(records=records, data_folder="C:\\some\\folder\\that\\is\\long"))
    assert max(map(len, text.splitlines())) <= 110
