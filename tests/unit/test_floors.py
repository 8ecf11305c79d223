"""What multirig is built on: from which versions on, and with which it was tested."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from tests import audit

ROOT = Path(__file__).parents[2]
LINES = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
TESTED = {
    Requirement(line).name.lower(): Version(line.partition("==")[2])
    for line in LINES
    if line and not line.startswith("#")
}


def find_floors() -> list[Requirement]:
    """Return what the package asks for, with all of its extras."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = text.partition("\ndependencies = [")[2].partition("\n[project.scripts]")[0]
    project = re.sub(r"^ *#.*$", "", project, flags=re.MULTILINE)
    return [
        Requirement(one.replace("\\'", "'"))
        for one in re.findall(r'"([^"]+)"', project)
        if not one.startswith("multirig")
    ]


FLOORS = find_floors()


@pytest.mark.parametrize(
    ("name", "safe", "holed"),
    [
        ("nicegui", "3.12", "3.11.9"),
        ("filelock", "3.20.3", "3.20.2"),
        ("cryptography", "46.0.5", "46.0.4"),
    ],
)
def test_no_version_with_a_known_hole_is_let_in(name: str, safe: str, holed: str) -> None:
    [specifier] = [one.specifier for one in FLOORS if one.name == name]
    assert safe in specifier
    assert not specifier.contains(holed)


def test_what_was_tested_is_what_the_package_asks_for() -> None:
    assert len(FLOORS) > 20
    not_tested = {"pylsl", "pip-audit", "types-pyyaml", "types-psutil"}
    for one in FLOORS:
        name = one.name.lower()
        if name in TESTED:
            assert one.specifier.contains(TESTED[name]), one
        else:
            assert name in not_tested


def test_the_tested_versions_name_no_place_to_get_them_from() -> None:
    for line in LINES:
        assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.!+-]+", line), line


# -- known holes -------------------------------------------------------------------------------------------

ANSWERS = {
    "none": """print('{"dependencies": [{"name": "a", "version": "1", "vulns": []}]}')""",
    "one": """print('{"dependencies": [{"name": "a", "version": "1", "vulns": [{"id": "PYSEC-1", '
        '"fix_versions": ["2"]}]}]}'); raise SystemExit(1)""",
    "away": """import sys; print("noise"); sys.exit("ERROR: Connection refused")""",
}


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        ("none", 0, "no hole is known in any of 1 packages"),
        ("one", 1, "a 1: PYSEC-1, mended in 2"),
        (
            "away",
            0,
            "skipped: the check of known holes in what multirig is built on: its database cannot be had "
            "here (ERROR: Connection refused)",
        ),
    ],
)
def test_known_holes_are_named_and_where_nobody_can_be_asked_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, words: str
) -> None:
    (tmp_path / "pip_audit.py").write_text(ANSWERS[answer])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert audit.run() == (code, words)
