"""Rigs that would write each other's files are kept from one session; each lists what is its own."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from multirig.conductor.preflight import find_hindrance
from multirig.errors import AgreementError
from multirig.rig.adapters.process import Process

WRITER = """
import sys
for name in sys.argv[2:]:
    open(f"{sys.argv[1]}/{name}", "w").write("data")
print("ready", flush=True)
sys.stdin.readline()
"""


def program(folder: Path, *names: str, **keys: Any) -> Process:
    """A program that writes files of these names."""
    path = folder / "writer.py"
    path.write_text(WRITER, encoding="utf-8")
    command = [sys.executable, "-I", "-S", str(path), "{folder}", *names]
    return Process(command=command, ready=re.compile("^ready"), stop_by=None, **keys)


async def two_programs(lab: Any, one: dict[str, Any], other: dict[str, Any], **keys: Any) -> Any:
    shared = {"data_folder": str(lab.folder / "data"), **keys}
    await lab.rig("one", adapter=program(lab.folder, "a.csv", **one), main_sync=True, **shared)
    await lab.rig("other", adapter=program(lab.folder, "b.csv", **other), **shared)
    return await lab.conductor()


async def test_two_programs_that_write_into_one_folder_are_refused_and_not_started(lab: Any) -> None:
    conductor = await two_programs(lab, {}, {})
    hindrance = find_hindrance(await conductor.check(), {})
    assert "one: cannot record beside other: both write raw_data/* in one folder" in str(hindrance)
    with pytest.raises(
        AgreementError, match=r"^one and other both write raw_data/\* in one folder: .*'collection'"
    ):
        async with conductor.session("SP_01"):
            pass
    assert not (lab.folder / "data" / "mylab").exists()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"collection": "raw_one"}, {"collection": "raw_other"}),
        ({"writes": ["a*"]}, {"writes": ["b*"]}),
    ],
    ids=["collections", "patterns"],
)
async def test_programs_that_keep_their_files_apart_record_each_its_own(
    lab: Any, one: dict[str, Any], other: dict[str, Any]
) -> None:
    conductor = await two_programs(lab, one, other)
    async with conductor.session("SP_01") as session:
        await session.init()
        await session.start()
        outcomes = await session.stop()
    files = {
        name: [file.path.rpartition("/")[2] for file in word.recorded.files]
        for name, word in outcomes.items()
    }
    assert files == {"one": ["a.csv"], "other": ["b.csv"]}


@pytest.mark.wine_lacks("links to folders")
async def test_rigs_of_one_folder_know_it_by_whatever_path(lab: Any) -> None:
    (lab.folder / "data").mkdir()
    (lab.folder / "link").symlink_to(lab.folder / "data")
    await two_programs(lab, {}, {})
    await lab.rig("third", adapter=program(lab.folder), data_folder=str(lab.folder / "link"))
    await lab.rig("fourth", adapter=program(lab.folder), data_folder=str(lab.folder / "elsewhere"))
    marks = {name: rig._storage.folder_mark for name, rig in lab.rigs.items()}
    assert marks["one"] == marks["third"] != marks["fourth"]
    assert None not in marks.values()


async def test_a_program_that_keeps_its_data_elsewhere_tells_nothing_of_files(lab: Any) -> None:
    conductor = await two_programs(lab, {"writes": []}, {"collection": "raw_other"})
    async with conductor.session("SP_01") as session:
        await session.init()
        await session.start()
        outcomes = await session.stop()
    told = outcomes["one"]
    assert (told.files_total, told.bytes_total, told.recorded.files) == (None, None, None)
    assert told.recorded.stopped_at is not None
    [finding] = told.recorded.findings
    assert (finding.kind, finding.level.value) == ("program", "note")
    assert outcomes["other"].files_total == 1
