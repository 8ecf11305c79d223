"""Whose word a file is: others may be able to change it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from multirig.pc.exposed import find_exposure

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")


def make(folder: Path, *, folder_mode: int = 0o755, mode: int | None = 0o644) -> Path:
    place = folder / "lab"
    place.mkdir()
    path = place / "multirig.yaml"
    if mode is not None:
        path.write_text("")
        path.chmod(mode)
    place.chmod(folder_mode)
    return path


def test_a_file_of_ones_own_is_nobody_elses(tmp_path: Path) -> None:
    assert find_exposure(make(tmp_path)) is None
    assert find_exposure(tmp_path / "lab" / "not there") is None


@posix
@pytest.mark.parametrize(
    ("folder_mode", "mode", "why"),
    [
        (0o755, 0o666, "everybody on this PC can write {}/multirig.yaml"),
        (0o777, 0o644, "everybody on this PC can write {}"),
        (0o777, None, "everybody on this PC can write {}"),
        (0o1777, None, "everybody on this PC can write {}"),
    ],
)
def test_what_others_can_write_is_theirs_too(
    tmp_path: Path, folder_mode: int, mode: int | None, why: str
) -> None:
    path = make(tmp_path, folder_mode=folder_mode, mode=mode)
    assert find_exposure(path) == why.format(path.parent)


@posix
def test_in_a_folder_such_as_tmp_others_cannot_touch_what_is_there(tmp_path: Path) -> None:
    assert find_exposure(make(tmp_path, folder_mode=0o1777)) is None


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user_or_of_a_group_is_not_ones_own(tmp_path: Path) -> None:
    path = make(tmp_path, mode=0o664)
    assert find_exposure(path) is None  # the user's own group
    os.chown(path, 0, 12345)
    assert find_exposure(path) == f"a group of users can write {path}"
    os.chown(path, 12345, 0)
    assert find_exposure(path) == f"{path} is another user's"


@posix
def test_a_share_is_everybodys_who_may_write_there_whatever_its_modes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path)
    mounts = [SimpleNamespace(mountpoint="/", fstype="ext4")]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: mounts)
    assert find_exposure(path) is None
    mounts.append(SimpleNamespace(mountpoint=str(tmp_path), fstype="CIFS"))
    assert find_exposure(path) == "it lies on a share, where whoever may write there changes it"


@pytest.mark.skipif(sys.platform != "win32", reason="only Windows has such paths")
def test_the_path_of_another_pc_is_a_share() -> None:
    assert find_exposure(Path(r"\\server\lab\multirig.yaml")) is not None
    assert find_exposure(Path(sys.executable)) is None
