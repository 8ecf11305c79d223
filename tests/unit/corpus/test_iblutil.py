"""Conversations that multirig 0.1 had with the real iblutil, over loopback: both sides' bytes, in order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.corpus.driver import encode_again, name_event, to_bytes

FOLDER = Path(__file__).parents[2] / "data" / "corpus-0.1" / "iblutil"
FILES = sorted(FOLDER.glob("*.jsonl"))


def read(path: Path) -> list[tuple[str, bytes]]:
    """Return who said what."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [(line["by"], to_bytes(line)) for line in lines]


@pytest.mark.parametrize("path", FILES, ids=[one.stem for one in FILES])
def test_what_was_said_to_iblutil_and_by_it_is_encoded_as_it_was(path: Path) -> None:
    said = read(path)
    assert {by for by, _ in said} == {"multirig", "iblutil"}
    for by, data in said:
        assert encode_again(data) == data, by


def test_every_event_was_said_by_both() -> None:
    said = [one for path in FILES for one in read(path)]
    for by in ("multirig", "iblutil"):
        events = {name_event(data) for who, data in said if who == by}
        every = {
            "EXPINIT",
            "EXPSTART",
            "EXPEND",
            "EXPCLEANUP",
            "EXPINTERRUPT",
            "EXPSTATUS",
            "EXPINFO",
            "ALYX",
        }
        assert events >= {*every, "ERROR"}, by
    assert len(FILES) >= 15


def test_a_byte_that_was_another_is_noticed() -> None:
    data = next(
        data for _, data in read(FOLDER / "iblutil-leads-a-session.jsonl") if name_event(data) == "EXPEND"
    )
    other = data.replace(b"4,", b"4, ", 1)
    assert encode_again(other) != other
