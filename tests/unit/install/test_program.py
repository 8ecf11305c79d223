"""By which path multirig is found again after an upgrade."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from multirig.errors import ConfigError
from multirig.install.program import find_program

ROOT = Path(os.path.abspath(os.sep))


def place(text: str) -> str:
    """Return a path of this system."""
    return str(ROOT.joinpath(*text.strip("/").split("/")))


@pytest.mark.parametrize(
    ("argv0", "executable", "there", "found"),
    [
        # uv tool and pipx: a link, not where it leads
        (
            "/u/.local/bin/multirig",
            "/u/.local/share/uv/tools/multirig/bin/python",
            ["/u/.local/bin/multirig"],
            None,
        ),
        # a venv, called by its path
        ("/lab/.venv/bin/multirig", "/lab/.venv/bin/python", ["/lab/.venv/bin/multirig"], None),
        # python -m multirig in a venv
        (
            "/lab/.venv/lib/multirig/__main__.py",
            "/lab/.venv/bin/python",
            ["/lab/.venv/bin/multirig", "/lab/.venv/lib/multirig/__main__.py"],
            ["/lab/.venv/bin/multirig"],
        ),
        # pip into a Python without scripts beside it
        ("/p/multirig/__main__.py", "/p/bin/python3", [], ["/p/bin/python3", "-m", "multirig"]),
    ],
)
def test_the_program_that_was_called_is_the_one_that_is_started(
    argv0: str, executable: str, there: list[str], found: list[str] | None
) -> None:
    files = {Path(place(one)) for one in there}
    words = find_program(place(argv0), place(executable), exists=files.__contains__, is_windows=False)
    expected = found or [argv0]
    assert words == (place(expected[0]), *expected[1:])


@pytest.mark.parametrize(
    "called", ["/v/Scripts/multirig", "/v/Scripts/multirig.exe", "/v/Scripts/MULTIRIG.EXE"]
)
def test_windows_may_leave_the_ending_out(called: str) -> None:
    def exists(path: Path) -> bool:
        return str(path).lower() == place("/v/Scripts/multirig.exe").lower()

    [word] = find_program(place(called), place("/x/python.exe"), exists=exists, is_windows=True)
    assert word.lower() == place("/v/Scripts/multirig.exe").lower()


@pytest.mark.parametrize(
    "python",
    [
        "/u/.cache/uv/archive-v0/abc/bin/python",
        "/u/AppData/Local/uv/cache/archive-v0/abc/Scripts/python.exe",
        "/u/AppData/Local/uv/cache/environments-v2/abc/Scripts/python.exe",
        "/u/.local/share/pipx/.cache/abc/bin/python",
    ],
)
def test_a_program_that_is_removed_again_is_refused_with_the_way_to_keep_it(python: str) -> None:
    with pytest.raises(ConfigError, match="uv tool install multirig"):
        find_program(place("/nowhere/x"), place(python), exists=lambda _: False)


def test_a_relative_call_becomes_a_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = "multirig.exe" if os.name == "nt" else "multirig"
    (tmp_path / name).write_text("")
    assert find_program(os.path.join(".", name)) == (str(Path.cwd() / name),)
