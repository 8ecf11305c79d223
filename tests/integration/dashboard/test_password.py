"""The console's password in the file of the leading PC."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from multirig.cli.main import run
from multirig.config import load_conductor_config
from multirig.dashboard.door.access import is_password
from multirig.dashboard.door.password import keep_password
from multirig.dashboard.door.people import Role, read_accounts
from multirig.errors import ConfigError

PASSWORD = "correct horse"
WRITTEN = """\
# what our sessions ask of clocks
clock: {wide: refuse}   # since May

console:   # the screen in room 3
  # every task of ours
  tasks: [/tasks/gratings.py]

  lab: zadorlab
# the end
"""


def is_set(folder: Path, password: str = PASSWORD) -> bool:
    kept = load_conductor_config(folder / "remote_rigs.yaml").console.password
    return kept is not None and is_password(password, kept)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "# nothing yet\n",
        "clock: {wide: refuse}",
        "console: {}\n",
        "console: {lab: zadorlab}\n",
        "console:\n    lab: zadorlab\n",
        "{clock: {}, console: {lab: zadorlab}}\n",
        "{}\n",
        WRITTEN,
        WRITTEN.replace("\n", "\r\n"),
    ],
)
def test_a_password_is_set_in_any_file_and_all_else_stays(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "multirig.yaml"
    rigs_file = tmp_path / "remote_rigs.yaml"
    if text is not None:
        file.write_bytes(text.encode())
    before = load_conductor_config(rigs_file)
    assert keep_password(rigs_file, PASSWORD) == file
    assert is_set(tmp_path)
    keep_password(rigs_file, "another password")
    assert is_set(tmp_path, "another password")
    after = load_conductor_config(rigs_file)
    assert after.clock == before.clock
    assert after.console.model_copy(update={"password": None}) == before.console


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_comments_stay_where_they_are(tmp_path: Path, ending: str) -> None:
    file = tmp_path / "multirig.yaml"
    written = WRITTEN.replace("\n", ending).encode()
    file.write_bytes(written)
    for password in (PASSWORD, "another password"):
        keep_password(tmp_path / "remote_rigs.yaml", password)
        lines = file.read_bytes().splitlines(keepends=True)
        assert b"".join(line for line in lines if b"password:" not in line) == written
        assert len(lines) == written.count(b"\n") + 1


def test_the_password_itself_in_the_file_is_refused_without_repeating_it_and_can_be_replaced(
    tmp_path: Path,
) -> None:
    (tmp_path / "multirig.yaml").write_text("console: {password: correct horse}\n")
    with pytest.raises(ConfigError, match=r"multirig\.yaml: console\.password: this is no hash") as caught:
        load_conductor_config(tmp_path / "remote_rigs.yaml")
    assert "horse" not in str(caught.value)
    keep_password(tmp_path / "remote_rigs.yaml", PASSWORD)
    assert is_set(tmp_path)


@pytest.mark.parametrize(
    "text", ["- clock\n", "console: [a]\n", "console:\n", "console: {pasword: x}\n", "clock: {\n"]
)
def test_a_file_that_is_wrong_is_not_written_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "multirig.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"multirig\.yaml"):
        keep_password(tmp_path / "remote_rigs.yaml", PASSWORD)
    assert (tmp_path / "multirig.yaml").read_text() == text


def test_a_password_that_is_too_short_changes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least 8"):
        keep_password(tmp_path / "remote_rigs.yaml", "short")
    assert list(tmp_path.iterdir()) == []


# -- at a terminal -------------------------------------------------------------------------------------------


SETS = ("console", "--set-password")


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run the command, and type lines at its prompts; return its exit code and what it wrote."""
    pty = pytest.importorskip("pty", reason="Windows has no pseudo-terminal in Python")
    monkeypatch.setenv("MULTIRIG_STATE", str(tmp_path / "state"))

    def run(*lines: str, command: tuple[str, ...] = SETS) -> tuple[int, str]:
        keyboard, terminal = pty.openpty()
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "multirig", *command, "--rigs-file", str(tmp_path)],
                stdin=terminal,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            said = b""
            for line in lines:
                # what is typed before the question is not taken for the answer
                while not said.endswith(b": ") and (more := process.stdout.read1(1)):
                    said += more
                said += b"\n"
                os.write(keyboard, f"{line}\n".encode())
            said += process.communicate(timeout=30)[0]
            os.set_blocking(keyboard, False)
            echo = b""
            with contextlib.suppress(BlockingIOError):
                echo = os.read(keyboard, 1000)
        finally:
            os.close(keyboard)
            os.close(terminal)
        assert not [line for line in lines if line.encode() in said + echo]
        return process.returncode, said.decode()

    return run


def test_a_password_is_asked_for_twice_without_being_shown(typed, tmp_path: Path) -> None:
    code, said = typed(PASSWORD, PASSWORD)
    assert code == 0
    assert f"the password is set in {tmp_path / 'multirig.yaml'}" in " ".join(said.split())
    assert is_set(tmp_path)


@pytest.mark.parametrize(
    ("lines", "words"),
    [((PASSWORD, "correct house"), "the two passwords differ"), (("abcdefg", "abcdefg"), "take at least 8")],
)
def test_what_is_typed_wrong_changes_nothing(typed, tmp_path: Path, lines, words: str) -> None:
    code, said = typed(*lines)
    assert code == 2
    assert words in said
    assert not (tmp_path / "multirig.yaml").exists()


def test_accounts_are_made_changed_listed_and_removed(typed, tmp_path: Path) -> None:
    own = tmp_path / "state" / "console"

    def do(*words: str, lines: tuple[str, ...] = ()) -> str:
        code, said = typed(*lines, command=("password", *words))
        assert code == 0, said
        return " ".join(said.split())

    assert "nobody from other PCs" in do("--list")
    made = do("Ada", lines=(PASSWORD, PASSWORD))
    assert "Password of Ada, at least 8 characters:" in made
    assert "the account Ada is made: it may look, and change nothing" in made
    assert "to let it do all: multirig password Ada --role operate" in made
    assert "may do all that the page can" in do("ada", "--role", "operate")  # asks for nothing
    [ada] = read_accounts(own).values()
    assert (ada.name, ada.role, is_password(PASSWORD, ada.password)) == ("Ada", Role.OPERATE, True)
    do("ada", lines=("another password",) * 2)
    [ada] = read_accounts(own).values()
    assert (ada.role, is_password("another password", ada.password)) == (Role.OPERATE, True)
    do("lou", "--role", "look", lines=(PASSWORD, PASSWORD))
    do(lines=(PASSWORD, PASSWORD))  # the one password, as console --set-password
    assert is_set(tmp_path)
    listed = do("--list")
    for row in ("the one password operate", "Ada operate", "lou look"):
        assert row in listed
    assert "scrypt" not in listed
    assert "the account Ada is removed" in do("ADA", "--remove")
    assert [*read_accounts(own)] == ["lou"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--role", "look"), "say whose: multirig password NAME"),
        (("--remove",), "say whose: multirig password NAME"),
        (("ada", "--remove"), "there is no account 'ada'"),
        (("ada", "--remove", "--role", "look"), "give --remove or --role"),
        (("ada", "--list"), "--list says all"),
        (("a b",), "is no name for an account"),
        (("ada", "--role", "root"), "root"),
        (("ada",), "a password is typed at a terminal: open one and run multirig password ada there"),
    ],
)
def test_what_makes_no_account_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words, said: str
) -> None:
    monkeypatch.setenv("MULTIRIG_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert run(["password", *words, "--rigs-file", str(tmp_path)]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "state" / "console" / "accounts.json").exists()


def test_a_password_is_not_read_from_a_pipe(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "multirig", "console", "--set-password", "--rigs-file", str(tmp_path)]
    done = subprocess.run(command, input=f"{PASSWORD}\n" * 2, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "a password is typed at a terminal" in done.stderr
    assert done.stderr.count("\n") == 1
