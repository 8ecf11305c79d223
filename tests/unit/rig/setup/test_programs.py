"""Which programs are found, and what a rig does with each."""

from __future__ import annotations

from pathlib import Path

import pytest

from multirig.errors import ConfigError
from multirig.rig.setup.programs import (
    KNOWN,
    FoundProgram,
    Way,
    find_programs,
    find_workflows,
    plan_bonsai,
    plan_command,
    plan_later,
)

BY_NAME = {one.name: one for one in KNOWN}
WORKFLOW = """
<WorkflowBuilder><Expression xsi:type="ExternalizedMapping">
  <Property Name="FileName" DisplayName="Video.FileName" />
  <Property Name="Gain" />
</Expression>
<Expression xsi:type="ExternalizedMapping"><Property Name="CsvFileName" /></Expression>
<Property Name="FileName" />
"""


def nowhere(_: str) -> None:
    return None


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    return path


def test_programs_are_found_where_windows_has_them_the_newest_first(tmp_path: Path) -> None:
    bonsai = put(tmp_path / "Local" / "Bonsai" / "Bonsai.exe")
    put(tmp_path / "C" / "SpikeGLX" / "Release_1" / "SpikeGLX" / "SpikeGLX.exe")
    put(tmp_path / "Programs" / "MATLAB" / "R2022b" / "bin" / "matlab.exe")
    newest = put(tmp_path / "Programs" / "MATLAB" / "R2024a" / "bin" / "matlab.exe")
    environment = {
        "LOCALAPPDATA": str(tmp_path / "Local"),
        "SYSTEMDRIVE": str(tmp_path / "C"),
        "PROGRAMFILES": str(tmp_path / "Programs"),
    }
    found = {one.known.name: one.path for one in find_programs("win32", environment, nowhere)}
    assert list(found) == ["Bonsai", "SpikeGLX", "MATLAB (ScanImage, Timeline)"]
    assert found["Bonsai"] == bonsai
    assert found["MATLAB (ScanImage, Timeline)"] == newest
    assert find_programs("linux", environment, nowhere) == []
    assert find_programs("win32", {}, nowhere) == []


def test_a_program_on_path_is_found_everywhere() -> None:
    for system in ("linux", "darwin", "win32"):
        [found] = find_programs(system, {}, lambda name: "/opt/b/bonsai" if name == "bonsai" else None)
        assert (found.known.name, found.path) == ("Bonsai", Path("/opt/b/bonsai"))


def test_a_workflow_is_told_where_to_write_what_it_lets_be_said() -> None:
    plan = plan_bonsai(Path("Bonsai.exe"), Path("{a}.bonsai"), WORKFLOW)
    assert plan.command == [
        *("Bonsai.exe", "{{a}}.bonsai", "--no-editor"),
        "-p:Video.FileName={folder}/video_filename.avi",
        "-p:CsvFileName={folder}/csvfilename.csv",
    ]
    assert plan.is_told_where
    assert plan.stop_by == ""
    assert any("killed" in one for one in plan.hints)


def test_a_workflow_that_hears_a_message_is_ended_by_it_and_one_without_a_file_name_is_not_watched() -> None:
    plan = plan_bonsai(Path("Bonsai.exe"), Path("a.bonsai"), '<Combinator xsi:type="osc:ReceiveMessage">')
    assert plan.stop_by == "{osc: /stop, port: 7110}"
    assert not plan.is_told_where
    assert any("externalise" in one for one in plan.hints)


@pytest.mark.parametrize(
    ("system", "line", "words"),
    [
        ("linux", "rec --to '{folder}/a b.avi'", ["/bin/rec", "--to", "{folder}/a b.avi"]),
        ("win32", r'"C:\P F\rec.exe" D:\x "a b"', [r"/bin/C:\P F\rec.exe", "D:\\x", "a b"]),
        ("linux", "{python} -m thing", ["{python}", "-m", "thing"]),
        ("linux", "'{odd}' x", ["/bin/{{odd}}", "x"]),
    ],
)
def test_a_command_is_taken_apart_as_its_system_does(system: str, line: str, words: list[str]) -> None:
    assert plan_command(line, system=system, find=lambda name: f"/bin/{name}").command == words


@pytest.mark.parametrize(
    ("line", "said"),
    [("'open", "close each quote"), (" ", "no program is named"), ("rec {bad}", "unknown placeholder {bad}")],
)
def test_what_is_no_command_is_told(line: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        plan_command(line, system="linux", find=lambda name: name)


@pytest.mark.parametrize("known", [one for one in KNOWN if one.way is not Way.WORKFLOW])
def test_a_program_that_no_rig_starts_says_where_to_read_on(known: object) -> None:
    hints = plan_later(FoundProgram(known=known, path=Path("C:/p.exe"))).hints  # type: ignore[arg-type]
    assert "p.exe" in hints[0]
    assert "see '" in hints[1] or "has one" in hints[1]


def test_workflows_are_found_in_a_folder_and_those_in_it(tmp_path: Path) -> None:
    here = put(tmp_path / "a.bonsai")
    below = put(tmp_path / "b" / "c.bonsai")
    put(tmp_path / "b" / "c" / "d.bonsai")
    assert set(find_workflows([tmp_path, tmp_path / "none"])) == {here, below}
