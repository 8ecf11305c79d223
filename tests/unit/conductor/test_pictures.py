from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from multirig.conductor.pictures import read_pictures
from multirig.protocol.messages import Event, Message
from multirig.protocol.words import Picture

JPEG = b"\xff\xd8\xff\xdb and so on"
TEXT = b64encode(JPEG).decode()


def answer(pictures: object) -> Message:
    return Message(Event.EXPSTATUS, (20, {"state": "running", "pictures": pictures}))


def test_pictures_are_read_with_label_and_age() -> None:
    listed = [{"label": "left", "jpeg": TEXT, "age": 0.04}, {"label": "right", "jpeg": TEXT, "age": None}]
    assert read_pictures(answer(listed)) == [
        Picture(label="left", jpeg=JPEG, age=0.04),
        Picture(label="right", jpeg=JPEG),
    ]


@pytest.mark.parametrize(
    "entry",
    [
        None,
        "left",
        {"label": "left"},
        {"label": 1, "jpeg": TEXT},
        {"label": "left", "jpeg": 17},
        {"label": "left", "jpeg": "no base64!"},
        {"label": "left", "jpeg": "é"},
        {"label": "left", "jpeg": b64encode(b"<script>").decode()},
    ],
)
def test_what_is_no_picture_is_left_out(entry: object) -> None:
    good = {"label": "right", "jpeg": TEXT, "age": 1}
    assert [one.label for one in read_pictures(answer([entry, good]))] == ["right"]


@pytest.mark.parametrize("listed", [None, True, "left", {"left": TEXT}, ["left"]])
def test_a_list_of_anything_else_holds_no_pictures(listed: Any) -> None:
    assert read_pictures(answer(listed)) == []
    assert read_pictures(Message(Event.EXPSTATUS, (20,))) == []
