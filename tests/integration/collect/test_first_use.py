"""Several PCs begin to collect to a folder that was never used: they all know it by one mark."""

from __future__ import annotations

import threading
from pathlib import Path

from multirig.collect.places.folder import Folder

PCS = 8


def test_a_folder_that_several_pcs_use_for_the_first_time_at_once_has_one_mark(tmp_path: Path) -> None:
    for turn in range(20):
        place = tmp_path / str(turn)
        place.mkdir()
        marks: list[str] = []
        begin = threading.Barrier(PCS)

        def collect(place: Path = place, marks: list[str] = marks, begin: threading.Barrier = begin) -> None:
            begin.wait()
            marks.append(Folder(str(place), place).open(None))

        pcs = [threading.Thread(target=collect) for _ in range(PCS)]
        for one in pcs:
            one.start()
        for one in pcs:
            one.join()
        assert len(marks) == PCS
        assert {*marks, Folder(str(place), place).open(marks[0])} == {marks[0]}
        assert len([*place.iterdir()]) == 1
