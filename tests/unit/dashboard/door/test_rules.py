"""A password, and code to run, are taken from nobody but this user."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from multirig.config import load_conductor_config
from multirig.dashboard.door.access import is_password
from multirig.dashboard.door.password import keep_password
from multirig.dashboard.door.rules import load_rules
from multirig.errors import ConfigError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
THEIRS = "scrypt$15$8$1$" + "A" * 22 + "==$" + "A" * 43 + "="


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = tmp_path / "config" / "multirig"
    folder.mkdir(parents=True)
    return folder / "multirig.yaml"


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A rigs file in a folder that everybody can write."""
    folder = tmp_path / "lab"
    folder.mkdir()
    folder.chmod(0o777)
    return folder / "remote_rigs.yaml"


@pytest.mark.attack
def test_what_others_can_write_gives_neither_a_password_nor_code(own: Path, shared: Path) -> None:
    file = shared.with_name("multirig.yaml")
    file.write_text(f"console: {{lab: zadorlab, password: {THEIRS}, tasks: [evil.py]}}")
    rules, [warning] = load_rules(shared)
    assert (rules.password, rules.tasks, rules.lab) == (None, (), "zadorlab")
    assert warning == (
        f"{file}: its password and its tasks are not taken, since others can change them (everybody on this "
        f"PC can write {file.parent}): set the password with multirig console --set-password, "
        f"write the tasks into {own}"
    )


def test_the_password_goes_into_ones_own_folder_then_and_is_taken_from_there(own: Path, shared: Path) -> None:
    own.write_text("console: {tasks: [mine.py]}\n")
    assert keep_password(shared, "correct horse") == own
    assert not shared.with_name("multirig.yaml").exists()
    shared.with_name("multirig.yaml").write_text(f"console: {{subjects: [SP_01], password: {THEIRS}}}")
    rules, warnings = load_rules(shared)
    assert rules.password is not None
    assert is_password("correct horse", rules.password)
    assert rules.tasks == (str(own.parent / "mine.py"),)
    assert rules.subjects == ("SP_01",)
    assert len(warnings) == 1


def test_where_nobody_else_can_write_all_stays_beside_the_rigs_file(own: Path, tmp_path: Path) -> None:
    rigs_file = tmp_path / "remote_rigs.yaml"
    assert keep_password(rigs_file, "correct horse") == tmp_path / "multirig.yaml"
    assert load_rules(rigs_file) == (load_conductor_config(rigs_file).console, [])


def test_ones_own_folder_that_others_can_write_is_told_with_the_cure(own: Path, shared: Path) -> None:
    own.parent.chmod(0o777)
    with pytest.raises(ConfigError, match=f"chmod go-w {own.parent} {own}, then try again"):
        keep_password(shared, "correct horse")
    own.write_text(f"console: {{password: {THEIRS}}}")
    rules, [warning] = load_rules(own.with_name("remote_rigs.yaml"))
    assert rules.password is None
    assert f"chmod go-w {own.parent} {own}" in warning


def test_a_task_that_others_can_change_is_named(own: Path, shared: Path, tmp_path: Path) -> None:
    task = shared.with_name("task.py")
    task.write_text("")
    (tmp_path / "multirig.yaml").write_text(f"console: {{tasks: ['{task}:Task', module:Task]}}")
    rules, [warning] = load_rules(tmp_path / "remote_rigs.yaml")
    assert len(rules.tasks) == 2
    assert warning.startswith(f"the task {task} runs on this PC as you, and others can change it (everybody ")
