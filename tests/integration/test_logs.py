"""The log file of a program."""

from __future__ import annotations

import logging
from pathlib import Path

from multirig.logs import keep_log


def test_neither_a_line_nor_a_stack_in_the_log_holds_a_password(tmp_path: Path) -> None:
    root = logging.getLogger("multirig")
    before = (root.level, root.propagate, list(root.handlers))
    path = keep_log("rig", tmp_path)
    try:
        try:
            raise OSError("rtsp://admin:p@ss/w0rd@camera.lab is not there")
        except OSError:
            root.exception("cannot open %s", "http://camera.lab/?user=a&pwd=SECRET")
    finally:
        for handler in root.handlers[len(before[2]) :]:
            handler.close()
            root.removeHandler(handler)
        root.setLevel(before[0])
        root.propagate = before[1]
    text = path.read_text()
    assert "w0rd" not in text
    assert "SECRET" not in text
    assert "OSError: rtsp://***@camera.lab is not there" in text
