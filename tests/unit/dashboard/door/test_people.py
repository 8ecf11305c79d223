"""The accounts of the console: kept as hashes for its user alone, changed one by one, read as they are."""

from __future__ import annotations

import json
import os
import shutil
import stat
import threading
from pathlib import Path

import pytest

from multirig.dashboard.door import people
from multirig.dashboard.door.access import is_password
from multirig.dashboard.door.people import (
    FILE_NAME,
    MAX_ACCOUNTS,
    Account,
    People,
    Person,
    Role,
    keep_account,
    read_accounts,
    remove_account,
)
from multirig.errors import ConfigError

SAMPLE = Path(__file__).parents[3] / "data" / "formats" / "accounts-1.json"


def test_a_new_account_may_look_only_and_its_password_is_kept_as_a_hash(tmp_path: Path) -> None:
    made, is_new = keep_account(tmp_path / "own", "Ada", password="correct horse")
    assert (made.name, made.role, is_new) == ("Ada", Role.LOOK, True)
    assert is_password("correct horse", made.password)
    assert "horse" not in (tmp_path / "own" / FILE_NAME).read_text()
    assert read_accounts(tmp_path / "own") == {"ada": made}
    assert made.person == Person(name="Ada", role=Role.LOOK)
    assert not made.person.operates


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such rights")
def test_nobody_else_can_read_the_file(tmp_path: Path) -> None:
    os.umask(0o022)
    keep_account(tmp_path / "own", "ada", password="correct horse")
    keep_account(tmp_path / "own", "ada", role=Role.OPERATE)
    for path, rights in ((tmp_path / "own", 0o700), (tmp_path / "own" / FILE_NAME, 0o600)):
        assert stat.S_IMODE(path.stat().st_mode) == rights


def test_role_and_password_are_changed_each_by_itself_and_the_name_stays_as_it_was_written(
    tmp_path: Path,
) -> None:
    first, _ = keep_account(tmp_path, "Ada", password="correct horse")
    keep_account(tmp_path, "lou", password="correct mouse")
    second, is_new = keep_account(tmp_path, " ADA ", role=Role.OPERATE)
    assert (second.name, second.password, is_new) == ("Ada", first.password, False)
    third, _ = keep_account(tmp_path, "ada", password="another one")
    assert (third.role, is_password("another one", third.password)) == (Role.OPERATE, True)
    assert len({first.stamp, second.stamp, third.stamp}) == 3
    assert remove_account(tmp_path, "aDa") == third
    assert [*read_accounts(tmp_path)] == ["lou"]


@pytest.mark.parametrize(
    "name", ["", " ", "a b", ".ada", "a\nb", "é", "a" * 41, "<b>", "a/b", "ada\u202e", "a:b"]
)
def test_what_is_no_name_is_refused_and_nothing_is_made(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="is no name for an account"):
        keep_account(tmp_path, name, password="correct horse")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no account ada: give it a password"):
        keep_account(tmp_path, "ada", role=Role.OPERATE)
    with pytest.raises(ConfigError, match="take at least 8"):
        keep_account(tmp_path, "ada", password="short")
    with pytest.raises(ConfigError, match="there is no account 'ada': none"):
        remove_account(tmp_path, "ada")
    keep_account(tmp_path, "lou", password="correct horse")
    with pytest.raises(ConfigError, match="there is no account 'ada': there are lou"):
        remove_account(tmp_path, "ada")


def test_their_number_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_ACCOUNTS == 200
    monkeypatch.setattr(people, "MAX_ACCOUNTS", 2)
    for name in ("a", "b"):
        keep_account(tmp_path, name, password="correct horse")
    with pytest.raises(ConfigError, match="remove one first"):
        keep_account(tmp_path, "c", password="correct horse")
    keep_account(tmp_path, "b", role=Role.OPERATE)


def test_two_programs_that_make_accounts_at_once_lose_none(tmp_path: Path) -> None:
    def make(name: str) -> None:
        keep_account(tmp_path, name, password="correct horse")

    threads = [threading.Thread(target=make, args=(f"a{number}",)) for number in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(read_accounts(tmp_path)) == 6


# -- the file ------------------------------------------------------------------------------------------------


def test_accounts_of_each_format_are_read(tmp_path: Path) -> None:
    shutil.copy(SAMPLE, tmp_path / FILE_NAME)
    found = read_accounts(tmp_path)
    assert [(one.name, one.role) for one in found.values()] == [("Ada", Role.OPERATE), ("lou", Role.LOOK)]
    assert is_password("correct horse", found["ada"].password)
    keep_account(tmp_path, "lou", role=Role.LOOK)
    assert (tmp_path / FILE_NAME).read_text() == SAMPLE.read_text()


GOOD = json.loads(SAMPLE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"format": 1, "accounts": {}',
        {**GOOD, "accounts": [{"name": "ada", "role": "operate"}]},
        {**GOOD, "accounts": [{**GOOD["accounts"][0], "role": "root"}]},
        {**GOOD, "accounts": [{**GOOD["accounts"][0], "password": "correct horse"}]},
        {
            **GOOD,
            "accounts": [{**GOOD["accounts"][0], "password": "scrypt$40$8$1$" + "A" * 22 + "==$" + "A" * 43}],
        },
        {**GOOD, "accounts": [{**GOOD["accounts"][0], "name": "a\nb"}]},
        {**GOOD, "accounts": [7]},
        {"accounts": GOOD["accounts"]},
        {**GOOD, "format": "1"},
    ],
)
def test_a_damaged_file_lets_nobody_in_and_is_not_written_over(tmp_path: Path, content: object) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / FILE_NAME).write_text(text)
    with pytest.raises(ConfigError, match=r"accounts\.json: the console's accounts cannot be read") as caught:
        People(tmp_path)
    assert "horse" not in str(caught.value)
    with pytest.raises(ConfigError, match="it is damaged"):
        keep_account(tmp_path, "ada", password="correct horse")
    assert (tmp_path / FILE_NAME).read_text() == text


def test_a_newer_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(json.dumps({**GOOD, "format": 2}))
    with pytest.raises(ConfigError, match="has format 2, as a newer multirig writes it"):
        People(tmp_path)


def test_who_is_changed_while_the_console_runs_is_so_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    known = People(tmp_path)
    assert known.accounts == {}
    keep_account(tmp_path, "ada", password="correct horse")
    assert known.find("ADA") is not None
    keep_account(tmp_path, "ada", role=Role.OPERATE)
    found = known.find("ada")
    assert found is not None
    assert found.role is Role.OPERATE
    (tmp_path / FILE_NAME).write_text("{")
    assert known.find("ada") is None
    assert "nobody is let in by name" in caplog.text
    (tmp_path / FILE_NAME).unlink()
    assert known.accounts == {}


def test_an_unchanged_file_is_read_once(tmp_path: Path) -> None:
    read: list[Path] = []

    def note(folder: Path) -> dict[str, Account]:
        read.append(folder)
        return read_accounts(folder)

    keep_account(tmp_path, "ada", password="correct horse")
    known = People(tmp_path, note)
    for _ in range(5):
        assert known.find("ada") is not None
    assert read == [tmp_path]


@pytest.mark.attack
@pytest.mark.skipif(os.name == "nt", reason="who may write on Windows' own drives is not looked at")
def test_accounts_that_others_can_change_let_nobody_in(tmp_path: Path) -> None:
    keep_account(tmp_path, "ada", password="correct horse")
    known = People(tmp_path)
    (tmp_path / FILE_NAME).chmod(0o666)
    with pytest.raises(ConfigError, match=r"accounts\.json: others can change it .*: take their right away"):
        read_accounts(tmp_path)
    os.utime(tmp_path / FILE_NAME, ns=(1, 1))  # as whoever writes into it does
    assert known.find("ada") is None
    (tmp_path / FILE_NAME).chmod(0o600)
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigError, match="everybody on this PC can write"):
        People(tmp_path)
