from __future__ import annotations

import errno
from pathlib import Path

import pytest

from multirig.rig.memory import memory_file
from multirig.writing import file_name, is_full


@pytest.mark.parametrize("name", ["cameras", "cameras:left", "Kamera ä", "a.b", "..", "CON*?"])
def test_a_rigs_name_is_filed_by_what_every_system_allows(name: str) -> None:
    assert set(file_name(name)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-%")


def test_rigs_with_similar_names_that_share_a_folder_have_a_memory_each(tmp_path: Path) -> None:
    names = ["cameras:left", "cameras_left", "cameras/left", "cameras%3Aleft"]
    assert len({memory_file(tmp_path, name) for name in names}) == len(names)


def of_windows(number: int) -> OSError:
    error = OSError(errno.EINVAL, "Windows says so")
    error.winerror = number  # type: ignore[attr-defined,unused-ignore]
    return error


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, ""), of_windows(39), of_windows(112), of_windows(1295)]
)
def test_a_disk_that_is_full_is_known_by_the_number_of_the_error(error: OSError) -> None:
    assert is_full(error)


@pytest.mark.parametrize(
    "error", [OSError(39, "of another system"), OSError(112, "host is down"), of_windows(5), ValueError()]
)
def test_a_number_of_windows_means_something_else_elsewhere(error: Exception) -> None:
    assert not is_full(error)
