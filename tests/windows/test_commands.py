"""The commands, as they are typed on a Windows PC: what they print and how they end."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.windows.programs import LIMIT, Rigs
from tests.windows.wine import Windows


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("--help", 0, "serve"),
        ("rehearse --seeds 3 --processes 1", 0, "0 of them fail"),
        ("rigs list --rigs-file none.yaml", 0, "no rigs"),
        ("run --subject SP_01 --remote nobody --rigs-file none.yaml", 2, "nobody"),
        ("run --subject CON --remote udp://127.0.0.1:9 --main-sync", 2, "CON"),
        ("run --nonsense", 2, "nonsense"),
        ("serve there-is-none.yaml", 2, "there-is-none.yaml"),
        ("show there-is-none", 2, "there-is-none"),
        ("history --subject NOBODY", 0, "sessions in"),
    ],
)
def test_a_command_ends_as_the_documentation_says(
    windows: Windows, tmp_path: Path, words: str, code: int, said: str
) -> None:
    ended, printed = windows.run("-m", "multirig", *words.split(), cwd=tmp_path, limit=LIMIT)
    assert "Traceback" not in printed
    assert said in printed
    assert ended == code, printed


def test_the_demo_records(windows: Windows, tmp_path: Path) -> None:
    code, printed = windows.run("-m", "multirig", "demo", "--seconds", "2", cwd=tmp_path, limit=2 * LIMIT)
    assert code == 0, printed
    assert "Traceback" not in printed
    assert "GOOD" in printed
    assert "_iblrig_leftCamera.raw.mp4" in printed


def test_a_rig_is_added_looked_at_recorded_and_found_again(rigs: Rigs, windows: Windows) -> None:
    def run(*words: str) -> str:
        code, printed = windows.run("-m", "multirig", *words, cwd=rigs.folder, limit=LIMIT)
        assert code == 0, printed
        return printed

    rigs.start("cam", on_windows=True, main_sync=True)
    file = ("--rigs-file", "rigs.yaml")
    assert "cam" in run("rigs", "add", "cam", rigs.addresses["cam"], *file)
    assert "cam" in run("rigs", "ping", "cam", *file)
    assert "a session can begin" in run("check", "--remote", "cam", *file, "--minutes", "1", "--data", "pc")
    wanted = ("--subject", "M\u00fcller", "--seconds", "1", "--data", "pc")
    told = run("run", "--remote", "cam", *file, *wanted)
    assert "GOOD" in told
    assert "M\u00fcller" in run("history", "--data", "pc")
    [verdict] = (rigs.folder / "pc").rglob("_multirig_verdict.json")
    assert "GOOD" in run("show", str(verdict.parent.relative_to(rigs.folder)))
