from __future__ import annotations

from pathlib import Path

import pytest

from multirig.rig.memory import memory_file
from multirig.writing import file_name


@pytest.mark.parametrize("name", ["cameras", "cameras:left", "Kamera ä", "a.b", "..", "CON*?"])
def test_a_rigs_name_is_filed_by_what_every_system_allows(name: str) -> None:
    assert set(file_name(name)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-%")


def test_rigs_with_similar_names_that_share_a_folder_have_a_memory_each(tmp_path: Path) -> None:
    names = ["cameras:left", "cameras_left", "cameras/left", "cameras%3Aleft"]
    assert len({memory_file(tmp_path, name) for name in names}) == len(names)
