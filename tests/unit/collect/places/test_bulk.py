"""A destination that knows no better does many files one after the other, and each has its own end."""

from __future__ import annotations

from pathlib import Path

import pytest

from multirig.collect.control import Control
from multirig.collect.places import DestinationAway, NameTaken, open_destination


def test_each_file_has_its_own_end(tmp_path: Path) -> None:
    root = tmp_path / "there"
    root.mkdir()
    there = open_destination(str(root))
    there.open(None)
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "b").write_bytes(b"")
    control = Control(is_busy=lambda: False)
    files = [(tmp_path / name, f"lab/{name}.part") for name in ("a", "gone", "b")]
    sent = there.send_many(files, control)
    assert isinstance(sent[1], FileNotFoundError)
    a, b = sent[0], sent[2]
    assert not isinstance(a, Exception)
    assert not isinstance(b, Exception)
    (root / "lab/b.part").write_bytes(b"x")
    assert there.compare_many([("lab/a.part", a, 3), ("lab/b.part", b, 0)], control) == [True, False]
    (root / "lab/b").write_bytes(b"taken")
    put = there.put_many([("lab/a.part", "lab/a"), ("lab/b.part", "lab/b")])
    assert put[0] is None
    assert isinstance(put[1], NameTaken)
    assert (root / "lab/a").read_bytes() == b"abc"
    for path in root.rglob("*"):
        if path.is_file():
            path.unlink()
    with pytest.raises(DestinationAway):
        there.put_many([("lab/a", "lab/c"), ("lab/b.part", "lab/d")])
